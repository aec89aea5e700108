"""Answers of a real run are given again for their masks; what cannot be is said in a word."""

import pickle
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from saccade.studies.analysis.summary import Summary, summarise
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.runs.record import RECORD
from saccade.studies.runs.runner import run_study
from saccade.studies.tracking import answer_masks
from saccade.studies.tracking.answer_masks import AnswerMasks, later_masks
from saccade.studies.tracking.from_study import study_runs
from saccade.studies.tracking.sink import Picture
from saccade.studies.tracking.token_masks import DROPPED, KEPT, SIDE


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study whose second case reads a quarter of the visual tokens."""
    cases = (
        Case(name="none"),
        Case(name="quarter", policy="after_share(share=0.0, keep=0.25)", pruner="random()"),
    )
    config = StudyConfig(name="small", samples=2, batch=2, tasks=("yesno",), cases=cases)
    return run_study(config, tmp_path_factory.mktemp("masks") / "run", threads=1)


@pytest.fixture
def folder(quarter: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(quarter, tmp_path / "run"))


def pictures(folder: Path) -> dict[str, list[Picture]]:
    """Pictures of each case, whole; as another process gets them."""
    runs = pickle.loads(pickle.dumps(list(study_runs([summarise(folder)]))))
    grids = {run.name: run.tables["samples/yesno"] for run in runs if run.kind == "case"}
    return {name: grid.whole().pictures for name, grid in grids.items()}


def test_masks_are_those_of_the_recorded_answers(quarter: Path) -> None:
    found = pictures(quarter)
    assert [own.masks for own in found["none"]] == [{}, {}]
    assert all("every visual token was read" in own.caption for own in found["none"])
    n = summarise(quarter).records[0].n_visual
    for own in found["quarter"]:
        assert own.caption.endswith(f"{n // 4} of {n} visual tokens were left in the last step")
        (mask,) = own.masks.values()
        counts = Counter(cell for row in mask.cells for cell in row)
        assert counts == {KEPT: SIDE**2 // 4, DROPPED: SIDE**2 * 3 // 4}


def test_an_answer_that_differs_now_has_no_mask(folder: Path) -> None:
    (path,) = (folder / "units").glob("*.jsonl")
    records = [RECORD.validate_json(line) for line in path.read_bytes().splitlines()]
    changed = [replace(own, answer="<b>no</b>\n| `x` |" * 9) for own in records]
    path.write_bytes(b"".join(own.line() for own in changed))
    for own in pictures(folder)["quarter"]:
        assert not own.masks and "no mask: answered again it is not as recorded" in own.caption


def test_another_model_gives_no_mask(folder: Path) -> None:
    recipe = folder / "recipe.json"
    recipe.write_text(recipe.read_text().replace('.safetensors": "', '.safetensors": "0'))
    for own in pictures(folder)["quarter"]:
        assert not own.masks and "no mask: it" not in own.caption
        assert "is another model now" in own.caption


def test_what_takes_too_long_is_left(quarter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_masks, "TIME", 0.0)
    for own in pictures(quarter)["quarter"]:
        assert not own.masks and "there was no time to answer again" in own.caption


def test_text_says_which_masks_so_that_nothing_is_answered_to_know(quarter: Path) -> None:
    one, two = (list(study_runs([summarise(quarter)]))[1].tables for _ in range(2))
    assert repr(one) == repr(two) and "AnswerMasks(key=('quarter', 'yesno', 0, 0))" in repr(one)


def test_a_share_of_the_run_is_answered_again(study: Callable[..., Summary]) -> None:
    summary = study()
    summary.recipe["model_files"] = {"model.safetensors": "0"}
    half = [replace(r, seconds=1.5, visual_tokens_ratio=0.5) for r in summary.records]
    tables = [[r for r in half if (r.case, r.task) == ("half", task)] for task in ("yesno", "code")]
    found = later_masks(summary, tables)
    again = [key for key, one in found.items() if isinstance(one, AnswerMasks)]
    assert again == [("half", "yesno", 0, 0)], "2 s at least, and each answer took 1.5"
    many = replace(summary, records=[*half] * 50)  # 1 % of 1500 s
    found = later_masks(many, tables)
    assert len([one for one in found.values() if isinstance(one, AnswerMasks)]) == len(found) == 10
    assert not any(
        isinstance(one, AnswerMasks)
        for one in later_masks(replace(many, folder=None), tables).values()
    )
