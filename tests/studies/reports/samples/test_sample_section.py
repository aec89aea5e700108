"""The section of samples: what it says of what is missing, hostile text, and its room."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from saccade.controller import StudyError
from saccade.studies.analysis.summary import summarise
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.reports.samples.entries import NAMES
from saccade.studies.reports.samples.packing import ALPHABET
from saccade.studies.reports.samples.page import write_samples_page
from saccade.studies.reports.samples.section import samples_html
from saccade.studies.runs.record import Record
from tests.studies.reports.samples.sections import EVIL, MakeRun, all_kinds, data_of


def test_without_the_model_the_answers_are_there_and_why(
    config: StudyConfig, made_run: MakeRun
) -> None:
    """A made-up recipe has no hashes, and made-up records expect other answers than the task."""
    data = data_of(samples_html([summarise(made_run(config, all_kinds))], 4))
    assert len(data["samples"]) == 4
    for entry in data["samples"]:
        asks = "asks something else under this number now" in entry["missing"]
        assert asks or "No steps: the recipe does not say" in entry["missing"]
        assert "steps" not in entry and len(entry["answers"]) == 2
    broke = next(entry for entry in data["samples"] if entry["kind"] == "broke")
    assert broke["answers"] == [["", "Yes"], ["", "No"]] and broke["loss"] == 1
    assert broke["baseline"] == "none (unpruned)" and broke["expected"] is None


def test_nothing_to_compare_is_said(config: StudyConfig, made_run: MakeRun) -> None:
    assert "nothing to put side by side" in samples_html([summarise(made_run(config, units=0))], 4)
    assert samples_html([summarise(made_run(config))], 0) == ""
    with pytest.raises(StudyError, match="samples=-1"):
        samples_html([], -1)


def test_hostile_text_stays_text(config: StudyConfig, made_run: MakeRun) -> None:
    named = config.model_copy(update={"cases": (Case(name="none"), Case(name=EVIL))})

    def evil(record: Record) -> Record:
        long = "x" * 2 * 10**6 if record.sample == 1 else ""
        return replace(record, answer=f"{EVIL}\n{record.case}{long}", expected=EVIL)

    page = samples_html([summarise(made_run(named, evil))], 8)
    data = data_of(page)
    assert page.count("</script>") == 2 and "<img" not in page and "\u2028" not in page
    assert len(page) < 100_000
    assert {entry["case"] for entry in data["samples"]} == {EVIL}
    assert all(entry["expected"] == EVIL for entry in data["samples"])


def test_the_script_sets_text_alone() -> None:
    assets = Path(__file__).parents[4] / "studies/reports/assets"
    for name in ("samples.js", "steps.js", "trace.js"):
        script = (assets / name).read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)
    packing = (assets / "samples.js").read_text(encoding="utf-8")
    assert f'"{ALPHABET}"' in packing and all(f'"{name}"' in packing for name in NAMES)


def test_a_page_of_its_own(tmp_path: Path, config: StudyConfig, made_run: MakeRun) -> None:
    folder = made_run(config, all_kinds)
    write_samples_page([folder], tmp_path / "samples.html", 4)
    page = (tmp_path / "samples.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and 'id="samples"' in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    with pytest.raises(StudyError, match="no run in"):
        write_samples_page([tmp_path / "absent"], tmp_path / "samples.html", 4)


def test_when_the_room_is_used_up_answers_are_alone(
    config: StudyConfig, made_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saccade.studies.reports.samples.entries.LEAST", 0)
    monkeypatch.setattr("saccade.studies.reports.samples.section.ALL", 0)
    for entry in data_of(samples_html([summarise(made_run(config))], 4))["samples"]:
        assert "left out to keep the page small" in entry["missing"]


def test_more_samples_than_have_room_are_left_out_and_told(
    config: StudyConfig, made_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wordy(record: Record) -> Record:
        return replace(all_kinds(record), answer=f"{record.sample} {'x y ' * 200}")

    config = config.model_copy(update={"samples": 60})
    summary = summarise(made_run(config, wordy))
    whole = samples_html([summary], 500)
    assert len(data_of(whole)["samples"]) == 120 and "no room for the other" not in whole
    monkeypatch.setattr("saccade.studies.reports.samples.section.ALL", 40_000)
    page = samples_html([summary], 500)
    shown = data_of(page)["samples"]
    assert 10 < len(shown) < 60 and {"broke", "fixed", "same"} <= {own["kind"] for own in shown}
    told = re.search(r"Here are\s+(\d+) of them \(the page has no room for the other\s+(\d+)", page)
    assert told is not None and [int(n) for n in told.groups()] == [len(shown), 120 - len(shown)]
    assert len(json.dumps([own["answers"] for own in shown])) < 40_000
