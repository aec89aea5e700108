"""Learned models on disk: what is read is what was written, and anything else is refused."""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.controller import LearnedError
from saccade.controller.learned import stored
from saccade.controller.learned.features import FEATURES
from saccade.controller.learned.stored import content_hash, read_learned, write_learned
from saccade.controller.policies import Learned
from tests.controller.learned_files import content, line, random_trees

Change = Callable[[dict[str, Any]], None]


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = content()
    path = write_learned(tmp_path / "learned.json", made)
    model = read_learned(path)
    rows = np.random.default_rng(0).random((5, len(FEATURES)))
    again = read_learned(write_learned(tmp_path / "again.json", made))
    assert np.array_equal(model.risk.risks(rows), again.risk.risks(rows))
    assert path.read_bytes() == (tmp_path / "again.json").read_bytes()
    assert [a.keep for a in model.actions] == [a["keep"] for a in made["actions"]]


def rewritten(path: Path, change: Change, signed: bool) -> Path:
    """A file changed by hand; with its hash made right again if it is `signed`."""
    said = json.loads(path.read_text())
    change(said)
    if signed:
        said["sha256"] = content_hash(said)
    path.write_text(json.dumps(said))
    return path


def _set(*keys: Any, value: Any) -> Change:
    def change(said: dict[str, Any]) -> None:
        place: Any = said
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


