"""``saccade calibrate layer-skip``: what it finds, re-checks and recommends, and wrong inputs."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from saccade import LayerSkip
from saccade.studies.cli import app, calibrate_layers
from saccade.studies.tasks.documents import make_sample

FEW = ("--samples", 1, "--check", 1)


def invoke(*words: object) -> Result:
    runner = CliRunner(env={"COLUMNS": "140"})
    return runner.invoke(app, ["calibrate", "layer-skip", *map(str, words)])


def found(*words: object) -> Any:
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_all_long_kinds_are_asked_about_by_default() -> None:
    assert calibrate_layers._names(None) == ["transcribe", "describe"]
    assert calibrate_layers._names(["code", "digit", "code"]) == ["code", "digit"]


@pytest.mark.slow
def test_it_recommends_what_all_kinds_allow_and_shows_the_recheck() -> None:
    words = ("--samples", 2, "--check", 2, "--loss", 1)
    content = found(*words)
    kinds = content["kinds"]
    assert list(kinds) == ["transcribe", "describe"] and content["samples"] == 2
    for row in content["alone"]:
        each = [kind["alone"][row["layer"]]["divergence"] for kind in kinds.values()]
        assert row["divergence"] == max(each)
    for layer in content["searched"]:
        assert all(layer in kind["layers"] for kind in kinds.values())
    (check,) = content["checks"]
    assert check["passed"] and check["layers"] == content["searched"] == content["layers"] != []
    assert set(check["kinds"]) == set(kinds)
    result = invoke(*words)
    assert repr(LayerSkip(layers=content["layers"])) in result.stderr
    marks = check["kinds"]["describe"]
    assert f"{marks['bare']:.3f}, {marks['skipped']:.3f}" in result.stdout


def test_what_costs_too_much_in_whole_answers_is_given_up() -> None:
    """A limit that allows layers that the answers need: the re-check takes them out again."""
    content = found("--task", "transcribe", "--samples", 1, "--check", 2, "--limit", 100)
    assert len(content["searched"]) == 6
    tried = [check["layers"] for check in content["checks"]]
    cost = {row["layer"]: row["divergence"] for row in content["alone"]}
    for before, after in zip(tried, tried[1:], strict=False):
        assert set(before) - set(after) == {max(before, key=cost.__getitem__)}
    assert [check["passed"] for check in content["checks"]] == [*[False] * (len(tried) - 1), True]
    assert content["layers"] == tried[-1] and 3 not in content["layers"]
    assert content["checks"][0]["kinds"]["transcribe"]["loss"] > 0.01


def test_other_samples_are_rechecked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    real = calibrate_layers._exam

    def exam(model: Any, samples: Any, *rest: Any) -> Any:
        seen.append([sample.answer for sample in samples])
        return real(model, samples, *rest)

    monkeypatch.setattr(calibrate_layers, "_exam", exam)
    found("--task", "code", "--samples", 2, "--check", 2)
    assert seen == [[make_sample("code", i, split="train").answer for i in (2, 3)]]


def test_no_layer_is_no_error() -> None:
    result = invoke(*FEW, "--limit", 0)
    assert result.exit_code == 0 and "no layer is within limit=0" in result.stderr
    assert "re-checked" not in result.stdout


def test_without_a_recheck_that_is_said() -> None:
    result = invoke("--kind", "code", "--samples", 1, "--check", 0, "--limit", 0.05)
    assert result.exit_code == 0 and "not re-checked" in result.stderr


def test_pictures_of_ones_own_are_shared_between_search_and_recheck(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        make_sample("code", i).page.image.save(path)
    words = [word for path in paths for word in ("--image", path)]
    question = ("--prompt", "Which code is in row 2?", "--length", 16)
    content = found(*words, *question, "--loss", 1)
    assert content["samples"] == 2 and list(content["kinds"]) == ["your pictures"]
    assert content["checks"][0]["kinds"]["your pictures"]["bare"] == 1.0
    alone = invoke(*words[:2], *question)
    assert alone.exit_code == 0 and "give two or more" in alone.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--kind", "letter"), "unknown --task 'letter'"),
        (("--task", "describ"), "did you mean describe?"),
        (("--prompt", "What?"), "--image and --prompt together"),
    ],
)
def test_wrong_inputs(words: tuple[str, ...], message: str) -> None:
    result = invoke(*words)
    assert result.exit_code == 2 and message in result.stderr
