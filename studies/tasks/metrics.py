"""Metrics: how right an answer is, by its text and the right one's. One table of all of them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from saccade.controller.errors import StudyError
from saccade.controller.registry import Registry


@dataclass(frozen=True, slots=True)
class Metric:
    """A way to score an answer.

    Offer your own through the entry-point group ``saccade.metrics``: a function that needs no
    arguments and gives one.

    Attributes
    ----------
    name : str
    measures : str
        What it measures, in one sentence.
    range : (float, float)
        Its least and its most; more is better.
    function : callable
        ``function(text, wanted) -> float``: the answer's text, and a right one.
    """

    name: str
    measures: str
    range: tuple[float, float]
    function: Callable[[str, str], float]

    def score(self, text: str, answers: Sequence[str]) -> float:
        """Score of an answer: the best over the right ones.

        Raises
        ------
        StudyError
            If the function gives a value out of the metric's range.
        """
        value = max(self.function(text, wanted) for wanted in answers)
        least, most = self.range
        if not least <= value <= most:
            raise StudyError(
                f"the metric {self.name!r} gave {value} for {text!r}; its range is {least} to "
                f"{most}: mend its function or its range"
            )
        return value


metrics: Registry[Metric] = Registry("metric", "saccade.metrics")
"""Metrics by name; `metrics.make(name)` gives one."""


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).removesuffix(".").strip()


def _exact(text: str, wanted: str) -> float:
    return float(_plain(text) == _plain(wanted))


def _contains(text: str, wanted: str) -> float:
    return float(_plain(wanted) in _plain(text))


def _relaxed(text: str, wanted: str) -> float:
    given, right = _number(text), _number(wanted)
    if given is None or right is None:
        return _exact(text, wanted)
    return float(given == right if right == 0 else abs(given - right) <= 0.05 * abs(right))


def _number(text: str) -> float | None:
    plain = _plain(text).replace(",", "").lstrip("$")
    try:
        return float(plain[:-1]) / 100 if plain.endswith("%") else float(plain)
    except ValueError:
        return None


def _anls(text: str, wanted: str) -> float:
    given, right = _plain(text), _plain(wanted)
    longest = max(len(given), len(right))
    similarity = 1 - edits(given, right) / longest if longest else 1.0
    return similarity if similarity >= 0.5 else 0.0


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein's distance: insertions, deletions and replacements from one to the other."""
    row = list(range(len(b) + 1))
    for i, own in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (own != other))
    return row[-1]


def _choice(text: str, wanted: str) -> float:
    found = re.search(r"(?<![A-Za-z])[A-H](?![A-Za-z])", text)
    return float(found is not None and found.group() == wanted.strip().strip("().").upper())


def _verbatim(text: str, wanted: str) -> float:
    return float(text.strip() == wanted.strip())


def _lines(text: str, wanted: str) -> float:
    def lines(whole: str) -> list[str]:
        return [line.strip() for line in whole.strip().split("\n")]

    return _share(lines(text), lines(wanted))


def _sentences(text: str, wanted: str) -> float:
    def sentences(whole: str) -> list[str]:
        parts = re.split(r"(?<=\.)\s*", whole.strip())
        return [part.strip() for part in parts if part.strip()]

    return _share(sentences(text), sentences(wanted))


def _symbols(text: str, wanted: str) -> float:
    pattern = r"\d|[^\W\d]+"
    return _share(re.findall(pattern, text), re.findall(pattern, wanted))


def _share(given: list[str], wanted: list[str]) -> float:
    """Share of the places with the right part; parts too many count against an answer."""
    hits = sum(a == b for a, b in zip(given, wanted, strict=False))
    return hits / max(len(wanted), len(given)) if wanted or given else 1.0


SHARE = (0.0, 1.0)
"""The range of a metric that gives a share, or 1 for right and 0 for wrong."""
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "exact",
            "Whether the answer is the right one, but for case, blanks and a full stop.",
            SHARE,
            _exact,
        ),
        Metric(
            "contains",
            "Whether the right answer is in the given one, but for case and blanks.",
            SHARE,
            _contains,
        ),
        Metric(
            "relaxed", "As exact, but a number may be 5 % off, as ChartQA counts.", SHARE, _relaxed
        ),
        Metric(
            "anls",
            "Similarity by edits relative to the longer text, 0 below one half, as DocVQA counts.",
            SHARE,
            _anls,
        ),
        Metric(
            "choice",
            "Whether the first letter A to H that stands alone is the right one.",
            SHARE,
            _choice,
        ),
        Metric(
            "verbatim",
            "Whether the answer is the right one letter by letter, but for blanks around it.",
            SHARE,
            _verbatim,
        ),
        Metric("lines", "Share of the lines that are right, by place.", SHARE, _lines),
        Metric("sentences", "Share of the sentences that are right, by place.", SHARE, _sentences),
        Metric(
            "symbols", "Share of the words and digits that are right, by place.", SHARE, _symbols
        ),
    )
}
"""Our own, by name."""
for _name in METRICS:
    metrics.register(_name, partial(METRICS.__getitem__, _name))
