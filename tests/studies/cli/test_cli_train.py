"""``saccade train``: a tiny training from the command line, interrupted and resumed."""

import json
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from saccade.backbones import load
from saccade.studies.cli import app
from saccade.studies.cli.train import first_interrupt
from saccade.studies.training.trainer import Trainer

TINY = """
name: tiny
language: {hidden_size: 16, intermediate_size: 16, n_layers: 1, n_heads: 1}
tower: {hidden_size: 16, intermediate_size: 16, n_layers: 1, n_heads: 1}
stages:
  - {kind: vision, steps: 2, pages: 2, lr: 1.0e-3}
  - {kind: model, steps: 2, pages: 2, per_page: {digit: 1}, lr: 1.0e-3}
"""


def invoke(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, ["train", *map(str, words)])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


def test_a_training_is_interrupted_resumed_and_exported(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, step = tmp_path / "run", Trainer._step

    def stop_in_stage_2(self: Trainer, number: int, *rest: object) -> dict[str, float]:
        if number == 1:
            raise KeyboardInterrupt
        return step(self, number, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", stop_in_stage_2)
        result = invoke(config, "--out", folder)
    assert result.exit_code == 130
    assert "run the same command again" in result.stderr
    assert "stage 1/2 loss" in result.stderr and "2/2" in result.stderr
    tokenizer = (folder / "tokenizer.json").read_bytes()

    result = invoke(config, "--out", folder, "--workers", 2)
    assert result.exit_code == 2
    assert "Different: workers (1 there, 2 now)" in result.stderr

    result = invoke(config, "--out", folder)
    assert result.exit_code == 0, result.output
    assert "going on where it stopped" in result.stderr
    assert "stage 1/2" not in result.stderr and "stage 2/2 loss" in result.stderr
    assert (folder / "tokenizer.json").read_bytes() == tokenizer
    model = load(folder / "checkpoint", device="cpu")
    assert model.spec.geometry.hidden == 16
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["stage"] for line in lines] == [1, 1, 2, 2]

    again = invoke(config, "--out", folder, "--export", tmp_path / "exported")
    assert again.exit_code == 0 and load(tmp_path / "exported", device="cpu")

    config.write_text(TINY.replace("1.0e-3", "2.0e-3"), encoding="utf-8")
    other = invoke(config, "--out", folder)
    assert other.exit_code == 2
    assert "Different: config.stages.0.lr (0.001 there, 0.002 now)" in other.stderr


def test_workers_train_together(config: Path, tmp_path: Path) -> None:
    result = invoke(config, "--out", tmp_path / "run", "--workers", 2)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / "training.json").read_text())["workers"] == 2


def test_an_unwritable_export_is_refused_before_training(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    result = invoke(config, "--out", tmp_path / "run", "--export", tmp_path / "away" / "model")
    assert result.exit_code == 1
    assert f"{tmp_path} is not yours to write to" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_change_since_the_last_time_is_noted(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    assert "different from before" not in invoke(config, "--out", folder).stderr
    monkeypatch.setattr("saccade.studies.training.folder.versions", lambda: {"torch": "0"})
    result = invoke(config, "--out", folder)
    assert result.exit_code == 0
    assert "different from before: versions." in result.stderr


def test_the_first_interrupt_saves_and_the_next_acts_as_ever() -> None:
    asked: list[str] = []
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by some shells
    try:
        with pytest.raises(KeyboardInterrupt), first_interrupt(lambda: asked.append("stop")):
            signal.raise_signal(signal.SIGINT)
            assert asked == ["stop"]
            signal.raise_signal(signal.SIGINT)
        assert asked == ["stop"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, inherited)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none",), "or one of: lavida-dream, llada-v, llava-ar"),
        (("{config}", "--workers", "3"), "--workers 3 cannot share 2 pages"),
        (("{config}", "--device", "abacus"), "no device 'abacus' here"),
        (
            ("{typo}",),
            "unknown key 'pace' (stages.0.pace); did you mean pages? allowed: kind",
        ),
        (("{broken}",), "is not valid YAML"),
        (("{config}", "--export", "{broken}"), "broken.yaml is not a folder, so no checkpoint"),
        (("{config}", "--export", "{broken}/x"), "broken.yaml is not a folder, so no checkpoint"),
    ],
)
def test_wrong_trainings(
    config: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    typo, broken = tmp_path / "typo.yaml", tmp_path / "broken.yaml"
    typo.write_text(TINY.replace("lr: 1.0e-3}", "lr: 1.0e-3, pace: 1}", 1), encoding="utf-8")
    broken.write_text("{", encoding="utf-8")
    given = [word.format(config=config, typo=typo, broken=broken) for word in words]
    result = invoke(*given, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ") and message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()
