"""Token ids in every form that people have them, and the message for what is none."""

from typing import Any

import numpy as np
import pytest
import torch

from saccade.backbones import Model
from saccade.backbones.inputs.token_ids import plain_ids
from tests.tiny import fake_page

IDS = [1, -200, 2, 63]


@pytest.mark.parametrize(
    "given",
    [
        IDS,
        tuple(IDS),
        np.array(IDS),
        np.array(IDS, np.int16),
        np.array([IDS]),
        np.array(IDS)[::1],
        list(np.array(IDS)),
        torch.tensor(IDS),
        torch.tensor(IDS, dtype=torch.int32),
        torch.tensor([IDS]),
        list(torch.tensor(IDS)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_ids_in_every_form(given: Any, model: Model) -> None:
    found = plain_ids(given)
    assert found == IDS and all(type(token) is int for token in found)
    wanted = model.prepare_ids(IDS, [fake_page()]).embeds
    assert torch.equal(model.prepare_ids(given, [fake_page()]).embeds, wanted)


def test_small_and_unsigned_dtypes() -> None:
    for dtype in (np.uint8, np.uint16, np.uint64):
        assert plain_ids(np.array([1, 200], dtype)) == [1, 200]
    assert plain_ids(torch.tensor([1, 200], dtype=torch.uint8)) == [1, 200]
    assert plain_ids(range(3)) == [0, 1, 2]


ALLOWED = r"give a list of whole numbers, or an integer array or tensor of shape \(L,\) or \(1, L\)"


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ([], ValueError, f"there are no token ids; {ALLOWED}"),
        ((), ValueError, "there are no token ids"),
        (np.zeros(0, int), ValueError, r"the shape \(0,\)"),
        (torch.zeros(0, dtype=torch.long), ValueError, r"the shape \(0,\)"),
        (torch.zeros(1, 0, dtype=torch.long), ValueError, r"the shape \(1, 0\)"),
        (torch.zeros(2, 3, dtype=torch.long), ValueError, r"\(2, 3\) are those of 2 prompts; prep"),
        (np.zeros((2, 3), int), ValueError, "of 2 prompts; prepare each on its own"),
        (torch.zeros(1, 1, 3, dtype=torch.long), ValueError, r"the shape \(1, 1, 3\)"),
        (torch.tensor(3), ValueError, r"the shape \(\)"),
        (np.array(3), ValueError, r"the shape \(\)"),
        (torch.tensor([1.0, 2.0]), TypeError, f"of dtype float32; {ALLOWED}"),
        (np.array([1.0, 2.0]), TypeError, "of dtype float64"),
        (torch.tensor([True]), TypeError, "of dtype bool"),
        (np.ma.masked_array([1, 2], [0, 1]), TypeError, f"are a masked array; {ALLOWED}"),
        (
            torch.nested.nested_tensor([torch.tensor([1])], layout=torch.jagged),
            TypeError,
            "are a nested tensor",
        ),
        (np.array([True]), TypeError, "of dtype bool"),
        (np.array([1, None]), TypeError, "of dtype object"),
        (np.array(["1"]), TypeError, "of dtype <U1"),
        (torch.tensor([1, 2]).to_sparse(), TypeError, "sparse or on no device; give a plain one"),
        (torch.zeros(2, dtype=torch.long, device="meta"), TypeError, "give a plain one"),
        (torch.tensor([1j]), TypeError, "of dtype complex64"),
        ([1, 1.0], TypeError, "have 1.0 at place 1"),
        ([True, 1], TypeError, "have True at place 0"),
        ([1, np.bool_(True)], TypeError, "have bool.* at place 1"),
        ([1, np.float32(2)], TypeError, "at place 1"),
        ([1, None], TypeError, "have NoneType at place 1"),
        ([1, "2"], TypeError, "have '2' at place 1"),
        ([[1, 2]], TypeError, "have list at place 0"),
        ([torch.tensor([1])], TypeError, "have Tensor at place 0"),
        ([torch.tensor(1.0)], TypeError, "have Tensor at place 0"),
        ("What?", TypeError, r"as a text; prepare\(\) takes texts"),
        (b"What?", TypeError, "of type bytes"),
        ({"input_ids": [1]}, TypeError, "as a dict; give its 'input_ids'"),
        ({1, 2}, TypeError, "of type set"),
        (iter([1, 2]), TypeError, "of type list_iterator"),
        (None, TypeError, "of type NoneType"),
        (7, TypeError, "of type int"),
        (
            [1, -1],
            ValueError,
            "token id -1 at place 1 .* vocabulary of 64: give 0 to 63",
        ),
        ([-200, -201], ValueError, "token id -201 at place 1 .* or -200 where a picture goes"),
        ([64], ValueError, "token id 64 at place 0"),
        (torch.tensor([1, 64]), ValueError, "token id 64 at place 1"),
        (np.array([1, -100]), ValueError, "token id -100 at place 1"),
        ([10**30], ValueError, "outside the vocabulary of 64"),
    ],
)
def test_what_is_not_a_prompt_s_ids(given: Any, kind: Any, message: str, model: Model) -> None:
    with pytest.raises(kind, match=message):
        model.prepare_ids(given, [fake_page()])
