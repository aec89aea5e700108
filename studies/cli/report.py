"""``saccade report``: one page about anything that was measured."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from saccade.studies.cli.consoles import err, note, out
from saccade.studies.cli.inputs import check_output
from saccade.studies.cli.progress import Steps
from saccade.studies.cli.typed_command import typed_command

FORMATS = ("html", "md", "csv", "latex")


def report(
    runs: Annotated[
        list[Path],
        Argument(
            metavar="RUN...",
            help="Folders of studies and searches, files of saccade bench --json, presets; or "
            "folders of such.",
        ),
    ],
    path: Annotated[
        Path | None,
        Option(
            "--out", "-o", help="File to write. Default: report.html; other formats are printed."
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        Option(
            metavar="CASE", help="Pair every case with this one. Default: each study's baseline."
        ),
    ] = None,
    samples: Annotated[
        int, Option(metavar="N", help="Samples that are shown side by side.", min=0)
    ] = 24,
    form: Annotated[str, Option("--format", help="html, or tables as md, csv or latex.")] = "html",
) -> None:
    """Write one page about studies, searches, benches and presets, in any mix.

    The page needs nothing but itself. It begins with the best setting of each class of tasks and
    its cost; what is missing, unpaired or of different recipes is said before anything else. Every
    case is paired with the baseline on the same samples, with an interval over pictures and an
    exact test.
    """
    from saccade.controller.names import not_allowed

    if form not in FORMATS:
        raise ValueError(not_allowed("--format", form, FORMATS))
    target = Path("report.html") if path is None and form == "html" else path
    if target is not None:
        check_output(target)
    from saccade.studies.reports.compare.page import write_comparison
    from saccade.studies.reports.compare.sources import read_sources
    from saccade.studies.reports.compare.text_tables import comparison_text
    from saccade.studies.reports.pages import write_page
    from saccade.studies.reports.samples.section import samples_html

    sources = read_sources(runs)
    for problem in sources.problems:
        note(problem)
    if form == "html" and target is not None:
        with Steps(err()) as bar:
            write_comparison(
                sources,
                target,
                baseline=baseline,
                n_samples=samples,
                samples=samples_html,
                command=typed_command(),
                progress=bar.update,
            )
        note(f"report written to {target}")
        return
    text = comparison_text(sources, form, baseline)
    if target is None:
        out().out(text, end="", highlight=False)
    else:
        write_page(text, target, "report")
        note(f"report written to {target}")
