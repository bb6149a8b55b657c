"""A forked process answers, or says in one line that it cannot: it never waits for ever."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import gru4rec as g4r

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]

TOOLS = """
import ctypes, json, multiprocessing, os, select, signal, subprocess, sys, time
import gru4rec as g4r

MODEL, LOG, SCRATCH = sys.argv[1:]
SESSION = ["c00-0001", "c00-0003"]


def outcome(entry):
    try:
        return repr(entry())
    except g4r.ForkedError as error:
        return f"ForkedError: {error}"


def in_child(entries, fork=os.fork):
    '''The outcome of each entry in a forked child, one after the other; that of the first that
    hangs and of those after it is missing.'''
    reading, writing = os.pipe()
    child = fork()
    if not child:
        for name, entry in entries.items():
            os.write(writing, json.dumps([name, outcome(entry)]).encode() + b"\\n")
        os._exit(0)
    os.close(writing)
    text = b""
    while select.select([reading], [], [], 60)[0] and (some := os.read(reading, 1 << 16)):
        text += some
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return dict(map(json.loads, text.splitlines()))


def busy_torch():
    import torch
    torch.set_num_threads(2)
    return (torch.ones(500, 500) @ torch.ones(500, 500)).sum().item()


def loaded_answer():
    return g4r.load(MODEL, device="cpu").recommend([SESSION], 3).to_dicts()
"""


@pytest.fixture(scope="module")
def shop(trained: g4r.GRU4Rec, log: pl.DataFrame, tmp_path_factory) -> tuple[Path, Path, Path]:
    """A checkpoint, its log, and a folder to write to."""
    folder = tmp_path_factory.mktemp("shop")
    trained.save(folder / "model")
    log.write_parquet(folder / "log.parquet")
    return folder / "model", folder / "log.parquet", folder


@pytest.fixture(scope="module")
def run(shop):
    """Runs a script after `TOOLS`, with two threads of OpenMP; what it prints is JSON."""

    def call(script: str) -> dict[str, str]:
        program = shop[2] / "program.py"
        program.write_text(TOOLS + script)
        done = subprocess.run(
            [sys.executable, program, *map(str, shop)], capture_output=True, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "2"}, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


REFUSED = {
    "read_clicks": "g4r.read_clicks(LOG)",
    "read_clicks of a frame": "g4r.read_clicks(log)",
    "split_by_time": "g4r.split_by_time(log)",
    "split_last": "g4r.split_last(log, '10%')",
    "load": "g4r.load(MODEL)",
    "load as a kind": "g4r.GRU4Rec.load(MODEL)",
    "recommend lists": "trained.recommend([SESSION])",
    "recommend a log": "trained.recommend(LOG)",
    "recommend in pieces": "list(trained.recommend_in_pieces(LOG))",
    "evaluate": "g4r.evaluate({'m': trained}, LOG)",
    "fit": "g4r.GRU4Rec(device='cpu').fit(LOG)",
    "fit a baseline": "g4r.VSTAN().fit(LOG)",
    "decide": "g4r.GRU4Rec(device='cpu').decide(LOG)",
    "fit a fusion": "g4r.Fusion([g4r.Markov(), g4r.VSTAN()]).fit(LOG)",
    "weigh": "fusion.weigh(LOG)",
    "tune": "g4r.tune(LOG, valid='10%', trials=1)",
    "prepare": "g4r.prepare(LOG, SCRATCH + '/prepared')",
    "save": "trained.save(SCRATCH + '/saved')",
    "save a store": "trained.sessions.save(SCRATCH + '/sessions.parquet')",
    "restore a store": "trained.sessions.restore(SCRATCH + '/kept.parquet')",
    "pickle": "len(pickle.dumps(fusion))",
}
ANSWERED = {
    "next_items": "trained.next_items(SESSION, 3)",
    "next_items of a filter": "trained.next_items(SESSION, 3, only=few)",
    "next_items of a fusion": "fusion.next_items(SESSION, 3)",
    "next_items of a baseline": "fusion.parts[1].next_items(SESSION, 3)",
    "a live session": "live(trained, exclude_clicked=True, deny=['c00-0002'])",
    "a live session of a fusion": "live(fusion)",
    "a store": "stored(trained)",
    "a store of a fusion": "stored(fusion)",
    "a full store": "stored(trained, count=20_000)[-9:]",
    "a side input that is a number": "SideInputs({'price': ['3']}).codes({'price': 3.0}, None)",
    "a filter": "ItemFilter.of(trained.catalog, allow=SESSION).allowed.sum()",
    "a deep copy": "copy.deepcopy(fusion).next_items(SESSION, 3)",
    "item_vectors": "trained.item_vectors().sum()",
    "torch itself": "busy_torch()",
    "shrink": "g4r.shrink(trained, encoder='int8').next_items(SESSION, 3)",
    "generate_clicks": "g4r.generate_clicks(sessions=3, items=9, categories=3).height",
}


@pytest.fixture(scope="module")
def after_all_ran(run) -> dict[str, dict[str, str]]:
    """Outcomes in a parent that used everything, and in the child that was forked then."""
    entries = ", ".join(f"{name!r}: lambda: {entry}" for name, entry in ANSWERED.items())
    refused = ", ".join(f"{name!r}: lambda: {entry}" for name, entry in REFUSED.items())
    script = f"""
