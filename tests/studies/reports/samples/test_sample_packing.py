"""Steps and numbers as letters, and what is left out where there is no room."""

import json
from typing import Any

import pytest

from saccade.controller import StudyError
from saccade.studies.reports.samples.entries import fitting
from saccade.studies.reports.samples.packing import (
    ALPHABET,
    bits,
    levels,
    pack_places,
    pack_steps,
    shares,
)


def number(text: str) -> float | None:
    """Two letters as the page reads them."""
    code = 64 * ALPHABET.index(text[0]) + ALPHABET.index(text[1])
    return None if code > 4094 else code / 4094


def test_numbers_survive_as_letters() -> None:
    values = [0.0, 1.0, None, 0.12345, 7.0, -1.0]
    read = [number(shares(values)[i : i + 2]) for i in range(0, 12, 2)]
    assert read == [0, 1, None, pytest.approx(0.12345, abs=2e-4), 1, 0]
    assert [ALPHABET.index(c) for c in levels([0.5, None, 0.25, 0.0])] == [62, 63, 31, 0]
    assert levels([None, 0.0]) == "_A" and levels([]) == ""
    codes = [ALPHABET.index(c) for c in bits([0, 7, 11], 13)]
    assert [i for i in range(18) if codes[i // 6] >> i % 6 & 1] == [0, 7, 11]
    assert pack_places([None, [2, 0.0, 1.0]]) == "_____" + "CAA" + shares([1.0])


def steps_of(n: int, positions: int = 4) -> dict[str, Any]:
    """Steps as pages show them, each of which commits one position."""
    steps = [
        {
            "kept": [0, 1] if i else [0, 1, 2],
            "bypass": [],
            "refreshed": True,
            "reason": "why",
            "macs": 10,
            "attention": [[0.5], None, None],
            "received": [0.5, 0.25, None],
            "confidence": [0.5] * positions,
            "committed": [i % positions],
            "tokens": ["w" if p <= i else None for p in range(positions)],
        }
        for i in range(n)
    ]
    return {"layers": 1, "positions": positions, "full": 10, "steps": steps}


def test_steps_are_packed_as_what_changed() -> None:
    packed = pack_steps(steps_of(4), 3)
    assert [own["n"] for own in packed["steps"]] == [1, 2, 3, 4]
    assert ["kept" in own for own in packed["steps"]] == [True, True, False, False]
    words = [packed["words"][word] for own in packed["steps"] for _, word in own["tokens"]]
    assert words == ["w", None, None, None, "w", "w", "w"]
    assert all(packed["words"][own["reason"]] == "why" for own in packed["steps"])


def test_steps_that_have_no_room_are_left_out_and_nothing_committed_is_lost() -> None:
    data = steps_of(64, 64)
    whole = len(json.dumps(pack_steps(data, 3), separators=(",", ":")))
    small = fitting(data, 3, whole // 3)
    assert small["count"] == 64 > len(small["steps"]) and small["steps"][-1]["n"] == 64
    assert sorted(i for own in small["steps"] for i in own["committed"]) == list(range(64))
    assert len(json.dumps(small, separators=(",", ":"))) <= whole // 3
    assert fitting(data, 3, whole)["steps"] == pack_steps(data, 3)["steps"]
    with pytest.raises(StudyError, match="too large"):
        fitting(data, 3, 100)
