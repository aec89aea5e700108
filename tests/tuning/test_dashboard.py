"""optuna-dashboard opens the study of a search."""

import json
import threading
import urllib.request
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from saccade.tuning.evaluate import Evaluation
from saccade.tuning.search import work
from saccade.tuning.storage import open_storage
from saccade.tuning.study import queue_first
from tests.tuning.tiny_job import evaluation, job


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_its_api_lists_the_study_and_its_trials(tmp_path: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard")
    own = job(tmp_path, 3)
    queue_first(own.open(), own.space, own.goal, own.first)
    made: Evaluation = evaluation(2)
    work(own, made)
    app = dashboard.wsgi(open_storage(own.url))
    with make_server("127.0.0.1", 0, app, handler_class=Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}/api/studies"
        with urllib.request.urlopen(base, timeout=30) as answer:
            (study,) = json.load(answer)["study_summaries"]
        assert study["study_name"] == "tiny"
        with urllib.request.urlopen(f"{base}/{study['study_id']}", timeout=30) as answer:
            trials = json.load(answer)["trials"]
        server.shutdown()
    assert [trial["state"] for trial in trials] == ["Complete"] * 3
