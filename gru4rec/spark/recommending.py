"""Recommend on Spark for the sessions of a frame, by a checkpoint that is sent to the workers."""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from gru4rec.clicks import ROW, RawRows, plain_ids
from gru4rec.errors import ConfigError, DataError
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP
from gru4rec.serving import ListRules
from gru4rec.spark.asking import AskPieces, read_clicks_of, valid_piece
from gru4rec.spark.failures import as_data_error
from gru4rec.spark.pieces import mapped
from gru4rec.spark.raw_log import KEY, log_of_frame
from gru4rec.spark.table_answers import Answers

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_PIECE_ROWS = 100_000  # clicks whose answers a worker has in memory at once


def recommend(
    frame: "DataFrame",
    checkpoint: str | Path,
    k: int = 20,
    *,
    session_col: str | None = None,
    item_col: str | None = None,
    time_col: str | None = None,
    drop_invalid: bool = False,
    exclude_clicked: bool = False,
    allow: Iterable[object] | None = None,
    deny: Iterable[object] = (),
    rules: ListRules | None = None,
    explain: bool = False,
    device: str = "auto",
    partitions: int | None = None,
) -> "DataFrame":
    """Return the k best items of each session of a frame of Spark, as `Recommender.recommend` does.

    The columns are session_id, rank (from 1), item_id and score, and with `explain` reason and
    unknown. Spark brings the clicks of a session together, in so many `partitions` (left out, in
    Spark's own number); sessions come in no order, the items of one by rank.

    `checkpoint` is a folder of this process. It is sent to each executor once, as an archive, and
    each Python worker loads it once. The frame is read twice before this returns, to check it and
    to find out the unit of its times, and again with the answers: `cache` it if it takes long to
    make.

    Rows at the same time stand in the order in which Spark gives them, and so do all rows of a log
    without times. Without times, neighbour methods see a session's age within its piece only.

    Raise DataError, CheckpointError and DeviceError where `load` and `recommend` do, for a frame
    without a SparkContext, as that of Spark Connect, and MissingExtraError without PySpark.
    """
    answers = Answers(
        checkpoint=checkpoint, k=k, exclude_clicked=exclude_clicked,
        allow=None if allow is None else plain_ids(allow, ordered=False),
        deny=plain_ids(deny, ordered=False), rules=rules, explain=explain, device=device,
    )  # fmt: skip
    recommender = answers.recommender()
    if recommender.model_settings.encoder.user_column:
        raise ConfigError(
            "the earlier sessions of a user are not brought together on Spark yet; recommend on "
            "one machine, or train without user_col"
        )
    with as_data_error("recommend"):
        raw = log_of_frame(frame)
        how = RawRows(
            named={SESSION_ID: session_col, ITEM_ID: item_col, TIMESTAMP: time_col},
            drop_invalid=drop_invalid,
            other_columns=list(recommender.side_inputs.values),
        )
        columns = how.columns(raw.empty.lazy())
        names = [*columns.ours.values(), *columns.others]
        raw = raw.only(names)
        ask = AskPieces(raw.frame, how)
        clicks, _, _ = read_clicks_of(how, raw, ask)
        schema = _schema_of(answers, clicks[SESSION_ID])
        sent = replace(answers, checkpoint=_sent(frame.sparkSession, Path(checkpoint)))
        work = partial(_answer, sent, how, tuple(ask.answers))
        rows = raw.of_owners(columns.ours[SESSION_ID], partitions)
        return mapped(rows, work, schema, whole=KEY, piece_rows=_PIECE_ROWS)


def _answer(
    answers: Answers, how: RawRows, asked: Sequence[bytes], piece: pl.DataFrame
) -> Iterator[pl.DataFrame]:
    """Answer, in a worker, the sessions of a piece by the checkpoint that was sent there."""
    from pyspark import SparkFiles

    clicks = valid_piece(how, asked, piece).drop(ROW)
    if clicks.height:
        here = replace(answers, checkpoint=SparkFiles.get(str(answers.checkpoint)))
        yield from here.pieces(clicks)


def _schema_of(answers: Answers, session_id: pl.DataType) -> pl.Schema:
    """Return the types of answers to sessions of such ids, by a session without clicks.

    Raise DataError for k < 1, and if no item may be recommended.
    """
    answer = pl.concat(answers.pieces([[]]))
    return pl.Schema({**answer.schema, SESSION_ID: session_id})


def _sent(spark: "SparkSession", checkpoint: Path) -> str:
    """Send a folder to all executors, once; return the name that it has there."""
    try:
        context = spark.sparkContext
    except AttributeError as error:
        raise DataError(
            "this session of Spark has no SparkContext to send the checkpoint with; put it where "
            "the workers see it, and let mapInArrow call gru4rec.spark.Answers"
        ) from error
    from pyspark import SparkFiles

    digest = hashlib.sha256()
    for file in sorted(path for path in checkpoint.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(checkpoint)).encode() + b"\0" + file.read_bytes())
    name = f"gru4rec-{digest.hexdigest()[:16]}"
    archive = Path(SparkFiles.getRootDirectory()) / f"sent-{name}.zip"
    if not archive.exists():  # it lasts as long as the session does
        shutil.make_archive(str(archive.with_suffix("")), "zip", checkpoint)
        context.addArchive(f"{archive}#{name}")
    return name
