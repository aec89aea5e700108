"""Tables of single answers: the picture, what was asked, and what both the unpruned model and the
case said."""

import io
from collections.abc import Callable, Mapping, Sequence

from PIL import Image

from saccade.studies.analysis.summary import Summary
from saccade.studies.config.study import Case, Unit
from saccade.studies.runs.record import Record
from saccade.studies.runs.unit_runner import samples_of
from saccade.studies.tasks.task import Sample
from saccade.studies.tracking.answer_masks import key_of, later_masks
from saccade.studies.tracking.sink import Cell, Grid, Mask, Picture

Masks = Callable[[Summary, Record], Mapping[str, Mask]]
"""What is known of an answer's visual tokens."""
KINDS = ("broke", "fixed", "both wrong", "same")
"""An answer beside the baseline's: worse, better, equal and not right, equal and right."""
SIDE, TEXT = 384, 2000
"""Pixels and characters that are shown at most."""
COLUMNS = (
    *("kind", "task", "seed", "sample", "picture", "question", "expected"),
    *("baseline answer", "answer", "baseline score", "score", "loss"),
    *("steps", "visual tokens", "macs", "seconds"),
)


class SampleTables:
    """The sample tables of a run's cases.

    Parameters
    ----------
    summary : Summary
    n : int
        Answers per case and task: one of each kind that exists, then those that lost most.
    masks : callable, optional
        Which visual tokens an answer kept, where that is known; else `later_masks`.
    """

    def __init__(self, summary: Summary, n: int, masks: Masks | None = None) -> None:
        self.summary, self.n, self.masks = summary, n, masks
        self._pictures: dict[tuple[str, int, int], tuple[str, bytes, str] | None] = {}
        baseline = summary.config.baseline
        self._baseline = {_key(r): r for r in summary.records if r.case == baseline}
        self._chosen = self._all_chosen()
        self._later = later_masks(summary, [*self._chosen.values()]) if masks is None else {}

    def of_case(self, case: Case) -> dict[str, Grid]:
        """A table for each task that has answers."""
        found = ((task, self._chosen.get((case.name, task))) for task in self.summary.config.tasks)
        return {task: self._table(own) for task, own in found if own}

    def _all_chosen(self) -> dict[tuple[str, str], list[Record]]:
        """The answers that are shown, by case and task."""
        own: dict[tuple[str, str], list[Record]] = {}
        for record in self.summary.records:
            own.setdefault((record.case, record.task), []).append(record)
        return {key: chosen(records, self._baseline, self.n) for key, records in own.items()}

    def _table(self, records: Sequence[Record]) -> Grid:
        return Grid(COLUMNS, tuple(self._row(record) for record in records))

    def _row(self, record: Record) -> tuple[Cell, ...]:
        before, drawn = self._baseline[_key(record)], self._drawn(record)
        question, picture = "", None
        if drawn is not None:
            masks = {} if self.masks is None else self.masks(self.summary, record)
            later = self._later.get(key_of(record))
            question, picture = drawn[0], Picture(drawn[1], drawn[2], masks, later)
        return (
            *(kind_of(record, before), record.task, record.seed, record.sample),
            *(picture, short(question), short(record.expected)),
            *(short(before.answer), short(record.answer)),
            *(before.score, record.score, before.score - record.score),
            *(record.forwards, record.visual_tokens, record.macs, record.seconds),
        )

    def _drawn(self, record: Record) -> tuple[str, bytes, str] | None:
        """Question, picture and caption of a sample; None where it cannot be drawn again."""
        key = _key(record)
        if key not in self._pictures:
            self._pictures[key] = _draw(self.summary, record)
        return self._pictures[key]


def kind_of(record: Record, baseline: Record) -> str:
    """One of `KINDS`."""
    if record.score != baseline.score:
        return KINDS[0] if record.score < baseline.score else KINDS[1]
    return KINDS[3] if record.exact == 1 else KINDS[2]


def chosen(
    records: Sequence[Record], baseline: Mapping[tuple[str, int, int], Record], n: int
) -> list[Record]:
    """At most `n` records: the first of each kind that exists, then by loss, most first."""
    ordered = sorted(records, key=lambda r: (r.score - baseline[_key(r)].score, r.seed, r.sample))
    first: dict[str, Record] = {}
    for record in ordered:
        first.setdefault(kind_of(record, baseline[_key(record)]), record)
    picked = list(first.values())[:n]
    taken = {_key(record) for record in picked}
    picked += [r for r in ordered if _key(r) not in taken][: n - len(picked)]
    return sorted(picked, key=ordered.index)


def short(text: str) -> str:
    """A text that no page chokes on."""
    return text if len(text) <= TEXT else f"{text[:TEXT]}... ({len(text):,} characters)"


def _key(record: Record) -> tuple[str, int, int]:
    return record.task, record.seed, record.sample


def _draw(summary: Summary, record: Record) -> tuple[str, bytes, str] | None:
    config = summary.config
    try:
        unit = Unit(record.task, record.unit, (record.sample,), record.seed)
        (sample,) = samples_of(config, config.task_of(record.task), unit)
        return sample.question, *_thumbnail(sample)
    except Exception:  # of a task of another package, or of a file that is gone
        return None


def _thumbnail(sample: Sample) -> tuple[bytes, str]:
    """The first picture of a sample as PNG, and which it is."""
    image: Image.Image = sample.images[0].convert("RGB")
    image.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    image.save(out, "PNG")
    more = "" if len(sample.images) == 1 else f", picture 1 of {len(sample.images)}"
    return out.getvalue(), f"sample {sample.index}{more}"
