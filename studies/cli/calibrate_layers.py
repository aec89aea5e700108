"""``saccade calibrate layer-skip``: layers that visual tokens can skip, searched and re-checked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from rich.table import Table
from typer import Option

from saccade.studies.cli.calibrate_inputs import (
    OWN_LENGTH,
    AsJson,
    Images,
    Length,
    ModelName,
    Question,
    check_own,
    own_requests,
    task_named,
)
from saccade.studies.cli.consoles import emit, err, note, out
from saccade.studies.cli.inputs import load_model
from saccade.studies.cli.progress import Steps

if TYPE_CHECKING:
    from saccade.backbones import Model
    from saccade.controller import Generation
    from saccade.studies.tasks import Sample, Task
    from saccade.tuning.layer_skip import Kind, SkipSearch
    from saccade.tuning.recheck import Exam, Recheck

LONG = 32
"""Response tokens from which on a kind of documents is asked about unless others are named."""
OWN = "your pictures"


def layer_skip(
    model: ModelName = "embedded/llada-v",
    task: Annotated[
        list[str] | None,
        Option(
            "--task",
            "--kind",
            help="Kind of documents, or an installed task; may be repeated. Default: all kinds "
            "with long answers.",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[int, Option(help="How many documents of every kind.", min=1)] = 16,
    check: Annotated[
        int,
        Option(help="How many others of every kind the layers are re-checked on; 0: none.", min=0),
    ] = 40,
    image: Images = None,
    prompt: Question = None,
    length: Length = None,
    limit: Annotated[
        float, Option(help="Largest divergence that counts as the same prediction, in nats.", min=0)
    ] = 0.01,
    loss: Annotated[
        float,
        Option(help="Largest share of a kind's score that is lost in the re-check.", min=0, max=1),
    ] = 0.01,
    as_json: AsJson = False,
) -> None:
    """Search layers that visual tokens can skip.

    Every layer is skipped alone, and the prediction of the first step compared with the full one;
    then, from the least harmful on, layers are skipped together while the mean divergence of every
    kind stays within --limit.

    What is found is re-checked: whole answers to questions that the search did not use, with all of
    these layers skipped at once. While a kind loses more than --loss of its score, the costliest
    layer is given up. The result is used as --policy 'layer_skip(layers=(4, 5))' or
    'auto(layers=(4, 5))'. Of pictures of your own, the first half is searched and the rest
    re-checked, by the share of tokens that stay the same.
    """
    from saccade.tuning.layer_skip import find_shared_layers
    from saccade.tuning.recheck import recheck

    check_own(image, prompt)
    asked = [] if image else [task_named(name, samples, "--task") for name in _names(task)]
    own = load_model(model)
    note("preparing")
    kinds, exams = (
        _own_kinds(own, image, prompt, length, check)
        if image and prompt
        else _kinds(own, asked, samples, check, length)
    )
    with Steps(err()) as bar:
        found = find_shared_layers(
            own, kinds, limit=limit, progress=lambda done, of: bar.update(done, of, "forwards")
        )
        checks = (
            recheck(
                own,
                found.layers,
                found.divergence,
                exams,
                allowed=loss,
                progress=lambda done, of: bar.update(done, of, "answers", "re-check:"),
            )
            if exams
            else []
        )
    passed = checks[-1].passed if checks else not exams
    layers = (checks[-1].layers if checks else found.layers) if passed else ()
    searches = found.by_kind or dict.fromkeys(kinds, found)
    if as_json:
        counts = {"samples": len(next(iter(kinds.values())).inputs), "loss": loss}
        emit(_json(layers, found, searches, checks) | counts)
        return
    _show(found, searches, checks, out())
    _advise(own, layers, found, bool(exams))


def _names(given: Sequence[str] | None) -> list[str]:
    """Names of the kinds that are asked about."""
    from saccade.studies.tasks.documents import KINDS

    long = [name for name, kind in KINDS.items() if kind.gen_length >= LONG]
    return list(dict.fromkeys(given or long))


def _kinds(
    model: "Model", asked: "Sequence[Task]", samples: int, check: int, length: int | None
) -> "tuple[dict[str, Kind], dict[str, Exam]]":
    """Documents to search with, and others to re-check with."""
    from saccade.tuning.layer_skip import Kind

    kinds, exams = {}, {}
    for task in asked:
        rest = _left(task, samples, check)
        found = task.samples(range(samples + rest), split="train")
        inputs = [model.prepare(sample.question, sample.images) for sample in found]
        kinds[task.name] = Kind(inputs[:samples], length or task.gen_length)
        if rest:
            lengths = (task.gen_length, task.block_length, task.steps)
            lengths = lengths if length is None else (length, length, max(1, length // 2))
            exams[task.name] = _exam(model, found[samples:], inputs[samples:], lengths)
    return kinds, exams


def _left(task: "Task", samples: int, check: int) -> int:
    """Samples of a task that a re-check can have, of those that it should."""
    there = check if task.n_samples is None else min(check, task.n_samples - samples)
    if there < check:
        note(f"{task.name} has {task.n_samples} samples: {there} are left for the re-check")
    return there


def _exam(
    model: "Model", found: "Sequence[Sample]", inputs: Sequence[Any], lengths: tuple[int, int, int]
) -> "Exam":
    from saccade.tuning.recheck import Exam

    def score(number: int, answer: "Generation", bare: "Generation") -> float:
        return found[number].score(answer.text or "").score

    return Exam(inputs, model.family.settings.for_lengths(*lengths), score)


def _own_kinds(
    model: "Model", images: Sequence[Path], prompt: str, length: int | None, check: int
) -> "tuple[dict[str, Kind], dict[str, Exam]]":
    """The user's pictures: half of them to search with, the others to re-check with."""
    from saccade.tuning.layer_skip import Kind
    from saccade.tuning.recheck import Exam

    inputs, length = own_requests(model, images, prompt), length or OWN_LENGTH
    first = len(inputs) if not check else (len(inputs) + 1) // 2
    rest = inputs[first:]
    if check and not rest:
        note("one picture leaves none for a re-check; give two or more")
    settings = model.family.settings.for_lengths(length, length, max(1, length // 2))
    exams = {OWN: Exam(rest, settings, same_tokens)} if rest else {}
    return {OWN: Kind(inputs[:first], length)}, exams


def same_tokens(number: int, answer: "Generation", bare: "Generation") -> float:
    """Share of the places in which an answer has the bare model's token."""
    longest = max(len(answer.tokens), len(bare.tokens))
    same = sum(a == b for a, b in zip(answer.tokens, bare.tokens, strict=False))
    return same / longest if longest else 1.0


def _json(
    layers: tuple[int, ...],
    found: "SkipSearch",
    searches: "Mapping[str, SkipSearch]",
    checks: "Sequence[Recheck]",
) -> dict[str, Any]:
    return {
        "layers": list(layers),
        "searched": list(found.layers),
        "limit": found.limit,
        **_divergences(found),
        "kinds": {
            name: {"layers": list(own.layers), **_divergences(own)}
            for name, own in searches.items()
        },
        "checks": [
            {
                "layers": list(one.layers),
                "passed": one.passed,
                "kinds": {
                    name: {
                        "bare": own.bare,
                        "skipped": own.skipped,
                        "loss": own.loss,
                        "change_error": own.error,
                    }
                    for name, own in one.marks.items()
                },
            }
            for one in checks
        ],
    }


def _divergences(found: "SkipSearch") -> dict[str, Any]:
    return {
        "alone": [{"layer": i, "divergence": v} for i, v in enumerate(found.divergence)],
        "together": [{"layers": list(layers), "divergence": v} for layers, v in found.steps],
    }


def _show(
    found: "SkipSearch",
    searches: "Mapping[str, SkipSearch]",
    checks: "Sequence[Recheck]",
    console: Console,
) -> None:
    names = [f"{name} (nats)" for name in searches]
    table = Table("layers skipped", *names, box=None, header_style="bold")
    for layer in range(len(found.divergence)):
        table.add_row(str(layer), *(f"{own.divergence[layer]:.6f}" for own in searches.values()))
    for number, (layers, _) in enumerate(found.steps):
        cells = [f"{own.steps[number][1]:.6f}" for own in searches.values()]
        style = "bold" if layers == found.layers else None
        if len(layers) > 1:
            table.add_row(_words(layers), *cells, style=style)
    console.print(table)
    if not checks:
        return
    names = [f"{name}: bare, skipped, lost" for name in searches]
    again = Table("re-checked together", *names, "", box=None, header_style="bold")
    for one in checks:
        cells = [
            f"{own.bare:.3f}, {own.skipped:.3f} ± {own.error:.3f}, {100 * own.loss:.1f} %"
            for own in one.marks.values()
        ]
        again.add_row(_words(one.layers), *cells, "passed" if one.passed else "too much")
    console.print()
    console.print(again)


def _words(layers: Sequence[int]) -> str:
    return ", ".join(map(str, layers))


def _advise(model: "Model", layers: tuple[int, ...], found: "SkipSearch", rechecked: bool) -> None:
    """Say how the layers are used, or that there are none."""
    from saccade.controller import Auto, LayerSkip

    if layers:
        auto = "" if model.spec.origin == "autoregressive" else f", or {Auto(layers=layers)}"
        note(f"use --policy '{LayerSkip(layers=layers)}'{auto}")
    elif found.layers:
        note(f"layers {_words(found.layers)} fail the re-check, each alone too: skip none")
    else:
        note(f"no layer is within limit={found.limit}: give a larger --limit, or skip none")
    if layers and not rechecked:
        note("these layers are not re-checked in whole answers")
