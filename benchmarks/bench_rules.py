"""Rules of lists: latency of a click and its top 20, beside the list without rules.

    python benchmarks/bench_rules.py model/ [--items 50000 --items 1000000]

For each size of the catalog (made larger where it must be, see `extended.py`), through the exact
index and through the IVF that `gru4rec index` takes: no rules, a mask that lets one item in a
hundred pass, at most 3 of one of 1,000 brands, diversity .3, all three together.
"""

import time

import click
import numpy as np
import polars as pl
from extended import extended
from machine import description

import gru4rec as g4r
from gru4rec.tuning.index_choice import choose_index

_BRANDS, _SESSIONS, _CLICKS = 1000, 400, 5


def latencies(recommender: g4r.GRU4Rec, rules: g4r.ListRules | None) -> tuple[float, float]:
    """Return the median and the 99th percentile of a click and its list, in ms."""
    if rules is not None:
        rules.on(recommender)  # once for a catalog
    random = np.random.default_rng(1)
    clicked = random.integers(len(recommender.catalog), size=(_SESSIONS, _CLICKS)).tolist()
    spent = []
    for items in clicked:
        live = recommender.start_session()
        for item in recommender.catalog.ids_of(items):
            began = time.perf_counter()
            live.click(item)
            live.recommend(20, rules=rules)
            spent.append(1e3 * (time.perf_counter() - began))
    return float(np.median(spent)), float(np.quantile(spent, 0.99))


@click.command()
@click.argument("checkpoint")
@click.option("--items", "sizes", multiple=True, type=int, default=(50_000, 1_000_000))
def main(checkpoint: str, sizes: tuple[int, ...]) -> None:
    """Print a Markdown table."""
    click.echo(f"{description()}\n")
    click.echo("| items | index | rules | p50 ms | p99 ms |\n|---|---|---|---|---|")
    for size in sizes:
        recommender = extended(g4r.GRU4Rec.load(checkpoint, device="cpu"), size)
        random = np.random.default_rng(0)
        table = pl.DataFrame(
            {
                "item_id": recommender.catalog.item_ids,
                "brand": random.integers(_BRANDS, size=size),
                "shown": random.random(size) < 0.01,
            }
        )
        shown, few = {"allow_where": "shown"}, {"at_most": 3, "per": "brand"}
        kinds = {
            "1 % pass": shown,
            "at most 3 of a brand": few,
            "diversity .3": {"diversity": 0.3},
            "all three": {**shown, **few, "diversity": 0.3},
        }
        made = {name: g4r.ListRules(**kind, items_table=table) for name, kind in kinds.items()}
        for index in ("exact", "IVF"):
            if index == "IVF":
                choose_index(recommender, kinds=["ivf", "ivf-sq8"])
            for name, rules in {"none": None, **made}.items():
                p50, p99 = latencies(recommender, rules)
                click.echo(f"| {size:,} | {index} | {name} | {p50:.2f} | {p99:.2f} |")


if __name__ == "__main__":
    main()
