"""One generate call under control: everything that changes lives here and ends with the call."""

import copy
from dataclasses import dataclass
from typing import Literal

import torch

from saccade.controller.attach import check_choice, check_plan
from saccade.controller.errors import PlanError
from saccade.controller.fitting import reselecting, resting, watching
from saccade.controller.merging import among_all, check_selection, composed, on_host
from saccade.controller.plan import Plan
from saccade.controller.protocols import BEFORE, Policy, Pruner
from saccade.controller.types import BackboneSpec, Signals, StepState
from saccade.controller.views import Selection, VisualView

Positions = Literal["original", "compact"]
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
    probe : frozenset of int
        Layers whose attention is measured.
    always : bool
        Whether it is measured in every step, or only where the policy watches
        (`Policy.watches`).
    tokens : bool
        Whether what each visual token receives is measured.
    positions : "original" or "compact"
        As in `Controller`.

    Attributes
    ----------
    before : list of dict of str to Tensor
        What the pruner asked to see of the step before, by its name in `BEFORE`, of each sequence:
        attention (R, N) of its answer rows to its visual tokens, mean over heads and layers, with
        NaN rows where not forwarded; final states (N, D) of its visual tokens, NaN where dropped.

    Raises
    ------
    TypeError
        If the policy cannot be copied.
    """

    def __init__(
        self,
        policy: Policy,
        pruner: Pruner | None,
        spec: BackboneSpec,
        n_sequences: int,
        probe: frozenset[int],
        positions: Positions = "original",
        always: bool = True,
        tokens: bool = False,
    ) -> None:
        self.pruner, self.spec, self.probe, self.positions = pruner, spec, probe, positions
        self.always, self.tokens = always, tokens
        self._policies = [_copy_of(policy) for _ in range(n_sequences)]
        for own in self._policies:
            own.reset()
        self._signals: list[Signals | None] = [None] * n_sequences
        self._choices: list[dict[int, StoredSelection]] = [{} for _ in range(n_sequences)]
        self._anew: list[set[int]] = [set() for _ in range(n_sequences)]
        self.before: list[dict[str, torch.Tensor]] = [{} for _ in range(n_sequences)]

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
        self._anew[sequence] = set(self._choices[sequence]) if plan.reselect else set()
        return plan

    def remembered(self, sequence: int, n: int) -> "StoredSelection | None":
        """The choice of `n` tokens made earlier in this call, if any; None if the plan of this
        step wants it made anew."""
        return None if n in self._anew[sequence] else self._choices[sequence].get(n)

    def accumulates(self, sequence: int) -> bool:
        """Whether the pruner may still ask what the answer attended to: until it has chosen, or in
        every step under a policy that lets it choose again (`Policy.reselects`)."""
        own, pruner = self._policies[sequence], self.pruner
        if pruner is None or not BEFORE & pruner.needs or resting(own):
            return False
        return reselecting(own) or not self._choices[sequence].keys() - self._anew[sequence]

    def watches(self, sequence: int, state: StepState) -> bool:
        """Whether the attention of a step is to be measured for a sequence."""
        return self.always or watching(self._policies[sequence], state)

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
        """Take in what a step showed: a copy, as the policy may change what it is given."""
        self._signals[sequence] = signals.copy()


def _copy_of(policy: Policy) -> Policy:
    try:
        return copy.deepcopy(policy)
    except Exception as error:
        raise TypeError(
            f"{policy!r} cannot be copied (copy.deepcopy: {error}), and every sequence needs a "
            "policy of its own"
        ) from error
