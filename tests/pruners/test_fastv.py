"""FastV keeps what receives most attention from the rows it names."""

import pytest
import torch

from saccade.controller.errors import CapabilityError
from saccade.controller.view_fields import VIEW_FIELDS
from saccade.pruners import FastV
from tests.pruners.views import QUERIES, view_of

KEYS = [name + how for name in QUERIES for how in ("", ":logits")]


@pytest.mark.parametrize("key", KEYS)
def test_fastv_reads_the_rows_it_names(key: str) -> None:
    queries, _, how = key.partition(":")
    attention = {name: torch.eye(len(KEYS))[i] for i, name in enumerate(KEYS)}
    pruner = FastV(queries, how or "weights")  # type: ignore[arg-type]
    assert pruner.needs == {f"attention:{key}"} <= VIEW_FIELDS.keys()
    assert pruner.site == "layer"
    kept = pruner.select(view_of(torch.zeros(len(KEYS), 1), **attention), 1).keep
    assert kept.tolist() == [KEYS.index(key)]


def test_fastv_refuses_other_options() -> None:
    with pytest.raises(ValueError, match="queries='first'; allowed: 'response', 'all'"):
        FastV("first")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="head_mean='no'; allowed: 'weights', 'logits'"):
        FastV(head_mean="no")  # type: ignore[arg-type]


def test_fastv_says_what_the_view_lacks() -> None:
    view = view_of(torch.zeros(3, 1), all=torch.ones(3))
    with pytest.raises(CapabilityError, match="'attention:last' is needed; the view has 'att"):
        FastV("last").select(view, 1)
