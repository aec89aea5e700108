"""A study's results in the terminal."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from saccade.studies.analysis.methods import has_methods, methods_of
from saccade.studies.analysis.summary import Summary
from saccade.studies.reports.methods_table import methods_group
from saccade.studies.reports.overview import overview_groups
from saccade.studies.reports.results_table import RESULTS, WORK, heading, results_table
from saccade.studies.reports.table import WIDTH
from saccade.studies.reports.terminal import print_group, print_notes, print_table


def print_results(summary: Summary, console: Console, *, work: bool = False) -> None:
    """Print a table per task and what its columns mean; with `work` also what each answer took."""
    _print_heading(summary, console)
    table = results_table(summary, RESULTS)
    for own in table.apart():
        print_table(own, console)
    print_notes(table.helps(), console)
    if work:
        table = results_table(summary, WORK)
        print_table(replace(table, title="Work per sample"), console)
        print_notes(table.helps(), console)


def print_methods(summary: Summary, console: Console) -> None:
    """Print the table of a study's methods, if it is about methods."""
    if has_methods(summary):
        _print_heading(summary, console)
        print_group(methods_group(methods_of(summary)), console)


def print_overview(summaries: Sequence[Summary], console: Console) -> None:
    """Print tables of cases by tasks, one per model: first of scores, then of speed-ups."""
    for group in overview_groups(summaries):
        print_group(group, console)


def _print_heading(summary: Summary, console: Console) -> None:
    console.print(Text(heading(summary), style="bold"), width=min(console.width, WIDTH))
