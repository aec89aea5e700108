"""LLaDA-V: its facts. The network, loop and packing are shared code.

Source: GSAI-ML/LLaDA-V and ML-GSAI/LLaDA-V at commit c810b4b.
"""

from collections.abc import Callable

from saccade.backbones.config import LanguageConfig
from saccade.controller.types import BackboneSpec, Geometry

MODEL_TYPE = "llava_llada"
MASK = "<|mdm_mask|>"
END_OF_TURN = "<|eot_id|>"
PAD = "<|endoftext|>"
FORBIDDEN = ("<|endoftext|>", "<|startoftext|>", "<|start_header_id|>", "<|end_header_id|>")
"""Never predicted at masked positions, in the published loop's order."""

PUBLISHED_IDS = {
    "<|startoftext|>": 126080,
    "<|endoftext|>": 126081,
    "<|mdm_mask|>": 126336,
    "<|start_header_id|>": 126346,
    "<|end_header_id|>": 126347,
    "<|eot_id|>": 126348,
}

CAPABILITIES = frozenset(
    {
        "attention",
        "attention:all",
        "attention:all:logits",
        "attention:last",
        "attention:last:logits",
        "attention:response",
        "attention:response:logits",
        "centres",
        "confidence",
        "drop",
        "entropy",
        "features",
        "site:entry",
        "site:layer",
    }
)


def make_spec(
    name: str, language: LanguageConfig, token_id: Callable[[str], int | None] | None
) -> BackboneSpec:
    """Facts of a LLaDA-V checkpoint; special ids come from its tokenizer where it has one."""

    def lookup(token: str) -> int:
        found = None if token_id is None else token_id(token)
        return PUBLISHED_IDS[token] if found is None else found

    geometry = Geometry(
        language.n_layers,
        language.hidden_size,
        language.intermediate_size,
        language.n_heads,
        language.n_kv_heads,
        language.vocab_size,
    )
    return BackboneSpec(
        name=name,
        origin="from-scratch",
        geometry=geometry,
        mask_id=lookup(MASK),
        forbidden_ids=tuple(lookup(token) for token in FORBIDDEN),
        logit_shift=False,
        can=CAPABILITIES,
    )
