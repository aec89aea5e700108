"""Seeing what attention computes, whatever kernel computes it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

KERNELS = ("eager", "sdpa")
"""Kernels that take the masks that are cut here."""
Watcher = Callable[[nn.Module, Tensor, Tensor, Tensor | None, float | None], None]
"""Gets module, queries (B, H, Q, d), keys (B, H_kv, K, d), mask and scale of an attention."""

_watcher: ContextVar[Watcher | None] = ContextVar("saccade_watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Let a watcher see the attentions of this thread, in models that are `named`."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


@contextmanager
def named(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Have the attention of some modules computed as before, under a name that lets it be seen.

    Modules choose their function by the name in their config, which several may share; where an
    eager one is defined, their own file is searched. Names of other kernels than `KERNELS` stay.
    """
    found = {id(config): module for module in modules if _seeable(config := _config(module))}
    before = [(_config(module), _config(module)._attn_implementation) for module in found.values()]
    try:
        for module, (config, kernel) in zip(found.values(), before, strict=True):
            config._attn_implementation = _registered(kernel, module)
        yield
    finally:
        for config, kernel in before:
            config._attn_implementation = kernel


def _config(module: nn.Module) -> Any:
    return getattr(module, "config", None)


def _seeable(config: Any) -> bool:
    return getattr(config, "_attn_implementation", None) in KERNELS


def _registered(kernel: str, module: nn.Module) -> str:
    """Name of an attention that is seen and computed by `kernel`."""
    home = type(module).__module__
    name = f"saccade_{kernel}" if kernel != "eager" else f"saccade_eager_{home.rsplit('.', 1)[-1]}"
    if name not in ALL_ATTENTION_FUNCTIONS:
        AttentionInterface.register(name, _seen(_function(kernel, home)))
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[kernel])
    return name


def _function(kernel: str, home: str) -> Callable[..., Any]:
    if kernel == "eager":
        from importlib import import_module

        found: Callable[..., Any] = import_module(home).eager_attention_forward
        return found
    known: Callable[..., Any] = ALL_ATTENTION_FUNCTIONS[kernel]
    return known


def _seen(inner: Callable[..., Any]) -> Callable[..., Any]:
    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        **kwargs: Any,
    ) -> Any:
        watcher = _watcher.get()
        if watcher is not None:
            watcher(module, query, key, attention_mask, kwargs.get("scaling"))
        return inner(module, query, key, value, attention_mask, **kwargs)

    return attend
