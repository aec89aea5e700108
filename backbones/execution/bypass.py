"""Visual rows that skip layers: they wait outside the stack, and come back as they were."""

from collections.abc import Sequence

import numpy as np

from saccade.backbones.execution.step_context import StepContext
from saccade.backbones.network.places import Places, among, run_of, without
from saccade.backbones.network.token_states import TokenStates


class Bypass:
    """Takes visual rows out before layers that a plan lets them skip, and puts them back after.

    In a skipped layer they are neither computed nor attended to; behind it they go on with the
    hidden states that they had before it.

    Parameters
    ----------
    contexts : sequence of StepContext
        Of the forward. With guidance the rows hold every sequence twice, and both copies skip.
    """

    def __init__(self, contexts: Sequence[StepContext]) -> None:
        self.contexts = contexts
        self._out = (False,) * len(contexts)
        self._waiting: TokenStates | None = None

    def unchanged(self, layer: int) -> bool:
        """Whether the same sequences skip this layer as the one before."""
        return self._skips(layer) == self._out

    def back(self, rows: TokenStates) -> TokenStates:
        """All rows, those that wait among them."""
        waiting, self._waiting = self._waiting, None
        self._out = (False,) * len(self.contexts)
        return rows if waiting is None else rows.joined(waiting)

    def aside(self, layer: int, rows: TokenStates) -> TokenStates:
        """The rows that enter a layer; the others wait."""
        self._out = self._skips(layer)
        if not any(self._out):
            return rows
        copies = len(rows.alive) // len(self.contexts)
        waits = [self._visual(i, rows.alive[i]) for i in range(len(self.contexts))] * copies
        goes = [without(run_of(0, n), w) for n, w in zip(rows.lengths, waits, strict=True)]
        self._waiting = rows.take(waits)
        return rows.take(goes)

    def _skips(self, layer: int) -> tuple[bool, ...]:
        return tuple(layer in context.plan.bypass for context in self.contexts)

    def _visual(self, i: int, alive: Places) -> Places:
        """Places among a sequence's rows that wait."""
        if not self._out[i]:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(among(alive, self.contexts[i].inputs.visual_positions))
