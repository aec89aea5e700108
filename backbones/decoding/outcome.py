"""What the forwards of a step showed, brought to the host in one transfer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import torch
from torch import Tensor

from saccade.backbones.decoding.scheme import Proposal
from saccade.backbones.execution.plan_hook import PlanHook
from saccade.backbones.execution.probe import ProbeResult
from saccade.backbones.execution.step_context import Count, StepContext
from saccade.controller.cost import forward_macs, paper_macs
from saccade.controller.signals import MEASUREMENTS, ForwardResult, Signals
from saccade.controller.types import Geometry


@dataclass(frozen=True, slots=True, eq=False)
class GroupForward:
    """One forward of a step: the sequences that shared it, and what it gave on the device.

    Attributes
    ----------
    contexts : sequence of StepContext
    hook : PlanHook or None
    proposal : Proposal
    tables : dict of str to Tensor (B, ...)
        What goes to the host: "chosen", perhaps "rank", and what was measured by its field of
        `Signals`.
    """

    contexts: Sequence[StepContext]
    hook: PlanHook | None
    proposal: Proposal
    tables: dict[str, Tensor]

    @classmethod
    def of(
        cls,
        contexts: Sequence[StepContext],
        hook: PlanHook | None,
        proposal: Proposal,
    ) -> "GroupForward":
        """With its tables made, where they lie."""
        seen = ProbeResult() if hook is None else hook.probed()
        kinds = hook is not None and hook.session.measuring.kinds
        shown = ForwardResult(proposal.logits, proposal.chosen, seen.masses, seen.received, kinds)
        made = {name: own.make(shown) for name, own in MEASUREMENTS.items()}
        tables = {"chosen": proposal.chosen}
        if proposal.rank is not None:
            tables["rank"] = proposal.rank
        tables |= {name: table for name, table in made.items() if table is not None}
        return cls(contexts, hook, proposal, tables)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Result of a step for the sequences of one forward, on the host.

    Attributes
    ----------
    tables : dict of str to Tensor (B, ...)
        Those of a `GroupForward`.
    """

    tables: dict[str, Tensor]

    def chosen(self, i: int, first: int) -> Tensor:
        """Candidates (R,) int64 of sequence `i`; -1 for the `first` positions, which were not
        forwarded."""
        return _widened(self.tables["chosen"][i], first, -1)

    def rank(self, i: int, first: int) -> Tensor:
        """What decides which positions (R,) are committed first; -inf where not forwarded."""
        rank = self.tables.get("rank", self.tables["confidence"])
        return _widened(rank[i], first, float("-inf"))

    def confidence(self, i: int, first: int) -> Tensor:
        """Probabilities (R,) float64 of the candidates; NaN where not forwarded."""
        return _widened(self.tables["confidence"][i], first, torch.nan)

    def signals(self, i: int, context: StepContext, masked: Tensor, committed: int) -> Signals:
        """What sequence `i` showed in this step, in which the positions `masked` (R,) were masked
        and so many were `committed`."""
        seen: dict[str, Any] = {"masked": masked, "committed": committed}
        for name, measurement in MEASUREMENTS.items():
            table = self.tables.get(name)
            if table is None:
                continue
            if measurement.axis == "positions":
                seen[name] = _widened(table[i], context.span.first, torch.nan)
            elif context.watched:
                values = table[i].float()
                tokens = measurement.axis == "tokens"
                seen[name] = values[: context.sequence.n_visual] if tokens else values
        records = context.sequence.records
        before = records[-1].signals if records else None
        return Signals.after(before, **seen, bypassed=context.plan.bypass)


def _widened(values: Tensor, first: int, filler: float) -> Tensor:
    """Values (R - first,) with as many fillers before them as positions were not forwarded."""
    return torch.cat([values.new_full((first,), filler), values]) if first else values


def fetched(groups: Sequence[GroupForward]) -> list[Outcome]:
    """Bring the tables of all forwards of a step to the host at once, in float64."""
    tables = [table for group in groups for table in group.tables.values()]
    flat = torch.cat([table.double().flatten() for table in tables]).cpu()
    pieces = iter(flat.split([table.numel() for table in tables]))
    return [
        Outcome(
            {
                name: _as_it_was(next(pieces).view(table.shape), name, table)
                for name, table in group.tables.items()
            }
        )
        for group in groups
    ]


def _as_it_was(values: Tensor, name: str, table: Tensor) -> Tensor:
    """Tables that decide what is committed, in the type that they had."""
    return values.to(table.dtype) if name in ("chosen", "rank") else values


class Achieved(TypedDict):
    """Fields of a `StepRecord` that say what a step really computed."""

    visual_per_layer: tuple[int, ...]
    rows_per_layer: tuple[int, ...]
    keys_per_layer: tuple[int, ...]
    kept: tuple[int, ...]
    macs: int
    macs_paper: int


def counted(hook: PlanHook | None, i: int, whole: Count) -> Count:
    """What a hook counted of sequence `i`, or `whole` if there was none that acts."""
    if hook is None or not hook.acts:
        return whole
    _, rows, keys = hook.counts.of(i)
    return Count(rows, keys, whole.head, whole.copies)


def achieved(context: StepContext, hook: PlanHook | None, i: int, geometry: Geometry) -> Achieved:
    """What the forwards of a step computed for one sequence; its last one is the answer's."""
    n, counts = context.sequence.n_visual, context.counts
    visual, kept = (n,) * geometry.n_layers, tuple(range(n))
    if hook is not None and hook.acts:
        visual, kept = hook.counts.of(i)[0], tuple(hook.kept(i).tolist())
    return Achieved(
        visual_per_layer=visual,
        rows_per_layer=tuple(map(sum, zip(*(count.rows for count in counts), strict=True))),
        keys_per_layer=counts[-1].keys,
        kept=kept,
        macs=sum(c.copies * forward_macs(geometry, c.rows, c.head, c.keys) for c in counts),
        macs_paper=sum(c.copies * paper_macs(geometry, c.rows, c.keys) for c in counts),
    )
