"""Features: what is known before a step, as one row of numbers for each action that it may take."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saccade.controller.learned.actions import Action
from saccade.controller.policies.progressive import LADDER
from saccade.controller.signals import Signals
from saccade.controller.types import StepState

Row = NDArray[np.float64]
"""Numbers (F,), NaN where not known."""
RUNGS = tuple(keep for keep in LADDER if 0 < keep < 1)
"""Keep ratios whose coverage is a feature."""
STATE = ("progress", "block", "committed_share", "answer_length")
CONFIDENCE = ("least", "tenth", "quarter", "median", "mean")
READS: Mapping[str, str | None] = {
    **dict.fromkeys(STATE),
    "committed_before": None,
    "visual_tokens": "received",
    "attention_visual": "received",
    "attention_visual_most": "received",
    "attention_response": "attention",
    "change_visual": "received",
    "change_response": "attention",
    "change_confidence": "confidence",
    **{f"confidence_{name}": "confidence" for name in CONFIDENCE},
    "entropy_mean": "entropy",
    "entropy_most": "entropy",
    "margin_least": "margin",
    **{f"cover_{keep:g}": "received" for keep in RUNGS},
    "action_keep": None,
    "action_cover": "received",
    "action_skipped": None,
    "action_commit": None,
    "action_commits": "confidence",
}
"""Features in their order, and the signal that each reads, if any. The last ones differ by
action."""
FEATURES = tuple(READS)
OF_ACTIONS = tuple(name for name in FEATURES if name.startswith("action_"))
N_OF_STEP = len(FEATURES) - len(OF_ACTIONS)
_RUNGS = np.array(RUNGS)
NO_COMMIT = 1.1
"""What stands for the confidence of an action that commits by the schedule alone."""


def table(
    state: StepState, signals: Signals | None, actions: Sequence[Action], n_layers: int
) -> NDArray[np.float64]:
    """Features (A, F) of every action before a step; NaN where not known.

    Parameters
    ----------
    state : StepState
        Before the step.
    signals : Signals or None
        Of the step before.
    actions : sequence of Action
    n_layers : int
        Of the backbone.
    """
    shown = Signals() if signals is None else signals
    out = np.empty((len(actions), len(FEATURES)))
    sums, confidence = _coverage(shown.received), _masked(shown, shown.confidence)
    out[:, :N_OF_STEP] = _of_step(state, shown, sums, confidence)
    keeps, skipped, commits = _constants(tuple(actions), n_layers)
    own = (keeps, _covered(sums, keeps), skipped, commits, _committed(confidence, commits))
    for place, values in enumerate(own, start=N_OF_STEP):
        out[:, place] = values
    return out


@lru_cache(maxsize=16)
def _constants(actions: tuple[Action, ...], n_layers: int) -> tuple[Row, Row, Row]:
    """What is the same in every step: share kept, share of the layers skipped, confidence."""
    commits = [NO_COMMIT if a.commit is None else a.commit for a in actions]
    skipped = [len(action.skip) / n_layers for action in actions]
    return np.array([a.keep for a in actions]), np.array(skipped), np.array(commits)


def _of_step(state: StepState, shown: Signals, sums: Row | None, confidence: Row | None) -> Row:
    """Features (N_OF_STEP,) that do not depend on the action, in the order of `FEATURES`."""
    length = max(1, state.masked + state.committed)
    change, nan = shown.change, np.nan
    values: list[float | None] = [
        state.step / max(1, state.n_steps),
        state.block / max(1, state.n_blocks),
        state.committed / length,
        length,
        shown.committed / length,
        None if sums is None else len(sums) - 1,
        shown.visual_mass,
        _most(shown.attention_visual_masked),
        shown.response_mass,
        None if change is None else change.attention_visual,
        None if change is None else change.attention_response,
        None if change is None else change.confidence,
        *_quantiles(confidence),
        *_mean_and_most(_masked(shown, shown.entropy)),
        _least(_masked(shown, shown.margin)),
        *_covered(sums, _RUNGS).tolist(),
    ]
    return np.array([nan if value is None else value for value in values], dtype=np.float64)


def _masked(shown: Signals, values: Tensor | None) -> Row | None:
    """Ascending values of the positions that were masked and are known; None without any."""
    if values is None:
        return None
    own: Row = values.numpy().astype(np.float64, copy=False)
    if shown.masked is not None:
        own = own[shown.masked.numpy()]
    own = np.sort(own[own == own])  # not NaN
    return own if len(own) else None


def _coverage(received: Tensor | None) -> Row | None:
    """Attention (N + 1,) to the picture that its 0 to N most attended tokens hold together."""
    if received is None or not len(received):
        return None
    most = np.sort(received.numpy().astype(np.float64))[::-1]
    return np.concatenate([[0.0], np.cumsum(most)])


def _covered(sums: Row | None, keeps: Row) -> Row:
    """Shares of the attention to the picture that the most attended tokens of rungs hold."""
    if sums is None:
        return np.full(len(keeps), np.nan)
    n = len(sums) - 1
    counts = np.maximum(np.rint(keeps * n).astype(np.int64), (keeps > 0) & (n > 0))
    return np.asarray(sums[counts] / max(float(sums[-1]), 1e-12))


def _committed(confidence: Row | None, commits: Row) -> Row:
    """Shares of the masked positions that confidences would have committed."""
    if confidence is None:
        return np.where(commits > 1, 0.0, np.nan)
    return np.asarray(1 - np.searchsorted(confidence, commits) / len(confidence))


def _quantiles(ascending: Row | None) -> tuple[float, ...]:
    if ascending is None:
        return (np.nan,) * len(CONFIDENCE)
    last = len(ascending) - 1
    picked = (float(ascending[int(q * last)]) for q in (0.0, 0.1, 0.25, 0.5))
    return (*picked, float(ascending.sum()) / len(ascending))


def _mean_and_most(ascending: Row | None) -> tuple[float, float]:
    if ascending is None:
        return np.nan, np.nan
    return float(ascending.sum()) / len(ascending), float(ascending[-1])


def _least(ascending: Row | None) -> float:
    return np.nan if ascending is None else float(ascending[0])


def _most(masses: Tensor | None) -> float | None:
    """The most of what was measured by layer, None without any."""
    if masses is None:
        return None
    known = masses.numpy()
    known = known[known == known]  # not NaN
    return float(known.max()) if len(known) else None
