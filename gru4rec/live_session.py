"""A running session: click by click, with the next items after any of them."""

import numpy as np
import polars as pl
import torch

from gru4rec.catalog import Catalog
from gru4rec.encoders import Packing
from gru4rec.errors import DataError
from gru4rec.index import ItemIndex
from gru4rec.model import Model
from gru4rec.schema import ITEM_ID, RANK, SCORE, TIMESTAMP
from gru4rec.side_inputs import SideInputs


class LiveSession:
    """One visitor's clicks so far, as the encoder's state.

    With an encoder that streams the hundredth click costs as the first; the others read the last
    `encoder.max_length` clicks again.
    """

    def __init__(
        self, model: Model, catalog: Catalog, index: ItemIndex, side_inputs: SideInputs
    ) -> None:
        self._model, self._catalog, self._index = model, catalog, index
        self._side_inputs = side_inputs
        self._last_time: object = None
        self._state = model.encoder.initial_state(1)
        self._vector: torch.Tensor | None = None
        self._packing = Packing([1], torch.zeros(1, dtype=torch.int64)).to(
            model.output_table.device
        )

    @torch.inference_mode()
    def click(self, item_id: object, /, **known: object) -> bool:
        """Add a click. False if the item is not in the catalog: of it only the time is kept.

        `known` is what is known of it for the model's side inputs: `timestamp`, a datetime, and
        the columns by their names; what is left out is unknown.

        Raises DataError for what is no id (a fraction, a truth value, a list), and for a name that
        no side input is made of.
        """
        index = self._catalog.find(item_id)
        codes = self._side_inputs.codes(known, self._last_time)
        self._last_time = known.get(TIMESTAMP)
        if index is None:
            return False
        model = self._model
        model.eval()
        row = model.input_table[index : index + 1]
        sides = torch.tensor([codes], dtype=torch.int64, device=row.device)
        inputs = model.embed(row, sides)
        self._vector, self._state = model.encoder(inputs, self._packing, self._state)
        return True

    @torch.inference_mode()
    def recommend(self, k: int = 20) -> pl.DataFrame:
        """The k best next items: rank (from 1), item_id, score.

        As `GRU4Rec.recommend` gives for these clicks; before a known click, the popular items.
        Raises DataError for k < 1.
        """
        if k < 1:
            raise DataError(f"k must be at least 1, got {k}")
        if self._vector is None:
            scores, items = self._catalog.popular(k)
        else:
            query = self._model.query_vectors(self._vector).cpu().numpy()
            (scores,), (items,) = self._index.search(query, k)
        ranks = np.arange(1, len(items) + 1)
        return pl.DataFrame(
            {RANK: ranks, ITEM_ID: self._catalog.item_ids.gather(items), SCORE: scores}
        )
