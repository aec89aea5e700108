"""Recorded cases of methods that merge, cluster or measure in the tower, by their arrays."""

from typing import Any

from tests.golden_sets import Arrays, golden_arrays, golden_params, golden_set
from tests.pruners.test_golden_pruners import meta

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
"""Arrays, the first of which that a case holds says what it is. No test reads the schedules, the
folding into every k-th token and the choice of heads, which no method here uses."""


def kind_of(case: Arrays) -> str | None:
    return next((kind for sign, kind in SIGNS.items() if sign in case), None)


def names_of(kind: str) -> list[str]:
    return [name for name in NAMES if kind_of(CASES[name]) == kind]


def params(kind: str) -> list[Any]:
    return golden_params(SET, names_of(kind))


def flag(case: Arrays, name: str) -> bool:
    return bool(meta(case).get(name, False))
