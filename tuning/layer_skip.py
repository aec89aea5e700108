"""The search for layers that visual tokens can skip: greedily, while predictions stay the same."""

from collections.abc import Mapping, Sequence
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
        Mean over samples and answer rows, in nats, with each layer skipped alone; of several kinds
        the largest.
    steps : tuple of (tuple of int, float)
        Sets of layers that were tried, and their divergence, likewise.
    layers : tuple of int
        The largest set that was within the limit, ascending; empty if no layer is.
    limit : float
    by_kind : mapping of str to SkipSearch
        What each kind shows by itself, if there are several: its divergences in the same sets, and
        the layers that it allows, each alone.
    """

    divergence: tuple[float, ...]
    steps: tuple[tuple[tuple[int, ...], float], ...]
    layers: tuple[int, ...]
    limit: float
    by_kind: Mapping[str, "SkipSearch"]


@dataclass(frozen=True, slots=True)
class Kind:
    """Samples of one kind of question.

    Attributes
    ----------
    inputs : sequence of Prepared
        With pictures; about 20 are usual.
    length : int
        Response tokens.
    """

    inputs: Sequence[Prepared]
    length: int


def find_layers(
    model: Model,
    inputs: Sequence[Prepared],
    *,
    length: int = 32,
    limit: float = LIMIT,
    progress: Progress | None = None,
) -> SkipSearch:
    """Search layers that visual tokens can skip together, on samples of one kind.

    Parameters
    ----------
    inputs, length
        As in `Kind`.
    model, limit, progress
        As in `find_shared_layers`, whose errors are raised too.
    """
    kinds = {"samples": Kind(inputs, length)}
    return find_shared_layers(model, kinds, limit=limit, progress=progress)


def find_shared_layers(
    model: Model,
    kinds: Mapping[str, Kind],
    *,
    limit: float = LIMIT,
    progress: Progress | None = None,
) -> SkipSearch:
    """Search layers that visual tokens can skip together, in every one of several kinds.

    Each layer is skipped alone first; then, from the least harmful on, each joins those before it
    if the divergence of all together stays within the limit in every kind. Every set costs one
    forward a sample.

    Parameters
    ----------
    model : Model
    kinds : mapping of str to Kind
        By name.
    limit : float
        Largest mean divergence, in nats.
    progress : callable, optional
        ``progress(done, total)`` in forwards; fewer than `total` if most layers are needed.

    Raises
    ------
    ValueError
        If there are no samples, or one has no picture.
    """
    if not kinds or not all(kind.inputs for kind in kinds.values()):
        raise ValueError("there are no samples; give one or more")
    if any(len(own.visual_positions) == 0 for kind in kinds.values() for own in kind.inputs):
        raise ValueError("a sample has no picture, and says nothing about layers; leave it out")
    search = _Search(model, kinds, progress)
    alone = [search.divergence((layer,)) for layer in range(model.spec.geometry.n_layers)]
    worst = [max(found.values()) for found in alone]
    chosen: tuple[int, ...] = ()
    steps = []
    for layer in sorted(range(len(worst)), key=worst.__getitem__):
        if worst[layer] > limit:
            break
        together = tuple(sorted((*chosen, layer)))
        found = alone[layer] if not chosen else search.divergence(together)
        steps.append((together, found))
        chosen = together if max(found.values()) <= limit else chosen
    return _result(kinds, alone, steps, chosen, limit)


def _result(
    kinds: Mapping[str, Kind],
    alone: Sequence[Mapping[str, float]],
    steps: Sequence[tuple[tuple[int, ...], Mapping[str, float]]],
    chosen: tuple[int, ...],
    limit: float,
) -> SkipSearch:
    """What was found in all kinds, and in each."""

    def seen(
        names: Sequence[str], layers: tuple[int, ...], each: Mapping[str, SkipSearch]
    ) -> SkipSearch:
        worst = tuple(max(found[name] for name in names) for found in alone)
        sets = tuple((tried, max(found[name] for name in names)) for tried, found in steps)
        return SkipSearch(worst, sets, layers, limit, each)

    by_kind = {name: seen([name], _allowed(name, alone, limit), {}) for name in kinds}
    return seen(list(kinds), chosen, by_kind if len(kinds) > 1 else {})


def _allowed(name: str, alone: Sequence[Mapping[str, float]], limit: float) -> tuple[int, ...]:
    """Layers that a kind allows, each alone."""
    return tuple(layer for layer, found in enumerate(alone) if found[name] <= limit)


class _Search:
    """Predictions of the first step, and how far they move."""

    def __init__(self, model: Model, kinds: Mapping[str, Kind], progress: Progress | None) -> None:
        self.model, self.kinds, self.progress = model, kinds, progress
        samples = sum(len(kind.inputs) for kind in kinds.values())
        self.done, self.total = 0, samples * 2 * model.spec.geometry.n_layers
        self.full = {
            name: [self._logits(sample, kind.length, None) for sample in kind.inputs]
            for name, kind in kinds.items()
        }

    def divergence(self, layers: tuple[int, ...]) -> dict[str, float]:
        """Mean over the samples of each kind, in nats, with these layers skipped."""
        return {name: self._of_kind(name, kind, layers) for name, kind in self.kinds.items()}

    def _of_kind(self, name: str, kind: Kind, layers: tuple[int, ...]) -> float:
        policy = LayerSkip(layers=layers)
        moved = [
            kl_to_full(full, self._logits(sample, kind.length, policy)[:, None]).mean()
            for full, sample in zip(self.full[name], kind.inputs, strict=True)
        ]
        return float(torch.stack(moved).mean())

    def _logits(self, sample: Prepared, length: int, policy: LayerSkip | None) -> Tensor:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)
        return first_logits(self.model, sample, length, policy)
