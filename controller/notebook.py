"""Answers and traces as notebooks show them: small pieces of HTML that need nothing but themselves.

They set no colours of their own, so that they can be read on a light page and on a dark one.
"""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from saccade.controller.step_record import StepRecord

if TYPE_CHECKING:
    from saccade.controller.trace import Trace

ENDS = 12
"""Steps that are shown from the beginning of a trace, and from its end."""
LINE = "1px solid rgba(128,128,128,.4)"
CELL = f"padding:3px 10px;text-align:right;border-bottom:{LINE};background:none"
HEADINGS = ("step", "committed", "visual tokens", "attention to them", "confidence", "GMACs")


def generation_html(answer: str, trace: "Trace") -> str:
    """An answer, and the steps that made it."""
    said = (
        '<pre style="margin:0 0 8px;padding:0;white-space:pre-wrap;overflow-wrap:anywhere;'
        f'background:none;color:inherit">{escape(answer)}</pre>'
    )
    return f"<div>{said}{trace_html(trace)}</div>"


def trace_html(trace: "Trace") -> str:
    """The steps of a trace; of many those in the middle are left out."""
    steps = list(trace)
    many = len(steps) > 2 * ENDS + 1
    shown = [*steps[:ENDS], *steps[-ENDS:]] if many else steps
    rows = [_row(step, trace.n_visual) for step in shown]
    if many:
        rows.insert(ENDS, ("...",) * len(HEADINGS))
    table = html_table(HEADINGS, rows)
    return f"<details><summary>{escape(repr(trace))}</summary>{table}</details>"


def html_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, whatever they hold; it scrolls where there is no room for it."""
    head = "".join(f'<th scope="col" style="{CELL}">{escape(one)}</th>' for one in headings)
    body = "".join(
        f"<tr>{''.join(f'<td style={CELL!r}>{escape(text)}</td>' for text in row)}</tr>"
        for row in rows
    )
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;font-size:13px;'
        f'font-variant-numeric:tabular-nums"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(step: StepRecord, n_visual: int) -> tuple[str, ...]:
    signals = step.signals
    return (
        str(step.state.step + 1),
        str(len(step.committed)),
        f"{len(step.kept)} of {n_visual}",
        _share(signals.visual_mass),
        _share(signals.mean_confidence),
        f"{step.macs / 1e9:.3g}",
    )


def _share(value: float | None) -> str:
    """A share in percent; a dash where it was not measured."""
    return "-" if value is None or value != value else f"{value:.1%}"
