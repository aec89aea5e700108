"""VTW's search for the layer from which no visual token is needed any more.

VTW, arXiv 2405.05803: the first layer before which all visual tokens can
go while the prediction stays as it was, by Kullback-Leibler divergence over a few samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.backbones.decoding.step_view import StepView
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.controller.policies import VTW
from saccade.controller.policy import BasePolicy

ETA = 0.003
"""Largest divergence that counts as the same prediction, in nats (LLaVA-1.5 7B; 0.0005 for its
13B)."""
FIRST = 5 / 32
"""Share of the layers before the first that is tried: 5 of 32, as published."""
Progress = Callable[[int, int], None]


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
    wanted, given = torch.broadcast_tensors(wanted, given)
    parts = F.kl_div(wanted, given, reduction="none", log_target=True)
    out: Tensor = parts.where(given > -torch.inf, 0.0).sum(dim=-1)  # but what is never predicted
    return out


def first_within(means: Tensor, eta: float) -> int | None:
    """First candidate whose mean divergence is at most `eta`, whatever comes later; None if there
    is none."""
    found = (means <= eta).nonzero()
    return int(found[0]) if len(found) else None


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found.

    Attributes
    ----------
    layers : tuple of int
        Candidates: layers before which all visual tokens are withdrawn.
    divergence : tuple of float
        Mean over samples, in nats, of each.
    layer : int or None
        The first within the threshold; None if there is none.
    eta : float
        The threshold.
    """

    layers: tuple[int, ...]
    divergence: tuple[float, ...]
    layer: int | None
    eta: float


def find_layer(
    model: Model,
    inputs: Sequence[Prepared],
    *,
    length: int = 32,
    eta: float = ETA,
    first: int | None = None,
    progress: Progress | None = None,
) -> Search:
    """Search the first layer from which visual tokens are not needed for the first step.

    Every candidate costs one forward a sample. The published search compares the prediction after
    the prompt; a diffusion model predicts its whole answer, so its rows are compared, and averaged.

    Parameters
    ----------
    model : Model
    inputs : sequence of Prepared
        Samples, with pictures; about 20 are usual.
    length : int
        Response tokens.
    eta : float
        Largest mean divergence, in nats.
    first : int, optional
        First candidate; `FIRST` of the layers by default, but not before layer 1.
    progress : callable, optional
        ``progress(done, total)`` in forwards.

    Raises
    ------
    ValueError
        If there are no samples, or no candidates.
    """
    n_layers = model.spec.geometry.n_layers
    first = max(1, round(FIRST * n_layers)) if first is None else first
    layers = tuple(range(first, n_layers))
    if not inputs or not layers:
        raise ValueError(
            f"{len(inputs)} samples and first={first}: give one sample or more, and a first layer "
            f"below the model's {n_layers}"
        )
    total, done, sums = len(inputs) * (len(layers) + 1), 0, torch.zeros(len(layers)).double()
    for sample in inputs:
        full = first_logits(model, sample, length, None)
        done += 1
        for i, layer in enumerate(layers):
            withdrawn = first_logits(model, sample, length, VTW(layer))
            sums[i] += kl_to_full(full, withdrawn[:, None]).mean()
            done += 1
            if progress is not None:
                progress(done, total)
    means = sums / len(inputs)
    found = first_within(means, eta)
    return Search(layers, tuple(means.tolist()), None if found is None else layers[found], eta)


def first_logits(model: Model, sample: Prepared, length: int, policy: BasePolicy | None) -> Tensor:
    """Logits (R, V) of the first step."""
    seen: list[Tensor] = []

    def keep(view: StepView) -> None:
        if not seen:
            seen.append(view.logits)

    length = 1 if model.spec.origin == "autoregressive" else length
    options = model.family.settings.for_lengths(length, length, 1)
    controller = None if policy is None else Controller(policy, probe="needed")
    model.generate(inputs=sample, controller=controller, callback=keep, **options)
    return seen[0]
