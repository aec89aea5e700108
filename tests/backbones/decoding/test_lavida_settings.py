"""LaViDa-Dream's settings, schedules and answers: what is allowed, and what comes of it."""

from typing import Any

import numpy as np
import pytest
import torch

from saccade.backbones.decoding.causal.settings import CausalSettings
from saccade.backbones.decoding.lavida.answer import LavidaAnswer
from saccade.backbones.decoding.lavida.schedules import SCHEDULES, schedule_table
from saccade.backbones.decoding.lavida.settings import LavidaSettings

MASK = 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gen_length": 0}, "gen_length=0: must be a whole number, 1 or more"),
        ({"steps": 1.5}, "steps=1.5: must be a whole number, 1 or more"),
        ({"temperature": -1}, "temperature=-1: must be a number, 0"),
        ({"top_p": 1.5}, r"top_p=1.5: must lie in \(0, 1\]"),
        ({"top_p": 0}, "top_p=0: must be above 0"),
        ({"top_k": 0}, "top_k=0: must be a whole number, 1 or more"),
        (
            {"alg": "margin"},
            "alg='margin'; did you mean topk_margin. allowed: 'maskgit_plus'",
        ),
        (
            {"schedule": "shfit"},
            "schedule='shfit'; did you mean shift. allowed: 'linear', 'cosine'",
        ),
        ({"schedule": "shift", "shift": 0}, "shift=0: must be above 0"),
        ({"eps": 1}, r"eps=1: must lie in \[0, 1\)"),
        ({"confidence_dtype": "bf16"}, "confidence_dtype='bf16'; allowed: 'model', 'float32'"),
        (
            {"step_ratio": 0.01, "gen_length": 8},
            "step_ratio=0.01 of gen_length=8 makes no step",
        ),
        ({"step_ratio": 1.0, "gen_length": 8, "steps": 4}, "is 8 steps, but steps=4; leave one"),
        ({"alg": "origin", "schedule": "linear"}, "follows no schedule; leave it out"),
        ({"prefix_lm": "True"}, "prefix_lm='True': must be True or False"),
        ({"seed": -1}, "seed=-1: must be a whole number, 0 to"),
    ],
)
def test_wrong_values_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LavidaSettings.from_options(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_length": 4, "gen_length": 8}, "block_length=4: LaViDa-Dream decodes the whole"),
        ({"step_per_block": 4}, "step_per_block=4: give steps"),
        ({"until": ["\n"]}, "give stopping_criteria"),
        ({"remasking": "random"}, "remasking='random': give alg"),
        ({"schedule_kwargs": {"shift": 0.33}}, "give shift"),
        ({"gen_length": 4, "max_new_tokens": 4}, "which are the same"),
        (
            {"refix_lm": True},
            "unknown option refix_lm; did you mean prefix_lm. known options: gen_l",
        ),
    ],
)
def test_options_that_do_nothing_are_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        LavidaSettings.from_options(options)


def test_published_names_and_numbers_of_numpy_are_taken() -> None:
    given = {"max_new_tokens": np.int64(16), "block_length": 16, "steps": np.int32(8)}
    settings = LavidaSettings.from_options(given)
    assert (settings.gen_length, settings.steps, settings.n_steps) == (16, 8, 8)
    assert type(settings.gen_length) is int
    assert LavidaSettings.from_options({"stopping_criteria": [[1, 2]]}).stopping_criteria == (
        (1, 2),
    )


def test_one_block_may_be_said_of_the_default_length() -> None:
    assert LavidaSettings.from_options({"block_length": 512}).gen_length == 512


def test_published_lengths() -> None:
    assert LavidaSettings.for_lengths(2, 2, 2) == {"gen_length": 4, "steps": 2}
    assert LavidaSettings.for_lengths(64, 64, 32) == {"gen_length": 64, "steps": 32}
    assert LavidaSettings(gen_length=4, steps=9).n_steps == 4
    assert LavidaSettings(gen_length=32, step_ratio=0.5).n_steps == 16


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("masked", [1, 2, 7, 31, 64])
@pytest.mark.parametrize("steps", [1, 3, 16, 100])
def test_tables_commit_everything_and_something_in_each_step(
    masked: int, steps: int, schedule: str
) -> None:
    table = schedule_table(masked, steps, schedule)
    assert len(table) == min(steps, masked) and sum(table) == masked and min(table) >= 1


