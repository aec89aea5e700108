"""The generate of an object, taken over while controllers are attached to it."""

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from torch import nn

from saccade.controller.errors import SaccadeError

NAME = "generate"
_LOCK = threading.Lock()
"""Of blocks that begin or end."""


class Answers(Protocol):
    """What answers the calls of an object."""

    @property
    def published(self) -> nn.Module: ...

    def answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...


class TakenOver:
    """Stands at an object in the place of its generate; the innermost block's model answers.

    Left over, in a shallow copy of the object or in a variable, it is the object's own generate
    again.

    Parameters
    ----------
    published : nn.Module
    """

    def __init__(self, published: nn.Module) -> None:
        method = getattr(published, NAME)
        functools.update_wrapper(self, method)
        self.__signature__ = inspect.signature(method)
        self._published, self._models = published, list[Answers]()
        self._before = vars(published).get(NAME)

    def __repr__(self) -> str:
        return f"<generate of a {type(self._published).__name__}, under a controller of Saccade>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for model in self._models[-1:]:
            return model.answer(args, kwargs)
        return self.own(*args, **kwargs)

    @property
    def own(self) -> Callable[..., Any]:
        """The object's generate without any controller."""
        if self._before is not None:
            return self._before  # type: ignore[no-any-return]
        bound: Callable[..., Any] = getattr(type(self._published), NAME).__get__(self._published)
        return bound

    def __reduce__(self) -> NoReturn:
        raise SaccadeError(
            "the object's generate is taken over by a controller: leave the block (or detach) "
            "before the object is copied or stored"
        )


def own_generate(published: nn.Module) -> Callable[..., Any]:
    """The generate that an object has without any controller, whichever are attached to it."""
    there: Callable[..., Any] = getattr(published, NAME)
    return there.own if isinstance(there, TakenOver) else there


def take_over(model: Answers) -> None:
    """Let a model answer the calls of its object, until it gives them back."""
    with _LOCK:
        own = vars(model.published).get(NAME)
        if not isinstance(own, TakenOver):
            own = TakenOver(model.published)
            setattr(model.published, NAME, own)
        if model not in own._models:
            own._models.append(model)


def give_back(model: Answers) -> None:
    """The opposite of `take_over`; nothing if it was given back already, or is another's now."""
    with _LOCK:
        own = vars(model.published).get(NAME)
        if not isinstance(own, TakenOver):
            return
        if model in own._models:
            own._models.remove(model)
        if own._models:
            return
        if own._before is None:
            delattr(model.published, NAME)
        else:  # what a hook put back when it was removed: the same method, as an attribute
            setattr(model.published, NAME, own._before)
