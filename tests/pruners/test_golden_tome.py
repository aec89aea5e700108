"""ToMe's matching and merging against what published codes recorded.

Cases are told apart by the arrays they hold, and every figure is read from the case itself. Those
that protect a class or a distillation token are left out: the towers here have neither.
"""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from saccade.pruners.matching import Matching, match, merge_weighted
from tests.golden_sets import golden_params
from tests.pruners.golden_methods import CASES, SET, flag, names_of, params
from tests.pruners.test_golden_pruners import assert_close, exact, meta, tensor

pytestmark = pytest.mark.golden


def plain_params(kind: str) -> list[Any]:
    """Cases of a kind without protected tokens."""
    protected = ("class_token", "distill_token")
    found = [name for name in names_of(kind) if not any(flag(CASES[name], p) for p in protected)]
    return golden_params(SET, found)


@pytest.mark.parametrize("name", plain_params("tome matching"))
def test_tome_matching(name: str) -> None:
    case = CASES[name]
    x, metric = tensor(case, "x"), tensor(case, "metric")
    size = tensor(case, "size") if "size" in case else torch.ones(*x.shape[:2], 1)
    made = match(metric, int(case["r"]))
    if "unm_idx" not in case:
        assert made is None
        assert_close(merge_weighted(made, x, size)[0], tensor(case, "wavg_x"))
        return
    assert made is not None
    indices = (tensor(case, which) for which in ("unm_idx", "src_idx", "dst_idx"))
    recorded = Matching(*indices, x.shape[1])
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
    means, _ = merge_weighted(made, x, torch.ones(*x.shape[:2], 1))
    if "merged_sum" in case:
        assert_close(means, tensor(case, "merged_mean"))
        assert_close(made.merge(x, "sum"), tensor(case, "merged_sum"))
    if "unmerged_mean" in case:
        assert_close(made.unmerge(means), tensor(case, "unmerged_mean"))
        places = torch.arange(x.shape[1], dtype=torch.float32).expand(len(x), -1)[..., None]
        stays = made.kept
        assert torch.equal(
            made.unmerge(made.merge(places, "amin")).gather(1, stays[..., None])[..., 0],
            made.merge(places, "amin")[..., 0],
        )
    if "source" in case:
        identity = torch.eye(x.shape[1]).expand(len(x), -1, -1)
        assert torch.equal(made.merge(identity, "sum"), tensor(case, "source"))


@pytest.mark.parametrize("name", plain_params("tome chain"))
def test_tome_through_layers(name: str) -> None:
    case = CASES[name]
    x, folds = tensor(case, "x"), case["r_list"].tolist()
    size = torch.ones(*x.shape[:2], 1)
    source = torch.eye(x.shape[1]).expand(len(x), -1, -1)
    counts = []
    for weight, r in zip(tensor(case, "Wk"), folds, strict=True):
        made = match(x @ weight, r)
        source = source if made is None else made.merge(source, "sum")
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
