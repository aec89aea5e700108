"""From logits to candidates: forbidden ids, temperature, guidance, random confidences."""

from collections.abc import Sequence

import torch
from torch import Tensor

HOT = 16.0
"""Temperature up to which a power of Gumbel noise cannot leave the range of float64."""


def guided(logits: Tensor, cfg_scale: float) -> Tensor:
    """Classifier-free guidance over stacked rows (2B, R, V), conditional first: (B, R, V)."""
    conditional, unconditional = logits.chunk(2)
    return unconditional + (cfg_scale + 1) * (conditional - unconditional)


def forbid(logits: Tensor, masked: Tensor, ids: Sequence[int]) -> Tensor:
    """Set the logits (B, R, V) of `ids` to -inf at masked positions (B, R); works in place."""
    for token in ids:
        logits[..., token].masked_fill_(masked, float("-inf"))
    return logits


def gumbel_scores(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """``exp(logits) / (-ln u)^temperature`` in float64: its argmax samples from the softmax.

    Rows in which that leaves float64's range have its logarithm, with the same argmax; at high
    temperatures it is divided by them, which changes nothing either.
    """
    drawn, wide = -noise.log(), logits.double()
    if temperature > HOT:
        return wide / temperature - drawn.log()
    scores = wide.exp() / drawn**temperature
    largest = scores.amax(-1, keepdim=True)
    inside = largest.isfinite() & (largest > torch.finfo(scores.dtype).tiny)
    return torch.where(inside, scores, wide - temperature * drawn.log())


def response_noise(
    shape: tuple[int, int], skipped: int, generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """Uniform float64 noise (R, V) for response rows.

    The published code draws for the whole sequence (1, L, V). On a CPU the `skipped` prompt rows
    are drawn too, a few at a time, and thrown away, so that its seeds give the same answers here.
    Other devices draw differently in pieces: there nothing is skipped.
    """
    rows, vocab = shape
    if device.type == "cpu":
        chunk = max(1, 2**22 // vocab)
        for start in range(0, skipped, chunk):
            size = (min(chunk, skipped - start), vocab)
            torch.rand(size, dtype=torch.float64, generator=generator, device=device)
    return torch.rand((rows, vocab), dtype=torch.float64, generator=generator, device=device)


def random_confidence(
    rows: int, skipped: int, generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """Uniform float32 confidences (R,) of response rows, drawn as for the whole sequence (1, L)."""
    return torch.rand((1, skipped + rows), generator=generator, device=device)[0, skipped:]
