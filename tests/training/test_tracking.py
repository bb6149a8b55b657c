"""Trackers are told how a training goes, and can neither hold it up nor end it."""

import logging
import subprocess
import sys
import threading
import time

import pytest

import gru4rec as g4r
from gru4rec.training import TRACKERS, Progress, TrainingEnd, TrainingStart, tracking
from gru4rec.training.tracker import figures_of


class Recorder(g4r.Tracker):
    """Keeps what it is told."""

    name = "recorder"
    seconds = 0.0

    def __init__(self, place=None, *, name=None):
        self.place, self.called = place, name
        self.start: TrainingStart
        self.ends: list[TrainingEnd] = []
        self.known_as: list[str | None] = []
        self.within: list[Progress] = []
        self.epochs: list[Progress] = []
        self.threads: set[int] = set()

    def begin(self, start, known_as):
        self.start = start
        self.known_as.append(known_as)
        self.threads.add(threading.get_ident())
        return f"run {len(self.known_as)}"

    def progress(self, progress):
        self.within.append(progress)
        self.threads.add(threading.get_ident())

    def epoch(self, progress):
        self.epochs.append(progress)
        self.threads.add(threading.get_ident())

    def end(self, end):
        self.ends.append(end)
        self.threads.add(threading.get_ident())


def weights_of(recommender):
    return {name: value.tolist() for name, value in recommender.model.state_dict().items()}


def test_a_tracker_is_told_all_in_order_in_a_thread_of_its_own(tiny, log):
    recorder = Recorder()
    fitted = g4r.GRU4Rec(tiny, device="cpu").fit(log, valid="10%", track=recorder)
    start, (end,) = recorder.start, recorder.ends
    assert start.config.training.epochs == 2
    assert start.counts == fitted.meta.counts
    assert start.reasons == fitted.meta.auto
    assert start.device == "cpu"
    assert recorder.known_as == [None]
    assert [progress.epoch for progress in recorder.epochs] == [1, 2]
    rows = [figures_of(progress) for progress in recorder.epochs]
    assert rows == [{**row, "epoch": float(row["epoch"])} for row in fitted.meta.history]
    assert {progress.epoch for progress in recorder.within} <= {1, 2}
    steps = [progress.updates for progress in recorder.within]
    assert steps == sorted(steps)
    assert recorder.epochs[1].updates == 2 * recorder.epochs[0].updates
    assert (end.status, end.error, end.config) == ("finished", "", fitted.config)
    assert end.metrics == fitted.meta.metrics
    assert round(end.seconds, 3) == fitted.meta.seconds
    assert len(recorder.threads) == 1
    assert threading.get_ident() not in recorder.threads
    assert not any(thread.name.startswith("gru4rec") for thread in threading.enumerate())


def test_a_tracker_changes_nothing_that_is_learned(tiny, log, trained):
    tracked = g4r.GRU4Rec(tiny, device="cpu").fit(log, track=[Recorder(), Recorder()])
    assert weights_of(tracked) == weights_of(trained)


def test_runs_of_other_models_are_told_apart(tiny, log):
    recorder = Recorder()
    config = tiny.replace({"training.teachers": 1, "encoder.repeats": True, "training.epochs": 1})
    fitted = g4r.GRU4Rec(config, device="cpu").fit(log, track=recorder)
    assert [progress.run for progress in recorder.epochs] == ["repeats", "teacher 1 of 1", ""]
    assert recorder.start.config.training.smoothing is None
    assert recorder.ends[0].config.training.smoothing == fitted.config.training.smoothing


def test_a_share_of_an_epoch_counts_as_one(tiny, log):
    recorder = Recorder()
    config = tiny.replace({"training.epochs": 1.5})
    g4r.GRU4Rec(config, device="cpu").fit(log, track=recorder)
    assert [figures_of(progress)["epoch"] for progress in recorder.epochs] == [1.0, 1.5]
    whole, all_of_it = (progress.updates for progress in recorder.epochs)
    assert all_of_it == whole + round(whole / 2)


def test_within_an_epoch_a_tracker_is_told_only_so_often(tiny, log, monkeypatch):
    recorder = Recorder()
    recorder.seconds = 1000.0
    monkeypatch.setattr("gru4rec.training.clock._REPORT_SECONDS", 0.0)
    g4r.GRU4Rec(tiny, device="cpu").fit(log, track=recorder)
    assert len(recorder.within) == 1


def test_a_stop_and_an_error_are_told(tiny, log):
    stopped, failed = Recorder(), Recorder()
    with pytest.raises(g4r.StoppedError):
        g4r.GRU4Rec(tiny, device="cpu").fit(log, track=stopped, stopping=lambda: True)
    wild = tiny.replace({"training.learning_rate": 1e38})
    with pytest.raises(g4r.DivergenceError) as error:
        g4r.GRU4Rec(wild, device="cpu").fit(log, track=failed)
    assert [end.status for end in stopped.ends] == ["stopped"]
    assert stopped.ends[0].error == "stopped in epoch 1"
    assert [end.status for end in failed.ends] == ["failed"]
    assert failed.ends[0].error in str(error.value)
    assert failed.ends[0].config is None


def test_a_training_that_never_begins_is_not_told(tiny, log):
    recorder = Recorder()
    with pytest.raises(g4r.DataError):
        g4r.GRU4Rec(tiny, device="cpu").fit(log.head(1), track=recorder)
    assert recorder.known_as == recorder.ends == []


