"""Methods beside ToMe and SparseVLM against what published codes recorded.

Cases are told apart by the arrays they hold, and every figure is read from the case itself.
"""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from saccade.controller.cost import paper_macs
from saccade.controller.types import Geometry, round_keep
from saccade.pruners.dart import largest, unlike
from saccade.pruners.prumerge import neighbour_sums
from saccade.pruners.trim import outlier_share, shares
from saccade.pruners.visionzip import contextual_targets, fold_weights
from saccade.pruners.vispruner import important_and_diverse
from saccade.tuning.vtw import first_within, kl_to_full
from tests.pruners.golden_methods import CASES, flag, kind_of, params
from tests.pruners.test_golden_pruners import assert_close, exact, meta, tensor

pytestmark = pytest.mark.golden


def test_every_case_is_of_a_known_kind() -> None:
    assert [name for name, case in CASES.items() if kind_of(case) is None] == []


@pytest.mark.parametrize("name", params("trim"))
def test_trim(name: str) -> None:
    case = CASES[name]
    features = tensor(case, "features")
    weight, bias = tensor(case, "ln_weight"), tensor(case, "ln_bias")
    normed = F.layer_norm(features, features.shape[2:], weight, bias, float(case["ln_eps"]))
    if "proj_weight" in case:
        normed = normed @ tensor(case, "proj_weight").T
    scores = shares((normed @ tensor(case, "text")[..., None])[..., 0])
    assert_close(scores, tensor(case, "similarity_softmax_neg"))
    raises, total = bool(meta(case).get("official_raises")), features.shape[1]
    if "k_ratio" in case:
        ratio = float(case["k_ratio"])
        if str(meta(case).get("token_reduce_func", "")).endswith(":-1"):
            assert outlier_share(scores) == pytest.approx(ratio, abs=1e-7)
        keep = int(total * ratio)
    else:
        keep = min(max(int(total * float(case["ratio_keep"])), 1), total - 1)
    assert keep == int(case["num_keep"])
    if raises or "mask" not in case:
        return
    mask = tensor(case, "mask")
    assert mask.sum(dim=1).tolist() == [keep] * len(mask)
    if exact(case):
        chosen = torch.zeros_like(mask)
        order = scores.sort(dim=1, descending=True, stable=True).indices[:, :keep]
        assert torch.equal(chosen.scatter_(1, order, True), mask)
    for own, stays, wanted in zip(features, mask, tensor(case, "out"), strict=True):
        out = torch.cat([own[stays], own[~stays].mean(dim=0, keepdim=True)])
        precise = not bool(case.get("out_is_float16", np.array(False)))
        tolerance = 2e-5 if precise else 2e-3
        torch.testing.assert_close(
            out.float(), wanted[: len(out)].float(), atol=tolerance, rtol=tolerance
        )


@pytest.mark.parametrize("name", params("kl"))
def test_vtw_layer(name: str) -> None:
    case = CASES[name]
    kl = kl_to_full(tensor(case, "logits_full"), tensor(case, "logits_drop"))
    torch.testing.assert_close(kl.float(), tensor(case, "kl"), atol=2e-5, rtol=0)
    means = kl.mean(dim=0)
    torch.testing.assert_close(means.float(), tensor(case, "kl_mean"), atol=2e-5, rtol=0)
    found = first_within(means, float(case["eta"]))
    if int(case["k"]) < 0:
        assert found is None
    else:
        assert found == int(case["first_index"])
        assert int(case["num_layers"]) - len(means) + found == int(case["k"])


@pytest.mark.parametrize("name", params("withdrawal"))
def test_vtw_withdrawal(name: str) -> None:
    from saccade.backbones.network.token_states import TokenStates

    case = CASES[name]
    hidden, start, count = tensor(case, "hidden"), int(case["sys_len"]), int(case["image_len"])
    length = hidden.shape[1]
    stays = np.array([p for p in range(length) if not start <= p < start + count])
    for compact, wanted in ((False, "position_ids_keep"), (True, "position_ids_compact")):
        left = TokenStates.of(hidden).take([stays], compact=compact)
        assert left.positions.tolist() == case[wanted].tolist()
        assert torch.equal(left.hidden, tensor(case, "hidden_out"))


