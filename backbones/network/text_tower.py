"""The text tower that was trained with a SigLIP vision tower: how much a patch has to do with a
question."""

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.backbones.network.siglip import SiglipText
from saccade.backbones.network.sizes import TextConfig


class TextTower:
    """Embeds questions into the space of the vision tower's features.

    Parameters
    ----------
    network : SiglipText
    tokenizer : Tokenizer
    config : TextConfig
        How many tokens it reads at once, and which id fills a window up.
    """

    def __init__(self, network: SiglipText, tokenizer: Tokenizer, config: TextConfig) -> None:
        self.network, self.tokenizer = network.eval(), tokenizer
        self.length, self.pad = config.length, config.pad_id

    @torch.inference_mode()
    def embed(self, question: str) -> Tensor:
        """One embedding (C,) of a question: pooled, and averaged over windows of as many tokens as
        the tower reads at once."""
        ids: Sequence[int] = self.tokenizer.encode(question).ids
        length = self.length
        windows = [list(ids[i : i + length]) for i in range(0, max(1, len(ids)), length)]
        padded = torch.tensor([window + [self.pad] * (length - len(window)) for window in windows])
        pooled: Tensor = self.network(padded)
        return pooled.mean(dim=0)


def relevance(features: Tensor, norm: nn.LayerNorm, text: Tensor) -> Tensor:
    """Inner products (V, P) of normed features (V, P, C) and a question's embedding (C,)."""
    weight, bias = norm.weight.float(), norm.bias.float()
    normed = F.layer_norm(features.float(), norm.normalized_shape, weight, bias, norm.eps)
    return normed @ text.to(normed)
