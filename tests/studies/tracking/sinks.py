"""Sinks and a server that tests send runs to; the sinks can be pickled."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from saccade.studies.tracking.sink import TrackedRun


@dataclass
class Noting:
    """Writes the ids that it gets."""

    path: Path

    def send(self, run: TrackedRun) -> None:
        with self.path.open("a") as file:
            file.write(run.id + "\n")

    def close(self) -> Sequence[str]:
        return (f"noted in {self.path}",)


@dataclass
class Hanging:
    """Never comes back."""

    def send(self, run: TrackedRun) -> None:
        time.sleep(600)

    def close(self) -> Sequence[str]:
        return ()


@dataclass
class Broken:
    """Ends its whole process."""

    def send(self, run: TrackedRun) -> None:
        import os

        os._exit(7)

    def close(self) -> Sequence[str]:
        return ()


@dataclass
class Refusing:
    """Raises what a library may raise."""

    def send(self, run: TrackedRun) -> None:
        raise RuntimeError("no thanks")

    def close(self) -> Sequence[str]:
        return ()


class StandIn:
    """What of wandb's server is needed to send a run; it keeps what it gets.

    Attributes
    ----------
    url : str
    asked : list of (str, dict)
        Operations and their variables.
    streamed : list of str
        Lines of history.
    uploaded : set of str
        Names of files.
    """

    def __init__(self, url: str, *, hang: bool) -> None:
        self.url, self.hang = url, hang
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.streamed: list[str] = []
        self.uploaded: set[str] = set()

    def answer(self, path: str, body: bytes) -> Any:
        """The answer to a request."""
        if path.startswith("/up/"):
            self.uploaded.add(path.removeprefix("/up/"))
        elif path.endswith("/file_stream"):
            files = json.loads(body).get("files") or {}
            self.streamed += files.get("wandb-history.jsonl", {}).get("content", [])
        elif path == "/graphql":
            if self.hang:
                time.sleep(600)
            asked = json.loads(body)
            words = asked.get("query", "").split("(")[0].split("{")[0].split()
            name = asked.get("operationName") or "".join(words[-1:])
            values = asked.get("variables") or {}
            self.asked.append((name, values))
            return {"data": self._data(name, values)}
        return {}

    def _data(self, name: str, values: dict[str, Any]) -> Any:
        def up(file: str) -> dict[str, Any]:
            return {"id": "f", "name": file, "uploadUrl": f"{self.url}/up/{file}"}

        manifest = {"artifactManifest": {"id": "m", "file": up("manifest") | {"uploadHeaders": []}}}
        project = {"id": "p", "name": "p", "entity": {"id": "e", "name": "me"}}
        run = {"id": "x", "name": values.get("name"), "displayName": "d", "config": "{}"}
        artifact = {"id": "a", "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        parts = (values.get("input") or {}).get("artifactFiles", [])
        more = {"uploadHeaders": [], "storagePath": "s", "artifact": {"id": "a"}}
        known = {
            "RunResumeStatus": {"model": None},
            "UpsertBucket": {
                "upsertBucket": {
                    "bucket": run | {"project": project, "historyLineCount": 0},
                    "inserted": True,
                }
            },
            "CreateRunFiles": {
                "createRunFiles": {
                    "runID": "x",
                    "uploadHeaders": [],
                    "files": [up(file) for file in values.get("files", [])],
                }
            },
            "CreateArtifact": {"createArtifact": {"artifact": artifact}},
            "CreateArtifactManifest": {"createArtifactManifest": manifest},
            "CreateArtifactFiles": {
                "createArtifactFiles": {
                    "files": {"edges": [{"node": up(file["name"]) | more} for file in parts]}
                }
            },
            "CommitArtifact": {"commitArtifact": {"artifact": {"id": "a", "digest": "d"}}},
        }
        return known.get(name, {})


@contextmanager
def stand_in(*, hang: bool = False, kind: type[Any] = StandIn) -> Iterator[Any]:
    """A server on this machine; one that hangs answers its front page and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            said = server_state.answer(self.path, body)
            out = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

        do_GET = do_POST = do_PUT = _do

        def log_message(self, *words: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *request: object) -> None:
            """A client that goes away in the middle is none of ours."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server_state = kind(f"http://127.0.0.1:{server.server_port}", hang=hang)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server_state
        finally:
            server.shutdown()
