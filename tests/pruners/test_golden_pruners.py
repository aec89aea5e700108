"""Pruners against selections recorded from the published codes.

Cases are told apart by the arrays they hold, and every figure is read from the case itself.
"""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from saccade.controller.attention import attention_received, received_sums
from saccade.controller.types import round_keep
from saccade.controller.views import VisualView
from saccade.pruners.divprune import (
    DivPrune,
    distances_to,
    farthest_points,
    nearest_distances,
    unit_rows,
)
from saccade.pruners.fastv import FastV
from tests.golden_sets import Arrays, golden_arrays, golden_params, golden_set

pytestmark = pytest.mark.golden

SET = "pruners"
FOLDER = golden_set(SET)
PATHS = sorted(FOLDER.glob("*.npz")) if FOLDER else []
NAMES = [path.name for path in PATHS if path.name.startswith(("divprune", "fastv"))]
CASES = {name: golden_arrays(SET, name) for name in NAMES}
SIGNS = ("inputs_embeds", "pivot", "features", "attn", "q")
"""Arrays, the first of which that a case holds says what it is."""


def kind_of(case: Arrays) -> str | None:
    return next((sign for sign in SIGNS if sign in case), None)


def params(kind: str) -> list[Any]:
    return golden_params(SET, [name for name in NAMES if kind_of(CASES[name]) == kind])


def meta(case: Arrays) -> dict[str, Any]:
    return dict(json.loads(str(case["meta_json"])))


def tensor(case: Arrays, name: str) -> Tensor:
    return torch.from_numpy(case[name])


def exact(case: Arrays) -> bool:
    """Whether the recorded indices are the only right ones."""
    flags = meta(case)
    unsure = any(flags.get(flag) for flag in ("ties", "has_repeats", "official_raises"))
    return flags.get("robust_f32_f64", True) is not False and not unsure


def view_of(features: Tensor, **attention: Tensor) -> VisualView:
    total = len(features)
    images = torch.zeros(total, dtype=torch.int64)
    return VisualView(features, torch.full((total, 2), torch.nan), images, attention)


def assert_close(given: Tensor, recorded: Tensor) -> None:
    torch.testing.assert_close(given, recorded.to(given.dtype), rtol=2e-5, atol=2e-5)


def assert_valid(keep: Tensor, n: int, total: int) -> None:
    assert keep.dtype == torch.int64
    assert keep.shape == (n,)
    assert len(set(keep.tolist()) & set(range(total))) == n


def assert_best(scores: Tensor, keep: Tensor) -> None:
    dropped = torch.ones(len(scores), dtype=torch.bool).index_fill_(0, keep, False)
    if len(keep) and bool(dropped.any()):
        assert scores[keep].min() >= scores[dropped].max()


def assert_farthest(features: Tensor, order: Tensor) -> None:
    """Each pick after the first is the farthest from those before, but for rounding."""
    units = torch.nn.functional.normalize(features.double(), dim=1)
    distances = 1 - units @ units.T
    for i in range(1, len(order)):
        gaps = distances[order[:i]].amin(dim=0)
        rest = torch.ones(len(features), dtype=torch.bool).index_fill_(0, order[:i], False)
        assert gaps[order[i]] >= gaps[rest].max() - 2e-5


def assert_covers(features: Tensor, picks: Tensor) -> None:
    """With as many picks as different vectors, every vector equals a pick."""
    if len(picks) >= len(features.unique(dim=0)):
        units = torch.nn.functional.normalize(features.double(), dim=1)
        assert (units @ units[picks].T).amax(dim=1).min() >= 1 - 2e-5


def sequence_indices(case: Arrays, keep: Tensor, length: int) -> Tensor:
    """Positions in the sequence that stay, if of the visual tokens `keep` stay."""
    start, count = int(case["sys_len"]), int(case["image_len"])
    text = torch.arange(start + count, length)
    return torch.cat([torch.arange(start), start + keep, text])


def test_every_case_is_of_a_known_kind() -> None:
    assert [name for name, case in CASES.items() if kind_of(case) is None] == []


