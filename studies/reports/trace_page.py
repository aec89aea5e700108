"""One answer, step by step, as a page of its own: the picture, attention, confidences, text."""

import base64
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.inputs.reading import PictureLike, read_picture
from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.controller.step_record import StepRecord
from saccade.controller.text_form import written
from saccade.controller.trace import Generation
from saccade.studies.reports.pages import render_page, write_page

LARGEST = 900
"""Pixels of the longer side of a picture in the page."""


def write_trace_page(
    path: str | Path,
    generation: Generation,
    *,
    model: Model,
    controller: Controller,
    inputs: Prepared,
    question: str,
    images: Sequence[PictureLike],
) -> None:
    """Write the page; it needs nothing but itself.

    Parameters
    ----------
    path : Path
    generation : Generation
        With attention by visual token where its controller had ``tokens=True``.
    model, controller, inputs, question, images
        What made it.

    Raises
    ------
    StudyError
        If the file cannot be written.
    """
    write_page(trace_html(generation, model, controller, inputs, question, images), path, "trace")


def trace_html(
    generation: Generation,
    model: Model,
    controller: Controller,
    inputs: Prepared,
    question: str,
    images: Sequence[PictureLike],
) -> str:
    """The page as text."""
    data = {
        "images": [_picture(image) for image in images],
        "places": places_of(inputs),
        **steps_data(generation, model),
    }
    pruner = "" if controller.pruner is None else f" with {written(controller.pruner)}"
    return render_page(
        "trace.html.j2",
        question=question,
        model=f"{model.spec.name}, {model.spec.origin}",
        policy=f"{controller.policy!r}{pruner}",
        answer=generation.text or " ".join(map(str, generation.tokens)),
        data=data,
    )


def steps_data(generation: Generation, model: Model) -> dict[str, Any]:
    """What pages show of the steps of an answer, as plain values."""
    return {
        "layers": model.spec.geometry.n_layers,
        "positions": max(len(step.tokens) for step in generation.trace),
        "steps": [
            _step(step, model) | {"confidence": sure}
            for step, sure in zip(generation.trace, confidences(generation.trace), strict=True)
        ],
        "full": max(step.macs for step in generation.trace),
    }


def _picture(image: PictureLike) -> dict[str, Any]:
    """A picture as a data address, with its shape."""
    shown = read_picture(image)
    small = shown.copy()
    small.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    code = base64.b64encode(buffer.getvalue()).decode()
    return {"source": f"data:image/png;base64,{code}", "width": shown.width, "height": shown.height}


def places_of(inputs: Prepared) -> list[list[float] | None]:
    """Picture number and center of each visual token; None for newlines."""
    numbers = inputs.images[inputs.visual_positions].tolist()
    centers = inputs.centers.tolist()
    return [
        None if x != x else [number, round(x, 4), round(y, 4)]
        for number, (x, y) in zip(numbers, centers, strict=True)
    ]


def _step(step: StepRecord, model: Model) -> dict[str, Any]:
    """What the page shows of one step."""
    signals, plan = step.signals, step.plan
    return {
        "kept": list(step.kept),
        "visual": list(step.visual_per_layer),
        "bypass": sorted(plan.bypass),
        "drops": [[drop.layer, drop.keep] for drop in plan.drops],
        "rule": None if plan.commit is None else f"{plan.commit.kind} {plan.commit.value:g}",
        "reason": plan.reason,
        "refreshed": step.refreshed,
        "macs": step.macs,
        "attention": [
            _numbers(masses)
            for masses in (
                signals.attention_visual,
                signals.attention_prompt,
                signals.attention_response,
            )
        ],
        "received": _numbers(signals.received, 6),
        "committed": list(step.committed),
        "tokens": [_word(model, token) for token in step.tokens],
    }


def confidences(steps: Iterable[StepRecord]) -> list[list[float | None] | None]:
    """Confidence of every position in each step; None in one in which none was measured.

    A position that a step does not forward, such as all that an autoregressive model has written,
    has the confidence with which its token was committed.
    """
    found: list[list[float | None] | None] = []
    known: dict[int, float | None] = {}
    for step in steps:
        shown = _numbers(step.signals.confidence)
        if shown is None:
            found.append(None)
            continue
        seen = [None] * (len(step.tokens) - len(shown)) + shown
        own = [known.get(i) if value is None else value for i, value in enumerate(seen)]
        known.update({i: own[i] for i in step.committed if i < len(own)})
        found.append(own)
    return found


def _numbers(values: Any, digits: int = 4) -> list[float | None] | None:
    if values is None:
        return None
    return [None if x != x else round(x, digits) for x in values.tolist()]


def _word(model: Model, token: int) -> str | None:
    """A token's own text; None while it is masked."""
    if token == model.spec.mask_id:
        return None
    text = model.processor.decode([token])
    return str(token) if text is None else text or model.processor.name_of(token)
