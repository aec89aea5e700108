"""A report of many runs: what is folded, what comes first, and how runs are told apart."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from saccade.studies.config.study import StudyConfig
from saccade.studies.reports.compare.front import front_data, fronts_in_order
from saccade.studies.reports.compare.page import comparison_html
from saccade.studies.reports.compare.runs import make_runs
from saccade.studies.reports.compare.sources import Sources, read_sources
from saccade.studies.runs.record import Record
from tests.studies.conftest import write_run

N = 10


def fast(record: Record) -> Record:
    return replace(record, seconds=0.1 if record.case == "half" else 1.0, score=1.0)


def slow(record: Record) -> Record:
    return replace(record, seconds=1.0, score=1.0)


@pytest.fixture
def sources(config: StudyConfig, tmp_path: Path) -> Sources:
    """Ten runs of one model, of which only the last but one has a case that is faster."""
    for i in range(N):
        own = config.model_copy(update={"name": f"run {i}", "samples": 2})
        write_run(tmp_path / f"{i:02}", own, fast if i == N - 2 else slow)
    return read_sources([tmp_path])


def test_tables_and_fronts_of_many_runs_are_folded(sources: Sources) -> None:
    page = comparison_html(sources)
    for section in ("pairs", "results", "retention"):
        own = page[page.index(f'<section id="{section}">') :].partition("</section>")[0]
        assert own.count("<details>") == own.count('class="tool-table"') == N
    assert "<summary>2 more fronts" in page
    few = Sources(runs=sources.runs[:3])
    page = comparison_html(few)
    pairs = page[page.index('<section id="pairs">') :].partition("</section>")[0]
    assert "<details>" not in pairs and "more fronts" not in page


def test_the_front_that_the_lead_is_about_comes_first(sources: Sources) -> None:
    runs = make_runs(sources.runs)
    order = fronts_in_order(runs, sources)
    assert order[0] == N - 2 and sorted(order) == list(range(N))
    assert len(front_data(runs, [])["groups"]) == N
    assert re.findall(r'id="front-(\d+)"', comparison_html(sources)) == [str(i) for i in order]


def test_the_header_leads_to_every_section(sources: Sources) -> None:
    page = comparison_html(sources)
    links = re.findall(r'<a href="#([\w-]+)">', page)
    assert links == re.findall(r'<section id="([\w-]+)"', page)


def test_runs_of_one_name_are_told_apart_by_what_differs_of_their_paths(
    config: StudyConfig, tmp_path: Path
) -> None:
    for name in ("a/first", "second"):
        write_run(tmp_path / name, config, fast)
    labels = [run.label for run in make_runs(read_sources([tmp_path]).runs)]
    base = f"{config.name} · {config.model}"
    assert labels == [f"{base} · a/first", f"{base} · second"]


def test_folders_of_trainings_are_passed_over_in_silence(
    config: StudyConfig, tmp_path: Path
) -> None:
    write_run(tmp_path / "run", config, fast)
    training = tmp_path / "training"
    training.mkdir()
    (training / "recipe.json").write_text("{}")
    (training / "evaluation.jsonl").write_text('{"task": "yesno", "score": 1.0}\n')
    sources = read_sources([tmp_path])
    assert len(sources.runs) == 1 and sources.problems == []
