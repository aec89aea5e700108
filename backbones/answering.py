"""Answering requests: sequences are begun or taken up again, denoised, and turned into answers."""

import dataclasses
from collections.abc import Sequence

import torch

from saccade.backbones.checkpoints.made_on import check_weights
from saccade.backbones.decoding.denoise import Denoiser
from saccade.backbones.decoding.options import Settings
from saccade.backbones.decoding.snapshot import Snapshot
from saccade.backbones.decoding.step_view import Callback
from saccade.backbones.execution.sequence import SequenceState
from saccade.backbones.families.family import Family
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.inputs.processor import Processor
from saccade.backbones.network.network import Network
from saccade.backbones.network.tower import tower_macs
from saccade.controller.controller import Controller
from saccade.controller.trace import Generation, Trace
from saccade.controller.types import BackboneSpec


@dataclasses.dataclass(frozen=True, slots=True)
class Answering:
    """What answers the requests of one call.

    Attributes
    ----------
    network : Network
    family : Family
    spec : BackboneSpec
    processor : Processor
    """

    network: Network
    family: Family
    spec: BackboneSpec
    processor: Processor

    @property
    def device(self) -> torch.device:
        """That of the weights."""
        return self.network.model.image_newline.device

    def run(
        self,
        inputs: Sequence[Prepared],
        settings: Settings,
        controller: Controller | None,
        callback: Callback | None,
    ) -> list[Generation]:
        """Answer requests together, in their order; errors as `Model.generate`."""
        spec = self._spec_for(settings)
        session = None if controller is None else controller.session(spec, len(inputs))
        if controller is not None:
            check_weights(controller.policy, self.network, spec.name)
        stops = self.processor.stops(settings)
        suffix = settings.generation_suffix
        suffix_ids = [] if suffix is None else self.processor.ids(suffix)
        self._check_ids("generation_suffix", suffix_ids)
        scheme = self.family.scheme(settings, spec, self.network.model.image_newline.dtype)
        sequences = []
        for number, prepared in enumerate(inputs):
            own, host = self._generators(settings.seed)
            answer = scheme.answer(len(prepared), stops, suffix_ids, host)
            bound = prepared.bound(self.network, self.processor.text_tower)
            sequences.append(SequenceState(number, bound, answer, own, settings.seed or 0))
        Denoiser(self.network, spec, scheme, session, callback).run(sequences)
        return [self._generation(sequence) for sequence in sequences]

    def resume(
        self,
        snapshot: Snapshot,
        controller: Controller | None,
        callback: Callback | None,
    ) -> Generation:
        """Go on from a snapshot of the same network, see `Model.resume`."""
        session = None if controller is None else controller.session(snapshot.spec, 1)
        if controller is not None and session is not None:
            check_weights(controller.policy, self.network, snapshot.spec.name)
            session.take_up(0, snapshot.carried)
        sequence = snapshot.sequence()
        denoiser = Denoiser(self.network, snapshot.spec, snapshot.scheme, session, callback)
        denoiser.run([sequence])
        return self._generation(sequence)

    def _generators(self, seed: int | None) -> tuple[torch.Generator | None, ...]:
        """A sequence's random numbers on the model's device and on the host; one where both are
        the same, as in published code."""
        if seed is None:
            return None, None
        own = torch.Generator(self.device).manual_seed(seed)
        return own, own if self.device.type == "cpu" else torch.Generator().manual_seed(seed)

    def _spec_for(self, settings: Settings) -> BackboneSpec:
        """The facts with the mask and forbidden ids of a call."""
        vocab, spec = self.spec.geometry.vocab, self.spec
        mask_id = spec.mask_id if settings.mask_id is None else settings.mask_id
        self._check_ids("mask_id", [] if mask_id is None else [mask_id])
        if settings.forbidden_ids is None:  # a cut vocabulary may lack some of the backbone's own
            ids = tuple(token for token in spec.forbidden_ids if token < vocab)
        else:
            ids = tuple(settings.forbidden_ids)
            self._check_ids("forbidden_ids", ids)
        return dataclasses.replace(spec, mask_id=mask_id, forbidden_ids=ids)

    def _check_ids(self, name: str, ids: Sequence[int]) -> None:
        vocab = self.spec.geometry.vocab
        wrong = [token for token in ids if not 0 <= token < vocab]
        if wrong:
            raise ValueError(f"{name}={wrong[0]} is outside the vocabulary of {vocab}")

    def _generation(self, sequence: SequenceState) -> Generation:
        inputs = sequence.inputs
        encoding = inputs.views * tower_macs(self.network.tower, self.network.language)
        encoding = 0 if inputs.pending else encoding
        trace = Trace(
            tuple(sequence.records),
            len(inputs.visual_positions),
            sequence.tower_macs + encoding,
            sequence.transfers,
        )
        tokenizer = self.processor.tokenizer
        text = (
            None
            if tokenizer is None
            else sequence.answer.text(lambda ids: tokenizer.decode(list(ids)))
        )
        return Generation(sequence.answer.tokens, text, trace)
