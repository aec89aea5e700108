"""The files of a run's units, as they lie."""

from pathlib import Path


def unit_files(folder: Path) -> list[Path]:
    return sorted((folder / "units").glob("*.jsonl"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in unit_files(folder)}


def lines(folder: Path) -> list[str]:
    return [line for path in unit_files(folder) for line in path.read_text("utf-8").splitlines()]
