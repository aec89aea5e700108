"""Documents: determinism, the split of the handwriting, the lexicon, metrics."""

import itertools

import numpy as np
import pytest
from sklearn.datasets import load_digits

from saccade.studies.tasks.documents import CODES, KINDS, make_sample
from saccade.studies.tasks.documents.digits import glyph_bank, split_indices
from saccade.studies.tasks.documents.lexicon import make_lexicon
from saccade.studies.tasks.documents.page import N_ROWS, PAGE_SIZE


def test_a_digit_of_a_syllable_tells_the_other() -> None:
    assert len(set(CODES)) == 64 and all(len(code) == 4 for code in CODES)
    syllables = {code[i : i + 2] for code in CODES for i in (0, 2)}
    assert len(syllables) == 8
    assert len({s[0] for s in syllables}) == len({s[1] for s in syllables}) == 8
    for a, b in itertools.combinations(CODES, 2):
        assert sum(x != y for x, y in zip(a, b, strict=True)) >= 2


@pytest.mark.parametrize("n", [0, 11])
def test_lexicon_refuses_more_syllables_than_digits(n: int) -> None:
    with pytest.raises(ValueError, match="give 1 to 10"):
        make_lexicon(n)


def test_a_quarter_of_the_handwriting_is_held_out_and_never_trained_on() -> None:
    n = len(load_digits().target)
    train, held = split_indices("train", n), split_indices("heldout", n)
    assert not set(train) & set(held)
    assert len(train) + len(held) == n
    assert abs(len(held) / n - 0.25) < 0.01
    assert (held % 4 == 3).all()


def test_glyphs_are_of_the_digit_they_are_filed_under() -> None:
    digits = load_digits()
    labels = digits.target[split_indices("heldout", len(digits.target))]
    for digit, rows in enumerate(glyph_bank("heldout").by_digit):
        assert (labels[rows] == digit).all()


@pytest.mark.parametrize("kind", KINDS)
def test_samples_depend_on_their_arguments_only(kind: str) -> None:
    first, again = make_sample(kind, 3), make_sample(kind, 3)
    assert np.array_equal(first.page.pixels, again.page.pixels)
    assert (first.question, first.answer) == (again.question, again.answer)
    others = [
        make_sample(kind, 4),
        make_sample(kind, 3, seed=1),
        make_sample(kind, 3, split="train"),
    ]
    for other in others:
        assert not np.array_equal(first.page.pixels, other.page.pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_say_what_the_page_says(kind: str) -> None:
    for index in range(12):
        sample = make_sample(kind, index)
        codes, text = sample.page.codes, sample.answer
        numbers = [int(n) for n in sample.question.replace("?", " ").split() if len(n) == 1]
        if kind == "yesno":
            assert text == ("Yes" if int(codes[numbers[1] - 1][numbers[0] - 1]) % 2 else "No")
        elif kind == "digit":
            assert text == codes[numbers[1] - 1][numbers[0] - 1]
        elif kind == "code":
            assert text.endswith(f"{codes[numbers[0] - 1]}.")
        elif kind == "transcribe":
            assert text.split("\n") == list(codes)
        else:
            assert all(f"Row {i + 1} at" in text and code in text for i, code in enumerate(codes))


def test_codes_begin_clearly_left_in_the_middle_or_right() -> None:
    pages = [make_sample("describe", i).page for i in range(60)]
    begins = {(side, left) for p in pages for side, left in zip(p.sides, p.lefts, strict=True)}
    assert {left for side, left in begins if side == "left"} == set(range(13))
    assert {left for side, left in begins if side == "middle"} == set(range(18, 31))
    assert {left for side, left in begins if side == "right"} == set(range(36, 49))


def test_yes_and_no_are_both_asked_for() -> None:
    answers = {make_sample("yesno", i).answer for i in range(20)}
    assert answers == {"Yes", "No"}


def test_ink_lies_where_the_page_says() -> None:
    page = make_sample("transcribe", 0).page
    assert page.pixels.shape == (PAGE_SIZE, PAGE_SIZE, 3)
    for left, top in zip(page.lefts, page.tops, strict=True):
        row = page.pixels[top : top + 14].astype(float).mean(axis=(0, 2))
        inside = row[left : left + 48].mean()
        outside = np.delete(row, np.arange(left, left + 48)).mean()
        assert inside < outside - 10


def test_unknown_kind_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"unknown task kind 'poem'; known kinds: yesno"):
        make_sample("poem", 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_answer_scores_one_and_an_empty_one_nothing(kind: str) -> None:
    sample = make_sample(kind, 0)
    right, empty = sample.score(sample.answer), sample.score("")
    assert (right.score, right.exact, right.rows, right.symbols) == (1, 1, 1, 1)
    assert (empty.score, empty.exact, empty.rows, empty.symbols) == (0, 0, 0, 0)


@pytest.mark.parametrize("kind", ["transcribe", "describe"])
def test_one_wrong_row_costs_one_row(kind: str) -> None:
    sample = make_sample(kind, 1)
    code = sample.page.codes[2]
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
    places = [i for i, c in enumerate(sample.page.codes) if c == code]
    score = sample.score(sample.answer.replace(code, wrong))
    assert score.rows == pytest.approx((N_ROWS - len(places)) / N_ROWS)
    assert score.exact == 0


def test_extra_rows_count_against_an_answer() -> None:
    sample = make_sample("transcribe", 0)
    score = sample.score(sample.answer + "\n1234")
    assert score.rows == pytest.approx(6 / 7)
