"""Imports point one way: a module imports only modules that stand above it in this list."""

import ast
from pathlib import Path

import gru4rec

PACKAGE = Path(gru4rec.__file__).parent
LAYERS = [
    "errors",
    "schema",
    "extras",
    "synthetic",
    "settings",
    "config",
    "presets",
    "files",
    "column_types",
    "timestamps",
    "invalid_rows",
    "clicks",
    "items",
    "sessions",
    "split",
    "recipe",
    "folders",
    "shards",
    "card",
    "rules",
    "preparation",
    "side_inputs",
    "catalog",
    "arrays",
    "top_k",
    "leaks",
    "filters",
    "auto",
    "batching",
    "sampling",
    "encoders",
    "side_embeddings",
    "model",
    "precision",
    "losses",
    "objective",
    "optimizers",
    "device",
    "encoding",
    "training_batch",
    "learner",
    "trainer",
    "metrics",
    "index",
    "retrieval",
    "checkpoint",
    "resume",
    "answers",
    "running_session",
    "live_session",
    "session_file",
    "session_store",
    "streaming",
    "session_reader",
    "recommender",
    "outcomes",
    "slices",
    "bootstrap",
    "measurements",
    "training_log",
    "baselines",
    "gru4rec",
    "fusion",
    "loading",
    "inspection",
    "index_choice",
    "search_space",
    "tuning",
    "evaluation",
    "shrinking",
    "plots",
    "report",
    "cli",
]


def layer_of(module: str) -> str:
    """The layer of a dotted name: `gru4rec.encoders.gru` is in `encoders`."""
    return module.split(".")[1]


def imports_of(file: Path) -> list[str]:
    """The modules of ours that a file imports, at its top or inside a function."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gru4rec"):
            names = [f"{node.module}.{a.name}" for a in node.names]
            found += names if node.module == "gru4rec" else [node.module]
    return found


def test_every_module_has_its_layer():
    modules = {p.stem for p in PACKAGE.glob("*.py")} | {
        p.parent.name for p in PACKAGE.glob("*/*.py")
    }
    assert modules - {"__init__"} == set(LAYERS)


def test_imports_point_up_the_list():
    for file in PACKAGE.rglob("*.py"):
        relative = file.relative_to(PACKAGE)
        if relative == Path("__init__.py"):
            continue
        mine = relative.parts[0].removesuffix(".py")
        for module in imports_of(file):
            theirs = layer_of(module)
            assert LAYERS.index(theirs) <= LAYERS.index(mine), f"{relative} imports {module}"


def test_files_can_be_read_in_one_sitting():
    for file in PACKAGE.rglob("*.py"):
        lines = file.read_text(encoding="utf-8").count("\n")
        assert lines <= 300, f"{file} has {lines} lines"
