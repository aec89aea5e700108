"""A trace's page holds what happened, needs nothing from outside, and survives hostile text."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from saccade.backbones import Model
from saccade.backbones.families.llava_ar import FAMILY as LLAVA_AR
from saccade.controller import Auto, Controller, Generation, Keep, Signals
from saccade.studies.reports import trace_page
from saccade.studies.reports.trace_page import confidences, trace_html, write_trace_page
from tests.controller.test_trace import record
from tests.tiny import fake_page, tiny_model

HOSTILE = "</script><b>what?</b>"


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model(tokenizer=True)


def page_of(model: Model, controller: Controller) -> tuple[str, Generation]:
    image = fake_page(40, 30)
    inputs = model.prepare(HOSTILE, [image])
    how: dict[str, Any] = {"gen_length": 8, "block_length": 8, "steps": 8}
    out = model.generate(inputs=inputs, controller=controller, **how)
    return trace_html(out, model, controller, inputs, HOSTILE, [image]), out


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_it_holds_every_step(model: Model) -> None:
    controller = Controller(Auto(commit=None, layers=(2,)), probe="all", tokens=True)
    page, out = page_of(model, controller)
    data = data_of(page)
    assert len(data["steps"]) == len(out.trace) and len(data["places"]) == out.trace.n_visual
    for own, step in zip(data["steps"], out.trace, strict=True):
        assert own["kept"] == list(step.kept) and own["macs"] == step.macs
        assert own["bypass"] == sorted(step.plan.bypass) == [2]
        assert own["reason"] == step.plan.reason and "layers 2: known" in own["reason"]
        assert own["committed"] == list(step.committed)
        assert [word is None for word in own["tokens"]] == [
            token == model.spec.mask_id for token in step.tokens
        ]
        assert len(own["received"]) == out.trace.n_visual
        assert len(own["attention"][0]) == 4 and len(own["confidence"]) == 8
    newlines = sum(place is None for place in data["places"])
    assert 0 < newlines < len(data["places"])
    assert all(0 <= x <= 1 and 0 <= y <= 1 for _, x, y in filter(None, data["places"]))


def steps_of(*shown: list[float] | None, lengths: list[int], commits: list[int]) -> list[Any]:
    """Steps with these confidences, so many positions, and one commit each."""
    return [
        record(
            0,
            signals=Signals(confidence=None if own is None else torch.tensor(own)),
            tokens=tuple(range(length)),
            committed=(commit,),
        )
        for own, length, commit in zip(shown, lengths, commits, strict=True)
    ]


def test_tokens_that_are_not_forwarded_again_keep_the_confidence_of_their_step() -> None:
    written = steps_of([0.9], [0.5], [0.25], lengths=[1, 2, 3], commits=[0, 1, 2])
    assert confidences(written) == [[0.9], [0.9, 0.5], [0.9, 0.5, 0.25]]
    cached = steps_of([0.5, 0.25], [torch.nan, 0.75], None, lengths=[2, 2, 2], commits=[0, 1, 1])
    assert confidences(cached) == [[0.5, 0.25], [0.5, 0.75], None]
    unknown = steps_of([torch.nan, 0.25], lengths=[2], commits=[1])
    assert confidences(unknown) == [[None, 0.25]]


def test_an_autoregressive_answer_has_a_place_for_every_token() -> None:
    model = tiny_model(family=LLAVA_AR, tokenizer=True)
    inputs = model.prepare("?", [fake_page(40, 30)])
    controller = Controller(Keep(), probe="all")
    out = model.generate(inputs=inputs, controller=controller, gen_length=6)
    data = data_of(trace_html(out, model, controller, inputs, "?", [fake_page(40, 30)]))
    assert data["positions"] == len(out.trace) > 1
    for number, step in enumerate(data["steps"]):
        assert len(step["confidence"]) == len(step["tokens"]) == number + 1
        assert all(0 < value <= 1 for value in step["confidence"])
        assert step["confidence"][:number] == data["steps"][number - 1]["confidence"][:number]


def test_colours_are_those_of_the_page() -> None:
    assets = Path(trace_page.__file__).parent / "assets"
    script = (assets / "steps.js").read_text(encoding="utf-8")
    assert not re.search(r"#[0-9a-f]{6}|fill:", script)
    drawn = set(re.findall(r'class: "(\w+)"', script))
    style = (assets / "steps.css").read_text(encoding="utf-8")
    assert drawn >= {"dropped", "back", "much", "kept", "dot", "step"}
    assert all(f".{name}" in style for name in drawn)


def test_nothing_is_measured_nothing_is_shown(model: Model) -> None:
    data = data_of(page_of(model, Controller(Keep()))[0])
    assert {tuple(step["attention"]) for step in data["steps"]} == {(None, None, None)}
    assert {step["received"] for step in data["steps"]} == {None}


def test_it_needs_nothing_from_outside_and_no_text_breaks_it(model: Model) -> None:
    page, _ = page_of(model, Controller(Keep()))
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "<b>what?" not in page and "&lt;b&gt;what?" in page
    assert page.count("</script>") == 2


def test_it_is_written_whole_or_not_at_all(model: Model, tmp_path: Path) -> None:
    from saccade.controller import StudyError

    image = Image.new("RGB", (20, 20))
    inputs = model.prepare("?", [image])
    out = model.generate(inputs=inputs, gen_length=4, block_length=4, steps=2)
    where: dict[str, Any] = {
        "model": model,
        "controller": Controller(Keep()),
        "inputs": inputs,
        "question": "?",
        "images": [image],
    }
    write_trace_page(tmp_path / "out.html", out, **where)
    assert (tmp_path / "out.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(StudyError, match="cannot be written"):
        write_trace_page(tmp_path / "none" / "out.html", out, **where)


def test_a_plot_shows_every_step(model: Model) -> None:
    _, out = page_of(model, Controller(Auto(commit=None), probe="all"))
    figure = out.trace.plot()
    assert len(figure.data) == 6
    assert all(len(line.x) == len(out.trace) == len(line.y) for line in figure.data)
