"""Presets for tests."""

from typing import Any

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
