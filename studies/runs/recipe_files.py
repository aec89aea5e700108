"""Recipes on disk: read, written, and compared with that of a run that wants to go on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saccade.controller.errors import StudyError
from saccade.studies.config.study import StudyConfig
from saccade.studies.runs.files import replacing
from saccade.studies.runs.recipe import Recipe

FREE = ("command",)
"""Fields that a run which goes on need not share."""
SOMETIMES = ("backbone.attention", "versions.transformers")
"""Fields that recipes of earlier or later releases lack; they count where both have them."""


def read_recipe(path: Path) -> Recipe | None:
    """Read a recipe; None if there is no such file.

    Raises
    ------
    StudyError
        If the file is damaged.
    """
    try:
        recipe: Recipe = json.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise StudyError(
            f"{path} cannot be read: {error}; mend it, or give another --out"
        ) from error
    if not isinstance(recipe, dict):
        raise StudyError(f"{path} holds no recipe; mend it, or give another --out")
    return recipe


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe; the file is always whole."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")


def check_recipe(folder: Path, before: Recipe, now: Recipe) -> None:
    """Refuse, naming the differences, to go on in a folder that holds a run of another recipe."""
    fields = binding(before, now)
    there, asked = (recipe["config"].get("samples") for recipe in (before, now))
    if fields and all(map(_grows, fields)) and there > asked:
        raise StudyError(
            f"{folder} holds {there} samples of every task and seed, more than the {asked} asked "
            f"for; see them with: saccade study show {folder}; or give another --out"
        )
    if fields:
        pairs = [f"{name} ({_short(a)} there, {_short(b)} now)" for name, (a, b) in fields.items()]
        raise StudyError(
            f"{folder} holds a run of another recipe. Different: {', '.join(pairs)}. Give another "
            "--out, or run what that folder began"
        )


def extends(before: Recipe, now: Recipe) -> bool:
    """Whether a recipe is another one with more samples, and nothing else."""
    was, own = before["config"], now["config"]
    grown = [*was.get("grown", []), was.get("samples")]
    fields = binding(before, now)
    return bool(fields) and all(map(_grows, fields)) and own.get("grown", []) == grown


def _grows(field: str) -> bool:
    return field == "config.samples" or field.startswith("config.grown")


def as_grown(config: StudyConfig, before: Recipe | None) -> StudyConfig:
    """A study as a run of it goes on: with the samples that the run had before it is extended."""
    own = {} if before is None else before.get("config") or {}
    grown, samples = tuple(own.get("grown", ())), own.get("samples", 0)
    if not 0 < samples <= config.samples:
        return config
    grown += (samples,) if samples < config.samples else ()
    return config.model_copy(update={"grown": grown})


def binding(before: Recipe, now: Recipe) -> dict[str, tuple[Any, Any]]:
    """The `differences` with which a run cannot go on."""
    return {
        name: pair
        for name, pair in differences(before, now).items()
        if name not in FREE and not (name in SOMETIMES and None in pair)
    }


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields in which two recipes differ, by dotted name, with both values (None where absent)."""
    flat_a, flat_b = dict(_flat(a)), dict(_flat(b))
    names = [*flat_a, *(name for name in flat_b if name not in flat_a)]
    pairs = {name: (flat_a.get(name), flat_b.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Leaves of nested mappings and lists with their dotted names."""
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return [(name, value)]
    nested = [_flat(inner, f"{name}.{key}" if name else str(key)) for key, inner in items]
    return [leaf for leaves in nested for leaf in leaves]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
