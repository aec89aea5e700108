"""LLaDA-V against tensors of the published code: features, splicing, forwards, generate runs."""

import copy
import dataclasses
from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from saccade.backbones import Model, StepView, load
from saccade.backbones.inputs.packing import pack_anyres, pack_plain, pack_video
from saccade.backbones.inputs.pinpoints import best_resolution
from saccade.backbones.inputs.prepare import Picture, Prepared, splice
from saccade.backbones.network.decoder import Attended
from saccade.backbones.network.token_states import TokenStates
from saccade.controller.attention import row_attention
from tests.golden_sets import (
    FILES,
    assert_near,
    golden_arrays,
    golden_json,
    golden_params,
    golden_set,
)

pytestmark = pytest.mark.golden
SET = "llada_v"
close = partial(assert_near, tolerance=1e-4)
closer = partial(assert_near, tolerance=1e-5)  # what has not been through the decoder yet
PREFIX_HOOK = ("prefix_refresh_interval", "threshold")
"""Settings of the published hook that caches the prefix; its runs have names in "fast_"."""


@pytest.mark.parametrize("file", golden_params(SET, FILES[SET] if golden_set(SET) else ()))
def test_the_set_is_whole(file: str) -> None:
    folder = golden_set(SET)
    assert folder is not None and (folder / file).is_file(), f"{folder} lacks {file}"


@lru_cache(maxsize=1)
def multimodal() -> dict[str, Any]:
    return golden_json(SET, "multimodal.json")


@lru_cache(maxsize=4)
def arrays(file: str) -> dict[str, Tensor]:
    return {k: torch.as_tensor(np.asarray(v)) for k, v in golden_arrays(SET, file).items()}


@lru_cache(maxsize=4)
def model(vocab: int | None = None) -> Model:
    folder = golden_set(SET)
    assert folder is not None
    loaded = load(folder / "checkpoint", dtype=torch.float32, device="cpu")
    return loaded if vocab is None else shrunk(loaded, vocab)


def shrunk(loaded: Model, vocab: int) -> Model:
    """What the published loader does: embedding and head cut to the tokenizer's length."""
    network = copy.deepcopy(loaded.network)
    for module in (network.model.embed_tokens, network.lm_head):
        module.weight = torch.nn.Parameter(module.weight[:vocab])
    network.model.embed_tokens.num_embeddings = vocab
    geometry = dataclasses.replace(loaded.spec.geometry, vocab=vocab)
    spec = dataclasses.replace(loaded.spec, geometry=geometry)
    return Model(network, loaded.family, spec, loaded.preprocessor, None, loaded.config)


def cases() -> list[str]:
    return list(multimodal().get("images", {}))


def stored_views(case: str) -> Tensor | None:
    return arrays("multimodal.safetensors").get(f"{case}.pixel_values")


def pixel_values(case: str) -> list[Tensor]:
    """Views of each image of a case; images without stored views are those of a single case."""
    views, facts = stored_views(case), multimodal()["images"]
    if views is not None:
        return list(views) if views.ndim == 5 else [views]
    out = []
    for size in facts[case].get("image_sizes") or []:
        alone = (stored_views(c) for c, f in facts.items() if f.get("image_sizes") == [size])
        out.append(next(twin[0] for twin in alone if twin is not None and twin.ndim == 5))
    return out


@torch.inference_mode()
def pictures(case: str) -> list[Picture]:
    """Packed pictures of a case, by the path its pixel shape says it took."""
    fact, own = multimodal()["images"][case], model()
    stored, sizes = stored_views(case), fact.get("image_sizes") or []
    newline, limit = own.network.model.image_newline, own.preprocessor.max_tiles
    out = []
    if stored is not None and stored.ndim == 4 and not sizes:
        packed = [pack_video(own.network.encode_views(v), newline) for v in pixel_values(case)]
    elif stored is not None and stored.ndim == 4:
        features = own.network.encode_views(stored)
        packed = [pack_plain(view[None]) for view in features]
    else:
        packed = []
        side = own.network.tower.image_size
        for views, size in zip(pixel_values(case), sizes, strict=True):
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
def prepared(case: str, own: Model) -> Prepared:
    ids = multimodal()["prompts"][multimodal()["images"][case]["prompt"]]
    return splice(own.network, ids, pictures(case))


