"""LaViDa over LLaDA: its files, its network and its loop against plain ones written out here."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from saccade.backbones import Model, load
from saccade.backbones.decoding.lavida.schedules import schedule_table
from saccade.backbones.decoding.lavida_llada.settings import BlockSettings
from saccade.backbones.families.lavida_llada import FAMILY
from saccade.backbones.families.llada_v import FAMILY as LLADA
from saccade.backbones.network.decoder import rotary_angles, rotate
from saccade.backbones.network.token_states import TokenStates
from saccade.controller import CheckpointError
from tests.tiny import PINPOINTS, TOWER, fake_page, tiny_model

D, HEADS, LAYERS, MLP, ROWS, MASK, THETA = 32, 4, 3, 48, 40, 39, 500.0
CONFIG: dict[str, Any] = {
    "model_type": "llava_llada",
    "architectures": ["LlavaLladaForMaskedDiffusion"],
    "d_model": D,
    "n_heads": HEADS,
    "n_kv_heads": HEADS,
    "n_layers": LAYERS,
    "mlp_hidden_size": MLP,
    "mlp_ratio": 4,
    "vocab_size": ROWS - 3,
    "embedding_size": ROWS,
    "activation_type": "silu",
    "block_type": "llama",
    "layer_norm_type": "rms",
    "rms_norm_eps": 1e-5,
    "rope": True,
    "rope_full_precision": True,
    "rope_theta": THETA,
    "include_bias": False,
    "include_qkv_bias": False,
    "weight_tying": False,
    "max_sequence_length": 4096,
    "mm_vision_tower": "/data/someone/siglip",
    "mm_patch_merge_type": "spatial_unpad",
    "image_aspect_ratio": "anyres",
    "image_grid_pinpoints": PINPOINTS,
}


def language_tensors(generator: torch.Generator) -> dict[str, Tensor]:
    """Random weights under the names of LLaDA's own checkpoints."""

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * (0.35 if len(shape) > 1 else 0.1) + (
            len(shape) == 1
        )

    base = "model.transformer."
    found = {
        f"{base}wte.weight": random(ROWS, D),
        f"{base}ln_f.weight": random(D),
        f"{base}ff_out.weight": random(ROWS, D),
    }
    for i in range(LAYERS):
        block = f"{base}blocks.{i}."
        for name in ("q_proj", "k_proj", "v_proj", "attn_out"):
            found[f"{block}{name}.weight"] = random(D, D)
        found |= {
            f"{block}ff_proj.weight": random(MLP, D),
            f"{block}up_proj.weight": random(MLP, D),
            f"{block}ff_out.weight": random(D, MLP),
            f"{block}attn_norm.weight": random(D),
            f"{block}ff_norm.weight": random(D),
        }
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint, written by hand; the tower and the projector are those of LLaDA-V."""
    folder = tmp_path_factory.mktemp("lavida-llada")
    tiny_model(vocab=ROWS).save_pretrained(folder)
    kept = {
        name: value
        for name, value in load_file(folder / "model.safetensors").items()
        if "vision_tower" in name or "mm_projector" in name or "image_newline" in name
    }
    tensors = language_tensors(torch.Generator().manual_seed(3))
    save_file({**kept, **tensors}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(folder, device="cpu")


def plain_logits(tensors: dict[str, Tensor], embeds: Tensor, prompt: int = 0) -> Tensor:
    """Logits (L, V) of embeddings (L, D), from the stored tensors alone; the first `prompt` rows
    attend to one another only."""
    w = {name.removeprefix("model.transformer."): value for name, value in tensors.items()}
    n, d = len(embeds), D // HEADS
    seen = torch.ones(n, n, dtype=torch.bool)
    seen[:prompt, prompt:] = False
    angle = torch.arange(n)[:, None] * THETA ** (-torch.arange(0, d, 2) / d)
    turn = torch.polar(torch.ones(()), angle)

    def norm(x: Tensor, name: str) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w[f"{name}.weight"]

    def heads(x: Tensor, name: str, turned: bool) -> Tensor:
        y = (x @ w[f"{name}.weight"].T).reshape(n, HEADS, d).transpose(0, 1)
        if not turned:
            return y
        z = torch.complex(y[..., : d // 2], y[..., d // 2 :]) * turn
        return torch.cat([z.real, z.imag], dim=-1)

    x = embeds
    for i in range(LAYERS):
        b = f"blocks.{i}."
        y = norm(x, f"{b}attn_norm")
        q, k = heads(y, f"{b}q_proj", True), heads(y, f"{b}k_proj", True)
        scores = (q @ k.transpose(1, 2) / math.sqrt(d)).masked_fill(~seen, -math.inf)
        mixed = (scores.softmax(-1) @ heads(y, f"{b}v_proj", False)).transpose(0, 1).flatten(1)
        x = x + mixed @ w[f"{b}attn_out.weight"].T
        y = norm(x, f"{b}ff_norm")
        gated = F.silu(y @ w[f"{b}ff_proj.weight"].T) * (y @ w[f"{b}up_proj.weight"].T)
        x = x + gated @ w[f"{b}ff_out.weight"].T
    return norm(x, "ln_f") @ w["ff_out.weight"].T


def plain_answer(tensors: dict[str, Tensor], prompt: Tensor, s: BlockSettings) -> list[int]:
    """The loop written out: blocks in order, the surest positions of a block first."""
    wte = tensors["model.transformer.wte.weight"]
    ids = torch.full((s.gen_length,), MASK)
    for block in range(s.n_blocks):
        start, end = block * s.block_length, (block + 1) * s.block_length
        left, n = int((ids[start:end] == MASK).sum()), s.steps_per_block
        if s.schedule is not None:
            counts = schedule_table(left, n, s.schedule, s.shift)
        else:
            counts = [left // n + (i < left % n) for i in range(n)]
        for count in counts:
            masked = ids == MASK
            if not masked[start:end].any():
                break
            rows = torch.cat([prompt, wte[ids]])
            logits = plain_logits(tensors, rows, len(prompt) if s.prefix_lm else 0)
            p = logits[len(prompt) :].double().softmax(-1)
            best, chosen = p.max(-1)
            if s.remasking == "margin":
                best = best - p.topk(2).values[:, 1]
            elif s.remasking == "entropy":
                best = (p * p.log()).sum(-1)
            best[~masked] = -math.inf
            best[end:] = -math.inf
            picked = best.topk(min(count, int(masked[:end].sum()))).indices
            ids[picked] = chosen[picked]
    return ids.tolist()


def test_the_family_is_known_by_its_fields(model: Model) -> None:
    assert model.family is FAMILY and model.spec.origin == "from-scratch"
    assert model.spec.geometry.vocab == ROWS and model.spec.mask_id == 126336
    language = model.network.language
    assert (language.rope_theta, language.wide_rotary) == (THETA, True)
    assert model.network.tower == TOWER and not model.spec.logit_shift


def test_logits_are_those_of_the_stored_tensors(folder: Path, model: Model) -> None:
    tensors = load_file(folder / "model.safetensors")
    made = model.prepare_ids([1, 2, -200, 3, 4], [fake_page()])
    with torch.inference_mode():
        rows = TokenStates.of(made.embeds[None], [len(made)])
        own = model.network.logits(model.network.run(rows).hidden)[0]
    torch.testing.assert_close(own, plain_logits(tensors, made.embeds), atol=2e-4, rtol=1e-4)


SHAPES: list[dict[str, Any]] = [
    {"gen_length": 8, "block_length": 8, "steps": 3},
    {"gen_length": 12, "block_length": 4},
    {"gen_length": 12, "block_length": 4, "step_per_block": 3},
    {"gen_length": 12, "block_length": 6, "step_ratio": 0.5, "remasking": "margin"},
    {"gen_length": 8, "block_length": 4, "steps": 4, "remasking": "entrophy"},
    {"gen_length": 8, "schedule": "shift", "shift": 0.33, "steps": 4},
    {"gen_length": 8, "block_length": 4, "schedule": "cosine", "steps": 6},
]


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_answers_are_those_of_the_plain_loop(
    shape: dict[str, Any], prefix: bool, folder: Path, model: Model
) -> None:
    tensors = load_file(folder / "model.safetensors")
    made = model.prepare_ids([1, 2, -200, 3, 4], [fake_page()])
    given = {**shape, "prefix_lm": prefix, "mask_id": MASK}
    out = model.generate(inputs=made, **given)
    wanted = plain_answer(tensors, made.embeds.clone(), BlockSettings.from_options(given))
    assert list(out.tokens) == wanted and len(set(wanted)) > 2
    passes = sum(record.refreshed for record in out.trace.steps)
    assert passes == (1 if prefix else len(out.trace.steps))


def test_renamed_it_is_the_network_of_llada(folder: Path, tmp_path: Path, model: Model) -> None:
    """The same weights under LLaDA-V's names give the same numbers, bit for bit, in float32."""
    names = {"attn_out": "self_attn.o_proj", "ff_proj": "mlp.gate_proj", "up_proj": "mlp.up_proj"}
    names |= {"ff_out": "mlp.down_proj", "attn_norm": "input_layernorm"}
    names |= {"ff_norm": "post_attention_layernorm"}
    names |= {name: f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj")}
    outer = {"wte": "model.embed_tokens", "ln_f": "model.norm", "ff_out": "lm_head"}
    renamed = {}
    for key, value in load_file(folder / "model.safetensors").items():
        parts = key.split(".")
        if parts[:3] == ["model", "transformer", "blocks"]:
            key = f"model.layers.{parts[3]}.{names[parts[4]]}.weight"
        elif parts[1] == "transformer":
            key = f"{outer[parts[2]]}.weight"
        renamed[key] = value
    tiny_model(vocab=ROWS, n_layers=LAYERS, n_kv_heads=HEADS).save_pretrained(tmp_path)
    save_file(renamed, tmp_path / "model.safetensors")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "rope_theta": THETA}))
    other = load(tmp_path, device="cpu")
    assert other.family is LLADA
    mine, theirs = model.network.state_dict(), other.network.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    made = model.prepare_ids([1, -200, 3], [fake_page()])
    shape: dict[str, Any] = {"gen_length": 8, "block_length": 4, "steps": 4, "mask_id": MASK}
    own = model.generate(inputs=made, **shape)
    with_theirs = other.generate(inputs=made.bound(other.network, None), forbidden_ids=(), **shape)
    assert own.tokens == with_theirs.tokens


