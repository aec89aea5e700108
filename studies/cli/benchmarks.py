"""``saccade study run --lmms``: a study over published benchmarks, from the command line."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from saccade.studies.cli.configs import find_config
from saccade.studies.cli.consoles import err, note
from saccade.studies.cli.inputs import check_device
from saccade.studies.cli.progress import Steps

if TYPE_CHECKING:
    from saccade.studies.lmms.config import LmmsStudy
    from saccade.studies.lmms.judge import Judge

BENCHMARKS = "With --lmms"
FOLDER = "lmms"
"""Folder of the shipped studies over benchmarks."""

Ray = Annotated[
    str | None,
    Option(
        "--ray",
        help="Run cases and tasks side by side on the cluster of Ray at this address (auto: this "
        "machine's), or start one here: local.",
        rich_help_panel=BENCHMARKS,
    ),
]
JudgeUrl = Annotated[
    str | None,
    Option(
        "--judge-url",
        help="OpenAI-compatible endpoint that scores video captions, such as http://HOST/v1; its "
        "key: the variable OPENAI_API_KEY.",
        rich_help_panel=BENCHMARKS,
    ),
]
JudgeModel = Annotated[
    str | None, Option("--judge-model", help="Name of the judge there.", rich_help_panel=BENCHMARKS)
]
JudgeCalls = Annotated[
    int | None,
    Option(
        "--judge-calls",
        help="The most calls of the judge in this run. Default: as many as it takes.",
        min=1,
        rich_help_panel=BENCHMARKS,
    ),
]


@dataclass(frozen=True, slots=True)
class Finished:
    """What there is to show of a study over benchmarks: folders with records, and failures."""

    shown: list[Path]
    failed: list[str]

    def tell(self) -> None:
        """Say what failed; exits with 1 if something did."""
        for problem in self.failed:
            note(problem)
        if self.failed:
            note("the same command goes on with what is missing")
            raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """What was asked for on the command line."""

    config: str
    folder: Path | None
    models: tuple[str, ...]
    samples: int | None
    jobs: int
    device: str | None
    dtype: str | None
    ray: str | None
    judge_url: str | None
    judge_model: str | None
    judge_calls: int | None

    def refuse(self, **others: Any) -> None:
        """Raise `ValueError` for options that studies over benchmarks have not."""
        given = [name for name, value in others.items() if value]
        if given:
            raise ValueError(f"--{given[0]} does not go with --lmms; leave it out")

    def refuse_without(self) -> None:
        """Raise `ValueError` for options that go with ``--lmms`` alone."""
        for name in ("ray", "judge_url", "judge_model", "judge_calls"):
            if getattr(self, name) is not None:
                raise ValueError(f"--{name.replace('_', '-')} goes with --lmms; give both")

    def run(self) -> Finished:
        """Run the study as far as it goes."""
        _check_installed()
        from saccade.studies.lmms.cells import How
        from saccade.studies.lmms.run import run_lmms_study

        study = self._study()
        name = re.sub(r"[^\w .+-]+", "-", study.name).strip(" .-") or "study"
        out = self.folder or Path("runs") / f"{name}-lmms"
        cells = sum(len(study.on(model)) * len(study.tasks) for model in study.models)
        takes = "" if study.takes is None or self.samples else f", about {study.takes}"
        note(f"{study.name}: {cells} cases on tasks{takes}; what is answered is kept if you stop")
        device = None if self.device is None else str(check_device(self.device))
        try:
            with Steps(err()) as bar:
                outcome = run_lmms_study(
                    study,
                    out,
                    lambda done, total, label: bar.update(done, total, label),
                    dtype=self.dtype,
                    how=How(self.jobs, device),
                    judge=self._judge(),
                    ray=self.ray,
                )
        except KeyboardInterrupt:
            note(f"interrupted; to go on: {shlex.join(self._again(out))}")
            raise typer.Exit(130) from None
        shown = [out] if outcome.finished else []
        if not shown:
            note(f"no task has been answered by all cases yet; see the logs below {out}")
        return Finished(shown, outcome.failed)

    def _study(self) -> "LmmsStudy":
        from saccade.studies.lmms.config import load_lmms_study

        study = load_lmms_study(find_config(self.config, FOLDER))
        changes: dict[str, Any] = {"models": self.models} if self.models else {}
        if self.models and not set(self.models) <= set(study.models):  # all cases run on others
            cases = [case.model_copy(update={"models": ()}) for case in study.cases]
            changes["cases"] = tuple(cases)
        if self.samples is not None:
            changes["limit"] = self.samples
        return study.model_copy(update=changes)

    def _judge(self) -> "Judge | None":
        from saccade.studies.lmms.judge import Judge

        if self.judge_url is None and self.judge_model is None:
            if self.judge_calls is not None:
                raise ValueError("--judge-calls needs --judge-url and --judge-model")
            return None
        if self.judge_url is None or self.judge_model is None:
            raise ValueError("give --judge-url and --judge-model, or neither")
        return Judge(self.judge_url, self.judge_model, self.judge_calls)

    def _again(self, out: Path) -> list[str]:
        parts = ["saccade", "study", "run", self.config, "--lmms", "--out", str(out)]
        parts += [part for name in self.models for part in ("--model", name)]
        for name in (
            "samples", "device", "dtype", "ray", "judge_url", "judge_model", "judge_calls"
        ):  # fmt: skip
            value = getattr(self, name)
            parts += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
        return parts + ([] if self.jobs == 1 else ["--jobs", str(self.jobs)])


def _check_installed() -> None:
    """Raise `ImportError` that names the extra where lmms-eval is missing."""
    from importlib.util import find_spec

    if find_spec("lmms_eval") is None:
        raise ImportError("--lmms needs lmms-eval; pip install 'saccade-dmllm[lmms]'")
