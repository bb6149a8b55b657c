"""A student learns what teachers say beside the click that came."""

import itertools

import numpy as np
import pytest
import torch
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.model import Model
from gru4rec.sessions import to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.learner import surprise_by_teachers
from gru4rec.training.model_scores import scores_after
from gru4rec.training.teaching import DRAWN, SoftTargets, _most_likely, taught

SESSIONS = [["a", "b", "c"], ["b", "c", "a", "b"], ["c", "d"], ["e", "a", "b"], ["d", "f", "g"]] * 4


def config(**settings: object) -> g4r.Config:
    decided = {"training.precision": "float32", "training.scoring": "cosine", "seed": 3}
    return g4r.GRU4Rec(g4r.Config().replace({**TINY, **decided, **settings})).decide(
        clicks_of(SESSIONS)
    )


@pytest.fixture(scope="module")
def catalog():
    return Catalog.of(clicks_of(SESSIONS).lazy())


@pytest.fixture(scope="module")
def sessions(catalog):
    return to_arrays(clicks_of(SESSIONS).lazy(), catalog)


def teacher(catalog, seed: int) -> Model:
    model = Model(config(), len(catalog))
    model.initialize(torch.Generator().manual_seed(seed))
    return model


def test_the_best_by_the_mean_of_scores_are_named_with_their_shares():
    scores = [torch.tensor([[0.0, 4, 1, 2]]), torch.tensor([[2.0, 2, 1, 4]])]
    items, shares = _most_likely(scores, 2)
    assert items.tolist() == [[1, 3]]  # both have the mean 3: the lower index first
    assert shares.tolist() == [[0.5, 0.5]]
    items, shares = _most_likely([torch.tensor([[0.0, np.log(3), -5]])], 2)
    assert items.tolist() == [[1, 0]]
    assert shares.tolist() == [pytest.approx([0.75, 0.25], abs=1e-3)]


def test_teachers_say_what_they_score_after_every_click_but_a_sessions_last(catalog, sessions):
    teachers = [teacher(catalog, 1), teacher(catalog, 2)]
    said = SoftTargets.of(teachers, sessions)
    clicks = sessions.prefixes()
    asked = [torch.cat([s for _, s in scores_after(t, sessions, clicks)]) for t in teachers]
    expected = torch.softmax((asked[0] + asked[1]) / 2, dim=1)
    items = torch.from_numpy(said.items[clicks]).long()
    assert items.shape == (len(clicks), len(catalog))  # fewer items than are named of a large one
    shares = torch.from_numpy(said.shares[clicks]).float()
    assert torch.allclose(shares, expected.gather(1, items), atol=1e-3)
    last = sessions.offsets[1:] - 1
    assert not said.shares[last].any()


def test_what_is_too_much_for_memory_stands_on_disk_and_says_the_same(
    catalog, sessions, monkeypatch
):
    in_memory = SoftTargets.of([teacher(catalog, 1)], sessions)
    monkeypatch.setattr("gru4rec.training.teaching._IN_MEMORY", 0)
    on_disk = SoftTargets.of([teacher(catalog, 1)], sessions)
    assert isinstance(on_disk.items, np.memmap)
    assert isinstance(on_disk.shares, np.memmap)
    assert np.array_equal(in_memory.items, on_disk.items)
    assert np.array_equal(in_memory.shares, on_disk.shares)


def test_items_are_drawn_by_their_shares():
    """Ten thousand clicks of each kind."""
    said = SoftTargets(
        np.array([[5, 6, 7], [1, 2, 3]], np.int32),
        np.array([[0.5, 0.25, 0.25], [0, 1, 0]], np.float16),
    )
    drawn = said.drawn(np.repeat([0, 1], 10_000), np.random.default_rng(0))
    assert drawn.shape == (20_000, DRAWN)
    shares = np.bincount(drawn[:10_000].ravel(), minlength=8) / (10_000 * DRAWN)
    assert shares == pytest.approx([0, 0, 0, 0, 0, 0.5, 0.25, 0.25], abs=0.01)
    assert set(drawn[10_000:].ravel().tolist()) == {2}


