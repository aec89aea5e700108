"""What the page holds of the samples that are shown, as plain values."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from saccade.controller.errors import StudyError
from saccade.studies.analysis.summary import Summary
from saccade.studies.reports.samples.answering import Again, differences, said
from saccade.studies.reports.samples.differences import clipped, marked
from saccade.studies.reports.samples.packing import pack_places, pack_steps
from saccade.studies.reports.samples.pairs import Pair
from saccade.studies.reports.samples.pictures import small_pictures
from saccade.studies.reports.trace_page import places_of, steps_data
from saccade.studies.runs.record import Record
from saccade.studies.tasks.task import Sample

SAMPLE = 60_000
"""Letters of one sample, its picture and steps included."""
PICTURES = 26_000
"""Letters of its pictures."""
TEXTS = 10_000
"""Letters left for its texts."""
ALL = 700_000
"""Letters of all samples of a page: of their answers first, then of pictures and steps; when they
are used up, samples show their answers alone."""
LEAST = 150_000
"""Letters that are always there for pictures and steps, however many samples there are."""
NAMES = ("kind", "case", "baseline", "run", "task", "missing")
"""What many samples have in common."""
FULL = "left out to keep the page small; ask for fewer samples, or see one with saccade generate"
Progress = Callable[[int, int, str], None]
"""Called with the samples drawn so far, their total, and what comes next."""


class Entries:
    """Makes the entries of a page.

    Parameters
    ----------
    summaries : sequence of Summary
    room : int
        Letters of all samples together.

    Attributes
    ----------
    pictures, places : list
        What several entries may share; entries have numbers of them.
    """

    def __init__(self, summaries: Sequence[Summary], room: int) -> None:
        self.summaries, self.room = summaries, room
        self.pictures: list[list[dict[str, Any]]] = []
        self.places: list[str] = []
        self._again = [Again(summary) for summary in summaries]
        self._drawn: dict[tuple[int, str, int, int], int] = {}
        self._names = run_names(summaries)

    def all(self, pairs: Sequence[Pair], progress: Progress | None = None) -> list[dict[str, Any]]:
        """An entry for each pair, or for as many of the first as have room with their answers."""
        found = _with_room(pairs, self.room)
        pairs = pairs[: len(found)]
        self.room = max(LEAST, self.room - _letters(found))
        for number, (pair, entry) in enumerate(zip(pairs, found, strict=True)):
            if progress is not None:
                own = pair.case
                progress(number, len(pairs), f"{own.task}, sample {own.sample}: {own.case}")
            entry |= {"run": self._names[pair.run], "baseline": self._before(pair)}
            entry |= self._drawn_again(pair)
        if progress is not None:
            progress(len(pairs), len(pairs), "done")
        return found

    def _drawn_again(self, pair: Pair) -> dict[str, Any]:
        """What the records of a pair do not hold, or why it is missing."""
        again, found = self._again[pair.run], dict[str, Any]()
        if self.room <= 0:
            return {"missing": f"Picture and steps are {FULL}."}
        try:
            sample = again.sample(pair.case)
            found["question"] = clipped(sample.question)
            found["picture"] = self._picture(pair, sample)
        except StudyError as error:
            return found | {"missing": f"No picture and no steps: {error}."}
        try:
            return found | self._steps(pair, sample, again)
        except StudyError as error:
            return found | {"missing": f"No steps: {error}."}

    def _before(self, pair: Pair) -> str:
        """The name of the baseline, and that it is the unpruned model where it is."""
        name = pair.baseline.case
        cases = self.summaries[pair.run].config.cases
        return f"{name} (unpruned)" if any(c.name == name and c.bare for c in cases) else name

    def _picture(self, pair: Pair, sample: Sample) -> int:
        """Number of the pictures of a sample, drawn once for all cases."""
        own = pair.case
        key = pair.run, own.task, own.seed, own.sample
        if key not in self._drawn:
            try:
                made = small_pictures(sample.images, PICTURES)
            except Exception as error:  # of a task of another package, whatever it raises
                raise StudyError(f"the picture cannot be read: {said(error)}") from error
            if made not in self.pictures:
                self.room -= _letters(made)
                self.pictures.append(made)
            self._drawn[key] = self.pictures.index(made)
        return self._drawn[key]

    def _steps(self, pair: Pair, sample: Sample, again: Again) -> dict[str, Any]:
        out, model, inputs = again.answer(pair.case, sample)
        places = pack_places(places_of(inputs))
        room = SAMPLE - TEXTS - PICTURES - len(places)
        steps = fitting(steps_data(out, model), out.trace.n_visual, room)
        if places not in self.places:
            self.room -= len(places)
            self.places.append(places)
        self.room -= _letters(steps)
        notes = "; ".join(clipped(text) for text in differences(pair.case, out))
        found = {"places": self.places.index(places), "steps": steps}
        return found | (
            {"differs": f"Answered again it is not as recorded: {notes}"} if notes else {}
        )


def fitting(data: dict[str, Any], n_visual: int, room: int) -> dict[str, Any]:
    """Steps in so many letters or fewer: all of them, or as many as there is room for.

    Raises
    ------
    StudyError
        If not even the first and the last have room.
    """
    for received in (True, False):
        stride = 1
        while True:
            packed = pack_steps(data, n_visual, stride, received)
            if _letters(packed) <= room:
                return dict(packed)
            if stride >= len(data["steps"]) or (received and stride >= 4):
                break
            stride *= 2
    raise StudyError("its steps are too large for a page")


def run_names(summaries: Sequence[Summary]) -> list[str]:
    """Models, with the names of their studies where a model comes twice; all different."""
    models = [one.config.model for one in summaries]
    long = [f"{one.config.model}, {one.config.name}" for one in summaries]
    names = [a if models.count(a) == 1 else b for a, b in zip(models, long, strict=True)]
    return [name if names.count(name) == 1 else f"{name} ({i + 1})" for i, name in enumerate(names)]


def interned(entries: Sequence[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """All different `NAMES`, and the entries with their numbers instead."""
    numbers: dict[str, int] = {}
    found = [
        {k: numbers.setdefault(v, len(numbers)) if k in NAMES else v for k, v in entry.items()}
        for entry in entries
    ]
    return list(numbers), found


def _with_room(pairs: Sequence[Pair], room: int) -> list[dict[str, Any]]:
    """What the records say of pairs, as many as have room; of one at least."""
    found: list[dict[str, Any]] = []
    for pair in pairs:
        entry = _recorded(pair)
        room -= _letters(entry)
        if found and room < 0:
            break
        found.append(entry)
    return found


def _recorded(pair: Pair) -> dict[str, Any]:
    """What the records say."""
    before, own = pair.baseline, pair.case
    texts = [clipped(record.answer) for record in (before, own)]
    same = before.answer == own.answer
    return {
        "kind": pair.kind,
        "case": own.case,
        "task": own.task,
        "seed": own.seed,
        "sample": own.sample,
        "loss": round(pair.loss, 6),
        "expected": None if own.expected == before.answer else clipped(own.expected),
        "answers": [[texts[0]], None] if same else list(marked(*texts)),
        "facts": [_facts(before), _facts(own)],
    }


def _facts(record: Record) -> list[float]:
    """Score, steps, and the share of the work on visual tokens."""
    return [round(record.score, 4), record.forwards, round(record.visual_tokens_ratio, 4)]


def _letters(value: Any) -> int:
    """How long a value is in a page."""
    return len(json.dumps(value, separators=(",", ":")))
