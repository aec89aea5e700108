"""The record of one generate call: what was known, planned and achieved in every step."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saccade.controller.plan import Plan
from saccade.controller.signals import Signals
from saccade.controller.types import StepState

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

SHOWN = 60
"""Letters of an answer in its `repr`."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """All steps of one sequence.

    Attributes
    ----------
    steps : tuple of StepRecord
    n_visual : int
        Visual tokens before any reduction.
    prepare_macs : int
        Exact multiply-accumulates of the vision tower and the projector.
    host_transfers : int
        Copies from the device to the host in the step loop, the same number on any device: one a
        step, one more where a pruner chose by features or attention, and one where the first token
        comes from the prompt alone. A pruner that reads the device more than once for a choice
        (none here does) is not seen.
    """

    steps: tuple[StepRecord, ...]
    n_visual: int
    prepare_macs: int = 0
    host_transfers: int = 0

    def __repr__(self) -> str:
        return (
            f"Trace({self.forwards} steps, {self.n_visual} visual tokens, of their work "
            f"{self.visual_tokens_ratio:.0%}, {self.macs / 1e9:.3g} GMACs)"
        )

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[StepRecord]:
        return iter(self.steps)

    @property
    def forwards(self) -> int:
        """Steps run, each with one forward of the answer."""
        return len(self.steps)

    @property
    def refreshes(self) -> int:
        """Steps in which the prompt was computed."""
        return sum(step.refreshed for step in self.steps)

    @property
    def macs(self) -> int:
        """Exact multiply-accumulates of all steps (layers and output head)."""
        return sum(step.macs for step in self.steps)

    @property
    def macs_paper(self) -> int:
        """Multiply-accumulates of all steps by the paper's formula."""
        return sum(step.macs_paper for step in self.steps)

    @property
    def visual_tokens(self) -> int:
        """Visual tokens that the answer could attend to, summed over layers and steps."""
        return sum(sum(step.visual_per_layer) for step in self.steps)

    @property
    def visual_tokens_ratio(self) -> float:
        """Those relative to all visual tokens in every layer and step, in [0, 1]."""
        full = sum(self.n_visual * len(step.visual_per_layer) for step in self.steps)
        return self.visual_tokens / full if full else 1.0

    def records(self) -> list[dict[str, Any]]:
        """Plain values of every step, ready for JSON or a table."""
        return [_plain(step) for step in self.steps]

    def to_frame(self) -> "pd.DataFrame":
        """One row a step, as a pandas table."""
        import pandas as pd

        return pd.DataFrame(self.records())

    def plot(self) -> "Figure":
        """What the steps read and showed, as a plotly figure: visual tokens and work of every step,
        the answer's attention, and its confidence.

        Raises
        ------
        ImportError
            If plotly is not installed.
        """
        from saccade.controller.trace_plot import plot_trace

        return plot_trace(self)

    def to_jsonl(self, path: str | Path) -> None:
        """Write one JSON line a step."""
        lines = (json.dumps(record) + "\n" for record in self.records())
        Path(path).write_text("".join(lines), encoding="utf-8")


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """What generate returns for one request.

    Attributes
    ----------
    tokens : tuple of int
        Answer ids, ended before the stop sequence (and followed by a suffix where one was given).
    text : str or None
        Decoded answer; None without a tokenizer.
    trace : Trace
    """

    tokens: tuple[int, ...]
    text: str | None
    trace: Trace

    def __repr__(self) -> str:
        said = repr(self.text if len(self.text or "") <= SHOWN else f"{self.text:.{SHOWN}}...")
        return f"Generation({said}, {len(self.tokens)} tokens, {self.trace.forwards} steps)"


def _value(number: float | None) -> float | None:
    """The number, or None for NaN, which JSON does not know."""
    return None if number is None or math.isnan(number) else number


def _values(tensor: Tensor | None) -> list[float | None] | None:
    if tensor is None:
        return None
    return [_value(round(x, 6)) for x in tensor.to(torch.float64).tolist()]


def _plain(step: StepRecord) -> dict[str, Any]:
    plan, signals = step.plan, step.signals
    return {
        **asdict(step.state),
        "drops": [[drop.layer, drop.keep] for drop in plan.drops],
        "bypass": sorted(plan.bypass),
        "refresh": plan.refresh,
        "commit": None if plan.commit is None else [plan.commit.kind, plan.commit.value],
        "reselect": plan.reselect,
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
        "attention_visual": _values(signals.attention_visual),
        "attention_prompt": _values(signals.attention_prompt),
        "attention_response": _values(signals.attention_response),
        "confidence": _values(signals.confidence),
        "attention_visual_masked": _values(signals.attention_visual_masked),
        "attention_prompt_masked": _values(signals.attention_prompt_masked),
        "attention_response_masked": _values(signals.attention_response_masked),
        "received": _values(signals.received),
        "entropy": _values(signals.entropy),
        "margin": _values(signals.margin),
        "changes": None if signals.change is None else asdict(signals.change),
        "mean_confidence": _value(signals.mean_confidence),
        "min_confidence": _value(signals.min_confidence),
    }