@pytest.mark.parametrize("name", params("dart"))
def test_dart(name: str) -> None:
    case = CASES[name]
    start, count = int(case["image_start"]), int(case["image_len"])
    states, keys = tensor(case, "states")[0], tensor(case, "keys")[0].transpose(0, 1).flatten(1)
    n_image, n_text = int(case["pivot_image"]), int(case["pivot_text"])
    own, text = slice(start, start + count), start + count
    image = largest(keys[own], n_image)
    words = largest(keys[text:], n_text) + text
    share = int(count * (1 - float(case["reduction_ratio"])) / (n_image + n_text))
    # The published code walks a set of numbers, in the order Python keeps them.
    order = list({*(image + start).tolist(), *words.tolist()})
    kept = unlike(states[own], states[order], image, [share] * len(order))
    assert (kept + start).tolist() == case["kept_sorted"].tolist()


@pytest.mark.parametrize("name", params("vispruner"))
def test_vispruner(name: str) -> None:
    case = CASES[name]
    features, attention = tensor(case, "features")[0], tensor(case, "cls_attention")[0].mean(dim=0)
    n = round(len(features) * (1 - float(case["prune_ratio"])))
    assert n == int(case["keep"])
    kept = important_and_diverse(features, attention, n, float(case["important_ratio"]))
    assert kept.tolist() == np.flatnonzero(case["mask"][0]).tolist()


@pytest.mark.parametrize("name", params("visionzip"))
def test_visionzip(name: str) -> None:
    case = CASES[name]
    hidden, metric = tensor(case, "hidden")[0], tensor(case, "metric")[0]
    received = tensor(case, "attn")[0][:, 0, 1:].sum(dim=0)
    dominant, n = int(case["dominant"]), int(case["contextual"])
    top = received.sort(descending=True, stable=True).indices[:dominant]
    keep = torch.zeros(len(hidden), dtype=torch.bool)
    keep[torch.cat([torch.tensor([0]), top + 1])] = True
    assert keep.tolist() == case["keep_mask"][0].tolist()
    rest = (~keep).nonzero()[:, 0]
    targets, assigned = contextual_targets(metric[rest], n)
    assert targets.tolist() == case["target_indices"].tolist()
    others = torch.ones(len(rest), dtype=torch.bool).index_fill_(0, targets, False)
    weights = fold_weights(assigned, n)[:, None]
    sums = hidden[rest[targets]].index_add(0, assigned, hidden[rest[others]] * weights)
    assert_close(sums, tensor(case, "contextual_tokens")[0])
    assert_close(torch.cat([hidden[keep], sums]), tensor(case, "out")[0])


@pytest.mark.parametrize("name", params("prumerge"))
def test_prumerge(name: str) -> None:
    case = CASES[name]
    hidden = tensor(case, "hidden")[0][1:]
    q, k = tensor(case, "q")[0], tensor(case, "k")[0]
    attention = ((q[0] @ k.T) * q.shape[1] ** -0.5).softmax(dim=0)[1:]
    assert_close(attention, tensor(case, "cls_attn")[0])
    ratio = float(case["ratio"])
    if flag(case, "adaptive"):
        assert outlier_share(attention) == pytest.approx(ratio, abs=1e-7)
    top = attention.sort(descending=True, stable=True).indices[: int(len(hidden) * ratio)]
    assert top.tolist() == case["top_idx"][0].tolist()
    into, source, weight = neighbour_sums(k[1:], attention, top)
    sums = torch.zeros_like(hidden).index_add(0, into, hidden[source] * weight[:, None])
    dropped = tensor(case, "complement_idx")[0]
    extra = (attention[dropped, None] * hidden[dropped]).sum(dim=0, keepdim=True)
    assert_close(torch.cat([sums[top], extra]), tensor(case, "out")[0])


@pytest.mark.parametrize("name", params("flops"))
def test_counts_by_the_published_formula(name: str) -> None:
    case = CASES[name]
    for given, wanted in zip(case["inputs"], case["outputs"], strict=True):
        layer, share, n, layers, visual, d, m = given.tolist()
        geometry = Geometry(int(layers), int(d), int(m), 1, 1, 1)
        full = paper_macs(geometry, [int(n)] * int(layers))
        assert full == pytest.approx(wanted[0], rel=1e-12) and full == pytest.approx(wanted[3])
        left = n - visual + round_keep(share, int(visual))
        one = 4 * left * d * d + 2 * left * left * d + 2 * left * d * m
        pruned = layer * full / layers + (layers - layer) * one
        assert pruned / 1e12 == pytest.approx(wanted[1], rel=1e-6)
        assert math.isclose(100 * pruned / full, wanted[2], rel_tol=1e-6)
