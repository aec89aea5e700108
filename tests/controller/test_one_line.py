"""What a `repr` says fits in a line, whatever the object holds."""

from typing import Any

import numpy as np
import pytest
import torch

from saccade.controller import Controller, Merge, Selection, VisualView
from saccade.controller.one_line import one_line, shortened
from saccade.controller.text_form import written
from saccade.pruners import ScorePruner
from tests.tiny import fake_page, tiny_model

LONGEST = 400


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.zeros(300, 2), "<float32 tensor (300, 2)>"),
        (np.zeros((5,), dtype=np.int64), "<int64 ndarray (5,)>"),
        (3.5, "3.5"),
        ("two\nlines", r"'two\nlines'"),
        (len, "<built-in function len>"),
        (one_line, "<one_line>"),
        (int, "<int>"),
        (object(), "<object>"),
        ({"a": torch.zeros(2)}, "{'a': <float32 tensor (2,)>}"),
        ("x" * 200, f"'{'x' * 79}..."),
    ],
)
def test_values_in_one_line(value: object, text: str) -> None:
    assert one_line(value) == text


def test_a_text_of_several_lines_becomes_one() -> None:
    assert shortened("a\n   b") == "a b"
    assert shortened("a   b") == "a   b"


def objects() -> list[Any]:
    """Everything that a generation holds, and what comes before it."""
    model = tiny_model(tokenizer=True)
    inputs = model.prepare("what?\n" * 50, [fake_page(40, 30)])
    controller = Controller("after_share(0.5, keep=0.5)", "divprune", probe="all", tokens=True)
    how: dict[str, Any] = {"gen_length": 64, "block_length": 64, "steps": 16}
    out = model.generate(inputs=inputs, controller=controller, **how)
    step = out.trace.steps[0]
    parts = [step.signals, step.plan, step.state, inputs.segments, inputs.tower]
    return [out, out.trace, step, *parts, inputs, controller, model, *inputs.tower.pictures]


def test_everything_around_an_answer_fits_in_a_line() -> None:
    for own in objects():
        text = repr(own)
        assert len(text.splitlines()) == 1 and len(text) <= LONGEST, text
        assert " at 0x" not in text and "tensor([" not in text


def test_what_pruners_see_and_answer_fits_in_a_line() -> None:
    many = torch.zeros(900, 8)
    keep = torch.arange(700)
    view = VisualView(many, many[:, :2], keep, attention={"all": many[:, 0]})
    for own in (view, Selection(keep, Merge(keep, keep, many[:700, 0])), Selection(keep)):
        assert len(repr(own).splitlines()) == 1 and len(repr(own)) <= LONGEST
    assert repr(Selection(keep)) == "Selection(keep=<int64 tensor (700,)>)"


class Plain(ScorePruner):
    """Without options."""

    def score(self, view: VisualView) -> torch.Tensor:
        return view.features.norm(dim=-1)


class Weighted(Plain):
    """With options of all kinds, one kept under a private name."""

    def __init__(self, power: float = 2.0, weight: Any = None, name: str = "a", own: Any = 1):
        self._power, self.weight, self.name, self.own = power, weight, name, own


class WithArray(Plain):
    """With an array as a default."""

    def __init__(self, weight: torch.Tensor = torch.zeros(3)) -> None:  # noqa: B008
        self.weight = weight


class Duck:
    """Follows the protocol without the base class."""

    needs, site, source, merges, adaptive = frozenset[str](), "entry", "mine", False, False

    def __init__(self, share: float = 0.5) -> None:
        self.share = share


@pytest.mark.parametrize(
    ("pruner", "text"),
    [
        (Plain(), "Plain()"),
        (Weighted(), "Weighted()"),
        (Weighted(3.0), "Weighted(power=3.0)"),
        (Weighted(weight=torch.ones(500)), "Weighted(weight=<float32 tensor (500,)>)"),
        (Weighted(weight=one_line), "Weighted(weight=<one_line>)"),
        (Weighted(own=object()), "Weighted(own=<object>)"),
        (Weighted(own=(1, 2.5)), "Weighted(own=(1, 2.5))"),
        (Weighted(name="b\nc"), r"Weighted(name='b\nc')"),
        (WithArray(), "WithArray()"),
        (WithArray(torch.ones(4)), "WithArray(weight=<float32 tensor (4,)>)"),
    ],
)
def test_a_pruner_of_ones_own_says_its_name_and_options(pruner: object, text: str) -> None:
    assert repr(pruner) == written(pruner) == text


def test_a_pruner_without_the_base_class_is_written_without_its_address() -> None:
    assert written(Duck(0.25)) == "Duck(share=0.25)"
    assert written(None) == "None"
