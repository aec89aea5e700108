"""Settings of a LaViDa-Dream generate call, checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from saccade.backbones.decoding.filtered import ALGORITHMS
from saccade.backbones.decoding.lavida.schedules import SCHEDULES
from saccade.backbones.decoding.options import (
    PlainEnd,
    check_options,
    check_search,
    plain_stops,
    renamed,
)
from saccade.backbones.inputs.chat import Stop
from saccade.controller.arguments import check_bool, check_float, check_int
from saccade.controller.names import not_allowed

LENGTH = 512
"""Published tokens of an answer, and steps."""
CONFIDENCE_DTYPES = ("model", "float32")
IGNORED = {
    "block_length": "LaViDa-Dream decodes the whole answer as one block",
    "step_per_block": "give steps",
    "remasking": "give alg",
    "cfg_scale": "LaViDa-Dream has no guidance",
    "do_sample": "give temperature",
    "num_beams": "there is no beam search",
    "use_cache": "give prefix_lm",
    "cfg": "LaViDa-Dream has no guidance",
    "until": "give stopping_criteria",
    "tokenizer": "it is the checkpoint's",
    "verbose": "give a callback",
    "schedule_kwargs": "give shift",
    "schedule__shift": "give shift",
}
"""Options that the published code takes and ignores, or that have other names here."""


@dataclass(frozen=True, slots=True)
class LavidaSettings(PlainEnd):
    """Settings of `generate`, with the published names (LaViDa, arXiv 2505.16839).

    The defaults are those of the published evaluations; those of the published method's signature
    (temperature 0.2, top_p 0.95, alg "entropy", prefix_lm False) are not used by any of them.

    Attributes
    ----------
    gen_length : int
        Response tokens, all of them decoded together; ``max_new_tokens`` means the same.
    steps : int
        Denoising steps, at most `gen_length`. Without a schedule the last ones commit most.
    temperature : float
        0 is greedy, and so is what is at most 0.0001; above, candidates are drawn.
    top_p : float, optional
        Leaves the nucleus of this probability, in (0, 1].
    top_k : int, optional
        Leaves the best tokens. 50, although no published call says so: it comes with the model's
        configuration, and decides confidences (not the best candidates). None leaves all.
    alg : "topk_margin", "maskgit_plus", "entropy" or "origin"
        What decides which positions are committed first, see `ALGORITHMS`.
    alg_temp : float
        0 commits the surest; above, positions are drawn by their confidence.
    prefix_lm : bool
        Prefix mode: the prompt runs once, without the answer, and is cached; its last row decides
        the first token. False: every step runs prompt and answer.
    step_ratio : float, optional
        Steps per response token, in (0, 1], instead of `steps`.
    schedule : str, optional
        One of `SCHEDULES`, instead of the linear times. A table ends where everything is committed.
    shift : float
        Of the schedule "shift", above 0: above 1 few tokens are committed early.
    eps : float
        Last of the linear times, in [0, 1).
    confidence_dtype : "model" or "float32"
        What confidences are computed in. Published is the model's own, in which many are equal.
    stopping_criteria, append_eot
        As in `GenerateSettings`, but nothing ends early: what is returned is cut there.
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
    steps: int = LENGTH
    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = 50
    alg: str = "topk_margin"
    alg_temp: float = 0.0
    prefix_lm: bool = True
    step_ratio: float | None = None
    schedule: str | None = None
    shift: float = 3.0
    eps: float = 1e-3
    confidence_dtype: str = "model"
    stopping_criteria: Sequence[Stop] = ()
    append_eot: bool = True
    stop_search: str = "text"
    mask_id: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        check_search(self.stop_search)
        plain: dict[str, object] = {
            **{name: check_int(name, getattr(self, name), 1) for name in ("gen_length", "steps")},
            **{name: check_bool(name, getattr(self, name)) for name in ("prefix_lm", "append_eot")},
            "temperature": check_float(
                "temperature", self.temperature, "be a number, 0 (greedy) or more"
            ),
            "alg_temp": check_float(
                "alg_temp", self.alg_temp, "be a number, 0 (the surest) or more"
            ),
            "shift": check_float("shift", self.shift, "be a number above 0"),
            "eps": check_float("eps", self.eps, "lie in [0, 1)", most=1.0),
            "stopping_criteria": plain_stops(self.stopping_criteria),
            **self._plain_optional(),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        for name, allowed in (("alg", ALGORITHMS), ("confidence_dtype", CONFIDENCE_DTYPES)):
            _one_of(name, getattr(self, name), allowed)
        if self.schedule is not None:
            _one_of("schedule", self.schedule, SCHEDULES)
        self._check_numbers()

    def _plain_optional(self) -> dict[str, object]:
        """The optional numbers that are given."""
        out: dict[str, object] = {}
        for name in ("top_p", "step_ratio"):
            if getattr(self, name) is not None:
                out[name] = check_float(name, getattr(self, name), "lie in (0, 1]", most=1.0)
        for name, least, most in (
            ("top_k", 1, None),
            ("mask_id", None, None),
            ("seed", 0, 2**64 - 1),
        ):
            if getattr(self, name) is not None:
                out[name] = check_int(name, getattr(self, name), least, most)
        return out

    def _check_numbers(self) -> None:
        zero = [name for name in ("top_p", "step_ratio", "shift") if getattr(self, name) == 0]
        if zero:
            raise ValueError(f"{zero[0]}=0: must be above 0")
        if self.eps == 1:
            raise ValueError("eps=1: must lie in [0, 1)")
        if self.n_steps < 1:
            raise ValueError(
                f"step_ratio={self.step_ratio} of gen_length={self.gen_length} makes no step"
            )
        if self.schedule is None and self.n_steps > min(self.steps, self.gen_length):
            raise ValueError(
                f"step_ratio={self.step_ratio} of gen_length={self.gen_length} is {self.n_steps} "
                f"steps, but steps={self.steps}; leave one of them out"
            )
        if self.alg == "origin" and self.schedule is not None:
            raise ValueError("alg='origin' commits by chance and follows no schedule; leave it out")

    @property
    def n_steps(self) -> int:
        """Steps of the loop."""
        if self.step_ratio is not None:
            return int(self.gen_length * self.step_ratio)
        return min(self.steps, self.gen_length)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Build from keyword arguments; unknown ones raise `TypeError` listing the known.

        ``max_new_tokens`` may stand for `gen_length`, and ``block_length`` may be given if it is
        the whole answer. Options that the published code ignores are errors that say so.
        """
        given = renamed(options)
        whole = (None, given.get("gen_length", LENGTH))
        if "block_length" in given and given["block_length"] in whole:
            del given["block_length"]
        if given.get("steps", LENGTH) is None:
            del given["steps"]
        ignored = [name for name in given if name in IGNORED]
        if ignored:
            name = ignored[0]
            raise TypeError(f"generate() got {name}={given[name]!r}: {IGNORED[name]}")
        check_options(cls, given)
        return cls(**given)

    @classmethod
    def for_lengths(cls, gen_length: int, block_length: int, steps: int) -> dict[str, Any]:
        """Options for an answer of these lengths; the shortest published answer has 4 tokens."""
        return {"gen_length": max(4, gen_length), "steps": steps}


def _one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(not_allowed(name, value, allowed))
