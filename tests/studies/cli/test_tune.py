"""The commands of searches: from a question file to a preset, and what is refused."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from saccade.controller.preset import Preset
from saccade.studies.cli.commands import app
from saccade.studies.tasks.documents import make_sample

QUICK = ["--task", "digit", "--trials", "3", "--samples", "2"]


def call(*words: object) -> Any:
    return CliRunner().invoke(app, ["tune", *map(str, words)])


@pytest.mark.slow
def test_a_search_writes_a_preset_a_page_and_says_what_was_gained(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = call("run", "demo", *QUICK, "--workers", "1", "--out", folder)
    assert done.exit_code == 0, done.output
    assert "samples that the search never saw" in done.output or "no-op stays" in done.output
    preset = Preset.read(folder / "preset.json")
    assert preset.task.name == "digit" and preset.splits.test == 2 and preset.search.trials == 3
    preset.controller()
    page = (folder / "report.html").read_text(encoding="utf-8")
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert page.count("plotly-graph-div") >= 2 and result["chosen"]["feasible"]
    assert result["chosen"]["cost"] == min(r["cost"] for r in result["front"] if r["feasible"])

    again = call("run", "demo", *QUICK, "--workers", "1", "--out", folder, "--json")
    assert json.loads(again.stdout)["trials"] == 3
    shown = call("show", folder, "--json")
    front = json.loads(shown.stdout)["front"]
    assert front[0]["policy"] == preset.policy and shown.exit_code == 0
    more = call("resume", folder, "--trials", 4, "--json")
    assert json.loads(more.stdout)["trials"] == 4

    other = call("run", "demo", *QUICK, "--max-drop", "50%", "--out", folder)
    assert other.exit_code == 2 and "begun with another recipe: goal" in other.output
    kept = json.loads(call("show", folder, "--json").stdout)
    assert kept["trials"] == 4


@pytest.mark.slow
def test_questions_without_answers_are_tuned_by_agreement(tmp_path: Path) -> None:
    rows = []
    for index in range(8):
        sample = make_sample("digit", index)
        sample.images[0].save(tmp_path / f"{index}.png")
        rows.append(json.dumps({"image": f"{index}.png", "question": sample.question}))
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(rows), encoding="utf-8")
    words = ["run", "--benchmark", file, "--gen-length", 2, "--steps", 2, "--trials", 2]
    words += ["--samples", 2, "--out", tmp_path / "run"]
    refused = call(*words)
    assert refused.exit_code == 2 and "give image, question, and answers" in refused.output
    done = call(*words, "--label-free", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["label_free"] and result["bare_score"] == 1 and result["task"] == "mine"
    more = call("resume", tmp_path / "run", "--trials", 3, "--json")
    assert more.exit_code == 0 and json.loads(more.stdout)["trials"] == 3
    many = call(*words[:-4], "--samples", 5, "--label-free", "--out", tmp_path / "many")
    assert many.exit_code == 2 and "split of the task 'mine' has" in many.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "demmo"], "did you mean demo"),
        (["run", "--budget", "0"], "budget='0'; give a time above 0"),
        (["run", "--budget", "0m"], "give a time above 0"),
        (["run", "--budget", "-5m"], "give a time above 0"),
        (["run", "--budget", "1m", "--trials", "2"], "give budget or trials, not both"),
        (["run", "--trials", "0"], "--trials"),
        (["run", "--max-drop", "120%"], "give a share from 0 to 100 %"),
        (["run", "--max-drop", "much"], "give a share"),
        (["run", "--sampler", "tp"], "did you mean tpe"),
        (["run", "--objective", "costs"], "did you mean cost"),
        (["run", "--task", "transcrib"], "did you mean transcribe"),
        (["run", "--task", "code", "--benchmark", "x.jsonl"], "choose one"),
        (["run", "--benchmark", "none.jsonl"], "there is no file of questions"),
        (["run", "--storage", "sqlite:////no/such/x.db", "--trials", "1"], "there is no folder"),
        (
            ["run", "--storage", "postgresql://u:pw@127.0.0.1:1/x", "--trials", "1"],
            "cannot be used",
        ),
        (["show", "/no/such/folder"], "no folder of a search"),
        (["show"], "give a folder, or --storage and --study"),
        (["resume", "."], "is no folder of a search"),
    ],
)
def test_wrong_input_is_said_in_one_line_and_ends_with_2(
    words: list[str], said: str, tmp_path: Path
) -> None:
    out = ["--out", str(tmp_path / "run")] if words[0] == "run" else []
    done = call(*words, *out)
    assert done.exit_code == 2 and said in done.output, done.output
    assert "pw@" not in done.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("polices: [auto()]", "did you mean policies"),
        ("policies: ['progresive()']", "did you mean progressive"),
        ("policies: ['progressive()']\nspace: {progressive.covr: [0, 1]}", "progressive.cover"),
        ("space: {progressive.cover: [0, 7]}", "must lie in"),
        ("pruners: ['fastvv()']", "did you mean fastv"),
        ("samples: {tun: 3}", "did you mean tune"),
        ("samples: {tune: 0}", "samples.tune"),
        ("budget: 0", "give a time above 0"),
        ("max_drop: -1%", "give a share"),
        ("trials: 2\ntrials: 3", "given twice"),
    ],
)
def test_a_file_with_a_typo(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    done = call("run", tmp_path / "own.yaml", "--out", tmp_path / "run")
    assert done.exit_code == 2 and said in " ".join(done.output.split()), done.output


@pytest.mark.slow
def test_a_study_that_a_storage_lacks_and_one_that_it_has(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    words = ["run", *QUICK, "--storage", url, "--study", "both"]
    for folder in ("one", "two"):  # the second joins, and finds all done
        assert call(*words, "--out", tmp_path / folder).exit_code == 0
    missing = call("show", "--storage", url, "--study", "bot")
    assert missing.exit_code == 2 and "did you mean both" in missing.output
    assert json.loads(call("show", "--storage", url, "--study", "both", "--json").stdout)["front"]


def test_without_optuna_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = call("run", "demo", *QUICK, "--out", tmp_path / "run")
    assert done.exit_code == 1 and 'pip install "saccade-dmllm[tune]"' in done.output
