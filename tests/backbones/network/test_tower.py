"""The vision tower as methods see it: places, reduced runs, what it attended to, and its price."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from saccade.backbones import Model
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.backbones.families.llada_v import FAMILY as LLADA_V
from saccade.backbones.network.tower import tower_macs
from saccade.controller import AfterShare, Controller, pruners
from saccade.controller.types import round_keep
from saccade.pruners import ToMe
from saccade.pruners.tome import Folding, exactly
from tests.backbones.execution.planned import Planned, Spy, plan_of
from tests.tiny import TOWER, fake_page, fake_request, tiny_model

SIZES = [[(40, 30)], [(20, 50)], [(30, 30), (50, 20)], [(90, 20)], [(16, 16)]]
FAMILIES = [LLADA_V, LAVIDA]


@pytest.fixture(scope="module", params=FAMILIES, ids=["llada-v", "lavida"])
def model(request: pytest.FixtureRequest) -> Model:
    return tiny_model(family=request.param)


class Nothing:
    """A reduction that leaves all rows."""

    def bias(self) -> Tensor | None:
        return None

    def __call__(self, layer: int, hidden: Tensor, keys: Tensor) -> Tensor:
        return hidden


@pytest.mark.parametrize("sizes", SIZES)
def test_a_run_that_reduces_nothing_is_the_tower(model: Model, sizes: Any) -> None:
    page = fake_request(model, sizes)
    assert page.tower is not None
    visual = torch.from_numpy(page.visual_positions)
    packed = page.tower.pack(page.tower.run(Nothing()))
    torch.testing.assert_close(packed, page.embeds[visual], atol=1e-4, rtol=1e-4)
    assert torch.equal(page.tower.features(), page.embeds[visual])
    views = page.tower.n_views
    assert page.tower.spent == 2 * views * tower_macs(TOWER, model.network.language)


@pytest.mark.parametrize("sizes", SIZES)
def test_every_token_comes_from_the_patch_under_its_centre(model: Model, sizes: Any) -> None:
    """Patches packed as numbers: a token has its patch's, but where patches are mixed."""
    page = fake_request(model, sizes)
    assert page.tower is not None
    owners, newline = page.tower.owners, model.network.model.image_newline
    views, patches = page.tower.n_views, page.tower.n_patches
    assert owners.shape == (len(page.visual_positions),)
    numbers = torch.arange(views * patches, dtype=torch.float32).view(views, patches, 1)
    mixed = page.tower._packed(numbers, torch.full((1,), -1.0))[:, 0]
    assert torch.equal(owners < 0, mixed == -1.0)
    embeds = page.embeds[torch.from_numpy(page.visual_positions)]
    assert all(torch.equal(row, newline) for row in embeds[owners < 0])
    whole = (owners >= 0) & (mixed == mixed.round()) & (not model.family.pooled)
    assert torch.equal(owners[whole], mixed[whole].long())


def test_a_page_of_one_view_is_in_reading_order() -> None:
    model = tiny_model(aspect="pad")
    page = fake_request(model, [(16, 16)])
    assert page.tower is not None
    assert page.tower.owners.tolist() == list(range(len(page.visual_positions)))


def test_what_the_tower_attended_to() -> None:
    """Against attention written out over the last layer."""
    model = tiny_model()
    page = fake_request(model, [(40, 30)])
    tower, vision = page.tower, model.network.model.vision_tower
    assert tower is not None
    with torch.inference_mode():
        hidden = vision.vision_tower.embeddings(tower._pixels())
        for layer in vision.layers[:-1]:
            hidden = layer(hidden)
        last = vision.layers[-1]
        x = last.layer_norm1(hidden)
        q, k = last.self_attn.q_proj(x), last.self_attn.k_proj(x)
        width = q.shape[2]
        split = [t.unflatten(2, (TOWER.n_heads, -1)).transpose(1, 2) for t in (q, k)]
        heads = (split[0] @ split[1].mT * (width // TOWER.n_heads) ** -0.5).softmax(-1)
        full = (q @ k.mT * width**-0.5).softmax(-1)
    owners = tower.owners
    some = owners >= 0
    for name, wanted in (
        ("tower:attention", heads.mean(dim=(1, 2))),
        ("tower:attention:full", full.mean(dim=1)),
    ):
        given = tower.seen(name)
        assert bool((given[~some] == 0).all())
        plain = owners < tower.n_patches  # the base view is packed as it is
        torch.testing.assert_close(given[some & plain], wanted.flatten()[owners[some & plain]])
    keys = tower.seen("tower:keys")[some & (owners < tower.n_patches)]
    torch.testing.assert_close(keys, split[1][0].mean(dim=0)[: len(keys)])
    assert tower.seen("tower:features").shape == (len(owners), TOWER.hidden_size)


@pytest.mark.parametrize("keep", [0.1, 0.3, 0.7, 0.95])
@pytest.mark.parametrize("sizes", SIZES)
def test_tome_gives_exact_counts_and_means_of_its_groups(
    model: Model, sizes: Any, keep: float
) -> None:
    page = fake_request(model, sizes)
    spy = Spy(ToMe())
    spy.merges = True  # type: ignore[attr-defined]
    total = len(page.visual_positions)
    shape: dict[str, Any] = {"gen_length": 4, "steps": 2}
    shape |= {} if model.family is LAVIDA else {"block_length": 4}
    controller = Controller(Planned([plan_of(), plan_of((0, keep))]), spy)
    out = model.generate(inputs=page, controller=controller, **shape)
    n = round_keep(keep, total)
    if n in (0, total):
        assert not spy.views
        return
    assert out.trace.steps[-1].visual_per_layer == (n,) * 4
    selection = ToMe().select(spy.views[0], n)
    assert selection.features is not None and selection.features.shape == (n, 32)
    assert bool(selection.features.isfinite().all())


def test_tome_folds_what_is_alike() -> None:
    """In a page of two colours, what is left of each keeps its features; and nothing is mixed."""
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])[[0, 0, 1, 1, 0, 1, 0, 0]]
    keep, means = exactly(features, torch.arange(8), 2)
    assert keep.tolist() == [0, 2] and torch.equal(means, torch.eye(2))
    keep, means = exactly(features, torch.tensor([0, 0, 1, 1, 0, 1, 0, 0]), 3)
    assert keep.tolist() == [0, 1, 2] and torch.equal(means, features[[0, 1, 2]])


