"""Settings are checked when they are made, and survive the way to TOML and back."""

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.config import AUTO, Config, EncoderConfig, TrainingConfig
from gru4rec.errors import ConfigError

SECTIONS = {"encoder": EncoderConfig, "training": TrainingConfig}
NAMES = {"name": ["gru", "lstm"], "loss": ["cross_entropy", "bpr_max"]}  # checked by the tables


def allowed(spec: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    """Any value that a field takes."""
    if choices := spec.metadata.get("choices") or NAMES.get(spec.name):
        return st.sampled_from(choices)
    if get_origin(spec.type) is tuple:
        names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
        return st.lists(names, max_size=3)
    if get_origin(spec.type) is dict:
        names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
        return st.dictionaries(names, st.floats(spec.metadata["low"], spec.metadata["high"]))
    if spec.type is bool:
        return st.booleans()
    if spec.type is str:
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    low, high, below = (spec.metadata[bound] for bound in ("low", "high", "below"))
    if spec.type is int:
        return st.integers(low, high or 10**6)
    assert spec.type is float
    return st.floats(low, high or below or 1e9, exclude_max=below is not None)


def some_of(section: type) -> st.SearchStrategy[dict[str, Any]]:
    """Values for any of a section's settings."""
    specs = {spec.name: allowed(spec) for spec in dataclasses.fields(section)}
    return st.fixed_dictionaries({}, optional=specs)


def without_contradiction(values: dict[str, Any]) -> dict[str, Any]:
    """Input embeddings have a length in the `separate` mode only, states drop in one step only,
    one-hot inputs have no side inputs beside them, events weigh only by a column, and an outcome
    is no input."""
    encoder = dict(values.get("encoder", {}))
    if encoder.get("embedding") == "onehot":
        encoder.pop("inputs", None)
    if encoder.get("embedding") != "separate":
        encoder.pop("embedding_size", None)
    if values.get("training", {}).get("loss") == "bpr_max":
        values["training"].pop("teachers", None)
    if not values.get("training", {}).get("event_column"):
        for name in ("event_weights", "target_events", "rewards"):
            values.get("training", {}).pop(name, None)
    rewards = values.get("training", {}).get("rewards", {})
    if any(rewards.values()):
        values["training"] |= {"neighbours": 0, "steps": 2}
    elif rewards:
        values["training"].pop("rewards")
    if values.get("training", {}).get("outcome") in encoder.get("inputs", ()):
        values["training"].pop("outcome")
    if values.get("training", {}).get("steps") != 1:
        encoder.pop("state_dropout", None)
    return values | ({"encoder": encoder} if "encoder" in values else {})


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "encoder": some_of(EncoderConfig),
        "training": some_of(TrainingConfig),
        "seed": st.integers(0, 2**63 - 1),
    },
).map(without_contradiction)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))


def refusal(values: Mapping[str, Any]) -> str:
    """The one line with which settings are refused."""
    with pytest.raises(ConfigError) as refused:
        Config.from_dict(values)
    message = str(refused.value)
    assert message.splitlines() == [message]
    return message


def toml_refusal(path: Path) -> str:
    """The one line with which a TOML file is refused, which names it."""
    with pytest.raises(ConfigError) as refused:
        Config.from_toml(path)
    message = str(refused.value)
    assert message.splitlines() == [message]
    assert str(path) in message
    return message


def listed(values: Any) -> Any:
    """Plain values with lists in place of tuples, as TOML has them."""
    if isinstance(values, dict):
        return {key: listed(value) for key, value in values.items()}
    return list(values) if isinstance(values, tuple) else values


# There and back


@given(SETTINGS)
def test_a_config_is_the_same_after_a_dict_and_back(values: dict[str, Any]) -> None:
    config = Config.from_dict(values)
    assert Config.from_dict(config.to_dict()) == config


