"""What a policy is: the class to inherit from, with defaults that do nothing."""

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from saccade.controller.names import did_you_mean
from saccade.controller.plan import Drop, Plan
from saccade.controller.signals import Signals
from saccade.controller.text_form import text_form
from saccade.controller.types import BackboneSpec, StepState

if TYPE_CHECKING:
    from saccade.controller.protocols import Pruner

DefaultPruner = tuple[str, Mapping[str, object]]
"""A pruner by its registered name and options."""
Watch = bool | frozenset[int]
"""All layers or none, or some."""
PLAIN = (bool, int, float, complex, str, bytes, type(None))


class BasePolicy(ABC):
    """Says how much, where and when. Write `plan`; all else has a default that does nothing.

    Public attributes of a subclass are its options (fields of a dataclass, annotated names,
    parameters of ``__init__``), `source`, or one of the hooks below; any other public name is
    refused when the class is made, so that a misspelt hook is noticed. Helpers begin with an
    underscore.

    Attributes
    ----------
    reads : frozenset of str
        Signals it uses, of `SIGNALS`: ``{"attention", "confidence"}``; empty for fixed schedules.
    drops_ahead : frozenset of Drop, or None
        Drops for which it may ask the pruner to choose, if they are known beforehand: whether they
        can be carried out is then checked when the controller is attached. None: it does not say,
        and a drop is checked when it is planned.
    plan_ahead : Plan
        Layers that it may skip and how it commits, if known beforehand: checked then, too.
    reselects : bool
        Whether it may ask the pruner again in the same call.
    rests : bool
        Whether it will plan nothing more in this call, so that nothing is measured for it; asked
        after `plan`.
    default_pruner : (str, mapping) or None
        Registered name and options of the pruner that chooses for it where none is given.
    weights : str or None
        Fingerprint of the weights that it was made on, if it holds for no others: a model with
        others is refused.
    source : str
        The paper that describes it.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # read-only, so that a subclass may have attributes or properties

        @property
        def reads(self) -> frozenset[str]: ...
        @property
        def drops_ahead(self) -> frozenset[Drop] | None: ...
        @property
        def plan_ahead(self) -> Plan: ...
        @property
        def reselects(self) -> bool: ...
        @property
        def rests(self) -> bool: ...
        @property
        def default_pruner(self) -> DefaultPruner | None: ...
        @property
        def weights(self) -> str | None: ...
    else:
        reads = frozenset()
        drops_ahead = None
        plan_ahead = Plan()
        reselects = False
        rests = False
        default_pruner = None
        weights = None

    @abstractmethod
    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Plan the next step; `signals` are those of the step before, None before the first."""

    def reset(self) -> None:  # noqa: B027  # most have nothing to forget
        """Forget everything; called before each sequence."""

    def watches(self, state: StepState) -> Watch:
        """Whether it will read the attention of the step that `state` begins, or of which layers
        alone; asked after `plan`.

        By default always, and of all, if it reads attention.
        """
        return not self.rests and not self.reads.isdisjoint({"attention", "received"})

    @classmethod  # noqa: B027  # most have nothing to share
    def foresee(cls, calls: Sequence[tuple[Any, StepState, Signals]]) -> None:
        """Told, before the sequences of a batch plan their next steps, of those that this class
        plans: each with its policy, its state and what the step before showed. What is costly can
        be done for all at once; `plan` is asked all the same, and must not depend on it.

        By default nothing.
        """

    def bind(self, spec: BackboneSpec, pruner: "Pruner | None" = None) -> "BasePolicy":
        """The policy for a backbone and a pruner, where it depends on them; by default itself."""
        return self

    def start(self) -> Self:
        """A policy of the same options for one sequence, with nothing remembered.

        Options are shared, policies inside are started, all other state is copied.
        """
        own = copy.copy(self)
        for name, value in _state(self).items():
            object.__setattr__(own, name, _own(value))
        own.reset()
        return own

    def __add__(self, other: object) -> "BasePolicy":
        """Both together: see `Compose`."""
        if not isinstance(other, BasePolicy):
            return NotImplemented
        from saccade.controller.policies.compose import Compose

        return Compose((self, other))

    def __repr__(self) -> str:
        return text_form(self)

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        known = {*HOOKS, *_options(cls)}
        for name in vars(cls):
            if not name.startswith("_") and name not in known:
                raise TypeError(_unknown_hook(cls, name))


HOOKS = tuple(name for name in vars(BasePolicy) if not name.startswith("_")) + ("source",)
"""What a policy may say of itself."""


def _options(cls: type) -> set[str]:
    """Names that are options of a class: annotated ones, and parameters of its ``__init__``."""
    names = {name for base in cls.__mro__[:-1] for name in inspect.get_annotations(base)}
    init = cls.__dict__.get("__init__")
    return names | set(inspect.signature(init).parameters) if init else names


def _unknown_hook(cls: type, name: str) -> str:
    meant = did_you_mean(name, HOOKS)
    return (
        f"{cls.__name__}.{name} is neither a hook nor an option of a policy: {meant}Hooks are "
        f"{', '.join(sorted(HOOKS))}; options are annotated; helpers begin with an underscore"
    )


def members(policy: BasePolicy) -> Iterator[BasePolicy]:
    """A policy, and all that it wraps or composes."""
    yield policy
    for value in _state(policy).values():
        for own in value if isinstance(value, tuple | list) else (value,):
            if isinstance(own, BasePolicy):
                yield from members(own)


def _state(policy: object) -> dict[str, Any]:
    """All attributes of an object, with slots or without."""
    slots = [name for base in type(policy).__mro__ for name in getattr(base, "__slots__", ())]
    held = {name: getattr(policy, name) for name in slots if hasattr(policy, name)}
    return held | getattr(policy, "__dict__", {})


def _own(value: Any) -> Any:
    """A value that one sequence may change without another one noticing."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, BasePolicy):
        return value.start()
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(_own, value))
    return copy.deepcopy(value)