import copy, pickle
import polars as pl
from gru4rec.serving import ItemFilter
from gru4rec.sessions import SideInputs

def live(recommender, **only):
    session = recommender.start_session()
    for item in SESSION:
        session.click(item)
    return session.recommend(3, **only).to_dicts()

def stored(recommender, count=2):
    store = g4r.SessionStore(recommender)
    store.click_many(list(range(count)), (SESSION * count)[:count])
    asked = store.recommend_many(range(count + 1), 50, exclude_clicked=True, deny=["c00-0002"])
    return asked.to_dicts()

log = pl.read_parquet(LOG)
trained = g4r.load(MODEL, device="cpu")
fusion = g4r.Fusion([trained, g4r.VSTAN().fit(log)])
few = ItemFilter.of(trained.catalog, allow=trained.catalog.item_ids.head(9))
trained.click_many(["ann"], SESSION[:1])
trained.sessions.save(SCRATCH + "/kept.parquet")
ANSWERED, REFUSED = {{{entries}}}, {{{refused}}}
parent = {{name: outcome(entry) for name, entry in ANSWERED.items()}}
child = in_child({{**ANSWERED, **REFUSED}})
again = {{name: outcome(entry) for name, entry in ANSWERED.items()}}
print(json.dumps({{"parent": parent, "child": child, "parent again": again}}))
"""
    return run(script)


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_threads_of_polars_is_refused_in_one_line(name, after_all_ran):
    said = after_all_ran["child"].get(name, "it hangs")
    assert said.startswith("ForkedError: this process was forked after Polars had run")
    assert "load the recommender in each worker" in said
    assert "\n" not in said
    assert len(said) < 500


@pytest.mark.parametrize("name", ANSWERED)
def test_what_needs_none_is_answered_as_in_the_parent(name, after_all_ran):
    answers = {where: outcomes.get(name, "it hangs") for where, outcomes in after_all_ran.items()}
    assert "Error" not in answers["parent"]
    assert len(set(answers.values())) == 1, answers


def test_a_child_of_a_parent_in_which_nothing_ran_loads_and_answers(run, trained):
    found = run(
        """
import faiss, polars, torch  # to import them is not to run them
import gru4rec.recommenders.loading

def own_child():
    return in_child({"": loaded_answer})[""]

def program():
    command = [sys.executable, "-m", "gru4rec", "recommend", MODEL, "--items", ",".join(SESSION)]
    return subprocess.run([*command, "-k", "3"], capture_output=True, text=True).stdout

child = in_child({"it": loaded_answer, "its child": own_child, "its program": program,
                  "again": loaded_answer})
print(json.dumps({**child, "then": outcome(loaded_answer)}))
"""
    )
    expected = repr(trained.recommend([["c00-0001", "c00-0003"]], 3).to_dicts())
    assert found["it"] == found["again"] == found["then"] == expected
    assert "ForkedError" in found["its child"]
    assert found["its program"].count("item_id") == 3


@pytest.mark.parametrize(
    "ran",
    [
        "polars.DataFrame({'a': [1, 2]}).filter(polars.col('a') > 1)",
        "polars.DataFrame({'a': [1, 2]}).lazy().select('a').collect(engine='streaming')",
        # A thread has its name a moment after it was started.
        "polars.scan_parquet(LOG).collect_schema(); time.sleep(0.5)",
    ],
)
def test_it_makes_no_difference_who_called_polars(ran, run):
    found = run(f"import polars\n{ran}\nprint(json.dumps(in_child({{'it': loaded_answer}})))")
    assert found["it"].startswith("ForkedError")


def test_torch_that_ran_in_the_parent_with_several_threads_runs_in_the_child(run):
    found = run(
        "busy_torch()\nprint(json.dumps(in_child({'torch': busy_torch, 'it': loaded_answer})))"
    )
    assert found["torch"] == repr(500.0**3)
    assert "item_id" in found["it"]


def test_a_fork_that_passes_python_by_is_noticed_too(run):
    found = run(
        """
g4r.load(MODEL, device="cpu")
print(json.dumps(in_child({"it": loaded_answer}, fork=ctypes.PyDLL(None).fork)))
"""
    )
    assert found["it"].startswith("ForkedError")


def test_workers_by_spawn_answer_and_those_by_fork_hand_the_error_over(run):
    found = run(
        """
def by(method):
    with multiprocessing.get_context(method).Pool(1) as pool:
        return pool.apply_async(loaded_answer).get(60)

if __name__ == "__main__":
    expected = outcome(loaded_answer)
    print(json.dumps({"right": outcome(lambda: by("spawn")) == expected,
                      "fork": outcome(lambda: by("fork"))}))
"""
    )
    assert found["right"] is True
    assert found["fork"].startswith("ForkedError: this process was forked")