@given(SETTINGS)
def test_a_config_is_the_same_after_toml_and_back(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    config = Config.from_dict(values)
    path = tmp_path_factory.getbasetemp() / "config.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert Config.from_toml(path) == config
    assert tomllib.loads(config.to_toml()) == listed(config.to_dict())


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
def test_a_name_of_any_characters_survives_toml(name: str) -> None:
    config = Config(encoder=EncoderConfig(name=name))
    assert tomllib.loads(config.to_toml()) == listed(config.to_dict())


@given(SETTINGS)
def test_a_setting_that_is_given_is_kept(values: dict[str, Any]) -> None:
    whole = listed(Config.from_dict(values).to_dict())
    for section in SECTIONS:
        assert whole[section] == {**whole[section], **values.get(section, {})}
    assert whole["seed"] == values.get("seed", 0)


def test_settings_left_out_are_auto_and_stay_out_of_the_dict() -> None:
    assert Config().training.epochs is AUTO
    assert Config().encoder.hidden_size is AUTO
    whole = Config.from_dict({"training": {"epochs": 3}}).to_dict()
    assert whole["training"]["epochs"] == 3
    assert "lanes" not in whole["training"]
    assert "hidden_size" not in whole["encoder"]


def test_every_setting_that_is_auto_is_out_of_the_dict_and_every_other_is_in() -> None:
    whole = Config().to_dict()
    for name, section in SECTIONS.items():
        set_ = [spec.name for spec in dataclasses.fields(section) if spec.default is not AUTO]
        assert list(whole[name]) == set_
    assert whole["seed"] == 0


def test_the_same_settings_make_equal_configs_however_they_are_given(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        'seed = 7\n[encoder]\nname = "gru"\nhidden_size = 100\n[training]\nepochs = 5\n'
    )
    config = Config(
        encoder=EncoderConfig(name="gru", hidden_size=100),
        training=TrainingConfig(epochs=5),
        seed=7,
    )
    assert Config.from_toml(tmp_path / "config.toml") == config
    assert Config.from_toml(str(tmp_path / "config.toml")) == config
    dotted = {"seed": 7, "encoder.hidden_size": 100, "training.epochs": 5}
    assert Config().replace(dotted) == config
    assert Config.from_dict({}) == Config()


def test_replace_leaves_the_config_as_it_was() -> None:
    config = Config(seed=1, training=TrainingConfig(epochs=2, lanes=4))
    changed = config.replace({"training.epochs": 3})
    assert changed.training == TrainingConfig(epochs=3, lanes=4)
    assert config.training.epochs == 2
    assert changed.seed == 1


def test_the_dict_that_is_read_stays_as_it_was() -> None:
    values = {"training": {"epochs": 3}, "seed": 1}
    Config.from_dict(values).replace({"training.epochs": 4})
    assert values == {"training": {"epochs": 3}, "seed": 1}


@pytest.mark.parametrize("section", [Config, *SECTIONS.values()])
def test_settings_are_frozen(section: type) -> None:
    instance = section()
    for spec in dataclasses.fields(section):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(instance, spec.name, 1)


@pytest.mark.parametrize("section", [Config, *SECTIONS.values()])
def test_settings_are_given_by_name_only(section: type) -> None:
    with pytest.raises(TypeError):
        section("gru")


@pytest.mark.parametrize("section", SECTIONS.values())
def test_every_setting_is_of_a_plain_type(section: type) -> None:
    plain = {bool, int, float, str, tuple[str, ...], dict[str, float]}
    assert {spec.type for spec in dataclasses.fields(section)} <= plain


# Refusals


def test_an_unknown_key_is_refused_with_those_there_are() -> None:
    message = refusal({"sead": 1})
    assert all(word in message for word in ("sead", "encoder", "training", "seed"))
    message = refusal({"training": {"epoch": 1}})
    assert "training.epoch" in message
    assert all(spec.name in message for spec in dataclasses.fields(TrainingConfig))
    message = refusal({"encoder": {"units": 1}})
    assert "encoder.units" in message
    assert all(spec.name in message for spec in dataclasses.fields(EncoderConfig))


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("value", [3, "gru", None, [], True])
def test_a_section_that_is_no_table_is_refused(section: str, value: object) -> None:
    assert section in refusal({section: value})


def test_an_unknown_section_of_a_dotted_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="trainer"):
        Config().replace({"trainer.epochs": 3})


