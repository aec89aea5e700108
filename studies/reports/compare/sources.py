"""What a report is made from: which kind each path is, and what is read of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.controller.errors import SaccadeError, StudyError
from saccade.controller.preset import Preset
from saccade.controller.preset_files import FILE
from saccade.studies.analysis.summary import Summary, summarise
from saccade.studies.reports.compare.plain_files import json_file, search_history
from saccade.studies.runs.model_folders import MODELS, run_folders, waiting_models
from saccade.studies.runs.records import RECIPE, has_records
from saccade.studies.runs.tune import CONFIG, RESULT

if TYPE_CHECKING:
    from optuna import Study

DEEPEST = 5
"""Folders inside each other that are searched for results."""
ALLOWED = (
    "a folder of a study or of a search, a file of saccade bench --json, a preset, or a folder of "
    "such"
)
NO_RECORDS = "it has a recipe, but no records"
BENCH = ({"speedup", "speedup_ideal"}, {"measured", "share"})
"""Fields that tell what a bench has written."""


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A search: its folder, `result` (None: unfinished), preset, and trials if they are there."""

    path: Path
    config: Mapping[str, Any]
    result: Mapping[str, Any] | None
    preset: Preset | None
    study: "Study | None"

    @property
    def name(self) -> str:
        """What it searched for, and on which model."""
        own = self.config if self.result is None else self.result
        return f"{own.get('task') or 'a benchmark'} · {own.get('model')}"


@dataclass(frozen=True, slots=True)
class BenchFile:
    """What ``saccade bench --json`` has written."""

    path: Path
    rows: tuple[Mapping[str, Any], ...]


@dataclass(slots=True, eq=False)
class Sources:
    """Everything that was read, in the order given.

    ``problems`` says what is missing or was passed over.
    """

    runs: list[tuple[Path, Summary]] = field(default_factory=list)
    searches: list[Search] = field(default_factory=list)
    benches: list[BenchFile] = field(default_factory=list)
    presets: list[tuple[Path, Preset]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.runs) + len(self.searches) + len(self.benches) + len(self.presets)

    @property
    def summaries(self) -> list[Summary]:
        """Of all runs."""
        return [summary for _, summary in self.runs]


def read_sources(paths: Sequence[Path]) -> Sources:
    """Read results of any kind; of a folder that is none itself, what lies in it.

    Raises
    ------
    FileNotFoundError
        If there is nothing at a path.
    StudyError
        If a path holds nothing that can be shown, or what is given by name is damaged.
    """
    sources, seen = Sources(), set[Path]()
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"no results at {path}; give {ALLOWED}")
        before = len(sources)
        known = path.resolve() in seen
        if not _read(path, sources, seen):
            _read_inside(path, sources, seen)
        if len(sources) == before and not known:
            passed = [*sources.problems, *([NO_RECORDS] if _is_training(path) else [])]
            why = f" ({'; '.join(passed)})" if passed else ""
            raise StudyError(f"nothing to show in {path}{why}; give {ALLOWED}")
    return sources


def is_result(path: Path) -> bool:
    """Whether a path is a result itself."""
    return path.exists() and _reader(path) is not None


def _read(path: Path, sources: Sources, seen: set[Path]) -> bool:
    """Read a path if it is a result, and say whether it is one."""
    if path.resolve() in seen:
        return True
    reader = _reader(path)
    if reader is None:
        return False
    reader(path, sources)
    seen.add(path.resolve())
    return True


def _reader(path: Path) -> Any:
    """What reads a path; None if it is no result."""
    if path.is_dir():
        if (path / MODELS).is_file() or ((path / RECIPE).is_file() and not _is_training(path)):
            return _read_study
        if (path / CONFIG).is_file() or (path / RESULT).is_file():
            return _read_search
        return _read_preset if (path / FILE).is_file() else None
    if path.suffix not in (".json", ".jsonl"):
        return None
    content = json_file(path)
    if isinstance(content, dict) and {"schema", "policy", "backbone"} <= content.keys():
        return _read_preset
    return _read_bench if _bench_rows(content) else None


def _read_inside(folder: Path, sources: Sources, seen: set[Path]) -> None:
    """Read the results in a folder; what is none, or damaged, is passed over and named."""
    for path in _walk(folder, DEEPEST):
        if any(above in seen for above in path.resolve().parents):
            continue
        try:
            _read(path, sources, seen)
        except (SaccadeError, OSError, ValueError) as error:
            sources.problems.append(f"{path} is left out: {error}")
            seen.add(path.resolve())


def _walk(folder: Path, deepest: int) -> Iterator[Path]:
    """Folders and files in a folder, each before what is in it; links are not followed, and what
    wandb has copied is left."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.name == "wandb" and path.is_dir():
            continue
        yield path
        if deepest > 1 and path.is_dir() and not path.is_symlink():
            yield from _walk(path, deepest - 1)


def _read_study(folder: Path, sources: Sources) -> None:
    own = run_folders(folder)
    sources.runs += [(run, summarise(run)) for run in own]
    if waiting := waiting_models(folder):
        sources.problems.append(f"{folder}: not begun yet: {', '.join(waiting)}")


def _is_training(folder: Path) -> bool:
    """Whether a recipe is none of a study: other records than a run's lie beside it."""
    recipe = (folder / RECIPE).is_file()
    return recipe and not has_records(folder) and any(folder.glob("*.jsonl"))


def _read_search(folder: Path, sources: Sources) -> None:
    result, config = json_file(folder / RESULT), json_file(folder / CONFIG)
    told = config.get("config") if isinstance(config, dict) else None
    if not isinstance(result, dict) and not isinstance(told, dict):
        raise StudyError(f"{folder}: {RESULT} or {CONFIG} is damaged; search again")
    if isinstance(result, dict):
        _check_result(folder, result)
    preset = None
    if (folder / FILE).is_file():
        preset = Preset.read(folder)
    study = None
    try:
        study = search_history(folder)
    except (SaccadeError, OSError, ValueError, ImportError) as error:
        sources.problems.append(f"the trials of {folder} are not shown: {error}")
    sources.searches.append(
        Search(
            folder,
            told if isinstance(told, dict) else {},
            result if isinstance(result, dict) else None,
            preset,
            study,
        )
    )


FRONT = ("number", "name", "policy", "pruner", "score", "bare", "cost", "changed", "feasible")
TESTED = ("ideal", "test_score", "test_relative", "test_ideal")
"""Fields of a search's front that the report reads."""


def _check_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Raise `StudyError` if a search's result lacks what is read of it."""
    rows = result.get("front")
    listed = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    lacks = [name for name in ("task", "model", "sentence", "bare_score") if name not in result]
    lacks += [] if listed and isinstance(result.get("chosen"), dict) else ["front"]
    own = rows if listed and isinstance(rows, list) else []
    lacks += [name for name in (*FRONT, *TESTED) if any(name not in row for row in own)]
    if lacks:
        raise StudyError(f"{folder / RESULT} lacks {', '.join(lacks)}; search again")


def _read_preset(path: Path, sources: Sources) -> None:
    sources.presets.append((path, Preset.read(path)))


def _read_bench(path: Path, sources: Sources) -> None:
    sources.benches.append(BenchFile(path, tuple(_bench_rows(json_file(path)))))


def _bench_rows(content: Any) -> list[dict[str, Any]]:
    """The rows of a bench's file; none if it is another file."""
    if not isinstance(content, list) or not content:
        return []
    fits = (isinstance(row, dict) and any(own <= row.keys() for own in BENCH) for row in content)
    return content if all(fits) else []
