"""What people type after ``--model_args``, and the canvas that a task has."""

from typing import Any

import pytest

import saccade
from saccade.backbones.model import Model
from saccade.controller.expressions import parse_policy
from saccade.studies.lmms.arguments import parse_arguments, parse_options
from saccade.studies.lmms.canvas import canvas_of, own_options
from saccade.studies.lmms.cells import written_arguments

POLICY = "after_share(share=0.0, keep=0.5) + layer_skip()"


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {
        name: saccade.load(f"embedded/{name}") for name in ("llada-v", "lavida-dream", "llava-ar")
    }


def test_commas_in_policies_part_nothing() -> None:
    given = parse_arguments(f"pretrained=a/b, policy={POLICY},options={{steps: 4, seed: 1}},seed=3")
    assert given["pretrained"] == "a/b" and given["seed"] == "3"
    assert parse_policy(given["policy"]) is not None
    assert parse_options(given["options"]) == {"steps": 4, "seed": 1}


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotes_around_a_value_go(quote: str) -> None:
    text = f"policy={quote}{POLICY}{quote},pruner=fastv(queries='all')"
    assert parse_arguments(text) == {"policy": POLICY, "pruner": "fastv(queries='all')"}


def test_what_is_written_is_read() -> None:
    own = {
        "pretrained": "/a path/with, comma",
        "policy": POLICY,
        "pruner": "fastv(queries='all', head_mean='logits')",
        "options": {"steps": 4, "stopping_criteria": ["\n", 'a "b"']},
        "device": None,
        "seed": 0,
    }
    read = parse_arguments(written_arguments(own))
    assert parse_options(read.pop("options")) == own.pop("options")
    del own["device"]
    assert read == {name: str(value) for name, value in own.items()}


@pytest.mark.parametrize(
    "text", ["embedded/llada-v", "=3", "seed=1,seed=2", "policy=keep(", "a='b"]
)
def test_what_is_no_list_of_arguments_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="model_args"):
        parse_arguments(text)


@pytest.mark.parametrize("options", ["4", "steps", "[1]", "{a: ["])
def test_options_are_a_mapping(options: str) -> None:
    with pytest.raises(ValueError, match="give a mapping"):
        parse_options(options)


@pytest.mark.parametrize(
    ("model", "task", "wanted"),
    [
        ("llada-v", "mme", {"gen_length": 2, "block_length": 2, "steps": 2}),
        ("llada-v", "docvqa_val", {"gen_length": 32, "block_length": 32, "steps": 16}),
        ("llada-v", "infovqa_test_x", {"gen_length": 32, "block_length": 32, "steps": 16}),
        ("llada-v", "docvqasomething", {"gen_length": 2, "block_length": 2, "steps": 2}),
        ("lavida-dream", "gqa", {"gen_length": 4, "steps": 2}),
        ("lavida-dream", "chartqa", {"gen_length": 16, "steps": 8}),
        ("lavida-dream", "video_dc499", {"gen_length": 128, "steps": 64}),
        ("llava-ar", "chartqa", {"gen_length": 16}),
    ],
)
def test_each_task_has_its_published_canvas(
    models: dict[str, Model], model: str, task: str, wanted: dict[str, Any]
) -> None:
    assert canvas_of(models[model], task, {}).options == wanted


def test_a_diffusion_model_does_not_take_the_limit_of_a_task(models: dict[str, Model]) -> None:
    asked = {"max_new_tokens": 64}
    assert canvas_of(models["llada-v"], "pope", {}, asked).options["gen_length"] == 2
    assert canvas_of(models["llava-ar"], "pope", {}, asked).options["gen_length"] == 64


def test_the_chart_task_stops_at_a_line(models: dict[str, Model]) -> None:
    canvas = canvas_of(models["llada-v"], "chartqa", {})
    assert canvas.options["stopping_criteria"] == ("\n",)
    assert canvas.think_mode == "no_think" and canvas.drop_period
    assert canvas_of(models["llada-v"], "video_dc499", {}).think_mode == "think"
    assert canvas_of(models["lavida-dream"], "chartqa", {}).think_mode is None


def test_options_take_the_canvas_place(models: dict[str, Model]) -> None:
    own = {"temperature": 0.5, "chartqa": {"gen_length": 8, "steps": 4}}
    options = canvas_of(models["llada-v"], "chartqa_lite", own).options
    assert options["gen_length"] == 8 and options["steps"] == 4
    assert "block_length" not in options  # one block, as before
    assert canvas_of(models["llada-v"], "mme", own).options["gen_length"] == 2
    assert own_options(own, "mme") == {"temperature": 0.5}
    with pytest.raises(TypeError, match="stepps"):
        canvas_of(models["llada-v"], "mme", {"stepps": 2})