@pytest.mark.parametrize("value", ["3", 3.0, True, False, [3], {}, float("nan")])
@pytest.mark.parametrize("key", ["hidden_size", "num_layers"])
def test_what_is_no_int_is_refused_for_an_int_and_bool_is_none(key: str, value: object) -> None:
    message = refusal({"encoder": {key: value}})
    assert f"encoder.{key} must be int" in message
    assert repr(value) in message


@pytest.mark.parametrize("value", ["0.5", True, [0.5], {}])
def test_what_is_no_number_is_refused_for_a_float(value: object) -> None:
    message = refusal({"training": {"learning_rate": value}})
    assert "training.learning_rate must be float" in message
    assert repr(value) in message


@pytest.mark.parametrize("value", [3, True, ["dot"], {}])
def test_what_is_no_string_is_refused_for_a_string(value: object) -> None:
    assert "training.scoring must be str" in refusal({"training": {"scoring": value}})
    assert "encoder.name must be str" in refusal({"encoder": {"name": value}})


def test_an_int_is_good_enough_for_a_float() -> None:
    assert TrainingConfig(learning_rate=1).learning_rate == 1.0


@pytest.mark.parametrize("key", ["seed", "name", "num_layers", "patience"])
def test_nothing_is_no_value_of_a_setting_that_auto_does_not_decide(key: str) -> None:
    section = {"name": "encoder", "num_layers": "encoder", "seed": ""}.get(key, "training")
    assert key in refusal({section: {key: None}} if section else {key: None})


