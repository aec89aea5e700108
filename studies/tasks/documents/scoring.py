"""How an answer is scored against the right one."""

import re
from dataclasses import dataclass

from saccade.studies.tasks.documents.tasks import KINDS, Sample


@dataclass(frozen=True, slots=True)
class Score:
    """Scores of one answer, each in [0, 1], higher is better.

    Attributes
    ----------
    score : float
        The kind's main metric: exact match, or the share of rows right.
    exact : float
        1.0 if the whole answer is right.
    rows : float
        Share of rows right (equal to `exact` for one-row answers).
    symbols : float
        Share of the answer's words and digits that are right, by place.
    """

    score: float
    exact: float
    rows: float
    symbols: float


def _rows(text: str, kind: str) -> list[str]:
    text = " ".join(text.split(" ")).strip()
    if kind == "transcribe":
        return [row.strip() for row in text.split("\n")]
    if kind == "describe":
        return [row.strip() for row in re.split(r"(?<=\.)\s*", text) if row.strip()]
    return [text]


def _share(given: list[str], wanted: list[str]) -> float:
    hits = sum(a == b for a, b in zip(given, wanted, strict=False))
    return hits / max(len(wanted), len(given))


def score_answer(sample: Sample, text: str) -> Score:
    """Score a model's `text` for `sample`. Rows and symbols are compared place by place."""
    wanted, given = _rows(sample.answer, sample.kind), _rows(text, sample.kind)
    exact = float(given == wanted)
    rows = _share(given, wanted)
    symbols = _share(re.findall(r"\d|[^\W\d]+", text), re.findall(r"\d|[^\W\d]+", sample.answer))
    return Score(rows if KINDS[sample.kind].unit == "row" else exact, exact, rows, symbols)
