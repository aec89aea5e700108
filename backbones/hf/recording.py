"""What a step showed and computed, as policies read it and the trace keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from saccade.backbones.hf.measured import Measured
from saccade.backbones.hf.sequence import CallSequence, Step
from saccade.backbones.hf.steering import Steering
from saccade.controller.signals import MEASUREMENTS, ForwardResult, Signals
from saccade.controller.step_record import StepRecord


@dataclass(slots=True, eq=False)
class Work:
    """What the forwards of one step computed of one sequence.

    Attributes
    ----------
    rows : list of tuple of int
        By layer, of every forward; the keys that they read in `keys`.
    macs, macs_paper : int
    """

    rows: list[tuple[int, ...]] = field(default_factory=list)
    keys: list[tuple[int, ...]] = field(default_factory=list)
    macs: int = 0
    macs_paper: int = 0


def tables_of(logits: Tensor, chosen: Tensor, measured: Measured, kinds: bool) -> dict[str, Tensor]:
    """What was measured of a step (B, ...), on the host, by its field of `Signals`."""
    seen = bool(measured.layers)
    masses, received = (measured.masses, measured.received) if seen else (None, None)
    shown = ForwardResult(logits, chosen, masses, received, kinds)
    made = {name: own.make(shown) for name, own in MEASUREMENTS.items()}
    return {name: table.cpu() for name, table in made.items() if table is not None}


def signals_of(
    own: CallSequence,
    step: Step,
    tables: Mapping[str, Tensor],
    committed: int,
    new_block: bool,
) -> Signals:
    """What a sequence showed; where a block begins, no step is before it to compare with."""
    seen: dict[str, Any] = {"masked": step.masked, "committed": committed}
    for name, table in tables.items():
        axis, values = MEASUREMENTS[name].axis, table[own.number]
        if axis == "positions":
            seen[name] = values.double()
        elif step.watched:
            seen[name] = (values[: own.n_visual] if axis == "tokens" else values).float()
    before = own.records[-1].signals if own.records and not new_block else None
    return Signals.after(before, **seen, bypassed=step.plan.bypass)


def record_of(
    own: CallSequence,
    step: Step,
    forward: Steering,
    work: Work,
    signals: Signals,
    committed: tuple[int, ...],
    seconds: float,
    batch: int,
) -> StepRecord:
    """The record of a step whose last forward was the answer's."""
    return StepRecord(
        state=step.state,
        plan=step.plan,
        signals=signals,
        committed=committed,
        tokens=tuple(own.tokens),
        visual_per_layer=forward.counted.of(own)[0],
        rows_per_layer=tuple(map(sum, zip(*work.rows, strict=True))),
        keys_per_layer=work.keys[-1],
        refreshed=step.refreshed,
        kept=tuple(forward.reductions[own.number].kept.tolist()),
        macs=work.macs,
        macs_paper=work.macs_paper,
        seconds=seconds,
        batch=batch,
    )
