"""Name each kind of NumPy array once, so that a name means the same numbers in every file."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

BoolArray: TypeAlias = npt.NDArray[np.bool_]
IntArray: TypeAlias = npt.NDArray[np.int64]
Int32Array: TypeAlias = npt.NDArray[np.int32]
UInt16Array: TypeAlias = npt.NDArray[np.uint16]
UInt64Array: TypeAlias = npt.NDArray[np.uint64]
Float16Array: TypeAlias = npt.NDArray[np.float16]
Float32Array: TypeAlias = npt.NDArray[np.float32]
Float64Array: TypeAlias = npt.NDArray[np.float64]
FloatingArray: TypeAlias = npt.NDArray[np.floating[Any]]
"""Floating numbers of any precision."""

Rows: TypeAlias = slice | IntArray
"""Some rows of an array or tensor: what it may be indexed with."""
