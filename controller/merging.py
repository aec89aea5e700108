"""Selections with merges: mapped to all visual tokens, composed, and checked."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saccade.controller.errors import PlanError
from saccade.controller.views import Merge, Selection

Sums = Mapping[int, Mapping[int, float]]
"""Weights of the sources of each token that is a sum."""


def check_selection(selection: Selection, n: int, total: int, name: str) -> None:
    """Raise `PlanError` unless a selection on the CPU is one of `n` of `total` tokens."""
    keep = selection.keep
    if keep.ndim != 1 or keep.dtype != torch.int64:
        raise PlanError(f"{name}: keep must be (n,) int64, not {tuple(keep.shape)} {keep.dtype}")
    if len(keep) != n:
        raise PlanError(f"{name} kept {len(keep)} tokens; asked for {n}")
    if n and not (int(keep[0]) >= 0 and int(keep[-1]) < total and bool((keep.diff() > 0).all())):
        raise PlanError(f"{name}: indices must ascend within 0 to {total - 1}")
    if selection.features is not None and len(selection.features) != n:
        raise PlanError(f"{name}: features of {len(selection.features)} tokens; {n} stay")
    if selection.merge is not None:
        _check_merge(selection.merge, keep, total, name)


def _check_merge(merge: Merge, keep: Tensor, total: int, name: str) -> None:
    shapes = {tuple(t.shape) for t in (merge.into, merge.source, merge.weight)}
    if len(shapes) != 1 or merge.into.ndim != 1:
        raise PlanError(f"{name}: into, source and weight of a merge must be (M,), not {shapes}")
    if not bool(torch.isin(merge.into, keep).all()):
        raise PlanError(f"{name}: a merge goes into tokens that do not stay")
    if bool(((merge.source < 0) | (merge.source >= total)).any()):
        raise PlanError(f"{name}: sources of a merge must lie within 0 to {total - 1}")
    if not bool(merge.weight.isfinite().all()):
        raise PlanError(f"{name}: weights of a merge must be finite")


def on_host(selection: Selection) -> Selection:
    """The same selection with its indices and weights on the CPU; features stay where they are."""
    merge = selection.merge
    if merge is not None:
        merge = Merge(
            merge.into.detach().cpu(),
            merge.source.detach().cpu(),
            merge.weight.detach().float().cpu(),
            merge.space,
        )
    return Selection(selection.keep.detach().cpu(), merge, selection.features)


def among_all(selection: Selection, present: Tensor | None) -> Selection:
    """A selection of tokens numbered `present` among all, in numbers of all."""
    if present is None:
        return selection
    merge = selection.merge
    if merge is not None:
        merge = Merge(present[merge.into], present[merge.source], merge.weight, merge.space)
    return Selection(present[selection.keep], merge, selection.features)


def composed(before: Selection | None, after: Selection) -> Selection:
    """A selection made after another one, as if made at once from what was before both.

    Features and merges in the tower's space belong to the entry, where nothing came before.
    """
    if before is None or before.merge is None or before.merge.space == "tower":
        return after
    first, then = _sums(before.merge), {} if after.merge is None else _sums(after.merge)
    kept = set(after.keep.tolist())
    sums = {token: dict(own) for token, own in first.items() if token in kept}
    for token, own in then.items():
        total: dict[int, float] = {}
        for source, weight in own.items():
            for origin, part in first.get(source, {source: 1.0}).items():
                total[origin] = total.get(origin, 0.0) + weight * part
        sums[token] = total
    return Selection(after.keep, _merge(sums), after.features)


def _sums(merge: Merge) -> Sums:
    sums: dict[int, dict[int, float]] = {}
    rows: zip[tuple[int, int, float]] = zip(
        merge.into.tolist(), merge.source.tolist(), merge.weight.tolist(), strict=True
    )
    for into, source, weight in rows:
        own = sums.setdefault(into, {})
        own[source] = own.get(source, 0.0) + weight
    return sums


def _merge(sums: Sums) -> Merge | None:
    entries = [(into, source, w) for into, own in sums.items() for source, w in own.items()]
    if not entries:
        return None
    into, source, weight = zip(*entries, strict=True)
    return Merge(torch.tensor(into), torch.tensor(source), torch.tensor(weight))


def merged_rows(merge: Merge, values: Tensor) -> tuple[NDArray[np.int64], Tensor]:
    """What the tokens of a merge become.

    Parameters
    ----------
    merge : Merge
    values : Tensor (N, D)
        Of all visual tokens; those that are not a source may hold anything but NaN.

    Returns
    -------
    into : int64 array (m,)
        Distinct ascending numbers of the tokens that are sums.
    sums : Tensor (m, D), in the dtype of `values`; summed in float32.
    """
    into, place = merge.into.unique(return_inverse=True)
    device = values.device
    parts = values[merge.source.to(device)].float() * merge.weight.to(device)[:, None]
    sums = torch.zeros(len(into), values.shape[1], device=device)
    sums.index_add_(0, place.to(device), parts)
    return into.numpy(), sums.to(values.dtype)
