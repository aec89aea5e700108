"""SigLIP's transformer: the layers that its vision tower and its text tower share, and both.

Written after the paper (SigLIP, arXiv 2303.15343, over the ViT of arXiv 2010.11929) with the names
of modules that checkpoints use. The order of operations is that of transformers' classes, so that
results are the same to the last bit.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.backbones.network.sizes import TextConfig, TowerConfig


def embedding(rows: int, width: int) -> nn.Embedding:
    """An embedding whose weights are still to be filled: torch's own draws them first, for which it
    imports its compiler where they lie on the meta device."""
    made: nn.Embedding = nn.Embedding.from_pretrained(torch.empty(rows, width), freeze=False)
    return made


class SelfAttention(nn.Module):
    """Attention of all rows to all rows, with biases."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads, self.scale = n_heads, (width // n_heads) ** -0.5
        # Seeded weights are drawn in the order of the modules: it decides what random models hold.
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """What rows (B, N, D) read of each other, with their queries and keys (B, H, N, d).

        `bias`, of a shape that spreads to (B, H, N, N), is added to the scaled scores.
        """
        q, k, v = (self._heads(own(x)) for own in (self.q_proj, self.k_proj, self.v_proj))
        read = F.scaled_dot_product_attention(q, k, v, bias, scale=self.scale)
        return self.out_proj(read.transpose(1, 2).flatten(2)), q, k

    def _heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (self.n_heads, -1))
        return heads.transpose(1, 2)


class MLP(nn.Module):
    """Linear, GELU by its tanh, Linear."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x), approximate="tanh"))
        return out


class SiglipLayer(nn.Module):
    """Attention and MLP, each over normed rows and added to the residual stream."""

    def __init__(self, config: TowerConfig | TextConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.layer_norm1 = nn.LayerNorm(width, eps)
        self.self_attn = SelfAttention(width, config.n_heads)
        self.layer_norm2 = nn.LayerNorm(width, eps)
        self.mlp = MLP(width, config.intermediate_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Rows (B, N, D) after this layer."""
        return self.fed(self.attended(hidden)[0])

    def attended(self, hidden: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The first half: rows after attention, and its queries and keys (B, H, N, d)."""
        read, q, k = self.self_attn(self.layer_norm1(hidden), bias)
        return hidden + read, q, k

    def fed(self, hidden: Tensor) -> Tensor:
        """The second half: rows after the MLP."""
        out: Tensor = hidden + self.mlp(self.layer_norm2(hidden))
        return out


class Encoder(nn.Module):
    """The layers, one after the other."""

    def __init__(self, config: TowerConfig | TextConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SiglipLayer(config) for _ in range(config.n_layers))

    def forward(self, hidden: Tensor) -> Tensor:
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden


class PatchEmbeddings(nn.Module):
    """Patches by a convolution, each with the learned embedding of its place."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        self.patch_embedding = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.position_embedding = embedding(config.side**2, width)

    def forward(self, pixels: Tensor) -> Tensor:
        """Views (V, 3, S, S) to rows (V, patches, D), row-major. What is left of a side that is no
        multiple of a patch is not seen."""
        patches = self.patch_embedding(pixels.to(self.patch_embedding.weight.dtype))
        rows: Tensor = patches.flatten(2).transpose(1, 2) + self.position_embedding.weight[None]
        return rows


class SiglipVision(nn.Module):
    """The vision tower without its pooling head."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.embeddings = PatchEmbeddings(config)
        self.encoder = Encoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, pixels: Tensor) -> Tensor:
        """Views (V, 3, S, S) to the residual stream (V, patches, D) behind the last layer."""
        out: Tensor = self.encoder(self.embeddings(pixels))
        return out


class TokenEmbeddings(nn.Module):
    """Tokens, each with the learned embedding of its place."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.token_embedding = embedding(config.vocab_size, config.hidden_size)
        self.position_embedding = embedding(config.length, config.hidden_size)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (B, L) to rows (B, L, D)."""
        rows: Tensor = self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]]
        return rows


class SiglipText(nn.Module):
    """The text tower: questions into the space of the vision tower's features."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embeddings = TokenEmbeddings(config)
        self.encoder = Encoder(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.head = nn.Linear(config.hidden_size, config.projection_size)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (B, L) to embeddings (B, C): the last position's, be it a filler. Fillers are seen
        like other tokens, as in its training."""
        hidden = self.final_layer_norm(self.encoder(self.embeddings(ids)))
        out: Tensor = self.head(hidden[:, -1])
        return out
