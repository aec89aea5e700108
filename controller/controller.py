"""The controller: a policy and a pruner, attached to a model for one or many generate calls."""

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Protocol,
    Self,
    TypeGuard,
    TypeVar,
    get_args,
    runtime_checkable,
)

from saccade.controller.arguments import check_bool, check_int
from saccade.controller.attach import check_fit, check_parts
from saccade.controller.errors import CapabilityError, PlanError, SaccadeError
from saccade.controller.expressions import is_none, parse_policy, parse_pruner
from saccade.controller.names import not_allowed
from saccade.controller.policies.auto import Auto
from saccade.controller.policy import BasePolicy
from saccade.controller.protocols import Pruner
from saccade.controller.registry import pruners
from saccade.controller.session import COMPACT, Measuring, Positions, Session
from saccade.controller.text_form import written
from saccade.controller.types import BackboneSpec

if TYPE_CHECKING:
    from saccade.controller.preset import Preset
    from saccade.controller.promise import Promise


@runtime_checkable
class Controllable(Protocol):
    """A model that can be controlled: it has facts and one attribute for a controller."""

    controller: "Controller | None"

    @property
    def spec(self) -> BackboneSpec: ...


M = TypeVar("M", bound=Controllable)


def _is_model(given: object) -> TypeGuard[Controllable]:
    return isinstance(given, Controllable) and not isinstance(given, type)


