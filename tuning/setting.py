"""A setting: policy and pruner as text."""

from dataclasses import dataclass

from saccade.controller.expressions import is_none, parse_policy, parse_pruner
from saccade.controller.text_form import written


@dataclass(frozen=True, slots=True)
class Setting:
    """What a trial evaluates.

    Attributes
    ----------
    policy : str
    pruner : str or None
        None: that which the policy names, if any.
    """

    policy: str
    pruner: str | None = None

    @classmethod
    def of(cls, policy: str, pruner: str | None = None) -> "Setting":
        """From texts, brought into their one form, so that equal settings have equal texts.

        Raises
        ------
        SaccadeError, ValueError
            If a text does not describe a member.
        """
        made = parse_policy(policy)
        if pruner is None or is_none(pruner) or made.drops_ahead == frozenset():
            return cls(written(made))
        return cls(written(made), written(parse_pruner(pruner)))

    def __str__(self) -> str:
        return self.policy if self.pruner is None else f"{self.policy} with {self.pruner}"


NOTHING = Setting("keep()")
"""The unpruned model: always a legal answer."""
