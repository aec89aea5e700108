"""Score against speed-up: axes that show everything, and points that can be told apart."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from saccade.studies.reports import marks as module
from saccade.studies.reports.charts import with_headroom
from saccade.studies.reports.marks import case_marks
from saccade.studies.reports.overlaps import LARGEST, SIZE, piles, sizes
from saccade.studies.reports.speedup_charts import NAMED, axis_ranges, scatter, score_range


def row(case: str, score: float, speedup: float | None = 1.0, se: float | None = 0.0) -> Any:
    names = ("speedup", "speedup_low", "speedup_high", "speedup_projected", "speedup_ideal")
    return {"case": case, "score": score, "score_se": se, "steps": 4.0} | dict.fromkeys(
        names, speedup
    )


def points(rows: list[Any]) -> list[Any]:
    """Markers of the axis that is shown first."""
    marks = case_marks([r["case"] for r in rows], rows[0]["case"])
    figure = scatter(rows, marks, rows[0]["case"], axis_ranges(rows), score_range(rows))
    return [trace for trace in figure.data if trace.mode == "markers" and trace.visible]


@pytest.mark.parametrize("scores", [(0.95, 1.0), (1.0, 1.0), (0.0, 1.0), (0.962, 0.998), (0.0,)])
def test_the_axis_of_scores_shows_all_with_room(scores: tuple[float, ...]) -> None:
    low, high = score_range([row("a", score, se=0.02) for score in scores])
    assert low < min(scores) - 0.02 and high > max(scores) + 0.02
    assert 0.1 <= high - low <= 1.25 * (max(scores) - min(scores)) + 0.2


def test_the_axis_of_speedups_shows_all_with_room() -> None:
    rows = [row("a", 1.0), row("b", 1.0, 13.06), row("c", 1.0, 0.7), row("d", 1.0, None)]
    low, high = axis_ranges(rows)["speedup"]
    assert 10**low < 0.7 and 10**high > 13.06


def test_headroom_of_one_value() -> None:
    assert with_headroom([0.5], [0.5]) == pytest.approx([0.44, 0.56])


def test_points_stay_where_they_are() -> None:
    rows = [row("a", 0.9), row("b", 0.9), row("c", 0.5, 2.0)]
    assert [(p.x[0], p.y[0]) for p in points(rows)] == [(1.0, 0.9), (1.0, 0.9), (2.0, 0.5)]


def test_points_at_one_place_are_all_seen_and_all_named() -> None:
    rows = [row("none", 1.0), row("b %{x}", 1.0), row("<c>", 1.001), row("far", 0.4, 3.0)]
    *close, far = points(rows)
    widths = [point.marker.size for point in close]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) == 3
    assert {point.hovertemplate for point in close} == {close[0].hovertemplate}
    for name in ("none", "b %&#123;x}", "&lt;c&gt;"):
        assert f"<b>{name}</b>" in close[0].hovertemplate
    assert "far" not in close[0].hovertemplate
    assert far.marker.size == SIZE and "<b>far</b>" in far.hovertemplate


def test_of_very_many_points_some_are_named_and_the_rest_counted() -> None:
    said = points([row(f"case {i}", 1.0) for i in range(NAMED + 5)])[0].hovertemplate
    assert said.count("<b>case") == NAMED and "and 5 more" in said


def test_a_point_without_a_place_is_in_no_pile() -> None:
    assert piles([None, (1.0, 1.0), None, (1.0, 1.01)], (0.1, 0.1)) == [[0], [1, 3], [2]]
    assert piles([], (1, 1)) == []


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_sizes_of_a_pile(count: int) -> None:
    found = sizes(count)
    assert len(found) == count and found[-1] == SIZE and max(found) <= LARGEST
    assert len(set(found)) == count


@pytest.mark.parametrize("count", [3, 11, 30, 80])
def test_no_two_cases_look_the_same(count: int) -> None:
    names = ["none", *(f"case {i}" for i in range(count))]
    marks = case_marks(names, "none")
    assert len({(mark.colour, mark.symbol) for mark in marks.values()}) == count + 1
    assert len({mark.glyph for mark in marks.values()}) == min(8, count + 1) or count < 8


def luminance(colour: str) -> float:
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """By WCAG 2."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


STYLE = (Path(module.__file__).parent / "assets" / "page.css").read_text(encoding="utf-8")
THEMES = [dict(re.findall(r"(--[a-z-]+): (#\w{6})", p)) for p in STYLE.split("@media screen")]


@pytest.mark.parametrize("theme", THEMES, ids=["light", "dark"])
def test_contrast_is_enough_on_light_and_on_dark_pages(theme: dict[str, str]) -> None:
    assert math.isclose(contrast("#000000", "#ffffff"), 21)
    for page in (theme["--page"], theme["--card"]):
        for colour in (*module.COLOURS, module.BASELINE):
            assert contrast(colour, page) >= 3, colour
        for name in ("--ink", "--text", "--soft", "--accent", "--warm", "--good", "--bad"):
            assert contrast(theme[name], page) >= 4.5, name
        for name in ("--green", "--ochre"):
            assert contrast(theme[name], page) >= 3, name
    for text, ground in (("ink", "notice"), ("ink", "share"), ("ink", "rest"), ("ink", "tint")):
        assert contrast(theme[f"--{text}"], theme[f"--{ground}"]) >= 4.5
    for name in ("accent", "warm"):
        assert contrast(theme[f"--on-{name}"], theme[f"--{name}"]) >= 4.5
    assert contrast(theme["--soft"], theme["--tint"]) >= 4.5
