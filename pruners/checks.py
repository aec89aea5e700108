"""What every pruner has to hold to, as a check that users run on their own."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, get_args

import torch
from torch import Tensor

from saccade.controller.errors import ContractError, PlanError
from saccade.controller.merging import check_selection, on_host
from saccade.controller.names import did_you_mean
from saccade.controller.protocols import Pruner, Site
from saccade.controller.view_fields import VIEW_FIELDS
from saccade.controller.views import Selection, VisualView
from saccade.pruners.synthetic_views import random_view, take


@dataclass(frozen=True, slots=True)
class Case:
    """One question to a pruner."""

    what: str
    view: VisualView
    n: int

    def __str__(self) -> str:
        return f"n={self.n} of {len(self.view)} tokens, {self.what}"


def check_pruner(pruner: Pruner, *, sizes: Sequence[int] = (1, 2, 7, 64), seed: int = 0) -> None:
    """Check that a pruner keeps its contract, on made-up views.

    Its `needs` and `site` are known; for every view and count it returns exactly `n` distinct
    ascending int64 indices in range (or fewer, if it says ``adaptive = True``), with a sound merge
    if it says ``merges = True``; the same when asked again, from the declared needs alone; and it
    leaves the view as it was. The views are ordinary ones in float32 and bfloat16, views of tokens
    that are all equal, and views of pairs; some tokens are newlines, which have no centre.

    Parameters
    ----------
    pruner : Pruner
        Built and ready; not the class.
    sizes : sequence of int
        Numbers of visual tokens N to try, each with 0, 1, some, all but one and all to keep.
    seed : int
        For the made-up views. The global random state is left alone.

    Raises
    ------
    ContractError
        At the first broken rule.
    """
    _check_attributes(pruner)
    cases = list(_cases(pruner.needs, sizes, seed))
    answered = [(case, _ask(pruner, case)) for case in cases]
    # Backwards, so that what a pruner remembers of earlier questions shows. Every case is asked
    # again before any is changed: one that draws may give one case the same answer twice by chance.
    for case, answer in reversed(answered):
        if not _equal(_ask(pruner, case), answer):
            _fail(pruner, "gave two different answers to the same question", case)
    for case, answer in answered:
        if not _equal(_ask(pruner, _without_undeclared(case, pruner.needs)), answer):
            _fail(pruner, f"reads more than it declares in needs={set(pruner.needs)}", case)


def _fail(pruner: object, why: str, case: Case | None = None) -> NoReturn:
    raise ContractError(f"{pruner!r} {why}" + (f" ({case})" if case else ""))


def _check_attributes(pruner: Pruner) -> None:
    if isinstance(pruner, type):
        _fail(pruner, "is a class: pass a pruner, for example by calling it")
    missing = [name for name in ("needs", "site", "select") if not hasattr(pruner, name)]
    if missing:
        _fail(pruner, f"lacks {', '.join(missing)}: a pruner has needs, site and select")
    if not isinstance(pruner.needs, frozenset):
        _fail(pruner, f"has needs of type {type(pruner.needs).__name__}: it must be a frozenset")
    unknown = sorted(pruner.needs - VIEW_FIELDS.keys(), key=repr)
    if unknown:
        near, known = did_you_mean(unknown[0], VIEW_FIELDS), ", ".join(sorted(VIEW_FIELDS))
        _fail(pruner, f"needs {', '.join(map(repr, unknown))}; {near}known needs: {known}")
    if pruner.site not in get_args(Site):
        near, known = did_you_mean(pruner.site, get_args(Site)), ", ".join(get_args(Site))
        _fail(pruner, f"has site {pruner.site!r}; {near}known sites: {known}")


def _cases(needs: Iterable[str], sizes: Sequence[int], seed: int) -> Iterator[Case]:
    generator = torch.Generator().manual_seed(seed)
    for size in sizes:
        view = random_view(size, needs, generator)
        views = {
            "ordinary": view,
            "features in bfloat16": replace(view, features=view.features.bfloat16()),
            "all tokens equal": take(view, torch.zeros(size, dtype=torch.int64)),
            "tokens in equal pairs": take(view, torch.arange(size) // 2),
        }
        for n in sorted({0, min(1, size), size // 3, max(0, size - 1), size}):
            yield from (Case(what, view, n) for what, view in views.items())


def _without_undeclared(case: Case, needs: Iterable[str]) -> Case:
    """The same question with other values in what the pruner does not ask for."""
    view = case.view
    if "features" not in needs:
        view = replace(view, features=view.features.flip(0) + 1)
    if "centers" not in needs:
        view = replace(view, centers=1 - view.centers.flip(0))
    return replace(case, view=view)


def _ask(pruner: Pruner, case: Case) -> Selection:
    given = take(case.view, torch.arange(len(case.view)))  # a copy, to compare with
    given = replace(given, tower=case.view.tower)
    try:
        selection = pruner.select(given, case.n)
    except Exception as error:
        why = f"raised {type(error).__name__}: {error}"
        raise ContractError(f"{pruner!r} {why} ({case})") from error
    changed = _changed(given, case.view)
    if changed:
        _fail(pruner, f"changed {', '.join(changed)} of the view", case)
    fewer = bool(getattr(pruner, "adaptive", False))
    wrong = _wrong(selection, case, fewer) or _wrong_merge(pruner, selection, case)
    if wrong:
        _fail(pruner, wrong, case)
    return on_host(selection)


def _equal(a: Selection, b: Selection) -> bool:
    """Whether two selections say the same."""
    if (a.merge is None) != (b.merge is None) or (a.features is None) != (b.features is None):
        return False
    pairs = [(a.keep, b.keep)]
    if a.merge is not None and b.merge is not None:
        pairs += [(a.merge.into, b.merge.into), (a.merge.source, b.merge.source)]
        pairs += [(a.merge.weight, b.merge.weight)]
    if a.features is not None and b.features is not None:
        pairs += [(a.features, b.features)]
    return all(_same(one, other) for one, other in pairs)


def _wrong_merge(pruner: Pruner, selection: Selection, case: Case) -> str | None:
    """What is wrong with the merge or the features of a selection whose indices are right."""
    if selection.merge is None and selection.features is None:
        return None
    if not getattr(pruner, "merges", False):
        return "returned a merge or features, but does not say merges = True"
    try:
        check_selection(on_host(selection), len(selection.keep), len(case.view), "merge")
    except PlanError as error:
        return f"returned a wrong {error}"
    return None


def _changed(view: VisualView, before: VisualView) -> list[str]:
    names = [name for name in ("features", "centers", "images") if _differs(view, before, name)]
    attention = view.attention.keys() != before.attention.keys() or any(
        not _same(values, before.attention[name]) for name, values in view.attention.items()
    )
    names += ["attention"] if attention else []
    extras = view.extras.keys() != before.extras.keys() or any(
        not _same(values, before.extras[name]) for name, values in view.extras.items()
    )
    return [*names, "extras"] if extras else names


def _differs(view: VisualView, before: VisualView, name: str) -> bool:
    return not _same(getattr(view, name), getattr(before, name))


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a == b) | (a.isnan() & b.isnan())).all())


def _wrong(selection: object, case: Case, fewer: bool) -> str | None:
    """Which rule an answer breaks, or None; `fewer` than n tokens may stay."""
    if not isinstance(selection, Selection) or not isinstance(selection.keep, Tensor):
        return f"returned {type(selection).__name__}: a Selection with a tensor is needed"
    keep, total = selection.keep, len(case.view)
    if keep.dtype != torch.int64 or keep.ndim != 1:
        return f"kept indices {keep.dtype} of shape {tuple(keep.shape)}: int64 (n,) is needed"
    if len(keep) > case.n or (len(keep) < case.n and not fewer):
        return f"kept {len(keep)} tokens: exactly n is needed"
    if bool(((keep < 0) | (keep >= total)).any()):
        return f"kept {keep.tolist()}: indices out of range, allowed are 0 to {total - 1}"
    if len(keep.unique()) != len(keep):
        return f"kept {keep.tolist()}: indices repeat"
    if bool((keep.diff() < 0).any()):
        return f"kept {keep.tolist()}: indices must ascend"
    return None
