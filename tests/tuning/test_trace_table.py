"""The table of traces on disk: what is damaged is named, and what was left is mended."""

import json
import math
import os
from pathlib import Path

import pandas as pd
import pytest

from saccade.controller import StudyError
from saccade.tuning.trace_table import PARTS, RECIPE, TraceTable
from tests.tuning.tiny_traces import (
    ROWS,
    collected,
)


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / PARTS).iterdir())


def test_folders_of_something_else_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StudyError, match="holds something that is no table of traces; give"):
        collected(tmp_path, n=1)
    with pytest.raises(StudyError, match="holds something that is no table"):
        collected(tmp_path / "letter.txt", n=1)
    with pytest.raises(StudyError, match=r"is no table of traces: it has no recipe.json; give"):
        TraceTable(tmp_path).read()


def test_a_run_that_was_killed_before_its_recipe_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    (folder / PARTS).mkdir(parents=True)
    (folder / f".{RECIPE}.x1y2").write_text("{")
    collected(folder, n=1)
    assert len(TraceTable(folder).read()) == 2 * ROWS
    (tmp_path / "other" / PARTS).mkdir(parents=True)
    (tmp_path / "other" / PARTS / "letter.txt").write_text("dear")
    with pytest.raises(StudyError, match="holds something that is no table"):
        collected(tmp_path / "other", n=1)


def test_of_two_that_begin_at_once_the_second_goes_on_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe of another appears just before the own one is written."""
    table, link = TraceTable(tmp_path / "t"), os.link

    def late(name: str, path: Path) -> None:
        path.write_text(json.dumps({"seed": 0}))
        link(name, path)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(StudyError, match="was begun otherwise .seed 0, not 1"):
        table.begin({"seed": 1})
    TraceTable(tmp_path / "t").begin({"seed": 0})
    TraceTable(tmp_path / "u").begin({"seed": 0})
    assert [p.name for p in (tmp_path / "u").iterdir() if p.name.startswith(".")] == []


def test_what_was_left_half_written_long_ago_goes(tmp_path: Path) -> None:
    folder = collected(tmp_path / "t", n=1)
    old, new, other = (folder / PARTS / n for n in (".a.parquet.x1", ".b.parquet.x2", ".keep"))
    for path in (old, new, other):
        path.write_text("")
    for path in (old, other):
        os.utime(path, (0, 0))
    collected(folder, n=1)
    assert not old.exists() and new.exists() and other.exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"'])
def test_damaged_recipes_are_named(text: str, tmp_path: Path) -> None:
    folder = collected(tmp_path / "t", n=1)
    (folder / RECIPE).write_text(text)
    with pytest.raises(StudyError, match=r"recipe.json .*collect again"):
        TraceTable(folder).read()
    with pytest.raises(StudyError, match=r"recipe.json .*collect again"):
        collected(folder, n=1)


def test_damaged_parts_are_named(tmp_path: Path) -> None:
    folder = collected(tmp_path / "t", n=1)
    first = folder / PARTS / parts(folder)[0]
    first.write_bytes(first.read_bytes()[:100])
    with pytest.raises(StudyError, match=rf"{first.name} is damaged .*delete it and collect again"):
        TraceTable(folder).read()
    pd.DataFrame({"a": [1]}).to_parquet(first)
    with pytest.raises(StudyError, match=r"lacks the columns task, sample"):
        TraceTable(folder).read()
    first.unlink()
    collected(folder, n=1)
    assert len(TraceTable(folder).read()) == 2 * ROWS


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("changed", None, "changed is"),
        ("changed", "False", "changed is string, not bool"),
        ("page", None, "page is missing in a row"),
        ("page", " ", "page is blank in a row"),
        ("saved", math.nan, "saved is missing in a row"),
        ("visual_tokens", math.inf, "visual_tokens is inf in a row"),
        ("entropy_mean", -1e300, r"entropy_mean is -1e\+300 in a row"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_values_that_nobody_wrote_are_named(
    column: str, value: object, message: str, tmp_path: Path
) -> None:
    folder = collected(tmp_path / "t", n=1)
    first = folder / PARTS / parts(folder)[0]
    frame = pd.read_parquet(first)
    frame[column] = frame[column].astype(object)
    frame.loc[1, column] = value  # type: ignore[call-overload]
    if isinstance(value, str):
        frame[column] = value
    frame.to_parquet(first)
    with pytest.raises(StudyError, match=rf"is damaged .{message}.*delete it and collect again"):
        TraceTable(folder).read()


def test_flipped_bits_are_seen_or_change_nothing(tmp_path: Path) -> None:
    folder = collected(tmp_path / "t", n=1)
    first, second = (folder / PARTS / name for name in parts(folder))
    second.unlink()
    data, whole, seen = first.read_bytes(), TraceTable(folder).read(), 0
    for place in range(3, len(data), 211):
        first.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        try:
            pd.testing.assert_frame_equal(TraceTable(folder).read(), whole)
        except StudyError as error:
            seen += str(first) in str(error)
    assert seen > 10


def test_a_table_without_rows_says_so(tmp_path: Path) -> None:
    folder = collected(tmp_path / "t", n=1)
    for path in (folder / PARTS).iterdir():
        path.unlink()
    with pytest.raises(StudyError, match="has no rows yet; saccade traces collect makes some"):
        TraceTable(folder).read()