@pytest.mark.parametrize("name", params("features"))
def test_divprune(name: str) -> None:
    case = CASES[name]
    features, k = tensor(case, "features"), int(case["k"])
    if "ratio" in case:
        assert round_keep(float(case["ratio"]), len(features)) == k
    order = farthest_points(features, k)
    keep = DivPrune().select(view_of(features), k).keep
    assert_valid(order, k, len(features))
    assert_farthest(features, order)
    assert_covers(features, order)
    assert keep.tolist() == sorted(order.tolist())
    if exact(case):
        assert order.tolist() == case["selected_order"].tolist()
        assert keep.tolist() == case["selected_sorted"].tolist()


@pytest.mark.parametrize("name", params("features"))
def test_divprune_distances(name: str) -> None:
    case = CASES[name]
    units, zero = unit_rows(tensor(case, "features"))
    if "distance_row0" in case:
        row = distances_to(units, zero, torch.tensor([0]))
        assert_close(row, tensor(case, "distance_row0"))
    if "first_scores" in case:
        assert_close(nearest_distances(units, zero), tensor(case, "first_scores"))


@pytest.mark.parametrize("name", params("inputs_embeds"))
def test_divprune_in_a_sequence(name: str) -> None:
    case = CASES[name]
    embeds, count = tensor(case, "inputs_embeds"), int(case["image_len"])
    start = int(case["sys_len"])
    k = round_keep(float(case["ratio"]), count)
    keep = DivPrune().select(view_of(embeds[0, start : start + count]), k).keep
    assert_valid(keep, k, count)
    if exact(case):
        indices = sequence_indices(case, keep, embeds.shape[1])
        assert indices.tolist() == case["keep_indexs"].tolist()
        assert_close(embeds[:, indices], tensor(case, "embeds_out"))


@pytest.mark.parametrize("name", params("attn"))
def test_fastv(name: str) -> None:
    case = CASES[name]
    start, count, k = int(case["sys_len"]), int(case["image_len"]), int(case["keep"])
    if "R" in case:
        assert round_keep(1 - float(case["R"]), count) == k
    last_row = received_sums(tensor(case, "attn")[:, :, -1:])[0]
    scores = last_row[start : start + count]
    if "image_score" in case:
        assert_close(scores, tensor(case, "image_score"))
    keep = FastV("last").select(view_of(torch.zeros(count, 1), last=scores), k).keep
    assert_valid(keep, k, count)
    assert_best(scores, keep)
    hidden = tensor(case, "hidden")
    indices = sequence_indices(case, keep, hidden.shape[1])
    if exact(case):
        assert indices.tolist() == case["keep_indexs"].tolist()
        assert indices.tolist() == case["position_ids"][0].tolist()  # survivors keep their own
        assert_close(hidden[:, indices], tensor(case, "hidden_out"))
    if exact(case) and "top_index_score_order" in case:
        assert keep.tolist() == sorted(case["top_index_score_order"] - start)


@pytest.mark.parametrize("name", params("q"))
def test_fastv_with_heads_averaged_before_the_softmax(name: str) -> None:
    case = CASES[name]
    start, count = int(case["sys_len"]), int(case["image_len"])
    q, key = tensor(case, "q"), tensor(case, "k")
    received = attention_received(q, key, mean_logits=True)[0] * q.shape[2]
    scores = received[start : start + count]
    assert_close(scores, tensor(case, "token_attention")[0])  # of all rows, summed
    k = int(count * float(case["ratio"]))  # this code truncates
    view = view_of(torch.zeros(count, 1), **{"all:logits": scores})
    keep = FastV("all", "logits").select(view, k).keep
    assert_valid(keep, k, count)
    assert_best(scores, keep)
    if exact(case):
        recorded = tensor(case, "indices_score_order")[0]
        hidden = tensor(case, "hidden")
        assert scores.argsort(descending=True)[:k].tolist() == recorded.tolist()
        assert keep.tolist() == sorted(recorded.tolist())
        indices = sequence_indices(case, recorded, hidden.shape[1])
        assert_close(hidden[:, indices], tensor(case, "hidden_out"))
