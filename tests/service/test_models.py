"""A new checkpoint takes the place of the one that is served, and sessions go on."""

import asyncio
import shutil

import pytest
from asgi import recommended
from toys import TINY

import gru4rec as g4r
from gru4rec.service import model_watch, state

A, B, C = "c00-0000", "c00-0001", "c01-0020"


@pytest.fixture(scope="module")
def newer(log) -> g4r.GRU4Rec:
    """A model of other weights, and another catalog: one item is new."""
    more = g4r.read_clicks(log).collect()
    first = more.head(2).with_columns(
        item_id=g4r.read_clicks(log).collect()["item_id"][:2] + "-new"
    )
    settings = {**TINY, "seed": 5}
    return g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(more.vstack(first))


def test_sessions_are_read_again_by_the_new_model(client, checkpoint, newer):
    client.post("/sessions/s/clicks", {"items": [A, B], "time": 1_795_773_600})
    client.post("/sessions/ended/clicks", {"items": [A]})
    before = client.get("/model").json["fingerprint"]
    newer.save(checkpoint, force=True)
    client.ask("DELETE", "/sessions/ended")
    told = client.post("/model/reload").json
    assert told["fingerprint"] != before
    assert told["items"] == len(newer.catalog)
    assert client.get("/sessions/s/recommendations", k=5).json["items"] == recommended(
        newer, [A, B], 5
    )
    assert client.get("/sessions/s").json["times"] == [1_795_773_600] * 2
    assert client.get("/sessions/ended").status == 404
    assert client.post("/sessions/s/clicks", {"item_id": C}, k=5).json["items"] == recommended(
        newer, [A, B, C], 5
    )
    text = client.get("/metrics").content.decode()
    assert "gru4rec_model_swaps_total 1.0" in text
    assert f'gru4rec_model{{fingerprint="{before}"}} 0.0' in text
    assert f'gru4rec_model{{fingerprint="{told["fingerprint"]}"}} 1.0' in text


def test_a_folder_that_is_watched_is_taken_by_itself(serving, checkpoint, newer, monkeypatch):
    monkeypatch.setattr(state, "_LOOK_EVERY", 0.01)
    client = serving(watch=True)
    before = client.get("/model").json["fingerprint"]
    newer.save(checkpoint, force=True)

    async def changed() -> None:
        async with asyncio.timeout(60):
            while client.state.served.fingerprint == before:
                await asyncio.sleep(0.01)

    client.run(changed())
    assert client.get("/model").json["items"] == len(newer.catalog)


def test_a_folder_that_is_not_watched_waits_for_a_reload(serving, checkpoint, newer, monkeypatch):
    monkeypatch.setattr(state, "_LOOK_EVERY", 0.01)
    client = serving(watch=False)
    before = client.get("/model").json["fingerprint"]
    newer.save(checkpoint, force=True)
    client.run(asyncio.sleep(0.2))
    assert client.get("/model").json["fingerprint"] == before
    assert client.post("/model/reload").json["fingerprint"] != before


@pytest.mark.parametrize("damage", ["cut", "gone", "no answer"])
def test_a_damaged_model_is_refused_and_the_old_one_stays(
    client, checkpoint, trained, newer, damage, monkeypatch
):
    client.post("/sessions/s/clicks", {"item_id": A})
    if damage == "gone":
        shutil.rmtree(checkpoint)
    else:
        newer.save(checkpoint, force=True)
    if damage == "cut":
        weights = checkpoint / "weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-8])
    if damage == "no answer":
        monkeypatch.setattr("gru4rec.service.served._is_sound", lambda *_: False)
    reply = client.post("/model/reload")
    assert reply.status == 503
    assert "older model is still served" in reply.json["error"]
    ready = client.get("/ready").json
    assert ready["ready"]
    assert ready["refused"] in reply.json["error"]
    assert "gru4rec_model_refused 1.0" in client.get("/metrics").content.decode()
    assert client.get("/sessions/s/recommendations", k=5).json["items"] == recommended(
        trained, [A], 5
    )
    monkeypatch.undo()
    trained.save(checkpoint, force=damage != "gone")
    assert client.post("/model/reload").json["refused"] is None
    assert "gru4rec_model_refused 0.0" in client.get("/metrics").content.decode()


def test_a_checkpoint_that_is_none_is_an_error_before_anything_is_served(serving, tmp_path):
    with pytest.raises(g4r.CheckpointError, match="no checkpoint"):
        serving(checkpoint=str(tmp_path / "nothing"))


def test_models_change_under_load_without_a_failure(client, checkpoint, trained, newer):
    async def clicks() -> list[int]:
        statuses = []
        while not done.is_set():
            replies = [client.asking("POST", f"/sessions/{n}/clicks", {"item_id": A})
                       for n in range(5)]  # fmt: skip
            statuses += [reply.status for reply in await asyncio.gather(*replies)]
            await asyncio.sleep(0)
        return statuses

    async def changes() -> None:
        for turn in range(4):
            model = (newer, trained)[turn % 2]
            await asyncio.to_thread(model.save, checkpoint, force=True)
            assert (await client.asking("POST", "/model/reload")).status == 200
        done.set()

    async def both() -> list[int]:
        statuses, _ = await asyncio.gather(clicks(), changes())
        return statuses

    done = asyncio.Event()
    statuses = client.run(both())
    assert len(statuses) > 20
    assert set(statuses) == {200}
    counted = [len(client.get(f"/sessions/{n}").json["items"]) for n in range(5)]
    assert sum(counted) == len(statuses)


def test_a_model_that_is_copied_file_by_file_is_taken_once_it_is_whole(
    serving, checkpoint, newer, tmp_path, monkeypatch
):
    monkeypatch.setattr(state, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(model_watch, "_FIRST_PAUSE", 0.02)
    client = serving()
    newer.save(tmp_path / "newer")
    for file in sorted((tmp_path / "newer").iterdir()):  # meta.json comes before the weights
        shutil.copy(file, checkpoint / file.name)
        client.run(asyncio.sleep(0.1))

    async def taken() -> None:
        async with asyncio.timeout(60):
            while client.state.watch.refused or client.state.recommender.config.seed != 5:
                await asyncio.sleep(0.01)

    client.run(taken())
    assert client.get("/model").json["items"] == len(newer.catalog)


def test_a_reload_reads_the_files_again_also_of_the_model_that_is_served(client, checkpoint):
    weights = checkpoint / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-8])
    assert client.post("/model/reload").status == 503
    assert "is not the file" in client.get("/ready").json["refused"]
    weights.write_bytes(whole)
    assert client.post("/model/reload").json["refused"] is None
    assert "gru4rec_model_swaps_total 0.0" in client.get("/metrics").content.decode()
