"""Losses of the two training stages."""

import torch
from torch import Tensor
from torch.nn import functional as F


def mask_rates(n: int, generator: torch.Generator, lowest: float) -> Tensor:
    """Masking rates t in [lowest, 1), (n,), spread evenly over the batch from one random offset."""
    offset = torch.rand(1, generator=generator)
    return lowest + (1 - lowest) * ((offset + torch.arange(n) / n) % 1)


def mask_response(
    answers: Tensor, mask_id: int, generator: torch.Generator, lowest: float = 0.02
) -> tuple[Tensor, Tensor, Tensor]:
    """Mask each answer token with its sample's probability t (LLaDA's forward process).

    Parameters
    ----------
    answers : Tensor (B, R) int64

    Returns
    -------
    noisy : Tensor (B, R) int64
    masked : Tensor (B, R) bool
    rates : Tensor (B,)
    """
    rates = mask_rates(len(answers), generator, lowest)
    masked = torch.rand(answers.shape, generator=generator) < rates[:, None]
    return answers.masked_fill(masked, mask_id), masked, rates


def diffusion_loss(logits: Tensor, answers: Tensor, masked: Tensor, rates: Tensor) -> Tensor:
    """Cross-entropy of the masked tokens, weighted 1/t, per answer token (LLaDA, equation 3)."""
    losses = F.cross_entropy(logits.flatten(0, 1), answers.flatten(), reduction="none")
    weighted = losses.view_as(answers) * masked / rates[:, None]
    return weighted.sum() / answers.numel()


def patch_loss(scores: tuple[Tensor, ...], labels: tuple[Tensor, ...]) -> Tensor:
    """Sum of the cross-entropies of each head's scores (V, P, C) against labels (V, P)."""
    parts = [
        F.cross_entropy(s.flatten(0, 1), y.flatten()) for s, y in zip(scores, labels, strict=True)
    ]
    return torch.stack(parts).sum()
