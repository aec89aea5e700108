"""Every registered pruner keeps its contract; each keeps the tokens that its method says."""

import time
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from saccade.controller.errors import CapabilityError, PlanError, SaccadeError
from saccade.controller.protocols import Pruner
from saccade.controller.registry import pruners
from saccade.controller.types import Selection, VisualView
from saccade.pruners import DivPrune, FastV, Random, ScorePruner, check_pruner
from saccade.pruners.base import check_count, top_indices
from saccade.pruners.checks import ContractError
from saccade.pruners.divprune import farthest_points, unit_rows
from saccade.pruners.fastv import logit_mean_scores, received_attention

TABLE: dict[str, list[dict[str, Any]]] = {
    "divprune": [{}],
    "fastv": [{}, *({"queries": queries} for queries in ("response", "all", "last"))],
    "random": [{}, {"seed": 5}],
}
"""Options to build every registered pruner with."""

ROWS = [(name, options) for name, rows in TABLE.items() for options in rows]
QUERIES = ("response", "all", "last")


def view_of(features: Tensor, seed: int = 0, **attention: Tensor) -> VisualView:
    total = len(features)
    images = torch.zeros(total, dtype=torch.int64)
    return VisualView(features, torch.rand(total, 2), images, attention, seed=seed)


def random_features(total: int, width: int, seed: int) -> Tensor:
    return torch.randn(total, width, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class ByNorm(ScorePruner):
    """The shortest pruner one can write."""

    def score(self, view: VisualView) -> Tensor:
        return view.features.norm(dim=1)


# --- every registered pruner ------------------------------------------------------------------


def test_every_registered_pruner_is_in_the_table() -> None:
    ours = {name for name in pruners if pruners.factory(name).__module__.startswith("saccade.")}
    assert ours == set(TABLE)


@pytest.mark.parametrize(("name", "options"), ROWS)
def test_contract(name: str, options: dict[str, Any]) -> None:
    pruner = pruners.make(name, **options)
    assert isinstance(pruner, Pruner)
    check_pruner(pruner)
    check_pruner(pruner, sizes=(3, 300), seed=1)


@pytest.mark.parametrize(("name", "options"), ROWS)
def test_names_its_source_and_its_options(name: str, options: dict[str, Any]) -> None:
    pruner: Any = pruners.make(name, **options)
    assert pruner.source == "baseline" or "arXiv" in pruner.source
    for option, value in options.items():
        assert f"{option}={value!r}" in repr(pruner)


@pytest.mark.parametrize(("name", "options"), ROWS)
@pytest.mark.parametrize("n", [-1, 6])
def test_impossible_count_is_refused(name: str, options: dict[str, Any], n: int) -> None:
    view = view_of(torch.ones(5, 2), **{queries: torch.ones(5) for queries in QUERIES})
    with pytest.raises(PlanError, match=f"n={n}: of 5 visual tokens, 0 to 5 can stay"):
        pruners.make(name, **options).select(view, n)


def test_wrong_option_is_refused() -> None:
    with pytest.raises(TypeError, match="pruner 'divprune'"):
        pruners.make("divprune", keep=0.5)


# --- scores -----------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([-1.5, -0.0, 0.0, 0.25, 3.0, torch.inf, -torch.inf])), st.data())
def test_the_highest_stay_and_of_equals_the_first(scores: list[float], data: st.DataObject) -> None:
    n = data.draw(st.integers(0, len(scores)))
    best = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:n]
    kept = top_indices(torch.tensor(scores), n)
    assert kept.dtype == torch.int64
    assert kept.tolist() == sorted(best)


def test_ties_go_to_the_lower_index_in_long_inputs() -> None:
    assert top_indices(torch.zeros(5000), 1234).tolist() == list(range(1234))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32])
def test_scores_of_any_type(dtype: torch.dtype) -> None:
    assert top_indices(torch.tensor([1, 4, 2, 3]).to(dtype), 2).tolist() == [1, 3]


