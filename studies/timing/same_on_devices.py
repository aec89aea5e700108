"""Whether a GPU gives the answers that a CPU gives, in float32."""

from dataclasses import replace
from typing import Any

import torch

from saccade.backbones.inputs.chat import IMAGE_ID
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.loading import load
from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.studies.tasks import tasks
from saccade.studies.tasks.task import Sample

TASK = "describe"
IDS = ((1, 2, 3), (4, 5))
"""Text around the pictures, for models without a tokenizer."""


def compared_devices(name: str, device: torch.device, n: int = 4) -> dict[str, Any]:
    """Answers of a checkpoint on the CPU and on another device, without and with a controller.

    Parameters
    ----------
    name : str
        As `load` takes it.
    device : torch.device
    n : int
        Questions, all answered in one batch.

    Returns
    -------
    dict
        The model's name, how many answers were compared, and how many tokens of them differ.
    """
    models = [_in_vocabulary(load(name, "float32", where)) for where in ("cpu", device)]
    # Convolutions of the tower would else be rounded to TF32 on a GPU.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        first, second = (all_answers(model, n) for model in models)
    pairs = [pair for a, b in zip(first, second, strict=True) for pair in zip(a, b, strict=False)]
    lengths = sum(abs(len(a) - len(b)) for a, b in zip(first, second, strict=True))
    return {
        "model": name,
        "device": str(device),
        "answers": len(first),
        "tokens": sum(map(len, first)),
        "different_tokens": sum(a != b for a, b in pairs) + lengths,
    }


def all_answers(model: Model, n: int) -> list[tuple[int, ...]]:
    """Tokens of the first questions of a task, by the model alone and as half of the visual tokens
    go after half of the steps."""
    task = tasks.make(TASK)
    inputs = [_prepared(model, sample) for sample in task.samples(range(n))]
    options: dict[str, Any] = dict(model.family.settings.for_lengths(16, 16, 8))
    controllers = (None, Controller("after_share(0.5, keep=0.5)", "divprune"))
    return [
        tuple(out.tokens)
        for controller in controllers
        for out in model.generate(inputs=inputs, controller=controller, seed=0, **options)
    ]


def _in_vocabulary(model: Model) -> Model:
    """A model whose special ids it has: small ones without a tokenizer have the published ids."""
    spec, rows = model.spec, model.spec.geometry.vocab
    if spec.mask_id is None or spec.mask_id < rows:
        return model
    allowed = tuple(i for i in spec.forbidden_ids if i < rows)
    spec = replace(spec, mask_id=rows - 1, forbidden_ids=allowed)
    parts = (model.preprocessor, model.tokenizer, model.config)
    return Model(model.network, model.family, spec, *parts)


def _prepared(model: Model, sample: Sample) -> Prepared:
    if model.tokenizer is not None:
        return model.prepare(sample.question, list(sample.images))
    before, after = IDS
    return model.prepare_ids([*before, *[IMAGE_ID] * len(sample.images), *after], sample.images)
