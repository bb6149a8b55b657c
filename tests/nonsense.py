"""Checkpoints of every storage, and a table of what is wrong with one: each entry must be refused.

`benchmarks/attack_checkpoint.py` runs the same table, so nothing here needs pytest.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file

import gru4rec as g4r

Edit = Callable[[Path], object]

META, CONFIG, CATALOG, LEARNED = "meta.json", "config.json", "catalog.parquet", "learned.parquet"
WEIGHTS, INDEX = "weights.safetensors", "index.faiss"

LOG = g4r.generate_clicks(sessions=200, items=40, categories=3, seed=3).with_columns(
    kind=pl.col("item_id").str.slice(0, 3)
)
PREFIXES = LOG.head(60)


def save_checkpoints(folder: Path) -> dict[str, Path]:
    """Save GRU4Rec with side inputs, a baseline of each storage and a fusion, by their names."""
    config = g4r.Config().replace(
        {
            "encoder.hidden_size": 8,
            "encoder.inputs": ["kind", "hour"],
            "training.epochs": 1,
            "training.negatives": 16,
            "training.scoring": "dot",
        }
    )
    model = g4r.GRU4Rec(config, device="cpu").fit(LOG)
    made = {
        "model": model,
        "popularity": g4r.Popularity().fit(LOG),
        "item_knn": g4r.ItemKNN().fit(LOG),
        "vs_knn": g4r.VSKNN().fit(LOG),
    }
    made["fusion"] = g4r.Fusion([model, made["vs_knn"]])
    for name, recommender in made.items():
        recommender.save(folder / name)
    return {name: folder / name for name in made}


def signed(folder: Path) -> None:
    """Sign a checkpoint again, as if it had been saved like this, its parts first."""
    path = folder / META
    try:
        meta = json.loads(path.read_text()) if path.is_file() else None
    except (ValueError, RecursionError):
        return
    if not isinstance(meta, dict):
        return
    for part in sorted((folder / "parts").glob("*")):
        signed(part)
    files = meta.get("files")
    for name in files if isinstance(files, dict) else ():
        if len(name) < 100 and (folder / name).is_file():
            files[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    meta.pop("fingerprint", None)
    canonical = json.dumps(meta, sort_keys=True, separators=(",", ":"))
    meta["fingerprint"] = hashlib.sha256(canonical.encode()).hexdigest()
    path.write_text(json.dumps(meta, indent=2))


def text(name: str, content: str | bytes) -> Edit:
    """Fill a file."""
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / name).write_bytes(data)


def key(name: str, dotted: str, value: Any) -> Edit:
    """Set a key of a JSON file; `...` removes it."""

    def edit(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        *path, last = dotted.split("/")
        table = content
        for section in path:
            table = table[section]
        table[last] = value
        if value is ...:
            del table[last]
        (folder / name).write_text(json.dumps(content))

    return edit


def instead(name: str, make: Callable[[Path], object]) -> Edit:
    """Put something else in the place of a file."""

    def edit(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return edit


def table(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Edit:
    """Change a Parquet table."""
    return lambda folder: change(pl.read_parquet(folder / name)).write_parquet(folder / name)


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Edit:
    """Change the tensors of the weights, in place."""

    def edit(folder: Path) -> None:
        weights = {name: part.clone() for name, part in load_file(folder / WEIGHTS).items()}
        change(weights)
        save_file({name: part.contiguous() for name, part in weights.items()}, folder / WEIGHTS)

    return edit


def index(factory: str, metric: int = faiss.METRIC_INNER_PRODUCT, **wrong: Any) -> Edit:
    """Write an index of `factory` with something wrong: rows, width, ids, train, change."""

    def edit(folder: Path) -> None:
        old = faiss.read_index(str(folder / INDEX))
        rows, width = wrong.get("rows", old.ntotal), wrong.get("width", old.d)
        vectors = np.random.default_rng(0).standard_normal((rows, width), dtype=np.float32)
        made = faiss.index_factory(width, factory, metric)
        if wrong.get("train", True):
            made.train(vectors)
            if "ids" in wrong:
                made.add_with_ids(vectors, np.arange(rows) + wrong["ids"])
            else:
                made.add(vectors)
        wrong.get("change", lambda made: None)(made)
        faiss.write_index(made, str(folder / INDEX))

    return edit


def header(at: int, value: int, size: int) -> Edit:
    """Overwrite a number in the file of the index."""

    def edit(folder: Path) -> None:
        data = bytearray((folder / INDEX).read_bytes())
        data[at : at + size] = value.to_bytes(size, "little")
        (folder / INDEX).write_bytes(data)

    return edit


def binary_index(folder: Path) -> None:
    made = faiss.IndexBinaryFlat(64)
    made.add(np.zeros((40, 8), dtype=np.uint8))
    faiss.write_index_binary(made, str(folder / INDEX))


def nan_vector(made: Any) -> None:
    faiss.rev_swig_ptr(made.get_xb(), made.ntotal * made.d)[5] = np.nan


def endless_queue(made: Any) -> None:
    made.hnsw.efSearch = 2**31 - 1


def first(column: str, value: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Put a value in the first row of a column, in the column's type or that of the value."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        values = frame[column].to_list()
        dtype = pl.Float64 if isinstance(value, float) else frame.schema[column]
        return frame.with_columns(pl.Series(column, [value, *values[1:]], dtype=dtype))

    return change


def cast(column: str, dtype: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(pl.col(column).cast(dtype, strict=False))


def fill(name: str, value: float) -> Edit:
    return tensors(lambda weights: weights[name].flatten()[:1].fill_(value))


def parts_inside_themselves(folder: Path) -> None:
    """Nest a fusion ten deep."""
    for _ in range(10):
        inner = folder.with_name("inner")
        shutil.move(folder, inner)
        shutil.copytree(inner, folder)
        shutil.rmtree(folder / "parts" / "1")
        shutil.move(inner, folder / "parts" / "1")
        key(META, "parts", ["gru4rec", "fusion"])(folder)
        signed(folder)


def rename_part(folder: Path) -> None:
    (folder / "parts" / "1").rename(folder / "parts" / "2")


def swap_parts(folder: Path) -> None:
    parts = folder / "parts"
    (parts / "0").rename(parts / "x")
    (parts / "1").rename(parts / "0")
    (parts / "x").rename(parts / "1")


DEEP, DIGITS, LONG = 100_000 * "[", 10_000 * "9", 100_000 * "x"

_ANY_JSON: Mapping[str, str | bytes] = {
    "is empty": "",
    "is cut off": '{"a": ',
    "is deeply nested": DEEP,
    "is deeply nested in tables": 50_000 * '{"a":' + "1" + 50_000 * "}",
    "is nested 900 deep": '{"files": ' + 900 * "[" + 900 * "]" + "}",
    "is no UTF-8": 24_000 * b"\xff",
    "is a list": "[]",
    "is null": "null",
    "has a number of 10,000 digits": f'{{"seed": {DIGITS}}}',
    "has a long key": json.dumps({LONG: 1}),
    "has a key of two lines": json.dumps({"a\nb": 1}),
}

_ANY_FILE: Mapping[str, Callable[[Path], object]] = {
    "is not there": lambda path: None,
    "is a folder": Path.mkdir,
    "is a pipe": os.mkfifo,
    "is a broken link": lambda path: path.symlink_to("nothing"),
    "is a link to itself": lambda path: path.symlink_to(path),
    "is a device": lambda path: path.symlink_to("/dev/zero"),
    "is nothing": lambda path: path.write_bytes(b""),
    "is zeros": lambda path: path.write_bytes(bytes(5000)),
}

_META: Mapping[str, Mapping[str, Any]] = {
    "recommender": {
        "null": None, "a list": [], "long": LONG, "unknown": "a\nb", "half a sign": "\ud800",
    },
    "versions": {"a list": [], "of numbers": {"gru4rec": 1}},
    "counts": {
        "a text": "many", "of texts": {"clicks": "3"}, "negative": {"clicks": -1},
        "of nothing": {"clicks": None}, "huge": {"clicks": 10**4000}, "a truth": {"clicks": True},
    },
    "times": {
        "a list": ["2026-03-02"], "of words": {"first": "a", "last": "b"}, "half": {"first": "a"},
        "of a zone": {"first": "2026-03-02T12:00:00+01:00", "last": "2026-03-02T12:00:00+01:00"},
    },
    "sessions": {"a number": 3, "no base 64": "?", "no hashes": "AAAA", "half a sign": "\udfff"},
    "files": {
        "null": None, "a list": [CONFIG], "of numbers": {CONFIG: 3}, "elsewhere": {"../x": ""},
        "a device": {"/dev/zero": ""}, "many": {f"f{n}": "" for n in range(10_000)},
        "of no part": {"parts/7/meta.json": ""}, "a long name": {LONG: ""}, "nameless": {"": ""},
        "the folder above": {"..": ""},
    },
}  # fmt: skip

_META_OF_MODEL: Mapping[str, Mapping[str, Any]] = {
    "inputs": {
        "null": None, "a list": ["kind", "hour"], "of texts": {"kind": "abc", "hour": ""},
        "of numbers": {"kind": [1, 2, 3], "hour": []}, "fewer": {"kind": ["c00"], "hour": []},
        "none": {}, "others": {"type": ["c00", "c01", "c02"], "hour": []},
        "of nulls": {"kind": ["c00", None, "c02"], "hour": []},
        "twice": {"kind": ["c00", "c00", "c01"], "hour": []},
        "in another order": {"hour": [], "kind": ["c00", "c01", "c02"]},
        "half a sign": {"kind": ["c00", "c01", "\ud800"], "hour": []},
        "of values of a time": {"kind": ["c00", "c01", "c02"], "hour": ["1"]},
    },
    "seed": {"a text": "one", "a fraction": 0.5},
    "precision": {
        "a text": "int8", "unknown": {"encoder": "int3", "items": "float32"}, "half": {"items": ""},
        "another": {"encoder": "int8", "items": "float16"}, "long": {"encoder": LONG, "items": ""},
        "more": {"encoder": "float32", "items": "float32", "bias": "float32"},
        "no share": {"encoder": "float32", "items": "float32", "sparsity": "nan"},
        "no number": {"encoder": "float32", "items": "float32", "sparsity": "half"},
        "pruned": {"encoder": "float32", "items": "float32", "sparsity": "0.5"},
        "a number": {"encoder": "float32", "items": "float32", "sparsity": 0.5},
    },
    "metrics": {"a list": [], "of texts": {"mrr@20": "good"}},
    "history": {"a table": {}, "of numbers": [1], "without epochs": [{"loss": 1.0}]},
    "seconds": {"a text": "long"},
    "index": {"a list": [], "nested": {"kind": {"kind": {}}}},
    "auto": {"a list": [], "of numbers": {"training.steps": 1}},
    "device": {"a number": 3},
}  # fmt: skip

_CONFIG_OF_MODEL: Mapping[str, Mapping[str, Any]] = {
    "encoder": {"null": None, "a list": [], "unknown": {"a": 1}},
    "encoder/hidden_size": {
        "huge": 10**9, "more digits": 10**30, "the largest": 16_384, "another": 9, "gone": ...,
        "negative": -1, "a fraction": 8.0, "null": None,
    },
    "encoder/num_layers": {"huge": 10**9, "the most": 64, "two": 2},
    "encoder/max_length": {"huge": 10**9},
    "encoder/name": {"unknown": "grue", "long": LONG, "another": "lstm", "a list": ["gru"]},
    "encoder/inputs": {"null": None, "none": [], "fewer": ["kind"], "long": 1000 * ["kind"]},
    "encoder/embedding": {"another": "separate", "unknown": LONG},
    "encoder/merge": {"another": "concat"},
    "training": {"null": None, "nested": {"lanes": {"lanes": 1}}},
    "training/scoring": {"another": "cosine", "gone": ..., "null": None},
    "training/loss": {"unknown": LONG, "a number": 3},
    "training/lanes": {"huge": 10**9},
    "seed": {"a text": "x", "negative": -1},
}  # fmt: skip

_CATALOG: Mapping[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "has an id twice": lambda frame: first("item_id", frame["item_id"][1])(frame),
    "has a null id": first("item_id", None),
    "has fractions as ids": lambda frame: frame.with_columns(
        item_id=pl.int_range(pl.len()).cast(pl.Float64)
    ),
    "has truth values as ids": lambda frame: frame.with_columns(item_id=pl.lit(True)),
    "has lists as ids": lambda frame: frame.with_columns(item_id=pl.concat_list("item_id")),
    "has no ids": lambda frame: frame.drop("item_id"),
    "has no supports": lambda frame: frame.drop("support"),
    "has a negative support": lambda frame: frame.with_columns(support=-pl.col("support")),
    "has a null support": lambda frame: frame.with_columns(
        support=pl.col("support").replace(frame["support"][-1], None)
    ),
    "has a support of 0": lambda frame: frame.with_columns(support=pl.lit(0, pl.Int64)),
    "has fractions as supports": cast("support", pl.Float64),
    "has texts as supports": cast("support", pl.String),
    "has endless supports": lambda frame: frame.with_columns(support=pl.lit(2**62, pl.Int64)),
    "has a null last click": lambda frame: frame.with_columns(
        pl.when(pl.int_range(pl.len()) > 0).then("last_click")
    ),
    "has null last clicks": lambda frame: frame.with_columns(
        last_click=pl.lit(None, pl.Datetime("us"))
    ),
    "has numbers as last clicks": cast("last_click", pl.Int64),
    "has texts as last clicks": cast("last_click", pl.String),
    "has last clicks of a zone": cast("last_click", pl.Datetime("us", "UTC")),
    "has last clicks of milliseconds": cast("last_click", pl.Datetime("ms")),
    "has a last click beyond all calendars": lambda frame: frame.with_columns(
        pl.when(pl.int_range(pl.len()) > 0)
        .then("last_click")
        .otherwise(pl.lit(2**63 - 1).cast(pl.Datetime("us")))
    ),
    "has last clicks before all calendars": lambda frame: frame.with_columns(
        last_click=pl.lit(-(2**63)).cast(pl.Datetime("us"))
    ),
    "has no rows": lambda frame: frame.clear(),
    "has rows without end": lambda frame: frame.head(1).select(
        pl.all().repeat_by(3 * 10**6).explode()
    ),
    "has no columns": lambda frame: pl.DataFrame(),
}

_WEIGHTS: Mapping[str, Edit] = {
    "have no number in the items": fill("output_table", float("nan")),
    "are infinite in the items": fill("output_table", float("inf")),
    "have no number in the encoder": fill("encoder.layers.0.weight_hh", float("nan")),
    "have no number in the bias": fill("bias", float("nan")),
    "have no number in the side inputs": fill("sides.table", float("-inf")),
    "are doubles": tensors(lambda weights: weights.update(bias=weights["bias"].double())),
    "are integers": tensors(lambda weights: weights.update(bias=weights["bias"].int())),
    "are halves": tensors(
        lambda weights: weights.update(output_table=weights["output_table"].half())
    ),
    "are truth values": tensors(lambda weights: weights.update(bias=weights["bias"].bool())),
    "lack one": tensors(lambda weights: weights.pop("bias")),
    "have one more": tensors(lambda weights: weights.update(more=torch.zeros(3))),
    "have one of a long name": tensors(lambda weights: weights.update({LONG: torch.zeros(3)})),
    "are none": tensors(lambda weights: weights.clear()),
    "are turned": tensors(
        lambda weights: weights.update(output_table=weights["output_table"].t())
    ),
    "have fewer items": tensors(
        lambda weights: weights.update(output_table=weights["output_table"][1:])
    ),
    "have an endless header": text(WEIGHTS, (2**62).to_bytes(8, "little")),
    "have a nested header": text(WEIGHTS, len(DEEP).to_bytes(8, "little") + DEEP.encode()),
}  # fmt: skip

_INDEX: Mapping[str, Edit] = {
    "is by distances": index("Flat", faiss.METRIC_L2),
    "is an IVF by distances": index("IVF1,Flat", faiss.METRIC_L2),
    "is binary": binary_index,
    "is of ids": index("IDMap,Flat", ids=100),
    "is of ids, twice": index("IDMap2,Flat", ids=0),
    "has lists of other ids": index("IVF1,Flat", ids=100),
    "has lists of negative ids": index("IVF1,Flat", ids=-100),
    "is untrained": index("IVF1,Flat", train=False),
    "is empty": index("Flat", train=False),
    "has fewer items": index("Flat", rows=20),
    "has more items": index("Flat", rows=60),
    "is narrower": index("Flat", width=4),
    "has no numbers": index("Flat", change=nan_vector),
    "searches without end": index("HNSW8", change=endless_queue),
    "says it has 2³¹ components": header(4, 2**31 - 1, 4),
    "says it has 2⁴⁰ items": header(8, 2**40, 8),
    "says it has 2⁶³ items": header(8, 2**63, 8),
    "is cut off": lambda folder: os.truncate(folder / INDEX, 100),
}

_CONFIG_OF_FUSION: Mapping[str, Mapping[str, Any]] = {
    "weights": {
        "one": [1.0], "three": [1.0, 1.0, 1.0], "no number": [float("nan"), 1.0], "zeros": [0, 0],
        "infinite": [float("inf"), 1.0], "negative": [-1.0, 2.0], "huge": [1e308, 1.7e308],
        "texts": ["0.5", "0.5"], "null": None, "nested": [[0.5], [0.5]], "gone": ..., "a number": 1,
        "many": 100_000 * [0.5], "of many digits": [10**4000, 1],
    },
    "how": {"unknown": "loud", "long": LONG, "a list": ["probabilities"], "null": None},
}  # fmt: skip

_PARTS: Mapping[str, Edit] = {
    "lack one": lambda folder: shutil.rmtree(folder / "parts" / "1"),
    "have one of another number": rename_part,
    "are swapped": swap_parts,
    "are twice the same": lambda folder: shutil.copytree(
        folder / "parts" / "0", folder / "parts" / "1", dirs_exist_ok=True
    ),
    "are a link to the whole": lambda folder: (
        shutil.rmtree(folder / "parts" / "1"), (folder / "parts" / "1").symlink_to(folder)
    ),
    "lie ten deep": parts_inside_themselves,
    "are of another kind": key(META, "parts", ["gru4rec", "popularity"]),
    "are not named": key(META, "parts", ...),
    "are a text": key(META, "parts", "gru4rec"),
    "have another catalog": table("parts/1/" + CATALOG, lambda frame: frame.with_columns(
        item_id=pl.format("{}x", "item_id")
    )),
}  # fmt: skip

_COUNTED: Mapping[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "lacks clicks": lambda frame: frame.rename({"clicks": "click"}),
    "has texts": cast("clicks", pl.String),
    "has fractions": cast("clicks", pl.Float64),
    "has a null": first("clicks", None),
    "has negative clicks": first("clicks", -1),
    "has fewer rows": lambda frame: frame.head(3),
    "has more rows": lambda frame: pl.concat([frame, frame]),
    "has rows without end": lambda frame: frame.head(1).select(
        pl.all().repeat_by(3 * 10**6).explode()
    ),
}
_RULES: Mapping[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "lacks items": lambda frame: frame.drop("item"),
    "has an item out of range": first("other", 40),
    "has a negative item": first("item", -1),
    "has unsorted items": lambda frame: frame.reverse(),
    "has texts as items": cast("item", pl.String),
    "has fractions as items": cast("other", pl.Float64),
    "has a weight that is no number": first("weight", float("nan")),
    "has an infinite weight": first("weight", float("inf")),
    "has a null weight": first("weight", None),
    "has texts as weights": cast("weight", pl.String),
}
_SESSIONS: Mapping[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "lacks times": lambda frame: frame.drop("time"),
    "has a time that is no number": first("time", float("nan")),
    "has a null time": first("time", None),
    "has texts as times": cast("time", pl.String),
    "has an item out of range": first("items", [40]),
    "has a session of nothing": first("items", []),
    "has a null session": first("items", None),
    "has a null in a session": first("items", [None]),
    "has one item a session": lambda frame: frame.with_columns(pl.col("items").list.first()),
    "has sessions of texts": cast("items", pl.List(pl.String)),
    "has sessions of sessions": lambda frame: frame.with_columns(items=pl.lit([[[0]]])),
    "has no sessions": lambda frame: frame.clear(),
}


def _entries() -> dict[str, tuple[str, Edit]]:
    """Make the table; names are sentences."""
    entries: dict[str, tuple[str, Edit]] = {}

    def add(kind: str, name: str, edit: Edit) -> None:
        entries[f"{kind}: {name}"] = (kind, edit)

    def add_keys(kind: str, file: str, changes: Mapping[str, Mapping[str, Any]]) -> None:
        for dotted, values in changes.items():
            for how, value in values.items():
                add(kind, f"{dotted} of {file} {how}", key(file, dotted, value))

    files = {
        "model": [META, CONFIG, CATALOG, WEIGHTS, INDEX],
        "vs_knn": [LEARNED],
        "fusion": ["parts/0/" + META, "parts/0/" + WEIGHTS],
    }
    for kind, names in files.items():
        for name in names:
            for how, make in _ANY_FILE.items():
                add(kind, f"{name} {how}", instead(name, make))
    for kind in ("model", "item_knn", "fusion"):
        for name in (META, CONFIG):
            for how, content in _ANY_JSON.items():
                add(kind, f"{name} {how}", text(name, content))
        add_keys(kind, META, _META)
    add("model", "meta.json is larger than any", text(META, '{"a": "' + 33_000_000 * "x" + '"}'))
    add_keys("model", META, _META_OF_MODEL)
    add_keys("model", CONFIG, _CONFIG_OF_MODEL)
    add_keys("fusion", CONFIG, _CONFIG_OF_FUSION)
    timed = {"timed": {"a text": "yes", "gone": ..., "null": None}, "counts": {"gone": ...}}
    add_keys("vs_knn", META, timed)
    add_keys(
        "vs_knn", CONFIG, {"k": {"nothing": 0, "huge": 10**30, "a text": "x"}, "self": {"": 1}}
    )
    for kind in ("model", "popularity"):
        for how, change in _CATALOG.items():
            add(kind, f"catalog {how}", table(CATALOG, change))
    kinds = {"popularity": _COUNTED, "item_knn": _RULES, "vs_knn": _SESSIONS}
    for kind, changes in kinds.items():
        for how, change in changes.items():
            add(kind, f"learned.parquet {how}", table(LEARNED, change))
    edits = {"weights": _WEIGHTS, "index": _INDEX}
    for what, of_file in edits.items():
        for how, edit in of_file.items():
            add("model", f"{what} {how}", edit)
    for how, edit in _PARTS.items():
        add("fusion", f"parts {how}", edit)
    return entries


NONSENSE: Mapping[str, tuple[str, Edit]] = _entries()
"""By what is wrong: the checkpoint of `save_checkpoints` that is edited, and the edit."""


def spoiled(name: str, checkpoints: Mapping[str, Path], folder: Path) -> Path:
    """Return a copy of a checkpoint in an empty folder, edited by an entry and signed again."""
    kind, edit = NONSENSE[name]
    path = folder / "checkpoint"
    shutil.copytree(checkpoints[kind], path)
    edit(path)
    signed(path)
    return path
