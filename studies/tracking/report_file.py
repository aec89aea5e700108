"""The file of a wandb Report that is written beside runs, and sent with them or later."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from saccade.studies.tracking.report_definition import ReportDefinition, Text, Value

REPORT = Path("wandb") / "report.json"
"""From the folder of results on."""
LARGEST = 16 << 20
"""Bytes that it may have."""


class Published(Value):
    """What was sent to a server, by the hash of the definition."""

    server: Text
    id: Text
    url: Text
    digest: Text


class StoredReport(Value):
    """A wandb Report that waits, or was sent.

    Attributes
    ----------
    entity, project : str
        As ``--wandb`` was given them; without an entity it is that of the credentials.
    folders : tuple of str
        Folders of results whose runs it shows, seen from its own.
    """

    version: Literal[1] = 1
    entity: Text | None
    project: Annotated[str, Field(min_length=1, max_length=128)]
    folders: Annotated[tuple[Text, ...], Field(max_length=10_000)]
    definition: ReportDefinition
    published: Published | None = None


def store_report(
    folder: Path,
    definition: ReportDefinition,
    entity: str | None,
    project: str,
    folders: Sequence[Path],
) -> None:
    """Write the file of a Report; that it was sent before, to the same project, is kept.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    seen = tuple(os.path.relpath(own, folder) for own in folders)
    made = StoredReport(entity=entity, project=project, folders=seen, definition=definition)
    try:
        before = read_report(folder)
    except ValueError:  # damaged: nothing that could be lost
        before = None
    if before is not None and _place(before) == _place(made):
        made = made.model_copy(update={"published": before.published})
    write_report_file(folder, made)


def write_report_file(folder: Path, stored: StoredReport) -> None:
    """Write the file as a whole; `OSError` if that is not possible."""
    path = folder / REPORT
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(stored.model_dump_json(indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def read_report(folder: Path) -> StoredReport | None:
    """The Report of a folder; None without one.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    path = folder / REPORT
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        return StoredReport.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        again = "saccade report RUN --wandb writes it anew"
        raise ValueError(f"{path} is damaged: {error}; {again}") from error


def _place(stored: StoredReport) -> tuple[str, str | None, str]:
    return stored.definition.key, stored.entity, stored.project
