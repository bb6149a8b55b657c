"""What is wrong with a request, and the status that says so."""

from collections.abc import Mapping


class Refusal(Exception):
    """A request that is not answered: one line that says why, with a status of HTTP."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers
