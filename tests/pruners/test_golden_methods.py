"""Methods that merge, cluster or measure in the tower, against what published codes recorded.

Cases are told apart by the arrays they hold, and every figure is read from the case itself.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.controller.cost import paper_macs
from saccade.controller.types import Geometry, round_keep
from saccade.pruners.clusters import cluster, cluster_means
from saccade.pruners.dart import largest, unlike
from saccade.pruners.matching import Matching, match, match_every, merge_weighted, schedule
from saccade.pruners.prumerge import neighbour_sums
from saccade.pruners.sparsevlm import (
    TABLES,
    n_recycled,
    rank_count,
    rater_indices,
    rater_scores,
    strongest_heads,
)
from saccade.pruners.trim import outlier_share, shares
from saccade.pruners.visionzip import contextual_targets, fold_weights
from saccade.pruners.vispruner import important_and_diverse
from saccade.tuning.vtw import first_within, kl_to_full
from tests.golden_sets import Arrays, golden_arrays, golden_params, golden_set
from tests.pruners.test_golden_pruners import assert_close, exact, meta, tensor

pytestmark = pytest.mark.golden

SET = "pruners"
FOLDER = golden_set(SET)
PATHS = sorted(FOLDER.glob("*.npz")) if FOLDER else []
FAMILIES = ("tome", "sparsevlm", "trim", "vtw", "extra", "flops")
NAMES = [path.name for path in PATHS if path.name.startswith(FAMILIES)]
CASES = {name: golden_arrays(SET, name) for name in NAMES}
SIGNS = {
    "spec": "tome schedules",
    "qkv_weight": "tome attention",
    "Wk": "tome chain",
    "selected_source_A": "tome as adapted",
    "wavg_x": "tome matching",
    "dst_idx": "tome every k-th",
    "rater_score": "raters",
    "new_hidden": "sparse layer",
    "singular_values": "rank",
    "head_sum": "heads",
    "cluster_num": "clusters",
    "relation": "relation",
    "similarity_softmax_neg": "trim",
    "kl": "kl",
    "position_ids_keep": "withdrawal",
    "pivot_image": "dart",
    "important_ratio": "vispruner",
    "contextual_tokens": "visionzip",
    "complement_idx": "prumerge",
    "outputs": "flops",
}
"""Arrays, the first of which that a case holds says what it is."""


def kind_of(case: Arrays) -> str | None:
    return next((kind for sign, kind in SIGNS.items() if sign in case), None)


def params(kind: str) -> list[Any]:
    return golden_params(SET, [name for name in NAMES if kind_of(CASES[name]) == kind])


def test_every_case_is_of_a_known_kind() -> None:
    assert [name for name, case in CASES.items() if kind_of(case) is None] == []


def flag(case: Arrays, name: str) -> bool:
    return bool(meta(case).get(name, False))


@pytest.mark.parametrize("name", params("tome matching"))
def test_tome_matching(name: str) -> None:
    case = CASES[name]
    x, metric = tensor(case, "x"), tensor(case, "metric")
    size = tensor(case, "size") if "size" in case else torch.ones(*x.shape[:2], 1)
    made = match(
        metric,
        int(case["r"]),
        class_token=flag(case, "class_token"),
        distill_token=flag(case, "distill_token"),
    )
    if "unm_idx" not in case:
        assert made is None
        assert_close(merge_weighted(made, x, size)[0], tensor(case, "wavg_x"))
        return
    assert made is not None
    recorded = Matching(
        tensor(case, "unm_idx"),
        tensor(case, "src_idx"),
        tensor(case, "dst_idx"),
        x.shape[1],
        flag(case, "distill_token"),
    )
    if exact(case):
        assert made.source.tolist() == recorded.source.tolist()
        assert made.into.tolist() == recorded.into.tolist()
        assert made.unmerged.tolist() == recorded.unmerged.tolist()
    else:  # as good as what was recorded
        assert made.source.shape == recorded.source.shape
        units = F.normalize(metric, dim=-1)
        scores = (units[:, ::2] @ units[:, 1::2].transpose(1, 2)).amax(dim=2)
        given, wanted = (scores.gather(1, m.source).sort().values for m in (made, recorded))
        assert_close(given, wanted)
        made = recorded
    merged, sizes = merge_weighted(made, x, size)
    assert_close(merged, tensor(case, "wavg_x"))
    assert_close(sizes, tensor(case, "wavg_size"))
    for mode in ("mean", "sum", "amax"):
        if f"merged_{mode}" in case:
            assert_close(made.merge(x, mode), tensor(case, f"merged_{mode}"))  # type: ignore[arg-type]
    if "unmerged_mean" in case:
        # The published inverse takes no notice of the distillation token's place; ours does.
        plain = replace(made, distilled=False)
        assert_close(plain.unmerge(made.merge(x)), tensor(case, "unmerged_mean"))
        places = torch.arange(x.shape[1], dtype=torch.float32).expand(len(x), -1)[..., None]
        stays = made.kept
        assert torch.equal(
            made.unmerge(made.merge(places, "amin")).gather(1, stays[..., None])[..., 0],
            made.merge(places, "amin")[..., 0],
        )
    if "source" in case:
        identity = torch.eye(x.shape[1]).expand(len(x), -1, -1)
        assert torch.equal(made.merge(identity, "amax"), tensor(case, "source"))


@pytest.mark.parametrize("name", params("tome chain"))
def test_tome_through_layers(name: str) -> None:
    case = CASES[name]
    x, folds = tensor(case, "x"), case["r_list"].tolist()
    size = torch.ones(*x.shape[:2], 1)
    source = torch.eye(x.shape[1]).expand(len(x), -1, -1)
    counts = []
    for weight, r in zip(tensor(case, "Wk"), folds, strict=True):
        made = match(x @ weight, r, class_token=flag(case, "class_token"))
        source = source if made is None else made.merge(source, "amax")
        x, size = merge_weighted(made, x, size)
        counts.append(x.shape[1])
    assert counts == case["token_counts"].tolist()
    if exact(case):
        assert_close(x, tensor(case, "x_out"))
        assert_close(size, tensor(case, "size_out"))
        assert torch.equal(source, tensor(case, "source_out"))


@pytest.mark.parametrize("name", params("tome attention"))
def test_tome_attention_in_proportion(name: str) -> None:
    """The bias that `Folding` gives, in the tower's attention."""
    case = CASES[name]
    x, size = tensor(case, "x"), tensor(case, "size")
    heads = x.shape[2] // tensor(case, "metric").shape[2]
    qkv = F.linear(x, tensor(case, "qkv_weight"), tensor(case, "qkv_bias"))
    q, k, v = qkv.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    for wanted, mask in (("out_nosize", None), ("out_size", size[..., 0].log()[:, None, None])):
        out = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
        out = F.linear(out, tensor(case, "proj_weight"), tensor(case, "proj_bias"))
        assert_close(out, tensor(case, wanted))
    assert_close(k.mean(dim=1), tensor(case, "metric"))


