"""Tokenizers and image processors that people hold beside a published object."""

import tempfile
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from saccade.backbones.checkpoints.tokenizer import read_tokenizer
from saccade.backbones.inputs.token_ids import plain_ids
from saccade.controller.errors import CapabilityError, CheckpointError

PROBE = "Is 128 > 64?\n  The naïve answer — “yes” — costs €3."
"""A text that tokenizers of different kinds cut differently."""


def own_tokenizer(given: Any) -> Tokenizer:
    """A tokenizer of our own that says the same as the user's, which is left as it is.

    Parameters
    ----------
    given : tokenizers.Tokenizer, or one of transformers
        A slow one is written to a folder that is deleted again, and read from its files: byte-level
        BPE, as Dream's and Qwen2's.

    Raises
    ------
    TypeError
        If it is no tokenizer.
    CapabilityError
        If a slow one cannot be rebuilt, or would say something else.
    """
    if isinstance(given, type):
        raise TypeError(f"{given.__name__} is a class: give a tokenizer, from_pretrained(...)")
    fast = given if isinstance(given, Tokenizer) else getattr(given, "backend_tokenizer", None)
    if isinstance(fast, Tokenizer):
        made = Tokenizer.from_str(fast.to_str())
        made.no_truncation()
        made.no_padding()
        return made
    if not all(callable(getattr(given, name, None)) for name in ("encode", "save_pretrained")):
        raise TypeError(
            f"tokenizer={given!r} is no tokenizer: give one of transformers or tokenizers, or None "
            "where only token ids go in and out"
        )
    return _rebuilt(given)


def _rebuilt(slow: Any) -> Tokenizer:
    name = type(slow).__name__
    with tempfile.TemporaryDirectory() as folder:
        try:
            slow.save_pretrained(folder)
            made = read_tokenizer(Path(folder)) or _beside(slow)
        except (CheckpointError, OSError, AttributeError, NotImplementedError) as error:
            raise _no_twin(name, str(error)) from error
    if made is None:
        raise _no_twin(name, "it has no vocab.json with merges.txt, and no tokenizer.json")
    for text in (PROBE, *_special(slow)):
        theirs = list(slow.encode(text, add_special_tokens=False))
        if made.encode(text, add_special_tokens=False).ids != theirs:
            raise _no_twin(name, f"rebuilt from its files it cuts {text!r} differently")
    return made


def _no_twin(name: str, why: str) -> CapabilityError:
    return CapabilityError(
        f"the slow tokenizer {name} cannot be used: {why}; give its fast twin "
        "(AutoTokenizer.from_pretrained(..., use_fast=True)), or none, and token ids"
    )


def _beside(slow: Any) -> Tokenizer | None:
    """The tokenizer in the folder that a slow one was read from, if there is one."""
    files = [getattr(slow, "vocab_file", None), getattr(slow, "name_or_path", None)]
    paths = [Path(file) for file in files if isinstance(file, str) and file]
    folders = [path if path.is_dir() else path.parent for path in paths if path.exists()]
    found = (read_tokenizer(folder) for folder in folders)
    return next((made for made in found if made is not None), None)


def _special(slow: Any) -> list[str]:
    """Texts of its added tokens."""
    return [str(token) for token in getattr(slow, "added_tokens_encoder", {})]


def ids_of(text: str, name: str, call: Any, own: Tokenizer | None) -> list[int]:
    """The ids that a text has on its own, by the tokenizer of a call, or else our own.

    Raises
    ------
    TypeError
        If there is neither, naming the argument that the text is of.
    """
    if call is None and own is None:
        raise TypeError(
            f"{name}={text!r} is a text: give generate a tokenizer, as the published code needs, "
            "or saccade.wrap(model, tokenizer)"
        )
    if call is None and own is not None:
        return list(own.encode(text, add_special_tokens=False).ids)
    found = call.encode(text, add_special_tokens=False)
    return plain_ids(getattr(found, "ids", found)) if text else []


def check_processor(processor: Any, tile: int) -> Any:
    """Check that an image processor makes what the object's tower reads, and give its tokenizer.

    Parameters
    ----------
    processor : image processor, or a processor with one as its ``image_processor``
    tile : int
        Side of a view in pixels, by the tower.

    Returns
    -------
    The ``tokenizer`` that it has, or None.

    Raises
    ------
    TypeError
        If it is no image processor.
    CapabilityError
        If it makes views of another size, or scales values in another way.
    """
    images = getattr(processor, "image_processor", processor)
    size = _side(getattr(images, "size", None))
    if size is None:
        raise TypeError(
            f"a {type(processor).__name__} is no image processor with a size: give that of the "
            "published tower, model.get_vision_tower().image_processor, or None"
        )
    if size != (tile, tile):
        raise CapabilityError(
            f"the image processor makes views of {size[0]}x{size[1]} pixels, and the tower reads "
            f"{tile}x{tile}: give model.get_vision_tower().image_processor"
        )
    for name, wanted in (("image_mean", 0.5), ("image_std", 0.5)):
        values = getattr(images, name, None)
        if values is not None and any(abs(float(v) - wanted) > 1e-6 for v in values):
            raise CapabilityError(
                f"the image processor has {name}={tuple(values)}; SigLIP's is {wanted} in every "
                "channel, and pictures are scaled so here"
            )
    return getattr(processor, "tokenizer", None)


def _side(size: Any) -> tuple[int, int] | None:
    """(height, width) of a processor's ``size``, which is a pair, a number or a mapping."""
    if isinstance(size, int):
        return size, size
    if hasattr(size, "get"):
        edge = size.get("shortest_edge")
        size = (size.get("height") or edge, size.get("width") or edge)
    if isinstance(size, list | tuple) and len(size) == 2 and None not in size:
        return int(size[0]), int(size[1])
    return None
