"""Sessions in a Redis or Valkey: shared by workers, kept, and missed while it is away."""

import asyncio
import json
import time

import pytest
from asgi import Client, recommended
from toys import TINY

import gru4rec as g4r
from gru4rec.errors import MissingExtraError
from gru4rec.service import ServiceSettings, shared_sessions

pytestmark = pytest.mark.process
A, B, C = "c00-0000", "c00-0001", "c01-0020"


def rest_of(answer: dict[str, object]) -> dict[str, object]:
    """An answer without its numbers, of which a batch of another size makes others by a hair."""
    return {name: value for name, value in answer.items() if name not in ("scores", "explain")}


def test_any_worker_goes_on_with_a_session(serving, server, redis, trained):
    one, other = serving(sessions=server.address), serving(sessions=server.address)
    for count, (worker, item) in enumerate([(one, A), (other, B), (other, C), (one, A)], start=1):
        reply = worker.post("/sessions/s/clicks", {"item_id": item}, k=5)
        assert reply.json["items"] == recommended(trained, [A, B, C, A][:count], 5)
        assert "gru4rec-sessions" not in reply.headers
    assert other.get("/sessions/s").json["items"] == [A, B, C, A]
    assert one.ask("DELETE", "/sessions/s").status == 204
    assert other.ask("DELETE", "/sessions/s").status == 404
    assert other.get("/sessions/s/recommendations").json["reason"] == "popularity"


def test_answers_are_those_of_sessions_in_memory(serving, server, redis):
    shared, held = serving(sessions=server.address), serving()
    requests = [
        ("POST", "/sessions/a/clicks", {"items": [A, "unknown", B], "time": "2026-11-27"}),
        ("POST", "/sessions/b/clicks", {"item_id": C, "exclude_clicked": True, "k": 3}),
        ("POST", "/sessions/a/clicks", {"item_id": C, "deny": [A], "explain": True}),
        ("POST", "/sessions/a/clicks", {"item_id": C, "colour": "red"}),
        ("POST", "/recommend", {"items": [B, A]}),
        ("GET", "/sessions/never/recommendations", None),
    ]
    for reply, expected in zip(shared.together(requests), held.together(requests), strict=True):
        scores = reply.json.get("scores", []), expected.json.get("scores", [])
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)
        assert rest_of(reply.json) == rest_of(expected.json)
    for path in ("/sessions/a", "/sessions/b", "/sessions/never"):
        assert shared.get(path).json == held.get(path).json


def test_what_is_kept_are_items_and_times(serving, server, redis):
    client = serving(sessions=server.address, max_items=3, session_minutes=2.0)
    client.post("/sessions/s/clicks", {"items": [A, "unknown", B], "time": [1.5e9, None, 1.6e9]})
    client.post("/sessions/s/clicks", {"item_id": C})
    (key,) = redis.keys()
    kept = [json.loads(click) for click in redis.lrange(key, 0, -1)]
    assert kept == [[A, {"timestamp": 1.5e9}], ["unknown"], [B, {"timestamp": 1.6e9}], [C]]
    client.post("/sessions/s/clicks", {"item_id": A})  # more than half as many again
    assert [json.loads(click)[0] for click in redis.lrange(key, 0, -1)] == [B, C, A]
    assert 0 < redis.ttl(key) <= 120


def test_a_later_model_reads_them_again(serving, server, redis, log, checkpoint):
    client = serving(sessions=server.address)
    client.post("/sessions/s/clicks", {"items": [A, B]})
    settings = g4r.Config().replace({**TINY, "seed": 9})
    newer = g4r.GRU4Rec(settings, device="cpu").fit(log)
    newer.save(checkpoint, force=True)
    client.post("/model/reload")
    found = client.get("/sessions/s/recommendations", k=5).json["items"]
    assert found == recommended(newer, [A, B], 5)


def test_answers_go_on_without_history_while_it_is_away(
    serving, server, redis, trained, monkeypatch
):
    monkeypatch.setattr(shared_sessions, "_PAUSE", 0.05)
    client: Client = serving(sessions=server.address)
    client.post("/sessions/s/clicks", {"items": [A, B]})
    server.stop()
    reply = client.post("/sessions/s/clicks", {"item_id": C}, k=5)
    assert reply.status == 200
    assert reply.headers["gru4rec-sessions"] == "unavailable"
    assert reply.json["items"] == recommended(trained, [C], 5)
    assert client.get("/sessions/s").status == 503
    assert client.ask("DELETE", "/sessions/s").status == 503
    assert "gru4rec_answers_without_history_total 1.0" in client.get("/metrics").content.decode()
    server.start()
    time.sleep(0.1)
    reply = client.post("/sessions/s/clicks", {"item_id": C}, k=5)
    assert "gru4rec-sessions" not in reply.headers
    assert reply.json["items"] == recommended(trained, [A, B, C], 5)


