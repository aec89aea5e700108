"""A page as a reader opens it: from its file, without a network, at a width and in a scheme."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request

Scheme = Literal["light", "dark"]
LAPTOP, PHONE = 1280, 390
"""Pixels of the widths that pages are looked at."""
DRAWN = """() => {
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--soft").trim();
  return [...document.querySelectorAll(".plotly-graph-div")].every(chart =>
    chart.querySelector(".main-svg") && chart._fullLayout.font.color === ink);
}"""
"""Whether all charts are drawn, and in the page's colours: the last that happens to them."""


@dataclass
class View:
    """A page that is open, and what was heard of it.

    Attributes
    ----------
    page : Page
    complaints : list of str
        Errors and warnings of its console, and exceptions that its scripts did not catch.
    requests : list of str
        Addresses that it asked for, but for its own file and for what it holds itself.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def ask(self, script: str, value: Any = None) -> Any:
        """What a function of JavaScript returns."""
        return self.page.evaluate(script, value)


@contextmanager
def opened(
    browser: Browser, path: Path, width: int = LAPTOP, scheme: Scheme = "light"
) -> Iterator[View]:
    """The page of this file, with all its charts drawn."""
    size = {"width": width, "height": 900}
    phone = width < 600
    context = browser.new_context(
        viewport=size, color_scheme=scheme, offline=True, has_touch=phone, is_mobile=phone
    )
    try:
        view = View(context.new_page())
        _listen(view, path.as_uri())
        view.page.goto(path.as_uri())
        view.page.wait_for_function(DRAWN, timeout=30_000)
        view.ask("() => new Promise(done => setTimeout(done, 300))")  # a chart that fits its box
        yield view
    finally:
        context.close()


def _listen(view: View, own: str) -> None:
    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            view.complaints.append(f"{message.type}: {message.text}")

    def asked(request: Request) -> None:
        if request.url.split("#")[0] != own and not request.url.startswith(("data:", "blob:")):
            view.requests.append(request.url)

    view.page.on("console", heard)
    view.page.on("pageerror", lambda error: view.complaints.append(str(error)))
    view.page.on("request", asked)
