"""What a record holds is shown as text, runs nothing, and leaves the report usable and small."""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.changed_runs import HOSTILE, LONG_ANSWER

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.views import View

pytestmark = pytest.mark.browser
OPTION = "#samples [role=option]"
LARGEST = 6_000_000
"""Bytes of the page, of which plotly takes most."""


@pytest.fixture(scope="module", params=[1280, 390])
def view(
    request: pytest.FixtureRequest, browser: "Browser", file_of: Callable[[str], Path]
) -> "Iterator[View]":
    from tests.browser.views import opened

    with opened(browser, file_of("hostile"), request.param) as found:
        found.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield found


def test_nothing_runs_and_nothing_becomes_an_element(view: "View") -> None:
    for option in view.page.locator(OPTION).all():
        option.click()
    for axis in view.page.locator("[data-axis]").all():
        axis.click()
    chart = view.page.locator(".plot").first
    chart.focus()
    said = []
    for _ in range(3):  # as many points as cases
        view.ask("() => { document.querySelector('main > .unseen').textContent = ''; }")
        view.page.keyboard.press("ArrowRight")
        view.page.wait_for_function("() => document.querySelector('main > .unseen').textContent")
        said.append(view.page.locator("main > .unseen").inner_text())
    assert any("<img" in text and "%{x}" in text for text in said), "plotly shows it as it is"
    assert (view.complaints, view.requests) == ([], []), "ran() is not there: a call would be told"
    assert view.ask("() => document.querySelectorAll('img, [onerror]').length") == 0


def test_names_and_answers_are_shown_as_they_are(view: "View") -> None:
    plain = " ".join(HOSTILE.split())
    heading = view.page.locator("h1").inner_text()
    assert " ".join(heading.split()) == plain
    names = view.page.locator("#results-0 tr[data-row] th").all_inner_texts()
    assert any(plain in " ".join(name.split()) for name in names)
    answers = view.ask(
        "() => JSON.parse(document.getElementById('samples-data').textContent).samples.length"
    )
    assert answers == view.page.locator(OPTION).count() > 1
    view.page.locator("#samples [data-by=case]").select_option("auto")
    shown = view.page.locator("#samples [data-part=after]")
    assert shown.evaluate("node => node.textContent").startswith(HOSTILE)


def test_a_long_answer_is_cut_and_says_so(view: "View", file_of: Callable[[str], Path]) -> None:
    assert file_of("hostile").stat().st_size < LARGEST
    records = (file_of("hostile").parent / "run").rglob("*.jsonl")
    assert max(path.stat().st_size for path in records) > LONG_ANSWER
    view.page.locator("#samples [data-by=case]").select_option("auto")
    shown = view.page.locator("#samples [data-part=after]")
    texts = []
    for option in view.page.locator(OPTION).all():
        option.click()
        texts.append(shown.inner_text())
        assert (shown.bounding_box() or {"height": 1e9})["height"] <= 341
    assert any("more letters)" in text for text in texts)


@pytest.mark.parametrize("check", ["undrawn", "sideways", "barriers", "unreachable", "cut_labels"])
def test_the_page_is_as_usable_as_others(view: "View", check: str) -> None:
    from tests.browser import checks

    assert getattr(checks, check)(view) == []


def test_names_are_copied_whole(view: "View") -> None:
    table = view.page.locator("#results-0")
    table.get_by_role("searchbox").fill("<img")
    copied = {}
    for form in ("CSV", "Markdown", "LaTeX"):
        table.get_by_role("button", name=form, exact=True).click()
        said = table.locator(".said")
        view.page.wait_for_function(
            "([node, form]) => node.textContent.includes(form)", arg=[said.element_handle(), form]
        )
        copied[form] = view.ask("() => navigator.clipboard.readText()")
    (row,) = csv.DictReader(io.StringIO(copied["CSV"], newline=""))
    assert row["case"] == HOSTILE
    assert len(copied["Markdown"].splitlines()) == 3
    assert r"\<img" in copied["Markdown"] and r"\|" in copied["Markdown"]
    assert r"\textbackslash{}\_\{\}" in copied["LaTeX"] and r"\%\{x\}" in copied["LaTeX"]
    table.get_by_role("searchbox").fill("")


def test_all_are_compared_with_the_case_that_is_pinned(view: "View") -> None:
    heading = " ".join(view.page.locator("#pairs h3").first.inner_text().split())
    assert f"against “{' '.join(HOSTILE.split())}”" in heading
    shown = view.page.locator("#samples [data-part=baseline]")
    assert shown.evaluate("node => node.textContent") == HOSTILE
    cases = view.page.locator("#samples [data-by=case] option").all_inner_texts()
    assert set(cases) == {"all", "none", "auto"}
