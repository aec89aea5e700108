"""The script for a GPU, on a CPU at small size: what it counts, compares, and refuses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from saccade.backbones.loading import empty_network
from saccade.controller.cost import forward_macs
from saccade.studies.timing import same_on_devices, shapes
from saccade.studies.timing.gpu_floor import cases_of, main, measure
from saccade.studies.timing.rates import Rates, measured_rates
from saccade.studies.timing.shapes import SHAPES, check_room, shaped_model, with_attention
from tests.tiny import tiny_model

CPU = torch.device("cpu")
SMALL = SHAPES["embedded"]
LAVIDA = replace(
    SHAPES["lavida-dream-7b"],
    geometry=replace(SHAPES["lavida-dream-7b"].geometry, n_layers=2, hidden=56, intermediate=40),
    side=4,
    prompt=6,
    gen_length=8,
    steps=8,
)
LAVIDA = replace(LAVIDA, geometry=replace(LAVIDA.geometry, vocab=90))


def test_the_script_writes_what_it_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "floor.json"
    words = ["--shape", "embedded", "--device", "cpu", "--attention", "sdpa", "eager"]
    words += ["--repeats", "1", "--model", "embedded/llada-v", "--json", str(file)]
    assert main(words) == 0
    result = json.loads(file.read_text("utf-8"))
    rows = {(row["case"], row["attention"]): row for row in result["rows"]}
    assert len(rows) == 10 and result["left_out"] == {}
    said = capsys.readouterr().out
    assert said.startswith("bare, sdpa: 1.00x as fast as bare, ")
    assert "embedded/llada-v: 0 of " in said
    (same,) = result["same_answers"]
    assert same["answers"] == 8 and same["tokens"] > 0 and same["different_tokens"] == 0
    setup = result["setup"]
    assert setup["visual_tokens"] == 144 and setup["dtype"] == "float32"
    assert setup["attention"][1] == "eager (cpu)"
    for row in rows.values():
        assert row["steps"] == 8
        assert row["speedup"] == pytest.approx(
            rows["bare", "sdpa"]["seconds"][0] / row["seconds"][0]
        )
        assert row["seconds_of_a_step"] == pytest.approx(row["seconds"][0] / 8)
        assert row["share_of_floor"] == pytest.approx(
            row["floor_of_a_step"] / row["seconds_of_a_step"]
        )
        least = max(
            row["macs"] / 8 / setup["rates"]["macs"],
            setup["bytes_of_a_step"] / setup["rates"]["bandwidth"],
        )
        assert row["floor_of_a_step"] >= least * (1 - 1e-9)


def test_the_work_is_that_of_the_cases() -> None:
    result = measure(SMALL, CPU, torch.float32, ["sdpa", "eager"], repeats=1)
    macs = {(row["case"], row["attention"]): row["macs"] for row in result["rows"]}
    geometry, visual, others = SMALL.geometry, 144, 24 + 16
    full = forward_macs(geometry, [visual + others] * 6, head_rows=16)
    cut = forward_macs(geometry, [36 + others] * 6, head_rows=16)
    skipped = forward_macs(geometry, [visual + others] * 3 + [others] * 3, head_rows=16)
    for kernel in ("sdpa", "eager"):
        assert macs["bare", kernel] == macs["commits", kernel] == 8 * full
        assert macs["keep 25 % after half", kernel] == 4 * full + 4 * cut
        assert macs["layer-skip", kernel] == 8 * skipped
        assert macs["prefix refresh", kernel] < 8 * full


def test_a_cached_prompt_is_refreshed() -> None:
    result = measure(LAVIDA, CPU, torch.float32, ["sdpa"], repeats=2)
    macs = {row["case"]: row["macs"] for row in result["rows"]}
    assert macs["prefix refresh"] > macs["bare"] > macs["layer-skip"]
    assert all(row["speedup_low"] is not None for row in result["rows"])


@pytest.mark.parametrize(("name", "billions"), [("llada-v-8b", 8.0), ("lavida-dream-7b", 7.6)])
def test_published_sizes(name: str, billions: float) -> None:
    shape = SHAPES[name]
    network = empty_network(shape.language, shapes._tower(shape))
    n = sum(p.numel() for p in network.parameters())
    assert n / 1e9 == pytest.approx(billions, rel=0.01)
    assert {case.name for case in cases_of(shape)} == {
        *("bare", "prefix refresh", "keep 25 % after half", "layer-skip", "commits")
    }


def test_kernels_share_the_weights() -> None:
    model = shaped_model(SMALL, CPU, torch.bfloat16)
    other = with_attention(model, SMALL, "eager")
    pairs = zip(model.network.parameters(), other.network.parameters(), strict=True)
    assert all(a.data_ptr() == b.data_ptr() and a.dtype == torch.bfloat16 for a, b in pairs)
    assert other.network.language.attention == "eager"
    assert all(bool(p.isfinite().all()) for p in model.network.parameters())


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = empty_network(SMALL.language, shapes._tower(SMALL))
    need = 2 * sum(p.numel() for p in network.parameters())
    monkeypatch.setattr(shapes, "available", lambda device: need)
    check_room(SMALL, CPU, torch.bfloat16)
    monkeypatch.setattr(shapes, "available", lambda device: need - 1)
    with pytest.raises(ValueError, match=r"the weights take .* cpu has .* free; give a smaller"):
        check_room(SMALL, CPU, torch.bfloat16)


def test_the_floor() -> None:
    rates = Rates(macs=100.0, bandwidth=10.0)
    assert rates.floor(1000, 5) == 10.0, "arithmetic takes longest"
    assert rates.floor(100, 500) == 50.0, "reading does"
    found = measured_rates(CPU, torch.float32)
    assert 1e7 < found.macs < 1e15 and 1e7 < found.bandwidth < 1e14


def test_other_answers_are_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = iter([tiny_model(seed=0), tiny_model(seed=1), tiny_model(seed=0), tiny_model(seed=0)])
    monkeypatch.setattr(same_on_devices, "load", lambda *_: next(made))
    words = ["--shape", "embedded", "--device", "cpu", "--repeats", "1"]
    words += ["--model", "embedded/llada-v"]
    assert main(words) == 1
    assert ": 0 of" not in capsys.readouterr().out
    assert main(words) == 0


def test_models_without_a_tokenizer_are_compared(tmp_path: Path) -> None:
    """Their mask is that of the published vocabulary, which they do not have."""
    tiny_model().save_pretrained(tmp_path)
    told = same_on_devices.compared_devices(str(tmp_path), CPU, n=2)
    assert told["answers"] == 4 and told["tokens"] == 64 and told["different_tokens"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shape", "llada-v"], "shape='llada-v'; did you mean llada-v-8b?"),
        (["--dtype", "bf16"], "allowed: 'bfloat16', 'float16', 'float32'"),
        (["--device", "gpu"], "'gpu' is no device; give cpu, cuda or cuda:N"),
        (["--attention", "flash"], "attention='flash' runs on CUDA, not on cpu"),
        (["--attention", "sdp"], "did you mean sdpa?"),
        (["--repeats", "0"], "repeats=0; give a whole number from 1"),
        (["--model", "embedded/llada"], "did you mean embedded/llada-v?"),
        (["--json", "nowhere/at/all.json"], "give a file in a folder that is there"),
    ],
)
def test_wrong_input_is_told_at_once(
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def never(*_: Any) -> None:
        pytest.fail("it was measured")

    monkeypatch.setattr("saccade.studies.timing.gpu_floor.measure", never)
    before = ["--shape", "embedded", "--device", "cpu"]
    assert main([*before, *words]) == 2
    assert message in capsys.readouterr().err
