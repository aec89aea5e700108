"""Running a study: every key once, the same answers however often it is interrupted."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from saccade.backbones import load
from saccade.controller import StudyError
from saccade.studies.config.study import Case, StudyConfig, plan_units
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import read_run
from saccade.studies.runs.runner import run_study
from saccade.studies.runs.unit_runner import UnitRunner, case_order
from saccade.studies.tasks import Split
from tests.studies.tasks.installed import ColourQuestion, Colours
from tests.studies.unit_files import contents

ROOT = Path(__file__).parents[3]


TINY = StudyConfig(
    name="tiny",
    samples=4,
    batch=2,
    tasks=("yesno", "digit"),
    cases=(
        Case(name="none"),
        Case(
            name="half",
            policy="after_share(share=0.5, keep=0.25)",
            pruner="divprune()",
        ),
        Case(
            name="first",
            policy="after_share(share=0.0, keep=0.5)",
            pruner="random()",
        ),
    ),
)
Key = tuple[str, str, int]


class Odd(Colours):
    """Its second question shows two pictures and has one."""

    def samples(
        self, indices: Sequence[int], seed: int = 0, split: Split = "heldout"
    ) -> list[ColourQuestion]:
        plain = super().samples(indices, seed, split)
        return [replace(s, question="<image> or <image>?") if s.index == 1 else s for s in plain]


def test_a_sample_that_cannot_be_asked_is_named() -> None:
    """Also of a task that no file could be checked of before."""
    runner = UnitRunner(TINY, load(TINY.model))
    runner.tasks = {"yesno": Odd()}
    with pytest.raises(StudyError, match="'yesno', sample 1: the prompt has 2 image placeholders"):
        runner.answer(plan_units(TINY)[0], 0)


class Broken(Colours):
    """A task of another package, of which a part fails."""

    def __init__(self, part: str) -> None:
        self.part = part

    def samples(self, indices: Sequence[int], seed: int = 0, split: Split = "heldout") -> list[Any]:
        if self.part == "samples":
            raise KeyError("no such row")
        return [Halting(s, self.part) for s in super().samples(indices, seed, split)]


class Halting:
    """A question whose second one fails where it is told to."""

    def __init__(self, own: ColourQuestion, part: str) -> None:
        self._own, self._part = own, part

    def __getattr__(self, name: str) -> Any:
        if name == self._part and self._own.index == 1:
            raise ZeroDivisionError("by zero")
        return getattr(self._own, name)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("samples", "task 'yesno', samples 0 to 1: KeyError: 'no such row'"),
        ("images", "task 'yesno', sample 1: ZeroDivisionError: by zero"),
        ("score", "task 'yesno', sample 1, case 'none': ZeroDivisionError: by zero"),
    ],
)
def test_what_a_foreign_task_stumbles_over_is_named(part: str, said: str) -> None:
    runner = UnitRunner(TINY, load(TINY.model))
    runner.tasks = {"yesno": Broken(part)}
    with pytest.raises(StudyError, match=said):
        runner.answer(plan_units(TINY)[0], 0)


def test_samples_that_a_case_cannot_answer_are_named() -> None:
    model = load(TINY.model)
    runner = UnitRunner(TINY, model)
    with torch.no_grad():
        model.network.model.norm.weight[0] = torch.nan
    with pytest.raises(StudyError, match="on task 'yesno', samples 0 to 1: .* not finite"):
        runner.answer(plan_units(TINY)[0], 0)


def by_key(folder: Path) -> dict[Key, Record]:
    records = read_run(folder)[2]
    keyed = {(record.case, record.task, record.sample): record for record in records}
    assert len(keyed) == len(records), "a key came twice"
    return keyed


def answers(folder: Path) -> dict[Key, tuple[object, ...]]:
    return {
        key: (r.answer, r.score, r.macs, r.visual_tokens, r.unit, r.position)
        for key, r in by_key(folder).items()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One uninterrupted run."""
    return run_study(TINY, tmp_path_factory.mktemp("finished") / "run", threads=1)


def test_every_key_once(finished: Path) -> None:
    expected = {(c.name, t, s) for c in TINY.cases for t in TINY.tasks for s in range(4)}
    assert set(by_key(finished)) == expected


