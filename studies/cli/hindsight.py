"""``saccade study hindsight``: how near a study's cases come to what hindsight could choose."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from saccade.studies.cli.consoles import emit, note, out


def hindsight(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="Folder of a study's results.")],
    fixed: Annotated[str, Option(help="Group of cases that are fixed schedules.")] = "fixed",
    against: Annotated[
        str, Option(help="Group of cases whose front the others are compared with.")
    ] = "default",
    max_drop: Annotated[str, Option(help="Share of the score that may be lost.")] = "1%",
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look back on a study: the upper limit of its cases, and how near each comes.

    The limit is an oracle: for each sample it takes the cheapest of all cases that scores no less
    than the unpruned model does. Cases are told how much of the way from the best fixed schedule to
    it they go, and groups of cases what their front dominates.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of results at {folder}")
    from saccade.studies.analysis.hindsight import look_back
    from saccade.studies.analysis.summary import summarise_all
    from saccade.studies.config.tuning import parse_share
    from saccade.studies.reports.hindsight_table import hindsight_group
    from saccade.studies.reports.terminal import print_group

    allowed = parse_share(max_drop)
    found = {}
    for summary in summarise_all(folder):
        if not summary.finished:
            note(f"{summary.config.model}: {summary.done} of {summary.total} units so far")
        found[summary.config.model] = look_back(summary, fixed, against, allowed)
    if as_json:
        emit({model: [task.plain() for task in tasks] for model, tasks in found.items()})
        return
    for model, tasks in found.items():
        print_group(hindsight_group(tasks, model, allowed), out())
