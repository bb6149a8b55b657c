"""Whatever a checkpoint folder holds: its answers, or one clear line that refuses it."""

import json
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nonsense
import polars as pl
import pytest
from nonsense import NONSENSE, PREFIXES, save_checkpoints, signed, spoiled

import gru4rec as g4r

KINDS = ["model", "popularity", "item_knn", "vs_knn", "fusion"]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A saved recommender of each storage; for reading only."""
    return save_checkpoints(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(autouse=True)
def no_hanging() -> Iterator[None]:
    """A pipe that is opened would be waited for without end."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def answers(path: Path) -> pl.DataFrame:
    return g4r.load(path, device="cpu").recommend(PREFIXES, k=10)


def refusal(path: Path) -> str:
    """The one short line with which a checkpoint is refused."""
    with pytest.raises(g4r.CheckpointError) as refused:
        g4r.load(path, device="cpu")
    message = str(refused.value)
    assert message.splitlines() == [message]
    assert len(message.replace(str(path.parent), "")) < 500
    return message


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_in_one_short_line(
    name: str, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    refusal(spoiled(name, checkpoints, tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_that_is_signed_again_unchanged_answers_the_same(
    kind: str, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(checkpoints[kind], tmp_path / "model")
    signed(tmp_path / "model")
    assert answers(tmp_path / "model").equals(answers(checkpoints[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_any_changed_byte_of_meta_is_refused_or_changes_no_answer(
    kind: str, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(checkpoints[kind], tmp_path / "model")
    before, path, draw = (
        answers(checkpoints[kind]),
        tmp_path / "model" / "meta.json",
        random.Random(1),
    )
    data, refused = path.read_bytes(), 0
    for _ in range(60):
        changed = bytearray(data)
        changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        try:
            after = answers(tmp_path / "model")
        except g4r.CheckpointError:
            refused += 1
        else:
            assert after.equals(before)
    assert refused > 30


def test_a_side_value_that_was_changed_in_meta_is_refused_by_its_fingerprint(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(checkpoints["model"], tmp_path / "model")
    path = tmp_path / "model" / "meta.json"
    value = json.loads(path.read_text())["inputs"]["kind"][0]
    path.write_text(path.read_text().replace(f'"{value}"', f'"{value}x"'))
    assert "meta.json is not the file this checkpoint was saved with" in refusal(path.parent)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_from_before_meta_had_a_fingerprint_is_loaded(
    kind: str, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(checkpoints[kind], tmp_path / "model")
    for path in sorted((tmp_path / "model").rglob("meta.json"), reverse=True):  # parts first
        signed(path.parent)
        nonsense.key("meta.json", "fingerprint", ...)(path.parent)
    whole = json.loads((tmp_path / "model" / "meta.json").read_text())
    for name in whole["files"]:
        whole["files"][name] = nonsense.hashlib.sha256(
            (tmp_path / "model" / name).read_bytes()
        ).hexdigest()
    (tmp_path / "model" / "meta.json").write_text(json.dumps(whole))
    assert "fingerprint" not in whole
    assert answers(tmp_path / "model").equals(answers(checkpoints[kind]))


def test_the_fingerprint_is_that_of_the_canonical_json_of_all_other_keys(
    checkpoints: dict[str, Path],
) -> None:
    meta = json.loads((checkpoints["model"] / "meta.json").read_text())
    assert list(meta)[-1] == "fingerprint"
    fingerprint = meta.pop("fingerprint")
    canonical = json.dumps(meta, sort_keys=True, separators=(",", ":"))
    assert fingerprint == nonsense.hashlib.sha256(canonical.encode()).hexdigest()


def test_what_is_added_to_a_folder_is_not_looked_at(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(checkpoints["fusion"], tmp_path / "model")
    shutil.copytree(tmp_path / "model" / "parts" / "0", tmp_path / "model" / "parts" / "2")
    (tmp_path / "model" / "parts" / "\u0661").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    assert answers(tmp_path / "model").equals(answers(checkpoints["fusion"]))


def test_a_file_below_a_part_that_changed_is_refused_by_name(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(checkpoints["fusion"], tmp_path / "model")
    for path in sorted((tmp_path / "model" / "parts").rglob("*.*")):
        data = path.read_bytes()
        path.write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
        assert str(path) in refusal(tmp_path / "model")
        path.write_bytes(data)


LOAD_ALL = """
import resource, sys, gru4rec as g4r
g4r.load(sys.argv[1], device="cpu").recommend([["x"]], k=3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[2:]:
    try:
        g4r.load(path, device="cpu")
    except g4r.CheckpointError:
        pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, path, flush=True)
"""


@pytest.mark.process
def test_nonsense_takes_no_gigabytes(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    paths = []
    for number, name in enumerate(NONSENSE):
        (tmp_path / str(number)).mkdir()
        paths.append(str(spoiled(name, checkpoints, tmp_path / str(number))))
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, str(checkpoints["model"]), *paths],
        capture_output=True, text=True, timeout=600, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    kilobytes = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert len(kilobytes) == len(paths)
    assert max(kilobytes) < 1_500_000