def test_achieved_figures(finished: Path) -> None:
    for (case, _, _), record in by_key(finished).items():
        n = record.n_visual
        shares = {"none": [1, 1], "half": [1, 0.25], "first": [0.5, 0.5]}[case]
        assert record.keep == shares
        steps = [layers for count, layers in record.visual_runs for _ in range(count)]
        assert [layers[-1] / n for layers in steps] == shares
        assert record.visual_tokens == sum(map(sum, steps))
        assert record.visual_tokens_ratio == pytest.approx(sum(shares) / 2)
        assert record.forwards == len(steps) == 2
        assert record.response == 2
        assert record.macs > record.macs_paper > 0
        assert record.seconds > 0


def test_preparation_is_shared_by_the_cases_of_a_unit(finished: Path) -> None:
    records = by_key(finished).values()
    times = {(r.task, r.unit): r.prepare_seconds for r in records}
    assert len(set(times.values())) == 4
    assert all(r.prepare_seconds == times[r.task, r.unit] > 0 for r in records)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
def test_every_case_is_first_equally_often(n: int) -> None:
    orders = [case_order(n, index) for index in range(7 * 2 * n)]
    assert all(sorted(order) == list(range(n)) for order in orders)
    assert set(Counter(order[0] for order in orders).values()) == {14}
    before = Counter((a, b) for order in orders for a in range(n) for b in order[order.index(a) :])
    assert all(before[a, b] == before[b, a] for a in range(n) for b in range(n))


def test_a_finished_run_is_only_read(finished: Path) -> None:
    before = contents(finished)
    seen: list[tuple[int, int, str]] = []
    run_study(TINY, finished, lambda *report: seen.append(report), threads=1)
    assert seen == [(12, 12, "done")]
    assert contents(finished) == before


KILLED = """
import sys
from pathlib import Path
from typing import Any
from saccade.studies.config.study import StudyConfig
from saccade.studies.runs.runner import run_study

def progress(done, total, label):
    if done == 7:  # the third unit has begun
        print("there", flush=True)
        sys.stdin.read()  # until it is killed

config = StudyConfig.model_validate_json(sys.argv[1])
run_study(config, Path(sys.argv[2]), progress, threads=1)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, TINY.model_dump_json(), str(out)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(by_key(out)) == 12
    run_study(TINY, out, threads=1)
    assert answers(out) == answers(finished)
    found = b"".join(contents(out).values()).splitlines()
    assert len(found) == len(TINY.cases) * len(TINY.tasks) * TINY.samples


def test_an_interruption_keeps_complete_units_and_says_how_to_go_on(
    finished: Path, tmp_path: Path
) -> None:
    def progress(done: int, total: int, label: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="1 of 4 units are kept in "):
        run_study(TINY, tmp_path, progress, threads=1)
    assert len(by_key(tmp_path)) == 6
    run_study(TINY, tmp_path, threads=1)
    assert answers(tmp_path) == answers(finished)


def test_progress_counts_units_times_cases(tmp_path: Path) -> None:
    config = TINY.model_copy(update={"tasks": ("yesno",), "samples": 1})
    seen: list[tuple[int, int, str]] = []
    run_study(config, tmp_path, lambda *report: seen.append(report), threads=1)
    assert [done for done, _, _ in seen] == [0, 0, 1, 2, 3]
    assert {total for _, total, _ in seen} == {3}
    assert seen[1][2] == "yesno, unit 1: none"
    assert len(plan_units(config)) == 1


def test_threads_are_given_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    with pytest.raises(StudyError, match="threads=0"):
        run_study(TINY, tmp_path, threads=0)
    with pytest.raises(KeyboardInterrupt):
        run_study(TINY, tmp_path, _interrupt, threads=before + 1)
    assert torch.get_num_threads() == before


def _interrupt(done: int, total: int, label: str) -> None:
    raise KeyboardInterrupt


def test_a_case_that_cannot_run_is_named(tmp_path: Path) -> None:
    lacks = Case(name="bad", policy="after_share(share=0, keep=0.5)")
    config = TINY.model_copy(update={"cases": (TINY.cases[0], lacks)})
    with pytest.raises(StudyError, match="case 'bad': .* no pruner"):
        run_study(config, tmp_path, threads=1)
