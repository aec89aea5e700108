"""Tasks: what every registered one keeps to, and one that an installed package offers."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

import saccade.controller.registry as registry_module
from saccade.controller.errors import StudyError, UnknownNameError
from saccade.studies.cli import app
from saccade.studies.config.cases import load_study
from saccade.studies.runs.records import read_run
from saccade.studies.runs.runner import run_study
from saccade.studies.tasks import Score, make_sample, metrics, tasks
from saccade.studies.tasks.documents import KINDS
from saccade.studies.tasks.documents import make_sample as document_sample
from tests.studies.tasks.installed import COLOURS


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers a task."""
    offered = [EntryPoint("colours", "tests.studies.tasks.installed:Colours", tasks.group)]
    monkeypatch.setattr(
        registry_module,
        "entry_points",
        lambda group: [entry for entry in offered if entry.group == group],
    )


def study(folder: Path, **fields: object) -> Path:
    cases = [{"name": "none"}]
    content = {"name": "own", "samples": 3, "batch": 2, "cases": cases, **fields}
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    return folder / "study.yaml"


def invoke(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, list(map(str, words)))


def test_the_kinds_of_documents_are_registered() -> None:
    assert set(KINDS) <= set(tasks)
    assert all(tasks.make(name) is kind for name, kind in KINDS.items())
    assert make_sample is document_sample


@pytest.mark.parametrize("name", list(tasks))
def test_every_task_keeps_the_contract(name: str) -> None:
    task = tasks.make(name)
    assert task.name == name and task.gen_length % task.block_length == 0
    blocks = task.gen_length // task.block_length
    assert 1 <= task.steps <= task.gen_length and task.steps % blocks == 0
    first, second = task.samples([0, 3], seed=5, split="train")
    (again,) = task.samples([3], seed=5, split="train")
    assert (first.index, second.index) == (0, 3)
    assert (second.question, second.answer) == (again.question, again.answer)
    for one, other in zip(second.images, again.images, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))
    assert first.score(first.answer).exact == 1.0 and first.score("").exact == 0.0


def test_unknown_tasks_list_the_known() -> None:
    with pytest.raises(UnknownNameError, match="unknown task 'poem'; known: code, describe, digit"):
        tasks.make("poem")


@pytest.mark.parametrize("kind", KINDS)
def test_documents_are_scored_by_their_metric(kind: str) -> None:
    sample, metric = make_sample(kind, 0), metrics.make(KINDS[kind].metric)
    text = sample.answer[: len(sample.answer) // 2]
    given, answers = sample.score(text), (sample.answer,)
    assert given.score == given.rows == metric.score(text, answers)
    assert given.symbols == metrics.make("symbols").score(text, answers)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (Score.of(1.0), (1.0, 1.0, 1.0, 1.0)),
        (Score.of(0.5), (0.5, 0.0, 0.5, 0.5)),
        (Score.of(0.5, symbols=0.75), (0.5, 0.0, 0.5, 0.75)),
        (Score.of(100.0, best=100.0), (100.0, 1.0, 100.0, 100.0)),
    ],
)
def test_a_score_from_the_main_metric(score: Score, expected: tuple[float, ...]) -> None:
    assert (score.score, score.exact, score.rows, score.symbols) == expected


@pytest.mark.usefixtures("installed")
def test_a_study_runs_on_the_task_of_a_package(tmp_path: Path) -> None:
    config = load_study(study(tmp_path, tasks=["colours", "digit"], seeds=[4, 9]))
    folder = run_study(config, tmp_path / "run", threads=1)
    recipe, _, records = read_run(folder)
    assert recipe["settings"]["colours"]["steps"] == 2
    own = [record for record in records if record.task == "colours"]
    assert [(r.seed, r.sample, r.expected) for r in own] == [
        (seed, index, COLOURS[index]) for seed in (4, 9) for index in range(3)
    ]
    assert all(record.score == float(record.expected in record.answer) for record in own)


@pytest.mark.usefixtures("installed")
def test_a_study_asks_for_no_more_samples_than_there_are(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="samples=4, but the task 'colours' has 3; give as many"):
        load_study(study(tmp_path, tasks=["colours"], samples=4))
    with pytest.raises(
        StudyError,
        match="unknown task 'colour'; did you mean colours. known: code, colours, describe",
    ):
        load_study(study(tmp_path, tasks=["colour"]))


@pytest.mark.usefixtures("installed")
def test_a_page_of_the_task_of_a_package(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    result = invoke("page", path, "--kind", "colours", "--index", 2)
    assert result.exit_code == 0, result.output
    assert "Which colour is it?" in result.stdout and "--gen-length 4" in result.stdout
    assert Image.open(path).getpixel((0, 0)) == (0, 0, 255)
    late = invoke("page", path, "--kind", "colours", "--index", 3)
    assert late.exit_code == 2 and "--index 3: colours has 3 samples" in late.stderr


@pytest.mark.usefixtures("installed")
def test_calibration_asks_the_task_of_a_package() -> None:
    words = ("calibrate", "layer-skip", "--kind", "colours", "--samples")
    result = invoke(*words, 2, "--json")
    assert result.exit_code == 0 and "3 samples: 1 are left for the re-check" in result.stderr
    assert json.loads(result.stdout)["samples"] == 2
    whole = invoke(*words, 3)
    assert whole.exit_code == 0 and "0 are left for the re-check" in whole.stderr
    many = invoke(*words, 4)
    assert many.exit_code == 2 and "--samples 4: the kind 'colours' has 3" in many.stderr
