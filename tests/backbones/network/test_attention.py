"""Attention by other kernels than SDPA: the same attention, and errors where they cannot run."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import saccade
from saccade.backbones import Model, load
from saccade.backbones.families import lavida_dream, llada_v, llava_ar
from saccade.backbones.families.family import Family
from saccade.backbones.network.attend import attend, check_attention
from saccade.backbones.network.flash import package_for
from saccade.backbones.network.network import Network
from saccade.backbones.published.wrapped import Wrapped
from saccade.controller import Controller
from saccade.controller.attention import row_normalizers
from saccade.studies.runs.attention_kernel import attention_kernel
from tests.backbones.network.flash_stand_in import Second, Third
from tests.backbones.published.held import MASK, dream, llada, page
from tests.tiny import mixed_requests, tiny_model

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
HEADS, WIDTH = 6, 8
MODULES = {"flash_attn": Second, "flash_attn_interface": Third}


@pytest.fixture(params=sorted(MODULES))
def installed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """One of the two releases, alone."""
    package_for.cache_clear()
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, None)
    made = MODULES[request.param]()
    monkeypatch.setitem(sys.modules, request.param, made)
    yield made
    package_for.cache_clear()


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither release, on a machine with a GPU of Hopper's kind."""
    package_for.cache_clear()
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    yield
    package_for.cache_clear()


def drawn(batch: int, heads: int, rows: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, heads, rows, WIDTH, generator=generator)


def mask_of(width: int, *lengths: int, left: bool = False) -> Tensor:
    """Padding (B, 1, 1, K) on the right, or, as of a cache, on the left."""
    mask = torch.arange(width)[None] < torch.tensor(lengths)[:, None]
    return (mask.flip(1) if left else mask)[:, None, None]


def compare(
    kernel: str, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool
) -> None:
    """One kernel and SDPA, with the log-sum-exps and without."""
    with torch.inference_mode():
        wanted, _ = attend(q, k, v, mask, causal)
        alone, nothing = attend(q, k, v, mask, causal, kernel=kernel)
        out, sums = attend(q, k, v, mask, causal, True, kernel)
    assert nothing is None and sums is not None
    assert torch.equal(out, alone) and out.dtype == q.dtype and out.shape == q.shape
    close = 1e-5 if q.dtype == torch.float32 else 2e-2
    torch.testing.assert_close(out, wanted, atol=close, rtol=close)
    assert sums.dtype == torch.float32 and sums.shape == q.shape[:3]
    seen = None if mask is None else mask[:, 0, 0]
    if causal:
        rows = range(q.shape[2])
        each = [row_normalizers(q[:, :, i : i + 1], k[:, :, : i + 1]) for i in rows]
        torch.testing.assert_close(sums, torch.cat(each, dim=2), atol=1e-4, rtol=1e-4)
    else:
        torch.testing.assert_close(sums, row_normalizers(q, k, seen), atol=1e-4, rtol=1e-4)


CASES: dict[str, tuple[int, int, Tensor | None, bool]] = {
    "rows to themselves": (9, 9, None, False),
    "one row, many keys": (1, 20, None, False),
    "causal": (9, 9, None, True),
    "padded": (9, 9, mask_of(9, 9, 1, 6), False),
    "after a cache": (4, 12, mask_of(12, 12, 5, 9, left=True), False),
    "holes": (4, 6, torch.tensor([[1, 0, 1, 1, 0, 1]] * 3).bool()[:, None, None], False),
}