def test_scores_are_compared_in_float32() -> None:
    scores = torch.tensor([1.0, 1.0 + 1e-12], dtype=torch.float64)
    assert top_indices(scores, 1).tolist() == [0]


@pytest.mark.parametrize("scores", [torch.tensor([1.0, torch.nan, 2.0]), torch.ones(3, 1)])
def test_scores_that_cannot_be_ranked_are_refused(scores: Tensor) -> None:
    with pytest.raises(PlanError, match="NaN|shape"):
        top_indices(scores, 1)


def test_count_check() -> None:
    check_count(0, 0)
    check_count(3, 3)
    with pytest.raises(PlanError, match="n=4"):
        check_count(4, 3)


def test_a_pruner_of_one_line() -> None:
    features = torch.tensor([[3.0, 4.0], [0.0, 1.0], [6.0, 8.0], [0.0, 1.0]])
    assert ByNorm().select(view_of(features), 2).keep.tolist() == [0, 2]
    assert ByNorm().select(view_of(features), 3).keep.tolist() == [0, 1, 2]
    check_pruner(ByNorm())


def test_nan_scores_name_the_pruner() -> None:
    features = torch.tensor([[1.0], [torch.nan], [2.0]])
    with pytest.raises(PlanError, match=r"ByNorm\(\): 1 of 3 scores are NaN"):
        ByNorm().select(view_of(features), 1)


def test_scores_of_a_wrong_shape_name_the_pruner() -> None:
    class PerEntry(ScorePruner):
        def score(self, view: VisualView) -> Tensor:
            return view.features

    with pytest.raises(PlanError, match=r"PerEntry.* gave scores of shape \(3, 2\), not \(3,\)"):
        PerEntry().select(view_of(torch.ones(3, 2)), 1)


@pytest.mark.parametrize("n", [0, 4])
def test_no_score_where_nothing_is_decided(n: int) -> None:
    class Silent(ScorePruner):
        def score(self, view: VisualView) -> Tensor:
            raise AssertionError("asked for scores")

    assert Silent().select(view_of(torch.ones(4, 2)), n).keep.tolist() == list(range(n))


# --- Random -----------------------------------------------------------------------------------


def random_choice(seed: int = 0, view_seed: int = 0, n: int = 20, total: int = 100) -> list[int]:
    view = view_of(torch.zeros(total, 1), seed=view_seed)
    return list(map(int, Random(seed).select(view, n).keep))


def test_random_ignores_and_leaves_the_global_generator() -> None:
    view = view_of(torch.zeros(50, 1))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = Random().select(view, 9).keep
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(Random().select(view, 9).keep, first)


def test_random_follows_both_seeds() -> None:
    choices = [random_choice(seed, view) for seed in range(-2, 6) for view in range(6)]
    assert len(set(map(tuple, choices))) == len(choices)
    assert random_choice(3, 4) == random_choice(3, 4)


def test_random_choices_are_nested() -> None:
    kept = [set(random_choice(n=n)) for n in (1, 10, 40, 99)]
    assert all(small < large for small, large in zip(kept, kept[1:], strict=False))


def test_random_is_uniform() -> None:
    counts = torch.zeros(20)
    for view_seed in range(2000):
        counts[random_choice(view_seed=view_seed, n=5, total=20)] += 1
    # 500 expected of each, standard deviation 19.4
    assert counts.min() > 400
    assert counts.max() < 600


# --- DivPrune ---------------------------------------------------------------------------------


