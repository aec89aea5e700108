"""What kind of setting each case is, and which rows of a fair comparison a run has."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saccade.studies.config.study import Case
from saccade.studies.reports.case_words import case_texts, kind_of
from saccade.studies.reports.compare.runs import Run
from saccade.studies.reports.marks import BASELINE, COLOURS, SYMBOLS, Mark
from saccade.studies.reports.table import Cell, Column, Table

KINDS = {
    "unpruned": Mark(BASELINE, *SYMBOLS[7]),
    "fixed": Mark(COLOURS[0], *SYMBOLS[2]),
    "adaptive": Mark(COLOURS[1], *SYMBOLS[0]),
    "tuned": Mark(COLOURS[2], *SYMBOLS[4]),
    "learned": Mark(COLOURS[3], *SYMBOLS[1]),
    "other": Mark(COLOURS[7], *SYMBOLS[3]),
}
"""How points of each kind are drawn."""
MEANINGS = {
    "unpruned": "the model alone, in its own or other settings",
    "fixed": "a schedule that does not look at the model",
    "adaptive": "decides by the model's signals",
    "tuned": "a preset that a search has found",
    "learned": "reads a learned model of risk",
    "other": "does nothing, or is not installed here",
}
_BY_WORDS = {"signals": "adaptive", "both": "fixed", "schedule": "fixed", "preset": "tuned"}
_LEARNED = re.compile(r"\blearned\(", re.IGNORECASE)


def case_kind(case: Case, recipe: Mapping[str, object]) -> str:
    """The kind of a case, of `KINDS`, by its policy's text and what the recipe says of presets."""
    if case.bare:
        return "unpruned"
    told = recipe.get("cases")
    own = told.get(case.name) if isinstance(told, Mapping) else None
    if _LEARNED.search(f"{case.policy or ''} {own if isinstance(own, Mapping) else ''}"):
        return "learned"
    return _BY_WORDS.get(kind_of(case), "other")


def setting_kind(policy: str) -> str:
    """The kind of a setting that a search has found."""
    if policy == "none":
        return "unpruned"
    return "learned" if _LEARNED.search(policy) else "tuned"


def full_text(case: Case, run: Run) -> str:
    """All that makes a case: as it was written, and with every option as it was run."""
    written = case_texts([case])[case.name]
    told = run.summary.recipe.get("cases", {}).get(case.name, {})
    parts = [written]
    parts += [f"{key}: {value}" for key, value in told.items() if value not in (None, "None")]
    return " | ".join(parts)


def controls(run: Run) -> dict[str, tuple[str, ...]]:
    """Which cases of a run are the rows that a fair comparison has, by the row's name."""
    config, settings = run.summary.config, run.summary.recipe["settings"]
    canvases = [own["gen_length"] for own in settings.values() if "gen_length" in own]
    longest = max(canvases, default=0)
    others = [case for case in config.cases if case.name != config.baseline]

    def named(cases: Sequence[Case]) -> tuple[str, ...]:
        return tuple(case.name for case in cases)

    return {
        "no-op": named([c for c in others if not c.settings and kind_of(c) == "nothing"]),
        "random": named([c for c in others if c.pruner_call and c.pruner_call.name == "random"]),
        "shorter canvas": named(
            [c for c in others if int(c.settings.get("gen_length", longest)) < longest]
        ),
        "cached": _cached(run, others),
    }


def _cached(run: Run, others: Sequence[Case]) -> tuple[str, ...]:
    """Cases that read the prompt from a cache: all, where the model does so unless told not to."""
    summary = run.summary
    settings: Mapping[str, dict[str, Any]] = summary.recipe["settings"]
    first = next(iter(settings.values()), {})
    own = summary.config.cases
    base = next(c for c in own if c.name == summary.config.baseline)
    if summary.recipe["backbone"]["origin"] == "autoregressive":
        return ("all, by the model's way of answering",)
    if "prefix_lm" in first and (first | base.settings)["prefix_lm"]:
        return ("all, by the model's prefix mode",)
    cached = [
        case.name
        for case in others
        if case.settings.get("prefix_refresh_interval")
        or ("prefix_lm" in first and (first | case.settings)["prefix_lm"])
    ]
    return tuple(cached)


@dataclass(frozen=True, slots=True)
class _Controls:
    found: Mapping[str, tuple[str, ...]]


def controls_table(runs: Sequence[Run]) -> Table:
    """Which of these rows each run has; what is missing is named as missing."""
    names = ("no-op", "random", "shorter canvas", "cached")

    def column(name: str) -> Column:
        def cell(own: _Controls) -> Cell:
            cases = own.found[name]
            values = {name: "; ".join(cases)}
            if not cases:
                return Cell("missing", tone="worse", values=values)
            more = f" and {len(cases) - 2} more" if len(cases) > 2 else ""
            return Cell(", ".join(cases[:2]) + more, values=values)

        return Column(name, cell, CONTROL_HELP[name])

    rows = [(run.label, _Controls(controls(run))) for run in runs]
    return Table.of("", "run", [column(name) for name in names], rows)


CONTROL_HELP = {
    "no-op": "the controller is attached and does nothing: what the harness itself costs.",
    "random": "visual tokens are dropped at random: what choosing them is worth.",
    "shorter canvas": "the model alone with a smaller gen_length: what is gained without pruning.",
    "cached": "the model reads its prompt from a cache: what is gained by that alone.",
}
