"""The hash of a backbone: the same for the same weights, another after any change."""

import copy

import torch

from saccade.backbones.checkpoints.fingerprint import CHUNK, _digest, fingerprint
from tests.tiny import tiny_model

NETWORK = tiny_model().network


def test_the_same_weights_have_the_same_hash_and_others_another() -> None:
    first = fingerprint(NETWORK)
    assert first == fingerprint(NETWORK) == fingerprint(tiny_model().network)
    assert len(first) == 64 and first != fingerprint(tiny_model(seed=1).network)


def test_one_bit_anywhere_is_seen() -> None:
    seen = {fingerprint(NETWORK)}
    for name, _ in list(NETWORK.named_parameters())[::7]:
        other = copy.deepcopy(NETWORK)
        flat = other.get_parameter(name).data.view(-1)
        flat[-1:].view(torch.int32).bitwise_xor_(1)
        seen.add(fingerprint(other))
    assert len(seen) == 1 + len(list(NETWORK.named_parameters())[::7])


def test_two_values_that_change_places_are_seen() -> None:
    other = copy.deepcopy(NETWORK)
    data = next(p for p in other.parameters() if p.dim() == 2).data
    data[[0, 1]] = data[[1, 0]].clone()
    assert fingerprint(other) != fingerprint(NETWORK)


def test_dtype_and_shape_are_part_of_it() -> None:
    half = copy.deepcopy(NETWORK).to(torch.bfloat16)
    assert fingerprint(half) != fingerprint(NETWORK)
    layers = [torch.nn.Linear(2, 3, bias=False), torch.nn.Linear(3, 2, bias=False)]
    for layer in layers:
        layer.weight.data.zero_()
    assert fingerprint(layers[0]) != fingerprint(layers[1])


def test_how_a_tensor_lies_in_memory_makes_no_difference() -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    assert _digest(whole.T.contiguous()) == _digest(whole.T)
    assert _digest(torch.tensor(3.0)) == _digest(torch.tensor([3.0]))
    assert _digest(torch.zeros(0)) and CHUNK > 0
