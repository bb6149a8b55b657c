"""What the routes of the service answer, and how they refuse."""

import json
from datetime import datetime

import pytest
from asgi import Client, recommended
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import TINY

import gru4rec as g4r
from gru4rec.service.operations import OPERATIONS

A, B, C = "c00-0000", "c00-0001", "c01-0020"


@pytest.fixture(autouse=True)
def known(trained):
    """The items of these tests are in the catalog."""
    assert all(trained.catalog.find(item) is not None for item in (A, B, C))


def test_a_click_is_answered_as_the_recommender_does(client, trained):
    for count, item in enumerate((A, B, C), start=1):
        reply = client.post("/sessions/s/clicks", {"item_id": item}, k=5)
        assert reply.status == 200
        expected = trained.recommend([[A, B, C][:count]], 5)
        assert reply.json["items"] == expected["item_id"].to_list()
        assert reply.json["scores"] == pytest.approx(expected["score"].to_list(), abs=1e-4)
        assert reply.json["session_id"] == "s"
        assert (reply.json["reason"], reply.json["unknown"]) == ("model", 0)


def test_several_clicks_may_come_in_one_request(client, trained):
    reply = client.post("/sessions/s/clicks", {"items": [A, "unknown", B]}, k=4)
    assert reply.json["items"] == recommended(trained, [A, B], 4)
    assert reply.json["unknown"] == 1
    assert client.get("/sessions/s/recommendations", k=4).json["items"] == reply.json["items"]


def test_a_click_may_ask_for_no_items(client):
    reply = client.post("/sessions/s/clicks", {"item_id": A, "k": 0})
    assert (reply.status, reply.json["items"], reply.json["reason"]) == (200, [], None)
    assert client.get("/sessions/s").json["items"] == [A]


def test_a_session_never_seen_gets_popular_items(client, trained):
    reply = client.get("/sessions/never/recommendations", k=3)
    assert reply.status == 200
    assert reply.json["items"] == trained.catalog.ids_of(range(3))
    assert reply.json["reason"] == "popularity"
    assert client.get("/sessions/never").status == 404


def test_a_session_tells_its_clicks_and_is_forgotten_once(client):
    client.post("/sessions/s/clicks", {"item_id": A, "time": "2026-11-27T10:00:00"})
    client.post("/sessions/s/clicks", {"items": [B, "unknown"], "time": [1_795_773_601, None]})
    moment = (datetime(2026, 11, 27, 10) - datetime(1970, 1, 1)).total_seconds()
    told = {"session_id": "s", "items": [A, B], "times": [moment, 1_795_773_601], "unknown": 1}
    assert client.get("/sessions/s").json == told
    reply = client.ask("DELETE", "/sessions/s")
    assert (reply.status, reply.content) == (204, b"")
    assert client.ask("DELETE", "/sessions/s").status == 404


def test_items_that_are_no_session_are_answered_and_not_kept(client, trained):
    reply = client.post("/recommend", {"items": [A, B]}, k=6)
    assert reply.json["items"] == recommended(trained, [A, B], 6)
    assert reply.json["session_id"] is None
    assert client.post("/recommend", {"items": []}, k=2).json["reason"] == "popularity"


@pytest.mark.parametrize(
    "asked",
    [
        {"exclude_clicked": True},
        {"allow": [B, C, "c02-0040"]},
        {"deny": [A, B]},
        {"allow": [A, B], "exclude_clicked": True},
    ],
)
def test_filters_are_those_of_the_recommender_in_query_and_body(client, trained, asked):
    expected = trained.recommend([[A]], 5, **asked)["item_id"].to_list()
    client.post("/sessions/s/clicks", {"item_id": A, "k": 0})
    query = {name: "true" if value is True else value for name, value in asked.items()}
    assert client.get("/sessions/s/recommendations", k=5, **query).json["items"] == expected
    assert client.post("/recommend", {"items": [A], "k": 5, **asked}).json["items"] == expected


def test_ids_may_hold_slashes_and_commas(client):
    assert client.post("/sessions/a%2Fb,c/clicks", {"item_id": A}).json["session_id"] == "a/b,c"
    assert client.get("/sessions/a%2Fb,c").json["items"] == [A]


def test_an_answer_says_why(client):
    client.post("/sessions/s/clicks", {"items": [A, B], "k": 0})
    reply = client.get("/sessions/s/recommendations", k=3, explain="true").json
    why = reply["explain"]
    assert why["reasons"] == ["model"] * 3
    assert why["item_id"] == reply["items"][0]
    assert [click["item_id"] for click in why["clicks"]] == [A, B]
    assert [click["position"] for click in why["clicks"]] == [1, 2]
    assert all(0 < click["update"] < 1 for click in why["clicks"])
    nothing = client.get("/sessions/never/recommendations", k=2, explain=1).json["explain"]
    assert (nothing["reasons"], nothing["clicks"]) == (["popularity"] * 2, [])


