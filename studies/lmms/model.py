"""The model ``saccade`` of lmms-eval: any of our backbones, with or without a controller."""

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.model_utils.gen_metrics import log_metrics
from tqdm import tqdm

from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.loading import load
from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.controller.expressions import is_none
from saccade.controller.trace import Generation
from saccade.studies.lmms.answer_log import AnswerLog, Line
from saccade.studies.lmms.arguments import (
    check_names,
    parse_arguments,
    parse_options,
    whole_number,
)
from saccade.studies.lmms.canvas import Canvas, canvas_of
from saccade.studies.lmms.recipe import ModelRecipe
from saccade.studies.lmms.visuals import FRAMES, seen
from saccade.studies.runs.answer_records import figures_of

log = logging.getLogger(__name__)
ARGUMENTS = (
    "pretrained",
    "revision",
    "policy",
    "pruner",
    "preset",
    "positions",
    "options",
    "frames",
    "seed",
    "device",
    "dtype",
    "batch_size",
    "answers",
)
NOT_OURS = ("max_batch_size",)
"""What lmms-eval hands to every model, and this one has no use for."""
METRICS = ("macs", "macs_paper", "prepare_macs", "n_visual", "visual_tokens", "visual_tokens_ratio")
PADDING = "__padding_only__"
"""Mark of requests that lmms-eval adds so that all processes have as many; nobody reads them."""


