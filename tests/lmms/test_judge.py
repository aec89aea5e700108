"""The judge, against a local stand-in that fails, hangs and answers nonsense."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")
import requests

from saccade.controller.errors import StudyError
from saccade.studies.lmms.cells import Cell, How
from saccade.studies.lmms.config import load_lmms_study
from saccade.studies.lmms.judge import VERDICTS, Asking, Judge, judged, needs_judge, verdict_of
from saccade.studies.lmms.run import run_lmms_study
from saccade.studies.runs.records import read_run

HANGS, FAILS = "hangs", "fails"
RIGHT = "{'score': 4}"


class StandIn:
    """An endpoint that replies from a list: a text, `FAILS` or `HANGS`; then the last one again."""

    def __init__(self, *replies: str) -> None:
        self.replies, self.asked = list(replies), []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def next(self) -> str:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def _handler(stand_in) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stand_in.asked.append(asked)
                reply = stand_in.next()
                if reply == HANGS:
                    time.sleep(2)
                message = {"role": "assistant", "content": reply}
                choice = {"index": 0, "finish_reason": "stop", "message": message}
                body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
                data = json.dumps(body | {"choices": [choice]}).encode()
                self.send_response(500 if reply == FAILS else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


@pytest.fixture
def made() -> Iterator[list[StandIn]]:
    servers: list[StandIn] = []
    yield servers
    for one in servers:
        one.server.shutdown()
        one.server.server_close()


def asking(made: list[StandIn], path: Path, *replies: str, **how: Any) -> Asking:
    made.append(StandIn(*replies))
    return Asking(Judge(made[-1].url, "judge-1", **{"seconds": 0.5, **how}), path)


def question(text: str = "How good?") -> dict[str, Any]:
    return {"model": "any", "messages": [{"role": "user", "content": text}], "temperature": 0}


def cell(folder: Path) -> Cell:
    return Cell("m", "none", "video_dc499_local", folder, {})


def test_it_asks_until_there_is_a_verdict(made: list[StandIn], tmp_path: Path) -> None:
    own = asking(made, tmp_path / VERDICTS, FAILS, HANGS, "I like it.", "{'score': 9}", RIGHT)
    assert own.reply(question()) == RIGHT
    assert own.calls == 5
    assert [asked["model"] for asked in made[0].asked] == ["judge-1"] * 5
    own.check(cell(tmp_path))


def test_every_reply_is_kept_as_it_came(made: list[StandIn], tmp_path: Path) -> None:
    asking(made, tmp_path / VERDICTS, FAILS, "I like it.", RIGHT).reply(question())
    kept = [json.loads(line) for line in (tmp_path / VERDICTS).read_text().splitlines()]
    assert [line["reply"] for line in kept] == [None, "I like it.", RIGHT]
    assert [line["usable"] for line in kept] == [False, False, True]
    assert kept[2]["asked"]["messages"] == question()["messages"]


def test_what_is_known_is_not_asked_again(made: list[StandIn], tmp_path: Path) -> None:
    path = tmp_path / VERDICTS
    asking(made, path, RIGHT).reply(question())
    path.write_bytes(path.read_bytes() + b'{"key": "cut o')
    later = asking(made, path, "{'score': 1}")
    assert later.reply(question()) == RIGHT
    assert later.calls == 0
    assert later.reply(question("And this?")) == "{'score': 1}"


def test_without_a_verdict_a_cell_is_not_done(made: list[StandIn], tmp_path: Path) -> None:
    own = asking(made, tmp_path / VERDICTS, "I like it.", tries=2)
    assert own.reply(question()) is None
    with pytest.raises(StudyError, match="lacks 1 verdicts .*no verdict in 'I like it.'"):
        own.check(cell(tmp_path))
    own.check(cell(tmp_path))  # that of the next cell


def test_the_budget_holds_and_counts_failed_calls(made: list[StandIn], tmp_path: Path) -> None:
    own = asking(made, tmp_path / VERDICTS, FAILS, calls=3, tries=2)
    assert own.reply(question("1")) is None
    assert own.reply(question("2")) is None
    assert own.reply(question("3")) is None
    assert own.calls == len(made[0].asked) == 3
    with pytest.raises(StudyError, match="lacks 3 verdicts"):
        own.check(cell(tmp_path))


def test_tasks_are_told_where_it_is(made: list[StandIn], tmp_path: Path) -> None:
    made.append(StandIn(RIGHT))
    judge = Judge(made[0].url, "judge-1")
    with judged([cell(tmp_path)], judge, tmp_path, How()) as (how, check):
        assert how.environment is not None
        address = how.environment["OPENAI_API_URL"]
        reply = requests.post(address, json=question(), timeout=10).json()
        check(cell(tmp_path))
    assert reply["choices"][0]["message"]["content"] == RIGHT
    assert how.environment["MODEL_VERSION"] == "judge-1"


def test_a_task_that_needs_one_is_refused_without(tmp_path: Path) -> None:
    with (
        pytest.raises(StudyError, match="video_dc499_local.*--judge-url"),
        judged([cell(tmp_path)], None, tmp_path, How()),
    ):
        pass
    assert needs_judge("video_dc499") and not needs_judge("videomme")


def test_a_study_goes_on_where_its_budget_ended(
    made: list[StandIn], study_file: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("lmms_eval")
    study = load_lmms_study(
        study_file("video_dc499", cases=1, frames=4, options={"gen_length": 8, "steps": 4})
    )
    made.append(StandIn(RIGHT, FAILS, RIGHT))
    out, how = tmp_path / "out", How(device="cpu")
    first = run_lmms_study(study, out, how=how, judge=Judge(made[0].url, "judge-1", calls=2))
    assert len(first.failed) == 1 and "budget of 2 calls" in first.failed[0]
    assert first.finished == [] and len(made[0].asked) == 2
    answers = [path.read_bytes() for path in out.rglob("answers-*.jsonl")]

    second = run_lmms_study(study, out, how=how, judge=Judge(made[0].url, "judge-1", calls=2))
    assert second.failed == [] and second.finished == ["embedded/llada-v"]
    assert len(made[0].asked) == 3  # the one verdict that was there was not asked for again
    assert [path.read_bytes() for path in out.rglob("answers-*.jsonl")] == answers
    assert [record.score for record in read_run(out)[2]] == [0.8, 0.8]  # 4 of 5
    assert "video_dc499_local,none,gpt_eval_score,4.0" in (out / "official.csv").read_text()


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (RIGHT, 4),
        (' {"score": 4.8}\n', 4),
        ("{'score': '3'}", 3),
        ("{'score': 6}", None),
        ("{'score': -1}", None),
        ("{'mark': 3}", None),
        ("4", None),
        ("", None),
        ("__import__('os')", None),
    ],
)
def test_verdicts_are_read_as_the_task_does(reply: str, verdict: int | None) -> None:
    assert verdict_of(reply) == verdict


@pytest.mark.parametrize("how", [{"url": "host/v1"}, {"url": "http://h/v1", "calls": 0}])
def test_wrong_judges_are_refused(how: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match="judge: "):
        Judge(model="m", **how)
