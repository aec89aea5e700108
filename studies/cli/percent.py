"""Shares as people type them: 5%, 5 % or 0.05."""

import math
import re

NUMBER = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(%?)\s*")


def parse_percent(option: str, text: str) -> float:
    """A share inside (0, 1) from its text.

    Raises
    ------
    ValueError
        Naming the option, what was given and how it is written.
    """
    found = NUMBER.fullmatch(text)
    value = math.nan if found is None else float(found[1]) / (100 if found[2] else 1)
    if not 0 < value < 1:
        raise ValueError(f"{option} {text!r}: give a share between 0 and 1, such as 5% or 0.05")
    return value
