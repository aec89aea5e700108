"""One generate call under control: everything that changes lives here and ends with the call."""

import copy
from typing import Literal

import torch

from saccade.controller.attach import check_choice, check_plan
from saccade.controller.errors import PlanError
from saccade.controller.plan import Plan
from saccade.controller.protocols import Policy, Pruner
from saccade.controller.types import BackboneSpec, Selection, Signals, StepState, VisualView

Positions = Literal["original", "compact"]


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
        Layers whose attention is measured in every step.
    positions : "original" or "compact"
        As in `Controller`.

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
    ) -> None:
        self.pruner, self.spec, self.probe, self.positions = pruner, spec, probe, positions
        self._policies = [_copy_of(policy) for _ in range(n_sequences)]
        for own in self._policies:
            own.reset()
        self._signals: list[Signals | None] = [None] * n_sequences
        self._selections: list[dict[int, Selection]] = [{} for _ in range(n_sequences)]

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
        if plan.reselect:
            self._selections[sequence].clear()
        return plan

    def remembered(self, sequence: int, n: int) -> Selection | None:
        """The selection of `n` tokens made earlier in this call, if any."""
        return self._selections[sequence].get(n)

    def select(
        self, sequence: int, view: VisualView, n: int, present: torch.Tensor | None = None
    ) -> Selection:
        """Let the pruner choose `n` of the view's tokens, check its answer, and remember it.

        Parameters
        ----------
        sequence : int
        view : VisualView
            Of the visual tokens still there.
        n : int
        present : Tensor (len(view),) int64, optional
            Their numbers among all visual tokens; all of them by default.

        Returns
        -------
        Selection
            Of numbers among ALL visual tokens, on the CPU.

        Raises
        ------
        PlanError
            If no pruner can choose here, or the selection is not `n` distinct ascending indices.
        """
        pruner = check_choice(self.pruner, view.layer)
        selection, name = pruner.select(view, n), type(pruner).__name__
        if not isinstance(selection, Selection) or not isinstance(selection.keep, torch.Tensor):
            raise PlanError(
                f"{name} returned {selection!r}; it must return a Selection that holds a tensor"
            )
        keep = selection.keep.detach().cpu()
        check_selection(Selection(keep), n, len(view), name)
        kept = Selection(keep if present is None else present[keep])
        self._selections[sequence][n] = kept
        return kept

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


def check_selection(selection: Selection, n: int, total: int, name: str) -> None:
    """Raise `PlanError` unless a selection holds `n` distinct ascending indices below `total`."""
    keep = selection.keep
    if keep.ndim != 1 or keep.dtype != torch.int64:
        raise PlanError(f"{name}: keep must be (n,) int64, not {tuple(keep.shape)} {keep.dtype}")
    if len(keep) != n:
        raise PlanError(f"{name} kept {len(keep)} tokens; asked for {n}")
    if n and not (int(keep[0]) >= 0 and int(keep[-1]) < total and bool((keep.diff() > 0).all())):
        raise PlanError(f"{name}: indices must ascend within 0 to {total - 1}")
