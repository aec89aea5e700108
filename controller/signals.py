"""Signals: what a step showed. One table, the fields of `Signals`, says what each is, when it is
measured, and how it is made of what a forward leaves on the device."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saccade.controller.types import PROMPT, RESPONSE, VISUAL

Axis = Literal["positions", "layers", "tokens"]
"""What a signal has one number for: the positions of the answer (R), the layers, or the visual
tokens (N)."""
ALL_ROWS, MASKED_ROWS = 0, 1
"""Groups of the answer's rows whose attention is averaged: all that were forwarded, and those whose
positions were still masked."""


@dataclass(eq=False)
class ForwardResult:
    """What one forward of B sequences leaves on the device, for signals to be made of.

    Attributes
    ----------
    logits : Tensor (B, R, V) float32
        What probabilities are taken from.
    chosen : Tensor (B, R) int64
        Candidate of every position.
    masses : Tensor (B, n_layers, 2, 3) or None
        Attention of `ALL_ROWS` and `MASKED_ROWS` on PROMPT, VISUAL and RESPONSE tokens; NaN where
        it was not measured.
    received : Tensor (B, longest N) or None
        Attention that visual tokens received.
    kinds : bool
        Whether attention to prompt and response was measured, too.
    """

    logits: Tensor
    chosen: Tensor
    masses: Tensor | None = None
    received: Tensor | None = None
    kinds: bool = True

    @cached_property
    def candidates(self) -> tuple[Tensor, Tensor, Tensor]:
        """Confidence, entropy and margin of the candidates; see `candidate_confidence`."""
        return candidate_confidence(self.logits, self.chosen)

    def mass(self, rows: int, kind: int) -> Tensor | None:
        """Attention (B, n_layers) of a group of rows on a kind of token."""
        measured = self.masses is not None and (self.kinds or kind == VISUAL)
        return self.masses[:, :, rows, kind] if measured and self.masses is not None else None


@dataclass(frozen=True, slots=True)
class Measurement:
    """How a field of `Signals` comes about.

    Attributes
    ----------
    reads : frozenset of str
        Names under which policies ask for it; any of them has it measured.
    axis : Axis
    make : callable
        From a `ForwardResult`, a tensor (B, ...) or None where nothing was measured.
    """

    reads: frozenset[str]
    axis: Axis
    make: Callable[[ForwardResult], Tensor | None]


def _signal(reads: str, axis: Axis, make: Callable[[ForwardResult], Tensor | None]) -> Any:
    measurement = Measurement(frozenset(reads.split()), axis, make)
    return field(default=None, metadata={"measurement": measurement})


def _mass(reads: str, rows: int, kind: int) -> Any:
    return _signal(reads, "layers", lambda result: result.mass(rows, kind))


@dataclass(frozen=True, slots=True)
class SignalChange:
    """How a step's signals differ from those of the step before; None where one of the two is
    missing.

    Attributes
    ----------
    attention_visual, attention_response : float or None
        Of `Signals.visual_mass` and `Signals.response_mass`, in [-1, 1].
    confidence : float or None
        Mean confidence over the positions that were masked in both steps, in [-1, 1].
    """

    attention_visual: float | None = None
    attention_response: float | None = None
    confidence: float | None = None


@dataclass(frozen=True, eq=False)
class Signals:
    """What one sequence showed in the step before; host values, None where not measured.

    They are the sequence's own: read them, and leave them as they are.

    A suffix after the answer counts as response, among the rows and among the R positions. The
    attention ratios are those of arXiv 2511.15098, figure 2, the confidences those of its sampling.

    Attributes
    ----------
    attention_visual, attention_prompt, attention_response : Tensor (n_layers,) float32 or None
        Attention mass of the response rows on each kind of token, mean over heads and over the
        rows that were forwarded (all of them, but where blocks before the present one are cached),
        in [0, 1]; the three sum to 1 in a probed layer and are NaN in one not probed. Where only
        "received" is read, those on prompt and response are None.
    attention_visual_masked, attention_prompt_masked, attention_response_masked : Tensor or None
        The same (n_layers,) of the rows whose positions were still masked; NaN if there were none.
    received : Tensor (N,) float32 or None
        Attention that each visual token received from the rows of the response that were
        forwarded, mean over heads and rows, in the probed layer in which it is most; in [0, 1], 0
        where it was dropped.
    confidence : Tensor (R,) float64 or None
        Softmax probability of the chosen token per response position, in [0, 1] (NaN where the
        position was not forwarded).
    entropy : Tensor (R,) float64 or None
        Entropy in nats of the prediction per response position.
    margin : Tensor (R,) float64 or None
        Confidence less the probability of the likeliest other token, in [-1, 1].
    masked : Tensor (R,) bool or None
        Positions that were still masked when the step began; where a model has no mask token,
        those that the step before did not accept.
    committed : int
        Positions that received their token in the step.
    change : SignalChange or None
        Since the step before; None in the first.
    bypassed : frozenset of int
        Layers that visual tokens skipped: nothing could attend to them there.
    """

    attention_visual: Tensor | None = _mass("attention received", ALL_ROWS, VISUAL)
    attention_prompt: Tensor | None = _mass("attention", ALL_ROWS, PROMPT)
    attention_response: Tensor | None = _mass("attention", ALL_ROWS, RESPONSE)
    attention_visual_masked: Tensor | None = _mass("attention received", MASKED_ROWS, VISUAL)
    attention_prompt_masked: Tensor | None = _mass("attention", MASKED_ROWS, PROMPT)
    attention_response_masked: Tensor | None = _mass("attention", MASKED_ROWS, RESPONSE)
    received: Tensor | None = _signal("received", "tokens", lambda result: result.received)
    confidence: Tensor | None = _signal("confidence", "positions", lambda r: r.candidates[0])
    entropy: Tensor | None = _signal("entropy", "positions", lambda r: r.candidates[1])
    margin: Tensor | None = _signal("margin", "positions", lambda r: r.candidates[2])
    masked: Tensor | None = None
    committed: int = 0
    change: SignalChange | None = None
    bypassed: frozenset[int] = frozenset()

    def __repr__(self) -> str:
        seen = {
            "mean confidence": self.mean_confidence,
            "least": self.min_confidence,
            "attention to the picture": self.visual_mass,
        }
        said = [f"{what} {value:.3f}" for what, value in seen.items() if value is not None]
        return f"Signals({', '.join([*said, f'{self.committed} committed'])})"

    @classmethod
    def after(cls, before: "Signals | None", **seen: Any) -> "Signals":
        """Signals of these fields, with their change since those of the step `before`."""
        now = cls(**seen)
        object.__setattr__(now, "change", signal_change(now, before))
        return now

    def _over_masked(self) -> NDArray[np.float64] | None:
        """Confidences of the positions that were masked and forwarded; None without any."""
        if self.confidence is None or self.masked is None:
            return None
        values = self.confidence.numpy()[self.masked.numpy()]
        known = values[values == values]  # not NaN
        return known if len(known) else None

    @cached_property
    def mean_confidence(self) -> float | None:
        """Mean confidence of the positions that were masked and forwarded, or None."""
        values = self._over_masked()
        return None if values is None else float(values.mean())

    @cached_property
    def min_confidence(self) -> float | None:
        """Least confidence of the positions that were masked and forwarded, or None."""
        values = self._over_masked()
        return None if values is None else float(values.min())

    @cached_property
    def visual_mass(self) -> float | None:
        """Answer-to-picture attention of the masked rows, mean over the probed layers that visual
        tokens did not skip, or None."""
        return self._mean(self.attention_visual_masked)

    @cached_property
    def response_mass(self) -> float | None:
        """Answer-to-answer attention of the masked rows, mean over the same layers, or None."""
        return self._mean(self.attention_response_masked)

    def _mean(self, values: Tensor | None) -> float | None:
        """Mean of what was measured in layers that were not skipped; None without any."""
        if values is None:
            return None
        rest = [value for i, value in enumerate(values.tolist()) if i not in self.bypassed]
        known = [value for value in rest if value == value]  # not NaN
        return sum(known) / len(known) if known else None


MEASUREMENTS: Mapping[str, Measurement] = {
    own.name: own.metadata["measurement"]
    for own in fields(Signals)
    if "measurement" in own.metadata
}
"""How each field of `Signals` that is measured comes about. To add one, add a field."""
SIGNALS = frozenset[str]().union(*(measured.reads for measured in MEASUREMENTS.values()))
"""What a policy may read. "attention" is measured by layer and kind of token, "received" by visual
token (with the attention to the picture by layer, but not that to the rest, which costs more); the
others cost nothing."""


def candidate_confidence(logits: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How sure a prediction is, in float64.

    Parameters
    ----------
    logits : Tensor (..., V)
    chosen : Tensor (...) int64

    Returns
    -------
    confidence : Tensor (...), in [0, 1]
        Softmax probability of the chosen id.
    entropy : Tensor (...), in nats
        Of the prediction.
    margin : Tensor (...), in [-1, 1]
        Confidence less the probability of the likeliest other id; below 0 where another one is
        likelier than the chosen.
    """
    p = logits.double().softmax(-1)
    entropy = torch.special.entr(p).sum(-1)
    confidence = p.gather(-1, chosen[..., None])
    other = p.scatter_(-1, chosen[..., None], 0.0).amax(-1)
    confidence = confidence[..., 0]
    return confidence, entropy, confidence - other


