"""Templates: what they are given is text, what they lack is an error, assets end nothing early."""

import json
import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from saccade.studies.reports import pages

HOSTILE = "</script><!-- <b>'\"&\u2028\u2029 {{ 7 * 7 }} ${x}"
ASSETS = sorted((Path(pages.__file__).parent / "assets").iterdir())


def trace(**values: object) -> str:
    names = ("question", "model", "policy", "answer")
    return pages.render_page("trace.html.j2", **dict.fromkeys(names, HOSTILE), **values)


def test_texts_are_escaped_and_data_are_json() -> None:
    page = trace(data={"text": HOSTILE, "number": 0.5})
    assert (
        HOSTILE not in page and "{{ 7 * 7 }}" in page and "49" not in page.split("<main>")[1][:99]
    )
    assert page.count("</script>") == 2 and page.count("<script") == 2
    found = re.search(r'id="data">(.*?)</script>', page)
    assert found is not None
    assert not set("<>&\u2028\u2029") & set(found[1])
    assert json.loads(found[1]) == {"text": HOSTILE, "number": 0.5}


def test_what_a_browser_could_not_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        trace(data={"number": float("nan")})


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'question' is undefined"):
        pages.render_page("trace.html.j2", data={})


@pytest.mark.parametrize("asset", ASSETS, ids=lambda path: path.name)
def test_assets_stay_in_their_element_and_fetch_nothing(asset: Path) -> None:
    text = asset.read_text(encoding="utf-8")
    assert "</" not in text and "<!--" not in text
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)


@pytest.mark.parametrize(
    "asset", [path for path in ASSETS if path.suffix == ".css"], ids=lambda path: path.name
)
def test_styles_take_colours_from_variables(asset: Path) -> None:
    text = asset.read_text(encoding="utf-8")
    rules = re.sub(r"--[a-z-]+: #\w+;|@media print.*", "", text)
    assert not re.search(r"#[0-9a-f]{3,8}\b|: white|\bblack\b", rules)
