"""Searches that meet another's folder, damaged files, wrong samples and odd addresses."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from typer.testing import CliRunner

from saccade.controller.preset import Preset
from saccade.studies.cli.commands import app
from saccade.studies.config.tuning import TuneConfig, load_tuning
from saccade.studies.tasks.documents import make_sample

ONE = ["--task", "digit", "--trials", "1", "--samples", "1"]


def call(*words: object) -> Any:
    return CliRunner().invoke(app, ["tune", *map(str, words)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search of one trial."""
    folder = tmp_path_factory.mktemp("made") / "run"
    done = call("run", *ONE, "--out", folder)
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it, in a place with a difficult name."""
    place = tmp_path / "50% of {it}?"
    shutil.copytree(made, place)
    return place


def refused(done: Any, words: str) -> None:
    assert done.exit_code == 2 and words in " ".join(done.output.split()), done.output
    assert "Traceback" not in done.output and done.output.count("error:") == 1


def test_another_search_in_the_same_folder_is_refused_and_nothing_is_lost(folder: Path) -> None:
    before = (folder / "result.json").read_bytes()
    url = f"sqlite:///{folder.parent}/other.db"
    words = ["run", "--task", "code", "--trials", "1", "--samples", "1", "--out", folder]
    refused(call(*words, "--storage", url), "holds the search 'tune' in sqlite")
    refused(call(*words, "--study", "other"), "give another --out")
    refused(call(*words), "task.name (digit there, code here)")
    assert (folder / "result.json").read_bytes() == before


@pytest.mark.parametrize(
    ("what", "content"),
    [("preset.json", None)]
    + [("result.json", content) for content in (None, "{}", '{"trials": 1}', "[]", "\x00")],
)
def test_results_that_are_lost_or_changed_are_made_again(
    what: str, content: str | None, folder: Path
) -> None:
    file = folder / what
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    done = call("resume", folder, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["trials"] == 1 and result["front"]
    assert Preset.read(folder / "preset.json").front is not None
    assert json.loads((folder / "result.json").read_text())["front"] == result["front"]


def test_a_result_that_was_edited_by_hand_is_made_again_and_another_is_kept(folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text())
    result["chosen"]["test_ideal"] = 1000.0
    (folder / "result.json").write_text(json.dumps(result))
    assert json.loads(call("resume", folder, "--json").stdout)["chosen"]["test_ideal"] < 100
    before = (folder / "result.json").read_bytes()
    assert call("resume", folder).exit_code == 0
    assert (folder / "result.json").read_bytes() == before, "nothing is measured again"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is damaged"),
        ("[]", "is damaged"),
        ('{"config": {}, "study": 3}', "is damaged"),
        ('{"config": {}, "study": "x", "storage": 5}', "is damaged"),
        ('{"config": [], "study": "x"}', "is damaged"),
        ('{"config": {"budget": Infinity}, "study": "x"}', "give a time above 0"),
        ('{"config": {"tasks": "digit"}, "study": "x"}', "unknown key"),
        ('{"config": {}, "study": "x"}', "unknown study 'x'; known: tune"),
    ],
)
@pytest.mark.parametrize("how", [["show"], ["show", "--json"]])
def test_a_damaged_configuration(content: str, words: str, how: list[str], folder: Path) -> None:
    (folder / "tune.json").write_text(content)
    refused(call(how[0], folder, *how[1:]), words)


def test_a_folder_without_its_database(folder: Path) -> None:
    (folder / "study.db").unlink()
    refused(call("show", folder, "--json"), "no search was begun there")
    assert not (folder / "study.db").exists()


@pytest.mark.parametrize("recipe", ["soup", {"goal": "win"}, {"eggs": 2}, {"goal": {"x": 1}}])
def test_studies_of_other_programs_are_not_shown(recipe: object, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    optuna.create_study(storage=url, study_name="s").set_user_attr("recipe", recipe)
    refused(call("show", "--storage", url, "--study", "s"), "is none of")


def questions(folder: Path, n: int) -> Path:
    rows = []
    for index in range(n):
        sample = make_sample("digit", index)
        sample.images[0].save(folder / f"{index}.png")
        rows.append(json.dumps({"image": f"{index}.png", "question": sample.question}))
    file = folder / "mine.jsonl"
    file.write_text("\n".join(rows), encoding="utf-8")
    return file


OWN = ["--label-free", "--gen-length", 2, "--steps", 2, "--trials", 1]


@pytest.mark.parametrize(
    ("n", "samples", "words"),
    [
        (10, 4, "the test split of the task 'mine' has 3 samples"),
        (1, 1, "the test split of the task 'mine' has 0 samples"),
        (0, 1, "no line"),
    ],
)
def test_a_file_with_too_few_questions_is_refused_before_the_search(
    n: int, samples: int, words: str, tmp_path: Path
) -> None:
    file, place = questions(tmp_path, n), tmp_path / "run"
    done = call("run", "--benchmark", file, *OWN, "--samples", samples, "--out", place)
    refused(done, words)
    assert not (place / "study.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
def test_a_damaged_picture_is_known_before_the_search(number: int, tmp_path: Path) -> None:
    file = questions(tmp_path, 6)
    picture = tmp_path / f"{number}.png"
    picture.write_bytes(picture.read_bytes()[:200])
    words = ["--samples", 1, "--out", tmp_path / "run"]
    done = call("run", "--benchmark", file, *OWN, *words)
    if done.exit_code:
        refused(done, f"line {number + 1}:")
        assert not (tmp_path / "run" / "study.db").exists()
    else:  # of the certify split, or of no sample that is asked for
        assert json.loads((tmp_path / "run" / "result.json").read_text())["trials"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--storage", ""], "is no address"),
        (["--storage", "sqlite:///:memory:"], "names no file"),
        (["--objective", "latency", "--workers", "2"], "give 1 worker"),
    ],
)
def test_what_cannot_go_together(words: list[str], said: str, tmp_path: Path) -> None:
    refused(call("run", *ONE, *words, "--out", tmp_path / "run"), said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budget: .inf", "give a time above 0"),
        ("space: {pruner: fastv()}", "space: pruner: value='fastv()'"),
        ("space: {pruner: [divprune(), uniform]}", "did you mean uniform()"),
        ("space: {with.layer_skip: maybe}", "allowed: True, False"),
        ("space: {with.layer_skip: 1}", "allowed: True, False"),
        ("space: {progressive.cover: [0, 1" + "0" * 400 + "]}", "low must be at most high"),
        ("space: {progressive.warmup: [1, 1" + "0" * 30 + "]}", "up to 2**53"),
        ("pruners: [none]", "leave it out"),
    ],
)
def test_spaces_that_cannot_be_searched(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    pruners = "" if text.startswith("pruners") else "pruners: [divprune(), uniform()]\n"
    file.write_text(pruners + text, encoding="utf-8")
    refused(call("run", file, *ONE[:2], "--samples", 1, "--out", tmp_path / "run"), said)


@pytest.mark.parametrize("given", ["0.001%", 1e-5, "1e-5", 0, 1])
def test_shares_survive_being_written_and_read(given: object, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"max_drop: {given}", encoding="utf-8")
    config = load_tuning(file)
    assert TuneConfig.model_validate(json.loads(config.model_dump_json())) == config
    assert (
        config.changed(trials=3).max_drop
        == config.max_drop
        == float(str(given).strip("%")) / (100 if "%" in str(given) else 1)
    )


@pytest.mark.slow
def test_a_search_whose_time_is_over_is_only_shown(tmp_path: Path) -> None:
    words = ["--task", "digit", "--samples", "1", "--budget", "0.2s", "--json"]
    first = call("run", *words, "--out", tmp_path / "run")
    assert first.exit_code == 0, first.output
    again = call("run", *words, "--out", tmp_path / "run")
    assert json.loads(again.stdout) == json.loads(first.stdout)


@pytest.mark.slow
def test_presets_show_no_password_and_say_what_a_published_model_would_gain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["saccade", "tune", "run", "--storage", "postgresql://me:secret@host/db"]
    monkeypatch.setattr(sys, "argv", words)
    done = call("run", *ONE[:2], "--trials", "3", "--samples", "1", "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    preset = Preset.read(tmp_path / "run" / "preset.json")
    assert "me:***@host" in preset.search.command and preset.front is not None
    assert preset.backbone.family == "llava_llada" and preset.front.projected is not None
    assert preset.front.projected >= 1


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "words"), [("cost", "less work"), ("latency", "less time")])
def test_the_table_says_what_the_search_saves(objective: str, words: str, tmp_path: Path) -> None:
    done = call("run", *ONE, "--objective", objective, "--out", tmp_path / "run")
    shown = call("show", tmp_path / "run")
    assert done.exit_code == shown.exit_code == 0, done.output
    assert f"setting {words}" in " ".join(done.output.split())
    assert f"setting {words}" in " ".join(shown.output.split())


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_killed_as_a_whole_goes_on_and_loses_nothing(
    workers: int, tmp_path: Path
) -> None:
    place = tmp_path / "run"
    words = ["--task", "digit", "--samples", "2", "--trials", "200", "--workers", str(workers)]
    command = [sys.executable, "-m", "saccade.studies.cli", "tune", "run", *words, "--out", place]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while len(complete(place)) < 3 and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = complete(place)
    assert len(before) >= 3
    done = call("resume", place, "--trials", len(before) + 2, "--workers", 1, "--json")
    assert done.exit_code == 0, done.output
    assert before.items() <= complete(place).items()
    result = json.loads(done.stdout)
    assert result["trials"] >= len(before) + 2 and Preset.read(place / "preset.json").front
    with sqlite3.connect(place / "study.db") as own:
        left = own.execute("SELECT count(*) FROM trials WHERE state = 'RUNNING'").fetchone()
    assert left == (0,)


def complete(place: Path) -> dict[int, float]:
    """Values of the trials that have ended, by their numbers."""
    question = (
        "SELECT number, value FROM trials JOIN trial_values USING (trial_id) "
        "WHERE state = 'COMPLETE'"
    )
    try:
        with sqlite3.connect(f"file:{place}/study.db?mode=ro", uri=True) as own:
            return dict(own.execute(question).fetchall())
    except sqlite3.OperationalError:
        return {}
