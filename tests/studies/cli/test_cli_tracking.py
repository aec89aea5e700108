"""``--wandb`` with and without a project."""

import pytest

from saccade.studies.cli.tracking import with_project


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("demo --wandb", "demo --wandb saccade"),
        ("demo --wandb --jobs 2", "demo --wandb saccade --jobs 2"),
        ("demo --wandb mine", "demo --wandb mine"),
        ("demo --wandb=mine", "demo --wandb=mine"),
        ("--wandb -- demo", "--wandb saccade -- demo"),
        ("-- --wandb", "-- --wandb"),
    ],
    ids=range(6),
)
def test_a_bare_option_gets_the_default_project(
    monkeypatch: pytest.MonkeyPatch, given: str, read: str
) -> None:
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    assert with_project(given.split()) == read.split()


def test_the_environment_names_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "ours")
    assert with_project(["--wandb"]) == ["--wandb", "ours"]
