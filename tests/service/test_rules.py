"""Sets of rules by name: the service shows the lists that Python makes by them."""

import polars as pl
import pytest
from asgi import Client

import gru4rec as g4r
from gru4rec.service import ServiceSettings

A, B = "c00-0000", "c01-0020"


@pytest.fixture
def files(trained, tmp_path) -> dict[str, str]:
    """A table of items and a file of rules."""
    ids = trained.catalog.item_ids.sort()
    price = pl.int_range(len(ids), eager=True)
    table = pl.DataFrame({"item_id": ids, "brand": ids.str.slice(0, 3), "price": price})
    table.write_parquet(tmp_path / "items.parquet")
    (tmp_path / "rules.toml").write_text(
        "[front]\nat_most = 1\nper = 'brand'\n[cheap]\nallow_where = 'price < 5'\n"
        "[varied]\ndiversity = 0.5\nexclude_clicked = true\n"
    )
    return {
        "items_table": str(tmp_path / "items.parquet"),
        "rules": str(tmp_path / "rules.toml"),
    }


def test_a_set_is_asked_for_by_name_in_the_query_or_the_body(serving, files, trained):
    client = serving(**files)
    assert client.get("/model").json["rules"] == ["front", "cheap", "varied"]
    plain = client.post("/recommend", {"items": [A, B]}, k=3).json
    assert "passed" not in plain
    for name, given in (
        ("front", {"at_most": 1, "per": "brand"}),
        ("cheap", {"allow_where": "price < 5"}),
        ("varied", {"diversity": 0.5, "exclude_clicked": True}),
    ):
        bound = g4r.ListRules(**given, items_table=files["items_table"]).on(trained)
        expected, _ = trained.next_items([A, B], 8, only=bound)
        asked = client.post("/recommend", {"items": [A, B]}, k=8, rules=name).json
        assert asked["items"] == expected
        assert asked["passed"] == (5 if name == "cheap" else len(trained.catalog))
        said = client.post("/recommend", {"items": [A, B], "k": 8, "rules": name}).json
        assert said["items"] == expected
        client.post(f"/sessions/{name}/clicks", {"items": [A, B]}, k=0)
        held = client.get(f"/sessions/{name}/recommendations", k=8, rules=name, explain="true")
        assert held.json["items"] == expected
        assert len(held.json["explain"]["reasons"]) == len(expected)


def test_what_a_request_denies_holds_besides(serving, files):
    client = serving(**files)
    cheap = client.post("/recommend", {"items": [A]}, rules="cheap").json["items"]
    fewer = client.post("/recommend", {"items": [A]}, rules="cheap", deny=cheap[0]).json
    assert set(fewer["items"]) == set(cheap[1:])
    assert fewer["passed"] == 4
    none = client.post("/recommend", {"items": [A], "deny": cheap}, rules="cheap")
    assert none.status == 422
    assert "no item of the catalog is left" in none.json["error"]


def test_questions_with_and_without_rules_wait_together(serving, files):
    client = serving(**files)
    ways = [{}, {"rules": "front"}, {"rules": "cheap"}, {"rules": "cheap", "deny": [B]}]
    asked = [("POST", "/recommend", {"items": [A], "k": 5, **way}) for way in ways * 3]
    alone = [client.ask(*each).json["items"] for each in asked]
    assert [reply.json["items"] for reply in client.together(asked)] == alone


@pytest.mark.parametrize(
    ("name", "message"),
    [("x", "choose from front, cheap, varied"), (3, "no set of rules 3"), ([], "no set of rules")],
)
def test_a_set_that_is_not_there_is_refused(serving, files, name, message):
    reply = serving(**files).post("/recommend", {"items": [A], "rules": name})
    assert reply.status == 422
    assert message in reply.json["error"]
    bare = serving().post("/recommend", {"items": [A], "rules": "front"})
    assert "there are none" in bare.json["error"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nallow_where = 'price < 0'", r"rules \[a\]: the rules let none"),
        ("[a]\nallow_where = 'colour = 1'", r"rules \[a\]: cannot apply the rule"),
        ("[a]\nat_most = 1\nper = 'colour'", r"rules \[a\]: no column of the table"),
        ("[a]\nat_least = 1", "no rule 'at_least'"),
        ("", "has no sets of rules"),
    ],
)
def test_rules_that_cannot_be_kept_are_an_error_at_the_start(
    checkpoint, files, tmp_path, text, message
):
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(g4r.Gru4RecError, match=message):
        Client(ServiceSettings(checkpoint=str(checkpoint), **files))


def test_a_new_model_keeps_them_or_is_refused(serving, files, checkpoint, log, trained):
    client = serving(**files)
    before = client.post("/recommend", {"items": [A]}, rules="cheap").json
    more = g4r.read_clicks(log).collect()
    newer = g4r.GRU4Rec(trained.config.replace({"seed": 9}), device="cpu").fit(more)
    newer.save(checkpoint, force=True)
    assert client.post("/model/reload").status == 200
    after = client.post("/recommend", {"items": [A]}, rules="cheap").json
    assert set(after["items"]) == set(before["items"])
    assert after["scores"] != before["scores"]
    other = g4r.GRU4Rec(trained.config, device="cpu").fit(
        more.with_columns(item_id=pl.col("item_id") + "-other")
    )
    other.save(checkpoint, force=True)
    refused = client.post("/model/reload")
    assert refused.status == 503
    assert "rules [cheap]" in refused.json["error"]
    assert client.post("/recommend", {"items": [A]}, rules="cheap").json == after


def test_models_that_are_refused_leave_the_rules_of_the_one_that_answers(
    serving, files, checkpoint, log, trained
):
    client = serving(**files)
    rules = client.state.rules["front"]
    before = rules.on(client.state.recommender)
    more = g4r.read_clicks(log).collect()
    for seed in range(3):
        other = g4r.GRU4Rec(trained.config.replace({"seed": seed}), device="cpu").fit(
            more.with_columns(item_id=pl.col("item_id") + "-other")
        )
        other.save(checkpoint, force=True)
        assert client.post("/model/reload").status == 503
    assert rules.on(client.state.recommender) is before


def test_a_set_may_be_named_as_a_truth_value(serving, files, tmp_path):
    (tmp_path / "rules.toml").write_text("[true]\ndiversity = 0.1\n[1]\ndiversity = 0.2\n")
    client = serving(**files)
    for name in ("true", "1"):
        assert client.post("/recommend", {"items": [A]}, k=3, rules=name).status == 200
