"""How much faster a policy answers the questions of a task: in pairs with the bare model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from saccade.backbones.model import Model
from saccade.controller.arguments import check_int
from saccade.controller.controller import Controller
from saccade.controller.text_form import written
from saccade.controller.trace import Generation
from saccade.studies.analysis.paired import paired_speedup
from saccade.studies.runs.attention_kernel import attention_of
from saccade.studies.tasks.task import Sample, Task
from saccade.studies.timing.clock import timed

Progress = Callable[[int, int, str], None]
"""Called with the units answered so far, their total, and what comes next."""
SIDES = ("without a controller", "with it")


@dataclass(frozen=True, slots=True)
class PolicyTiming:
    """What was measured: every repeat answers one batch twice, without and with a controller.

    Attributes
    ----------
    bare, controlled : tuple of float
        Seconds of every repeat's batch, its pictures prepared and its answers generated.
    bare_macs, macs : int
        Exact multiply-accumulates of all timed answers, vision tower and projector included.
    setup : mapping
        Policy, pruner, model, device, dtype, threads, task, its settings, and the batch.
    """

    bare: tuple[float, ...]
    controlled: tuple[float, ...]
    bare_macs: int
    macs: int
    setup: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """Plain values, `setup` included.

        ``speedup`` is the geometric mean over repeats of the seconds without a controller over
        those with it, ``speedup_low`` to ``speedup_high`` its 95 % interval (Student's, on
        logarithms; NaN for one repeat), ``speedup_ideal`` the same ratio of all exact
        multiply-accumulates, and ``share_of_ideal`` the first over the last; more is better.
        """
        bare, controlled = dict(enumerate(self.bare)), dict(enumerate(self.controlled))
        speedup, low, high = paired_speedup(bare, controlled)
        ideal = self.bare_macs / self.macs
        return {
            **self.setup,
            "repeats": len(self.bare),
            "speedup": speedup,
            "speedup_low": low,
            "speedup_high": high,
            "speedup_ideal": ideal,
            "share_of_ideal": speedup / ideal,
            "macs_bare": self.bare_macs,
            "macs": self.macs,
            "seconds_bare": list(self.bare),
            "seconds": list(self.controlled),
        }


def time_policy(
    model: Model,
    controller: Controller,
    task: Task,
    *,
    batch: int = 1,
    repeats: int = 30,
    progress: Progress | None = None,
) -> PolicyTiming:
    """Time a controller's answers and the bare model's, in pairs.

    Repeat number r answers the samples from ``r * batch`` on (from the first again, where the task
    has no more), so that the interval also says how much the speed-up varies between questions.
    Even repeats begin without the controller, odd ones with it. One repeat before is not timed.

    Parameters
    ----------
    model : Model
    controller : Controller
    task : Task
    batch : int
        Samples that are answered together, from 1.
    repeats : int
        From 1; an interval needs 2.
    progress : callable, optional
        ``progress(done, total, label)``.

    Raises
    ------
    ValueError
        For numbers out of range.
    CapabilityError, PlanError
        If the controller cannot work on the model.
    """
    batch, repeats = check_int("batch", batch, 1), check_int("repeats", repeats, 1)
    controller.check(model.spec)
    sides = (None, controller)
    seconds: tuple[list[float], list[float]] = ([], [])
    macs = [0, 0]
    for turn in range(repeats + 1):
        repeat = max(0, turn - 1)  # the first turn is a warm-up
        samples = _samples(task, repeat * batch, batch)
        for place, side in enumerate((0, 1) if repeat % 2 == 0 else (1, 0)):
            if progress is not None:
                label = f"repeat {turn}" if turn else "warm-up"
                progress(2 * turn + place, 2 * (repeats + 1), f"{label}, {SIDES[side]}")
            work = partial(_answer, model, sides[side], task, samples, repeat)
            outs, took = timed(work, model.device)
            if turn:
                seconds[side].append(took)
                macs[side] += sum(out.trace.macs + out.trace.prepare_macs for out in outs)
    if progress is not None:
        progress(2 * (repeats + 1), 2 * (repeats + 1), "done")
    setup = _setup(model, controller, task, batch)
    return PolicyTiming(tuple(seconds[0]), tuple(seconds[1]), macs[0], macs[1], setup)


def _samples(task: Task, start: int, n: int) -> Sequence[Sample]:
    numbers = range(start, start + n)
    there = task.n_samples
    return task.samples([number if there is None else number % there for number in numbers])


def _answer(
    model: Model, controller: Controller | None, task: Task, samples: Sequence[Sample], seed: int
) -> list[Generation]:
    return model.generate(
        [sample.question for sample in samples],
        [list(sample.images) for sample in samples],
        controller=controller,
        seed=seed,
        **_settings(model, task),
    )


def _settings(model: Model, task: Task) -> dict[str, Any]:
    """The task's lengths in the words of the model's family."""
    lengths = (task.gen_length, task.block_length, task.steps)
    return dict(model.family.settings.for_lengths(*lengths))


def _setup(model: Model, controller: Controller, task: Task, batch: int) -> dict[str, Any]:
    pruner = controller.pruner
    return {
        "policy": repr(controller.policy),
        "pruner": None if pruner is None else written(pruner),
        "model": model.spec.name,
        "device": str(model.device),
        "dtype": str(model.network.model.image_newline.dtype).removeprefix("torch."),
        "attention": attention_of(model),
        "threads": torch.get_num_threads(),
        "task": task.name,
        "settings": _settings(model, task),
        "batch": batch,
    }
