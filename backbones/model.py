"""A diffusion multimodal language model: prompts and pictures in, answers and traces out."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from saccade.backbones.checkpoint import write_checkpoint
from saccade.backbones.commit import Answer
from saccade.backbones.denoise import Callback, Decoding, Denoiser
from saccade.backbones.network import Network
from saccade.backbones.prepare import Prepared
from saccade.backbones.processor import Processor
from saccade.backbones.settings import GenerateSettings
from saccade.backbones.tiling import ImagePreprocessor
from saccade.backbones.tower import tower_macs
from saccade.controller.controller import Controller
from saccade.controller.trace import Generation, Trace
from saccade.controller.types import BackboneSpec


class DiffusionModel:
    """LLaDA-V, natively: same weights, same tokens as the published code.

    Parameters
    ----------
    network : Network
    spec : BackboneSpec
    preprocessor : ImagePreprocessor
    tokenizer : Tokenizer or None
        None: only token ids can go in and out.
    config : dict
        The checkpoint's ``config.json``, kept for saving.

    Attributes
    ----------
    controller : Controller or None
        Used by every `generate` that is given none; set by ``with controller(model)``.
    """

    def __init__(
        self,
        network: Network,
        spec: BackboneSpec,
        preprocessor: ImagePreprocessor,
        tokenizer: Tokenizer | None,
        config: dict[str, Any],
    ) -> None:
        self.network = network.eval()
        self._spec = spec
        self.processor = Processor(self.network, preprocessor, tokenizer)
        self.config = config
        self.controller: Controller | None = None

    @property
    def spec(self) -> BackboneSpec:
        """Facts about this backbone."""
        return self._spec

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The checkpoint's tokenizer, if it has one."""
        return self.processor.tokenizer

    @property
    def preprocessor(self) -> ImagePreprocessor:
        """What turns pictures into views."""
        return self.processor.preprocessor

    @property
    def device(self) -> torch.device:
        return self.network.model.image_newline.device

    def __repr__(self) -> str:
        g = self.spec.geometry
        return (
            f"DiffusionModel({self.spec.name!r}, {self.spec.origin}, "
            f"{g.n_layers} layers x {g.hidden}, "
            f"{self.device}, {self.network.model.image_newline.dtype})"
        )

    def prepare(
        self,
        prompt: str,
        images: Sequence[Image.Image] = (),
        *,
        video: NDArray[np.uint8] | None = None,
        think_mode: str | None = None,
        drop_after_image: bool = True,
    ) -> Prepared:
        """Turn a question and its pictures into inputs of `generate`.

        Parameters
        ----------
        prompt : str
            The question. ``<image>`` placeholders may be written; else they are put in front.
        images : sequence of PIL images
        video : uint8 array (T, H, W, 3), optional
            Frames of one video, instead of images.
        think_mode : "think" or "no_think", optional
            Suffix LLaDA-V was trained with.
        drop_after_image : bool
            Lose the first token after each picture, as the published code does.

        Raises
        ------
        ValueError, TypeError
            If the question is empty, or pictures and placeholders do not fit.
        """
        return self.processor.prepare(
            prompt, images, video=video, think_mode=think_mode, drop_after_image=drop_after_image
        )

    def prepare_ids(
        self,
        ids: Sequence[int],
        images: Sequence[Image.Image] = (),
        *,
        video: NDArray[np.uint8] | None = None,
    ) -> Prepared:
        """Like `prepare`, from prompt token ids with -200 where pictures go."""
        return self.processor.prepare_ids(ids, images, video=video)

    def save_pretrained(self, folder: str | Path, max_shard_bytes: int = 5 * 2**30) -> None:
        """Write the layout `load` reads, in shards of at most `max_shard_bytes`."""
        dtype = str(self.network.model.image_newline.dtype).removeprefix("torch.")
        config = {**self.config, "torch_dtype": dtype}
        write_checkpoint(Path(folder), self.network, config, self.tokenizer, max_shard_bytes)

    @overload
    def generate(
        self,
        prompt: str | None = None,
        images: Sequence[Image.Image] = (),
        *,
        video: NDArray[np.uint8] | None = None,
        inputs: Prepared | None = None,
        controller: Controller | None = None,
        callback: Callback | None = None,
        think_mode: str | None = None,
        drop_after_image: bool = True,
        **options: Any,
    ) -> Generation: ...

    @overload
    def generate(
        self,
        prompt: Sequence[str] | None = None,
        images: Sequence[Sequence[Image.Image]] = (),
        *,
        inputs: Sequence[Prepared] | None = None,
        controller: Controller | None = None,
        callback: Callback | None = None,
        think_mode: str | None = None,
        drop_after_image: bool = True,
        **options: Any,
    ) -> list[Generation]: ...

    def generate(
        self,
        prompt: Any = None,
        images: Any = (),
        *,
        video: Any = None,
        inputs: Any = None,
        controller: Controller | None = None,
        callback: Callback | None = None,
        think_mode: str | None = None,
        drop_after_image: bool = True,
        **options: Any,
    ) -> Any:
        """Answer one request, or a batch of them.

        Parameters
        ----------
        prompt : str or sequence of str
            One question, or several.
        images : sequence of PIL images, or a sequence of those per question
        video : uint8 array (T, H, W, 3), optional
            Frames, for a single question.
        inputs : Prepared or sequence of Prepared, optional
            What `prepare` made, instead of prompt and images.
        controller : Controller, optional
            Overrides an attached one.
        callback : callable, optional
            Called with a `StepView` after every step of every sequence.
        think_mode, drop_after_image
            As in `prepare`; `inputs` have theirs already.
        **options
            Fields of `GenerateSettings`: ``gen_length``, ``block_length``, ``steps``, ...

        Returns
        -------
        Generation, or a list of them for a batch. Each answer is the one its request gets alone.

        Raises
        ------
        ValueError, TypeError
            For wrong requests or options, naming what is allowed.
        CapabilityError, PlanError
            If the controller asks for what this backbone cannot do.

        Examples
        --------
        >>> out = model.generate("Transcribe the page.", [image], gen_length=32,
        ...                      block_length=32, steps=16)  # doctest: +SKIP
        >>> print(out.text, out.trace.forwards)  # doctest: +SKIP
        """
        settings = GenerateSettings.from_options(options)
        if inputs is None:
            if prompt is None:
                raise ValueError("give a prompt (and images), or inputs made by prepare()")
            single = isinstance(prompt, str)
            how = {"think_mode": think_mode, "drop_after_image": drop_after_image}
            inputs = self._prepare_all(prompt, images, video, how)
        else:
            if prompt is not None or len(images) or video is not None:
                raise ValueError("give prompt and images, or inputs: not both")
            single = isinstance(inputs, Prepared)
            inputs = [inputs] if single else list(inputs)
        out = self._run(inputs, settings, controller or self.controller, callback)
        return out[0] if single else out

    def _prepare_all(
        self, prompt: Any, images: Any, video: Any, how: dict[str, Any]
    ) -> list[Prepared]:
        if isinstance(prompt, str):
            return [self.prepare(prompt, images, video=video, **how)]
        prompts = list(prompt)
        if video is not None:
            raise ValueError("a video goes with a single prompt; batch by prepare() and inputs=")
        images = list(images) or [()] * len(prompts)
        if len(images) != len(prompts):
            raise ValueError(
                f"{len(prompts)} prompts but {len(images)} lists of images: "
                "give one list per prompt"
            )
        return [self.prepare(p, i, **how) for p, i in zip(prompts, images, strict=True)]

    def _run(
        self,
        inputs: Sequence[Prepared],
        settings: GenerateSettings,
        controller: Controller | None,
        callback: Callback | None,
    ) -> list[Generation]:
        spec = self._spec_for(settings)
        session = None if controller is None else controller.session(spec, len(inputs))
        stops = self.processor.stops(settings)
        suffix = settings.generation_suffix
        suffix_ids = [] if suffix is None else self.processor.ids(suffix)
        decodings = []
        for number, prepared in enumerate(inputs):
            answer = Answer(settings, len(prepared), spec.mask_id, stops, suffix_ids)
            generator = None
            if settings.seed is not None:
                generator = torch.Generator(self.device).manual_seed(settings.seed)
            decodings.append(Decoding(number, prepared, answer, generator, settings.seed or 0))
        Denoiser(self.network, spec, settings, session, callback).run(decodings)
        return [self._generation(decoding) for decoding in decodings]

    def _spec_for(self, settings: GenerateSettings) -> BackboneSpec:
        mask_id = self.spec.mask_id if settings.mask_id is None else settings.mask_id
        vocab = self.spec.geometry.vocab
        if not 0 <= mask_id < vocab:
            raise ValueError(f"mask_id={mask_id} is outside the vocabulary of {vocab}")
        forbidden = settings.forbidden_ids
        ids = self.spec.forbidden_ids if forbidden is None else tuple(forbidden)
        if any(token < 0 for token in ids):
            raise ValueError(f"forbidden_ids={list(ids)}: token ids are 0 or more")
        ids = tuple(token for token in ids if token < vocab)
        return dataclasses.replace(self.spec, mask_id=mask_id, forbidden_ids=ids)

    def _generation(self, decoding: Decoding) -> Generation:
        tokens = decoding.answer.tokens
        trace = Trace(
            tuple(decoding.records),
            len(decoding.inputs.visual_positions),
            decoding.inputs.views * tower_macs(self.network.tower, self.network.language),
            decoding.transfers,
        )
        return Generation(tokens, self.processor.decode(tokens), trace)
