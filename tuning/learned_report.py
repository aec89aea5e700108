"""What a learned model is worth: log-losses, calibration, what matters, and what it would do."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from saccade.controller.learned.features import FEATURES
from saccade.controller.learned.risk import RiskModel
from saccade.controller.preset_files import write_text
from saccade.tuning.risk_fits import Bools, Floats
from saccade.tuning.risk_folds import log_losses, mean_by_page

if TYPE_CHECKING:
    from saccade.tuning.learning import Rows

BATCH, TIMES = 8, 100
"""Sequences that are predicted at once where it is timed, and how often that is done."""
BINS, REPEATS = 10, 3
"""Of the calibration curve; of the permutations of each feature."""
RISKS = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Values of the policy's `risk` of which it is told what they would have done."""
BASELINES = ("constant", "by action")
"""Predictions that look at no signal: one rate, and a boosting that knows the action alone."""
LEAST_PAGES = 5
"""Pages with a changed answer, and with an unchanged one, below which no model is called better."""
LEAST_GAIN = 0.001
"""Nats by which a model has to be better: less is of no use, however certain it is."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Risks that models gave on pages which they had not seen.

    Attributes
    ----------
    risks : mapping of str to float64 array (M,)
        By kind.
    by_action : float64 array (M,)
        Of a model that knows the action alone.
    models : mapping of str to sequence of (bool array (M,), RiskModel)
        Of every fold: the rows that it judged, and the model.
    folds : int
    """

    risks: Mapping[str, Floats]
    by_action: Floats
    models: Mapping[str, Sequence[tuple[Bools, RiskModel]]]
    folds: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose risks are about the same: their mean risk, the share that changed, how many."""

    predicted: float
    observed: float
    n: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the policy would have done to the answers of the table.

    Attributes
    ----------
    risk : float
    acted : float
        Share of the answers in which an action was taken.
    changed : float
        Share of all answers that changed.
    saved : float
        Share of all multiply-accumulates that was saved.
    """

    risk: float
    acted: float
    changed: float
    saved: float


@dataclass(frozen=True, slots=True)
class LearnReport:
    """What is known of a learned model.

    Attributes
    ----------
    kind : str
    losses : mapping of str to float
        Log-loss in nats by kind, and "by action".
    gain : (float, float, float)
        How much lower the model's log-loss is than that of the best baseline, with the ends of its
        95 % interval over pages.
    better : bool
        Whether it is lower for certain, and by more than nothing.
    calibration, constant_calibration : tuple of Bin
        Of the model, and of the constant.
    importance : mapping of str to float
        Rise of the log-loss when a feature is shuffled, largest first.
    outlook : tuple of Outlook
    rows, pages, folds : int
    changed : float
        Share of the rows.
    mixed : (int, int)
        Pages that have a changed answer, and an unchanged one.
    milliseconds : float
        That a prediction takes, of all actions of `BATCH` sequences: the median of many.
    """

    kind: str
    losses: Mapping[str, float]
    gain: tuple[float, float, float]
    better: bool
    calibration: tuple[Bin, ...]
    constant_calibration: tuple[Bin, ...]
    importance: Mapping[str, float]
    outlook: tuple[Outlook, ...]
    rows: int
    pages: int
    folds: int
    changed: float
    mixed: tuple[int, int]
    milliseconds: float = 0.0

    @property
    def baseline(self) -> float:
        """Log-loss of the best prediction that looks at no signal."""
        return min(self.losses[name] for name in BASELINES)

    @property
    def sentence(self) -> str:
        """Whether it is any good."""
        gain, low, high = self.gain
        name = min(BASELINES, key=self.losses.__getitem__)
        what = "a constant" if name == "constant" else "the action alone"
        if self.kind == "constant":
            return (
                f"a constant looks at no signal: its risk is {self.changed:.1%} of the answers, "
                f"log-loss {self.losses['constant']:.3f}"
            )
        told = f"log-loss {self.losses[self.kind]:.3f} against {self.baseline:.3f} of {what}"
        if self.better:
            return (
                f"{self.kind} is better than {what}: {told} ({gain:.3f}, {low:.3f} to {high:.3f})"
            )
        return (
            f"{self.kind} is NOT better than {what}: {told} (gain {gain:.3f}, {low:.3f} to "
            f"{high:.3f}, over {self.pages} pages{self._few}); its risks say no more than that: "
            "collect more samples, or do without it"
        )

    @property
    def _few(self) -> str:
        """That too few pages tell, if so."""
        n = min(self.mixed)
        if n >= LEAST_PAGES:
            return ""
        what = "a changed" if n == self.mixed[0] else "an unchanged"
        return f", of which {n} had {what} answer, and {LEAST_PAGES} are the least"

    def write(self, path: Path, model: Path) -> None:
        """Write it as JSON, beside the model that it is about."""
        content = {**asdict(self), "sentence": self.sentence, "model": model.name}
        write_text(path, json.dumps(_finite(content), indent=2) + "\n")


