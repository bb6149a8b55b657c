"""What is pruned while a model learns stays 0, and all else learns."""

import pytest
import torch
from toys import TINY

import gru4rec as g4r
from gru4rec.errors import CheckpointError
from gru4rec.model.encoders import ENCODERS
from gru4rec.training.pruning import prune_gradually
from gru4rec.training.trainer import Hooks, Progress

LOG = g4r.generate_clicks(sessions=120, items=60, seed=2)


def trained(**settings: object) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**TINY, **settings})
    return g4r.GRU4Rec(config, device="cpu").fit(LOG, updatable=True)


def pruned(recommender: g4r.GRU4Rec, sparsity: float, *, optimizer=None, hooks=None):
    sessions = recommender.reader.arrays(LOG.lazy()).with_targets()
    return prune_gradually(
        recommender.model,
        sessions,
        recommender.catalog.support,
        recommender.config,
        sparsity=sparsity,
        optimizer=optimizer,
        device=recommender.device,
        hooks=hooks or Hooks(),
    )


def zeros_of(model: torch.nn.Module) -> list[int]:
    return [int((weight == 0).sum()) for weight in model.learned_densely() if weight.dim() > 1]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training.dense_optimizer": "adamw"},
        {"training.momentum": 0.5},
        {"encoder.embedding": "onehot"},
        {"training.lanes": 8, "encoder.name": "transformer_gru"},
    ],
)
@pytest.mark.parametrize("goes_on", [False, True])
def test_what_is_pruned_stays_0_and_the_rest_learns(settings, goes_on):
    recommender = trained(**settings)
    before = {name: part.clone() for name, part in recommender.model.state_dict().items()}
    optimizer = recommender.contents().optimizer if goes_on else None
    model = pruned(recommender, 0.8, optimizer=optimizer)
    sizes = [weight.numel() for weight in model.learned_densely() if weight.dim() > 1]
    assert zeros_of(model) == [int(0.8 * size) for size in sizes]
    assert not torch.equal(model.output_table, before["output_table"])
    for name, part in recommender.model.state_dict().items():  # what is given stays as it is
        assert torch.equal(part, before[name])


def test_the_share_rises_as_a_cube_and_ends_where_it_is_asked_for():
    said: list[Progress] = []
    pruned(trained(), 0.9, hooks=Hooks(on_progress=said.append))
    # 0.9 · (1 − (2/3)³) = .633, 0.9 · (1 − (1/3)³) = .867, .9
    runs = list(dict.fromkeys(progress.run for progress in said))
    assert runs == ["63% pruned", "87% pruned", "90% pruned"]


def test_the_state_of_another_model_is_refused():
    recommender = trained()
    other = trained(**{"encoder.hidden_size": 8}).contents().optimizer
    with pytest.raises(CheckpointError, match="of another model"):
        pruned(recommender, 0.5, optimizer=other)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_can_be_pruned_while_it_learns(encoder):
    model = pruned(trained(**{"encoder.name": encoder}), 0.5)
    for zeros, weight in zip(
        zeros_of(model),
        [weight for weight in model.learned_densely() if weight.dim() > 1],
        strict=True,
    ):
        assert zeros >= int(0.5 * weight.numel())
