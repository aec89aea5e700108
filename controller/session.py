"""One generate call under control: everything that changes lives here and ends with the call."""

import copy
from collections.abc import Sequence

import torch

from saccade.controller.errors import CapabilityError, PlanError
from saccade.controller.protocols import Policy, Pruner
from saccade.controller.types import (
    BackboneSpec,
    Plan,
    Selection,
    Signals,
    StepState,
    VisualView,
    round_keep,
)


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
    """

    def __init__(
        self,
        policy: Policy,
        pruner: Pruner | None,
        spec: BackboneSpec,
        n_sequences: int,
        probe: frozenset[int],
    ) -> None:
        self.pruner, self.spec, self.probe = pruner, spec, probe
        self._policies = [copy.deepcopy(policy) for _ in range(n_sequences)]
        for own in self._policies:
            own.reset()
        self._signals: list[Signals | None] = [None] * n_sequences
        self._selections: list[dict[int, Selection]] = [{} for _ in range(n_sequences)]

    def plan(self, sequence: int, state: StepState) -> Plan:
        """Ask the sequence's policy for its next plan and check that it can be carried out."""
        plan = self._policies[sequence].plan(state, self._signals[sequence])
        if not isinstance(plan, Plan):
            raise PlanError(f"the policy returned {plan!r}; it must return a Plan")
        self._check(plan)
        if plan.reselect:
            self._selections[sequence].clear()
        return plan

    def _check(self, plan: Plan) -> None:
        asked = {
            "drop": bool(plan.drops),
            "bypass": bool(plan.bypass),
            "refresh": plan.refresh,
            "commit": plan.commit is not None,
        }
        missing = [action for action, used in asked.items() if used and action not in self.spec.can]
        if missing:
            raise CapabilityError(
                f"the plan asks for {missing[0]}; {self.spec.name} cannot do that"
            )
        for drop in plan.drops:
            if drop.layer >= self.spec.geometry.n_layers:
                raise PlanError(
                    f"{drop}: {self.spec.name} has {self.spec.geometry.n_layers} layers"
                )

    def remembered(self, sequence: int, n: int) -> Selection | None:
        """The selection of `n` tokens made earlier in this call, if any."""
        return self._selections[sequence].get(n)

    def count(self, keep: float, n_visual: int) -> int:
        """Visual tokens that a keep ratio leaves of `n_visual`."""
        return round_keep(keep, n_visual)

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
            If there is no pruner, or the selection is not `n` distinct ascending indices.
        """
        if self.pruner is None:
            raise PlanError("the policy drops visual tokens but the controller has no pruner")
        selection, name = self.pruner.select(view, n), type(self.pruner).__name__
        if not isinstance(selection, Selection):
            raise PlanError(f"{name} returned {selection!r}; it must return a Selection")
        keep = selection.keep.detach().cpu()
        check_selection(Selection(keep), n, len(view), name)
        kept = Selection(keep if present is None else present[keep])
        self._selections[sequence][n] = kept
        return kept

    def observe(self, sequence: int, signals: Signals) -> None:
        """Take in what a step showed."""
        self._signals[sequence] = signals


def check_selection(selection: Selection, n: int, total: int, name: str) -> None:
    """Raise `PlanError` unless a selection holds `n` distinct ascending indices below `total`."""
    keep = selection.keep
    if keep.ndim != 1 or keep.dtype != torch.int64:
        raise PlanError(f"{name}: keep must be (n,) int64, not {tuple(keep.shape)} {keep.dtype}")
    if len(keep) != n:
        raise PlanError(f"{name} kept {len(keep)} tokens; asked for {n}")
    if n and not (int(keep[0]) >= 0 and int(keep[-1]) < total and bool((keep.diff() > 0).all())):
        raise PlanError(f"{name}: indices must ascend within 0 to {total - 1}")


def check_capabilities(policy: Policy, pruner: Pruner | None, spec: BackboneSpec) -> None:
    """Raise `CapabilityError` naming what a policy reads or a pruner needs and `spec` lacks."""
    wanted: list[tuple[object, Sequence[str]]] = [(policy, sorted(policy.reads))]
    if pruner is not None:
        wanted.append((pruner, [*sorted(pruner.needs), f"site:{pruner.site}"]))
    for who, names in wanted:
        missing = [name for name in names if name not in spec.can]
        if missing:
            raise CapabilityError(
                f"{type(who).__name__} needs {', '.join(missing)}; {spec.name} does not offer that "
                f"(it offers {', '.join(sorted(spec.can))})"
            )
