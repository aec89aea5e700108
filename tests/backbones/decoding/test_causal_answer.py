"""The autoregressive answer and its settings, without a model."""

from typing import Any

import numpy as np
import pytest
import torch

from saccade.backbones.decoding.causal.answer import CausalAnswer
from saccade.backbones.decoding.causal.settings import CausalSettings
from saccade.backbones.decoding.options import Settings


def written(tokens: list[int], stops: list[list[int]], gen_length: int = 6) -> CausalAnswer:
    """An answer that takes these tokens until it is done."""
    answer = CausalAnswer(CausalSettings(gen_length=gen_length), stops)
    for place, token in enumerate(tokens):
        if answer.done:
            break
        commit = answer.commit(torch.tensor([token]))
        assert (commit.k, commit.picked, commit.filled) == (1, (place,), (place,))
    return answer


def test_an_answer_grows_to_its_length() -> None:
    answer = written([5, 6, 7, 8], [], gen_length=3)
    assert answer.done and answer.tokens == (5, 6, 7) and answer.ids.tolist() == [5, 6, 7]
    assert answer.ids.dtype == torch.int64


def test_the_state_counts_what_is_written() -> None:
    answer = written([5, 6], [], gen_length=6)
    state = answer.state
    assert (state.step, state.n_steps, state.committed, state.masked) == (2, 6, 2, 4)
    assert (state.block, state.n_blocks) == (0, 1) and not answer.done
    assert answer.masked.tolist() == answer.eligible().tolist() == [True]


@pytest.mark.parametrize(
    ("stops", "tokens", "forwards"),
    [
        ([[3]], (1, 2), 3),
        ([[3, 4]], (1, 2), 4),
        ([[4], [2, 3]], (1,), 3),
        ([[1]], (), 1),
        ([[3, 3]], (1, 2, 3, 4, 5), 5),
        ([], (1, 2, 3, 4, 5), 5),
    ],
)
def test_an_answer_ends_when_a_stop_is_whole(
    stops: list[list[int]], tokens: tuple[int, ...], forwards: int
) -> None:
    answer = written([1, 2, 3, 4, 5], stops, gen_length=5)
    assert answer.done and answer.tokens == tokens and answer.state.step == forwards


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gen_length": 0}, "gen_length=0: must be a whole number, 1 or more"),
        ({"temperature": -0.5}, "temperature=-0.5: must be a number, 0"),
        ({"top_p": 0}, "top_p=0: must be above 0"),
        ({"top_p": 1.1}, r"top_p=1.1: must lie in \(0, 1\]"),
        ({"top_k": 0}, "top_k=0: must be a whole number, 1 or more"),
        ({"append_eot": 1}, "append_eot=1: must be True or False"),
        ({"stopping_criteria": "end"}, r"give a list, \['end'\]"),
        ({"seed": 2**64}, "must be a whole number, 0 to"),
    ],
)
def test_wrong_values_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CausalSettings.from_options(options)


def test_settings_are_those_of_every_family() -> None:
    settings: Settings = CausalSettings.from_options({"max_new_tokens": np.int64(7)})
    assert settings.gen_length == 7 and type(settings.gen_length) is int
    assert settings.mask_id is settings.forbidden_ids is settings.generation_suffix is None
    assert CausalSettings.for_lengths(2, 2, 2) == {"gen_length": 4}
    assert CausalSettings.for_lengths(64, 64, 32) == {"gen_length": 64}
