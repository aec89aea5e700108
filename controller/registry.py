"""Registries of policies and pruners: factories by name, also from installed third parties."""

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Generic, TypeVar

from saccade.controller.errors import UnknownNameError
from saccade.controller.names import unknown_name

if TYPE_CHECKING:
    from saccade.controller.policy import BasePolicy
    from saccade.controller.protocols import Pruner

T = TypeVar("T")


class Registry(Generic[T]):
    """Factories by name: a word that Python takes for a name, such as ``after_share``.

    Parameters
    ----------
    what : str
        Word for the members, used in messages.
    group : str
        Entry-point group in which installed packages offer more.
    home : str, optional
        Package that registers our own; it is imported when the registry is first used.
    """

    def __init__(self, what: str, group: str, home: str | None = None) -> None:
        self.what, self.group, self.home = what, group, home
        self._factories: dict[str, Callable[..., T]] = {}
        self._loaded: dict[str, Callable[..., T]] = {}

    def register(self, name: str, factory: Callable[..., T]) -> None:
        """Add a factory.

        Raises
        ------
        ValueError
            If the name is taken, or Python would not take it for one.
        """
        if not name.isidentifier():
            raise ValueError(
                f"{name!r} is not a name for a {self.what}: use letters, digits and underscores"
            )
        registered = self._registered()
        if name in registered:
            raise ValueError(f"a {self.what} named {name!r} is already registered")
        registered[name] = factory

    def _registered(self) -> dict[str, Callable[..., T]]:
        """The registered ones, ours among them (or so far, while their package is imported)."""
        if self.home is not None:
            import_module(self.home)
        return self._factories

    def _offered(self) -> dict[str, EntryPoint]:
        """What installed packages offer; none is loaded before it is asked for."""
        return {entry.name.replace("-", "_"): entry for entry in entry_points(group=self.group)}

    def __contains__(self, name: object) -> bool:
        return name in self._registered() or name in self._offered()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._registered(), *self._offered()}))

    def registered(self, name: str) -> Callable[..., T] | None:
        """The factory of a name if it is at hand: nothing is loaded for it."""
        return self._at_hand().get(name)

    def name_of(self, factory: object) -> str | None:
        """The name under which a factory is registered; None if it is not."""
        return next((name for name, own in self._at_hand().items() if own is factory), None)

    def _at_hand(self) -> dict[str, Callable[..., T]]:
        """The registered ones, and those of installed packages that were asked for before."""
        return {**self._loaded, **self._registered()}

    def factory(self, name: str) -> Callable[..., T]:
        """The factory registered under `name`.

        Raises
        ------
        UnknownNameError
            Listing the known names.
        """
        registered = self._registered()
        if name in registered:
            return registered[name]
        offered = self._offered()
        if name not in offered:
            raise UnknownNameError(unknown_name(self.what, name, self))
        factory: Callable[..., T] = offered[name].load()
        self._loaded[name] = factory
        return factory

    def make(self, name: str, **options: object) -> T:
        """Build a member; wrong options raise `TypeError` naming the member."""
        factory = self.factory(name)
        try:
            return factory(**options)
        except TypeError as error:
            raise TypeError(f"{self.what} {name!r}: {error}") from error


policies: "Registry[BasePolicy]" = Registry(
    "policy", "saccade.policies", home="saccade.controller.policies"
)
pruners: "Registry[Pruner]" = Registry("pruner", "saccade.pruners", home="saccade.pruners")
