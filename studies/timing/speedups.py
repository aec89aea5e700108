"""Measured speed-ups, and those that exact multiply-accumulates allow, on a random model."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from saccade.backbones.model import Model
from saccade.backbones.network.attend import check_attention
from saccade.controller.arguments import check_int
from saccade.controller.controller import Controller
from saccade.controller.errors import SaccadeError, StudyError
from saccade.controller.names import did_you_mean
from saccade.controller.policy import BasePolicy
from saccade.controller.protocols import Pruner
from saccade.controller.text_form import written
from saccade.controller.trace import Generation
from saccade.studies.runs.attention_kernel import attention_of
from saccade.studies.runs.runner import limited_threads
from saccade.studies.runs.unit_runner import case_order
from saccade.studies.timing.clock import timed
from saccade.studies.timing.memory import PeakMemory
from saccade.studies.timing.random_model import Sizes, random_model, random_request

Progress = Callable[[int, int, str], None]
"""Called with the answers so far, their total, and what comes next."""
BASELINE = "none"
"""Name of the case without a controller."""
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Timing:
    """One case and what its answers took.

    Attributes
    ----------
    case : str
        Its name.
    pruner : str or None
        What chose the tokens; None without a controller.
    seconds : tuple of float
        Wall time of `generate` in every repeat.
    macs : int
        Exact multiply-accumulates of an answer.
    kept : int
        Visual tokens that the last layer of the last step could attend to.
    peak : int
        Bytes that the tensors of an answer took at once, in addition to the model and its request.
    """

    case: str
    pruner: str | None
    seconds: tuple[float, ...]
    macs: int
    kept: int
    peak: int = 0


@dataclass(frozen=True, slots=True)
class Bench:
    """What was measured.

    Attributes
    ----------
    timings : tuple of Timing
        The baseline first.
    skipped : mapping of str to str
        Cases that this model cannot serve, and why.
    setup : mapping
        Policy, sizes, parameters, device, dtype, threads, and the bytes of one layer's whole
        attention map in float32, which nothing here makes.
    """

    timings: tuple[Timing, ...]
    skipped: Mapping[str, str]
    setup: Mapping[str, Any]

    def rows(self) -> list[dict[str, Any]]:
        """Plain values of every case, `setup` included.

        ``speedup`` is the geometric mean over repeats of the baseline's seconds over the case's,
        ``speedup_min`` and ``speedup_max`` its extremes, ``speedup_ideal`` the same of exact
        multiply-accumulates, and ``share_of_ideal`` the first over the last; more is better.
        """
        return [self._row(timing) for timing in self.timings]

    def _row(self, timing: Timing) -> dict[str, Any]:
        baseline = self.timings[0]
        pairs = zip(baseline.seconds, timing.seconds, strict=True)
        ratios = [before / after for before, after in pairs]
        speedup, ideal = statistics.geometric_mean(ratios), baseline.macs / timing.macs
        return {
            "case": timing.case,
            "pruner": timing.pruner,
            "speedup": speedup,
            "speedup_min": min(ratios),
            "speedup_max": max(ratios),
            "speedup_ideal": ideal,
            "share_of_ideal": speedup / ideal,
            "visual_tokens": baseline.kept,
            "visual_tokens_kept": timing.kept,
            "macs": timing.macs,
            "peak_bytes": timing.peak,
            "seconds": list(timing.seconds),
            **self.setup,
        }


def run_bench(
    policy: BasePolicy,
    pruners: Sequence[tuple[str, Pruner]],
    sizes: Sizes | None = None,
    repeats: int = 5,
    progress: Progress | None = None,
    *,
    threads: int | None = None,
    device: torch.device | None = None,
    dtype: str | None = None,
    attention: str = "sdpa",
) -> Bench:
    """Time one policy with several pruners against the model without a controller.

    Every repeat answers the request once without a controller and once with each pruner, in an
    order that changes from repeat to repeat; a repeat's times are compared with each other only.
    Each case is run once before, untimed.

    Parameters
    ----------
    policy : BasePolicy
    pruners : sequence of (str, Pruner)
        Named as the cases shall be called.
    sizes : Sizes, optional
    repeats : int
        From 1.
    progress : callable, optional
        ``progress(done, total, label)``.
    threads : int, optional
        Threads torch may use meanwhile; None leaves them as they are.
    device : torch.device, optional
        A GPU where there is one, else the CPU.
    dtype : str, optional
        Of `DTYPES`; by default float32 on a CPU and else bfloat16.
    attention : str
        As `load` takes it.

    Raises
    ------
    ValueError
        For arguments out of range, or an `attention` that is unknown or cannot run.
    ImportError
        If `attention` needs a package that is not installed.
    StudyError
        If none of the pruners can work on the model, saying why; else those that cannot are in
        `skipped`.
    """
    sizes, repeats = Sizes() if sizes is None else sizes, check_int("repeats", repeats, 1)
    where = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind = dtype or ("float32" if where.type == "cpu" else "bfloat16")
    if kind not in DTYPES:
        near = did_you_mean(dtype, DTYPES)
        raise ValueError(f"dtype={dtype!r}; {near}give {', '.join(DTYPES)}")
    width = sizes.width // sizes.heads
    check_attention(attention, where, getattr(torch, kind), width)
    report = progress or (lambda done, total, label: None)
    with limited_threads(threads):
        report(0, (1 + len(pruners)) * (1 + repeats), "making the model")
        model = random_model(sizes, where, kind, attention)
        setup = {
            "policy": repr(policy),
            "sizes": asdict(sizes),
            "parameters": sum(p.numel() for p in model.network.parameters()),
            "device": str(where),
            "dtype": kind,
            "attention": attention_of(model),
            "threads": torch.get_num_threads(),
            "attention_map_bytes": 4 * sizes.heads * sizes.length**2,
        }
        timings, skipped = _Rounds(model, sizes, policy, pruners, repeats, report).run()
    return Bench(timings, skipped, setup)


class _Rounds:
    """The answers of a bench: one of every case to warm up, then the repeats."""

    def __init__(
        self,
        model: Model,
        sizes: Sizes,
        policy: BasePolicy,
        pruners: Sequence[tuple[str, Pruner]],
        repeats: int,
        report: Progress,
    ) -> None:
        self.model, self.options, self.repeats = model, sizes.settings, repeats
        self.request = random_request(model, sizes)
        # Attention is measured only where a policy reads it: it is not part of the ideal.
        self.cases: list[tuple[str, Controller | None]] = [(BASELINE, None)]
        self.cases += [(name, Controller(policy, p, probe="needed")) for name, p in pruners]
        self.report, self.done = report, 0

    def run(self) -> tuple[tuple[Timing, ...], dict[str, str]]:
        skipped = self._keep_fit()
        outs = self._warm_up(skipped)
        seconds: list[list[float]] = [[] for _ in self.cases]
        for repeat in range(self.repeats):
            for number in case_order(len(self.cases), repeat):
                seconds[number].append(self._timed(number, f"repeat {repeat + 1}")[1])
        self._tell("done")
        timings = (
            Timing(
                name,
                None if controller is None else written(controller.pruner),
                tuple(seconds[number]),
                outs[number][0].trace.macs,
                outs[number][0].trace.steps[-1].visual_per_layer[-1],
                outs[number][1],
            )
            for number, (name, controller) in enumerate(self.cases)
        )
        return tuple(timings), skipped

    def _keep_fit(self) -> dict[str, str]:
        """Take out the cases that do not fit the model, and say why."""
        skipped, fit = {}, self.cases[:1]
        for name, controller in self.cases[1:]:
            try:
                if controller is not None:
                    controller.check(self.model.spec)
                fit.append((name, controller))
            except SaccadeError as error:
                skipped[name] = str(error)
        self.cases = fit
        return self._checked(skipped)

    def _warm_up(self, skipped: dict[str, str]) -> list[tuple[Generation, int]]:
        """One answer of every case, and the memory it took; those that fail join the skipped."""
        outs, ran = [], []
        for number, case in enumerate(self.cases):
            try:
                with PeakMemory() as memory:
                    out = self._timed(number, "warm-up")[0]
                outs.append((out, memory.peak))
                ran.append(case)
            except SaccadeError as error:
                if number == 0:
                    raise
                skipped[case[0]] = str(error)
        self.cases = ran
        self._checked(skipped)
        return outs

    def _checked(self, skipped: dict[str, str]) -> dict[str, str]:
        if len(self.cases) == 1:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
            raise StudyError(f"no pruner can be timed ({reasons or 'none was given'})")
        return skipped

    def _timed(self, number: int, label: str) -> tuple[Generation, float]:
        """One answer, and its seconds."""
        name, controller = self.cases[number]
        self._tell(f"{label}: {name}")
        answer = partial(
            self.model.generate, inputs=self.request, controller=controller, **self.options
        )
        out, seconds = timed(answer, self.model.device)
        self.done += 1
        return out, seconds

    def _tell(self, label: str) -> None:
        # What was skipped will not be answered.
        self.report(self.done, max(self.done, len(self.cases) * (1 + self.repeats)), label)
