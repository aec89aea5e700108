"""The table of a study's methods, in the form of published tables."""

import math

from saccade.studies.analysis.methods import BACKBONES, Line, Methods, defined
from saccade.studies.reports.formats import number
from saccade.studies.reports.table import WIDTH, Cell, Column, Section, Table, TableGroup, line


def methods_group(methods: Methods, model: str = "") -> TableGroup:
    """Methods by tasks, with a section a group of them, and what its columns mean; with the name of
    the `model` where there are several."""
    columns = _columns(methods)
    sections = tuple(
        Section(group, tuple(line(own.method, own, columns, baseline=not group) for own in lines))
        for group, lines in methods.groups
    )
    table = Table("", "method", columns, sections, by="group")
    over = "seeds" if methods.seeds > 1 else "samples"
    scores = (
        f"in percent with their standard error over {over}; a dash where nothing was done, as "
        "answers have too few steps."
    )
    return TableGroup(
        f"Methods: {model}" if model else "Methods", (table,), {"scores": scores} | table.helps()
    )


def _columns(methods: Methods) -> tuple[Column, ...]:
    columns = [
        *(_score_column(task, place) for place, task in enumerate(methods.tasks)),
        Column(
            "rel. avg",
            _relative,
            "mean over those tasks of the score relative to the unpruned model's.",
            stacked=True,
        ),
        _share_column(
            "steps",
            "steps",
            "steps_relative",
            "steps taken, in percent of the unpruned model's (geometric mean over those tasks).",
        ),
        _share_column(
            "visual",
            "visual",
            "visual_tokens_relative",
            "visual tokens that its steps read, over all layers, in percent of all.",
        ),
        _speedup_column(
            "speed",
            "speedup",
            "speed-up measured, preparation included; this and the next three are geometric means "
            "over those tasks.",
        ),
        _speedup_column(
            "ideal",
            "ideal",
            "by exact multiply-accumulates, gated MLP and grouped heads counted, tower and output "
            "head included.",
        ),
        _speedup_column(
            "paper",
            "paper",
            "by the published equations (decoder layers alone, an MLP of two matrices, no grouped "
            "heads).",
        ),
        _speedup_column(
            "proj.", "projected", "its trace priced at the published size of its kind."
        ),
    ]
    if methods.origin in BACKBONES:
        columns.append(
            Column(
                "publ.",
                _published,
                f"relative average of the same method in arXiv 2511.15098, for "
                f"{BACKBONES[methods.origin]} (8B) on its own benchmarks; not measured here.",
            )
        )
    return tuple(columns)


def _score_column(task: str, place: int) -> Column:
    """The column of one task."""

    def cell(own: Line) -> Cell:
        return _with_error(own.cells[place], f"score_{task}")

    return Column(task, cell, stacked=True, narrowest=WIDTH)


def _relative(own: Line) -> Cell:
    known = None if math.isnan(own.relative[0]) else own.relative
    return _with_error(known, "relative_average")


def _with_error(figure: tuple[float, float] | None, key: str) -> Cell:
    """Percent with a standard error."""
    value, error = (None, None) if figure is None else map(defined, figure)
    values = {key: value, f"{key}_se": error}
    return Cell(number(value, 1), "" if error is None else f"±{error:.1f}", values=values)


def _speedup_column(heading: str, name: str, meaning: str) -> Column:
    def cell(own: Line) -> Cell:
        done = not math.isnan(own.relative[0])  # a method that did nothing has gained nothing
        value = defined(getattr(own, name)) if done else None
        return Cell(number(value, 2), values={name: value})

    return Column(heading, cell, meaning)


def _share_column(heading: str, name: str, key: str, meaning: str) -> Column:
    """A share in percent; a dash for a method that did nothing."""

    def cell(own: Line) -> Cell:
        value = defined(getattr(own, name))
        return Cell(number(value, 0), values={key: value})

    return Column(heading, cell, meaning)


def _published(own: Line) -> Cell:
    text = "" if own.published is None else f"{own.published:.1f}"
    return Cell(text, values={"relative_average_published": own.published})
