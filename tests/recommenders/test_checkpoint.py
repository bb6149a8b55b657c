"""A checkpoint is five readable files, whole or not there, and anything else is refused."""

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import faiss
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from safetensors import safe_open

import gru4rec as g4r
from gru4rec import layout
from gru4rec.recommenders import checkpoint
from gru4rec.serving.index import ItemIndex

FILES = ["catalog.parquet", "config.json", "index.faiss", "meta.json", "weights.safetensors"]
LOG = g4r.generate_clicks(sessions=300, items=40, categories=3).with_columns(
    pl.format("visit-{}", "session_id").alias("session_id")
)
PREFIXES = [["c00-0001", "c00-0002"], ["c01-0020"], ["unknown"]]


def fitted(log: pl.DataFrame, *, hidden_size: int = 8, epochs: int = 1, seed: int) -> g4r.GRU4Rec:
    config = g4r.Config(
        encoder=g4r.EncoderConfig(hidden_size=hidden_size),
        training=g4r.TrainingConfig(epochs=epochs, negatives=32),
        seed=seed,
    )
    return g4r.GRU4Rec(config, device="cpu").fit(log)


@pytest.fixture(scope="module")
def ours() -> g4r.GRU4Rec:
    """The recommender that most tests save; for reading only."""
    return fitted(LOG, epochs=2, seed=7)


@pytest.fixture(scope="module")
def other() -> g4r.GRU4Rec:
    """A recommender of another log, size and seed, so that no file of it is as that of `ours`."""
    return fitted(LOG.head(900), hidden_size=4, seed=8)


@pytest.fixture
def model(ours: g4r.GRU4Rec, tmp_path: Path) -> Path:
    """The checkpoint of `ours`, alone in its folder."""
    ours.save(tmp_path / "model")
    return tmp_path / "model"


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refusal(act: Callable[[], object]) -> str:
    """The one line with which a call is refused."""
    with pytest.raises(g4r.CheckpointError) as refused:
        act()
    message = str(refused.value)
    assert message.splitlines() == [message]
    return message


def assert_is(path: Path, recommender: g4r.GRU4Rec) -> None:
    """The checkpoint at `path` is that of the recommender."""
    loaded = g4r.load(path, device="cpu")
    assert loaded.config == recommender.config
    assert_frame_equal(loaded.recommend(PREFIXES, k=5), recommender.recommend(PREFIXES, k=5))


# What is in the folder


def test_a_checkpoint_is_five_files(model: Path) -> None:
    assert sorted(content(model)) == FILES


def test_the_config_reads_as_the_config(model: Path, ours: g4r.GRU4Rec) -> None:
    settings = json.loads((model / "config.json").read_text(encoding="utf-8"))
    assert settings["encoder"]["hidden_size"] == 8
    assert g4r.Config.from_dict(settings) == ours.config


def test_meta_tells_versions_seed_counts_history_seconds_and_times(tmp_path: Path) -> None:
    times = pl.Series([1_772_452_800, 1_772_452_830, 1_772_452_860, 1_772_452_890])
    log = pl.DataFrame({"session": [1, 1, 1, 2], "item": ["a", "b", "a", "c"], "ts": times})
    fitted(log, epochs=3, seed=5).save(tmp_path / "model")
    meta = json.loads((tmp_path / "model" / "meta.json").read_text(encoding="utf-8"))
    packages = ("gru4rec", "torch", "faiss-cpu", "polars", "numpy", "safetensors")
    assert meta["versions"] == {package: version(package) for package in packages}
    assert meta["seed"] == 5
    assert meta["counts"] == {"clicks": 4, "sessions": 1, "items": 3, "pairs": 2}
    assert [row["epoch"] for row in meta["history"]] == [1, 2, 3]
    assert all(row["loss"] > 0 for row in meta["history"])
    assert meta["seconds"] > 0
    assert meta["times"] == {"first": "2026-03-02T12:00:00", "last": "2026-03-02T12:01:30"}


