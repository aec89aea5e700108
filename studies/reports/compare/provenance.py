"""Where every figure comes from: model, versions, hardware, seeds, samples, command."""

from collections.abc import Mapping, Sequence
from typing import Any

from saccade.controller.preset import Preset
from saccade.studies.reports.compare.runs import Run
from saccade.studies.reports.compare.sources import BenchFile, Sources
from saccade.studies.reports.table import Cell, Column, Table

UNKNOWN = "not recorded"
FIELDS = (
    "kind",
    "model",
    "model hash",
    "precision",
    "versions",
    "hardware",
    "attention",
    "threads",
    "seeds",
    "n",
    "commit",
    "command",
)
SHORT = 12
"""Letters of a hash that are shown; copies have all."""
SHOWN = ("saccade", "torch", "transformers")
"""Packages whose versions are shown; copies have all."""


def provenance_table(runs: Sequence[Run], sources: Sources) -> Table:
    """A row a source; what its files do not say is named as not recorded."""
    rows = [(run.label, of_run(run)) for run in runs]
    for search in sources.searches:
        facts = {} if search.preset is None else of_preset(search.preset)
        config = search.config
        rows.append(
            (
                f"search: {search.name}",
                {"model": config.get("model"), "seeds": config.get("seed")}
                | facts
                | {"kind": "search"},
            )
        )
    rows += [
        (str(path), of_preset(preset) | {"kind": "preset"}) for path, preset in sources.presets
    ]
    rows += [(str(own.path), of_bench(own)) for own in sources.benches]
    return Table.of("", "source", [_column(name) for name in FIELDS], rows)


def of_run(run: Run) -> dict[str, Any]:
    """Facts of a study's run, from its recipe."""
    recipe, config = run.summary.recipe, run.summary.config
    backbone = recipe.get("backbone", {})
    files = recipe.get("model_files", {})
    weights = [value for name, value in files.items() if name.endswith(".safetensors")]
    return {
        "kind": "study",
        "model": config.model,
        "model hash": " ".join(weights) or None,
        "precision": _joined(backbone.get("dtype"), backbone.get("device")),
        "versions": _pairs(recipe.get("versions")),
        "hardware": _hardware(recipe.get("hardware", {})),
        "attention": backbone.get("attention"),
        "threads": recipe.get("hardware", {}).get("threads"),
        "seeds": ", ".join(map(str, config.every_seed)),
        "n": f"{config.samples} a task and seed, {config.batch} in a batch",
        "commit": recipe.get("git", {}).get("commit"),
        "command": recipe.get("command"),
    }


def of_preset(preset: Preset) -> dict[str, Any]:
    """Facts of a preset, or of the search that made it."""
    splits, device = preset.splits, preset.device
    sizes = {name: getattr(splits, name) for name in ("tune", "certify", "test")}
    return {
        "model": preset.backbone.name,
        "model hash": preset.backbone.hash,
        "precision": _joined(preset.backbone.dtype, device.kind),
        "versions": _pairs(preset.versions),
        "hardware": device.name or None,
        "threads": device.threads,
        "seeds": splits.seed,
        "n": ", ".join(f"{name} {n}" for name, n in sizes.items() if n) or None,
        "command": preset.search.command or None,
    }


def of_bench(bench: BenchFile) -> dict[str, Any]:
    """Facts of a bench's file, from its first row."""
    row = bench.rows[0]
    return {
        "kind": "bench",
        "model": row.get("model", "random weights"),
        "precision": _joined(row.get("dtype"), row.get("device")),
        "threads": row.get("threads"),
        "n": f"{row['repeats']} repeats" if "repeats" in row else None,
    }


def _column(name: str) -> Column:
    def cell(facts: Mapping[str, Any]) -> Cell:
        value = facts.get(name)
        if value is None or value == "":
            return Cell(UNKNOWN, values={name: None})
        text = str(value)
        if name == "versions":
            parts = text.split(", ")
            text = ", ".join(part for part in parts if part.startswith(SHOWN)) or text
        if name in ("model hash", "commit"):
            text = " ".join(part[:SHORT] for part in text.split())
        return Cell(text, values={name: value})

    return Column(name, cell)


def _joined(*parts: Any) -> str | None:
    return ", ".join(str(part) for part in parts if part) or None


def _pairs(versions: Mapping[str, str] | None) -> str | None:
    return ", ".join(f"{name} {own}" for name, own in (versions or {}).items()) or None


def _hardware(hardware: Mapping[str, Any]) -> str | None:
    cores = hardware.get("cores")
    more = None if cores is None else f"{cores} cores"
    return _joined(hardware.get("gpu") or hardware.get("cpu"), more, hardware.get("system"))
