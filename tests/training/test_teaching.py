"""A student learns what teachers say beside the click that came."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.model import Model
from gru4rec.sessions import to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.learner import surprise_by_teacher
from gru4rec.training.model_scores import scores_after
from gru4rec.training.teaching import SoftTargets, _most_likely

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


@pytest.mark.parametrize("negatives", [0, 2, 100])
@pytest.mark.parametrize("embedding", ["shared", "separate"])
def test_the_loss_is_the_cross_entropy_with_soft_targets(catalog, sessions, negatives, embedding):
    """Whatever stands in the batch: places lead to the items named, and the sum is the loss."""
    settings = config(**{"training.negatives": negatives, "encoder.embedding": embedding})
    said = SoftTargets.of([teacher(catalog, 1)], sessions)
    said.shares[::3] = 0  # nothing is said after these
    batches = TrainingBatches(sessions.with_targets(), catalog.support, settings, said)
    plain = TrainingBatches(sessions.with_targets(), catalog.support, settings)
    for window in range(len(batches)):
        batch, without = batches.make(0, window), plain.make(0, window)
        assert torch.equal(batch.candidates, without.candidates)
        assert torch.equal(without.output_rows, without.candidates)
        assert len(without.taught) == 0
        assert 0 < len(batch.taught) < len(batch.targets)
        rows = batch.output_rows
        assert len(rows.unique()) == len(rows)
        assert torch.equal(rows[: len(batch.candidates)], batch.candidates)
        assert torch.equal(batch.input_rows[batch.input_places], batch.inputs)
        vectors, outputs = torch.randn(len(batch.targets), 5), torch.randn(len(rows), 5)
        scores = vectors @ outputs[: len(batch.candidates)].t()
        named = torch.einsum("ad,atd->at", vectors[batch.taught], outputs[batch.soft_places])
        log_total = torch.logsumexp(scores, 1)
        hard = log_total - scores.gather(1, batch.targets[:, None])[:, 0]
        soft = log_total[batch.taught] - (batch.soft_shares * named).sum(1)
        expected = hard.clone()
        expected[batch.taught] = 0.7 * hard[batch.taught] + 0.3 * soft
        mine = hard.mean() + 0.3 * surprise_by_teacher(batch, vectors, outputs, None)
        assert mine.item() == pytest.approx(expected.mean().item(), rel=1e-3)


def test_gradients_are_those_of_the_written_out_sum(catalog, sessions):
    said = SoftTargets.of([teacher(catalog, 1)], sessions)
    batch = TrainingBatches(sessions, catalog.support, config(), said).make(0, 0)
    vectors = torch.randn(len(batch.targets), 5, dtype=torch.float64, requires_grad=True)
    outputs = torch.randn(len(batch.output_rows), 5, dtype=torch.float64, requires_grad=True)
    batch = replace(batch, soft_shares=batch.soft_shares.double())
    target = outputs[batch.targets[batch.taught]]
    named = (batch.soft_shares[:, :, None] * outputs[batch.soft_places]).sum(1)
    written_out = (vectors[batch.taught] * (target - named)).sum() / len(vectors)
    expected = torch.autograd.grad(written_out, (vectors, outputs))
    found = torch.autograd.grad(
        surprise_by_teacher(batch, vectors, outputs, None), (vectors, outputs)
    )
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_biases_count_as_vectors_do(catalog, sessions):
    said = SoftTargets.of([teacher(catalog, 1)], sessions)
    batch = TrainingBatches(sessions, catalog.support, config(), said).make(0, 0)
    vectors, outputs = torch.randn(len(batch.targets), 5), torch.randn(len(batch.output_rows), 5)
    bias = torch.randn(len(batch.output_rows))
    as_vectors = torch.cat((vectors, torch.ones(len(vectors), 1)), 1)
    as_outputs = torch.cat((outputs, bias[:, None]), 1)
    assert torch.allclose(
        surprise_by_teacher(batch, vectors, outputs, bias),
        surprise_by_teacher(batch, as_vectors, as_outputs, None),
        atol=1e-5,
    )


def fit(**how: object) -> g4r.GRU4Rec:
    settings = {**TINY, "training.teachers": 2, "encoder.repeats": True, "training.epochs": 3}
    settings |= {"training.lanes": 4, "training.neighbours": 1000}
    log = g4r.generate_clicks(sessions=50, items=60, categories=3, seed=1)
    return g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(log, **how)


def weights_of(recommender: g4r.GRU4Rec) -> dict[str, list[float]]:
    return {name: weight.tolist() for name, weight in recommender.model.state_dict().items()}


def test_each_run_is_named_and_a_training_goes_on_in_any_of_them(tmp_path):
    runs: list[str] = []
    undisturbed = fit(on_progress=lambda progress: runs.append(progress.run))
    names = [run for run, _ in itertools.groupby(runs)]
    assert names == ["repeats", "teacher 1 of 2", "teacher 2 of 2", ""]
    seen: list[str] = []
    while True:
        asked = itertools.count()
        try:
            resumed = fit(
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


@pytest.mark.parametrize("name", ["teachers", "neighbours"])
def test_who_teaches_needs_the_cross_entropy(name):
    with pytest.raises(g4r.ConfigError, match=rf"{name} 1 needs training.loss 'cross_entropy'"):
        g4r.Config().replace({f"training.{name}": 1, "training.loss": "bpr_max"})