@pytest.mark.parametrize("case", golden_params(SET, cases()))
@torch.inference_mode()
def test_features_and_splicing(case: str) -> None:
    stored, network = arrays("multimodal.safetensors"), model().network
    if f"{case}.tower_features" in stored:
        views = pixel_values(case)[0]
        tower = network.model.vision_tower(views)
        closer(tower, stored[f"{case}.tower_features"])
        closer(network.model.mm_projector(tower), stored[f"{case}.projected"])
    inputs = prepared(case, model())
    closer(inputs.embeds, stored[f"{case}.inputs_embeds"][0])
    fact = multimodal()["images"][case]
    assert len(inputs) == fact["prompt_len"]
    assert len(inputs.visual_positions) == fact["n_visual"]


FORWARD = golden_params(SET, [f for f in ("forward.safetensors",) if arrays(f)])


class Recorder:
    """Keeps what enters every layer, and its attention."""

    def __init__(self) -> None:
        self.entering: list[Tensor] = []
        self.attention: list[Tensor] = []

    def before_layer(self, layer: int, rows: TokenStates) -> TokenStates:
        self.entering.append(rows.hidden)
        return rows

    def watches(self, layer: int) -> bool:
        return True

    def on_attention(self, layer: int, rows: TokenStates, seen: Attended) -> None:
        self.attention.append(row_attention(seen.q, seen.keys, rows.key_mask))


@pytest.mark.parametrize("file", FORWARD)
@torch.inference_mode()
def test_hidden_states_attention_and_logits(file: str) -> None:
    stored, network, seen = arrays(file), model().network, Recorder()
    out = network.run(TokenStates.of(stored["inputs_embeds"]), seen).hidden
    states = [*seen.entering, network.model.norm(out)]
    for i, state in enumerate(states):
        close(state, stored[f"hidden_states.{i}"])
    close(out, stored["last_layer_output_before_norm"])
    close(network.logits(out), stored["logits"])
    if "logits_eager" in stored:
        close(network.logits(out), stored["logits_eager"])
    probed = [name for name in stored if name.startswith("attn_probs.")]
    assert probed
    for name in probed:
        closer(seen.attention[int(name.split(".")[1])], stored[name])


@pytest.mark.parametrize("file", FORWARD)
@torch.inference_mode()
def test_text_padding_and_explicit_positions(file: str) -> None:
    stored, network = arrays(file), model().network
    embed = network.model.embed_tokens
    text = TokenStates.of(embed(stored["text.input_ids"]))
    close(network.logits(network.run(text).hidden), stored["text.logits"])

    mask = stored["batch.attention_mask"].bool()  # of the keys: padded rows are computed too
    batch = dataclasses.replace(TokenStates.of(embed(stored["batch.input_ids"])), key_mask=mask)
    close(network.logits(network.run(batch).hidden), stored["batch.logits"])

    placed = dataclasses.replace(text, positions=stored["pos.position_ids"])
    close(network.logits(network.run(placed).hidden), stored["pos.logits"])


def runs() -> dict[str, dict[str, Any]]:
    return golden_json(SET, "generate.json")


def why_not(name: str, run: dict[str, Any]) -> str | None:
    """Reason to skip a run that this loop cannot do, or that has no tokens."""
    if run.get("error"):
        return "the published code raises here"
    if name.startswith("cache_") or "dllm_cache" in run:
        return "a caching hook of the published code, which this loop does not have"
    return None


def run_params() -> list[Any]:
    reasons = {name: why_not(name, run) for name, run in runs().items()}
    skip = pytest.mark.skip
    return golden_params(
        SET, [pytest.param(n, marks=skip(reason=r)) if r else n for n, r in reasons.items()]
    )


