"""Where trials are kept: a file of SQLite in the run's folder, or any storage of Optuna."""

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from saccade.tuning.errors import TuneError, optuna_module, storage_errors
from saccade.tuning.study import queue_again

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
FILES = ("sqlite", "journal")
"""Kinds that are a file of this machine."""
PACKAGES = {"postgresql": "psycopg[binary]", "mysql": "pymysql", "grpc": "grpcio protobuf"}
"""What other kinds need installed."""
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def default_url(folder: Path) -> str:
    """The address of the database in a run's folder."""
    return "sqlite:///" + re.sub(r"[?%{}]", lambda found: quote(found[0]), str(folder / DATABASE))


def shown(url: str) -> str:
    """An address without its password, wherever that stands in it."""
    kind, separator, rest = url.partition("://")
    if kind.partition("+")[0] in FILES:
        return url
    login, at, place = rest.rpartition("@")
    if ":" in login:
        login = login.partition(":")[0] + ":***"
    return re.sub(r"(?i)(passw\w*=)[^&]*", r"\1***", f"{kind}{separator}{login}{at}{place}")


def open_storage(
    url: str,
    *,
    heartbeat: int = HEARTBEAT,
    grace: int = GRACE,
    wait: float = WAIT,
    begin: bool = True,
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
    begin : bool
        Whether a storage that is not there, or a database without studies, is made into one.

    Raises
    ------
    TuneError
        If there is no such storage, or it cannot be reached.
    ImportError
        If its driver is missing, naming what to install.
    """
    kind, separator, rest = url.partition("://")
    if not separator or not rest:
        raise TuneError(f"storage {shown(url)!r} is no address; give {ALLOWED}")
    with storage_errors(shown(url)):
        if kind == "journal":
            return _journal(rest, begin)
        if kind == "grpc":
            return _proxy(url, rest)
        return _database(kind, rest, heartbeat, grace, wait, begin)


def _journal(path: str, begin: bool) -> "BaseStorage":
    optuna_module()
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    file = Path(path)
    _check_file(file, "journal", begin)
    return JournalStorage(JournalFileBackend(str(file)))


def _proxy(url: str, rest: str) -> "BaseStorage":
    optuna = optuna_module()
    host, _, port = rest.rstrip("/").rpartition(":")
    if not host or not port.isdigit():
        raise TuneError(f"storage {shown(url)!r}: give grpc://HOST:PORT")
    try:
        import grpc  # type: ignore[import-untyped]

        storage: BaseStorage = optuna.storages.GrpcStorageProxy(host=host, port=int(port))
    except ImportError as error:
        raise _no_driver("grpc", error) from error
    ready = grpc.channel_ready_future(grpc.insecure_channel(f"{host}:{port}"))
    try:
        ready.result(timeout=10)
    except grpc.FutureTimeoutError:
        raise TuneError(f"nothing answers at {shown(url)}; start the proxy first") from None
    return storage


def _check_file(file: Path, what: str, begin: bool) -> None:
    if file.is_dir():
        raise TuneError(f"{file} is a folder; give a file in it for the {what}")
    if not file.parent.is_dir():
        raise TuneError(f"there is no folder {file.parent} for the {what}; make it first")
    if not begin and not file.exists():
        raise TuneError(f"there is no {what} at {file}: no search was begun there")


def _no_driver(kind: str, error: ImportError) -> ImportError:
    what = f"pip install {PACKAGES[kind]!r}" if kind in PACKAGES else "its driver"
    return ImportError(f"storages of the kind {kind} need {what}: {' '.join(str(error).split())}")


def _database(
    kind: str, rest: str, heartbeat: int, grace: int, wait: float, begin: bool
) -> "BaseStorage":
    optuna = optuna_module()
    known = kind.partition("+")[0]
    if known not in ("sqlite", "mysql", *DRIVERS):
        raise TuneError(f"unknown kind of storage {kind!r}; give {ALLOWED}")
    url = f"{DRIVERS.get(kind, kind)}://{rest}"
    arguments = {"timeout": wait} if known == "sqlite" else {}
    try:
        _check_database(url, arguments, begin)
    except ImportError as error:
        raise _no_driver(DRIVERS.get(known, known).partition("+")[0], error) from error
    storage = optuna.storages.RDBStorage(
        url,
        engine_kwargs={"connect_args": arguments},
        heartbeat_interval=heartbeat,
        grace_period=grace,
        heartbeat_stale_trial_callback=queue_again,
    )
    if known == "sqlite":
        _write_ahead(storage.engine)
    made: BaseStorage = storage
    return made


def _check_database(url: str, arguments: dict[str, float], begin: bool) -> None:
    """Look at an address, and at what is there, before tables are made."""
    import sqlalchemy

    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise TuneError(
            f"storage {shown(url)!r} is no address of a database ({error}); give {ALLOWED}"
        ) from None
    if parsed.host is not None and "@" in parsed.host:
        raise TuneError("write an @ in the storage's password as %40, and a / as %2F")
    if parsed.get_backend_name() == "sqlite":
        if parsed.host or parsed.database in (None, "", ":memory:"):
            raise TuneError(f"storage {shown(url)!r} names no file; give sqlite:///FILE")
        _check_file(Path(parsed.database or ""), "database", begin)
    engine = sqlalchemy.create_engine(parsed, connect_args=arguments)
    try:
        if not begin and not sqlalchemy.inspect(engine).has_table("studies"):
            raise TuneError(f"{shown(url)} holds no studies: no search was begun there")
    finally:
        engine.dispose()


def _write_ahead(engine: "Engine") -> None:
    """Let SQLite write ahead: readers do not wait, and a write takes no flush of the disk.

    A process that is killed loses nothing by it.
    """
    from sqlalchemy import event, text

    with engine.connect() as connection:
        connection.execute(text("PRAGMA journal_mode=WAL"))
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=NORMAL"))
    engine.dispose()