def test_tome_averages_every_patch_once() -> None:
    """With equal keys in all layers, the mean of what is left, by size, is the mean of all."""
    model = tiny_model(aspect="pad")
    page = fake_request(model, [(16, 16)])
    assert page.tower is not None
    folding = Folding(page.tower, 5)
    hidden = torch.randn(1, page.tower.n_patches, 6, generator=torch.Generator().manual_seed(0))
    before = hidden.mean(dim=1)
    for layer in range(page.tower.n_layers):
        keys = hidden[:, None]
        hidden = folding(layer, hidden, keys)
    assert folding.size is not None and hidden.shape[1] == 5
    assert float(folding.size.sum()) == page.tower.n_patches
    torch.testing.assert_close((hidden * folding.size).sum(1) / folding.size.sum(), before)
    counts = torch.bincount(folding.groups[0], minlength=5)
    assert counts.tolist() == folding.size[0, :, 0].tolist()


def test_inputs_for_tome_are_encoded_once_and_reduced() -> None:
    model = tiny_model(tokenizer=True)
    controller = Controller(AfterShare(0, 0.4), ToMe())
    question, page = "What is it?", fake_page()
    shape = {"gen_length": 4, "block_length": 4, "steps": 2}
    ahead = model.prepare(question, [page], controller=controller)
    plain = model.prepare(question, [page])
    assert ahead.pending and not plain.pending
    full = plain.views * tower_macs(TOWER, model.network.language)
    once, twice = (
        model.generate(inputs=inputs, controller=controller, **shape) for inputs in (ahead, plain)
    )
    direct = model.generate(question, [page], controller=controller, **shape)
    assert once.tokens == twice.tokens == direct.tokens
    assert once.trace.prepare_macs < full < twice.trace.prepare_macs
    assert once.trace.prepare_macs == direct.trace.prepare_macs
    assert twice.trace.prepare_macs == full + once.trace.prepare_macs
    bare = model.generate(inputs=ahead, **shape)  # they serve others too, who pay for the pictures
    assert bare.tokens == model.generate(inputs=plain, **shape).tokens
    assert bare.trace.prepare_macs == full


@pytest.mark.parametrize("name", ["trim", "visionzip", "prumerge", "vispruner"])
def test_what_is_read_of_the_tower_comes_with_the_pictures(name: str) -> None:
    model = tiny_model(tokenizer=True)
    controller = Controller(AfterShare(0, 0.4), pruners.make(name))
    shape = {"gen_length": 4, "block_length": 4, "steps": 2}
    ahead = model.prepare("What?", [fake_page()], controller=controller)
    plain = model.prepare("What?", [fake_page()])
    assert not ahead.pending and torch.equal(ahead.embeds, plain.embeds)
    once = model.generate(inputs=ahead, controller=controller, **shape)
    twice = model.generate(inputs=plain, controller=controller, **shape)
    assert once.tokens == twice.tokens
    full = plain.views * tower_macs(TOWER, model.network.language)
    assert once.trace.prepare_macs == full and twice.trace.prepare_macs == 2 * full


def test_the_price_of_a_reduced_run_is_what_torch_counts() -> None:
    model = tiny_model(aspect="pad")
    page = fake_request(model, [(16, 16)])
    assert page.tower is not None
    before = page.tower.spent
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        page.tower.run(Folding(page.tower, 6, proportional=False))
    matching = sum(
        (t // 2 + t % 2) * (t // 2) * TOWER.hidden_size // TOWER.n_heads for t in (16, 11)
    )
    counted = counter.get_total_flops() // 2 - matching
    assert page.tower.spent - before == counted
