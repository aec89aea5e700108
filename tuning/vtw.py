"""VTW's search for the layer from which no visual token is needed any more.

Source: VTW, arXiv 2405.05803, at commit a3d8cfc: the first layer before which all visual tokens can
go while the prediction stays as it was, by Kullback-Leibler divergence over a few samples.
"""

from torch import Tensor

ETA = 0.003
"""Largest divergence that counts as the same prediction, in nats (LLaVA-1.5 7B; 0.0005 for its
13B)."""
FIRST = 5
"""First layer that the published search tries."""


def kl_to_full(full: Tensor, dropped: Tensor) -> Tensor:
    """Divergence of predictions without visual tokens from those with all of them.

    Parameters
    ----------
    full : Tensor (S, V)
        Logits of each sample.
    dropped : Tensor (S, C, V)
        Logits with the visual tokens gone before each candidate layer.

    Returns
    -------
    Tensor (S, C) float64
        ``KL(dropped || full)`` in nats.
    """
    wanted, given = full.double().log_softmax(-1)[:, None], dropped.double().log_softmax(-1)
    out: Tensor = (given.exp() * (given - wanted)).sum(dim=-1)
    return out


def first_within(means: Tensor, eta: float) -> int | None:
    """First candidate whose mean divergence is at most `eta`, whatever comes later; None without
    one, where the published code fails."""
    found = (means <= eta).nonzero()
    return int(found[0]) if len(found) else None
