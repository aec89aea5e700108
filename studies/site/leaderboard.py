"""The leaderboard: every committed study's cases in one order, from its summaries."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from saccade.controller.errors import StudyError
from saccade.studies.site.markdown import as_text, table

KEEPS = 0.98
"""Share of the unpruned score that a case has to keep on its worst task to be ranked by work."""
SHOWN = 10
"""Cases of a model that are shown before one asks for more."""
PERCENT = "\u00a0%"
NEEDED = (
    "case",
    "backbone",
    "task",
    "n",
    "score_relative",
    "speedup",
    "speedup_ideal",
    "speedup_projected",
    "visual_tokens_ratio",
)
HEADINGS = ("", "case", "score kept", "worst task", "ideal", "measured", "projected", "visual")
INTRO = f"""---
hide: [navigation]
---

# Leaderboard

Made from the summaries in `studies/results/` when the site is built; `saccade study show FOLDER`
shows any of them in full, with intervals. All models here are the small embedded ones: orders may
differ at published sizes.

**Order.** First come the cases that keep at least {100 * KEEPS:.0f} % of the unpruned model's score
on each of their tasks, those with the least work first; then the others, by what they keep on their
worst task.

| column | what |
|---|---|
| score kept | score relative to the unpruned model's on the same samples, mean over the tasks |
| worst task | the task with the least of it |
| ideal | unpruned over own exact multiply-accumulates, geometric mean over the tasks |
| measured | the same of times, on the machine that the study's recipe names |
| projected | the same priced at the published size, where that is defined for all tasks |
| visual | share of the visual tokens that the answer could attend to, mean over the tasks |

Studies asked other samples and other tasks, so figures of two of them do not compare.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A case of a model in one study.

    Attributes
    ----------
    case : str
    tasks : tuple of str
    kept, worst : float
        Score relative to the baseline's: mean over the tasks, and the least.
    worst_task : str
    ideal, measured, projected : float
        Geometric means of speed-ups over the tasks; NaN where one is not defined.
    visual : float
        Share of visual tokens, mean over the tasks.
    baseline : bool
    """

    case: str
    tasks: tuple[str, ...]
    kept: float
    worst: float
    worst_task: str
    ideal: float
    measured: float
    projected: float
    visual: float
    baseline: bool

    @property
    def rank(self) -> tuple[bool, float]:
        """What entries are sorted by."""
        keeps = self.worst >= KEEPS
        return not keeps, -self.ideal if keeps else -self.worst


@dataclass(frozen=True, slots=True)
class Board:
    """The entries of one model in one study, best first.

    Attributes
    ----------
    study, model : str
    samples : int
        Most samples of any task.
    tasks : tuple of str
    entries : tuple of Entry
    """

    study: str
    model: str
    samples: int
    tasks: tuple[str, ...]
    entries: tuple[Entry, ...]

    @property
    def best(self) -> Entry:
        return self.entries[0]


def leaderboard_page(results: Path, configs: Path) -> str:
    """The page, as Markdown.

    Parameters
    ----------
    results : Path
        Folder of studies, each with ``summary.csv`` or several ``*.summary.csv``.
    configs : Path
        Folder of their YAML files, whose first comment says what they are about.

    Raises
    ------
    StudyError
        If there is no summary, or one lacks a column.
    """
    studies = {folder.name: boards_of(folder) for folder in sorted(results.iterdir())}
    found = {name: boards for name, boards in studies.items() if boards}
    if not found:
        raise StudyError(f"no summaries in {results}; give the folder of committed results")
    every = [board for boards in found.values() for board in boards]
    parts = [INTRO, "## The first of each study\n", _overview(every)]
    for name, boards in found.items():
        parts.append(f"## {as_text(name)}\n")
        parts += _about(name, results / name, configs / f"{name}.yaml")
        parts += [_board(board) for board in boards]
    return "\n\n".join(parts) + "\n"


def boards_of(folder: Path) -> list[Board]:
    """The boards of a study, one per model; none for a folder without summaries.

    Raises
    ------
    StudyError
        If a summary cannot be read or lacks a column.
    """
    boards = []
    for path in sorted([*folder.glob("summary.csv"), *folder.glob("*.summary.csv")]):
        try:
            frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
        except (OSError, ValueError) as error:
            raise StudyError(f"{path} cannot be read: {error}") from error
        if missing := [name for name in NEEDED if name not in frame]:
            raise StudyError(f"{path} has no column {missing[0]}: write it again, by study run")
        for model, own in frame.groupby("backbone", sort=False):
            boards.append(_board_of(folder.name, str(model), own))
    return boards


def _board_of(study: str, model: str, frame: pd.DataFrame) -> Board:
    entries = [
        _entry(str(case), own.to_dict("records")) for case, own in frame.groupby("case", sort=False)
    ]
    ranked = sorted((e for e in entries if not math.isnan(e.kept)), key=lambda e: e.rank)
    tasks = tuple(dict.fromkeys(map(str, frame["task"])))
    return Board(study, model, int(frame["n"].max()), tasks, tuple(ranked))


def _entry(case: str, rows: Sequence[Mapping[Any, Any]]) -> Entry:
    kept = {str(row["task"]): float(row["score_relative"]) for row in rows}
    worst = min(kept, key=lambda task: (math.isnan(kept[task]), kept[task]))
    ideal, measured, projected = (
        _geometric([float(row[name]) for row in rows])
        for name in ("speedup_ideal", "speedup", "speedup_projected")
    )
    visual = sum(float(row["visual_tokens_ratio"]) for row in rows) / len(rows)
    # only a baseline is exactly as fast as itself
    own = all(row["speedup"] == row["speedup_ideal"] == 1 for row in rows)
    mean = sum(kept.values()) / len(kept)
    return Entry(
        case, tuple(kept), mean, kept[worst], worst, ideal, measured, projected, visual, own
    )


def _geometric(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def _overview(boards: Sequence[Board]) -> str:
    rows = [
        (
            f"[{as_text(board.study)}](#{board.study})",
            as_text(board.model),
            _name(board.best),
            *_figures(board.best),
        )
        for board in boards
    ]
    return table(("study", "model", *HEADINGS[1:]), rows, texts=3)


def _board(board: Board) -> str:
    """A model's table; of many cases the rest is folded."""
    sizes = f"{len(board.entries)} cases, up to {board.samples} samples of each task"
    title = f"### {as_text(board.model)} {{ #{board.study}-{board.model.replace('/', '-')} }}"
    rows = [_line(i, entry, board) for i, entry in enumerate(board.entries, 1)]
    parts = [title, f"{sizes}: {', '.join(map(as_text, board.tasks))}.", _table(rows[:SHOWN])]
    if rest := rows[SHOWN:]:
        folded = _table(rest).replace("\n", "\n    ")
        parts.append(f'??? note "The other {len(rest)} cases"\n\n    {folded}')
    return "\n\n".join(parts)


