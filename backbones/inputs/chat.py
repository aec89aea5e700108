"""Questions to the text and the token ids that a model was trained to continue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

from saccade.controller.names import not_allowed

Stop = str | Sequence[int]
"""Where an answer ends: a text, or token ids."""
IMAGE = "<image>"
IMAGE_ID = -200
"""Placeholder of a picture (or a whole video) among token ids; it is never embedded."""
ROLES = ("user", "assistant")
_SUFFIX = {None: "", "think": " /think", "no_think": " /no_think"}


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """How a family writes a conversation.

    Attributes
    ----------
    system : str
        What the system turn says.
    bos : str
        Token at the very start; "" for none.
    opening, closing : str
        Around what somebody says; ``{role}`` stands for who.
    strip : bool
        Whether what is said loses surrounding blanks.
    """

    system: str
    opening: str
    closing: str
    bos: str = ""
    strip: bool = False

    def turn(self, role: str, text: str) -> str:
        """One complete turn."""
        said = text.strip() if self.strip else text
        return self.opening.format(role=role) + said + self.closing


SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language."
)
LLADA_CHAT = ChatTemplate(
    SYSTEM,
    "<|start_header_id|>{role}<|end_header_id|>\n\n",
    "<|eot_id|>",
    bos="<|startoftext|>",
    strip=True,
)
LAVIDA_CHAT = ChatTemplate(SYSTEM, "<|im_start|>{role}\n", "<|im_end|>\n")
QWEN_CHAT = ChatTemplate("You are a helpful assistant.", LAVIDA_CHAT.opening, LAVIDA_CHAT.closing)


def render_chat(
    messages: Sequence[tuple[str, str]],
    system: str | None = None,
    template: ChatTemplate = LLADA_CHAT,
) -> str:
    """Render a conversation in a chat template, ending where the assistant is to speak.

    Parameters
    ----------
    messages : sequence of (role, text)
        Roles alternate "user", "assistant", ..., "user".
    system : str, optional
        What the system turn says, instead of the template's own words.
    template : ChatTemplate

    Raises
    ------
    ValueError
        If there is no message, a role is unknown, or turns do not alternate as above.

    Notes
    -----
    The templates are those that the checkpoints of LLaDA-V and LaViDa were trained with, as their
    tokenizers' files say.
    """
    for i, ((role, _), expected) in enumerate(zip(messages, cycle(ROLES), strict=False)):
        if role != expected:
            raise ValueError(f"message {i} has role {role!r}; need {expected!r}: turns alternate")
    if len(messages) % 2 == 0:
        raise ValueError(f"{len(messages)} messages; need an odd number: the user speaks last")
    turns = [("system", template.system if system is None else system), *messages]
    said = [template.turn(role, text) for role, text in turns]
    return template.bos + "".join(said) + template.opening.format(role="assistant")


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
    As LLaDA-V and LaViDa are asked in their published evaluations; only LLaDA-V has the switch.
    """
    if think_mode not in _SUFFIX:
        raise ValueError(not_allowed("think_mode", think_mode, _SUFFIX))
    if n_images < 0:
        raise ValueError(f"n_images={n_images}; must be 0 or more")
    if n_images == 0 or IMAGE in text:
        return text
    return " ".join([IMAGE] * n_images) + "\n" + text + _SUFFIX[think_mode]


def check_question(question: object) -> None:
    """Raise `ValueError` unless a question is a text that says something and can be encoded."""
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"the question is empty ({question!r}); ask something")
    check_unicode(question, "the question")


def check_unicode(text: str, name: str) -> None:
    """Raise `ValueError` for a text with lone surrogates, which no tokenizer takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} is not valid Unicode: {text[error.start]!r} at place {error.start} is half of "
            "a pair; replace it"
        ) from None


def check_placeholders(question: str, n_images: int) -> None:
    """Raise `ValueError` if a question has more ``<image>`` than there are pictures.

    Published code shows the last picture again where there is one too many; for token ids, `splice`
    does. A video is one picture.
    """
    places = question.count(IMAGE)
    if places > n_images:
        raise ValueError(
            f"the prompt has {places} image placeholders but {n_images} images were given: give "
            f"{places}, or write {IMAGE} once for each picture"
        )


def encode_with_images(
    text: str,
    encode: Callable[[str], list[int]],
    drop_after_image: bool = True,
    bos: str = LLADA_CHAT.bos,
) -> list[int]:
    """Tokenise a rendered prompt chunk by chunk, with `IMAGE_ID` for every ``<image>``.

    Parameters
    ----------
    text : str
        From `render_chat`.
    encode : callable
        Text to ids; must add no special tokens of its own.
    drop_after_image : bool
        True: if the text begins with `bos`, the first token of every chunk after an image is lost,
        as published (that code takes it for a second BOS). So ``<image>\\nQuestion`` loses its
        newline, and two placeholders the blank between them; in training they were there.
        False: nothing is lost.
    bos : str
        The template's first token; without one, as in LaViDa-Dream, nothing is lost either.

    Returns
    -------
    list of ids, as many `IMAGE_ID` in it as there are placeholders.
    """
    lost = 1 if drop_after_image and bos and text.startswith(bos) else 0
    first, *later = text.split(IMAGE)
    ids = list(encode(first)) if first else []
    for chunk in later:
        ids += [IMAGE_ID, *(encode(chunk)[lost:] if chunk else [])]
    return ids
