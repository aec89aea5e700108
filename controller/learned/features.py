"""Features: what is known before a step, as one row of numbers for each action that it may take."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saccade.controller.learned.actions import Action
from saccade.controller.policies.progressive import LADDER
from saccade.controller.signals import Signals
from saccade.controller.types import StepState, round_keep

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
    out = np.full((len(actions), len(FEATURES)), np.nan)
    sums, confidence = _coverage(shown.received), _masked(shown, shown.confidence)
    out[:, :N_OF_STEP] = _of_step(state, shown, sums, confidence)
    for row, action in zip(out[:, N_OF_STEP:], actions, strict=True):
        row[:] = (
            action.keep,
            _covered(sums, action.keep),
            len(action.skip) / n_layers,
            NO_COMMIT if action.commit is None else action.commit,
            _commits(confidence, action.commit),
        )
    return out


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
        *(_covered(sums, keep) for keep in RUNGS),
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


def _covered(sums: Row | None, keep: float) -> float:
    """Share of the attention to the picture that the most attended tokens of a rung hold."""
    if sums is None:
        return np.nan
    return float(sums[round_keep(keep, len(sums) - 1)] / max(sums[-1], 1e-12))


def _commits(confidence: Row | None, threshold: float | None) -> float:
    """Share of the masked positions that a confidence would have committed."""
    if threshold is None:
        return 0.0
    if confidence is None:
        return np.nan
    below = int(np.searchsorted(confidence, threshold))
    return (len(confidence) - below) / len(confidence)


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
