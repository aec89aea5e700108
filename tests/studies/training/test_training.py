"""Training: tokenizer, targets, losses, the shared prefix, and resuming."""

import warnings
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from saccade.backbones import embedded_models, load
from saccade.backbones.families import llada_v
from saccade.backbones.inputs.chat import SYSTEM
from saccade.backbones.network.token_states import TokenStates
from saccade.controller.errors import StudyError
from saccade.studies.tasks.documents import KINDS, make_sample
from saccade.studies.training import masked as masked_stage
from saccade.studies.training import stages
from saccade.studies.training.batch import make_batch
from saccade.studies.training.chat import Chat
from saccade.studies.training.config import Stage, TrainConfig
from saccade.studies.training.export import export
from saccade.studies.training.grounding import ELSEWHERE, guided_loss, page_places
from saccade.studies.training.objective import diffusion_loss, mask_rates, mask_response
from saccade.studies.training.pages import patch_labels
from saccade.studies.training.progress import read_checkpoint
from saccade.studies.training.shared_prefix import shared_prefix_hidden
from saccade.studies.training.stages import full_hidden
from saccade.studies.training.tokenizer import build_tokenizer
from saccade.studies.training.trainer import (
    Trainer,
    build_network,
    learning_rate,
    mean_figures,
)

SMALL = {"hidden_size": 32, "intermediate_size": 48, "n_layers": 2, "n_heads": 2}
TOWER = {"hidden_size": 24, "intermediate_size": 32, "n_layers": 1, "n_heads": 2}
ONE_EACH = dict.fromkeys(KINDS, 1)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return build_tokenizer()


@pytest.fixture(scope="module")
def chat(tokenizer: Tokenizer) -> Chat:
    return Chat(tokenizer, llada_v.FAMILY)


def small_config(n_layers: int = 2) -> TrainConfig:
    common = {"steps": 2, "pages": 2, "lr": 1e-3, "warmup": 1}
    return TrainConfig.model_validate(
        {
            "name": "small",
            "language": {**SMALL, "n_layers": n_layers},
            "tower": TOWER,
            "stages": [
                {"kind": "vision", **common},
                {
                    "kind": "model",
                    "per_page": ONE_EACH,
                    "shared_prefix": True,
                    "guide": 1.0,
                    "guide_steps": 2,
                    "guide_layer": n_layers - 1,
                    **common,
                },
                {"kind": "model", "per_page": {"digit": 1}, **common},
            ],
        }
    )


