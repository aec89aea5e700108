"""What ``saccade report`` has to do with trackers: sending its sources, the page and a Report."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.studies.cli.consoles import err, note, warn
from saccade.studies.cli.tracking import asked_sinks, send_tracked

if TYPE_CHECKING:
    from saccade.studies.reports.compare.sources import Sources
    from saccade.studies.tracking.gathering import Gathered


def send_report(
    sources: "Sources",
    page: tuple[str, bytes],
    baseline: str | None,
    wandb: str | None,
    tensorboard: Path | None,
) -> None:
    """Send all sources, each from its own folder, then the report; a failure is only told.

    Parameters
    ----------
    sources : Sources
    page : (str, bytes)
        Name and content of the file that was written.
    baseline, wandb, tensorboard
        As given.
    """
    if wandb is None and tensorboard is None:
        return
    try:
        from saccade.studies.tracking.gathering import gather

        with err().status("[dim]gathering what is sent[/]"):
            found = gather(sources, page, baseline)
        for why in found.left:
            note(why)
        whole = _send_runs(found, wandb, tensorboard)
        if wandb is not None:
            _send_definition(found, wandb, whole)
    except KeyboardInterrupt:
        note("the tracker was left; the same command sends what is missing")
    except Exception as error:
        warn(f"not all was sent to the tracker: {error or type(error).__name__}")


def _send_runs(found: "Gathered", wandb: str | None, tensorboard: Path | None) -> bool:
    """Send runs folder by folder; whether all went well."""
    problems: list[str] = []

    def tell(problem: str) -> None:
        problems.append(problem)
        warn(problem)

    for folder, runs in found.runs.items():
        sink = asked_sinks(folder, wandb, tensorboard, tell)
        send_tracked(sink, partial(list, runs))
    return not problems


def _send_definition(found: "Gathered", wandb: str, whole: bool) -> None:
    """Write the Report beside its runs, and send it if they were sent."""
    from saccade.studies.tracking.limits import time_limit
    from saccade.studies.tracking.publish import publish_report
    from saccade.studies.tracking.report_file import REPORT, store_report
    from saccade.studies.tracking.track import place_of
    from saccade.studies.tracking.wandb_sync import may_send

    entity, project = place_of(wandb)
    store_report(found.home, found.definition, entity, project, list(found.runs))
    later = shlex.join(["saccade", "report", "--wandb-publish", str(found.home)])
    if not (whole and may_send()):
        note(f"wandb: Report in {found.home / REPORT}; to send it and its runs: {later}")
        return
    try:
        with err().status("[dim]sending the wandb Report (Ctrl-C leaves it)[/]"):
            said = publish_report(found.home, time_limit())
    except OSError as error:
        warn(f"{error}; to send it: {later}")
        return
    for own in said:
        note(own)


def publish(folder: Path) -> None:
    """Send the runs and the Report that wait in a folder.

    Raises
    ------
    StudyError, OSError
        See `publish_folder`.
    """
    from saccade.studies.tracking.limits import time_limit
    from saccade.studies.tracking.publish import publish_folder

    with err().status("[dim]sending[/]"):
        said = publish_folder(folder, time_limit())
    for own in said:
        note(own)
