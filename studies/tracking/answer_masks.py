"""Masks of what answers kept of their pictures: records do not say, so the answers are given again.

They are made while a table is sent, in the trackers' own process, and only for tables that were not
sent before. Nothing heavy is imported until then.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.controller.errors import StudyError
from saccade.studies.tracking.limits import time_limit, within
from saccade.studies.tracking.sink import Mask

if TYPE_CHECKING:
    from saccade.studies.analysis.summary import Summary
    from saccade.studies.reports.samples.answering import Again
    from saccade.studies.runs.record import Record

SHARE, LEAST = 0.01, 2.0
"""How much is answered again: what took this share of the run, or so many seconds, at least."""
TIME = 0.25
"""Share of the trackers' time in which it has to be done."""
Key = tuple[str, str, int, int]
Word = tuple[Mapping[str, Mask], str]


@dataclass
class Answers:
    """The answers of a run, given again; shared by all of its pictures.

    Parameters
    ----------
    folder : Path
        Of the run.
    """

    folder: Path
    _again: "Again | None" = field(default=None, init=False, repr=False)
    _records: "dict[Key, Record]" = field(default_factory=dict, init=False, repr=False)
    _until: float | None = field(default=None, init=False, repr=False)
    _found: dict[Key, Word] = field(default_factory=dict, init=False, repr=False)

    def masks(self, key: Key) -> Word:
        """Masks of an answer, and how many tokens it kept; or none, and why."""
        if key not in self._found:
            if self._until is None:
                self._until = time.monotonic() + TIME * time_limit()
            left = self._until - time.monotonic()
            try:
                self._found[key] = within(left, lambda: self._answered(key))
            except TimeoutError:
                self._until = 0.0  # what still runs has the model
                self._found[key] = {}, "no mask: there was no time to answer again"
            except Exception as error:
                self._found[key] = {}, f"no mask: {str(error) or type(error).__name__}"
        return self._found[key]

    def _answered(self, key: Key) -> Word:
        from saccade.studies.reports.samples.answering import differences
        from saccade.studies.reports.trace_page import places_of
        from saccade.studies.tracking.token_masks import fates, token_masks

        again = self._opened()
        record = self._records[key]
        out, _, inputs = again.answer(record, again.sample(record))
        other = differences(record, out)
        if other:
            raise StudyError(f"answered again it is not as recorded: {'; '.join(other)}"[:300])
        n = out.trace.n_visual
        steps = [step.kept for step in out.trace]
        word = f"{len(steps[-1])} of {n} visual tokens were left in the last step"
        return token_masks(places_of(inputs), fates(steps, n)), word

    def _opened(self) -> "Again":
        from saccade.studies.analysis.summary import summarise
        from saccade.studies.reports.samples.answering import Again

        if self._again is None:
            summary = summarise(self.folder)
            self._records = {key_of(record): record for record in summary.records}
            self._again = Again(summary)
        return self._again


@dataclass(frozen=True)
class AnswerMasks:
    """The masks of one answer, made when they are asked for.

    Parameters
    ----------
    key : Key
    answers : Answers
    """

    key: Key
    answers: Answers = field(repr=False)

    def __call__(self) -> Word:
        """See `Answers.masks`."""
        return self.answers.masks(self.key)


@dataclass(frozen=True)
class Told:
    """A word alone, where there is nothing to answer again."""

    word: str

    def __call__(self) -> Word:
        """No masks, and the word."""
        return {}, self.word


def later_masks(
    summary: "Summary", tables: Sequence[Sequence["Record"]]
) -> dict[Key, AnswerMasks | Told]:
    """What is known later of the answers in tables: of the first of each, then of the second.

    The choice depends on the records alone. An answer that read every visual token is not given
    again.
    """
    folder = summary.folder if summary.recipe.get("model_files") else None
    answers = None if folder is None else Answers(folder)
    room = max(LEAST, SHARE * sum(record.seconds for record in summary.records))
    found: dict[Key, Any] = {}
    for place in range(max(map(len, tables), default=0)):
        for record in (table[place] for table in tables if place < len(table)):
            if record.visual_tokens_ratio >= 1:
                found[key_of(record)] = Told("every visual token was read in every step")
            elif answers is None:
                found[key_of(record)] = Told("no mask: it is not known which files the model had")
            elif record.seconds > room:
                found[key_of(record)] = Told("no mask: it would take too long to answer again")
            else:
                room -= record.seconds
                found[key_of(record)] = AnswerMasks(key_of(record), answers)
    return found


def key_of(record: "Record") -> Key:
    """What tells an answer from the others of its run."""
    return record.case, record.task, record.seed, record.sample
