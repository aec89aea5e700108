"""Samples side by side, as a section of a page that needs nothing but itself."""

from collections.abc import Sequence

from saccade.controller.errors import StudyError
from saccade.studies.analysis.summary import Summary
from saccade.studies.reports.pages import render_page
from saccade.studies.reports.samples.entries import ALL, Entries, Progress, interned
from saccade.studies.reports.samples.pairs import choose, count_kinds, pairs_of


def samples_html(
    summaries: Sequence[Summary],
    n: int,
    baseline: str | None = None,
    progress: Progress | None = None,
) -> str:
    """A section with answers of cases beside those of the baseline, to go through one by one.

    It has its own style, script and data, and uses the colours of ``page.css``; a page can hold it
    once. Answers and scores are those of the records. Pictures are drawn again and, where the model
    is at hand, the same answer is given again to show its steps; what differs or is missing is said
    at each sample.

    Parameters
    ----------
    summaries : sequence of Summary
    n : int
        Samples in all; but one of each kind that exists is always there. 0: no section, "". Those
        beyond what a page has room for (`ALL`) are left out, and the section says how many.
    baseline : str, optional
        Case that the others are compared with, in runs that have it; else the study's own.
    progress : callable, optional
        ``progress(done, total, label)``.

    Raises
    ------
    StudyError
        If `n` is negative.
    """
    if n < 0:
        raise StudyError(f"samples={n}: must be 0 or more")
    if n == 0:
        return ""
    pairs = list(pairs_of(summaries, baseline))
    entries = Entries(summaries, ALL)
    chosen = choose(pairs, n)
    names, samples = interned(entries.all(chosen, progress))
    data = {
        "names": names,
        "pictures": entries.pictures,
        "places": entries.places,
        "samples": samples,
    }
    counts = count_kinds(pairs)
    return render_page(
        "samples.html.j2",
        data=data,
        counts=counts,
        total=len(pairs),
        left_out=len(chosen) - len(samples),
    )
