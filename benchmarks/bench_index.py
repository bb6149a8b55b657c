"""Indexes of a trained catalog, and of one made larger: overlap, latency, size.

    python benchmarks/bench_index.py model/ diginetica --items 50000 --items 1000000

Asks for the best 20 with the vectors of real test sessions, as `gru4rec index` does, and prints its
table for each size, with the cosine between items and their nearest one (see `extended.py`).
"""

import argparse
import logging

import torch
from extended import extended, nearest_cosine
from logs import LOGS
from machine import description

import gru4rec as g4r
from gru4rec.cli.output import FORMATS
from gru4rec.tuning.index_choice import KINDS, choose_index


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="a GRU4Rec with cosine scores")
    parser.add_argument("log", choices=LOGS, help="the log it was trained on")
    parser.add_argument("--items", type=int, action="append", help="sizes; else as trained")
    parser.add_argument("--kind", action="append", help=f"else {', '.join(KINDS)}")
    parser.add_argument("--min-overlap", type=float, default=0.99)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    trained = g4r.load(options.checkpoint, device="cpu")
    assert isinstance(trained, g4r.GRU4Rec)
    source = LOGS[options.log]
    test = g4r.read_clicks(source.path, where=source.test_where)
    for items in options.items or [len(trained.catalog)]:
        recommender = extended(trained, items)
        table = choose_index(
            recommender, test, kinds=options.kind or (), min_overlap=options.min_overlap
        )
        vectors = recommender.item_vectors()
        print(
            f"\n{len(vectors):,} items of {vectors.shape[1]} components, median cosine to the "
            f"nearest {nearest_cosine(vectors):.3f}; {description()}"
        )
        print(*FORMATS["table"]([table]), flush=True)


if __name__ == "__main__":
    main()
