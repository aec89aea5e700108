"""LLaDA-V against tensors of the published code: features, splicing, forwards, generate runs."""

import copy
import dataclasses
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from saccade.backbones import DiffusionModel, StepView, load
from saccade.backbones.packing import pack_anyres, pack_plain, pack_video
from saccade.backbones.prepare import Picture, Prepared, splice
from saccade.backbones.rows import Rows
from saccade.backbones.tiling import best_resolution
from saccade.controller.signals import row_attention
from tests.golden_sets import golden_arrays, golden_json, golden_params, golden_set

pytestmark = pytest.mark.golden
SET = "llada_v"
LATER = ("fast_", "cache_")
"""Runs of the published caching hooks, which this loop does not have yet."""


@lru_cache(maxsize=1)
def multimodal() -> dict[str, Any]:
    return golden_json(SET, "multimodal.json")


@lru_cache(maxsize=4)
def arrays(file: str) -> dict[str, Tensor]:
    return {k: torch.as_tensor(np.asarray(v)) for k, v in golden_arrays(SET, file).items()}


@lru_cache(maxsize=4)
def model(vocab: int | None = None) -> DiffusionModel:
    folder = golden_set(SET)
    assert folder is not None
    loaded = load(folder / "checkpoint", dtype=torch.float32, device="cpu")
    return loaded if vocab is None else shrunk(loaded, vocab)


def shrunk(loaded: DiffusionModel, vocab: int) -> DiffusionModel:
    """What the published loader does: embedding and head cut to the tokenizer's length."""
    network = copy.deepcopy(loaded.network)
    for module in (network.model.embed_tokens, network.lm_head):
        module.weight = torch.nn.Parameter(module.weight[:vocab])
    network.model.embed_tokens.num_embeddings = vocab
    geometry = dataclasses.replace(loaded.spec.geometry, vocab=vocab)
    spec = dataclasses.replace(loaded.spec, geometry=geometry)
    return DiffusionModel(network, spec, loaded.preprocessor, None, loaded.config)


def cases() -> list[str]:
    return list(multimodal().get("images", {}))


def pixel_values(case: str) -> list[Tensor]:
    """Views of each image of a case; images without stored views are those of a single case."""
    stored = arrays("multimodal.safetensors")
    if f"{case}.pixel_values" in stored:
        views = stored[f"{case}.pixel_values"]
        return [views[0]] if views.ndim == 5 else [views]
    facts = multimodal()["images"]
    out = []
    for size in facts[case].get("image_sizes") or []:
        twin = next(c for c, f in facts.items() if f.get("image_sizes") == [size])
        out += pixel_values(twin)
    return out


@torch.inference_mode()
def pictures(case: str) -> list[Picture]:
    """Packed pictures of a case, by the path its pixel shape says it took."""
    fact, own = multimodal()["images"][case], model()
    stored = arrays("multimodal.safetensors").get(f"{case}.pixel_values")
    newline, limit = own.network.model.image_newline, own.preprocessor.max_tiles
    out = []
    if fact["prompt"] == "video":
        packed = [pack_video(own.network.encode_views(v), newline) for v in pixel_values(case)]
    elif stored is not None and stored.ndim == 4:
        features = own.network.encode_views(stored)
        packed = [pack_plain(view[None]) for view in features]
    else:
        packed = []
        side = own.network.tower.image_size
        for views, size in zip(pixel_values(case), fact.get("image_sizes") or [], strict=True):
            grid = grid_of(len(views) - 1, size, side)
            features = own.network.encode_views(views)
            packed.append(pack_anyres(features, tuple(size), grid, newline, limit))
    for features in packed:
        out.append(Picture(features, torch.zeros(len(features), 2), 1))
    return out


