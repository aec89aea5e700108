"""One generate call under control: everything that changes lives here and ends with the call."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch

from saccade.controller.attach import check_choice, check_plan
from saccade.controller.errors import PlanError
from saccade.controller.merging import among_all, check_selection, composed, on_host
from saccade.controller.plan import Plan
from saccade.controller.policy import BasePolicy, members
from saccade.controller.protocols import Pruner
from saccade.controller.signals import Signals
from saccade.controller.types import BackboneSpec, StepState, round_keep
from saccade.controller.view_fields import BEFORE
from saccade.controller.views import Selection, VisualView

log = logging.getLogger(__name__)

Positions = Literal["original", "compact"]
Shown = Callable[[], torch.Tensor]
"""Makes what a pruner may ask of a step, if it does."""
COMPACT = "positions='compact' is not defined for tokens that skip layers; use 'original'"


@dataclass(frozen=True, slots=True, eq=False)
class StoredSelection:
    """A selection that a pruner made in this call, in numbers among all visual tokens.

    Attributes
    ----------
    here : Selection
        Of what was there when it was made.
    whole : Selection
        The same as if nothing had been chosen before it in that forward.
    before : StoredSelection or None
        What had been carried out before it in that forward.
    """

    here: Selection
    whole: Selection
    before: "StoredSelection | None" = None


@dataclass(frozen=True, slots=True)
class Measuring:
    """What a call measures of attention.

    Attributes
    ----------
    layers : frozenset of int
        Layers that are probed; empty for none.
    every_step : bool
        Whether in every step, or only where the policy watches (`BasePolicy.watches`).
    kinds : bool
        Whether attention to prompt and response is measured, too, and not that to the picture
        alone.
    """

    layers: frozenset[int] = frozenset()
    every_step: bool = False
    kinds: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What a step of one sequence showed, for a call that goes on from there.

    Attributes
    ----------
    signals : Signals or None
    before : mapping of str to callable
        What the pruner may ask of that step, as `Session.before`.
    """

    signals: Signals | None = None
    before: Mapping[str, Shown] = field(default_factory=dict)


