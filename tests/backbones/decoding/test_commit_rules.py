"""Plans that commit what the model is sure of: which positions, and never more steps."""

from typing import Any

import pytest
import torch

from saccade.backbones import Model, StepView
from saccade.backbones.decoding.rules import sure_positions
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.backbones.families.lavida_llada import FAMILY as LAVIDA_LLADA
from saccade.controller import BasePolicy, CommitRule, Controller, Plan, Signals, StepState
from tests.tiny import fake_request, mixed_requests, tiny_model

nan = float("nan")


class Rule(BasePolicy):
    """One rule in every step."""

    reads = frozenset[str]()

    def __init__(self, kind: Any, value: float) -> None:
        self._rule = CommitRule(kind, value)

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        return Plan(commit=self._rule)

    def reset(self) -> None: ...


@pytest.mark.parametrize(
    ("kind", "value", "confidence", "eligible", "wanted"),
    [
        ("threshold", 0.9, [0.95, 0.9, 0.89, 1.0], [1, 1, 1, 0], [0, 1]),
        ("threshold", 0.9, [nan, 0.99, 0.2, 0.3], [1, 1, 1, 1], [1]),
        ("threshold", 0.9, [0.1, 0.2, 0.3, 0.4], [1, 1, 1, 1], []),
        ("threshold", 0.0, [0.1, nan, 0.3, 0.4], [1, 1, 1, 0], [0, 2]),
        # Factor 1: the second needs 1 - 1/3, the third 1 - 1/4, the fourth 1 - 1/5.
        ("factor", 1.0, [0.1, 0.7, 0.8, 0.74], [1, 1, 1, 1], [2, 3]),
        ("factor", 1.0, [0.1, 0.75, 0.8, 0.75], [1, 1, 1, 1], [1, 2, 3]),
        ("factor", 1.0, [0.1, 0.2, 0.05, nan], [1, 1, 1, 1], [1]),
        ("factor", 1.0, [nan, nan, 0.5, 0.6], [1, 1, 0, 0], []),
    ],
)  # fmt: skip
def test_which_positions_a_rule_is_sure_of(
    kind: Any, value: float, confidence: list[float], eligible: list[int], wanted: list[int]
) -> None:
    where = torch.tensor(eligible, dtype=torch.bool)
    given = sure_positions(CommitRule(kind, value), torch.tensor(confidence), where)
    assert given.nonzero()[:, 0].tolist() == wanted


FAMILIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "blocks": (None, {"block_length": 4, "steps": 8}),
    "prefix refresh": (None, {"block_length": 8, "steps": 8, "prefix_refresh_interval": 2}),
    "prefix": (LAVIDA, {"steps": 8}),
    "scheduled": (LAVIDA, {"steps": 8, "schedule": "shift"}),
    "entropy": (LAVIDA, {"steps": 8, "alg": "entropy"}),
    "lavida blocks": (LAVIDA_LLADA, {"block_length": 4, "steps": 8}),
    "lavida blocks, cached": (LAVIDA_LLADA, {"block_length": 4, "steps": 8, "prefix_lm": True}),
}


def model_of(name: str) -> tuple[Model, dict[str, Any]]:
    family, options = FAMILIES[name]
    model = tiny_model() if family is None else tiny_model(family=family)
    return model, {"gen_length": 8, **options}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_threshold_of_one_or_a_factor_of_nothing_is_the_schedule(name: str) -> None:
    model, options = model_of(name)
    page = fake_request(model, [(40, 30)])
    plain = model.generate(inputs=page, **options)
    never = model.generate(inputs=page, controller=Controller(Rule("threshold", 1.0)), **options)
    assert never.tokens == plain.tokens
    assert [s.committed for s in never.trace] == [s.committed for s in plain.trace]


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_sure_is_committed_in_addition_to_the_schedule(name: str) -> None:
    model, options = model_of(name)
    page, views = fake_request(model, [(40, 30)]), list[StepView]()
    plain = model.generate(inputs=page, **options)
    rule = CommitRule("threshold", 0.25)
    out = model.generate(
        inputs=page,
        controller=Controller(Rule("threshold", 0.25)),
        callback=views.append,
        **options,
    )
    assert out.trace.forwards < plain.trace.forwards
    for view in views:
        confidence = torch.as_tensor(view.record.signals.confidence)
        eligible = view.confidence > -torch.inf
        sure = sure_positions(rule, confidence, eligible).nonzero()[:, 0].tolist()
        assert set(sure) <= set(view.record.committed)
        assert view.record.signals.committed == len(view.record.committed)
    assert model.spec.mask_id not in out.tokens


@pytest.mark.parametrize("name", FAMILIES)
def test_everything_at_once_takes_a_step_a_block(name: str) -> None:
    model, options = model_of(name)
    page = fake_request(model, [(40, 30)])
    out = model.generate(inputs=page, controller=Controller(Rule("threshold", 0.0)), **options)
    assert out.trace.forwards == 8 // options.get("block_length", 8)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_batch_commits_what_singles_commit(name: str) -> None:
    model, options = model_of(name)
    controller = Controller(Rule("factor", 0.95))
    requests = mixed_requests(model)
    singles = [model.generate(inputs=one, controller=controller, **options) for one in requests]
    batch = model.generate(inputs=requests, controller=controller, **options)
    assert [out.tokens for out in batch] == [out.tokens for out in singles]
    assert [out.trace.forwards for out in batch] == [out.trace.forwards for out in singles]


@pytest.mark.parametrize("value", [0.3, 0.4, 0.5])
@pytest.mark.parametrize("interval", [None, 4])
def test_the_schedule_never_reaches_into_the_next_block(interval: int | None, value: float) -> None:
    """Even if what was sure left less of the block than the schedule commits."""
    model, views = tiny_model(), list[StepView]()
    options = {"gen_length": 16, "block_length": 8, "steps": 8}
    options |= {} if interval is None else {"prefix_refresh_interval": interval}
    pages = [fake_request(model, [(40, 30)], seed) for seed in range(4)]
    rule = Controller(Rule("threshold", value))
    model.generate(inputs=pages, controller=rule, callback=views.append, **options)
    short = 0
    for view in views:
        end = 8 * (view.record.state.block + 1)
        assert max(view.record.committed) < end
        assert all(view.confidence[i] > -torch.inf for i in view.record.committed)
        short += len(view.record.committed) == 1
    assert short, "some steps had less to commit than the schedule says"
