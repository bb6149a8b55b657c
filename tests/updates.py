"""Models that tests update, and whether two of them are one."""

import polars as pl
import torch
from toys import TINY

import gru4rec as g4r

SETTINGS = {**TINY, "training.epochs": 1}


def fitted(clicks: pl.DataFrame, **settings: object) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**SETTINGS, **settings})
    return g4r.GRU4Rec(config, device="cpu").fit(clicks, updatable=True)


def weights_of(recommender: g4r.GRU4Rec) -> dict[str, torch.Tensor]:
    return {name: each.clone() for name, each in recommender.model.state_dict().items()}


def same_weights(one: g4r.GRU4Rec, other: g4r.GRU4Rec) -> bool:
    mine, theirs = one.model.state_dict(), other.model.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[n], theirs[n]) for n in mine)
