"""Items that nobody clicked are served too, and said to stand where their attributes place them."""

import polars as pl
from toys import TINY

import gru4rec as g4r

A = "c00-0000"


def test_added_items_take_their_place_in_a_running_service(serving, checkpoint, log):
    clicks = g4r.read_clicks(log).collect()
    ids = clicks["item_id"].unique().sort()
    items = pl.DataFrame({"item_id": ids, "category": ids.str.slice(0, 3)})
    model = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(clicks, item_features=items)
    model.save(checkpoint, force=True)
    client = serving()
    client.post("/sessions/s/clicks", {"item_id": A})
    model.add_items(pl.DataFrame({"item_id": ["new"], "category": ["c00"]}))
    model.save(checkpoint, force=True)
    assert client.post("/model/reload").json["items"] == len(ids) + 1
    assert client.get("/sessions/s").json["items"] == [A]
    answer = client.get("/sessions/s/recommendations", k=1000, explain="true").json
    reasons = dict(zip(answer["items"], answer["explain"]["reasons"], strict=True))
    assert reasons.pop("new") == "attributes"
    assert set(reasons.values()) == {"model"}
    client.post("/sessions/s/clicks", {"item_id": "new"})
    assert client.get("/sessions/s").json["items"] == [A, "new"]
    popular = client.get("/sessions/nobody/recommendations", k=1000, explain="true").json
    assert set(popular["explain"]["reasons"]) == {"popularity"}
