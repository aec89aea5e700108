"""What every layer of a forward computes and reads, as it was and not as it was planned."""

import operator
from collections.abc import Sequence

import numpy as np

from saccade.backbones.execution.step_context import StepContext
from saccade.backbones.network.places import Places, among
from saccade.backbones.network.token_states import TokenStates


class Counts:
    """Takes down the layers of a forward, and counts when it is asked.

    Parameters
    ----------
    contexts : sequence of StepContext
        Of the forward.
    """

    def __init__(self, contexts: Sequence[StepContext]) -> None:
        self.contexts = contexts
        self._layers: list[tuple[Sequence[Places], Sequence[Places]]] = []
        self._counted_of: dict[int, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {}

    def add(self, rows: TokenStates, cached: Sequence[Places]) -> bool:
        """Take down a layer's rows and cached keys; whether the one before had the same."""
        before = self._layers[-1] if self._layers else None
        same = (
            before is not None
            and before[0] is rows.alive
            and len(before[1]) == len(cached)
            and all(map(operator.is_, before[1], cached))
        )
        self._layers.append(before if same and before is not None else (rows.alive, cached))
        return same

    def of(self, i: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Visual tokens that can be attended to, rows and keys, per layer of sequence `i`."""
        if i in self._counted_of:
            return self._counted_of[i]
        known: dict[int, tuple[int, int, int]] = {}
        for layer in self._layers:
            if id(layer) not in known:
                known[id(layer)] = self._counted(i, *layer)
        visual, rows, keys = zip(*(known[id(layer)] for layer in self._layers), strict=True)
        self._counted_of[i] = visual, rows, keys
        return visual, rows, keys

    def _counted(
        self, i: int, alive: Sequence[Places], cached: Sequence[Places]
    ) -> tuple[int, int, int]:
        positions = self.contexts[i].inputs.visual_positions
        read = [alive[i], *([cached[i]] if cached else [])]
        visual = sum(_shared(positions, places) for places in read)
        return visual, len(alive[i]), sum(map(len, read))


def _shared(visual: Places, places: Places) -> int:
    """How many of some ascending positions are visual ones."""
    return int(np.count_nonzero(among(visual, places)))
