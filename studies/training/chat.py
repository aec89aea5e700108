"""Questions and answers as token ids, the way a family writes them."""

from dataclasses import dataclass

from tokenizers import Tokenizer

from saccade.backbones.families.family import Family
from saccade.backbones.inputs.chat import IMAGE_ID, encode_with_images, render_chat, render_question
from saccade.studies.tasks.documents import KINDS


@dataclass(frozen=True, slots=True)
class Chat:
    """A family's conversation in the ids of a tokenizer.

    Attributes
    ----------
    tokenizer : Tokenizer
    family : Family
    """

    tokenizer: Tokenizer
    family: Family

    def token(self, token: str) -> int:
        """Id of a special token; one that the tokenizer lacks raises `KeyError`."""
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise KeyError(f"the tokenizer has no {token}")
        return found

    @property
    def mask_id(self) -> int:
        """Id of the mask token; a family without one raises `KeyError`."""
        return self.token(str(self.family.mask))

    @property
    def end_id(self) -> int:
        """Id of the token that ends an answer."""
        return self.token(self.family.end_of_turn)

    def prompt(self, question: str) -> tuple[list[int], list[int]]:
        """Token ids of the chat prompt before and after its one picture."""
        template = self.family.template
        text = render_chat([("user", render_question(question, 1))], template=template)
        ids = encode_with_images(
            text, lambda s: list(self.tokenizer.encode(s).ids), bos=template.bos
        )
        at = ids.index(IMAGE_ID)
        return ids[:at], ids[at + 1 :]

    def length(self, kind: str) -> int:
        """Tokens of an answer with what fills it up: the ``gen_length`` it is asked with."""
        task = KINDS[kind]
        options = self.family.settings.for_lengths(task.gen_length, task.block_length, task.steps)
        return int(options["gen_length"])

    def answer(self, kind: str, answer: str) -> list[int]:
        """Token ids of the answer, the end-of-turn token, and more of those up to its length."""
        length, ids = self.length(kind), list(self.tokenizer.encode(answer).ids)
        if len(ids) + 1 > length:
            raise ValueError(f"{kind}: an answer of {len(ids)} tokens does not fit {length}")
        return ids + [self.end_id] * (length - len(ids))
