"""Name the columns of click logs and of results."""

from collections.abc import Mapping

SESSION_ID = "session_id"
ITEM_ID = "item_id"
USER_ID = "user_id"
TIMESTAMP = "timestamp"

RANK = "rank"
SCORE = "score"
REASON = "reason"
UNKNOWN = "unknown"
OUTCOME = "outcome"

ALIASES: Mapping[str, tuple[str, ...]] = {
    SESSION_ID: (SESSION_ID, "SessionId", "session"),
    ITEM_ID: (ITEM_ID, "ItemId", "item", "aid"),
    TIMESTAMP: (TIMESTAMP, "Timestamp", "Time", "ts"),
    USER_ID: (USER_ID, "UserId", "user"),
}
"""The names by which a column is found without being told; the first that a log has is taken."""

ARGUMENTS: Mapping[str, str] = {
    SESSION_ID: "session_col",
    ITEM_ID: "item_col",
    TIMESTAMP: "time_col",
    USER_ID: "user_col",
}
"""The argument that names each column."""