def naive_farthest_points(features: Tensor, n: int) -> tuple[list[int], float]:
    """Picks in float64 from all distances, and by how much the closest decision was won."""
    units = features.double() / features.double().norm(dim=1, keepdim=True)
    distances = 1 - units @ units.T
    picks: list[int] = []
    margin = torch.inf
    for _ in range(n):
        if picks:
            gaps = distances[picks].amin(dim=0)
            gaps[picks] = -torch.inf
        else:
            gaps = distances.sort(dim=0).values[1]
        best = gaps.sort(descending=True).values
        margin = min(margin, float(best[0] - best[1]))
        picks.append(int(gaps.argmax()))
    return picks, margin


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(2, 16), st.integers(0, 10**6), st.data())
def test_farthest_points_equal_the_naive_ones(
    total: int, width: int, seed: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, total))
    features = random_features(total, width, seed)
    picks, margin = naive_farthest_points(features, n)
    assume(margin > 1e-5)
    assert farthest_points(features, n).tolist() == picks
    assert farthest_points(features, n, first=picks[0]).tolist() == picks
    assert DivPrune().select(view_of(features), n).keep.tolist() == sorted(picks)


def test_farthest_points_over_several_chunks() -> None:
    features = random_features(700, 24, seed=1)
    picks, margin = naive_farthest_points(features, 40)
    assert margin > 1e-6
    assert farthest_points(features, 40).tolist() == picks


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e30])
def test_lengths_of_the_vectors_do_not_matter(scale: float) -> None:
    features = random_features(40, 8, seed=2)
    scaled = features.clone()
    scaled[::3] *= scale
    assert farthest_points(scaled, 15).tolist() == farthest_points(features, 15).tolist()


def test_distances_are_taken_in_float32() -> None:
    features = random_features(60, 16, seed=3).bfloat16()
    assert farthest_points(features, 30).equal(farthest_points(features.float(), 30))


def test_of_equally_far_points_the_first_is_picked() -> None:
    assert farthest_points(torch.eye(6), 4).tolist() == [0, 1, 2, 3]
    assert farthest_points(torch.eye(6), 4, first=2).tolist() == [2, 0, 1, 3]


@pytest.mark.parametrize("n", [0, 1, 6, 24])
def test_equal_tokens_give_distinct_indices(n: int) -> None:
    kept = DivPrune().select(view_of(torch.ones(24, 5) / 3), n).keep
    assert len(set(kept.tolist())) == n


