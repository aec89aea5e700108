"""Which sequences share a forward, and that it makes no difference to any of them."""

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from saccade.backbones import StepView
from saccade.backbones.decoding import grouping as sharing
from saccade.backbones.decoding.grouping import by_length
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.controller import (
    AfterShare,
    BasePolicy,
    Controller,
    Drop,
    LayerSkip,
    Plan,
    Signals,
    StepState,
)
from saccade.pruners import Random
from tests.tiny import mixed_requests, tiny_model

TokenStates = tuple[int, ...]


def cost(groups: Sequence[Sequence[int]], rows: Sequence[TokenStates], forward: int) -> float:
    """Rows of all groups, filled up, mean over layers, and what their forwards cost."""
    total = 0.0
    for group in groups:
        longest = [max(own) for own in zip(*(rows[i] for i in group), strict=True)]
        total += len(group) * sum(longest) / len(longest) + forward
    return total


def splits(ordered: Sequence[int]) -> list[list[list[int]]]:
    """All ways to cut a sequence."""
    n, out = len(ordered), []
    for cuts in itertools.product([False, True], repeat=n - 1):
        groups = [[ordered[0]]]
        for cut, item in zip(cuts, ordered[1:], strict=True):
            if cut:
                groups.append([])
            groups[-1].append(item)
        out.append(groups)
    return out


@pytest.mark.parametrize("seed", range(30))
def test_no_other_split_of_ordered_sequences_costs_less(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    forward = chance.choice([0, 1, 20, 100])
    monkeypatch.setattr(sharing, "FORWARD", forward)
    rows = [tuple(chance.choices((10, 30, 31, 80), k=3)) for _ in range(chance.randint(1, 7))]
    groups = by_length(rows)
    assert sorted(i for group in groups for i in group) == list(range(len(rows)))
    ordered = sorted(range(len(rows)), key=lambda i: (sum(rows[i]), rows[i]))
    least = min(cost(split, rows, forward) for split in splits(ordered))
    assert cost(groups, rows, forward) == pytest.approx(least)


def test_equal_lengths_stay_together_and_short_ones_leave_where_it_pays() -> None:
    assert by_length([(500, 500)] * 4) == [[0, 1, 2, 3]]
    assert by_length([(500,), (490,), (500,)]) == [[0, 1, 2]], "a forward costs more"
    assert by_length([(900,), (200,), (900,), (201,)]) == [[1, 3], [0, 2]]


class Uneven(BasePolicy):
    """Each sequence at a rung of its own, some with a layer skipped."""

    reads = frozenset[str]()

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        keep = (1.0, 0.75, 0.5, 0.25)[(state.step + state.committed) % 4]
        return Plan((Drop(0, keep),), frozenset({2} if keep < 0.5 else ()))

    def reset(self) -> None: ...


@pytest.mark.parametrize("family", [None, LAVIDA], ids=["llada-v", "lavida"])
@pytest.mark.parametrize("policy", [Uneven(), AfterShare(0.5, 0.3), LayerSkip()], ids=repr)
def test_answers_do_not_depend_on_who_shares(
    policy: Any, family: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model() if family is None else tiny_model(family=family)
    requests, controller = mixed_requests(model), Controller(policy, Random())
    options = {"gen_length": 8, "steps": 4} | ({"block_length": 8} if family is None else {})
    together, apart = list[StepView](), list[StepView]()
    for forward, views in ((10**9, together), (0, apart)):
        monkeypatch.setattr(sharing, "FORWARD", forward)
        model.generate(inputs=requests, controller=controller, callback=views.append, **options)
    key = {(view.sequence, view.step): view for view in apart}
    assert len(key) == len(apart) == len(together)
    for view in together:
        other = key[view.sequence, view.step]
        torch.testing.assert_close(view.logits, other.logits, atol=1e-4, rtol=1e-4)
        assert view.record.tokens == other.record.tokens
        assert view.record.kept == other.record.kept
        assert view.record.macs == other.record.macs
    first = {view.sequence: view.record.batch for view in apart if view.step == 0}
    whole = {view.sequence: view.record.batch for view in together if view.step == 0}
    assert set(whole.values()) == {len(requests)} and max(first.values()) < len(requests)
