"""Before a step is recorded it is tried, and all that it changed is taken back."""

import pytest
import torch
from two_paths import both_paths, some_clicks

from gru4rec.training.clock import Clock
from gru4rec.training.static import graphs


@pytest.mark.parametrize(
    "settings",
    [
        {"training.momentum": 0.3},
        {"training.dense_optimizer": "adamw"},
        {"training.scoring": "dot", "encoder.embedding": "separate", "encoder.name": "lstm"},
    ],
    ids=str,
)
@pytest.mark.parametrize("learned", [0, 3])
def test_what_was_tried_is_taken_back_to_the_bit_and_in_its_place(settings, learned) -> None:
    _, _, engine, learner = both_paths(some_clicks([4, 9, 3, 14, 5, 8, 6, 7]), **settings)
    list(engine.learn(0, range(learned), lambda window: 1.0, Clock()))
    engine.windows.place(range(learned, learned + 1), lambda window: 1.0)

    def all_there_is() -> list[torch.Tensor]:
        return [*learner.tensors().values(), *engine.step.tensors()]

    with graphs._as_before(engine.step, learner):  # optimisers have their state after this
        engine.step(engine.windows.heights[0])
    before, places = (
        [part.clone() for part in all_there_is()],
        [p.data_ptr() for p in all_there_is()],
    )
    with graphs._as_before(engine.step, learner):
        engine.step(engine.windows.heights[0])
        moved = [
            not torch.equal(part, was) for part, was in zip(all_there_is(), before, strict=True)
        ]
    assert any(moved)
    for part, was in zip(all_there_is(), before, strict=True):
        assert torch.equal(part, was)
    assert [part.data_ptr() for part in all_there_is()] == places
    assert all(parameter.grad is None for parameter in learner.model.parameters())


def test_a_step_that_fails_is_taken_back_too() -> None:
    _, _, engine, learner = both_paths(some_clicks([4, 9, 3]))
    engine.windows.place(range(1), lambda window: 1.0)
    before = {name: part.clone() for name, part in learner.tensors().items()}

    def fail_after_a_step() -> None:
        with graphs._as_before(engine.step, learner):
            engine.step(engine.windows.heights[0])
            raise RuntimeError("a compiler says no")

    with pytest.raises(RuntimeError, match="a compiler"):
        fail_after_a_step()
    for name, part in learner.tensors().items():
        assert torch.equal(part, before[name]), name
    assert engine.windows.next.item() == 0
