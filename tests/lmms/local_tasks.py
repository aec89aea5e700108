"""A local task for each of the twelve benchmarks: the official YAML on a few documents of ours.

Prompts, filters and scoring stay the official ones; nothing is fetched. Two of the tasks show
videos, which lmms-eval looks for below HF_HOME: `write_tasks` writes them there.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

LOCAL = "local"
"""Ending of the tasks' names."""


def picture(shade: int) -> Image.Image:
    """A picture of our own: one shade with a darker square."""
    pixels = np.full((64, 64, 3), shade, np.uint8)
    pixels[16:32, 16:32] //= 2
    return Image.fromarray(pixels)


def _mmbench(index: int, question: str, answer: str) -> dict[str, Any]:
    words = {"A": "red", "B": "blue", "C": "green", "D": "grey"}
    rest = {"hint": "nan", "source": "ours", "split": "dev", "L2-category": "colour"}
    return {
        "index": index,
        "question": question,
        "answer": answer,
        "category": "shade",
        **words,
    } | rest


TASKS: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "mme": (
        "mme/mme.yaml",
        "test",
        [
            {
                "question_id": "a.png",
                "question": "Is it grey?",
                "answer": "Yes",
                "category": "color",
            },
            {"question_id": "a.png", "question": "Is it red?", "answer": "No", "category": "color"},
            {
                "question_id": "b.png",
                "question": "Is it a code?",
                "answer": "Yes",
                "category": "code_reasoning",
            },
            {
                "question_id": "b.png",
                "question": "Is it a face?",
                "answer": "No",
                "category": "code_reasoning",
            },
        ],
    ),
    "scienceqa_img": (
        "scienceqa/scienceqa_img.yaml",
        "test",
        [
            {"hint": "", "question": "Which one?", "choices": ["ice", "fire"], "answer": 0},
            {
                "hint": "It burns.",
                "question": "Which one?",
                "choices": ["ice", "fire"],
                "answer": 1,
            },
        ],
    ),
    "gqa": (
        "gqa/gqa.yaml",
        "testdev",
        [
            {"question": "What is it?", "answer": "square"},
            {"question": "Which colour?", "answer": "grey"},
            {"question": "Is it big?", "answer": "no"},
        ],
    ),
    "pope": (
        "pope/pope.yaml",
        "test",
        [
            {"question_id": 1, "question": "Is there a dog?", "answer": "no"},
            {"question_id": 2, "question": "Is there a square?", "answer": "yes"},
            {"question_id": 3, "question": "Is there a cat?", "answer": "no"},
        ],
    ),
    "mmbench_en_dev_static": (
        "mmbench/mmbench_en_dev_static.yaml",
        "dev",
        [
            _mmbench(1, "Which colour?", "D"),
            _mmbench(1_000_001, "Which colour?", "D"),
            _mmbench(2, "Which colour is the square?", "B"),
        ],
    ),
    "textvqa_val": (
        "textvqa/textvqa_val.yaml",
        "validation",
        [
            {
                "question_id": 1,
                "question": "what does it say?",
                "answers": ["stop"] * 3 + ["go"] * 7,
                "ocr_tokens": [],
            },
            {
                "question_id": 2,
                "question": "which number?",
                "answers": ["7"] * 10,
                "ocr_tokens": [],
            },
        ],
    ),
    "chartqa": (
        "chartqa/chartqa.yaml",
        "test",
        [
            {"question": "How many?", "answer": "100", "type": "human_test"},
            {"question": "How many?", "answer": "100", "type": "augmented_test"},
            {"question": "Which bar?", "answer": "North", "type": "augmented_test"},
        ],
    ),
    "mmmu_pro_vision": (
        "mmmu_pro/mmmu_pro_vision.yaml",
        "test",
        [
            {"id": "1", "subject": "Art", "answer": "A"},
            {"id": "2", "subject": "Physics", "answer": "B"},
        ],
    ),
    "infovqa_val": (
        "infovqa/infovqa_val.yaml",
        "validation",
        [
            {"questionId": 1, "question": "Which year?", "answers": ["1999"]},
            {"questionId": 2, "question": "Which town?", "answers": ["Oslo", "Oslo city"]},
        ],
    ),
    "docvqa_val": (
        "docvqa/docvqa_val.yaml",
        "validation",
        [
            {"questionId": 1, "question": "Which total?", "answers": ["12.50"]},
            {"questionId": 2, "question": "Who signed?", "answers": ["Ada"]},
        ],
    ),
    "videomme": (
        "videomme/videomme.yaml",
        "test",
        [
            {"videoID": "grows", "question_id": "1", "question": "What happens?", "answer": "A"},
            {"videoID": "grows", "question_id": "2", "question": "Which colour?", "answer": "C"},
        ],
    ),
    "video_dc499": (
        "video_detail_description/video_detail_description.yaml",
        "test",
        [
            {"video_name": "grows", "question": "Describe the video.", "answer": "A square grows."},
            {
                "video_name": "grows",
                "question": "Describe it in detail.",
                "answer": "A grey square grows.",
            },
        ],
    ),
}
"""Official YAML, split and documents of each."""
VIDEOS = ("videomme", "video_dc499")
VIDEO_PLACES = ("videomme/data", "videochatgpt/Test_Videos")
MORE: dict[str, dict[str, Any]] = {
    "videomme": {
        "options": ["A. It grows.", "B. It falls.", "C. It shines.", "D. It ends."],
        "duration": "short",
        "domain": "Knowledge",
        "sub_category": "Astronomy",
        "task_type": "Counting Problem",
    }
}


