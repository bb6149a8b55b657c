"""Make frozen dataclasses of checked settings, in and out of TOML."""

import dataclasses
import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Self, get_origin

from gru4rec.addresses import refuse_address
from gru4rec.errors import ConfigError
from gru4rec.untrusted import brief, read_text, shown

_LONGEST = 1_000_000  # characters of a file of settings
_HIGH = 10**12  # of whole numbers that have no other bound: everything can compute with it


def bounds(
    *,
    low: float | None = None,
    high: float | None = None,
    below: float | None = None,
    choices: str = "",
) -> dict[str, Any]:
    """Return the bounds of a field: `low` and `high` are allowed, `below` is not.

    Spaces part the choices. Bounds of numbers by name are those of each.
    """
    return {"low": low, "high": high, "below": below, "choices": tuple(choices.split())}


def setting(default: Any, **bounded: Any) -> Any:
    """Return a dataclass field with `bounds`. One whose default is None may be left out."""
    return field(default=default, metadata=bounds(**bounded))


def read_toml(path: str | Path) -> dict[str, Any]:
    """Return the contents of a TOML file. Raise ConfigError if it is missing or unreadable."""
    refuse_address(path, ConfigError)
    try:
        return tomllib.loads(read_text(Path(path), most=_LONGEST))
    except RecursionError:
        raise ConfigError(f"cannot read the settings {path}: nested too deep") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the settings {path}: {brief(error)}") from error


class Settings:
    """What a frozen dataclass of settings can do; a field that is one itself is a section.

    Fields are numbers, truth values, texts, tuples of texts, or numbers by name. Construction
    raises ConfigError for a wrong type, a value out of range, or one that is none of the choices.
    """

    @classmethod
    def sections(cls) -> dict[str, type["Settings"]]:
        """Return the fields that are sections, and their classes."""
        return {
            spec.name: spec.type
            for spec in dataclasses.fields(cls)  # type: ignore[arg-type]
            if isinstance(spec.type, type) and issubclass(spec.type, Settings)
        }

    def check(self, prefix: str = "") -> None:
        """Raise ConfigError if a field has a wrong type or value; `prefix` names the section."""
        for spec in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, spec.name)
            if value is not None or spec.default is not None:
                _check_value(f"{prefix}{spec.name}", value, spec)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any], *, prefix: str = "") -> Self:
        """Take the settings given; the rest keep their defaults.

        Raise ConfigError for an unknown key, a wrong type or a value out of range.
        """
        sections = cls.sections()
        types = {spec.name: spec.type for spec in dataclasses.fields(cls)}  # type: ignore[arg-type]
        known: dict[str, Any] = {}
        for key, value in settings.items():
            if key not in types:
                raise ConfigError(
                    f"no setting {prefix}{brief(key, most=50)}; choose from {', '.join(types)}"
                )
            if key not in sections:
                if get_origin(types[key]) is dict and isinstance(value, Mapping):
                    value = {name: _as_float(number) for name, number in value.items()}
                listed = get_origin(types[key]) is tuple and isinstance(value, list)
                known[key] = tuple(value) if listed else value
            elif isinstance(value, Mapping):
                known[key] = sections[key].from_dict(value, prefix=f"{prefix}{key}.")
            else:
                raise ConfigError(
                    f"[{prefix}{key}] must be a table of settings, got {shown(value)}"
                )
        return cls(**known)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a TOML file. Raise ConfigError if it is missing, unreadable or has other keys."""
        settings = read_toml(path)
        try:
            return cls.from_dict(settings)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, a dict for each section, without what was left out."""
        values = {spec.name: getattr(self, spec.name) for spec in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {
            name: value.to_dict() if isinstance(value, Settings) else value
            for name, value in values.items()
            if value is not None
        }

    def flat(self) -> dict[str, Any]:
        """Return plain values by dotted key, as `replace` takes them, without what was left out."""
        values: dict[str, Any] = {}
        for name, value in self.to_dict().items():
            section = getattr(self, name)
            if isinstance(section, Settings):
                values |= {f"{name}.{key}": inner for key, inner in section.flat().items()}
            else:
                values[name] = value
        return values

    def to_toml(self) -> str:
        """Return the settings as TOML text, which `from_toml` reads."""
        return "\n".join(_toml_lines("", self.to_dict())).lstrip("\n") + "\n"

    def replace(self, settings: Mapping[str, Any]) -> Self:
        """Return a copy with dotted keys replaced, e.g. `{"training.epochs": 3, "seed": 7}`."""
        whole = self.to_dict()
        for dotted, value in settings.items():
            *path, key = dotted.split(".")
            table = whole
            for section in path:
                table = table.setdefault(section, {})
            table[key] = value
        return type(self).from_dict(whole)


def _as_float(value: object) -> object:
    return float(value) if type(value) is int and abs(value) <= _HIGH else value


def _check_value(name: str, value: object, spec: dataclasses.Field[Any]) -> None:
    if get_origin(spec.type) is dict and isinstance(value, dict):
        one = dataclasses.field(metadata=spec.metadata)
        one.type = float
        for key, number in value.items():
            if type(key) is not str or not key:
                raise ConfigError(f"{name} has names for keys, got {shown(key)}")
            _check_value(f"{name}.{brief(key, most=50)}", number, one)
        return
    kinds = (int, float) if spec.type is float else (get_origin(spec.type) or spec.type,)
    if type(value) not in kinds:
        raise ConfigError(f"{name} must be {spec.type.__name__}, got {shown(value)}")  # type: ignore[union-attr]
    if isinstance(value, tuple) and not all(type(entry) is str for entry in value):
        raise ConfigError(f"{name} must be a list of texts, got {shown(list(value))}")
    allowed = spec.metadata
    if allowed.get("choices") and value not in allowed["choices"]:
        raise ConfigError(f"no {name} {shown(value)}; choose from {', '.join(allowed['choices'])}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name} must be a finite number, got {shown(value)}")
    low, high, below = (allowed.get(bound) for bound in ("low", "high", "below"))
    if high is None and below is None and type(value) is int:
        high = _HIGH
    if low is not None and not value >= low:
        raise ConfigError(f"{name} must be at least {low:g}, got {shown(value)}")
    if below is not None and not value < below:
        raise ConfigError(f"{name} must be below {below:g}, got {shown(value)}")
    if high is not None and not value <= high:
        raise ConfigError(f"{name} must be at most {high:,}, got {shown(value)}")


def _toml_lines(section: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one section: its own keys first, then the sections in it."""
    sections = {key: value for key, value in settings.items() if value and isinstance(value, dict)}
    plain = {key: value for key, value in settings.items() if key not in sections}
    if section and plain:
        yield from ("", f"[{section}]")
    for key, value in plain.items():
        yield f"{_toml_key(key)} = {_toml(value)}"
    for key, value in sections.items():
        yield from _toml_lines(f"{section}.{key}".lstrip("."), value)


def _toml_key(key: str) -> str:
    """Write a key: bare where TOML allows it, as those of settings are; users' may be any text."""
    is_bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if is_bare else _toml(key)


def _toml(value: object) -> str:
    """Write a number, truth value, text or list as TOML does: as JSON does, but DEL is escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
