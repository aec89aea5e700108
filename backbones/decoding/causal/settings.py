"""Settings of an autoregressive generate call, checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from saccade.backbones.decoding.options import (
    PlainEnd,
    check_options,
    check_search,
    plain_stops,
    renamed,
)
from saccade.backbones.inputs.chat import Stop
from saccade.controller.arguments import check_bool, check_float, check_int

MASKED = ("steps", "block_length")
"""Options of models that denoise; None says nothing."""


@dataclass(frozen=True, slots=True)
class CausalSettings(PlainEnd):
    """Settings of `generate` for an autoregressive model.

    Attributes
    ----------
    gen_length : int
        Most tokens of the answer; ``max_new_tokens`` means the same.
    temperature : float
        0 is greedy, and so is what is at most 0.0001; above, tokens are drawn.
    top_p : float, optional
        Leaves the nucleus of this probability, in (0, 1].
    top_k : int, optional
        Leaves the best tokens.
    stopping_criteria : sequence of str or of token ids
        The answer ends before the first of these.
    append_eot : bool
        Add the end-of-turn token as last stop. Needs a tokenizer.
    stop_search : "text" or "ids"
        As in `GenerateSettings`.
    seed : int, optional
        Of every sequence's own random numbers, 0 to 2**64 - 1; None takes torch's global generator.

    Raises
    ------
    ValueError
        Saying what was given and what is allowed.
    """

    gen_length: int = 128
    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    stopping_criteria: Sequence[Stop] = ()
    append_eot: bool = True
    stop_search: str = "text"
    seed: int | None = None

    def __post_init__(self) -> None:
        check_search(self.stop_search)
        plain: dict[str, object] = {
            "gen_length": check_int("gen_length", self.gen_length, 1),
            "append_eot": check_bool("append_eot", self.append_eot),
            "temperature": check_float(
                "temperature", self.temperature, "be a number, 0 (greedy) or more"
            ),
            "stopping_criteria": plain_stops(self.stopping_criteria),
        }
        if self.top_p is not None:
            plain["top_p"] = check_float("top_p", self.top_p, "lie in (0, 1]", most=1.0)
        if self.top_k is not None:
            plain["top_k"] = check_int("top_k", self.top_k, 1)
        if self.seed is not None:
            plain["seed"] = check_int("seed", self.seed, most=2**64 - 1)
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if self.top_p == 0:
            raise ValueError("top_p=0: must be above 0")

    @property
    def mask_id(self) -> None:
        """None: nothing is masked."""
        return None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Build from keyword arguments; unknown ones raise `TypeError` listing the known.

        ``max_new_tokens`` may stand for `gen_length`.
        """
        unsaid = [name for name in MASKED if options.get(name, "") is None]
        given = renamed({k: v for k, v in options.items() if k not in unsaid})
        masked = [name for name in MASKED if name in given]
        if masked:
            raise TypeError(
                f"generate() got {masked[0]}={given[masked[0]]!r}: an autoregressive model writes "
                "one token a step; give gen_length alone"
            )
        check_options(cls, given)
        return cls(**given)

    @classmethod
    def for_lengths(cls, gen_length: int, block_length: int, steps: int) -> dict[str, Any]:
        """Options for an answer of these lengths, with room for an end of turn in short ones."""
        return {"gen_length": max(4, gen_length)}
