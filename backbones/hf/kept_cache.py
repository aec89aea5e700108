"""Caches of transformers whose layers can hide keys: made, adopted, copied, and given back."""

from typing import Any, cast

from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer

from saccade.backbones.hf.kept_layer import KeptLayer
from saccade.controller.errors import CapabilityError

KINDS = {"full_attention", "sliding_attention"}


def kept_cache(config: Any) -> Cache:
    """An empty cache for a model's config, all of whose layers can hide keys."""
    return Cache(layers=[KeptLayer(window) for window in windows_of(config)])


def windows_of(config: Any) -> list[int | None]:
    """Window of every layer of a config's text model, None where it has none.

    Raises
    ------
    CapabilityError
        For layers that are no attention, such as recurrent ones.
    """
    text = config.get_text_config(decoder=True)
    kinds = getattr(text, "layer_types", None) or ["full_attention"] * text.num_hidden_layers
    others = sorted(set(kinds) - KINDS)
    if others:
        raise CapabilityError(
            f"{type(config).__name__} has layers of type {', '.join(others)}; a controller can "
            f"work on {' and '.join(sorted(KINDS))}"
        )
    return [text.sliding_window if kind == "sliding_attention" else None for kind in kinds]


def layers_of(cache: Cache) -> list[KeptLayer]:
    """The layers of a cache that was made or adopted here."""
    return cast(list[KeptLayer], cache.layers)


def adopt(cache: Cache, config: Any) -> Cache:
    """Let the layers of a dynamic cache hide keys; the cache stays the same object.

    Raises
    ------
    CapabilityError
        For caches of other kinds.
    """
    layers = cache.layers
    known = all(type(own) in (DynamicLayer, DynamicSlidingWindowLayer, KeptLayer) for own in layers)
    if not isinstance(cache, Cache) or not known or getattr(cache, "offloading", False):
        raise CapabilityError(
            f"past_key_values={type(cache).__name__}: a controller works on the dynamic cache; "
            "leave past_key_values out, or give the one that a call returned"
        )
    windows = windows_of(config)
    made = [
        own if isinstance(own, KeptLayer) else _kept(cast(DynamicLayer, own), window)
        for own, window in zip(layers, windows, strict=False)
    ]
    cache.layers = [*made, *(KeptLayer(window) for window in windows[len(made) :])]
    cache.layer_class_to_replicate = None
    return cache


def release(cache: Cache) -> None:
    """Show all that is held, and give back plain layers where nothing is missing."""
    layers = layers_of(cache)
    for layer in layers:
        layer.show()
        layer.steered = False
    whole = all(layer.in_order for layer in layers)
    for layer in layers:
        layer.readable = whole
    if whole:
        cache.layers = [_plain(layer) for layer in layers]


def empty(like: Cache) -> Cache:
    """An empty cache with layers like those of another one, for a prompt to be computed again."""
    made = [KeptLayer(layer.window) for layer in layers_of(like)]
    for layer in made:
        layer.steered = True
    return Cache(layers=list(made))


def copied(cache: Cache) -> Cache:
    """A cache that holds the same, and does not see what the other one gets afterwards."""
    out = empty(cache)
    for own, layer in zip(layers_of(out), layers_of(cache), strict=True):
        vars(own).update(vars(layer))
    return out


def _kept(layer: DynamicLayer, window: int | None) -> KeptLayer:
    out = KeptLayer(window)
    if layer.is_initialized and layer.keys is not None and layer.values is not None:
        out._begin(layer.keys, layer.values)
        out._keys, out._values = layer.keys, layer.values
        out.seen = layer.get_seq_length()
    return out


def _plain(layer: KeptLayer) -> DynamicLayer:
    kind: Any = DynamicLayer
    out = kind() if layer.window is None else DynamicSlidingWindowLayer(layer.window)
    if layer._keys is not None and layer._values is not None:
        out.lazy_initialization(layer._keys, layer._values)
        out.keys, out.values = layer._keys, layer._values
        if isinstance(out, DynamicSlidingWindowLayer):
            out.cumulative_length = layer.seen
    return out
