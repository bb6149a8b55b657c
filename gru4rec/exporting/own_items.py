"""Write the repeat head as nodes of a graph: the scores of a session's own items, anew."""

import numpy as np

from gru4rec.exporting.graph import Graph, Value
from gru4rec.serving import RepeatHead
from gru4rec.sessions import OWN_KINDS, OWN_SHAPE, REACH

# T clicks of a session, W of them that are looked at, N items


def rescored(graph: Graph, head: RepeatHead, items_T: Value, scores_1N: Value) -> Value:
    """Return scores [1, N] with those of own items as `RepeatHead.rescore` makes them."""
    add, number = graph.add, graph.constant
    at_0, at_1 = number(np.array([0])), number(np.array([1]))
    items_W = add("Slice", items_T, number(np.array([-REACH])), number(np.array([2**62])), at_0)
    count_1 = add("Shape", items_W)
    same_WW = add("Equal", add("Unsqueeze", items_W, at_1), add("Unsqueeze", items_W, at_0))
    same_WW = add("Cast", same_WW, to=_INT64)
    times_W = add("ReduceSum", same_WW, at_1, keepdims=0)
    # What stands later in the session: the ones above the diagonal.
    later_WW = add("Trilu", same_WW, number(np.array(1)), upper=1)
    later_W = add("ReduceSum", later_WW, at_1, keepdims=0)
    is_latest_W = add("Equal", later_W, number(np.array(0)))
    own_1 = add("ReduceSum", add("Cast", is_latest_W, to=_INT64), at_0, keepdims=1)
    first, step = number(np.array(0)), number(np.array(1))
    places_W = add("Range", first, add("Squeeze", count_1, at_0), step)
    ages_W = add("Sub", add("Sub", count_1, places_W), number(np.array([1])))
    told = {
        "age": ages_W, "times": times_W, "clicks": count_1, "returns": add("Sub", count_1, own_1),
    }  # fmt: skip
    cells_W: Value | None = None
    for place, (kind, starts) in enumerate(OWN_KINDS.items()):
        stride = int(np.prod(OWN_SHAPE[place + 1 :]))
        ranges = np.searchsorted(starts, np.arange(REACH + 1), "right") - 1
        of_kind = add("Gather", number(ranges * stride, f"cells of {kind}"), told[kind])
        cells_W = of_kind if cells_W is None else add("Add", cells_W, of_kind)
    assert cells_W is not None
    bonuses_W = add("Gather", number(head.bonuses, "bonuses"), cells_W)
    items_O, bonuses_O = (
        add("Compress", part, is_latest_W, axis=0) for part in (items_W, bonuses_W)
    )
    scores_O = add("Gather", add("Squeeze", scores_1N, at_0), items_O)
    slope = number(np.float32(head.slope))
    anew_O = add("Add", add("Mul", scores_O, slope), bonuses_O)
    rows = (add("Unsqueeze", part, at_0) for part in (items_O, anew_O))
    return add("ScatterElements", scores_1N, *rows, axis=1)


_INT64 = 7  # onnx.TensorProto.INT64
