"""The search for layers that visual tokens can skip: greedily, while predictions stay the same."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.model import Model
from saccade.controller.policies import LayerSkip
from saccade.tuning.vtw import Progress, first_logits, kl_to_full

LIMIT = 0.01
"""Largest mean divergence of the first step's predictions, in nats."""


@dataclass(frozen=True, slots=True)
class SkipSearch:
    """What a search found.

    Attributes
    ----------
    divergence : tuple of float
        Mean over samples and answer rows, in nats, with each layer skipped alone.
    steps : tuple of (tuple of int, float)
        Sets of layers that were tried, and their divergence.
    layers : tuple of int
        The largest set that was within the limit, ascending; empty if no layer is.
    limit : float
    """

    divergence: tuple[float, ...]
    steps: tuple[tuple[tuple[int, ...], float], ...]
    layers: tuple[int, ...]
    limit: float


def find_layers(
    model: Model,
    inputs: Sequence[Prepared],
    *,
    length: int = 32,
    limit: float = LIMIT,
    progress: Progress | None = None,
) -> SkipSearch:
    """Search layers that visual tokens can skip together.

    Each layer is skipped alone first; then, from the least harmful on, each joins those before it
    if the divergence of all together stays within the limit. Every set costs one forward a sample.

    Parameters
    ----------
    model : Model
    inputs : sequence of Prepared
        Samples, with pictures; about 20 are usual.
    length : int
        Response tokens.
    limit : float
        Largest mean divergence, in nats.
    progress : callable, optional
        ``progress(done, total)`` in forwards; fewer than `total` if most layers are needed.

    Raises
    ------
    ValueError
        If there are no samples, or one has no picture.
    """
    if not inputs:
        raise ValueError("there are no samples; give one or more")
    if any(len(sample.visual_positions) == 0 for sample in inputs):
        raise ValueError("a sample has no picture, and says nothing about layers; leave it out")
    search = _Search(model, inputs, length, progress)
    n_layers = model.spec.geometry.n_layers
    alone = [search.divergence((layer,)) for layer in range(n_layers)]
    chosen: tuple[int, ...] = ()
    steps = []
    for layer in sorted(range(n_layers), key=alone.__getitem__):
        if alone[layer] > limit:
            break
        together = tuple(sorted((*chosen, layer)))
        found = alone[layer] if not chosen else search.divergence(together)
        steps.append((together, found))
        chosen = together if found <= limit else chosen
    return SkipSearch(tuple(alone), tuple(steps), chosen, limit)


class _Search:
    """Predictions of the first step, and how far they move."""

    def __init__(
        self, model: Model, inputs: Sequence[Prepared], length: int, progress: Progress | None
    ) -> None:
        self.model, self.inputs, self.length, self.progress = model, inputs, length, progress
        self.done, self.total = 0, len(inputs) * 2 * model.spec.geometry.n_layers
        self.full = [self._logits(sample, None) for sample in inputs]

    def divergence(self, layers: tuple[int, ...]) -> float:
        """Mean over samples, in nats, with these layers skipped."""
        policy = LayerSkip(layers=layers)
        moved = [
            kl_to_full(full, self._logits(sample, policy)[:, None]).mean()
            for full, sample in zip(self.full, self.inputs, strict=True)
        ]
        return float(torch.stack(moved).mean())

    def _logits(self, sample: Prepared, policy: LayerSkip | None) -> Tensor:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)
        return first_logits(self.model, sample, self.length, policy)
