"""The size of a GRU4Rec against what it finds, by the share of its encoder that is pruned.

    python benchmarks/bench_sparsity.py yoochoose_100k --seeds 2
    python benchmarks/bench_sparsity.py diginetica --checkpoints models/0 models/1 --encoder int8

Trains on the training part with `auto`'s settings, prunes at once and little by little while it
learns that part again, and measures on the test part, as `gru4rec shrink` does: through the index.
At a share of 0 the second only learns on. Then item vectors in fewer bits, nothing pruned. Figures
are means over the seeds, and of the smallest and the largest how far apart they are. With
`--checkpoints` nothing is trained but loaded, a folder for each seed.
"""

import argparse

import polars as pl
import torch
from logs import LOGS
from machine import description

import gru4rec as g4r
from gru4rec.model import packed
from gru4rec.tuning import compare

SHARES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)
ITEMS = ("float32", "float16", "sq8", "pq")
NEXT_TO_NOTHING = 1e-9  # of which no weight goes: what learning on does alone
FIGURES = ("encoder_kib", "mib", "p50_ms", "recall@20", "mrr@20")


def encoder_kib(recommender: g4r.GRU4Rec) -> float:
    """KiB of a file that the encoder takes."""
    stored = packed(recommender.model.state_dict(), **(recommender.meta.stored_as or {}))
    sizes = [part.nbytes for name, part in stored.items() if name.startswith("encoder.")]
    return sum(sizes) / 2**10


def measured(recommenders: dict[str, g4r.GRU4Rec], test: pl.DataFrame) -> pl.DataFrame:
    """A row of figures for each, by its name."""
    table = compare(recommenders.values(), test)
    sizes = [encoder_kib(recommender) for recommender in recommenders.values()]
    return table.with_columns(
        pl.Series("name", list(recommenders)), pl.Series("encoder_kib", sizes)
    ).select("name", *FIGURES)


def show(title: str, tables: list[pl.DataFrame]) -> None:
    """Print the means over seeds, and the spread of Recall@20 and MRR@20."""
    means = pl.concat(tables).group_by("name", maintain_order=True)
    spread = [(pl.col(name).max() - pl.col(name).min()).alias(f"±{name}") for name in FIGURES]
    print(f"\n| {title} | encoder KiB | MiB | p50 ms | Recall@20 | MRR@20 | spread |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for row in means.agg(*(pl.col(name).mean() for name in FIGURES), *spread).to_dicts():
        print(
            f"| {row['name']} | {row['encoder_kib']:.0f} | {row['mib']:.2f} | {row['p50_ms']:.2f} "
            f"| {row['recall@20']:.4f} | {row['mrr@20']:.4f} "
            f"| {row['±recall@20']:.4f} / {row['±mrr@20']:.4f} |",
            flush=True,
        )


def main() -> None:
    """Print a table of shares, and one of item vectors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("log", choices=LOGS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--encoder", default="float32", help="float32, bf16 or int8")
    parser.add_argument("--checkpoints", nargs="+", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    source = LOGS[options.log]
    train, test = (
        g4r.read_clicks(source.path, where=where).collect()
        for where in (source.train_where, source.test_where)
    )
    trained = [g4r.load(folder, device="cpu") for folder in options.checkpoints] or [
        g4r.GRU4Rec(g4r.Config().replace({"seed": seed}), device="cpu").fit(train, updatable=True)
        for seed in range(options.seeds)
    ]
    shares, items = [], []
    for recommender in trained:
        assert isinstance(recommender, g4r.GRU4Rec)
        kinds = {}
        for share in SHARES:
            how = {"encoder": options.encoder, "sparsity": share}
            kinds[f"{share:.0%}, at once"] = g4r.shrink(recommender, **how)
            how["sparsity"] = share or NEXT_TO_NOTHING
            kinds[f"{share:.0%}, learned on"] = g4r.shrink(recommender, **how, train=train)
        shares.append(measured(kinds, test))
        kinds = {kept: g4r.shrink(recommender, items=kept) for kept in ITEMS}
        items.append(measured(kinds, test))
    print(f"{options.log}, {len(trained)} seeds, {description()}")
    show("pruned", shares)
    show("items", items)


if __name__ == "__main__":
    main()
