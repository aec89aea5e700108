"""A search on the tiny model, which other processes can make, too."""

from pathlib import Path
from typing import Any

from saccade.tuning.evaluate import Evaluation
from saccade.tuning.goal import Goal
from saccade.tuning.search import Job
from saccade.tuning.setting import NOTHING, Setting
from saccade.tuning.splits import split_samples
from saccade.tuning.storage import default_url
from tests.tuning.tiny_task import SETTINGS, PageTask, word_model

FIRST = {"none": NOTHING, "half": Setting.of("after_share(share=0.0, keep=0.5)", "uniform()")}
NARROWING = {"after_share.share": {"choices": [0.0, 0.5]}, "after_share.keep": [0.1, 0.9]}


def evaluation(n: int = 4, label_free: bool = False, batch: int = 2) -> Evaluation:
    samples = split_samples(PageTask(), "tune", n)
    return Evaluation(word_model(), samples, SETTINGS, label_free=label_free, batch=batch)


def job(folder: Path, trials: int = 8, goal: Goal | None = None, **changes: Any) -> Job:
    given: dict[str, Any] = {
        "url": default_url(folder),
        "study": "tiny",
        "recipe": {"model": "tiny", "task": "pages"},
        "goal": goal or Goal(max_drop=1.0),
        "policies": ["after_share(hold=True)"],
        "pruners": ["uniform()", "divprune()"],
        "narrowing": NARROWING,
        "first": FIRST,
        "make": evaluation,
        "trials": trials,
    }
    return Job(**(given | changes))
