"""Samples side by side: which are shown, what differs, what cannot be drawn again, hostile text."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saccade.controller import StudyError
from saccade.studies.analysis.summary import Summary, summarise
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.reports.samples.differences import LONGEST, clipped, marked
from saccade.studies.reports.samples.entries import NAMES, fitting, run_names
from saccade.studies.reports.samples.packing import (
    ALPHABET,
    bits,
    levels,
    pack_places,
    pack_steps,
    shares,
)
from saccade.studies.reports.samples.page import write_samples_page
from saccade.studies.reports.samples.pairs import Pair, choose, count_kinds, pairs_of
from saccade.studies.reports.samples.section import samples_html
from saccade.studies.runs.record import Record

MakeRun = Callable[..., Path]
Blank = Callable[..., Record]
EVIL = "</script><img src=x onerror=alert(1)>\u2028<!--\ud7ff"


def data_of(page: str) -> dict[str, Any]:
    """The data of a section, its names put back."""
    found = re.search(r'id="samples-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    for entry in data["samples"]:
        entry |= {name: data["names"][entry[name]] for name in NAMES if name in entry}
    return data


def wrong(record: Record) -> Record:
    return replace(record, answer="No", score=0.0, exact=0.0)


def all_kinds(record: Record) -> Record:
    """Sample 0 breaks, 1 is fixed, 2 is wrong both times, the others are right."""
    kind = record.sample
    bad = {0: record.case != "none", 1: record.case == "none", 2: True}.get(kind, False)
    return wrong(record) if bad else record


def pair(blank: Blank, before: float, now: float, case: str = "half", sample: int = 0) -> Pair:
    """Two answers with these scores."""
    own = [
        blank(name, "code", sample, 0, score=score, exact=float(score == 1))
        for name, score in (("none", before), (case, now))
    ]
    return Pair(0, own[0], own[1])


def test_kinds_and_losses(blank: Blank) -> None:
    made = [pair(blank, *scores) for scores in ((1, 0.5), (0.5, 1), (0.5, 0.25), (1, 1))]
    assert [own.kind for own in made] == ["broke", "fixed", "both wrong", "same"]
    assert [own.loss for own in made] == [0.5, -0.5, 0.25, 0]
    assert count_kinds(made) == dict.fromkeys(("broke", "fixed", "both wrong", "same"), 1)


@pytest.mark.parametrize("n", [1, 4, 6, 100])
def test_one_of_each_kind_is_always_there(n: int, config: StudyConfig, made_run: MakeRun) -> None:
    pairs = list(pairs_of([summarise(made_run(config, all_kinds))]))
    chosen = choose(pairs, n)
    assert len(pairs) == 10 and len(chosen) == min(10, max(4, n)) == len(set(chosen))
    assert {own.kind for own in chosen[:4]} == {"broke", "fixed", "both wrong", "same"}
    assert chosen == choose(pairs, n)


def test_the_most_telling_come_first_and_cases_take_turns(blank: Blank) -> None:
    made = [
        pair(blank, 1, score, case, sample)
        for case, first in (("a", 0.5), ("b", 0.75))
        for sample, score in enumerate((first, first - 0.25, first + 0.125))
    ]
    shown = [(own.case.case, own.case.score) for own in choose(made, 4)]
    assert shown == [("a", 0.25), ("b", 0.5), ("a", 0.5), ("b", 0.75)]


def test_another_baseline_where_a_run_has_it(config: StudyConfig, made_run: MakeRun) -> None:
    summary = summarise(made_run(config, all_kinds))
    assert {own.baseline.case for own in pairs_of([summary], "half")} == {"half"}
    assert {own.baseline.case for own in pairs_of([summary], "absent")} == {"none"}


@pytest.mark.parametrize(
    ("a", "b", "parts"),
    [
        ("row 3 reads 1234.", "row 3 reads 1334.", (["row 3 reads ", "1234", "."],) * 1),
        ("same", "same", (["same"],)),
        ("", "new", ([""],)),
        ("a b c", "x b y", (["", "a", " b ", "c"],)),
    ],
    ids=["a word", "nothing", "all", "ends"],
)
def test_differing_words_are_marked(a: str, b: str, parts: tuple[list[str]]) -> None:
    own, other = marked(a, b)
    assert own == parts[0]
    assert ("".join(own), "".join(other)) == (a, b)
    assert own[::2] == other[::2][: len(own[::2])] or "" in (a, b)


def test_long_answers_are_cut_and_compared_at_once() -> None:
    cut = clipped("? " * 10**6)
    assert len(cut) < LONGEST + 40 and cut.endswith("(1,998,000 more letters)")
    own, other = marked("a?" * 1000, "?b" * 1000)
    assert ("".join(own), "".join(other)) == ("a?" * 1000, "?b" * 1000)


def number(text: str) -> float | None:
    """Two letters as the page reads them."""
    code = 64 * ALPHABET.index(text[0]) + ALPHABET.index(text[1])
    return None if code > 4094 else code / 4094


def test_numbers_survive_as_letters() -> None:
    values = [0.0, 1.0, None, 0.12345, 7.0, -1.0]
    read = [number(shares(values)[i : i + 2]) for i in range(0, 12, 2)]
    assert read == [0, 1, None, pytest.approx(0.12345, abs=2e-4), 1, 0]
    assert [ALPHABET.index(c) for c in levels([0.5, None, 0.25, 0.0])] == [62, 63, 31, 0]
    assert levels([None, 0.0]) == "_A" and levels([]) == ""
    codes = [ALPHABET.index(c) for c in bits([0, 7, 11], 13)]
    assert [i for i in range(18) if codes[i // 6] >> i % 6 & 1] == [0, 7, 11]
    assert pack_places([None, [2, 0.0, 1.0]]) == "_____" + "CAA" + shares([1.0])


def steps_of(n: int, positions: int = 4) -> dict[str, Any]:
    """Steps as pages show them, each of which commits one position."""
    steps = [
        {
            "kept": [0, 1] if i else [0, 1, 2],
            "bypass": [],
            "refreshed": True,
            "reason": "why",
            "macs": 10,
            "attention": [[0.5], None, None],
            "received": [0.5, 0.25, None],
            "confidence": [0.5] * positions,
            "committed": [i % positions],
            "tokens": ["w" if p <= i else None for p in range(positions)],
        }
        for i in range(n)
    ]
    return {"layers": 1, "positions": positions, "full": 10, "steps": steps}


def test_steps_are_packed_as_what_changed() -> None:
    packed = pack_steps(steps_of(4), 3)
    assert [own["n"] for own in packed["steps"]] == [1, 2, 3, 4]
    assert ["kept" in own for own in packed["steps"]] == [True, True, False, False]
    words = [packed["words"][word] for own in packed["steps"] for _, word in own["tokens"]]
    assert words == ["w", None, None, None, "w", "w", "w"]
    assert all(packed["words"][own["reason"]] == "why" for own in packed["steps"])


def test_steps_that_have_no_room_are_left_out_and_nothing_committed_is_lost() -> None:
    data = steps_of(64, 64)
    whole = len(json.dumps(pack_steps(data, 3), separators=(",", ":")))
    small = fitting(data, 3, whole // 3)
    assert small["count"] == 64 > len(small["steps"]) and small["steps"][-1]["n"] == 64
    assert sorted(i for own in small["steps"] for i in own["committed"]) == list(range(64))
    assert len(json.dumps(small, separators=(",", ":"))) <= whole // 3
    assert fitting(data, 3, whole)["steps"] == pack_steps(data, 3)["steps"]
    with pytest.raises(StudyError, match="too large"):
        fitting(data, 3, 100)


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
    assets = Path(__file__).parents[3] / "studies/reports/assets"
    for name in ("samples.js", "steps.js", "trace.js"):
        script = (assets / name).read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)
    packing = (assets / "samples.js").read_text(encoding="utf-8")
    assert f'"{ALPHABET}"' in packing and all(f'"{name}"' in packing for name in NAMES)


def test_names_of_runs_differ(config: StudyConfig, made_run: MakeRun) -> None:
    one = summarise(made_run(config))
    other = replace(one, config=config.model_copy(update={"model": "other"}))
    assert run_names([one, other]) == [config.model, "other"]
    assert run_names([one, one]) == [f"{config.model}, made-up ({i})" for i in (1, 2)]


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


def test_a_page_of_its_own(tmp_path: Path, config: StudyConfig, made_run: MakeRun) -> None:
    folder = made_run(config, all_kinds)
    write_samples_page([folder], tmp_path / "samples.html", 4)
    page = (tmp_path / "samples.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and 'id="samples"' in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    with pytest.raises(StudyError, match="no run in"):
        write_samples_page([tmp_path / "absent"], tmp_path / "samples.html", 4)


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


def test_when_the_room_is_used_up_answers_are_alone(
    config: StudyConfig, made_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saccade.studies.reports.samples.entries.LEAST", 0)
    monkeypatch.setattr("saccade.studies.reports.samples.section.ALL", 0)
    for entry in data_of(samples_html([summarise(made_run(config))], 4))["samples"]:
        assert "left out to keep the page small" in entry["missing"]
