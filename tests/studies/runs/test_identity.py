"""A run keeps its id when it goes on or is copied; another run of the same recipe has another."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from saccade.studies.analysis.summary import summarise
from saccade.studies.config.study import StudyConfig, plan_units
from saccade.studies.runs.identity import IDENTITY, give_identity, identity_of
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import RecordStore


def answer(
    folder: Path,
    config: StudyConfig,
    recipe_of: Callable[[StudyConfig], dict[str, object]],
    blank: Callable[..., Record],
    units: int,
) -> str | None:
    """Answer so many units more in a folder; the id that its summary says."""
    with RecordStore(folder, recipe_of(config), config) as store:
        left = [u for u in plan_units(config) if (u.task, u.number) not in store.done]
        for unit in left[:units]:
            own = [
                blank(case.name, unit.task, sample, unit.number)
                for case in config.cases
                for sample in unit.samples
            ]
            store.append(unit, own)
    return summarise(folder).identity


def test_it_stays_with_the_folder_and_its_copies(
    tmp_path: Path,
    config: StudyConfig,
    recipe_of: Callable[..., object],
    blank: Callable[..., Record],
) -> None:
    before = answer(tmp_path / "a", config, recipe_of, blank, 1)
    after = answer(tmp_path / "a", config, recipe_of, blank, 2)
    assert before == after is not None
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    assert answer(tmp_path / "copy", config, recipe_of, blank, 1) == before
    longer = config.model_copy(update={"samples": 7, "grown": (5,)})
    assert answer(tmp_path / "a", longer, recipe_of, blank, 1) == before, "extended"


def test_another_folder_is_another_run(
    tmp_path: Path,
    config: StudyConfig,
    recipe_of: Callable[..., object],
    blank: Callable[..., Record],
) -> None:
    ids = {answer(tmp_path / name, config, recipe_of, blank, 1) for name in "ab"}
    assert len(ids) == 2 and None not in ids


def test_a_run_that_begins_anew_is_another(
    tmp_path: Path,
    config: StudyConfig,
    recipe_of: Callable[..., object],
    blank: Callable[..., Record],
) -> None:
    before = answer(tmp_path, config, recipe_of, blank, 1)
    shutil.rmtree(tmp_path / "units")
    assert answer(tmp_path, config, recipe_of, blank, 1) != before


@pytest.mark.parametrize("text", [None, "", "../../x", "a" * 31, b"\xff" * 32])
def test_one_that_is_missing_or_damaged_is_made_when_the_run_goes_on(
    tmp_path: Path, text: str | bytes | None
) -> None:
    if text is not None:
        (tmp_path / IDENTITY).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert identity_of(tmp_path) is None
    give_identity(tmp_path, new=False)
    made = identity_of(tmp_path)
    give_identity(tmp_path, new=False)
    assert made is not None and identity_of(tmp_path) == made
