"""What a process that nobody vouches for may send, and what is refused."""

from __future__ import annotations

import json
import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from vhlib.course.grading.child.framing import (
    LENGTHS,
    MAX_ARRAYS_BYTES,
    Channel,
    Ended,
    Garbled,
    OutOfTime,
    packed,
    restored,
)

KINDS = st.sampled_from(["?", "<i4", "<i8", "|u1", "<f4", "<f8", "<c16"]).map(np.dtype)
ARRAYS = KINDS.flatmap(
    lambda kind: arrays_of.arrays(kind, arrays_of.array_shapes(min_dims=0, min_side=0, max_side=3))
)
PLAIN = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5)
VALUES = PLAIN | ARRAYS | st.floats(allow_nan=False) | st.tuples(ARRAYS, PLAIN)


@pytest.fixture
def ends():
    one, other = socket.socketpair()
    with one, other:
        yield Channel(one), Channel(other)


def frame(message: object, described: object = (), body: bytes = b"") -> bytes:
    """A frame as somebody might forge it."""
    header = json.dumps({"message": message, "arrays": described}).encode()
    return LENGTHS.pack(len(header), len(body)) + header + body


def same(one: object, other: object) -> bool:
    """Whether two values are of one type and equal."""
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
    return type(one) is type(other) and one == other


@given(st.lists(VALUES, max_size=4).map(tuple))
def test_what_is_sent_arrives(values):
    one, other = socket.socketpair()
    with one, other:
        message, arrays = packed(values)
        Channel(one).send({"values": message}, arrays)
        received, arrays = Channel(other).receive()

    assert same(restored(received["values"], arrays), values)


def test_a_number_keeps_its_precision():
    (value,) = restored(*packed((np.float32(1.5),)))

    assert type(value) is np.float32


@pytest.mark.parametrize(
    "sent",
    [
        LENGTHS.pack(2**32 - 1, 0),
        LENGTHS.pack(10, MAX_ARRAYS_BYTES + 1),
        LENGTHS.pack(4, 0) + b"\xff\xfe{}",
        LENGTHS.pack(60000, 0) + b"[" * 60000,
        frame([1]),
        frame(None),
        frame({}, [["<f8", [2]]], b"short"),
        frame({}, [["<f8", [1]]], b"eight by" + b"more"),
        frame({}, [["|O", [1]]], b"eight by"),
        frame({}, [["<U9", [1]]], b"x" * 36),
        frame({}, [["<f8", [-1]]], b""),
        frame({}, [["<f8", [True]]], b"eight by"),
        frame({}, [["<f8", [2**26, 2**26, 0]]], b"x"),
        frame({}, [["<f8", [0] * 40]], b""),
        frame({}, [["<f8", [0]]] * 40, b""),
        frame({}, 7),
        frame({}, [[["<f8"], [1]]], b"eight by"),
    ],
)
def test_what_is_no_frame_is_refused(ends, sent):
    one, other = ends
    one.stream.sendall(sent)

    with pytest.raises(Garbled):
        other.receive()


@pytest.mark.parametrize(
    "value", [{"array": 0}, {"array": -1}, {"array": True}, {}, 7, {"items": 3}, {"value": [1]}]
)
def test_what_is_no_value_is_refused(value):
    with pytest.raises(Garbled):
        restored([value], [])


def test_silence_and_the_end_are_told_apart(ends):
    one, other = ends
    left = iter([0.01, 0.0])
    other.patience = lambda: next(left)
    with pytest.raises(OutOfTime):
        other.receive()

    one.close()
    other.patience = lambda: None
    with pytest.raises(Ended):
        other.receive()
