"""The class that policies inherit from: defaults, names that are refused, and fresh copies."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from saccade.controller import Abstain, AfterShare, BasePolicy, Keep, Plan, StepState
from saccade.pruners import DivPrune, FastV
from tests.controller.toys import SPEC, Toy

STATE = StepState(0, 4, 0, 1, 8, 0)


class Least(BasePolicy):
    def plan(self, state: Any, signals: Any) -> Plan:
        return Plan()


def test_defaults_do_nothing() -> None:
    policy = Least()
    assert (policy.reads, policy.drops_ahead, policy.plan_ahead) == (frozenset(), None, Plan())
    assert not (policy.reselects or policy.rests or policy.watches(STATE))
    assert policy.default_pruner is None and policy.bind(SPEC) is policy
    assert repr(policy) == "Least()"


def test_what_reads_attention_watches_every_step() -> None:
    class Reading(Least):
        reads = frozenset({"received"})

    class Resting(Reading):
        rests = True

    assert Reading().watches(STATE) and not Resting().watches(STATE)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("drop_ahead", "neither a hook nor an option of a policy: did you mean drops_ahead\\?"),
        ("plans_ahead", "did you mean plan_ahead\\?"),
        ("reselect", "did you mean reselects\\?"),
        ("watch", "did you mean watches\\?"),
        ("helper", "helpers begin with an underscore"),
    ],
)
def test_unknown_hooks_are_refused(name: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type("Wrong", (Least,), {name: frozenset()})
    with pytest.raises(TypeError, match=message):
        type("Wrong", (Least,), {name: property(lambda self: None)})


def test_options_and_helpers_are_not() -> None:
    @dataclass(slots=True)
    class Slotted(BasePolicy):
        least: int = 3
        fixed: ClassVar[int] = 4
        source: ClassVar[str] = "mine"

        def plan(self, state: Any, signals: Any) -> Plan:
            return self._helper()

        def _helper(self) -> Plan:
            return Plan()

    class Plain(Least):
        def __init__(self, most: int) -> None:
            self.most = most

    assert Slotted(5).plan(STATE, None) == Plan() and repr(Plain(3)) == "Plain(most=3)"


def test_a_policy_is_one_that_inherits() -> None:
    class Alike:
        reads = frozenset[str]()

        def plan(self, state: Any, signals: Any) -> Plan:
            return Plan()

        def reset(self) -> None: ...

    from saccade.controller import Controller

    with pytest.raises(TypeError, match="is not a policy: it inherits from saccade.BasePolicy"):
        Controller(Alike())  # type: ignore[arg-type]


@dataclass
class Remembering(BasePolicy):
    option: tuple[int, ...] = (1, 2)
    _seen: list[int] = field(default_factory=list)

    def plan(self, state: StepState, signals: Any) -> Plan:
        self._seen.append(state.step)
        return Plan()


def test_every_sequence_starts_with_a_memory_of_its_own() -> None:
    policy = Abstain(Remembering(), 1)
    one, other = policy.start(), policy.start()
    one.plan(STATE, None)
    inside = [each.policy for each in (policy, one, other)]
    assert [own._seen for own in inside] == [[], [0], []]  # type: ignore[attr-defined]
    assert one == policy or one.policy is not policy.policy


def test_a_drop_without_a_layer_is_made_where_the_method_acts() -> None:
    policy = AfterShare(0.5, 0.25)
    assert policy.bind(SPEC, DivPrune()).layer == 0  # type: ignore[attr-defined]
    assert policy.bind(SPEC, FastV()).layer == 2  # type: ignore[attr-defined]
    assert AfterShare(0.5, 0.25, 1).bind(SPEC, FastV()).layer == 1  # type: ignore[attr-defined]
    assert policy.layer is None, "what was given stays as it was"
    assert Toy(SPEC) and Keep().bind(SPEC, FastV()) == Keep()
