"""Item tables, an encoder between them, and the score of an item for a session vector."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gru4rec.config import Config
from gru4rec.model.encoders import glorot, make_encoder
from gru4rec.model.side_embeddings import SideEmbeddings
from gru4rec.sessions import NO_SIDE_INPUTS, SideInputs


class _Unit(torch.autograd.Function):
    """Rows divided by their length; a row of zeros stays one."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        inverse = (
            torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min_(1e-12).reciprocal_()
        )
        unit: Tensor = rows * inverse
        ctx.save_for_backward(unit, inverse)
        return unit

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        unit, inverse = ctx.saved_tensors
        along = (gradients[0] * unit).sum(1, keepdim=True)
        return torch.addcmul(gradients[0], unit, along, value=-1).mul_(inverse)


def unit(rows: Tensor) -> Tensor:
    """Rows [n, D] divided by their length."""
    result: Tensor = _Unit.apply(rows)  # type: ignore[no-untyped-call]
    return result


class Model(nn.Module):
    """Input embedding → encoder → scores against output embeddings (+ bias).

    The item tables are updated row by row outside autograd (`gru4rec.optimizers`), so they ask for
    no gradient: the trainer gathers the rows that it needs.
    """

    # N items, M clicks, C candidates, E length of an input, D of a session vector
    def __init__(
        self, config: Config, num_items: int, side_inputs: SideInputs = NO_SIDE_INPUTS
    ) -> None:
        super().__init__()
        encoder, training = config.encoder, config.training
        mode, width = encoder.embedding, encoder.hidden_size
        input_size = encoder.embedding_size or width
        self.sides = None
        if len(side_inputs):
            side_width = encoder.input_size if encoder.merge == "concat" else input_size
            self.sides = SideEmbeddings(side_inputs.sizes, merge=encoder.merge, width=side_width)
        extra = self.sides.extra if self.sides else 0
        self.encoder = make_encoder(encoder, None if mode == "onehot" else input_size + extra)
        self.cosine = training.scoring == "cosine"
        self.scale = training.scale if self.cosine else 1.0
        self.shared, self.onehot = mode == "shared", mode == "onehot"
        self.output_table = _table(num_items, width)
        self._input_table = (
            None if self.shared else _table(num_items, 3 * width if self.onehot else input_size)
        )
        self.bias = None if self.cosine else _table(num_items)

    @property
    def input_table(self) -> nn.Parameter:
        """The input embeddings [N, E]; of the `shared` mode, the output embeddings themselves."""
        return self.output_table if self._input_table is None else self._input_table

    def initialize(self, random: torch.Generator) -> None:
        """Draw each gate's matrix and each table uniform ±√(6 / (rows + columns)); biases 0."""
        with torch.no_grad():
            self.encoder.initialize(random)
            if self.sides is not None:
                self.sides.initialize(random)
            rows, columns = self.output_table.shape
            glorot(self.output_table, rows, columns, random)
            if self._input_table is not None:
                columns = self._input_table.shape[1] // (3 if self.onehot else 1)
                glorot(self._input_table, rows, columns, random)
            if self.bias is not None:
                self.bias.zero_()

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights; item tables keep the precision that they come in.

        Raises RuntimeError for weights of another model.
        """
        for name, table in self.named_parameters(recurse=False):
            if name in weights:
                table.data = table.data.to(weights[name].dtype)
        self.load_state_dict(weights)

    def learned_densely(self) -> list[nn.Parameter]:
        """The parameters that every update moves: all but the item tables."""
        sides = [] if self.sides is None else list(self.sides.parameters())
        return [*self.encoder.parameters(), *sides]

    def read(self, items_M: Tensor, sides_MF: Tensor) -> Tensor:
        """What the encoder reads of clicks, by their item indexes; see `embed`."""
        return self.embed(self.input_table.index_select(0, items_M).float(), sides_MF)

    def embed(self, items_ME: Tensor, sides_MF: Tensor) -> Tensor:
        """What the encoder reads of clicks: input embeddings, joined by those of side inputs."""
        return items_ME if self.sides is None else self.sides(items_ME, sides_MF)

    def comparable(self, vectors_MD: Tensor, outputs_CD: Tensor) -> tuple[Tensor, Tensor]:
        """Session vectors and output embeddings whose dot products are the scores less the bias."""
        if self.cosine:
            return unit(vectors_MD) * self.scale, unit(outputs_CD)
        return vectors_MD, outputs_CD

    def item_vectors(self) -> Tensor:
        """Float32Array [N, D or D+1] whose dot products with `query_vectors` are the scores.

        They are exact in the precision of the table, so that an index may keep them in it.
        """
        table = self.output_table.float()
        if self.cosine:
            vectors = unit(table)
        else:
            assert self.bias is not None
            vectors = torch.cat((table, self.bias.unsqueeze(1)), dim=1)
        return vectors.to(self.output_table.dtype).float()

    def query_vectors(self, vectors_MD: Tensor) -> Tensor:
        """Session vectors ready for a dot product with `item_vectors` [M, D or D+1]."""
        if self.cosine:
            return unit(vectors_MD) * self.scale
        return torch.cat((vectors_MD, vectors_MD.new_ones(len(vectors_MD), 1)), dim=1)


def _table(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(*shape), requires_grad=False)
