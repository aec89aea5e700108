"""What selections make of the tokens that stay: sums of others, or features of their own."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.network.places import Places, among
from saccade.backbones.network.token_states import TokenStates
from saccade.controller.merging import merged_rows
from saccade.controller.views import Selection


class RowUpdate(NamedTuple):
    """New rows of one sequence.

    Attributes
    ----------
    sequence : int
        In the forward.
    places : int64 array (m,)
        Their original positions, ascending.
    values : Tensor (m, D)
    """

    sequence: int
    places: Places
    values: Tensor


def row_update(
    selection: Selection, inputs: Prepared, rows: TokenStates, i: int
) -> RowUpdate | None:
    """What a selection changes in sequence `i` of the rows entering a layer; None for nothing."""
    merge, visual = selection.merge, inputs.visual_positions
    if selection.features is not None:
        return RowUpdate(i, visual[selection.keep.numpy()], selection.features)
    if merge is None:
        return None
    if merge.space == "tower":
        assert inputs.tower is not None
        into, sums = merged_rows(merge, inputs.tower.seen("tower:features"))
        return RowUpdate(i, visual[into], inputs.tower.project(sums))
    here = rows.alive[i]
    own = rows.hidden[i, : len(here)]
    there = np.flatnonzero(among(visual, here))
    values = own.new_zeros(len(visual), own.shape[1])
    index = torch.from_numpy(np.searchsorted(here, visual[there])).to(own.device)
    values[torch.from_numpy(there).to(own.device)] = own[index]
    into, sums = merged_rows(merge, values)
    return RowUpdate(i, visual[into], sums)


def with_updates(rows: TokenStates, updates: Sequence[RowUpdate]) -> TokenStates:
    """Rows with the new ones in their places."""
    if not updates:
        return rows
    hidden = rows.hidden.clone()
    for i, places, values in updates:
        index = torch.from_numpy(np.searchsorted(rows.alive[i], places)).to(hidden.device)
        hidden[i, index] = values.to(hidden.dtype)
    return rows.with_hidden(hidden)
