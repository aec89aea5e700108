"""The same runs as event files, read back by TensorBoard's own reader."""

from collections.abc import Callable
from pathlib import Path

import pytest

from saccade.studies.analysis.summary import Summary
from saccade.studies.tracking.from_study import study_runs
from saccade.studies.tracking.tensorboard_sink import TensorBoardSink

pytest.importorskip("tensorboard")


def send(summary: Summary, folder: Path) -> None:
    sink = TensorBoardSink(folder)
    for run in study_runs([summary]):
        sink.send(run)


def test_series_figures_and_tables_are_there_once(
    study: Callable[..., Summary], tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    send(study(3), tmp_path)
    summary = study()
    send(summary, tmp_path)
    send(summary, tmp_path)
    (own,) = (tmp_path / "made-up").glob("half-*")
    known = EventAccumulator(str(own)).Reload()
    assert len(list(own.iterdir())) == 2, "nothing is written where nothing is new"
    for task in ("yesno", "code"):
        points = [(e.step, e.value) for e in known.Scalars(f"{task}/confidence")]
        assert points == [(0, 0.25), (1, 0.5), (2, 0.75)]
    (row,) = (r for r in summary.rows() if (r["case"], r["task"]) == ("half", "code"))
    assert known.Scalars("summary/code/macs")[-1].value == row["macs"]
    assert "samples/yesno/0" in known.Tags()["images"]
    (text, *_) = known.Tensors("samples/yesno/text_summary")
    shown = text.tensor_proto.string_val[0].decode()
    assert "<script>" not in shown and "broke" in shown
