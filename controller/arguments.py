"""What users give, checked where it is given and made plain: numpy's numbers become Python's."""

import math
import operator
from collections.abc import Sequence
from numbers import Real
from typing import Any, SupportsIndex, cast


def check_int(name: str, value: object, least: int | None = 0, most: int | None = None) -> int:
    """A whole number from `least` to `most` (None: without end), as an int.

    Raises
    ------
    ValueError
        Naming the argument, what was given and what is allowed.
    """
    try:  # a bool is an index too, but hardly meant as one
        number = None if isinstance(value, bool) else operator.index(cast(SupportsIndex, value))
    except TypeError:
        number = None
    low = number is not None and least is not None and number < least
    high = number is not None and most is not None and number > most
    if number is None or low or high:
        end = "or more" if most is None else f"to {most}"
        allowed = "" if least is None else f", {least} {end}"
        raise ValueError(f"{name}={value!r}: must be a whole number{allowed}")
    return number


def check_float(name: str, value: object, allowed: str, most: float = math.inf) -> float:
    """A finite number from 0 to `most`, as a float; it "must `allowed`", says the message.

    Raises
    ------
    ValueError
        Naming the argument, what was given and what is allowed.
    """
    try:
        plain = isinstance(value, Real) and not isinstance(value, bool)
        number = float(cast(Real, value)) if plain else math.nan
    except OverflowError:  # a whole number beyond all floats
        number = math.inf
    if not (math.isfinite(number) and 0 <= number <= most):
        raise ValueError(f"{name}={value!r}: must {allowed}")
    return number


def check_fraction(name: str, value: object) -> float:
    """A number in [0, 1], as a float.

    Raises
    ------
    ValueError
        Naming the argument, what was given and what is allowed.
    """
    return check_float(name, value, "lie in [0, 1]", most=1.0)


def check_bool(name: str, value: object) -> bool:
    """True or False, as they are.

    Raises
    ------
    ValueError
        Naming the argument and what was given.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r}: must be True or False")
    return value


def check_sequence(name: str, value: object) -> Sequence[Any]:
    """A sequence that is not a text; a single number stands for a sequence of one.

    Raises
    ------
    ValueError
        Saying how to write one.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise ValueError(f"{name}={value!r}: must be a sequence, such as (1, 2)")
    return value
