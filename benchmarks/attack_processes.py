"""Attack what runs: trainings killed at any moment, many threads on one recommender.

python benchmarks/attack.py --only processes
"""

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gru4rec as g4r
from gru4rec.clicks import generate_clicks

Trial = tuple[str, str, Callable[[], str]]

_THREADS, _SESSIONS, _CLICKS = 16, 200, 12_000
_SETTINGS = ["--hidden-size", "64", "--epochs", "6", "--lanes", "16", "--steps", "4", "--seed", "3"]


def _train(log: Path, output: Path, *more: str) -> list[str]:
    command = ["train", str(log), "-o", str(output), *_SETTINGS, "--keep-minutes", "0.003"]
    return [sys.executable, "-m", "gru4rec", *command, "--device", "cpu", *more]


def _killed(draw: random.Random, log: Path, wanted: bytes, longest: float) -> str:
    """Kill a training one to three times, go on with it, and compare its weights to the bit."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "model"
        for _ in range(draw.randrange(1, 4)):
            command = _train(log, output, *(["--resume"] if output.exists() else []))
            training = subprocess.Popen(command, stderr=subprocess.PIPE)
            time.sleep(draw.uniform(0.1, 1.0) * longest)
            training.send_signal(signal.SIGKILL)
            training.communicate()
        ended = subprocess.run(_train(log, output, "--resume"), capture_output=True, check=False)
        if ended.returncode:
            return f"resume ended with {ended.stderr.decode()[-300:]!r}"
        left = sorted(path.name for path in Path(folder).iterdir())
        if left != ["model"]:
            return f"left over: {left}"
        weights = (output / "weights.safetensors").read_bytes()
        return "" if weights == wanted else "other weights"


def _threads(draw: random.Random, recommender: g4r.Recommender) -> str:
    """Follow sessions from many threads at once, and compare with answers one by one."""
    ids = recommender.catalog.item_ids.to_list()
    sessions = [draw.choices(ids, k=draw.randrange(1, 9)) for _ in range(_SESSIONS)]
    wanted = [recommender.next_items(session, 10)[0] for session in sessions]

    def follow(number: int) -> bool:
        for item in sessions[number]:
            recommender.click_many([number], [item])
        table = recommender.recommend_many([number], 10)
        return table["item_id"].to_list() == wanted[number]

    with ThreadPoolExecutor(_THREADS) as pool:
        wrong = sum(not right for right in pool.map(follow, range(_SESSIONS)))
    recommender.sessions = g4r.SessionStore(recommender)
    return f"{wrong} of {_SESSIONS} answers are wrong" if wrong else ""


def trials(*, number: int = 16, seed: int = 1) -> Iterator[Trial]:
    """Yield (kind, name, trial), `number` of each kind; a trial returns "" if it holds."""
    with tempfile.TemporaryDirectory() as folder:
        log, model = Path(folder) / "log.parquet", Path(folder) / "model"
        generate_clicks().head(_CLICKS).write_parquet(log)
        began = time.monotonic()
        subprocess.run(_train(log, model), check=True, capture_output=True)
        longest = time.monotonic() - began
        wanted = (model / "weights.safetensors").read_bytes()
        recommender = g4r.load(model, device="cpu")
        for place in range(number):
            draw = random.Random(f"{seed} {place}")
            yield (
                "killed training",
                str(place),
                lambda draw=draw: _killed(  # type: ignore[misc]
                    draw, log, wanted, longest
                ),
            )
            yield "threads", str(place), lambda draw=draw: _threads(draw, recommender)  # type: ignore[misc]
