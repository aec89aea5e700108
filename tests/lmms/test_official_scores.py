"""The twelve official tasks on documents of ours: what they score is what one counts by hand."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("lmms_eval")
import saccade
from saccade.controller.trace import Generation
from saccade.studies.lmms.scores import benchmarks, scores_of
from tests.lmms.local_tasks import LOCAL, TASKS, write_tasks

VDC_VERDICTS = {"A square": 3, "A grey square grows slowly": 5}
"""Of answers without the full stop, which the published evaluation of LLaDA-V takes off."""
ANSWERS: dict[str, list[str]] = {
    "mme": ["Yes", "no.", "Yes", "yes"],
    "scienceqa_img": ["A", "A"],
    "gqa": ["Square", "red", "no."],
    "pope": ["No", "yes", "yes"],
    "mmbench_en_dev_static": ["D", "A", "B"],
    "textvqa_val": ["stop", "8"],
    "chartqa": ["104", "106", "north"],
    "mmmu_pro_vision": ["A", "A"],
    "infovqa_val": ["1989", "Oslo"],
    "docvqa_val": ["12.50", "Bob"],
    "videomme": ["A", "D"],
    "video_dc499": ["A square.", "A grey square grows slowly."],
}
"""What the model is made to say, document by document."""
OFFICIAL: dict[str, dict[str, float]] = {
    # A pair of MME gives 50 for each right answer and 100 more for both: 200 and 50 + 0.
    "mme": {"mme_perception_score": 200, "mme_cognition_score": 50},
    "scienceqa_img": {"exact_match": 1 / 2},
    # The full stop goes, and so does case.
    "gqa": {"exact_match": 2 / 3},
    # One of two yes is right, and the one yes there is was found: 2 * 1/2 * 1 / (3/2).
    "pope": {"pope_accuracy": 2 / 3, "pope_f1_score": 2 / 3},
    # Question 1 is wrong in its rotation, so one of the two questions is right.
    "mmbench_en_dev_static": {"gpt_eval_score": 50},
    # "stop" is three of ten answers: leaving each out in turn, 2/3 three times and 1 seven times.
    "textvqa_val": {"exact_match": (3 * 2 / 3 + 7) / 10 / 2},
    # 104 is within 5 % of 100, 106 is not.
    "chartqa": {
        "relaxed_overall": 2 / 3,
        "relaxed_human_split": 1,
        "relaxed_augmented_split": 1 / 2,
    },
    "mmmu_pro_vision": {"mmmu_acc": 1 / 2},
    # One of four digits differs: 3/4.
    "infovqa_val": {"anls": (3 / 4 + 1) / 2},
    "docvqa_val": {"anls": 1 / 2},
    "videomme": {"videomme_perception_score": 50},
    "video_dc499": {"gpt_eval_score": 4},
}
MOST = {"mme": 400.0}
"""Of these documents, where it is not the benchmark's: MME gives 200 for each of its categories."""


class Scripted:
    """A model whose answers are given; all else of it is real."""

    def __init__(self, model: Any, said: Callable[[], str]) -> None:
        self._model, self._said = model, said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, **options: Any) -> list[Generation]:
        answers: list[Generation] = self._model.generate(**options)
        return [replace(answer, text=self._said()) for answer in answers]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Results of all twelve tasks, of one evaluation; answers come in the order of the tasks."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("tasks")
    before = dict(os.environ)
    os.environ |= {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    try:
        names = write_tasks(folder, home)
        yield _evaluate(folder, names, home / "answers")
    finally:
        os.environ.clear()
        os.environ |= before


def _evaluate(folder: Path, names: list[str], answers: Path) -> dict[str, Any]:
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    from saccade.studies.lmms.model import Saccade

    asked: list[tuple[str, int]] = []
    model = Saccade(
        Scripted(saccade.load("embedded/llada-v"), lambda: ANSWERS[asked[0][0]][asked.pop(0)[1]]),
        answers=answers,
    )
    prepare = model._prepare

    def noted(request: Any) -> Any:
        asked.append((request.task.removesuffix(f"_{LOCAL}"), request.document))
        return prepare(request)

    model._prepare = noted  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("requests.post", _judge)
        found: dict[str, Any] = simple_evaluate(
            model=model,
            tasks=names,
            task_manager=TaskManager("ERROR", include_path=str(folder)),
            cli_args=SimpleNamespace(output_path=str(answers), process_with_media=False),
            bootstrap_iters=0,
            verbosity="ERROR",
        )
    return found


def _judge(url: str, json: dict[str, Any], **_: Any) -> Any:
    """The verdict on the answer that a request quotes."""
    text = json["messages"][-1]["content"]
    score = next(v for said, v in VDC_VERDICTS.items() if f"Predicted Answer: {said}\n" in text)
    body = {"model": "m", "choices": [{"message": {"content": str({"score": score})}}]}
    return SimpleNamespace(json=lambda: body, raise_for_status=lambda: None)


@pytest.mark.parametrize("name", TASKS)
def test_official_scores_are_those_of_a_hand_calculation(
    name: str, evaluated: dict[str, Any]
) -> None:
    own = evaluated["results"][f"{name}_{LOCAL}"]
    found = {metric: own[f"{metric},none"] for metric in OFFICIAL[name]}
    assert found == pytest.approx(OFFICIAL[name])


@pytest.mark.parametrize("name", TASKS)
def test_scores_of_answers_have_the_official_score_as_their_mean(
    name: str, evaluated: dict[str, Any]
) -> None:
    benchmark = benchmarks()[name]
    scores = scores_of(evaluated["samples"][f"{name}_{LOCAL}"], list(OFFICIAL[name]))
    assert len(scores) == len(ANSWERS[name])
    wanted = sum(OFFICIAL[name].values()) if name == "mme" else OFFICIAL[name][benchmark.metric]
    most = MOST.get(name, benchmark.most)
    assert sum(scores) / len(scores) == pytest.approx(wanted / most)


def test_figures_of_every_answer_are_told(evaluated: dict[str, Any]) -> None:
    told = evaluated["throughput"]
    assert told["avg_steps"] > 0 and told["avg_macs"] > 0
    assert told["avg_visual_tokens_ratio"] == 1  # the bare model
    n = sum(map(len, ANSWERS.values()))
    assert told["avg_latency"] == pytest.approx(told["total_elapsed_time"] / n)
