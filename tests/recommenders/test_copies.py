"""A recommender can be copied and pickled by its user at any time; running sessions stay behind."""

import copy
import pickle  # noqa: TID251 - what users do, the package does not
from collections.abc import Callable

import polars as pl
import pytest
from toys import TINY

import gru4rec as g4r
from gru4rec.recommenders.baselines import BASELINES
from gru4rec.serving import ItemFilter, ItemIndex

SESSIONS = [["c00-0001", "c00-0003"], ["c02-0055"], ["c01-0030", "c01-0029", "c01-0028"], ["?"]]


@pytest.fixture(autouse=True)
def nothing_is_unpickled() -> None:
    """Here something is."""


def by_index(factory: str) -> Callable[[g4r.GRU4Rec], g4r.GRU4Rec]:
    def indexed(trained: g4r.GRU4Rec) -> g4r.GRU4Rec:
        other = copy.copy(trained)
        other.index = ItemIndex.build(trained.item_vectors(), factory)
        return other

    return indexed


OF_GRU4REC = {
    "gru4rec": copy.copy,
    "gru4rec hnsw": by_index("HNSW8_Flat"),
    "gru4rec ivf": by_index("IVF4,Flat"),
    "gru4rec int8 float16": lambda trained: g4r.shrink(trained, encoder="int8", items="float16"),
    "gru4rec bf16 sq8": lambda trained: g4r.shrink(trained, encoder="bf16", items="sq8"),
}
UNFITTED = {
    "gru4rec": lambda: g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu"),
    "fusion": lambda: g4r.Fusion([g4r.Markov(), g4r.VSTAN()], how="reciprocal_ranks"),
    **BASELINES,
}
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda thing, protocol=protocol: pickle.loads(
            pickle.dumps(thing, protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.fixture(scope="module", params=[*OF_GRU4REC, "fusion of gru4rec", *list(UNFITTED)[1:]])
def clicked(request, trained, log) -> g4r.Recommender:
    """A recommender in use: running sessions, its own and those of its parts."""
    if request.param in OF_GRU4REC:
        recommender = OF_GRU4REC[request.param](trained)
    elif request.param == "fusion of gru4rec":
        recommender = g4r.Fusion([copy.copy(trained), g4r.STAN().fit(log)])
    else:
        recommender = UNFITTED[request.param]().fit(log)
    for one in (recommender, *recommender.parts):
        one.click_many(["ann", "bob"], ["c00-0001", "c02-0055"])
    return recommender


def answers(recommender: g4r.Recommender) -> list[object]:
    """What it says to sessions of any kind; the running ones are new."""
    session, store = recommender.start_session(), g4r.SessionStore(recommender)
    for item in SESSIONS[2]:
        session.click(item)
        store.click_many([1, "b"], [item, "c00-0001"])
    return [
        recommender.recommend(SESSIONS, 60, explain=True).to_dicts(),
        session.recommend(60, exclude_clicked=True).to_dicts(),
        store.recommend_many([1], 60).to_dicts(),
        recommender.next_items(SESSIONS[0], 5),
    ]


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_answers_to_the_bit_and_leaves_running_sessions_behind(clicked, way):
    sessions = clicked.sessions
    other = COPIES[way](clicked)
    assert type(other) is type(clicked)
    assert answers(other) == answers(clicked)
    assert len(other.sessions) == 0
    other.click_many(["eve"], ["c00-0001"])
    assert clicked.sessions is sessions
    assert [name in sessions for name in ("ann", "bob", "eve")] == [True, True, False]
    if way != "copy":
        assert all(len(part.sessions) == 0 for part in other.parts)
    assert all(len(part.sessions) == 2 for part in clicked.parts)


@pytest.mark.parametrize("way", ["deepcopy", "pickle 5"])
def test_what_is_copied_is_saved_as_the_original_is(clicked, way, tmp_path):
    clicked.save(tmp_path / "original")
    COPIES[way](clicked).save(tmp_path / "copy")
    files = [file for file in (tmp_path / "original").rglob("*") if file.is_file()]
    for file in files:
        other = tmp_path / "copy" / file.relative_to(tmp_path / "original")
        assert other.read_bytes() == file.read_bytes(), file


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", UNFITTED)
def test_before_fit_a_copy_learns_what_the_original_learns(name, way, log):
    original = UNFITTED[name]()
    if way == "copy" and original.parts:
        pytest.skip("shares its parts with the original")
    other = COPIES[way](original).fit(log)
    with pytest.raises(g4r.NotFittedError):
        _ = original.catalog
    assert answers(other) == answers(original.fit(log))


def test_a_copy_that_is_fitted_again_leaves_the_original_alone(clicked, log):
    if clicked.name == "fusion":
        pytest.skip("shares its parts with the original")
    before = answers(clicked)
    copy.copy(clicked).fit(log.head(400))
    assert answers(clicked) == before


@pytest.mark.parametrize("way", COPIES)
def test_running_sessions_themselves_are_refused_in_one_line(clicked, way):
    for running in (clicked.start_session(), clicked.sessions):
        with pytest.raises(g4r.DataError, match="neither copied nor pickled") as refusal:
            COPIES[way](running)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("way", COPIES)
def test_settings_and_filters_are_copied(trained, way):
    assert COPIES[way](trained.config) == trained.config
    config = g4r.Config()
    assert COPIES[way](config) == config
    only = ItemFilter.of(trained.catalog, deny=["c00-0001"], exclude_clicked=True)
    other = COPIES[way](only)
    found, expected = (trained.next_items(SESSIONS[0], 60, only=each) for each in (other, only))
    assert found == expected
    assert len(found[0]) == 58  # of 60 items less two: the one denied was clicked too


def test_a_pickle_does_not_hold_what_can_be_looked_up_anew(trained):
    fresh = pickle.dumps(copy.deepcopy(trained))
    trained.next_items(SESSIONS[0])  # makes a dictionary of the items
    assert len(pickle.dumps(trained)) < len(fresh) + 200  # which would take eight hundred


def test_a_catalog_of_a_deep_copy_is_one_of_its_own(trained):
    other = copy.deepcopy(trained.catalog)
    other.support[0] = 0
    assert trained.catalog.support[0] > 0
    assert other.item_ids.equals(trained.catalog.item_ids)
    assert isinstance(other.item_ids, pl.Series)
