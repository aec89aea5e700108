"""What a storage's errors mean, in words."""

import sqlite3
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from saccade.tuning.errors import TuneError, storage_errors
from saccade.tuning.storage import default_url, open_storage, shown


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("database or disk is full", "the disk is full"),
        ("database is locked", "is locked"),
        ("attempt to write a readonly database", "read-only"),
        ("unable to open database file", "its folder must be there"),
        ("file is not a database", "damaged or no database"),
        ("database disk image is malformed", "damaged or no database"),
        ("could not connect to server", "cannot be used (could not connect"),
    ],
)
@pytest.mark.parametrize("chained", [False, True])
def test_a_storage_that_fails_is_said_and_nothing_is_lost(
    message: str, words: str, chained: bool
) -> None:
    raw = sqlite3.OperationalError(message)
    with pytest.raises(TuneError) as found, storage_errors("sqlite:///x.db"):
        if chained:
            raise OperationalError("INSERT", {}, raw) from raw
        raise raw
    assert words in str(found.value) and "what was finished is kept" in str(found.value)


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyError("x"), OSError("disk"), TuneError("t")]
)
def test_other_errors_pass_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as found, storage_errors("x"):
        raise error
    assert found.value is error


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:se/cr@et@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        ("postgresql://host/db?user=me&password=secret&a=1", "?user=me&password=***&a=1"),
        ("postgresql://me@host:1/db", "postgresql://me@host:1/db"),
        ("sqlite:////a/b:c@d.db", "sqlite:////a/b:c@d.db"),
    ],
)
def test_passwords_are_not_shown(url: str, words: str) -> None:
    assert words in shown(url) and "secret" not in shown(url) and "cr@et" not in shown(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://host:port/x", "is no address of a database"),
        ("postgresql://me:se/cr@et@127.0.0.1/x", "write an @ in the storage's password as %40"),
        ("sqlite:///", "is no address|names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://host/x.db", "names no file|no address"),
        ("sqlite:////tmp", "is a folder"),
        ("journal:///tmp", "is a folder"),
    ],
)
def test_addresses_that_are_none(url: str, words: str) -> None:
    with pytest.raises(TuneError, match=words) as found:
        open_storage(url)
    assert "cr@et" not in str(found.value)


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("mysql://me:secret@127.0.0.1:1/x", "pymysql"),
        ("postgresql://me:secret@127.0.0.1:1/x", "psycopg"),
        ("grpc://127.0.0.1:1", "grpcio"),
    ],
)
def test_a_driver_that_is_missing_is_named(
    url: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MySQLdb", "psycopg", "grpc"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"pip install .*{package}") as found:
        open_storage(url)
    assert "secret" not in str(found.value)


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_looking_makes_no_storage(kind: str, tmp_path: Path) -> None:
    with pytest.raises(TuneError, match="no search was begun there"):
        open_storage(f"{kind}:///{tmp_path}/none", begin=False)
    assert not list(tmp_path.iterdir())


def test_looking_leaves_the_database_of_another_program_alone(tmp_path: Path) -> None:
    file = tmp_path / "own.db"
    with sqlite3.connect(file) as own:
        own.execute("CREATE TABLE recipes (name TEXT)")
    before = file.read_bytes()
    with pytest.raises(TuneError, match="holds no studies"):
        open_storage(f"sqlite:///{file}", begin=False)
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["a b", "what?x=1", "50%41", "{name}", "#1 ü@home"])
def test_folders_of_any_name_hold_their_database(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    open_storage(default_url(tmp_path / name))
    assert (tmp_path / name / "study.db").is_file()
    open_storage(default_url(tmp_path / name), begin=False)
