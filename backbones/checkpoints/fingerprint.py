"""The hash of a backbone: whether a model is the one that a preset was made on."""

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

CHUNK = 2**26
"""Elements that are copied to the host at once."""
_LOCK = threading.Lock()
_KNOWN: WeakKeyDictionary[nn.Module, tuple[int, str]] = WeakKeyDictionary()
"""Of each network: what its tensors were when it was hashed, and the hash."""


def fingerprint(network: nn.Module) -> str:
    """SHA-256 over the names, shapes, dtypes and bytes of all tensors, as they were loaded.

    The same on every device; another after any change of a weight, and in another dtype. Tensors
    are hashed in several threads, so that a model of 8 billion parameters takes seconds.

    Parameters
    ----------
    network : nn.Module
        Such as ``model.network``.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    tensors = sorted(network.state_dict().items())
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        digests = list(pool.map(lambda pair: _digest(pair[1]), tensors))
    whole = hashlib.sha256()
    for (name, tensor), digest in zip(tensors, digests, strict=True):
        line = f"{name} {tuple(tensor.shape)} {tensor.dtype} {digest}\n"
        whole.update(line.encode())
    return whole.hexdigest()


def known_fingerprint(network: nn.Module) -> str:
    """The hash of a network, made once for all threads and presets until a weight changes."""
    now = hash(tuple(_stamp(tensor) for tensor in network.state_dict().values()))
    with _LOCK:
        known = _KNOWN.get(network)
        if known is None or known[0] != now:
            known = _KNOWN[network] = now, fingerprint(network)
        return known[1]


def _stamp(tensor: Tensor) -> tuple[int, int]:
    """Where a tensor lies, and how often it was written to in place, as far as torch counts."""
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version


def _digest(tensor: Tensor) -> str:
    found, flat = hashlib.sha256(), tensor.detach().reshape(-1)
    for start in range(0, len(flat), CHUNK):
        part = flat[start : start + CHUNK].cpu().contiguous()
        found.update(part.view(torch.uint8).numpy().data)
    return found.hexdigest()
