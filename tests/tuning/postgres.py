"""A PostgreSQL server of a test's own: loopback only, on a free port, gone afterwards."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "postgres"


def find(name: str) -> str | None:
    """A program of the server, which distributions keep out of the path."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(places[0]) if places else shutil.which(name)


def problem() -> str | None:
    """Why no server can be started; None if one can."""
    if find("initdb") is None or find("pg_ctl") is None:
        return "PostgreSQL is not installed"
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return "there is no user postgres" if os.getuid() == 0 else None
    return None


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Start a server in an empty folder; gives its address.

    As root it runs as the user postgres, who alone may own its files.
    """
    data, port = folder / "data", _free_port()
    if os.getuid() == 0:
        folder.chmod(0o755)
        for parent in folder.parents[:3]:
            if parent.stat().st_uid == 0 and parent != Path("/tmp"):
                parent.chmod(parent.stat().st_mode | 0o055)
        data.mkdir()
        shutil.chown(data, USER, USER)
        data.chmod(0o700)
    _run("initdb", "-D", data, "-U", USER, "-A", "trust", "--no-sync")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={data}"
    _run("pg_ctl", "-D", data, "-o", options, "-l", data / "log", "-w", "start")
    try:
        yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
    finally:
        _stop(data)


def _stop(data: Path) -> None:
    """End a server; where it does not end in time, its process is killed."""
    try:
        _run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    except subprocess.SubprocessError:
        pid = data / "postmaster.pid"
        if pid.exists():
            os.kill(int(pid.read_text().split()[0]), signal.SIGKILL)


def _run(name: str, *words: object) -> None:
    program = find(name)
    assert program is not None
    who = {"user": USER, "group": USER, "extra_groups": []} if os.getuid() == 0 else {}
    subprocess.run(
        [program, *map(str, words)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        timeout=60,
        **who,  # type: ignore[call-overload]
    )


def _free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        port: int = own.getsockname()[1]
        return port
