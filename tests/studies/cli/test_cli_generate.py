"""``saccade generate``: answers and their cost, and every wrong input."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.backbones import loading
from saccade.backbones.inputs.reading import read_noted
from saccade.studies.cli.answer import BARS, WIDTH, bars, runs
from tests.studies.cli.generating import SAMPLE, SHORT, answer, invoke

HALF = ("-p", "after_share(0.5, keep=0.25)")


def test_the_answer_comes_first_then_its_cost(page: Path) -> None:
    words = (page, SAMPLE.question, "--gen-length", "16", *HALF)
    plain, content = invoke(*words), answer(*words)
    assert plain.stdout.startswith(content["text"] + "\n╭")
    assert f"{content['macs']:,}" in plain.stdout
    assert runs(content["visual_tokens_per_step"]) in plain.stdout
    for word in ("time", "forwards", "attention to the picture", "after_share", "divprune"):
        assert word in plain.stdout


def test_json_tells_what_was_achieved(page: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    words = (page, SAMPLE.question, "--gen-length", 16, "--seed", 3, *HALF, "--trace", trace)
    content = answer(*words)
    steps = [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
    kept = content["visual_tokens_per_step"]
    assert kept == [len(step["kept"]) for step in steps]
    assert kept == [144] * min(4, len(steps)) + [36] * max(0, len(steps) - 4)
    assert content["forwards"] == len(steps) == len(content["attention_to_picture_per_step"])
    assert content["macs"] == sum(step["macs"] for step in steps)
    assert content["settings"] | {"gen_length": 16, "seed": 3} == content["settings"]
    assert content["pruner"] == "divprune()"
    assert content["seconds"] > 0 and content["load_seconds"] > 0


def test_it_is_the_answer_of_the_library(page: Path) -> None:
    model = loading.load("embedded/llada-v", device="cpu")
    picture = SAMPLE.page.image
    expected = model.generate(SAMPLE.question, [picture], gen_length=8, block_length=4, steps=4)
    words = ("--gen-length", 8, "--block-length", 4, "--steps", 4, "--device", "cpu")
    content = answer(page, SAMPLE.question, *words)
    assert content["tokens"] == list(expected.tokens)
    assert content["text"] == expected.text


def test_attention_by_another_kernel(page: Path) -> None:
    words = (page, SAMPLE.question, "--gen-length", 8, "--device", "cpu", *HALF)
    assert answer(*words, "--attention", "eager")["text"] == answer(*words)["text"]
    for given, message in (
        ("egaer", "attention='egaer'; did you mean eager? allowed: 'sdpa', 'flash', 'eager'"),
        ("flash", "attention='flash' runs on CUDA, not on cpu; give attention='sdpa' there"),
    ):
        refused = invoke(*words, "--attention", given)
        assert refused.exit_code == 2 and refused.stderr.strip().endswith(f"error: {message}")


def test_defaults_are_64_64_32_and_follow_the_length(page: Path) -> None:
    names = ("gen_length", "block_length", "steps")
    cases: list[tuple[tuple[object, ...], list[int]]] = [
        ((), [64, 64, 32]),
        (("--gen-length", 8), [8, 8, 4]),
        (("--gen-length", 12, "--block-length", 4), [12, 4, 6]),
        (("--gen-length", 3, "--block-length", 1), [3, 1, 3]),
    ]
    for words, expected in cases:
        settings = answer(page, SAMPLE.question, *words)["settings"]
        assert [settings[name] for name in names] == expected


def test_several_pictures(page: Path) -> None:
    assert answer(page, "What?", *SHORT)["visual_tokens"] == 144
    assert answer(page, "What?", *SHORT, "--image", page, "--image", page)["visual_tokens"] == 432


def test_attention_is_not_measured_if_not_wanted(page: Path) -> None:
    assert answer(page, "What?", *SHORT, "--no-probe")["attention_to_picture_per_step"] is None
    assert "attention" not in invoke(page, "What?", *SHORT, "--no-probe").stdout


def test_a_stop_ends_the_answer(page: Path) -> None:
    words = (page, SAMPLE.question, "--gen-length", "16")
    tokenizer = loading.load("embedded/llada-v", device="cpu").tokenizer
    tokens = answer(*words)["tokens"]
    assert tokenizer is not None and tokens
    first = tokenizer.decode(tokens[:1])
    assert answer(*words, "--stop", first, "--stop", "unlikely")["tokens"] == []
    assert "answer is empty" in invoke(*words, "--stop", first).stderr
    within = invoke(*words, "--stop", first[1:])
    assert within.stdout.startswith(first[0]) and "answer is empty" not in within.stderr


def test_a_policy_that_drops_gets_a_pruner_and_says_so(page: Path) -> None:
    assert "note: no --pruner given: divprune" in invoke(page, "What?", *SHORT, *HALF).stderr
    given = invoke(page, "What?", *SHORT, *HALF, "--pruner", "random(seed=1)")
    assert "divprune" not in given.stderr
    assert "random(seed=1)" in given.stdout


def test_a_pruner_that_is_never_asked_is_noted(page: Path) -> None:
    result = invoke(page, "What?", *SHORT, "-p", "keep", "--pruner", "random")
    assert result.exit_code == 0
    assert "never asked" in result.stderr


def test_none_is_no_policy_and_no_pruner(page: Path) -> None:
    content = answer(page, "What?", *SHORT, "-p", "None", "--pruner", "none")
    assert (content["policy"], content["pruner"]) == ("keep()", None)
    assert "Controller(policy, 'divprune')" in fails(2, page, "What?", *HALF, "--pruner", "none")


def fails(code: int, *words: object) -> str:
    """The one line on stderr of a call that must fail with a code and print nothing else."""
    result = invoke(*words)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    return lines[0]


def test_wrong_pictures(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, cut = tmp_path / "text.png", tmp_path / "cut.png"
    text.write_text("not a picture", encoding="utf-8")
    cut.write_bytes(page.read_bytes()[:2000])
    assert "no picture at" in fails(2, tmp_path / "none.png", "What?")
    assert "no picture at" in fails(2, page, "What?", "--image", tmp_path / "none.png")
    assert "is a folder; give a picture" in fails(2, tmp_path, "What?")
    assert "is not a picture" in fails(2, text, "What?")
    assert "cannot be read as a picture" in fails(2, cut, "What?")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "exceeds limit" in fails(2, page, "What?")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--gen-length", "10", "--block-length", "4"), "gen_length=10 is not divisible"),
        (("--gen-length", "8", "--block-length", "4", "--steps", "3"), "steps=3 is not divisible"),
        (("--remasking", "best"), "allowed: 'low_confidence', 'random'"),
        (("--think-mode", "hard"), "'think', 'no_think'"),
        (("--dtype", "int8"), "give float32, bfloat16 or float16"),
        (("--device", "abacus"), "no device 'abacus' here; there is cpu"),
        (("--device", "cuda:99"), "no device 'cuda:99' here; there is cpu"),
        (("-m", "embedded/none"), "known: embedded/"),
        (("-m", "/no/such/folder"), "no checkpoint folder at"),
        (("-p", "after_shar"), "did you mean after_share? known: abstain, after_share"),
        (
            ("-p", "after_share(shar=1, keep=1)"),
            "has no option 'shar'; did you mean share?",
        ),
        (("-p", "after_share(share=1)"), "needs keep: write after_share(keep=...)"),
        (("-p", "after_share(share='x', keep=1)"), "'after_share': share='x': give a number"),
        (("-p", "after_share(share=2, keep=1)"), "must lie in [0, 1]"),
        (("-p", "after_share(share=0, keep=1, layer=99)"), "has 6 layers"),
        (("-p", "keep(share=1)"), "it takes none"),
        (("--pruner", "divprun"), "did you mean divprune? known: dart, divprune"),
        (("--pruner", "random(seed='x')"), "seed='x': give a whole number"),
        (("--pruner", "random(seeds=1)"), "options: seed"),
        (("--pruner", ""), "does not describe a pruner"),
    ],
)
def test_wrong_options(page: Path, words: tuple[str, ...], message: str) -> None:
    assert message in fails(2, page, "What?", *words)


def test_a_picture_that_shows_nothing(tmp_path: Path) -> None:
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    assert "a picture of 1 x 1 pixels, too small" in fails(2, tmp_path / "dot.png", "What?", *SHORT)
    Image.new("L", (1, 90)).save(tmp_path / "line.png")
    assert answer(tmp_path / "line.png", "What?", *SHORT)["forwards"] >= 1


def test_wrong_questions(page: Path) -> None:
    assert "the question is empty" in fails(2, page, " \n")
    assert "placeholders" in fails(2, page, "<image>, <image> or <image>?")
    assert "2 image placeholders but 1 images" in fails(2, page, "<image> or <image>?", "-m", "x")


def test_a_damaged_checkpoint_is_a_failure(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(loading.EMBEDDED / "llada-v", folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    assert "is damaged or incomplete" in fails(1, page, "What?", "-m", folder)
    weights.unlink()
    assert "lacks model.safetensors" in fails(1, page, "What?", "-m", folder)


def test_a_trace_that_cannot_be_written(page: Path, tmp_path: Path) -> None:
    assert "no folder" in fails(2, page, "What?", "--trace", tmp_path / "none" / "t.jsonl")
    assert "is a folder" in fails(2, page, "What?", "--trace", tmp_path)
    if Path("/dev/full").exists():
        result = invoke(page, "What?", *SHORT, "--trace", "/dev/full")
        assert result.exit_code == 1
        assert "error: no space left on the device" in result.stderr


def test_equal_neighbours_are_counted() -> None:
    assert runs([144, 144, 36]) == "144 x 2, 36"
    assert runs([]) == ""


def test_bars_are_relative_and_bounded() -> None:
    assert bars([144.0, 72.0, 0.0], 144.0) == BARS[7] + BARS[4] + BARS[0]
    assert len(bars([1.0] * 1000, 1.0)) == WIDTH
    assert bars([0.0], 0.0) == BARS[0] and bars([], 1.0) == ""


def test_pictures_are_read_as_a_viewer_shows_them(page: Path, tmp_path: Path) -> None:
    plain = Image.open(page).convert("L")
    wide = tmp_path / "wide.png"
    Image.fromarray(np.asarray(plain).astype(np.uint16) * 257).save(wide)
    clear, ink = tmp_path / "clear.png", Image.new("RGBA", plain.size, (0, 0, 0, 0))
    ink.putalpha(plain.point([255 - value for value in range(256)]))
    ink.save(clear)
    turned, exif = tmp_path / "turned.png", Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    plain.rotate(90, expand=True).save(turned, exif=exif)
    for path, what in ((wide, "8 bits"), (clear, "on white"), (turned, "upright")):
        result = invoke(path, SAMPLE.question, *SHORT)
        assert result.exit_code == 0 and what in result.stderr
        picture, changes = read_noted(path)
        assert len(changes) == 1
        difference = np.asarray(picture.convert("L")).astype(int) - np.asarray(plain)
        assert abs(difference).max() <= 1
    assert read_noted(plain)[1] == []


AR = "embedded/llava-ar"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-m", AR, "--steps", "4"), "one token a step; give gen_length alone"),
        (("-m", AR, "--remasking", "random"), "unknown option remasking; known options: gen_len"),
        (("--set", "alg=entropy"), "unknown option alg; known options: gen_length, block_length"),
        (("--set", "alg"), "--set 'alg' is not OPTION=VALUE"),
        (("--set", "top_k=3", "--set", "top_k=4"), "--set gives top_k twice"),
        (("--positions", "close"), "positions='close'; allowed: 'original', 'compact'"),
    ],
)
def test_options_that_a_model_does_not_have(
    page: Path, words: tuple[str, ...], message: str
) -> None:
    result = invoke(page, "Transcribe the page.", *words)
    assert result.exit_code == 2 and message in result.stderr


def test_an_autoregressive_model_answers(page: Path) -> None:
    result = invoke(page, "Transcribe the page.", "-m", AR, "--gen-length", "32", "--json")
    content = json.loads(result.stdout)
    assert content["forwards"] == len(content["visual_tokens_per_step"]) <= 32
    assert content["settings"]["gen_length"] == 32 and "steps" not in content["settings"]


def test_a_trace_as_a_page(page: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.html"
    words = (page, SAMPLE.question, "--gen-length", 16, "-p", "auto(commit=None)", "--trace", trace)
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    assert "trace written" in result.stderr
    text = trace.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and '"received":[' in text
