"""Running sessions have limits, and outlive the process in a file."""

import asyncio
from pathlib import Path
from time import sleep

import pytest

import gru4rec as g4r

A, B = "c00-0000", "c00-0001"


def test_sessions_go_on_after_a_restart(serving, tmp_path):
    file = tmp_path / "sessions.parquet"
    with serving(sessions=str(file)) as client:
        client.post("/sessions/s/clicks", {"items": [A, "unknown"], "time": [1.5e9, None]})
        told = client.get("/sessions/s").json
    assert file.exists()
    again = serving(sessions=str(file))
    assert again.get("/sessions/s").json == told
    assert again.post("/sessions/s/clicks", {"item_id": B}).json["unknown"] == 1
    assert again.get("/sessions/s").json["items"] == [A, B]


def test_a_full_service_gives_up_the_session_not_clicked_for_longest(serving):
    client = serving(max_sessions=2)
    for session in ("a", "b", "a", "c"):
        client.post(f"/sessions/{session}/clicks", {"item_id": A, "k": 0})
    found = [client.get(f"/sessions/{session}").status for session in "abc"]
    assert found == [200, 404, 200]


def test_of_an_endless_session_the_newest_clicks_are_kept(serving):
    client = serving(max_items=10)
    for _ in range(4):
        client.post("/sessions/s/clicks", {"items": [A, B] * 4, "k": 0})
    assert 10 <= len(client.get("/sessions/s").json["items"]) <= 15


def test_a_file_that_cannot_be_written_costs_no_answer(serving, tmp_path, monkeypatch, caplog):
    def refuse(*_: object) -> None:
        raise g4r.DataError("the disk is full")

    with serving(sessions=str(tmp_path / "s.parquet")) as client:
        client.post("/sessions/s/clicks", {"item_id": A})
        monkeypatch.setattr(g4r.SessionStore, "save", refuse)
    assert "the sessions are not saved: the disk is full" in caplog.text


def test_a_file_that_is_none_is_put_aside(serving, tmp_path, caplog):
    file = tmp_path / "sessions.parquet"
    file.write_bytes(b"PAR1 nonsense PAR1")
    client = serving(sessions=str(file))
    assert "it is no file of them; it is kept as" in caplog.text
    assert (tmp_path / "sessions.parquet.damaged").read_bytes() == b"PAR1 nonsense PAR1"
    assert client.post("/sessions/s/clicks", {"item_id": A}).status == 200


def test_a_save_at_the_end_comes_after_one_that_is_under_way(serving, tmp_path, monkeypatch):
    file, write = tmp_path / "sessions.parquet", g4r.SessionStore.save

    def slow(store: g4r.SessionStore, path: Path) -> None:
        number = len(store)
        sleep(0.3 if number == 1 else 0.0)
        write(store, path)

    with serving(sessions=str(file)) as client:
        client.post("/sessions/first/clicks", {"item_id": A})
        monkeypatch.setattr(g4r.SessionStore, "save", slow)

        async def both() -> None:
            saving = asyncio.create_task(client.state.save())
            await asyncio.sleep(0.1)
            await client.asking("POST", "/sessions/second/clicks", {"item_id": A})
            await client.state.stop()
            await saving

        client.run(both())
    again = serving(sessions=str(file))
    assert again.get("/sessions/second").status == 200


def test_a_table_of_something_else_is_left_alone(serving, log, tmp_path):
    file = tmp_path / "clicks.parquet"
    log.write_parquet(file)
    content = file.read_bytes()
    with pytest.raises(g4r.ConfigError, match="is a table, and none of sessions"):
        serving(sessions=str(file))
    assert file.read_bytes() == content
    with pytest.raises(g4r.ConfigError, match="a file of sessions ends in"):
        serving(sessions=str(tmp_path / "sessions.csv"))


def test_a_file_is_of_one_service_at_a_time(serving, tmp_path):
    file = str(tmp_path / "sessions.parquet")
    with serving(sessions=file), pytest.raises(g4r.ConfigError, match="in use by another service"):
        serving(sessions=file)
    serving(sessions=file)
