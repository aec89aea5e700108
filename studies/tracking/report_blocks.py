"""From what a report shows to the blocks of a wandb Report: findings, then panels by kind of run.

Only figures that runs have logged are shown, under the names that trackers have for them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from saccade.studies.tracking.report_definition import (
    Axis,
    Block,
    Comparer,
    Grid,
    Heading,
    Importances,
    Media,
    Notes,
    Panel,
    Paragraph,
    Parallel,
    ReportDefinition,
    Scatter,
    TablePanel,
)
from saccade.studies.tracking.sink import TrackedRun
from saccade.studies.tracking.wandb_sink import metric_name

MOST = 8
"""Tasks of which there are panels; the table of all cases has the others."""
SPEEDS = {"speedup": "measured speed-up", "speedup_ideal": "ideal speed-up"}


def make_definition(
    own: TrackedRun, runs: Sequence[TrackedRun], findings: Sequence[str], warnings: Sequence[str]
) -> ReportDefinition:
    """What the wandb Report about some runs holds. The same values give the same definition.

    Parameters
    ----------
    own : TrackedRun
        The run about the report; gives key, title and group.
    runs : sequence of TrackedRun
        All others.
    findings, warnings : sequence of str
        The sentences with which the page begins, and its banners.
    """
    title = own.name if len(own.name) <= 128 else f"{own.name[:125]}..."
    return ReportDefinition(
        key=own.id, title=title, blocks=tuple(_blocks(own, runs, findings, warnings))
    )


def _blocks(
    own: TrackedRun, runs: Sequence[TrackedRun], findings: Sequence[str], warnings: Sequence[str]
) -> Iterator[Block]:
    yield Heading(text="Findings")
    yield from (Paragraph(text=said) for said in findings or ["Nothing was compared."])
    if warnings:
        yield Heading(text="Know first")
        yield Notes(texts=tuple(warnings))
    yield Heading(text="All cases")
    yield _grid("report", [own], _of_report(own))
    for heading, kind, panels in (
        ("Cases", "case", _of_cases),
        ("Trials of searches", "trial", _of_trials),
        ("Searches", "search", _of_searches),
        ("Benches", "bench", _of_benches),
    ):
        found = [run for run in runs if run.kind == kind]
        if found:
            yield Heading(text=heading)
            yield _grid(heading.lower(), found, tuple(panels(found)))
    yield Heading(text="This page again")
    yield Paragraph(
        text=f"saccade report --from-wandb ENTITY/PROJECT/{own.group} makes the page from what is "
        "logged here."
    )


def _grid(name: str, runs: Sequence[TrackedRun], panels: Sequence[Panel]) -> Grid:
    groups = tuple(dict.fromkeys(run.group for run in runs))
    kinds = tuple(dict.fromkeys(run.kind for run in runs))
    return Grid(name=name, groups=groups, kinds=kinds, panels=tuple(panels))


def _of_report(own: TrackedRun) -> tuple[Panel, ...]:
    tables = tuple(TablePanel(key=name) for name in own.tables)
    fronts = tuple(own.figures)
    return tables + ((Media(title="Fronts", keys=fronts),) if fronts else ())


def _of_cases(runs: Sequence[TrackedRun]) -> Iterator[Panel]:
    yield Comparer()
    tasks = _tasks(runs)
    figures = [f"{task}/{name}" for task in tasks for name in ("score", "speedup_ideal")]
    axes = [Axis(name="case", config=True), Axis(name="policy", config=True)]
    axes += [Axis(name=metric_name(name)) for name in figures if _known(runs, name)]
    yield Parallel(title="Cases", axes=tuple(axes))
    for task in tasks:
        for name, title in SPEEDS.items():
            x, y = f"{task}/{name}", f"{task}/score"
            if _known(runs, x) and _known(runs, y):
                yield Scatter(title=f"{task}: {title}", x=metric_name(x), y=metric_name(y))
    samples = _all(run.tables for run in runs)[:MOST]
    yield from (TablePanel(key=name) for name in samples)
    if samples:
        yield Media(title="Answers", keys=samples)


def _of_trials(runs: Sequence[TrackedRun]) -> Iterator[Panel]:
    names = _all(run.config["parameters"] for run in runs)
    axes = [Axis(name=f"parameters.{name}", config=True) for name in names]
    axes += [Axis(name=name) for name in ("cost", "score") if _known(runs, name)]
    yield Parallel(title="Parameters, cost and score", axes=tuple(axes))
    yield from (Importances(of=name) for name in ("cost", "score") if _known(runs, name))
    if _known(runs, "ideal") and _known(runs, "score"):
        yield Scatter(title="Score against times less work", x="ideal", y="score")
    yield Comparer()


def _of_searches(runs: Sequence[TrackedRun]) -> Iterator[Panel]:
    yield from (TablePanel(key=name) for name in _all(run.tables for run in runs))
    yield Media(title="Fronts", keys=_all(run.figures for run in runs))


def _of_benches(runs: Sequence[TrackedRun]) -> Iterator[Panel]:
    yield Comparer()
    if _known(runs, "speedup_ideal") and _known(runs, "speedup"):
        yield Scatter(title="Achieved against ideal", x="speedup_ideal", y="speedup")
    yield from (TablePanel(key=name) for name in _all(run.tables for run in runs))


def _tasks(runs: Sequence[TrackedRun]) -> list[str]:
    """Tasks that cases have a score of."""
    names = _all(run.summary for run in runs)
    return [name.removesuffix("/score") for name in names if name.endswith("/score")][:MOST]


def _known(runs: Sequence[TrackedRun], name: str) -> bool:
    return any(name in run.summary for run in runs)


def _all(parts: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Names of parts of runs, each once."""
    return tuple(dict.fromkeys(name for own in parts for name in own))
