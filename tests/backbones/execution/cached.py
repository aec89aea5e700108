"""What a cached forward should give, written out: one dense forward with a mask."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saccade.backbones import Model, Prepared
from saccade.controller import Trace
from saccade.controller.plan import Drop
from tests.backbones.network.naive import Naive, naive_forward


@dataclass(frozen=True)
class Shaped:
    """Which visual tokens are gone from which layer on."""

    drops: tuple[Drop, ...] = ()
    kept: tuple[int, ...] = ()

    def lost(self, layer: int, visual: Sequence[int]) -> list[int]:
        """Positions that are gone in a layer, if all drops keep the same tokens."""
        if not self.drops or layer < self.drops[0].layer:
            return []
        return [place for i, place in enumerate(visual) if i not in self.kept]


def expected_logits(*args: Any, **kwargs: Any) -> Tensor:
    """Logits (P + R, V) of an `expected_run`."""
    return expected_run(*args, **kwargs).logits


def expected_run(
    model: Model,
    inputs: Prepared,
    ids: Sequence[int],
    prompt: Shaped,
    answer: Shaped | Sequence[Shaped],
    positions: Tensor | None = None,
    skip: Collection[int] = (),
) -> Naive:
    """A forward over all rows where prompt rows saw what `prompt` left, and answer rows see what
    `answer` leaves (each its own, if it is a sequence); prompt rows never see the answer, and in a
    causal model no row a later one. Visual rows skip the layers `skip`."""
    network, n = model.network, len(inputs)
    embeds = torch.cat(
        [inputs.embeds, network.model.embed_tokens(torch.tensor(list(ids), dtype=torch.int64))]
    )
    total, visual = len(embeds), inputs.visual_positions.tolist()
    shapes = [answer] * len(ids) if isinstance(answer, Shaped) else answer

    def visible(layer: int) -> Tensor:
        seen = torch.ones(total, total, dtype=torch.bool)
        if network.language.causal:
            seen = seen.tril()
        seen[:n, n:] = False
        seen[:n, prompt.lost(layer, visual)] = False
        for row, shape in enumerate(shapes, n):
            seen[row, shape.lost(layer, visual)] = False
        return seen | torch.eye(total, dtype=torch.bool)  # rows that are gone see themselves

    skipped = dict.fromkeys(skip, visual)
    return naive_forward(network, embeds, visible=visible, positions=positions, skip=skipped)


def shape_of(trace: Trace, step: int) -> Shaped:
    """What the plan of a step left."""
    return Shaped(trace.steps[step].plan.drops, trace.steps[step].kept)


def refresh_before(trace: Trace, step: int) -> int:
    """The step in which the prompt that `step` reads was computed."""
    return max(i for i in range(step + 1) if trace.steps[i].refreshed)