@pytest.mark.parametrize("negatives", [0, 2, 100])
@pytest.mark.parametrize("embedding", ["shared", "separate"])
def test_the_loss_is_the_cross_entropy_with_what_teachers_name(
    catalog, sessions, negatives, embedding
):
    """Whatever stands in the batch: columns lead to what was drawn, and the sum is the loss."""
    settings = config(**{"training.negatives": negatives, "encoder.embedding": embedding})
    said = SoftTargets.of([teacher(catalog, 1)], sessions)
    learned = sessions.with_targets()
    batches = TrainingBatches(learned, catalog.support, settings, soft_targets=said)
    plain = TrainingBatches(learned, catalog.support, settings)
    for window in range(len(batches)):
        batch, without = batches.make(0, window), plain.make(0, window)
        assert without.soft_targets.numel() == 0
        assert batch.soft_targets.shape == (len(batch.targets), DRAWN)
        assert len(batch.candidates.unique()) == len(batch.candidates)
        assert torch.equal(batch.input_rows[batch.input_places], batch.inputs)
        vectors, outputs = torch.randn(len(batch.targets), 5), torch.randn(len(batch.candidates), 5)
        surprise = -torch.log_softmax(vectors @ outputs.t(), 1)
        hard = surprise.gather(1, batch.targets[:, None])[:, 0]
        soft = surprise.gather(1, batch.soft_targets).mean(1)
        mine = hard.mean() + 0.3 * surprise_by_teachers(batch, vectors, outputs, None)
        assert mine.item() == pytest.approx((0.7 * hard + 0.3 * soft).mean().item(), rel=1e-3)
        again = batches.make(0, window)
        assert torch.equal(again.candidates, batch.candidates)
        assert torch.equal(again.soft_targets, batch.soft_targets)


@pytest.mark.parametrize("negatives", [2, 100])
def test_what_is_named_is_a_candidate_as_if_it_had_been_drawn(catalog, sessions, negatives):
    settings = config(**{"training.negatives": negatives})
    said = SoftTargets.silent(len(sessions.items), len(catalog))
    said.items[:, 0], said.shares[:, 0] = 6, 1.0
    batch = TrainingBatches(sessions, catalog.support, settings, soft_targets=said).make(0, 0)
    assert (batch.candidates[batch.soft_targets] == 6).all()
    column = int(batch.soft_targets[0, 0])
    assert not (batch.masked % len(batch.candidates) == column).any()


def test_biases_count_as_vectors_do(catalog, sessions):
    said = SoftTargets.of([teacher(catalog, 1)], sessions)
    batch = TrainingBatches(sessions, catalog.support, config(), soft_targets=said).make(0, 0)
    vectors, outputs = torch.randn(len(batch.targets), 5), torch.randn(len(batch.candidates), 5)
    bias = torch.randn(len(batch.candidates))
    as_vectors = torch.cat((vectors, torch.ones(len(vectors), 1)), 1)
    as_outputs = torch.cat((outputs, bias[:, None]), 1)
    assert torch.allclose(
        surprise_by_teachers(batch, vectors, outputs, bias),
        surprise_by_teachers(batch, as_vectors, as_outputs, None),
        atol=1e-5,
    )


