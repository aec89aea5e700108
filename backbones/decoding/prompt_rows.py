"""What a plan needs of the prompt: whether its cache will do, and how it enters a forward."""

from torch import Tensor

from saccade.backbones.execution.sequence import SequenceState
from saccade.controller.plan import Plan
from saccade.controller.session import Session
from saccade.controller.types import round_keep
from saccade.controller.view_fields import OF_THE_PROMPT


def can_cut(sequence: SequenceState, plan: Plan, session: Session | None) -> bool:
    """Whether a plan can be carried out on what is cached."""
    if sequence.cache is None:
        return False
    changes = plan.drops != sequence.cache.drops
    if session is not None and changes and _wants_prompt(sequence, session, plan):
        return False
    visual = sequence.inputs.visual_positions
    n = round_keep(plan.drops[0].keep, len(visual)) if plan.drops else len(visual)
    return sequence.cache.fits(plan, n, visual)


def _wants_prompt(sequence: SequenceState, session: Session, plan: Plan) -> bool:
    """Whether a plan's drops need the prompt's rows: to sum some of them, or to look at them before
    a choice is made."""
    total = len(sequence.inputs.visual_positions)
    counts = [round_keep(drop.keep, total) for drop in plan.drops]
    counts = [n for n in counts if 0 < n < total]
    if session.pruner is None or not counts:
        return False
    if session.merges:
        return True
    chosen = all(session.remembered(sequence.number, n) is not None for n in counts)
    return not chosen and bool(session.pruner.needs & OF_THE_PROMPT)


def prompt_of(sequence: SequenceState, plan: Plan, session: Session | None) -> Tensor:
    """The prompt (P, D) as it enters a forward; pictures that a method of the vision tower encodes
    anew are not encoded for it."""
    inputs, drops = sequence.inputs, plan.drops
    if not inputs.pending or inputs.tower is None:
        return inputs.embeds
    pruner = None if session is None else session.pruner
    replaced = pruner is not None and "tower:run" in pruner.needs
    if replaced and drops and drops[0].layer == 0 and drops[0].keep < 1:
        return inputs.embeds
    spent = inputs.tower.spent
    out = inputs.whole()
    sequence.tower_macs += inputs.tower.spent - spent
    return out
