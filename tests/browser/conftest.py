"""A real browser for tests, where there is one, and the pages that it opens."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Chromium without a window; tests are skipped where it or playwright is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium here (Debian and Ubuntu: the package chromium)")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``file_of(name)`` is the file of a page, made when it is first asked for."""
    from tests.browser.pages_made import PAGES

    made: dict[str, Path] = {}

    def find(name: str) -> Path:
        if name not in made:
            made[name] = PAGES[name](tmp_path_factory.mktemp(name), find)
        return made[name]

    return find
