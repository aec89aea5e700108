"""`check_pruner` finds what breaks the contract."""

from typing import Any

import pytest
import torch

from saccade.controller.errors import SaccadeError
from saccade.controller.views import Selection, VisualView
from saccade.pruners import check_pruner
from saccade.pruners.base import top_indices
from saccade.pruners.checks import ContractError


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
    needs = frozenset({"features", "colours"})


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
        (NeedsMore(), "needs 'colours'; known needs: answer, attention:all"),
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
