"""Sending what lies in a folder: runs that wait first, then the wandb Report about them."""

from collections.abc import Sequence
from pathlib import Path

from saccade.controller.errors import StudyError
from saccade.studies.tracking.apart import run_apart
from saccade.studies.tracking.report_file import REPORT, StoredReport, read_report
from saccade.studies.tracking.wandb_home import home_settings
from saccade.studies.tracking.wandb_report import PublishReport
from saccade.studies.tracking.wandb_sync import (
    may_send,
    send_runs,
    server,
    unreachable,
    waiting_runs,
)

NO_CREDENTIALS = (
    "wandb has no credentials here, or WANDB_MODE is not online: set WANDB_API_KEY, or log in with "
    "wandb login"
)


def publish_folder(folder: Path, seconds: float) -> Sequence[str]:
    """Send the runs of a folder that wait, and its Report; what was done.

    Parameters
    ----------
    folder : Path
        Of results, or the ``wandb`` in it.
    seconds : float
        How long runs and Report may take, each.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
    StudyError, ValueError
        If there is nothing to send, or the Report is damaged.
    OSError
        If something could not be sent. Nothing is lost by that, and the same again is right.
    """
    home = _home(folder)
    stored = read_report(home)
    folders = [home] if stored is None else _folders(home, stored)
    waiting = {own: found for own in folders if (found := waiting_runs(own / "wandb"))}
    if stored is None and not waiting:
        raise StudyError(
            f"nothing to publish in {folder}: it has neither {REPORT} nor runs in "
            f"{REPORT.parent / 'offline-run-*'}; saccade report RUN --wandb writes them, and says "
            "into which folder"
        )
    if not may_send():
        raise OSError(NO_CREDENTIALS)
    notes = [
        send_runs(found, own / "wandb", home_settings(own), seconds)
        for own, found in waiting.items()
    ]
    if stored is None:
        return [*notes, f"there is no Report in {home}: saccade report {home} --wandb makes one"]
    return [*notes, *publish_report(home, seconds)]


def publish_report(home: Path, seconds: float) -> Sequence[str]:
    """Send the Report of a folder; what was done.

    Raises
    ------
    OSError
        If it could not be sent.
    """
    kept = f"the Report is kept in {home / REPORT}"
    problem = unreachable(server())
    if problem is not None:
        raise OSError(f"{server()} {problem}; {kept}")
    ended = run_apart([PublishReport(home)], seconds)
    why = [f"{server()} did not answer in {seconds:.0f} s"] if ended.late else ended.problems
    why += [f"wandb {ended.broke}"] if ended.broke else []
    if why:
        raise OSError(f"the Report was not sent: {'; '.join(why)}; {kept}")
    return ended.notes


def _home(folder: Path) -> Path:
    if not folder.exists():
        raise FileNotFoundError(f"no folder at {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give the folder of results")
    inside = folder.resolve()
    own = inside.name == REPORT.parent.name and not (folder / REPORT.parent).is_dir()
    return folder.parent if own and folder.parent != folder else folder


def _folders(home: Path, stored: StoredReport) -> list[Path]:
    """Folders whose runs the Report shows; those that are gone have none that wait."""
    found = dict.fromkeys((home / own).resolve() for own in stored.folders)
    return [own for own in [*found, home] if own.is_dir()]