@pytest.mark.parametrize(
    "key",
    [spec.name for spec in dataclasses.fields(TrainingConfig) if spec.type is float],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_float_that_is_not_finite_is_refused(key: str, value: float) -> None:
    assert f"training.{key}" in refusal({"training": {key: value}})


@pytest.mark.parametrize(
    ("section", "key", "bad", "good"),
    [
        ("encoder", "hidden_size", 0, 1),
        ("encoder", "num_layers", 0, 1),
        ("encoder", "layer_dropout", 1.0, 0.999),
        ("encoder", "layer_dropout", -0.1, 0.0),
        ("training", "lanes", 0, 1),
        ("training", "steps", -1, 1),
        ("training", "negatives", -1, 0),
        ("training", "epochs", 0, 1),
        ("training", "momentum", 1.0, 0.999),
        ("training", "learning_rate", -0.1, 0.1),
        ("training", "embedding_dropout", 1.0, 0.999),
        ("training", "hidden_dropout", -0.1, 0.0),
        ("encoder", "hidden_size", 16_385, 16_384),
        ("encoder", "num_layers", 65, 64),
        ("encoder", "max_length", 10**9, 10_000),
        ("training", "lanes", 10**9, 100_000),
        ("training", "steps", 10**9, 10_000),
        ("training", "negatives", 10**9, 10_000_000),
        ("training", "patience", 10**13, 10**12),
    ],
)
def test_a_value_out_of_range_is_refused_and_the_last_in_range_is_not(
    section: str, key: str, bad: float, good: float
) -> None:
    message = refusal({section: {key: bad}})
    assert f"{section}.{key}" in message
    assert repr(bad) in message
    assert Config.from_dict({section: {key: good}}).to_dict()[section][key] == good


def test_a_value_that_would_take_the_machine_down_is_refused_with_the_bound() -> None:
    assert "at most 16,384, got 1000000000" in refusal({"encoder": {"hidden_size": 10**9}})


@pytest.mark.parametrize("key", ["learning_rate", "lanes"])
def test_an_integer_of_ten_thousand_digits_is_refused(key: str) -> None:
    assert f"training.{key}" in refusal({"training": {key: 10**10_000}})


@pytest.mark.parametrize("seed", [-1, 2**64, 10**30])
def test_a_seed_that_no_generator_takes_is_refused(seed: int) -> None:
    assert "seed" in refusal({"seed": seed})


@pytest.mark.parametrize(
    ("section", "key"),
    [("training", "scoring"), ("training", "schedule"), ("encoder", "embedding")],
)
def test_a_value_that_is_no_choice_is_refused_with_the_choices(section: str, key: str) -> None:
    message = refusal({section: {key: "nonesuch"}})
    assert "'nonesuch'" in message
    spec = next(spec for spec in dataclasses.fields(SECTIONS[section]) if spec.name == key)
    assert ", ".join(spec.metadata["choices"]) in message


def test_an_embedding_size_that_contradicts_the_mode_is_refused() -> None:
    message = refusal({"encoder": {"embedding_size": 10, "hidden_size": 20}})
    assert "embedding_size" in message
    assert "separate" in message
    EncoderConfig(embedding_size=10, hidden_size=20, embedding="separate")


@given(
    st.dictionaries(
        st.one_of(st.sampled_from(["encoder", "training", "seed"]), st.text(max_size=5)),
        st.one_of(
            PLAIN,
            st.lists(PLAIN, max_size=2),
            st.dictionaries(
                st.sampled_from(
                    [spec.name for kind in SECTIONS.values() for spec in dataclasses.fields(kind)]
                ),
                PLAIN,
                max_size=3,
            ),
        ),
        max_size=3,
    )
)
def test_any_settings_make_a_config_or_a_config_error(values: dict[str, Any]) -> None:
    try:
        config = Config.from_dict(values)
    except ConfigError:
        return
    assert Config.from_dict(config.to_dict()) == config


# Files


@pytest.mark.parametrize(
    "text", ["epochs 3", "[training", "seed = 1\nseed = 2", "seed = 'a\n'", "a = \x00"]
)
def test_bad_toml_is_refused_by_the_name_of_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    toml_refusal(tmp_path / "config.toml")


def test_a_bad_setting_in_a_file_is_refused_by_its_name_and_that_of_the_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.toml").write_text("[training]\nepocs = 3\n")
    assert "training.epocs" in toml_refusal(tmp_path / "config.toml")
    (tmp_path / "config.toml").write_text("[training]\nepochs = 2026-03-02\n")
    assert "training.epochs" in toml_refusal(tmp_path / "config.toml")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    toml_refusal(tmp_path / "none.toml")
    toml_refusal(tmp_path)
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    toml_refusal(tmp_path / "config.toml")


NONSENSE = {
    "deep lists": "a = " + 100_000 * "[",
    "deep tables": "a = " + 5_000 * "{b = " + "1" + 5_000 * "}",
    "a long dotted key": ".".join(10_000 * "a") + " = 1",
    "many digits": "seed = " + 10_000 * "9",
    "many hexadecimal digits": "seed = 0x" + 10_000 * "f",
    "many digits for a float": "[training]\nlearning_rate = 0x" + 10_000 * "f",
    "no number": "[training]\nlearning_rate = nan",
    "a long key": "x" * 100_000 + " = 1",
    "a key of two lines": '"a\\nb" = 1',
    "a long value": f"[training]\nscoring = '{100_000 * 'x'}'",
    "a long list": f"[encoder]\nembedding = 'onehot'\ninputs = {100_000 * ['x']}",
    "a list for a number": f"seed = {100_000 * ['x']}",
    "too much text": "# " + 2_000_000 * "x",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_in_a_file_is_refused_shortly(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.toml").write_text(NONSENSE[name])
    message = toml_refusal(tmp_path / "config.toml").replace(str(tmp_path), "")
    assert len(message) < 500


def test_a_pipe_is_not_waited_for_nor_a_device_read_without_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        assert "no regular file" in toml_refusal(path)


def test_states_drop_in_windows_of_one_step_only() -> None:
    message = refusal({"encoder": {"state_dropout": 0.2}, "training": {"steps": 4}})
    assert "encoder.state_dropout 0.2 needs training.steps 1, got 4" in message
    one = Config.from_dict({"encoder": {"state_dropout": 0.2}, "training": {"steps": 1}})
    assert one.encoder.state_dropout == 0.2
