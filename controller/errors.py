"""Errors Saccade raises, so that callers can tell them from bugs."""


class SaccadeError(Exception):
    """Base of all errors raised on purpose; the message says what was given and what is allowed."""


class CheckpointError(SaccadeError):
    """A checkpoint is missing, incomplete, damaged or of an unsupported kind."""


class CapabilityError(SaccadeError):
    """A policy or pruner needs something the backbone does not offer."""


class PlanError(SaccadeError, ValueError):
    """A policy returned a plan, or a pruner a selection, that cannot be carried out."""


class NonFiniteError(SaccadeError, ArithmeticError):
    """A model computed something that is no number; the message says where, and what to try."""


class UnknownNameError(SaccadeError, KeyError):
    """A name that is not registered; the message lists those that are."""

    def __str__(self) -> str:
        return str(self.args[0])


class ExtensionError(SaccadeError):
    """What an installed package offers cannot be used; the cause is chained."""


class ContractError(SaccadeError):
    """A pruner or a policy breaks a rule; the message names the rule and the input."""


class StudyError(SaccadeError):
    """A study's configuration or results folder cannot be used as asked."""


class PresetError(SaccadeError):
    """A preset's file, or what lies beside it, cannot be used; the message says why."""


class LearnedError(SaccadeError, ValueError):
    """A learned model's file is missing, damaged, or made for something else; the message says
    what differs and what to do."""