def test_a_training_that_goes_on_is_the_same_run(tiny, log, tmp_path, trained):
    keep = tmp_path / "model"
    first, second = Recorder(), Recorder()
    with pytest.raises(g4r.StoppedError):
        g4r.GRU4Rec(tiny, device="cpu").fit(
            log, keep=keep, track=[first, Recorder()], stopping=lambda: bool(first.epochs)
        )
    done = first.epochs[0].updates
    fitted = g4r.GRU4Rec(tiny, device="cpu").fit(
        log, keep=keep, resume=True, track=[second, Recorder()]
    )
    assert second.known_as == ["run 1"]
    assert second.start.reasons == first.start.reasons
    assert min(progress.updates for progress in second.within + second.epochs) > done
    assert weights_of(fitted) == weights_of(trained)


@pytest.mark.parametrize("method", ["begin", "progress", "epoch", "end"])
def test_one_that_fails_is_said_once_and_left_out(tiny, log, caplog, method, trained):
    class Broken(Recorder):
        name = "broken"

    def fail(*told):
        calls.append(told)
        raise OSError("disk full\nsecond line")

    calls: list[object] = []
    setattr(Broken, method, fail)
    broken, sound = Broken(), Recorder()
    with caplog.at_level(logging.WARNING):
        fitted = g4r.GRU4Rec(tiny, device="cpu").fit(log, track=[broken, sound])
    assert [record.message for record in caplog.records] == [
        "broken is left out: disk full second line"
    ]
    assert len(calls) == 1
    assert len(broken.ends) == 0
    assert len(sound.ends) == 1
    assert weights_of(fitted) == weights_of(trained)


def test_one_that_does_not_answer_is_waited_for_only_so_long(tiny, log, caplog, monkeypatch):
    monkeypatch.setattr(tracking, "_PATIENCE", 0.05)
    answer = threading.Event()

    class Away(Recorder):
        name = "away"

        def begin(self, start, known_as):
            answer.wait(60)

    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        g4r.GRU4Rec(tiny, device="cpu").fit(log, track=Away())
    assert time.monotonic() - began < 30
    assert [record.message for record in caplog.records] == [
        "away does not answer, and is left out"
    ]
    answer.set()


def test_what_a_run_is_known_by_is_waited_for_once(tiny, log, tmp_path, monkeypatch):
    class Slow(Recorder):
        def begin(self, start, known_as):
            time.sleep(1.0)
            return super().begin(start, known_as)

    second = Recorder()
    for recorder, resume in ((Slow(), False), (second, True)):
        with pytest.raises(g4r.StoppedError):
            g4r.GRU4Rec(tiny, device="cpu").fit(
                log, keep=tmp_path / "m", resume=resume, track=recorder, stopping=lambda: True
            )
    assert second.known_as == ["run 1"]
    monkeypatch.setattr(tracking, "_BEGINNING", 0.05)
    g4r.GRU4Rec(tiny, device="cpu").fit(log, keep=tmp_path / "n", track=Slow())


def test_an_unknown_name_is_refused_before_anything_is_read(tiny):
    with pytest.raises(g4r.ConfigError, match="no tracker 'nonesuch'; choose from tensorboard, "):
        g4r.GRU4Rec(tiny, device="cpu").fit("no such log", track="nonesuch")
    with pytest.raises(g4r.ConfigError, match="a Tracker or a name, got 3"):
        g4r.GRU4Rec(tiny, device="cpu").fit("no such log", track=[3])


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_said_before_anything_is_read(tiny, name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(g4r.MissingExtraError, match=rf"pip install 'gru4rec\[{name}\]'"):
        g4r.GRU4Rec(tiny, device="cpu").fit("no such log", track=name)


def test_a_tracker_by_name_takes_where_it_writes_and_the_name_of_the_checkpoint(
    tiny, log, tmp_path, monkeypatch
):
    made = []

    def make(*given, **named):
        made.append((given, named))
        return Recorder()

    monkeypatch.setitem(TRACKERS, "mine", make)
    g4r.GRU4Rec(tiny, device="cpu").fit(log, track=["mine=a=b", "mine"], keep=tmp_path / "shop")
    g4r.GRU4Rec(tiny, device="cpu").fit(log, track="mine")
    assert made == [
        (("a=b",), {"name": "shop"}),
        ((None,), {"name": "shop"}),
        ((None,), {"name": None}),
    ]


def test_no_tracker_writes_into_the_checkpoint(tiny, log, tmp_path):
    keep = tmp_path / "shop"
    for place in (keep, keep / "runs"):
        with pytest.raises(g4r.ConfigError, match="recorder would write into the checkpoint"):
            g4r.GRU4Rec(tiny, device="cpu").fit("no log", keep=keep, track=Recorder(place))
    g4r.GRU4Rec(tiny, device="cpu").fit(log, keep=keep, track=Recorder(tmp_path))


def test_without_trackers_nothing_of_theirs_is_imported():
    code = (
        "import sys, gru4rec as g4r\n"
        "log = g4r.generate_clicks(sessions=200, items=60, categories=3, seed=1)\n"
        "few = {'encoder.hidden_size': 8, 'training.epochs': 1, 'encoder.repeats': False}\n"
        "g4r.GRU4Rec(g4r.Config().replace(few), device='cpu').fit(log)\n"
        "print([name for name in ('tensorboard', 'mlflow', 'wandb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
