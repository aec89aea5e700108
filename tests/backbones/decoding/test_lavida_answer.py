"""LaViDa-Dream's answers without a model: the recorded steps, and where nothing is left to do."""

from typing import Any

import pytest
import torch

from saccade.backbones.decoding.lavida.answer import LavidaAnswer
from saccade.backbones.decoding.lavida.schedules import SCHEDULES, schedule_table
from saccade.backbones.decoding.lavida.settings import LavidaSettings
from saccade.backbones.families.lavida_dream import FAMILY
from tests.backbones.decoding.golden_lavida import SET, arrays
from tests.backbones.decoding.test_golden_lavida_model import options, runs
from tests.golden_sets import golden_json, golden_params
from tests.tiny import fake_request, tiny_model

RECORDED = [name for name in runs() if "seed" not in name]
"""Runs of which candidates and confidences were recorded: those that draw nothing."""


@pytest.mark.golden
@pytest.mark.parametrize("name", golden_params(SET, RECORDED))
def test_recorded_candidates_and_confidences_give_the_recorded_steps(name: str) -> None:
    run, stored = runs()[name], arrays("generate.npz")
    settings = LavidaSettings.from_options(options(name, run))
    answer = LavidaAnswer(settings, golden_json(SET, "config.json")["mask_token_id"])
    if settings.prefix_lm:
        answer.begin(run["first_token"])
    history, conf = stored[f"{name}.history"].long(), stored[f"{name}.conf"]
    assert len(history) == settings.n_steps == answer.state.n_steps
    for step, wanted in enumerate(history):
        masked = answer.masked
        assert not answer.done and torch.equal(masked, ~conf[step].isnan())
        ranking = torch.where(masked, conf[step], float("-inf"))
        commit = answer.commit(stored[f"{name}.x0"][step].long(), ranking)
        assert torch.equal(answer.ids, wanted)
        assert set(commit.filled) == set((masked & ~answer.masked).nonzero()[:, 0].tolist())
    assert answer.done


@pytest.mark.parametrize("schedule", [None, *SCHEDULES])
def test_a_one_token_answer_may_be_decided_by_the_prompt(schedule: str | None) -> None:
    model = tiny_model(family=FAMILY)
    how: dict[str, Any] = {"gen_length": 1, "steps": 1, "append_eot": False}
    out = model.generate(inputs=fake_request(model, [(40, 30)]), schedule=schedule, **how)
    assert len(out.tokens) == 1 and [step.committed for step in out.trace] == [(0,)]


@pytest.mark.parametrize(("shift", "left"), [(0.33, 0), (3.0, 0), (0.58, 1), (1.43, 1)])
def test_some_shifts_leave_a_position_masked(shift: float, left: int) -> None:
    """As published: the curve's end, rounded down, is one position short."""
    assert sum(schedule_table(31, 16, "shift", shift)) == 31 - left
    answer = LavidaAnswer(
        LavidaSettings(gen_length=32, steps=16, schedule="shift", shift=shift), mask_id=9
    )
    answer.begin(1)
    while not answer.done:
        answer.commit(torch.ones(32, dtype=torch.int64), torch.rand(32))
    assert answer.state.masked == left


def test_equal_confidences_commit_their_number() -> None:
    answer = LavidaAnswer(LavidaSettings(gen_length=8, steps=2, schedule="linear"), mask_id=9)
    commits = [answer.commit(torch.arange(8), torch.zeros(8)) for _ in range(2)]
    assert [commit.k for commit in commits] == [4, 4] and answer.done
    assert answer.tokens == tuple(range(8))


def test_an_answer_ends_as_soon_as_nothing_is_masked() -> None:
    answer = LavidaAnswer(LavidaSettings(gen_length=4, steps=4, alg="origin"), mask_id=9)
    while not answer.done:
        answer.commit(torch.ones(4, dtype=torch.int64), torch.zeros(4))
        assert answer.done == (answer.state.masked == 0)
    assert answer.tokens == (1, 1, 1, 1)
