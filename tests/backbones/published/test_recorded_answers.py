"""The stand-ins give the recorded answers of the published classes, and so do they when wrapped."""

import copy
import functools
import re
from typing import Any

import pytest
import torch
from torch import Tensor

import saccade
from saccade.backbones import Wrapped
from tests.backbones.published.held import Coder, recorded_dream, recorded_llada, words
from tests.backbones.published.llada import LlavaLLaDAModelLM
from tests.golden_sets import draws_as_recorded, golden_params
from tests.golden_sets import golden_arrays as read_arrays
from tests.golden_sets import golden_json as read_json

pytestmark = pytest.mark.golden
LLADA, DREAM = "llada_v", "lavida_dream"
ROLES = {
    "eos": "<|endoftext|>",
    "bos": "<|startoftext|>",
    "start_header": "<|start_header_id|>",
    "end_header": "<|end_header_id|>",
}
golden_arrays, golden_json = functools.cache(read_arrays), functools.cache(read_json)
HOOK = ("prefix_refresh_interval", "threshold")


def llada_runs() -> dict[str, dict[str, Any]]:
    runs = golden_json(LLADA, "generate.json")
    return {
        name: run
        for name, run in runs.items()
        if not run.get("error") and not name.startswith("cache_") and "dllm_cache" not in run
    }


def dream_runs() -> dict[str, dict[str, Any]]:
    runs = golden_json(DREAM, "generate_meta.json")
    return {name: run for name, run in runs.items() if not name.startswith("_")}


def by_hook(name: str, run: dict[str, Any]) -> bool:
    """Whether a run was made with the published cache, which the stand-in lacks."""
    return name.startswith("fast_") or any(one in run["kwargs"] for one in HOOK)


def views(case: str) -> Any:
    """Pictures of a recorded case, in the form in which the published code had them."""
    stored = golden_arrays(LLADA, "multimodal.safetensors")
    cases = golden_json(LLADA, "multimodal.json")["images"]
    if f"{case}.pixel_values" in stored:
        given = torch.from_numpy(stored[f"{case}.pixel_values"])
        return [given] if given.ndim == 4 and not cases[case].get("image_sizes") else given
    if not cases[case].get("image_sizes"):
        return None
    twins = [
        next(c for c, f in cases.items() if f.get("image_sizes") == [s] and c != case)
        for s in cases[case]["image_sizes"]
    ]
    return [torch.from_numpy(stored[f"{twin}.pixel_values"][0]) for twin in twins]


def llada_call(name: str, run: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a recorded call, as the published generate took them."""
    about = golden_json(LLADA, "multimodal.json")
    case = about["images"][run["case"]]
    given = dict(run["kwargs"])
    given |= {"mask_id": about["special_ids"]["mask"]}
    given |= {"inputs": torch.tensor([about["prompts"][case["prompt"]]])}
    given |= {"images": views(run["case"]), "image_sizes": case.get("image_sizes")}
    if run["case"] == "video":
        given["modalities"] = ["video"]
    if by_hook(name, run):
        given.setdefault("prefix_refresh_interval", 32)
    return given | {"tokenizer": Coder(**(run.get("stop_encoding") or {}))}


def cut(model: LlavaLLaDAModelLM, rows: int) -> LlavaLLaDAModelLM:
    """As the published loader cuts the vocabulary to the tokenizer's length."""
    own = copy.deepcopy(model)
    for module in (own.model.embed_tokens, own.lm_head):
        module.weight = torch.nn.Parameter(module.weight[:rows].clone())
    return own


def llada_of(name: str) -> LlavaLLaDAModelLM:
    stored = golden_arrays(LLADA, "generate.safetensors")
    logits = stored.get(f"{name}.logits_step0") if name.startswith("vocab_shrunk") else None
    return recorded_llada() if logits is None else cut(recorded_llada(), logits.shape[-1])


def seeded(run: dict[str, Any], name: str) -> None:
    found = re.findall(r"seed(\d+)", name)
    seed = run.get("seed") if not found else int(found[0])
    torch.manual_seed(0 if seed is None else seed)


def wrapped_llada(name: str) -> Wrapped:
    ids = golden_json(LLADA, "multimodal.json")["special_ids"]
    special = {ROLES[role]: number for role, number in ids.items() if role in ROLES}
    return saccade.wrap(llada_of(name), words(512, special))


@pytest.mark.parametrize("name", golden_params(LLADA, llada_runs()))
def test_llada_v(name: str) -> None:
    run = llada_runs()[name]
    call = llada_call(name, run)
    if not by_hook(name, run):
        seeded(run, name)
        assert llada_of(name).generate(**call).tolist() == [run["tokens"]]
    seeded(run, name)
    out: Tensor = wrapped_llada(name).generate(**call)
    assert out.tolist() == [run["tokens"]] and out.dtype == torch.int64


def dream_call(name: str, run: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a recorded call, as the published generate took them."""
    source = run.get("source") or name.partition("_")[0]
    given = dict(run["kwargs"])
    if name.endswith("topkNone"):
        given["top_k"] = None
    if source == "text":
        ids = golden_arrays(DREAM, "text_forward.npz")["input_ids"]
        return given | {"inputs": torch.from_numpy(ids)}
    stored = golden_arrays(DREAM, "mm_forward.npz")
    tiles = torch.from_numpy(stored["tiles_u8"])
    levels = (torch.arange(256, dtype=torch.float64) * (1 / 255)).float()
    pixels = (levels[tiles.long()] - 0.5) / 0.5
    size = tuple(stored["image_size_wh"].tolist())
    inputs = torch.from_numpy(stored["input_ids"])
    return given | {"inputs": inputs, "images": [pixels], "image_sizes": [size]}


@pytest.mark.parametrize("name", golden_params(DREAM, dream_runs()))
def test_lavida_dream(name: str) -> None:
    if "seed" in name and not draws_as_recorded():
        pytest.skip("this torch draws other numbers from a seed than the one that recorded them")
    run, stored = dream_runs()[name], golden_arrays(DREAM, "generate.npz")
    model = recorded_dream()
    call = dream_call(name, run) | {"output_history": True}
    for answers in (model, saccade.wrap(model)):
        seeded(run, name)
        out: Any = answers.generate(**call)
        assert out.sequences.tolist() == stored[f"{name}.sequences"].tolist()
        length = call["max_new_tokens"]
        history = [ids[0, -length:].tolist() for ids in out.history]
        assert history == stored[f"{name}.history"].tolist()
        assert all(ids.shape == out.sequences.shape for ids in out.history)