@pytest.mark.parametrize("kv_heads", [6, 3, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", CASES)
class TestAgainstSdpa:
    def inputs(self, case: str, kv_heads: int, dtype: torch.dtype) -> Any:
        rows, keys, mask, causal = CASES[case]
        q, k = drawn(3, HEADS, rows, 0), drawn(3, kv_heads, keys, 1)
        return *(x.to(dtype) for x in (q, k, drawn(3, kv_heads, keys, 2))), mask, causal

    def test_eager(self, case: str, kv_heads: int, dtype: torch.dtype) -> None:
        compare("eager", *self.inputs(case, kv_heads, dtype))

    def test_flash(self, installed: Any, case: str, kv_heads: int, dtype: torch.dtype) -> None:
        inputs = self.inputs(case, kv_heads, dtype)
        compare("flash", *inputs)
        assert set(installed.calls) == {"dense" if inputs[3] is None else "ragged"}


def test_padding_is_not_looked_at(installed: Any) -> None:
    q, k, v = drawn(2, HEADS, 5, 0), drawn(2, 2, 7, 1), drawn(2, 2, 7, 2)
    mask = mask_of(7, 7, 3)
    wanted = attend(q, k, v, mask, False, True, "flash")
    k[1, :, 3:], v[1, :, 3:] = torch.nan, torch.nan
    out = attend(q, k, v, mask, False, True, "flash")
    assert all(torch.equal(a, b) for a, b in zip(out, wanted, strict=True))


def test_known_attention() -> None:
    """One head, two keys: logits 0 and ln 3 give weights 1/4 and 3/4."""
    q, k = torch.ones(1, 1, 1, 1), torch.tensor([1.0, 3.0]).log()[None, None, :, None]
    out, sums = attend(
        q, k, torch.tensor([8.0, 4.0])[None, None, :, None], None, False, True, "eager"
    )
    assert out.item() == pytest.approx(5.0)
    assert sums is not None and sums.item() == pytest.approx(torch.tensor(4.0).log().item())


def test_rows_that_see_nothing_get_zeros() -> None:
    q, k, v = drawn(2, HEADS, 3, 0), drawn(2, 3, 4, 1), drawn(2, 3, 4, 2)
    out, sums = attend(q, k, v, mask_of(4, 4, 0), False, True, "eager")
    assert sums is not None and bool(sums[1].isneginf().all() and sums[0].isfinite().all())
    assert bool((out[1] == 0).all() and out[0].isfinite().all())
    out, sums = attend(q, k[:, :, :0], v[:, :, :0], None, False, True, "eager")
    assert sums is not None and bool(sums.isneginf().all() and (out == 0).all())
    assert torch.equal(out, attend(q, k[:, :, :0], v[:, :, :0], None, False)[0])


def with_kernel(model: Model, kernel: str) -> Model:
    """The same weights, attention by another kernel."""
    language = replace(model.network.language, attention=kernel)
    network = Network(language, model.network.tower)
    network.load_state_dict(model.network.state_dict())
    return Model(network, model.family, model.spec, model.preprocessor, None, model.config)


CALLS: dict[str, tuple[Family, dict[str, Any]]] = {
    "every step": (llada_v.FAMILY, {"gen_length": 8, "block_length": 4, "steps": 4}),
    "prefix": (
        llada_v.FAMILY,
        {"gen_length": 8, "block_length": 4, "steps": 4, "prefix_refresh_interval": 2},
    ),
    "cached prompt": (lavida_dream.FAMILY, {"gen_length": 8, "steps": 4}),
    "causal": (llava_ar.FAMILY, {"gen_length": 6}),
}


def answer_alike(kernel: str, call: str) -> None:
    """Eight unlike requests in a batch: the same tokens and signals as with SDPA."""
    family, options = CALLS[call]
    model = tiny_model(family=family)
    controller = Controller("after_steps(1, keep=0.5)", "random", probe="all")
    if family is llava_ar.FAMILY:
        controller = Controller(probe="all")
    pairs = zip(
        *(
            own.generate(inputs=mixed_requests(own), controller=controller, seed=0, **options)
            for own in (model, with_kernel(model, kernel))
        ),
        strict=True,
    )
    for wanted, out in pairs:
        assert out.tokens == wanted.tokens
        assert out.trace.visual_tokens == wanted.trace.visual_tokens
        for a, b in zip(wanted.trace.steps, out.trace.steps, strict=True):
            mine, theirs = b.signals.attention_visual, a.signals.attention_visual
            assert mine is not None and theirs is not None
            torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4, equal_nan=True)


@pytest.mark.parametrize("call", CALLS)
def test_ragged_batches_by_eager(call: str) -> None:
    answer_alike("eager", call)


@pytest.mark.parametrize("call", CALLS)
def test_ragged_batches_by_flash(installed: Any, call: str) -> None:
    answer_alike("flash", call)
    assert "ragged" in installed.calls
    if call == "causal":  # its first forward needs no mask: rows never look at padding behind them
        assert installed.calls[0] == "dense"


def test_load_takes_a_kernel(folder: Path, model: Model) -> None:
    assert load(folder, device="cpu").network.language.attention == "sdpa"
    own = load(folder, device="cpu", attention="eager")
    assert own.network.language == replace(model.network.language, attention="eager")
    for (name, a), (_, b) in zip(
        own.network.named_parameters(), model.network.named_parameters(), strict=True
    ):
        assert torch.equal(a, b), name
    assert attention_kernel(own.spec.geometry, CPU, torch.float32, "eager") == "eager (cpu)"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("flsh", r"attention='flsh'; did you mean flash\? allowed: 'sdpa', 'flash', 'eager'"),
        ("flash_attention_2", r"did you mean flash\?"),
        (None, "attention=None; allowed: 'sdpa'"),
        (["sdpa"], "allowed: 'sdpa'"),
        ("flash", "attention='flash' runs on CUDA, not on cpu; give attention='sdpa' there"),
    ],
)
def test_what_load_refuses(folder: Path, given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(folder, device="cpu", attention=given)


@pytest.mark.parametrize(
    ("dtype", "width", "message"),
    [
        (torch.float32, 64, "bfloat16 or float16, not in float32; give dtype='bfloat16', or att"),
        (torch.bfloat16, 20, "in multiples of 8; this model's have 20: give attention='sdpa'"),
        (torch.float16, 264, "heads of at most 256 numbers"),
    ],
)
def test_what_flash_cannot_compute(
    installed: Any, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, width: int, message: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (8, 0))
    check_attention("flash", CUDA, torch.bfloat16, 128)
    with pytest.raises(ValueError, match=message):
        check_attention("flash", CUDA, dtype, width)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (7, 5))
    with pytest.raises(ValueError, match=r"8\.0 or more \(Ampere\); cuda has 7\.5: give att"):
        check_attention("flash", CUDA, torch.float16, 64)


