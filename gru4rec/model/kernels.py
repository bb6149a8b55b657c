"""Whether kernels of our own stand in for operations of torch: on a GPU, where Triton is.

torch brings Triton with its CUDA build. Every kernel has operations of torch beside it that do the
same, which serve elsewhere. Only what has tried the kernels first asks for them (`static.graphs`):
what a compiler refuses ends no evaluation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from torch import Tensor


@dataclass
class _Switch:
    trusted: bool = find_spec("triton") is not None
    on_gpu: bool | None = None  # nobody has said
    on_cpu: bool = False


_SWITCH = _Switch()


def kernels_for(values: Tensor) -> bool:
    """Whether kernels take these values."""
    return _SWITCH.trusted and bool(_SWITCH.on_gpu if values.is_cuda else _SWITCH.on_cpu)


def distrust_kernels() -> None:
    """Use none from now on in this process."""
    _SWITCH.trusted = False


@contextmanager
def use_kernels(*, on_gpu: bool = False, on_cpu: bool = False) -> Iterator[None]:
    """Use them as said while this lasts, but on no GPU where that was refused around it.

    On a CPU Triton's interpreter runs them, for tests.
    """
    before = _SWITCH.on_gpu, _SWITCH.on_cpu
    _SWITCH.on_gpu, _SWITCH.on_cpu = on_gpu and before[0] is not False, on_cpu
    try:
        yield
    finally:
        _SWITCH.on_gpu, _SWITCH.on_cpu = before
