"""What the forwards of a step showed, brought to the host in one transfer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import torch
from torch import Tensor

from saccade.backbones.decoding.scheme import Decoding, Proposal
from saccade.backbones.execution.plan_hook import PlanHook
from saccade.backbones.execution.probe import GROUPS
from saccade.controller.cost import forward_macs, paper_macs
from saccade.controller.signals import candidate_confidence, signal_change
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
    masses : Tensor (B, n_layers, 2, 3)
        Attention of all and of the masked rows on prompt, visual and response; NaN where not
        probed.
    margin : Tensor (B, R) float64
    received : Tensor (B, longest N) or None
        Attention that visual tokens received.
    """

    chosen: Tensor
    confidence: Tensor
    entropy: Tensor
    rank: Tensor
    masses: Tensor
    margin: Tensor
    received: Tensor | None

    def signals(self, i: int, masked: Tensor, first: int, n_visual: int) -> Signals:
        """Signals of sequence `i`, whose positions `masked` (R,) were masked; the first `first`
        of them were not forwarded."""
        masses = self.masses[i].float()
        seen: dict[str, Any] = {} if bool(masses.isnan().all()) else _by_name(masses)
        received = None if self.received is None else self.received[i, :n_visual].float()
        if received is not None and bool(received.isnan().any()):
            received = None
        return Signals(
            confidence=widened(self.confidence[i], first, torch.nan),
            entropy=widened(self.entropy[i], first, torch.nan),
            margin=widened(self.margin[i], first, torch.nan),
            masked=masked,
            received=received,
            **seen,
        )


def _by_name(masses: Tensor) -> dict[str, Tensor]:
    """Attention masses (n_layers, 2, 3) as fields of `Signals`."""
    kinds = {"prompt": PROMPT, "visual": VISUAL, "response": RESPONSE}
    return {
        f"attention_{kind}{rows}": masses[:, group, n]
        for group, rows in enumerate(("", "_masked"))
        for kind, n in kinds.items()
    }


def with_history(signals: Signals, decoding: Decoding, committed: int) -> Signals:
    """Signals that also say how many positions were committed, and what has changed."""
    before = decoding.records[-1].signals if decoding.records else None
    return replace(signals, committed=committed, change=signal_change(signals, before))


def widened(values: Tensor, first: int, filler: float) -> Tensor:
    """Values (R - first,) with as many fillers before them as positions were not forwarded."""
    return torch.cat([values.new_full((first,), filler), values]) if first else values


def measured(choice: Proposal, masses: Tensor, received: Tensor | None) -> tuple[Tensor, ...]:
    """The tables (B, X) of a forward that go to the host, on the device, in float64."""
    parts = [choice.chosen, *candidate_confidence(choice.logits, choice.chosen), masses.flatten(1)]
    parts += [table for table in (choice.rank, received) if table is not None]
    return tuple(part.double() for part in parts)


def fetched(
    tables: Sequence[tuple[Tensor, ...]], choices: Sequence[Proposal], n_layers: int
) -> list[Outcome]:
    """Bring the tables of all forwards of a step to the host at once."""
    flat = torch.cat([table.flatten() for parts in tables for table in parts]).cpu()
    pieces = iter(flat.split([table.numel() for parts in tables for table in parts]))
    out = []
    for parts, choice in zip(tables, choices, strict=True):
        chosen, confidence, entropy, margin, masses, *more = (
            next(pieces).view(table.shape) for table in parts
        )
        rank = confidence if choice.rank is None else more.pop(0).to(choice.rank.dtype)
        masses = masses.unflatten(1, (n_layers, GROUPS, 3))
        received = more[0] if more else None
        out.append(Outcome(chosen.long(), confidence, entropy, rank, masses, margin, received))
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


def probed(
    hook: PlanHook | None, n: int, n_layers: int, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Attention masses (B, n_layers, 2, 3) of a forward, NaN where not measured, and what visual
    tokens received."""
    if hook is None:
        return torch.full((n, n_layers, GROUPS, 3), torch.nan, device=device), None
    return hook.probe.masses(n_layers).to(device), hook.probe.received()
