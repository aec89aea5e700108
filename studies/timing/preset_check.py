"""Whether the figures of a preset still hold: measured again, and compared one by one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from saccade.controller.preset import Device, FrontPoint

SCORE, WORK = 0.02, 0.02
"""Relative change of a score, and of a count of multiply-accumulates, that still holds."""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure, before and now.

    Attributes
    ----------
    name : str
    before, now : float or None
    holds : bool or None
        None: it cannot be compared, for the reason in `why`.
    why : str
    """

    name: str
    before: float | None
    now: float | None
    holds: bool | None
    why: str = ""


def compare(
    before: FrontPoint, now: FrontPoint, there: Device, here: Device, n: int
) -> Sequence[Line]:
    """Compare the figures of a preset with those of now.

    Scores hold within `SCORE` or two standard errors of a share over `n` samples, whichever is
    more; work within `WORK`. A measured speed-up holds if the 95 % intervals meet, and is
    compared on the same device with the same threads alone.

    Parameters
    ----------
    before, now : FrontPoint
    there, here : Device
        Where each was measured.
    n : int
        Samples of now.
    """
    spread = max(SCORE, 2 * math.sqrt(0.25 / n)) if n else SCORE
    alike = before.scored_by == now.scored_by
    otherwise = "" if alike else f"scored by {before.scored_by}, and now by {now.scored_by}"
    lines = [
        _line(name, getattr(before, name), getattr(now, name), room, why)
        for name, room, why in (
            ("score", spread, otherwise),
            ("score_relative", spread, otherwise),
            ("ideal", WORK, ""),
            ("projected", WORK, ""),
        )
    ]
    return [*lines, _measured(before, now, there, here)]


def _line(name: str, before: float | None, now: float | None, room: float, otherwise: str) -> Line:
    """`otherwise`: why they are not of one kind, if they are not."""
    if before is None or now is None:
        return Line(name, before, now, None, "not measured")
    if otherwise:
        return Line(name, before, now, None, otherwise)
    return Line(name, before, now, abs(now - before) <= room * max(abs(before), 1e-9))


def _measured(before: FrontPoint, now: FrontPoint, there: Device, here: Device) -> Line:
    own = ("measured", before.measured, now.measured)
    if before.measured is None or now.measured is None:
        return Line(*own, None, "not measured")
    if (there.kind, there.name, there.threads) != (here.kind, here.name, here.threads):
        return Line(*own, None, f"measured on {there.name or there.kind}, another device")
    low, high = before.measured_low or before.measured, before.measured_high or before.measured
    least, most = now.measured_low or now.measured, now.measured_high or now.measured
    return Line(*own, least <= high and low <= most)
