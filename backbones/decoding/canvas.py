"""A canvas of ids, some of them masked, that is read up to its first stop."""

from torch import Tensor

from saccade.backbones.inputs.stops import AnswerStop, Decode, Ending, answer_text, first_stop


class Canvas:
    """What answers on a canvas have in common.

    Attributes
    ----------
    ids : Tensor (R,) int64
        Masked positions carry `mask_id`.
    mask_id : int
    stops : tuple of AnswerStop
    """

    ids: Tensor
    mask_id: int
    stops: tuple[AnswerStop, ...]

    @property
    def masked(self) -> Tensor:
        """Masked positions (R,) bool."""
        return self.ids == self.mask_id

    @property
    def tokens(self) -> tuple[int, ...]:
        """The ids before the first stop, or all."""
        ending = self._ending
        ids: list[int] = self.ids.tolist()
        return tuple(ids if ending is None else ids[: ending.at])

    @property
    def _ending(self) -> Ending | None:
        return first_stop(self.ids.tolist(), self.stops)

    def text(self, decode: Decode) -> str:
        """The text before the first stop, or all."""
        return answer_text(self.ids.tolist(), self._ending, decode)
