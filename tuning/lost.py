"""Trials that nobody is at any more, in a search that several processes share."""

import os
import platform
import time
from typing import TYPE_CHECKING

from saccade.tuning.errors import optuna_module
from saccade.tuning.objective import WORKER
from saccade.tuning.study import give_up, running

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

SILENT = ("journal", "grpc")
"""Kinds of storage without signs of life."""


class Lost:
    """Finds the trials of processes that died, and queues them again.

    Databases have signs of life. In other storages the processes of this machine are looked for;
    of another machine's nothing is known: its trials are neither given up nor waited for.

    Parameters
    ----------
    url : str
        Of the storage.
    grace : float
        Seconds for which a trial may have no worker's name: one that died before it wrote it.
    """

    def __init__(self, url: str, grace: float) -> None:
        self.silent, self.grace = url.partition("://")[0] in SILENT, grace
        self._nameless: dict[int, float] = {}

    def look(self, study: "Study") -> None:
        """Queue what is lost."""
        optuna_module().storages.fail_stale_trials(study)
        for trial in running(study):
            if self._is_lost(trial):
                give_up(study, trial)

    def lives(self, trial: "FrozenTrial") -> bool:
        """Whether a running trial can be waited for."""
        return not self.silent or _machine(trial) in ("", platform.node())

    def _is_lost(self, trial: "FrozenTrial") -> bool:
        name = _machine(trial)
        if not name:
            since = self._nameless.setdefault(trial.number, time.monotonic())
            return time.monotonic() - since > self.grace
        here = self.silent and name == platform.node()
        return here and not _is_alive(int(trial.user_attrs[WORKER].rpartition(":")[2]))


def _machine(trial: "FrozenTrial") -> str:
    name: str = trial.user_attrs.get(WORKER, "")
    return name.rpartition(":")[0]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True
