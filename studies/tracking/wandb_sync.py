"""Sending runs that wandb has written to disk, for no longer than it may take."""

import netrc
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlparse

SERVER = "https://api.wandb.ai"
STAGES = ("case", "study", "search", "report")
"""Kinds of runs in the order in which they are sent: what uses artifacts comes after what made
them, so that the server knows where they are from. All other kinds are sent first."""
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
    end = time.monotonic() + seconds
    for stage in STAGES:
        own = [run for run in waiting if _stage(run) == stage]
        said = _sync(own, os.environ | environment, end - time.monotonic()) if own else ""
        if said is None:
            raise OSError(f"{server()} did not take them in {seconds:.0f} s; {later}")
        if said:
            raise OSError(f"wandb sync failed: {said}; {later}")
    return f"wandb: {len(waiting)} runs sent to {server()}"


def _stage(run: Path) -> str:
    """Which of `STAGES` a folder's run belongs to; the first for all others."""
    kinds = re.findall(r"-([a-z]+)-[0-9a-f]{16}$", run.name)
    return kinds[0] if kinds and kinds[0] in STAGES else STAGES[0]


def _sync(runs: Sequence[Path], environment: Mapping[str, str], seconds: float) -> str | None:
    """Send runs; what went wrong, "" if nothing did, None if it took too long."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "wandb", "sync", *map(str, runs)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode == 0 and all(any(own.glob("*.synced")) for own in runs):
        return ""
    lines = said.decode(errors="replace").strip().splitlines()
    told = next((line for line in reversed(lines) if "rror" in line), "".join(lines[-1:]))
    return told[:300] or f"it ended with code {process.returncode}"


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
