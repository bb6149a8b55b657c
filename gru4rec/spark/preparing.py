"""Turn a raw log into train, valid and test sessions on Spark, as a recipe says."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from gru4rec import atomic
from gru4rec.clicks import ROW, RawRows, predicate_of
from gru4rec.errors import DataError
from gru4rec.preparation import (
    Card,
    Recipe,
    check_free,
    compare,
    counted,
    cut_as_asked,
    described,
    raw_rows_of,
    refuse_nothing,
    rule_lines,
    tallies_of,
    times_of,
    write_card,
)
from gru4rec.schema import SESSION_ID, TIMESTAMP, USER_ID
from gru4rec.spark.asking import AskPieces, read_clicks_of
from gru4rec.spark.failures import as_data_error
from gru4rec.spark.made_sessions import (
    count_stages,
    keep_supported,
    make_sessions,
    sessions_made,
    supported_items,
)
from gru4rec.spark.parts import Counts, assign_parts, written
from gru4rec.spark.raw_log import KEY, RawLog, log_of_files, log_of_frame, only
from gru4rec.spark.spans import spans_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_STEPS = 5


@dataclass(frozen=True)
class Prepared:
    """What `prepare` makes of a log on Spark."""

    parts: Mapping[str, "DataFrame"]
    """The clicks of `train`, `valid` and `test`, those that there are: session_id, item_id,
    timestamp, user_id where there is one, and the other columns. Sessions stand by start, equal
    ones by id, each whole and in time order."""
    card: Card
    """What each rule dropped, and what is left."""
    recipe: Recipe
    """The recipe that was followed."""
    kept: "DataFrame"
    """What Spark keeps for the parts, in memory and on disk, until `unpersist`."""

    def write(self, output: str | Path, *, force: bool = False) -> None:
        """Write the folder that `gru4rec.prepare` writes, its parts as folders of Parquet files.

        `output` is a path that all workers see, and this process. Elsewhere, as in an object store,
        Spark writes each of `parts`. Raise DataError for a folder that cannot be written; with
        `force` an older one of prepared sessions is replaced.
        """
        output = Path(output)
        check_free(output, force=force)
        with as_data_error(f"write {output}"), atomic.replaced(output, error=DataError) as new:
            for name, rows in self.parts.items():
                rows.write.parquet(f"file://{new.absolute()}/{name}.parquet")
            write_card(new, self.card, self.recipe)

    def unpersist(self) -> None:
        """Let Spark forget what it keeps; parts that are read again are made anew."""
        self.kept.unpersist()


def prepare(
    source: "DataFrame | Sequence[str | Path]",
    recipe: Recipe | None = None,
    *,
    spark: "SparkSession | None" = None,
    partitions: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Prepared:
    """Do on Spark what `gru4rec.prepare` does on one machine, to the same parts and the same card.

    `source` is a frame of Spark, or paths of files that all workers see, for which `spark` is the
    session. Spark brings the rows of a session, or of a user, together, in so many `partitions`
    (left out, one for half a million rows), and the rules work on them in workers. This process has
    the catalog in memory, and nothing for each click or session. `on_progress` is told how many
    steps are done, and how many there are.

    Rows at the same time stand in the order in which Spark gives them, and so do all rows of a log
    without times. Types that Spark lacks become others: unsigned integers become wider ones.

    Raise DataError and ConfigError where `gru4rec.prepare` does, and MissingExtraError without
    PySpark.
    """
    recipe = recipe or Recipe()
    with as_data_error("prepare the log"), ExitStack() as kept_for_now:
        raw = _raw_log(source, recipe, spark)
        how = raw_rows_of(recipe, raw.untyped)
        return _prepared(raw, how, recipe, partitions, kept_for_now, on_progress)


def _raw_log(source: Any, recipe: Recipe, spark: "SparkSession | None") -> RawLog:
    explode = recipe.layout.explode
    if spark is None:
        return log_of_frame(source, explode=explode)
    return log_of_files(spark, source, header=recipe.layout.header, explode=explode)


def _prepared(
    raw: RawLog,
    how: RawRows,
    recipe: Recipe,
    partitions: int | None,
    kept_for_now: ExitStack,
    told: Callable[[int, int], None],
) -> Prepared:
    """Read, make sessions, keep what is supported, split, count."""
    rules = recipe.rules
    columns = how.columns(raw.empty.lazy())
    owner = columns.ours.get(SESSION_ID) or columns.ours[USER_ID]
    # Spark's own number would stay what it is, 200 without a setting, as the rows are persisted.
    rows = raw.of_owners(owner, partitions or raw.partitions()).persist()
    kept_for_now.callback(rows.unpersist)
    ask = _ask(rows, how, raw)
    schema, taken, invalid = read_clicks_of(how, raw, ask)
    read = taken if how.where is None else int(rows.count())
    told(1, _STEPS)

    made, made_schema = make_sessions(rows, how, ask.answers, rules, raw.empty)
    made = made.persist()
    kept_for_now.callback(made.unpersist)
    tallies = [*count_stages(made, rules, schema), tallies_of(rules, [])[-1]]
    refuse_nothing(tallies[:-1])
    rows.unpersist()
    told(2, _STEPS)

    sessions = sessions_made(made, rules, schema)
    items = supported_items(sessions, rules, made_schema)
    told(3, _STEPS)

    kept = keep_supported(sessions, items, rules, made_schema).persist()
    on_failure = kept_for_now.enter_context(ExitStack())
    on_failure.callback(kept.unpersist)
    timed = TIMESTAMP in made_schema
    shown = str if timed else partial(_shown_row, made)
    spans = spans_of(kept, shown, timed=timed)
    if not spans.count():
        refuse_nothing(tallies[-1:])
    cuts, split = cut_as_asked(recipe.split, spans)
    parts = assign_parts(kept, cuts)
    told(4, _STEPS)

    counts = Counts(parts, made_schema)
    last = counts.line()
    tallies[-1].clicks, tallies[-1].sessions, tallies[-1].items = last.values()
    card = described(
        read=read,
        invalid=invalid,
        files=raw.files,
        rules=rule_lines(read, taken, how.where, tallies),
        times=times_of(spans),
        parts={name: counts.part_line(name) for name in counts.names},
        session_clicks=counts.session_clicks(),
        item_clicks=counted(counts.items()["clicks"]),
        revisits=counts.revisits,
        order_share=counts.order_share(),
    )
    card["split"] = {**split, "left_out": counts.left_out()}
    card["published"] = compare(recipe.published, card, counts.papers_count)
    on_failure.pop_all()
    told(5, _STEPS)
    return Prepared({name: written(parts, name) for name in counts.names}, card, recipe, kept)


def _ask(rows: "DataFrame", how: RawRows, raw: RawLog) -> AskPieces:
    """Return what answers questions about the rows, of which it reads what is asked for."""
    whole = None if how.time_offset is None else KEY  # the first date of a session is asked for
    if raw.untyped:  # every column of text is asked what it holds
        return AskPieces(rows, how, whole=whole)
    columns = how.columns(raw.empty.lazy())
    wanted = {*columns.ours.values(), how.time_offset, ROW}
    with suppress(pl.exceptions.PolarsError):  # reading says what is wrong with it
        wanted.update([] if how.where is None else predicate_of(how.where).meta.root_names())
    names = [*(name for name in raw.empty.columns if name in wanted), KEY]
    return AskPieces(only(rows, names), replace(how, other_columns=False), whole=whole)


def _shown_row(made: "DataFrame", row: int) -> str:
    """Return the number of a row among the valid ones, from 0."""
    from pyspark.sql import functions as F

    return str(made.where(F.col(ROW) < row).count())