def test_similar_items_are_those_of_nearest_vectors(client, trained):
    from gru4rec.evaluation import neighbours

    expected = neighbours(trained, A, 4)
    reply = client.get(f"/items/{A}/similar", k=4).json
    assert reply["items"] == expected["item_id"].to_list()
    assert reply["scores"] == pytest.approx(expected["cosine"].to_list(), abs=1e-5)
    assert client.get("/items/unknown/similar").status == 404


def test_the_model_says_what_it_is(client, trained):
    told = client.get("/model").json
    assert (told["recommender"], told["items"]) == ("gru4rec", len(trained.catalog))
    assert told["settings"]["encoder"]["hidden_size"] == 16
    assert told["counts"] == dict(trained.meta.counts)
    assert client.post("/model/reload").json == told
    ready = client.get("/ready").json
    assert ready == {"ready": True, "fingerprint": told["fingerprint"], "refused": None}
    assert client.get("/health").json == {"status": "ok"}


def test_metrics_count_what_came(client):
    client.post("/sessions/s/clicks", {"items": [A, "unknown"]})
    client.get("/sessions/never/recommendations")
    text = client.get("/metrics").content.decode()
    for line in (
        'gru4rec_clicks_total{item="known"} 1.0',
        'gru4rec_clicks_total{item="unknown"} 1.0',
        'gru4rec_answers_total{reason="model"} 1.0',
        'gru4rec_answers_total{reason="popularity"} 1.0',
        'gru4rec_request_seconds_count{route="POST /sessions/{session_id}/clicks",status="200"} 1',
        "gru4rec_batch_size_sum 2.0",
        "gru4rec_model_refused 0.0",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/nope", None, 404, "no route GET /nope"),
        ("PUT", "/recommend", None, 404, "no route PUT /recommend"),
        ("POST", "/recommend", b"{", 400, "the body is no JSON"),
        ("POST", "/recommend", b"\xff", 400, "the body is no JSON"),
        ("POST", "/recommend", [1], 422, "must be an object"),
        ("POST", "/recommend", {}, 422, "got neither"),
        ("POST", "/recommend", {"items": "A"}, 422, "items must be a list"),
        ("POST", "/recommend", {"items": [A], "item_id": A}, 422, "the body must be"),
        ("POST", "/recommend", {"items": [1.5]}, 422, "1.5 is no item id"),
        ("POST", "/recommend", {"items": [A] * 1001}, 413, "1,000 ids at most"),
        ("POST", "/recommend", {"items": ["x" * 257]}, 422, "256 characters"),
        ("POST", "/recommend", {"items": [A], "k": 0}, 422, "from 1 to 1000, got 0"),
        ("POST", "/recommend", {"items": [A], "k": 1001}, 422, "from 1 to 1000"),
        ("POST", "/recommend", {"items": [A], "k": True}, 422, "from 1 to 1000"),
        ("POST", "/recommend", {"items": [A], "deny": A}, 422, "deny must be a list"),
        ("POST", "/recommend", {"items": [A], "allow": ["zz"]}, 422, "no item of the catalog"),
        ("POST", "/recommend", {"items": [A], "explain": 1}, 422, "must be true or false"),
        ("POST", "/recommend", {"items": [A], "colour": "red"}, 422, "colour"),
        ("POST", "/recommend", {"items": [A], "time": "noon"}, 422, "time must be"),
        ("POST", "/recommend", {"items": [A], "time": "9999-12-31"}, 422, "time must be"),
        ("POST", "/recommend", {"items": [A], "colour": {"a": [[[]]]}}, 422, "must be a number"),
        ("POST", "/recommend", {"items": [A], "colour": "x" * 257}, 422, "256 characters"),
        ("POST", "/recommend", {"items": [10**30]}, 422, "64 bits"),
        ("POST", "/recommend", {"items": [""]}, 422, "1 to 256 characters"),
        ("POST", "/sessions//clicks", {"item_id": A}, 422, "1 to 256 characters"),
        ("POST", "/recommend", {"items": [A], "time": [1, 2]}, 422, "2 values for 1 items"),
        ("POST", "/recommend", {"items": ["x" * 1_000_000]}, 413, "1,000,000 bytes"),
        ("GET", "/sessions/s/recommendations?k=x", None, 422, "k must be"),
        ("GET", "/sessions/s/recommendations?kk=2", None, 422, "no parameter 'kk'"),
        ("GET", "/items?k=0", None, 422, "k must be"),
        ("GET", "/items?q=x", None, 422, "choose from k, search, item"),
        ("GET", "/sessions/s/recommendations?explain=", None, 422, "explain must be true or false"),
        ("GET", "/sessions/s/clicks", None, 404, "no route GET /sessions/s/clicks"),
        ("DELETE", "/sessions/s/recommendations", None, 404, "no route"),
        ("GET", "/sessions/a\ufffd", None, 422, "no UTF-8"),
        ("GET", f"/items/{A}/similar?allow=A", None, 422, "no parameter 'allow'"),
        ("GET", "/sessions/" + "x" * 257, None, 422, "256 characters"),
    ],
)
def test_a_bad_request_gets_one_line(client, method, path, body, status, message):
    path, _, query = path.partition("?")
    asked = dict([query.split("=")]) if query else {}
    reply = client.ask(method, path, body, query=asked)
    assert (reply.status, list(reply.json)) == (status, ["error"])
    assert message in reply.json["error"]
    assert "\n" not in reply.json["error"]


