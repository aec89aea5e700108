"""The pages and questions of coming steps, drawn when needed or ahead by other processes."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch.utils.data import DataLoader, Dataset, Subset

from saccade.studies.training.batch import Batch, Views, draw
from saccade.studies.training.chat import Chat
from saccade.studies.training.config import Stage

Drawn = Batch | Views


@dataclass(frozen=True, slots=True)
class Draws(Dataset[Drawn]):
    """Draws of a stage by their numbers; each follows from its number and the seed alone.

    Attributes
    ----------
    chat : Chat
    stage : Stage
    n_pages : int
        Of one draw.
    seed : int
    """

    chat: Chat
    stage: Stage
    n_pages: int
    seed: int

    def __getitem__(self, number: int) -> Drawn:
        return draw(self.chat, self.stage, number, self.n_pages, self.seed)

    def between(self, first: int, last: int, prefetch: int) -> Iterator[Drawn]:
        """Draws `first` to `last` - 1 in order, made ahead by `prefetch` processes if not 0."""
        if not prefetch:
            return (self[number] for number in range(first, last))
        numbers = Subset(self, range(first, last))
        return iter(
            DataLoader(
                numbers,
                batch_size=None,
                num_workers=prefetch,
                prefetch_factor=2,
                multiprocessing_context="forkserver",
            )
        )
