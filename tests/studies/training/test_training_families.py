"""Training of the autoregressive model and of the one adapted from it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from saccade.backbones import load
from saccade.backbones.network.token_states import TokenStates
from saccade.controller.errors import StudyError
from saccade.studies.tasks.documents import KINDS, make_sample
from saccade.studies.training.batch import Batch, make_batch
from saccade.studies.training.causal import until_end
from saccade.studies.training.chat import Chat
from saccade.studies.training.config import TrainConfig
from saccade.studies.training.draws import Draws
from saccade.studies.training.export import export
from saccade.studies.training.shared_prefix import shared_prefix_hidden
from saccade.studies.training.stages import answer_rows, full_hidden
from saccade.studies.training.start import start_of
from saccade.studies.training.tokenizer import build_tokenizer
from saccade.studies.training.trainer import FAMILY_OF, Trainer, build_network

ONE_EACH = dict.fromkeys(KINDS, 1)
SMALL = {"hidden_size": 32, "intermediate_size": 48, "n_layers": 2, "n_heads": 2}
TOWER = {"hidden_size": 24, "intermediate_size": 32, "n_layers": 1, "n_heads": 2}


def config(family: str, **changes: Any) -> TrainConfig:
    common: dict[str, Any] = {"kind": "model", "steps": 2, "pages": 2, "lr": 1e-3, "warmup": 1}
    stage = {**common, "per_page": ONE_EACH, "shared_prefix": family == "llava-ar"}
    content = {"name": "small", "family": family, "language": SMALL, "tower": TOWER}
    return TrainConfig.model_validate({**content, "stages": [stage], **changes})


@pytest.fixture(scope="module")
def chats() -> dict[str, Chat]:
    words = build_tokenizer(FAMILY_OF["llava-ar"])
    return {name: Chat(words, FAMILY_OF[name]) for name in ("llava-ar", "lavida-dream")}


def batch_of(chat: Chat) -> Batch:
    return make_batch(chat, 0, 2, ONE_EACH, seed=0)


def test_prompts_are_short_and_answers_have_room_for_their_end(chats: dict[str, Chat]) -> None:
    openings = [chat.prompt("Transcribe the page.")[0] for chat in chats.values()]
    assert all(len(opening) < 10 for opening in openings) and openings[0] != openings[1]
    for chat in chats.values():
        assert [chat.length(kind) for kind in KINDS] == [4, 4, 16, 32, 64]
        ids = chat.answer("yesno", "Yes")
        assert ids[1:] == [chat.end_id] * 3 and ids[0] != chat.end_id


def test_an_answer_counts_up_to_its_first_end() -> None:
    answers = torch.tensor([[5, 6, 9, 9], [9, 9, 9, 9], [5, 6, 7, 8]])
    assert until_end(answers, 9).tolist() == [
        [True, True, True, False],
        [True, False, False, False],
        [True, True, True, True],
    ]


@torch.inference_mode()
def test_a_shared_page_is_the_real_forward_of_a_causal_model(chats: dict[str, Chat]) -> None:
    network = build_network(config("llava-ar"), chats["llava-ar"].tokenizer.get_vocab_size())
    page, groups = torch.randn(2, 9, 32), [torch.randn(2, 3, 5, 32), torch.randn(2, 1, 8, 32)]
    shared, attention, own = shared_prefix_hidden(network, page, groups, watched=1)
    for given, wanted in zip(shared, full_hidden(network, page, groups), strict=True):
        torch.testing.assert_close(given, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own, network.run(TokenStates.of(page)).hidden, atol=1e-5, rtol=1e-5)
    assert [a.shape for a in attention] == [(2, 3, 5, 9), (2, 1, 8, 9)]


@torch.inference_mode()
def test_prefix_mode_is_trained_as_it_decodes(chats: dict[str, Chat], tmp_path: Path) -> None:
    """The rows that `prefix_part` scores give the logits of the first step of generate."""
    chat = chats["lavida-dream"]
    network = build_network(config("lavida-dream"), chat.tokenizer.get_vocab_size()).eval()
    export(network, chat.tokenizer, tmp_path / "checkpoint", chat.family, torch.float32)
    model, sample = load(tmp_path / "checkpoint", device="cpu"), make_sample("code", 0)
    inputs = model.prepare(sample.question, [sample.page.image])
    seen: list[torch.Tensor] = []
    model.generate(
        inputs=inputs, gen_length=4, steps=1, callback=lambda view: seen.append(view.logits)
    )
    prompt = inputs.embeds[None]
    first = network.logits(network.run(TokenStates.of(prompt)).hidden[:, -1]).argmax(-1)
    ids = torch.tensor([[int(first), *[chat.mask_id] * 3]])
    ran = shared_prefix_hidden(network, prompt, [network.model.embed_tokens(ids)[:, None]])
    wanted = network.logits(ran.hidden[0][0, 0, :-1])
    torch.testing.assert_close(seen[0][1:], wanted, atol=1e-4, rtol=1e-4)


def test_answer_rows_and_those_before_them(chats: dict[str, Chat]) -> None:
    group = batch_of(chats["llava-ar"]).groups[0]
    rows = group.prompts.shape[2] + group.answers.shape[2]
    values = torch.arange(rows)[None, None, :, None]
    n = group.answers.shape[2]
    assert answer_rows(values, group, 0).flatten().tolist() == list(range(rows - n, rows))
    assert answer_rows(values, group, 1).flatten().tolist() == list(range(rows - n - 1, rows - 1))


@pytest.mark.parametrize("family", ["llava-ar", "lavida-dream"])
def test_trainings_run_and_lower_the_loss(
    family: str, chats: dict[str, Chat], tmp_path: Path
) -> None:
    trained = config(family).model_copy(
        update={"stages": (config(family).stages[0].model_copy(update={"steps": 12}),)}
    )
    losses: list[float] = []
    trainer = Trainer(trained, chats[family], tmp_path)
    monitor = Trainer._loss

    def watched(self: Trainer, *arguments: Any) -> Any:
        loss, figures = monitor(self, *arguments)
        losses.append(float(loss.detach()))
        return loss, figures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_loss", watched)
        trainer.run()
    assert len(losses) == 12 and min(losses[-3:]) < losses[0]


@pytest.mark.slow
def test_draws_ahead_are_the_draws(chats: dict[str, Chat]) -> None:
    draws = Draws(chats["llava-ar"], config("llava-ar").stages[0], 2, seed=3)
    for now, ahead in zip(draws.between(1, 4, 0), draws.between(1, 4, 1), strict=True):
        assert isinstance(now, Batch) and isinstance(ahead, Batch)
        assert torch.equal(now.pixels, ahead.pixels)
        for one, other in zip(now.groups, ahead.groups, strict=True):
            assert torch.equal(one.prompts, other.prompts)
            assert torch.equal(one.answers, other.answers)


@pytest.fixture(scope="module")
def begun(chats: dict[str, Chat], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ar") / "checkpoint"
    chat = chats["llava-ar"]
    network = build_network(config("llava-ar"), chat.tokenizer.get_vocab_size())
    export(network, chat.tokenizer, folder, chat.family, torch.float32)
    return folder


def test_an_adaptation_begins_from_the_weights(begun: Path, tmp_path: Path) -> None:
    start = start_of(config("lavida-dream", init=str(begun)))
    chat = Chat(start.tokenizer, FAMILY_OF["lavida-dream"])
    trainer = Trainer(config("lavida-dream"), chat, tmp_path, begin=start.network)
    wanted = load(begun, torch.float32, "cpu").network.state_dict()
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, wanted[name])
    assert "model.safetensors" in start.hashes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"language": {**SMALL, "hidden_size": 64}},
            r"configured sizes make it .*; give the sizes",
        ),
        ({"init": "embedded/llada-v"}, r"the tokenizer has no <\|im_end\|>, which lavida-dream"),
    ],
)
def test_a_start_that_does_not_fit_is_named(
    changes: dict[str, Any], message: str, begun: Path
) -> None:
    with pytest.raises(StudyError, match=message):
        start_of(config("lavida-dream", **{"init": str(begun), **changes}))


@pytest.mark.parametrize(
    ("family", "stage", "message"),
    [
        ("llava-ar", {"shared_prefix": False}, "a causal model learns with shared_prefix"),
        (
            "lavida-dream",
            {"shared_prefix": True, "guide": 1.0, "guide_steps": 1},
            "learns without guide",
        ),
    ],
)
def test_stages_that_do_not_suit_a_family_are_refused(
    family: str, stage: dict[str, Any], message: str
) -> None:
    common = {"kind": "model", "steps": 1, "pages": 1, "lr": 1e-3, "per_page": ONE_EACH}
    with pytest.raises(ValueError, match=message):
        config(family, stages=[{**common, **stage}])
