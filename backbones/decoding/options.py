"""What the settings of every family share, and how options are checked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol, Self, TypedDict

from saccade.backbones.inputs.chat import Stop
from saccade.backbones.inputs.stops import SEARCHES
from saccade.controller.arguments import check_int
from saccade.controller.names import did_you_mean


class GenerateOptions(TypedDict, total=False):
    """Options of `generate`, of all families together, so that editors complete them.

    Which of them a model takes, with what meaning and default, its settings say: `GenerateSettings`
    (LLaDA-V), `LavidaSettings` (LaViDa-Dream), `BlockSettings` (LaViDa-LLaDA) or `CausalSettings`
    (autoregressive). Others are refused when `generate` is called.
    """

    gen_length: int
    max_new_tokens: int
    block_length: int | None
    steps: int | None
    temperature: float
    cfg_scale: float
    remasking: str
    stopping_criteria: Sequence[Stop]
    append_eot: bool
    stop_search: str
    generation_suffix: Stop | None
    mask_id: int | None
    forbidden_ids: Sequence[int] | None
    search_all_stops: bool
    commit_ineligible: bool
    prefix_refresh_interval: int | None
    factor: float | None
    commit_failing_last: bool
    top_p: float | None
    top_k: int | None
    alg: str
    alg_temp: float
    prefix_lm: bool
    step_per_block: int | None
    step_ratio: float | None
    schedule: str | None
    shift: float
    eps: float
    confidence_dtype: str
    seed: int | None


ARGUMENTS = (
    "prompt",
    "images",
    "video",
    "inputs",
    "controller",
    "callback",
    "think_mode",
    "drop_after_image",
    "multi_image_pad",
)
"""What `generate` takes besides options, and may be meant by an unknown one."""


class Settings(Protocol):
    """What the settings of every family share; each is a frozen dataclass."""

    @property
    def gen_length(self) -> int: ...

    @property
    def temperature(self) -> float: ...

    @property
    def stopping_criteria(self) -> Sequence[Stop]: ...

    @property
    def append_eot(self) -> bool: ...

    @property
    def stop_search(self) -> str: ...

    @property
    def mask_id(self) -> int | None: ...

    @property
    def forbidden_ids(self) -> Sequence[int] | None: ...

    @property
    def generation_suffix(self) -> Stop | None: ...

    @property
    def seed(self) -> int | None: ...

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self: ...

    @classmethod
    def for_lengths(cls, gen_length: int, block_length: int, steps: int) -> dict[str, Any]: ...


class PlainEnd:
    """Part of the settings of families that forbid no ids and have nothing after an answer."""

    __slots__ = ()

    @property
    def forbidden_ids(self) -> None:
        """None: the backbone's own, of which it has none."""
        return None

    @property
    def generation_suffix(self) -> None:
        """None: nothing follows the answer."""
        return None


def renamed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options in which ``max_new_tokens``, published for `gen_length`, has that name.

    Raises
    ------
    TypeError
        If both are given.
    """
    given = dict(options)
    if "max_new_tokens" in given:
        if "gen_length" in given:
            raise TypeError("generate() got gen_length and max_new_tokens, which are the same")
        given["gen_length"] = given.pop("max_new_tokens")
    return given


def check_options(settings: type[Any], options: Mapping[str, Any]) -> None:
    """Raise `TypeError` for options that a settings class does not have, listing the fields."""
    known = [field.name for field in fields(settings)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        near = did_you_mean(unknown[0], (*known, *ARGUMENTS))
        raise TypeError(
            f"generate() got unknown option {', '.join(unknown)}; {near}known options: "
            + ", ".join(known)
        )


def token_ids(name: str, given: object) -> tuple[int, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise ValueError(f"{name}={given!r}: must be a list of token ids")
    return tuple(check_int(f"{name}={given!r}: id", token) for token in given)


def text_or_ids(name: str, given: object) -> Stop:
    return given if isinstance(given, str) else token_ids(name, given)


def plain_stops(given: object) -> tuple[Stop, ...]:
    """Stopping criteria as tuples; None means no stop.

    Raises
    ------
    ValueError
        Saying what is wrong with them.
    """
    if given is None:
        return ()
    what = f"stopping_criteria={given!r}"
    if isinstance(given, str):
        raise ValueError(f"{what}: give a list, [{given!r}]")
    if not isinstance(given, Sequence) or not all(isinstance(stop, Iterable) for stop in given):
        raise ValueError(f"{what}: give a list of strings or of lists of token ids, () for none")
    stops = tuple(text_or_ids("stopping_criteria", stop) for stop in given)
    if not all(stops):
        raise ValueError(f"{what}: an empty stop ends nothing; leave it out")
    return stops


def check_search(given: object) -> None:
    """Raise `ValueError` for an unknown way of looking for stops."""
    if given not in SEARCHES:
        raise ValueError(f"stop_search={given!r}; allowed: {', '.join(SEARCHES)}")
