"""The chart of a trace can be read on a light page and on a dark one."""

import pytest

from saccade.controller import trace_plot
from tests.controller.test_trace import TRACE

COLOURS = ("TEXT", "BLUE", "RED", "OCHRE", "GREEN")
LIGHT, DARK = "#ffffff", "#111111"


def luminance(colour: str) -> float:
    """Relative luminance by WCAG."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("page", [LIGHT, DARK])
@pytest.mark.parametrize("name", COLOURS)
def test_colours_stand_out_from_the_page(name: str, page: str) -> None:
    light, dark = sorted(map(luminance, (getattr(trace_plot, name), page)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3


def test_the_page_shows_through() -> None:
    layout = TRACE.plot().layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.font.color == trace_plot.TEXT
    assert {line.marker.color or line.line.color for line in TRACE.plot().data} == {
        getattr(trace_plot, name) for name in COLOURS
    }
