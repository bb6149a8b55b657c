"""Look into a recommender: what it is, which items are alike to it, why it recommends one."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from gru4rec.clicks import at_least_one
from gru4rec.errors import DataError
from gru4rec.model import session_vectors, unit
from gru4rec.recommenders import GRU4Rec, Recommender, load
from gru4rec.schema import ITEM_ID, RANK, SCORE
from gru4rec.sessions import SessionArrays, from_lists

logger = logging.getLogger(__name__)


def summary(path: str | Path) -> pl.DataFrame:
    """Return what a checkpoint is, as rows `what`, `value`, `why`.

    That is settings, counts, metrics and file sizes; `why` is the reason of `auto` for a setting
    that it decided. Raise CheckpointError if the checkpoint cannot be read.
    """
    recommender = load(path, device="cpu")
    meta = recommender.meta
    why = {f"settings.{name}": reason for name, reason in (meta.auto or {}).items()}
    rows = dict(
        flat_values(replace(meta, auto=None, history=None, updates=None, attributes=None).to_dict())
    )
    if meta.updates:
        rows["updates.last"] = meta.updates[-1]
    rows |= {
        f"attributes.{name}": " and ".join(kinds) for name, kinds in (meta.attributes or {}).items()
    }
    if unclicked := int((recommender.catalog.support == 0).sum()):
        rows["counts.placed_by_attributes"] = unclicked
    rows.pop("sessions", None)  # of the log: too long to read
    rows |= {f"settings.{name}": value for name, value in flat_values(recommender.settings_dict())}
    if isinstance(recommender, GRU4Rec):
        model = recommender.model
        rows["parameters.items"] = sum(
            part.numel() for part in model.parameters() if not part.requires_grad
        )
        rows["parameters.encoder"] = sum(part.numel() for part in model.learned_densely())
    folder = Path(path)
    for file in sorted(filter(Path.is_file, folder.rglob("*"))):
        rows[f"bytes.{file.relative_to(folder).as_posix()}"] = file.stat().st_size
    return pl.DataFrame(
        {
            "what": list(rows),
            "value": [str(value) for value in rows.values()],
            "why": [why.get(name, "") for name in rows],
        }
    )


def neighbours(recommender: GRU4Rec, item_id: object, k: int = 10) -> pl.DataFrame:
    """Return the k items whose output embeddings have the largest cosine with that of an item.

    Columns rank, item_id, cosine, support. Raise DataError for an unknown item or k < 1.
    """
    catalog, most = recommender.catalog, at_least_one(k, "k")
    index = int(_known([item_id], recommender).items[0])
    if catalog.support[index] == 0:
        logger.warning("nobody clicked item %s yet: its attributes place it", item_id)
    with torch.inference_mode():
        vectors = unit(recommender.model.output_table.float())
        cosines = vectors @ vectors[index]
        cosines[index] = -2.0  # it is no neighbour of itself
        ordered = torch.sort(cosines, descending=True, stable=True)
    best = ordered.indices[: min(most, len(catalog) - 1)].cpu().numpy()
    return pl.DataFrame(
        {
            RANK: np.arange(1, len(best) + 1),
            ITEM_ID: catalog.item_ids.gather(best),
            "cosine": ordered.values[: len(best)].cpu().numpy(),
            "support": catalog.support[best],
        }
    )


def explain(
    recommender: Recommender, items: Sequence[object], *, target: object = None
) -> pl.DataFrame:
    """Tell which clicks of a session make its best item, or the item `target`, score as it does.

    Return a row per known click: position (from 1), item_id, `influence`: the score of the target
    less that without this click, null where no other is left; for GRU4Rec `change`: how far the
    click moved the session vector, as a share of its length, and for the encoder `gru`, as means
    over units and layers, `reset`: how much of the state the click was read with, and `update`: how
    much of it the click replaced. Columns target and score are those of the item that is explained.

    Raise DataError if no click, or not the target, is known.
    """
    known = _known(items, recommender)
    clicks = known.items.tolist()
    ids = recommender.catalog.item_ids.gather(clicks).to_list()
    if target is None:
        ((_, scores),) = recommender.score(known, known.offsets[1:] - 1)
        best = int(scores[0].argmax())
    else:
        best = int(_known([target], recommender).items[0])
    without = [ids[:left] + ids[left + 1 :] for left in range(len(ids))]
    score, *less = _scores(recommender, [ids, *without], best)
    table = {
        "position": np.arange(1, len(ids) + 1),
        ITEM_ID: pl.Series(ids, dtype=recommender.catalog.item_ids.dtype),
        **(_of_encoder(recommender, known) if isinstance(recommender, GRU4Rec) else {}),
        "influence": score - np.array(less),
    }
    return pl.DataFrame(table).with_columns(
        pl.lit(recommender.catalog.item_ids[best]).alias("target"),
        pl.lit(score).alias(SCORE),
        pl.col("influence").fill_nan(None),
    )


def _scores(
    recommender: Recommender, sessions: Sequence[Sequence[object]], item: int
) -> list[float]:
    """Return the score of an item after each session [S]; nan after one without a click."""
    arrays = from_lists(sessions, recommender.catalog, side_inputs=recommender.side_inputs)
    scores_S = np.full(len(sessions), np.nan)
    filled = np.flatnonzero(arrays.lengths)
    last = arrays.offsets[1:][filled] - 1
    for rows, scores in recommender.score(arrays, last):
        scores_S[filled[rows]] = scores[:, item].cpu().double().numpy()
    as_list: list[float] = scores_S.tolist()
    return as_list


@torch.inference_mode()
def _of_encoder(recommender: GRU4Rec, session: SessionArrays) -> dict[str, Any]:
    """Return columns on what each click did inside the encoder."""
    model, clicks = recommender.model, np.arange(len(session.items))
    vectors = torch.zeros(len(clicks) + 1, model.encoder.output_size)
    for rows, vectors_of_rows in session_vectors(model, session, clicks):
        vectors[torch.from_numpy(rows + 1)] = vectors_of_rows.cpu()
    moved = (vectors[1:] - vectors[:-1]).norm(dim=1) / vectors[1:].norm(dim=1).clamp_min(1e-12)
    columns = {"change": moved.numpy()}
    items = torch.tensor(session.items).to(model.output_table.device)
    sides = torch.from_numpy(session.sides.astype(np.int64)).to(items.device)
    inputs = model.read(items, sides)
    gates = model.encoder.gates(inputs)
    if gates is not None:
        for name, values in zip(("reset", "update"), gates, strict=True):
            columns[name] = values.mean(dim=(0, 2)).cpu().numpy()
    return columns


def _known(items: Sequence[object], recommender: Recommender) -> SessionArrays:
    """Return a session of the known items. Raise DataError if there are none."""
    session = from_lists([list(items)], recommender.catalog, side_inputs=recommender.side_inputs)
    if not len(session.items):
        raise DataError(f"none of the items {list(items)} is in the catalog; see catalog.parquet")
    return session


def flat_values(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield values by dotted keys."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat_values(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
