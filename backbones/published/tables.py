"""What the generate of each published class takes, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class CallTable:
    """Arguments of one class's generate.

    Attributes
    ----------
    positional : tuple of str
        Names of arguments in their order.
    defaults : mapping
        Options that are honoured, with what the published code takes where they are not given.
    ignored : frozenset of str
        Arguments that the published code takes and does nothing with; so it is here.
    refused : mapping
        What cannot be done here, with the values that ask for nothing, and what to do.
    """

    positional: tuple[str, ...]
    defaults: Mapping[str, Any]
    ignored: frozenset[str]
    refused: Mapping[str, tuple[tuple[object, ...], str]] = field(default_factory=dict)


INPUTS = ("inputs", "images", "image_sizes", "modalities")
COMMON = frozenset({"attention_mask", "position_ids", "tokenizer", "input_ids"})
"""Arguments of both that are read before the options."""
SWALLOWED = frozenset(
    {
        "bos_token_id",
        "cfg",
        "do_sample",
        "eos_token_id",
        "num_beams",
        "pad_token_id",
        "think_mode",
        "until",
        "use_cache",
        "verbose",
    }
)
"""Arguments that callers pass, and both published classes ignore."""
EMBEDS = {"inputs_embeds": ((None,), "give the ids, with -200 where pictures go")}
NOTHING: tuple[object, ...] = (None, False)

LLADA_V = CallTable(
    positional=INPUTS,
    defaults={
        "steps": 128,
        "gen_length": 128,
        "block_length": 128,
        "temperature": 0.0,
        "cfg_scale": 0.0,
        "remasking": "low_confidence",
        "mask_id": None,
        "stopping_criteria": None,
        "generation_suffix": None,
        "prefix_refresh_interval": None,
        "threshold": None,
        "factor": None,
    },
    ignored=SWALLOWED | {"gen_steps", "max_new_tokens", "top_k", "top_p"},
    refused=EMBEDS
    | {
        "prefix_lm": (NOTHING, "it is LaViDa's; give prefix_refresh_interval"),
        "return_dict_in_generate": (NOTHING, "LLaDA-V returns a tensor of ids"),
    },
)

LAVIDA_DREAM = CallTable(
    positional=(
        *INPUTS,
        "max_new_tokens",
        "steps",
        "temperature",
        "top_p",
        "alg_temp",
        "alg",
        "output_history",
    ),
    defaults={
        "max_new_tokens": 512,
        "steps": 512,
        "temperature": 0.2,
        "top_p": 0.95,
        "alg_temp": 0.0,
        "alg": "entropy",
        "output_history": False,
        "prefix_lm": False,
        "step_ratio": None,
        "schedule": None,
        "schedule_kwargs": None,
        "schedule__shift": None,
        "eps": 1e-3,
        "top_k": None,
        "mask_token_id": None,
    },
    ignored=SWALLOWED
    | {"block_length", "cfg_scale", "remasking", "step_per_block", "stopping_criteria"},
    refused=EMBEDS
    | {
        "gen_length": ((), "LaViDa-Dream takes no notice of it; give max_new_tokens"),
        "max_length": ((None,), "give max_new_tokens"),
        "generation_config": ((None,), "give its values as arguments"),
        "generation_tokens_hook_func": ((None,), "the native loop calls no hook; leave it out"),
        "generation_logits_hook_func": ((None,), "the native loop calls no hook; leave it out"),
        "num_return_sequences": ((None, 1), "call generate once for each answer"),
        "output_scores": (NOTHING, "scores are in the trace: read wrapped.last.trace"),
    },
)

TABLES: Mapping[str, CallTable] = {
    "LlavaLLaDAModelLM": LLADA_V,
    "LlavaDreamForMaskedDiffusion": LAVIDA_DREAM,
}
"""By the name of the class, which is the architecture of its family."""