def test_clicks_of_one_session_from_two_workers_are_all_kept_in_one_order(serving, server, redis):
    workers = [serving(sessions=server.address) for _ in range(2)]
    for turn in range(20):
        worker = workers[turn % 2]
        worker.together(("POST", "/sessions/s/clicks", {"item_id": item}) for item in (A, B))
    told = [worker.get("/sessions/s").json["items"] for worker in workers]
    assert told == [[A, B] * 20] * 2


def test_what_others_wrote_there_is_no_error_of_ours(serving, server, redis):
    client = serving(sessions=server.address)
    redis.rpush("gru4rec:session:list", "no json", '{"a": 1}', "[]", json.dumps([A]))
    redis.set("gru4rec:session:text", "no list")
    assert client.get("/sessions/list/recommendations", k=2).status == 200
    assert client.get("/sessions/list").json["items"] == [A]
    assert client.get("/sessions/text").status == 503
    reply = client.post("/sessions/text/clicks", {"item_id": A})
    assert (reply.status, reply.headers["gru4rec-sessions"]) == (200, "unavailable")
    assert client.post("/sessions/text/clicks", {"item_id": A}, k=0).status == 503
    assert "gru4rec-sessions" not in client.get("/sessions/list/recommendations").headers


def test_a_redis_that_is_slow_gets_a_click_once(serving, server, redis):
    client = serving(sessions=server.address)
    client.post("/sessions/s/clicks", {"item_id": A})
    server.pause(0.4)
    reply = client.post("/sessions/s/clicks", {"item_id": B})
    assert reply.headers["gru4rec-sessions"] == "unavailable"
    time.sleep(0.5)
    assert client.get("/sessions/s").json["items"] in ([A], [A, B])


def test_a_model_that_changes_while_sessions_are_awaited_answers_all(
    serving, server, redis, log, tmp_path
):
    clicks = log.with_columns(kind=log["item_id"].str.slice(0, 3))
    settings = g4r.Config().replace({**TINY, "encoder.inputs": ["kind"]})
    g4r.GRU4Rec(settings, device="cpu").fit(clicks).save(tmp_path / "sides")
    client = serving(checkpoint=str(tmp_path / "sides"), sessions=server.address)
    plain = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)

    async def both() -> list[int]:
        body = {"item_id": A, "kind": "c00"}
        asked = [("/sessions/a/clicks", body), ("/sessions/b/clicks", body), ("/recommend", body)]
        tasks = [asyncio.create_task(client.asking("POST", *each)) for each in asked]
        for _ in range(4):  # until they wait for the Redis
            await asyncio.sleep(0)
        client.state.sessions.prepared(plain)()
        return [(await task).status for task in tasks]

    assert client.run(both()) == [200, 200, 200]
    assert client.get("/sessions/a/recommendations", k=3).json["items"] == recommended(
        plain, [A], 3
    )


def test_addresses_of_other_kinds_are_refused():
    with pytest.raises(g4r.ConfigError, match="sessions are in a file or at one of redis://"):
        ServiceSettings(checkpoint="m", sessions="valkey://localhost")


def test_without_the_client_package_the_error_says_what_to_install(serving, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(MissingExtraError, match=r"gru4rec\[redis\]"):
        serving(sessions="redis://127.0.0.1:1")


def test_several_workers_need_sessions_that_they_share():
    with pytest.raises(g4r.ConfigError, match="workers need sessions that they share"):
        ServiceSettings(checkpoint="m", workers=2)
    with pytest.raises(g4r.ConfigError, match="workers"):
        ServiceSettings(checkpoint="m", workers=2, sessions="file.parquet")
    ServiceSettings(checkpoint="m", workers=2, sessions="redis://localhost")


def test_a_redis_that_lets_nobody_in_is_said_before_anything_is_served(serving, server, redis):
    redis.config_set("requirepass", "secret")
    try:
        with pytest.raises(g4r.ConfigError, match="put the password into the address"):
            serving(sessions=server.address)
        client = serving(sessions=server.address.replace("redis://", "redis://:secret@"))
        assert client.post("/sessions/s/clicks", {"item_id": A}).status == 200
    finally:
        redis.config_set("requirepass", "")


def test_a_redis_that_is_away_at_the_start_is_waited_for(serving, caplog):
    serving(sessions="redis://127.0.0.1:1/0")
    assert "the sessions cannot be reached yet" in caplog.text
