"""Questions to the text and the token ids that LLaDA-V was trained to continue."""

from collections.abc import Callable, Sequence
from itertools import cycle

SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language."
)
BOS = "<|startoftext|>"
IMAGE = "<image>"
ROLES = ("user", "assistant")
_SUFFIX = {None: "", "think": " /think", "no_think": " /no_think"}


def render_chat(messages: Sequence[tuple[str, str]], system: str = SYSTEM) -> str:
    """Render a conversation in the chat template, ending where the assistant is to speak.

    Parameters
    ----------
    messages : sequence of (role, text)
        Roles alternate "user", "assistant", ..., "user". Text is stripped of surrounding blanks.
    system : str
        What the system turn says.

    Returns
    -------
    str, with BOS written out at its start.

    Raises
    ------
    ValueError
        If there is no message, a role is unknown, or turns do not alternate as above.

    Notes
    -----
    Source: LLaDA-V, ML-GSAI, commit c810b4b (conversation template and tokenizer's chat template).
    """
    for i, ((role, _), expected) in enumerate(zip(messages, cycle(ROLES), strict=False)):
        if role != expected:
            raise ValueError(f"message {i} has role {role!r}; need {expected!r}: turns alternate")
    if len(messages) % 2 == 0:
        raise ValueError(f"{len(messages)} messages; need an odd number: the user speaks last")
    turns = [("system", system), *messages]
    said = [_header(role) + text.strip() + "<|eot_id|>" for role, text in turns]
    return BOS + "".join(said) + _header("assistant")


def _header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def render_question(text: str, n_images: int, think_mode: str | None = None) -> str:
    """Put image placeholders before a task's question and the thinking switch after it.

    Without images, or if the text places its own ``<image>``, it is returned unchanged, also
    without the switch.

    Parameters
    ----------
    text : str
        The task's question.
    n_images : int
        Placeholders to write; a whole video is one.
    think_mode : {None, "think", "no_think"}
        Adds nothing, " /think" or " /no_think".

    Raises
    ------
    ValueError
        If `n_images` is negative or `think_mode` unknown (the published wrapper adds nothing then).

    Notes
    -----
    Source: LLaDA-V, ML-GSAI, commit c810b4b (its lmms-eval wrapper).
    """
    if think_mode not in _SUFFIX:
        raise ValueError(f"think_mode={think_mode!r}; allowed: {', '.join(map(repr, _SUFFIX))}")
    if n_images < 0:
        raise ValueError(f"n_images={n_images}; must be 0 or more")
    if n_images == 0 or IMAGE in text:
        return text
    return " ".join([IMAGE] * n_images) + "\n" + text + _SUFFIX[think_mode]


def encode_with_images(
    text: str,
    encode: Callable[[str], list[int]],
    image_id: int = -200,
    drop_after_image: bool = True,
) -> list[int]:
    """Tokenise a rendered prompt chunk by chunk, with `image_id` for every ``<image>``.

    Parameters
    ----------
    text : str
        From `render_chat`.
    encode : callable
        Text to ids; must add no special tokens of its own.
    image_id : int
        Placeholder id, never embedded.
    drop_after_image : bool
        True: if the text begins with BOS, the first token of every chunk after an image is lost,
        as published (that code takes it for a second BOS). So ``<image>\\nQuestion`` loses its
        newline, and two placeholders the blank between them; in training they were there.
        False: nothing is lost.

    Returns
    -------
    list of ids, as many `image_id` in it as there are placeholders.

    Notes
    -----
    Source: LLaDA-V, ML-GSAI, commit c810b4b (``tokenizer_image_token`` of ``mm_utils.py``).
    """
    lost = 1 if drop_after_image and text.startswith(BOS) else 0
    first, *later = text.split(IMAGE)
    ids = list(encode(first)) if first else []
    for chunk in later:
        ids += [image_id, *(encode(chunk)[lost:] if chunk else [])]
    return ids
