"""LaViDa-Dream: its facts. The network, tower, packing and loop skeleton are shared code.

Source: the files of the checkpoint jacklishufan/lavida-dream-v1.0-instruct, and recorded numbers.
"""

from saccade.backbones.decoding.lavida.scheme import MaskedAnswer
from saccade.backbones.decoding.lavida.settings import LavidaSettings
from saccade.backbones.families.family import Family
from saccade.backbones.inputs.chat import LAVIDA_CHAT
from saccade.backbones.network.sizes import DecoderTraits

FAMILY = Family(
    name="LaViDa-Dream",
    model_types=("llava_dream",),
    architecture="LlavaDreamForMaskedDiffusion",
    origin="ar-to-diffusion",
    template=LAVIDA_CHAT,
    pad="<|endoftext|>",
    mask="<|mask|>",
    published_ids={
        "<|endoftext|>": 151643,
        "<|im_start|>": 151644,
        "<|im_end|>": 151645,
        "<|mask|>": 151666,
    },
    decoder=DecoderTraits(
        qkv_bias=True,
        rounded_rotary=True,
        rms_norm_eps=1e-6,
        rope_theta=1000000.0,
        max_length=4096,
    ),
    settings=LavidaSettings,
    scheme=MaskedAnswer,
    pooled=True,
    rows_first=False,
    logit_shift=True,
)
