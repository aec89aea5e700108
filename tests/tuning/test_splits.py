"""Three disjoint sets of samples, whatever the task."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.studies.tasks import tasks
from saccade.studies.tasks.question_files import QuestionFile
from saccade.tuning.splits import APART, SPLITS, split_indices, split_samples
from tests.tiny import fake_page
from tests.tuning.tiny_task import PageSample, PageTask


def test_drawn_samples_come_from_ranges_that_do_not_meet() -> None:
    ranges = [split_indices(PageTask(), split) for split in SPLITS]
    assert [len(own) for own in ranges] == [APART] * 3
    assert ranges[0][-1] < ranges[1][0] and ranges[1][-1] < ranges[2][0]
    assert ranges[0][0] > 100_000, "what studies ask begins at 0"


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 7), st.integers(0, 5))
def test_a_finite_task_is_cut_without_rest_and_pages_stay_together(
    n: int, shared: int, seed: int
) -> None:
    parts = [split_indices(PageTask(n, shared), split, seed) for split in SPLITS]
    assert Counter(i for part in parts for i in part) == Counter(range(n))
    pages = [{i // shared for i in part} for part in parts]
    assert not pages[0] & pages[1] and not pages[0] & pages[2] and not pages[1] & pages[2]
    if n >= 10 * shared:
        for part, share in zip(parts, (0.4, 0.3, 0.3), strict=True):
            assert abs(len(part) / n - share) < 0.1 + shared / n


def test_shares_are_met_exactly_where_no_picture_is_shared() -> None:
    assert [len(split_indices(PageTask(100), split, 3)) for split in SPLITS] == [40, 30, 30]


def test_the_seed_shuffles_and_nothing_else_does() -> None:
    one = list(split_indices(PageTask(100), "tune", 1))
    assert one == list(split_indices(PageTask(100), "tune", 1))
    assert one != list(split_indices(PageTask(100), "tune", 2))


def test_fewer_samples_are_the_first_of_more() -> None:
    few, many = (split_samples(PageTask(50), "test", n, 1) for n in (4, 9))
    assert few == many[:4] and all(isinstance(own, PageSample) and own.seed == 1 for own in many)


def test_questions_of_a_file_that_share_a_picture_by_content(tmp_path: Path) -> None:
    for name, page in (("a", 0), ("copy", 0), ("b", 1), ("c", 2)):
        fake_page(seed=page).save(tmp_path / f"{name}.png")
    row = '{{"image": {}, "question": "{}", "answer": "x"}}'
    rows = [
        row.format('"a.png"', "one"),
        row.format('"copy.png"', "two"),  # the same picture under another name
        row.format('["copy.png", "b.png"]', "three"),  # ties b to it
        row.format('"b.png"', "four"),
        row.format('"c.png"', "five"),
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(rows), encoding="utf-8")
    own = QuestionFile(
        name="q", file=tmp_path / "q.jsonl", gen_length=4, block_length=4, steps=2, metric="exact"
    )
    parts = [sorted(split_indices(own, split)) for split in SPLITS]
    assert sorted(filter(None, parts)) == [[0, 1, 2, 3], [4]]


def test_real_documents_of_the_splits_differ() -> None:
    task = tasks.make("code")
    seen = [split_samples(task, split, 3) for split in SPLITS]
    pages = {sample.images[0].tobytes() for part in seen for sample in part}
    assert len(pages) == 9


@pytest.mark.parametrize(
    ("split", "n", "seed", "words"),
    [
        ("tets", 1, 0, "did you mean test"),
        ("test", 0, 0, "n=0"),
        ("test", 4, 0, "has 3 samples; give as many or fewer"),
        ("test", 1, -1, "seed=-1"),
    ],
)
def test_what_is_wrong_is_said(split: str, n: int, seed: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        split_samples(PageTask(10), split, n, seed)
