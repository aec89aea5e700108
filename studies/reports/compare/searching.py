"""Searches and presets in the report: what was gained, how it was reached, what is promised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saccade.controller.preset import Preset
from saccade.studies.reports.charts import Panel
from saccade.studies.reports.compare.sources import Search, Sources
from saccade.studies.reports.compare.tables import CANVAS, with_column
from saccade.studies.reports.formats import interval, number, percent
from saccade.studies.reports.table import Cell, Column, Table
from saccade.studies.reports.tune_page import search_panels
from saccade.studies.reports.tune_table import front_table
from saccade.studies.runs.tune_show import goal_of
from saccade.tuning.result import all_tried, front, hypervolume

NO_PROMISE = (
    "No certificate: it was measured, and nothing is promised about how often answers change."
)


@dataclass(frozen=True, slots=True)
class Told:
    """A search as the page tells it; no charts where its trials are not there."""

    title: str
    sentence: str
    certificate: str
    area: str
    table: Table
    panels: tuple[Panel, ...]


def told_searches(searches: Sequence[Search]) -> list[Told]:
    """All searches, finished or not."""
    return [_told(search) for search in searches]


def _told(search: Search) -> Told:
    panels: list[Panel] = []
    rows: Sequence[Mapping[str, Any]] = []
    area = ""
    objective = str(search.config.get("objective", "cost"))
    if search.study is not None:
        goal = goal_of(search.study)
        tried = all_tried(search.study, goal)
        panels = search_panels(search.study, goal)
        rows = [one.plain() for one in front(tried)]
        area = f"Its {len(tried)} settings dominate {hypervolume(tried):.4f} of the area."
        if len(panels) < 3:
            area += " What mattered is not told: too few trials, or their costs do not vary."
    sentence = f"{search.name}: unfinished; these settings are the best so far."
    if search.result is not None:
        rows, sentence = search.result["front"], search.result["sentence"]
        objective = search.result.get("objective", objective)
    length = None if search.preset is None else search.preset.generation.get("gen_length")
    canvas = Cell("-" if length is None else str(length), values={"gen_length": length})
    return Told(
        search.name,
        sentence,
        certificate_words(search.preset),
        area,
        with_column(front_table(rows, "", objective), CANVAS, lambda _, __: canvas),
        tuple(panels),
    )


def certificate_words(preset: Preset | None) -> str:
    """What is promised, in plain words."""
    if preset is None:
        return "No preset was written, so nothing is promised."
    own = preset.certificate
    if own is None:
        return NO_PROMISE
    said = own.sentence()
    null = f"without any pruning {percent(own.null.loss, 1)} of {own.null.n} answers change"
    return f"{said[:1].upper()}{said[1:]}. It assumes that {own.assumes}. For comparison: {null}."


def presets_table(sources: Sources) -> Table | None:
    """Presets that came alone, a row each; None without any."""
    if not sources.presets:
        return None
    columns = [
        Column("model", lambda p: _text("model", p.backbone.name)),
        Column("task", lambda p: _text("task", f"{p.task.name} ({p.task.kind})")),
        Column("setting", lambda p: _text("setting", _setting(p))),
        Column("of the score", lambda p: _share(p.front.score_relative)),
        Column("measured", _measured),
        Column("ideal", lambda p: _factor("ideal", p.front.ideal)),
        Column("gen_length", lambda p: _text("gen_length", p.generation.get("gen_length"))),
        Column("promise", lambda p: _text("promise", certificate_words(p))),
    ]
    rows = [(f"{preset.name} ({path})", preset) for path, preset in sources.presets]
    return Table.of("", "preset", columns, rows)


def _setting(preset: Preset) -> str:
    pruner = "" if preset.pruner is None else f" with {preset.pruner}"
    return preset.policy + pruner


def _text(name: str, value: object) -> Cell:
    return Cell("-" if value is None else str(value), values={name: value})


def _share(value: float | None) -> Cell:
    return Cell(percent(value, 1), values={"score_relative": value})


def _factor(name: str, value: float | None) -> Cell:
    return Cell(number(value, 2), values={name: value})


def _measured(preset: Preset) -> Cell:
    own = preset.front
    values = {"speedup": own.measured, "low": own.measured_low, "high": own.measured_high}
    spread = interval(own.measured_low, own.measured_high)
    return Cell(number(own.measured, 2), spread, values=values)
