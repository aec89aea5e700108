"""Thresholds of policies as fields that say their unit and sensible range, for tuning too."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tunable:
    """One option of a policy that is worth tuning.

    Attributes
    ----------
    name : str
    default : float or int
    low, high : float or int
        Sensible range, both ends included; whole numbers where the option is one.
    unit : str
        What the number counts, e.g. "steps" or "attention mass".
    log : bool
        Whether it matters by its factor rather than by its difference.
    """

    name: str
    default: float | int
    low: float | int
    high: float | int
    unit: str
    log: bool = False


def tunable(
    default: float | int, low: float | int, high: float | int, unit: str, log: bool = False
) -> Any:
    """A dataclass field with a default, a sensible range, a unit, and perhaps a log scale."""
    return field(default=default, metadata={"range": (low, high), "unit": unit, "log": log})


def tunables(policy: object) -> Mapping[str, Tunable]:
    """The options of a policy, or its class, that are worth tuning, by name; none for others.

    Of one that wraps or composes others its own alone: ask those inside for theirs.
    """
    if not is_dataclass(policy):
        return {}
    out = {}
    for own in fields(policy):
        if "range" in own.metadata and own.default is not MISSING:
            low, high = own.metadata["range"]
            unit, log = own.metadata["unit"], own.metadata.get("log", False)
            out[own.name] = Tunable(own.name, own.default, low, high, unit, log)
    return out
