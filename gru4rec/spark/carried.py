"""Carry tables of Polars through Spark: the types that both know, and those of the others."""

from typing import TYPE_CHECKING, Any

import polars as pl

from gru4rec.errors import DataError, import_extra

if TYPE_CHECKING:
    import pyarrow as pa

# Types that Spark knows by another name, and how Arrow calls them.
_NAMES: dict[Any, tuple[str, str]] = {
    pl.Boolean: ("BOOLEAN", "bool_"),
    pl.Int8: ("TINYINT", "int8"),
    pl.Int16: ("SMALLINT", "int16"),
    pl.Int32: ("INT", "int32"),
    pl.Int64: ("BIGINT", "int64"),
    pl.Float32: ("FLOAT", "float32"),
    pl.Float64: ("DOUBLE", "float64"),
    pl.String: ("STRING", "string"),
    pl.Binary: ("BINARY", "binary"),
    pl.Date: ("DATE", "date32"),
}
# Types that Spark lacks, and those that hold the same values.
_HOLDERS: dict[Any, pl.DataType] = {
    pl.UInt8: pl.Int16(),
    pl.UInt16: pl.Int32(),
    pl.UInt32: pl.Int64(),
    pl.UInt64: pl.Decimal(20, 0),
    pl.Float16: pl.Float32(),
    pl.Null: pl.String(),
    pl.Categorical: pl.String(),
    pl.Enum: pl.String(),
    pl.Time: pl.Int64(),
    pl.Duration: pl.Int64(),
}


class Carried:
    """How a table of a schema travels: as what Spark calls it, and what Arrow does."""

    def __init__(self, schema: pl.Schema) -> None:
        """Take a schema. Raise DataError for a type that Spark does not have."""
        self.schema = pl.Schema({name: _held(name, dtype) for name, dtype in schema.items()})
        """The types of Polars in which it travels."""

    @property
    def ddl(self) -> str:
        """The schema as Spark reads it."""
        return ", ".join(f"{_quoted(name)} {_ddl(dtype)}" for name, dtype in self.schema.items())

    def to_arrow(self, table: pl.DataFrame) -> "pa.Table":
        """Return a table of Polars as Spark takes it."""
        pa = import_extra("pyarrow", extra="spark")
        types = pa.schema([(name, _arrow(pa, dtype)) for name, dtype in self.schema.items()])
        return table.select(self.schema.names()).cast(self.schema).to_arrow().cast(types)


def _held(name: str, dtype: pl.DataType) -> pl.DataType:
    """Return the type that holds the values of a column for Spark."""
    holder = _HOLDERS.get(type(dtype))
    if holder is not None or type(dtype) in _NAMES:
        return holder or dtype
    if isinstance(dtype, pl.Datetime):
        return pl.Datetime("us", "UTC" if dtype.time_zone else None)
    if isinstance(dtype, pl.Decimal):
        return dtype
    if isinstance(dtype, pl.List | pl.Array):
        return pl.List(_held(name, dtype.inner))  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: _held(name, field.dtype) for field in dtype.fields})  # type: ignore[arg-type]
    raise DataError(f"column {name!r} is of type {dtype}, which Spark does not carry; leave it out")


def _ddl(dtype: Any) -> str:
    """Return what Spark calls a type that `_held` returned."""
    if type(dtype) in _NAMES:
        return _NAMES[type(dtype)][0]
    if isinstance(dtype, pl.Datetime):
        return "TIMESTAMP" if dtype.time_zone else "TIMESTAMP_NTZ"
    if isinstance(dtype, pl.Decimal):
        return f"DECIMAL({dtype.precision}, {dtype.scale})"
    if isinstance(dtype, pl.List):
        return f"ARRAY<{_ddl(dtype.inner)}>"
    fields = ", ".join(f"{_quoted(field.name)}: {_ddl(field.dtype)}" for field in dtype.fields)
    return f"STRUCT<{fields}>"


def _arrow(pa: Any, dtype: Any) -> Any:
    """Return what Arrow calls a type that `_held` returned."""
    if type(dtype) in _NAMES:
        return getattr(pa, _NAMES[type(dtype)][1])()
    if isinstance(dtype, pl.Datetime):
        return pa.timestamp("us", tz=dtype.time_zone)
    if isinstance(dtype, pl.Decimal):
        return pa.decimal128(dtype.precision, dtype.scale)
    if isinstance(dtype, pl.List):
        return pa.list_(_arrow(pa, dtype.inner))
    return pa.struct([(field.name, _arrow(pa, field.dtype)) for field in dtype.fields])


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
