"""What notebooks show: complete, escaped, and without colours that need a light page."""

import re
from html.parser import HTMLParser

import pytest
import torch

from saccade.controller import Generation, Signals, Trace
from saccade.controller.notebook import ENDS, html_table
from tests.controller.test_trace import TRACE, record

HOSTILE = "</pre><script>alert(1)</script>&\"'"


class Tags(HTMLParser):
    """Tags that are open at the end, all tags, and the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("text", [HOSTILE, "", None])
def test_an_answer_is_text_above_its_steps(text: str | None) -> None:
    source = Generation((1, 2, 63), text, TRACE)._repr_html_()
    page = Tags(source)
    assert not page.open and "script" not in page.seen
    assert "".join(page.text).startswith("1 2 63" if text is None else text)
    assert page.seen.count("tr") == 1 + len(TRACE)
    assert repr(TRACE) in page.text


def test_a_trace_shows_what_each_step_did() -> None:
    cells = Tags(TRACE._repr_html_()).text
    assert cells[-6:] == ["3", "1", "5 of 10", "-", "31.2%", "9.8e-08"]
    seen = Signals(attention_visual_masked=torch.tensor([0.25, 0.75]))
    trace = Trace((record(0, signals=seen),), n_visual=10)
    assert Tags(trace._repr_html_()).text[-6:] == ["1", "1", "10 of 10", "50.0%", "-", "1e-07"]


def test_of_many_steps_the_middle_is_left_out() -> None:
    def rows(n: int) -> int:
        trace = Trace(tuple(record(step) for step in range(n)), n_visual=10)
        return Tags(trace._repr_html_()).seen.count("tr") - 1

    assert rows(0) == 0 and rows(2 * ENDS + 1) == 2 * ENDS + 1
    assert rows(2 * ENDS + 2) == rows(500) == 2 * ENDS + 1


def test_no_colour_depends_on_the_page() -> None:
    source = html_table(["a"], [[HOSTILE]])
    assert HOSTILE in "".join(Tags(source).text) and HOSTILE not in source
    assert not re.search(r"(?<!-)color:(?!inherit)|background:(?!none)", source)