def test_tokenizer_is_lossless_and_words_are_tokens(tokenizer: Tokenizer, chat: Chat) -> None:
    for text in ("Row 1 at left reads 0997.", "naïve — ünïcode 12\n\n3", SYSTEM + " Hi"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert len(tokenizer.encode(SYSTEM).ids) == 1
    for kind in KINDS:
        sample = make_sample(kind, 0)
        assert chat.answer(kind, sample.answer)
    assert len(tokenizer.encode("Row 1 at left reads 0997.").ids) == 10


def test_answers_are_ended_and_filled(chat: Chat) -> None:
    ids = chat.answer("code", "The code in row 3 reads 0997.")
    eot = chat.token("<|eot_id|>")
    assert len(ids) == KINDS["code"].gen_length
    assert ids[11:] == [eot] * 5 and eot not in ids[:11]
    with pytest.raises(ValueError, match="does not fit"):
        chat.answer("digit", "12")


@pytest.mark.parametrize("name", embedded_models())
def test_training_prompt_is_the_prompt_of_generate(name: str) -> None:
    model = load(name, device="cpu")
    assert model.tokenizer is not None
    sample = make_sample("code", 0)
    before, after = Chat(model.tokenizer, model.family).prompt(sample.question)
    inputs = model.prepare(sample.question, [sample.page.image])
    embed = model.network.model.embed_tokens
    visual = inputs.visual_positions
    assert len(inputs) == len(before) + len(visual) + len(after)
    assert visual.tolist() == list(range(len(before), len(before) + 144))
    assert torch.equal(inputs.embeds[: len(before)], embed(torch.tensor(before)))
    assert torch.equal(inputs.embeds[visual[-1] + 1 :], embed(torch.tensor(after)))


def test_patches_are_labelled_by_what_covers_their_centre() -> None:
    page = make_sample("transcribe", 2).page
    digits, places = (values.reshape(12, 12) for values in patch_labels(page))
    for y in range(12):
        for x in range(12):
            row, cx = y // 2, x * 8 + 4 - page.lefts[y // 2]
            inside = 0 <= cx < 48 and 0 <= y * 8 + 4 - page.tops[row] < 14
            assert places[y, x] == (cx // 12 if inside else 4)
            assert digits[y, x] == (int(page.codes[row][cx // 12]) if inside else 10)


def test_answers_are_guided_to_the_digits_they_repeat(tokenizer: Tokenizer, chat: Chat) -> None:
    batch = make_batch(chat, 0, 3, dict.fromkeys(KINDS, 2), seed=0)
    seen = 0
    for group in batch.groups:
        for b, page in enumerate(batch.pages):
            ids, places = group.answers[b].flatten(), group.places[b].flatten()
            for token, place in zip(ids.tolist(), places.tolist(), strict=True):
                if place != ELSEWHERE:
                    row, digit = place // 4, page.codes[place // 4][place % 4]
                    said = tokenizer.decode([token]).strip()
                    about = {digit, ("No", "Yes")[int(digit) % 2]}
                    assert said in about | ({page.sides[row]} if place % 4 == 0 else set())
                    seen += 1
    assert seen == 3 * 2 * (1 + 1 + 4 + 24 + 30)


def test_guided_loss_rewards_looking_at_the_right_patches() -> None:
    places = page_places(make_sample("transcribe", 0).page)[None]
    targets = torch.tensor([[[5, ELSEWHERE]]])
    right = places[0, 5].float() / places[0, 5].sum()
    wrong = places[0, 9].float() / places[0, 9].sum()
    looks_right = guided_loss(torch.stack([right, wrong])[None, None], targets, places)
    looks_wrong = guided_loss(torch.stack([wrong, right])[None, None], targets, places)
    assert float(looks_right) == pytest.approx(0, abs=1e-4)
    assert float(looks_wrong) > 10


def test_masking_follows_its_rates() -> None:
    generator = torch.Generator().manual_seed(0)
    rates = mask_rates(1000, generator, 0.02)
    assert 0.02 <= float(rates.min()) and float(rates.max()) < 1
    assert float(rates.mean()) == pytest.approx(0.51, abs=0.01)
    answers = torch.randint(0, 9, (500, 64))
    noisy, masked, rates = mask_response(answers, 99, generator)
    assert torch.equal(noisy == 99, masked)
    assert torch.equal(noisy[~masked], answers[~masked])
    assert float((masked.float().mean(1) - rates).abs().max()) < 0.3


def test_diffusion_loss_is_the_weighted_mean_over_answer_tokens() -> None:
    logits, answers = torch.randn(2, 3, 5), torch.randint(0, 5, (2, 3))
    masked = torch.tensor([[True, False, True], [False, True, False]])
    rates = torch.tensor([0.5, 0.25])
    wanted = 0.0
    for b in range(2):
        for i in range(3):
            if masked[b, i]:
                wanted -= float(logits[b, i].log_softmax(-1)[answers[b, i]]) / float(rates[b])
    assert float(diffusion_loss(logits, answers, masked, rates)) == pytest.approx(wanted / 6, 1e-5)


@torch.inference_mode()
def test_shared_prefix_equals_the_real_forward_where_the_page_cannot_see(
    tokenizer: Tokenizer,
) -> None:
    """With one layer the page's rows are read before they could have looked at the question."""
    network = build_network(small_config(n_layers=1), tokenizer.get_vocab_size())
    page, groups = torch.randn(2, 9, 32), [torch.randn(2, 3, 5, 32), torch.randn(2, 1, 8, 32)]
    shared, attention, _ = shared_prefix_hidden(network, page, groups, watched=0)
    for given, wanted in zip(shared, full_hidden(network, page, groups), strict=True):
        torch.testing.assert_close(given, wanted, atol=1e-5, rtol=1e-5)
    assert [a.shape for a in attention] == [(2, 3, 5, 9), (2, 1, 8, 9)]
    assert all(bool((a.sum(-1) < 1).all()) for a in attention)


@torch.inference_mode()
def test_rows_of_whole_sequences_keep_their_length(tokenizer: Tokenizer) -> None:
    network = build_network(small_config(), tokenizer.get_vocab_size())
    assert network.run(TokenStates.of(torch.randn(2, 7, 32))).hidden.shape == (2, 7, 32)


def test_learning_rate_warms_up_and_decays() -> None:
    stage = Stage(kind="vision", steps=100, pages=1, lr=1.0, warmup=10, final_lr=0.1)
    rates = [learning_rate(stage, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.1)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:], strict=False))


def run_training(folder: Path, chat: Chat, stop_after: int | None) -> Trainer:
    trainer = Trainer(small_config(), chat, folder, save_every=0.0)
    count = 0

    def report(stage: str, step: int, steps: int, figures: dict[str, float]) -> None:
        nonlocal count
        count += 1
        if count == stop_after:
            raise KeyboardInterrupt

    trainer.run(report)
    return trainer


@pytest.mark.parametrize("stop_after", [2, 3, 4, 6])
def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, chat: Chat, stop_after: int
) -> None:
    whole = run_training(tmp_path / "whole", chat, None)
    with pytest.raises(KeyboardInterrupt):
        run_training(tmp_path / "cut", chat, stop_after)
    resumed = run_training(tmp_path / "cut", chat, None)
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, atol=1e-6, rtol=1e-5)


def test_a_stopped_training_has_saved_its_last_step(tmp_path: Path, chat: Chat) -> None:
    trainer = Trainer(small_config(), chat, tmp_path, save_every=3600)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(lambda stage, step, steps, figures: trainer.stop())
    state = read_checkpoint(trainer.state_path)
    assert state is not None and (state["stage"], state["step"]) == (0, 1)


def test_a_resumed_training_has_its_averages_on_its_device(
    tmp_path: Path, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_training(tmp_path, chat, None)
    monkeypatch.setattr(Trainer, "_run_stage", lambda *rest: None)
    elsewhere = Trainer(small_config(), chat, tmp_path, device="meta")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch: weights copied to "meta" are lost
        network = elsewhere.run()
        elsewhere.averages.update(network, step=0, decay=0.5)
    assert {value.device.type for value in elsewhere.averages.values.values()} == {"meta"}


@pytest.mark.parametrize("size", [0, 100, -100])
def test_a_damaged_state_is_named_with_advice(tmp_path: Path, chat: Chat, size: int) -> None:
    trainer = Trainer(small_config(), chat, tmp_path)
    trainer._save(0, 1, None)
    content = trainer.state_path.read_bytes()
    trainer.state_path.write_bytes(content[:size])
    with pytest.raises(StudyError, match=r"state\.pt cannot be read .*; delete it to train from"):
        trainer.run()


def test_nothing_masked_gives_no_share_of_right_tokens(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        stages,
        "mask_response",
        lambda answers, *_: (answers, torch.zeros_like(answers).bool(), torch.ones(len(answers))),
    )
    network = build_network(small_config(), chat.tokenizer.get_vocab_size())
    stage = small_config().stages[2]
    batch = make_batch(chat, 0, 1, stage.per_page, seed=0)
    loss, figures = masked_stage.masked_loss(network, chat, stage, batch, torch.Generator())
    assert float(loss.detach()) == 0 and float(figures["loss/digit"]) == 0
    assert bool(figures["right/digit"].isnan())


def test_figures_are_averaged_over_the_workers_that_have_them() -> None:
    one, two, half, none = (torch.tensor(x) for x in (1.0, 2.0, 0.5, torch.nan))
    shares = [{"loss": one, "right": none}, {"loss": two, "right": half}, {"loss": one}]
    mean = {name: round(float(value), 4) for name, value in mean_figures(shares).items()}
    assert mean == {"loss": 1.3333, "right": 0.5}


def test_workers_share_a_step(tmp_path: Path, chat: Chat) -> None:
    trainer = Trainer(small_config(), chat, tmp_path, workers=2)
    parameters = list(trainer.network.parameters())
    drawn = trainer._draws(1, 0)
    batches = [next(drawn), next(drawn)]
    trainer._gradients(1, 0, batches, parameters)
    shared = [p.grad for p in parameters if p.grad is not None]
    parts = [
        torch.autograd.grad(trainer._loss(1, 0, w, batches[w])[0], parameters, allow_unused=True)
        for w in (0, 1)
    ]
    wanted = [(a + b) / 2 for a, b in zip(*parts, strict=True) if a is not None and b is not None]
    assert len(shared) == len(wanted)
    for given, value in zip(shared, wanted, strict=True):
        torch.testing.assert_close(given, value, atol=1e-5, rtol=1e-4)


def test_an_exported_checkpoint_loads_and_answers(tmp_path: Path, tokenizer: Tokenizer) -> None:
    network = build_network(small_config(), tokenizer.get_vocab_size())
    export(network, tokenizer, tmp_path / "checkpoint")
    model = load(tmp_path / "checkpoint", device="cpu")
    sample = make_sample("digit", 0)
    out = model.generate(
        sample.question, [sample.page.image], gen_length=2, block_length=2, steps=2
    )
    assert out.trace.n_visual == 144 and out.text is not None
