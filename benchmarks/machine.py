"""What a figure was measured on: processor threads, versions, and the speed of a matrix product."""

import resource
import time

import torch

_SIZE = 2048


def matmul_gflops(device: str = "cpu", repeats: int = 5) -> float:
    """Best GFLOP/s of a 2048³ float32 matrix product."""
    left = torch.randn(_SIZE, _SIZE, device=device)
    out = torch.empty_like(left)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        torch.mm(left, left, out=out)
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * _SIZE**3 / best / 1e9


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def description(device: str = "cpu") -> str:
    """One line to stand beside figures."""
    where = (
        torch.cuda.get_device_name() if device != "cpu" else f"{torch.get_num_threads()} threads"
    )
    return f"{where}, torch {torch.__version__}, matmul {matmul_gflops(device):.0f} GFLOP/s"
