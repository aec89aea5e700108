"""What every page has to pass, as lists of what is wrong with it: empty where nothing is."""

from pathlib import Path
from typing import Any

from tests.browser.views import View

SCRIPTS = Path(__file__).parent / "scripts"
SERIOUS = ("serious", "critical")
"""Impacts of axe-core that no page may have."""


def undrawn(view: View) -> list[str]:
    """Charts without size, wider than their box, or with a line that is not drawn."""
    return _found(view, "undrawn.js")


def sideways(view: View) -> list[str]:
    """What makes the page itself scroll sideways."""
    return _found(view, "sideways.js")


def barriers(view: View) -> list[str]:
    """What axe-core finds that is serious or critical."""
    from axe_core_python.sync_playwright import Axe

    # Of drawings axe leaves out the texts, and would look long at their many parts.
    where = {"exclude": [".main-svg"]}
    found: list[dict[str, Any]] = Axe().run(view.page, where, {"resultTypes": ["violations"]})[
        "violations"
    ]
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def pale(view: View) -> list[str]:
    """Texts of drawings, which axe-core leaves out, with a contrast below 4.5."""
    return _found(view, "pale.js")


def unreachable(view: View) -> list[str]:
    """Controls, and boxes that scroll, which the tab key does not come to or does not show."""
    controls: list[str] = view.ask(_script("controls.js"))
    seen, wrong = set(), []
    view.ask("() => { document.activeElement.blur(); getSelection().removeAllRanges(); }")
    for _ in range(len(controls) + 2):
        view.page.keyboard.press("Tab")
        number, outlined = view.ask(_script("focused.js"))
        if number in seen:
            break
        seen.add(number)
        if number is not None and not outlined:
            wrong.append(f"no outline: {controls[number]}")
    return wrong + [f"not reached: {own}" for i, own in enumerate(controls) if i not in seen]


def cramped(view: View) -> list[str]:
    """Controls that are too small for a finger: less than 24 pixels in a direction."""
    return _found(view, "cramped.js")


def cut_labels(view: View) -> list[str]:
    """Labels of points that are cut at an edge of the window, or of their box, when one points."""
    return _found(view, "labels.js")


def _found(view: View, script: str) -> list[str]:
    found: list[str] = view.ask(_script(script))
    return found


def _script(name: str) -> str:
    return (SCRIPTS / name).read_text(encoding="utf-8")
