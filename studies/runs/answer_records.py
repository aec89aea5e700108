"""What a study keeps of an answer."""

import itertools
import math
from typing import Any

import torch

from saccade.controller.trace import Generation, Trace
from saccade.studies.runs.record import Record
from saccade.studies.tasks.task import Sample


def record_of(sample: Sample, out: Generation, shared: dict[str, Any]) -> Record:
    """The record of one answer; `shared` has its sample's number in the study, and the fields that
    all answers of a batch have."""
    answer = out.text or ""
    score = sample.score(answer)
    return Record(
        answer=answer,
        expected=sample.answer,
        score=score.score,
        exact=score.exact,
        rows=score.rows,
        symbols=score.symbols,
        **figures_of(out),
        **shared,
    )


def figures_of(out: Generation) -> dict[str, Any]:
    """What the trace of an answer says: the fields of a record that depend on nothing else."""
    trace = out.trace
    return {
        "forwards": trace.forwards,
        "response": len(trace.steps[-1].tokens),
        "macs": trace.macs,
        "macs_paper": trace.macs_paper,
        "prepare_macs": trace.prepare_macs,
        "n_visual": trace.n_visual,
        "visual_tokens": trace.visual_tokens,
        "visual_tokens_ratio": trace.visual_tokens_ratio,
        "keep": _keep(trace),
        "visual_runs": _visual_runs(trace),
        "refreshes": [step.state.step for step in trace if step.refreshed],
    }


def _keep(trace: Trace) -> list[float]:
    """Share of the visual tokens that reached the last layer, per step."""
    return [step.visual_per_layer[-1] / max(trace.n_visual, 1) for step in trace]


def _visual_runs(trace: Trace) -> list[tuple[int, list[int]]]:
    """Visual tokens of every layer, equal steps together."""
    runs = itertools.groupby(step.visual_per_layer for step in trace)
    return [(len(list(steps)), list(layers)) for layers, steps in runs]


def signals_of(out: Generation) -> dict[str, Any]:
    """What a case that measures everything keeps of it."""

    def masses(values: torch.Tensor | None) -> list[float | None]:
        if values is None:
            return []
        return [None if math.isnan(mass) else round(mass, 5) for mass in values.tolist()]

    shown = [step.signals for step in out.trace]
    return {
        "attention": [
            (masses(s.attention_visual_masked), masses(s.attention_response_masked)) for s in shown
        ],
        "confidences": [s.mean_confidence for s in shown],
    }
