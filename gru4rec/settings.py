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


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    below: float | None = None,
    choices: str = "",
) -> Any:
    """Return a dataclass field with its bounds: `low` and `high` are allowed, `below` is not.

    Spaces part the choices. A field whose default is None may be left out.
    """
    bounds = {"low": low, "high": high, "below": below, "choices": tuple(choices.split())}
    return field(default=default, metadata=bounds)


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

    Fields are numbers, truth values, texts, or tuples of texts. Construction raises ConfigError for
    a wrong type, a value out of range, or one that is none of the choices.
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


def _check_value(name: str, value: object, spec: dataclasses.Field[Any]) -> None:
    bounds = spec.metadata
    kinds = (int, float) if spec.type is float else (get_origin(spec.type) or spec.type,)
    if type(value) not in kinds:
        raise ConfigError(f"{name} must be {spec.type.__name__}, got {shown(value)}")  # type: ignore[union-attr]
    if isinstance(value, tuple) and not all(type(entry) is str for entry in value):
        raise ConfigError(f"{name} must be a list of texts, got {shown(list(value))}")
    if bounds.get("choices") and value not in bounds["choices"]:
        raise ConfigError(f"no {name} {shown(value)}; choose from {', '.join(bounds['choices'])}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name} must be a finite number, got {shown(value)}")
    low, high, below = (bounds.get(bound) for bound in ("low", "high", "below"))
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
    plain = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    if section and plain:
        yield from ("", f"[{section}]")
    for key, value in plain.items():
        yield f"{key} = {_toml(value)}"
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _toml_lines(f"{section}.{key}".lstrip("."), value)


def _toml(value: object) -> str:
    """Write a number, truth value, text or list as TOML does: as JSON does, but DEL is escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
