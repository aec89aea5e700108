"""What commands say while a model is loaded."""

import logging
from pathlib import Path

import pytest

from saccade.studies.cli import inputs, loading_shown
from saccade.studies.cli.loading_shown import LOGGER, bar_if_slow, told
from tests.tiny import tiny_model


def test_one_line_says_what_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_model().save_pretrained(tmp_path)
    before = logging.getLogger(LOGGER).level
    inputs.load_model(str(tmp_path))
    said = capsys.readouterr().err
    assert said.count("note:") == 1 and f"note: loading {tmp_path}: " in said and " free" in said
    assert logging.getLogger(LOGGER).level == before and not logging.getLogger(LOGGER).handlers
    inputs.load_model("embedded/llada-v")
    assert capsys.readouterr().err == ""


def test_warnings_are_shown_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger(LOGGER)
    with told(logging.WARNING):
        log.info("not this")
        log.warning("but %s", "this")
    assert capsys.readouterr().err == "warning: but this\n"


@pytest.mark.parametrize(("slow", "shown"), [(-1.0, True), (60.0, False)])
def test_a_bar_is_shown_where_it_takes_long(
    slow: float, shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loading_shown, "SLOW", slow)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with bar_if_slow() as show:
        show(2 * 10**9, 8 * 10**9)
    assert ("reading weights" in capsys.readouterr().err) == shown
