"""Read a log as each recommender takes it: its columns, its history, what are targets."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.errors import DataError
from gru4rec.evaluation.question import Question
from gru4rec.recommenders import Recommender
from gru4rec.sessions import EventTypes, SessionArrays, SessionReader, event_types_of, warn_of_leaks


def read_sessions(
    recommenders: Mapping[str, Recommender],
    sessions: ClickSource,
    question: Question,
    history: ClickSource | None,
    *,
    outcome: bool,
) -> tuple[pl.LazyFrame, dict[str, SessionArrays]]:
    """Return the log, and its sessions as each recommender takes them.

    Those that one was trained on are warned of.
    """
    asked = question.events_asked(recommenders)
    also = extra_columns(recommenders, asked.event_column, outcome=outcome)
    clicks = read_clicks(sessions, also=also).collect().lazy()
    events = event_types_of(clicks, asked, strict=question.events is not None)
    before = None if history is None else read_clicks(history, also=also).collect().lazy()
    read = {
        name: reader_of(recommender, events, before).arrays(clicks)
        for name, recommender in recommenders.items()
    }
    metas = {name: recommender.meta for name, recommender in recommenders.items()}
    warn_of_leaks({name: meta.seen for name, meta in metas.items() if meta.seen}, clicks, read)
    return clicks, read


def reader_of(
    recommender: Recommender, events: EventTypes, history: pl.LazyFrame | None = None
) -> SessionReader:
    """Return what reads sessions for a recommender, behind those of a history if it asks for them.

    Raise DataError for a history without the users that it asks for.
    """
    reader = replace(recommender.reader, events=events)
    if history is None or not reader.users:
        return reader
    if reader.users not in history.collect_schema():
        raise DataError(
            f"the history has no column {reader.users!r} of users; give the log that has it"
        )
    return replace(reader, history=reader.arrays(history).alone())


def extra_columns(
    recommenders: Mapping[str, Recommender],
    event_column: str | None = None,
    *,
    outcome: bool = False,
) -> list[str]:
    """Return the names of the columns that are read besides those of every log.

    They are those that recommenders read, or have learned types of events from, the one given, and
    with `outcome` those of what they foretell.
    """
    names = [event_column or ""]
    for recommender in recommenders.values():
        settings = recommender.model_settings
        names += [*recommender.side_inputs.values, settings.training.event_column]
        names += [settings.encoder.user_column, *recommender.outcome_classes.columns * outcome]
    return [name for name in names if name]
