"""`gru4rec fuse` mixes a checkpoint with baselines into one that is served as any other."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result

import gru4rec as g4r

Run = Callable[..., Result]
Refusal = Callable[..., str]


def test_a_fusion_is_recommended_from_and_evaluated_as_any_checkpoint(
    run: Run, model: Path, log: Path, tmp_path: Path
) -> None:
    fused = tmp_path / "fused"
    result = run("fuse", model, log, "-o", fused, "--with", "vstan", "--with", "markov")
    assert result.exit_code == 0, result.stderr
    assert "gru4rec 0.75, vstan 0.12, markov 0.12" in result.stderr
    assert [part.name for part in g4r.load(fused).parts] == ["gru4rec", "vstan", "markov"]
    served = run("recommend", fused, "--items", "c00-0001", "-k", 3)
    assert len(served.stdout.splitlines()) == 3
    table = run("evaluate", fused, log, "--with", model, "--against", "model", "--format", "json")
    rows = json.loads(table.stdout)
    assert [row["recommender"] for row in rows[::6]] == ["fusion", "fusion", "model", "model"]
    assert "difference" in rows[0]


def test_a_checkpoint_of_the_first_clicks_of_sessions_is_mixed_with_baselines_of_these(
    run: Run, train: Run, refusal: Refusal, log: Path, tmp_path: Path
) -> None:
    first = ("--max-session-clicks", 2)
    train(log, "-o", tmp_path / "model", *first)
    fuse = ("fuse", tmp_path / "model", log, "-o", tmp_path / "fused", "--with", "sknn")
    assert "the same log" in refusal(*fuse)
    result = run(*fuse, *first)
    assert result.exit_code == 0, result.stderr


def test_another_checkpoint_of_the_log_may_be_mixed_in(
    run: Run, model: Path, log: Path, tmp_path: Path
) -> None:
    knn = tmp_path / "knn"
    g4r.SKNN(k=3).fit(log).save(knn)
    result = run("fuse", model, log, "-o", tmp_path / "fused", "--with", knn, "--with", "markov")
    assert result.exit_code == 0, result.stderr
    parts = g4r.load(tmp_path / "fused").parts
    assert [part.name for part in parts] == ["gru4rec", "sknn", "markov"]
    assert parts[1].settings.k == 3


def test_weights_are_fitted_on_the_validation_log(
    run: Run, model: Path, log: Path, tmp_path: Path
) -> None:
    valid = tmp_path / "valid.parquet"
    g4r.generate_clicks(sessions=60, items=40, seed=5).write_parquet(valid)
    result = run("fuse", model, log, "-o", tmp_path / "fused", "--valid", valid)
    assert result.exit_code == 0, result.stderr
    assert "fusion: weights gru4rec" in result.stderr
    assert run("fuse", model, log, "-o", tmp_path / "fused").exit_code == 2
    assert run("fuse", model, log, "-o", tmp_path / "fused", "--force").exit_code == 0


def test_side_inputs_of_what_is_mixed_in_are_read_of_the_validation_log(
    run: Run, train: Run, model: Path, log: Path, tmp_path: Path
) -> None:
    with_events = tmp_path / "events.parquet"
    pl.read_parquet(log).with_columns(event=pl.lit("view")).write_parquet(with_events)
    train(with_events, "-o", tmp_path / "side", "--input", "event")
    valid = tmp_path / "valid.parquet"
    clicks = g4r.generate_clicks(sessions=60, items=40, seed=5)
    clicks.with_columns(event=pl.lit("view")).write_parquet(valid)
    result = run(
        "fuse", model, log, "-o", tmp_path / "fused", "--with", tmp_path / "side", "--valid", valid
    )
    assert result.exit_code == 0, result.stderr
    assert "clicks lack" not in result.stderr


def test_where_without_a_validation_log_is_refused(
    usage_error: Callable[..., str], model: Path, log: Path, tmp_path: Path
) -> None:
    asked = ("-o", tmp_path / "fused", "--valid-where", "session_id > 1")
    assert "--valid-where goes with --valid" in usage_error("fuse", model, log, *asked)


def test_another_log_and_an_unknown_baseline_are_refused(
    refusal: Refusal, model: Path, log: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("session,item\n1,a\n1,b\n")
    assert "fitted on the same log" in refusal("fuse", model, other, "-o", tmp_path / "fused")
    unknown = refusal("fuse", model, log, "-o", tmp_path / "fused", "--with", "magic")
    assert "choose from popularity" in unknown
    assert not (tmp_path / "fused").exists()


@pytest.mark.parametrize("options", [("--metric", "ndcg", "--by", "length"), ("--through-index",)])
def test_evaluate_passes_its_options_on(
    run: Run, model: Path, log: Path, options: tuple[str, ...]
) -> None:
    result = run("evaluate", model, log, "-k", 5, *options, "--no-intervals", "--format", "json")
    asked = {"metrics": ["ndcg"], "by": ["length"]} if "--by" in options else {}
    through = {"through_index": True} if "--through-index" in options else {}
    expected = g4r.evaluate(
        {"gru4rec": g4r.load(model)}, log, ks=[5], intervals=False, **asked, **through
    )
    assert json.loads(result.stdout) == expected.to_dicts()


@pytest.fixture
def short_log(clicks: pl.DataFrame, tmp_path: Path) -> Path:
    """The clicks of a tenth of the sessions."""
    clicks.filter(pl.col("session_id") % 10 == 0).write_parquet(tmp_path / "short.parquet")
    return tmp_path / "short.parquet"


def test_the_best_mixture_is_made_of_a_log_alone(run: Run, short_log: Path, tmp_path: Path) -> None:
    valid = tmp_path / "valid.parquet"
    g4r.generate_clicks(sessions=60, items=40, seed=5).write_parquet(valid)
    result = run(
        "fuse", short_log, "-o", tmp_path / "best", "--best", "--seeds", 2, "--valid", valid
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    for name in ("mixture", "2 seeds", "gru4rec", "vstan"):
        assert f"\n{name} " in result.stderr
    mixture = g4r.load(tmp_path / "best", device="cpu")
    models, vstan = mixture.parts
    assert [part.name for part in models.parts] == ["gru4rec", "gru4rec"]
    assert [part.meta.seed for part in models.parts] == [0, 1]
    assert isinstance(models, g4r.Ensemble)
    assert vstan.name == "vstan"
    assert len(mixture.recommend([["c00-0001"]], 3)) == 3


def test_without_validation_the_parts_of_the_best_mixture_learn_from_everything(
    run: Run, short_log: Path, tmp_path: Path
) -> None:
    result = run("fuse", short_log, "-o", tmp_path / "best", "--best", "--seeds", 1)
    assert result.exit_code == 0, result.stderr
    best = g4r.load(tmp_path / "best", device="cpu")
    assert [part.name for part in best.parts] == ["gru4rec", "vstan"]
    assert best.parts[0].meta.counts["clicks"] == g4r.read_clicks(short_log).collect().height


def test_the_best_mixture_takes_no_checkpoint(
    run: Run, model: Path, log: Path, tmp_path: Path
) -> None:
    result = run("fuse", model, log, "-o", tmp_path / "best", "--best")
    assert result.exit_code == 2
    assert "--best trains its parts itself" in result.stderr
    assert "Missing argument" in run("fuse", model, "-o", tmp_path / "best").stderr
    alone = run("fuse", "-o", tmp_path / "best", "--best").stderr
    assert "Missing argument '[DIR] CLICKS...'" in alone


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--best", "--with", "stan"), "--with goes without --best"),
     (("--seeds", 2), "--seeds goes with --best")],
)  # fmt: skip
def test_an_option_that_would_do_nothing_is_refused(
    run: Run, model: Path, log: Path, tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    given = (log,) if "--best" in options else (model, log)
    result = run("fuse", *given, "-o", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_models_become_one_with_one_index(
    run: Run, refusal: Refusal, usage_error: Refusal, train: Run, log: Path, model: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    other, one = tmp_path / "other", tmp_path / "one"
    train(log, "-o", other, "--seed", 9)
    result = run("fuse", model, "-o", one, "--with", other, "--as-one")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == f"saved {one}: ensemble of 2 gru4rec"
    assert isinstance(g4r.load(one, device="cpu"), g4r.Ensemble)
    assert run("index", one, log, "--kind", "hnsw", "--min-overlap", 0.5).exit_code == 0
    assert not g4r.load(one, device="cpu").index.is_exact
    assert len(run("recommend", one, "--items", "c00-0001", "-k", 3).stdout.splitlines()) == 3
    asked = ("fuse", model, "-o", tmp_path / "x", "--as-one")
    assert "give them by --with" in usage_error(*asked)
    assert "reads no log: leave CLICKS out" in usage_error(*asked, log, "--with", other)
    for idle in (("--valid", log), ("--where", "true"), ("--max-session-clicks", 9)):
        said = usage_error(*asked, "--with", other, *idle)
        assert f"reads no log: leave {idle[0]} out" in said
    assert "vstan; give the folder" in refusal(*asked, "--with", "vstan")
    assert "goes without --best" in usage_error("fuse", log, "-o", other, "--best", "--as-one")