class Controller:
    """Decides, step by step, how many visual tokens a model reads.

    Parameters
    ----------
    policy : BasePolicy or str, optional
        How much, where and when; `Auto` by default, `Keep` to do nothing. As text, what
        `parse_policy` reads: ``"progressive(cover=0.9) + layer_skip()"``; ``"none"`` is the bare
        model, as `Keep` is.
    pruner : Pruner or str, optional
        Which tokens stay; needed by policies that drop. As text, what `parse_pruner` reads. Without
        one (None or ``"none"``), that which the policy names (`BasePolicy.default_pruner`).
    probe : "all", "needed" or a frozenset of layers
        Layers whose attention is measured in every step and recorded in the trace, where the
        backbone can. "needed": all layers, in the steps that the policy watches, if it reads
        attention, else none (no cost).
    positions : "original" or "compact"
        What the tokens that stay are rotated by. "original": the positions they always had, so that
        dropping visual tokens moves neither text nor answer. "compact": they are numbered anew from
        where they were dropped on, and an answer that reads a cache begins after what is left in
        its first layer, while cached keys keep their rotation; this is the arithmetic of published
        code, for comparison.
    tokens : bool
        Whether the trace shows what each visual token receives of the answer's attention
        (`Signals.received`), as the pictures of a trace do. Measured also if the policy reads it.

    Raises
    ------
    TypeError
        If `policy` or `pruner` is not one, or a class instead of one that is built.
    UnknownNameError, ValueError
        If a text does not describe one.
    ValueError
        If `probe` or `positions` is not one of the allowed.

    Examples
    --------
    >>> with Controller("after_share(0.5, keep=0.25)", "divprune")(model):  # doctest: +SKIP
    ...     out = model.generate(prompt="Describe the page in detail.", images=[image])
    """

    def __init__(
        self,
        policy: BasePolicy | str | None = None,
        pruner: Pruner | str | None = None,
        probe: Literal["all", "needed"] | frozenset[int] = "needed",
        positions: Positions = "original",
        tokens: bool = False,
    ) -> None:
        made = parse_policy(policy) if isinstance(policy, str) else policy
        named = None if is_none(pruner) else pruner
        chooser = parse_pruner(named) if isinstance(named, str) else named
        self.policy: BasePolicy = Auto() if made is None else made
        check_parts(self.policy, chooser)
        wish = self.policy.default_pruner
        self._pruner_is_default = chooser is None
        if chooser is None and wish is not None:
            chooser = pruners.make(wish[0], **wish[1])
        self.pruner: Pruner | None = chooser
        if isinstance(probe, frozenset):
            probe = frozenset(check_int("a layer to probe", layer) for layer in probe)
        elif probe not in ("all", "needed"):
            words = not_allowed("probe", probe, ("all", "needed"))
            raise ValueError(f"{words} or a frozenset of layers")
        if positions not in get_args(Positions):
            raise ValueError(not_allowed("positions", positions, get_args(Positions)))
        self.probe, self.positions, self.tokens = probe, positions, check_bool("tokens", tokens)
        self.promise: Promise | None = None

    @classmethod
    def from_preset(
        cls,
        preset: "str | Path | Preset",
        probe: Literal["all", "needed"] | frozenset[int] = "needed",
        tokens: bool = False,
    ) -> Self:
        """The controller that a preset describes.

        Used on another backbone, or with other generation settings, than it was made for, generate
        warns once, in the log.

        Parameters
        ----------
        preset : str, Path or Preset
            A name of `saccade presets list` such as ``embedded/llada-v/long``, a file or its
            folder, or a hub id.
        probe, tokens
            As for a controller of one's own.

        Raises
        ------
        PresetError
            If there is none, or it cannot be used; the message says why.
        """
        from saccade.controller.preset_controller import build

        return build(cls, preset, probe=probe, tokens=tokens)

    def __repr__(self) -> str:
        placed = "" if self.positions == "original" else f", positions={self.positions!r}"
        pruner = None if self.pruner is None else written(self.pruner)
        parts = f"{repr(self.policy)!r}, {pruner!r}, probe={self.probe!r}{placed}"
        return f"Controller({parts})"

    @property
    def needs(self) -> frozenset[str]:
        """What its pruner asks of a view; nothing without one."""
        return frozenset() if self.pruner is None else self.pruner.needs

    def check(self, spec: BackboneSpec) -> None:
        """Check that this controller can work on a backbone.

        Raises
        ------
        CapabilityError
            If the policy, the pruner or `probe` needs what the backbone lacks.
        PlanError
            If a drop or another action that the policy announces cannot be carried out.
        ValueError
            If `probe` names layers that do not exist, or none where the policy reads attention.
        """
        self._parts(spec)

    def _parts(self, spec: BackboneSpec) -> tuple[BasePolicy, Pruner | None, frozenset[int]]:
        """The policy for a backbone, the pruner if it may drop, and the layers that are probed."""
        policy = self.policy.bind(spec, self.pruner)
        unasked = policy.drops_ahead == frozenset()
        check_fit(policy, None if unasked and self._pruner_is_default else self.pruner, spec)
        if self.positions == "compact" and policy.plan_ahead.bypass:
            raise PlanError(f"{self.policy!r} may skip layers; {COMPACT}")
        return policy, None if unasked else self.pruner, self._probed(policy, spec)

    def session(self, spec: BackboneSpec, n_sequences: int) -> Session:
        """Make the state of one generate call over `n_sequences` requests.

        Raises
        ------
        CapabilityError, PlanError, ValueError
            As `check` does.
        TypeError
            If the policy cannot be copied.
        """
        policy, pruner, layers = self._parts(spec)
        every_step = self.tokens or self.probe != "needed"
        kinds = every_step or "attention" in policy.reads
        measuring = Measuring(layers, every_step, kinds)
        return Session(policy, pruner, spec, n_sequences, measuring, self.positions)

    def _probed(self, policy: BasePolicy, spec: BackboneSpec) -> frozenset[int]:
        layers = frozenset(range(spec.geometry.n_layers))
        able, read = "attention" in spec.can, bool({"attention", "received"} & policy.reads)
        read = read or self.tokens
        if not isinstance(self.probe, frozenset):
            return layers if able and (read or self.probe == "all") else frozenset()
        unknown = sorted(self.probe - layers)
        if unknown:
            raise ValueError(f"probe names layers {unknown}; {spec.name} has {len(layers)}")
        if self.probe and not able:
            raise CapabilityError(f"probe asks for attention; {spec.name} does not offer that")
        if read and not self.probe:
            raise ValueError(f"{policy!r} reads attention, but probe names no layer")
        return self.probe

    def __call__(self, model: M) -> AbstractContextManager[M]:
        """Attach to a model for the length of a ``with`` block; it is restored whatever happens.

        Of nested blocks the inner one wins. Blocks of one model must end in the order opposite to
        that in which they began; threads that share a model pass ``controller=`` to generate.

        Raises
        ------
        TypeError
            If this is not a model.
        CapabilityError, PlanError, ValueError
            As `check` does.
        SaccadeError
            At the end of a block, if blocks overlapped; no controller is attached then.
        """
        if not _is_model(model):
            raise TypeError(
                f"a controller is attached to a Saccade model, not to a {type(model).__name__}; "
                "load one, saccade.load(...), or wrap the model that you hold, saccade.wrap(model)"
            )
        self.check(model.spec)
        return self._attached(model)

    @contextmanager
    def _attached(self, model: M) -> Iterator[M]:
        before, failed = model.controller, True
        model.controller = self
        try:
            yield model
            failed = False
        finally:
            in_order = model.controller is self
            # Out of order, what was before may have been left already: attached, it would stay.
            model.controller = before if in_order else None
            if not in_order and not failed:
                raise SaccadeError(
                    f"{self!r} was left out of order: another controller was attached to the model "
                    "in between; in threads pass controller= to generate"
                )

    def wrap(self, generate: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``model.generate`` with this controller passed to every call.

        Raises
        ------
        TypeError
            If this is not the generate of a model; when called, if a controller is given once more.
        CapabilityError, PlanError, ValueError
            As `check` does.
        """
        model: object = getattr(generate, "__self__", None)
        if not _is_model(model) or getattr(model, "generate", None) != generate:
            raise TypeError(
                f"wrap() takes the generate method of a Saccade model, not {generate!r}"
            )
        self.check(model.spec)

        @functools.wraps(generate)
        def controlled(*args: Any, **kwargs: Any) -> Any:
            if "controller" in kwargs:
                raise TypeError(f"this generate has its controller, {self!r}: give no other")
            return generate(*args, controller=self, **kwargs)

        return controlled