@given(st.integers(0, 10**6), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_duplicates_come_last(seed: int, n: int) -> None:
    originals = random_features(20, 8, seed)
    copies = torch.randint(20, (20,), generator=torch.Generator().manual_seed(seed))
    features = torch.cat([originals, originals[copies]])
    picks = farthest_points(features, n)
    assert len(set(picks.tolist())) == n
    assert len(features[picks].unique(dim=0)) == min(n, 20)


def test_a_zero_vector_is_orthogonal_to_all_but_its_like() -> None:
    features = torch.tensor([[1.0, 0.1], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    units = unit_rows(features)
    expected = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0])
    torch.testing.assert_close(units @ units[1], expected)
    assert farthest_points(features, 3, first=2).tolist() == [2, 4, 1]
    assert sorted(farthest_points(features, 5, first=2).tolist()) == [0, 1, 2, 3, 4]
    assert farthest_points(torch.zeros(3, 2), 2).unique().numel() == 2


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_features_that_are_no_numbers_are_refused(bad: float) -> None:
    features = torch.ones(4, 3)
    features[2, 1] = bad
    with pytest.raises(PlanError, match="features of 1 of 4 tokens.*DivPrune"):
        DivPrune().select(view_of(features), 2)


@pytest.mark.parametrize("first", [-1, 3])
def test_first_pick_out_of_range_is_refused(first: int) -> None:
    with pytest.raises(PlanError, match=f"first={first}"):
        farthest_points(torch.eye(3), 2, first=first)


def test_one_token() -> None:
    assert farthest_points(torch.ones(1, 3), 1).tolist() == [0]
    assert farthest_points(torch.ones(1, 3), 0).tolist() == []
    assert DivPrune().select(view_of(torch.ones(1, 3)), 1).keep.tolist() == [0]


class Largest(TorchDispatchMode):
    """Number of entries of the largest tensor that an operation returned."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        results = out if isinstance(out, tuple | list) else (out,)
        sizes = [result.numel() for result in results if isinstance(result, Tensor)]
        self.numel = max([self.numel, *sizes])
        return out


def test_all_distances_never_exist_at_once() -> None:
    total = 20_000
    features = random_features(total, 8, seed=4)
    start = time.perf_counter()
    with Largest() as largest:
        assert len(farthest_points(features, 10)) == 10
    assert total <= largest.numel <= total * 512 < total * total
    assert time.perf_counter() - start < 60


# --- FastV ------------------------------------------------------------------------------------


@pytest.mark.parametrize("queries", QUERIES)
def test_fastv_reads_the_rows_it_names(queries: str) -> None:
    best = {"response": 0, "all": 1, "last": 2}
    attention = {name: torch.eye(4)[i] for name, i in best.items()}
    pruner = FastV(queries)  # type: ignore[arg-type]
    assert pruner.needs == {f"attention:{queries}"}
    assert pruner.site == "layer"
    assert pruner.select(view_of(torch.zeros(4, 1), **attention), 1).keep.tolist() == [
        best[queries]
    ]


def test_fastv_refuses_other_rows() -> None:
    with pytest.raises(ValueError, match="queries='first': must be one of 'response', 'all'"):
        FastV("first")  # type: ignore[arg-type]


def test_fastv_says_what_the_view_lacks() -> None:
    view = view_of(torch.zeros(3, 1), all=torch.ones(3))
    with pytest.raises(CapabilityError, match="needs 'attention:last'; the view has 'attention:al"):
        FastV("last").select(view, 1)


def test_received_attention_is_the_mean_over_heads_and_rows() -> None:
    attention = torch.arange(24.0).reshape(2, 3, 4)
    assert received_attention(attention).tolist() == [10.0, 11.0, 12.0, 13.0]
    assert received_attention(attention.bfloat16()).dtype == torch.float32


def test_averaging_heads_before_the_softmax_is_another_score() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(2, rows, 4, generator=generator) for rows in (3, 9))
    visual = torch.tensor([1, 2, 5])
    logits = queries @ keys.transpose(1, 2) / 2
    scores = logit_mean_scores(queries, keys, visual)
    torch.testing.assert_close(scores, logits.mean(dim=0).softmax(dim=-1)[:, visual].sum(dim=0))
    per_head = received_attention(logits.softmax(dim=-1)[..., visual]) * len(queries[0])
    assert not torch.allclose(scores, per_head, rtol=0.01)
    # With one head the two differ only in that one sums the rows and the other averages them.
    one = received_attention(logits[:1].softmax(dim=-1)[..., visual]) * len(queries[0])
    torch.testing.assert_close(logit_mean_scores(queries[:1], keys[:1], visual), one)


# --- check_pruner finds broken ones -----------------------------------------------------------


class First:
    """Right, and the base of the broken ones: keeps the first tokens."""

    needs: Any = frozenset({"features"})
    site: Any = "entry"

    def select(self, view: VisualView, n: int) -> Selection:
        return Selection(self.choose(view, n))

    def choose(self, view: VisualView, n: int) -> Any:
        return torch.arange(n)


class OneTooFew(First):
    def choose(self, view: VisualView, n: int) -> Any:
        return torch.arange(max(0, n - 1))


class Unsorted(First):
    def choose(self, view: VisualView, n: int) -> Any:
        return torch.arange(n).flip(0)


class Repeating(First):
    def choose(self, view: VisualView, n: int) -> Any:
        return torch.zeros(n, dtype=torch.int64)


class OutOfRange(First):
    def choose(self, view: VisualView, n: int) -> Any:
        return torch.arange(n) + 1


class Negative(First):
    def choose(self, view: VisualView, n: int) -> Any:
        return torch.arange(-n, 0)


class Int32(First):
    def choose(self, view: VisualView, n: int) -> Any:
        return torch.arange(n, dtype=torch.int32)


class TwoDimensional(First):
    def choose(self, view: VisualView, n: int) -> Any:
        return torch.arange(n)[None]


class Mask(First):
    def select(self, view: VisualView, n: int) -> Any:
        return torch.arange(len(view)) < n


class ChangingFeatures(First):
    def choose(self, view: VisualView, n: int) -> Any:
        view.features.mul_(2.0)
        return torch.arange(n)


class ChangingAttention(First):
    needs = frozenset({"attention:last"})

    def choose(self, view: VisualView, n: int) -> Any:
        dict.clear(view.attention)  # type: ignore[arg-type]
        return torch.arange(n)


class Drawing(First):
    def choose(self, view: VisualView, n: int) -> Any:
        return torch.randperm(len(view))[:n].sort().values


class Remembering(First):
    calls = 0

    def choose(self, view: VisualView, n: int) -> Any:
        self.calls += 1
        return torch.arange(n) + (len(view) - n if self.calls > 20 else 0)


class Undeclared(First):
    needs = frozenset[str]()

    def choose(self, view: VisualView, n: int) -> Any:
        return view.features[:, 0].float().sort(stable=True).indices[:n].sort().values


class Unasked(First):
    def choose(self, view: VisualView, n: int) -> Any:
        return top_indices(view.attention["all"], n)


class WithoutDuplicates(First):
    def choose(self, view: VisualView, n: int) -> Any:
        different = view.features.float().unique(dim=0, return_inverse=True)[1]
        firsts = [int((different == i).nonzero()[0]) for i in different.unique()]
        return torch.tensor(sorted(firsts)[:n], dtype=torch.int64)


class NeedsMore(First):
    needs = frozenset({"features", "keys"})


class NeedsAList(First):
    needs = ["features"]


class Elsewhere(First):
    site = "decoder"


class Siteless:
    needs = frozenset[str]()

    def select(self, view: VisualView, n: int) -> Selection:
        return Selection(torch.arange(n))


def test_a_right_pruner_that_inherits_nothing_passes() -> None:
    check_pruner(First())


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        (OneTooFew(), "kept 0 tokens: exactly n is needed .n=1 of 1 tokens"),
        (Unsorted(), r"kept \[1, 0\]: indices must ascend .n=2 of 2 tokens"),
        (Repeating(), r"kept \[0, 0\]: indices repeat .n=2 of 2 tokens"),
        (OutOfRange(), r"kept \[1\]: indices out of range"),
        (Negative(), r"kept \[-1\]: indices out of range"),
        (Int32(), "kept indices torch.int32 of shape"),
        (TwoDimensional(), r"kept indices torch.int64 of shape \(1, 0\)"),
        (Mask(), "returned Tensor: a Selection"),
        (ChangingFeatures(), "changed features of the view"),
        (ChangingAttention(), "changed attention of the view"),
        (Drawing(), "gave two different answers to the same question"),
        (Remembering(), "gave two different answers to the same question"),
        (Undeclared(), r"reads more than it declares in needs=set\(\)"),
        (Unasked(), "raised KeyError: 'all'"),
        (WithoutDuplicates(), "kept 1 tokens: exactly n is needed .n=2 of 2 tokens, all tokens eq"),
        (NeedsMore(), "needs 'keys'; known needs: attention:all"),
        (NeedsAList(), "needs of type list"),
        (Elsewhere(), "site 'decoder'; known sites: tower, entry, layer"),
        (Siteless(), "lacks site"),
        (First, "is a class"),
    ],
    ids=lambda value: None if isinstance(value, str) else repr(value).split(".")[-1].split(" ")[0],
)
def test_a_broken_pruner_is_found(pruner: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_pruner(pruner)


def test_contract_error_is_one_of_ours() -> None:
    assert issubclass(ContractError, SaccadeError)


def test_the_check_leaves_the_global_generator() -> None:
    before = torch.get_rng_state()
    check_pruner(First())
    assert torch.equal(torch.get_rng_state(), before)
