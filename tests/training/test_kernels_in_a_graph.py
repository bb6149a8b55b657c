"""All kernels of a training step in one CUDA graph, which is replayed on other values."""

import pytest
import torch

STEPS, LANES, UNITS, ITEMS, ROWS = 3, 18, 20, 30, 8


def values(seed: int) -> dict[str, torch.Tensor]:
    """What a graph reads, all of the same shapes."""
    random = torch.Generator().manual_seed(seed)
    clicks = STEPS * LANES
    tensors = {
        "products": torch.randn(STEPS, LANES, 3 * UNITS, generator=random),
        "initial": torch.randn(LANES, UNITS, generator=random),
        "weight": torch.randn(3 * UNITS, UNITS, generator=random) / 4,
        "bias": torch.randn(3 * UNITS, generator=random),
        "starts": torch.rand(STEPS, LANES, generator=random) < 0.3,
        "scores": torch.randn(clicks, ITEMS, generator=random),
        "correction": torch.randn(ITEMS, generator=random),
        "owners": torch.randint(-2, 3, (ITEMS,), generator=random),
        "sessions": torch.randint(0, 3, (clicks,), generator=random),
        "filled": torch.rand(clicks, generator=random) < 0.8,
        "targets": torch.randint(0, ITEMS, (clicks,), generator=random),
        "table": torch.randn(ITEMS, UNITS, generator=random),
        "rows": torch.randperm(ITEMS, generator=random)[:ROWS],
        "used": torch.randint(0, ROWS + 1, (), generator=random),
        "bits": torch.randint(-(2**15), 2**15, (ITEMS * UNITS,), generator=random).short(),
        "bits_of_read": torch.randint(-(2**15), 2**15, (clicks * UNITS,), generator=random).short(),
        "rate": torch.rand((), generator=random),
    }
    return {name: tensor.to("cuda") for name, tensor in tensors.items()}


def step(given: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """All kernels, none of which needs what another made."""
    from gru4rec.model.encoders.dropout_kernels import drop
    from gru4rec.model.encoders.gru_before_kernels import FusedGRUBefore
    from gru4rec.model.encoders.gru_kernels import FusedGRU
    from gru4rec.model.unit_kernels import unit_rows
    from gru4rec.training.dense_kernels import update_whole
    from gru4rec.training.row_kernels import update_rows
    from gru4rec.training.static.input_kernels import add_rows_, read_rows
    from gru4rec.training.static.loss_kernels import differentiate_

    leaves = [given[name].detach().requires_grad_() for name in ("products", "weight", "bias")]
    products, weight, bias = leaves
    after = FusedGRU.apply(products, given["initial"], weight, bias, given["starts"])
    before = FusedGRUBefore.apply(products, given["initial"], weight, given["starts"])
    gradients = torch.autograd.grad((after.sin() + before.cos()).sum(), leaves)
    weights, table = given["scores"].clone(), given["table"].clone()
    accumulated, velocity = torch.ones_like(table), torch.ones_like(table)
    update_rows(
        table, accumulated, velocity, given["rows"], table[:ROWS].clone(), given["used"],
        given["rate"], 0.1,
    )  # fmt: skip
    losses = torch.zeros((), dtype=torch.float64, device="cuda")
    differentiate_(
        weights, table[:, 0].clone(), given["correction"], given["owners"], given["sessions"],
        given["targets"], given["filled"], losses, weight=0.1,
    )  # fmt: skip
    vectors = table.clone().requires_grad_()
    units = drop(unit_rows(vectors, scale=2.0), given["bits"], 0.3)
    units.sin().sum().backward()
    read = read_rows(table, given["targets"], given["bits_of_read"], 0.3)
    added = torch.zeros_like(table)
    add_rows_(added, given["targets"], read, given["bits_of_read"], 0.3)
    dense = [torch.ones_like(part) for part in (bias, bias, weight, weight)]
    update_whole(
        dense[::2], dense[1::2], [None, None], [bias.detach(), weight.detach()], given["rate"], 0.0
    )
    return [
        after,
        before,
        *gradients,
        weights,
        losses,
        table,
        accumulated,
        velocity,
        units,
        vectors.grad,
        read,
        added,
        *dense,
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_of_all_kernels_gives_what_they_give_alone():
    given = values(seed=1)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step(given)  # compiles
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = step(given)
    for seed in (2, 3):
        others = values(seed)
        for name, tensor in others.items():
            given[name].copy_(tensor)
        graph.replay()
        torch.testing.assert_close(made, [part.detach() for part in step(others)])