def write_tasks(
    folder: Path, home: Path, names: Sequence[str] = tuple(TASKS), repeat: int = 1
) -> list[str]:
    """Write local tasks; gives their names.

    Parameters
    ----------
    folder : Path
        What ``--include_path`` takes.
    home : Path
        What HF_HOME will be.
    names : sequence of str
        Of the official tasks.
    repeat : int
        How often each has its documents.
    """
    import lmms_eval

    folder.mkdir(parents=True, exist_ok=True)
    official = Path(lmms_eval.__file__).parent / "tasks"
    for name in names:
        file, split, documents = TASKS[name]
        own = [
            {**MORE.get(name, {}), **_numbered(document, turn)}
            for turn in range(repeat)
            for document in documents
        ]
        data = folder / f"{name}.parquet"
        _write_documents(data, own, pictured=name not in VIDEOS)
        changed = {
            "include": str(official / file),
            "task": f"{name}_{LOCAL}",
            "tag": [],
            "dataset_path": "parquet",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": {split: str(data)}},
            "test_split": split,
        }
        if name == "gqa":
            changed["process_docs"] = None  # the official one fetches the pictures
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    if set(names) & set(VIDEOS):
        for place in VIDEO_PLACES:
            write_video(home / place / "grows.mp4")
    return [f"{name}_{LOCAL}" for name in names]


def _numbered(document: dict[str, Any], turn: int) -> dict[str, Any]:
    """A document as another one: MME pairs questions by this id."""
    own = document.get("question_id")
    return (
        {**document, "question_id": f"{turn}-{own}"} if turn and isinstance(own, str) else document
    )


def _write_documents(path: Path, documents: list[dict[str, Any]], pictured: bool) -> None:
    from datasets import Dataset
    from datasets import Image as ImageFeature

    rows = [
        {**document, **({"image": picture(90 + 20 * place % 120)} if pictured else {})}
        for place, document in enumerate(documents)
    ]
    made = Dataset.from_list(rows)
    if pictured:
        made = made.cast_column("image", ImageFeature())
    made.to_parquet(str(path))


def write_video(path: Path, frames: int = 40) -> None:
    """A video of so many frames, frame t of the shade 5 t."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            pixels = np.full((64, 64, 3), 5 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def environment(home: Path) -> dict[str, str]:
    """Variables of a process that runs them, without a network."""
    return {
        **os.environ,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
