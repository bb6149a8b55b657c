"""Attack what is written: outputs that are inputs by another name, writers killed, streams shut.

python benchmarks/attack.py --only outputs
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from functools import cache, partial
from pathlib import Path

from click.testing import CliRunner

import gru4rec as g4r
from gru4rec.cli import main
from gru4rec.clicks import generate_clicks

Trial = tuple[str, str, Callable[[], str]]

_PROGRAM = [sys.executable, "-m", "gru4rec"]
_LONGEST = 500  # characters of a message
_SETTINGS = {"encoder.hidden_size": 8, "training.epochs": 1, "training.negatives": 16}

# What is written at {out}. All other names are inputs, which lie in the folder of a trial.
FILES = {
    "recommend": "recommend {model} {log} --allow {allow} --deny {deny} --format csv -o {out}",
    "evaluate": "evaluate {model} {log} --with {other} --baseline popularity --train {train} "
    "--format csv -o {out}",
    "report": "evaluate {model} {log} --with {other} --baseline popularity --train {train} "
    "--report {out}",
    "index": "index {model} {log} --kind flat --format csv -o {out}",
    "inspect": "inspect {model} --format csv -o {out}",
    "tune": "tune {log} -c {config} --valid {valid} --trials 1 -o {out}",
    "study": "tune {log} -c {config} --valid {valid} --trials 1 -o best.toml --study {out}",
}
FOLDERS = {
    "prepare": "prepare {log} --recipe {recipe} --force -o {out}",
    "train": "train {log} --valid {valid} -c {config} --epochs 1 --force -o {out}",
    "fuse": "fuse {model} {log} --with {other} --valid {valid} --force -o {out}",
    "shrink": "shrink {model} {log} --encoder bf16 --force -o {out}",
}
_PLACES = {
    "model": "model", "other": "other", "log": "logs/a.parquet", "train": "train/t.parquet",
    "valid": "valid/v.parquet", "allow": "lists/allow.csv", "deny": "lists/deny.csv",
    "config": "settings/c.toml", "recipe": "settings/r.toml",
}  # fmt: skip


@cache
def _template() -> Path:
    """Make all inputs, once."""
    folder = Path(tempfile.mkdtemp(prefix="attack_outputs."))
    log = generate_clicks(sessions=150, items=20, categories=2)
    config = g4r.Config().replace(_SETTINGS)
    for place in _PLACES.values():
        (folder / place).parent.mkdir(exist_ok=True)
    for name in ("log", "train", "valid"):
        log.write_parquet(folder / _PLACES[name])
    for name in ("allow", "deny"):
        log.select("item_id").unique().head(9).write_csv(folder / _PLACES[name])
    (folder / _PLACES["config"]).write_text(config.to_toml())
    (folder / _PLACES["recipe"]).write_text("[rules]\nmin_item_clicks = 2\n")
    g4r.GRU4Rec(config, device="cpu").fit(log).save(folder / "model")
    g4r.SKNN().fit(log).save(folder / "other")
    return folder


def _content(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by their names in it."""
    files = filter(Path.is_file, folder.rglob("*"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def _same(victim: Path) -> Path:
    return victim


def _dotted(victim: Path) -> Path:
    return Path("..") / Path.cwd().name / victim


def _linked(victim: Path) -> Path:
    Path("link.parquet").symlink_to(victim.resolve())
    return Path("link.parquet")


def _linked_twice(victim: Path) -> Path:
    Path("second").symlink_to(_linked(victim))
    return Path("second")


def _linked_above(victim: Path) -> Path:
    Path("above").symlink_to(victim.parent.resolve())
    return Path("above") / victim.name


def _hard_linked(victim: Path) -> Path:
    os.link(victim, "hard.parquet")
    return Path("hard.parquet")


NAMES: Mapping[str, Callable[[Path], Path]] = {
    "same": _same, "absolute": Path.absolute, "dotted": _dotted, "link": _linked,
    "link of a link": _linked_twice, "link above": _linked_above, "hard link": _hard_linked,
}  # fmt: skip
"""Other names of a file or folder; some make a link in the folder they are called in."""


def _refused(line: str, change: Callable[[], Mapping[str, object]]) -> str:
    """Call a command among the inputs, as `change` says; it must refuse and change nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "all")
        shutil.copytree(_template(), folder)
        with chdir(folder):
            given = {**_PLACES, **change()}
            before = _content(folder)
            words = [word.format(**given) for word in line.split()]
            result = CliRunner().invoke(main, words)
            if result.exit_code != 2:
                return (
                    f"exit status {result.exit_code}: {result.exception!r} {result.stderr[-200:]}"
                )
            if "Traceback" in result.stderr or len(result.stderr.splitlines()[-1]) > _LONGEST:
                return f"said {result.stderr[-_LONGEST:]!r}"
            now = _content(folder)
            changed = {name for name in {*before, *now} if before.get(name) != now.get(name)}
            return f"changed {sorted(changed)}" if changed else ""


def _over(victim: str, named: Callable[[Path], Path], **given: str) -> Mapping[str, object]:
    return {**given, "out": named(Path(victim))}


def _over_target(name: str) -> Mapping[str, object]:
    """The input is a link, and the output what it leads to."""
    Path("kept").mkdir()
    Path(_PLACES[name]).rename(target := Path("kept/file.parquet"))
    Path(_PLACES[name]).symlink_to(target.resolve())
    return {"out": target, name: Path(_PLACES[name]).parent if name == "log" else _PLACES[name]}


def _file_trials() -> Iterator[Trial]:
    """Every command that writes a file, every input of it, by every name."""
    for command, line in FILES.items():
        for name, place in _PLACES.items():
            if f"{{{name}}}" not in line:
                continue
            folder = name in ("model", "other")
            victims = (
                [f"{place}/{file}" for file in ("meta.json", "new.csv")] if folder else [place]
            )
            for victim in victims:
                for other, named in NAMES.items():
                    if other == "hard link" and victim.endswith("new.csv"):
                        continue
                    trial = partial(_refused, line, partial(_over, victim, named))
                    yield "file over an input", f"{command} over {victim}, {other}", trial
            if not folder:
                trial = partial(_refused, line, partial(_over_target, name))
                yield "file over an input", f"{command} over what {name} leads to", trial
        if "{log}" in line:
            for given in ("logs", "logs/*.parquet", "**/a.parquet", "./logs/"):
                for other, named in NAMES.items():
                    change = partial(_over, _PLACES["log"], named, log=given)
                    name = f"{command} over a file of {given}, {other}"
                    yield "file over an input", name, partial(_refused, line, change)


def _holding(name: str, kind: str, named: Callable[[Path], Path]) -> Mapping[str, object]:
    """Put an input in a folder of the kind that a command replaces with --force."""
    if kind == "prepare":
        held = "recipe.toml" if name == "recipe" else "train.parquet"
        Path("holder").mkdir()
        Path("holder/card.json").write_text("{}")
    else:
        held = "config.json" if name == "config" else "learned.parquet"
        shutil.copytree("model", "holder")
    shutil.copy(_PLACES[name], f"holder/{held}")
    return {name: f"holder/{held}", "out": named(Path("holder"))}


def _folder_trials() -> Iterator[Trial]:
    """Every command that writes a folder, over each input, around it, and in its checkpoints."""
    links = {other: named for other, named in NAMES.items() if other != "hard link"}
    for command, line in FOLDERS.items():
        for name, place in _PLACES.items():
            if f"{{{name}}}" not in line:
                continue
            for other, named in links.items():
                if name in ("model", "other"):
                    for victim in (place, f"{place}/inner", f"{place}/parts"):
                        trial = partial(_refused, line, partial(_over, victim, named))
                        yield "folder over an input", f"{command} over {victim}, {other}", trial
                else:
                    trial = partial(_refused, line, partial(_holding, name, command, named))
                    yield "folder over an input", f"{command} around {name}, {other}", trial


def _call(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*_PROGRAM, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@cache
def _long_run(suffix: str) -> tuple[bytes, float]:
    """What a run that nobody kills writes, and its seconds."""
    with tempfile.TemporaryDirectory() as name:
        began = time.monotonic()
        running = _call(Path(name), *_recommending(suffix))
        said = running.communicate()[1]
        assert running.returncode == 0, said
        return Path(name, f"out.{suffix}").read_bytes(), time.monotonic() - began


def _recommending(suffix: str) -> list[str]:
    log = _template() / "long.parquet"
    if not log.exists():
        generate_clicks(sessions=40_000, items=20, categories=2).write_parquet(log)
    return ["recommend", str(_template() / "model"), str(log), "-o", f"out.{suffix}"]


def _killed(draw: random.Random, suffix: str) -> str:
    """Kill a writer in the midst, and write again: nothing is left over, and the file is right."""
    wanted, longest = _long_run(suffix)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(draw.randrange(1, 3)):
            running = _call(folder, *_recommending(suffix))
            time.sleep(draw.uniform(0.4, 1.0) * longest)
            running.send_signal(signal.SIGKILL)
            running.communicate()
        output = folder / f"out.{suffix}"
        if output.exists() and output.read_bytes() != wanted:
            return "half a file stands there"
        ended = _call(folder, *_recommending(suffix))
        if ended.communicate()[1] and ended.returncode:
            return f"exit status {ended.returncode}"
        left = sorted(path.name for path in folder.iterdir())
        if left != [output.name]:
            return f"left over: {left}"
        return "" if output.read_bytes() == wanted else "another file"


# what the shell makes of a stream: (whether data is lost, whether it is standard input)
STREAMS = {">&-": True, "> /dev/full": True, "2>&-": False, "2> /dev/full": False, "<&-": False}
# a call: whether its data goes to standard output
CALLS = {
    "--version": True, "train --help": True, "inspect model": True,
    "inspect model --format json": True, "recommend model --items c00-0001": True,
    "recommend model logs/a.parquet --format csv": True, "recommend model -": True,
    "evaluate model logs/a.parquet --no-intervals": True, "index model --kind flat": True,
    "shrink model logs/a.parquet": True, "train logs/a.parquet --show-config": True,
    "sample -o s.csv": False, "prepare logs/a.parquet -o p": False,
    "recommend model logs/a.parquet -o r.parquet": False,
    "train logs/a.parquet -c settings/c.toml --device cpu -o new": False,
    "inspect missing": False,
}  # fmt: skip


def _shut(call: str, stream: str) -> str:
    """Run a call with a stream closed or full."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "all")
        shutil.copytree(_template(), folder, ignore=shutil.ignore_patterns("long.parquet"))
        fed = "" if stream == "<&-" else 'echo \'{"items": ["c00-0001"]}\' | '
        line = f"{fed}{sys.executable} -m gru4rec {call} {stream}"
        done = subprocess.run(
            ["sh", "-c", line], cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
        lost = (STREAMS[stream] and CALLS[call]) or (stream == "<&-" and call.endswith(" -"))
        wanted = 2 if lost or "missing" in call else 0
        if done.returncode != wanted:
            return f"exit status {done.returncode}, not {wanted}: {done.stderr[-300:]}"
        errors = [row for row in done.stderr.splitlines() if row.startswith("Error: ")]
        if "Traceback" in done.stderr or "Exception ignored" in done.stderr:
            return f"said {done.stderr[-300:]}"
        if lost and len(errors) != 1:
            return f"{len(errors)} errors: {done.stderr[-300:]}"
        return ""


def trials(number: int = 30, *, seed: int = 0) -> Iterator[Trial]:
    """Yield (kind, name, trial) for each way to lose a file; `number` writers are killed."""
    yield from _file_trials()
    yield from _folder_trials()
    for call in CALLS:
        for stream in STREAMS:
            yield "streams", f"{call} {stream}", partial(_shut, call, stream)
    for place in range(number):
        suffix = ("csv", "parquet", "jsonl")[place % 3]
        draw = random.Random(seed + place)
        yield "killed", f"{suffix}, seed {seed + place}", partial(_killed, draw, suffix)
