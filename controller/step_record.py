"""The record of one step: what was known, planned and achieved in it."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from saccade.controller.plan import Plan
from saccade.controller.signals import MEASUREMENTS, Signals
from saccade.controller.types import StepState


@dataclass(frozen=True, slots=True, eq=False)
class StepRecord:
    """One step of one sequence: a denoising step, or a token of an autoregressive model.

    Attributes
    ----------
    state : StepState
    plan : Plan
    signals : Signals
        Measured in this step (the policy reads them before the next).
    committed : tuple of int
        Response positions that received their token.
    tokens : tuple of int
        Response ids after the step (masked ones carry the mask id).
    visual_per_layer : tuple of int
        ACHIEVED visual tokens that the answer could attend to in every layer, cached or computed.
    rows_per_layer : tuple of int
        ACHIEVED rows computed in every layer, without padding; those of a prompt that was computed
        on its own first are counted too.
    keys_per_layer : tuple of int
        Keys that the answer's rows attended to in every layer, cached ones included.
    refreshed : bool
        Whether the prompt was computed in this step, and not read from a cache.
    kept : tuple of int
        Indices of the visual tokens that reached the last layer.
    macs : int
        Exact multiply-accumulates of this sequence's rows (layers and output head): what it would
        cost alone. The padding that a batch of unequal sequences computes too is not counted.
    macs_paper : int
        The same by the paper's formula.
    seconds : float
        Wall time of the forward this sequence took part in (shared by its batch).
    batch : int
        Sequences in that forward.
    """

    state: StepState
    plan: Plan
    signals: Signals
    committed: tuple[int, ...]
    tokens: tuple[int, ...]
    visual_per_layer: tuple[int, ...]
    rows_per_layer: tuple[int, ...]
    keys_per_layer: tuple[int, ...]
    refreshed: bool
    kept: tuple[int, ...]
    macs: int
    macs_paper: int
    seconds: float
    batch: int

    def __repr__(self) -> str:
        state = self.state
        return (
            f"StepRecord(step {state.step + 1} of {state.n_steps}, {len(self.committed)} "
            f"committed, {len(self.kept)} visual tokens, {self.macs / 1e9:.3g} GMACs)"
        )


def _value(number: float | None) -> float | None:
    """The number, or None for NaN, which JSON does not know."""
    return None if number is None or math.isnan(number) else number


def _values(tensor: Tensor | None) -> list[float | None] | None:
    if tensor is None:
        return None
    return [_value(round(x, 6)) for x in tensor.to(torch.float64).tolist()]


def plain_record(step: StepRecord) -> dict[str, Any]:
    """Plain values of a step, ready for JSON or a table."""
    plan, signals = step.plan, step.signals
    return {
        **asdict(step.state),
        "drops": [[drop.layer, drop.keep] for drop in plan.drops],
        "bypass": sorted(plan.bypass),
        "refresh": plan.refresh,
        "commit": None if plan.commit is None else [plan.commit.kind, plan.commit.value],
        "reselect": plan.reselect,
        "reason": plan.reason,
        "committed_now": list(step.committed),
        "tokens": list(step.tokens),
        "visual_per_layer": list(step.visual_per_layer),
        "rows_per_layer": list(step.rows_per_layer),
        "keys_per_layer": list(step.keys_per_layer),
        "refreshed": step.refreshed,
        "kept": list(step.kept),
        "macs": step.macs,
        "macs_paper": step.macs_paper,
        "seconds": step.seconds,
        "batch": step.batch,
        **{name: _values(getattr(signals, name)) for name in MEASUREMENTS},
        "changes": None if signals.change is None else asdict(signals.change),
        "mean_confidence": _value(signals.mean_confidence),
        "min_confidence": _value(signals.min_confidence),
    }
