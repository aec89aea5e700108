"""The record of one generate call, step by step."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.controller.notebook import generation_html, trace_html
from saccade.controller.step_record import StepRecord, plain_record

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

SHOWN = 60
"""Letters of an answer in its `repr`."""


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
            f"Trace({self.forwards} steps, {self._visual}, {self.visual_tokens_ratio:.0%} of the "
            f"work on them, {self.macs / 1e9:.3g} GMACs)"
        )

    def _repr_html_(self) -> str:
        return trace_html(self)

    @property
    def _visual(self) -> str:
        """Visual tokens before any reduction, and those left after the last step."""
        left = len(self.steps[-1].kept) if self.steps else self.n_visual
        return f"{self.n_visual}{f' -> {left}' if left != self.n_visual else ''} visual tokens"

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
        return [plain_record(step) for step in self.steps]

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
        from saccade.controller.trace_plot import plot_steps

        return plot_steps(self.steps, self.n_visual)

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
        inside = repr(self.trace).removeprefix("Trace(").removesuffix(")")
        return f"Generation({self._said}, {len(self.tokens)} tokens, {inside})"

    @property
    def _said(self) -> str:
        """The beginning of the answer, as Python writes it: in one line, whatever it holds."""
        return repr(self.text if len(self.text or "") <= SHOWN else f"{self.text:.{SHOWN}}...")

    def _repr_html_(self) -> str:
        answer = " ".join(map(str, self.tokens)) if self.text is None else self.text
        return generation_html(answer, self.trace)
