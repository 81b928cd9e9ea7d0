"""Parse an untrusted pickle without running any of it.

A pickle is a program for a small stack machine, and Python's own machine imports and calls whatever
the program names. The one below has the same stack and memo but never imports or calls anything: a
name must stand in ``ALLOWED_GLOBALS`` and becomes a ``Name``, a call becomes a ``Call``, which only
remembers. ``pickled_arrays`` then reads those records as the arrays that they describe.
"""

from __future__ import annotations

import codecs
import io
import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_NUMPY_CORES = ("numpy.core", "numpy._core")
_SPARSE_FORMATS = ("csc", "csr", "coo")
_BUILTINS = ("__builtin__", "builtins")

# What numpy, scipy, chumpy and Python's copy protocol write, in all their spellings.
ALLOWED_GLOBALS = frozenset(
    [(f"{core}.multiarray", name) for core in _NUMPY_CORES for name in ("_reconstruct", "scalar")]
    + [(f"{core}.numeric", "_frombuffer") for core in _NUMPY_CORES]
    + [("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")]
    + [("numpy", "matrix"), ("numpy.matrixlib.defmatrix", "matrix")]
    + [
        (f"scipy.sparse.{prefix}{name}", f"{name}_{kind}")
        for name in _SPARSE_FORMATS
        for prefix in ("", "_")
        for kind in ("matrix", "array")
    ]
    + [("chumpy", "Ch"), ("chumpy.ch", "Ch"), ("chumpy.reordering", "Select")]
    + [("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")]
    + [(module, name) for module in _BUILTINS for name in ("object", "set", "bytes")]
    + [("collections", "OrderedDict")]
)

# An array takes about 25, so a body model a few hundred. So many take under a second and 100 MB.
MAX_OPERATIONS = 200_000

_ADVICE = "it is of another type, cut off, or was copied as text: get it again in binary mode"


class PickleError(ValueError):
    """A pickle that is damaged, or holds what an array file needn't; the message is one line."""


@dataclass(frozen=True, eq=False)
class Name:
    """An allowed global by its last name; it was never looked up."""

    name: str


@dataclass(eq=False)
class Call:
    """A call that wasn't made, and the state that its result would have been given."""

    function: Name
    args: tuple
    state: object = None

    @property
    def name(self) -> str:
        """What is called: a function, or the class of a new object."""
        if self.function.name == "_reconstructor" and self.args and type(self.args[0]) is Name:
            return self.args[0].name
        return self.function.name


def parse_pickle(data: bytes) -> object:
    """The pickled object, with a ``Call`` in place of all but Python's own numbers, strings,
    bytes, lists, tuples and dicts (sets come as lists).

    Protocols 0 to 5; Python 2's 8-bit strings are read as latin-1.

    Raises:
        PickleError: the data is damaged, or asks for a global or an operation beyond arrays.
    """
    machine = _Machine()
    try:
        for count, (operation, argument) in enumerate(_operations(data)):
            if count == MAX_OPERATIONS:
                raise PickleError(f"has over {MAX_OPERATIONS} operations, which no body model has")
            if operation == "STOP":
                return machine.stack.pop()
            machine.step(operation, argument)
    except PickleError:
        raise
    except (ValueError, TypeError, IndexError) as error:
        reason = str(error)[:100]
        raise PickleError(f"isn't a whole pickle ({reason}); {_ADVICE}") from None
    raise PickleError(f"isn't a whole pickle (it has no end); {_ADVICE}")


def _operations(data: bytes) -> Iterator[tuple[str, object]]:
    """``pickletools.genops``, which would take a Python 2 string of protocol 0 for ASCII."""
    table = {info.code: info for info in pickletools.opcodes}
    stream = io.BytesIO(data)
    while code := stream.read(1):
        info = table.get(code.decode("latin1"))
        if info is None:
            raise ValueError(f"byte {stream.tell() - 1} is {code!r}")
        if info.name == "STRING":
            yield info.name, _python2_string(stream.readline())
        else:
            yield info.name, info.arg.reader(stream) if info.arg else None


def _python2_string(line: bytes) -> str:
    quoted = line.removesuffix(b"\n")
    if len(quoted) < 2 or quoted[:1] != quoted[-1:] or quoted[:1] not in (b"'", b'"'):
        raise ValueError("a string has no closing quote")
    return codecs.escape_decode(quoted[1:-1])[0].decode("latin1")


