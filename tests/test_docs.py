"""The examples of the documentation are what the program takes."""

import json
import re
from pathlib import Path

import yaml

from saccade.studies.config.cases import load_study
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.tasks.metrics import metrics
from saccade.studies.tasks.question_files import QuestionFile
from tests.tiny import fake_page

STUDIES = (Path(__file__).parent.parent / "docs" / "studies.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", STUDIES, re.DOTALL)


def keys_of(heading: str) -> set[str]:
    """Names in the first column of a table."""
    table = STUDIES.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    first = [line.split("|")[1] for line in table.splitlines()[2:]]
    return {name for cell in first for name in re.findall(r"`(\w+)`", cell)}


def test_the_study_of_the_page_loads(tmp_path: Path) -> None:
    whole, part = blocks("yaml")
    path = tmp_path / "mine.yaml"
    path.write_text(whole, encoding="utf-8")
    study = load_study(path)
    assert study.takes == "an hour on two cores" and len(study.cases) == 3
    for name in ("pages/1.png", "a.jpg", "b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        fake_page().save(tmp_path / name)
    (tmp_path / "receipts.jsonl").write_text(blocks("json")[0], encoding="utf-8")
    content = yaml.safe_load(whole) | yaml.safe_load(part) | {"samples": 2}
    path.write_text(json.dumps(content), encoding="utf-8")
    first, second = load_study(path).task_of("receipts").samples([0, 1])
    assert len(first.images) == 1 and len(second.images) == 2
    assert first.score("12.50").score == 1 and second.score("the first").score == 1


def test_its_tables_name_every_key() -> None:
    assert keys_of("key of a study") == set(StudyConfig.model_fields) - {"grown", "folder", "sizes"}
    assert keys_of("key of a case") == set(Case.model_fields)
    assert keys_of("key of a benchmark") == set(QuestionFile.model_fields)
    listed = STUDIES.split("| `metric` |", 1)[1].split("\n", 1)[0]
    ours = {"exact", "contains", "relaxed", "anls", "choice"}
    assert all(f"`{name}`" in listed for name in ours) and ours <= set(metrics)
