"""The state of one sequence between two steps, from which a call can go on any number of times."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from saccade.backbones.decoding.scheme import Scheme
from saccade.backbones.execution.sequence import SequenceState
from saccade.backbones.network.cache import Cache
from saccade.backbones.network.network import Network
from saccade.controller.errors import SaccadeError
from saccade.controller.session import Carried, Session
from saccade.controller.types import BackboneSpec, StepState


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What one sequence is after a step, and all that a model needs to go on from there.

    It is made in a callback (`StepView.snapshot`), and `Model.resume` goes on from it: with an
    empty plan to the same answer, bit for bit, where random numbers have a seed. It shares the
    cached keys and values of the call that it was made in, which nobody changes.

    Attributes
    ----------
    network : Network
        Of the model that it belongs to.
    spec : BackboneSpec
        With the mask and forbidden ids of the call.
    scheme : Scheme
        The way of decoding, with the settings of the call.
    kept : SequenceState
        Never run itself: see `sequence`.
    carried : Carried
        What the step showed.
    """

    network: Network
    spec: BackboneSpec
    scheme: Scheme
    kept: SequenceState
    carried: Carried

    def __repr__(self) -> str:
        done = " of an answer that is done" if self.kept.answer.done else ""
        return f"Snapshot(before step {self.state.step + 1} of {self.state.n_steps}{done})"

    @property
    def state(self) -> StepState:
        """What is known before the next step."""
        return self.kept.state

    def sequence(self) -> SequenceState:
        """A sequence of a call of its own that goes on from here."""
        return branched(self.kept, number=0)

    @classmethod
    def of(
        cls,
        network: Network,
        spec: BackboneSpec,
        scheme: Scheme,
        sequence: SequenceState,
        session: Session | None,
    ) -> "Snapshot":
        """Of a sequence as it stands."""
        carried = Carried() if session is None else session.carried(sequence.number)
        if session is None and sequence.records:
            carried = Carried(sequence.records[-1].signals)
        return cls(network, spec, scheme, branched(sequence, sequence.number), carried)


def snapshot_maker(
    network: Network,
    spec: BackboneSpec,
    scheme: Scheme,
    sequence: SequenceState,
    session: Session | None,
) -> Callable[[], Snapshot]:
    """A function that makes the snapshot after the present step, and refuses to do so later."""
    steps = len(sequence.records)

    def make() -> Snapshot:
        if len(sequence.records) != steps:
            raise SaccadeError(
                f"the snapshot after step {steps} was asked for after step "
                f"{len(sequence.records)}; call view.snapshot() in the callback"
            )
        return Snapshot.of(network, spec, scheme, sequence, session)

    return make


def branched(sequence: SequenceState, number: int) -> SequenceState:
    """A copy whose steps leave the original as it is."""
    clones: dict[int, torch.Generator] = {}

    def clone(generator: torch.Generator | None) -> torch.Generator | None:
        if generator is None:
            return None
        if id(generator) not in clones:  # one object may serve the model and the host
            own = torch.Generator(generator.device)
            clones[id(generator)] = own.set_state(generator.get_state())
        return clones[id(generator)]

    return replace(
        sequence,
        number=number,
        answer=sequence.answer.branched(clone),
        generator=clone(sequence.generator),
        cache=None if sequence.cache is None else _own(sequence.cache),
        records=list(sequence.records),
    )


def _own(cache: Cache) -> Cache:
    """A cache with a list of its own; a step puts new entries into it, and changes none."""
    return replace(cache, entries=list(cache.entries))
