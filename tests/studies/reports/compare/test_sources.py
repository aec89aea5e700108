"""What a report is made from: any mix of paths, each read as what it is."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from saccade.controller.errors import StudyError
from saccade.studies.config.study import StudyConfig
from saccade.studies.reports.compare.page import comparison_html
from saccade.studies.reports.compare.sources import read_sources

MakeRun = Callable[..., Path]
ROOT = Path(__file__).parents[4]
RESULTS = ROOT / "studies" / "results"
PRESETS = ROOT / "controller" / "presets" / "embedded"


def test_benches_and_presets_are_told_apart() -> None:
    bench = RESULTS / "bench" / "entry.json"
    preset = PRESETS / "llada-v" / "long.json"
    sources = read_sources([bench, preset])
    assert [own.path for own in sources.benches] == [bench]
    assert [path for path, _ in sources.presets] == [preset]
    page = comparison_html(sources)
    assert "Achieved against ideal" in page and "Presets" in page
    assert "With confidence" in page or "nothing is promised" in page


def test_json_lines_of_benches_are_read() -> None:
    sources = read_sources([RESULTS / "one-at-a-time"])
    assert [len(own.rows) > 10 for own in sources.benches] == [True, True]
    page = comparison_html(sources)
    assert "auto()" in page and page.count("gen_length") > 4


def test_a_folder_of_folders_is_searched(
    config: StudyConfig, made_run: MakeRun, tmp_path: Path
) -> None:
    made_run(config)
    (tmp_path / "notes.json").write_text("[]")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "recipe.json").write_text("{")
    sources = read_sources([tmp_path, tmp_path / "run"])
    assert len(sources.runs) == 1, "once, though it was given twice"
    assert "broken" in sources.problems[0]
    with pytest.raises(StudyError, match="broken"):
        read_sources([tmp_path / "broken"])


def test_gzipped_records_are_the_same(config: StudyConfig, made_run: MakeRun) -> None:
    folder = made_run(config)
    before = read_sources([folder]).summaries[0].rows()
    units = sorted((folder / "units").glob("*.jsonl"))
    text = b"".join(path.read_bytes() for path in units)
    (folder / "records.jsonl.gz").write_bytes(gzip.compress(text))
    for path in units:
        path.unlink()
    assert read_sources([folder]).summaries[0].rows() == before


def test_a_recipe_without_records_is_passed_over() -> None:
    with pytest.raises(StudyError, match="it has a recipe, but no records"):
        read_sources([RESULTS / "embedded-llada-v"])


def test_nothing_to_show_says_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no results at"):
        read_sources([tmp_path / "none"])
    (tmp_path / "text.json").write_text('{"a": 1}')
    for path in (tmp_path, tmp_path / "text.json"):
        with pytest.raises(StudyError, match="give a folder of a study"):
            read_sources([path])


def result(**changes: object) -> dict[str, object]:
    """A search's result as it is written, with one setting."""
    row = {
        "number": 3,
        "name": "",
        "policy": "confident_commits(0.9)",
        "pruner": None,
        "score": 0.9,
        "bare": 0.9,
        "cost": 0.5,
        "changed": 0.1,
        "feasible": True,
        "ideal": 2.0,
        "test_score": 0.8,
        "test_relative": 1.0,
        "test_ideal": 2.5,
        "test_changed": 0.0,
        "projected": 3.0,
        "measured": 2.0,
        "measured_low": 1.5,
        "measured_high": 2.5,
    }
    told = {"task": "code", "model": "embedded/llada-v", "bare_score": 0.8}
    return told | {"sentence": "<b>gained</b>", "chosen": row, "front": [row]} | changes


def test_a_search_without_its_trials_is_shown(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(result()))
    sources = read_sources([tmp_path])
    assert "the trials of" in sources.problems[0]
    page = comparison_html(sources)
    assert "&lt;b&gt;gained" in page and "<b>gained" not in page
    assert "nothing is promised" in page and "trial 3" in page


@pytest.mark.parametrize("changes", [{"front": None}, {"front": [{"number": 1}]}, {"chosen": 1}])
def test_a_damaged_result_is_named(changes: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(result(**changes)))
    with pytest.raises(StudyError, match="result.json lacks"):
        read_sources([tmp_path])
