"""Presets for tests."""

from typing import Any

from saccade.controller.certificate import Certificate, Checked, NullRate
from saccade.controller.preset import Backbone, Device, Preset, TaskClass

HASH = "0" * 64


def made(**changes: Any) -> Preset:
    """A preset that is sound, but for the changes."""
    fields: dict[str, Any] = {
        "name": "mine",
        "policy": "auto()",
        "backbone": Backbone(name="embedded/llada-v", hash=HASH),
        "task": TaskClass(name="code", kind="short"),
        "device": Device(kind="cpu"),
        "generation": {"gen_length": 16, "block_length": 16, "steps": 8},
    }
    return Preset(**(fields | changes))


def content(**changes: Any) -> dict[str, Any]:
    """The JSON of a sound preset, but for the changes; None takes a key out."""
    plain = made().model_dump(mode="json", by_alias=True) | changes
    return plain


def certificate(**changes: Any) -> Certificate:
    """A certificate that was kept, but for the changes."""
    fields: dict[str, Any] = {
        "outcome": "kept",
        "max_change": 0.05,
        "confidence": 0.9,
        "n": 300,
        "questions": 300,
        "changed": 9.0,
        "p_value": 0.065,
        "null": NullRate(loss=0.0, n=300),
        "tested": (Checked(policy="auto()", loss=0.03, p_value=0.065, passed=True),),
        "task": "code",
        "backbone": HASH,
        "date": "2026-01-31",
    }
    return Certificate(**(fields | changes))
