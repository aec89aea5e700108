"""The summary of a run as tables for the terminal, at most 100 columns wide."""

from collections.abc import Sequence
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saccade.studies.analysis.summary import Row, Summary

WIDTH = 100


INTERVALS = 68
"""Columns of a console that leave room for the intervals of speed-ups."""
_NARROWEST = {"projected": 96, "ideal": 76}
"""Columns of a console that leave the cases' names room beside these columns of the table."""


def render(summary: Summary, console: Console, *, work: bool = False) -> None:
    """Print one table per task, and what its columns mean.

    Parameters
    ----------
    summary : Summary
    console : rich.console.Console
        Narrower ones get folded names, and fewer columns.
    work : bool
        Also print what each answer took: seconds, visual tokens, multiply-accumulates.
    """
    width = min(console.width, WIDTH)
    console.print(Text(heading(summary), style="bold"), width=width)
    rows = summary.rows()
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        console.print(_table(task, own, summary.config.baseline, width), width=width)
        committed = committed_note(own)
        if committed:
            console.print(Text(committed, style="dim"), width=width)
    console.print(Text(_LEGEND, style="dim"), width=width)
    if work:
        console.print(_work(rows, summary.config.baseline), width=width)
        console.print(Text(_WORK_LEGEND, style="dim"), width=width)


def heading(summary: Summary) -> str:
    """Name, model and size of the study, and how much of it there is."""
    config = summary.config
    seeds = f" and seed, {len(config.seeds)} seeds" if config.seeds else ""
    size = f"{config.name}: {config.model}, {config.samples} samples per task{seeds}"
    if summary.finished:
        return size
    return f"{size} (unfinished: {summary.done} of {summary.total} units)"


def committed_note(rows: Sequence[Row]) -> str:
    """What the stored evaluation says about the baseline of one task; empty if it says nothing."""
    for row in rows:
        if row["score_committed"] is not None:
            return (
                f"Stored evaluation of {row['case']}: {number(row['score_committed_same'], 3)} on "
                f"these samples, {number(row['score_committed'], 3)} on all of its own."
            )
    return ""


def number(value: float | None, digits: int, suffix: str = "") -> str:
    """A value with so many decimals; a dash where it is not defined."""
    return "-" if value is None else f"{value:.{digits}f}{suffix}"


def percent(value: float | None, digits: int = 0) -> str:
    """A share as a percentage; a dash where it is not defined."""
    return number(None if value is None else 100 * value, digits, " %")


def interval(row: Row) -> str:
    """The interval of the measured speed-up; empty for a single batch and for the baseline."""
    low, high = row["speedup_low"], row["speedup_high"]
    return "" if low is None or low == high else f" [{low:.2f}, {high:.2f}]"


_LEGEND = (
    "Score: mean and standard error. Speed-up: time of the baseline over that of the case, "
    "preparation included, paired by batch, with its 95 % interval. Ideal: the same of "
    "multiply-accumulates. Projected: counted for the decoder at the published size of LLaDA-V, "
    "where no cache is read. "
    "Visual: share of the visual tokens that the answer could attend to, over all layers and steps."
)
_WORK_LEGEND = (
    "Seconds of a batch divided by its samples, preparation included; visual tokens that the "
    "answer could attend to, summed over layers and steps; billions of multiply-accumulates, "
    "counted exactly and by the paper's formula."
)


def _table(task: str, rows: Sequence[Row], baseline: str, width: int) -> Table:
    table = titled(f"{task} (n = {rows[0]['n']})")
    shown = {name: name for name in ("score", "relative", "speed-up", "ideal", "projected")}
    shown["relative"] = f"vs {baseline}" if len(baseline) <= 8 else "relative"
    for name, narrowest in _NARROWEST.items():
        if width < narrowest:
            del shown[name]
    shown["visual"] = "visual"
    for name, title in shown.items():
        # On the left the numbers stand below each other, whether an interval follows or not.
        justify: Literal["left", "right"] = "left" if name == "speed-up" else "right"
        padded = f" {title}" if name == "speed-up" else title
        table.add_column(Text(padded), justify=justify, no_wrap=True)
    for row in rows:
        cells = _cells(row, with_interval=width >= INTERVALS)
        style = "bold" if row["case"] == baseline else None
        table.add_row(Text(row["case"]), *(cells[name] for name in shown), style=style)
    return table


def titled(title: str) -> Table:
    """A table without columns but that of the cases."""
    text = Text(title, style="bold")
    table = Table(title=text, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("case", overflow="fold", ratio=1, min_width=12)
    return table


def _cells(row: Row, with_interval: bool) -> dict[str, Text]:
    se = "" if row["score_se"] is None else f" ± {row['score_se']:.3f}"
    spread = interval(row) if with_interval else ""
    cells = {
        "score": f"{row['score']:.3f}{se}",
        "relative": percent(row["score_relative"], 1),
        "speed-up": number(row["speedup"], 2).rjust(5) + spread,
        "ideal": number(row["speedup_ideal"], 2),
        "projected": number(row["speedup_projected"], 2),
        "visual": percent(row["visual_tokens_ratio"]),
    }
    # Text, as names may hold what rich would take for markup.
    return {name: Text(cell) for name, cell in cells.items()}


def _work(rows: Sequence[Row], baseline: str) -> Table:
    """What each answer took: one row per task and case."""
    table = titled("work per sample")
    table.columns[0].header = "task, case"
    for title in ("seconds", "visual tokens", "GMAC", "GMAC, paper"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            Text(f"{row['task']}, {row['case']}"),
            number(row["seconds_per_sample"], 3),
            f"{row['visual_tokens']:,.0f}",
            number(row["macs"] / 1e9, 2),
            number(row["macs_paper"] / 1e9, 2),
            style="bold" if row["case"] == baseline else None,
        )
    return table
