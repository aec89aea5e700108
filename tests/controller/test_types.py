"""Values refuse what cannot be carried out, and cannot be changed."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saccade.controller import (
    CommitRule,
    Drop,
    Plan,
    PlanError,
    Segments,
    Selection,
    Signals,
    StepState,
)
from saccade.controller.merging import check_selection
from saccade.controller.types import PROMPT, RESPONSE, VISUAL, round_keep


@pytest.mark.parametrize("keep", [-0.01, 1.01, float("nan"), float("inf"), "0.5", None, True])
def test_a_share_outside_0_to_1(keep: Any) -> None:
    with pytest.raises(PlanError, match=rf"Drop: keep={keep!r}: must lie in \[0, 1\]"):
        Drop(0, keep)


@pytest.mark.parametrize("layer", [-1, 0.5, float("nan"), "1", None, True])
def test_a_layer_that_cannot_be(layer: Any) -> None:
    with pytest.raises(PlanError, match=rf"Drop: layer={layer!r}: must be a whole number, 0 or"):
        Drop(layer, 0.5)


def test_numbers_of_numpy_become_plain() -> None:
    drop = Drop(np.int64(2), np.float32(0.5))  # type: ignore[arg-type]
    assert repr(drop) == "Drop(layer=2, keep=0.5)"


DROPS = st.lists(
    st.builds(Drop, st.integers(0, 6), st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=4
)


@given(DROPS)
def test_layers_ascend_and_shares_do_not_rise(drops: list[Drop]) -> None:
    layers, keeps = [d.layer for d in drops], [d.keep for d in drops]
    fits = layers == sorted(set(layers)) and keeps == sorted(keeps, reverse=True)
    if fits:
        assert Plan(tuple(drops)).drops == tuple(drops)
    else:
        with pytest.raises(PlanError, match="layers must ascend and keep must not rise"):
            Plan(tuple(drops))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("threshold", -0.1),
        ("threshold", 1.5),
        ("threshold", "1"),
        ("factor", -1.0),
        ("factor", None),
    ]
    + [("factor", float("inf")), ("share", 0.5)],
)
def test_a_rule_that_cannot_be(kind: Any, value: Any) -> None:
    with pytest.raises(PlanError, match="CommitRule: (value|kind)="):
        CommitRule(kind, value)


def test_rules() -> None:
    assert CommitRule("threshold", 1).value == 1.0 and CommitRule("factor", 3).value == 3.0


def test_collections_of_a_plan_are_made_plain() -> None:
    drops, layers = [Drop(0, 0.5), Drop(2, 0.25)], {1, 3}
    plan = Plan(drops, layers)  # type: ignore[arg-type]
    drops.clear(), layers.clear()
    assert plan == Plan((Drop(0, 0.5), Drop(2, 0.25)), frozenset({1, 3}))
    assert len({plan, Plan()}) == 2
    assert Plan(d for d in plan.drops).drops == plan.drops  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"drops": Drop(0, 0.5)}, TypeError, "drops=Drop.* is not a collection"),
        ({"drops": ((0, 0.5),)}, TypeError, r"give a collection of Drop\(layer, keep\)"),
        ({"bypass": 1}, TypeError, "bypass=1 is not a collection"),
        ({"bypass": "12"}, TypeError, "bypass='12' is not a collection"),
        ({"bypass": [1.5]}, PlanError, "a layer to bypass=1.5"),
        ({"bypass": [-1]}, PlanError, "a layer to bypass=-1"),
        ({"commit": 0.9}, TypeError, "commit=0.9; give a CommitRule"),
        ({"refresh": "no"}, PlanError, "refresh='no': must be True or False"),
        ({"reselect": 1}, PlanError, "reselect=1: must be True or False"),
    ],
)
def test_a_plan_of_something_else(
    fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Plan(**fields)


def test_the_empty_plan_does_nothing() -> None:
    assert Plan() == Plan((), frozenset(), False, None, False)
    assert not any((Plan().drops, Plan().bypass, Plan().refresh, Plan().commit, Plan().reselect))


@pytest.mark.parametrize(
    "value",
    [Plan(), Drop(0, 0.5), StepState(0, 4, 0, 1, 8, 0), Signals(), Selection(torch.ones(1))],
)
def test_values_are_frozen(value: Any) -> None:
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)
    with pytest.raises((AttributeError, TypeError)):
        value.another = 1


@given(st.lists(st.sampled_from([PROMPT, VISUAL, RESPONSE]), max_size=12))
def test_segments_partition_the_positions(kinds: list[int]) -> None:
    segments = Segments(torch.tensor(kinds, dtype=torch.int8), torch.zeros(len(kinds)))
    parts = [segments.prompt.tolist(), segments.visual.tolist(), segments.response.tolist()]
    for kind, part in zip((PROMPT, VISUAL, RESPONSE), parts, strict=True):
        assert part == [i for i, k in enumerate(kinds) if k == kind]
    assert sorted(sum(parts, [])) == list(range(len(segments)))


def test_segments_can_be_compared() -> None:
    one, other = (Segments(torch.zeros(3), torch.zeros(3)) for _ in range(2))
    assert one == one and one != other and len({one, other}) == 2


def test_confidence_is_that_of_masked_positions() -> None:
    confidence = torch.tensor([0.9, 0.2, 0.4, torch.nan])
    signals = Signals(confidence=confidence, masked=torch.tensor([False, True, True, False]))
    assert signals.mean_confidence == pytest.approx(0.3)
    assert signals.min_confidence == pytest.approx(0.2)
    for nothing in (
        Signals(),
        Signals(confidence=confidence),
        Signals(confidence=confidence, masked=torch.zeros(4, dtype=torch.bool)),
    ):
        assert nothing.mean_confidence is None and nothing.min_confidence is None


@given(st.integers(0, 3000))
def test_a_share_of_a_count(n: int) -> None:
    counts = [round_keep(keep / 100, n) for keep in range(101)]
    assert counts[0] == 0 and counts[100] == n and counts == sorted(counts)
    assert all(count >= min(n, 1) for count in counts[1:])  # a ratio above 0 keeps one at least
    exact = [n * keep / 100 for keep in range(101)]
    assert all(
        abs(count - wanted) <= 0.5 or (count == 1 and wanted < 1)
        for count, wanted in zip(counts, exact, strict=True)
    )


def test_halves_go_to_the_even_count() -> None:
    assert [round_keep(0.25, n) for n in (6, 10, 14, 18)] == [2, 2, 4, 4]


@pytest.mark.parametrize(
    ("keep", "n", "message"),
    [
        ([0, 2], 3, "kept 2 tokens; asked for 3"),
        ([0, 1, 2], 2, "kept 3 tokens; asked for 2"),
        ([2, 1], 2, "must ascend within 0 to 4"),
        ([1, 1], 2, "must ascend"),
        ([-1, 1], 2, "must ascend within 0"),
        ([0, 5], 2, "within 0 to 4"),
    ],
)
def test_a_wrong_selection_is_refused(keep: list[int], n: int, message: str) -> None:
    with pytest.raises(PlanError, match=f"Mine.*{message}"):
        check_selection(Selection(torch.tensor(keep)), n, 5, "Mine")


@pytest.mark.parametrize("keep", [torch.ones(2), torch.ones(1, 2).long(), torch.ones(2).int()])
def test_a_selection_of_a_wrong_kind_is_refused(keep: torch.Tensor) -> None:
    with pytest.raises(PlanError, match=r"keep must be \(n,\) int64"):
        check_selection(Selection(keep), 2, 5, "Mine")


@given(st.sets(st.integers(0, 9)))
def test_a_right_selection_passes(kept: set[int]) -> None:
    keep = torch.tensor(sorted(kept), dtype=torch.int64)
    check_selection(Selection(keep), len(kept), 10, "Mine")
