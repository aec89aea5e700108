"""Whether the code still gives what the committed studies recorded: answers, steps, exact work.

A script for whoever moves code: ``python tests/same_answers.py [--samples 2] [STUDY ...]``. It
answers the first samples of every task again, with every case of the studies, and compares answer,
forwards, multiply-accumulates and visual tokens with the committed records. It exits with 1 if any
differs.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from saccade.backbones.loading import load
from saccade.studies.config.case_controllers import controller_of
from saccade.studies.config.cases import (
    each_model,
    load_study,
    model_slug,
    settings_of,
)
from saccade.studies.config.study import StudyConfig, Unit, plan_units
from saccade.studies.runs.unit_runner import samples_of

STUDIES = Path(__file__).parent.parent / "studies"
NAMES = ("adaptive-core", "table1", "table2", "table3", "modes", "positions", "commits")
SAME = ("answer", "forwards", "macs", "visual_tokens", "prepare_macs")


def recorded(folder: Path) -> dict[tuple[str, str, int, int], dict[str, Any]]:
    """Records of a committed run by case, task, sample and seed."""
    with gzip.open(folder / "records.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = map(json.loads, lines)
        return {(r["case"], r["task"], r["sample"], r.get("seed", 0)): r for r in records}


def first_units(config: StudyConfig) -> Iterator[Unit]:
    """The first unit of every task."""
    return (unit for unit in plan_units(config) if unit.number == 0)


def differences(name: str, n_samples: int) -> Iterator[tuple[bool, str]]:
    """Whether each answer that is given again is as it was, and what differs."""
    study = load_study(STUDIES / "configs" / f"{name}.yaml")
    for config in each_model(study):
        folder = STUDIES / "results" / name
        known = recorded(folder / model_slug(config.model) if study.models else folder)
        model = load(config.model)
        for unit in first_units(config):
            task = config.task_of(unit.task)
            samples = samples_of(config, task, unit)[:n_samples]
            for case in config.cases:
                controller = controller_of(case, config, unit.task)
                options = settings_of(case, task, model.family.settings)
                outs = model.generate(
                    [s.question for s in samples],
                    [s.images for s in samples],
                    controller=controller,
                    seed=unit.seed + unit.samples[0],
                    **options,
                )
                for sample, out in zip(samples, outs, strict=True):
                    before = known.get((case.name, unit.task, sample.index, unit.seed))
                    where = f"{name}, {config.model}, {unit.task} {sample.index}, {case.name}"
                    if before is None:
                        yield False, f"{where}: nothing was recorded"
                        continue
                    now = {
                        "answer": out.text,
                        **{field: getattr(out.trace, field) for field in SAME[1:]},
                    }
                    changed = [f for f in SAME if now[f] != before[f]]
                    told = "; ".join(f"{f}: {before[f]!r} -> {now[f]!r}" for f in changed)
                    yield not changed, f"{where}: {told}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", default=NAMES)
    parser.add_argument("--samples", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    same = total = 0
    for name in given.studies:
        for equal, told in differences(name, given.samples):
            same, total = same + equal, total + 1
            if not equal:
                sys.stdout.write(told + "\n")
    sys.stdout.write(f"{same} of {total} answers are as they were\n")
    return int(same < total)


if __name__ == "__main__":
    sys.exit(main())
