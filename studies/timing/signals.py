"""What measuring signals costs: the share of an answer's time that goes into it.

A fraction of a percent is lost in the noise between two answers, so the time spent on measuring is
taken inside of one.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from saccade.backbones.execution.plan_hook import PlanHook
from saccade.backbones.execution.probe import Probe
from saccade.controller.arguments import check_int
from saccade.controller.controller import Controller
from saccade.controller.plan import Plan
from saccade.controller.policies import Keep
from saccade.controller.policy import BasePolicy
from saccade.controller.signals import Signals
from saccade.controller.types import StepState
from saccade.studies.runs.runner import limited_threads
from saccade.studies.timing.random_model import Sizes, random_model, random_request

WORK = (
    (PlanHook, "before_layer"),
    (PlanHook, "on_attention"),
    (Probe, "result"),
)
"""Where signals are measured and gathered."""


@dataclass(frozen=True, slots=True)
class SignalsCost:
    """Shares of the time of an answer, one a repeat, in [0, 1].

    Attributes
    ----------
    shares : mapping of str to tuple of float
        By what was measured: every layer, three of them, and attention to the picture alone.
    """

    shares: Mapping[str, tuple[float, ...]]

    def rows(self) -> list[dict[str, Any]]:
        """Plain values: mean, least and most of each."""
        return [
            {"measured": name, "share": sum(s) / len(s), "least": min(s), "most": max(s)}
            for name, s in self.shares.items()
        ]


def signals_cost(
    sizes: Sizes | None = None,
    repeats: int = 3,
    progress: Callable[[int, int, str], None] | None = None,
    *,
    threads: int | None = None,
) -> SignalsCost:
    """Measure on a random model of these sizes, on the CPU.

    Parameters
    ----------
    sizes : Sizes, optional
    repeats : int
    progress : callable, optional
        ``progress(done, total, label)``.
    threads : int, optional
        Threads torch may use meanwhile; None leaves them as they are.
    """
    sizes, repeats = Sizes() if sizes is None else sizes, check_int("repeats", repeats, 1)
    n = sizes.layers
    cases = {
        "every layer": Controller(Keep(), probe="all"),
        "three layers": Controller(Keep(), probe=frozenset({n // 4, n // 2, 3 * n // 4})),
        "every layer, to the picture alone": Controller(_Reading()),
    }
    shares: dict[str, list[float]] = {name: [] for name in cases}
    with limited_threads(threads):
        model = random_model(sizes, torch.device("cpu"), "float32")
        request = random_request(model, sizes)
        for number in range(repeats + 1):
            for i, (name, controller) in enumerate(cases.items()):
                if progress is not None:
                    progress(number * len(cases) + i, (repeats + 1) * len(cases), name)
                with _measuring() as spent:
                    started = time.perf_counter()
                    model.generate(inputs=request, controller=controller, **sizes.settings)
                    total = time.perf_counter() - started
                if number:  # the first is a warm-up
                    shares[name].append(spent[0] / total)
    return SignalsCost({name: tuple(own) for name, own in shares.items()})


class _Reading(BasePolicy):
    """Reads attention to the picture, and does nothing."""

    reads = frozenset({"received"})

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        return Plan()


@contextmanager
def _measuring() -> Iterator[list[float]]:
    """Add up the seconds spent in `WORK` inside a ``with`` block."""
    spent, before = [0.0], [getattr(owner, name) for owner, name in WORK]

    def timed(work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return work(*args, **options)
            finally:
                spent[0] += time.perf_counter() - started

        return run

    try:
        for (owner, name), work in zip(WORK, before, strict=True):
            setattr(owner, name, timed(work))
        yield spent
    finally:
        for (owner, name), work in zip(WORK, before, strict=True):
            setattr(owner, name, work)
