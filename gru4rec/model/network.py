"""Item tables, an encoder between them, and the score of an item for a session vector."""

import copy
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from gru4rec.config import Config
from gru4rec.model.encoders import glorot, make_encoder
from gru4rec.model.encoders.protocol import dropout, dropout_bits
from gru4rec.model.kernels import kernels_for
from gru4rec.model.outcome_head import OutcomeHead
from gru4rec.model.q_head import QHead
from gru4rec.model.side_embeddings import SideEmbeddings
from gru4rec.sessions import NO_SIDE_INPUTS, SideInputs


class _Unit(torch.autograd.Function):
    """Rows divided by their length; a row of zeros stays one."""

    # R rows, D width
    @staticmethod
    def forward(ctx: Any, rows_RD: Tensor) -> Tensor:
        lengths_R1 = torch.linalg.vector_norm(rows_RD, dim=1, keepdim=True)
        inverse_R1 = lengths_R1.clamp_min_(1e-12).reciprocal_()
        unit_RD: Tensor = rows_RD * inverse_R1
        ctx.save_for_backward(unit_RD, inverse_R1)
        return unit_RD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        unit_RD, inverse_R1 = ctx.saved_tensors
        along_R1 = (gradients[0] * unit_RD).sum(1, keepdim=True)
        return torch.addcmul(gradients[0], unit_RD, along_R1, value=-1).mul_(inverse_R1)


def unit(rows_RD: Tensor) -> Tensor:
    """Return rows divided by their length [R, D]."""
    if kernels_for(rows_RD):
        from gru4rec.model.unit_kernels import unit_rows

        return unit_rows(rows_RD)
    unit_RD: Tensor = _Unit.apply(rows_RD)  # type: ignore[no-untyped-call]
    return unit_RD


