"""Sending to a server that works, refuses or hangs."""

from pathlib import Path

import pytest

from saccade.studies.tracking import wandb_sync
from saccade.studies.tracking.wandb_sync import may_send, send_runs
from tests.studies.tracking.sinks import stand_in


def test_nothing_is_sent_without_credentials() -> None:
    assert not may_send()


def test_a_key_or_an_entry_in_netrc_is_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password " + "b" * 40)
    assert may_send()
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
    assert not may_send()
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    assert may_send()


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_who_asks_for_offline_mode_gets_it(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_MODE", mode)
    assert not may_send()


def test_a_server_that_refuses_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(OSError, match=r"cannot be reached.*to send them: wandb sync"):
        send_runs([tmp_path / "offline-run-1"], tmp_path, {}, 60)


def test_a_server_that_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import socket

    monkeypatch.setattr(wandb_sync, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(OSError, match="did not answer|timed out"):
            send_runs([tmp_path / "offline-run-1"], tmp_path, {}, 60)


@pytest.mark.parametrize("code", [500, 503])
def test_a_server_in_trouble_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int
) -> None:
    import io
    import urllib.error
    from email.message import Message

    def fails(url: str, timeout: float) -> None:
        raise urllib.error.HTTPError(url, code, "in trouble", Message(), io.BytesIO())

    monkeypatch.setattr("urllib.request.urlopen", fails)
    with pytest.raises(OSError, match=f"answered {code} in trouble"):
        send_runs([tmp_path / "offline-run-1"], tmp_path, {}, 60)


def test_what_is_no_run_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    (tmp_path / "offline-run-1").mkdir()
    with stand_in() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        with pytest.raises(OSError, match="wandb sync failed"):
            send_runs([tmp_path / "offline-run-1"], tmp_path, {}, 120)
