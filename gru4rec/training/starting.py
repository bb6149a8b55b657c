"""Start the rows of items from vectors that were learned elsewhere."""

import logging
import math

import numpy as np
import torch

from gru4rec.arraytypes import Float32Array, Float64Array
from gru4rec.model import Model
from gru4rec.sessions import InitialVectors

logger = logging.getLogger(__name__)

_SEED = 0  # of the projection: one table starts every training from the same rows


# N items, W components of a given vector, D of a row
@torch.no_grad()
def start_from(model: Model, initial: InitialVectors) -> None:
    """Put vectors in the place of the rows that were drawn for their items.

    In the output embeddings, and in the inputs if they are of the same size. The others keep their
    draws. Each is brought to the length that a draw has on average, √(2 D / (N + D)) in the
    quadratic mean, so that rates mean what they do for draws. Vectors of another length than D are
    put through a fixed random matrix first: see `projected`.
    """
    table = model.output_table
    size, width = table.shape
    rows = np.flatnonzero(initial.are_given)
    unit = projected(initial.vectors[rows], width)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    scaled = unit * np.float32(math.sqrt(2 * width / (size + width)))
    places, values = torch.from_numpy(rows), torch.from_numpy(scaled).to(table.dtype)
    table[places] = values
    if not model.shared and not model.onehot and model.input_table.shape == table.shape:
        model.input_table[places] = values


def projected(vectors: Float32Array, width: int) -> Float64Array:
    """Return vectors [R, width] whose angles are about those of vectors [R, W].

    The matrix is drawn from a fixed seed. Its columns, or rows if there are fewer of them, stand at
    right angles and have length 1: shorter vectors keep their angles exactly, and longer ones as
    well as `width` dimensions let them (Johnson and Lindenstrauss).
    """
    given = vectors.shape[1]
    exact: Float64Array = vectors.astype(np.float64)
    exact /= np.abs(exact).max(axis=1, keepdims=True)  # or the square of a huge one is none
    if given == width:
        return exact
    logger.info(
        "initial vectors of %d components are put through a fixed random matrix to %d",
        given, width,
    )  # fmt: skip
    drawn = np.random.default_rng(_SEED).normal(size=(max(given, width), min(given, width)))
    orthogonal, _ = np.linalg.qr(drawn)
    projection: Float64Array = exact @ (orthogonal if given > width else orthogonal.T)
    return projection