def test_flash_that_is_not_there(absent: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImportError, match=r'flash_attn.*pip install "saccade-dmllm\[flash\]"'):
        check_attention("flash", CUDA, torch.bfloat16, 128)
    monkeypatch.setitem(sys.modules, "flash_attn", type(sys)("flash_attn"))
    with pytest.raises(
        ImportError, match="flash_attn has no flash_attn_func and no flash_attn_var"
    ):
        check_attention("flash", CUDA, torch.bfloat16, 128)


@pytest.mark.parametrize(("major", "chosen"), [(8, "flash_attn"), (9, "flash_attn_interface")])
def test_three_is_for_hopper(
    absent: None, monkeypatch: pytest.MonkeyPatch, major: int, chosen: str
) -> None:
    for name, make in MODULES.items():
        monkeypatch.setitem(sys.modules, name, make())
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (major, 0))
    assert package_for(CUDA).__name__ == chosen
    told = attention_kernel(tiny_model().spec.geometry, CUDA, torch.bfloat16, "flash")
    assert told.startswith(f"flash (cuda, {chosen}")


@pytest.mark.parametrize("held", [llada, dream])
def test_wrap_takes_a_kernel(held: Any) -> None:
    options: dict[str, Any] = {"gen_length": 8, "block_length": 8, "steps": 4, "mask_id": MASK}
    if held is dream:
        options = {"max_new_tokens": 8, "temperature": 0, "steps": 4}
    plain, own = saccade.wrap(held()), saccade.wrap(held(), attention="eager")
    assert isinstance(plain, Wrapped) and isinstance(own, Wrapped)
    assert own.network.language.attention == "eager"
    for wrapped in (plain, own):
        wrapped.answer((), page() | options)
    assert own.last is not None and plain.last is not None
    assert own.last.tokens == plain.last.tokens
    with pytest.raises(ValueError, match="'flash' runs on CUDA, not on cpu"):
        saccade.wrap(held(), attention="flash")
    with pytest.raises(ValueError, match="attention='eagr'; did you mean eager"):
        saccade.wrap(held(), attention="eagr")
