"""A device that is not there: its tensors have shapes and no values, as torch's `meta` has them.

What needs a value on the host, so that a GPU's host would wait, is counted and answered by ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import gru4rec as g4r
from gru4rec.sessions.bulk import BULKS, Bulk

META = torch.device("meta")


class Traffic(TorchDispatchMode):
    """Counts what goes to the device and comes from it, and for what the host waits."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = self.waits = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name, kwargs = func.name(), kwargs or {}
        if torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd"):
            with self:  # in inference mode torch leaves it to us to take these apart
                return func.decompose(*args, **kwargs)
        tensor = args[0] if args and isinstance(args[0], Tensor) else None
        is_there = tensor is not None and tensor.device == META
        if name == "aten::_to_copy" and "device" in kwargs:
            if not is_there and kwargs["device"] == META:
                self.sent += 1
                self.waits += not kwargs.get("non_blocking", False)
            elif is_there and kwargs["device"] != META:
                self.waits += 1
                return torch.ones(tensor.shape, dtype=kwargs.get("dtype") or tensor.dtype)
        elif name == "aten::_local_scalar_dense" and is_there:
            self.waits += 1
            return 1
        elif name == "aten::nonzero" and is_there:
            self.waits += 1
            return torch.empty(0, tensor.dim(), dtype=torch.int64, device=META)
        elif name.startswith(("aten::index.", "aten::index_put")) and is_there:
            self.waits += sum(at is not None and at.device != META for at in args[1])
        return func(*args, **kwargs)


def on_no_device(recommender: g4r.GRU4Rec) -> g4r.GRU4Rec:
    """The same recommender on the device that is not there."""
    moved = copy(recommender)
    moved.model, moved.device = deepcopy(recommender.model).to(META), META
    return moved


@contextmanager
def traffic(bulk: Bulk = BULKS["cuda"]) -> Iterator[Traffic]:
    """Let the device work on as much at once as a GPU, and count."""
    with pytest.MonkeyPatch.context() as patch, Traffic() as counted:
        patch.setitem(BULKS, "meta", bulk)
        patch.setattr(Tensor, "pin_memory", lambda tensor: tensor)
        yield counted
