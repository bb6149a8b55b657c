"""How well items that nobody clicked are recommended once they are placed by their attributes.

    python benchmarks/bench_cold_items.py [--seeds 2]

On a generated log, whose items stand on rings within categories, a tenth of the items is taken out
of training. Then they are added by a table of items: their category alone, or with a vector of 32
numbers that tells the place on the ring, with noise. Measured on the newest tenth of the sessions:
targets among the items that were clicked; targets among the added ones (Recall@20); and all,
where without attributes the added ones are missed.
"""

import logging

import click
import numpy as np
import polars as pl

import gru4rec as g4r

_COLD, _TEST, _WIDTH, _NOISE = 0.1, 0.9, 32, 0.5


def table_of(ids: list[str], seed: int = 0) -> pl.DataFrame:
    """Return the items with their category and a vector that tells their place, with noise."""
    random = np.random.default_rng(seed)
    items = pl.DataFrame({"item_id": ids}).with_columns(
        category=pl.col("item_id").str.slice(0, 3),
        place=pl.col("item_id").str.slice(4).cast(pl.Int64),
    )
    first = pl.col("place").min().over("category")
    turn = ((pl.col("place") - first) / pl.len().over("category")).alias("turn")
    angles = 2 * np.pi * items.select(turn)["turn"].to_numpy()[:, None] * np.array([1, 2, 4])
    ring = np.concatenate((np.cos(angles), np.sin(angles)), axis=1)
    kind = items["category"].rank("dense").cast(pl.Int64).to_numpy() - 1
    turned = random.normal(size=(kind.max() + 1, ring.shape[1], _WIDTH))
    middle = random.normal(size=(kind.max() + 1, _WIDTH))
    noise = _NOISE * random.normal(size=(len(ids), _WIDTH))
    vectors = np.einsum("ni,nij->nj", ring, turned[kind]) + middle[kind] + noise
    return items.select("item_id", "category", text=pl.Series(vectors.tolist()))


def measured(recommender: g4r.GRU4Rec, test: pl.DataFrame, cold: list[str]) -> dict[str, float]:
    """Return Recall@20 and MRR@20 of known targets, Recall@20 of cold ones, and of all."""
    is_cold = pl.col("item_id").is_in(cold)
    warm = g4r.evaluate({"m": recommender}, test.filter(~is_cold), ks=[20])
    both = g4r.evaluate({"m": recommender}, test, ks=[20])
    figures = {
        f"{name} {metric}": value
        for name, table in (("clicked", warm), ("all", both))
        for metric, value in table.filter(pl.col("metric").str.ends_with("_all"))
        .with_columns(pl.col("metric").str.strip_suffix("_all"))
        .select("metric", "value")
        .iter_rows()
    }
    added = [item for item in cold if recommender.catalog.find(item) is not None]
    sessions = test.group_by("session_id", maintain_order=True).agg("item_id")["item_id"]
    known = set(recommender.catalog.item_ids)
    asked = [
        (session[:place], session[place])
        for session in sessions.to_list()
        for place in range(1, len(session))
        if session[place] in cold and known & set(session[:place])
    ]
    found = 0
    if added:
        table = recommender.recommend([prefix for prefix, _ in asked], 20)
        lists = dict(table.group_by("session_id").agg("item_id").iter_rows())
        found = sum(target in lists[row] for row, (_, target) in enumerate(asked))
    return {**figures, "cold recall": found / len(asked)}


@click.command()
@click.option("--seeds", default=2, show_default=True)
@click.option("--sessions", default=30_000, show_default=True)
def main(seeds: int, sessions: int) -> None:
    """Print a row for each seed and each table of items."""
    logging.disable(logging.WARNING)
    log = g4r.generate_clicks(sessions=sessions, items=2000, categories=20)
    log = log.sort("session_id", "timestamp", maintain_order=True)
    start = pl.col("timestamp").min().over("session_id")
    is_test = start >= log["timestamp"].quantile(_TEST)
    ids = sorted(log["item_id"].unique())
    cold = np.random.default_rng(5).choice(ids, int(_COLD * len(ids)), replace=False).tolist()
    train = log.filter(~is_test, ~pl.col("item_id").is_in(cold))
    test, items = log.filter(is_test), table_of(ids)
    tables = {"none": None, "category": items.drop("text"), "category and text": items}
    for name, table in tables.items():
        for seed in range(seeds):
            config = g4r.Config().replace({"seed": seed})
            recommender = g4r.GRU4Rec(config).fit(train, item_features=table)
            seconds = recommender.meta.seconds
            before = measured(recommender, test, cold)
            figures = {f"before {name}": before[f"clicked {name}"] for name in ("recall", "mrr")}
            if table is not None:
                recommender.add_items(table)
            figures |= measured(recommender, test, cold)
            shown = "  ".join(f"{figure} {value:.4f}" for figure, value in figures.items())
            click.echo(f"{name:18s} seed {seed}  {shown}  {seconds:.1f} s")


if __name__ == "__main__":
    main()
