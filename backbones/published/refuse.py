"""Objects that the native model cannot stand in for: each is refused by name."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from saccade.backbones.published.recognise import ANSWERING
from saccade.backbones.takeover import TakenOver
from saccade.controller.errors import CapabilityError

QUANTISERS = (
    "aqlm",
    "auto_gptq",
    "awq",
    "bitsandbytes",
    "compressed_tensors",
    "eetq",
    "fbgemm_gpu",
    "gptqmodel",
    "hqq",
    "optimum",
    "quanto",
    "quark",
    "torch.ao",
    "torchao",
    "transformers.integrations",
    "vptq",
)
"""Packages whose modules and tensors stand for others in quantised models."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
GRADIENTS = ("make_inputs_require_grad", "make_inputs_require_grads")
"""Forward hooks that change nothing but who needs a gradient."""


def check_object(model: nn.Module) -> None:
    """Raise `CapabilityError` for an object whose tensors are not plain, or which something has
    changed so that the native model would compute something else.

    Parameters
    ----------
    model : nn.Module
        The object as the user holds it, with what may be around the published one.
    """
    _check_adapters(model)
    _check_quantised(model)
    _check_devices(model)
    _check_patches(model)


def tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of an object, tied ones under each of their names."""
    return chain(
        model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    )


def _refuse(model: nn.Module, why: str, what: str) -> NoReturn:
    raise CapabilityError(f"this {type(model).__name__} cannot be wrapped: {why}; {what}")


def _from(given: object, packages: tuple[str, ...]) -> str | None:
    """The package, of some, that the class of an object or one that it inherits from comes from."""
    modules = (c.__module__ for c in type(given).__mro__)
    found = (p for m in modules for p in packages if m == p or m.startswith(f"{p}."))
    return next(found, None)


def _check_adapters(model: nn.Module) -> None:
    for name, module in model.named_modules():
        kinds = {c.__name__ for c in type(module).__mro__}
        unmerged = "BaseTunerLayer" in kinds and not getattr(module, "merged", False)
        if unmerged or kinds & {"ModulesToSaveWrapper", "AuxiliaryTrainingWrapper"}:
            _refuse(
                model,
                f"{name} holds an adapter that is not merged ({type(module).__name__})",
                "merge it first, model.merge_and_unload(), and wrap what that returns",
            )


def _check_quantised(model: nn.Module) -> None:
    advice = "load the weights as float16, bfloat16 or float32"
    for name, module in model.named_modules():
        package = _from(module, QUANTISERS)
        if package is not None:
            what = f"{name or 'the object'} is a {type(module).__name__} of {package}"
            _refuse(model, f"it is quantised ({what})", advice)
    for name, tensor in tensors_of(model):
        package = _from(tensor, QUANTISERS)
        odd = isinstance(tensor, nn.Parameter) and tensor.dtype not in FLOATS
        if package is not None or odd:
            kind = package or str(tensor.dtype).removeprefix("torch.")
            _refuse(model, f"it is quantised ({name} is stored as {kind})", advice)
    given = getattr(getattr(model, "config", None), "quantization_config", None)
    if given is not None or getattr(model, "is_quantized", False):
        _refuse(model, "it is quantised (its config has a quantization_config)", advice)


def _check_devices(model: nn.Module) -> None:
    offloads = (n for n, m in model.named_modules() if _offloads(getattr(m, "_hf_hook", None)))
    empty = (name for name, tensor in tensors_of(model) if tensor.is_meta)
    found = next(chain(offloads, empty), None)
    if found is not None:
        _refuse(
            model,
            f"weights are offloaded or were never loaded ({found or 'the whole object'})",
            "load all of it onto one device, without offloading and with device_map={'': device}",
        )
    devices = sorted({str(tensor.device) for _, tensor in tensors_of(model)})
    if len(devices) > 1:
        _refuse(
            model,
            f"it lies on several devices ({', '.join(devices)})",
            "load it onto one, device_map={'': device}",
        )


def _offloads(hook: Any) -> bool:
    """Whether a hook of accelerate keeps weights elsewhere between calls."""
    hooks = getattr(hook, "hooks", None) or ([] if hook is None else [hook])
    return any(getattr(each, "offload", False) for each in hooks)


def _check_patches(model: nn.Module) -> None:
    advice = (
        "the native model would not run that: load the object without it (prefix caching is the "
        "argument prefix_refresh_interval here, or LaViDa's prefix_lm)"
    )
    for name, module in model.named_modules():
        where = name or "the object"
        if type(module).__name__ == "OptimizedModule":
            _refuse(model, f"{where} is compiled", "wrap the object as it was before torch.compile")
        if not _own(module, "forward"):
            _refuse(model, f"forward of {where} was replaced, as caching hooks do", advice)
        replaced = _foreign(type(module), "forward")
        if replaced is not None:
            _refuse(model, f"forward of the class of {where} was replaced by {replaced}'s", advice)
        hooks = chain(module._forward_hooks.values(), module._forward_pre_hooks.values())
        hook = next((h for h in hooks if getattr(h, "__name__", "") not in GRADIENTS), None)
        if hook is not None:
            why = f"{where} has a forward hook ({hook!r})"
            _refuse(model, why, "the native model calls none: remove it first")
    for method in ANSWERING:
        if not _own(model, method):
            _refuse(model, f"its {method} was replaced, as caching hooks do", advice)
        replaced = _foreign(type(model), method)
        if replaced is not None:
            _refuse(model, f"{method} of its class was replaced by {replaced}'s", advice)


def _own(module: nn.Module, name: str) -> bool:
    """Whether a method of a module is that of its class: untouched, put back by a hook that was
    removed, inside a hook of accelerate, or taken over by us."""
    there: Any = vars(module).get(name)
    while hasattr(module, "_hf_hook") and hasattr(there, "__wrapped__"):
        there = there.__wrapped__
    if there is None or isinstance(there, TakenOver):
        return True
    same = getattr(there, "__func__", None) is getattr(type(module), name)
    return same and getattr(there, "__self__", None) is module


def _foreign(given: type, method: str) -> str | None:
    """The module that a class got a method from, if that is not the one it was written in."""
    for owner in given.__mro__:
        if method in vars(owner):
            home = getattr(vars(owner)[method], "__module__", None)
            return home if isinstance(home, str) and home != owner.__module__ else None
    return None
