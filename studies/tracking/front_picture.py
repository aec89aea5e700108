"""A figure of `saccade.studies.tracking.scatter` as pixels, for trackers that draw no plotly."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, LEGEND = 720, 420, 240
LEFT, TOP, BOTTOM = 70, 20, 60
INK, PALE = "#20242b", "#d5d9e0"
COLOURS = (
    *("#3b6fd4", "#d4552f", "#2a8f5b", "#8a4fc4", "#b8860b"),
    *("#c2387a", "#1f8aa0", "#6b6f2a", "#5a5f69", "#a0522d"),
)
LONGEST = 34
"""Letters of a name that have room."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """From values to pixels."""

    low: float
    high: float
    start: int
    end: int

    def place(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """A few round numbers."""
        rough = (self.high - self.low) / 7
        power = 10 ** math.floor(math.log10(rough))
        step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough)
        first = math.ceil(self.low / step)
        return [step * n for n in range(first, math.floor(self.high / step) + 1)]


def front_picture(figure: str) -> Image.Image:
    """Draw the points of a figure with their names, and the line of the front.

    Parameters
    ----------
    figure : str
        JSON of `front_figure`.
    """
    content = json.loads(figure)
    line, *dots = content["data"]
    image = Image.new("RGB", (WIDTH + LEGEND, HEIGHT), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    x = _axis([value for own in dots for value in own["x"]], LEFT, WIDTH - 20)
    y = _axis([value for own in dots for value in own["y"]], HEIGHT - BOTTOM, TOP)
    _axes(draw, font, x, y, content["layout"])
    corners = [(x.place(a), y.place(b)) for a, b in zip(line["x"], line["y"], strict=True)]
    for (a, b), (c, d) in zip(corners, corners[1:], strict=False):
        draw.line([(a, b), (c, b), (c, d)], fill="#8a8f98", width=2)
    for number, own in enumerate(dots):
        colour = COLOURS[number % len(COLOURS)]
        spots = [(x.place(a), y.place(b)) for a, b in zip(own["x"], own["y"], strict=True)]
        height = TOP + 20 * number
        for a, b in [*spots, *([(WIDTH + 6, height + 8)] if height < HEIGHT - 20 else [])]:
            draw.ellipse([a - 5, b - 5, a + 5, b + 5], fill=colour, outline="white")
        if height < HEIGHT - 20:
            draw.text((WIDTH + 18, height), _short(own.get("name") or ""), fill=INK, font=font)
    return image


def _axis(values: Sequence[float], start: int, end: int) -> _Axis:
    """An axis that holds all values, with room beside them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return _Axis(low - room, high + room, start, end)


def _axes(draw: Any, font: Any, x: _Axis, y: _Axis, layout: Any) -> None:
    """Lines and numbers of both axes, and what they are of."""
    for value in x.ticks():
        place = x.place(value)
        draw.line([(place, y.start), (place, y.end)], fill=PALE)
        draw.text((place, y.start + 6), f"{value:.4g}", fill=INK, font=font, anchor="mt")
    for value in y.ticks():
        place = y.place(value)
        draw.line([(x.start, place), (x.end, place)], fill=PALE)
        draw.text((x.start - 8, place), f"{value:.4g}", fill=INK, font=font, anchor="rm")
    across, up = (layout[name]["title"]["text"] for name in ("xaxis", "yaxis"))
    draw.text(((x.start + x.end) / 2, HEIGHT - 24), across, fill=INK, font=font, anchor="mm")
    draw.text((6, 4), up, fill=INK, font=font)


def _short(text: str) -> str:
    """A name in one line that has room."""
    words = " ".join(unescape(text).split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
