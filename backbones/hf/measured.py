"""What the answer's rows attended to in one forward, by kind of token, by visual token, by row."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saccade.backbones.hf.seen_attention import SeenAttention
from saccade.backbones.hf.sequence import CallSequence, Step
from saccade.controller.signals import ALL_ROWS, MASKED_ROWS
from saccade.controller.types import PROMPT, RESPONSE, VISUAL

GROUPS, KINDS = 2, 3
"""All rows of the answer and those still masked; prompt, visual and response."""


class Measured:
    """Takes in attention of the answer's rows, layer by layer.

    Parameters
    ----------
    sequences : sequence of CallSequence
    steps : sequence of Step
    n_layers, queries : int
        Layers, and rows of the answer at the end of every sequence.

    Attributes
    ----------
    masses : Tensor (B, n_layers, 2, 3)
        As in `ForwardResult`, on the CPU or where the model lies; NaN where not measured.
    received : Tensor (B, longest N)
        As in `ForwardResult`.
    """

    def __init__(
        self,
        sequences: Sequence[CallSequence],
        steps: Sequence[Step],
        n_layers: int,
        queries: int,
        device: torch.device,
    ) -> None:
        self.sequences, self.steps = sequences, steps
        self.n_layers, self.queries = n_layers, queries
        longest = max(own.n_visual for own in sequences)
        shape = (len(sequences), n_layers, GROUPS, KINDS)
        self.masses = torch.full(shape, torch.nan, device=device)
        self.received = torch.zeros(len(sequences), longest, device=device)
        self._most = torch.full((len(sequences),), -1.0, device=device)
        self._rows: list[Tensor | None] = [None] * len(sequences)

    @property
    def layers(self) -> frozenset[int]:
        """Layers that are to be seen."""
        if any(own.accumulates for own in self.steps):
            return frozenset(range(self.n_layers))
        return frozenset[int]().union(*(own.watched for own in self.steps))

    def add(self, layer: int, seen: SeenAttention) -> None:
        """Take in a layer."""
        for i, (own, step) in enumerate(zip(self.sequences, self.steps, strict=True)):
            if layer in step.watched or step.accumulates:
                self._add(i, layer, own, step, seen)

    def rows(self, i: int) -> Tensor:
        """Attention (R, N) of the answer's rows of sequence `i`, mean over heads and layers."""
        total = self._rows[i]
        assert total is not None
        return total / self.n_layers

    def _add(self, i: int, layer: int, own: CallSequence, step: Step, seen: SeenAttention) -> None:
        there = (seen.at.rows[i] >= 0).nonzero()[:, 0]
        weights = seen.weights(i, there[-self.queries :])
        columns = seen.at.columns[i]
        n = int(columns.max()) + 2
        columns = torch.where(columns < 0, n - 1, columns).to(weights.device)
        total = weights.new_zeros(len(weights), n).index_add_(1, columns, weights)
        visual = total[:, own.visual.to(total.device)]
        if step.accumulates:
            before = self._rows[i]
            self._rows[i] = visual if before is None else before + visual
        if layer in step.watched:
            self._write(i, layer, visual, total[:, own.prompt : -1].sum(1), step.masked)

    def _write(self, i: int, layer: int, visual: Tensor, response: Tensor, masked: Tensor) -> None:
        mass = visual.sum(1)
        kinds = torch.empty(len(mass), KINDS, device=mass.device)
        kinds[:, VISUAL], kinds[:, RESPONSE] = mass, response
        kinds[:, PROMPT] = (1 - mass - response).clamp(min=0)
        self.masses[i, layer, ALL_ROWS] = kinds.mean(0)
        if bool(masked.any()):
            self.masses[i, layer, MASKED_ROWS] = kinds[masked.to(kinds.device)].mean(0)
        more = mass.mean() > self._most[i]
        n = visual.shape[1]
        self._most[i] = torch.where(more, mass.mean(), self._most[i])
        self.received[i, :n] = torch.where(more, visual.mean(0), self.received[i, :n])