def test_a_bad_request_leaves_those_that_wait_with_it_alone(client, trained):
    good = ("POST", "/sessions/a/clicks", {"item_id": A})
    bad = ("POST", "/sessions/b/clicks", {"item_id": A, "colour": "red"})
    statuses = [reply.status for reply in client.together([good, bad, good])]
    assert statuses == [200, 422, 200]
    assert client.get("/sessions/a").json["items"] == [A, A]
    assert client.get("/sessions/b").status == 404


def test_requests_that_wait_together_are_answered_in_their_order(client, trained):
    clicks = [("POST", f"/sessions/{n % 3}/clicks", {"item_id": item}) for n, item in
              enumerate([A, B, C, B, C, A])]  # fmt: skip
    replies = client.together(clicks)
    for n, session in enumerate([[A], [B], [C], [A, B], [B, C], [C, A]]):
        assert replies[n].json["items"] == recommended(trained, session, 20)
    assert "gru4rec_batch_size_count 1.0" in client.get("/metrics").content.decode()


def test_a_session_is_ended_after_the_clicks_that_came_before(client):
    click = ("POST", "/sessions/s/clicks", {"item_id": A})
    replies = client.together(
        [click, ("DELETE", "/sessions/s", None), ("GET", "/sessions/s", None)]
    )
    assert [reply.status for reply in replies] == [200, 204, 404]


def test_side_inputs_come_with_the_click(serving, log, tmp_path):
    clicks = log.with_columns(kind=log["item_id"].str.slice(0, 3))
    settings = g4r.Config().replace({**TINY, "encoder.inputs": ["kind"]})
    made = g4r.GRU4Rec(settings, device="cpu").fit(clicks)
    made.save(tmp_path / "sides")
    client = serving(checkpoint=str(tmp_path / "sides"))
    session = made.start_session()
    for item, kind in ((A, "c00"), (C, "c01")):
        session.click(item, kind=kind)
        reply = client.post("/sessions/s/clicks", {"item_id": item, "kind": kind}, k=4)
        assert reply.json["items"] == session.recommend(4)["item_id"].to_list()
    both = {"items": [A, C], "kind": ["c00", "c01"], "k": 4}
    assert client.post("/recommend", both).json["items"] == reply.json["items"]


def test_a_page_of_another_site_changes_nothing(client):
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert client.ask("POST", "/model/reload", headers=headers).status == 401
    assert client.ask("GET", "/model", headers=headers).status == 200


_PATHS = [operation.path for operation in OPERATIONS]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["items", "item_id", "k", "time", "deny", "x"]), inner)
    ),
    max_leaves=6,
)


@given(
    st.sampled_from(["GET", "POST", "DELETE", "PATCH"]),
    st.sampled_from(_PATHS) | st.text(max_size=10).map(lambda text: f"/{text}"),
    st.none() | st.binary(max_size=20) | _JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(["k", "allow", "explain", "x"]), st.text(max_size=5)),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_is_an_error_of_ours(client: Client, method, path, body, query):
    reply = client.ask(method, path.encode("utf-8", "replace").decode(), body, query=query)
    assert reply.status in (200, 204, 400, 401, 404, 413, 422, 503)
    if reply.status >= 400:
        assert list(reply.json) == ["error"]


@pytest.mark.parametrize("kind", ["vstan", "fusion", "popularity", "ensemble"])
def test_any_recommender_has_the_same_routes(serving, log, trained, tmp_path, kind):
    made = {
        "vstan": lambda: g4r.VSTAN().fit(log),
        "fusion": lambda: g4r.Fusion([trained, g4r.Markov().fit(log)], weights=[0.5, 0.5]),
        "popularity": lambda: g4r.Popularity().fit(log),
        "ensemble": lambda: g4r.Ensemble([trained, trained]),
    }[kind]()
    made.save(tmp_path / kind)
    client = serving(checkpoint=str(tmp_path / kind))
    reply = client.post("/sessions/s/clicks", {"items": [A, B]}, k=4, explain="true").json
    assert reply["items"] == recommended(made, [A, B], 4)
    assert len(reply["explain"]["clicks"]) == 2
    similar = client.get(f"/items/{A}/similar", k=3).json
    assert len(similar["items"]) == 3
    assert A not in similar["items"]
    assert client.get("/model").json["recommender"] == kind
