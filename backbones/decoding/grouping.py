"""Which sequences share a forward: those of like lengths, as shorter ones are filled up."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from saccade.backbones.execution.step_context import StepContext
from saccade.controller.types import round_keep

FORWARD = 256
"""Rows that take about as long as one forward more: what filling up may cost before shorter
sequences get a forward of their own. Kernels reach their rate at about as many rows."""


def forward_groups(contexts: Sequence[StepContext], n_layers: int) -> list[list[StepContext]]:
    """Groups of sequences that share a forward: the same rows of it, or all from the start on and
    about as many of them."""

    def kind(context: StepContext) -> tuple[int, ...]:
        span = context.span
        rows = span.stop - span.start if span.start else 0
        return int(span.prefill), rows, span.queries, span.first, int(span.keep > 0)

    groups = []
    for _, group in itertools.groupby(sorted(contexts, key=kind), kind):
        own = list(group)
        whole = own[0].span.prefill or not own[0].span.start
        shares = by_length([rows_ahead(i, n_layers) for i in own]) if whole else [range(len(own))]
        groups += [[own[i] for i in share] for share in shares]
    return groups


def rows_ahead(context: StepContext, n_layers: int) -> tuple[int, ...]:
    """Rows of each layer of a sequence's forward from the start on, as planned."""
    plan, visual = context.plan, context.sequence.n_visual
    other, left, rows = context.span.stop - visual, visual, []
    drops = {drop.layer: round_keep(drop.keep, visual) for drop in plan.drops}
    for layer in range(n_layers):
        left = min(left, drops.get(layer, left))
        rows.append(other if layer in plan.bypass else other + left)
    return tuple(rows)


def by_length(rows: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Split sequences into groups so that filled up rows and forwards together cost least.

    Parameters
    ----------
    rows : sequence of tuple of int
        Rows of each layer, of each sequence.

    Returns
    -------
    list of list of int
        Ascending numbers of the sequences of each group, from the shortest on. The split is the
        best of those that part sequences ordered by their sum of rows; a forward counts `FORWARD`
        rows.
    """
    kinds = sorted(set(rows), key=lambda own: (sum(own), own))
    members = {own: [i for i, other in enumerate(rows) if other == own] for own in kinds}
    sizes = [len(members[own]) for own in kinds]
    table, best, cuts = np.array(kinds, dtype=float), [0.0], [0]
    for end in range(1, len(kinds) + 1):
        costs = _costs(table[:end], sizes[:end], best)
        cuts.append(int(costs.argmin()))
        best.append(float(costs.min()))
    groups, end = [], len(kinds)
    while end:
        groups.append(sorted(i for own in kinds[cuts[end] : end] for i in members[own]))
        end = cuts[end]
    return groups[::-1]


def _costs(
    table: NDArray[np.float64], sizes: Sequence[int], best: Sequence[float]
) -> NDArray[np.float64]:
    """Cost (n,) of all kinds of sequences in `table` (n, n_layers), if the last group begins with
    kind i and those before it are split as is best."""
    longest = np.maximum.accumulate(table[::-1], axis=0)[::-1].mean(axis=1)
    counts = np.cumsum(sizes[::-1])[::-1]
    costs: NDArray[np.float64] = np.array(best) + counts * longest + FORWARD
    return costs
