"""A training that was interrupted goes on to the weights of one that was not."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec import layout
from gru4rec.training import snapshot

SETTINGS = {
    **TINY,
    "training.lanes": 4,
    "training.momentum": 0.2,
    "training.epochs": 3,
    "training.patience": 5,
}


def after(windows: int) -> Callable[[], bool]:
    """Asks to stop after so many windows."""
    asked = itertools.count(1)
    return lambda: next(asked) >= windows


def fit(log: pl.DataFrame, keep: Path | None, **how: object) -> g4r.GRU4Rec:
    settings = how.pop("settings", {})
    config = g4r.Config().replace({**SETTINGS, **settings})
    return g4r.GRU4Rec(config, device="cpu").fit(log, valid="10%", keep=keep, **how)


def weights_of(recommender: g4r.GRU4Rec) -> dict[str, list[float]]:
    return {name: w.tolist() for name, w in recommender.model.state_dict().items()}


def figures_of(recommender: g4r.GRU4Rec) -> list[dict[str, float]]:
    history = recommender.meta.history
    return [{k: v for k, v in row.items() if k != "clicks_per_second"} for row in history]


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    """A log of which `SETTINGS` make some fifteen windows an epoch."""
    return g4r.generate_clicks(sessions=50, items=60, categories=3, seed=1)


@pytest.fixture(scope="module")
def undisturbed(log: pl.DataFrame) -> g4r.GRU4Rec:
    """A training with `SETTINGS` that nothing interrupted; for reading only."""
    return fit(log, None)


@pytest.fixture
def keep(tmp_path: Path) -> Path:
    return tmp_path / "model"


def test_the_reasons_of_auto_outlast_an_interruption(log, keep, undisturbed):
    with pytest.raises(g4r.StoppedError):
        fit(log, keep, stopping=after(3))
    resumed = fit(log, keep, resume=True)
    assert resumed.meta.auto == undisturbed.meta.auto
    assert resumed.meta.auto


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training.dense_optimizer": "adamw"},
        {"training.scoring": "dot", "encoder.embedding": "separate", "encoder.num_layers": 2},
        {"encoder.embedding": "onehot", "training.momentum": 0.0},
        {"training.precision": "bf16", "training.epochs": 2.5},
        {"encoder.name": "transformer_gru", "training.epochs": 2},
        {"encoder.name": "attention_gru", "encoder.inputs": ["gap"], "training.epochs": 2},
        {"encoder.repeats": True, "encoder.inputs": ["gap"]},
    ],
    ids=str,
)
def test_stopped_anywhere_and_gone_on_gives_the_same_weights_and_figures(log, keep, settings):
    undisturbed = fit(log, None, settings=settings)
    for windows in (1, 7, 20, 1000):
        try:
            fit(log, keep, settings=settings, stopping=after(windows), resume=keep.exists())
        except g4r.StoppedError:
            continue
        break
    gone_on = fit(log, keep, settings=settings, resume=True)
    assert weights_of(gone_on) == weights_of(undisturbed)
    assert figures_of(gone_on) == figures_of(undisturbed)
    assert gone_on.meta.metrics == undisturbed.meta.metrics
    assert gone_on.meta.repeats == undisturbed.meta.repeats
    assert gone_on.config == undisturbed.config


def test_each_run_of_a_training_goes_on_where_it_stopped(log, keep):
    settings = {"encoder.repeats": True}
    runs = []
    fit(log, None, settings=settings, on_progress=lambda progress: runs.append(progress.run))
    assert [run for run, _ in itertools.groupby(runs)] == ["repeats", ""]
    undisturbed = fit(log, None, settings=settings)
    for windows, run in ((3, "repeats"), (20, "")):
        with pytest.raises(g4r.StoppedError):
            fit(log, keep, settings=settings, stopping=after(windows), resume=keep.exists())
        assert snapshot.load_snapshot(keep).run == run
    seen = []
    gone_on = fit(
        log, keep, settings=settings, resume=True,
        on_progress=lambda progress: seen.append(progress.run),
    )  # fmt: skip
    assert set(seen) == {""}
    assert weights_of(gone_on) == weights_of(undisturbed)
    assert gone_on.meta.repeats == undisturbed.meta.repeats


def test_the_model_that_is_kept_learns_as_without_a_head(log):
    """Until smoothing, the weights are those of a training without the first run."""
    plain = fit(log, None, settings={"encoder.repeats": False})
    headed = fit(log, None, settings={"encoder.repeats": True, "training.smoothing": 0.0})
    assert weights_of(headed) == weights_of(plain)
    assert headed.meta.repeats is not None
    assert plain.meta.repeats is None


def test_a_log_too_small_to_hold_sessions_out_is_trained_without_a_head(caplog):
    tiny = clicks_of([["a", "b"], ["b", "a"]])
    config = g4r.Config().replace({**SETTINGS, "encoder.repeats": True})
    recommender = g4r.GRU4Rec(config, device="cpu").fit(tiny)
    assert recommender.meta.repeats is None
    assert "too few sessions" in caplog.text


def test_the_shortest_training_holds_sessions_out_too(log):
    recommender = fit(log, None, settings={"encoder.repeats": True, "training.epochs": 0.001})
    assert recommender.meta.repeats is not None


def test_a_state_from_before_there_was_a_head_goes_on_without_one(log, keep):
    with pytest.raises(g4r.StoppedError):
        fit(log, keep, stopping=after(3), settings={"encoder.repeats": False})
    path = keep / "resume" / "run.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    del run["run"], run["finish"], run["config"]["encoder"]["repeats"]
    del run["config"]["training"]["smoothing"]
    path.write_text(json.dumps(run), encoding="utf-8")
    assert fit(log, keep, resume=True).config.encoder.repeats is False


def test_what_is_kept_within_an_epoch_changes_nothing(log, keep, undisturbed):
    assert weights_of(fit(log, keep, keep_minutes=0.0)) == weights_of(undisturbed)


def test_a_training_that_stopped_early_stays_stopped(log, keep):
    # So small a rate that no later epoch is better than the first.
    settings = {"training.epochs": 9, "training.patience": 1, "training.learning_rate": 1e-9}
    undisturbed = fit(log, keep, settings=settings)
    assert len(figures_of(undisturbed)) < 9
    gone_on = fit(log, keep, settings=settings, resume=True)
    assert figures_of(gone_on) == figures_of(undisturbed)
    assert weights_of(gone_on) == weights_of(undisturbed)


def test_nothing_to_go_on_from_is_said_and_training_starts(log, keep, caplog):
    with caplog.at_level("INFO", logger="gru4rec"):
        fit(log, keep, resume=True)
    assert "starting from the beginning" in caplog.text


def stopped(log: pl.DataFrame, keep: Path) -> None:
    with pytest.raises(g4r.StoppedError, match="epoch 1"):
        fit(log, keep, stopping=after(3))


def test_a_fresh_training_forgets_the_interrupted_one(log, keep):
    stopped(log, keep)
    assert weights_of(fit(log, keep, settings={"seed": 4})) == weights_of(
        fit(log, None, settings={"seed": 4})
    )


def test_another_log_is_refused(log, keep):
    stopped(log, keep)
    with pytest.raises(g4r.CheckpointError, match="another log"):
        fit(log.slice(5), keep, resume=True)


ENDLESS = [number % 7 for number in range(700)]


@pytest.mark.parametrize("name", ["gru", "narm"])
def test_a_log_with_an_endless_session_is_gone_on_with(keep, name):
    log = clicks_of([[1, 2, 3], ENDLESS, *[[4, 5, 6, 2]] * 20])
    settings = {"encoder.name": name, "encoder.max_length": 4, "training.epochs": 2}
    undisturbed = fit(log, None, settings=settings)
    for windows in (20, 70):
        with pytest.raises(g4r.StoppedError):
            fit(
                log, keep, settings=settings, stopping=after(windows if name == "gru" else 2),
                resume=keep.exists(),
            )  # fmt: skip
    gone_on = fit(log, keep, settings=settings, resume=True)
    assert weights_of(gone_on) == weights_of(undisturbed)


def test_windows_that_an_older_version_cut_an_endless_session_into_are_not_gone_on_with(
    keep, monkeypatch
):
    log = clicks_of([[1, 2, 3], ENDLESS, *[[4, 5, 6, 2]] * 20])
    with monkeypatch.context() as older:
        older.setattr("gru4rec.training.training_log.ORDINARY_CLICKS", 10**9)
        stopped(log, keep)
    with pytest.raises(g4r.CheckpointError, match="cut endless sessions otherwise"):
        fit(log, keep, resume=True)


def test_another_setting_is_refused_and_a_lower_rate_is_taken(log, keep, undisturbed):
    stopped(log, keep)
    with pytest.raises(g4r.ConfigError, match=r"training\.lanes = 4, asked is 5"):
        fit(log, keep, resume=True, settings={"training.lanes": 5})
    slower = fit(log, keep, resume=True, settings={"training.learning_rate": 0.01})
    assert slower.config.training.learning_rate == 0.01
    assert weights_of(slower) != weights_of(undisturbed)


def test_a_state_that_is_damaged_is_refused(log, keep):
    stopped(log, keep)
    (keep / "resume" / "state.safetensors").write_bytes(b"damaged")
    with pytest.raises(g4r.CheckpointError, match="start afresh with force"):
        fit(log, keep, resume=True)


def changed(**values: object) -> Callable[[Path], object]:
    """Changes keys of what a run says of itself."""

    def edit(folder: Path) -> None:
        run = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**run, **values}))

    return edit


def retensored(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    """Changes the tensors of a state."""

    def edit(folder: Path) -> None:
        tensors = {name: part.clone() for name, part in load_file(folder / _TENSORS).items()}
        change(tensors)
        save_file(tensors, folder / _TENSORS)

    return edit


_TENSORS, _TABLE = "state.safetensors", "learner.model.output_table"

NONSENSE: dict[str, Callable[[Path], object]] = {
    "deep": lambda folder: (folder / "run.json").write_text(100_000 * "["),
    "no UTF-8": lambda folder: (folder / "run.json").write_bytes(24_000 * b"\xff"),
    "a list": lambda folder: (folder / "run.json").write_text("[]"),
    "a position of texts": changed(position={"epoch": "x"}),
    "a position before the first": changed(position={"epoch": -1, "window": 0, "clicks": 0}),
    "no config": changed(config=None),
    "an absurd config": changed(config={"encoder": {"hidden_size": 10**9}}),
    "a log of another type": changed(log=3),
    "reasons of numbers": changed(reasons={"seed": 1}),
    "no tensors": retensored(lambda tensors: tensors.clear()),
    "a table of another shape": retensored(
        lambda tensors: tensors.update({_TABLE: torch.zeros(1)})
    ),
    "a table of another type": retensored(
        lambda tensors: tensors.update({_TABLE: tensors[_TABLE].double()})
    ),
    "a weight that is no number": retensored(lambda tensors: tensors[_TABLE].fill_(torch.nan)),
    "a nameless state": retensored(
        lambda tensors: tensors.update({"learner.dense.x": torch.zeros(1)})
    ),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_in_a_state_is_refused_in_one_short_line(log, keep, name):
    stopped(log, keep)
    NONSENSE[name](keep / "resume")
    with pytest.raises(g4r.CheckpointError, match="start afresh with force") as refused:
        fit(log, keep, resume=True)
    assert str(refused.value).splitlines() == [str(refused.value)]
    assert len(str(refused.value).replace(str(keep), "")) < 500


def test_the_checkpoint_that_is_saved_holds_no_state_of_training(log, keep):
    recommender = fit(log, keep)
    assert (keep / "resume").is_dir()
    recommender.save(keep, force=True)
    assert not (keep / "resume").exists()
    assert layout.is_finished(keep)


def test_what_was_kept_gives_way_to_the_checkpoint_of_that_training_only(log, keep, undisturbed):
    recommender = fit(log, keep)
    with pytest.raises(g4r.CheckpointError, match="resume"):
        undisturbed.save(keep)
    recommender.save(keep)
    assert layout.is_finished(keep)
    with pytest.raises(g4r.CheckpointError, match="exists"):
        recommender.save(keep)


def test_a_folder_of_somebody_elses_that_bears_the_name_is_left_alone(log, keep):
    (keep / "resume").mkdir(parents=True)
    (keep / "resume" / "cv.pdf").write_text("mine")
    with pytest.raises(g4r.CheckpointError, match="is no state of a training"):
        fit(log, keep)
    assert (keep / "resume" / "cv.pdf").read_text() == "mine"


def test_an_interrupted_training_is_no_checkpoint_and_an_older_one_stays_readable(log, keep):
    stopped(log, keep)
    with pytest.raises(g4r.CheckpointError, match=r"interrupted.*resume"):
        g4r.load(keep)
    with pytest.raises(g4r.CheckpointError, match=r"resume.*force"):
        layout.check_free(keep, force=False)
    older = fit(log, None, settings={"training.epochs": 1})
    older.save(keep, force=True)
    stopped(log, keep)
    assert weights_of(g4r.load(keep, device="cpu")) == weights_of(older)


def test_a_disk_that_refuses_leaves_the_older_state_whole(log, keep, monkeypatch):
    stopped(log, keep)
    before = load_file(keep / "resume" / "state.safetensors")

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot, "save_file", full)
    with pytest.raises(g4r.CheckpointError, match=r"cannot keep the state.*No space left"):
        fit(log, keep, resume=True)
    found = load_file(keep / "resume" / "state.safetensors")
    assert all(torch.equal(found[name], part) for name, part in before.items())
    assert [path.name for path in keep.iterdir()] == ["resume"]


def test_a_swap_of_states_that_a_crash_cut_short_is_mended(log, keep, undisturbed):
    stopped(log, keep)
    (keep / "resume").rename(keep / ".resume.old")
    assert weights_of(fit(log, keep, resume=True)) == weights_of(undisturbed)


def test_after_a_divergence_the_last_good_state_is_there_and_a_lower_rate_goes_on(
    log, keep, undisturbed
):
    stopped(log, keep)
    settings = {"training.learning_rate": 1e39}
    for _ in range(2):
        with pytest.raises(g4r.DivergenceError):
            fit(log, keep, resume=True, settings=settings, keep_minutes=0.0)
    kept = snapshot.load_snapshot(keep)
    assert kept is not None
    assert all(part.isfinite().all() for part in kept.tensors.values())
    assert weights_of(fit(log, keep, resume=True)) == weights_of(undisturbed)
