"""``saccade bench --policy``: what is paired with what, what is counted, and every wrong input."""

import json
import math
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from saccade.backbones import Model, load
from saccade.controller import AfterShare, Controller, PlanError
from saccade.controller.errors import CapabilityError
from saccade.pruners import DivPrune, FastV, ToMe
from saccade.studies.analysis.paired import paired_speedup
from saccade.studies.cli import app
from saccade.studies.tasks import Task, tasks
from saccade.studies.timing import policies
from saccade.studies.timing.policies import PolicyTiming, time_policy
from tests.studies.tasks.installed import Colours

LENGTHS = {"gen_length": 2, "block_length": 2, "steps": 2}


@pytest.fixture(scope="module")
def model() -> Model:
    return load("embedded/llada-v", device="cpu")


def controller() -> Controller:
    return Controller(AfterShare(0.5, 0.25), DivPrune(), probe="needed")


def invoke(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, ["bench", *map(str, words)])


def macs(model: Model, control: Controller | None, task: Task, indices: list[int]) -> int:
    """Of answers to these samples, one by one."""
    total = 0
    for sample in task.samples(indices):
        out = model.generate(sample.question, sample.images, controller=control, **LENGTHS)
        total += out.trace.macs + out.trace.prepare_macs
    return total


def test_the_order_alternates_after_a_warm_up(model: Model) -> None:
    told: list[tuple[int, int, str]] = []
    timing = time_policy(
        model,
        controller(),
        tasks.make("digit"),
        repeats=3,
        progress=lambda *news: told.append(news),
    )
    bare, own = policies.SIDES
    assert [label for _, _, label in told] == [
        f"warm-up, {bare}",
        f"warm-up, {own}",
        f"repeat 1, {bare}",
        f"repeat 1, {own}",
        f"repeat 2, {own}",
        f"repeat 2, {bare}",
        f"repeat 3, {bare}",
        f"repeat 3, {own}",
        "done",
    ]
    assert [done for done, _, _ in told] == list(range(9)) and {n for _, n, _ in told} == {8}
    assert len(timing.bare) == len(timing.controlled) == 3
    assert all(seconds > 0 for seconds in (*timing.bare, *timing.controlled))


@pytest.mark.parametrize("pruner", [DivPrune(), ToMe()])
def test_the_ideal_counts_what_every_timed_answer_took(model: Model, pruner: Any) -> None:
    task, control = tasks.make("digit"), Controller(AfterShare(0.0, 0.25), pruner)
    timing = time_policy(model, control, task, batch=2, repeats=2)
    assert timing.bare_macs == macs(model, None, task, [0, 1, 2, 3])
    assert timing.macs == macs(model, control, task, [0, 1, 2, 3]) < timing.bare_macs
    row = timing.row()
    assert row["speedup_ideal"] == timing.bare_macs / timing.macs
    assert row["share_of_ideal"] == row["speedup"] / row["speedup_ideal"]


def test_times_are_paired_by_repeat() -> None:
    row = PolicyTiming((4.0, 9.0), (1.0, 1.0), 300, 50, {"task": "code"}).row()
    expected = paired_speedup({0: 4.0, 1: 9.0}, {0: 1.0, 1: 1.0})
    assert (row["speedup"], row["speedup_low"], row["speedup_high"]) == expected
    assert row["speedup"] == pytest.approx(6.0) and row["speedup_low"] < 4.0
    assert (row["speedup_ideal"], row["repeats"], row["task"]) == (6.0, 2, "code")
    single = PolicyTiming((4.0,), (1.0,), 300, 50, {}).row()
    assert single["speedup"] == 4.0 and math.isnan(single["speedup_low"])


def test_a_small_task_is_asked_from_the_start_again(model: Model) -> None:
    asked: list[list[int]] = []

    class Listening(Colours):
        def samples(self, indices: Any, seed: int = 0, split: Any = "heldout") -> Any:
            asked.append(list(indices))
            return super().samples(indices, seed, split)

    time_policy(model, controller(), Listening(), batch=2, repeats=3)
    assert asked == [[0, 1], [0, 1], [2, 0], [1, 2]]


def test_what_cannot_work_is_refused_before_any_answer(model: Model) -> None:
    task = tasks.make("digit")
    with pytest.raises((CapabilityError, PlanError), match="before layer 0"):
        time_policy(model, Controller(AfterShare(0.5, 0.25, layer=0), FastV()), task)
    for wrong in ({"batch": 0}, {"repeats": 0}, {"repeats": 1.5}):
        with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):
            time_policy(model, controller(), task, **wrong)  # type: ignore[arg-type]


def test_json_tells_what_was_done() -> None:
    before = torch.get_num_threads()
    words = ("--policy", "after_share(0.5, keep=0.25)", "--pruner", "divprune()", "--task", "code")
    result = invoke(*words, "--batch", 2, "--repeats", 2, "--threads", 1, "--json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert row["policy"] == repr(AfterShare(0.5, 0.25)) and row["pruner"] == repr(DivPrune())
    assert (row["model"], row["task"], row["batch"], row["repeats"]) == (
        "embedded/llada-v",
        "code",
        2,
        2,
    )
    assert row["settings"] == {"gen_length": 16, "block_length": 16, "steps": 8}
    assert (row["threads"], len(row["seconds"]), len(row["seconds_bare"])) == (1, 2, 2)
    assert row["speedup_low"] < row["speedup"] < row["speedup_high"]
    assert row["speedup_ideal"] == row["macs_bare"] / row["macs"] > 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", ["embedded/lavida-dream", "embedded/llava-ar"])
def test_every_family_is_timed(name: str) -> None:
    words = ("--policy", "keep()", "--model", name, "--task", "digit", "--repeats", 2)
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    assert f"{name}, float32 on " in result.stdout and " 1.00 " in result.stdout
    assert "95 % interval" in result.stdout and "repeats: 2" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--policy", "kep()"), "unknown policy 'kep'"),
        (("--policy", "keep()", "--task", "poem"), "unknown task 'poem'; known: code, describe"),
        (("--policy", "keep()", "--model", "nowhere"), "nowhere"),
        (
            ("--policy", "keep()", "--pruner", "random()", "--pruner", "divprune()"),
            "timed with one pruner; give one of random(), divprune()",
        ),
        (("--policy", "keep()", "--gen-length", 8), "--gen-length goes with a random model"),
        (("--policy", "keep()", "--signals"), "--signals goes with a random model"),
        (("--policy", "keep()", "--device", "tpu"), "no device 'tpu' here"),
        (("--policy", "after_share(0.5, 0.25)"), "no pruner"),
        (("--model", "embedded/llada-v"), "--model goes with --policy; give one, or leave --model"),
        (("--batch", 2), "--batch goes with --policy"),
    ],
)
def test_wrong_input_is_told_in_one_line(words: tuple[object, ...], message: str) -> None:
    result = invoke(*words)
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0]