def hook_options(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Options of a run of the prefix hook, whose published interval is 32."""
    if not name.startswith("fast_") and not any(setting in given for setting in PREFIX_HOOK):
        return {}
    interval, factor = (given.get(setting) for setting in PREFIX_HOOK)
    return {"prefix_refresh_interval": interval or 32, "factor": factor}


def options(name: str, run: dict[str, Any]) -> dict[str, Any]:
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
    out |= {"mask_id": ids["mask"], "forbidden_ids": forbidden, "append_eot": False}
    return {**out, **hook_options(name, run["kwargs"]), "seed": run.get("seed")}


def stored_logits(name: str, run: dict[str, Any]) -> dict[int, Tensor]:
    stored = arrays("generate.safetensors")
    prefix = f"{run.get('logits_step0_same_as', name)}.logits_step"
    return {int(key.removeprefix(prefix)): v for key, v in stored.items() if key.startswith(prefix)}


def model_of(logits: dict[int, Tensor]) -> Model:
    """The model of a run: logits of fewer ids show that its vocabulary had been cut."""
    whole = model().spec.geometry.vocab
    vocab = next((values.shape[-1] for values in logits.values()), whole)
    return model(None if vocab == whole else vocab)


def assert_same_choices(view: StepView, wanted: Tensor, committed: Tensor) -> None:
    """Same candidates; but where two ids are as good as equal and nothing is committed, either."""
    best = view.logits.double().topk(2).values
    first = len(wanted) - len(best)  # of a forward that read earlier positions from a cache
    free = (best[:, 0] - best[:, 1] < 1e-4) & ~committed[first:]
    differ = (view.chosen != wanted)[first:] & ~free
    assert not bool(differ.any()), differ.nonzero()[:, 0].tolist()


@pytest.mark.parametrize("name", run_params())
def test_generate(name: str) -> None:
    run, stored = runs()[name], arrays("generate.safetensors")
    logits = stored_logits(name, run)
    own = model_of(logits)
    steps: list[StepView] = []
    inputs = prepared(run["case"], own)
    out = own.generate(inputs=inputs, callback=steps.append, **options(name, run))

    assert list(out.tokens) == run["tokens"] == stored[f"{name}.tokens"][0].tolist()
    assert len(steps) == run["steps_run"] == out.trace.forwards
    for view in steps:
        s = view.step
        confidence = stored[f"{name}.conf"][s].nan_to_num(-torch.inf, neginf=-torch.inf)
        torch.testing.assert_close(view.confidence.double(), confidence, atol=1e-5, rtol=0)
        committed = stored[f"{name}.transfer"][s].bool()
        assert_same_choices(view, stored[f"{name}.x0"][s], committed)
        assert list(view.commit.picked) == committed.nonzero()[:, 0].tolist()
        assert view.commit.k == int(stored[f"{name}.k"][s])
        assert view.record.rows_per_layer[0] == int(stored[f"{name}.forward_len"][s])
        if s in logits and ("logits_step0_same_as" not in run or s == 0):
            torch.testing.assert_close(
                view.logits.double(), logits[s].double(), atol=1e-4, rtol=1e-4
            )


def raw_inputs(case: str, own: Model) -> list[Prepared]:
    """A case prepared from its pictures or frames: several ways, if several fit by their size."""
    fact, stored = multimodal()["images"][case], stored_views(case)
    ids, sizes = multimodal()["prompts"][fact["prompt"]], fact.get("image_sizes") or []
    if stored is not None and not sizes:
        clips = golden_arrays(SET, "video_tiny.npz").values()
        return [own.prepare_ids(ids, video=clip) for clip in clips if len(clip) == len(stored)]
    raw = [Image.fromarray(array) for array in golden_arrays(SET, "images_tiny.npz").values()]
    fitting = [[image for image in raw if image.size == tuple(size)] for size in sizes]
    pad = stored is not None and stored.ndim == 4
    return [own.prepare_ids(ids, some, multi_image_pad=pad) for some in product(*fitting)]


@pytest.mark.parametrize("name", run_params())
def test_from_pictures_and_frames_to_tokens(name: str) -> None:
    run = runs()[name]
    own = model_of(stored_logits(name, run))
    wanted = arrays("multimodal.safetensors")[f"{run['case']}.inputs_embeds"][0]
    made = [inputs for inputs in raw_inputs(run["case"], own) if len(inputs) == len(wanted)]
    assert made, "no picture or clip of that size"
    nearest = min(made, key=lambda inputs: float((inputs.embeds - wanted).abs().max()))
    closer(nearest.embeds, wanted)
    assert list(own.generate(inputs=nearest, **options(name, run)).tokens) == run["tokens"]
