"""Meet the other processes that a launcher has started to train one model."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from gru4rec.errors import ConfigError, DeviceError, LostRankError
from gru4rec.training.ranks import ONE, Ranks, why

logger = logging.getLogger(__name__)

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_PATIENCE = 600.0  # seconds for the others to come, and for each answer
_QUIET = 10.0  # seconds after which a process says that it waits
_RETRY = 0.2


@contextmanager
def join_ranks(*, patience: float = _PATIENCE) -> Iterator[Ranks]:
    """Join the processes that a launcher has started, by the variables that it has set.

    These are RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and with GPUs LOCAL_RANK. Without
    them, or with one process, it is `ONE`. Others have `patience` seconds to come, and to answer.
    Raise ConfigError for variables that say nothing, DeviceError if there are more processes here
    than GPUs, LostRankError if the others do not come.
    """
    size = _number("WORLD_SIZE", 1)
    if size <= 1:
        yield ONE
        return
    missing = [name for name in _VARIABLES if not os.environ.get(name)]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE is {size}, but {', '.join(missing)} of the environment says nothing; "
            "start all processes by torchrun, or set them as it does"
        )
    rank = _number("RANK", 0)
    if not 0 <= rank < size:
        raise ConfigError(f"RANK is {rank}, but {size} processes have the ranks 0 to {size - 1}")
    backend = _backend()
    with _lost_unless_met(rank, size, patience) as where:
        store = _store(rank, size, where, patience)
        wait = timedelta(seconds=patience)
        store.set_timeout(wait)
        dist.init_process_group(
            backend,
            store=PrefixStore("gru4rec", store),
            rank=rank,
            world_size=size,
            timeout=wait,
        )
        ahead = dist.new_group(backend="gloo", timeout=wait)
    try:
        yield Ranks(rank, size, ahead=ahead, store=PrefixStore("gru4rec said", store))
    except SystemExit:
        dist.destroy_process_group()
        raise
    else:  # after an error others may be gone, and what waits for them never ends
        dist.destroy_process_group()


@contextmanager
def _lost_unless_met(rank: int, size: int, patience: float) -> Iterator[tuple[str, int]]:
    """Yield where the processes meet. Say after a while that this one waits, or how it failed."""
    address, port = os.environ["MASTER_ADDR"], _number("MASTER_PORT", 0)
    met = f"met the others at {address}:{port}"
    late = threading.Timer(
        _QUIET,
        logger.warning,
        ("rank %d of %d has not yet %s; it waits for them up to %d s", rank, size, met, patience),
    )
    late.daemon = True
    late.start()
    try:
        yield address, port
    except (RuntimeError, ValueError, OSError) as error:
        raise LostRankError(f"rank {rank} of {size} has not {met} ({why(error)})") from error
    finally:
        late.cancel()


def _store(rank: int, size: int, where: tuple[str, int], patience: float) -> Store:
    """Return what the first process, or its launcher, keeps for all at an address."""
    until = time.monotonic() + patience
    if rank or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True):
        _wait_for(where, until)
    left = timedelta(seconds=max(1.0, until - time.monotonic()))
    store: Store = next(rendezvous("env://", rank, size, timeout=left))[0]
    # What torchrun keeps outlives processes that it starts anew: theirs is not to be taken for it.
    return PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


def _wait_for(where: tuple[str, int], until: float) -> None:
    """Wait until somebody listens at an address. Raise OSError if nobody does for so long.

    Torch itself would wait longer than it is told.
    """
    while True:
        try:
            socket.create_connection(where, timeout=max(_RETRY, until - time.monotonic())).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(_RETRY)


def _backend() -> str:
    """Return what the processes talk by, and take the GPU of this one, if there are any."""
    if not (torch.cuda.is_available() and dist.is_nccl_available()):
        return "gloo"
    local, gpus = _number("LOCAL_RANK", 0), torch.cuda.device_count()
    if local < gpus:
        torch.cuda.set_device(local)
    elif _number("LOCAL_WORLD_SIZE", 1) > gpus:
        raise DeviceError(f"{local + 1} processes or more on a machine with {gpus} GPUs")
    return "cpu:gloo,cuda:nccl"


def _number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(f"{name} of the environment is {text!r}, no number") from error
