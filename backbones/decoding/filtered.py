"""Candidates and confidences from filtered logits, as LaViDa-Dream takes them (LaViDa, arXiv
2505.16839)."""

from collections.abc import Sequence

import torch
from torch import Tensor

ALGORITHMS = ("maskgit_plus", "topk_margin", "entropy", "origin")
"""What decides which positions are committed first: the candidate's probability, its lead over the
second, the (negative) entropy, or chance."""

COLD = 1e-4
"""A temperature up to this is 0: what is drawn is the best token, and the confidences by which
positions are ranked would all be 1."""
SMALLEST = torch.finfo(torch.float32).tiny
"""A divisor below it would be 0 in float32 and in smaller types."""
EVEN = 1e4
"""Above it, temperatures make tokens equal in small types that were not: they keep their order."""


def filtered(logits: Tensor, temperature: float, top_p: float | None, top_k: int | None) -> Tensor:
    """Divide by the temperature, then leave the nucleus and the best; the rest goes to the least
    number of the dtype.

    Parameters
    ----------
    logits : Tensor (..., V)
    temperature : float
        Up to `COLD` it is 0, and divides by nothing. Where the dtype ends, differences from the
        largest are divided.
    top_p : float or None
        A token goes if those before it already exceed this probability; the first stays. Of equal
        ones the lower id is first.
    top_k : int or None
        Tokens below the k-th best go; equal ones stay. More than V is V.
    """
    least = torch.finfo(logits.dtype).min
    out = _tempered(logits, temperature, least) if temperature > COLD else logits
    ranked = logits if temperature > EVEN else out
    if top_p is not None and top_p < 1:
        order = ranked.sort(dim=-1, descending=True, stable=True).indices
        beyond = out.gather(-1, order).softmax(-1).cumsum(-1) > top_p
        beyond = torch.cat([torch.zeros_like(beyond[..., :1]), beyond[..., :-1]], dim=-1)
        beyond = beyond.new_zeros(beyond.shape).scatter(-1, order, beyond)
        out, ranked = out.masked_fill(beyond, least), ranked.masked_fill(beyond, least)
    if top_k is not None:
        worst = ranked.topk(min(top_k, ranked.shape[-1])).values[..., -1:]
        out = out.masked_fill(ranked < worst, least)
    return out


def _tempered(logits: Tensor, temperature: float, least: float) -> Tensor:
    """Logits over a temperature; those of rows that leave the dtype's range less their largest."""
    scaled = logits / temperature
    below = (logits - logits.amax(-1, keepdim=True)) / temperature
    inside = scaled.isfinite().all(-1, keepdim=True)
    return torch.where(inside, scaled, below.clamp(min=least))


def ranking_confidence(probabilities: Tensor, chosen: Tensor, alg: str) -> Tensor:
    """How sure the candidates (..., ) are, of their filtered probabilities (..., V); higher is
    committed first."""
    if alg == "topk_margin":
        best = probabilities.topk(min(2, probabilities.shape[-1])).values
        return best[..., 0] - best[..., 1:].sum(-1)
    if alg == "entropy":
        # In float16 the published 1e-10 is 0, and 0 * log 0 no number.
        return (probabilities * (probabilities + 1e-10).log()).nan_to_num(nan=0.0).sum(-1)
    return probabilities.gather(-1, chosen[..., None])[..., 0]


def candidates(
    probabilities: Tensor,
    generators: Sequence[torch.Generator | None] | None,
    wanted: Tensor | None = None,
) -> Tensor:
    """Best tokens (B, R) of probabilities (B, R, V), or random ones.

    Parameters
    ----------
    probabilities : Tensor (B, R, V)
    generators : sequence of torch.Generator or None
        One a sequence (None: torch's global one), to draw with; None takes the best.
    wanted : Tensor (B, R) bool, optional
        Rows to draw for; the others get the best.
    """
    chosen = probabilities.argmax(-1)
    if generators is not None:  # what is no number is refused later, and must not fail to be drawn
        probabilities = probabilities.nan_to_num(nan=1.0)
    for i, generator in enumerate(() if generators is None else generators):
        here = slice(None) if wanted is None else wanted[i]
        rows = probabilities[i, here]
        if len(rows):
            drawn = torch.multinomial(rows, 1, replacement=True, generator=generator)
            chosen[i, here] = drawn[:, 0]
    return chosen
