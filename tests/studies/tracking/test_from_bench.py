"""Runs of a bench, as it prints its rows."""

import math

from saccade.studies.tracking.from_bench import bench_runs

ROWS = [
    {"case": case, "pruner": None, "speedup": s, "speedup_min": math.nan, "seconds": [1.0, 2.0]}
    | {"sizes": {"layers": 2}}
    for case, s in (("no pruner", 1.0), ("divprune", 1.5))
]


def test_a_run_per_row_and_one_with_the_table() -> None:
    runs = list(bench_runs(ROWS))
    assert [run.name for run in runs[:2]] == ["no pruner", "divprune"]
    assert len({run.group for run in runs}) == 1 and len({run.id for run in runs}) == 3
    assert runs[1].summary == {"speedup": 1.5}
    assert runs[1].config == {"case": "divprune", "pruner": None, "sizes": {"layers": 2}}
    assert runs[1].series["repeats"].points == ((0, {"seconds": 1.0}), (1, {"seconds": 2.0}))
    assert runs[2].tables["cases"].columns[:2] == ("case", "speedup")


def test_a_bench_of_a_policy_is_named_after_it() -> None:
    row = {"policy": "auto()", "speedup": 2.0, "seconds": [1.0], "seconds_bare": [2.0]}
    assert [run.name for run in bench_runs([row])][0] == "auto()"


def test_the_same_times_are_the_same_runs() -> None:
    assert [r.id for r in bench_runs(ROWS)] == [r.id for r in bench_runs(ROWS)]
    other = [row | {"seconds": [3.0]} for row in ROWS]
    assert [r.id for r in bench_runs(ROWS)] != [r.id for r in bench_runs(other)]
