"""Neighbour methods and mixtures are updated as models are."""

import polars as pl
import pytest
from updates import fitted, same_weights

import gru4rec as g4r


def test_a_mixture_has_seen_what_any_of_its_parts_has(parts):
    before = fitted(parts[0])
    again = parts[0].with_columns(pl.col("timestamp") + pl.duration(days=9))
    updated = fitted(parts[0]).update(again.with_columns(pl.col("session_id") + 1000))
    fusion = g4r.Fusion([before, updated])
    assert fusion.meta.seen.times["last"] == updated.meta.seen.times["last"]
    assert before.meta.seen.times["last"] < updated.meta.seen.times["last"]


@pytest.mark.parametrize("kind", [g4r.SKNN, g4r.VSKNN, g4r.STAN, g4r.VSTAN, g4r.VMISKNN])
@pytest.mark.parametrize("timed", [True, False])
def test_neighbours_that_are_updated_answer_as_if_fitted_on_all(parts, tmp_path, kind, timed):
    logs = [part if timed else part.drop("timestamp") for part in parts[:3]]
    settings = {"k": 40, "m": 100}
    updated = kind(**settings).fit(logs[0]).update(logs[1])
    updated.save(tmp_path / "model")
    updated = g4r.load(tmp_path / "model").update(logs[2])
    whole = kind(**updated.settings.to_dict()).fit(pl.concat(logs))
    assert set(updated.catalog.item_ids) == set(whole.catalog.item_ids)
    assert updated.meta.counts == whole.meta.counts
    assert [row["number"] for row in updated.meta.updates] == [1, 2]
    prefixes = [["c00-0000", "c01-0020"], ["c00-0007-new"], ["c02-0044", "c02-0045", "c02-0044"]]
    mine, all_of_it = (each.recommend(prefixes, 6) for each in (updated, whole))
    assert mine["score"].to_list() == pytest.approx(all_of_it["score"].to_list(), rel=1e-5)
    if timed:
        with pytest.raises(g4r.DataError, match="the new ones no times"):
            updated.update(parts[3].drop("timestamp"))


@pytest.mark.parametrize("kind", ["fusion", "ensemble"])
def test_a_mixture_updates_its_parts(parts, tmp_path, kind):
    made = [fitted(parts[0]), fitted(parts[0], seed=3) if kind == "ensemble" else None]
    if kind == "fusion":
        made[1] = g4r.VSTAN(k=40, m=100).fit(parts[0])
        mixture = g4r.Fusion(made, weights=[0.7, 0.3])
    else:
        mixture = g4r.Ensemble(made)
    before = mixture.recommend([["c00-0000"]], 5)
    updated = mixture.update(parts[2])
    assert updated is mixture
    assert set(parts[2]["item_id"]) <= set(mixture.catalog.item_ids)
    assert made[0].catalog is not mixture.parts[0].catalog  # the parts it was made of stay
    alone = fitted(parts[0]).update(parts[2])
    assert same_weights(mixture.parts[0], alone)
    assert not mixture.recommend([["c00-0000"]], 5).equals(before)
    mixture.save(tmp_path / "mixture")
    again = g4r.load(tmp_path / "mixture", device="cpu")
    assert again.recommend([["c00-0000"]], 5).equals(mixture.recommend([["c00-0000"]], 5))
    if kind == "fusion":
        assert mixture.weights == pytest.approx([0.7, 0.3])


def test_a_mixture_with_a_part_that_cannot_be_updated_stays_as_it_is(parts):
    mixture = g4r.Fusion([fitted(parts[0]), g4r.ItemKNN().fit(parts[0])])
    before = mixture.recommend([["c00-0000"]], 5)
    with pytest.raises(g4r.DataError, match="item_knn is not updated"):
        mixture.update(parts[1])
    assert mixture.recommend([["c00-0000"]], 5).equals(before)


@pytest.mark.parametrize("kind", [g4r.Fusion, g4r.Ensemble])
def test_a_mixture_does_not_answer_once_a_part_is_another(parts, kind):
    made = [fitted(parts[0]), fitted(parts[0], seed=3)]
    mixture = kind(made)
    session = mixture.start_session()
    session.click("c00-0000")
    made[0].update(parts[1])
    for ask in (
        lambda: mixture.recommend([["c00-0000"]], 3),
        lambda: mixture.next_items(["c00-0000"], 3),
        lambda: session.recommend(3),
    ):
        with pytest.raises(g4r.DataError, match="was fitted or updated since"):
            ask()
