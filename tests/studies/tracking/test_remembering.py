"""What sinks share: only what is new is written, and what failed counts as not sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from saccade.studies.tracking.remembering import Remembering, name_from
from saccade.studies.tracking.sink import Grid, Mask, Picture, Sink, TrackedRun

MASK = Mask(((1,),), {1: "kept"})


@dataclass
class Counting(Remembering):
    """Keeps what it is to write."""

    folder: Path
    fails: bool = False
    written: list[tuple[TrackedRun, Mapping[str, Any]]] = field(default_factory=list)

    @property
    def sent(self) -> Path:
        return self.folder / "sent.json"

    def write(self, rest: TrackedRun, note: Mapping[str, Any]) -> dict[str, Any]:
        if self.fails:
            raise OSError("full")
        self.written.append((rest, note))
        return {"times": note.get("times", 0) + 1}

    def close(self) -> Sequence[str]:
        return ()


@dataclass
class Later:
    """Masks that count how often they are made."""

    made: list[int] = field(default_factory=list, repr=False)

    def __call__(self) -> tuple[Mapping[str, Mask], str]:
        self.made.append(1)
        return {"tokens": MASK}, "one was kept"


def run(later: Later, score: float = 0.5) -> TrackedRun:
    tables = {"samples": Grid(("picture", "n"), ((Picture(b"png", "sample 3", later=later), 1),))}
    return TrackedRun("case-1", "auto", "demo", "case", {}, {"score": score}, tables=tables)


def test_only_news_are_written_and_masks_made_for_them_alone(tmp_path: Path) -> None:
    sink, later = Counting(tmp_path), Later()
    checked: Sink = sink
    checked.send(run(later))
    checked.send(run(later))
    assert len(sink.written) == 1 and len(later.made) == 1
    (picture,) = sink.written[0][0].tables["samples"].pictures
    assert picture == Picture(b"png", "sample 3; one was kept", {"tokens": MASK})
    checked.send(run(later, score=0.75))
    rest, note = sink.written[1]
    assert rest.tables == {} and note == {"times": 1} and len(later.made) == 1


def test_what_failed_is_sent_the_next_time(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"):
        Counting(tmp_path, fails=True).send(run(Later()))
    sink = Counting(tmp_path)
    sink.send(run(Later()))
    assert len(sink.written) == 1


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b\n<c>", "a-b-c"),
        ("../..", ""),
        ("keep 50 %", "keep-50"),
        ("名前", "名前"),
        ("x" * 300, "x" * 200),
    ],
    ids=range(5),
)
def test_names_hold_nothing_that_a_path_reads(text: str, name: str) -> None:
    assert name_from(text) == name
    assert name_from("名前 1", ascii_only=True) == "1"
    assert name_from("keep 50 %", " %") == "keep 50 %"
