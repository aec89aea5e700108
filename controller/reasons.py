"""How policies say why: what was measured, and what it was compared with."""

MOST = 17
"""Digits that tell any two numbers of this kind apart."""


def compared(what: str, value: float, sign: str, limit: float, name: str = "") -> str:
    """``cover 0.83 >= 0.80``: a value and its limit, with as many digits as tell them apart.

    Parameters
    ----------
    what : str
    value, limit : float
    sign : str
        How the value stands to the limit.
    name : str
        Of the limit, written before it.
    """
    digits = 2
    while digits < MOST and value != limit and _shown(value, digits) == _shown(limit, digits):
        digits += 1
    named = f"{name} " if name else ""
    return f"{what} {_shown(value, digits)} {sign} {named}{_shown(limit, digits)}"


def _shown(value: float, digits: int) -> str:
    """So many digits behind the point; what is rounded to 0 has no sign."""
    return f"{value:z.{digits}f}"


def joined(*reasons: str) -> str:
    """Several reasons as one; those that say nothing are left out."""
    return "; ".join(reason for reason in reasons if reason)