def _table(rows: Sequence[Sequence[str]]) -> str:
    return table(HEADINGS, rows, texts=2)


def _line(place: int, entry: Entry, board: Board) -> tuple[str, ...]:
    name = _name(entry)
    if len(entry.tasks) < len(board.tasks):
        name += f" ({', '.join(map(as_text, entry.tasks))} alone)"
    return (str(place), name, *_figures(entry))


def _name(entry: Entry) -> str:
    """A case's name: strong where it keeps enough."""
    name = as_text(entry.case)
    if entry.baseline:
        return f"*{name}* (unpruned)"
    return f"**{name}**" if entry.worst >= KEEPS else name


def _figures(entry: Entry) -> tuple[str, ...]:
    return (
        _number(100 * entry.kept, 1, PERCENT),
        f"{as_text(entry.worst_task)} {_number(100 * entry.worst, 1, PERCENT)}",
        _number(entry.ideal, 2),
        _number(entry.measured, 2),
        _number(entry.projected, 2),
        _number(100 * entry.visual, 0, PERCENT),
    )


def _number(value: float, digits: int, unit: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}{unit}"


def _about(name: str, folder: Path, config: Path) -> Iterator[str]:
    """What a study is about, and where it ran."""
    if said := _first_comment(config):
        yield as_text(said)
    if (told := folder / "README.md").exists():
        yield _told(told)
    machines = sorted({machine for path in folder.rglob("*recipe.json") if (machine := _on(path))})
    ran = f"Ran on {as_text('; '.join(machines))}. " if machines else ""
    yield f"{ran}In full: `saccade study show studies/results/{name}`."


def _first_comment(path: Path) -> str:
    """The comment that a study's file begins with."""
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.removeprefix("#").strip() for line in lines[:count])


def _told(path: Path) -> str:
    """What a folder's README says, without its heading and its commands."""
    paragraphs = path.read_text(encoding="utf-8").split("\n\n")[1:]
    kept = [" ".join(one.split()) for one in paragraphs if not one.startswith("```")]
    # what ends with a colon leads to commands
    told = [re.sub(r"(?<=[.;]) [^.;]+:$", "", one) for one in kept]
    return "\n\n".join(f"> {one}" for one in told)


def _on(path: Path) -> str:
    """The hardware that a recipe names."""
    try:
        hardware = json.loads(path.read_text(encoding="utf-8"))["hardware"]
        threads = hardware["threads"]
        some = f"{threads} thread{'s' if threads > 1 else ''}"
        return f"{hardware['gpu'] or hardware['cpu']}, {some}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{path} names no hardware: {error}") from error
