"""Which words of two answers differ."""

import pytest

from saccade.studies.reports.samples.differences import LONGEST, clipped, marked


@pytest.mark.parametrize(
    ("a", "b", "parts"),
    [
        ("row 3 reads 1234.", "row 3 reads 1334.", (["row 3 reads ", "1234", "."],) * 1),
        ("same", "same", (["same"],)),
        ("", "new", ([""],)),
        ("a b c", "x b y", (["", "a", " b ", "c"],)),
    ],
    ids=["a word", "nothing", "all", "ends"],
)
def test_differing_words_are_marked(a: str, b: str, parts: tuple[list[str]]) -> None:
    own, other = marked(a, b)
    assert own == parts[0]
    assert ("".join(own), "".join(other)) == (a, b)
    assert own[::2] == other[::2][: len(own[::2])] or "" in (a, b)


def test_long_answers_are_cut_and_compared_at_once() -> None:
    cut = clipped("? " * 10**6)
    assert len(cut) < LONGEST + 40 and cut.endswith("(1,998,000 more letters)")
    own, other = marked("a?" * 1000, "?b" * 1000)
    assert ("".join(own), "".join(other)) == ("a?" * 1000, "?b" * 1000)
