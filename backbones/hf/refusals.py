"""What a controller cannot work on, said before anything runs."""

from collections.abc import Mapping
from typing import Any

from transformers.cache_utils import Cache

from saccade.backbones.hf.watching import KERNELS
from saccade.controller.controller import Controller
from saccade.controller.errors import CapabilityError

DYNAMIC = (None, "dynamic")


def check_model(model: Any) -> None:
    """Raise `CapabilityError` for a model whose layers cannot be hooked as they should be."""
    name, text = type(model).__name__, model.config.get_text_config(decoder=True)
    devices = set((getattr(model, "hf_device_map", None) or {}).values())
    if len(devices) > 1:
        raise CapabilityError(
            f"{name} is spread over {sorted(map(str, devices))}; a controller works on a model on "
            "one device: load it with device_map={'': 0}"
        )
    if any(own.is_meta for own in model.parameters()):
        raise CapabilityError(
            f"{name} has weights that are not in memory (offloaded or on the meta device); load "
            "it whole"
        )
    if getattr(text, "num_kv_shared_layers", 0):
        raise CapabilityError(
            f"{name}: its last {text.num_kv_shared_layers} layers read the keys of earlier ones, "
            "and what a plan hides from one would be hidden from all; take a checkpoint whose "
            "layers have keys of their own"
        )


def check_attention(model: Any) -> None:
    """Raise `CapabilityError` for a kernel whose masks cannot be cut."""
    kernel = model.config.get_text_config(decoder=True)._attn_implementation
    if kernel not in KERNELS and not str(kernel).startswith("saccade_"):
        raise CapabilityError(
            f"attn_implementation={kernel!r}: a controller cuts rows and keys out of masks, which "
            f"{' and '.join(KERNELS)} take; call model.set_attn_implementation('sdpa')"
        )


def check_controller(controller: Controller, spec_name: str) -> None:
    """Raise `CapabilityError` for what a controller asks beyond its policy and its pruner."""
    if controller.positions != "original":
        raise CapabilityError(
            f"positions={controller.positions!r}: {spec_name} makes the positions itself; use "
            "'original'"
        )
    if getattr(controller.pruner, "merges", False):
        raise CapabilityError(
            f"{controller.pruner!r} turns tokens into sums of others, and {spec_name} only takes "
            "tokens away; choose a pruner that selects, such as 'divprune' or 'fastv'"
        )


def check_call(model: Any, given: Mapping[str, Any], config: Any) -> None:
    """Raise `CapabilityError` for ways of generating that cannot be controlled.

    Parameters
    ----------
    model : PreTrainedModel
    given : mapping
        Arguments of its generate.
    config : GenerationConfig
        What it makes of them.
    """
    _check_cache(given, config)
    if hasattr(config, "num_beams"):
        _check_way(given, config)
    if given.get("inputs_embeds") is not None or given.get("input_ids") is None:
        raise CapabilityError(
            "generate() needs input_ids: they say where the visual tokens stand; embeddings alone "
            "do not"
        )
    if given.get("mm_encoder_outputs") is not None:
        raise CapabilityError(
            "mm_encoder_outputs: give the pictures themselves (pixel_values), as the processor does"
        )
    if model.training:
        raise CapabilityError("the model is in training mode; call model.eval() first")


def _check_cache(given: Mapping[str, Any], config: Any) -> None:
    kind = getattr(config, "cache_implementation", None)
    if kind not in DYNAMIC:
        raise CapabilityError(
            f"cache_implementation={kind!r}: static caches are compiled, and compiled code does "
            "not see a controller's hooks, nor can quantized or offloaded ones hide keys; leave "
            "it out for the dynamic cache"
        )
    if getattr(config, "use_cache", True) is False:
        raise CapabilityError("use_cache=False: a controller works on the cache; leave it out")
    memory = given.get("past_key_values")
    if memory is not None and (not isinstance(memory, Cache) or memory.is_compileable):
        raise CapabilityError(
            f"past_key_values={type(memory).__name__}: a controller works on the dynamic cache; "
            "leave it out, or give the one that a call returned"
        )


def _check_way(given: Mapping[str, Any], config: Any) -> None:
    mode = str(config.get_generation_mode(given.get("assistant_model")).value)
    if mode not in ("greedy_search", "sample"):
        raise CapabilityError(
            f"this call is {mode.replace('_', ' ')}; a controller works on greedy search and "
            "sampling, where every sequence is one answer: leave out what asks for it "
            "(num_beams, assistant_model, prompt_lookup_num_tokens, ...)"
        )
    for name, allowed in (("guidance_scale", (None, 1)), ("prefill_chunk_size", (None,))):
        value = getattr(config, name, None)
        if value not in allowed:
            raise CapabilityError(
                f"{name}={value!r}: the model would run in passes that are no steps; leave it out"
            )
    if given.get("custom_generate") is not None:
        raise CapabilityError("custom_generate: a controller knows the model's own loop only")
