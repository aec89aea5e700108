"""A controller that stays with a model until it is told to go."""

from contextlib import AbstractContextManager
from typing import Any, Self

from saccade.controller.controller import Controller


class Attachment:
    """A controller that is attached until `detach`, or the end of a ``with`` block over it.

    Parameters
    ----------
    block : context manager
        Of a controller and a model, not entered yet.
    controller : Controller
    """

    def __init__(self, block: AbstractContextManager[Any], controller: Controller) -> None:
        block.__enter__()
        self._block: AbstractContextManager[Any] | None = block
        self.controller = controller

    def __repr__(self) -> str:
        state = "detached" if self._block is None else "attached"
        return f"Attachment({self.controller!r}, {state})"

    def detach(self) -> None:
        """Give the object back as it was; nothing if that was done.

        Raises
        ------
        SaccadeError
            If another controller was attached to the same model in between and still is.
        """
        block, self._block = self._block, None
        if block is not None:
            block.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()


def attach(controller: object, model: Any) -> Attachment:
    """Attach a controller to a model until the handle's ``detach()``, or the end of its block.

    Raises
    ------
    TypeError, CapabilityError, PlanError, ValueError
        As ``with controller(model)`` does.
    """
    if not isinstance(controller, Controller):
        raise TypeError(f"attach() takes a Controller(policy, pruner), not {controller!r}")
    return Attachment(controller(model), controller)
