"""What sinks have in common: they send what is new, remember it, and name things as they may be."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from saccade.studies.tracking.ledger import Ledger
from saccade.studies.tracking.sink import TrackedRun


class Remembering(ABC):
    """A sink with a `Ledger`: a class of its own writes."""

    @property
    @abstractmethod
    def sent(self) -> Path:
        """File of the ledger."""

    @abstractmethod
    def write(self, rest: TrackedRun, note: Mapping[str, Any]) -> dict[str, Any]:
        """Write what of a run is new; what to remember for the next time, beside that.

        Parameters
        ----------
        rest : TrackedRun
            Its tables are whole.
        note : mapping
            What was remembered of this run.

        Raises
        ------
        Exception
            Of the tracker, whatever it may be: nothing counts as sent then.
        """

    @abstractmethod
    def close(self) -> Sequence[str]:
        """See `Sink`."""

    def send(self, run: TrackedRun) -> None:
        """Send what of a run was not sent before; nothing if that is nothing.

        Raises
        ------
        Exception
            See `write`.
        """
        ledger = Ledger(self.sent)
        rest = ledger.rest(run)
        if rest is not None:
            tables = {name: grid.whole() for name, grid in rest.tables.items()}
            ledger.keep(run, self.write(replace(rest, tables=tables), ledger.note_of(run)))


def name_from(text: str, more: str = "", most: int = 200, *, ascii_only: bool = False) -> str:
    """A text as part of a name: letters, digits, ``_``, ``-``, ``.`` and `more`; perhaps empty."""
    flags = re.ASCII if ascii_only else 0
    return re.sub(rf"[^\w.{re.escape(more)}-]+", "-", text, flags=flags).strip(" .-")[:most]