@dataclass
class _Machine:
    """A stack that is set aside at each mark, and a memo."""

    stack: list = field(default_factory=list)
    set_aside: list[list] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)

    def step(self, operation: str, argument: object) -> None:
        """Carry out one operation."""
        if operation not in _OPERATIONS:
            raise PickleError(f"uses {operation}, which an array file doesn't need; it was refused")
        _OPERATIONS[operation](self, argument)

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        return self.stack.pop()

    def pop_many(self, count: int) -> list:
        """The last ``count`` values in the order in which they were pushed."""
        return [self.stack.pop() for _ in range(count)][::-1]

    def pop_marked(self) -> list:
        """All that was pushed since the last mark."""
        values, self.stack = self.stack, self.set_aside.pop()
        return values

    def mark(self) -> None:
        """Set the stack aside."""
        self.set_aside.append(self.stack)
        self.stack = []

    def pop_value_or_mark(self) -> None:
        """Drop the last value, or the mark if nothing was pushed since."""
        if self.stack:
            self.stack.pop()
        else:
            self.pop_marked()

    def memorize(self, index: int) -> None:
        """Remember the last value. Pickles count from zero, so a large index is an attack."""
        if not 0 <= index < MAX_OPERATIONS:
            raise ValueError("a memo index is out of range")
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        """Push what was remembered."""
        if index not in self.memo:
            raise ValueError("it recalls what was never set")
        self.stack.append(self.memo[index])

    def extend(self, values: list) -> None:
        """Append to the list on the stack."""
        if not isinstance(self.stack[-1], list):
            raise TypeError(f"can't append to {type(self.stack[-1]).__name__}")
        self.stack[-1].extend(values)

    def update(self, values: list) -> None:
        """Set items of the dict on the stack; an ``OrderedDict`` is a ``Call``, and loses them."""
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(_items(values))
        elif not isinstance(self.stack[-1], Call):
            raise TypeError(f"can't set an item of {type(self.stack[-1]).__name__}")

    def call(self, function: object, args: object) -> None:
        """Record a call of an allowed name."""
        if not isinstance(function, Name) or not isinstance(args, tuple):
            raise PickleError("calls something other than an allowed name, which was refused")
        self.push(Call(function, args))

    def build(self, state: object) -> None:
        """Record a state; only something that was called can have one."""
        if not isinstance(self.stack[-1], Call):
            raise PickleError("gives a state to something that isn't an array, which was refused")
        self.stack[-1].state = state


def _items(values: list) -> dict[str, object]:
    """A dict of alternating keys and values, without the keys that aren't strings.

    Model files have none that matter, and only strings are safe to hash: their hashes are salted,
    so no file can make them collide, and never descend into tuples within tuples.
    """
    pairs = zip(values[::2], values[1::2], strict=True)
    return {key: value for key, value in pairs if type(key) is str}


def _allowed(module: object, name: object) -> Name:
    if type(module) is not str or type(name) is not str:
        raise PickleError("asks for a global whose name isn't text, which was refused")
    if (module, name) not in ALLOWED_GLOBALS:
        raise PickleError(
            f"asks for {ascii(f'{module}.{name}')[:200]}, which an array file doesn't need: refused"
            " before anything was run; don't trust this file, get the model from its publisher"
        )
    return Name(name)


_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8"),
)

# Left out, so refused: INST and OBJ (old-style classes), persistent ids, extension codes, and
# buffers outside the file.
_OPERATIONS: dict[str, Callable] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    **dict.fromkeys(_LITERALS, _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_SET": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "MARK": lambda machine, _: machine.mark(),
    "LIST": lambda machine, _: machine.push(machine.pop_marked()),
    "FROZENSET": lambda machine, _: machine.push(machine.pop_marked()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_marked())),
    "DICT": lambda machine, _: machine.push(_items(machine.pop_marked())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.pop_many(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.pop_many(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.pop_many(3))),
    "APPEND": lambda machine, _: machine.extend(machine.pop_many(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_marked()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.pop_marked()),
    "SETITEM": lambda machine, _: machine.update(machine.pop_many(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.pop_marked()),
    "POP": lambda machine, _: machine.pop_value_or_mark(),
    "POP_MARK": lambda machine, _: machine.pop_marked(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "PUT": _Machine.memorize,
    "BINPUT": _Machine.memorize,
    "LONG_BINPUT": _Machine.memorize,
    "MEMOIZE": lambda machine, _: machine.memorize(len(machine.memo)),
    "GET": _Machine.recall,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "GLOBAL": lambda machine, names: machine.push(_allowed(*names.split(" ", 1))),
    "STACK_GLOBAL": lambda machine, _: machine.push(_allowed(*machine.pop_many(2))),
    "REDUCE": lambda machine, _: machine.call(*machine.pop_many(2)),
    "NEWOBJ": lambda machine, _: machine.call(*machine.pop_many(2)),
    "BUILD": lambda machine, _: machine.build(machine.pop()),
}
