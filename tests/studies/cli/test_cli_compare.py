"""``saccade generate``: what is told beside an answer, and the answer beside the model's own."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from saccade.backbones import loading
from saccade.studies.cli.generate import STREAMED, _shown
from saccade.studies.cli.progress import Steps
from saccade.studies.tasks.documents import EXAMPLES, KINDS, kind_of, make_sample
from tests.studies.cli.generating import SAMPLE, SHORT, answer, invoke


@pytest.mark.parametrize(
    "question", ["What is this?", "Describe the page.", "Which code is in row 7?", "describe"]
)
def test_an_unfamiliar_question_lists_the_known_ones(page: Path, question: str) -> None:
    said = " ".join(invoke(page, question, *SHORT).stderr.split())
    assert "know these questions alone" in said
    for known in EXAMPLES.values():
        assert known in said


def test_a_known_question_of_other_lengths_gets_them_told(page: Path) -> None:
    known = "--gen-length 16 --block-length 16 --steps 8"
    assert known in " ".join(invoke(page, SAMPLE.question, *SHORT).stderr.split())
    assert known not in invoke(page, SAMPLE.question, "--gen-length", 16).stderr
    assert all(kind_of(make_sample(kind, 3).question) == kind for kind in KINDS)


LONG = ("--gen-length", "16", "--block-length", "16", "--steps", "8")


def test_comparing_shows_both_answers(page: Path) -> None:
    words = (page, SAMPLE.question, *LONG, "--compare")
    plain, content = invoke(*words), answer(*words)
    bare = answer(page, SAMPLE.question, *LONG, "-p", "none")
    assert content["bare"]["tokens"] == bare["tokens"] and bare["speedup_ideal"] == 1.0
    whole = bare["macs"] + bare["prepare_macs"]
    own = content["macs"] + content["prepare_macs"]
    assert content["speedup_ideal"] == pytest.approx(whole / own, abs=1e-4)
    for word in ("with the controller", "the model alone", "ideal speed-up", "why", "steps"):
        assert word in plain.stdout
    assert content["bare"]["text"] in plain.stdout


def test_the_panel_says_why(page: Path) -> None:
    idle = invoke(page, "Is digit 2 of row 3 odd?", "--gen-length", 2, "--steps", 2)
    assert "nothing was done: abstained: 2 steps < 6" in idle.stdout
    acting = answer(page, SAMPLE.question, *LONG)
    assert "commits by confidence >= 0.95" in acting["reasons"][0]
    assert acting["speedup_ideal"] > 1
    assert "nothing was done" in invoke(page, SAMPLE.question, *LONG, "-p", "none").stdout


def test_the_text_so_far_is_shown_on_a_terminal() -> None:
    model, stream = loading.load("embedded/llada-v", device="cpu"), StringIO()
    with Steps(Console(file=stream, width=200, force_terminal=True)) as bar:
        out = model.generate(
            SAMPLE.question,
            SAMPLE.images,
            gen_length=16,
            steps=8,
            callback=_shown(bar, model, 8, "answering"),
        )
    assert out.text is not None and f"answering: {out.text[-STREAMED:]}" in stream.getvalue()
