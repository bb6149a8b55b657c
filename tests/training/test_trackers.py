"""What TensorBoard, MLflow and Weights & Biases are told: by fakes, and where they are there."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import gru4rec as g4r

FIGURES = {"epoch", "loss", "clicks_per_second"}
MEASURED = {"recall@20", "mrr@20"}


@pytest.fixture
def several(tiny) -> g4r.Config:
    """A config whose training has runs of other models too."""
    return tiny.replace({"training.teachers": 1, "encoder.repeats": True})


class Stop:
    """Asks a training to stop once the model that is kept has learned for an epoch."""

    def __init__(self):
        self.asked = False

    def __call__(self, progress=None):
        if progress is None:
            return self.asked
        self.asked = not progress.run and progress.metrics is not None
        return self.asked


def interrupted(config, log, keep, track):
    stop = Stop()
    with pytest.raises(g4r.StoppedError):
        g4r.GRU4Rec(config, device="cpu").fit(
            log, keep=keep, track=track, on_progress=stop, stopping=stop
        )


# TensorBoard


class Writer:
    """As `SummaryWriter`."""

    made: list["Writer"]

    def __init__(self, folder, purge_step=None, flush_secs=120):
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.folder, self.purge_step = Path(folder), purge_step
        self.texts, self.scalars, self.hparams, self.closed = {}, [], None, False
        self.made.append(self)

    def add_text(self, tag, text, step=None):
        self.texts[tag] = text

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))

    def add_hparams(self, settings, metrics, run_name):
        self.hparams = (settings, metrics, run_name)

    def flush(self):
        pass

    def close(self):
        self.closed = True


@pytest.fixture
def writers(monkeypatch) -> list[Writer]:
    """The writers that are made."""
    monkeypatch.setattr(Writer, "made", [], raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", ModuleType("tensorboard"))
    fake = SimpleNamespace(SummaryWriter=Writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    return Writer.made


def test_tensorboard_has_a_folder_for_each_run(several, log, tmp_path, writers):
    track = f"tensorboard={tmp_path / 'runs'}"
    keep = tmp_path / "shop"
    fitted = g4r.GRU4Rec(several, device="cpu").fit(log, valid="10%", keep=keep, track=track)
    place = tmp_path / "runs" / "shop"
    folders = [place, place / "repeats", place / "teacher-1-of-1"]
    assert [writer.folder for writer in writers] == folders
    assert all(writer.closed and writer.purge_step is None for writer in writers)
    main = writers[0]
    assert {tag for tag, _, _ in main.scalars} == FIGURES | MEASURED
    assert {tag for tag, _, _ in writers[1].scalars} == FIGURES
    last = {tag: value for tag, value, _ in main.scalars}
    assert last.items() >= {name: fitted.meta.history[-1][name] for name in MEASURED}.items()
    assert "| encoder.repeats | True |" in main.texts["settings"]
    assert (
        f"| training.lanes | 16 | {fitted.meta.auto.get('training.lanes', '')} |"
        in (main.texts["settings"])
    )
    assert f"| clicks | {fitted.meta.counts['clicks']:,} |" in main.texts["log"]
    settings, metrics, run_name = main.hparams
    assert settings["training.smoothing"] == fitted.config.training.smoothing
    assert metrics["kept/mrr@20"] == fitted.meta.metrics["mrr@20"]
    assert run_name == "."


def test_tensorboard_gives_each_training_a_folder_of_its_own(tiny, log, tmp_path, writers):
    for _ in range(2):
        tracker = g4r.TensorBoard(tmp_path, name="shop")
        g4r.GRU4Rec(tiny, device="cpu").fit(log, track=tracker)
    g4r.GRU4Rec(tiny, device="cpu").fit(log, track=g4r.TensorBoard(tmp_path))
    names = [writer.folder.name for writer in writers]
    assert names[:2] == ["shop", "shop-2"]
    assert names[2].startswith("20")


def test_tensorboard_goes_on_in_the_folder_and_hides_what_is_learned_anew(
    tiny, log, tmp_path, writers
):
    track, keep = f"tensorboard={tmp_path / 'runs'}", tmp_path / "shop"
    interrupted(tiny, log, keep, track)
    done = writers[0].scalars[-1][2]
    g4r.GRU4Rec(tiny, device="cpu").fit(log, keep=keep, resume=True, track=track)
    first, second = writers
    assert first.folder == second.folder
    assert done < second.purge_step <= min(step for _, _, step in second.scalars)
    assert second.texts == {}


@pytest.mark.filterwarnings("default")  # it is warned of its own code
def test_tensorboard_itself_reads_it(several, log, tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard comes with the extra [tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track, keep = f"tensorboard={tmp_path / 'runs'}", tmp_path / "shop"
    interrupted(several, log, keep, track)
    g4r.GRU4Rec(several, device="cpu").fit(log, keep=keep, resume=True, track=track)
    for run, wanted in (("", 2), ("repeats", 1), ("teacher-1-of-1", 2)):
        events = EventAccumulator(str(tmp_path / "runs" / "shop" / run))
        events.Reload()
        assert set(events.Tags()["scalars"]) >= FIGURES
        points = [(event.step, event.value) for event in events.Scalars("epoch")]
        assert points[-1][1] == wanted
        assert points == sorted(points)


# MLflow


class Store:
    """As a server of MLflow, and its client."""

    def __init__(self):
        self.runs, self.experiments, self.uris = {}, {"Default": "0"}, []

    def client(self, tracking_uri):
        self.uris.append(tracking_uri)
        return self

    def get_experiment_by_name(self, name):
        known = self.experiments.get(name)
        return known and SimpleNamespace(experiment_id=known)

    def create_experiment(self, name):
        self.experiments[name] = str(len(self.experiments))
        return self.experiments[name]

    def create_run(self, experiment_id, run_name=None):
        run = SimpleNamespace(
            info=SimpleNamespace(run_id=f"run{len(self.runs)}", run_name=run_name),
            data=SimpleNamespace(params={}, tags={}, metrics=[]),
            experiment=experiment_id,
            states=["RUNNING"],
        )
        self.runs[run.info.run_id] = run
        return run

    def get_run(self, run_id):
        return self.runs[run_id]

    def update_run(self, run_id, status):
        self.runs[run_id].states.append(status)

    def set_terminated(self, run_id, status):
        sys.stdout.write("View run at http://…")
        self.runs[run_id].states.append(status)

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        data = self.runs[run_id].data
        assert not {name for name, _ in params} & set(data.params)
        data.params.update(params)
        data.tags.update(tags)
        assert not any("@" in name for name, *_ in metrics)
        data.metrics.extend(metrics)


@pytest.fixture
def store(monkeypatch) -> Store:
    """What MLflow is told."""
    store, mlflow = Store(), ModuleType("mlflow")
    mlflow.MlflowClient = store.client
    tuples = dict.fromkeys(("Metric", "Param", "RunTag"), lambda *given: given)
    mlflow.entities = SimpleNamespace(**tuples)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    named = SimpleNamespace(MLFLOW_EXPERIMENT_NAME=SimpleNamespace(get=lambda: None))
    monkeypatch.setitem(sys.modules, "mlflow.environment_variables", named)
    return store


def test_mlflow_has_settings_reasons_and_figures(several, log, tmp_path, store, capsys):
    keep = tmp_path / "shop"
    fitted = g4r.GRU4Rec(several, device="cpu").fit(
        log, valid="10%", keep=keep, track="mlflow=http://there"
    )
    assert store.uris == ["http://there"]
    (run,) = store.runs.values()
    assert (run.info.run_name, run.experiment, run.states) == (
        "shop", "0", ["RUNNING", "FINISHED"],
    )  # fmt: skip
    assert run.data.params["encoder.hidden_size"] == "16"
    assert run.data.params["training.smoothing"] == str(fitted.config.training.smoothing)
    assert run.data.params["log.clicks"] == str(fitted.meta.counts["clicks"])
    assert len(run.data.params) < 100  # more take two requests
    assert run.data.tags["device"] == "cpu"
    for name, why in fitted.meta.auto.items():
        assert run.data.tags.get(f"auto.{name}") in (why, None)
    names = {name for name, *_ in run.data.metrics}
    measured = {"recall_at_20", "mrr_at_20"}
    assert names == {
        *FIGURES,
        *measured,
        *(f"{run}/{name}" for run in ("repeats", "teacher 1 of 1") for name in FIGURES),
        *(f"kept/{name}" for name in measured | {"epoch"}),
        "seconds",
    }
    assert capsys.readouterr().out == ""  # where data goes


def test_mlflow_takes_an_experiment(tiny, log, store):
    for _ in range(2):
        tracker = g4r.MLflow(experiment="shops", name="mine")
        g4r.GRU4Rec(tiny, device="cpu").fit(log, track=tracker)
    assert [run.experiment for run in store.runs.values()] == ["1", "1"]
    assert store.uris == [None, None]


def test_mlflow_goes_on_with_the_run(tiny, log, tmp_path, store):
    keep = tmp_path / "shop"
    interrupted(tiny, log, keep, "mlflow")
    g4r.GRU4Rec(tiny, device="cpu").fit(log, keep=keep, resume=True, track="mlflow")
    (run,) = store.runs.values()
    assert run.states == ["RUNNING", "KILLED", "RUNNING", "FINISHED"]
    assert run.data.tags["error"].startswith("stopped after epoch 1")


def test_a_folder_of_mlflow_is_never_in_the_checkpoint(tiny, log, tmp_path, store):
    with pytest.raises(g4r.ConfigError, match="mlflow would write into the checkpoint"):
        g4r.GRU4Rec(tiny, device="cpu").fit(
            log, keep=tmp_path / "shop", track=f"mlflow={tmp_path / 'shop' / 'mlruns'}"
        )


@pytest.mark.filterwarnings("default")  # it is warned of its own code
@pytest.mark.parametrize("kind", ["folder", "database"])
def test_mlflow_itself_keeps_it(several, log, tmp_path, monkeypatch, kind):
    mlflow = pytest.importorskip("mlflow", reason="MLflow comes with the extra [mlflow]")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shops")
    monkeypatch.chdir(tmp_path)
    uri = str(tmp_path / "mlruns") if kind == "folder" else f"sqlite:///{tmp_path}/runs.db"
    keep, track = tmp_path / "shop", f"mlflow={uri}"
    interrupted(several, log, keep, track)
    fitted = g4r.GRU4Rec(several, device="cpu").fit(log, keep=keep, resume=True, track=track)
    client = mlflow.MlflowClient(tracking_uri=uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == "shops"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("shop", "FINISHED")
    assert run.data.params["training.smoothing"] == str(fitted.config.training.smoothing)
    assert run.data.metrics["loss"] == pytest.approx(fitted.meta.history[-1]["loss"])
    assert run.data.metrics["teacher 1 of 1/epoch"] == 2


# Weights & Biases


class Run:
    """As a run of W&B."""

    def __init__(self, **asked):
        self.asked, self.id = asked, asked["id"] or "abc"
        self.config, self.summary, self.rows, self.axes = {}, {}, [], {}
        self.config = SimpleNamespace(
            all=dict(asked["config"]),
            update=lambda values, allow_val_change: self.config.all.update(values),
        )

    def define_metric(self, name, step_metric):
        self.axes[name] = step_metric

    def log(self, row):
        self.rows.append(row)

    def finish(self, exit_code):
        self.exit_code = exit_code


@pytest.fixture
def wandb(monkeypatch) -> SimpleNamespace:
    """W&B, offline; `runs` are those that were begun."""

    class Error(Exception):
        pass

    def login(verify):
        raise Error("no key\nat all")

    def init(**asked):
        fake.runs.append(Run(**asked))
        return fake.runs[-1]

    settings = SimpleNamespace(mode="offline")
    setup = SimpleNamespace(settings=settings)
    fake = SimpleNamespace(
        runs=[], settings=settings, setup=lambda: setup, login=login, init=init, Error=Error
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_wandb_has_settings_reasons_and_figures_by_epoch(several, log, tmp_path, wandb):
    fitted = g4r.GRU4Rec(several, device="cpu").fit(
        log, valid="10%", keep=tmp_path / "shop", track="wandb=team/shops"
    )
    (run,) = wandb.runs
    asked = {"entity": "team", "project": "shops", "name": "shop", "id": None, "resume": None}
    assert run.asked.items() >= asked.items()
    assert run.config.all["log"] == fitted.meta.counts
    assert run.config.all["auto"].items() <= fitted.meta.auto.items()
    assert run.config.all["training.smoothing"] == fitted.config.training.smoothing
    last = fitted.meta.history[-1]
    assert run.rows[-1] == {**last, "epoch": float(last["epoch"])}
    assert run.axes["mrr@20"] == run.axes["loss"] == "epoch"
    assert run.axes["repeats/loss"] == "repeats/epoch"
    assert "teacher 1 of 1/loss" in run.axes
    assert run.summary["kept/mrr@20"] == fitted.meta.metrics["mrr@20"]
    assert run.summary["status"] == "finished"
    assert run.exit_code == 0


def test_wandb_goes_on_with_the_run(tiny, log, tmp_path, wandb):
    keep = tmp_path / "shop"
    interrupted(tiny, log, keep, "wandb=shops")
    g4r.GRU4Rec(tiny, device="cpu").fit(log, keep=keep, resume=True, track="wandb=shops")
    first, second = wandb.runs
    assert (first.asked["entity"], first.asked["project"]) == (None, "shops")
    assert (first.exit_code, first.summary["status"]) == (1, "stopped")
    assert (second.asked["id"], second.asked["resume"]) == ("abc", "allow")


def test_wandb_without_a_login_is_refused_before_anything_is_read(tiny, wandb):
    wandb.settings.mode = "online"
    with pytest.raises(g4r.ConfigError, match="wandb: no key at all; run `wandb login`, or set"):
        g4r.GRU4Rec(tiny, device="cpu").fit("no such log", track="wandb")


@pytest.mark.filterwarnings("default")  # it is warned of its own code
def test_wandb_itself_keeps_it_offline(several, log, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="Weights & Biases comes with the extra [wandb]")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    keep = tmp_path / "shop"
    interrupted(several, log, keep, "wandb=shops")
    g4r.GRU4Rec(several, device="cpu").fit(log, keep=keep, resume=True, track="wandb=shops")
    runs = [path.name for path in (tmp_path / "wandb").glob("offline-run-*")]
    assert len({name.rpartition("-")[2] for name in runs}) == 1
    for folder in runs:
        assert list((tmp_path / "wandb" / folder).glob("*.wandb"))