def test_unknown_schedules_are_named() -> None:
    with pytest.raises(
        ValueError, match="schedule='cos'; did you mean cosine. allowed: 'linear', 'cosine"
    ):
        schedule_table(4, 2, "cos")


def answer(**options: Any) -> LavidaAnswer:
    stops = options.pop("stops", ())
    return LavidaAnswer(LavidaSettings(**options), MASK, stops, torch.Generator().manual_seed(0))


def sure(*order: int, n: int = 6) -> torch.Tensor:
    """Confidences that rank positions in this order."""
    values = torch.zeros(n)
    for rank, position in enumerate(order):
        values[position] = 1 - rank / 10
    return values


def test_the_surest_are_committed_first() -> None:
    own = answer(gen_length=6, steps=3)
    chosen = torch.tensor([1, 2, 3, 4, 5, 6])
    # A little less than a third of six, rounded down; then a little less than half of five.
    assert own.commit(chosen, sure(4, 2, 0)).filled == (4,)
    assert own.ids.tolist() == [MASK, MASK, MASK, MASK, 5, MASK]
    assert (own.state.step, own.state.masked, own.state.committed) == (1, 5, 1)
    assert own.commit(chosen, sure(2, 0, 1)).filled == (0, 2)
    left = own.state.masked
    assert not own.done and own.commit(chosen, sure()).k == left
    assert own.done and own.tokens == (1, 2, 3, 4, 5, 6)


def test_a_candidate_that_is_the_mask_stays_masked() -> None:
    own = answer(gen_length=4, steps=2)
    commit = own.commit(torch.full((4,), MASK), sure(1, n=4))
    assert commit.k == 1 and commit.picked == (1,) and commit.filled == ()
    assert bool(own.masked.all())
    own.commit(torch.tensor([1, MASK, 3, 4]), sure(1, n=4))
    assert own.done and own.ids.tolist() == [1, MASK, 3, 4]


def test_a_first_token_that_is_the_mask_counts_as_masked() -> None:
    for token, total in ((5, 5), (MASK, 6)):
        own = answer(gen_length=6, steps=6, schedule="linear")
        own.begin(token)
        assert own._table is not None and sum(own._table) == total


def test_a_used_up_table_ends_the_answer() -> None:
    """In prefix mode with as many steps as tokens the published code fails here."""
    own = answer(gen_length=4, steps=4, schedule="shift")
    own.begin(1)
    for _ in range(3):
        assert not own.done
        own.commit(torch.ones(4, dtype=torch.int64), sure(n=4))
    assert own.done


def test_what_is_returned_ends_before_a_stop() -> None:
    own = answer(gen_length=4, steps=1, stops=[[7], [2, 3]])
    own.commit(torch.tensor([1, 2, 3, 7]), sure(n=4))
    assert own.tokens == (1,) and own.ids.tolist() == [1, 2, 3, 7]


def test_by_chance_everything_is_committed_in_the_end() -> None:
    own = answer(gen_length=40, steps=4, alg="origin")
    counts = []
    while not own.done:
        counts.append(own.commit(torch.ones(40, dtype=torch.int64), torch.zeros(40)).k)
    assert sum(counts) == 40 and len(counts) == 4 and min(counts) > 0


def test_positions_may_be_drawn_by_their_confidence() -> None:
    firsts = set()
    for seed in range(12):
        own = LavidaAnswer(
            LavidaSettings(gen_length=6, steps=2, alg_temp=0.5),
            MASK,
            generator=torch.Generator().manual_seed(seed),
        )
        commit = own.commit(torch.ones(6, dtype=torch.int64), sure(0, 1))
        assert commit.k == 2 == len(commit.filled)
        firsts.add(commit.filled)
    assert len(firsts) > 2


def test_lengths_that_are_none_say_nothing() -> None:
    unsaid = {"block_length": None, "steps": None}
    assert LavidaSettings.from_options(unsaid) == LavidaSettings()
    assert CausalSettings.from_options(unsaid) == CausalSettings()
    assert LavidaSettings.from_options({"gen_length": 32}).n_steps == 32
