"""How figures are written, the same in the terminal and on pages."""


def number(value: float | None, digits: int, suffix: str = "") -> str:
    """A value with so many decimals; a dash where it is not defined."""
    return "-" if value is None else f"{value:.{digits}f}{suffix}"


def percent(value: float | None, digits: int = 0) -> str:
    """A share as a percentage; a dash where it is not defined."""
    return number(None if value is None else 100 * value, digits, " %")


def duration(seconds: float) -> str:
    """Seconds as such, or as milliseconds where there are few."""
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def plus_minus(error: float | None, digits: int) -> str:
    """A standard error; empty where it is not defined."""
    return "" if error is None else f"± {error:.{digits}f}"


def interval(low: float | None, high: float | None) -> str:
    """An interval; empty where it is not defined, or a single point."""
    return "" if low is None or low == high else f"[{low:.2f}, {high:.2f}]"
