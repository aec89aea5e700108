"""``saccade report``: one page, or tables, about anything that was measured."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from saccade.studies.cli import app
from saccade.studies.config.study import StudyConfig
from tests.studies.conftest import write_run


@pytest.fixture
def folder(config: StudyConfig, tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", config, lambda record: record)


def invoke(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "140"}).invoke(app, ["report", *map(str, words)])


def test_a_page_is_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(folder)
    assert result.exit_code == 0, result.output
    assert "report written to report.html" in result.stderr and not result.stdout
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and len(page.encode()) < 6e6


@pytest.mark.parametrize("form, start", [("md", "Short"), ("csv", "study,"), ("latex", "% Short")])
def test_tables_are_printed(form: str, start: str, folder: Path, tmp_path: Path) -> None:
    result = invoke(folder, "--format", form)
    assert result.exit_code == 0 and result.stdout.startswith(start)
    file = tmp_path / "table.txt"
    assert invoke(folder, "--format", form, "-o", file).exit_code == 0
    assert file.read_text(encoding="utf-8") == result.stdout


@pytest.mark.slow
def test_what_is_sent_waits_beside_the_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    words = (folder, "--format", "csv", "--tensorboard", tmp_path / "tb", "--wandb")
    result = invoke(*words)
    assert result.exit_code == 0 and result.stdout.startswith("study,"), result.output
    assert "to send it and its runs: saccade report --wandb-publish" in result.stderr
    sent = sorted(path.name for path in (folder / "wandb").glob("offline-run-*"))
    assert len(sent) == 4 and (folder / "wandb" / "report.json").is_file()
    assert (tmp_path / "tb" / "sent.json").is_file()
    assert invoke(*words).stdout == result.stdout
    assert sent == sorted(path.name for path in (folder / "wandb").glob("offline-run-*"))
    failed = invoke("--wandb-publish", folder)
    assert failed.exit_code == 1 and "WANDB_MODE is not online" in failed.stderr


Words = Callable[[Path], list[object]]


@pytest.mark.parametrize(
    "words, said",
    [
        (lambda own: [own, "--baseline", "full"], "known"),
        (lambda own: [own, "--format", "pdf"], "latex"),
        (lambda own: [own.parent / "none"], "no results at"),
        (lambda own: [own, "-o", own.parent / "none" / "r.html"], "none"),
        (lambda own: [own / "units"], "nothing to show in"),
        (lambda own: [], "give one of RUN..., --from-wandb and --wandb-publish"),
        (lambda own: [own, "--wandb-publish", own], "not RUN and --wandb-publish"),
        (lambda own: ["--wandb", own], "these are results, not a project"),
        (lambda own: ["--from-wandb", "a/b/c", "--wandb"], "goes not with --from-wandb"),
        (lambda own: ["--from-wandb", "a/b"], "give ENTITY/PROJECT/GROUP"),
        (lambda own: ["--wandb-publish", own], "nothing to publish in"),
        (lambda own: [own, "--wandb", "a:b"], "give PROJECT or ENTITY/PROJECT"),
    ],
    ids=[
        *("baseline", "format", "path", "out", "nothing", "none", "two"),
        *("swallowed", "there already", "no group", "nothing waits", "no project"),
    ],
)
def test_mistakes_end_in_one_clear_line(words: Words, said: str, folder: Path) -> None:
    result = invoke(*words(folder))
    assert result.exit_code == 2, result.output
    assert said in result.stderr and "Traceback" not in result.stderr
