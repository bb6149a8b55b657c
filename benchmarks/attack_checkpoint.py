"""Attack saved checkpoints: changed bytes, cut files, and every entry of `tests/nonsense.py`.

    python benchmarks/attack_checkpoint.py --changes 12

Prints how many trials of each kind were tried, held and failed, and what failed. A trial holds if
loading and recommending end, within 10 seconds and 3 GB, in the same answers or in one line of
CheckpointError below 500 characters. Files that were changed at random and *signed again* may give
other answers, since a weight may be any number; those of an entry of the table are refused.

Each checkpoint is loaded by a program of its own, which stays for the next until it fails.
"""

import argparse
import json
import random
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from machine import description
from nonsense import NONSENSE, save_checkpoints, signed, spoiled

SECONDS, KILOBYTES, CHARACTERS = 10, 3_000_000, 500

_PROGRAM = """
import hashlib, json, resource, sys, traceback
import gru4rec as g4r
from nonsense import PREFIXES
for line in sys.stdin:
    path = json.loads(line)
    try:
        said = {"answers": g4r.load(path, device="cpu").recommend(PREFIXES, k=10).write_csv()}
    except g4r.CheckpointError as error:
        said = {"refused": str(error)}
    except BaseException as error:
        said = {"raised": repr(error)[:300]}
    said["kilobytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(said), flush=True)
"""


class Loader:
    """Loads checkpoints in a program of its own."""

    def __init__(self) -> None:
        self._program: subprocess.Popen[str] | None = None

    def load(self, path: Path) -> dict[str, object]:
        """Return what came of a checkpoint: `answers`, `refused`, `raised` or `ended`."""
        program = self._program or self._start()
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(json.dumps(str(path)) + "\n")
        program.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(program.stdout, selectors.EVENT_READ)
            line = program.stdout.readline() if selector.select(SECONDS) else None
        if not line:
            program.kill()
            code, self._program = program.wait(), None
            return {"ended": "no answer in time" if line is None else f"exit status {code}"}
        said: dict[str, object] = json.loads(line)
        if int(str(said["kilobytes"])) > KILOBYTES:
            self.stop()
            said = {"ended": f"{said['kilobytes']} kilobytes"}
        return said

    def _start(self) -> subprocess.Popen[str]:
        folder = str(Path(__file__).parents[1] / "tests")
        program = f"import sys; sys.path.insert(0, {folder!r})\n{_PROGRAM}"
        self._program = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._program.stdin.write('"nowhere"\n')  # type: ignore[union-attr]
        self._program.stdin.flush()  # type: ignore[union-attr]
        self._program.stdout.readline()  # type: ignore[union-attr]
        return self._program

    def stop(self) -> None:
        """End the program."""
        if self._program is not None:
            self._program.kill()
            self._program.wait()
            self._program = None


def _fault(said: dict[str, object], folder: Path, wanted: object) -> str:
    """Return what is wrong with what came of a trial, "" if nothing is; `wanted` None takes all."""
    if "refused" in said:
        message = str(said["refused"]).replace(str(folder), "")
        short = len(message) < CHARACTERS and message.splitlines() == [message]
        return "" if short else f"long message {message[:100]!r}"
    if "answers" in said:
        return "" if wanted is None or said["answers"] == wanted else "other answers"
    return str(said)


def _changed_byte(path: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    begins = draw.random() < 0.5  # headers lie there, footers at the end
    place = draw.randrange(min(len(data), 300)) if begins else draw.randrange(len(data))
    data[place] = draw.choice([0, 255, 128, data[place] ^ 1, draw.randrange(256)])
    path.write_bytes(data)


def _changed_end(path: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[-1 - draw.randrange(min(len(data), 1000))] = draw.randrange(256)
    path.write_bytes(data)


def _cut(path: Path, draw: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: draw.randrange(len(data))])


def _moved(path: Path, draw: random.Random) -> None:
    data = path.read_bytes()
    start, stop = sorted(draw.randrange(len(data)) for _ in range(2))
    path.write_bytes(data[:start] + data[stop:] + data[start:stop])


_CHANGES: dict[str, Callable[[Path, random.Random], None]] = {
    "a byte": _changed_byte,
    "a byte at the end": _changed_end,
    "cut off": _cut,
    "a piece moved": _moved,
}


def trials(*, changes: int = 6, seed: int = 1) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Yield (kind, name, trial): a trial returns "" if it holds, else what failed."""
    loader = Loader()
    with tempfile.TemporaryDirectory() as made:
        checkpoints = save_checkpoints(Path(made))
        answers = {name: loader.load(path)["answers"] for name, path in checkpoints.items()}

        def of_table(name: str) -> str:
            with tempfile.TemporaryDirectory() as folder:
                path = spoiled(name, checkpoints, Path(folder))
                said = loader.load(path)
                return _fault(said, Path(folder), wanted="none: it must be refused")

        def of_change(name: str, file: str, change: str, number: int, *, sign: bool) -> str:
            draw = random.Random(f"{seed} {name} {file} {change} {number}")
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "checkpoint"
                shutil.copytree(checkpoints[name], path)
                _CHANGES[change](path / file, draw)
                if sign:
                    signed(path)
                return _fault(loader.load(path), Path(folder), None if sign else answers[name])

        try:
            for entry in NONSENSE:
                yield "nonsense", entry, lambda entry=entry: of_table(entry)  # type: ignore[misc]
            for name, path in checkpoints.items():
                for file in sorted(file.relative_to(path).as_posix() for file in path.rglob("*.*")):
                    for change in _CHANGES:
                        for number in range(changes):
                            for sign in (False, True):
                                kind = f"{change}{', signed again' if sign else ''}"
                                yield (
                                    kind,
                                    f"{name}/{file}, {change}, {number}",
                                    lambda arguments=(name, file, change, number), sign=sign: (  # type: ignore[misc]
                                        of_change(*arguments, sign=sign)
                                    ),
                                )
        finally:
            loader.stop()


def main() -> None:
    """Print a line for each kind of trial, and one for each that failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--changes", type=int, default=6, help="of each sort, of each file")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tried, held = Counter[str](), Counter[str]()
    for kind, name, trial in trials(changes=options.changes, seed=options.seed):
        fault = trial()
        tried[kind] += 1
        held[kind] += not fault
        if fault:
            print(f"FAILED {kind}: {name}: {fault}", flush=True)
    print(description())
    for kind, count in tried.items():
        print(f"{kind}: tried {count}, held {held[kind]}, failed {count - held[kind]}")


if __name__ == "__main__":
    main()
