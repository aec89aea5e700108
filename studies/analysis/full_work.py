"""The work of an answer if every step had read all visual tokens, from its trace alone."""

from collections.abc import Sequence

from saccade.controller.cost import forward_macs, head_macs, layer_macs
from saccade.controller.step_record import StepRecord
from saccade.controller.trace import Trace
from saccade.controller.types import Geometry


def ideal_speedup(trace: Trace, geometry: Geometry) -> float | None:
    """Multiply-accumulates of all planned steps with all visual tokens over those that were made.

    Where a plan committed more than its schedule, the steps that were saved count as the last one;
    else as many steps are counted as ran. The vision tower's work is in both. None where a step's
    count cannot be told apart, which is never guessed, and where a plan refreshed a cache, as the
    model alone would not have done.
    """
    steps = list(trace)
    if any(step.plan.refresh for step in steps):
        return None
    full = [full_macs(step, trace.n_visual, geometry) for step in steps]
    if not steps or any(macs is None for macs in full):
        return None
    known = [macs for macs in full if macs is not None]
    by_rule = any(step.plan.commit is not None for step in steps)
    saved = steps[-1].state.n_steps - len(steps) if by_rule else 0
    total = sum(known) + max(0, saved) * known[-1]
    return (total + trace.prepare_macs) / (trace.macs + trace.prepare_macs)


def full_macs(step: StepRecord, n_visual: int, geometry: Geometry) -> int | None:
    """What a step would have computed with all visual tokens in every layer; None if its own count
    cannot be made again."""
    missing = [n_visual - n for n in step.visual_per_layer]
    rows, keys = step.rows_per_layer, step.keys_per_layer
    all_rows = _sums(rows, missing) if step.refreshed else rows
    all_keys = _sums(keys, missing)
    head = len(step.tokens) if step.refreshed else rows[-1]
    for copies in (1, 2):
        if copies * forward_macs(geometry, rows, head, keys) == step.macs:
            return copies * forward_macs(geometry, all_rows, head, all_keys)
        for first in (0, 1):  # the prompt on its own, whose last row may give the first token
            if copies * _prefilled(geometry, step, rows, keys, first) == step.macs:
                return copies * _prefilled(geometry, step, all_rows, all_keys, first)
    return None


def _sums(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _prefilled(
    geometry: Geometry, step: StepRecord, rows: Sequence[int], keys: Sequence[int], first: int
) -> int:
    """Count of a prompt's own forward and then the answer's."""
    answer = len(step.tokens)
    if min(rows) < answer:
        return -1
    layers = sum(
        layer_macs(geometry, n - answer, n - answer) + layer_macs(geometry, answer, k)
        for n, k in zip(rows, keys, strict=True)
    )
    return layers + head_macs(geometry, answer + first)
