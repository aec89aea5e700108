"""The controller: a policy and a pruner, attached to a model for one or many generate calls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from saccade.controller.policies.keep import Keep
from saccade.controller.protocols import Policy, Pruner
from saccade.controller.session import Session, check_capabilities
from saccade.controller.types import BackboneSpec


@runtime_checkable
class Controllable(Protocol):
    """A model that can be controlled: it has facts and one attribute for a controller."""

    controller: "Controller | None"

    @property
    def spec(self) -> BackboneSpec: ...


M = TypeVar("M", bound=Controllable)


class Controller:
    """Decides, step by step, how many visual tokens a model reads.

    Parameters
    ----------
    policy : Policy, optional
        How much, where and when; `Keep` by default.
    pruner : Pruner, optional
        Which tokens stay; needed by policies that drop.
    probe : "all", "needed" or a set of layers
        Layers whose attention is measured in every step and recorded in the trace. "needed": all
        layers if the policy reads attention, else none (no cost).

    Examples
    --------
    >>> with Controller(AfterShare(0.5, 0.25), DivPrune())(model):  # doctest: +SKIP
    ...     out = model.generate(prompt="Describe the page in detail.", images=[image])
    """

    def __init__(
        self,
        policy: Policy | None = None,
        pruner: Pruner | None = None,
        probe: Literal["all", "needed"] | frozenset[int] = "all",
    ) -> None:
        self.policy: Policy = Keep() if policy is None else policy
        self.pruner = pruner
        if not isinstance(self.policy, Policy):
            raise TypeError(f"{policy!r} is no policy: it needs reads, plan() and reset()")
        if pruner is not None and not isinstance(pruner, Pruner):
            raise TypeError(f"{pruner!r} is no pruner: it needs needs, site and select()")
        if not isinstance(probe, frozenset) and probe not in ("all", "needed"):
            raise ValueError(f"probe={probe!r}; allowed: 'all', 'needed' or a frozenset of layers")
        self.probe = probe

    def __repr__(self) -> str:
        return f"Controller({self.policy!r}, {self.pruner!r}, probe={self.probe!r})"

    def check(self, spec: BackboneSpec) -> None:
        """Raise `CapabilityError` if the policy or the pruner needs what the backbone lacks."""
        check_capabilities(self.policy, self.pruner, spec)

    def session(self, spec: BackboneSpec, n_sequences: int) -> Session:
        """Make the state of one generate call over `n_sequences` requests."""
        self.check(spec)
        return Session(self.policy, self.pruner, spec, n_sequences, self._probed(spec))

    def _probed(self, spec: BackboneSpec) -> frozenset[int]:
        layers = frozenset(range(spec.geometry.n_layers))
        if isinstance(self.probe, frozenset):
            unknown = self.probe - layers
            if unknown:
                raise ValueError(
                    f"probe names layers {sorted(unknown)}; {spec.name} has {len(layers)}"
                )
            return self.probe
        return layers if self.probe == "all" or "attention" in self.policy.reads else frozenset()

    @contextmanager
    def __call__(self, model: M) -> Iterator[M]:
        """Attach to a model for the length of a ``with`` block; it is restored whatever happens."""
        self.check(model.spec)
        before = model.controller
        model.controller = self
        try:
            yield model
        finally:
            model.controller = before

    def wrap(self, generate: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``model.generate`` with this controller passed to every call."""
        model = getattr(generate, "__self__", None)
        if not isinstance(model, Controllable):
            raise TypeError(
                f"wrap() takes the generate method of a Saccade model, not {generate!r}"
            )
        self.check(model.spec)

        def controlled(*args: Any, **kwargs: Any) -> Any:
            return generate(*args, controller=self, **kwargs)

        return controlled
