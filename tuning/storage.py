"""Where trials are kept: a file of SQLite in the run's folder, or any storage of Optuna."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.tuning.errors import TuneError, optuna_module, storage_errors

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from sqlalchemy import Engine

DATABASE = "study.db"
"""In the run's folder."""
WAIT = 60
"""Seconds for which a locked SQLite is tried again."""
HEARTBEAT, GRACE = 10, 30
"""Seconds between two signs of life of a trial, and after the last one until it is run again."""
ALLOWED = (
    "sqlite:///FILE, postgresql://USER@HOST/NAME, mysql://..., journal:///FILE or grpc://HOST:PORT"
)
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def default_url(folder: Path) -> str:
    """The address of the database in a run's folder."""
    return f"sqlite:///{folder / DATABASE}"


def shown(url: str) -> str:
    """An address without its password."""
    return re.sub(r"(://[^:/@]+):[^@/]*@", r"\1:***@", url)


def open_storage(
    url: str, *, heartbeat: int = HEARTBEAT, grace: int = GRACE, wait: float = WAIT
) -> "BaseStorage":
    """Open a storage.

    Trials of workers that died are run again by another, where the storage is a database: it has
    signs of life.

    Parameters
    ----------
    url : str
        Of the kinds in `ALLOWED`.
    heartbeat, grace : int
        See `HEARTBEAT`.
    wait : float
        See `WAIT`.

    Raises
    ------
    TuneError
        If there is no such storage, or it cannot be reached.
    """
    kind, separator, rest = url.partition("://")
    if not separator or not rest:
        raise TuneError(f"storage {shown(url)!r} is no address; give {ALLOWED}")
    with storage_errors(shown(url)):
        if kind == "journal":
            return _journal(rest)
        if kind == "grpc":
            return _proxy(url, rest)
        return _database(kind, rest, heartbeat, grace, wait)


def _journal(path: str) -> "BaseStorage":
    optuna_module()
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    file = Path(path)
    if not file.parent.is_dir():
        raise TuneError(f"there is no folder {file.parent} for the journal; make it first")
    return JournalStorage(JournalFileBackend(str(file)))


def _proxy(url: str, rest: str) -> "BaseStorage":
    optuna = optuna_module()
    host, _, port = rest.rstrip("/").rpartition(":")
    if not host or not port.isdigit():
        raise TuneError(f"storage {shown(url)!r}: give grpc://HOST:PORT")
    storage: BaseStorage = optuna.storages.GrpcStorageProxy(host=host, port=int(port))
    import grpc  # type: ignore[import-untyped]

    ready = grpc.channel_ready_future(grpc.insecure_channel(f"{host}:{port}"))
    try:
        ready.result(timeout=10)
    except grpc.FutureTimeoutError:
        raise TuneError(f"nothing answers at {shown(url)}; start the proxy first") from None
    return storage


def _database(kind: str, rest: str, heartbeat: int, grace: int, wait: float) -> "BaseStorage":
    optuna = optuna_module()
    known = kind.partition("+")[0]
    if known not in ("sqlite", "mysql", *DRIVERS):
        raise TuneError(f"unknown kind of storage {kind!r}; give {ALLOWED}")
    url = f"{DRIVERS.get(kind, kind)}://{rest}"
    arguments = {"timeout": wait} if known == "sqlite" else {}
    if known == "sqlite" and rest.startswith("/") and not Path(rest[1:]).absolute().parent.is_dir():
        raise TuneError(
            f"there is no folder {Path(rest[1:]).parent} for the database; make it first"
        )
    storage = optuna.storages.RDBStorage(
        url,
        engine_kwargs={"connect_args": arguments},
        heartbeat_interval=heartbeat,
        grace_period=grace,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
    )
    if known == "sqlite":
        _write_ahead(storage.engine)
    made: BaseStorage = storage
    return made


def _write_ahead(engine: "Engine") -> None:
    """Let SQLite write ahead: readers do not wait, and a write takes no flush of the disk.

    A process that is killed loses nothing by it.
    """
    from sqlalchemy import event, text

    with engine.connect() as connection:
        connection.execute(text("PRAGMA journal_mode=WAL"))
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=NORMAL"))
    engine.dispose()
