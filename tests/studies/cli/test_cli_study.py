"""``saccade study``: a small study from the command line, interrupted and shown again."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from saccade.studies.cli import app, configs
from saccade.studies.cli.configs import find_config, shipped
from saccade.studies.config.cases import load_study
from saccade.studies.config.study import plan_units
from saccade.studies.runs import runner
from saccade.studies.runs.runner import run_study
from tests.studies.unit_files import contents, lines, unit_files

STUDY = """
name: small
samples: 2
batch: 1
tasks: [digit]
baseline: full
cases:
  - name: full
  - name: half
    policy: "after_share(0.5, keep=0.5)"
    pruner: random
"""


def invoke(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "140"}).invoke(app, ["study", *map(str, words)])


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small study in an otherwise empty working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def test_a_study_runs_and_is_shown(study: Path, tmp_path: Path) -> None:
    result = invoke("run", study)
    assert result.exit_code == 0, result.output
    folder = Path("runs") / "small"
    assert "4/4" in result.stderr and "\x1b" not in result.output
    assert "half" in result.stdout and str(folder / "report.html") in result.stdout
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8")

    shown = invoke("show", folder, "--report", tmp_path / "page.html")
    assert shown.exit_code == 0 and "half" in shown.stdout
    assert (tmp_path / "page.html").stat().st_size > 1000

    content = json.loads(invoke("show", folder, "--json").stdout)
    assert {case["case"] for case in content["cases"]} == {"full", "half"}

    before = contents(folder)
    assert invoke("run", study).exit_code == 0
    assert contents(folder) == before


def test_an_interruption_says_how_to_go_on(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = runner.UnitRunner.answer
    calls: list[int] = []

    def once(self: Any, unit: Any, index: int) -> Any:
        calls.append(index)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return answer(self, unit, index)

    with monkeypatch.context() as patch:
        patch.setattr(runner.UnitRunner, "answer", once)
        result = invoke("run", study, "--out", "my results")
    assert result.exit_code == 130
    assert f"to go on: saccade study run {study} --out 'my results'" in result.stderr
    assert len(lines(Path("my results"))) == 2

    unfinished = json.loads(invoke("show", "my results", "--json").stdout)
    assert {case["n"] for case in unfinished["cases"]} == {1}
    assert invoke("run", study, "--out", "my results").exit_code == 0
    assert len(lines(Path("my results"))) == 4


def test_shipped_studies_go_by_their_bare_names(study: Path) -> None:
    assert "demo" in shipped() and "llada-v" in shipped("train")
    assert find_config("demo") == configs.SHIPPED / "demo.yaml"
    assert find_config("small.yaml") == Path("small.yaml")
    Path("demo").write_text(STUDY, encoding="utf-8")
    assert find_config("demo") == Path("demo")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "none"), "or one of: adaptive-core, adaptive"),
        (("run", "none.yaml"), "or one of: adaptive-core, adaptive"),
        (("run", "."), "is a folder"),
        (("run", "broken.yaml"), "is not valid YAML"),
        (("run", "typo.yaml"), "unknown key 'sample'"),
        (("show", "none"), "no folder of results"),
        (("show", "."), "no run in"),
        (("show", ".", "--report", "none/page.html"), "no folder none"),
    ],
)
def test_wrong_studies(study: Path, words: tuple[str, ...], message: str) -> None:
    Path("broken.yaml").write_text("{", encoding="utf-8")
    Path("typo.yaml").write_text(STUDY.replace("samples", "sample"), encoding="utf-8")
    result = invoke(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ") and message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_study_of_two_models_is_shown_model_by_model(study: Path) -> None:
    models = ["embedded/llada-v", "embedded/llava-ar"]
    study.write_text(f"{STUDY}\nmodels: {models}", encoding="utf-8")
    result = invoke("run", study)
    assert result.exit_code == 0, result.output
    folder = Path("runs") / "small"
    for model in models:
        assert f"Score: {model} (" in result.stdout and f"Speed-up: {model} (" in result.stdout
        assert (folder / model.replace("/", "-") / "summary.csv").exists()
    assert len((folder / "summary.csv").read_text(encoding="utf-8").splitlines()) == 5
    content = json.loads(invoke("show", folder, "--json").stdout)
    assert [one["cases"][0]["backbone"] for one in content["models"]] == models

    shutil.rmtree(folder / "embedded-llava-ar")
    shown = invoke("show", folder)
    assert shown.exit_code == 0 and "note: not begun yet: embedded/llava-ar" in shown.stderr
    assert models[1] not in shown.stdout


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A study, and the folder in which two processes have answered it."""
    home = tmp_path_factory.mktemp("together")
    (home / "small.yaml").write_text(STUDY, encoding="utf-8")
    study, folder = home / "small.yaml", home / "run"
    result = invoke("run", study, "--out", folder, "--jobs", 2, "--threads", 1)
    assert result.exit_code == 0, result.output
    return study, folder


