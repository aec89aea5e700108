"""What was sent is not sent again; what has changed is."""

from dataclasses import replace
from pathlib import Path

import pytest

from saccade.studies.tracking.ledger import Ledger
from saccade.studies.tracking.sink import Grid, Series, TrackedRun

RUN = TrackedRun(
    "case-1",
    "auto",
    "demo",
    "case",
    {"a": 1},
    {"score": 0.5},
    series={"code": Series("step", ((0, {"code/keep": 1.0}),))},
    tables={"samples": Grid(("a",), ((1,),))},
)


def test_everything_of_a_new_run_is_left(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "sent.json").rest(RUN) == RUN


def test_nothing_is_left_of_what_was_sent(tmp_path: Path) -> None:
    Ledger(tmp_path / "sent.json").keep(RUN, {"step": 3})
    again = Ledger(tmp_path / "sent.json")
    assert again.rest(RUN) is None
    assert again.note_of(RUN) == {"step": 3}


def test_what_is_new_or_changed_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "sent.json")
    ledger.keep(RUN)
    more = Series("step", ((0, {"yesno/keep": 1.0}),))
    grown = replace(RUN, series={**RUN.series, "yesno": more}, tables={"samples": Grid(("a",), ())})
    rest = ledger.rest(grown)
    assert rest is not None
    assert rest.series == {"yesno": more} and rest.tables == grown.tables


def test_series_are_never_sent_twice(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "sent.json")
    ledger.keep(RUN)
    changed = Series("step", ((0, {"code/keep": 0.5}),))
    rest = ledger.rest(replace(RUN, summary={}, series={"code": changed}))
    assert rest is not None and rest.series == {}


def test_of_a_longer_series_the_end_is_left(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "sent.json")
    ledger.keep(RUN)
    new = (1, {"code/keep": 0.5})
    longer = Series("step", (*RUN.series["code"].points, new))
    rest = ledger.rest(replace(RUN, series={"code": longer}))
    assert rest is not None and rest.series == {"code": Series("step", (new,))}


@pytest.mark.parametrize("text", ["{", "[1]", '{"case-1": 3}', '{"case-1": {"parts": []}}'])
def test_a_damaged_file_counts_as_empty(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sent.json"
    path.write_text(text)
    assert Ledger(path).rest(RUN) == RUN