def grid_of(tiles: int, size: list[int], side: int) -> tuple[int, int]:
    width, height = best_resolution((size[0], size[1]), model().preprocessor.pinpoints)
    assert (width // side) * (height // side) == tiles
    return width // side, height // side


@torch.inference_mode()
def prepared(case: str, own: DiffusionModel) -> Prepared:
    ids = multimodal()["prompts"][multimodal()["images"][case]["prompt"]]
    return splice(own.network, ids, pictures(case))


@pytest.mark.parametrize("case", golden_params(SET, cases()))
@torch.inference_mode()
def test_features_and_splicing(case: str) -> None:
    stored, network = arrays("multimodal.safetensors"), model().network
    if f"{case}.tower_features" in stored:
        views = pixel_values(case)[0]
        tower = network.model.vision_tower(views)
        torch.testing.assert_close(tower, stored[f"{case}.tower_features"], atol=1e-5, rtol=1e-5)
        projected = network.model.mm_projector(tower)
        torch.testing.assert_close(projected, stored[f"{case}.projected"], atol=1e-5, rtol=1e-5)
    inputs = prepared(case, model())
    wanted = stored[f"{case}.inputs_embeds"][0]
    torch.testing.assert_close(inputs.embeds, wanted, atol=1e-5, rtol=0)
    fact = multimodal()["images"][case]
    assert len(inputs) == fact["prompt_len"]
    assert len(inputs.visual_positions) == fact["n_visual"]


FORWARD = golden_params(SET, [f for f in ("forward.safetensors",) if arrays(f)])


class Recorder:
    """Keeps what enters every layer, and its attention."""

    def __init__(self) -> None:
        self.entering: list[Tensor] = []
        self.attention: list[Tensor] = []

    def before_layer(self, layer: int, rows: Rows) -> Rows:
        self.entering.append(rows.hidden)
        return rows

    def on_attention(self, layer: int, rows: Rows, q: Tensor, k: Tensor) -> None:
        self.attention.append(row_attention(q, k, rows.key_mask))


def close(given: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(given, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("file", FORWARD)
@torch.inference_mode()
def test_hidden_states_attention_and_logits(file: str) -> None:
    stored, network, seen = arrays(file), model().network, Recorder()
    out = network.run(Rows.of(stored["inputs_embeds"]), seen).hidden
    states = [*seen.entering, network.model.norm(out)]
    for i, state in enumerate(states):
        close(state, stored[f"hidden_states.{i}"])
    close(out, stored["last_layer_output_before_norm"])
    close(network.logits(out), stored["logits"])
    close(network.logits(out), stored["logits_eager"])
    probed = [name for name in stored if name.startswith("attn_probs.")]
    assert probed
    for name in probed:
        torch.testing.assert_close(
            seen.attention[int(name.split(".")[1])], stored[name], atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize("file", FORWARD)
@torch.inference_mode()
def test_text_padding_and_explicit_positions(file: str) -> None:
    stored, network = arrays(file), model().network
    embed = network.model.embed_tokens
    text = Rows.of(embed(stored["text.input_ids"]))
    close(network.logits(network.run(text).hidden), stored["text.logits"])

    mask = stored["batch.attention_mask"].bool()
    lengths = mask.sum(1).tolist()
    assert all(bool(row[:n].all()) for row, n in zip(mask, lengths, strict=True)), "right padding"
    batch = Rows.of(embed(stored["batch.input_ids"]), lengths)
    given = network.logits(network.run(batch).hidden)
    close(given[mask], stored["batch.logits"][mask])

    placed = dataclasses.replace(text, positions=stored["pos.position_ids"])
    close(network.logits(network.run(placed).hidden), stored["pos.logits"])


def runs() -> dict[str, dict[str, Any]]:
    found = golden_json(SET, "generate.json")
    return {name: run for name, run in found.items() if not name.startswith(LATER)}


def options(run: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a run; the published code swallows those it does not know."""
    ids, known = multimodal()["special_ids"], {"stopping_criteria", "generation_suffix"}
    known |= {"gen_length", "block_length", "steps", "temperature", "cfg_scale", "remasking"}
    encoding = run.get("stop_encoding") or {}
    out = {k: v for k, v in run["kwargs"].items() if k in known}
    if "stopping_criteria" in out:
        out["stopping_criteria"] = [encoding[stop] for stop in out["stopping_criteria"]]
    if "generation_suffix" in out:
        out["generation_suffix"] = encoding[out["generation_suffix"]]
    forbidden = [ids[name] for name in ("eos", "bos", "start_header", "end_header")]
    return {**out, "mask_id": ids["mask"], "forbidden_ids": forbidden, "seed": run["seed"]}


def stored_logits(name: str, run: dict[str, Any]) -> dict[int, Tensor]:
    stored = arrays("generate.safetensors")
    prefix = f"{run.get('logits_step0_same_as', name)}.logits_step"
    return {int(key.removeprefix(prefix)): v for key, v in stored.items() if key.startswith(prefix)}


@pytest.mark.parametrize("name", golden_params(SET, runs()))
def test_generate(name: str) -> None:
    run, stored = runs()[name], arrays("generate.safetensors")
    logits = stored_logits(name, run)
    vocab = logits[0].shape[-1]
    own = model(None if vocab == model().spec.geometry.vocab else vocab)
    steps: list[StepView] = []
    inputs = prepared(run["case"], own)
    out = own.generate(inputs=inputs, callback=steps.append, **options(run))

    assert list(out.tokens) == run["tokens"] == stored[f"{name}.tokens"][0].tolist()
    assert len(steps) == run["steps_run"] == out.trace.forwards
    for view in steps:
        s = view.step
        confidence = stored[f"{name}.conf"][s]
        torch.testing.assert_close(view.confidence.double(), confidence, atol=1e-5, rtol=0)
        assert view.chosen.tolist() == stored[f"{name}.x0"][s].tolist()
        picked = stored[f"{name}.transfer"][s].nonzero()[:, 0].tolist()
        assert list(view.commit.picked) == picked
        assert view.commit.k == int(stored[f"{name}.k"][s])
        assert view.record.rows_per_layer[0] == int(stored[f"{name}.forward_len"][s])
        if s in logits and ("logits_step0_same_as" not in run or s == 0):
            torch.testing.assert_close(
                view.logits.double(), logits[s].double(), atol=1e-4, rtol=1e-4
            )
