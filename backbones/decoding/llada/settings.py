"""Settings of one generate call, checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

from saccade.backbones.decoding.options import (
    check_options,
    check_search,
    plain_stops,
    text_or_ids,
    token_ids,
)
from saccade.backbones.inputs.chat import Stop
from saccade.controller.arguments import check_bool, check_float, check_int
from saccade.controller.names import not_allowed

REMASKING = ("low_confidence", "random")
LENGTH = 128
"""Published tokens of an answer, and steps."""
LENGTHS = ("gen_length", "block_length", "steps")
SWITCHES = ("append_eot", "search_all_stops", "commit_ineligible", "commit_failing_last")


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """Settings of `generate`, with the published names and defaults.

    Whole numbers may be numpy's; ids are kept as tuples.

    Attributes
    ----------
    gen_length : int
        Response tokens.
    block_length : int
        Tokens per block; by default the whole answer is one block, as the published 128 of 128 are.
    steps : int
        Denoising steps over all blocks; by default the published 128, or the next number that the
        blocks share evenly. Steps that find nothing to commit are not run.
    temperature : float
        0 is greedy; above, Gumbel noise is added in float64.
    cfg_scale : float
        Classifier-free guidance; 0 is off. The unconditional row masks the whole prompt.
    remasking : "low_confidence" or "random"
        What decides which positions are committed first.
    stopping_criteria : sequence of str or of token ids
        The answer ends before the first of these. None and an empty sequence mean no stop.
    append_eot : bool
        Add the end-of-turn token as last stop, as the published evaluation does. Needs a tokenizer.
    stop_search : "text" or "ids"
        How a stop that is text is found: in the decoded answer, which then ends at the very
        character, or (published) by the ids that the text has on its own, which miss it where its
        tokens differ in context.
    generation_suffix : str or token ids, optional
        Text after the response that the model sees and the answer ends with.
    mask_id : int, optional
        Another mask token than the backbone's.
    forbidden_ids : sequence of int, optional
        Ids never predicted; None for the backbone's own, () for none.
    search_all_stops : bool
        False (published): once a stop is known only the first criterion is searched further, if
        the others are ids. Stops that are text are always searched, unless by their ids.
    commit_ineligible : bool
        True (published): a step commits its full number even where fewer positions are eligible, so
        that masked positions beyond a stop may be filled early. False: eligible ones only.
    prefix_refresh_interval : int, optional
        Caches the keys and values of the prompt and of finished blocks, and computes them anew in
        every so many steps of a block, the first of each included. None: in every step.
    factor : float, optional
        Commits by Fast-dLLM's factor rule (`factor_count`) for as many steps as it takes, instead
        of `steps`. The published code calls it "threshold", which it is not; where the mask token
        itself is the best candidate that code never ends, and here a block ends after as many
        steps as it has positions.
    commit_failing_last : bool
        True (published): under the factor rule the last masked position is committed even if it
        alone fails.
    seed : int, optional
        Seed of every sequence's own random numbers (temperature, random remasking, pruners that
        draw), 0 to 2**64 - 1; None takes torch's global generator for the model.

    Raises
    ------
    ValueError
        Saying what was given and what is allowed.
    """

    gen_length: int = LENGTH
    block_length: int = cast(int, None)  # None until it is made plain, as `steps`
    steps: int = cast(int, None)
    temperature: float = 0.0
    cfg_scale: float = 0.0
    remasking: str = "low_confidence"
    stopping_criteria: Sequence[Stop] = ()
    append_eot: bool = True
    stop_search: str = "text"
    generation_suffix: Stop | None = None
    mask_id: int | None = None
    forbidden_ids: Sequence[int] | None = None
    search_all_stops: bool = False
    commit_ineligible: bool = True
    prefix_refresh_interval: int | None = None
    factor: float | None = None
    commit_failing_last: bool = True
    seed: int | None = None

    def __post_init__(self) -> None:
        plain: dict[str, object] = {
            **self._plain_lengths(),
            **{name: check_bool(name, getattr(self, name)) for name in SWITCHES},
            "temperature": check_float(
                "temperature", self.temperature, "be a number, 0 (greedy) or more"
            ),
            "cfg_scale": check_float("cfg_scale", self.cfg_scale, "be a number, 0 (off) or more"),
            "stopping_criteria": plain_stops(self.stopping_criteria),
        }
        if self.generation_suffix is not None:
            plain["generation_suffix"] = text_or_ids("generation_suffix", self.generation_suffix)
        if self.mask_id is not None:
            plain["mask_id"] = check_int("mask_id", self.mask_id, least=None)
        if self.forbidden_ids is not None:
            plain["forbidden_ids"] = token_ids("forbidden_ids", self.forbidden_ids)
        if self.prefix_refresh_interval is not None:
            interval = check_int("prefix_refresh_interval", self.prefix_refresh_interval, 1)
            plain["prefix_refresh_interval"] = interval
        if self.factor is not None:
            plain["factor"] = check_float("factor", self.factor, "be a number, 0 or more")
        if self.seed is not None:
            plain["seed"] = check_int("seed", self.seed, most=2**64 - 1)
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        check_search(self.stop_search)
        if self.remasking not in REMASKING:
            raise ValueError(not_allowed("remasking", self.remasking, REMASKING))
        self._check_blocks()
        if self.cfg_scale > 0 and self.prefix_refresh_interval is not None:
            raise ValueError(
                f"cfg_scale={self.cfg_scale} goes with no cache; leave out prefix_refresh_interval="
                f"{self.prefix_refresh_interval} or the guidance"
            )

    def _plain_lengths(self) -> dict[str, int]:
        """Lengths as they are given, or their defaults."""
        given: dict[str, Any] = {name: getattr(self, name) for name in LENGTHS}
        length = check_int("gen_length", given["gen_length"], 1)
        if given["block_length"] is None:
            given["block_length"] = length
        block = check_int("block_length", given["block_length"], 1)
        if given["steps"] is None:
            blocks = max(1, length // block)
            given["steps"] = -(-LENGTH // blocks) * blocks
        steps = check_int("steps", given["steps"], 1)
        return {"gen_length": length, "block_length": block, "steps": steps}

    def _check_blocks(self) -> None:
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

    @property
    def n_blocks(self) -> int:
        return self.gen_length // self.block_length

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Build from keyword arguments; unknown ones raise `TypeError` listing the known."""
        check_options(cls, options)
        return cls(**options)

    @classmethod
    def for_lengths(cls, gen_length: int, block_length: int, steps: int) -> dict[str, Any]:
        """Options for an answer of these published lengths."""
        return {"gen_length": gen_length, "block_length": block_length, "steps": steps}
