"""Where a forward first computed something that is no number, once an answer shows that it did."""

from collections.abc import Callable

import torch

from saccade.backbones.decoding.outcome import GroupForward, Outcome
from saccade.backbones.network.decoder import Attended, StackHook
from saccade.backbones.network.token_states import TokenStates
from saccade.controller.errors import NonFiniteError


class FiniteWatch:
    """A hook that does what another one does, and notes the first states that are not finite.

    Attributes
    ----------
    found : str
        Where they were; empty while all are finite.
    """

    def __init__(self, hook: StackHook | None) -> None:
        self.hook, self.found = hook, ""

    def before_layer(self, layer: int, rows: TokenStates) -> TokenStates:
        self.look(
            rows, "the embeddings of text and picture" if layer == 0 else f"layer {layer - 1}"
        )
        return rows if self.hook is None else self.hook.before_layer(layer, rows)

    def look(self, rows: TokenStates, where: str) -> None:
        """Note what is not finite in rows that are not padding."""
        states = rows.hidden if rows.key_mask is None else rows.hidden[rows.key_mask]
        wrong = states.numel() - int(torch.isfinite(states).sum())
        if wrong and not self.found:
            self.found = f"{where} gave {wrong} of {states.numel()} values that are NaN or infinite"

    def watches(self, layer: int) -> bool:
        return self.hook is not None and self.hook.watches(layer)

    def on_attention(self, layer: int, rows: TokenStates, seen: Attended) -> None:
        if self.hook is not None:
            self.hook.on_attention(layer, rows, seen)


def first_not_finite(outcome: Outcome) -> int | None:
    """The first sequence of a forward whose confidences are no numbers; None without one."""
    wrong = outcome.tables["confidence"].isnan().flatten(1).any(1)
    return int(wrong.nonzero()[0]) if bool(wrong.any()) else None


def check_finite(
    group: GroupForward, outcome: Outcome, dtype: torch.dtype, where: Callable[[], str]
) -> None:
    """Raise where a forward gave no probabilities.

    Parameters
    ----------
    group : GroupForward
    outcome : Outcome
        Of this forward, on the host.
    dtype : torch.dtype
        Of the model.
    where : callable
        Runs the forward again and says what was not finite first.

    Raises
    ------
    NonFiniteError
        Naming the step, the layer, what was found, and what to try.
    """
    i = first_not_finite(outcome)
    if i is None:
        return
    context, kind = group.contexts[i], str(dtype).removeprefix("torch.")
    largest = torch.finfo(dtype).max
    advice = (
        f"{kind} ends at {largest:.3g}: load the model as bfloat16 or float32"
        if largest < 1e5
        else "look at the weights and the picture: a number of theirs may be damaged or very large"
    )
    raise NonFiniteError(
        f"the answer's probabilities are not finite in step {context.state.step} of sequence "
        f"{context.number}: {where()}; {advice}"
    )
