"""All that is sent of a report: runs by folder, the run about it, what the wandb Report shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from saccade.studies.reports.compare.banners import banners
from saccade.studies.reports.compare.lead import lead
from saccade.studies.reports.compare.page import page_title
from saccade.studies.reports.compare.runs import make_runs
from saccade.studies.reports.compare.sources import Sources
from saccade.studies.tracking.from_report import report_run, source_parts
from saccade.studies.tracking.report_blocks import make_definition
from saccade.studies.tracking.report_definition import ReportDefinition
from saccade.studies.tracking.sink import TrackedRun


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is sent.

    Attributes
    ----------
    runs : mapping of Path to list of TrackedRun
        By the folder that they are sent from; the run of the report is the last.
    home : Path
        The folder of that run and of the Report: of a single source its own.
    definition : ReportDefinition
    left : list of str
        What cannot be sent, and why.
    """

    runs: Mapping[Path, list[TrackedRun]]
    home: Path
    definition: ReportDefinition
    left: Sequence[str]


def gather(sources: Sources, page: tuple[str, bytes], baseline: str | None = None) -> Gathered:
    """Gather what is sent of a report.

    Parameters
    ----------
    sources : Sources
    page : (str, bytes)
        Name and content of the file that shows them.
    baseline : str, optional
        As in `write_comparison`.
    """
    parts, left = source_parts(sources)
    shown = make_runs(sources.runs, baseline)
    every = [run for part in parts for run in part.runs]
    said = lead(shown, sources)
    title = page_title(shown, sources)
    own = report_run(every, sources, shown, title=title, page=page, findings=said)
    home = parts[0].folder if len(parts) == 1 else Path("runs") / f"report-{own.id[-6:]}"
    by_folder: dict[Path, list[TrackedRun]] = {}
    for part in parts:
        by_folder.setdefault(part.folder, []).extend(part.runs)
    by_folder[home] = [*by_folder.pop(home, []), own]
    definition = make_definition(own, every, said, banners(shown, sources, baseline))
    return Gathered(by_folder, home, definition, left)
