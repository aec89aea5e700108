"""The same runs as event files, read back by TensorBoard's own reader."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.studies.analysis.summary import Summary
from saccade.studies.tracking.from_study import study_runs
from saccade.studies.tracking.scatter import front_figure
from saccade.studies.tracking.sink import Grid, Mask, Picture, TrackedRun
from saccade.studies.tracking.tensorboard_sink import TensorBoardSink
from saccade.studies.tracking.token_masks import DROPPED, KEPT

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


def test_masks_stand_beside_their_picture_and_fronts_are_drawn(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = io.BytesIO()
    Image.new("RGB", (8, 4), (200, 200, 200)).save(out, "PNG")
    mask = Mask(((KEPT, DROPPED),), {})
    picture = Picture(out.getvalue(), "sample | 3", {"visual tokens": mask})
    run = TrackedRun(
        *("id-000001", "a/../b", "g", "case"),
        {"case": "a"},
        {"code/score": 0.5, "state": "done"},
        tables={"samples/code": Grid(("picture",), ((picture,),))},
        figures={"front": front_figure([(1.0, 0.5, "a")], [], "x", "y")},
    )
    TensorBoardSink(tmp_path).send(run)
    (own,) = (tmp_path / "g").iterdir()
    known = EventAccumulator(str(own)).Reload()
    assert set(known.Tags()["images"]) == {"samples/code/0", "front"}
    (image,) = known.Images("samples/code/0")
    pixels = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)))
    assert pixels.shape == (4, 16, 3)
    assert (pixels[:, :12] == 200).all() and (pixels[:, 12:] == 50).all()
    text = known.Tensors("samples/code/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "sample &#124; 3" in text
    assert "_hparams_/session_start_info" in known.summary_metadata