def judge(rows: "Rows", judged: Judged, kind: str, seed: int) -> LearnReport:
    """The report of one kind among all."""
    each = {name: log_losses(risks, rows.changed) for name, risks in judged.risks.items()}
    each["by action"] = log_losses(judged.by_action, rows.changed)
    losses = {name: float(values.mean()) for name, values in each.items()}
    best = min(BASELINES, key=losses.__getitem__)
    gain = mean_by_page(each[best] - each[kind], rows.groups)
    mixed = rows.pages_where(rows.changed), rows.pages_where(~rows.changed)
    return LearnReport(
        kind=kind,
        losses=losses,
        gain=gain,
        better=kind != best and gain[1] > 0 and gain[0] >= LEAST_GAIN and min(mixed) >= LEAST_PAGES,
        mixed=mixed,
        calibration=curve(judged.risks[kind], rows.changed),
        constant_calibration=curve(judged.risks["constant"], rows.changed),
        importance=importance(rows, judged.models[kind], seed),
        outlook=tuple(outlook(rows, judged.risks[kind], risk) for risk in RISKS),
        rows=len(rows.changed),
        pages=rows.pages,
        folds=judged.folds,
        changed=float(rows.changed.mean()),
    )


def timed(model: RiskModel, rows: "Rows") -> float:
    """Milliseconds of a prediction, of all actions of `BATCH` sequences at once."""
    asked = np.resize(rows.features, (BATCH * len(rows.actions), rows.features.shape[1]))
    seconds = []
    for _ in range(TIMES):
        started = time.perf_counter()
        model.risks(asked)
        seconds.append(time.perf_counter() - started)
    return 1000 * float(np.median(seconds))


def curve(risks: Floats, changed: Bools) -> tuple[Bin, ...]:
    """The calibration curve: rows in order of their risk, in bins of about as many each."""
    order = np.argsort(risks, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return tuple(
        Bin(float(risks[part].mean()), float(changed[part].mean()), len(part)) for part in parts
    )


def importance(
    rows: "Rows", models: Sequence[tuple[Bools, RiskModel]], seed: int
) -> dict[str, float]:
    """Rise of the log-loss when a feature is shuffled among the rows that a fold judged."""
    rng = np.random.default_rng(seed)
    rises = np.zeros(len(FEATURES))
    for judged, model in models:
        own, changed = rows.features[judged], rows.changed[judged]
        before = float(log_losses(model.risks(own), changed).sum())
        for place in sorted(model.used):
            for _ in range(REPEATS):
                shuffled = own.copy()
                shuffled[:, place] = rng.permutation(own[:, place])
                after = float(log_losses(model.risks(shuffled), changed).sum())
                rises[place] += (after - before) / REPEATS
    means = (rises / len(rows.changed)).tolist()
    found = dict(zip(FEATURES, means, strict=True))
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def outlook(rows: "Rows", risks: Floats, risk: float) -> Outlook:
    """What the policy would have done: in every answer, at the first step before which an action
    is safe enough, the one of these that saves most."""
    saved, frame = rows.saved, rows.frame
    safe = (risks < risk) & (saved[rows.action] > 0)
    order = np.lexsort((-saved[rows.action], frame["step"].to_numpy(), ~safe))
    answers = [frame[name].to_numpy() for name in ("task", "seed", "sample")]
    taken: dict[tuple[object, ...], int] = {}
    for i in order.tolist():
        taken.setdefault(tuple(own[i] for own in answers), i)
    acted = [i for i in taken.values() if safe[i]]
    macs, bare = (frame[name].to_numpy(dtype=np.float64) for name in ("saved_macs", "bare_macs"))
    whole = float(bare[list(taken.values())].sum())
    return Outlook(
        risk,
        len(acted) / len(taken),
        float(rows.changed[acted].sum()) / len(taken) if acted else 0.0,
        float(macs[acted].sum()) / whole if acted else 0.0,
    )


def _finite(value: object) -> object:
    """Without infinities, which JSON does not know."""
    match value:
        case float():
            return value if np.isfinite(value) else None
        case Mapping():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value
