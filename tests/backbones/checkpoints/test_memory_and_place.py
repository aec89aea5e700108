"""What loading takes, where it goes, in which dtype, and what is said of it."""

import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from saccade.backbones import Model, load
from saccade.backbones.checkpoints import memory, weights
from saccade.backbones.checkpoints.memory import available, gigabytes
from saccade.backbones.checkpoints.placing import place
from saccade.controller import CheckpointError
from tests.backbones.checkpoints.checkpoints import SINGLE, assert_same, edit_weights
from tests.tiny import tiny_model

CPU = torch.device("cpu")


def have(n: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine have so much free memory."""
    monkeypatch.setattr(memory, "_free_here", lambda: n)
    monkeypatch.setattr(memory, "_free_in_group", lambda: None)


def size(model: Model) -> int:
    return sum(value.numel() * value.element_size() for value in model.network.parameters())


def test_too_little_memory_is_said_before_anything_is_read(
    folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = size(model)
    have(need - 1, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(weights, "_raw", lambda *_: pytest.fail("a tensor was read"))
        message = (
            rf"takes {gigabytes(need)} as float32 and cpu has .* free: give dtype='bfloat16', "
            "another device, or check_memory=False"
        )
        with pytest.raises(CheckpointError, match=message):
            load(folder, device="cpu")
    assert_same(load(folder, device="cpu", check_memory=False), model)
    have(need, monkeypatch)
    assert_same(load(folder, device="cpu"), model)
    have(None, monkeypatch)
    assert_same(load(folder, device="cpu"), model)


def test_another_dtype_takes_a_buffer(
    folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = max(v.numel() * v.element_size() for v in model.network.parameters())
    have(size(model) // 2 + largest - 1, monkeypatch)
    with pytest.raises(CheckpointError, match="as bfloat16 and cpu has .* free: give another dev"):
        load(folder, "bfloat16", "cpu")
    have(size(model) // 2 + largest, monkeypatch)
    assert load(folder, "bfloat16", "cpu").network.lm_head.weight.dtype == torch.bfloat16


def test_the_log_says_what_it_takes(
    folder: Path, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "saccade.backbones.loading"):
        load(folder, device="cpu")
    (line,) = [record.message for record in caplog.records]
    assert f": {gigabytes(size(model))} as float32 on cpu, of " in line and line.endswith(" free")


def test_a_container_may_have_less_than_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    alone = available(CPU)
    assert alone is not None and alone > 10**6
    for name, text in (
        ("memory.max", "1000000\n"),
        ("memory.current", "700000\n"),
        ("memory.stat", "anon 500000\ninactive_file 200000\n"),
    ):
        (tmp_path / name).write_text(text)
    assert available(CPU) == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert abs((available(CPU) or 0) - alone) < 2 * 10**9


def test_memory_is_told_without_psutil(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_PROC", tmp_path / "meminfo")
    assert available(CPU) is None
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:    1234 kB\n")
    assert available(CPU) == 1234 * 1024


def test_progress_counts_every_byte_that_is_stored(sharded: Path, model: Model) -> None:
    seen: list[tuple[int, int]] = []
    load(sharded, device="cpu", progress=lambda done, total: seen.append((done, total)))
    assert len(seen) == len(model.network.state_dict()) == len(set(seen))
    assert seen == sorted(seen) and seen[-1] == (size(model), size(model))


def test_every_tensor_goes_to_its_device_on_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is moved before the next is read: never are there two copies of a whole model."""
    order: list[str] = []
    raw, check = weights._raw, weights._not_finite

    def read(shard: Any, tensor: Any, shape: Any) -> torch.Tensor:
        order.append(f"read {tensor.name}")
        return raw(shard, tensor, shape)

    def looked(name: str, value: torch.Tensor, dtype: torch.dtype) -> list[str]:
        order.append(f"look {name}")
        return check(name, value, dtype)

    monkeypatch.setattr(weights, "_raw", read)
    monkeypatch.setattr(weights, "_not_finite", looked)
    load(folder, device="cpu")
    assert [line[5:] for line in order[::2]] == [line[5:] for line in order[1::2]]
    assert {line[:4] for line in order[::2]} == {"read"}


@pytest.mark.parametrize("far", [torch.float32, torch.float16], ids=str)
def test_of_several_stored_dtypes_the_language_models_counts(
    far: torch.dtype, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = tiny_model()
    own.network.to(torch.bfloat16)
    own.save_pretrained(tmp_path)

    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in tensors:
            if "vision_tower" in name or "layernorm" in name:
                tensors[name] = tensors[name].to(far)

    edit_weights(tmp_path / SINGLE, change)
    with caplog.at_level(logging.INFO, "saccade.backbones.loading"):
        loaded = load(tmp_path, device="cpu")
    assert_same(loaded, own)
    names = ", ".join(sorted(("bfloat16", str(far).removeprefix("torch."))))
    assert f"stored in {names}; " in caplog.text and "as bfloat16 on cpu" in caplog.text


def test_eight_bits_are_loaded_as_bfloat16(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny_model().save_pretrained(tmp_path)

    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in tensors:
            tensors[name] = tensors[name].to(torch.float8_e4m3fn)

    edit_weights(tmp_path / SINGLE, change)
    with caplog.at_level(logging.INFO, "saccade.backbones.loading"):
        loaded = load(tmp_path, device="cpu")
    assert loaded.network.lm_head.weight.dtype == torch.bfloat16
    assert "float8_e4m3fn is not computed with" in caplog.text


@pytest.mark.parametrize(
    "given",
    ["auto", "cpu", CPU, {"": "cpu"}, {"model": "cpu", "lm_head": torch.device("cpu")}],
    ids=str,
)
def test_a_map_to_one_device_is_that_device(given: Any, folder: Path, model: Model) -> None:
    assert_same(load(folder, device_map=given), model)
    assert load(folder, device_map=given).device == CPU


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device_map": {"model": "cpu", "lm_head": "meta"}}, "spreads the model over cpu, meta;"),
        ({"device_map": {"model": 0, "lm_head": 1}}, "spreads the model over cuda:0, cuda:1;"),
        ({"device_map": {}}, "spreads the model over no device"),
        ({"device_map": {"model": "disk"}}, "device_map: 'disk' is no device; give cpu, cuda or"),
        ({"device_map": "balanced"}, "device_map: 'balanced' is no device; .*, or 'auto'"),
        ({"device": "gpu"}, "device: 'gpu' is no device"),
        ({"device": "cuda:99"}, "no device 'cuda:99' here; there is cpu"),
        ({"device_map": {"": "cuda:99"}}, "no device 'cuda:99' here; there is cpu"),
        ({"device": True}, "device: True is no device"),
        ({"device": "cpu", "device_map": "auto"}, "give one of them"),
    ],
)
def test_other_places_are_refused(options: dict[str, Any], message: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=message):
        load(folder, **options)


def test_of_several_gpus_the_one_with_most_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {0: 5, 1: 9, 2: 9}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda where: (free[_number(where)], 10))
    assert place(device_map="auto") == torch.device("cuda:1") and place() == torch.device("cuda")
    assert available(torch.device("cuda:0")) == 5
    assert place(0) == place("cuda:0") == place(device_map={"": 0})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert place(device_map="auto") == torch.device("cuda")


def _number(where: int | torch.device) -> int:
    return where if isinstance(where, int) else where.index
