"""Arrays from the records of an untrusted pickle: numpy's, scipy's sparse ones, chumpy's."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np

from vhlib.body.safe_pickle import Call, PickleError, parse_pickle

# The largest public models (SMPL-X with 400 shape directions) take 300 MB.
MAX_BYTES = 2 * 2**30
# A chumpy array may stand for a part of another. Released files have one of each.
MAX_CHUMPY_NESTING = 8
# Dtypes as numpy spells them. Text has four bytes a letter and holds no Python objects.
NUMBERS = "[fiu][1248]"
NUMBERS_OR_TEXT = NUMBERS + r"|U[1-9][0-9]{0,6}"


def read_pickled_arrays(
    path: Path, keys: Iterable[str], texts: Container[str] = ()
) -> dict[str, np.ndarray]:
    """The arrays under those of ``keys`` that a pickled dict has; sparse ones become dense.

    Args:
        path: the pickle.
        keys: what to read; the rest of the dict is ignored.
        texts: those of the keys that may hold text instead of numbers.

    Raises:
        PickleError: the file isn't such a pickle; nothing in it has been run.
        OSError: the file can't be read.
    """
    if path.stat().st_size > MAX_BYTES:
        raise PickleError(f"{path}: is larger than {MAX_BYTES} bytes, which no body model is")
    try:
        content = parse_pickle(path.read_bytes())
        if not isinstance(content, dict):
            raise PickleError(f"holds a {_kind(content)}, expected a dict of arrays")
        known = [key for key in keys if key in content]
        return {key: _described(key, content[key], key in texts) for key in known}
    except PickleError as error:
        raise PickleError(f"{path}: {error}") from None


def _described(key: str, value: object, may_be_text: bool) -> np.ndarray:
    try:
        return _dense_array(value, NUMBERS_OR_TEXT) if may_be_text else _array(value)
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError) as error:
        raise PickleError(f"{key} can't be read: {str(error)[:200]}; get the file again") from None


def _array(value: object, nesting: int = 0) -> np.ndarray:
    """The array that a record describes. Only a sparse one takes more memory than the file."""
    kind = _kind(value)
    if nesting > MAX_CHUMPY_NESTING:
        raise ValueError(f"it is nested over {MAX_CHUMPY_NESTING} deep")
    if kind in ("_reconstruct", "_frombuffer"):
        return _dense_array(value)
    if kind.startswith(("csc_", "csr_", "coo_")):
        return _sparse_array(value)
    if kind == "Ch":
        return _array(_fields(value)["x"], nesting + 1)
    if kind == "Select":
        fields = _fields(value)
        chosen = _array(fields["a"], nesting + 1).ravel()[_dense_array(fields["idxs"])]
        return chosen.reshape(_shape(fields.get("preferred_shape", chosen.shape)))
    raise ValueError(f"it is a {kind}, expected an array")


def _kind(value: object) -> str:
    return value.name if isinstance(value, Call) else type(value).__name__


def _fields(record: Call) -> dict[str, object]:
    """The attributes of a recorded object."""
    if not isinstance(record.state, dict):
        raise ValueError(f"a {_kind(record)} has no attributes")
    return record.state


def _dense_array(record: object, types: str = NUMBERS) -> np.ndarray:
    """numpy's two ways: a call for an empty array and its state, or a buffer (protocol 5)."""
    if _kind(record) == "_reconstruct":
        shape, dtype, fortran, data = record.state[-4:]
        order, axes = "F" if fortran else "C", None
    elif _kind(record) == "_frombuffer":
        data, dtype, shape, order, axes = (*record.args, None)[:5]
    else:
        raise ValueError(f"part of it is a {_kind(record)}, expected an array")
    dtype, shape, data = _dtype(dtype, types), _shape(shape), _bytes(data)
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(data)} bytes are too many or too few for {shape} of {dtype}")
    flat = np.frombuffer(data, dtype) if data else np.empty(0, dtype)
    if order == "K" and axes is not None:
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _dtype(record: object, types: str) -> np.dtype:
    """Plain numbers, or text where it belongs: no Python objects, no records."""
    if _kind(record) != "dtype":
        raise ValueError(f"its dtype is a {_kind(record)}")
    name = record.args[0]
    if not isinstance(name, str) or not re.fullmatch(types, name):
        found = ascii(name)[:40] if isinstance(name, str) else _kind(name)
        expected = "real numbers" if types == NUMBERS else "text"
        raise ValueError(f"its dtype is {found}, expected {expected}")
    big_endian = record.state is not None and record.state[1] == ">"
    return np.dtype(name).newbyteorder(">" if big_endian else "<")


def _shape(value: object) -> tuple[int, ...]:
    """Sizes that the sum of all body models won't reach, so that products stay small."""
    if not isinstance(value, tuple) or len(value) > 4:
        raise ValueError(f"its shape is a {_kind(value)}, expected a tuple of up to four sizes")
    if not all(type(size) is int and 0 <= size < 2**31 for size in value):
        raise ValueError("its shape has sizes out of range")
    return value


def _bytes(value: object) -> bytes | bytearray:
    """Bytes, as Python 2 or 3 spell them: directly, as latin-1 text, or as a call to encode it."""
    if _kind(value) == "bytes" and isinstance(value, Call):
        return b""
    if _kind(value) == "encode" and value.args[1:] == ("latin1",):
        value = value.args[0]
    if isinstance(value, str):
        return value.encode("latin1")
    if not isinstance(value, bytes | bytearray):
        raise ValueError(f"its data is a {_kind(value)}, expected bytes")
    return value


def _sparse_array(record: Call) -> np.ndarray:
    """The dense array; values at the same place add up, as in scipy."""
    state = _fields(record)
    rows, columns = _shape(state["_shape"])
    if rows * columns * 8 > MAX_BYTES:
        raise ValueError(f"a shape of ({rows}, {columns}) is beyond any body model")
    if _kind(record).startswith("csr"):
        row, column = _compressed_places(state, rows, columns)
    elif _kind(record).startswith("csc"):
        column, row = _compressed_places(state, columns, rows)
    else:
        pair = state["coords"] if "coords" in state else (state["row"], state["col"])
        row, column = (_places(*axis) for axis in zip(pair, (rows, columns), strict=True))
    dense = np.zeros((rows, columns))
    np.add.at(dense, (row, column), _dense_array(state["data"]))
    return dense


def _compressed_places(state: dict, major: int, minor: int) -> tuple[np.ndarray, np.ndarray]:
    """Places from the compressed format: ``indptr`` says where each row (or column) starts."""
    minor_places = _places(state["indices"], minor)
    starts = _places(state["indptr"], len(minor_places) + 1)
    counts = np.diff(starts)
    whole = len(starts) == major + 1 and starts[0] == 0 and starts[-1] == len(minor_places)
    if not whole or counts.min(initial=0) < 0:
        raise ValueError("its row starts are out of order")
    return np.repeat(np.arange(major), counts), minor_places


def _places(record: object, size: int) -> np.ndarray:
    """Integers from 0 to ``size`` - 1."""
    places = _dense_array(record)
    if places.ndim != 1 or places.dtype.kind not in "iu":
        raise ValueError("its places aren't a list of integers")
    if places.size and not 0 <= places.min() <= places.max() < size:
        raise ValueError(f"its places run from {places.min()} to {places.max()}, beyond {size - 1}")
    return places.astype(np.int64)
