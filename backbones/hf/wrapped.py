"""A model of transformers that a controller can be attached to."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import torch

from saccade.backbones.hf.autoregressive import AutoregressiveCall
from saccade.backbones.hf.block_diffusion import BlockDiffusionCall
from saccade.backbones.hf.geometry import geometry_of
from saccade.backbones.hf.kinds import kind_of, visual_ids
from saccade.backbones.hf.refusals import (
    check_attention,
    check_call,
    check_controller,
    check_model,
)
from saccade.backbones.hf.sequence import CallSequence, sequences_of
from saccade.backbones.takeover import give_back, own_generate, take_over
from saccade.controller.attachment import Attachment, attach
from saccade.controller.controller import Controller
from saccade.controller.errors import CapabilityError
from saccade.controller.trace import Generation, Trace
from saccade.controller.types import BackboneSpec


class WrappedModel:
    """A model of one of transformers' own classes, with facts and a place for a controller.

    While a controller is attached, the model's own ``generate`` runs under it: same arguments,
    same return value. Nothing else of the model is changed, and that is undone with the block.

    Parameters
    ----------
    model : PreTrainedModel
        Of a class in `KINDS`, or a subclass of one.
    processor : object, optional
        What made its inputs; its ``batch_decode`` gives the text of `generations`.

    Attributes
    ----------
    model : PreTrainedModel
    traces : tuple of Trace
        Of the last call under a controller, one a sequence.
    generations : tuple of Generation
        The same with the tokens that were written, and their text where a processor was given.

    Raises
    ------
    TypeError
        For a processor that gives no texts.
    CapabilityError
        For models of other classes, on several devices, or not wholly in memory.
    """

    def __init__(self, model: Any, processor: Any = None) -> None:
        self.kind = kind_of(model)
        check_model(model)
        if processor is not None and not hasattr(processor, "batch_decode"):
            raise TypeError(
                f"a {type(processor).__name__} is no processor or tokenizer of transformers (no "
                "batch_decode): give what AutoProcessor.from_pretrained makes, or None"
            )
        self.model, self.processor = model, processor
        self.traces: tuple[Trace, ...] = ()
        self.generations: tuple[Generation, ...] = ()
        self._controller: Controller | None = None
        self._spec = self._facts()

    @property
    def spec(self) -> BackboneSpec:
        """Facts about this backbone."""
        return self._spec

    @property
    def controller(self) -> Controller | None:
        """Used by every call of the model's generate; set by ``with controller(wrapped)``."""
        return self._controller

    @controller.setter
    def controller(self, value: Controller | None) -> None:
        if value is None:
            give_back(self)
        else:
            check_controller(value, self.spec.name)
            check_attention(self.model)
            if self._controller is None:
                take_over(self)
        self._controller = value

    @property
    def published(self) -> Any:
        """`model`, under the name that it has in `Wrapped`."""
        return self.model

    def answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call of the model's own generate while a controller is attached."""
        return self.generate(*args, **kwargs)

    @property
    def last(self) -> Generation | None:
        """The first of `generations`; None before the first call under a controller."""
        return self.generations[0] if self.generations else None

    def attach(self, controller: Controller) -> Attachment:
        """Attach a controller until the handle's ``detach()``, or the end of a ``with`` over it.

        Raises
        ------
        TypeError, CapabilityError, PlanError, ValueError
            As ``with controller(wrapped)`` does.
        """
        return attach(controller, self)

    def __repr__(self) -> str:
        g = self.spec.geometry
        return (
            f"WrappedModel({self.spec.name!r}, {self.spec.origin}, {g.n_layers} layers x "
            f"{g.hidden}, {self.model.device}, {self.model.dtype})"
        )

    def process(self, *args: Any, picture_budget: int | None = None, **given: Any) -> Any:
        """The processor's own call, with a picture budget.

        Where steps cost little for a picture, this is what saves most: the tower and the prompt
        see fewer tokens of it.

        Parameters
        ----------
        *args, **given
            As the processor takes them.
        picture_budget : int, optional
            Most tokens that a picture is turned into; the processor says which numbers it knows.

        Raises
        ------
        ValueError
            Without a processor, or for a number that it does not know.
        CapabilityError
            Where the processor of this class has no such option.
        """
        if self.processor is None:
            raise ValueError("no processor was given; give one: wrap(model, processor=processor)")
        if picture_budget is None:
            return self.processor(*args, **given)
        if self.kind.budget is None:
            raise CapabilityError(
                f"picture_budget={picture_budget}: the processor of {self.spec.name} has no such "
                "option; make its pictures smaller"
            )
        own = {**given.pop("images_kwargs", {}), self.kind.budget: picture_budget}
        return self.processor(*args, images_kwargs=own, **given)

    def generate(self, *args: Any, controller: Controller | None = None, **given: Any) -> Any:
        """The model's own generate, under a controller.

        Parameters
        ----------
        *args, **given
            As the model's own generate takes them, such as ``**processor(...)``.
        controller : Controller, optional
            Overrides an attached one. Without any the model runs as it is.

        Returns
        -------
        What the model's own generate returns. `traces` lie beside it.

        Raises
        ------
        CapabilityError
            For ways of generating that cannot be controlled; see `refusals.py`.
        PlanError
            For plans that cannot be carried out.
        """
        chosen = self.controller if controller is None else controller
        own = own_generate(self.model)
        self.traces, self.generations = (), ()  # those of a call that fails are nobody's
        if chosen is None:
            return own(*args, **given)
        if not isinstance(chosen, Controller):
            raise TypeError(f"controller={chosen!r}; give a Controller(policy, pruner)")
        check_controller(chosen, self.spec.name)
        check_attention(self.model)
        given = _named_arguments(args, given)
        config = self._config(given)
        check_call(self.model, given, config)
        with torch.no_grad(), self._call(chosen, given, config) as call:
            out = own(**call.begin(given, config))
        self.traces = call.traces()
        self.generations = tuple(map(self._generation, call.sequences, self.traces))
        return out

    def _call(
        self, controller: Controller, given: Mapping[str, Any], config: Any
    ) -> AutoregressiveCall | BlockDiffusionCall:
        copies = 1 if self.kind.denoises else config.num_return_sequences or 1
        ids, mask = given["input_ids"], given.get("attention_mask")
        memory = given.get("past_key_values")
        cached = 0 if memory is None else memory.get_seq_length()
        if cached and (self.kind.denoises or ids.shape[1] <= cached):  # new ones alone are given
            ids = torch.nn.functional.pad(ids, (cached, 0), value=-1)
        if mask is not None and mask.shape[1] != ids.shape[1]:
            mask = None
        grids = [] if self.kind.grids is None else self.kind.grids(self.model.config, given)
        sequences = sequences_of(
            ids.repeat_interleave(copies, 0),
            None if mask is None else mask.repeat_interleave(copies, 0),
            cached,
            visual_ids(self.kind, self.model.config),
            _repeated(grids, ids, copies),
        )
        session = controller.session(self.spec, len(sequences))
        make = BlockDiffusionCall if self.kind.denoises else AutoregressiveCall
        return make(self.model, self.kind, self.spec, session, sequences, memory)

    def _config(self, given: Mapping[str, Any]) -> Any:
        """What the model makes of the settings of a call."""
        rest = {name: value for name, value in given.items() if name not in NO_SETTINGS}
        config, _ = self.model._prepare_generation_config(given.get("generation_config"), **rest)
        return config

    def _generation(self, own: CallSequence, trace: Trace) -> Generation:
        text = None
        if self.processor is not None:
            text = self.processor.batch_decode([own.tokens], skip_special_tokens=True)[0]
        return Generation(tuple(own.tokens), text, trace)

    def _facts(self) -> BackboneSpec:
        layers = attrgetter(self.kind.decoder)(self.model).layers
        return BackboneSpec(
            name=type(self.model).__name__,
            origin=self.kind.origin,
            geometry=geometry_of(self.model.config, layers),
            mask_id=None,
            forbidden_ids=(),
            logit_shift=not self.kind.denoises,
            can=self.kind.can,
        )


NO_SETTINGS = frozenset(
    {
        "generation_config",
        "logits_processor",
        "stopping_criteria",
        "assistant_model",
        "streamer",
        "custom_generate",
    }
)
"""Arguments of generate that no config holds."""


def wrap_hf(model: Any, processor: Any = None) -> WrappedModel:
    """Make a model of transformers' own classes controllable; see `WrappedModel`."""
    return WrappedModel(model, processor)


def _named_arguments(args: tuple[Any, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name; the first one that may be given without is the prompt's ids.

    Raises
    ------
    TypeError
        If more are given without, or the ids more than once.
    """
    if len(args) > 1:
        raise TypeError("generate() under a controller takes all but the first by name")
    out = dict(given)
    ids = [*args, out.pop("inputs", None), out.pop("input_ids", None)]
    ids = [one for one in ids if one is not None]
    if len(ids) > 1:
        raise TypeError("generate() got the prompt's ids twice; give them once, as input_ids")
    return out | ({"input_ids": ids[0]} if ids else {})


def _repeated(grids: Any, ids: torch.Tensor, copies: int) -> Any:
    """Grids of a batch whose sequences are answered several times each; known for one alone."""
    if copies == 1:
        return grids
    return list(grids) * copies if len(ids) == 1 else []