def signal_change(now: Signals, before: Signals | None) -> SignalChange | None:
    """How the signals of a step differ from those of the step before; None where there was none.

    Attention is compared by its mean over the probed layers, of the rows that were masked, and not
    at all between steps in which other layers were skipped or measured; confidence by its mean over
    the positions masked in both steps, as the mean over all that are masked moves whenever the
    surest of them are committed.
    """
    if before is None:
        return None
    visual = answer = None
    if now.bypassed == before.bypassed and _same_layers(now, before):
        visual = _difference(now.visual_mass, before.visual_mass)
        answer = _difference(now.response_mass, before.response_mass)
    return SignalChange(visual, answer, _confidence_change(now, before))


def _same_layers(now: Signals, before: Signals) -> bool:
    """Whether attention was measured in the same layers."""
    a, b = now.attention_visual, before.attention_visual
    if a is None or b is None:
        return False
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    return all((x == x) == (y == y) for x, y in pairs)  # NaN where not measured


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def _confidence_change(now: Signals, before: Signals) -> float | None:
    if now.confidence is None or before.confidence is None:
        return None
    if now.masked is None or before.masked is None:
        return None
    both = now.masked.numpy() & before.masked.numpy()
    change = (now.confidence.numpy() - before.confidence.numpy())[both]
    change = change[change == change]  # not NaN
    return float(change.mean()) if len(change) else None