def test_a_round_trip_keeps_layout_and_weights(folder: Path, tmp_path: Path, model: Model) -> None:
    model.save_pretrained(tmp_path, max_shard_bytes=20_000)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    saved = {name: value for shard in shards for name, value in load_file(shard).items()}
    stored = load_file(folder / "model.safetensors")
    assert saved.keys() == stored.keys() and len(shards) > 1
    assert all(torch.equal(saved[name], stored[name]) for name in stored)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["d_model"], config["embedding_size"], config["vocab_size"]) == (D, ROWS, ROWS)
    again = load(tmp_path, device="cpu")
    assert again.family is FAMILY and again.network.language == model.network.language


def test_it_may_be_tied(folder: Path, tmp_path: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.transformer.ff_out.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "vision_config.json").write_bytes((folder / "vision_config.json").read_bytes())
    for tied in (False, True):
        (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "weight_tying": tied}))
        if not tied:
            with pytest.raises(CheckpointError, match="missing keys 1: model.transformer.ff_out"):
                load(tmp_path, device="cpu")
    own = load(tmp_path, device="cpu").network
    assert torch.equal(own.lm_head.weight, own.model.embed_tokens.weight)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("n_heads", None, "config.json lacks n_heads: is this a dMLLM"),
        ("d_model", 31, "d_model=31, n_heads=4"),
        ("mlp_hidden_size", "x", "mlp_hidden_size='x': must be a whole"),
        ("block_type", "sequential", "block_type='sequential' is not supported"),
        ("activation_type", "swiglu", "activation_type='swiglu' is not supported"),
        ("include_qkv_bias", True, "include_qkv_bias=True is not supported"),
        (
            "embedding_size",
            ROWS - 1,
            f"wte.weight .*, expected .{ROWS - 1}, {D}",
        ),
    ],
)
def test_what_is_not_computed_is_refused(
    field: str, value: Any, message: str, folder: Path, tmp_path: Path
) -> None:
    for name in ("vision_config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, field: value}))
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path, device="cpu")


