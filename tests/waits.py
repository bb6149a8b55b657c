"""Find operations at which the host would wait for the device."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Operations whose result, or its size, depends on values: on a GPU the host waits for them.
SYNCHRONISING = {
    "aten::_local_scalar_dense",  # item(), bool(), int(), float()
    "aten::nonzero",
    "aten::masked_select",
    "aten::equal",
    "aten::_unique2",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "aten::repeat_interleave.Tensor",
    "aten::bincount",
}


class NoSync(TorchDispatchMode):
    """Fails on an operation that would make the host wait."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        indices = args[1] if func.name().startswith(("aten::index.", "aten::index_put")) else ()
        by_mask = any(index is not None and index.dtype == torch.bool for index in indices)
        if func.name() in SYNCHRONISING or by_mask:
            raise AssertionError(f"{func.name()} makes the host wait for the device")
        return func(*args, **(kwargs or {}))


class OnDevice(TorchDispatchMode):
    """Fails on an operation that takes or makes a tensor of the host."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for part in tree_leaves((args, kwargs, made)):
            if isinstance(part, torch.Tensor) and part.is_cpu:
                raise AssertionError(f"{func.name()} takes or makes a tensor of the host")
        return made