class Model(nn.Module):
    """Input embedding → encoder → scores against output embeddings (+ bias), and an outcome.

    The item tables are updated row by row outside autograd (`training.optimizers`), so they ask for
    no gradient: the trainer gathers the rows that it needs.
    """

    # N items, M clicks, C candidates, F side inputs, E length of an item's input (of `onehot` the
    # 3D products of a GRU's gates), D of a session vector
    def __init__(
        self,
        config: Config,
        num_items: int,
        side_inputs: SideInputs = NO_SIDE_INPUTS,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        encoder, training, width = config.encoder, config.training, config.encoder.hidden_size
        self.shared, self.onehot = encoder.embedding == "shared", encoder.embedding == "onehot"
        input_size = 3 * width if self.onehot else encoder.embedding_size or width
        self.sides = None
        if len(side_inputs):
            side_width = encoder.input_size if encoder.merge == "concat" else input_size
            self.sides = SideEmbeddings(side_inputs.sizes, merge=encoder.merge, width=side_width)
        extra = self.sides.extra if self.sides else 0
        self.encoder = make_encoder(encoder, input_size + extra)
        self.cosine = training.scoring == "cosine"
        self.scale = training.scale if self.cosine else 1.0
        self.output_table = _table(num_items, width)
        self._input_table = None if self.shared else _table(num_items, input_size)
        self.bias = None if self.cosine else _table(num_items)
        self.q = QHead(width) if training.rewards else None
        self.scores_by_q = training.q_scores and self.q is not None
        self.outcome = OutcomeHead(self.encoder.output_size, num_classes) if num_classes else None

    @property
    def input_table(self) -> nn.Parameter:
        """The inputs of items [N, E]; of the `shared` mode, the output embeddings themselves."""
        return self.output_table if self._input_table is None else self._input_table

    @property
    def num_classes(self) -> int:
        """Classes of the outcome of a session; 0 without a head for it."""
        return 0 if self.outcome is None else len(self.outcome)

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
            if self.q is not None:
                self.q.initialize(random)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights; item tables keep the type that they come in: float32 or float16.

        Raise RuntimeError for weights of another model.
        """
        for name, table in self.named_parameters(recurse=False):
            if name in weights:
                table.data = table.data.to(weights[name].dtype)
        self.load_state_dict(weights)

    def of_items(self, items: Tensor) -> Self:
        """Return a copy whose item tables have the rows of these items alone, in the order given.

        `items` [N] are indexes.
        """
        copied = copy.deepcopy(self)
        for table in copied.parameters(recurse=False):
            table.data = table.data.index_select(0, items.to(table.device))
        return copied

    def learned_densely(self) -> list[nn.Parameter]:
        """Return the parameters that every update moves: all but the item tables."""
        further = [part for part in (self.sides, self.q, self.outcome) if part is not None]
        parts: list[nn.Module] = [self.encoder, *further]
        return [parameter for part in parts for parameter in part.parameters()]

    def read(self, items_M: Tensor, sides_MF: Tensor) -> Tensor:
        """Return what the encoder reads of clicks, by their item indexes; see `embed`."""
        return self.embed(self.input_table.index_select(0, items_M).float(), sides_MF)

    def embed(self, items_ME: Tensor, sides_MF: Tensor) -> Tensor:
        """Return what the encoder reads of clicks: inputs of items, joined by those of sides."""
        return items_ME if self.sides is None else self.sides(items_ME, sides_MF)

    def comparable(self, vectors_MD: Tensor, outputs_CD: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors and outputs whose dot products are the scores less the bias."""
        if self.cosine:
            return unit(vectors_MD) * self.scale, unit(outputs_CD)
        return vectors_MD, outputs_CD

    def comparable_in(
        self,
        precision: torch.dtype,
        vectors_MD: Tensor,
        outputs_RD: Tensor,
        num_outputs: int,
        *,
        hidden_dropout: float,
        random: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return the same of vectors of which components are dropped, and of the first outputs.

        Kernels give them in the precision that they are multiplied in.
        """
        if self.cosine and kernels_for(vectors_MD):
            from gru4rec.model.unit_kernels import unit_rows

            outputs_CD = unit_rows(outputs_RD, precision=precision, count=num_outputs)
            bits = None
            if hidden_dropout > 0:
                bits = dropout_bits(vectors_MD.numel(), random, vectors_MD.device)
            vectors_MD = unit_rows(
                vectors_MD, scale=self.scale, precision=precision, bits=bits,
                probability=hidden_dropout,
            )  # fmt: skip
            return vectors_MD, outputs_CD
        vectors_MD = dropout(vectors_MD, hidden_dropout, random)
        outputs_CD = outputs_RD if num_outputs == len(outputs_RD) else outputs_RD[:num_outputs]
        return self.comparable(vectors_MD, outputs_CD)

    def item_vectors(self) -> Tensor:
        """Return float32 vectors whose dot products with `query_vectors` are the scores.

        They are [N, D], or with a bias [N, D + 1]. The type of the table holds them exactly, so
        that an index may keep them in it.
        """
        table_ND = self.output_table.float()
        if self.cosine:
            vectors = unit(table_ND)
        else:
            assert self.bias is not None
            vectors = torch.cat((table_ND, self.bias.unsqueeze(1)), dim=1)
        return vectors.to(self.output_table.dtype).float()

    def query_vectors(self, vectors_MD: Tensor) -> Tensor:
        """Return session vectors ready for a dot product with `item_vectors`.

        Where Q counts, the score of an item is that of the model + Q: in the exponent of a softmax,
        what was likely times e^Q.
        """
        queries_MD = unit(vectors_MD) * self.scale if self.cosine else vectors_MD
        if self.q is not None and self.scores_by_q:
            queries_MD = queries_MD + self.q.mean_queries(vectors_MD)
        if self.cosine:
            return queries_MD
        return torch.cat((queries_MD, queries_MD.new_ones(len(vectors_MD), 1)), dim=1)


def _table(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(*shape), requires_grad=False)
