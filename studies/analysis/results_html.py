"""Results of a study as notebooks show them."""

from collections.abc import Sequence
from html import escape
from typing import Any

from saccade.controller.notebook import html_table

HEADINGS = ("task", "case", "score", "of the baseline's", "speed-up", "ideal", "steps", "visual")


def results_html(said: str, rows: Sequence[dict[str, Any]]) -> str:
    """A table of `Summary.rows`, under what the summary says of itself."""
    return f"<div><p>{escape(said)}</p>{html_table(HEADINGS, [_texts(row) for row in rows])}</div>"


def _texts(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(row["task"]),
        str(row["case"]),
        _number(row["score"], ".3f"),
        _number(row["score_relative"], ".1%"),
        _number(row["speedup"], ".2f"),
        _number(row["speedup_ideal"], ".2f"),
        _number(row.get("steps"), ".1f"),
        _number(row["visual_tokens_ratio"], ".0%"),
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