@pytest.mark.parametrize("name", params("tome schedules"))
def test_tome_schedules(name: str) -> None:
    case = CASES[name]
    for spec, row in zip(case["spec"], case["r_lists"], strict=True):
        layers, text = str(spec).split("|")
        given = eval(text, {"__builtins__": {}})  # a number, a list or a pair from the case
        assert schedule(int(layers), given) == [r for r in row.tolist() if r >= 0]


@pytest.mark.parametrize("name", params("tome every k-th"))
def test_tome_every_kth(name: str) -> None:
    case = CASES[name]
    x, metric, k = tensor(case, "x"), tensor(case, "metric"), int(meta(case)["k"])
    for mode in ("mean", "sum"):
        merged, into = match_every(metric, k, x, mode)  # type: ignore[arg-type]
        assert into.tolist() == case["dst_idx"].tolist()
        assert_close(merged, tensor(case, f"merged_{mode}"))


@pytest.mark.parametrize("name", params("tome as adapted"))
def test_tome_as_adapted(name: str) -> None:
    case = CASES[name]
    hidden, r = tensor(case, "hidden"), int(case["r"])
    made = match(tensor(case, "K"), r)
    assert made is not None
    places, order = made.kept.sort(dim=1)
    merged, sizes = merge_weighted(made, hidden, tensor(case, "sizes")[..., None])
    if "lavida" in name or "discarded" in str(meta(case)).lower():
        merged = hidden.gather(1, made.kept[..., None].expand(-1, -1, hidden.shape[2]))
        sizes = tensor(case, "sizes").gather(1, made.kept)[..., None]
    index = order[..., None].expand(-1, -1, hidden.shape[2])
    if exact(case):
        assert places.tolist() == case["kept_positions"].tolist()
        chosen = {tuple(sorted(row)) for row in case["selected_source_A"].tolist()}
        assert {tuple(sorted(row)) for row in made.source.tolist()} == chosen
        assert_close(merged.gather(1, index), tensor(case, "hidden_out"))
        assert_close(sizes[..., 0].gather(1, order), tensor(case, "sizes_out"))


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


@pytest.mark.parametrize("name", params("heads"))
def test_sparsevlm_heads(name: str) -> None:
    case = CASES[name]
    start, text = int(case["v_start"]), int(case["text_start"])
    own = tensor(case, "attn")[0][:, tensor(case, "rater_abs_idx")][:, :, start:text]
    assert_close(own.sum(dim=(1, 2)), tensor(case, "head_sum"))
    wanted = case["head_idx"].tolist()
    assert sorted(strongest_heads(own, len(wanted)).tolist()) == sorted(wanted)


@pytest.mark.parametrize("name", params("clusters"))
def test_sparsevlm_clusters(name: str) -> None:
    case = CASES[name]
    for b, x in enumerate(tensor(case, "x")):
        noise = tensor(case, "noise_uniform")[b]
        found = cluster(x, int(case["cluster_num"]), noise)
        assert_close(found.density, tensor(case, "density")[b])
        assert_close(found.score, tensor(case, "score")[b])
        if exact(case):
            assert found.centres.tolist() == case["centers"][b].tolist()
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
    found = cluster(rows, clusters, tensor(case, "noise_uniform")[0])
    merged = cluster_means(rows, found)
    assert_close(merged, tensor(case, "merged")[0])
    kept = out[start : start + count][mask]
    made = torch.cat([out[:start], kept, merged, out[start + count :]])
    assert_close(made, tensor(case, "new_hidden")[0])
    assert case["new_position_ids"][0].tolist() == list(range(len(made)))
    assert int(case["new_v_num"]) == k + clusters
    assert int(case["new_text_start"]) == start + k + clusters


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
    from saccade.backbones.rows import Rows

    case = CASES[name]
    hidden, start, count = tensor(case, "hidden"), int(case["sys_len"]), int(case["image_len"])
    length = hidden.shape[1]
    stays = np.array([p for p in range(length) if not start <= p < start + count])
    for compact, wanted in ((False, "position_ids_keep"), (True, "position_ids_compact")):
        left = Rows.of(hidden).take([stays], compact=compact)
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
