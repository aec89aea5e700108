"""ToMe's matching, merging and schedules against what published codes recorded.

Cases are told apart by the arrays they hold, and every figure is read from the case itself.
"""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from saccade.pruners.matching import Matching, match, match_every, merge_weighted, schedule
from tests.pruners.golden_methods import CASES, flag, params
from tests.pruners.test_golden_pruners import assert_close, exact, meta, tensor

pytestmark = pytest.mark.golden


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
