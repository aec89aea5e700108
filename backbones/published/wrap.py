"""``wrap``: an object that people hold already to a native model over its weights."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from saccade.backbones.checkpoints.config import check_packing
from saccade.backbones.loading import empty_network
from saccade.backbones.network.attend import check_attention, check_kernel
from saccade.backbones.opening import preprocessor_of
from saccade.backbones.published.companions import check_processor, own_tokenizer
from saccade.backbones.published.geometry import HEAD, config_of, language_of, tower_of
from saccade.backbones.published.recognise import is_published, recognised
from saccade.backbones.published.refuse import check_object
from saccade.backbones.published.weights import published_tensors, share
from saccade.backbones.published.wrapped import Wrapped
from saccade.controller.errors import CapabilityError

if TYPE_CHECKING:
    from saccade.backbones.hf import WrappedModel


def wrap(
    model: nn.Module, tokenizer: Any = None, processor: Any = None, *, attention: str = "sdpa"
) -> "Wrapped | WrappedModel":
    """Put a model that you hold already under a controller, with its own ``generate``.

    The weights are shared, not copied or moved, and the object stays exactly as it is, but that
    while a controller is attached its ``generate`` is answered by Saccade: with the object's own
    arguments and return value.

    Parameters
    ----------
    model : nn.Module
        Of LLaDA-V's class ``LlavaLLaDAModelLM`` or LaViDa-Dream's ``LlavaDreamForMaskedDiffusion``,
        a subclass, or a PEFT model of one whose adapters are merged. Or of one of transformers' own
        classes (Qwen2.5-VL, Qwen3-VL, LLaVA, LLaVA-OneVision, Gemma 3 and 4, DiffusionGemma), which
        runs itself, under the controller.
    tokenizer : optional
        The object's, of transformers (fast, or slow with files of Qwen2's kind) or tokenizers.
        Without one, ids go in and out: answers have no text.
    processor : optional
        The tower's image processor; only checked, against what the tower reads. Of transformers'
        own classes what made their inputs, so that answers have a text.
    attention : "sdpa", "flash" or "eager"
        As of `load`, for published classes. transformers' own compute it as they were made to.

    Returns
    -------
    Wrapped or WrappedModel
        Of a published class a `Model`, which takes questions and pictures, too. `traces`, `last`
        and ``attach`` are those of both.

    Raises
    ------
    TypeError
        If `model` is of no published class, `tokenizer` no tokenizer, `processor` no processor.
    ValueError, ImportError
        If `attention` is unknown, or cannot run where the weights are; as `load`.
    CapabilityError
        If the object is quantised, offloaded, on several devices, has adapters that are not merged,
        was patched by a caching hook, has no tower or tensors that its class does not have.
    CheckpointError
        If its config asks for what is not supported.

    Notes
    -----
    Of bfloat16 or float32 weights, LLaDA-V's published code computes products in float16 on a GPU,
    by autocast; here they are computed in the weights' own dtype. Of float16 weights, which its
    loader makes, both do the same.

    Examples
    --------
    >>> wrapped = saccade.wrap(model, tokenizer)  # doctest: +SKIP
    >>> with saccade.Controller("after_steps(2, keep=0.25)", "divprune")(wrapped):  # doctest: +SKIP
    ...     ids = model.generate(input_ids, images=tensors, image_sizes=sizes, steps=32)
    >>> wrapped.last.trace.visual_tokens_ratio  # doctest: +SKIP
    """
    check_kernel(attention)
    if _of_transformers(model):
        if attention != "sdpa":
            raise ValueError(
                f"attention={attention!r}: a model of transformers' own computes attention as it "
                f"was made to; leave it out, and give attn_implementation to from_pretrained"
            )
        return _controlled(model, tokenizer if processor is None else processor)
    published, family = recognised(model)
    check_object(model)
    tensors = published_tensors(published)
    config = config_of(published.config)
    check_packing(config, video=family.video, pooled=family.pooled)
    tower, language = tower_of(published, tensors), language_of(config, family, tensors)
    inside = None if processor is None else check_processor(processor, tower.image_size)
    given = inside if tokenizer is None else tokenizer
    words = None if given is None else own_tokenizer(given)
    head = tensors[HEAD]
    check_attention(attention, head.device, head.dtype, language.head_dim)
    network = empty_network(replace(language, attention=attention), tower)
    share(network, tensors)
    name = str(config.get("_name_or_path") or type(published).__name__)
    spec = family.spec(name, language, None if words is None else words.token_to_id)
    if config.get("mask_token_id") is not None:
        spec = replace(spec, mask_id=int(config["mask_token_id"]))
    # As `load` reads it, should the model be saved: the head is always a matrix of its own.
    config |= {"vocab_size": language.vocab_size, "tie_word_embeddings": False}
    config |= {"model_type": family.model_types[0], "architectures": [family.architecture]}
    preprocessor = preprocessor_of(config, tower, family)
    return Wrapped(network, family, spec, preprocessor, words, config, published, model)


def _of_transformers(model: object) -> bool:
    """Whether a model is of a class that transformers itself ships."""
    modules = [c.__module__ for c in type(model).__mro__]
    ships = any(name.startswith("transformers.models.") for name in modules)
    return ships and not is_published(model)


def _controlled(model: nn.Module, processor: Any) -> "WrappedModel":
    try:
        from saccade.backbones.hf import wrap_hf
    except ImportError as error:
        import transformers

        raise CapabilityError(
            f"models of transformers {transformers.__version__} itself cannot be controlled, as it "
            f"lacks what that needs ({error}); update transformers"
        ) from error
    return wrap_hf(model, processor)
