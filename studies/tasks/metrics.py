"""Metrics: how right an answer is, by its text and the right one's. One table of all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from saccade.controller.errors import StudyError
from saccade.controller.registry import Registry
from saccade.studies.tasks import scoring


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
    refuses : callable, optional
        ``refuses(wanted)`` says why a right answer could never be scored as such, or gives None.
        Files of questions are checked by it before anything is asked.
    """

    name: str
    measures: str
    range: tuple[float, float]
    function: Callable[[str, str], float]
    refuses: Callable[[str], str | None] | None = None

    def problem(self, wanted: str) -> str | None:
        """Why a right answer could never be scored as such; None if it can."""
        return None if self.refuses is None else self.refuses(wanted)

    def score(self, text: str, answers: Sequence[str]) -> float:
        """Score of an answer: the best over the right ones.

        Raises
        ------
        StudyError
            If there is no right answer, one that could never be scored as such, or the function
            gives a value out of the metric's range.
        """
        if isinstance(answers, str) or not answers:
            raise StudyError(f"answers={answers!r}; give a list of one right answer or more")
        for wanted in answers:
            if (problem := self.problem(wanted)) is not None:
                raise StudyError(f"the right answer {wanted!r}: {problem}")
        return max(self._checked(self.function(text, wanted), text) for wanted in answers)

    def _checked(self, value: float, text: str) -> float:
        least, most = self.range
        if not least <= value <= most:
            raise StudyError(
                f"the metric {self.name!r} gave {value} for {text!r}; its range is {least} to "
                f"{most}: mend its function or its range"
            )
        return value


metrics: Registry[Metric] = Registry("metric", "saccade.metrics")
"""Metrics by name; `metrics.make(name)` gives one."""


SHARE = (0.0, 1.0)
"""The range of a metric that gives a share, or 1 for right and 0 for wrong."""
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "exact",
            "Whether the answer is the right one, but for case, blanks and a full stop.",
            SHARE,
            scoring.exact,
        ),
        Metric(
            "contains",
            "Whether the right answer is in the given one, but for case and blanks.",
            SHARE,
            scoring.contains,
        ),
        Metric(
            "relaxed",
            "As exact, but a number may be 5 % off, as ChartQA counts.",
            SHARE,
            scoring.relaxed,
        ),
        Metric(
            "anls",
            "Similarity by edits relative to the longer text, 0 from one half down, as DocVQA's.",
            SHARE,
            scoring.anls,
        ),
        Metric(
            "choice",
            "Whether the first of the letters A to H that stands alone is the right one.",
            SHARE,
            scoring.choice,
            scoring.refuses_choice,
        ),
        Metric(
            "verbatim",
            "Whether the answer is the right one letter by letter, but for blanks around it.",
            SHARE,
            scoring.verbatim,
        ),
        Metric("lines", "Share of the lines that are right, by place.", SHARE, scoring.lines),
        Metric(
            "sentences",
            "Share of the sentences that are right, by place.",
            SHARE,
            scoring.sentences,
        ),
        Metric(
            "symbols",
            "Share of the words and digits that are right, by place.",
            SHARE,
            scoring.symbols,
        ),
    )
}
"""Our own, by name."""
for _name in METRICS:
    metrics.register(_name, partial(METRICS.__getitem__, _name))
