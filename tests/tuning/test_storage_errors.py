"""What a storage's errors mean, in words."""

import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from saccade.tuning.errors import TuneError, storage_errors
from saccade.tuning.storage import shown


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("database or disk is full", "the disk is full"),
        ("database is locked", "is locked"),
        ("attempt to write a readonly database", "read-only"),
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


def test_passwords_are_not_shown() -> None:
    assert shown("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    assert shown("sqlite:////a/b@c.db") == "sqlite:////a/b@c.db"
