"""What is published about a family of checkpoints, as data: a backbone is such a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from saccade.backbones.checkpoints.layout import USUAL, Layout
from saccade.backbones.decoding.llada.scheme import MaskedBlocks
from saccade.backbones.decoding.llada.settings import GenerateSettings
from saccade.backbones.decoding.options import Settings
from saccade.backbones.decoding.scheme import Scheme
from saccade.backbones.inputs.chat import ChatTemplate
from saccade.backbones.network.sizes import DecoderTraits, LanguageConfig
from saccade.controller.signals import SIGNALS
from saccade.controller.types import BackboneSpec, Geometry, Origin
from saccade.controller.view_fields import VIEW_FIELDS

COMMON = (
    frozenset(VIEW_FIELDS.keys() - {"tower:text"})
    | SIGNALS
    | {
        "bypass",
        "drop",
        "refresh",
        "site:entry",
        "site:layer",
        "site:tower",
    }
)
"""What the shared stack and loop offer, whatever the family; a text tower is given at `load`."""


@dataclass(frozen=True, slots=True)
class Family:
    """Facts that all checkpoints of a family share.

    Attributes
    ----------
    name : str
        What people call it.
    model_types : tuple of str
        ``model_type`` values of its configs; the first is written. Families may share one.
    architecture : str
        Of its configs, by which it is known where their ``model_type`` is another.
    origin : Origin
    template : ChatTemplate
        How a conversation is written.
    pad : str
        Token that is taken out of questions with pictures.
    mask : str or None
        Token of a masked position; None where nothing is masked.
    forbidden : tuple of str
        Tokens never predicted.
    published_ids : mapping of str to int
        Ids of special tokens, for checkpoints without a tokenizer.
    decoder : DecoderTraits
        What its config does not say about the decoder.
    layout : Layout
        What its configs and tensors are called.
    settings : type of Settings
        Options of its `generate`.
    scheme : callable
        What decodes with them.
    pooled : bool
        Whether views are shrunk 2x2 before they are packed.
    rows_first : bool
        As in `ImagePreprocessor`.
    logit_shift : bool
        Whether logits at a position predict the next one.
    think : bool
        Whether it was trained with a thinking switch.
    video : bool
    can : frozenset of str
        Capabilities of `BackboneSpec`; "commit" too where positions are masked.
    """

    name: str
    model_types: tuple[str, ...]
    architecture: str
    origin: Origin
    template: ChatTemplate
    pad: str
    mask: str | None
    published_ids: Mapping[str, int]
    forbidden: tuple[str, ...] = ()
    decoder: DecoderTraits = field(default_factory=DecoderTraits)
    layout: Layout = USUAL
    settings: type[Settings] = GenerateSettings
    scheme: Callable[..., Scheme] = MaskedBlocks
    pooled: bool = False
    rows_first: bool = True
    logit_shift: bool = False
    think: bool = False
    video: bool = False
    can: frozenset[str] = COMMON

    @property
    def end_of_turn(self) -> str:
        """Token that ends an answer."""
        return self.template.closing.strip()

    def spec(
        self,
        name: str,
        language: LanguageConfig,
        token_id: Callable[[str], int | None] | None = None,
    ) -> BackboneSpec:
        """Facts of one checkpoint; special ids come from its tokenizer where it has one."""

        def lookup(token: str) -> int:
            found = None if token_id is None else token_id(token)
            return self.published_ids[token] if found is None else found

        return BackboneSpec(
            name=name,
            origin=self.origin,
            geometry=Geometry(
                language.n_layers,
                language.hidden_size,
                language.intermediate_size,
                language.n_heads,
                language.n_kv_heads,
                language.vocab_size,
            ),
            mask_id=None if self.mask is None else lookup(self.mask),
            forbidden_ids=tuple(lookup(token) for token in self.forbidden),
            logit_shift=self.logit_shift,
            can=self.can | ({"commit"} if self.mask else set()),
        )
