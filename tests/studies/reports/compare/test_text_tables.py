"""The report for papers: the same tables as Markdown, LaTeX and CSV."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.reports.compare.sources import read_sources
from saccade.studies.reports.compare.text_tables import comparison_text, latex_table
from saccade.studies.reports.table import Cell, Column, Table
from saccade.studies.runs.record import Record

MakeRun = Callable[..., Path]
ODD = "a|b\n50 % & $x_1$ <i>"


def fast(record: Record) -> Record:
    return replace(record, seconds=0.3 if record.case == ODD else 0.7 + 0.01 * record.unit)


@pytest.fixture
def folder(config: StudyConfig, made_run: MakeRun) -> Path:
    half = Case(name=ODD, policy="after_share(share=0.5, keep=0.25)", pruner="random")
    return made_run(config.model_copy(update={"cases": (Case(name="none"), half)}), fast)


def test_csv_has_full_precision(folder: Path) -> None:
    sources = read_sources([folder])
    rows = list(csv.DictReader(io.StringIO(comparison_text(sources, "csv"))))
    told = sources.summaries[0].rows()
    assert [row["case"] for row in rows] == [row["case"] for row in told]
    assert [float(row["speedup"]) for row in rows] == [row["speedup"] for row in told]
    assert {row["gen_length"] for row in rows} == {"2", "16"}


def test_markdown_keeps_a_row_in_a_line(folder: Path) -> None:
    text = comparison_text(read_sources([folder]), "md")
    assert text.startswith("Short answers") and "<i>" not in text.replace(r"\<i\>", "")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert sum("a\\|b 50 % &" in line for line in tables) >= 5
    assert all(line.endswith("|") for line in tables)


def test_latex_escapes_every_character() -> None:
    names = [("\\{}%&_#$~^<>±†·", 1)]
    text = latex_table(Table.of("", "case", [Column("x", lambda row: Cell(str(row)))], names))
    row = text.splitlines()[4]
    wanted = (
        r"\textbackslash{}\{\}\%\&\_\#\$\textasciitilde{}\textasciicircum{}$<$$>$$\pm$$\dagger$$"
        r"\cdot$ & 1 \\"
    )
    assert row == wanted
    assert text.startswith(r"\begin{tabular}{lr}") and text.endswith(r"\end{tabular}")
