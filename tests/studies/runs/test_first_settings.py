"""What every search tries first."""

import pytest

from saccade.backbones import load
from saccade.controller.preset_names import find_preset, shipped_presets
from saccade.studies.config.cases import load_study
from saccade.studies.runs.first_settings import CONFIGS, at_depth, first_settings
from saccade.tuning.setting import NOTHING, Setting


@pytest.mark.parametrize(
    ("name", "tables"),
    [("llada-v", ("table1", "table3")), ("lavida-dream", ("table2", "table3"))],
)
def test_no_op_then_presets_then_every_fixed_schedule_of_the_tables(
    name: str, tables: tuple[str, ...]
) -> None:
    found = first_settings(load(f"embedded/{name}"))
    assert next(iter(found.items())) == ("no-op", NOTHING)
    for table in tables:
        for case in load_study(CONFIGS / f"{table}.yaml").cases:
            if case.policy is not None:
                assert Setting.of(case.policy, case.pruner) in found.values(), case.name
    own = [p for p in shipped_presets() if p.startswith(f"embedded/{name}/")]
    assert own
    for preset in own:
        made = find_preset(preset).preset
        assert Setting.of(made.policy, made.pruner) in found.values()


def test_gentle_drops_in_the_first_step_are_tried_with_commits_too() -> None:
    found = first_settings(load("embedded/llada-v"))
    commits = [name for name in found if name.endswith(", commits")]
    assert "FastV, keep 50 %, commits" in commits and "VTW, searched, commits" in commits
    assert not any("after" in name or "25 %" in name or "10 %" in name for name in commits)
    assert list(found)[-len(commits) :] == commits, "after the schedules themselves"
    assert found["FastV, keep 50 %, commits"] == Setting.of(
        f"{found['FastV, keep 50 %'].policy} + confident_commits()",
        found["FastV, keep 50 %"].pruner,
    )


def test_layers_of_another_depth_are_the_published_ones() -> None:
    for given, published in ((1, 2), (2, 7), (3, 15)):
        text = f"after_share(share=0.0, keep=0.5, layer={given})"
        assert f"layer={published})" in at_depth(text, 32)
        assert at_depth(text, 6) == text
    assert at_depth("vtw(layer=4)", 12) == "vtw(layer=8)"


def test_without_baselines_no_schedule_of_the_tables_is_tried() -> None:
    found = first_settings(load("embedded/llada-v"), baselines=False)
    assert all(name == "no-op" or name.startswith("preset ") for name in found)
