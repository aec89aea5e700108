"""Samples side by side: which are shown, what differs, and what stepping through them changes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from saccade.studies.analysis.summary import summarise_all
from saccade.studies.reports.samples.pairs import KINDS, count_kinds, pairs_of
from tests.browser.pages_made import SAMPLES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

    from tests.browser.views import View

pytestmark = pytest.mark.browser
OPTION = "#samples [role=option]"
SHOWN = """() => ["pictures] g", "layers]", "confidence]", "text]"]
  .map(part => document.querySelector("#samples [data-part=" + part).innerHTML)"""


@pytest.fixture(scope="module")
def opened_once(browser: "Browser", file_of: Callable[[str], Path]) -> "Iterator[View]":
    from tests.browser.views import opened

    with opened(browser, file_of("report")) as found:
        yield found


@pytest.fixture
def view(opened_once: "View") -> "View":
    """The page with all samples, the first chosen."""
    opened_once.page.locator("[data-kind='']").click()
    for name in ("run", "case", "task"):
        part(opened_once, "by", name).select_option("")
    part(opened_once, "by", "order").select_option("loss")
    part(opened_once, "by", "text").fill("")
    opened_once.page.locator(OPTION).first.click()
    return opened_once


def part(view: "View", kind: str, name: str) -> "Locator":
    return view.page.locator(f"#samples [data-{kind}={name}]")


def listed(view: "View") -> list[str]:
    texts: list[str] = view.page.locator(OPTION).all_inner_texts()
    return texts


def test_each_kind_is_counted_and_filtered(view: "View", file_of: Callable[[str], Path]) -> None:
    pairs = list(pairs_of(summarise_all(file_of("report").parent / "run")))
    about = view.page.locator("#samples .about").first.inner_text()
    assert f"Of {len(pairs)} answers" in about and all(count_kinds(pairs).values())
    found = 0
    for kind in KINDS:
        button = view.page.locator(f"[data-kind='{kind}']")
        button.click()
        own = listed(view)
        assert own and all(text.startswith(kind) for text in own)
        assert button.inner_text() == f"{kind} {len(own)}"
        assert button.get_attribute("aria-pressed") == "true"
        assert part(view, "part", "count").inner_text() == f"{len(own)} of {SAMPLES} samples"
        found += len(own)
    assert found == SAMPLES


@pytest.mark.parametrize("name", ["run", "case", "task"])
def test_a_choice_leaves_those_that_have_it(view: "View", name: str) -> None:
    choice = part(view, "by", name)
    values = [value for value in choice.locator("option").all_inner_texts() if value != "all"]
    assert len(values) > 1
    found = 0
    for value in values:
        choice.select_option(value)
        assert listed(view) and all(value in text for text in listed(view))
        found += len(listed(view))
    assert found == SAMPLES


def test_words_of_answers_are_searched(view: "View") -> None:
    part(view, "by", "text").fill("NOT ")
    assert 0 < len(listed(view)) < SAMPLES
    for option in view.page.locator(OPTION).all():
        option.click()
        assert "not " in view.page.locator("#samples .answers").inner_text()
    part(view, "by", "text").fill("no such answer")
    assert listed(view) == [] and not part(view, "part", "shown").is_visible()
    assert "No sample fits" in part(view, "part", "count").inner_text()


def test_most_lost_or_most_gained_comes_first(view: "View") -> None:
    def losses() -> list[float]:
        ends = [text.rpartition("score ")[2].split(" → ") for text in listed(view)]
        return [float(before) - float(now) for before, now in ends]

    lost = losses()
    assert lost == sorted(lost, reverse=True) and lost[0] > 0 > lost[-1]
    part(view, "by", "order").select_option("gain")
    assert losses() == sorted(lost)


def test_words_that_differ_are_marked(view: "View") -> None:
    view.page.locator("[data-kind=broke]").click()
    before, after = (part(view, "part", name) for name in ("before", "after"))
    assert after.inner_text() == f"not {before.inner_text()}"
    assert "".join(after.locator("mark").all_inner_texts()).strip() == "not"
    assert before.locator("mark").all_inner_texts() == []
    colour = "where => getComputedStyle(document.querySelector(where)).color"
    own = view.ask(colour, "#samples .answers .said span")
    assert own == view.ask(colour, "#samples h3"), "an answer has no colour of right or wrong"


@pytest.mark.parametrize("where", ["slider", "list"])
def test_arrow_keys_step_through_the_answer(view: "View", where: str) -> None:
    part(view, "by", "task").select_option("code")
    part(view, "by", "case").select_option("half from the start")
    now, slider = part(view, "part", "now"), part(view, "part", "slider")
    (slider if where == "slider" else view.page.locator(OPTION).first).focus()
    before = view.ask(SHOWN)
    assert now.inner_text().startswith("step 1 of ")
    view.page.keyboard.press("ArrowRight")
    assert now.inner_text().startswith("step 2 of ")
    assert all(a != b for a, b in zip(before, view.ask(SHOWN), strict=True))
    assert part(view, "part", "pictures").locator("rect.dropped").count() > 0
    view.page.keyboard.press("ArrowLeft")
    assert view.ask(SHOWN) == before


def test_keys_go_through_the_list(view: "View") -> None:
    def chosen() -> Any:
        return view.ask(
            "() => [...document.querySelectorAll('#samples [role=option]')]"
            ".map(one => one === document.activeElement && one.ariaSelected === 'true')"
            ".indexOf(true)"
        )

    view.page.locator(OPTION).first.focus()
    last = SAMPLES - 1
    for key, place in (("ArrowDown", 1), ("End", last), ("ArrowUp", last - 1), ("Home", 0)):
        view.page.keyboard.press(key)
        assert chosen() == place
        shown = part(view, "part", "where").inner_text()
        assert shown.split(" · ")[0] in listed(view)[place]


def test_every_sample_shows_its_picture_and_both_answers(view: "View") -> None:
    for option in view.page.locator(OPTION).all():
        option.click()
        assert view.page.locator("#samples .pictures image").count() >= 1
        assert part(view, "part", "missing").inner_text() == ""
        assert part(view, "part", "question").inner_text()
        for name in ("before", "after"):
            assert part(view, "part", name).inner_text()
            assert (
                "% of the work on visual tokens" in part(view, "part", f"{name}-facts").inner_text()
            )
