"""How long answers are on each benchmark: the settings of the published study, as data.

lmms-eval's tasks give ``max_new_tokens``. For a diffusion model that is no limit but the canvas
itself, on which every answer depends, so the published evaluations set it by task.
"""

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from saccade.backbones.model import Model

PUBLISHED = Path(__file__).parent.parent / "published"
BACKBONES = {"from-scratch": "LLaDA-V", "ar-to-diffusion": "LaViDa-Dream"}
"""Whose settings a model of each origin takes."""
DEFAULT = "*"
LEAST = 16
"""New tokens of an autoregressive answer where the task names none."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """How a model answers a task.

    Attributes
    ----------
    options : dict
        Of the model's `generate`.
    think_mode : str or None
        As in `Model.prepare`; for questions with pictures alone, as published.
    drop_period : bool
        Whether one full stop at the end of the answer is taken off.
    """

    options: dict[str, Any]
    think_mode: str | None = None
    drop_period: bool = False

    def plain(self) -> dict[str, Any]:
        """As plain values, for recipes."""
        return asdict(self)


def canvas_of(
    model: Model, task: str, own: Mapping[str, Any], asked: Mapping[str, Any] | None = None
) -> Canvas:
    """The published canvas of a task, with what is given instead of it.

    Parameters
    ----------
    model : Model
    task : str
        Name of the lmms-eval task. Variants take the canvas of what their name begins with, up to
        an underscore: ``chartqa_lite`` that of ``chartqa``.
    own : mapping
        Options of `generate` to use instead, for all tasks; and mappings of them by task.
    asked : mapping, optional
        What the task itself asks for; only autoregressive models heed its ``max_new_tokens``.

    Raises
    ------
    TypeError, ValueError
        If the model's settings refuse the options.
    """
    row = _row(BACKBONES.get(model.spec.origin), task)
    settings = model.family.settings
    if row is None:
        length = int((asked or {}).get("max_new_tokens") or LEAST)
        canvas = Canvas(dict(settings.for_lengths(length, length, length)))
    else:
        lengths = (int(row[name]) for name in ("gen_length", "block_length", "steps"))
        options = dict(settings.for_lengths(*lengths))
        if row["stop"]:
            options["stopping_criteria"] = (row["stop"].encode().decode("unicode_escape"),)
        canvas = Canvas(options, row["think_mode"] or None, row["drop_period"] == "yes")
    changed = _changed(canvas.options, own_options(own, task))
    settings.from_options(changed)
    return Canvas(changed, canvas.think_mode, canvas.drop_period)


def own_options(own: Mapping[str, Any], task: str) -> dict[str, Any]:
    """What is given for a task: options for all tasks, then those of the task by its name."""
    common = {key: value for key, value in own.items() if not isinstance(value, Mapping)}
    named = {key: value for key, value in own.items() if isinstance(value, Mapping)}
    found = _match(named, task)
    return common | dict(named[found] if found is not None else {})


def _changed(options: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Options with others instead; a canvas of one block stays one when its length changes."""
    kept = dict(options)
    one_block = kept.get("block_length") == kept.get("gen_length")
    if one_block and "gen_length" in own and "block_length" not in own:
        kept.pop("block_length", None)
    return {**kept, **own}


def _row(backbone: str | None, task: str) -> dict[str, str] | None:
    """The published settings of a task; None for backbones that nobody published settings of."""
    rows = _table().get(backbone or "")
    return None if rows is None else rows[_match(rows, task) or DEFAULT]


def _match(known: Mapping[str, Any], task: str) -> str | None:
    """The longest of the names that a task has, or begins with up to an underscore."""
    found = [name for name in known if task == name or task.startswith(f"{name}_")]
    return max(found, key=len, default=None)


@cache
def _table() -> dict[str, dict[str, dict[str, str]]]:
    table: dict[str, dict[str, dict[str, str]]] = {}
    with (PUBLISHED / "canvas.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            table.setdefault(row["backbone"], {})[row["task"]] = row
    return table