def test_targets_are_drawn_by_the_weight_and_the_shares():
    """Ten thousand draws each: what teachers say, nothing said, and the click that came."""
    said = SoftTargets(
        np.array([[5, 6, 7], [8, 9, 0], [1, 2, 3]], np.int32),
        np.array([[0.5, 0.25, 0.25], [0, 0, 0], [0, 1, 0]], np.float16),
    )
    clicks = np.repeat([0, 1, 2], 10_000)
    targets = np.full(len(clicks), 4)
    drawn = taught(said, clicks, targets, 0.4, np.random.default_rng(0)).reshape(3, -1)
    counts = [np.bincount(of_click, minlength=10) / 10_000 for of_click in drawn]
    assert counts[0] == pytest.approx([0, 0, 0, 0, 0.6, 0.2, 0.1, 0.1, 0, 0], abs=0.02)
    assert counts[1][4] == 1
    assert counts[2] == pytest.approx([0, 0, 0.4, 0, 0.6, 0, 0, 0, 0, 0], abs=0.02)
    for weight, expected in ((0.0, {4}), (1.0, {5, 6, 7})):
        drawn = taught(said, clicks[:10_000], targets[:10_000], weight, np.random.default_rng(0))
        assert set(drawn.tolist()) == expected


def test_batches_have_what_is_drawn_as_their_targets_and_the_same_each_time(catalog, sessions):
    silent = SoftTargets.silent(len(sessions.items), len(catalog))
    loud = SoftTargets.silent(len(sessions.items), len(catalog))
    loud.items[:, 0], loud.shares[:, 0] = 3, 1.0
    settings = config(**{"training.teaching": 1.0})
    plain, unsaid, taught = (
        TrainingBatches(sessions, catalog.support, settings, neighbours=said)
        for said in (None, silent, loud)
    )
    for window in range(len(plain)):
        batches = [made.make(1, window) for made in (plain, unsaid, taught)]
        targets = [batch.candidates[batch.targets] for batch in batches]
        assert torch.equal(targets[0], targets[1])
        assert (targets[2] == 3).all()
        again = taught.make(1, window)
        assert torch.equal(again.candidates[again.targets], targets[2])
        assert torch.equal(batches[0].inputs, batches[2].inputs)


def fit(*, neighbours: int | None = 1000, **how: object) -> g4r.GRU4Rec:
    settings = {**TINY, "training.teachers": 2, "encoder.repeats": True, "training.epochs": 3}
    settings |= {"training.lanes": 4, "training.neighbours": neighbours}
    log = g4r.generate_clicks(sessions=50, items=60, categories=3, seed=1)
    return g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(log, **how)


def weights_of(recommender: g4r.GRU4Rec) -> dict[str, list[float]]:
    return {name: weight.tolist() for name, weight in recommender.model.state_dict().items()}


@pytest.mark.parametrize("neighbours", [1000, None])
def test_each_run_is_named_and_a_training_goes_on_in_any_of_them(tmp_path, monkeypatch, neighbours):
    monkeypatch.setattr("gru4rec.training.finish._WORTH", 0.0)  # measured, they teach
    runs: list[str] = []
    undisturbed = fit(neighbours=neighbours, on_progress=lambda progress: runs.append(progress.run))
    names = [run for run, _ in itertools.groupby(runs)]
    assert names == ["repeats", "teacher 1 of 2", "teacher 2 of 2", ""]
    seen: list[str] = []
    while True:
        asked = itertools.count()
        try:
            resumed = fit(
                neighbours=neighbours,
                keep=tmp_path / "m",
                resume=(tmp_path / "m").exists(),
                stopping=lambda: next(asked) >= 25,  # noqa: B023
                on_progress=lambda progress: seen.append(progress.run),
            )
        except g4r.StoppedError:
            continue
        break
    assert [run for run, _ in itertools.groupby(seen)] == names
    assert weights_of(resumed) == weights_of(undisturbed)
    assert resumed.meta.repeats == undisturbed.meta.repeats
    assert resumed.config == undisturbed.config
    assert resumed.config.training.neighbours == (neighbours or 30_000)
    assert resumed.meta.auto == undisturbed.meta.auto


def test_teachers_need_the_cross_entropy():
    with pytest.raises(g4r.ConfigError, match=r"teachers 1 needs training.loss 'cross_entropy'"):
        g4r.Config().replace({"training.teachers": 1, "training.loss": "bpr_max"})
