"""SparseVLM's raters, ranks and clusters against what published codes recorded.

Cases are told apart by the arrays they hold, and every figure is read from the case itself.
"""

import pytest
import torch
from torch import Tensor

from saccade.pruners.clusters import Clusters, cluster
from saccade.pruners.sparsevlm import (
    n_recycled,
    rank_count,
    rater_indices,
    rater_scores,
)
from tests.golden_sets import Arrays
from tests.pruners.golden_methods import CASES, params
from tests.pruners.test_golden_pruners import assert_close, exact, meta, tensor

TABLES = {192: (300, 200, 110), 128: (303, 110, 36), 96: (238, 48, 26), 64: (66, 30, 17)}
"""Tokens of 576 that are kept before layers 3, 7 and 16 of 32 in the published settings (of version
1.5), by the number that this is on average over the layers."""

pytestmark = pytest.mark.golden


@pytest.mark.parametrize("name", params("raters"))
def test_raters(name: str) -> None:
    case = CASES[name]
    hidden, start, text = tensor(case, "hidden")[0], int(case["v_start"]), int(case["text_start"])
    scores = rater_scores(hidden[start:text], hidden[text:])
    assert_close(scores, tensor(case, "rater_score")[0])
    assert float(scores.mean()) == pytest.approx(float(case["rater_mean"]), rel=2e-5)
    if exact(case):
        assert rater_indices(scores).tolist() == case["rater_idx"].tolist()


def raters_to_picture(case: Arrays, attention: Tensor) -> Tensor:
    """Attention (R, v) of the raters to the visual tokens, from a map (L, L)."""
    start, count = int(case["v_start"]), int(case["v_num"])
    text = int(case["text_start"]) if "text_start" in case else start + count
    return attention[tensor(case, "rater_idx") + text][:, start : start + count]


def assert_mask(case: Arrays, scores: Tensor, k: int) -> None:
    kept = torch.zeros(len(scores), dtype=torch.bool)
    kept[scores.sort(descending=True, stable=True).indices[:k]] = True
    mask = tensor(case, "mask")[0]
    mask = mask[-len(scores) :] if len(mask) != len(scores) else mask
    assert int(mask.sum()) == k
    if exact(case):
        assert kept.tolist() == mask.tolist()


@pytest.mark.parametrize("name", params("relation"))
def test_sparsevlm_relation(name: str) -> None:
    case = CASES[name]
    if "attn" in case:
        attention, flags = tensor(case, "attn")[0].mean(dim=0), meta(case)
        layers = {2: 0, 6: 1, 15: 2}
        k = TABLES[int(flags["RETAIN_TOKN"])][layers[int(flags["layer_idx"])]]
        k = min(k, int(case["v_num"]) - 1)
    else:  # heads averaged before the softmax
        q, key = tensor(case, "q"), tensor(case, "k")
        logits = (q @ key.transpose(2, 3) * q.shape[3] ** -0.5).mean(dim=1)[0]
        attention, k = logits.softmax(dim=1), int(int(case["v_num"]) * float(case["ratio"]))
    scores = raters_to_picture(case, attention).mean(dim=0)
    assert_close(scores, tensor(case, "relation")[0])
    assert k == int(case["keep"])
    assert_mask(case, scores, k)


@pytest.mark.parametrize("name", params("rank"))
def test_sparsevlm_rank(name: str) -> None:
    case = CASES[name]
    attention = raters_to_picture(case, tensor(case, "attn")[0].mean(dim=0))
    scores = attention.mean(dim=0)
    assert_close(scores, tensor(case, "relation")[0])
    rank, k = rank_count(attention, float(case["scale"]), float(case["bias"]))
    assert rank == int(case["rank"])
    assert (k is not None) == bool(case["s_flag"])
    if k is not None:
        k = rank if "video" in name else k
        assert k == int(case["keep"])
        assert_mask(case, scores, k)


def cluster_means(points: Tensor, clusters: Clusters) -> Tensor:
    """Sum of each cluster over its count and a millionth, (c, D)."""
    n = len(clusters.centers)
    sums = points.new_zeros(n, points.shape[1]).index_add_(0, clusters.assigned, points)
    counts = torch.bincount(clusters.assigned, minlength=n)
    return sums / (counts[:, None] + 1e-6)


@pytest.mark.parametrize("name", params("clusters"))
def test_sparsevlm_clusters(name: str) -> None:
    case = CASES[name]
    for b, x in enumerate(tensor(case, "x")):
        found = cluster(x, int(case["cluster_num"]))
        assert_close(found.density, tensor(case, "density")[b])
        assert_close(found.score, tensor(case, "score")[b])
        if exact(case):
            assert found.centers.tolist() == case["centers"][b].tolist()
            assert found.assigned.tolist() == case["assign"][b].tolist()
            assert_close(cluster_means(x, found), tensor(case, "merged")[b])


@pytest.mark.parametrize("name", params("sparse layer"))
def test_sparsevlm_layer(name: str) -> None:
    case = CASES[name]
    out, start, count = tensor(case, "layer_out")[0], int(case["v_start"]), int(case["v_num"])
    scores = raters_to_picture(case, tensor(case, "attn")[0].mean(dim=0)).mean(dim=0)
    mask = tensor(case, "mask")[0]
    mask = mask[start : start + count] if len(mask) != count else mask
    k = int(mask.sum())
    assert_mask(case, scores, k)
    dropped = (~mask).nonzero()[:, 0]
    folded, clusters = n_recycled(len(dropped))
    assert (folded, clusters) == (int(case["num_recycled"]), int(case["cluster_num"]))
    order = scores[dropped].sort(descending=True, stable=True).indices[:folded]
    assert sorted(order.tolist()) == sorted(case["recycle_candidates"].tolist())
    rows = out[start + dropped[tensor(case, "recycle_candidates")]]
    # Published, noise decides between equally dense rows; here the first one counts as denser.
    rows = rows[tensor(case, "noise_uniform")[0].argsort(descending=True)]
    found = cluster(rows, clusters)
    merged = cluster_means(rows, found)
    assert_close(merged, tensor(case, "merged")[0])
    kept = out[start : start + count][mask]
    made = torch.cat([out[:start], kept, merged, out[start + count :]])
    assert_close(made, tensor(case, "new_hidden")[0])
    assert case["new_position_ids"][0].tolist() == list(range(len(made)))
    assert int(case["new_v_num"]) == k + clusters
    assert int(case["new_text_start"]) == start + k + clusters
