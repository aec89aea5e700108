"""Every registered pruner keeps its contract."""

from typing import Any

import pytest
import torch

from saccade.controller.errors import PlanError
from saccade.controller.expressions import parse_pruner
from saccade.controller.protocols import Pruner
from saccade.controller.registry import pruners
from saccade.pruners import check_pruner
from tests.pruners.views import QUERIES, view_of

TABLE: dict[str, list[dict[str, Any]]] = {
    "divprune": [{}],
    "fastv": [
        {},
        *({"queries": queries} for queries in ("response", "all", "last", "instruction")),
        {"queries": "all", "head_mean": "logits"},
    ],
    "random": [{}, {"seed": 5}],
    "uniform": [{}],
    "tome": [{}, {"proportional": False}],
    "sparsevlm": [{}, {"text": "all"}, {"recycle": False}, {"rank_scale": 1.5, "rank_bias": 1.0}],
    "trim": [
        {},
        {"relevance": "text-tower"},
        {"sign": 1, "aggregate": False},
        {"iqr": True},
        {"iqr": True, "aggregate": False},
    ],
    "visionzip": [{}, {"contextual": 0.0}, {"contextual": 1.0}],
    "prumerge": [{}, {"adaptive": True}],
    "vispruner": [{}, {"important": 0.0}, {"important": 1.0}],
    "pyramiddrop": [{}],
    "dart": [{}, {"visual_pivots": 1, "text_pivots": 0}],
    "redvtp": [{}, {"rows": "all"}],
    "redundant": [{}],
    "llada_fastv": [{}, {"queries": "all"}],
}
"""Options to build every registered pruner with."""

ROWS = [(name, options) for name, rows in TABLE.items() for options in rows]


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
    again: Any = parse_pruner(repr(pruner))
    assert again == pruner and type(again) is type(pruner), "its text form makes it again"
    assert all(getattr(again, option) == value for option, value in options.items())


@pytest.mark.parametrize(("name", "options"), ROWS)
@pytest.mark.parametrize("n", [-1, 6])
def test_impossible_count_is_refused(name: str, options: dict[str, Any], n: int) -> None:
    view = view_of(torch.ones(5, 2), **{queries: torch.ones(5) for queries in QUERIES})
    with pytest.raises(PlanError, match=f"n={n}: of 5 visual tokens, 0 to 5 can stay"):
        pruners.make(name, **options).select(view, n)


def test_wrong_option_is_refused() -> None:
    with pytest.raises(TypeError, match="pruner 'divprune'"):
        pruners.make("divprune", keep=0.5)
