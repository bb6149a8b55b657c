"""Every recommender on the real logs: settings by `auto`, the test part measured once.

    python benchmarks/bench_accuracy.py --seeds 3
    python benchmarks/bench_accuracy.py yoochoose_100k --preset rsc15
    python benchmarks/bench_accuracy.py diginetica --checkpoints models/0 models/1
    python benchmarks/bench_accuracy.py jdata_demo --peers vstan --teachers 3
    python benchmarks/bench_accuracy.py jdata_demo --ablation

Prints a Markdown table for each log: Recall@20 / MRR@20 (of GRU4Rec and the fusions the mean over
the seeds, and largest less smallest), the 95 % interval, and the difference to GRU4Rec of the first
seed with its interval. The fusion of GRU4Rec and VSTAN has its weights from the newest tenth of the
training sessions, by models that learned from the rest; that of all seeds, as one model, has the
same. VSTAN's settings are searched for it there. With `--checkpoints` GRU4Rec is not trained but
loaded, a folder for each seed; `--keep` writes such folders. `--teachers` is that of `train`.

With `--ablation` it is the parts of GRU4Rec that are compared, on the newest tenth of the training
sessions: with the repeat head, smoothing and what neighbours teach, with each alone, with none; the
differences are to none. Where neighbours are not asked, two parts are left.
"""

import argparse
from collections.abc import Iterator

import polars as pl
import torch
from logs import LOGS
from machine import description

import gru4rec as g4r
from gru4rec.clicks import split_last
from gru4rec.recommenders.baselines import BASELINES
from gru4rec.training.presets import PRESETS, preset

Row = dict[str, float]

HEADER = """\
| recommender | Recall@20 / MRR@20 | spread | 95 % | to GRU4Rec |
|---|---|---|---|---|"""


def measured(recommender: g4r.Recommender, test: pl.DataFrame, first: g4r.Recommender) -> list[Row]:
    """The rows of Recall@20 and of MRR@20, against the first GRU4Rec."""
    peers = {"this": recommender, "first": first}
    table = g4r.evaluate(peers, test, ks=[20], against="first")
    rows = table.filter(pl.col("recommender") == "this", pl.col("metric").is_in(["recall", "mrr"]))
    return rows.to_dicts()


def line(name: str, seeds: list[list[Row]]) -> str:
    """A row of the table from the rows of each seed."""
    values = torch.tensor([[row["value"] for row in rows] for rows in seeds])
    spread = (values.amax(0) - values.amin(0)).tolist()
    recall, mrr = seeds[0]
    cells = [
        name,
        " / ".join(f"{value:.4f}" for value in values.mean(0).tolist()),
        " / ".join(f"{value:.4f}" for value in spread) if len(seeds) > 1 else "",
        " / ".join(f"{row['low']:.4f} to {row['high']:.4f}" for row in (recall, mrr)),
        " / ".join(
            f"{row['difference']:+.4f} ({row['difference_low']:+.4f} to "
            f"{row['difference_high']:+.4f})"
            for row in (recall, mrr)
        ),
    ]
    return f"| {' | '.join(cells)} |"


def fitted_weights(base: g4r.Config, train: pl.DataFrame) -> list[float]:
    """The weights of GRU4Rec and VSTAN by the newest tenth of the training sessions."""
    alone = base.replace({"training.teachers": 0})
    return g4r.Fusion([g4r.GRU4Rec(alone), g4r.VSTAN()]).fit(train, valid="10%").weights


