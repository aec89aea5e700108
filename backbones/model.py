"""A multimodal language model: prompts and pictures in, answers and traces out."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from saccade.backbones.answering import Answering
from saccade.backbones.checkpoints.checkpoint import write_checkpoint
from saccade.backbones.checkpoints.promised import differences
from saccade.backbones.decoding.options import GenerateOptions
from saccade.backbones.decoding.snapshot import Snapshot
from saccade.backbones.decoding.step_view import Callback
from saccade.backbones.families.family import Family
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.inputs.processor import MultiImage, Processor, encode_for
from saccade.backbones.inputs.reading import PictureLike
from saccade.backbones.inputs.requests import collected
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.inputs.token_ids import TokenIds
from saccade.backbones.network.network import Network
from saccade.controller.controller import Controller
from saccade.controller.trace import Generation
from saccade.controller.types import BackboneSpec


class Model:
    """A backbone, natively: same weights, same tokens as the published code.

    Parameters
    ----------
    network : Network
    family : Family
        What its kind of checkpoint has in common.
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
        family: Family,
        spec: BackboneSpec,
        preprocessor: ImagePreprocessor,
        tokenizer: Tokenizer | None,
        config: dict[str, Any],
    ) -> None:
        self.network = network.eval()
        self.family = family
        self._spec = spec
        self.processor = Processor(self.network, family, preprocessor, tokenizer)
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
            f"Model({self.spec.name!r}, {self.spec.origin}, "
            f"{g.n_layers} layers x {g.hidden}, "
            f"{self.device}, {self.network.model.image_newline.dtype})"
        )

    def prepare(
        self,
        prompt: str,
        images: Sequence[PictureLike] = (),
        *,
        video: NDArray[np.uint8] | None = None,
        think_mode: str | None = None,
        drop_after_image: bool = True,
        multi_image_pad: MultiImage = True,
        controller: Controller | None = None,
    ) -> Prepared:
        """Turn a question and its pictures into inputs of `generate`.

        Parameters
        ----------
        prompt : str
            The question. ``<image>`` placeholders may be written; else they are put in front.
        images : sequence of pictures
            Each a PIL image of any mode, a path, or pixels (H, W), (H, W, 1), (H, W, 3) or
            (H, W, 4) as an array or tensor: uint8, uint16, or floats from 0 to 1. Each is turned
            upright as its EXIF data say, laid on white where it is transparent, and scaled to 8
            bits (`saccade.backbones.inputs.reading`). Published code does ``.convert("RGB")`` only.
        video : uint8 array (T, H, W, 3), optional
            Frames of one video, instead of images.
        think_mode : "think" or "no_think", optional
            Suffix LLaDA-V was trained with.
        drop_after_image : bool
            Lose the first token after each picture, as LLaDA-V's published code does; no effect on
            families whose prompts begin without a token of their own.
        multi_image_pad : bool or "list"
            Show each of several images as one view on a grey square, as the published evaluations
            do. False: each in the model's own resolution, as in the published demos. "list": one
            view each, shrunk and ended by a newline, as LaViDa's ``predict.py`` does.
        controller : Controller, optional
            One that will be used. If its pruner acts in the vision tower, the pictures are encoded
            as it wants them, once; else they are encoded again when it asks. The inputs serve any
            other controller too.

        Raises
        ------
        ValueError, TypeError
            If the question is empty or no valid Unicode, or has more placeholders than there are
            pictures (published code shows the last one again). Fewer leave pictures out, as
            published, with a warning in the log.
        FileNotFoundError, IsADirectoryError, PermissionError
            For paths that lead to no picture.

        Notes
        -----
        Padding tokens are taken out of a question with pictures, as in the published evaluation.
        """
        return self.processor.prepare(
            prompt,
            images,
            video=video,
            think_mode=think_mode,
            drop_after_image=drop_after_image,
            multi_image_pad=multi_image_pad,
            encode=encode_for(controller),
        )

    def prepare_ids(
        self,
        ids: TokenIds,
        images: Sequence[PictureLike] = (),
        *,
        video: NDArray[np.uint8] | None = None,
        multi_image_pad: MultiImage = True,
        controller: Controller | None = None,
    ) -> Prepared:
        """Like `prepare`, from prompt token ids with -200 where pictures go; padding stays.

        Parameters
        ----------
        ids : sequence of int, or integer array or tensor (L,) or (1, L)
            Of one prompt; of any integer dtype. One placeholder more than pictures shows the last
            picture again, as published, with a warning in the log.
        images, video, multi_image_pad, controller
            As in `prepare`.

        Raises
        ------
        TypeError
            For floats, bools, nested lists, texts.
        ValueError
            If there is no id, one outside the vocabulary, a shape of several prompts, or two
            placeholders more than pictures; else as `prepare`.
        """
        encode = encode_for(controller)
        return self.processor.prepare_ids(
            ids, images, video=video, multi_image_pad=multi_image_pad, encode=encode
        )

    def save_pretrained(self, folder: str | Path, max_shard_bytes: int = 5 * 2**30) -> None:
        """Write the layout `load` reads, in shards of at most `max_shard_bytes`."""
        dtype = str(self.network.model.image_newline.dtype).removeprefix("torch.")
        layout = self.family.layout
        config = {**layout.completed(self.config), "torch_dtype": dtype}
        write_checkpoint(
            Path(folder), self.network, config, self.tokenizer, max_shard_bytes, layout
        )

    @overload
    def generate(
        self,
        prompt: str | None = None,
        images: Sequence[PictureLike] = (),
        *,
        video: NDArray[np.uint8] | None = None,
        inputs: Prepared | None = None,
        controller: Controller | None = None,
        callback: Callback | None = None,
        think_mode: str | None = None,
        drop_after_image: bool = True,
        multi_image_pad: MultiImage = True,
        **options: Unpack[GenerateOptions],
    ) -> Generation: ...

    @overload
    def generate(
        self,
        prompt: Sequence[str] | None = None,
        images: Sequence[Sequence[PictureLike]] = (),
        *,
        inputs: Sequence[Prepared] | None = None,
        controller: Controller | None = None,
        callback: Callback | None = None,
        think_mode: str | None = None,
        drop_after_image: bool = True,
        multi_image_pad: MultiImage = True,
        **options: Unpack[GenerateOptions],
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
        multi_image_pad: MultiImage = True,
        **options: Any,
    ) -> Any:
        """Answer one request, or a batch of them.

        Parameters
        ----------
        prompt : str or sequence of str
            One question, or several.
        images : sequence of pictures, or a sequence of those per question, optional
            Pictures as `prepare` takes them.
        video : uint8 array (T, H, W, 3), optional
            Frames, for a single question.
        inputs : Prepared or sequence of Prepared, optional
            What `prepare` made, instead of prompt and images.
        controller : Controller, optional
            Overrides an attached one.
        callback : callable, optional
            Called with a `StepView` after every step of every sequence.
        think_mode, drop_after_image, multi_image_pad
            As in `prepare`; `inputs` have theirs already.
        **options
            Fields of the family's settings, such as ``gen_length`` and ``steps``:
            `GenerateSettings` (LLaDA-V), `LavidaSettings` (LaViDa-Dream), `BlockSettings`
            (LaViDa-LLaDA) or `CausalSettings` (autoregressive). `Family.settings` says which.

        Returns
        -------
        Generation, or a list of them for a batch. Each answer is the one its request gets alone; in
        half precision products are rounded differently in a batch, and a token may differ where two
        are almost equally likely.

        Raises
        ------
        ValueError, TypeError
            For wrong requests or options, naming what is allowed.
        CapabilityError, PlanError
            If the controller asks for what this backbone cannot do.

        Examples
        --------
        >>> out = model.generate("Transcribe the page.", [image], gen_length=32,
        ...                      steps=16)  # doctest: +SKIP
        >>> print(out.text, out.trace.forwards)  # doctest: +SKIP
        """
        settings = self.family.settings.from_options(options)
        if not isinstance(controller, Controller | None):
            raise TypeError(f"controller={controller!r}; give a Controller(policy, pruner)")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback={callback!r}; give a function of one StepView")
        how = {
            "think_mode": think_mode,
            "drop_after_image": drop_after_image,
            "multi_image_pad": multi_image_pad,
        }
        chosen = self.controller if controller is None else controller
        if chosen is not None and chosen.promise is not None and not chosen.promise.told:
            chosen.promise.tell(differences(chosen.promise, self, settings), self.network)
        prepare = functools.partial(self.prepare, controller=chosen)
        requests = collected(prepare, prompt, images, video, inputs, how)
        single = isinstance(prompt, str) or isinstance(inputs, Prepared)
        out = self._answering.run(requests, settings, chosen, callback)
        return out[0] if single else out

    def resume(
        self,
        snapshot: Snapshot,
        controller: Controller | None = None,
        callback: Callback | None = None,
    ) -> Generation:
        """Go on from the state after a step of an earlier call, under another controller.

        Its policy begins anew at that step, and sees what the step before showed; a pruner that
        reads the attention of that step needs it to have been shown there, under a controller with
        a pruner that reads it too. A snapshot can be resumed any number of times.

        Parameters
        ----------
        snapshot : Snapshot
            Made by `StepView.snapshot` in a callback of `generate`.
        controller, callback
            As in `generate`.

        Returns
        -------
        Generation
            Of the whole answer: its trace begins with the steps before the snapshot.

        Raises
        ------
        ValueError
            If the snapshot is another model's.
        """
        if not isinstance(snapshot, Snapshot):
            raise TypeError(f"resume() takes a Snapshot of a callback's view, not {snapshot!r}")
        if snapshot.network is not self.network:
            raise ValueError(f"{snapshot!r} is another model's; resume it with that one")
        chosen = self.controller if controller is None else controller
        return self._answering.resume(snapshot, chosen, callback)

    @property
    def _answering(self) -> Answering:
        return Answering(self.network, self.family, self.spec, self.processor)
