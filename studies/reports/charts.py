"""Charts as a page shows them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from saccade.studies.analysis.summary import Summary

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart under its title."""

    title: str
    figure: "Figure"


@dataclass(frozen=True, slots=True)
class ChartGroup:
    """Charts under one heading.

    Attributes
    ----------
    heading : str
    draw : callable
        Makes the charts of a report's runs; none where they have nothing to show.
    """

    heading: str
    draw: Callable[[Sequence[Summary]], list[Panel]]


def chart_html(figure: "Figure", name: str) -> Markup:
    """A chart for a page that holds plotly itself.

    What it draws is JSON in which plotly writes ``<``, ``>`` and ``/`` as escapes, so that no text
    can end the script.
    """
    from plotly.io import to_html

    config = {"displayModeBar": False, "responsive": True}
    return Markup(to_html(figure, config, include_plotlyjs=False, full_html=False, div_id=name))