class Session:
    """Policies, selections and signals of the sequences of one generate call.

    Every sequence has a policy of its own (a copy), so that what happens to one never depends on
    what else is in the batch.

    Parameters
    ----------
    policy, pruner
        What decides how much, and which. The pruner may be None if the policy never drops.
    spec : BackboneSpec
    n_sequences : int
    measuring : Measuring
    positions : "original" or "compact"
        As in `Controller`.

    Attributes
    ----------
    needs : frozenset of str
        What the pruner asks of a view; nothing without one.
    before : list of dict of str to callable
        What makes, when it is called, what the pruner may ask to see of the step before, by its
        name in `BEFORE`, of each sequence: attention (R, N) of its answer rows to its visual
        tokens, mean over heads and layers, with NaN rows where not forwarded; final states (N, D)
        of its visual tokens, NaN where dropped.

    Raises
    ------
    TypeError
        If the policy cannot be copied.
    """

    def __init__(
        self,
        policy: BasePolicy,
        pruner: Pruner | None,
        spec: BackboneSpec,
        n_sequences: int,
        measuring: Measuring,
        positions: Positions = "original",
    ) -> None:
        self.pruner, self.spec, self.positions = pruner, spec, positions
        self.measuring = measuring
        self.needs = frozenset[str]() if pruner is None else pruner.needs
        self._policies = [_started(policy) for _ in range(n_sequences)]
        self._foreseeing = [
            (number, inside)
            for number, own in enumerate(self._policies)
            for inside in members(own)
            if type(inside).foresee.__func__ is not BasePolicy.foresee.__func__  # type: ignore[attr-defined]
        ]
        self._signals: list[Signals | None] = [None] * n_sequences
        self._choices: list[dict[int, StoredSelection]] = [{} for _ in range(n_sequences)]
        self._anew: list[set[int]] = [set() for _ in range(n_sequences)]
        self._settled: set[int] = set()
        self.before: list[dict[str, Shown]] = [{} for _ in range(n_sequences)]

    def __repr__(self) -> str:
        return f"Session({len(self._policies)} sequences on {self.spec.name!r})"

    def plan(self, sequence: int, state: StepState) -> Plan:
        """Ask the sequence's policy for its next plan and check that it can be carried out.

        Raises
        ------
        PlanError
            If the policy returned no plan, or one for a layer that does not exist.
        CapabilityError
            If the backbone lacks an action of the plan.
        """
        plan = self._policies[sequence].plan(state, self._signals[sequence])
        if not isinstance(plan, Plan):
            raise PlanError(f"the policy returned {plan!r}; it must return a Plan")
        check_plan(plan, self.spec)
        if plan.bypass and self.positions == "compact":
            raise PlanError(COMPACT)
        if plan.reason:
            log.debug("sequence %d, step %d: %s", sequence, state.step, plan.reason)
        self._anew[sequence] = set(self._choices[sequence]) if plan.reselect else set()
        return plan

    def foresee(self, states: Mapping[int, StepState]) -> None:
        """Tell policies that can plan at once for many of the sequences that are at work."""
        calls: dict[type[BasePolicy], list[tuple[BasePolicy, StepState, Signals]]] = {}
        for number, own in self._foreseeing:
            signals = self._signals[number]
            if number in states and signals is not None:
                calls.setdefault(type(own), []).append((own, states[number], signals))
        for kind, found in calls.items():
            kind.foresee(found)

    def remembered(self, sequence: int, n: int) -> "StoredSelection | None":
        """The choice of `n` tokens made earlier in this call, if any; None if the plan of this
        step wants it made anew."""
        return None if n in self._anew[sequence] else self._choices[sequence].get(n)

    def accumulates(self, sequence: int, plan: Plan, n_visual: int) -> bool:
        """Whether the pruner may ask, in the next step, what the step of `plan` shows: until it has
        chosen, or in every step under a policy that lets it choose again."""
        own = self._policies[sequence]
        if not BEFORE & self.needs or own.rests:
            return False
        if own.reselects:
            return True
        counts = [round_keep(drop.keep, n_visual) for drop in plan.drops]
        chosen = bool(self._choices[sequence].keys() - self._anew[sequence])
        return not (chosen or any(0 < n < n_visual for n in counts))

    def watches(self, sequence: int, state: StepState) -> frozenset[int]:
        """Layers whose attention is measured in a step for a sequence."""
        own, layers = self._policies[sequence], self.measuring.layers
        if self.measuring.every_step or not layers:
            return layers
        asked = False if own.rests else own.watches(state)
        if isinstance(asked, bool):
            return layers if asked else frozenset()
        return layers & asked

    def show(self, sequence: int, shown: Mapping[str, Shown]) -> None:
        """Take in what the pruner may ask to see of a step, in the next one."""
        self.before[sequence].update(shown)
        self._settled.discard(sequence)

    def settle(self, sequence: int) -> None:
        """Make what was shown last now, as no later step will be: it may hold a whole forward."""
        if sequence not in self._settled:
            self._settled.add(sequence)
            made = {name: show() for name, show in self.before[sequence].items()}
            self.before[sequence] = {name: _constant(value) for name, value in made.items()}

    @property
    def merges(self) -> bool:
        """Whether what is chosen may change the tokens that stay."""
        return bool(getattr(self.pruner, "merges", False))

    def select(
        self,
        sequence: int,
        view: VisualView,
        n: int,
        present: torch.Tensor | None = None,
        before: "StoredSelection | None" = None,
    ) -> "StoredSelection":
        """Let the pruner choose `n` of the view's tokens, check its answer, and remember it.

        Parameters
        ----------
        sequence : int
        view : VisualView
            Of the visual tokens still there.
        n : int
        present : Tensor (len(view),) int64, optional
            Their numbers among all visual tokens; all of them by default.
        before : StoredSelection, optional
            The one that was carried out earlier in this forward.

        Returns
        -------
        StoredSelection
            In numbers among ALL visual tokens, on the CPU.

        Raises
        ------
        PlanError
            If no pruner can choose here, or the selection is not `n` distinct ascending indices
            with a sound merge.
        """
        pruner = check_choice(self.pruner, view.layer)
        selection, name = pruner.select(view, n), type(pruner).__name__
        if not isinstance(selection, Selection) or not isinstance(selection.keep, torch.Tensor):
            raise PlanError(
                f"{name} returned {selection!r}; it must return a Selection that holds a tensor"
            )
        own = on_host(selection)
        fewer = bool(getattr(pruner, "adaptive", False)) and 0 <= len(own.keep) < n
        check_selection(own, len(own.keep) if fewer else n, len(view), name)
        if (own.merge is not None or own.features is not None) and not self.merges:
            raise PlanError(f"{name} returned a merge, but does not say merges = True")
        if own.features is not None and view.layer > 0:
            raise PlanError(f"{name} returned features, which belong before layer 0")
        here = among_all(own, present)
        whole = composed(None if before is None else before.whole, here)
        made = self._choices[sequence][n] = StoredSelection(here, whole, before)
        self._anew[sequence].discard(n)
        return made

    def observe(self, sequence: int, signals: Signals) -> None:
        """Take in what a step showed."""
        self._signals[sequence] = signals

    def carried(self, sequence: int) -> Carried:
        """What the last step of a sequence showed."""
        self.settle(sequence)
        return Carried(self._signals[sequence], dict(self.before[sequence]))

    def take_up(self, sequence: int, carried: Carried) -> None:
        """Go on where another call stood: its last step is the step before the first here."""
        self._signals[sequence] = carried.signals
        self.before[sequence] = dict(carried.before)
        self._settled.add(sequence)


def _constant(value: torch.Tensor) -> Shown:
    return lambda: value


def _started(policy: BasePolicy) -> BasePolicy:
    try:
        return policy.start()
    except Exception as error:
        raise TypeError(
            f"{policy!r} cannot be copied ({type(error).__name__}: {error}), and every sequence "
            "needs a policy of its own"
        ) from error
