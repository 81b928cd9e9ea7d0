"""The file of public cases that comes with each sheet: ``vhlib/assets/checks/NN_name.npz``.

It holds what a check needs and no code: inputs, right answers, the answers of known mistakes (by
which one is recognised), hints. One array ``index`` is JSON; all arrays of a type lie end to end in
one array of that type, which keeps many small ones small.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from vhlib.course.bank import Case
from vhlib.course.comparison import Answer
from vhlib.files import read_npz, write_atomically

FOLDER = Path(__file__).parents[1] / "assets" / "checks"
TYPES = ("float64", "float32", "int64", "int32", "uint8", "bool")
INDEX = "index"


@dataclass(frozen=True)
class PublicCase:
    """A case with its right answer.

    Attributes:
        case: the call.
        expected: the reference's answer.
        mistaken: what known mistakes answer where that is wrong, by the mistake's position.
    """

    case: Case
    expected: Answer
    mistaken: dict[int, Answer]


@dataclass(frozen=True)
class PublicExercise:
    """What a student's machine knows of an exercise; the fields are those of ``Exercise``.

    Attributes:
        messages: one for each known mistake.
        pictured: names that only the sheet's pictures make, so that graders don't have them.
    """

    name: str
    points: int
    cases: tuple[PublicCase, ...]
    messages: tuple[str, ...]
    hints: tuple[str, ...]
    builds_on: tuple[str, ...]
    framework: str
    seconds: float | int
    drawing: str | None
    pictured: tuple[str, ...] = ()


def check_file(sheet: str) -> Path:
    """Where the installed library keeps the cases of the sheet named ``sheet``."""
    return FOLDER / f"{sheet}.npz"


def write_check_file(path: Path, exercises: tuple[PublicExercise, ...]) -> None:
    """Write ``exercises``, byte for byte the same for the same content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as file:
        np.savez_compressed(file, **to_arrays(exercises))


def read_check_file(path: Path) -> tuple[PublicExercise, ...]:
    """Read what `write_check_file` wrote.

    Raises:
        ValueError: it is damaged.
        OSError: it can't be read.
    """
    return from_arrays(read_npz(path, (INDEX, *TYPES)))


def to_arrays(exercises: tuple[PublicExercise, ...]) -> dict[str, np.ndarray]:
    """``exercises`` as one array for each type in use, and the index."""
    heaps: dict[str, list[np.ndarray]] = {}
    index = [_put(asdict(exercise), heaps) for exercise in exercises]
    text = json.dumps(index, ensure_ascii=False, sort_keys=True)
    joined = {kind: np.concatenate(heaps[kind]) for kind in TYPES if kind in heaps}
    return {INDEX: np.frombuffer(text.encode(), np.uint8), **joined}


def from_arrays(arrays: dict[str, np.ndarray]) -> tuple[PublicExercise, ...]:
    """The inverse of `to_arrays`.

    Raises:
        ValueError: the index isn't one, or asks for what isn't there.
    """
    try:
        index = json.loads(arrays[INDEX].tobytes())
        return tuple(_exercise(_get(entry, arrays)) for entry in index)
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a file of public cases ({error!r})") from None


def same_content(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    """Whether two files say the same up to the last digits, in which machines differ."""
    return set(first) == set(second) and all(
        first[key].shape == second[key].shape
        and np.allclose(first[key], second[key], rtol=1e-5, atol=1e-6, equal_nan=True)
        for key in first
    )


def _put(value: Any, heaps: dict[str, list[np.ndarray]]) -> Any:
    """``value`` in JSON's terms; its arrays go to the heap of their type.

    Raises:
        ValueError: it holds something that isn't an array, a number, a string or None.
    """
    if isinstance(value, dict):
        return {str(key): _put(entry, heaps) for key, entry in value.items()}
    if isinstance(value, tuple):
        return {"tuple": [_put(entry, heaps) for entry in value]}
    if isinstance(value, np.ndarray) or (
        isinstance(value, np.generic) and not isinstance(value, float)
    ):
        kind = value.dtype.name
        if kind not in TYPES:
            raise ValueError(f"an array of type {kind} can't be stored, expected {TYPES}")
        heap = heaps.setdefault(kind, [])
        entry = {"array": kind, "at": sum(map(len, heap)), "shape": list(value.shape)}
        heap.append(np.ravel(value))
        return entry
    if value is None or isinstance(value, str | int | float):
        return float(value) if isinstance(value, np.floating) else value
    raise ValueError(f"{type(value).__name__} can't be stored in a case")


def _get(entry: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The inverse of `_put`."""
    if not isinstance(entry, dict):
        return entry
    if "array" in entry:
        shape = tuple(entry["shape"])
        size = int(np.prod(shape))
        return arrays[entry["array"]][entry["at"] : entry["at"] + size].reshape(shape).copy()
    if "tuple" in entry:
        return tuple(_get(part, arrays) for part in entry["tuple"])
    return {key: _get(part, arrays) for key, part in entry.items()}


def _exercise(entry: dict[str, Any]) -> PublicExercise:
    """A `PublicExercise` from its fields in dictionaries."""
    cases = tuple(
        PublicCase(
            Case(**case["case"]),
            Answer(**case["expected"]),
            {int(key): Answer(**answer) for key, answer in case["mistaken"].items()},
        )
        for case in entry["cases"]
    )
    known = {field.name for field in fields(PublicExercise)}
    return PublicExercise(**{key: entry[key] for key in known} | {"cases": cases})
