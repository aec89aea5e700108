"""What every layer of a forward computes and reads, as it was and not as it was planned."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.network.token_states import Places, TokenStates
from saccade.controller.types import VISUAL


class Counts:
    """Counts layer by layer.

    Parameters
    ----------
    inputs : sequence of Prepared
        Of the sequences of the forward.
    responses : sequence of int
        Positions after each prompt.

    Attributes
    ----------
    visual, rows, keys : list of list of int
        Visual tokens that can be attended to, rows and keys per layer of each sequence.
    seen : tuple
        Same object as in the layer before while that has the same rows and keys.
    """

    def __init__(self, inputs: Sequence[Prepared], responses: Sequence[int]) -> None:
        self.inputs, self.responses = inputs, responses
        self.visual: list[list[int]] = [[] for _ in inputs]
        self.rows: list[list[int]] = [[] for _ in inputs]
        self.keys: list[list[int]] = [[] for _ in inputs]
        self.seen: tuple[Any, ...] = ()

    def add(self, rows: TokenStates, cached: Sequence[Places]) -> None:
        """Write down a layer, which may do what the one before did."""
        seen = (rows.alive, *cached)
        same = len(seen) == len(self.seen) and all(map(operator.is_, seen, self.seen))
        self.seen = self.seen if same else seen
        for i, (own, response) in enumerate(zip(self.inputs, self.responses, strict=True)):
            if same:
                for counts in (self.visual, self.rows, self.keys):
                    counts[i].append(counts[i][-1])
                continue
            old = cached[i] if cached else np.zeros(0, dtype=np.int64)
            kinds = own.kinds_with_response(response)
            visual = sum(int((kinds[places] == VISUAL).sum()) for places in (old, rows.alive[i]))
            self.visual[i].append(visual)
            self.rows[i].append(len(rows.alive[i]))
            self.keys[i].append(len(old) + len(rows.alive[i]))
