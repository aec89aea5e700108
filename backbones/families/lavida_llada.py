"""LaViDa over LLaDA: its facts. Tower, packing and schedules are LaViDa-Dream's, the language model
is LLaDA under its original names.

Source: what is published about LaViDa (arXiv 2505.16839) and the config of GSAI-ML/LLaDA-8B. No
checkpoint of it was at hand; what is not known is an option, marked as open in `BlockSettings`. The
template is taken to be LLaDA's with LaViDa's system sentence; `prepare_ids` takes any other.
"""

from saccade.backbones.checkpoints.layout import Layout
from saccade.backbones.decoding.lavida_llada.scheme import AnswerBlocks
from saccade.backbones.decoding.lavida_llada.settings import BlockSettings
from saccade.backbones.families.family import Family
from saccade.backbones.inputs.chat import LLADA_CHAT
from saccade.backbones.network.sizes import DecoderTraits

_BLOCK, _LAYER = "model.transformer.blocks.*.", "model.layers.*."
LAYOUT = Layout(
    mark="d_model",
    fields={
        "hidden_size": ("d_model",),
        "intermediate_size": ("mlp_hidden_size",),
        "num_hidden_layers": ("n_layers",),
        "num_attention_heads": ("n_heads",),
        "num_key_value_heads": ("n_kv_heads",),
        "vocab_size": ("embedding_size", "vocab_size"),
        "tie_word_embeddings": ("weight_tying", "tie_word_embeddings"),
        "hidden_act": ("activation_type",),
    },
    keys=(
        ("model.embed_tokens.", "model.transformer.wte."),
        (f"{_LAYER}self_attn.o_proj.", f"{_BLOCK}attn_out."),
        (f"{_LAYER}self_attn.", _BLOCK),
        (f"{_LAYER}mlp.gate_proj.", f"{_BLOCK}ff_proj."),
        (f"{_LAYER}mlp.up_proj.", f"{_BLOCK}up_proj."),
        (f"{_LAYER}mlp.down_proj.", f"{_BLOCK}ff_out."),
        (f"{_LAYER}input_layernorm.", f"{_BLOCK}attn_norm."),
        (f"{_LAYER}post_attention_layernorm.", f"{_BLOCK}ff_norm."),
        ("model.norm.", "model.transformer.ln_f."),
        ("lm_head.", "model.transformer.ff_out."),
    ),
    supported={
        "block_type": ("llama",),
        "layer_norm_type": ("rms",),
        "block_group_size": (1, None),
        "rope": (True,),
        "clip_qkv": (None,),
        "multi_query_attention": (False, None),
        **{
            name: (False, None)
            for name in (
                "alibi",
                "attention_layer_norm",
                "bias_for_layer_norm",
                "include_bias",
                "include_qkv_bias",
                "input_emb_norm",
                "scale_logits",
            )
        },
    },
)

FAMILY = Family(
    name="LaViDa-LLaDA",
    model_types=("llava_llada",),
    architecture="LlavaLladaForMaskedDiffusion",
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
    decoder=DecoderTraits(
        wide_rotary=True, rms_norm_eps=1e-5, rope_theta=500000.0, max_length=4096
    ),
    layout=LAYOUT,
    settings=BlockSettings,
    scheme=AnswerBlocks,
    pooled=True,
    rows_first=False,
)
