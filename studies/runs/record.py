"""What a run keeps of one answer."""

import json
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter


@dataclass(frozen=True, slots=True)
class Record:
    """How one case did on one sample.

    Attributes
    ----------
    case, task : str
    sample, unit : int
        Index of the sample, and number of its unit within the task.
    position : int
        Whether the case ran first (0), second, ... in the unit.
    answer, expected : str
    score, exact, rows, symbols : float
        See `saccade.studies.tasks.Score`.
    seconds : float
        Wall time of ``generate`` on the unit, divided by its samples.
    prepare_seconds : float
        The same for preparing the unit's inputs: once for all cases.
    forwards : int
        Denoising forwards.
    response : int
        Response tokens.
    macs, macs_paper : int
        Of all forwards, exact and by the paper's formula.
    prepare_macs : int
        Of the vision tower and the projector.
    n_visual : int
        Visual tokens before any reduction.
    visual_tokens : int
        Visual tokens that the answer could attend to, summed over layers and steps.
    visual_tokens_ratio : float
        The same relative to all of them in every layer and step.
    keep : list of float
        Share of the visual tokens that reached the last layer, per step.
    visual_runs : list of (int, list of int)
        Visual tokens of every layer, per run of equal steps: how many steps, tokens per layer.
    seed : int
        Of its sample; 0 in records from before there were several.
    refreshes : list of int
        Steps in which the prompt was computed; the first alone in records from before they were
        kept.
    attention : list of (list, list)
        Per step, attention mass of the masked rows on visual and on response tokens of every layer;
        empty unless the case asks for it.
    confidences : list of float or None
        Mean confidence of the masked positions per step, then too.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    case: str
    task: str
    sample: int
    unit: int
    position: int
    answer: str
    expected: str
    score: float
    exact: float
    rows: float
    symbols: float
    seconds: float
    prepare_seconds: float
    forwards: int
    response: int
    macs: int
    macs_paper: int
    prepare_macs: int
    n_visual: int
    visual_tokens: int
    visual_tokens_ratio: float
    keep: list[float]
    visual_runs: list[tuple[int, list[int]]]
    seed: int = 0
    refreshes: list[int] = field(default_factory=lambda: [0])
    attention: list[tuple[list[float | None], list[float | None]]] = field(default_factory=list)
    confidences: list[float | None] = field(default_factory=list)

    def line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self), allow_nan=False).encode() + b"\n"


RECORD = TypeAdapter(Record)
"""Reads a record, types and all."""
