"""`saccade.Study`: the figures of `study show`, fronts and comparisons, and its errors."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import saccade
from saccade.studies.analysis.pairs import Pair, pairs_of
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.reports.study import COMPARED
from saccade.studies.runs.model_folders import write_models
from saccade.studies.runs.record import Record
from tests.studies.conftest import write_run

Made = Callable[..., Path]
HOSTILE = "<script>alert(1)</script>"


def changed(record: Record) -> Record:
    """The case "half" is twice as fast, breaks sample 0 and rewrites sample 1."""
    if record.case == "none":
        return replace(record, score=0.0) if record.sample == 2 else record
    own = replace(record, seconds=0.4, macs=400, answer="No" if record.sample < 2 else "Yes")
    return replace(own, score=0.0) if record.sample == 0 else own


def test_tables_hold_the_figures_of_show(config: StudyConfig, made_run: Made) -> None:
    study = saccade.Study(made_run(config, changed))
    table = study.table()
    assert list(table.columns[:3]) == ["model", "task", "case"] and len(table) == 4
    shown = study.summaries[0].to_json()["cases"]
    for row, told in zip(table.to_dict("records"), shown, strict=True):
        for name, value in told.items():
            if name != "backbone":
                assert row[name] == value or (value is None and row[name] != row[name]), name
    assert study.models == [config.model] and study.cases == ["none", "half"]
    assert study.tasks == ["yesno", "code"] and study.baseline == "none" and study.finished


def test_what_is_not_defined_is_a_number_that_is_none(config: StudyConfig, made_run: Made) -> None:
    table = saccade.Study(made_run(config)).table()
    assert table.score_seed_se.isna().all() and table.score_seed_se.dtype == "float64"


@pytest.mark.parametrize("axis", ["speedup", "speedup_ideal"])
def test_the_front_is_what_no_case_beats(axis: str, config: StudyConfig, made_run: Made) -> None:
    def slow(record: Record) -> Record:
        return changed(record) if record.task == "code" else replace(record, seconds=5.0)

    front = saccade.Study(made_run(config, slow)).front(axis)
    assert list(front[front.task == "code"].case) == ["half"]
    assert set(front[front.task == "yesno"].score) == {1.0}
    with pytest.raises(ValueError, match="axis='steps'; allowed: 'speedup'"):
        saccade.Study(made_run(config, slow)).front("steps")


def test_a_comparison_pairs_the_samples(config: StudyConfig, made_run: Made) -> None:
    study = saccade.Study(made_run(config, changed))
    first, _ = study.compare("half", "none").to_dict("records")
    assert (first["n"], first["broke"], first["fixed"]) == (5, 1, 1)
    assert first["score"] == first["score_baseline"] == pytest.approx(0.8)
    assert first["change"] == 0 and first["answers_changed"] == pytest.approx(0.4)
    assert first["speedup"] == pytest.approx(2.0) and first["speedup_ideal"] == pytest.approx(2.0)
    assert first["speedup_low"] <= first["speedup"] <= first["speedup_high"]
    assert study.compare("half").equals(study.compare("half", "none"))
    back = study.compare("none", "half").to_dict("records")[0]
    assert back["speedup"] == pytest.approx(0.5) and back["broke"] == 1


def test_it_agrees_with_the_summary(config: StudyConfig, made_run: Made) -> None:
    study = saccade.Study(made_run(config, changed))
    own = study.table().query("case == 'half'").to_dict("records")
    pairs = {"change": "score_change", "change_se": "score_change_se"}
    same = {name: name for name in ("n", "score", "speedup", "speedup_low", "speedup_high")}
    for row, told in zip(own, study.compare("half").to_dict("records"), strict=True):
        for ours, theirs in (pairs | same | {"speedup_ideal": "speedup_ideal"}).items():
            assert told[ours] == row[theirs], ours


def test_it_has_the_figures_of_the_report(config: StudyConfig, made_run: Made) -> None:
    study = saccade.Study(made_run(config, changed))
    same = [name for name in COMPARED if name in Pair.__dataclass_fields__]
    assert {"p_value", "change_low", "worse", "least_effect", "speedup_low", "broke"} <= set(same)
    pairs = [own for own in pairs_of(study.summaries[0]).rows if own.case == "half"]
    for row, pair in zip(study.compare("half").to_dict("records"), pairs, strict=True):
        told = {name: (row[name], getattr(pair, name)) for name in same}
        assert all(a == b or (a != a and b != b) for a, b in told.values()), told
        assert row["answers_changed"] == pair.changed


def test_the_exact_test_counts_what_changed(config: StudyConfig, made_run: Made) -> None:
    def worse(record: Record) -> Record:
        return replace(record, score=0.0) if record.case == "half" else record

    config = config.model_copy(update={"samples": 6})
    study = saccade.Study(made_run(config, worse))
    row = study.compare("half").to_dict("records")[0]
    assert (row["worse"], row["better"], row["pictures"]) == (6, 0, 6)
    assert row["p_value"] == pytest.approx(2 / 2**6) and row["change"] == -1
    back = study.compare("none", "half").to_dict("records")[0]
    assert back["p_value"] == row["p_value"] and (back["worse"], back["better"]) == (0, 6)


def test_pictures_that_are_gone_are_told(
    config: StudyConfig, made_run: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> tuple[list[int], str]:
        return list(range(5)), "the questions of yesno cannot be read"

    study = saccade.Study(made_run(config, changed))
    monkeypatch.setattr("saccade.studies.analysis.pairs.picture_clusters", gone)
    with pytest.warns(UserWarning, match="embedded/llada-v: the questions of yesno cannot be read"):
        study.compare("half")


def two_models(config: StudyConfig, folder: Path) -> saccade.Study:
    """A study whose case "half" runs on the first model alone."""
    names = ("embedded/llada-v", "embedded/lavida-dream")
    none, half = config.cases
    every = config.model_copy(
        update={"models": names, "cases": (none, half.model_copy(update={"models": names[:1]}))}
    )
    write_models(folder, every)
    for name, cases in zip(names, (config.cases, (none, Case(name="third"))), strict=True):
        own = config.model_copy(update={"model": name, "cases": cases})
        write_run(folder / name.replace("/", "-"), own, changed)
    return saccade.Study(folder)


def test_several_models_are_compared_each_with_itself(config: StudyConfig, tmp_path: Path) -> None:
    study = two_models(config, tmp_path / "two")
    assert study.cases == ["none", "half", "third"] and "2 models" in repr(study)
    assert set(study.table().model) == set(study.models) and len(study.table()) == 8
    assert set(study.compare("half").model) == {"embedded/llada-v"}
    with pytest.raises(
        saccade.StudyError,
        match="no model has answers of both 'half' and 'third'; 'half' has answers of "
        "embedded/llada-v, 'third' has answers of embedded/lavida-dream",
    ):
        study.compare("half", "third")
    assert study._repr_html_().count("<table") == 2


def test_unfinished_studies_say_so(config: StudyConfig, made_run: Made) -> None:
    study = saccade.Study(made_run(config, changed, units=4))
    assert not study.finished and "unfinished: 4 of 6 units" in repr(study)
    assert list(study.compare("half").n) == [5, 2]
    empty = saccade.Study(made_run(config, units=0))
    assert len(empty.table()) == len(empty.front()) == 0
    with pytest.raises(saccade.StudyError, match="'half' has answers of no model"):
        empty.compare("half")


def test_names_that_the_study_lacks_are_errors(config: StudyConfig, made_run: Made) -> None:
    study = saccade.Study(made_run(config))
    with pytest.raises(saccade.UnknownNameError, match=r"unknown case 'hal'; did you mean half\?"):
        study.compare("hal")
    with pytest.raises(saccade.UnknownNameError, match="in this study: none, half"):
        study.compare("half", "nobody")


def test_folders_that_hold_no_study_are_errors(tmp_path: Path) -> None:
    with pytest.raises(saccade.StudyError, match="no folder of results at .*missing; make one"):
        saccade.Study(tmp_path / "missing")
    with pytest.raises(saccade.StudyError, match="no run in "):
        saccade.Study(tmp_path)
    (tmp_path / "tune.json").write_text("{}")
    with pytest.raises(saccade.StudyError, match="holds a search.*saccade tune show"):
        saccade.Study(tmp_path)


def test_names_are_text_in_notebooks_and_reports(config: StudyConfig, made_run: Made) -> None:
    none, half = config.cases
    hostile = config.model_copy(update={"cases": (none, half.model_copy(update={"name": HOSTILE}))})
    study = saccade.Study(made_run(hostile))
    assert HOSTILE not in study._repr_html_() and HOSTILE in study.cases
    page = study.report(study.folder / "report.html")
    assert HOSTILE not in page.read_text(encoding="utf-8")
