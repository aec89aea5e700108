"""From runs in wandb to folders that a report is read from. What comes is trusted in nothing."""

import contextlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.studies.tracking.wandb_home import quiet_settings, wandb_at_home

Files = Mapping[str, Sequence[str]]
"""Which files are taken of each kind of artifact; all others stay where they are."""
KINDS = ("study", "search", "bench", "report")
"""Kinds of runs whose artifacts are looked at."""
LARGEST = 64 << 20
"""Bytes of a file, as it is sent."""
UNPACKED = 1 << 30
"""Bytes that a compressed file may become."""
MOST_RUNS, MOST_ARTIFACTS = 1000, 200
"""Of a group, and of all its runs."""


@dataclass(frozen=True, slots=True)
class DownloadGroup:
    """A step of a process of its own, which writes a folder for every artifact of a group.

    Parameters
    ----------
    entity, project, group : str
    folder : Path
        Exists; gets the folders in ``found``, and what wandb writes for itself.
    files : mapping of str to sequence of str
        See `Files`.
    """

    entity: str
    project: str
    group: str
    folder: Path
    files: Files

    def __call__(self) -> Sequence[str]:
        """What was passed over.

        Raises
        ------
        LookupError
            If there is no such project, or nothing to read in the group.
        Exception
            Of wandb, whatever it may be.
        """
        _limit_files()
        wandb = wandb_at_home(self.folder)
        wandb.setup(quiet_settings(wandb))
        passed: list[str] = []
        found = self.folder / "found"
        found.mkdir()
        for place, (name, own) in enumerate(self._artifacts(wandb.Api(), passed)):
            slug = re.sub(r"[^\w-]+", "-", name, flags=re.ASCII)[:80]
            try:
                take(own, self.files[own.type], found / f"{place:03}-{slug}")
            except ValueError as error:
                passed.append(f"{name} is left out: {error}")
        return passed

    def _artifacts(self, api: Any, passed: list[str]) -> Iterator[tuple[str, Any]]:
        """Name and artifact of everything that the group's runs left, or a report used; each
        once."""
        seen: set[str] = set()
        for run in self._runs(api):
            made = _newest(run.logged_artifacts())
            used = _newest(run.used_artifacts()) if run.job_type == "report" else []
            made = [own for own in made if own.type != "preset"]  # part of its search
            for own in [*made, *used]:
                if own.id not in seen and own.type in self.files:
                    seen.add(own.id)
                    if len(seen) > MOST_ARTIFACTS:
                        passed.append(f"more than {MOST_ARTIFACTS} artifacts: the rest is left out")
                        return
                    yield own.name.partition(":")[0], own
        if not seen:
            raise LookupError(
                f"{self.entity}/{self.project} has no results in the group {self.group!r}; "
                "saccade study run, tune run, bench and report with --wandb log them, in a group "
                "of the study's name, tune-NAME, bench-ID or report-ID"
            )

    def _runs(self, api: Any) -> Iterator[Any]:
        filters = {"group": self.group, "jobType": {"$in": list(KINDS)}}
        runs = api.runs(f"{self.entity}/{self.project}", filters=filters)
        for place, run in enumerate(runs):
            if place >= MOST_RUNS:
                raise LookupError(f"the group {self.group!r} has more than {MOST_RUNS:,} runs")
            yield run


def _newest(artifacts: Any) -> list[Any]:
    """Of every name the last version that a run has; what was deleted is none."""
    found: dict[str, Any] = {}
    for own in artifacts:
        name, _, version = own.name.rpartition(":v")
        before = found.get(name)
        if version.isdigit() and (before is None or _version(before) < int(version)):
            found[name] = own
    return list(found.values())


def _version(artifact: Any) -> int:
    return int(artifact.name.rpartition(":v")[2])


def take(artifact: Any, names: Sequence[str], folder: Path) -> None:
    """Write the known files of an artifact into a new folder.

    Raises
    ------
    ValueError
        If it has none of them, or one is no plain file of an allowed size. Nothing is left then.
    """
    entries = artifact.manifest.entries
    known = [artifact.get_entry(name) for name in names if name in entries]
    if not known:
        raise ValueError(f"it has no {' or '.join(names)}")
    for entry in known:
        if entry.ref is not None:
            raise ValueError(f"{entry.path} is a reference to somewhere else")
        if not 0 < (entry.size or 0) <= LARGEST:
            raise ValueError(f"{entry.path} has {entry.size} bytes; {LARGEST:,} are allowed")
    folder.mkdir()
    try:
        for entry in known:
            _take_file(entry, folder)
    except BaseException:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        raise


def _take_file(entry: Any, folder: Path) -> None:
    path = folder / Path(str(entry.path)).name
    try:
        entry.download(root=str(folder), skip_cache=True)
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    if not path.is_file() or path.stat().st_size != entry.size:
        raise ValueError(f"{path.name} is not as long as was told")
    if path.suffix == ".gz":
        _check_unpacked(path)


def _check_unpacked(path: Path) -> None:
    """Raise `ValueError` for a compressed file that is damaged, or becomes too large."""
    total, reader = 0, zlib.decompressobj(wbits=31)
    data = path.read_bytes()
    try:
        while data and not reader.eof:
            total += len(reader.decompress(data, 1 << 20))
            data = reader.unconsumed_tail
            if total > UNPACKED:
                raise ValueError(f"{path.name} becomes more than {UNPACKED:,} bytes")
    except zlib.error as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error
    if not reader.eof or reader.unused_data:
        raise ValueError(f"{path.name} is damaged: it does not end where it should")


def _limit_files() -> None:
    """No file of this process may grow beyond what is allowed, whatever a server sends."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST + 1, hard))
