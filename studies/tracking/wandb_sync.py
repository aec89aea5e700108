"""Sending runs that wandb has written to disk, for no longer than it may take."""

import netrc
import os
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlparse

SERVER = "https://api.wandb.ai"
PATIENCE = 10.0
"""Seconds in which a server has to answer once, before anything is sent to it."""


def may_send() -> bool:
    """Whether there are credentials, and nobody has asked for offline mode."""
    if os.environ.get("WANDB_MODE", "online") != "online":
        return False
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    try:
        known = netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return urlparse(server()).hostname in known


def server() -> str:
    """Where runs are sent."""
    return os.environ.get("WANDB_BASE_URL", SERVER).rstrip("/")


def command_to_send(runs: Path) -> str:
    """What people type to send runs later."""
    return f"wandb sync {shlex.quote(str(runs))}/offline-run-*"


def waiting_runs(runs: Path) -> list[Path]:
    """Runs that were written but not sent."""
    folders = sorted(runs.glob("offline-run-*"))
    return [own for own in folders if not any(own.glob("*.synced"))]


def send_runs(
    waiting: Sequence[Path], runs: Path, environment: Mapping[str, str], seconds: float
) -> str:
    """Send runs; what became of it, in words.

    Raises
    ------
    OSError
        If they could not be sent, saying why and how to do it later; they stay where they are.
    """
    later = f"the runs are kept in {runs}; to send them: {command_to_send(runs)}"
    problem = unreachable(server())
    if problem is not None:
        raise OSError(f"{server()} {problem}; {later}")
    command = [sys.executable, "-P", "-m", "wandb", "sync", *map(str, waiting)]
    process = subprocess.Popen(
        command,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise OSError(f"{server()} did not take them in {seconds:.0f} s; {later}") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode != 0 or any(not any(own.glob("*.synced")) for own in waiting):
        lines = said.decode(errors="replace").strip().splitlines()
        told = next((line for line in reversed(lines) if "rror" in line), lines[-1:] or "")
        raise OSError(f"wandb sync failed: {str(told)[:300]}; {later}")
    return f"wandb: {len(waiting)} runs sent to {server()}"


def unreachable(url: str) -> str | None:
    """Why a server takes nothing; None if it answers."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE):
            return None
    except urllib.error.HTTPError as error:
        return f"answered {error.code} {error.reason}" if error.code >= 500 else None
    except TimeoutError:
        return f"did not answer in {PATIENCE:.0f} s"
    except (OSError, ValueError) as error:
        return f"cannot be reached ({getattr(error, 'reason', error)})"
