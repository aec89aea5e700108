"""Blocks, schedule, commits and stops: the answer's bookkeeping against the published loop."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from saccade.backbones.decoding.commit import Commit
from saccade.backbones.decoding.llada.answer import LladaAnswer, transfer_schedule
from saccade.backbones.decoding.llada.settings import GenerateSettings
from saccade.backbones.decoding.sampling import forbid
from saccade.backbones.inputs.stops import find_sequence
from saccade.controller.signals import candidate_confidence
from tests.backbones.network.naive import LoopStep, published_loop

VOCAB, MASK, WIDTH = 9, 8, 4


def made_up_logits(seed: int, ids: Tensor) -> Tensor:
    """Logits (L, V) that follow from the ids; few levels, so that confidences are often equal."""
    key = hash((seed, *ids.tolist())) & (2**63 - 1)
    generator = torch.Generator().manual_seed(key)
    return torch.randint(0, 3, (len(ids), VOCAB), generator=generator).float()


def run_answer(
    own: GenerateSettings, seed: int, prompt: int, stops: list[list[int]], **options: Any
) -> tuple[LladaAnswer, list[LoopStep]]:
    answer = LladaAnswer(own, prompt, MASK, stops, options.get("suffix", ()))
    log: list[LoopStep] = []
    while not answer.done:
        ids = torch.cat([torch.full((prompt,), MASK), answer.ids])
        logits = made_up_logits(seed, ids)[prompt:]
        forbid(logits[None], answer.masked[None], options.get("forbidden", ()))
        chosen = logits.argmax(-1)
        confidence, _, _ = candidate_confidence(logits, chosen)
        ranking = confidence.masked_fill(~answer.eligible(), float("-inf"))
        before, state = answer.masked, answer.state
        assert state.masked == int(before[: own.gen_length].sum())
        assert state.masked + state.committed == own.gen_length
        assert state.step == len(log)
        commit = answer.commit(chosen, ranking)
        assert set(commit.filled) == {i for i in commit.picked if before[i]}
        log.append(LoopStep(commit.k, list(commit.picked), answer.ids.tolist()))
    return answer, log


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    n_blocks, block = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    per_block = draw(st.integers(1, 8))
    return {
        "gen_length": n_blocks * block,
        "block_length": block,
        "steps": n_blocks * per_block,
    }


SEQUENCES = st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=2)


@settings(max_examples=300, deadline=None)
@given(
    shape=shapes(),
    seed=st.integers(0, 2**31),
    prompt=st.integers(1, 5),
    stops=st.lists(SEQUENCES, max_size=3),
    suffix=st.lists(st.integers(0, VOCAB - 2), max_size=2),
    forbidden=st.lists(st.integers(0, VOCAB - 1), max_size=2, unique=True),
    search_all_stops=st.booleans(),
    commit_ineligible=st.booleans(),
)
def test_the_published_loop(
    shape: dict[str, Any],
    seed: int,
    prompt: int,
    stops: list[list[int]],
    suffix: list[int],
    forbidden: list[int],
    search_all_stops: bool,
    commit_ineligible: bool,
) -> None:
    table = torch.arange(VOCAB * WIDTH, dtype=torch.float32).reshape(VOCAB, WIDTH)
    rules: dict[str, Any] = {
        "search_all_stops": search_all_stops,
        "commit_ineligible": commit_ineligible,
    }
    wanted = published_loop(
        lambda x, t: made_up_logits(seed, t),
        torch.full((prompt, WIDTH), -1.0),
        table,
        mask_id=MASK,
        forbidden=forbidden,
        stops=stops,
        suffix=suffix,
        **shape,
        **rules,
    )
    own = GenerateSettings(**shape, **rules)
    given_, log = run_answer(own, seed, prompt, stops, suffix=suffix, forbidden=forbidden)
    assert log == wanted.steps
    assert list(given_.tokens) == wanted.tokens


@given(st.integers(0, 60), st.integers(1, 20))
def test_the_schedule_is_even_and_complete(masked: int, steps: int) -> None:
    schedule = transfer_schedule(masked, steps)
    assert len(schedule) == steps and sum(schedule) == masked
    assert schedule == sorted(schedule, reverse=True)
    assert max(schedule) - min(schedule) <= 1


@given(st.lists(st.integers(0, 2), max_size=12), st.lists(st.integers(0, 2), max_size=3))
def test_the_first_occurrence_is_found(ids: list[int], wanted: list[int]) -> None:
    text, part = "".join(map(str, ids)), "".join(map(str, wanted))
    at = text.find(part) if part else -1
    assert find_sequence(ids, wanted) == (None if at < 0 else at)


def put(answer: LladaAnswer, tokens: dict[int, int]) -> Commit:
    """One step in which exactly these positions are the most confident."""
    chosen = torch.zeros(len(answer.ids), dtype=torch.int64)
    confidence = torch.full((len(answer.ids),), 0.1, dtype=torch.float64)
    for at, token in tokens.items():
        chosen[at], confidence[at] = token, 0.9
    return answer.commit(chosen, confidence.masked_fill(~answer.eligible(), float("-inf")))


@pytest.mark.parametrize(("search_all", "tokens"), [(False, 3), (True, 1)])
def test_a_later_criterion_moves_the_stop_only_if_all_are_searched(
    search_all: bool, tokens: int
) -> None:
    own = GenerateSettings(4, 4, 4, search_all_stops=search_all)
    answer = LladaAnswer(own, 2, MASK, [[5], [6]])
    put(answer, {3: 6})
    assert answer.stop_pos == 3
    put(answer, {1: 6})
    while not answer.done:
        put(answer, {})
    assert answer.stop_pos == tokens == len(answer.tokens)


@pytest.mark.parametrize(("ineligible", "k"), [(True, 3), (False, 1)])
def test_a_step_commits_its_full_number_or_only_what_is_eligible(ineligible: bool, k: int) -> None:
    own = GenerateSettings(6, 6, 2, commit_ineligible=ineligible)
    answer = LladaAnswer(own, 2, MASK, [[5]])
    put(answer, {1: 5, 2: 0, 3: 0})  # the stop is at 1, so that only 0 is eligible
    assert answer.eligible().tolist() == [True] + [False] * 5
    commit = put(answer, {})
    assert commit.k == k and 0 in commit.filled
    assert answer.done and answer.tokens == (0,)
