"""Settings and controller of ``saccade generate``: as typed, or as a preset has them."""

from typing import TYPE_CHECKING, Any

from saccade.studies.cli.consoles import note, warn
from saccade.studies.cli.inputs import model_family

if TYPE_CHECKING:
    from saccade.backbones import Model
    from saccade.controller import Controller, Preset

DEFAULT_PRUNER = "divprune"
LENGTHS = ("gen_length", "block_length", "steps")


def length_settings(model: str, revision: str | None, typed: dict[str, Any]) -> dict[str, Any]:
    """What was typed, and lengths in the model's own words for what was not."""
    length = typed.get("gen_length", 64)
    block = typed.get("block_length", length)
    steps = typed.get("steps", max(1, length // block) * max(1, block // 2))
    return model_family(model, revision).settings.for_lengths(length, block, steps) | typed


def typed_controller(
    policy_text: str, pruner_text: str | None, layers: Any, positions: Any, tokens: bool
) -> "Controller":
    """The controller of a policy and a pruner that were typed; notes what chooses tokens."""
    from saccade.controller import Controller, parse_policy, parse_pruner
    from saccade.controller.expressions import is_none

    # Without a controller nothing would be measured: `none` is `Keep`, which shows the signals.
    policy = parse_policy(policy_text)
    drops = policy.drops_ahead
    chooses = drops is None or any(drop.keep > 0 for drop in drops)
    wished = policy.default_pruner is not None
    wanted = DEFAULT_PRUNER if pruner_text is None and chooses and not wished else pruner_text
    pruner = None if wanted is None or is_none(wanted) else parse_pruner(wanted)
    if pruner_text is None and wanted == DEFAULT_PRUNER:
        note(f"no --pruner given: {DEFAULT_PRUNER} chooses which visual tokens stay")
    elif pruner is not None and pruner_text is not None and not chooses and not wished:
        what = "all" if drops else "nothing"
        note(f"the policy {policy_text} drops {what}, so the pruner is never asked")
    where: Any = "original" if positions is None else positions
    return Controller(policy, pruner, probe=layers, positions=where, tokens=tokens)


def refuse_beside_preset(policy: str | None, pruner: str | None, positions: str | None) -> None:
    """Raise `ValueError` for options that a preset decides."""
    given = {"--policy": policy, "--pruner": pruner, "--positions": positions}
    typed = [name for name, value in given.items() if value is not None]
    if typed:
        raise ValueError(
            f"{', '.join(typed)} beside --preset, which has its own: give one or the other; "
            "saccade presets show prints what a preset has"
        )


def preset_controller(preset: str, layers: Any, tokens: bool) -> "Controller":
    """The controller of a preset that was typed."""
    from saccade.controller import Controller

    return Controller.from_preset(preset, probe=layers, tokens=tokens)


def promised(controller: "Controller") -> "Preset":
    """The preset of a controller that was made from one."""
    assert controller.promise is not None
    return controller.promise.preset


def preset_model(preset: "Preset") -> str:
    """The embedded model of a preset. Others are to be typed: a file that somebody shared must not
    decide what is loaded.

    Raises
    ------
    ValueError
    """
    from saccade.backbones.loading import embedded_models

    if preset.backbone.name in embedded_models():
        return preset.backbone.name
    raise ValueError(
        f"the preset {preset.name!r} was made on {preset.backbone.name}: give it as --model"
    )


def preset_settings(
    preset: "Preset", model: str, revision: str | None, typed: dict[str, Any]
) -> dict[str, Any]:
    """The preset's settings, but for those that were typed; the length of an answer replaces all
    that depend on it."""
    own = dict(preset.generation)
    if not own or "gen_length" in typed:
        kept = {name: value for name, value in own.items() if name not in LENGTHS}
        return kept | length_settings(model, revision, typed)
    return own | typed


def warn_on_other_terms(controller: "Controller", model: "Model", settings: Any) -> None:
    """Warn where a preset's figures do not hold; the log then does not say so again."""
    from saccade.backbones.checkpoints.promised import differences

    promise = controller.promise
    if promise is None or promise.told:
        return
    found = differences(promise, model, settings)
    if found:
        promise.told = True
        warn(promise.sentence(found))


def check_known(question: str, settings: dict[str, Any]) -> None:
    """Note a question that embedded models do not know, or lengths that are not those they know."""
    from saccade.studies.tasks.documents import EXAMPLES, KINDS, kind_of

    kind = kind_of(question)
    if kind is None:
        known = "; ".join(EXAMPLES.values())
        note(
            "the embedded models know these questions alone, about any row or digit, and about "
            f"pages of saccade page: {known}"
        )
        return
    task, length = KINDS[kind], settings.get("gen_length")
    if length not in (task.gen_length, max(4, task.gen_length)):
        note(
            f"the embedded models answer this question in --gen-length {task.gen_length} "
            f"--block-length {task.block_length} --steps {task.steps}, and were asked for {length}"
        )
