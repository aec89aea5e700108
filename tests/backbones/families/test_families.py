"""What families differ in: pictures, prompts, videos; and a checkpoint of each survives saving."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import saccade
from saccade.backbones.checkpoints.config import language_config
from saccade.backbones.families.family import Family
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.backbones.families.llada_v import FAMILY as LLADA
from saccade.backbones.families.registry import FAMILIES
from saccade.backbones.inputs.packing import pool_2d
from saccade.backbones.network.network import Network
from saccade.backbones.network.sizes import SO400M
from saccade.controller import CapabilityError
from tests.tiny import SIDE, fake_page, tiny_model

BY_NAME = {family.name: family for family in FAMILIES}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_saved_checkpoint_is_the_model(name: str, tmp_path: Path) -> None:
    family = BY_NAME[name]
    model = tiny_model(tokenizer=True, family=family)
    model.save_pretrained(tmp_path)
    loaded = saccade.load(tmp_path, device="cpu")
    assert loaded.family is family and loaded.spec.origin == family.origin
    assert loaded.network.language == model.network.language
    page, short = fake_page(), family.settings.for_lengths(8, 8, 4)
    answers = [m.generate("What?", [page], **short).tokens for m in (model, loaded)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", BY_NAME)
def test_prompts_end_where_the_assistant_speaks(name: str) -> None:
    family = BY_NAME[name]
    model = tiny_model(tokenizer=True, family=family)
    made = model.prepare("What?", [fake_page()])
    embed = model.network.model.embed_tokens
    assert model.tokenizer is not None
    end = model.tokenizer.encode(family.template.opening.format(role="assistant")).ids
    with torch.inference_mode():
        assert torch.equal(made.embeds[-len(end) :], embed(torch.tensor(end)))


@pytest.mark.parametrize("name", [n for n, family in BY_NAME.items() if not family.video])
def test_videos_are_for_models_that_read_them(name: str) -> None:
    model = tiny_model(tokenizer=True, family=BY_NAME[name])
    kind = BY_NAME[name].model_types[0]
    frames = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(CapabilityError, match=f"a {kind} model reads no videos"):
        model.prepare("What?", video=frames)


def tokens(family: Family, images: list[Image.Image], aspect: str, how: object) -> int:
    model = tiny_model(family=family, aspect=aspect)
    ids = [1, *[-200] * len(images), 2]
    made = model.prepare_ids(ids, images, multi_image_pad=how)  # type: ignore[arg-type]
    assert len(made.centers) == len(made.segments.visual)
    return len(made.segments.visual)


def test_views_are_shrunk_where_they_are_tiles() -> None:
    page, small = fake_page(32, 16), ((SIDE + 1) // 2) ** 2
    whole = tokens(LLADA, [page], "anyres", True)
    shrunk = tokens(LAVIDA, [page], "anyres", True)
    assert shrunk < whole and whole - SIDE**2 > shrunk - small > 0
    for aspect in ("square", "pad"):
        assert tokens(LAVIDA, [page], aspect, True) == SIDE**2


def test_several_pictures_are_stacked_listed_or_tiled() -> None:
    pages, small = [fake_page(32, 16), fake_page(16, 32)], ((SIDE + 1) // 2) ** 2
    assert tokens(LAVIDA, pages, "anyres", True) == 2 * SIDE**2
    assert tokens(LAVIDA, pages, "anyres", "list") == 2 * (small + 1)
    alone = sum(tokens(LAVIDA, [page], "anyres", False) for page in pages)
    assert tokens(LAVIDA, pages, "anyres", False) == alone


@pytest.mark.parametrize(
    ("family", "how", "message"),
    [
        (LAVIDA, "stack", "multi_image_pad='stack'; allowed: True, False, 'list'"),
        (LLADA, "list", "'list' is LaViDa's; give True or False"),
    ],
)
def test_unknown_ways_are_named(family: Family, how: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tokens(family, [fake_page()], "anyres", how)


def test_shrunk_tokens_lie_where_their_patches_lie() -> None:
    """The centre of a shrunk token is the mean of those it is made of."""
    model = tiny_model(family=LAVIDA, aspect="anyres")
    made = model.prepare_ids([1, -200, 2], [fake_page(16, 16)])
    line = (torch.arange(SIDE) + 0.5) / SIDE
    centers = torch.cartesian_prod(line, line).flip(1)
    n = ((SIDE + 1) // 2) ** 2
    torch.testing.assert_close(made.centers[:n], pool_2d(centers[None])[0])


def test_half_precision_rounds_lavidas_frequencies(tmp_path: Path) -> None:
    for family in FAMILIES:
        folder = tmp_path / family.name
        tiny_model(family=family).save_pretrained(folder)
        for kind in (torch.float32, torch.bfloat16):
            own = saccade.load(folder, kind, "cpu").network.language.rotary
            rounded = family is LAVIDA and kind == torch.bfloat16
            assert own == (torch.bfloat16 if rounded else torch.float32)
        asked = saccade.load(folder, torch.bfloat16, "cpu", rounded_rotary=False)
        assert asked.network.language.rotary == torch.float32


def test_weights_may_go_through_float16(tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.network.lm_head.weight[0, :2] = torch.tensor([2.0**-30, 1.0])
    model.save_pretrained(tmp_path)
    through = saccade.load(tmp_path, torch.bfloat16, "cpu", weights_via_fp16=True)
    straight = saccade.load(tmp_path, torch.bfloat16, "cpu")
    assert through.network.lm_head.weight[0, :2].tolist() == [0.0, 1.0]
    assert straight.network.lm_head.weight[0, :2].tolist() == [2.0**-30, 1.0]
    assert through.network.lm_head.weight.dtype == torch.bfloat16


def test_the_vocabulary_stays_if_asked(tmp_path: Path) -> None:
    tiny_model(tokenizer=True, vocab=300).save_pretrained(tmp_path)
    assert saccade.load(tmp_path, device="cpu", cut_vocab=False).spec.geometry.vocab == 300
    assert saccade.load(tmp_path, device="cpu").spec.geometry.vocab < 300


def test_the_published_lavida_dream_has_these_tensors() -> None:
    """Counts of the published checkpoint, by its specification: 765 tensors, 8 billion weights."""
    language = language_config(
        {
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "vocab_size": 152064,
            "rope_theta": 1000000.0,
            "tokenizer_model_max_length": 4096,
        },
        LAVIDA.decoder,
    )
    with torch.device("meta"):
        network = Network(language, SO400M)
    state = network.state_dict()
    sizes = {name: value.numel() for name, value in state.items()}
    tower = sum(n for name, n in sizes.items() if ".vision_tower." in name)
    projector = sum(n for name, n in sizes.items() if ".mm_projector." in name)
    assert (len(sizes), tower, projector) == (765, 397_747_744, 16_980_992)
    assert sum(sizes.values()) == 8_030_348_832
    assert state["model.layers.27.self_attn.k_proj.bias"].shape == (512,)
    assert "model.layers.0.self_attn.o_proj.bias" not in state
