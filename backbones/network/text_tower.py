"""The text tower that was trained with a SigLIP vision tower: how much a patch has to do with a
question."""

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F


class TextTower:
    """Embeds questions into the space of the vision tower's features.

    Parameters
    ----------
    network : Module
        transformers' SigLIP text model.
    tokenizer : Tokenizer
    length : int
        Tokens that it reads at once.
    pad : int
        Id that fills a window up.
    """

    def __init__(self, network: nn.Module, tokenizer: Tokenizer, length: int, pad: int) -> None:
        self.network, self.tokenizer = network.eval(), tokenizer
        self.length, self.pad = length, pad

    @torch.inference_mode()
    def embed(self, question: str) -> Tensor:
        """One embedding (C,) of a question: pooled, and averaged over windows of as many tokens as
        the tower reads at once."""
        ids: Sequence[int] = self.tokenizer.encode(question).ids
        length = self.length
        windows = [list(ids[i : i + length]) for i in range(0, max(1, len(ids)), length)]
        padded = torch.tensor([window + [self.pad] * (length - len(window)) for window in windows])
        pooled: Tensor = self.network(input_ids=padded).pooler_output
        return pooled.mean(dim=0)


def relevance(features: Tensor, norm: nn.Module, text: Tensor) -> Tensor:
    """Inner products (V, P) of normed features (V, P, C) and a question's embedding (C,)."""
    own: Any = norm
    weight, bias = own.weight.float(), own.bias.float()
    normed = F.layer_norm(features.float(), own.normalized_shape, weight, bias, own.eps)
    return normed @ text.to(normed)
