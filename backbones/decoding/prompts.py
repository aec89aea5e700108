"""What a plan needs of the prompt: whether its cache will do, and how it enters a forward."""

from torch import Tensor

from saccade.backbones.decoding.scheme import Decoding
from saccade.controller.plan import Plan
from saccade.controller.protocols import OF_THE_PROMPT
from saccade.controller.session import Session
from saccade.controller.types import round_keep


def can_cut(decoding: Decoding, plan: Plan, session: Session | None) -> bool:
    """Whether a plan can be carried out on what is cached."""
    if decoding.cache is None:
        return False
    if session is not None and plan.drops != decoding.cache.drops and _wants_prompt(session, plan):
        return False
    visual = decoding.inputs.visual_positions
    n = round_keep(plan.drops[0].keep, len(visual)) if plan.drops else len(visual)
    return decoding.cache.fits(plan.drops, n, visual, reselect=plan.reselect)


def _wants_prompt(session: Session, plan: Plan) -> bool:
    """Whether a plan's drops need the prompt's rows: to sum some of them, or to look at them."""
    if session.pruner is None or not any(0 < drop.keep < 1 for drop in plan.drops):
        return False
    return session.merges or bool(session.pruner.needs & OF_THE_PROMPT)


def prompt_of(decoding: Decoding, plan: Plan, session: Session | None) -> Tensor:
    """The prompt (P, D) as it enters a forward; pictures that a method of the vision tower encodes
    anew are not encoded for it."""
    inputs, drops = decoding.inputs, plan.drops
    if not inputs.pending or inputs.tower is None:
        return inputs.embeds
    pruner = None if session is None else session.pruner
    replaced = pruner is not None and "tower:run" in pruner.needs
    if replaced and drops and drops[0].layer == 0 and drops[0].keep < 1:
        return inputs.embeds
    spent = inputs.tower.spent
    out = inputs.whole()
    decoding.tower_macs += inputs.tower.spent - spent
    return out
