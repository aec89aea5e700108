"""The processor: questions and pictures to inputs of the loop, and token ids back to text."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from saccade.backbones.inputs.chat import (
    ChatTemplate,
    Stop,
    check_placeholders,
    check_question,
    check_unicode,
    encode_with_images,
    render_chat,
    render_question,
)
from saccade.backbones.inputs.pictures import Picture, encoded, image_picture, video_picture
from saccade.backbones.inputs.prepare import Prepared, splice
from saccade.backbones.inputs.reading import PictureLike, read_all
from saccade.backbones.inputs.stops import AnswerStop, TextStop
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.inputs.token_ids import TokenIds, check_vocabulary, plain_ids
from saccade.backbones.network.network import Network
from saccade.backbones.network.text_tower import TextTower
from saccade.controller.controller import Controller
from saccade.controller.errors import CapabilityError
from saccade.controller.names import not_allowed

MultiImage = bool | Literal["list"]
Encode = Literal["now", "looking", "pending"]
"""When pictures are encoded: now; now, with what methods may ask about the tower; or when asked."""


def encode_for(controller: Controller | None) -> Encode:
    """When pictures are to be encoded for a controller."""
    needs = frozenset[str]() if controller is None else controller.needs
    if "tower:run" in needs:
        return "pending"
    return "looking" if any(name.startswith("tower:") for name in needs) else "now"


class Reading(Protocol):
    """What a family of checkpoints says about how it is asked."""

    @property
    def model_types(self) -> tuple[str, ...]: ...
    @property
    def template(self) -> ChatTemplate: ...
    @property
    def pad(self) -> str: ...
    @property
    def end_of_turn(self) -> str: ...
    @property
    def pooled(self) -> bool: ...
    @property
    def think(self) -> bool: ...
    @property
    def video(self) -> bool: ...


class Stopping(Protocol):
    """What settings say about where an answer ends."""

    @property
    def stopping_criteria(self) -> Sequence[Stop]: ...
    @property
    def append_eot(self) -> bool: ...
    @property
    def stop_search(self) -> str: ...


class Processor:
    """Tokenizer, prompt template and preprocessor of one model.

    Parameters
    ----------
    network : Network
        Encodes pictures and embeds tokens.
    family : Reading
        Says how questions are written.
    preprocessor : ImagePreprocessor
    tokenizer : Tokenizer or None
        None: only token ids can go in and out.
    """

    def __init__(
        self,
        network: Network,
        family: Reading,
        preprocessor: ImagePreprocessor,
        tokenizer: Tokenizer | None,
    ) -> None:
        self.network, self.preprocessor, self.tokenizer = network, preprocessor, tokenizer
        self.family = family
        self.text_tower: TextTower | None = None

    @torch.inference_mode()
    def prepare(
        self,
        prompt: str,
        images: Sequence[PictureLike] = (),
        *,
        video: NDArray[np.uint8] | None = None,
        think_mode: str | None = None,
        drop_after_image: bool = True,
        multi_image_pad: MultiImage = True,
        encode: Encode = "now",
    ) -> Prepared:
        """Turn a question and its pictures into inputs; see `Model.prepare`."""
        check_question(prompt)
        pictures = self._pictures(images, video, multi_image_pad)
        check_placeholders(prompt, len(pictures))
        template = self.family.template
        if think_mode is not None and not self.family.think:
            raise ValueError(f"think_mode={think_mode!r}: this model has no thinking switch")
        question = render_question(prompt, len(pictures), think_mode)
        text = render_chat([("user", question)], template=template)
        ids = encode_with_images(
            text, self.encode, drop_after_image=drop_after_image, bos=template.bos
        )
        if pictures and self.tokenizer is not None:  # published: nothing is masked without pictures
            pad_id = self.tokenizer.token_to_id(self.family.pad)
            ids = [token for token in ids if token != pad_id]
        return self._spliced(ids, pictures, encode, prompt)

    @torch.inference_mode()
    def prepare_ids(
        self,
        ids: TokenIds,
        images: Sequence[PictureLike] = (),
        *,
        video: NDArray[np.uint8] | None = None,
        multi_image_pad: MultiImage = True,
        encode: Encode = "now",
    ) -> Prepared:
        """Turn token ids and pictures into inputs; see `Model.prepare_ids`."""
        plain = plain_ids(ids)
        check_vocabulary(plain, self.network.model.embed_tokens.num_embeddings)
        return self._spliced(plain, self._pictures(images, video, multi_image_pad), encode, None)

    @torch.inference_mode()
    def prepare_pictures(
        self, ids: Sequence[int], pictures: Sequence[Picture], encode: Encode = "now"
    ) -> Prepared:
        """Turn token ids and pictures that are views already into inputs; padding stays.

        Parameters
        ----------
        ids : sequence of int
            -200 where pictures go.
        pictures : sequence of Picture
            Not encoded yet.
        encode : Encode

        Raises
        ------
        ValueError
            As `splice` does.
        """
        return self._spliced(ids, pictures, encode, None)

    def _spliced(
        self,
        ids: Sequence[int],
        pictures: Sequence[Picture],
        encode: Encode,
        question: str | None,
    ) -> Prepared:
        if encode == "now":
            for picture in pictures:
                encoded(self.network, picture)
        out = splice(self.network, ids, pictures, pending=encode != "now")
        if out.tower is not None:
            out.tower.question, out.tower.text = question, self.text_tower
            if encode == "looking":
                out.tower.encode()
                return replace(out, embeds=out.whole(), pending=False)
        return out

    def _pictures(
        self,
        images: Sequence[PictureLike],
        video: NDArray[np.uint8] | None,
        multi_image_pad: MultiImage,
    ) -> list[Picture]:
        if multi_image_pad not in (True, False, "list"):
            raise ValueError(not_allowed("multi_image_pad", multi_image_pad, (True, False, "list")))
        if multi_image_pad == "list" and not self.family.pooled:
            raise ValueError("multi_image_pad='list' is LaViDa's; give True or False")
        read = read_all(images)
        if video is not None and read:
            raise ValueError("give images or a video, not both")
        if video is not None and not self.family.video:
            name = self.family.model_types[0]
            raise CapabilityError(f"a {name} model reads no videos; give frames as images")
        if video is not None:
            return [video_picture(self.network, self.preprocessor.video(video))]
        if not read:
            return []
        limit = self.preprocessor.max_tiles
        made = self.preprocessor.images(read, bool(multi_image_pad))
        pooled, listed = self.family.pooled, multi_image_pad == "list" and len(made) > 1
        return [image_picture(self.network, image, limit, pooled, listed) for image in made]

    def encode(self, text: str) -> list[int]:
        """Token ids of a text.

        Raises
        ------
        CapabilityError
            If the checkpoint has no tokenizer.
        ValueError
            If the text is not valid Unicode.
        """
        check_unicode(text, "the text")
        if self.tokenizer is None:
            raise CapabilityError(
                "the checkpoint has no tokenizer: use prepare_ids, and token ids for stops"
            )
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def name_of(self, token: int) -> str:
        """What a token is called, where its text is empty: special ones; its number without a
        tokenizer."""
        name = None if self.tokenizer is None else self.tokenizer.id_to_token(token)
        return str(token) if name is None else name

    def decode(self, tokens: Sequence[int]) -> str | None:
        """Text of token ids without special tokens; None if there is no tokenizer."""
        return None if self.tokenizer is None else self.tokenizer.decode(list(tokens))

    def ids(self, given: Stop) -> list[int]:
        """Token ids of a text, or those that were given."""
        return self.encode(given) if isinstance(given, str) else list(given)

    def stops(self, settings: Stopping) -> list[AnswerStop]:
        """What ends an answer, with the end of turn last if it is to be added: texts to be searched
        in what is decoded, ids of special tokens and those that were given."""
        stops, last = list(settings.stopping_criteria), self.family.end_of_turn
        if settings.append_eot and self.tokenizer is not None and last not in stops:
            stops.append(last)
        return [self._stop(stop, settings.stop_search) for stop in stops]

    def _stop(self, given: Stop, search: str) -> AnswerStop:
        """A stop as it is searched; special tokens are seen only by stops that name some."""
        ids, tokenizer = self.ids(given), self.tokenizer
        if not isinstance(given, str) or tokenizer is None or search == "ids":
            return ids
        special = [tokenizer.decode([token]) == "" for token in ids]
        shown = any(special)
        token = ids[0] if shown and len(ids) == 1 else None
        return TextStop(
            given,
            lambda ids: tokenizer.decode(list(ids), skip_special_tokens=not shown),
            token,
            named=shown,
        )
