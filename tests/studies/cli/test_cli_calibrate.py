"""``saccade calibrate layer-skip``: what it finds, and wrong inputs."""

import json

import pytest
from typer.testing import CliRunner, Result

from saccade import LayerSkip
from saccade.studies.cli import app


def invoke(*words: object) -> Result:
    runner = CliRunner(env={"COLUMNS": "100"})
    return runner.invoke(app, ["calibrate", "layer-skip", *map(str, words)])


def test_it_names_the_layers_and_how_they_are_used() -> None:
    result = invoke("--samples", 2, "--limit", 0.05)
    assert result.exit_code == 0, result.output
    content = json.loads(invoke("--samples", 2, "--limit", 0.05, "--json").stdout)
    layers = content["layers"]
    assert repr(LayerSkip(layers=layers)) in result.stderr
    alone = [row["divergence"] for row in content["alone"]]
    assert len(alone) == 6 and all(alone[layer] <= 0.05 for layer in layers)
    assert content["samples"] == 2 and content["together"]


def test_no_layer_is_no_error() -> None:
    result = invoke("--samples", 1, "--limit", 0)
    assert result.exit_code == 0 and "no layer is within limit=0" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--kind", "letter"), "unknown --kind 'letter'"),
        (("--prompt", "What?"), "--image and --prompt together"),
    ],
)
def test_wrong_inputs(words: tuple[str, ...], message: str) -> None:
    result = invoke(*words)
    assert result.exit_code == 2 and message in result.stderr
