"""What a call of generate is about: prompts with pictures, or inputs that were made before."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from saccade.backbones.inputs.prepare import Prepared

PREPARED = {"think_mode": None, "drop_after_image": True, "multi_image_pad": True}
"""Arguments of `generate` that say how to prepare, where nothing is said."""


def collected(
    prepare: Callable[..., Prepared],
    prompt: Any,
    images: Any,
    video: Any,
    inputs: Any,
    how: Mapping[str, Any],
) -> list[Prepared]:
    """The requests of a call, prepared.

    Parameters
    ----------
    prepare : callable
        `Model.prepare`.
    prompt, images, video, inputs
        As given to `Model.generate`.
    how : mapping
        How to prepare, see `PREPARED`.

    Raises
    ------
    ValueError, TypeError
        If they say too little, too much, or something else than is allowed.
    """
    if inputs is None:
        return _from_prompts(prepare, prompt, () if images is None else images, video, how)
    pictured = images is not None and not (isinstance(images, Sequence) and not images)
    if prompt is not None or pictured or video is not None:
        raise ValueError("give prompt and images, or inputs: not both")
    if how != PREPARED:
        raise ValueError(f"give {', '.join(how)} to prepare(): inputs are made already")
    return _made(inputs)


def _from_prompts(
    prepare: Callable[..., Prepared], prompt: Any, images: Any, video: Any, how: Mapping[str, Any]
) -> list[Prepared]:
    if prompt is None:
        raise ValueError("give a prompt (and images), or inputs made by prepare()")
    if isinstance(images, str | bytes) or not isinstance(images, Sequence):
        given = type(images).__name__
        raise TypeError(f"images must be a list of pictures: write [image], not {given}")
    if isinstance(prompt, str):
        return [prepare(prompt, images, video=video, **how)]
    if not isinstance(prompt, Sequence) or not all(isinstance(p, str) for p in prompt):
        raise TypeError(f"prompt must be a text or a list of texts, not {prompt!r}")
    if video is not None:
        raise ValueError("a video goes with a single prompt; batch by prepare() and inputs=")
    pictures = list(images) or [()] * len(prompt)
    if len(pictures) != len(prompt):
        raise ValueError(
            f"{len(prompt)} prompts but {len(pictures)} lists of images: give one list per prompt"
        )
    for number, own in enumerate(pictures):
        if own is not None and (isinstance(own, str | bytes) or not isinstance(own, Sequence)):
            raise TypeError(
                f"images[{number}] is of type {type(own).__name__}; with a list of prompts give a "
                "list of pictures for each prompt: write [[image], ...]"
            )
    return [prepare(p, i, **how) for p, i in zip(prompt, pictures, strict=True)]


def _made(inputs: object) -> list[Prepared]:
    """Inputs of a batch, or of one request."""
    requests: list[Any] = list(inputs) if isinstance(inputs, Iterable) else [inputs]
    wrong = [each for each in requests if not isinstance(each, Prepared)]
    if wrong:
        raise TypeError(f"inputs must be what prepare() makes, or a list of it, not {wrong[0]!r}")
    return requests
