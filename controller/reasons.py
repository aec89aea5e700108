"""How policies say why: what was measured, and what it was compared with."""


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
    while digits < 6 and value != limit and f"{value:.{digits}f}" == f"{limit:.{digits}f}":
        digits += 1
    named = f"{name} " if name else ""
    return f"{what} {value:.{digits}f} {sign} {named}{limit:.{digits}f}"


def joined(*reasons: str) -> str:
    """Several reasons as one; those that say nothing are left out."""
    return "; ".join(reason for reason in reasons if reason)
