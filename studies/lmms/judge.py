"""A judge for tasks whose answers a language model scores: any OpenAI-compatible endpoint.

lmms-eval's tasks write what the judge is asked, ask it themselves, and take a call that failed for
the verdict 0. Between them and the endpoint stands a server of ours on this machine: it asks again
where the endpoint fails, hangs or answers nonsense, keeps every verdict as it came, gives what it
has without asking twice, stays within a budget, and says how many answers have no verdict.
"""

import ast
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from saccade.controller.errors import StudyError
from saccade.studies.lmms.cells import Cell, How
from saccade.studies.lmms.scores import benchmarks
from saccade.studies.tasks.json_lines import numbered_lines, parse_line

VERDICTS = "verdicts.jsonl"
KEY = "OPENAI_API_KEY"
LEAST, MOST = 0, 5
"""Range of a verdict."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Who judges, and how hard it is asked.

    Attributes
    ----------
    url : str
        Base of the endpoint, such as ``https://host/v1``. Its key is in the variable
        OPENAI_API_KEY, if it wants one.
    model : str
    calls : int or None
        The most calls in this run, failed ones included; None: as many as it takes.
    tries : int
        Calls for one verdict.
    seconds : float
        Until a call is given up.
    """

    url: str
    model: str
    calls: int | None = None
    tries: int = 5
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise StudyError(f"judge: {self.url!r} is no address; give http://HOST/v1 or https://")
        if self.calls is not None and self.calls < 1:
            raise StudyError(f"judge: calls={self.calls}; give 1 or more")


def needs_judge(task: str) -> bool:
    """Whether a task, or the one whose name its own begins with, is scored by a judge."""
    own = [name for name, one in benchmarks().items() if one.judge]
    return any(task == name or task.startswith(f"{name}_") for name in own)


@contextmanager
def judged(
    cells: Sequence[Cell], judge: Judge | None, out: Path, how: How
) -> Iterator[tuple[How, Callable[[Cell], None]]]:
    """Have a judge at hand for the cells that need one.

    Yields
    ------
    (How, callable)
        How cells run, told where the judge is; and what `run_cell` asks before a cell is done.

    Raises
    ------
    StudyError
        If a cell needs a judge and there is none.
    """
    wanting = [cell for cell in cells if needs_judge(cell.task)]
    if not wanting:
        yield how, lambda cell: None
        return
    if judge is None:
        raise StudyError(
            f"the task {wanting[0].task!r} is scored by a judge; give --judge-url and --judge-model"
        )
    asking = Asking(judge, out / VERDICTS)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(asking))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told = {
        "API_TYPE": "openai",
        "OPENAI_API_URL": f"http://127.0.0.1:{server.server_port}/v1/chat/completions",
        "MODEL_VERSION": judge.model,
    }
    try:
        yield replace(how, environment={**(how.environment or {}), **told}), asking.check
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Asking:
    """Asks a judge for verdicts, each until it has one.

    Attributes
    ----------
    judge : Judge
    path : Path
        File of all replies as they came, of earlier runs, too.
    calls : int
        Made in this run.
    without : list of str
        Why questions of the present cell have no verdict.
    """

    judge: Judge
    path: Path
    calls: int = 0
    without: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()
        if self.path.exists():
            for _, text in numbered_lines(self.path.read_bytes(), self.path.name):
                self._remember(text)

    def _remember(self, text: bytes) -> None:
        try:
            line = parse_line(text)
            if line["usable"]:
                self._known[line["key"]] = line["reply"]
        except (ValueError, TypeError, KeyError):
            pass  # a line that was cut off

    def reply(self, asked: dict[str, Any]) -> str | None:
        """The judge's reply to what a task asks; None if there is none."""
        asked = {**asked, "model": self.judge.model}
        key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return known
        problem = "not asked"
        for _ in range(self.judge.tries):
            if not self._may_call():
                problem = f"the budget of {self.judge.calls} calls is used up"
                break
            reply, problem = self._call(asked)
            self._keep(key, asked, reply, problem)
            if reply is not None and not problem:
                return reply
        with self._lock:
            self.without.append(problem)
        return None

    def check(self, cell: Cell) -> None:
        """Raise `StudyError` if a cell that has just run lacks verdicts."""
        with self._lock:
            without, self.without = self.without, []
        if without:
            raise StudyError(
                f"{cell.label} lacks {len(without)} verdicts ({without[0]}); run the study again "
                "to go on: answers and verdicts are kept"
            )

    def _may_call(self) -> bool:
        with self._lock:
            if self.judge.calls is not None and self.calls >= self.judge.calls:
                return False
            self.calls += 1
            return True

    def _call(self, asked: dict[str, Any]) -> tuple[str | None, str]:
        """One call: the reply, and what is wrong with it ("" if nothing)."""
        from openai import OpenAI, OpenAIError

        judge = self.judge
        client = OpenAI(
            base_url=judge.url,
            api_key=os.environ.get(KEY) or "none",
            timeout=judge.seconds,
            max_retries=0,  # tries are counted here, so that a budget holds
        )
        try:
            reply = client.chat.completions.create(**asked).choices[0].message.content or ""
        except (OpenAIError, ValueError, TypeError, IndexError, AttributeError) as error:
            return None, f"{type(error).__name__}: {error}"
        return reply, "" if verdict_of(reply) is not None else f"no verdict in {reply[:60]!r}"

    def _keep(self, key: str, asked: dict[str, Any], reply: str | None, problem: str) -> None:
        line = {
            "key": key,
            "usable": reply is not None and not problem,
            "problem": problem,
            "reply": reply,
            "asked": asked,
        }
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            if reply is not None and not problem:
                self._known[key] = reply


def verdict_of(reply: str) -> int | None:
    """The verdict in a reply, as the task reads it: ``{'score': 4}``; None if there is none."""
    try:
        score = ast.literal_eval(reply.strip())["score"]
        number = int(score)
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        return None
    return number if LEAST <= number <= MOST else None


def _handler(asking: Asking) -> type[BaseHTTPRequestHandler]:
    """What answers lmms-eval's tasks."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            asked = json.loads(self.rfile.read(length))
            reply = asking.reply(asked)
            # Without one the task gets what it can read: its cell does not count as done anyway.
            content = "{'score': 0}" if reply is None else reply.strip()
            message = {"role": "assistant", "content": content}
            body = {"model": asked.get("model", ""), "choices": [{"index": 0, "message": message}]}
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: what matters is in the file of verdicts."""

    return Handler
