"""LLaDA-V: its facts. The network, loop and packing are shared code.

Source: the files of the checkpoint GSAI-ML/LLaDA-V, and recorded numbers.
"""

from saccade.backbones.families.family import Family
from saccade.backbones.inputs.chat import LLADA_CHAT
from saccade.backbones.network.sizes import DecoderTraits

FAMILY = Family(
    name="LLaDA-V",
    model_types=("llava_llada",),
    architecture="LlavaLLaDAModelLM",
    origin="from-scratch",
    template=LLADA_CHAT,
    pad="<|endoftext|>",
    mask="<|mdm_mask|>",
    published_ids={
        "<|startoftext|>": 126080,
        "<|endoftext|>": 126081,
        "<|mdm_mask|>": 126336,
        "<|start_header_id|>": 126346,
        "<|end_header_id|>": 126347,
        "<|eot_id|>": 126348,
    },
    # In the published loop's order.
    forbidden=("<|endoftext|>", "<|startoftext|>", "<|start_header_id|>", "<|end_header_id|>"),
    decoder=DecoderTraits(rms_norm_eps=1e-5, rope_theta=500000.0, max_length=16384),
    think=True,
    video=True,
)