def test_meta_of_a_log_without_times_has_none(tmp_path: Path) -> None:
    fitted(LOG.drop("timestamp"), seed=1).save(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "meta.json").read_text())["times"] is None


def test_the_catalog_is_a_table_of_items_and_their_clicks(model: Path) -> None:
    counted = LOG.group_by("item_id").agg(
        pl.len().cast(pl.Int64).alias("support"), pl.col("timestamp").max().alias("last_click")
    )
    counted = counted.cast({"last_click": pl.Datetime("us")})
    saved = pl.read_parquet(model / "catalog.parquet")
    assert_frame_equal(saved.sort("item_id"), counted.sort("item_id"))


def test_weights_and_index_read_as_what_their_names_say(model: Path, ours: g4r.GRU4Rec) -> None:
    with safe_open(model / "weights.safetensors", framework="numpy") as weights:
        assert weights.keys()
    assert faiss.read_index(str(model / "index.faiss")).ntotal == len(ours.catalog)


def test_no_session_id_of_the_log_is_in_the_folder(model: Path) -> None:
    assert not any(b"visit-" in data for data in content(model).values())
    catalog = pl.read_parquet(model / "catalog.parquet")  # compressed, so bytes tell nothing
    assert set(catalog.columns) == {"item_id", "support", "last_click"}


def test_every_file_of_a_checkpoint_may_be_read_by_whom_the_first_may(model: Path) -> None:
    assert len({path.stat().st_mode for path in model.iterdir()}) == 1


# Saving and loading


def test_what_is_loaded_recommends_the_same(model: Path, ours: g4r.GRU4Rec) -> None:
    assert_is(model, ours)
    loaded = g4r.load(str(model), device="cpu")
    assert_frame_equal(loaded.recommend(LOG, k=40), ours.recommend(LOG, k=40))
    assert loaded.meta.counts == ours.meta.counts


def test_what_is_loaded_and_saved_again_is_the_same_checkpoint(model: Path) -> None:
    g4r.load(model, device="cpu").save(model.parent / "again")
    assert content(model.parent / "again") == content(model)


def test_a_checkpoint_may_be_moved(model: Path, ours: g4r.GRU4Rec, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "elsewhere" / "copy")
    assert_is(tmp_path / "elsewhere" / "copy", ours)


def test_missing_parent_folders_are_made(ours: g4r.GRU4Rec, tmp_path: Path) -> None:
    ours.save(tmp_path / "a" / "b" / "model")
    assert_is(tmp_path / "a" / "b" / "model", ours)


def test_loading_never_unpickles(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("something was unpickled")

    for name in ("pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load"):
        monkeypatch.setattr(name, forbidden)
    assert g4r.load(model, device="cpu").recommend(PREFIXES, k=1).height == 3


def test_a_recommender_that_was_not_fitted_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(g4r.NotFittedError, match="call fit first"):
        g4r.GRU4Rec(device="cpu").save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# Folders that are no whole checkpoint


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    message = refusal(lambda: g4r.load(model))
    assert str(model) in message
    assert name in message


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused(model: Path, name: str, share: float) -> None:
    data = (model / name).read_bytes()
    (model / name).write_bytes(data[: int(share * len(data))])
    assert str(model) in refusal(lambda: g4r.load(model))


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_checkpoint_is_refused(
    model: Path, name: str, other: g4r.GRU4Rec
) -> None:
    other.save(model.parent / "other")
    shutil.copy(model.parent / "other" / name, model / name)
    assert str(model) in refusal(lambda: g4r.load(model))


@pytest.mark.parametrize("name", sorted({*FILES} - {"meta.json"}))
def test_a_file_with_one_changed_byte_is_refused_by_name(model: Path, name: str) -> None:
    data = bytearray((model / name).read_bytes())
    data[len(data) // 2] ^= 1
    (model / name).write_bytes(data)
    assert str(model / name) in refusal(lambda: g4r.load(model))


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "3", "{}", '{"files": 3}', "\xff"])
def test_a_meta_that_lists_no_files_is_refused(model: Path, text: str) -> None:
    (model / "meta.json").write_text(text, encoding="latin-1")
    assert str(model) in refusal(lambda: g4r.load(model))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path / "none") in refusal(lambda: g4r.load(tmp_path / "none"))


