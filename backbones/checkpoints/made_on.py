"""Whether a model has the weights that a policy was made on, if the policy holds for no others."""

from torch import nn

from saccade.backbones.checkpoints.fingerprint import known_fingerprint
from saccade.backbones.checkpoints.promised import dtype_of
from saccade.controller.errors import LearnedError
from saccade.controller.policy import BasePolicy, members


def check_weights(policy: BasePolicy, network: nn.Module, name: str) -> None:
    """Check that what a policy and those inside it were made on is this network.

    Raises
    ------
    LearnedError
        If one was made on other weights, or on the same in another dtype.
    """
    for own in members(policy):
        if own.weights is None:
            continue
        here = known_fingerprint(network)
        if own.weights != here:
            raise LearnedError(
                f"{own!r} was made on other weights than those of {name}, or on the same in "
                f"another dtype than {dtype_of(network)}: fingerprint {own.weights[:12]}..., and "
                f"here {here[:12]}...; load the model as it was loaded then, or "
                "collect and learn on this one: saccade traces collect, saccade learn"
            )