class Saccade(lmms):  # type: ignore[misc]
    """Answers lmms-eval's requests.

    Every figure of an answer (seconds, multiply-accumulates, visual tokens, steps) goes to
    lmms-eval as an additional metric, and with ``answers`` into a folder, one line an answer.

    Parameters
    ----------
    pretrained : str or Model
        What `saccade.load` takes, or (from Python) a model.
    revision : str, optional
    policy, pruner : str, optional
        As text; no policy is the bare model.
    preset : str, optional
        Instead of them.
    positions : "original" or "compact"
    options : mapping or str
        Options of `generate` instead of the published canvas: ``{steps: 4}``, or by task
        ``{chartqa: {steps: 8}}``.
    frames : int
        Of a video.
    seed : int
        Of every answer's random numbers, so that none depends on its batch or process.
    device, dtype : str, optional
        As in `saccade.load`. In one of several processes the device is that which accelerate gives.
    batch_size : int
        Answers at a time.
    answers : str, optional
        Folder for the answers with their figures, and the recipe. What is there already, of the
        same recipe and question, is not asked again.

    Raises
    ------
    ValueError, TypeError, SaccadeError
        Saying what was given and what is allowed.
    """

    is_simple = True

    def __init__(
        self,
        pretrained: str | Model = "embedded/llada-v",
        *,
        revision: str | None = None,
        policy: str | None = None,
        pruner: str | None = None,
        preset: str | None = None,
        positions: Any = "original",
        options: str | Mapping[str, Any] | None = None,
        frames: int | str = FRAMES,
        seed: int | str = 0,
        device: str | None = None,
        dtype: str | None = None,
        batch_size: int | str = 1,
        answers: str | Path | None = None,
    ) -> None:
        super().__init__()
        self.batch = whole_number("batch_size", batch_size, 1)
        self.frames = whole_number("frames", frames, 1)
        self.seed = whole_number("seed", seed, 0)
        self.options = parse_options(options)
        self.control = _controller(policy, pruner, preset, positions)
        device = self._place(device)
        self.model = (
            load(pretrained, dtype, device, revision) if isinstance(pretrained, str) else pretrained
        )
        if self.control is not None:
            self.control.check(self.model.spec)
        self.recipe = ModelRecipe(
            self.model,
            self.control,
            name=pretrained if isinstance(pretrained, str) else None,
            given={"revision": revision, "preset": preset, "positions": positions},
            options=self.options,
            frames=self.frames,
            seed=self.seed,
            batch_size=self.batch,
        )
        self.folder = None if answers is None else Path(answers)
        self.log = None if self.folder is None else AnswerLog(self.folder, self._rank)

    @classmethod
    def create_from_arg_string(
        cls, arg_string: str, additional_config: Mapping[str, Any] | None = None
    ) -> Self:
        """From ``--model_args``, which win over lmms-eval's own ``--batch_size``, ``--device``."""
        own: dict[str, Any] = dict(parse_arguments(arg_string))
        check_names(own, ARGUMENTS)
        for name, value in (additional_config or {}).items():
            if value is not None and name not in NOT_OURS:
                own.setdefault(name, value)
        return cls(**own)

    def _place(self, device: str | None) -> str | None:
        """The device of this process; of several, accelerate says which."""
        from accelerate import PartialState

        # Without a GPU accelerate joins the processes only where it is told that there is none.
        state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available())
        self._rank, self._world_size = state.process_index, state.num_processes
        return str(state.device) if state.num_processes > 1 else device

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return self.model.device

    def generate_until(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        """Answer all requests, batch by batch."""
        out: list[GenerationResult | None] = [None] * len(requests)
        waiting: dict[str, list[tuple[int, Request]]] = {}
        for place, instance in enumerate(requests):
            if (instance.metadata or {}).get(PADDING):
                out[place] = GenerationResult("")
                continue
            request = self._request(instance)
            known = None if self.log is None else self.log.get(request.key)
            if known is None:
                waiting.setdefault(request.task, []).append((place, request))
            else:
                out[place] = self._told(known)
        self._write_recipe({instance.args[4] for instance in requests})
        with tqdm(total=sum(map(len, waiting.values())), disable=self._rank > 0) as bar:
            for own in waiting.values():
                for start in range(0, len(own), self.batch):
                    places, batch = zip(*own[start : start + self.batch], strict=True)
                    for place, line in zip(places, self._answer(batch), strict=True):
                        out[place] = self._told(line)
                    bar.update(len(batch))
        return [answer for answer in out if answer is not None]

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Not possible: a diffusion model has no likelihood of a text to give."""
        raise NotImplementedError("the model saccade generates answers; give generate_until tasks")

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[str]:
        """Not offered: none of the published benchmarks asks for it."""
        raise NotImplementedError("the model saccade answers one turn; give generate_until tasks")

    def _request(self, instance: Instance) -> "Request":
        context, asked, to_visual, document, task, split = instance.args
        canvas = canvas_of(self.model, task, self.options, asked)
        return Request(context, task, document, to_visual, split, canvas, self.recipe.key)

    def _answer(self, batch: Sequence["Request"]) -> list[Line]:
        """The lines of a batch of one task, which are kept."""
        started = time.perf_counter()
        inputs = [self._prepare(request) for request in batch]
        prepared = time.perf_counter()
        options = {"seed": self.seed, **batch[0].canvas.options}
        answers = self.model.generate(inputs=inputs, controller=self.control, **options)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        done = time.perf_counter()
        shared = {
            "seconds": (done - prepared) / len(batch),
            "prepare_seconds": (prepared - started) / len(batch),
        }
        lines = [r.line(out, shared) for r, out in zip(batch, answers, strict=True)]
        if self.log is not None:
            for line in lines:
                self.log.append(line)
        return lines

    def _prepare(self, request: "Request") -> Prepared:
        document = self.task_dict[request.task][request.split][request.document]
        shown = seen(request.to_visual(document) or (), self.frames)
        pictured = "video" in shown or bool(shown["images"])
        return self.model.prepare(
            request.context,
            controller=self.control,
            think_mode=request.canvas.think_mode if pictured else None,
            **shown,
        )

    def _told(self, line: Line) -> GenerationResult:
        """An answer as lmms-eval takes it, its figures told."""
        seconds = line["seconds"] + line["prepare_seconds"]
        figures = {name: line[name] for name in METRICS} | {"steps": line["forwards"]}
        figures |= {"seconds": line["seconds"], "prepare_seconds": line["prepare_seconds"]}
        log_metrics(
            total_elapsed_time=seconds,
            total_gen_tokens=line["response"],
            avg_speed=line["response"] / seconds if seconds else 0.0,
            additional_metrics={**figures, "total_requests": 1},
        )
        return GenerationResult(line["text"], TokenCounts(output_tokens=line["response"]))

    def _write_recipe(self, tasks: set[str]) -> None:
        if self.folder is not None and self._rank == 0 and tasks:
            canvases = {task: canvas_of(self.model, task, self.options) for task in sorted(tasks)}
            self.recipe.write(self.folder, canvases)


class Request:
    """One question of lmms-eval, as this model answers it.

    Attributes
    ----------
    key : str
        Of all that its answer depends on.
    """

    def __init__(
        self,
        context: str,
        task: str,
        document: int,
        to_visual: Any,
        split: str,
        canvas: Canvas,
        recipe: str,
    ) -> None:
        self.context, self.task, self.document = context, task, int(document)
        self.to_visual, self.split, self.canvas = to_visual, split, canvas
        self.recipe = recipe
        parts = [recipe, task, split, self.document, context, canvas.plain()]
        self.key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def line(self, out: Generation, shared: Mapping[str, float]) -> Line:
        """What is kept of its answer."""
        text = out.text or ""
        if self.canvas.drop_period:
            text = text.strip().removesuffix(".")
        own: Line = {"key": self.key, "recipe": self.recipe}
        own |= {"task": self.task, "document": self.document}
        return {**own, "text": text.strip(), **shared, **figures_of(out)}


def _controller(
    policy: str | None, pruner: str | None, preset: str | None, positions: Any
) -> Controller | None:
    """What controls the model; None for the bare one."""
    policy, pruner = (None if is_none(text) else text for text in (policy, pruner))
    if preset is not None:
        given = [name for name, own in (("policy", policy), ("pruner", pruner)) if own is not None]
        if given:
            raise ValueError(f"preset and {given[0]}: a preset says what it does itself; give one")
        return Controller.from_preset(preset, probe="needed")
    if policy is None:
        if pruner is not None:
            raise ValueError(f"the pruner {pruner} has no policy that would ask it; give policy=")
        return None
    return Controller(policy, pruner, probe="needed", positions=positions)
