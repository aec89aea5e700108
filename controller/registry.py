"""Registries of policies and pruners: factories by name, also from installed third parties."""

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from saccade.controller.errors import ExtensionError, SaccadeError, UnknownNameError
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
        ExtensionError
            If it is that of an installed package, and cannot be loaded.
        """
        registered = self._registered()
        if name in registered:
            return registered[name]
        offered = self._offered()
        if name not in offered:
            raise UnknownNameError(unknown_name(self.what, name, self))
        factory: Callable[..., T] = self._load(name, offered[name])
        self._loaded[name] = factory
        return factory

    def _load(self, name: str, entry: EntryPoint) -> Any:
        """What an entry point leads to: a class, or a function that makes a member."""
        if not name.isidentifier():
            raise self._broken(name, "its name must be a word of letters, digits and underscores")
        try:
            found = entry.load()
        except (Exception, SystemExit) as error:  # a package may break in any way
            raise self._broken(name, f"{type(error).__name__}: {error}") from error
        if not callable(found):
            raise self._broken(name, f"it leads to {found!r}, which is no class or function")
        return found

    def _broken(self, name: str, why: str) -> ExtensionError:
        return ExtensionError(
            f"the {self.what} {name!r} of {self.origin(name)} cannot be used: {why}; mend that "
            "package or uninstall it; others are not affected"
        )

    def origin(self, name: str) -> str:
        """The installed package and entry point that offer a name; "Saccade" for what is
        registered."""
        entry = self._offered().get(name)
        if entry is None or name in self._registered():
            return "Saccade"
        dist = getattr(entry, "dist", None)
        package = "an unknown package" if dist is None else f"{dist.name} {dist.version}"
        return f"{package} (entry point {entry.name} = {entry.value!r} in {self.group})"

    def offered(self) -> list[str]:
        """Names that installed packages offer, in order, but for those that are ours."""
        return sorted(self._offered().keys() - self._registered().keys())

    def usable(self) -> tuple[list[str], list[str]]:
        """Names whose factories load, and what is wrong with each of the others."""
        names, problems = [], []
        for name in self:
            try:
                self.factory(name)
                names.append(name)
            except ExtensionError as error:
                problems.append(str(error))
        return names, problems

    def make(self, name: str, **options: object) -> T:
        """Build a member; wrong options raise `TypeError` naming the member.

        Raises
        ------
        ExtensionError
            If it is that of an installed package, and fails in a way that options do not explain.
        """
        factory = self.factory(name)
        try:
            return factory(**options)
        except TypeError as error:
            raise TypeError(f"{self.what} {name!r}: {error}") from error
        except (SaccadeError, ValueError):
            raise
        except Exception as error:
            if name in self._registered():
                raise
            raise self._broken(name, f"{type(error).__name__}: {error}") from error


policies: "Registry[BasePolicy]" = Registry(
    "policy", "saccade.policies", home="saccade.controller.policies"
)
pruners: "Registry[Pruner]" = Registry("pruner", "saccade.pruners", home="saccade.pruners")
