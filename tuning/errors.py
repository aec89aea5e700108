"""Errors of the searches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from saccade.controller.errors import SaccadeError

EXTRA = 'install it with: pip install "saccade-dmllm[tune]"'


class TuneError(SaccadeError):
    """A search cannot be begun or gone on with; the message says what to do."""


def optuna_module() -> Any:
    """Optuna, quiet; imported here alone, so that everything else works without it.

    Raises
    ------
    ImportError
        Naming the extra to install.
    """
    import warnings

    try:
        import optuna
    except ImportError as error:
        raise ImportError(f"tuning needs optuna; {EXTRA}") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Say what is wrong with a storage, in place of its driver's words alone.

    Raises
    ------
    TuneError
    """
    try:
        yield
    except Exception as error:
        problem = _problem(error)
        if problem is None:
            raise
        raise TuneError(
            f"the storage {where} {problem}; what was finished is kept: run the same command "
            "again to go on"
        ) from None


def _problem(error: BaseException) -> str | None:
    """What a storage's error means; None if it is none."""
    chain, found = [], error
    while found is not None and found not in chain:
        chain.append(found)
        found = found.__cause__ or found.__context__  # type: ignore[assignment]
    text = " ".join(str(next((e for e in chain[::-1] if str(e)), error)).split())
    modules = {type(one).__module__.partition(".")[0] for one in chain}
    names = {type(one).__name__ for one in chain}
    if not modules & {"sqlalchemy", "sqlite3", "psycopg", "grpc"} and not names & {
        "StorageInternalError"
    }:
        return None
    words = text.lower()
    if "database is locked" in words:
        return "is locked: another process has written to it for a minute; wait for it or end it"
    if "is full" in words or "no space left" in words:
        return "has no room: the disk is full; free some"
    if "readonly" in words or "read-only" in words:
        return "cannot be written to: it is read-only; give another --storage or --out"
    if "unable to open database file" in words:
        return "cannot be opened: its folder must be there, and writable even to look at it"
    if "not a database" in words or "malformed" in words:
        return "is damaged or no database; move it away, or give another --storage or --out"
    return f"cannot be used ({text[:300]}); check that it runs and that its address is right"
