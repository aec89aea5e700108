"""What a sink has sent already, in a file beside it, so that nothing is sent twice."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from saccade.studies.tracking.sink import Series, TrackedRun

PARTS = ("tables", "figures", "uses", "makes")
"""Parts of a run that are sent again when they change."""


class Ledger:
    """The file ``sent.json`` of a sink.

    Parameters
    ----------
    path : Path
        One that is damaged counts as empty: the worst is that something is sent again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._runs = _read(path)

    def rest(self, run: TrackedRun) -> TrackedRun | None:
        """What of a run was not sent, or has changed since; None if nothing.

        Series are only ever appended to: of one that was sent, what comes after its end is left.
        """
        sent = self._runs.get(run.id, {}).get("parts", {})
        parts: dict[str, Any] = {"series": _longer(run, sent)}
        for part in PARTS:
            parts[part] = {
                name: value
                for name, value in getattr(run, part).items()
                if sent.get(f"{part}/{name}") != digest(value)
            }
        same = sent.get("head") == _head(run)
        return None if same and not any(parts.values()) else replace(run, **parts)

    def note_of(self, run: TrackedRun) -> dict[str, Any]:
        """What a sink keeps of a run for itself."""
        return dict(self._runs.get(run.id, {}).get("note", {}))

    def keep(self, run: TrackedRun, note: Mapping[str, Any] | None = None) -> None:
        """Write that a run, whole, has been sent; `OSError` if that cannot be written."""
        parts = self._runs.get(run.id, {}).get("parts", {}) | {"head": _head(run)}
        for part in PARTS:
            own = getattr(run, part)
            parts |= {f"{part}/{name}": digest(value) for name, value in own.items()}
        for name, series in run.series.items():
            if series.points:
                parts[f"series/{name}"] = series.points[-1][0]
        self._runs[run.id] = {"parts": parts, "note": dict(note or {})}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text(json.dumps(self._runs, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.path)


def digest(value: object) -> str:
    """Which value this is."""
    return hashlib.sha256(repr(value).encode(errors="backslashreplace")).hexdigest()[:16]


def _longer(run: TrackedRun, sent: Mapping[str, Any]) -> dict[str, Series]:
    """What comes after the end of the series that were sent."""
    found = {}
    for name, series in run.series.items():
        end = sent.get(f"series/{name}", -1)
        points = tuple(point for point in series.points if point[0] > end)
        if points:
            found[name] = replace(series, points=points)
    return found


def _head(run: TrackedRun) -> str:
    return digest((run.name, run.group, run.kind, dict(run.config), dict(run.summary)))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(
        isinstance(own, dict)
        and isinstance(own.get("parts"), dict)
        and isinstance(own.get("note"), dict)
        for own in found.values()
    )
    return found if whole else {}
