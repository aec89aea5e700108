"""What is checked when a controller is made and attached: before a forward is paid for."""

from collections.abc import Collection, Set

from saccade.controller.errors import CapabilityError, PlanError
from saccade.controller.plan import Plan
from saccade.controller.policy import BasePolicy
from saccade.controller.protocols import Pruner
from saccade.controller.signals import SIGNALS
from saccade.controller.types import BackboneSpec
from saccade.controller.view_fields import MEASURED, VIEW_FIELDS


def check_parts(policy: object, pruner: object) -> None:
    """Raise `TypeError` unless these are a policy and a pruner (or no pruner) that are built."""
    if isinstance(policy, Pruner) and not isinstance(policy, BasePolicy | type):
        raise TypeError(f"{policy!r} is not a policy: it is a pruner, Controller(policy, pruner)")
    if not isinstance(policy, BasePolicy):
        raise TypeError(_no_part(policy, "policy", "it inherits from saccade.BasePolicy"))
    _check_names(policy, "reads", policy.reads)
    if pruner is None:
        return
    if isinstance(pruner, type) or not isinstance(pruner, Pruner):
        raise TypeError(_no_part(pruner, "pruner", "it has needs, site and select()"))
    _check_names(pruner, "needs", pruner.needs)


def _no_part(given: object, what: str, members: str) -> str:
    if isinstance(given, type):
        return f"{given.__name__} is a class, not a {what}: build one, {given.__name__}(...)"
    return f"{given!r} is not a {what}: {members}"


def _check_names(part: object, attribute: str, names: object) -> None:
    if not isinstance(names, frozenset) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{part!r}: {attribute}={names!r}; it must be a frozenset of names")


def check_fit(policy: BasePolicy, pruner: Pruner | None, spec: BackboneSpec) -> None:
    """Check that a backbone offers what a policy reads, a pruner needs, and a policy will plan.

    Raises
    ------
    CapabilityError
        Naming what is missing, and both sides.
    PlanError
        If a drop or another action that the policy announces (`BasePolicy.drops_ahead`,
        `BasePolicy.plan_ahead`) cannot be carried out.
    """
    _check_offered(policy, sorted(policy.reads), spec.can & SIGNALS, spec)
    if pruner is not None:
        fields = spec.can & VIEW_FIELDS.keys()
        sites = {name for name in spec.can if name.startswith("site:")}
        wanted = [*sorted(pruner.needs), f"site:{pruner.site}"]
        _check_offered(pruner, wanted, fields | sites, spec)
    check_plan(policy.plan_ahead, spec, policy)
    for drop in policy.drops_ahead or ():
        check_plan(Plan((drop,)), spec)
        if 0 < drop.keep < 1:
            check_choice(pruner, drop.layer)


def _check_offered(
    who: object, wanted: Collection[str], offered: Set[str], spec: BackboneSpec
) -> None:
    missing = [name for name in wanted if name not in offered]
    if "tower:text" in missing:
        raise CapabilityError(
            f"{who!r} needs tower:text; {spec.name} does not offer that, as it has no text tower: "
            "give the folder of the SigLIP it comes from, load(..., text_tower=FOLDER)"
        )
    if missing:
        raise CapabilityError(
            f"{type(who).__name__} needs {', '.join(missing)}; {spec.name} does not offer that "
            f"(it offers {', '.join(sorted(offered)) or 'nothing'})"
        )


def check_plan(plan: Plan, spec: BackboneSpec, who: object = "the plan") -> None:
    """Raise `CapabilityError` or `PlanError` if a backbone cannot carry out a plan of `who`."""
    asked = {
        "drop": bool(plan.drops),
        "bypass": bool(plan.bypass),
        "refresh": plan.refresh,
        "commit": plan.commit is not None,
    }
    missing = [action for action, used in asked.items() if used and action not in spec.can]
    if missing:
        raise CapabilityError(f"{who} asks for {missing[0]}; {spec.name} cannot do that")
    n_layers = spec.geometry.n_layers
    for drop in plan.drops:
        if drop.layer >= n_layers:
            raise PlanError(f"{drop}: {spec.name} has {n_layers} layers, 0 to {n_layers - 1}")
    if plan.bypass and max(plan.bypass) >= n_layers:
        raise PlanError(
            f"{who} skips layers {sorted(plan.bypass)}: {spec.name} has {n_layers} layers, 0 to "
            f"{n_layers - 1}"
        )


def check_choice(pruner: Pruner | None, layer: int) -> Pruner:
    """The pruner, or `PlanError` if there is none or it cannot choose before a layer."""
    if pruner is None:
        raise PlanError(
            "the policy drops visual tokens but the controller has no pruner; give one: "
            "Controller(policy, 'divprune'); in a study, pruner: divprune"
        )
    measured = sorted(pruner.needs & MEASURED)
    if layer == 0 and measured:
        raise PlanError(
            f"{pruner!r} reads {measured[0]!r}, and nothing is measured before layer 0; "
            "let the policy drop before layer 1 or later"
        )
    if layer > 0 and pruner.site == "tower":
        raise PlanError(
            f"{pruner!r} acts on what the vision tower gives; let the policy drop before layer 0, "
            f"not {layer}"
        )
    return pruner
