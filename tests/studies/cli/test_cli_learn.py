"""``saccade traces collect`` and ``saccade learn``: from an embedded model to a policy in use."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from saccade.controller.learned.actions import Action
from saccade.studies.cli import app
from saccade.studies.cli.traces import experiment_of
from saccade.studies.cli.traces_source import TraceSource
from saccade.tuning import collecting
from saccade.tuning.trace_table import PARTS
from tests.tiny import fake_page

SMALL = ("--task", "code", "--keep", "0.5,0", "--commit", "none", "--at", "0")


def invoke(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "140"}).invoke(app, [str(word) for word in words])


def collect(folder: Path, *words: object) -> Result:
    return invoke("traces", "collect", "--out", folder, *words)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces") / "t"
    result = collect(folder, *SMALL, "--samples", 4, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["new"] == 4 and said["rows"] == 8 and 0 <= said["changed"] <= 1
    return folder


def test_the_same_command_goes_on(table: Path) -> None:
    result = collect(table, *SMALL, "--samples", 4)
    assert result.exit_code == 0
    assert f"8 rows in {table}, 0 samples of them new" in " ".join(result.stdout.split())
    assert f"saccade learn {table} -o" in " ".join(result.stderr.split())


def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(collecting, "counterfactuals", stopped)
        result = collect(tmp_path / "t", *SMALL, "--samples", 1)
    assert result.exit_code == 130
    assert "the same command goes on" in " ".join(result.stderr.split())
    assert collect(tmp_path / "t", *SMALL, "--samples", 1).exit_code == 0


def test_another_recipe_is_wrong_input(table: Path) -> None:
    result = collect(table, *SMALL, "--samples", 4, "--seed", 3)
    assert result.exit_code == 2 and "seed 0, not 3" in result.stderr


@pytest.mark.slow
def test_it_is_learned_from_and_used(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    result = invoke("learn", table, "-o", out)
    assert result.exit_code == 0, result.output
    for words in (
        "log-loss",
        "the action alone",
        "predicted risk",
        "MACs saved",
        "a prediction for 8 sequences takes",
    ):
        assert words in result.stdout
    file = out / "learned.json"
    assert f'learned(file="{file}", risk=0.05)' in " ".join(result.stderr.split()).replace(
        "learned. json", "learned.json"
    )
    said = json.loads(invoke("learn", table, "-o", out, "--model", "tree", "--json").stdout)
    assert said["kind"] == "tree" and said["rows"] == 8
    page = tmp_path / "page.png"
    assert invoke("page", page, "--kind", "code").exit_code == 0
    ask = ("generate", page, "Which code is in row 3?", "--gen-length", 16, "--steps", 8)
    used = invoke(*ask, "--policy", f"learned(file={str(file)!r}, risk=1.0)", "--json")
    assert used.exit_code == 0, used.output
    other = invoke(*ask, "-m", "embedded/lavida-dream", "--policy", f"learned(file={str(file)!r})")
    assert other.exit_code == 2 and "was learned on embedded/llada-v" in other.stderr


WRONG: dict[str, tuple[tuple[object, ...], str]] = {
    "a task": (("--task", "codes"), "--task"),
    "a model": (("--model", "no/such/model/here"), "no/such/model/here"),
    "a keep ratio": (("--keep", "0.5,2"), "--keep '0.5,2': 2 is not allowed"),
    "no number": (("--keep", "half"), "--keep 'half': give numbers from 0 to 1"),
    "not a number": (("--keep", "nan"), "--keep 'nan': nan is not allowed"),
    "a layer": (("--skip", "4.5"), "--skip '4.5': 4.5 is not allowed; give layers"),
    "a layer that is not there": (("--skip", "99"), "99"),
    "an infinite layer": (("--skip", "inf"), "--skip 'inf': inf is not allowed"),
    "a confidence": (("--commit", "1.5"), "--commit '1.5': 1.5 is not allowed"),
    "a share": (("--at", "-1"), "--at '-1': -1 is not allowed"),
    "no share": (("--at", "none"), "nothing to try"),
    "nothing to do": (("--keep", "none", "--commit", "none"), "there is no action"),
    "a pruner": (("--pruner", "redvtq()"), "redvtp"),
    "a pruner's option": (("--pruner", "redvtp(rows='few')"), "rows='few'"),
    "a device": (("--device", "nowhere"), "no device 'nowhere' here"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_said_before_any_work(name: str, tmp_path: Path) -> None:
    words, message = WRONG[name]
    result = collect(tmp_path / "t", *words)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("words", [("--samples", 0), ("--workers", 0), ("--seed", -1)])
def test_numbers_out_of_range_are_refused(words: tuple[object, ...], tmp_path: Path) -> None:
    assert collect(tmp_path / "t", *words).exit_code == 2


def test_learning_from_nothing_is_wrong_input(tmp_path: Path, table: Path) -> None:
    result = invoke("learn", tmp_path, "-o", tmp_path / "o")
    assert result.exit_code == 2 and "is no table of traces" in result.stderr
    result = invoke("learn", table, "-o", tmp_path / "o", "--model", "forest")
    assert result.exit_code == 2 and "forest" in result.stderr
    missing = invoke("generate", "x.png", "What?", "--policy", "learned(file='no.json')")
    assert missing.exit_code == 2


def test_questions_of_ones_own(tmp_path: Path) -> None:
    lines = []
    for i in range(10):
        fake_page(200, 150, seed=i).save(tmp_path / f"{i}.png")
        lines.append({"image": f"{i}.png", "question": "What is it?", "answer": "a page"})
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    words = ("--benchmark", file, "--gen-length", 8, "--steps", 4, "--samples", 2)
    few = ("--keep", "0.5", "--commit", "none", "--at", "0", "--label-free")
    assert collect(tmp_path / "t", *words, *few).exit_code == 0
    assert len(list((tmp_path / "t" / PARTS).iterdir())) == 2
    too_many = collect(tmp_path / "u", "--benchmark", file, "--samples", 9)
    assert too_many.exit_code == 2 and "has 4 samples; give as many or fewer" in too_many.stderr
    unknown = [{key: line[key] for key in ("image", "question")} for line in lines]
    file.write_text("\n".join(map(json.dumps, unknown)))
    labelled = collect(tmp_path / "v", *words, *few[:-1])
    assert labelled.exit_code == 2 and "answer" in labelled.stderr
    assert collect(tmp_path / "v", *words, *few).exit_code == 0
    file.write_text("{")
    damaged = collect(tmp_path / "w", "--benchmark", file)
    assert damaged.exit_code == 2 and "own.jsonl" in damaged.stderr


def test_options_make_the_experiment() -> None:
    made: Any = experiment_of("1,0.5", ["4,5", "3"], "none", "0", "uniform", True, 7)
    assert made.actions == (
        *(Action(1.0, (4, 5)), Action(1.0, (3,))),
        *(Action(0.5), Action(0.5, (4, 5)), Action(0.5, (3,))),
    )
    assert made.pruner == "uniform()" and made.label_free and made.seed == 7
    assert experiment_of("none", ["1"], "0.9", "0", None, False, 0).pruner is None


def test_a_source_without_tasks_is_refused() -> None:
    with pytest.raises(ValueError, match="give a --task or a --benchmark"):
        TraceSource("embedded/llada-v", ()).make_tasks()
    names = [task.name for task in TraceSource("x", ("code", "digit", "code")).make_tasks()]
    assert names == ["code", "digit"]
