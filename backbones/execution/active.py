"""A sequence of the present forward: what it is, and what is planned for it."""

from dataclasses import dataclass

from torch import Tensor

from saccade.backbones.inputs.prepare import Prepared
from saccade.controller.plan import Plan


@dataclass(frozen=True, slots=True)
class Active:
    """One sequence of the present forward.

    Attributes
    ----------
    sequence : int
        Its number in the call.
    inputs : Prepared
    plan : Plan
    step, seed : int
    response : int
        Positions after the prompt.
    queries : int
        Last rows of the forward whose attention is the answer's: those of the response, or the one
        row that predicts the next token.
    masked : Tensor (R,) bool
        Positions of the answer that are masked now.
    watched : bool
        Whether its attention is measured in this step.
    """

    sequence: int
    inputs: Prepared
    plan: Plan
    step: int
    seed: int
    response: int
    queries: int
    masked: Tensor
    watched: bool = True
