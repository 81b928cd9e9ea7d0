"""Messages between the grader and a student's process: JSON and raw arrays, lengths first.

A frame is ``<II`` (bytes of header, bytes of arrays), the header ``{"message": ..., "arrays":
[[dtype, shape], ...]}`` as UTF-8 JSON, then the arrays in C order. Nothing is ever unpickled, and a
reader states beforehand how much it takes.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from collections.abc import Callable, Sequence

import numpy as np

LENGTHS = struct.Struct("<II")
DTYPES = frozenset(
    np.dtype(kind).str
    for kind in (np.bool_, np.float16, np.float32, np.float64, np.complex64, np.complex128)
    + (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
)
MAX_HEADER, MAX_ARRAYS_BYTES, MAX_ARRAYS, MAX_AXES = 1 << 16, 1 << 26, 32, 16


class Garbled(ValueError):
    """The other side sent what is no frame."""


class Ended(ConnectionError):
    """The other side is gone."""


class OutOfTime(TimeoutError):
    """Nobody waits any longer."""


def forever() -> float | None:
    """The patience of a process that has nothing else to do."""
    return None


class Channel:
    """One end of a stream socket.

    Attributes:
        patience: asked before each wait for the seconds that are left, None for no limit.
        max_header: bytes of JSON that a message may have.
    """

    def __init__(self, stream: socket.socket, max_header: int = MAX_HEADER):
        self.stream = stream
        self.patience: Callable[[], float | None] = forever
        self.max_header = max_header

    def send(self, message: dict, arrays: tuple[np.ndarray, ...] = ()) -> None:
        """Send one frame."""
        arrays = [np.ascontiguousarray(array).reshape(array.shape) for array in arrays]
        described = [[array.dtype.str, array.shape] for array in arrays]
        header = json.dumps({"message": message, "arrays": described}).encode()
        body = b"".join(array.tobytes() for array in arrays)
        left = memoryview(LENGTHS.pack(len(header), len(body)) + header + body)
        while left:
            left = left[self._once(lambda rest=left: self.stream.send(rest)) :]

    def receive(self) -> tuple[dict, list[np.ndarray]]:
        """The next frame's message and arrays.

        Raises:
            Garbled: it is no frame, or larger than this end takes.
            Ended: the other side closed the stream.
            OutOfTime: patience ran out.
        """
        header_size, body_size = LENGTHS.unpack(self._read(LENGTHS.size))
        if header_size > self.max_header or body_size > MAX_ARRAYS_BYTES:
            raise Garbled("a message larger than is taken")
        header, body = self._read(header_size), self._read(body_size)
        try:
            frame = json.loads(header)
            message, described = frame["message"], frame["arrays"]
            return dict(message), unpacked(described, body)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Garbled("no message of a worker") from error

    def close(self) -> None:
        """Hang up."""
        self.stream.close()

    def _read(self, size: int) -> bytearray:
        read = bytearray(size)
        left = memoryview(read)
        while left:
            count = self._once(lambda rest=left: self.stream.recv_into(rest))
            if not count:
                raise Ended("the other side closed the stream")
            left = left[count:]
        return read

    def _once(self, transfer: Callable[[], int]) -> int:
        """One transfer, as soon as the stream is ready for it."""
        while True:
            seconds = self.patience()
            if seconds is not None and seconds <= 0:
                raise OutOfTime("no answer in time")
            self.stream.settimeout(seconds)
            try:
                return transfer()
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError) as error:
                raise Ended("the other side closed the stream") from error


def unpacked(described: object, body: bytearray) -> list[np.ndarray]:
    """The arrays that a header describes; Garbled if ``body`` isn't exactly they."""
    if not isinstance(described, list) or len(described) > MAX_ARRAYS:
        raise Garbled("more arrays than are taken")
    arrays, start = [], 0
    for dtype, shape in described:
        if dtype not in DTYPES or len(shape) > MAX_AXES:
            raise Garbled("an array of unknown type")
        if not all(type(length) is int and 0 <= length <= MAX_ARRAYS_BYTES for length in shape):
            raise Garbled("an array of impossible shape")
        count = math.prod(shape)
        stop = start + count * np.dtype(dtype).itemsize
        if stop > len(body):
            raise Garbled("an array that isn't there")
        array = np.frombuffer(body, dtype, count, start) if count else np.empty(0, dtype)
        arrays.append(array.reshape(shape).copy())
        start = stop
    if start != len(body):
        raise Garbled("bytes that belong to no array")
    return arrays


def packed(values: tuple) -> tuple[list, tuple[np.ndarray, ...]]:
    """Values as JSON and the arrays it refers to: arrays, numbers, strings, None, tuples of them.

    Raises:
        TypeError: a value is none of these.
    """
    arrays: list[np.ndarray] = []

    def pack(value):
        if isinstance(value, np.generic):
            arrays.append(np.asarray(value))
            return {"scalar": len(arrays) - 1}
        if value is None or isinstance(value, bool | int | float | str):
            return {"value": value}
        if isinstance(value, tuple | list):
            return {"items": [pack(item) for item in value]}
        if isinstance(value, np.ndarray) and value.dtype.str in DTYPES:
            arrays.append(value)
            return {"array": len(arrays) - 1}
        raise TypeError(f"{type(value).__name__} can't be sent")

    return [pack(value) for value in values], tuple(arrays)


def restored(packed_values: object, arrays: Sequence[np.ndarray]) -> tuple:
    """What :func:`packed` took apart; Garbled if it isn't such a list."""

    def restore(value):
        match value:
            case {"value": None | bool() | int() | float() | str() as plain}:
                return plain
            case {"items": list() as items}:
                return tuple(restore(item) for item in items)
            case {"array": int() as index} if 0 <= index < len(arrays):
                return arrays[index]
            case {"scalar": int() as index} if 0 <= index < len(arrays):
                return arrays[index][()]
        raise Garbled("no value of a worker")

    if not isinstance(packed_values, list):
        raise Garbled("no values of a worker")
    try:
        return tuple(restore(value) for value in packed_values)
    except RecursionError:
        raise Garbled("values in too many layers") from None
