"""What commands say before and after."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from saccade.studies.analysis.summary import Summary
from saccade.studies.tracking.sink import TrackedRun
from saccade.studies.tracking.tensorboard_sink import TensorBoardSink
from saccade.studies.tracking.track import open_sinks, track
from saccade.studies.tracking.wandb_sink import WandbSink


class Failing:
    """A sink that cannot be reached."""

    def send(self, run: TrackedRun) -> None:
        raise ConnectionError("gone")

    def close(self) -> Sequence[str]:
        return ()


def test_a_sink_that_fails_is_told_and_not_raised(study: Callable[..., Summary]) -> None:
    problems: list[str] = []
    assert track([study()], Failing(), tell=problems.append) == ()
    assert problems == ["nothing was sent to the tracker: ConnectionError: gone"]


def test_sinks_are_those_that_were_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    found = open_sinks(tmp_path, "team/mine", tmp_path / "tb").sinks
    assert found == [
        WandbSink(tmp_path, "mine", "team", seconds=300.0),
        TensorBoardSink(tmp_path / "tb"),
    ]


@pytest.mark.parametrize("extra", ["wandb", "tensorboard"])
def test_a_missing_tracker_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, extra: str
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "saccade.studies.tracking.track.find_spec", lambda n: None if n == extra else there(n)
    )
    given = {"wandb": "p"} if extra == "wandb" else {"tensorboard": tmp_path}
    with pytest.raises(ImportError, match=rf'pip install "saccade-dmllm\[{extra}\]"'):
        open_sinks(tmp_path, **given)


@pytest.mark.parametrize("name", ["", " ", "a/b/", "/a", "a:b", "x" * 129], ids=range(6))
def test_a_project_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="give PROJECT or ENTITY/PROJECT"):
        open_sinks(tmp_path, name)


@pytest.mark.parametrize("text", ["soon", "0", "nan", "1e9"])
def test_a_time_that_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setenv("SACCADE_TRACK_SECONDS", text)
    with pytest.raises(ValueError, match="must be a number of seconds"):
        open_sinks(tmp_path, None, tmp_path)
