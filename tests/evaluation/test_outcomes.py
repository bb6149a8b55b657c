"""Outcomes do not depend on how much a device works on at once, and on a GPU the host goes on."""

from copy import copy

import numpy as np
import pytest
import torch
from pretend import on_no_device, traffic
from toys import TINY, at_once

import gru4rec as g4r
from gru4rec.evaluation.outcomes import Outcomes, outcomes_of
from gru4rec.model.encoders import ENCODERS
from gru4rec.serving import INDICATORS, ItemFilter, RepeatHead
from gru4rec.sessions.bulk import BULKS, Bulk
from gru4rec.training.model_scores import measured

HEAD = RepeatHead.of(1.2, np.linspace(-1, 1, INDICATORS.shape[1]))
HEADS = pytest.mark.parametrize("head", [None, HEAD], ids=["no head", "head"])
SMALL = Bulk(lanes=7, steps=3, rows=50, scores=500)


def fitted(log, **settings) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**TINY, "training.epochs": 1, **settings})
    return g4r.GRU4Rec(config, device="cpu").fit(log)


def with_head(recommender: g4r.GRU4Rec, head: RepeatHead | None) -> g4r.GRU4Rec:
    headed = copy(recommender)
    headed.repeats = head
    return headed


def all_of(recommender: g4r.GRU4Rec, log) -> Outcomes:
    sessions = recommender.reader.arrays(log.lazy())
    return outcomes_of(recommender, sessions, count_ties=True, depth=10)


@HEADS
@pytest.mark.parametrize("sizes", [{}, vars(SMALL), vars(BULKS["cuda"])], ids=["cpu", "few", "gpu"])
def test_outcomes_are_those_of_each_session_alone(trained, log, head, sizes):
    recommender = with_head(trained, head)
    sessions = recommender.reader.arrays(log.lazy())
    alone = [outcomes_of(recommender, one, depth=10) for one in sessions.pieces(1)]
    with at_once(**sizes):
        together = all_of(recommender, log)
    assert torch.equal(together.ranks, torch.cat([one.ranks for one in alone]))
    assert np.array_equal(together.lists(10), np.concatenate([one.lists(10) for one in alone]))


@HEADS
@pytest.mark.parametrize("count_ties", [False, True])
def test_on_a_gpu_the_host_waits_as_often_for_few_targets_as_for_many(
    trained, log, head, count_ties
):
    recommender = on_no_device(with_head(trained, head))
    sessions = recommender.reader.arrays(log.lazy())
    seen = []
    for some in (sessions.every(20), sessions):
        with traffic() as counted:
            outcomes_of(recommender, some, count_ties=count_ties)
        seen.append((counted.waits, counted.sent))
    assert seen[0] == seen[1]
    assert seen[0][0] == 2 * (1 + count_ties)  # a table goes there and comes back
    assert seen[0][1] <= 12 + count_ties


@HEADS
def test_on_a_gpu_more_pieces_make_the_host_wait_no_more(trained, log, head):
    recommender = on_no_device(with_head(trained, head))
    sessions = recommender.reader.arrays(log.lazy())
    with traffic(SMALL) as counted:
        outcomes_of(recommender, sessions)
    assert counted.sent > 100
    assert counted.waits == 2
    with traffic(SMALL) as counted:
        measured(recommender.model, sessions, head)
    assert counted.waits == 2


def test_on_a_gpu_lists_make_the_host_wait_a_few_times_a_piece(trained, log):
    recommender = on_no_device(trained)
    allowed = np.arange(len(recommender.catalog)) % 3 > 0
    sessions = recommender.reader.arrays(log.lazy())
    clicks = sessions.offsets[1:] - 1
    for item_filter in (None, ItemFilter(allowed, exclude_clicked=True)):
        with traffic() as counted:
            pieces = list(recommender.top(sessions, clicks, 5, item_filter=item_filter))
        assert len(pieces) == 1
        assert counted.waits <= 3  # whether places are tied; scores and items


@pytest.mark.parametrize("work", [
    lambda x: x.sum().item(),
    lambda x: x.cpu(),
    lambda x: x.nonzero(),
    lambda x: x[torch.tensor([0])],
    lambda x: torch.zeros(2).to("meta"),
])  # fmt: skip
def test_what_makes_the_host_wait_is_counted(work):
    with traffic() as counted:
        work(torch.zeros(2, device="meta"))
    assert counted.waits == 1


@pytest.mark.gpu
@HEADS
@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_gpu_finds_what_a_cpu_finds(encoder, log, head, tmp_path):
    fitted(log, **{"encoder.name": encoder}).save(tmp_path / "model")
    tables = []
    with torch.backends.cudnn.flags(allow_tf32=False):
        for device in ("cpu", "cuda"):
            recommender = with_head(g4r.load(tmp_path / "model", device=device), head)
            outcomes = all_of(recommender, log)
            sessions = recommender.reader.arrays(log.lazy())
            figures = measured(recommender.model, sessions, head)
            tables.append((outcomes, figures, recommender.recommend(log, 10)))
    (on_cpu, cpu_figures, cpu_lists), (on_gpu, gpu_figures, gpu_lists) = tables
    # sums in another order: hardly a rank moves
    assert (on_cpu.ranks == on_gpu.ranks).double().mean() > 0.98
    assert (on_cpu.lists(10) == on_gpu.lists(10)).mean() > 0.98
    assert gpu_figures == pytest.approx(cpu_figures, abs=5e-3)
    assert np.allclose(cpu_lists["score"], gpu_lists["score"], atol=1e-3)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_ranks_whatever_it_works_on_at_once(log, tmp_path, monkeypatch):
    fitted(log).save(tmp_path / "model")
    recommender = with_head(g4r.load(tmp_path / "model", device="cuda"), HEAD)
    expected = all_of(recommender, log)
    monkeypatch.setitem(BULKS, "cuda", SMALL)
    found = all_of(recommender, log)
    assert (found.ranks == expected.ranks).double().mean() > 0.98
    assert (found.tied == expected.tied).mean() > 0.98
