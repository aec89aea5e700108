"""What the cases of a study do, in words: by signals, by a schedule, or nothing."""

from collections.abc import Iterable

from saccade.controller.errors import SaccadeError
from saccade.controller.expressions import parse_policy
from saccade.controller.plan import Plan
from saccade.studies.config.study import Case

NAMED = 6
"""Most cases of a kind that are named; of more the number is given."""
KINDS = {
    "signals": (
        "decides by the model's signals, while it answers, what each step reads or commits",
        "decide by the model's signals, while it answers, what each step reads or commits",
    ),
    "both": (
        "drops visual tokens by a fixed schedule and commits tokens by their confidence",
        "drop visual tokens by a fixed schedule and commit tokens by their confidence",
    ),
    "schedule": (
        "drops or skips visual tokens by a fixed schedule",
        "drop or skip visual tokens by a fixed schedule",
    ),
    "preset": ("does what a preset says", "do what presets say"),
    "nothing": ("drops nothing", "drop nothing"),
    "own": ("follows a policy that is not installed here", "follow policies not installed here"),
}
"""What is said of one case of a kind, and of several."""


def kind_of(case: Case) -> str:
    """The kind of a case, of `KINDS`."""
    if case.preset is not None:
        return "preset"
    if case.policy is None:
        return "nothing"
    try:
        policy = parse_policy(case.policy)
    except (SaccadeError, ValueError):  # a policy of a package that is not installed
        return "own"
    ahead, drops = policy.plan_ahead, policy.drops_ahead
    if policy.reads or drops is None:
        return "signals"
    scheduled = bool(drops or ahead.bypass)
    if ahead.commit is not None:
        return "both" if scheduled else "signals"
    return "schedule" if scheduled or ahead != Plan() else "nothing"


def what_cases_do(cases: Iterable[Case], baseline: str) -> str:
    """A sentence about all cases but the baseline, kind by kind."""
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for case in cases:
        if case.name != baseline:
            kinds[kind_of(case)].append(case.name)
    said = [_said(kind, names) for kind, names in kinds.items() if names]
    return f"{'; '.join(said)}. " if said else ""


def _said(kind: str, names: list[str]) -> str:
    verb = KINDS[kind][len(names) > 1]
    listed = ", ".join(f"“{name}”" for name in names)
    if len(names) == 1:
        return f"{listed} {verb}"
    return f"{len(names)} cases {verb}{f' ({listed})' if len(names) <= NAMED else ''}"


def case_texts(cases: Iterable[Case]) -> dict[str, str]:
    """Policy, pruner and whatever else makes each case, as one would write it."""
    return {case.name: _text(case) for case in cases}


def _text(case: Case) -> str:
    plain = "no controller" if case.preset is None else f"preset {case.preset}"
    parts = [plain if case.policy is None else case.policy]
    parts += [] if case.pruner is None else [f"pruner {case.pruner}"]
    parts += [f"{name} {value}" for name, value in case.settings.items()]
    parts += [] if case.positions == "original" else [f"positions {case.positions}"]
    return ", ".join(parts)