def ablation(base: g4r.Config, log: pl.DataFrame) -> Iterator[str]:
    """The rows of GRU4Rec with and without its parts, on the newest tenth of a log."""
    older, newest = (part.collect() for part in split_last(log.lazy(), "10%"))

    def fitted(**settings: object) -> g4r.GRU4Rec:
        return g4r.GRU4Rec(base.replace(settings)).fit(older)

    neither = fitted(**{"encoder.repeats": False})
    untaught = {"training.neighbours": 0}
    both = fitted(**untaught)
    strength = both.config.training.smoothing
    parts = {
        "neither": neither,
        "smoothing alone": fitted(**{"encoder.repeats": False, "training.smoothing": strength}),
        "repeat head alone": fitted(**untaught, **{"training.smoothing": 0.0}),
        f"both, smoothing {strength:g}": both,
    }
    taught = fitted()
    if asked := taught.config.training.neighbours:
        alone = {"encoder.repeats": False, "training.neighbours": asked}
        parts |= {"neighbours alone": fitted(**alone), "all three": taught}
    for name, recommender in parts.items():
        yield line(name, [measured(recommender, newest, neither)])


def lines(
    train: pl.DataFrame,
    test: pl.DataFrame,
    gru4recs: list[g4r.GRU4Rec],
    weights: list[float],
    peers: list[str],
) -> Iterator[str]:
    """The rows of one log."""
    first = gru4recs[0]
    for name in peers:
        yield line(name, [measured(BASELINES[name]().fit(train), test, first)])
    yield line("GRU4Rec", [measured(each, test, first) for each in gru4recs])
    vstan = g4r.VSTAN().fit(train, search=True)
    yield line("VSTAN, searched", [measured(vstan, test, first)])
    fusions = [g4r.Fusion([each, vstan], weights=weights) for each in gru4recs]
    named = f"GRU4Rec {weights[0]:.2f} + VSTAN {weights[1]:.2f}"
    yield line(named, [measured(each, test, first) for each in fusions])
    if len(gru4recs) > 1:
        ensemble = g4r.Ensemble(gru4recs)
        yield line(f"{len(gru4recs)} seeds as one", [measured(ensemble, test, first)])
        mixture = g4r.Fusion([ensemble, vstan], weights=weights)
        yield line(f"{len(gru4recs)} seeds + VSTAN", [measured(mixture, test, first)])


def main() -> None:
    """Train and measure on each log, and print its table row by row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("logs", nargs="*", default=[name for name in LOGS if name != "globo"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--preset", choices=PRESETS)
    parser.add_argument("--teachers", type=int, default=0)
    parser.add_argument("--checkpoints", nargs="+", default=[])
    parser.add_argument("--keep", metavar="FOLDER", help="write each model to FOLDER/LOG-SEED")
    parser.add_argument("--weights", nargs=2, type=float, help="of the fusion, if fitted before")
    parser.add_argument("--peers", nargs="*", choices=BASELINES, default=[*BASELINES])
    parser.add_argument("--ablation", action="store_true")
    options = parser.parse_args()
    base = g4r.Config() if options.preset is None else preset(options.preset)
    base = base.replace({"training.teachers": options.teachers})
    for name in options.logs:
        log = LOGS[name]
        train = g4r.read_clicks(log.path, where=log.train_where).collect()
        test = g4r.read_clicks(log.path, where=log.test_where).collect()
        print(f"{name}, {description()}, {options.preset or 'auto'}")
        if options.ablation:
            print(HEADER, flush=True)
            for row in ablation(base, train):
                print(row, flush=True)
            continue
        gru4recs = [g4r.load(path) for path in options.checkpoints] or [
            g4r.GRU4Rec(base.replace({"seed": seed})).fit(train) for seed in range(options.seeds)
        ]
        if options.keep:
            for each in gru4recs:
                each.save(f"{options.keep}/{name}-{each.config.seed}", force=True)
        seconds = [each.meta.seconds for each in gru4recs]
        print(f"GRU4Rec trained in {sum(seconds) / len(seconds):.0f} s")
        print(HEADER, flush=True)
        weights = options.weights or fitted_weights(base, train)
        for row in lines(train, test, gru4recs, weights, options.peers):
            print(row, flush=True)


if __name__ == "__main__":
    main()
