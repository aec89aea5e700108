"""Settings of one generate call, checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

Stop = str | Sequence[int]
REMASKING = ("low_confidence", "random")


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """Settings of `generate`, with the published names and defaults.

    Attributes
    ----------
    gen_length, block_length, steps : int
        Response tokens, tokens per block, denoising steps over all blocks.
    temperature : float
        0 is greedy; above, Gumbel noise is added in float64.
    cfg_scale : float
        Classifier-free guidance; 0 is off. The unconditional row masks the whole prompt.
    remasking : "low_confidence" or "random"
        What decides which positions are committed first.
    stopping_criteria : sequence of str or of token ids
        The answer ends before the first of these.
    append_eot : bool
        Add the end-of-turn token as last stop, as the published evaluation does. Needs a tokenizer.
    generation_suffix : str or token ids, optional
        Text after the response that the model sees and the answer ends with.
    mask_id : int, optional
        Another mask token than the backbone's.
    forbidden_ids : sequence of int, optional
        Ids never predicted; None for the backbone's own, () for none.
    search_all_stops : bool
        False (published): once a stop is known only the first criterion is searched further.
    commit_ineligible : bool
        True (published): a step commits its full number even where fewer positions are eligible, so
        that masked positions beyond a stop may be filled early. False: eligible ones only.
    seed : int, optional
        Seed of every sequence's own random numbers (temperature, random remasking, pruners that
        draw); None takes torch's global generator for the model.

    Raises
    ------
    ValueError
        Saying what was given and what is allowed.
    """

    gen_length: int = 128
    block_length: int = 128
    steps: int = 128
    temperature: float = 0.0
    cfg_scale: float = 0.0
    remasking: str = "low_confidence"
    stopping_criteria: Sequence[Stop] = ()
    append_eot: bool = True
    generation_suffix: Stop | None = None
    mask_id: int | None = None
    forbidden_ids: Sequence[int] | None = None
    search_all_stops: bool = False
    commit_ineligible: bool = True
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("gen_length", "block_length", "steps"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name}={value!r}: must be a whole number, 1 or more")
        if self.gen_length % self.block_length:
            raise ValueError(
                f"gen_length={self.gen_length} is not divisible by block_length="
                f"{self.block_length}; try block_length={self.gen_length} (one block)"
            )
        if self.steps % self.n_blocks:
            raise ValueError(
                f"steps={self.steps} is not divisible by the {self.n_blocks} blocks of "
                f"gen_length={self.gen_length}, block_length={self.block_length}"
            )
        if not self.temperature >= 0:
            raise ValueError(f"temperature={self.temperature}: must be 0 (greedy) or more")
        if not self.cfg_scale >= 0:
            raise ValueError(f"cfg_scale={self.cfg_scale}: must be 0 (off) or more")
        if self.remasking not in REMASKING:
            raise ValueError(f"remasking={self.remasking!r}; allowed: {', '.join(REMASKING)}")
        if isinstance(self.stopping_criteria, str):
            raise ValueError(
                f"stopping_criteria={self.stopping_criteria!r}: give a list, "
                f"[{self.stopping_criteria!r}]"
            )
        stops: object = self.stopping_criteria
        if not isinstance(stops, Sequence) or not all(isinstance(s, Sequence) for s in stops):
            raise ValueError(
                f"stopping_criteria={stops!r}: give a list of strings or of lists of token ids, "
                "() for none"
            )

    @property
    def n_blocks(self) -> int:
        return self.gen_length // self.block_length

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Build from keyword arguments; unknown ones raise `TypeError` listing the known."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise TypeError(
                f"generate() got unknown option {', '.join(unknown)}; known options: "
                f"{', '.join(known)}"
            )
        return cls(**options)
