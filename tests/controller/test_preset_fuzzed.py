"""Presets of any content are read or refused, and nothing else comes of them."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saccade.controller import Preset, PresetError
from tests.controller.presets import certificate, content

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


KEYS = sorted(content())


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4))
def test_any_json_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        own = Preset.load_text(content(**changes), "here")
    except PresetError:
        return
    assert Preset.load_text(own.model_dump(mode="json", by_alias=True), "here") == own
    own.controller()


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_damage_to_a_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = bytearray(
        json.dumps(content(certificate=json.loads(certificate().model_dump_json()))).encode()
    )
    for _ in range(data.draw(st.integers(1, 5))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "fuzzed.json"
    file.write_bytes(bytes(text[: data.draw(st.integers(0, len(text)))]))
    try:
        Preset.read(file).controller()
    except PresetError:
        pass


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="auto()=.,'+-*/_[]{}0123456789 \\n", max_size=60))
def test_any_policy_is_read_or_refused(policy: str) -> None:
    try:
        Preset.load_text(content(policy=policy), "here")
    except PresetError:
        pass
