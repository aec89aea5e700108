"""What records do not hold: questions drawn again, and answers given again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saccade.studies.analysis.summary import Summary, summarise
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.reports.samples.packing import ALPHABET
from saccade.studies.reports.samples.section import samples_html
from saccade.studies.runs.record import Record
from tests.studies.reports.samples.sections import MakeRun, all_kinds, data_of


def run_of(folder: Path, cases: tuple[Case, ...], tasks: tuple[str, ...] = ("digit",)) -> Summary:
    from saccade.studies.runs.runner import run_study

    study = StudyConfig(name="small", samples=3, batch=3, tasks=tasks, cases=cases)
    return summarise(run_study(study, folder, threads=1))


HALF = Case(name="half", policy="after_share(share=0.5, keep=0.25)", pruner="random()")


def test_a_fresh_run_is_answered_again_as_recorded(tmp_path: Path) -> None:
    summary = run_of(tmp_path / "run", (Case(name="none"), HALF))
    told: list[tuple[int, int]] = []
    data = data_of(
        samples_html([summary], 3, progress=lambda done, total, label: told.append((done, total)))
    )
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    for entry in data["samples"]:
        assert "missing" not in entry and "differs" not in entry
        record = next(r for r in summary.records if (r.case, r.sample) == ("half", entry["sample"]))
        steps = entry["steps"]["steps"]
        assert entry["steps"]["count"] == len(steps) == record.forwards
        kept = [sum(ALPHABET.index(c).bit_count() for c in s["kept"]) for s in steps if "kept" in s]
        assert kept == [record.n_visual, round(record.n_visual * record.keep[-1])]
        assert len(data["places"][entry["places"]]) == 5 * record.n_visual
        assert all(set(s) >= {"attention", "received", "confidence"} for s in steps)
        assert data["pictures"][entry["picture"]][0]["source"].startswith("data:image/jpeg;base64,")
        assert len(json.dumps(entry)) + len(json.dumps(data["pictures"])) < 60_000

    def others(record: Record) -> Record:
        return replace(record, answer="9 9", forwards=7)

    changed = replace(summary, records=[others(record) for record in summary.records])
    for entry in data_of(samples_html([changed], 3))["samples"]:
        assert "it reads “" in entry["differs"] and "not 7" in entry["differs"]
    files = dict(summary.recipe["model_files"], **{"config.json": "another"})
    other = replace(summary, recipe={**summary.recipe, "model_files": files})
    for entry in data_of(samples_html([other], 3))["samples"]:
        assert "another model now: config.json differ" in entry["missing"]
        assert "picture" in entry and "question" in entry


def test_presets_are_what_the_recipe_says(tmp_path: Path) -> None:
    cases = (Case(name="none"), Case(name="preset", preset="embedded/llada-v/long"))
    summary = run_of(tmp_path / "run", cases, ("code",))
    for entry in data_of(samples_html([summary], 2))["samples"]:
        assert "missing" not in entry and "differs" not in entry
    summary.recipe["cases"]["preset"]["code"]["policy"] = "what()"
    for entry in data_of(samples_html([summary], 2))["samples"]:
        assert "it cannot be answered again: " in entry["missing"] and "'what'" in entry["missing"]


def test_a_file_of_questions_must_be_the_one_of_the_run(
    tmp_path: Path, config: StudyConfig, made_run: MakeRun
) -> None:
    from hashlib import sha256

    from saccade.studies.tasks.question_files import QuestionFile
    from tests.tiny import fake_page

    fake_page().save(tmp_path / "page.png")
    line = json.dumps({"image": "page.png", "question": "?", "answer": "Yes"}) + "\n"
    file = tmp_path / "asked.jsonl"
    file.write_text(line)
    asked = QuestionFile.model_validate(
        {"name": "asked", "file": file, "gen_length": 4, "steps": 2}
    )
    own = {"benchmarks": (asked,), "tasks": ("asked",), "samples": 1}
    summary = summarise(made_run(config.model_copy(update=own), all_kinds))
    (entry,) = data_of(samples_html([summary], 1))["samples"]
    assert "asked.jsonl is not the file of the run any more" in entry["missing"]
    hashes = {"asked": {"sha256": sha256(line.encode()).hexdigest()}}
    known = replace(summary, recipe={**summary.recipe, "benchmarks": hashes})
    (entry,) = data_of(samples_html([known], 1))["samples"]
    assert "No steps: " in entry["missing"] and entry["question"] == "?"
    (tmp_path / "page.png").unlink()
    (entry,) = data_of(samples_html([known], 1))["samples"]
    assert "No picture and no steps" in entry["missing"] and "picture" not in entry


@pytest.mark.parametrize("part", ["samples", "images"])
def test_a_foreign_task_may_fail_as_it_likes(
    part: str, config: StudyConfig, made_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asked:
        index, question, answer = 0, "?", "Yes"

        @property
        def images(self) -> list[Any]:
            raise ZeroDivisionError("by zero")

    class Foreign:
        def samples(self, *asked: object, **options: object) -> list[Any]:
            if part == "images":
                return [Asked()]
            raise ZeroDivisionError("by zero")

    summary = summarise(made_run(config, all_kinds))
    monkeypatch.setattr(StudyConfig, "task_of", lambda self, name: Foreign())
    for entry in data_of(samples_html([summary], 4))["samples"]:
        assert "ZeroDivisionError: by zero" in entry["missing"]
