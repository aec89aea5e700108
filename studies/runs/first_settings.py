"""What every search tries first: the fixed schedules of the published tables, and presets."""

import re
from collections.abc import Iterator
from pathlib import Path

from saccade.backbones.checkpoints.fingerprint import fingerprint
from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.controller.errors import SaccadeError
from saccade.controller.preset_names import find_preset, shipped_presets
from saccade.studies.config.cases import load_study
from saccade.studies.config.study import Case
from saccade.tuning.setting import NOTHING, Setting

CONFIGS = Path(__file__).parent.parent / "configs"
TABLES = {"from-scratch": ("table1", "table3"), "ar-to-diffusion": ("table2", "table3")}
"""Studies of fixed schedules by the origin of the model; an autoregressive one gets the first."""
LEAST_KEPT = 0.5
"""Share of the tokens that a schedule keeps which is tried with commits, too."""
DEPTH = 6
"""Layers of the models that the tables were made on."""
PUBLISHED = {1: 2, 2: 7, 3: 15}
"""Their layers, and the published ones, of 32."""


def first_settings(model: Model, baselines: bool = True) -> dict[str, Setting]:
    """Settings by name; the first is the unpruned model. What the model cannot carry out is left
    out."""
    found: dict[str, Setting] = {"no-op": NOTHING}
    for name, setting in _presets(model):
        if setting not in found.values() and _fits(setting, model):
            found[f"preset {name}"] = setting
    if not baselines:
        return found
    cases = list(_cases(model.spec.origin))
    # Few searches would put a drop in the first step and commits together by themselves.
    gentle = [case for case in cases if _is_gentle(case)]
    for own, commits, more in ((cases, "", ""), (gentle, " + confident_commits()", ", commits")):
        for case in own:
            policy = at_depth(str(case.policy), model.spec.geometry.n_layers)
            setting = Setting.of(policy + commits, case.pruner)
            if setting not in found.values() and _fits(setting, model):
                found[f"{case.name}{more}"] = setting
    return found


def _is_gentle(case: Case) -> bool:
    """Whether it drops at most half of the tokens, or skips layers, in the first step."""
    call = case.policy_call
    if call is None or call.options.get("share", 0) != 0:
        return False
    return call.name == "vtw" or float(str(call.options.get("keep", 1))) >= LEAST_KEPT


def _presets(model: Model) -> Iterator[tuple[str, Setting]]:
    """Shipped presets of this very backbone that are texts alone."""
    own = fingerprint(model.network)
    for name in shipped_presets():
        preset = find_preset(name).preset
        plain = preset.learned is None and preset.positions == "original"
        if plain and preset.backbone.hash == own:
            yield name, Setting.of(preset.policy, preset.pruner)


def _cases(origin: str) -> Iterator[Case]:
    for name in TABLES.get(origin, ("table1", "table3")):
        for case in load_study(CONFIGS / f"{name}.yaml").cases:
            if case.policy is not None:
                yield case


def at_depth(policy: str, n_layers: int) -> str:
    """A schedule of the tables for a model of another depth: the published layer, or its share."""
    if n_layers == DEPTH:
        return policy

    def moved(match: re.Match[str]) -> str:
        layer = int(match[1])
        share = PUBLISHED[layer] / 32 if layer in PUBLISHED else layer / DEPTH
        return f"layer={max(1, round(share * n_layers))}"

    return re.sub(r"\blayer=(\d+)", moved, policy)


def _fits(setting: Setting, model: Model) -> bool:
    try:
        Controller(setting.policy, setting.pruner).check(model.spec)
    except (SaccadeError, ValueError):
        return False
    return True
