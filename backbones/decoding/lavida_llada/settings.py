"""Settings of a LaViDa-LLaDA generate call, checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

from saccade.backbones.decoding.lavida.schedules import SCHEDULES
from saccade.backbones.decoding.options import (
    check_options,
    check_search,
    plain_stops,
    renamed,
    token_ids,
)
from saccade.backbones.inputs.chat import Stop
from saccade.controller.arguments import check_bool, check_float, check_int
from saccade.controller.names import not_allowed

LENGTH = 128
"""Tokens of an answer, as of LLaDA-V: what the published method takes by default is not known."""
REMASKING = ("low_confidence", "random", "entropy", "margin")
IGNORED = {
    "cfg_scale": "LaViDa-LLaDA has no guidance",
    "alg": "give remasking",
    "do_sample": "give temperature",
    "num_beams": "there is no beam search",
    "use_cache": "give prefix_lm",
    "until": "give stopping_criteria",
    "tokenizer": "it is the checkpoint's",
    "verbose": "give a callback",
    "schedule_kwargs": "give shift",
    "schedule__shift": "give shift",
}
"""Options of related models that have other names here, or none."""


@dataclass(frozen=True, slots=True)
class BlockSettings:
    """Settings of `generate` for LaViDa over LLaDA (LaViDa, arXiv 2505.16839).

    Where nothing published that we know says what a setting is by default, it is an option, and
    marked as open here.

    Attributes
    ----------
    gen_length : int
        Response tokens; ``max_new_tokens`` means the same. Its default is open.
    block_length : int
        Tokens per block, finished one after the other; by default the whole answer is one block
        (open).
    steps : int
        Denoising steps over all blocks, shared evenly; by default one a token. A block whose
        positions are all filled ends early.
    step_per_block : int, optional
        Steps of one block, at most its tokens, instead of `steps`.
    step_ratio : float, optional
        Steps per response token, in (0, 1], instead of `steps`.
    temperature : float
        0 is greedy; above, Gumbel noise is added in float64.
    remasking : "low_confidence", "random", "entropy" (published as "entrophy") or "margin"
        What decides which positions of a block are committed first: the candidate's probability
        over the whole vocabulary in float64, chance, the negative entropy, or the lead over the
        second best. The default is LLaDA's.
    prefix_lm : bool
        True: the prompt runs once, without the answer, and is cached. Unlike in LaViDa-Dream it
        does not decide the first token. False (the published main evaluations, whose scripts
        misspell the option): every step runs prompt and answer.
    schedule : str, optional
        One of LaViDa's tables (`SCHEDULES`) for each block; None commits evenly, the remainder in
        the first steps.
    shift : float
        Of the schedule "shift", above 0.
    forbidden_ids : sequence of int, optional
        Tokens that are never predicted; by default none (open: LLaDA-V forbids some).
    stopping_criteria, append_eot
        As in `GenerateSettings`, but nothing ends early: what is returned is cut there (open).
    stop_search : "text" or "ids"
        As in `GenerateSettings`.
    mask_id : int, optional
        Another mask token than the backbone's.
    seed : int, optional
        Of every sequence's own random numbers, 0 to 2**64 - 1; None takes torch's global generator.

    Raises
    ------
    ValueError
        Saying what was given and what is allowed.
    """

    gen_length: int = LENGTH
    block_length: int = cast(int, None)  # None until it is made plain, as `steps`
    steps: int = cast(int, None)
    step_per_block: int | None = None
    step_ratio: float | None = None
    temperature: float = 0.0
    remasking: str = "low_confidence"
    prefix_lm: bool = False
    schedule: str | None = None
    shift: float = 3.0
    forbidden_ids: Sequence[int] | None = None
    stopping_criteria: Sequence[Stop] = ()
    append_eot: bool = True
    stop_search: str = "text"
    mask_id: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        check_search(self.stop_search)
        plain: dict[str, object] = {
            **{name: check_bool(name, getattr(self, name)) for name in ("prefix_lm", "append_eot")},
            "temperature": check_float(
                "temperature", self.temperature, "be a number, 0 (greedy) or more"
            ),
            "shift": check_float("shift", self.shift, "be a number above 0"),
            "stopping_criteria": plain_stops(self.stopping_criteria),
            **self._plain_optional(),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if self.shift == 0:
            raise ValueError("shift=0: must be above 0")
        if self.remasking not in REMASKING:
            raise ValueError(not_allowed("remasking", self.remasking, REMASKING))
        if self.schedule is not None and self.schedule not in SCHEDULES:
            raise ValueError(not_allowed("schedule", self.schedule, SCHEDULES))
        for name, number in self._plain_lengths().items():
            object.__setattr__(self, name, number)

    def _plain_optional(self) -> dict[str, object]:
        """The optional settings that are given."""
        out: dict[str, object] = {}
        if self.step_ratio is not None:
            ratio = check_float("step_ratio", self.step_ratio, "lie in (0, 1]", most=1.0)
            if ratio == 0:
                raise ValueError("step_ratio=0: must be above 0")
            out["step_ratio"] = ratio
        if self.step_per_block is not None:
            out["step_per_block"] = check_int("step_per_block", self.step_per_block, 1)
        if self.forbidden_ids is not None:
            out["forbidden_ids"] = token_ids("forbidden_ids", self.forbidden_ids)
        if self.mask_id is not None:
            out["mask_id"] = check_int("mask_id", self.mask_id, least=None)
        if self.seed is not None:
            out["seed"] = check_int("seed", self.seed, most=2**64 - 1)
        return out

    def _plain_lengths(self) -> dict[str, int]:
        """Lengths as they are given, or their defaults."""
        length = check_int("gen_length", self.gen_length, 1)
        given: Any = self.block_length
        block = length if given is None else check_int("block_length", given, 1)
        if length % block:
            raise ValueError(
                f"gen_length={length} is not divisible by block_length={block}; try block_length="
                f"{length} (one block)"
            )
        return {
            "gen_length": length,
            "block_length": block,
            "steps": self._plain_steps(length, block),
        }

    def _plain_steps(self, length: int, block: int) -> int:
        """Steps over all blocks, in whichever way they are given."""
        blocks, ways = length // block, {}
        given: Any = self.steps
        if given is not None:
            ways["steps"] = check_int("steps", given, 1)
            if ways["steps"] % blocks:
                raise ValueError(
                    f"steps={given} is not divisible by the {blocks} blocks of gen_length={length},"
                    f" block_length={block}"
                )
        if self.step_per_block is not None:
            ways["step_per_block"] = min(self.step_per_block, block) * blocks
        if self.step_ratio is not None:
            ways["step_ratio"] = int(block * self.step_ratio) * blocks
            if not ways["step_ratio"]:
                raise ValueError(
                    f"step_ratio={self.step_ratio} of block_length={block} makes no step"
                )
        if len(set(ways.values())) > 1:
            shown = ", ".join(f"{name}={getattr(self, name)}" for name in ways)
            raise ValueError(f"{shown} say different numbers of steps; give one of them")
        return next(iter(ways.values()), length)

    @property
    def n_blocks(self) -> int:
        return self.gen_length // self.block_length

    @property
    def steps_per_block(self) -> int:
        """Steps of one block, at most one a token."""
        return min(self.steps // self.n_blocks, self.block_length)

    @property
    def generation_suffix(self) -> None:
        """None: nothing follows the answer."""
        return None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Build from keyword arguments; unknown ones raise `TypeError` listing the known.

        ``max_new_tokens`` may stand for `gen_length`, and the published spelling of "entropy" is
        taken.
        """
        given = renamed(options)
        if given.get("remasking") == "entrophy":
            given["remasking"] = "entropy"
        ignored = [name for name in given if name in IGNORED]
        if ignored:
            name = ignored[0]
            raise TypeError(f"generate() got {name}={given[name]!r}: {IGNORED[name]}")
        check_options(cls, given)
        return cls(**given)

    @classmethod
    def for_lengths(cls, gen_length: int, block_length: int, steps: int) -> dict[str, Any]:
        """Options for an answer of these lengths."""
        return {"gen_length": gen_length, "block_length": block_length, "steps": steps}
