"""What the forwards of a step showed, brought to the host in one transfer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import torch
from torch import Tensor

from saccade.backbones.decoding.scheme import Choice, Decoding
from saccade.backbones.execution import PlanHook
from saccade.controller.cost import forward_macs, paper_macs
from saccade.controller.signals import confidence_and_entropy
from saccade.controller.types import PROMPT, RESPONSE, VISUAL, Geometry, Signals


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Result of a step for the sequences of one forward, on the host.

    Attributes
    ----------
    chosen : Tensor (B, R) int64
    confidence, entropy : Tensor (B, R) float64
    rank : Tensor (B, R)
        What decides which positions are committed first.
    masses : Tensor (B, n_layers, 3)
        Attention on prompt, visual and response; NaN where not probed.
    """

    chosen: Tensor
    confidence: Tensor
    entropy: Tensor
    rank: Tensor
    masses: Tensor

    def signals(self, i: int, masked: Tensor, first: int) -> Signals:
        """Signals of sequence `i`, whose positions `masked` (R,) were masked; the first `first`
        of them were not forwarded."""
        masses = self.masses[i].float()
        probed = not bool(masses.isnan().all())
        return Signals(
            attention_prompt=masses[:, PROMPT] if probed else None,
            attention_visual=masses[:, VISUAL] if probed else None,
            attention_response=masses[:, RESPONSE] if probed else None,
            confidence=widened(self.confidence[i], first, torch.nan),
            entropy=widened(self.entropy[i], first, torch.nan),
            masked=masked,
        )


def widened(values: Tensor, first: int, filler: float) -> Tensor:
    """Values (R - first,) with as many fillers before them as positions were not forwarded."""
    return torch.cat([values.new_full((first,), filler), values]) if first else values


def measured(choice: Choice, masses: Tensor) -> tuple[Tensor, ...]:
    """The tables (B, X) of a forward that go to the host, on the device, in float64."""
    confidence, entropy = confidence_and_entropy(choice.logits, choice.chosen)
    parts = [choice.chosen.double(), confidence, entropy, masses.double().flatten(1)]
    return (*parts, *([] if choice.rank is None else [choice.rank.double()]))


def fetched(
    tables: Sequence[tuple[Tensor, ...]], choices: Sequence[Choice], n_layers: int
) -> list[Outcome]:
    """Bring the tables of all forwards of a step to the host at once."""
    flat = torch.cat([table.flatten() for parts in tables for table in parts]).cpu()
    pieces = iter(flat.split([table.numel() for parts in tables for table in parts]))
    out = []
    for parts, choice in zip(tables, choices, strict=True):
        chosen, confidence, entropy, masses, *rank = (
            next(pieces).view(table.shape) for table in parts
        )
        kind = confidence.dtype if choice.rank is None else choice.rank.dtype
        ranked = rank[0].to(kind) if rank else confidence
        masses = masses.unflatten(1, (n_layers, 3))
        out.append(Outcome(chosen.long(), confidence, entropy, ranked, masses))
    return out


class Achieved(TypedDict):
    """Fields of a `StepRecord` that say what a step really computed."""

    visual_per_layer: tuple[int, ...]
    rows_per_layer: tuple[int, ...]
    keys_per_layer: tuple[int, ...]
    kept: tuple[int, ...]
    macs: int
    macs_paper: int


@dataclass(frozen=True, slots=True)
class Count:
    """Rows and keys per layer of one forward of one sequence, rows of the head, and how often it
    was forwarded."""

    rows: tuple[int, ...]
    keys: tuple[int, ...]
    head: int
    copies: int = 1


def counted(hook: PlanHook | None, i: int, whole: Count) -> Count:
    """What a hook counted of sequence `i`, or `whole` if there was none to drop anything."""
    if hook is None:
        return whole
    return replace(whole, rows=tuple(hook.counts.rows[i]), keys=tuple(hook.counts.keys[i]))


def achieved(
    decoding: Decoding, hook: PlanHook | None, i: int, counts: Sequence[Count], geometry: Geometry
) -> Achieved:
    """What the forwards of a step computed for one sequence; its last one is the answer's."""
    n = len(decoding.inputs.visual_positions)
    visual = (n,) * geometry.n_layers if hook is None else tuple(hook.counts.visual[i])
    kept = tuple(range(n)) if hook is None else hook.kept[i]
    return Achieved(
        visual_per_layer=visual,
        rows_per_layer=tuple(map(sum, zip(*(count.rows for count in counts), strict=True))),
        keys_per_layer=counts[-1].keys,
        kept=kept,
        macs=sum(c.copies * forward_macs(geometry, c.rows, c.head, c.keys) for c in counts),
        macs_paper=sum(c.copies * paper_macs(geometry, c.rows, c.keys) for c in counts),
    )


def probed_masses(hook: PlanHook | None, n: int, n_layers: int) -> Tensor:
    """Attention masses (B, n_layers, 3) of a forward, NaN where not measured."""
    return torch.full((n, n_layers, 3), torch.nan) if hook is None else hook.masses(n_layers)
