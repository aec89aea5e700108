"""Signals against the full attention map and plain sums."""

import math

import pytest
import torch
from torch import Tensor

from saccade.backbones.network.attend import _kernel_groups, attend
from saccade.controller.attention import (
    CHUNK,
    attention_received,
    row_attention,
    row_normalizers,
)
from saccade.controller.signals import candidate_confidence

HEADS, DIM = 6, 8


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def oracle(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """The whole map (B, H, Q, L), one number at a time as the formula says, in float64."""
    groups = q.shape[1] // k.shape[1]
    out = torch.zeros(*q.shape[:3], k.shape[2], dtype=torch.float64)
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            logits = q[b, h].double() @ k[b, h // groups].double().T / math.sqrt(q.shape[3])
            e = (logits - logits.max()).exp()
            if mask is not None:
                e = e * mask[b]
            out[b, h] = e / e.sum(-1, keepdim=True)
    return out


def padding(lengths: list[int], longest: int) -> Tensor:
    return torch.arange(longest)[None] < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("kv_heads", [6, 3, 1])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
class TestAgainstTheFullMap:
    def inputs(self, kv_heads: int, padded: bool, dtype: torch.dtype, rows: int) -> None:
        self.keys = 40
        self.q = (2 * draw(3, HEADS, rows, DIM)).to(dtype)
        self.k = draw(3, kv_heads, self.keys, DIM, seed=1).to(dtype)
        self.mask = padding([40, 25, 33], self.keys) if padded else None
        self.map = oracle(self.q, self.k, self.mask)

    def test_rows(self, kv_heads: int, padded: bool, dtype: torch.dtype) -> None:
        self.inputs(kv_heads, padded, dtype, rows=5)
        weights = row_attention(self.q, self.k, self.mask)
        assert weights.dtype == torch.float32
        torch.testing.assert_close(weights.double(), self.map, atol=1e-5, rtol=0)
        torch.testing.assert_close(weights.sum(-1), torch.ones(3, HEADS, 5))

    def test_the_kernel_tells_normalizers(
        self, kv_heads: int, padded: bool, dtype: torch.dtype
    ) -> None:
        self.inputs(kv_heads, padded, dtype, rows=40)
        mask = None if self.mask is None else self.mask[:, None, None]
        with torch.inference_mode():
            plain, nothing = attend(self.q, self.k, self.k, mask, causal=False)
            out, told = attend(self.q, self.k, self.k, mask, causal=False, normalizer=True)
        assert nothing is None
        assert torch.equal(out, plain), "it is the same attention to the last bit"
        if kv_heads < HEADS and not _kernel_groups():
            assert told is None, "older kernels read beyond keys that heads share"
            return
        assert told is not None
        wanted = row_normalizers(self.q, self.k, self.mask)
        torch.testing.assert_close(told, wanted, atol=1e-4, rtol=1e-5)

    @pytest.mark.parametrize("rows", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
    def test_received(self, kv_heads: int, padded: bool, dtype: torch.dtype, rows: int) -> None:
        self.inputs(kv_heads, padded, dtype, rows)
        received = attention_received(self.q, self.k, self.mask)
        assert received.dtype == torch.float32 and received.shape == (3, self.keys)
        torch.testing.assert_close(received.double(), self.map.mean((1, 2)), atol=1e-5, rtol=0)
        torch.testing.assert_close(received.sum(1), torch.ones(3))

        counted = padding([rows, max(1, rows // 3), max(1, rows - 2)], rows)
        received = attention_received(self.q, self.k, self.mask, counted)
        for b in range(3):
            wanted = self.map[b, :, counted[b]].mean((0, 1))
            torch.testing.assert_close(received[b].double(), wanted, atol=1e-5, rtol=0)


def test_padding_receives_nothing_whatever_it_holds() -> None:
    q, k = draw(1, 2, 4, DIM), draw(1, 2, 9, DIM, seed=1)
    mask = padding([6], 9)
    wanted = attention_received(q, k, mask)
    k[:, :, 6:] = 1e4
    assert torch.equal(attention_received(q, k, mask), wanted)
    assert bool((wanted[:, 6:] == 0).all())
    torch.testing.assert_close(wanted[:, :6], attention_received(q, k[:, :, :6]))


def test_known_attention() -> None:
    """One head, two keys: logits 0 and ln 3 give weights 1/4 and 3/4."""
    q, k = torch.tensor([[[[1.0]]]]), torch.tensor([[[[0.0], [math.log(3)]]]])
    assert row_attention(q, k).flatten().tolist() == pytest.approx([0.25, 0.75])
    assert row_normalizers(q, k).item() == pytest.approx(math.log(4))


def test_confidence_and_entropy_against_plain_sums() -> None:
    logits = 3 * draw(2, 5, 11)
    chosen = logits.argmax(-1)
    chosen[0, 0] = 3
    confidence, entropy, _ = candidate_confidence(logits, chosen)
    assert confidence.dtype == entropy.dtype == torch.float64
    for b in range(2):
        for r in range(5):
            row = logits[b, r].tolist()
            total = math.fsum(math.exp(x) for x in row)
            p = [math.exp(x) / total for x in row]
            assert float(confidence[b, r]) == pytest.approx(p[int(chosen[b, r])], abs=1e-12)
            wanted = -math.fsum(x * math.log(x) for x in p)
            assert float(entropy[b, r]) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("row", "confidence", "entropy"),
    [
        ([0.0, 0.0, 0.0, 0.0], 0.25, math.log(4)),
        ([0.0, 0.0, -math.inf, -math.inf], 0.5, math.log(2)),
        ([5.0, -math.inf, -math.inf, -math.inf], 1.0, 0.0),
        ([1e4, 0.0, 0.0, -1e4], 1.0, 0.0),
    ],
)
def test_known_confidence_and_entropy(row: list[float], confidence: float, entropy: float) -> None:
    given = candidate_confidence(torch.tensor([row]), torch.tensor([0]))
    assert [float(x) for x in given[:2]] == pytest.approx([confidence, entropy])


def test_confidence_is_the_published_softmax_to_the_bit() -> None:
    """Positions of equal confidence are committed in an order that one bit would change."""
    logits = torch.randint(0, 3, (64, 9), generator=torch.Generator().manual_seed(0)).float()
    chosen = logits.argmax(-1)
    wanted = logits.double().softmax(-1).gather(-1, chosen[:, None])[:, 0]
    assert torch.equal(candidate_confidence(logits, chosen)[0], wanted)