def test_an_empty_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    refusal(lambda: g4r.load(tmp_path / "file"))
    assert str(tmp_path / "empty") in refusal(lambda: g4r.load(tmp_path / "empty"))


# What stands in the way


def test_a_checkpoint_is_not_replaced_unasked(model: Path, other: g4r.GRU4Rec) -> None:
    before = content(model.parent)
    message = refusal(lambda: other.save(model))
    assert str(model) in message
    assert "force" in message
    assert content(model.parent) == before


def test_force_replaces_a_checkpoint_whole(model: Path, other: g4r.GRU4Rec) -> None:
    other.save(model, force=True)
    assert_is(model, other)
    assert sorted(content(model.parent)) == [f"model/{name}" for name in FILES]


def test_force_needs_nothing_to_replace(other: g4r.GRU4Rec, tmp_path: Path) -> None:
    other.save(tmp_path / "model", force=True)
    assert_is(tmp_path / "model", other)


def test_force_replaces_an_empty_folder(ours: g4r.GRU4Rec, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert str(tmp_path / "model") in refusal(lambda: ours.save(tmp_path / "model"))
    ours.save(tmp_path / "model", force=True)
    assert_is(tmp_path / "model", ours)


@pytest.mark.parametrize(
    "files", [["thesis.txt"], ["config.json"], ["data/log.csv"], ["meta.json", "thesis.txt"]]
)
def test_force_does_not_replace_the_folder_of_a_user(
    ours: g4r.GRU4Rec, tmp_path: Path, files: list[str]
) -> None:
    for name in files:
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text("{}")
    before = content(tmp_path)
    assert str(tmp_path / "mine") in refusal(lambda: ours.save(tmp_path / "mine", force=True))
    assert content(tmp_path) == before


def test_force_does_not_replace_a_file(ours: g4r.GRU4Rec, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("thesis")
    refusal(lambda: ours.save(tmp_path / "mine", force=True))
    assert content(tmp_path) == {"mine": b"thesis"}


def test_force_mends_a_damaged_checkpoint(model: Path, other: g4r.GRU4Rec) -> None:
    (model / "weights.safetensors").unlink()
    (model / "index.faiss").write_bytes(b"")
    other.save(model, force=True)
    assert_is(model, other)


def test_a_link_to_a_checkpoint_stays_a_link(model: Path, other: g4r.GRU4Rec) -> None:
    link = model.parent / "latest"
    link.symlink_to(model)
    other.save(link, force=True)
    assert link.is_symlink()
    assert_is(link, other)
    assert_is(model, other)


def test_a_file_where_a_parent_folder_should_be_is_refused(
    ours: g4r.GRU4Rec, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    refusal(lambda: ours.save(tmp_path / "file" / "model"))
    assert content(tmp_path) == {"file": b"mine"}


# Crashes and failures


def test_after_a_crash_between_the_renames_the_older_checkpoint_is_found(
    model: Path, ours: g4r.GRU4Rec
) -> None:
    model.rename(model.with_name(".model.old"))
    assert_is(model, ours)


def test_the_next_save_mends_what_a_crash_between_the_renames_left(
    model: Path, ours: g4r.GRU4Rec, other: g4r.GRU4Rec
) -> None:
    shutil.copytree(model, model.with_name(".model.new"))
    model.rename(model.with_name(".model.old"))
    refusal(lambda: other.save(model))  # without force the older one counts as there
    assert_is(model, ours)
    other.save(model, force=True)
    assert_is(model, other)
    assert sorted(content(model.parent)) == [f"model/{name}" for name in FILES]


def test_a_path_is_not_free_where_a_crash_left_the_older_checkpoint_beside_it(model: Path) -> None:
    model.rename(model.with_name(".model.old"))
    assert str(model) in refusal(lambda: layout.check_free(model, force=False))
    layout.check_free(model, force=True)


def test_after_a_crash_before_the_clearing_up_the_newer_checkpoint_is_found(
    model: Path, ours: g4r.GRU4Rec, other: g4r.GRU4Rec
) -> None:
    other.save(model.with_name(".model.old"))
    assert_is(model, ours)
    ours.save(model, force=True)
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_what_a_crash_left_half_written_is_not_looked_at_and_cleared(
    model: Path, ours: g4r.GRU4Rec, other: g4r.GRU4Rec
) -> None:
    model.with_name(".model.new").mkdir()
    (model.with_name(".model.new") / "config.json").write_text("{")
    assert_is(model, ours)
    other.save(model, force=True)
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def full_disk(*args: object, **kwargs: object) -> None:
    raise OSError(28, "No space left on device")


def fail_to_write_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "save_file", full_disk)


def fail_to_write_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ItemIndex, "save", full_disk)


def fail_to_write_the_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.DataFrame, "write_parquet", full_disk)


