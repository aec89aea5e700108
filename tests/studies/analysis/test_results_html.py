"""What notebooks show of a study."""

import re
from collections.abc import Callable
from pathlib import Path

from saccade.studies.analysis.summary import summarise
from saccade.studies.config.study import Case, StudyConfig

MakeRun = Callable[..., Path]
EVIL = "<script>alert(1)</script>&\"'"


def test_a_summary_is_a_line(config: StudyConfig, made_run: MakeRun) -> None:
    text = repr(summarise(made_run(config, units=2)))
    assert text == "Summary('made-up', 'embedded/llada-v', 2 cases, 2 tasks, 2 of 6 units)"


def test_a_notebook_shows_every_row_as_text(config: StudyConfig, made_run: MakeRun) -> None:
    cases = (Case(name="none"), Case(name=EVIL))
    summary = summarise(made_run(config.model_copy(update={"cases": cases, "name": EVIL})))
    source = summary._repr_html_()
    assert "<script" not in source and source.count("<tr>") == 1 + len(summary.rows())
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", source)
    assert cells[:8] == ["yesno", "none", "1.000", "100.0%", "1.00", "1.00", "4.0", "100%"]


def test_a_run_without_records_is_shown(config: StudyConfig, made_run: MakeRun) -> None:
    summary = summarise(made_run(config, units=0))
    assert "0 of 6 units" in repr(summary) and "<tbody></tbody>" in summary._repr_html_()
