"""What a callback of generate sees."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from saccade.backbones.decoding.commit import Commit
from saccade.backbones.decoding.snapshot import Snapshot
from saccade.controller.step_record import StepRecord


@dataclass(frozen=True, slots=True, eq=False)
class StepView:
    """What a callback sees after a step of one sequence; all on the host but the logits.

    Attributes
    ----------
    sequence, step : int
    logits : Tensor (R, V)
        What the candidates are the best of: logits in float32, forbidden ids at -inf where masked;
        if LLaDA-V's temperature is above 0, the noisy scores of `gumbel_scores`, float64. Only of
        the positions that were forwarded.
    chosen : Tensor (R,) int64
        Candidate id at every response position; -1 where not forwarded.
    confidence : Tensor (R,)
        What decided the order: probabilities of the candidates in float64, what ``alg`` makes of
        them, or random numbers; -inf where not eligible.
    commit : Commit
    record : StepRecord
    snapshot : callable
        Makes a `Snapshot` of the sequence after this step, from which `Model.resume` goes on.
        Call it in the callback: later the sequence has moved on.
    """

    sequence: int
    step: int
    logits: Tensor
    chosen: Tensor
    confidence: Tensor
    commit: Commit
    record: StepRecord
    snapshot: Callable[[], Snapshot]


Callback = Callable[[StepView], None]
