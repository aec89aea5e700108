"""``saccade presets make`` and ``check``: figures are measured, and measured again."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from saccade.backbones import load
from saccade.backbones.checkpoints.fingerprint import fingerprint
from saccade.controller import Preset
from saccade.controller.policies import Abstain, Keep
from saccade.controller.preset import Backbone, Device, FrontPoint
from saccade.controller.preset_names import find_preset, shipped_presets
from saccade.studies.cli import app
from saccade.studies.tasks import tasks
from saccade.studies.tasks.answer_classes import SHORT, answer_class
from saccade.studies.tasks.documents import make_sample
from saccade.studies.timing.preset_check import compare
from tests.controller.presets import made


def invoke(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, list(map(str, words)))


@pytest.mark.slow
def test_make_measures_and_check_finds_the_same(tmp_path: Path) -> None:
    file = tmp_path / "made.json"
    words = ("--task", "code", "-p", "auto()", "--out", file, "--samples", "6")
    assert invoke("presets", "make", *words).exit_code == 0
    own = Preset.read(file)
    assert own.front.ideal is not None and own.front.ideal > 1
    assert own.task.kind == "long" and own.generation["steps"] == 8
    assert own.search.command.startswith("saccade presets make --task code --policy 'auto()'")
    result = invoke("presets", "check", file, "--samples", "6", "--json")
    figures = {line["name"]: line["holds"] for line in json.loads(result.stdout)["figures"]}
    assert figures["backbone"] and figures["ideal"] and figures["score"] and figures["projected"]
    worse = own.front.model_copy(update={"ideal": 2 * own.front.ideal})
    own.model_copy(update={"front": worse}).write(file)
    again = invoke("presets", "check", file, "--samples", "6")
    assert again.exit_code == 1 and "do not hold" in again.stdout


def test_check_on_another_backbone_says_so(tmp_path: Path) -> None:
    file = made(backbone=Backbone(name="embedded/llada-v", hash="1" * 64)).write(tmp_path)
    result = invoke("presets", "check", file, "--samples", "2")
    assert result.exit_code == 1 and "another one" in result.stdout


def test_figures_are_compared_one_by_one() -> None:
    here = Device(kind="cpu", name="a", threads=1)
    before = FrontPoint(score=0.9, ideal=2.0, measured=1.5, measured_low=1.4, measured_high=1.6)
    now = before.model_copy(update={"measured": 1.3, "measured_low": 1.2, "measured_high": 1.39})
    verdict = {line.name: line.holds for line in compare(before, now, here, here, 10_000)}
    assert verdict == {
        "score": True,
        "score_relative": None,
        "ideal": True,
        "projected": None,
        "measured": False,
    }
    other = Device(kind="cpu", name="b", threads=1)
    lines = compare(before, now, here, other, 10_000)
    assert lines[-1].holds is None and "another device" in lines[-1].why
    lost = before.model_copy(update={"score": 0.8})
    assert compare(before, lost, here, here, 10_000)[0].holds is False
    assert compare(before, lost, here, here, 20)[0].holds is True  # within what 20 samples show


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    """20 questions whose right answers nobody knows."""
    lines = []
    for i in range(20):
        sample = make_sample("code", i)
        sample.page.image.save(tmp_path / f"{i}.png")
        lines.append(json.dumps({"image": f"{i}.png", "question": sample.question}))
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    return tmp_path / "mine.jsonl"


@pytest.mark.slow
def test_what_was_tuned_label_free_is_checked_by_agreement(unlabelled: Path) -> None:
    model = load("embedded/llada-v")
    own = made(
        policy="confident_commits(value=0.9)",
        backbone=Backbone(name="embedded/llada-v", hash=fingerprint(model.network)),
        front=FrontPoint(scored_by="agreement", score=1.0, score_relative=1.0),
    )
    file = own.write(unlabelled.parent / "preset.json")
    words = ("presets", "check", file, "--benchmark", unlabelled, "--json")
    lines = {line["name"]: line for line in json.loads(invoke(*words).stdout)["figures"]}
    assert lines["score"]["holds"] and 0.9 < lines["score"]["now"] <= 1
    assert lines["score"]["now"] == lines["score_relative"]["now"]
    labelled = own.model_copy(update={"front": FrontPoint(score=0.2)})
    labelled.write(file)
    refused = invoke(*words)
    assert refused.exit_code == 2 and "answer" in refused.stderr
    result = invoke(*words, "--label-free")
    (line,) = (one for one in json.loads(result.stdout)["figures"] if one["name"] == "score")
    assert line["holds"] is None and line["why"] == "scored by metric, and now by agreement"


def test_all_that_a_file_has_is_checked(unlabelled: Path) -> None:
    file = made(front=FrontPoint(scored_by="agreement")).write(unlabelled.parent / "preset.json")
    few = invoke("presets", "check", file, "--benchmark", unlabelled, "--samples", "7")
    assert few.exit_code == 2 and "has 6 samples" in few.stderr
    result = invoke("presets", "check", file, "--benchmark", unlabelled)
    assert result.exit_code == 1 and "another one" in result.stdout
    unlabelled.write_text(unlabelled.read_text().splitlines()[0])
    result = invoke("presets", "check", file, "--benchmark", unlabelled)
    assert result.exit_code == 2 and "too few questions" in result.stderr


def test_answers_that_auto_leaves_alone_are_short() -> None:
    assert Abstain(Keep()).steps == SHORT == 6  # which the help says, too
    assert answer_class(SHORT - 1) == "short" and answer_class(SHORT) == "long"
    for name in shipped_presets():
        task = find_preset(name).preset.task
        assert task.kind == answer_class(tasks.make(task.name).steps)
