"""What a sink has sent already, in a file beside it, so that nothing is sent twice."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from saccade.studies.tracking.sink import TrackedRun

PARTS = ("series", "tables", "figures", "uses", "makes")
"""Parts of a run that are kept by name."""


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

        Series are only ever appended to, so one that was sent is not sent again.
        """
        sent = self._runs.get(run.id, {}).get("parts", {})
        parts: dict[str, Any] = {}
        for part in PARTS:
            parts[part] = {
                name: value
                for name, value in getattr(run, part).items()
                if (part == "series" and f"{part}/{name}" not in sent)
                or (part != "series" and sent.get(f"{part}/{name}") != digest(value))
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
        self._runs[run.id] = {"parts": parts, "note": dict(note or {})}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text(json.dumps(self._runs, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.path)


def digest(value: object) -> str:
    """Which value this is."""
    return hashlib.sha256(repr(value).encode(errors="backslashreplace")).hexdigest()[:16]


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
