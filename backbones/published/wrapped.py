"""A published object under a controller: the native model over its weights."""

from collections.abc import Mapping
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from saccade.backbones.families.family import Family
from saccade.backbones.inputs.chat import IMAGE_ID
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.inputs.processor import encode_for
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.inputs.token_ids import check_vocabulary
from saccade.backbones.model import Model
from saccade.backbones.network.network import Network
from saccade.backbones.opening import preprocessor_of
from saccade.backbones.published.arguments import Arguments, read_arguments
from saccade.backbones.published.calls import Asked, Caller
from saccade.backbones.published.geometry import config_of
from saccade.backbones.published.lavida_dream import LavidaCaller
from saccade.backbones.published.llada_v import LladaCaller
from saccade.backbones.published.pictures import PictureForms
from saccade.backbones.published.refuse import check_object
from saccade.backbones.published.tables import TABLES
from saccade.backbones.published.weights import moved
from saccade.backbones.takeover import give_back, take_over
from saccade.controller.attachment import Attachment, attach
from saccade.controller.controller import Controller
from saccade.controller.errors import CapabilityError
from saccade.controller.trace import Generation, Trace
from saccade.controller.types import PROMPT, BackboneSpec, Segments

CALLERS: Mapping[str, Caller] = {
    "LlavaLLaDAModelLM": LladaCaller(),
    "LlavaDreamForMaskedDiffusion": LavidaCaller(),
}
"""By the name of the class, as `TABLES`."""


class Wrapped(Model):
    """A native model over the weights of a published object, made by `saccade.wrap`.

    While a controller is attached, calls of the object's own ``generate`` are answered here, with
    its arguments and its return value; otherwise the object is as it was.

    Parameters
    ----------
    network, family, spec, preprocessor, tokenizer, config
        As of `Model`.
    published : nn.Module
        The object of the published class.
    outer : nn.Module
        What the user holds: the same, or what is around it.

    Attributes
    ----------
    last : Generation or None
        Of the latest call in the published form, from whichever thread: its tokens, text and
        trace.
    """

    def __init__(
        self,
        network: Network,
        family: Family,
        spec: BackboneSpec,
        preprocessor: ImagePreprocessor,
        tokenizer: Tokenizer | None,
        config: dict[str, Any],
        published: nn.Module,
        outer: nn.Module,
    ) -> None:
        self._published, self._outer = published, outer
        self._controller: Controller | None = None
        self.last: Generation | None = None
        super().__init__(network, family, spec, preprocessor, tokenizer, config)

    def __repr__(self) -> str:
        return f"Wrapped({type(self._published).__name__}, {super().__repr__()})"

    @property
    def published(self) -> nn.Module:
        """The object whose weights these are."""
        return self._published

    @property
    def controller(self) -> Controller | None:
        """Set by ``with controller(wrapped)``; as long as there is one, the object's generate is
        answered here."""
        return self._controller

    @controller.setter
    def controller(self, given: Controller | None) -> None:
        if given is None:
            give_back(self)
        elif self._controller is None:
            check_object(self._outer)
            self._check_shared()
            take_over(self)
        self._controller = given

    @property
    def generations(self) -> tuple[Generation, ...]:
        """`last` alone, or nothing before the first call."""
        return () if self.last is None else (self.last,)

    @property
    def traces(self) -> tuple[Trace, ...]:
        """Those of `generations`."""
        return tuple(own.trace for own in self.generations)

    def attach(self, controller: Controller) -> Attachment:
        """Attach a controller until the handle's ``detach()``, or the end of a ``with`` over it.

        Raises
        ------
        TypeError, CapabilityError, PlanError, ValueError
            As ``with controller(wrapped)`` does.
        """
        return attach(controller, self)

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a question about pictures, as `Model.generate`; or a call in the published form.

        In the published form (a tensor of ids, first or as ``inputs``) it takes the arguments of
        the object's own generate and returns what that returns, computed natively, with or without
        a controller; ``controller=`` may be given, too.

        Raises
        ------
        ValueError, TypeError, CapabilityError, PlanError
            As `Model.generate` does, or naming an argument that cannot be honoured.
        """
        first = args[0] if args else kwargs.get("inputs", kwargs.get("input_ids"))
        if isinstance(first, Tensor) or "input_ids" in kwargs:
            return self.answer(args, kwargs)
        self._check_shared()
        return super().generate(*args, **kwargs)

    def answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call with the arguments of the published generate; see `generate`."""
        self._check_shared()
        self.last = None  # that of a call that fails is nobody's
        rest = {name: value for name, value in kwargs.items() if name != "controller"}
        controller = kwargs.get("controller")
        if not isinstance(controller, Controller | None):
            raise TypeError(f"controller={controller!r}; give a Controller(policy, pruner)")
        controller = self.controller if controller is None else controller
        name = self.family.architecture
        given = read_arguments(TABLES[name], args, rest)
        asked = self._asked()
        options = CALLERS[name].options(asked, given)
        inputs = self._inputs(given, asked.config, controller)
        out = super().generate(inputs=inputs, controller=controller, **options)
        self.last = out
        return CALLERS[name].answer(out, asked, given, len(inputs))

    def _asked(self) -> Asked:
        config = config_of(self._published.config)
        classes = type(self._published).__mro__
        return Asked(classes, config, self.family, self.spec, self.tokenizer, self.device)

    def _check_shared(self) -> None:
        name = moved(self.network, self._published)
        if name is not None:
            raise CapabilityError(
                f"the object's weights are no longer those that were wrapped ({name} was moved, "
                "cast or replaced): wrap it again, saccade.wrap(model)"
            )

    @torch.inference_mode()
    def _inputs(
        self, given: Arguments, config: Mapping[str, Any], controller: Controller | None
    ) -> Prepared:
        """The prompt of a call, spliced as the object's config says now."""
        if given.images is None:
            return self._text(given.ids)
        own = preprocessor_of(dict(config), self.network.tower, self.family)
        forms = PictureForms(self.network, self.family, own, config)
        pictures = forms.read(given.images, given.image_sizes, given.modalities)
        return self.processor.prepare_pictures(given.ids, pictures, encode_for(controller))

    def _text(self, ids: tuple[int, ...]) -> Prepared:
        """A prompt without pictures, which published code does not cut."""
        if IMAGE_ID in ids:
            raise ValueError(
                f"the prompt has {ids.count(IMAGE_ID)} image placeholders ({IMAGE_ID}) but no "
                "images were given: give images and image_sizes"
            )
        check_vocabulary(ids, self.spec.geometry.vocab)
        embeds = self.network.model.embed_tokens(torch.tensor(ids, device=self.device))
        kinds = torch.full((len(ids),), PROMPT, dtype=torch.int8)
        images = torch.full((len(ids),), -1, dtype=torch.int16)
        return Prepared(embeds, Segments(kinds, images), torch.zeros(0, 2), 0)
