"""What every policy has to hold to, as a check that users run on their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from saccade.controller.arguments import check_int
from saccade.controller.errors import ContractError
from saccade.controller.names import did_you_mean
from saccade.controller.plan import Plan
from saccade.controller.policy import BasePolicy
from saccade.controller.signals import MEASUREMENTS, SIGNALS, Signals
from saccade.controller.types import BackboneSpec, Geometry, StepState
from saccade.controller.view_fields import VIEW_FIELDS

LAYERS, POSITIONS, TOKENS = 6, 16, 24
ACTIONS = frozenset({"drop", "bypass", "refresh", "commit"})
MADE_UP = BackboneSpec(
    name="made up",
    origin="from-scratch",
    geometry=Geometry(LAYERS, 64, 128, 4, 4, 100),
    mask_id=99,
    forbidden_ids=(),
    logit_shift=False,
    can=SIGNALS | ACTIONS | VIEW_FIELDS.keys() | {"site:entry", "site:layer", "site:tower"},
)
"""A backbone that can do everything."""


@dataclass(frozen=True, slots=True)
class _Call:
    """Made-up signals of one call, step by step, with everything that can be measured."""

    shown: Sequence[Signals]

    @property
    def n_steps(self) -> int:
        return len(self.shown)


def check_policy(
    policy: BasePolicy, *, n_steps: Sequence[int] = (1, 2, 8, 32), seed: int = 0
) -> None:
    """Check that a policy keeps its contract, on made-up calls.

    What it `reads` is known. In every step of every call it returns a `Plan`, also in the first,
    which has no signals, and where nothing was measured. It plans the same for the same call: after
    `reset`, in a copy made by `start`, and while another call runs beside it in another copy. It
    reads no signal that it does not declare. It announces every drop that it plans, if it announces
    drops (`drops_ahead`), asks for a new selection only if it says so (`reselects`), and does
    nothing any more once it `rests`.

    Parameters
    ----------
    policy : BasePolicy
        Built and ready; not the class.
    n_steps : sequence of int
        Lengths of the calls.
    seed : int
        For the made-up signals. The global random state is left alone.

    Raises
    ------
    ContractError
        At the first broken rule, naming it.
    ValueError, TypeError
        If `n_steps` are not whole numbers from 1.
    """
    lengths = _lengths(n_steps)
    _check_attributes(policy)
    bound = policy.bind(MADE_UP)
    if not isinstance(bound, BasePolicy):
        _fail(policy, f"is {bound!r} after bind(spec); it must return a policy, such as itself")
    generator = torch.Generator().manual_seed(seed)
    calls = [_made_up(n, generator) for n in lengths for _ in range(3)]
    for call in calls:
        own = _started(bound)
        plans = _run(own, call, bound.reads)
        try:
            own.reset()
        except Exception as error:
            raise ContractError(f"{policy!r} fails in reset(): {_named(error)}") from error
        what = f"in a call of {call.n_steps} steps"
        if _run(own, call, bound.reads) != plans:
            _fail(policy, f"plans otherwise after reset() {what}: it remembers the call before")
        if _run(_started(bound), call, SIGNALS) != plans:
            _fail(policy, f"reads more than it declares in reads={set(bound.reads)}, {what}")
    _check_neighbours(policy, bound, calls)


def _check_attributes(policy: object) -> None:
    if isinstance(policy, type):
        _fail(policy, "is a class: pass a policy, for example by calling it")
    if not isinstance(policy, BasePolicy):
        _fail(policy, "is no policy: inherit from saccade.BasePolicy")
    if not isinstance(policy.reads, frozenset):
        _fail(policy, f"has reads of type {type(policy.reads).__name__}: it must be a frozenset")
    unknown = sorted(policy.reads - SIGNALS, key=repr)
    if unknown:
        near, known = did_you_mean(unknown[0], SIGNALS), ", ".join(sorted(SIGNALS))
        _fail(policy, f"reads {', '.join(map(repr, unknown))}; {near}known signals: {known}")


def _lengths(n_steps: Sequence[int]) -> list[int]:
    """Lengths of calls, checked."""
    if not isinstance(n_steps, Sequence) or isinstance(n_steps, str) or not n_steps:
        raise TypeError(f"n_steps={n_steps!r}: give the steps of one call or more, such as (2, 8)")
    return [check_int(f"n_steps={n_steps!r}: each", n, 1) for n in n_steps]


def _started(bound: BasePolicy) -> BasePolicy:
    """A copy for one call."""
    try:
        own = bound.start()
    except Exception as error:
        why = "start() must copy it, and every sequence needs a policy of its own"
        raise ContractError(f"{bound!r} cannot be copied: {_named(error)}; {why}") from error
    if not isinstance(own, BasePolicy):
        _fail(bound, f"returned {own!r} from start(); it must return a policy")
    return own


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _check_neighbours(policy: BasePolicy, bound: BasePolicy, calls: Sequence[_Call]) -> None:
    """Two calls step by step beside each other plan what each does alone."""
    a, b = max(calls, key=lambda call: call.n_steps), calls[-1]
    alone = _run(_started(bound), a, bound.reads)
    own, other = _started(bound), _started(bound)
    seen: list[Plan] = []
    for step in range(a.n_steps):
        seen.append(_step(own, a, step, bound.reads))
        if step < b.n_steps:
            _step(other, b, step, bound.reads)
    if seen != alone:
        _fail(policy, "shares state between its copies: what one call shows changes another")


def _run(own: BasePolicy, call: _Call, measured: frozenset[str]) -> list[Plan]:
    """Plans of a whole call, of which only some signals are measured."""
    return [_step(own, call, step, measured) for step in range(call.n_steps)]


def _step(own: BasePolicy, call: _Call, step: int, measured: frozenset[str]) -> Plan:
    """The plan of one step, checked."""
    state = _state(step, call.n_steps)
    before = None if step == 0 else _measured(call.shown, step - 1, measured)
    rested, what = own.rests and step > 0, f"in step {step} of {call.n_steps}"
    try:
        plan = own.plan(state, before)
        watch = own.watches(state)
    except Exception as error:
        raise ContractError(f"{own!r} fails {what}: {_named(error)}") from error
    if not isinstance(plan, Plan):
        _fail(own, f"returned {plan!r} {what}; it must return a Plan")
    if not isinstance(watch, bool | frozenset):
        _fail(own, f"watches {watch!r} {what}; give True, False or a frozenset of layers")
    if rested and plan.acts:
        _fail(own, f"rests, and still plans {plan!r} {what}")
    ahead = own.drops_ahead
    if ahead is not None and not ahead.issuperset(plan.drops):
        _fail(own, f"plans {plan.drops} {what}, which drops_ahead={set(ahead)} does not announce")
    if plan.reselect and not own.reselects:
        _fail(own, f"asks for a new selection {what}, and reselects is not True")
    return plan


def _state(step: int, n_steps: int) -> StepState:
    committed = POSITIONS * step // n_steps
    return StepState(step, n_steps, 0, 1, POSITIONS - committed, committed)


def _made_up(n_steps: int, generator: torch.Generator) -> _Call:
    """Signals that rise, fall and stand still at random."""
    shown: list[Signals] = []
    for step in range(n_steps):
        values: dict[str, Tensor] = {
            name: _values(measurement.axis, generator) for name, measurement in MEASUREMENTS.items()
        }
        masked = torch.arange(POSITIONS) >= POSITIONS * step // n_steps
        before = shown[-1] if shown else None
        shown.append(Signals.after(before, **values, masked=masked, committed=1))
    return _Call(shown)


def _values(axis: str, generator: torch.Generator) -> Tensor:
    size = {"layers": LAYERS, "positions": POSITIONS, "tokens": TOKENS}[axis]
    dtype = torch.float64 if axis == "positions" else torch.float32
    values = torch.rand(size, generator=generator, dtype=dtype)
    return values ** (1 / 8) if axis == "positions" else values / 3


def _measured(shown: Sequence[Signals], step: int, names: frozenset[str]) -> Signals:
    """Signals of a step with what is asked for alone, and how they changed."""
    now, before = (
        None if i < 0 else {name: getattr(shown[i], name) for name in _fields(names)}
        for i in (step, step - 1)
    )
    assert now is not None
    own = shown[step]
    return Signals.after(
        None if before is None else Signals(**before, masked=shown[step - 1].masked),
        **now,
        masked=own.masked,
        committed=own.committed,
    )


def _fields(names: frozenset[str]) -> list[str]:
    """Fields of `Signals` that are measured where these are read."""
    return [name for name, measurement in MEASUREMENTS.items() if measurement.reads & names]


def _fail(policy: object, why: str) -> NoReturn:
    raise ContractError(f"{policy!r} {why}")
