"""The routes of the service, and what each of them takes and answers: one table for all."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One route."""

    method: str
    path: str
    handler: str
    """Its method of `routes.Handlers`."""
    summary: str
    query: Sequence[str] = ()
    """Parameters, of `openapi.PARAMETERS`."""
    body: str | None = None
    """What its body is, of `openapi.SCHEMAS`."""
    answer: str | None = None
    """What it answers, of `openapi.SCHEMAS`; None: nothing, or no JSON."""
    status: int = 200
    refuses: Sequence[int] = ()
    """Statuses of its errors."""

    @property
    def route(self) -> str:
        """The path as the router takes it: ids may hold slashes."""
        return self.path.replace("_id}", "_id:path}")


ANSWER_QUERY = ("k", "exclude_clicked", "allow", "deny", "rules", "explain", "outcome")
_ANSWER_ERRORS = (400, 413, 422)

# Those whose path goes on after an id come before those that end with it.
OPERATIONS: Sequence[Operation] = (
    Operation(
        method="POST", path="/sessions/{session_id}/clicks", handler="click",
        summary="Add clicks to a session, and recommend its next items; with k=0 only add.",
        query=ANSWER_QUERY, body="Clicks", answer="Recommendations", refuses=_ANSWER_ERRORS,
    ),
    Operation(
        method="GET", path="/sessions/{session_id}/recommendations", handler="recommendations",
        summary="Recommend the next items of a session; popular ones if it has no known click.",
        query=ANSWER_QUERY, answer="Recommendations", refuses=_ANSWER_ERRORS,
    ),
    Operation(
        method="GET", path="/sessions/{session_id}", handler="session",
        summary="The clicks of a session.", answer="Session", refuses=(404, 422, 503),
    ),
    Operation(
        method="DELETE", path="/sessions/{session_id}", handler="end",
        summary="Forget a session.", status=204, refuses=(404, 422, 503),
    ),
    Operation(
        method="POST", path="/recommend", handler="recommend",
        summary="Recommend after the items of a session that is not kept.",
        query=ANSWER_QUERY, body="Clicks", answer="Recommendations", refuses=_ANSWER_ERRORS,
    ),
    Operation(
        method="GET", path="/items/{item_id}/similar", handler="similar",
        summary="The items most like an item.", query=("k",), answer="Similar",
        refuses=(404, 422),
    ),
    Operation(
        method="GET", path="/items", handler="items",
        summary="Items whose title or id has every word of a search, the most clicked first.",
        query=("search", "item", "k"), answer="Items", refuses=(422,),
    ),
    Operation(
        method="GET", path="/model", handler="model", summary="What is served.", answer="Model",
    ),
    Operation(
        method="POST", path="/model/reload", handler="reload",
        summary="Serve the checkpoint that is in the folder now.", answer="Model",
        refuses=(401, 503),
    ),
    Operation(
        method="GET", path="/health", handler="health",
        summary="The process answers. Needs no token.", answer="Health",
    ),
    Operation(
        method="GET", path="/ready", handler="ready",
        summary="A model answers; `refused` says why a newer one does not.", answer="Ready",
    ),
    Operation(
        method="GET", path="/metrics", handler="metrics", summary="Figures for Prometheus.",
    ),
    Operation(
        method="GET", path="/openapi.json", handler="openapi", summary="This, for programs.",
    ),
    Operation(method="GET", path="/docs", handler="docs", summary="This, for people."),
)  # fmt: skip

PAGE = ("/", "/page.css", "/page.js", "/docs.css")
"""The page for people, and its files."""