TAMPERED: dict[str, Change] = {
    "a leaf": _set("trees", "leaf", 0, 0, value=9.0),
    "a saving": _set("actions", 0, "saved", value=1.0),
    "a hash": _set("sha256", value="0" * 64),
    "no hash": lambda said: said.pop("sha256"),
    "a hash that is none": _set("sha256", value=[1]),
    "another backbone": _set("backbone", "origin", value="ar-to-diffusion"),
    "a key": _set("more", value=1),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_tampered_with_is_refused(name: str, tmp_path: Path) -> None:
    path = write_learned(tmp_path / "learned.json", content())
    with pytest.raises(LearnedError, match="is damaged or was changed after it was written: its"):
        Learned(str(rewritten(path, TAMPERED[name], signed=False)))


WRONG: dict[str, tuple[Change, str]] = {
    "an unknown key": (_set("more", value=1), "more"),
    "code": (_set("kind", value="__import__('os')"), "kind"),
    "another version": (_set("schema", value=2), "has schema 2, and this version reads 1: update"),
    "text for numbers": (_set("slope", value="1"), "slope"),
    "a feature too many": (_set("trees", "feature", 0, 0, value=999), "a feature that is none of"),
    "a feature below": (_set("trees", "feature", 0, 0, value=-2), "trees.feature"),
    "a ragged tree": (_set("trees", "leaf", 0, value=[1.0]), "differ in shape|power of two"),
    "a tree less": (lambda s: s["trees"]["leaf"].pop(), "differ in shape"),
    "no trees": (_set("trees", value=None), "trees or a line"),
    "both": (_set("line", value=line()), "trees or a line"),
    "a fill less": (lambda s: s["fill"].pop(), "one number for each"),
    "no actions": (_set("actions", value=[]), "actions"),
    "an idle action": (_set("actions", 0, value={"keep": 1.0, "saved": 0.5}), "give one"),
    "a keep above": (_set("actions", 0, "keep", value=1.5), "keep"),
    "a layer above": (_set("actions", 0, "skip", value=[6]), "layer 6 is skipped"),
    "no pruner": (_set("pruner", value=None), "pruner is null"),
    "other features": (
        lambda s: s.update(features=["mood", *s["features"][1:]]),
        "has other features .it lacks progress; it also has mood.; learn it again",
    ),
    "features in another order": (
        lambda s: s["features"].reverse(),
        "has other features .in another order.; learn it again",
    ),
    "another ladder": (_set("ladder", value=[0.8, 0.4]), r"has the ladder .0.8, 0.4., and this"),
    "a pruner that is code": (_set("pruner", value="__import__('os').system('x')"), "pruner"),
    "an unknown pruner": (_set("pruner", value="redvtq()"), "redvtp"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_though_its_hash_is_right(name: str, tmp_path: Path) -> None:
    change, message = WRONG[name]
    path = write_learned(tmp_path / "learned.json", content())
    with pytest.raises(LearnedError, match=message) as raised:
        Learned(str(rewritten(path, change, signed=True)))
    assert "saccade learn" in str(raised.value), "it says what to do"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_what_is_cut_off_is_refused(share: float, tmp_path: Path) -> None:
    path = write_learned(tmp_path / "learned.json", content())
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(LearnedError, match="is not JSON, or cut off"):
        read_learned(path)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe\x00", b"null", b"[]", b"3", b'"x"', b"[" * 99_999, b'{"a":' * 99_999, b"\x80\x04K"]
    + [b'{"slope": NaN}', b'{"slope": 1e999}', b'{"a": ' + b"9" * 9999 + b"}", b'{"a": "\\ud800"}'],
)
def test_other_content_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "learned.json"
    path.write_bytes(data)
    with pytest.raises(LearnedError, match=r"the learned model .*learned.json"):
        read_learned(path)


def test_what_is_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LearnedError, match="does not exist; give the learned.json that"):
        read_learned(tmp_path / "nothing.json")
    with pytest.raises(LearnedError, match="is not a regular file"):
        read_learned(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LearnedError, match="is not a regular file"):
        read_learned(tmp_path / "pipe")
    with pytest.raises(LearnedError, match="does not exist|cannot be read"):
        read_learned("a\0b")
    path = write_learned(tmp_path / "learned.json", content())
    monkeypatch.setattr(stored, "LARGEST", 100)
    with pytest.raises(LearnedError, match="has more than 100 bytes"):
        read_learned(path)


def test_nothing_wrong_is_written(tmp_path: Path) -> None:
    with pytest.raises(LearnedError, match="slope"):
        write_learned(tmp_path / "learned.json", content(slope=1e99))
    assert list(tmp_path.iterdir()) == []


BYTES = json.dumps({**content(trees=random_trees(0, 2)), "sha256": "0" * 64}).encode()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(BYTES) - 1), st.binary(min_size=1, max_size=3), st.booleans())
def test_any_damaged_byte_is_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, put: bytes, insert: bool
) -> None:
    """Or makes no difference, as a blank between two values does."""
    path = tmp_path_factory.getbasetemp() / "fuzzed.json"
    whole = write_learned(path, content(trees=random_trees(0, 2))).read_bytes()
    at %= len(whole)
    path.write_bytes(whole[:at] + put + whole[at + (0 if insert else len(put)) :])
    try:
        read_learned(path)
    except LearnedError:
        return
    assert json.loads(path.read_bytes()) == json.loads(whole)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_value_of_any_key_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """With its hash made right, so that nothing but the checks of the content stands in the way;
    what is read predicts."""
    said: Any = copy.deepcopy(content(trees=random_trees(0, 2)))
    place, value = said, data.draw(JSON)
    for _ in range(data.draw(st.integers(0, 3))):
        key = data.draw(st.sampled_from(_keys(place)))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        place = place[key]
    place[data.draw(st.sampled_from(_keys(place)))] = value
    path = tmp_path_factory.getbasetemp() / "any.json"
    try:
        said["sha256"] = content_hash(said)
    except ValueError:
        return  # NaN cannot be written as JSON
    path.write_text(json.dumps(said))
    try:
        own = read_learned(path)
    except LearnedError:
        return
    risks = own.risk.risks(np.random.default_rng(0).random((len(own.actions), len(FEATURES))))
    assert ((risks >= 0) & (risks <= 1)).all()


def _keys(place: Any) -> list[Any]:
    return list(place) if isinstance(place, dict) else list(range(len(place)))
