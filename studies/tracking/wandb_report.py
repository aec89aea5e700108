"""A wandb Report from its definition, made or brought up to date at the server."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from saccade.studies.tracking.ledger import digest
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
from saccade.studies.tracking.report_file import (
    Published,
    StoredReport,
    read_report,
    write_report_file,
)
from saccade.studies.tracking.wandb_home import quiet_settings, wandb_at_home
from saccade.studies.tracking.wandb_sync import server

MISSING = 'wandb-workspaces is not installed: pip install "saccade-dmllm[wandb]"'
WIDE, HIGH = 24, 12
"""Width of the whole page and height of a panel, in cells of wandb's grid."""


@dataclass(frozen=True, slots=True)
class PublishReport:
    """A step of a process of its own, which sends the Report of a folder.

    It looks for the Report at the server first: one that is there is brought up to date, so that
    none is there twice, whatever became of an earlier attempt.
    """

    folder: Path

    def __call__(self) -> Sequence[str]:
        """What was done.

        Raises
        ------
        ImportError
            Without wandb-workspaces, naming the extra.
        Exception
            Of wandb, whatever it may be.
        """
        stored = read_report(self.folder)
        if stored is None:
            raise FileNotFoundError(f"no Report in {self.folder}")
        wandb = wandb_at_home(self.folder)
        workspaces = workspaces_module()
        wandb.setup(quiet_settings(wandb))
        api = wandb.Api()
        entity = stored.entity or api.default_entity
        if not entity:
            raise ValueError("these credentials have no entity; give --wandb ENTITY/PROJECT")
        own = stored.definition
        there, mark = _find(api, entity, stored.project, own), digest(own.model_dump_json())
        if there is not None and _same(stored, there.id, mark):
            assert stored.published is not None
            return (f"wandb: the Report is there: {stored.published.url}",)
        report = make_report(workspaces, own, entity, stored.project)
        if there is not None:
            report.id = there.id
        report.save()
        sent = Published(server=server(), id=report.id, url=report.url, digest=mark)
        write_report_file(self.folder, stored.model_copy(update={"published": sent}))
        done = "made" if there is None else "brought up to date"
        return (f"wandb: Report {done}: {report.url}",)


def workspaces_module() -> Any:
    """wandb's module of Reports; an `ImportError` that names the extra without it."""
    try:
        return import_module("wandb_workspaces.reports.v2")
    except ImportError as error:
        raise ImportError(MISSING) from error


def _find(api: Any, entity: str, project: str, own: ReportDefinition) -> Any:
    """The Report that the server has; None if there is none, or no such project."""
    if all(known.name != project for known in api.projects(entity)):
        return None
    reports = api.reports(f"{entity}/{project}")
    return next((one for one in reports if one.description == own.description), None)


def _same(stored: StoredReport, id: str, mark: str) -> bool:
    before = stored.published
    known = None if before is None else (before.server, before.id, before.digest)
    return known == (server(), id, mark)


def make_report(workspaces: Any, own: ReportDefinition, entity: str, project: str) -> Any:
    """A Report of wandb-workspaces.

    Parameters
    ----------
    workspaces : module
        ``wandb_workspaces.reports.v2``.
    own : ReportDefinition
    entity, project : str
        Where it belongs. Its runs are those of the same project.
    """
    return workspaces.Report(
        entity=entity,
        project=project,
        title=own.title,
        description=own.description,
        width="fluid",
        blocks=[_block(workspaces, block) for block in own.blocks],
    )


def _block(workspaces: Any, block: Block) -> Any:
    match block:
        case Heading(text=text):
            return workspaces.H2(text=text)
        case Paragraph(text=text):
            return workspaces.P(text=text)
        case Notes(texts=texts):
            return workspaces.UnorderedList(items=list(texts))
        case Grid():
            return _grid(workspaces, block)


def _grid(workspaces: Any, grid: Grid) -> Any:
    """Panels below each other, each as wide as the page."""
    filters = f"Group in {_words(grid.groups)} and JobType in {_words(grid.kinds)}"
    runs = workspaces.Runset(name=grid.name, filters=filters)
    panels = []
    for place, own in enumerate(grid.panels):
        panel = _panel(workspaces, own)
        panel.layout = workspaces.Layout(x=0, y=place * HIGH, w=WIDE, h=HIGH)
        panels.append(panel)
    return workspaces.PanelGrid(runsets=[runs], panels=panels)


def _words(names: Sequence[str]) -> str:
    """A list of texts in wandb's language of filters.

    It is read as Python is, but changes ``=``, ``<`` and others before, in texts too: these are
    written as numbers.
    """
    texts = ("".join(map(_sign, name)) for name in names)
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"


def _sign(sign: str) -> str:
    plain = sign.isascii() and (sign.isalnum() or sign in " -.")
    return sign if plain else f"\\U{ord(sign):08x}"


def _panel(workspaces: Any, panel: Panel) -> Any:
    match panel:
        case Comparer():
            return workspaces.RunComparer(diff_only="split")
        case Parallel(title=title, axes=axes):
            columns = [_column(workspaces, axis) for axis in axes]
            return workspaces.ParallelCoordinatesPlot(title=title, columns=columns)
        case Importances(of=name):
            return workspaces.ParameterImportancePlot(with_respect_to=name)
        case Scatter(title=title, x=x, y=y):
            metrics = (workspaces.SummaryMetric(x), workspaces.SummaryMetric(y))
            return workspaces.ScatterPlot(title=title, x=metrics[0], y=metrics[1])
        case TablePanel(key=key):
            return workspaces.WeavePanelSummaryTable(table_name=key)
        case Media(title=title, keys=keys):
            return workspaces.MediaBrowser(title=title, media_keys=list(keys))


def _column(workspaces: Any, axis: Axis) -> Any:
    name = workspaces.Config if axis.config else workspaces.SummaryMetric
    return workspaces.ParallelCoordinatesPlotColumn(metric=name(axis.name))
