"""Say how a service is run: what it serves, where, for whom, and within which limits."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from gru4rec.errors import ConfigError
from gru4rec.settings import Settings, setting

REDIS = ("redis://", "rediss://", "unix://")
"""How the address of a Redis or Valkey begins, as its client takes it."""


@dataclass(frozen=True, kw_only=True)
class ServiceSettings(Settings):
    """How `gru4rec serve` runs; the options of the command are its fields."""

    checkpoint: str
    """Folder of the checkpoint that is served."""
    host: str = "127.0.0.1"
    """Address to listen at."""
    port: int = setting(8000, low=0, high=65_535)
    """Port to listen at; 0 takes a free one."""
    workers: int = setting(1, low=1, high=256)
    """Processes that answer, each with a model of its own."""
    sessions: str = setting(None)
    """Where sessions outlive the process: a Parquet file, or the address of a Redis or Valkey."""
    items_table: str = setting(None)
    """Table with `item_id`, and `title` or `image`, that the page shows, and what rules read."""
    rules: str = setting(None)
    """File of sets of rules, which requests ask for by name."""
    watch: bool = True
    """Whether a checkpoint that replaces the one that is served is taken."""
    token_file: str = setting(None)
    """File whose first line is the token that requests must bring."""
    no_token: bool = False
    """Whether others than this machine may ask without a token."""
    k: int = setting(20, low=1, high=100_000)
    """Items to recommend where a request does not say how many."""
    max_k: int = setting(1000, low=1, high=100_000)
    """Items that a request may ask for."""
    max_items: int = setting(1000, low=1, high=1_000_000)
    """Items that a list in a request may have, and clicks that are kept of a session."""
    max_body: int = setting(1_000_000, low=1000, high=2**30)
    """Bytes that the body of a request may have."""
    max_sessions: int = setting(100_000, low=1, high=10**9)
    """Sessions that are held."""
    session_minutes: float = setting(30.0, low=0.01, high=10**6)
    """Minutes without a click after which a session is over."""
    client_seconds: float = setting(10.0, low=0.1, high=3600.0)
    """Seconds that a client may take to send a request."""
    max_connections: int = setting(1000, low=1, high=100_000)
    """Connections that are held open at once, by each worker."""
    access_log: bool = True
    """Whether each request becomes a line of JSON on standard output."""
    folder: str = setting(None)
    """Folder in which the workers of one service find each other's figures; made by `serve`."""

    def __post_init__(self) -> None:
        try:
            self.check()
        except ConfigError as error:  # which begins with the name of the setting
            named = str(error).partition(" ")[0]
            raise ConfigError(str(error), mend_with=[named]) from None
        if self.workers > 1 and not self.is_shared:
            raise ConfigError(
                f"{self.workers} workers need sessions that they share, got "
                f"{self.sessions or 'sessions in memory'}; a session's next click may come to "
                "another worker. Give sessions a redis:// address, or one of workers",
                mend_with=["workers", "sessions"],
            )
        if "://" in (self.sessions or "") and not self.is_shared:
            raise ConfigError(
                f"sessions are in a file or at one of {', '.join(REDIS)}, got {self.sessions}",
                mend_with=["sessions"],
            )
        if self.sessions_file is not None and self.sessions_file.suffix != ".parquet":
            raise ConfigError(
                f"a file of sessions ends in .parquet, got {self.sessions}", mend_with=["sessions"]
            )
        if self.token_file is not None and self.no_token:
            raise ConfigError(
                "token_file and no_token contradict each other; give one of them",
                mend_with=["token_file", "no_token"],
            )
        if self.k > self.max_k:
            raise ConfigError(
                f"k must be at most max_k, got {self.k} and {self.max_k}", mend_with=["max_k"]
            )
        if not (self.is_local or self.token_file or self.no_token):
            raise ConfigError(
                f"{self.host} can be reached from elsewhere, and nothing says who may ask; give a "
                "token_file, or say no_token",
                mend_with=["token_file", "no_token"],
            )

    @property
    def is_shared(self) -> bool:
        """Whether sessions are in a Redis or Valkey."""
        return (self.sessions or "").startswith(REDIS)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def sessions_file(self) -> Path | None:
        """The file that sessions are saved to and restored from."""
        return None if self.sessions is None or self.is_shared else Path(self.sessions)
