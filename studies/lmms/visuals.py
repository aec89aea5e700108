"""What a task of lmms-eval shows: pictures, or one video by its path."""

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FRAMES = 32
"""Frames of a video that the published evaluations show."""


def seen(visuals: Sequence[Any], frames: int = FRAMES) -> dict[str, Any]:
    """Arguments of `Model.prepare` for what a request shows.

    Parameters
    ----------
    visuals : sequence
        Pictures, or the path of one video.
    frames : int
        To take of a video, evenly from its first to its last.

    Raises
    ------
    ValueError
        For several videos, a video among pictures, or what is neither.
    """
    paths = [one for one in visuals if isinstance(one, str)]
    if paths and len(visuals) > 1:
        raise ValueError(f"{len(visuals)} visuals with the video {paths[0]}; give one video alone")
    if paths:
        return {"video": read_frames(paths[0], frames)}
    others = [one for one in visuals if not isinstance(one, Image.Image)]
    if others:
        raise ValueError(f"a visual is a {type(others[0]).__name__}; give pictures or one video")
    return {"images": list(visuals)}


def read_frames(path: str, frames: int) -> NDArray[np.uint8]:
    """Frames (T, H, W, 3) of a video, as lmms-eval samples them; all of a video with fewer.

    Raises
    ------
    ImportError
        Without PyAV.
    """
    if importlib.util.find_spec("av") is None:
        raise ImportError(f"the video {path} needs PyAV; pip install 'saccade-dmllm[lmms]'")
    from lmms_eval.models.model_utils.load_video import read_video

    pixels: NDArray[np.uint8] = np.ascontiguousarray(read_video(path, num_frm=frames))
    return pixels
