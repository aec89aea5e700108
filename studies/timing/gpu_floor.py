"""What a step takes at published sizes, and the least that it could: a script for a GPU.

``python -m saccade.studies.timing.gpu_floor --shape llada-v-8b --json FILE``. Answers mean nothing,
as weights are random. In every repeat each case answers once with each kind of attention, in
changing order; a repeat's times are compared with each other only. The floor comes from the rate of
multiply-accumulates and the bandwidth measured in the same run. It ends with 1 if in float32 the
device gives other answers than the CPU.
"""

import argparse
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from saccade.backbones.checkpoints.placing import check_there, place
from saccade.backbones.loading import embedded_models, resolve
from saccade.backbones.model import Model
from saccade.backbones.network.attend import check_attention
from saccade.controller.controller import Controller
from saccade.controller.errors import SaccadeError
from saccade.controller.names import not_allowed
from saccade.controller.trace import Generation
from saccade.studies.analysis.paired import paired_speedup
from saccade.studies.runs.attention_kernel import attention_kernel
from saccade.studies.runs.unit_runner import case_order
from saccade.studies.timing.clock import timed
from saccade.studies.timing.rates import Rates, measured_rates
from saccade.studies.timing.same_on_devices import compared_devices
from saccade.studies.timing.shapes import (
    SHAPES,
    Shape,
    check_room,
    shaped_model,
    shaped_request,
    with_attention,
)

BARE, PRUNER = "bare", "random"
"""The case that all are compared with; what chooses tokens at no cost worth naming."""
REPEATS = 5
DTYPES = ("bfloat16", "float16", "float32")


@dataclass(frozen=True, slots=True)
class Case:
    """One way to answer.

    Attributes
    ----------
    name : str
    policy : str or None
    options : mapping
        Of `generate`, in addition to those of the shape.
    """

    name: str
    policy: str | None
    options: Mapping[str, Any]

    def controller(self) -> Controller | None:
        """What carries the policy out, and measures nothing that it does not read."""
        if self.policy is None:
            return None
        return Controller(self.policy, PRUNER, probe="needed")


def cases_of(shape: Shape) -> tuple[Case, ...]:
    """The cases of a shape.

    Layer-skipping lets visual tokens skip the second half of the layers. No token of random weights
    is certain, so that the last case commits nothing more: its step shows what looking costs.
    """
    policy, options = (
        (shape.refreshing, {}) if isinstance(shape.refreshing, str) else (None, shape.refreshing)
    )
    n = shape.geometry.n_layers
    return (
        Case(BARE, None, {}),
        Case("prefix refresh", policy, options),
        Case("keep 25 % after half", "after_share(0.5, keep=0.25)", {}),
        Case("layer-skip", f"layer_skip(layers={tuple(range(n // 2, n))})", {}),
        Case("commits", "confident_commits(1.0)", {}),
    )


def measure(
    shape: Shape,
    device: torch.device,
    dtype: torch.dtype,
    kernels: Sequence[str],
    repeats: int = REPEATS,
) -> dict[str, Any]:
    """Time every case with every kernel on one model.

    Returns
    -------
    dict
        ``rows``, one for every case and kernel: ``speedup`` over the bare model with the first
        kernel (geometric mean over repeats) with its 95 % interval, seconds of a step, the least
        that a step of its own work could take, and their ratio; and ``setup``.
    """
    check_room(shape, device, dtype)
    rates = measured_rates(device, dtype)
    model = shaped_model(shape, device, dtype)
    models = {kernel: with_attention(model, shape, kernel) for kernel in kernels}
    runs = [(kernel, case) for kernel in kernels for case in cases_of(shape)]
    seconds: list[dict[int, float]] = [{} for _ in runs]
    outs = [_answer(models[kernel], shape, case)[0] for kernel, case in runs]
    for repeat in range(repeats):
        for number in case_order(len(runs), repeat):
            kernel, case = runs[number]
            seconds[number][repeat] = _answer(models[kernel], shape, case)[1]
    read = _read_in_a_step(model)
    rows = [
        {"case": case.name, "attention": kernel, **_row(out, own, seconds[0], rates, read)}
        for (kernel, case), out, own in zip(runs, outs, seconds, strict=True)
    ]
    setup = _setup(model, shape, kernels) | {"rates": asdict(rates), "bytes_of_a_step": read}
    return {"rows": rows, "setup": setup}


def _answer(model: Model, shape: Shape, case: Case) -> tuple[Generation, float]:
    """One answer, and its seconds; what it is asked is prepared before."""
    inputs, options = shaped_request(model, shape), shape.options | dict(case.options)
    work = partial(model.generate, inputs=inputs, controller=case.controller(), seed=0, **options)
    return timed(work, model.device)


