"""Registries of policies and pruners: factories by name, also from installed third parties."""

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from saccade.controller.errors import UnknownNameError
from saccade.controller.protocols import Policy, Pruner

T = TypeVar("T")


class Registry(Generic[T]):
    """Factories by name.

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

    def register(self, name: str, factory: Callable[..., T]) -> None:
        """Add a factory.

        Raises
        ------
        ValueError
            If the name is taken.
        """
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
        return {entry.name: entry for entry in entry_points(group=self.group)}

    def __contains__(self, name: object) -> bool:
        return name in self._registered() or name in self._offered()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._registered(), *self._offered()}))

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
            names = ", ".join(self) or "none"
            raise UnknownNameError(f"unknown {self.what} {name!r}; known: {names}")
        factory: Callable[..., T] = offered[name].load()
        return factory

    def make(self, name: str, **options: object) -> T:
        """Build a member; wrong options raise `TypeError` naming the member."""
        factory = self.factory(name)
        try:
            return factory(**options)
        except TypeError as error:
            raise TypeError(f"{self.what} {name!r}: {error}") from error


policies: Registry[Policy] = Registry(
    "policy", "saccade.policies", home="saccade.controller.policies"
)
pruners: Registry[Pruner] = Registry("pruner", "saccade.pruners", home="saccade.pruners")