def fail_to_reach_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", full_disk)


def fail_to_swap_in_the_new(monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def only_the_old(self: Path, target: Path) -> Path:
        return full_disk() if self.name.endswith(".new") else rename(self, target)

    monkeypatch.setattr(Path, "rename", only_the_old)


FAILURES = pytest.mark.parametrize(
    "fail",
    [
        fail_to_write_weights,
        fail_to_write_the_index,
        fail_to_write_the_catalog,
        fail_to_reach_the_disk,
        fail_to_swap_in_the_new,
    ],
)


@FAILURES
def test_a_failing_save_leaves_the_older_checkpoint_whole_and_nothing_else(
    model: Path,
    other: g4r.GRU4Rec,
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[pytest.MonkeyPatch], None],
) -> None:
    before = content(model.parent)
    with monkeypatch.context() as patch:
        fail(patch)
        assert "No space left" in refusal(lambda: other.save(model, force=True))
    assert content(model.parent) == before
    assert [path.name for path in model.parent.iterdir()] == ["model"]


@FAILURES
def test_a_failing_first_save_leaves_nothing(
    ours: g4r.GRU4Rec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[pytest.MonkeyPatch], None],
) -> None:
    with monkeypatch.context() as patch:
        fail(patch)
        assert str(tmp_path / "model") in refusal(lambda: ours.save(tmp_path / "model"))
    assert list(tmp_path.iterdir()) == []


# Readers while a checkpoint is replaced


def test_a_reader_that_is_overtaken_by_a_swap_sees_one_checkpoint_not_a_mix(
    model: Path, ours: g4r.GRU4Rec, other: g4r.GRU4Rec, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_config, swaps = g4r.Config.from_dict, []

    def read_config_and_be_overtaken(settings: dict[str, object]) -> g4r.Config:
        config = read_config(settings)
        if not swaps:
            swaps.append(True)
            other.save(model, force=True)
        return config

    monkeypatch.setattr(g4r.Config, "from_dict", read_config_and_be_overtaken)
    loaded = g4r.load(model, device="cpu")
    assert swaps
    seen = other if loaded.meta.seed == other.meta.seed else ours
    assert loaded.config == seen.config
    assert_frame_equal(loaded.recommend(PREFIXES, k=5), seen.recommend(PREFIXES, k=5))


def test_a_reader_that_comes_between_the_two_renames_sees_one_checkpoint(
    model: Path, other: g4r.GRU4Rec, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.save(model.with_name(".model.new"))
    model.rename(model.with_name(".model.old"))
    is_dir = Path.is_dir

    def is_dir_just_before_the_second_rename(self: Path) -> bool:
        there = is_dir(self)
        if self == model and not there:
            model.with_name(".model.new").rename(model)
            shutil.rmtree(model.with_name(".model.old"))
        return there

    monkeypatch.setattr(Path, "is_dir", is_dir_just_before_the_second_rename)
    assert g4r.load(model, device="cpu").config.seed == other.config.seed
