"""Say what is done to a raw log to make it ready for training, rule by rule; TOML in and out.

Each field of `Columns`, `Layout`, `Rules` and `Split` is an option of `gru4rec prepare` by the
same name. `datasets/` holds a recipe for each of the field's public logs.
"""

import dataclasses
from dataclasses import dataclass, field

from gru4rec.errors import ConfigError
from gru4rec.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class About(Settings):
    """Where a log comes from: for people, nothing depends on it."""

    name: str = setting(None)
    """What its users call it."""
    home: str = setting(None)
    """The page it is published on."""
    licence: str = setting(None)
    """What its publishers allow."""
    citation: str = setting(None)
    """What to cite."""
    files: str = setting(None)
    """Which of its files to prepare."""
    note: str = setting(None)
    """What else to know, such as where the recipe departs from that of the papers."""

    def __post_init__(self) -> None:
        self.check("about.")


@dataclass(frozen=True, kw_only=True)
class Layout(Settings):
    """How the raw files are laid out."""

    header: tuple[str, ...] = setting(None)
    """Column names of text files that have no header line."""
    explode: str = setting(None)
    """The column that lists the clicks of a session, if a row is a session."""
    null: tuple[str, ...] = setting(None)
    """Texts that stand for a missing value, such as "NULL"."""

    def __post_init__(self) -> None:
        self.check("layout.")


@dataclass(frozen=True, kw_only=True)
class Columns(Settings):
    """Which columns of the raw log are which; for one left out the usual names are looked for."""

    session_col: str = setting(None)
    """Column of the session id."""
    user_col: str = setting(None)
    """Column of the user id. Sessions are cut from a user's clicks by `gap`, unless session_col
    names them."""
    item_col: str = setting(None)
    """Column of the item id."""
    time_col: str = setting(None)
    """Column of the time."""
    time_offset_col: str = setting(None)
    """Column of milliseconds since the first date of the session, if the time is only a date."""

    def __post_init__(self) -> None:
        self.check("columns.")


# A rule does nothing without the one it works on.
_NEEDS = {
    "gap_before_events": "events",
    "long_sessions": "max_session_clicks",
    "filter_rounds": "min_item_clicks",
}


@dataclass(frozen=True, kw_only=True)
class Rules(Settings):
    """What is dropped, in this order, and how sessions are made."""

    where: str = setting(None)
    """Rows to take: a Polars SQL predicate over the raw columns."""
    drop_invalid: bool = False
    """Drop and count invalid rows instead of refusing the log."""
    event_col: str = setting(None)
    """Column of the kind of event."""
    events: tuple[str, ...] = setting(None)
    """The kinds of event to keep; the others are dropped."""
    gap: str = setting(None)
    """A pause longer than this ends a session: "30m", "1h"."""
    gap_before_events: bool = False
    """End sessions by the gaps between events of all kinds, before `events` drops any."""
    drop_doubles: bool = False
    """Keep one of the rows that are equal in every column."""
    drop_repeats: bool = False
    """Keep the first of the clicks on one item that follow each other in a session."""
    max_session_clicks: int = setting(None, low=1)
    """The most clicks a session may have."""
    long_sessions: str = setting(None, choices="cut newest drop")
    """What becomes of longer sessions: `cut` keeps their first clicks (so if left out), `newest`
    the newest ones, `drop` none."""
    min_item_clicks: int = setting(1, low=1)
    """The fewest clicks an item may have. With min_session_clicks it is applied again and again,
    until nothing more is dropped."""
    min_session_clicks: int = setting(1, low=1)
    """The fewest clicks a session may have."""
    filter_rounds: int = setting(None, low=1)
    """Rounds of the two rules above, if a paper stops before nothing more is dropped."""

    def __post_init__(self) -> None:
        self.check("rules.")
        if (self.events is None) != (self.event_col is None):
            raise ConfigError(
                "rules.events and rules.event_col go together: name the column and the kinds"
            )
        defaults = {spec.name: spec.default for spec in dataclasses.fields(self)}
        for rule, needed in _NEEDS.items():
            if getattr(self, rule) != defaults[rule] and getattr(self, needed) == defaults[needed]:
                raise ConfigError(f"rules.{rule} does nothing without rules.{needed}")


@dataclass(frozen=True, kw_only=True)
class Split(Settings):
    """How the prepared sessions are split; see `split_last`."""

    valid: str = setting(None)
    """The part to validate on: a duration, a share, a moment, or "none"."""
    test: str = setting(None)
    """The part to test on. Left out, both are 1d; or 10%, if one of the last two days has too few
    sessions, or both together have half of them."""
    split_by: str = setting("start", choices="start end")
    """Where a session that runs across a cut belongs: to no part (`start`), or to the last part
    (`end`), as in the GRU4Rec papers."""

    def __post_init__(self) -> None:
        self.check("split.")


@dataclass(frozen=True, kw_only=True)
class Counts(Settings):
    """How much there is of a log or a part."""

    clicks: int = setting(None, low=1)
    """Rows."""
    sessions: int = setting(None, low=1)
    """Sessions."""
    items: int = setting(None, low=1)
    """Different items."""

    def __post_init__(self) -> None:
        self.check("published.")


@dataclass(frozen=True, kw_only=True)
class Published(Settings):
    """Counts that the log's publishers or the papers give, to compare with."""

    read: Counts = field(default_factory=Counts)
    """Of the raw log."""
    kept: Counts = field(default_factory=Counts)
    """After all rules, before the split."""
    train: Counts = field(default_factory=Counts)
    """Of what a model learns from before the test: the train and valid parts."""
    test: Counts = field(default_factory=Counts)
    """Of the test part without clicks on items that are not in train, as papers count."""

    def __post_init__(self) -> None:
        self.check("published.")


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """All that `prepare` does to a log."""

    about: About = field(default_factory=About)
    """Where the log comes from."""
    layout: Layout = field(default_factory=Layout)
    """How its files are laid out."""
    columns: Columns = field(default_factory=Columns)
    """Which columns are which."""
    rules: Rules = field(default_factory=Rules)
    """What is dropped, and how sessions are made."""
    split: Split = field(default_factory=Split)
    """How sessions are split."""
    published: Published = field(default_factory=Published)
    """Counts to compare with."""

    def __post_init__(self) -> None:
        self.check()
