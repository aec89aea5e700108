"""A trace's page holds what happened, needs nothing from outside, and survives hostile text."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from saccade.backbones import Model
from saccade.controller import Auto, Controller, Generation, Keep
from saccade.studies.reports.trace_page import trace_html, write_trace_page
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
        assert own["committed"] == list(step.committed)
        assert [word is None for word in own["tokens"]] == [
            token == model.spec.mask_id for token in step.tokens
        ]
        assert len(own["received"]) == out.trace.n_visual
        assert len(own["attention"][0]) == 4 and len(own["confidence"]) == 8
    newlines = sum(place is None for place in data["places"])
    assert 0 < newlines < len(data["places"])
    assert all(0 <= x <= 1 and 0 <= y <= 1 for _, x, y in filter(None, data["places"]))


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
