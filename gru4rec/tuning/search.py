"""Search for the settings that suit a log best, on validation sessions alone."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from gru4rec.addresses import refuse_address
from gru4rec.clicks import ClickSource, is_part, read_clicks, split_last
from gru4rec.config import AUTO, Config
from gru4rec.errors import ConfigError, DataError, DivergenceError, import_extra
from gru4rec.recommenders import GRU4Rec
from gru4rec.training import Progress, TrainingLog
from gru4rec.tuning.search_space import SPACE, suggest

if TYPE_CHECKING:
    import optuna

_TRIALS_BEFORE_PRUNING = 5
_CONFIG = "config"


@dataclass(frozen=True)
class Tuning:
    """What a search found."""

    config: Config
    """The settings of the best trial, all decided."""
    trials: pl.DataFrame
    """A row per trial, best first: trial, state (complete or pruned), epochs, the measure after the
    last of them, and every setting that was searched, null where it did not matter."""


def tune(
    clicks: ClickSource,
    *,
    valid: ClickSource = "10%",
    config: Config | None = None,
    trials: int = 50,
    study: str | Path | None = None,
    device: str = "auto",
    on_trial: Callable[["Trial"], None] = lambda trial: None,
) -> Tuning:
    """Train with many settings and find those that are best on `valid` by `training.stop_on`.

    Settings to which `config` gives another value than the default are held; the others of
    `search_space.SPACE` are searched by Optuna's tree-structured Parzen estimator, and the first
    trial has those of `auto`. A trial that after an epoch lies below the median of earlier trials
    after theirs is pruned, and so is one that diverges. With `study`, a file, the search can be
    stopped at any time and gone on with, one process at a time; `trials` counts those of all times.

    Raise MissingExtraError without Optuna, ConfigError if `study` is of another log or nothing is
    left to search, DataError for fewer than one trial or if none came to its end.
    """
    import_extra("optuna", extra="tune")
    from optuna import TrialPruned

    if trials < 1:
        raise DataError(f"at least one trial is needed, got {trials}")
    base, plain = config if config is not None else Config(), Config().flat()
    if base.training.teachers:  # what no other loss can learn from
        base = base.replace({"training.loss": "cross_entropy"})
    held = {name: value for name, value in base.flat().items() if value != plain.get(name)}
    space = {name: dimension for name, dimension in SPACE.items() if name not in held}
    if not space:
        raise ConfigError("every setting that could be searched is given; leave some out")
    train, held_out = _parts(clicks, valid, base.columns)
    by_auto = GRU4Rec(base, device=device).decide(train, valid=held_out)
    log = TrainingLog.read(train, held_out, base)
    told = {"log": log.fingerprint(), "held": json.dumps(held)}
    search = _open_study(study, told, seed=base.seed)
    first = {name: space[name].nearest(by_auto.flat()[name]) for name in space}
    _requeue(search, first)
    measure = f"{by_auto.training.stop_on}@20"
    # What settings are worth shows without the first run of a training that a repeat head needs.
    fitted_first = by_auto.encoder.repeats and "encoder.repeats" not in held
    quick = {"encoder.repeats": False} if fitted_first else {}
    whole: dict[str, Any] = dict.fromkeys(quick, True)
    for name in ("smoothing", "neighbours"):  # open, where they can be fitted
        if quick and getattr(base.training, name) is AUTO:
            whole[f"training.{name}"] = getattr(by_auto.training, name)

    def run(trial: "optuna.Trial") -> float:
        def report(progress: Progress) -> None:
            if progress.metrics:
                trial.report(progress.metrics[measure], progress.epoch)
                if trial.should_prune():
                    raise TrialPruned

        asked = base.replace({**quick, **suggest(trial, space, by_auto.flat())})
        try:
            fitted = GRU4Rec(asked, device=device).fit(train, valid=held_out, on_progress=report)
        except DivergenceError as error:
            raise TrialPruned from error
        trial.set_user_attr(_CONFIG, fitted.config.replace(whole).to_dict())
        return float((fitted.meta.metrics or {})[measure])

    left = trials - sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in search.trials)
    if left > 0:
        search.optimize(
            run, n_trials=left, callbacks=[lambda _, frozen: on_trial(Trial.of(frozen))]
        )
    return _tuning_of(search, measure, list(space))


@dataclass(frozen=True)
class Trial:
    """One training of a search."""

    number: int
    """From 0."""
    state: str
    """`complete` or `pruned`."""
    epochs: int
    """Epochs it ran."""
    measure: float | None
    """The measure after the last of them; of a complete trial, that of its best."""
    settings: Mapping[str, Any]
    """The settings that it tried."""

    @classmethod
    def of(cls, trial: "optuna.trial.FrozenTrial") -> "Trial":
        """Return what Optuna says of it."""
        state = trial.state.name.lower()
        values = trial.intermediate_values
        value = trial.value if trial.value is not None else values.get(max(values, default=0))
        return cls(trial.number, state, len(values), value, trial.params)


def _parts(
    clicks: ClickSource, valid: ClickSource, inputs: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the log to train on and the log to measure on, read once for all trials."""
    log = read_clicks(clicks, also=inputs)
    if isinstance(valid, str) and is_part(valid):
        log, held_out = split_last(log, valid)
    else:
        held_out = read_clicks(valid, also=inputs)
    return log.collect(), held_out.collect()


def _open_study(path: str | Path | None, told: Mapping[str, Any], *, seed: int) -> "optuna.Study":
    """Open a study in the file `path`, begun or gone on with; in memory without a path.

    Raise ConfigError if the file's study was `told` something else, or is none.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    refuse_address(path, ConfigError, writes=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = None if path is None else JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(
            study_name="gru4rec",
            storage=storage,
            load_if_exists=True,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_TRIALS_BEFORE_PRUNING),
        )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"cannot use {path} as the file of a search: {error}") from error
    # Another seed for each stretch of a search, or it would draw again what it drew before.
    study.sampler = optuna.samplers.TPESampler(seed=(seed + len(study.trials)) % 2**32)
    if any(study.user_attrs.get(name, value) != value for name, value in told.items()):
        raise ConfigError(
            f"{path} is a search on another log, or with other settings given; "
            "give the same, or name another file with study",
            mend_with=["study"],
        )
    for name, value in told.items():
        study.set_user_attr(name, value)
    return study


def _requeue(study: "optuna.Study", first: Mapping[str, Any]) -> None:
    """Line up what an interrupted process was at, or for a new study its first trial."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    tried = [
        trial.system_attrs.get("fixed_params", trial.params)
        for trial in study.trials
        if trial.state != TrialState.FAIL
    ]
    for trial in study.get_trials(states=(TrialState.FAIL,)):
        if trial.params and trial.params not in tried:
            study.enqueue_trial(trial.params)
            tried.append(trial.params)
    if not study.trials:
        study.enqueue_trial(dict(first))


def _tuning_of(study: "optuna.Study", measure: str, names: list[str]) -> Tuning:
    """Return the best trial's config, and the table of all."""
    frozen = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    if not any(trial.state.name == "COMPLETE" for trial in frozen):
        raise DataError("no trial came to its end; allow more trials")
    trials = [Trial.of(trial) for trial in frozen]
    trials.sort(key=lambda t: (t.state != "complete", -(t.measure or 0.0)))
    rows = [
        {"trial": t.number, "state": t.state, "epochs": t.epochs, measure: t.measure}
        | {name: t.settings.get(name) for name in names}
        for t in trials
    ]
    table = pl.DataFrame(rows, infer_schema_length=None)
    return Tuning(Config.from_dict(study.best_trial.user_attrs[_CONFIG]), table)
