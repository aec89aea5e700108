"""``saccade bench``: what is counted, what is compared with what, and every wrong input."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from typer.testing import CliRunner, Result

from saccade.controller import AfterShare, Geometry, Keep, Selection, VisualView
from saccade.controller.cost import forward_macs
from saccade.controller.errors import CapabilityError, StudyError
from saccade.controller.registry import pruners
from saccade.controller.types import PROMPT, VISUAL
from saccade.pruners import DivPrune, FastV, Random
from saccade.studies.cli import app
from saccade.studies.timing.random_model import Sizes, random_model, random_request
from saccade.studies.timing.speedups import Bench, Timing, run_bench

SIZES = Sizes(
    width=16, layers=3, heads=2, mlp=24, vocab=20, side=4, prompt=5, gen_length=4, steps=4
)
GEOMETRY = Geometry(3, 16, 24, 2, 2, 20)
SMALL = ("--width", 16, "--layers", 3, "--heads", 2, "--mlp", 24, "--vocab", 20, "--side", 4)
SMALL += ("--prompt", 5, "--gen-length", 4, "--steps", 4, "--repeats", 2)


@dataclass(frozen=True)
class Blind(Random):
    """Finds nothing to choose by once it is asked."""

    def select(self, view: VisualView, n: int) -> Selection:
        raise CapabilityError("Blind needs a picture; this request has none")


@dataclass(frozen=True)
class Lost(Random):
    """Needs what no backbone here offers."""

    needs: ClassVar[frozenset[str]] = frozenset({"smell"})


def invoke(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, ["bench", *map(str, words)])


def by_case(*words: object) -> dict[str, Any]:
    result = invoke(*SMALL, *words, "--json")
    assert result.exit_code == 0, result.output
    return {row["case"]: row for row in json.loads(result.stdout)}


def macs(*visual: int) -> int:
    """Of one step with so many visual tokens in each layer: 5 prompt and 4 response rows too."""
    return forward_macs(GEOMETRY, [9 + n for n in visual], head_rows=4)


def test_attention_by_another_kernel() -> None:
    rows = by_case("--device", "cpu", "--attention", "eager", "--pruner", "random")
    assert {row["attention"] for row in rows.values()} == {"eager (cpu)"}
    for given, message in (
        (("--attention", "flash", "--device", "cpu"), "'flash' runs on CUDA, not on cpu"),
        (("--attention", "eagr"), "did you mean eager?"),
        (("--attention", "eager", "--signals"), "--attention goes with timing pruners"),
    ):
        refused = invoke(*SMALL, *given)
        assert refused.exit_code == 2 and message in " ".join(refused.stderr.split())


FULL, CUT = macs(16, 16, 16), macs(4, 4, 4)


@pytest.mark.parametrize(
    ("policy", "expected", "kept"),
    [
        (AfterShare(0.5, 0.25), 2 * FULL + 2 * CUT, 4),
        (AfterShare(0.0, 0.25), 4 * CUT, 4),
        (AfterShare(0.5, 0.25, layer=2), 2 * FULL + macs(16, 16, 4) + CUT, 4),
        (AfterShare(0.5, 0.25, layer=2, hold=False), 2 * FULL + 2 * macs(16, 16, 4), 4),
        (AfterShare(0.75, 0.5), 3 * FULL + macs(8, 8, 8), 8),
        (AfterShare(0.5, 0.0), 2 * FULL + 2 * macs(0, 0, 0), 0),
        (Keep(), 4 * FULL, 16),
    ],
    ids=repr,
)
def test_the_ideal_is_the_ratio_of_exact_counts(policy: Any, expected: int, kept: int) -> None:
    result = run_bench(policy, [("a", Random())], SIZES, repeats=1)
    baseline, row = result.rows()
    assert baseline["macs"] == 4 * FULL and row["macs"] == expected
    assert row["speedup_ideal"] == 4 * FULL / expected
    assert (row["visual_tokens"], row["visual_tokens_kept"]) == (16, kept)
    assert baseline["visual_tokens_kept"] == 16


def test_every_repeat_answers_every_case_once_in_changing_order() -> None:
    told: list[tuple[int, int, str]] = []
    cases = [("a", DivPrune()), ("b", Random())]
    result = run_bench(
        AfterShare(0.5, 0.25), cases, SIZES, repeats=4, progress=lambda *news: told.append(news)
    )
    assert [timing.case for timing in result.timings] == ["none", "a", "b"]
    assert all(len(timing.seconds) == 4 for timing in result.timings)
    labels = [label for _, _, label in told]
    assert labels[0] == "making the model" and labels[-1] == "done"
    rounds = [labels[i : i + 3] for i in range(1, 16, 3)]
    assert rounds[0] == ["warm-up: none", "warm-up: a", "warm-up: b"]
    orders = []
    for number, own in enumerate(rounds[1:], 1):
        assert {label.partition(": ")[0] for label in own} == {f"repeat {number}"}
        orders.append(tuple(label.partition(": ")[2] for label in own))
    assert all(sorted(order) == ["a", "b", "none"] for order in orders)
    assert len(set(orders)) == 4
    assert told[-1][:2] == (15, 15) and {total for _, total, _ in told} == {15}


def test_times_are_paired_by_repeat() -> None:
    timings = (Timing("none", None, (4.0, 9.0), 300, 16), Timing("a", "A()", (1.0, 1.0), 50, 4))
    baseline, row = Bench(timings, {}, {"dtype": "float32"}).rows()
    assert row["speedup"] == pytest.approx(6.0)
    assert (row["speedup_min"], row["speedup_max"], row["speedup_ideal"]) == (4.0, 9.0, 6.0)
    assert row["share_of_ideal"] == pytest.approx(1.0) and row["dtype"] == "float32"
    assert {baseline[key] for key in ("speedup", "speedup_ideal", "share_of_ideal")} == {1.0}


def test_what_cannot_serve_is_skipped_and_says_why() -> None:
    cases = [("lost", Lost()), ("a", Random()), ("blind", Blind()), ("fastv", FastV())]
    result = run_bench(AfterShare(0.5, 0.25, layer=0), cases, SIZES, repeats=2)
    assert [timing.case for timing in result.timings] == ["none", "a"]
    assert result.timings[1].macs == 2 * FULL + 2 * CUT
    assert set(result.skipped) == {"lost", "blind", "fastv"}
    assert "needs smell" in result.skipped["lost"] and "picture" in result.skipped["blind"]
    assert "before layer 0" in result.skipped["fastv"]
    for hopeless in ([("blind", Blind())], [("lost", Lost())], []):
        with pytest.raises(StudyError, match="no pruner can be timed"):
            run_bench(AfterShare(0.5, 0.25), hopeless, SIZES, repeats=1)


def test_the_request_is_a_square_picture_amid_text() -> None:
    model = random_model(SIZES)
    request = random_request(model, SIZES)
    assert model.spec.geometry == GEOMETRY and model.tokenizer is None
    assert request.segments.kinds.tolist() == [PROMPT] * 2 + [VISUAL] * 16 + [PROMPT] * 3
    assert request.images.tolist() == [-1] * 2 + [0] * 16 + [-1] * 3
    assert request.embeds.shape == (21, 16) and request.centers.shape == (16, 2)
    assert request.centers[1].tolist() == [0.375, 0.125]
    again = random_request(random_model(SIZES), SIZES)
    assert torch.equal(again.embeds, request.embeds)
    default = Sizes()
    assert (default.visual, default.prompt, default.gen_length, default.steps) == (729, 64, 32, 8)
    assert default.block_length == 32


def test_threads_are_given_back_and_recorded() -> None:
    before = torch.get_num_threads()
    result = run_bench(
        Keep(), [("a", Random())], SIZES, repeats=1, threads=before + 1, dtype="bfloat16"
    )
    assert torch.get_num_threads() == before
    assert (result.setup["threads"], result.setup["dtype"]) == (before + 1, "bfloat16")


def test_json_tells_what_was_done() -> None:
    rows = by_case(
        "--pruner", "random(seed=3)", "--pruner", "divprune", "--share", 0, "--keep", 0.5
    )
    assert list(rows) == ["none", "random(seed=3)", "divprune"]
    row = rows["random(seed=3)"]
    assert row["pruner"] == "random(seed=3)" and rows["none"]["pruner"] is None
    assert row["policy"] == repr(AfterShare(0.0, 0.5)) and len(row["seconds"]) == 2
    assert row["sizes"] | {"width": 16, "side": 4, "block_length": 4} == row["sizes"]
    assert row["speedup_ideal"] == FULL / macs(8, 8, 8)
    assert row["speedup_min"] <= row["speedup"] <= row["speedup_max"]


def test_by_default_all_that_act_at_the_entry_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def picky(strength: float) -> Random:
        """Needs an option."""
        return Random(int(strength))

    monkeypatch.setitem(pruners._factories, "blind", Blind)
    monkeypatch.setitem(pruners._factories, "picky", picky)
    result = invoke(*SMALL)
    assert result.exit_code == 0, result.output
    assert "note: blind is left out: Blind needs a picture" in result.stderr
    assert (
        "note: picky is left out: it needs options, --pruner 'picky(strength=...)'" in result.stderr
    )
    for word in (" divprune ", " random ", "of ideal", "after_share(share=0.5", "16 visual"):
        assert word in result.stdout
    assert "fastv" not in result.output and "warm-up" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_pruners_that_read_attention_are_timed_from_layer_1_on() -> None:
    row = by_case("--pruner", "fastv", "--layer", 1)["fastv"]
    assert row["macs"] == 2 * FULL + macs(16, 4, 4) + CUT


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--width", 18, "--heads", 4), "heads must share the width evenly"),
        (("--layer", 3), "--layer 3: the model has 3 layers, 0 to 2"),
        (("--share", 2), "share=2.0: must lie in [0, 1]"),
        (("--keep", -1), "keep=-1.0: must lie in [0, 1]"),
        (("--pruner", "foo"), "unknown pruner 'foo'; known: "),
        (("--pruner", "random(size=3)"), "has no option 'size'"),
        (("--pruner", "fastv", "--layer", 0), "no pruner can be timed (fastv: "),
        (("--block-length", 3), "gen_length=4 is not divisible by block_length=3"),
        (("--dtype", "int8"), "give float32, bfloat16, float16"),
        (("--device", "tpu"), "no device 'tpu' here"),
    ],
)
def test_wrong_input_is_told_in_one_line(words: tuple[object, ...], message: str) -> None:
    result = invoke(*SMALL, *words)
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0]


@pytest.mark.parametrize("words", [("--repeats", 0), ("--layers", 0), ("--vocab", 1)])
def test_numbers_out_of_range_are_wrong_usage(words: tuple[object, ...]) -> None:
    assert invoke(*words).exit_code == 2


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"vocab": 1}, {"width": 6}, {"side": 1.5}, {"block_length": 5}]
)
def test_sizes_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sizes(**wrong)


def test_the_cost_of_signals_is_a_share_of_the_same_answer() -> None:
    from saccade.backbones.execution.plan_hook import PlanHook
    from saccade.studies.timing.signals import signals_cost

    before = PlanHook.on_attention
    cost = signals_cost(SIZES, repeats=2)
    assert PlanHook.on_attention is before, "nothing is left behind"
    assert list(cost.shares) == ["every layer", "three layers", "every layer, to the picture alone"]
    for row in cost.rows():
        assert 0 < row["least"] <= row["share"] <= row["most"] < 1
    content = json.loads(bench_output(*SMALL, "--signals", "--json"))
    assert [row["measured"] for row in content] == list(cost.shares)
    assert "share of the time" in bench_output(*SMALL, "--signals")


def bench_output(*words: object) -> str:
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["bench", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout
