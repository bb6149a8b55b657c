"""Several processes of one service: one address, the same sessions, the same model."""

import os
import signal
import time
from pathlib import Path

import pytest
from served import served
from toys import TINY

import gru4rec as g4r

pytestmark = pytest.mark.process
A, B = "c00-0000", "c00-0001"


def within(seconds: float, holds) -> None:
    """Wait until it holds; each question may come to another worker."""
    for _ in range(int(20 * seconds)):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never held")


def workers_of(service) -> list[int]:
    """The processes that answer: spawned ones, not the tracker of multiprocessing."""
    pid = service.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()
    ]


def test_workers_share_sessions_figures_and_models(checkpoint, server, redis, log):
    with served(checkpoint, "--workers", "2", "--sessions", server.address) as service:
        for count in range(1, 21):
            status, answer = service.ask("POST", "/sessions/s/clicks", {"item_id": A})
            assert (status, answer["reason"]) == (200, "model")
            assert len(service.ask("GET", "/sessions/s")[1]["items"]) == count
        line = b'gru4rec_clicks_total{item="known"} 20.0'
        within(5, lambda: line in service.ask("GET", "/metrics")[1])

        settings = g4r.Config().replace({**TINY, "seed": 4})
        g4r.GRU4Rec(settings, device="cpu").fit(log).save(checkpoint, force=True)
        fingerprint = service.ask("POST", "/model/reload")[1]["fingerprint"]

        def all_have_it() -> bool:
            told = [service.ask("GET", "/model")[1]["fingerprint"] for _ in range(20)]
            return set(told) == {fingerprint}

        within(20, all_have_it)
        assert len(service.ask("GET", "/sessions/s")[1]["items"]) == 20


def test_a_worker_that_is_killed_is_replaced_and_sessions_go_on(checkpoint, server, redis):
    with served(checkpoint, "--workers", "2", "--sessions", server.address) as service:
        within(30, lambda: service.ask("POST", "/sessions/s/clicks", {"item_id": A})[0] == 200)
        os.kill(workers_of(service)[-1], signal.SIGKILL)

        def answers() -> bool:
            try:
                return service.ask("GET", "/sessions/s")[1].get("items") == [A]
            except OSError:
                return False

        within(30, answers)


def test_a_worker_that_dies_beside_a_damaged_folder_leaves_the_others_at_work(
    checkpoint, trained, server, redis
):
    with served(checkpoint, "--workers", "2", "--sessions", server.address) as service:
        within(30, lambda: service.ask("GET", "/health")[0] == 200)
        within(30, lambda: len(workers_of(service)) == 2)
        time.sleep(3)  # until both have begun
        weights = checkpoint / "weights.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-8])
        os.kill(workers_of(service)[-1], signal.SIGKILL)
        within(30, lambda: any("is not the file" in line for line in service.said))
        assert service.process.poll() is None
        within(30, lambda: service.ask("POST", "/recommend", {"items": [A]})[0] == 200)
        weights.write_bytes(whole)


def test_workers_that_cannot_begin_end_the_service_with_one_line(tmp_path, server):
    with served(tmp_path, "--workers", "2", "--sessions", server.address) as service:
        assert service.process.wait(timeout=60) == 2
    assert service.said[-1] == "Error: no worker could begin; why stands above\n"
    assert any("lacks meta.json" in line for line in service.said)
