"""A page with nothing but samples side by side."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from saccade.studies.analysis.summary import summarise_all
from saccade.studies.reports.pages import render_page, write_page
from saccade.studies.reports.samples.entries import Progress
from saccade.studies.reports.samples.section import samples_html


def write_samples_page(
    folders: Sequence[str | Path],
    path: str | Path,
    n: int = 24,
    baseline: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the samples of studies as a page of its own.

    Parameters
    ----------
    folders : sequence of Path
        Of the studies.
    path : Path
    n, baseline, progress
        As for `samples_html`.

    Raises
    ------
    StudyError
        If a folder holds no run, or a damaged one, or the page cannot be written.
    """
    summaries = [summary for folder in folders for summary in summarise_all(folder)]
    section = Markup(samples_html(summaries, n, baseline, progress))
    title = ", ".join(dict.fromkeys(summary.config.name for summary in summaries))
    page = render_page("samples_page.html.j2", title=title, section=section)
    write_page(page, path, "page of samples")
