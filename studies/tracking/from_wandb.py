"""The sources of a report from what runs have logged in wandb."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from saccade.controller.errors import StudyError
from saccade.studies.reports.compare.sources import Sources, read_sources
from saccade.studies.runs.identity import IDENTITY
from saccade.studies.runs.records import RECIPE
from saccade.studies.runs.tune import CONFIG, PRESET, RESULT
from saccade.studies.runs.tune_trials import TRIALS
from saccade.studies.tracking.apart import run_apart
from saccade.studies.tracking.from_bench import BENCH
from saccade.studies.tracking.publish import NO_CREDENTIALS
from saccade.studies.tracking.wandb_download import DownloadGroup
from saccade.studies.tracking.wandb_sync import may_send, server, unreachable

FILES = {
    "results": (RECIPE, "records.jsonl.gz", IDENTITY),
    "search": (RESULT, CONFIG, TRIALS, PRESET),
    "bench": (BENCH,),
    "preset": (PRESET,),
}
"""Files that are taken of each kind of artifact."""


def split_group(text: str) -> tuple[str, str, str]:
    """Entity, project and group of ``--from-wandb``; a group's name may hold slashes.

    Raises
    ------
    ValueError
    """
    parts = [part.strip() for part in text.split("/", 2)]
    if len(parts) < 3 or not all(parts) or re.search(r"[\\#?%:\x00-\x1f]", "".join(parts[:2])):
        raise ValueError(
            f"--from-wandb {text!r}: give ENTITY/PROJECT/GROUP, as "
            "https://wandb.ai/ENTITY/PROJECT shows them; the group is the study's name, tune-NAME, "
            "bench-ID or report-ID"
        )
    return parts[0], parts[1], parts[2]


def read_wandb(text: str, seconds: float) -> Sources:
    """Read what the runs of a group have logged.

    Paths of what was read are shown as places in wandb: its files are gone again.

    Parameters
    ----------
    text : str
        ``ENTITY/PROJECT/GROUP``.
    seconds : float
        How long it may take.

    Raises
    ------
    ValueError
        If the text is none.
    StudyError
        If there is nothing to read, or it is damaged.
    OSError
        Without credentials, or if the server does not answer.
    """
    entity, project, group = split_group(text)
    if not may_send():
        raise OSError(NO_CREDENTIALS)
    problem = unreachable(server())
    if problem is not None:
        raise OSError(f"{server()} {problem}")
    with _downloaded(entity, project, group, seconds) as (folder, passed):
        sources = read_sources([folder])
        return _at_wandb(sources, folder, Path(entity, project, group), passed)


@contextmanager
def _downloaded(
    entity: str, project: str, group: str, seconds: float
) -> Iterator[tuple[Path, list[str]]]:
    """A folder that is there for a while, and what was passed over."""
    with TemporaryDirectory(prefix="saccade-wandb-", ignore_cleanup_errors=True) as aside:
        home = Path(aside).resolve()
        ended = run_apart([DownloadGroup(entity, project, group, home, FILES)], seconds)
        if ended.late:
            raise OSError(f"{server()} did not send everything in {seconds:.0f} s")
        if ended.problems or ended.broke:
            why = "; ".join(ended.problems) or f"wandb {ended.broke}"
            raise OSError(f"{entity}/{project}/{group} cannot be read from {server()}: {why}")
        found = home / "found"
        if not any(found.iterdir()):
            why = "; ".join(ended.notes)
            raise StudyError(f"nothing to show in {entity}/{project}/{group} ({why})")
        yield found, ended.notes


def _at_wandb(sources: Sources, folder: Path, place: Path, passed: list[str]) -> Sources:
    """Sources whose paths are places in wandb."""

    def moved(path: Path) -> Path:
        return place / path.relative_to(folder)

    def told(text: str) -> str:
        return text.replace(str(folder), str(place))

    return Sources(
        runs=[(moved(path), summary) for path, summary in sources.runs],
        searches=[replace(own, path=moved(own.path)) for own in sources.searches],
        benches=[replace(own, path=moved(own.path)) for own in sources.benches],
        presets=[(moved(path), preset) for path, preset in sources.presets],
        problems=[*passed, *map(told, sources.problems)],
    )