@pytest.mark.slow
def test_several_processes_answer_what_one_answers(
    together: tuple[Path, Path], tmp_path: Path
) -> None:
    study, folder = together
    alone = tmp_path / "alone"
    assert invoke("run", study, "--out", alone).exit_code == 0

    def facts(folder: Path) -> list[tuple[object, ...]]:
        found = [json.loads(line) for line in lines(folder)]
        return sorted((r["case"], r["sample"], r["answer"], r["macs"]) for r in found)

    assert facts(folder) == facts(alone)
    before = contents(folder)
    assert invoke("run", study, "--out", folder, "--jobs", 2, "--threads", 1).exit_code == 0
    assert contents(folder) == before


@pytest.mark.slow
def test_the_recipe_says_how_many_processes_there_were(together: tuple[Path, Path]) -> None:
    study, folder = together
    recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    assert (recipe["hardware"]["jobs"], recipe["hardware"]["threads"]) == (2, 1)
    other = invoke("run", study, "--out", folder, "--threads", 1)
    assert other.exit_code == 2 and "hardware.jobs (2 there, None now)" in other.stderr


@pytest.mark.slow
def test_several_processes_count_every_case(together: tuple[Path, Path], tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    config = load_study(together[0])
    run_study(config, tmp_path / "run", lambda *report: seen.append(report), threads=1, jobs=2)
    total = len(plan_units(config)) * len(config.cases)
    counts = [done for done, _, _ in seen]
    assert counts == sorted(counts) and counts[0] == 0 and seen[-1] == (total, total, "done")
    assert {of for _, of, _ in seen} == {total}


@pytest.mark.slow
def test_several_processes_go_on_from_what_is_there(
    together: tuple[Path, Path], tmp_path: Path
) -> None:
    study, folder = together
    rest = tmp_path / "rest"
    shutil.copytree(folder, rest)
    lost, *kept = unit_files(rest)
    lost.unlink()
    (rest / "units" / f"{lost.name}.partial").write_text("{")
    assert invoke("run", study, "--out", rest, "--jobs", 2, "--threads", 1).exit_code == 0
    assert unit_files(rest) == [lost, *kept] and contents(rest).keys() == contents(folder).keys()
    assert [path.read_bytes() for path in kept] == [
        (folder / "units" / path.name).read_bytes() for path in kept
    ]


@pytest.mark.slow
def test_what_a_process_gave_up_for_is_said(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In one line, as if there were one process."""
    text = study.read_text(encoding="utf-8")
    wrong = "  - {name: wrong, policy: keep, settings: {mask_id: 1000000}}\n"
    study.write_text(text.rstrip("\n") + "\n" + wrong, encoding="utf-8")
    result = invoke("run", study, "--jobs", 2)
    assert result.exit_code == 2
    assert "mask_id=1000000 is outside the vocabulary" in result.stderr
    assert "0 of 2 units are kept" in result.stderr.replace("\n", " ")
    assert "Traceback" not in capfd.readouterr().err


def test_committed_results_are_shown_as_they_lie() -> None:
    folder = Path(__file__).parents[3] / "studies" / "results" / "modes"
    assert (folder / "records.jsonl.gz").exists() and not (folder / "units").exists()
    content = json.loads(CliRunner().invoke(app, ["study", "show", str(folder), "--json"]).stdout)
    assert content["finished"] and len(content["cases"]) > 2
    assert CliRunner().invoke(app, ["study", "show", str(folder)]).exit_code == 0


GROUPED = """
name: grouped
samples: 3
tasks: [digit]
cases:
  - {name: none}
  - {name: half, method: random, group: fixed, policy: "after_share(0, keep=0.5)", pruner: random}
  - {name: auto, method: auto, group: default, policy: auto()}
"""


def test_a_study_is_looked_back_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("grouped.yaml").write_text(GROUPED, encoding="utf-8")
    assert invoke("run", "grouped.yaml").exit_code == 0
    shown = invoke("hindsight", "runs/grouped")
    assert shown.exit_code == 0, shown.output
    for words in ("digit, 3 samples", "oracle", "best fixed schedule", "fronts", "half"):
        assert words in shown.stdout
    found = json.loads(invoke("hindsight", "runs/grouped", "--json").stdout)
    (task,) = found["embedded/llada-v"]
    assert [case["case"] for case in task["cases"]] == ["half", "auto"]
    assert task["cases"][1]["cost"]["value"] == 1, "two steps are left alone"
    assert {front["group"] for front in task["fronts"]} == {"fixed", "default"}


def test_what_cannot_be_looked_back_on_is_told(
    tmp_path: Path, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("hindsight", tmp_path / "absent").exit_code == 2
    run_study(load_study(study), tmp_path / "run")
    result = invoke("hindsight", tmp_path / "run")
    assert result.exit_code == 2 and "group of cases 'fixed'" in result.stderr
    result = invoke("hindsight", tmp_path / "run", "--max-drop", "much")
    assert result.exit_code == 2 and "much" in result.stderr
