"""The table for the terminal: narrow, complete, and free of markup from names."""

import io
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from saccade.studies.analysis import summary as module
from saccade.studies.analysis.summary import COLUMNS, summarise
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.reports.report import report_html
from saccade.studies.reports.results_table import results_table
from saccade.studies.reports.show import print_results
from saccade.studies.reports.table import to_csv
from saccade.studies.runs.record import Record

MakeRun = Callable[..., Path]


def rendered(folder: Path, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_results(summarise(folder), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def slower(record: Record) -> Record:
    """Times with a spread, so that speed-ups have an interval."""
    return replace(record, seconds=(2 if record.case == "none" else 1) + 0.1 * record.unit**2)


@pytest.mark.parametrize("width", [100, 140])
def test_fits_100_columns(config: StudyConfig, made_run: MakeRun, width: int) -> None:
    long = Case(name="a case with a name that is much too long for any table, and then some")
    named = config.model_copy(update={"cases": (*config.cases, long)})
    lines = rendered(made_run(named, slower), width)
    assert max(map(len, lines)) <= 100
    # Bad luck for the name, which is folded, but not for the numbers.
    assert sum("1.000 ± 0.000" in line for line in lines) == 6
    assert not any("…" in line for line in lines)


def test_shows_the_figures(config: StudyConfig, made_run: MakeRun) -> None:
    lines = rendered(made_run(config, slower))
    head = next(line for line in lines if "case" in line)
    names = ["case", "score", "vs", "none", "speed-up", "ideal", "projected", "steps", "visual"]
    assert head.split() == names
    row = summarise(made_run(config, slower)).rows()[1]
    low, high = row["speedup_low"], row["speedup_high"]
    expected = f"half 1.000 ± 0.000 100.0 % {row['speedup']:.2f} [{low:.2f}, {high:.2f}]"
    assert any(" ".join(line.split()).startswith(expected) for line in lines)
    assert [line for line in lines if line in config.tasks] == ["yesno", "code"]
    assert sum(line.startswith("5 samples in 3 units, ") for line in lines) == 2


def test_steps_are_those_that_were_taken(config: StudyConfig, made_run: MakeRun) -> None:
    def fewer(record: Record) -> Record:
        return replace(record, forwards=1 + record.sample % 2) if record.case == "half" else record

    summary = summarise(made_run(config, fewer))
    steps = {row["case"]: row["steps"] for row in results_table(summary).rows()}
    assert steps == {"none": 4.0, "half": pytest.approx(1.4)}
    page = report_html(summary).split("<h2>Results</h2>")[1]
    assert "<td>4.0</td>" in page and "<td>1.4</td>" in page


def test_names_are_not_markup(config: StudyConfig, made_run: MakeRun) -> None:
    named = config.model_copy(update={"cases": (Case(name="none"), Case(name="[red]a[/]"))})
    assert any("[red]a[/]" in line for line in rendered(made_run(named)))


def test_says_what_is_missing(config: StudyConfig, made_run: MakeRun) -> None:
    assert "(unfinished: 2 of 6 units)" in rendered(made_run(config, units=2))[0]
    assert "unfinished" not in rendered(made_run(config))[0]


def test_quotes_the_stored_evaluation(
    config: StudyConfig, made_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "embedded-llada-v").mkdir()
    line = '{"task": "yesno", "sample": 0, "score": 0.5}'
    (tmp_path / "embedded-llada-v" / "evaluation.jsonl").write_text(line)
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    text = "Stored evaluation of none: - on these samples, 0.500 on all of its own."
    assert rendered(made_run(config)).count(text) == 1


@pytest.mark.parametrize(
    ("width", "gone"), [(95, {"projected"}), (80, {"projected"}), (60, {"projected", "ideal"})]
)
def test_narrow_terminals_get_fewer_columns_and_whole_names(
    config: StudyConfig, made_run: MakeRun, width: int, gone: set[str]
) -> None:
    lines = rendered(made_run(config, slower), width)
    head = next(line for line in lines if "case" in line)
    shown = {"score", "speed-up", "ideal", "projected", "visual"} - gone
    assert shown <= set(head.split()) and not gone & set(head.split())
    assert max(map(len, lines)) <= width and not any("…" in line for line in lines)
    assert sum(line.lstrip().startswith("half ") for line in lines) == 2
    assert any("[" in line for line in lines) == (width > 68)


def test_the_work_of_every_case_can_be_shown(config: StudyConfig, made_run: MakeRun) -> None:
    run = made_run(config, slower)
    console = Console(file=io.StringIO(), width=100)
    print_results(summarise(run), console, work=True)
    assert isinstance(console.file, io.StringIO)
    row = summarise(run).rows()[1]
    wanted = f"half {row['seconds_per_sample']:.2f} s 4.0 {row['visual_tokens']:,.0f} "
    wanted += f"{row['macs'] / 1e9:.2f} {row['macs_paper'] / 1e9:.2f}"
    assert wanted in [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_csv_has_what_the_summary_says_in_full_precision(
    config: StudyConfig, made_run: MakeRun
) -> None:
    summary = summarise(made_run(config, slower))
    frame = pd.read_csv(io.StringIO(to_csv([results_table(summary)])))
    assert frame[["backbone", "task", "case"]].values.tolist() == [
        [config.model, task, case.name] for task in config.tasks for case in config.cases
    ]
    shown = [name for name in COLUMNS if name in frame.columns]
    assert len(shown) >= 13 and set(frame.columns) == set(shown)
    for mine, row in zip(frame.to_dict("records"), summary.rows(), strict=True):
        for name in shown:
            if row[name] is None:
                assert math.isnan(mine[name])
            elif name not in ("backbone", "task", "case"):
                assert mine[name] == pytest.approx(row[name], rel=1e-15)


def test_page_and_terminal_show_the_same_cells(config: StudyConfig, made_run: MakeRun) -> None:
    run = made_run(config, slower)
    page = re.sub(r"<[^>]*>", " ", report_html(summarise(run)).split("<h2>Results</h2>")[1])
    text = " ".join(page.split())
    for line in rendered(run, 200):
        if line.startswith(" half"):
            score, error, speedup, spread = re.findall(r"(\S+) (± \S+).* % +(\S+) (\[.*\])", line)[
                0
            ]
            assert f"{score} {error}" in text and f"{speedup} {spread}" in text