def test_rotations_are_rounded_once_in_half_precision() -> None:
    x = torch.randn(1, 2, 5, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    angles = rotary_angles(torch.arange(5)[None] * 100, 8, THETA, torch.float32)
    out = rotate(x, angles)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, rotate(x.float(), angles).bfloat16())
    assert not torch.equal(out, rotate(x, angles.bfloat16()))


def test_half_precision_generates(folder: Path) -> None:
    own = load(folder, "bfloat16", "cpu")
    made = own.prepare_ids([1, -200, 3], [fake_page()])
    out = own.generate(inputs=made, gen_length=8, block_length=4, mask_id=MASK)
    assert len(out.tokens) == 8 and MASK not in out.tokens


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gen_length": 8, "block_length": 3}, "not divisible by block_length=3"),
        ({"gen_length": 8, "block_length": 4, "steps": 3}, "not divisible by the 2 blocks"),
        ({"steps": 4, "step_ratio": 0.5}, "say different numbers of steps"),
        ({"gen_length": 8, "step_per_block": 2, "step_ratio": 0.5}, "say different numbers"),
        ({"gen_length": 8, "block_length": 2, "step_ratio": 0.3}, "makes no step"),
        ({"step_ratio": 0}, "step_ratio=0: must be above 0"),
        ({"remasking": "topk"}, "remasking='topk'; allowed: "),
        ({"schedule": "fast"}, "schedule='fast'"),
        ({"shift": 0}, "shift=0: must be above 0"),
    ],
)
def test_wrong_settings_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BlockSettings.from_options(options)


def test_options_of_relatives_are_explained() -> None:
    with pytest.raises(TypeError, match="alg='entropy': give remasking"):
        BlockSettings.from_options({"alg": "entropy"})
    with pytest.raises(TypeError, match="got unknown option refix_lm; did you mean prefix_lm"):
        BlockSettings.from_options({"refix_lm": True})
    ways: list[dict[str, Any]] = [{"steps": 16}, {"step_ratio": 0.5}, {"step_per_block": 4}]
    same = [BlockSettings(gen_length=32, block_length=8, **way).steps_per_block for way in ways]
    assert same == [4, 4, 4]
    assert BlockSettings(gen_length=32, block_length=8, step_per_block=50).steps_per_block == 8


@pytest.mark.parametrize("more", [{"temperature": 0.7}, {"remasking": "random"}], ids=str)
def test_chance_follows_the_seed(more: dict[str, Any], model: Model) -> None:
    made = model.prepare_ids([1, 2, 3])
    shape: dict[str, Any] = {"gen_length": 12, "block_length": 6, "steps": 6, "mask_id": MASK}
    answers = [model.generate(inputs=made, seed=n, **shape, **more).tokens for n in (1, 1, 2, 3)]
    assert answers[0] == answers[1] and len(set(answers)) > 1
