"""LLaVA-style autoregressive models over Qwen2: their facts, for comparison with dMLLMs.

The layout is that of LLaVA-NeXT's and LLaVA-OneVision's own checkpoints (``LlavaQwenForCausalLM``,
LLaVA-VL/LLaVA-NeXT), from which LLaDA-V and LaViDa derive theirs.
"""

from saccade.backbones.decoding.causal.scheme import NextToken
from saccade.backbones.decoding.causal.settings import CausalSettings
from saccade.backbones.families.family import Family
from saccade.backbones.inputs.chat import QWEN_CHAT
from saccade.backbones.network.sizes import DecoderTraits

FAMILY = Family(
    name="LLaVA over Qwen2",
    model_types=("llava_qwen",),
    architecture="LlavaQwenForCausalLM",
    origin="autoregressive",
    template=QWEN_CHAT,
    pad="<|endoftext|>",
    mask=None,
    published_ids={
        "<|endoftext|>": 151643,
        "<|im_start|>": 151644,
        "<|im_end|>": 151645,
    },
    decoder=DecoderTraits(
        qkv_bias=True,
        causal=True,
        rms_norm_eps=1e-6,
        rope_theta=1000000.0,
        max_length=32768,
    ),
    settings=CausalSettings,
    scheme=NextToken,
    logit_shift=True,
)