def _row(
    out: Generation,
    seconds: Mapping[int, float],
    bare: Mapping[int, float],
    rates: Rates,
    read: int,
) -> dict[str, Any]:
    steps, macs = out.trace.forwards, out.trace.macs
    speedup, low, high = paired_speedup(bare, seconds)
    took = sum(seconds.values()) / len(seconds) / steps
    floor = sum(rates.floor(step.macs, read) for step in out.trace.steps) / steps
    return {
        "speedup": speedup,
        "speedup_low": None if low != low else low,  # NaN of one repeat, which JSON does not know
        "speedup_high": None if high != high else high,
        "seconds_of_a_step": took,
        "floor_of_a_step": floor,
        "share_of_floor": floor / took,
        "steps": steps,
        "macs": macs,
        "seconds": list(seconds.values()),
    }


def _read_in_a_step(model: Model) -> int:
    """Bytes of the weights that every step reads: those of layers and head."""
    parts = (model.network.model.layers, model.network.lm_head)
    return sum(p.numel() * p.element_size() for part in parts for p in part.parameters())


def _setup(model: Model, shape: Shape, kernels: Sequence[str]) -> dict[str, Any]:
    request, device = shaped_request(model, shape), model.device
    dtype = model.network.lm_head.weight.dtype
    geometry = model.spec.geometry
    return {
        "geometry": asdict(geometry),
        "visual_tokens": len(request.visual_positions),
        "prompt_tokens": len(request),
        "options": shape.options,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "dtype": str(dtype).removeprefix("torch."),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "attention": [attention_kernel(geometry, device, dtype, kernel) for kernel in kernels],
    }


def usable_kernels(
    asked: Sequence[str] | None, shape: Shape, device: torch.device, dtype: torch.dtype
) -> tuple[list[str], dict[str, str]]:
    """Kernels that are timed; and why "flash" is left out, where it was not asked for by name."""
    width = shape.language.head_dim
    for kernel in asked or ():
        check_attention(kernel, device, dtype, width)
    if asked:
        return list(dict.fromkeys(asked)), {}
    try:
        check_attention("flash", device, dtype, width)
    except (ValueError, ImportError) as error:
        return ["sdpa"], {"flash": str(error)}
    return ["sdpa", "flash"], {}


def main(words: Sequence[str] | None = None) -> int:
    """Measure, compare, write, and say it in a few lines."""
    given = _parser().parse_args(words)
    try:
        result = _run(given)
    except (SaccadeError, ValueError, ImportError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", "utf-8")
    sys.stdout.write("\n".join(_said(result)) + "\n")
    return int(any(own["different_tokens"] for own in result["same_answers"]))


def _run(given: argparse.Namespace) -> dict[str, Any]:
    names = given.model or embedded_models()
    _check(given, names)
    device, shape = place(given.device), SHAPES[given.shape]
    check_there(device)
    dtype = getattr(torch, given.dtype or ("bfloat16" if device.type == "cuda" else "float32"))
    kernels, left_out = usable_kernels(given.attention, shape, device, dtype)
    measured = measure(shape, device, dtype, kernels, given.repeats)
    same = [compared_devices(name, device) for name in names]
    return {"shape": given.shape, **measured, "left_out": left_out, "same_answers": same}


def _check(given: argparse.Namespace, names: Sequence[str]) -> None:
    """Raise `ValueError` or `SaccadeError` for what would fail after minutes of measuring."""
    for name, value, known in (("shape", given.shape, SHAPES), ("dtype", given.dtype, DTYPES)):
        if value is not None and value not in known:
            raise ValueError(not_allowed(name, value, known))
    if given.repeats < 1:
        raise ValueError(f"repeats={given.repeats}; give a whole number from 1")
    file = given.json
    if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
        raise ValueError(f"--json {file}: give a file in a folder that is there")
    for name in names:
        resolve(name)


def _said(result: Mapping[str, Any]) -> list[str]:
    """The result in lines, ratios first."""
    setup = result["setup"]
    rates = setup["rates"]
    lines = [
        f"{row['case']}, {row['attention']}: {row['speedup']:.2f}x as fast as {BARE}, "
        f"{1e3 * row['seconds_of_a_step']:.2f} ms a step, of which the floor is "
        f"{row['share_of_floor']:.0%}"
        for row in result["rows"]
    ]
    lines += [f"{name} is left out: {reason}" for name, reason in result["left_out"].items()]
    lines += [
        f"{own['model']}: {own['different_tokens']} of {own['tokens']} tokens differ from the CPU's"
        for own in result["same_answers"]
    ]
    return [
        *lines,
        f"{result['shape']}, {setup['dtype']} on {setup['device']}: measured "
        f"{rates['macs'] / 1e12:.2f} T multiply-accumulates/s, {rates['bandwidth'] / 1e9:.0f} GB/s",
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu_floor", description=__doc__)
    parser.add_argument("--shape", default="llada-v-8b", help=", ".join(SHAPES))
    parser.add_argument("--device", help="cpu, cuda, cuda:1; default: a GPU if any")
    parser.add_argument("--dtype", help="default: bfloat16 on a GPU, float32 on a CPU")
    parser.add_argument("--attention", nargs="+", help="default: sdpa, and flash where it runs")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument(
        "--model",
        action="append",
        help="checkpoint whose answers on the device and on the CPU are compared in float32; may "
        "be repeated; default: the embedded ones",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
