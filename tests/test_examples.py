"""Every example runs as its docstring says."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import polars as pl
import pytest

import gru4rec as g4r

pytestmark = pytest.mark.docs

EXAMPLES = Path(__file__).parents[1] / "examples"
QUICK = "[training]\nepochs = 2\nnegatives = 50\n"


def example(name: str, *arguments: str | Path, folder: Path) -> str:
    """What an example prints that ends well."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_run_here():
    here = Path(__file__).read_text("utf-8")
    for path in EXAMPLES.iterdir():
        assert path.name.startswith("__") or f'"{path.name}"' in here


def test_the_nightly_job_keeps_the_live_checkpoint_from_a_worse_one(tmp_path):
    log = g4r.generate_clicks(sessions=2_000, items=60, categories=3, seed=1)
    log.write_parquet(tmp_path / "clicks.parquet")
    (tmp_path / "good.toml").write_text(QUICK)
    (tmp_path / "bad.toml").write_text(QUICK + "learning_rate = 0.0\n")
    job = ("nightly_job.py", "clicks.parquet", "models")
    assert "is new" in example(*job, "good.toml", folder=tmp_path)
    live = tmp_path / "models" / "live"
    weights = {path: path.read_bytes() for path in live.rglob("*") if path.is_file()}
    assert "kept the old" in example(*job, "bad.toml", folder=tmp_path)
    assert weights == {path: path.read_bytes() for path in live.rglob("*") if path.is_file()}
    assert "is new" in example(*job, "good.toml", folder=tmp_path)


@pytest.fixture
def server(trained: g4r.GRU4Rec, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The web handler with a small model, and its address."""
    trained.save(tmp_path / "model")
    command = [sys.executable, str(EXAMPLES / "web_handler.py"), "model", "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().split()[-1]
        yield process, f"http://127.0.0.1:{port}/clicks"
        process.kill()


def post(address: str, body: object) -> dict[str, list[object]]:
    request = Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_the_web_handler_answers_clicks_and_keeps_its_sessions(server, trained, log, tmp_path):
    process, address = server
    items = log["item_id"].head(2).to_list()
    for item in items:
        answer = post(address, {"session": "ann", "item": item, "k": 5})
    session = trained.start_session()
    for item in items:
        session.click(item)
    expected = session.recommend(k=5, exclude_clicked=True)
    assert answer["items"] == expected["item_id"].to_list()
    with pytest.raises(HTTPError) as refused:
        post(address, {"session": "ann"})
    with refused.value as error:
        assert error.code == 400
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert pl.read_parquet(tmp_path / "sessions.parquet").height > 0


def test_the_hand_over_from_spark_reads_and_writes_folders(tmp_path):
    log = g4r.generate_clicks(sessions=200, items=40, categories=2, seed=1)
    ours = ("session_id", "item_id", "timestamp")
    log = log.rename(dict(zip(ours, ("visit", "sku", "at"), strict=True)))
    clicks = tmp_path / "clicks"
    clicks.mkdir()
    for number, part in enumerate(log.iter_slices(300)):
        part.write_parquet(clicks / f"part-{number:05}-5f0c.snappy.parquet", compression="snappy")
        (clicks / f".part-{number:05}-5f0c.snappy.parquet.crc").write_bytes(b"crc\0")
    (clicks / "_SUCCESS").touch()
    example("from_spark.py", "clicks", "answers", folder=tmp_path)
    assert (tmp_path / "answers" / "_SUCCESS").exists()
    answers = pl.read_parquet(tmp_path / "answers" / "part-*.parquet")
    assert answers.columns == ["session_id", "rank", "item_id", "score"]
    assert answers["session_id"].n_unique() == log["visit"].n_unique()


def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    notebook = json.loads((EXAMPLES / "first_look.ipynb").read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    runner = (
        "import json, sys\nscope = {}\nfor cell in json.load(sys.stdin):\n    exec(cell, scope)"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", runner],
        input=json.dumps(cells), text=True, cwd=tmp_path, check=True,
    )  # fmt: skip


def test_the_files_of_the_service_call_it_as_it_is():
    """None of them can be run here: "service"'s options and shape are read."""
    from gru4rec.cli.serve import command

    options = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    texts = {path.name: path.read_text("utf-8") for path in (EXAMPLES / "service").iterdir()}
    assert set(texts) == {"Dockerfile", "compose.yaml", "gru4rec.service", "nginx.conf"}
    for name in ("Dockerfile", "compose.yaml", "gru4rec.service"):
        lines = [line for line in texts[name].splitlines() if "serve" in line or "/models" in line
                 or re.match(r"\s+- --", line) or line.startswith("CMD")]  # fmt: skip
        given = set(re.findall(r"(?<![\w-])--[a-z-]+", "\n".join(lines)))
        assert given, name
        assert given - {"--appendonly", "--maxmemory", "--maxmemory-policy"} <= options, name


def test_the_container_is_not_root_and_tells_its_health():
    lines = (EXAMPLES / "service" / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in lines.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert [step for step, _ in steps] == [
        "FROM", "ARG", "WORKDIR", "COPY", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK",
        "ENTRYPOINT", "CMD",
    ]  # fmt: skip
    told = dict(steps)
    assert told["USER"] == "gru4rec"
    assert "/health" in told["HEALTHCHECK"]
    for source in " ".join(text for step, text in steps if step == "COPY").split():
        assert source.startswith("./") or (EXAMPLES.parent / source).exists(), source
    for step in ("ENTRYPOINT", "CMD"):
        assert isinstance(json.loads(told[step]), list)
    health = json.loads(told["HEALTHCHECK"].partition("CMD ")[2])
    compile(health[2], "health", "exec")
