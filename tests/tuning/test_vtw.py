"""The search for VTW's layer: by hand on scores, and on a model that stops reading the picture."""

import json
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from saccade.studies.cli.commands import app
from saccade.tuning.vtw import Search, find_layer, first_within, kl_to_full
from tests.tiny import fake_request, tiny_model


def test_divergence_by_hand() -> None:
    full = torch.tensor([[0.5, 0.5]]).log()
    dropped = torch.tensor([[[0.25, 0.75], [0.5, 0.5]]]).log()
    wanted = 0.25 * torch.tensor(0.5).log() + 0.75 * torch.tensor(1.5).log()
    kl = kl_to_full(full, dropped)
    assert kl[0].tolist() == pytest.approx([float(wanted), 0.0])


def test_what_is_never_predicted_does_not_count() -> None:
    full = torch.tensor([[0.0, 1.0, -torch.inf]])
    assert kl_to_full(full, full[:, None]).tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("means", "found"), [([0.5, 0.1, 0.4, 0.0], 1), ([0.5, 0.2], None), ([0.1], 0)]
)
def test_the_first_within_counts_whatever_comes_later(means: list[float], found: Any) -> None:
    assert first_within(torch.tensor(means, dtype=torch.float64), 0.1) == found


def test_a_model_whose_late_layers_do_not_read_the_picture() -> None:
    """With the values of layers 2 and later at zero, nothing can be read there."""
    model = tiny_model()
    for layer in list(model.network.model.layers)[2:]:
        layer.self_attn.v_proj.weight.data.zero_()
    inputs = [fake_request(model, [(40, 30)], seed) for seed in range(2)]
    calls: list[tuple[int, int]] = []
    found = find_layer(model, inputs, length=4, eta=1e-6, progress=lambda *done: calls.append(done))
    assert isinstance(found, Search) and found.layers == (1, 2, 3)
    assert found.layer == 2 and found.divergence[0] > 1e-3 > found.divergence[1]
    assert calls[-1] == (8, 8)


def test_wrong_searches_are_refused() -> None:
    model = tiny_model()
    with pytest.raises(ValueError, match="0 samples"):
        find_layer(model, [])
    with pytest.raises(ValueError, match="first=4: give one sample or more, and a first layer bel"):
        find_layer(model, [fake_request(model)], first=4)


def test_on_the_command_line() -> None:
    run = CliRunner().invoke
    options = ["calibrate", "vtw", "--kind", "digit", "--samples", "2"]
    good = run(app, [*options, "--json"])
    assert good.exit_code == 0
    result = json.loads(good.stdout)
    assert result["layer"] in [row["layer"] for row in result["layers"]]
    none = run(app, [*options, "--eta", "0"])
    assert none.exit_code != 0 and "no layer is within eta=0" in none.output
    assert "give --image and --prompt together" in run(app, [*options, "--prompt", "x"]).output
    unknown = run(app, ["calibrate", "vtw", "--kind", "x"])
    assert unknown.exit_code == 2 and "known: code" in unknown.output
