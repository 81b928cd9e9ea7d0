"""Hostile pickles. What each would do is first seen to happen with Python's own ``pickle``."""

import contextlib
import copyreg
import operator
import os
import pickle
import runpy
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy._core.multiarray import _reconstruct
from numpy.f2py.crackfortran import myeval
from scipy import sparse

from tests.smpl_pickles import Ch, Select, chumpy_array, fake_chumpy, pickled, smpl_dict
from tests.toy_body import toy_model
from vhlib.body.model_files import ModelFileError, convert_model
from vhlib.body.pickled_arrays import read_pickled_arrays
from vhlib.body.safe_pickle import ALLOWED_GLOBALS, MAX_OPERATIONS, PickleError, parse_pickle

MARKER = Path("marker")  # every test runs in its own empty folder
CODE = "open('marker', 'w').close()"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Calls:
    """Pickles as a call of any function, with a state for what it returns."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced

    def __call__(self):
        raise NotImplementedError("only there so that pickle takes a call's result for a function")


def _numpy_load() -> Calls:
    np.save("inner.npy", np.array([Calls(exec, CODE)]), allow_pickle=True)
    return Calls(np.load, "inner.npy", None, True)


HARM = {
    "os.system": lambda: Calls(os.system, f'"{sys.executable}" -c "{CODE}"'),
    "eval": lambda: Calls(eval, CODE),
    "exec": lambda: Calls(exec, CODE),
    "open": lambda: Calls(open, "marker", "w"),
    "Path.touch": lambda: Calls(Path.touch, MARKER),
    "runpy": lambda: Calls(runpy._run_code, CODE, {}),
    "numpy.load": _numpy_load,
    "numpy.memmap": lambda: Calls(np.memmap, "marker", "u1", "w+", 0, (1,)),
    "numpy.savetxt": lambda: Calls(np.savetxt, "marker", [1]),
    "numpy.f2py": lambda: Calls(myeval, CODE, {}),
    "methodcaller": lambda: Calls(Calls(operator.methodcaller, "tofile", "marker"), np.ones(1)),
    "getattr": lambda: Calls(Calls(getattr, np.ones(1), "tofile"), "marker"),
}
PLACES = {
    "the whole file": lambda harm: harm,
    "a list": lambda harm: [[harm]],
    "a needed array": lambda harm: _model_with(posedirs=harm),
    "an ignored key": lambda harm: _model_with(comment={"deep": (1, [harm])}),
    "a key": lambda harm: _model_with() | {harm: 1},
    "an array's data": lambda harm: _model_with(f=_array_with(harm)),
    "an array's shape": lambda harm: _model_with(f=_array_with(b"", harm)),
    "an array's dtype": lambda harm: _model_with(f=_array_with(b"", (), harm)),
    "a sparse matrix": lambda harm: _model_with(J_regressor=_sparse_with(data=harm)),
    "a chumpy array": lambda harm: _model_with(shapedirs=Ch(x=harm)),
}


def _model_with(**changes: object) -> dict[str, object]:
    return smpl_dict(toy_model()) | changes


def _array_with(data: object, shape: object = (1,), dtype: object = np.dtype("f8")) -> Calls:
    return Calls(_reconstruct, np.ndarray, (0,), b"b", state=(1, shape, dtype, False, data))


def _sparse_with(kind: type = sparse.csc_matrix, **changes: object) -> Calls:
    """The identity of size two, with some of its parts changed."""
    ids = np.array([0, 1])
    parts = {"_shape": (2, 2), "data": np.ones(2), "indices": ids, "indptr": np.array([0, 1, 2])}
    return _sparse(kind, parts | {"coords": (ids, ids)} | changes)


def _sparse(kind: type, state: object) -> Calls:
    return Calls(copyreg._reconstructor, kind, object, None, state=state)


def refusal(data: bytes) -> str:
    """The one-line message with which both readers of a file of ``data`` refuse it."""
    path = Path("model.pkl")
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        convert_model(path, "model.npz")
    with pytest.raises(PickleError):
        read_pickled_arrays(path, smpl_dict(toy_model()))
    assert not Path("model.npz").exists()
    assert "\n" not in str(caught.value)
    assert "model.pkl" in str(caught.value)
    return str(caught.value)


# --- code -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("harm", HARM)
def test_code_is_never_run(harm, place):
    data = pickled(PLACES[place](HARM[harm]()), protocol=len(harm) % 6)
    with fake_chumpy(), contextlib.suppress(Exception):
        pickle.loads(data)
    assert MARKER.exists(), "this pickle would have been harmless anyway"
    MARKER.unlink()
    assert "asks for" in refusal(data)
    assert not MARKER.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_the_refused_global_is_named(protocol):
    message = refusal(pickled(HARM["os.system"](), protocol))
    assert f"'{os.system.__module__}.system'" in message


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy", "load"),
        ("numpy.core", "multiarray.os.system"),
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "dtype.__class__.__base__.__subclasses__"),
        ("scipy.sparse._csc", "csc_matrix.__init__.__globals__"),
        ("scipy.sparse._csc", "sys"),
        ("numpy.f2py.crackfortran", "myeval"),
        ("numpy.ctypeslib", "load_library"),
        ("numpy.testing", "rundocs"),
        ("numpy.distutils.exec_command", "exec_command"),
        ("builtins", "getattr"),
        ("__builtin__", "eval"),
        ("copyreg", "__newobj__"),
        ("copyreg", "add_extension"),
        ("codecs", "encode"),
        ("_codecs", "decode"),
        ("torch", "load"),
        ("numpy ", "ndarray"),
        ("numpy", "ndarray\r"),
        ("numpy", "ndarra\u0443"),
        ("", ""),
        ("numpy" * 10_000, "x" * 10_000),
    ],
)
def test_only_exact_names_are_allowed(module, name):
    assert (module, name) not in ALLOWED_GLOBALS
    texts = [text.encode() for text in (module, name)]
    spelt_out = b"".join(b"X" + struct.pack("<I", len(text)) + text for text in texts)
    message = refusal(spelt_out + b"\x93.")
    assert ascii(f"{module}.{name}")[:100] in message
    assert len(message) < 500
    if name.isascii():
        refusal(b"c" + texts[0] + b"\n" + texts[1] + b"\n.")


@pytest.mark.parametrize(
    ("data", "operation"),
    [
        (b"(S'" + CODE.replace("'", '\\"').encode() + b"'\ni__builtin__\nexec\n.", "INST"),
        (b"(c__builtin__\nset\no.", "OBJ"),
        (b"Pname\n.", "PERSID"),
        (b"\x8c\x04nameQ.", "BINPERSID"),
        (b"\x82\x01.", "EXT1"),
        (b"\x83\x01\x00.", "EXT2"),
        (b"\x84\x01\x00\x00\x00.", "EXT4"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"\x80\x05\x98.", "READONLY_BUFFER"),
        (b"cnumpy\nndarray\n)}\x92.", "NEWOBJ_EX"),
    ],
)
def test_operations_that_no_array_needs_are_refused(data, operation):
    assert operation in refusal(data)


@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy\nndarray\n}S'x'\nI1\nsb.",  # a state for a class: setattr on the class
        b"cnumpy\nndarray\nN}S'x'\nI1\ns\x86b.",  # the same through slots
        b"}}b.",
        b"cnumpy\nndarray\n)R)R.",  # a call of what a call returns
        b"S'system'\n)R.",
        b"cnumpy\nndarray\n(lR.",  # a list of arguments
        b"cnumpy\nndarray\nI1\na.",
        b"I1\nS'x'\nI1\ns.",
        b"(.",
        b")0.",
        b"0.",
        b"1.",
        b"g0\n.",
        b"\x94.",
        b".",
        b"t.",
        b"}(S'a'\nu.",
        b"\x93.",
        b"NN\x93.",
    ],
)
def test_broken_programs_are_refused(data):
    refusal(data)


def test_parsing_imports_nothing():
    content = smpl_dict(toy_model()) | {"v_template": chumpy_array(toy_model().v_template)}
    before = set(sys.modules)
    for protocol in range(6):
        parse_pickle(pickled(content, protocol, python2=protocol < 3))
    assert set(sys.modules) == before
    assert "chumpy" not in sys.modules


# --- memory and time ------------------------------------------------------------------------------

NESTED_PAIRS = b")" + b"2\x86" * 60  # sharing makes 60 steps a tree of 2^60 leaves
SIZED = {"BINBYTES8": b"\x8e", "BYTEARRAY8": b"\x96", "BINUNICODE8": b"\x8d", "FRAME": b"\x95"}
BOMBS = {
    **{f"{name} of 1 TiB": code + struct.pack("<Q", 2**40) for name, code in SIZED.items()},
    **{f"{name} of 8 EiB": code + struct.pack("<Q", 2**63) for name, code in SIZED.items()},
    "BINBYTES of 4 GiB": b"B" + struct.pack("<I", 2**32 - 1),
    "LONG4 of 2 GiB": b"\x8b" + struct.pack("<i", 2**31 - 1),
    "a memo of 32 GiB": b"Nr" + struct.pack("<I", 2**32 - 1) + b".",
    "a memo index of many digits": b"Np" + b"9" * 4000 + b"\n.",
    "an integer of many digits": b"I" + b"9" * 10_000 + b"\n.",
    "dicts without end": b"}" * 10 * MAX_OPERATIONS,
    "marks without end": b"(" * 10 * MAX_OPERATIONS,
    "lists within lists": b"]" * 90_000 + b"a" * 89_999 + b".",
    "tuples within tuples": b"N" + b"\x85" * 180_000 + b".",
    "a tree of 2^60 leaves": NESTED_PAIRS + b".",
    "2^60 leaves in a message": NESTED_PAIRS + b"S'name'\n\x93.",
    "2^60 leaves in a hash": b"}" + NESTED_PAIRS + b"Ns.",
    "2^60 leaves in a dtype": b"}S'f'\ncnumpy\ndtype\n" + NESTED_PAIRS + b"\x85Rs.",
    "keys of one hash": pickled({(2**61 - 1) * i: i for i in range(20_000)}),
}
MEASURE = """
import sys, time, tracemalloc
from pathlib import Path
from vhlib.body.model_files import ModelFileError, read_model
for path in sorted(Path(".").glob("*.pkl")):
    tracemalloc.start()
    start = time.process_time()
    try:
        read_model(path)
    except ModelFileError as error:
        seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
        print(path, seconds, peak, len(str(error)))
    tracemalloc.stop()
"""


def test_a_small_file_takes_little_memory_and_time():
    for number, data in enumerate(BOMBS.values()):
        Path(f"{number:02}.pkl").write_bytes(data)
    # In a process of its own: the type checks of the tests multiply the time of every call.
    result = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert len(lines) == len(BOMBS), "a bomb was read without an error"
    for name, (_, seconds, peak, length) in zip(BOMBS, lines, strict=True):
        assert float(seconds) < 10, name
        assert int(peak) < 100e6, name
        assert int(length) < 500, name


def _chumpy_cycle() -> Ch:
    array = Ch(x=None)
    array.x = array
    return array


def _chumpy_tower(height: int) -> Ch:
    return Ch(x=_chumpy_tower(height - 1)) if height else chumpy_array(np.eye(2))


@pytest.mark.parametrize("kind", [sparse.csc_matrix, sparse.csr_matrix, sparse.coo_matrix])
def test_the_arrays_that_are_falsified_below_are_read_as_they_are(kind):
    content = {"sparse": _sparse_with(kind), "dense": _array_with(np.array(3.0).tobytes())}
    Path("arrays.pkl").write_bytes(pickled(content))
    arrays = read_pickled_arrays(Path("arrays.pkl"), content)
    np.testing.assert_array_equal(arrays["sparse"], np.eye(2))
    np.testing.assert_array_equal(arrays["dense"], [3.0])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array([None]), "'O8'"),
        (np.zeros(1, "f4,i4"), "'V8'"),
        (np.array(["text"]), "'U4'"),
        (np.array([b"text"]), "'S4'"),
        (np.array([1j]), "'c16'"),
        (np.array(["2000-01-01"], "M8[D]"), "'M8'"),
        (_array_with(bytes(8), (2,)), "8 bytes"),
        (_array_with(bytes(8), (2**30,) * 4), "8 bytes"),
        (_array_with(b"", (2**62,)), "out of range"),
        (_array_with(b"", (-1, 8)), "out of range"),
        (_array_with(b"", (0, 2**30, 2**30, 2**30)), "posedirs"),
        (_array_with(b"", (1,) * 65), "shape"),
        (_array_with(b"", [1]), "shape"),
        (_array_with(b"", (1.0,)), "out of range"),
        (_array_with([1.0]), "bytes"),
        (_array_with(bytes(8), (1,), "f8"), "dtype"),
        (Calls(_reconstruct, np.ndarray, (2**40,), b"d"), "posedirs"),
        (Calls(np.ndarray, (2**40,)), "ndarray"),
        (np.dtype("f8"), "dtype"),
        ([1.0, 2.0], "list"),
        ("text", "str"),
        (None, "NoneType"),
        (_sparse_with(_shape=(2**30, 2**30)), "beyond any body model"),
        (_sparse_with(_shape=(2, 2, 2)), "posedirs"),
        (_sparse_with(_shape=(2, 1)), "posedirs"),
        (_sparse_with(indices=np.array([0, 2])), "from 0 to 2"),
        (_sparse_with(indices=np.array([0, -1])), "from -1 to 0"),
        (_sparse_with(indices=np.array([0.0, 1.0])), "integers"),
        (_sparse_with(indices=np.array([[0], [1]])), "integers"),
        (_sparse_with(indptr=np.array([0, 2, 1])), "out of order"),
        (_sparse_with(indptr=np.array([0, 0, 2**40])), "posedirs"),
        (_sparse_with(indptr=np.array([0, 2])), "out of order"),
        (_sparse_with(indptr=np.array([], int)), "posedirs"),
        (_sparse_with(data=np.ones(3)), "posedirs"),
        (_sparse_with(data=_sparse_with()), "expected an array"),
        (_sparse_with(sparse.csr_matrix, indices=np.array([0, 2])), "from 0 to 2"),
        (_sparse_with(sparse.coo_matrix, coords=(np.array([0, -5]),) * 2), "from -5 to 0"),
        (_sparse_with(sparse.coo_matrix, coords=(np.array([0, 1]),)), "posedirs"),
        (_sparse_with(sparse.coo_matrix, coords=()), "posedirs"),
        (_sparse(sparse.csc_matrix, ["_shape"]), "no attributes"),
        (Ch(y=1), "x"),
        (_chumpy_cycle(), "nested"),
        (_chumpy_tower(20), "nested"),
        (Select(a=chumpy_array(np.eye(2)), idxs=np.array([4])), "out of bounds"),
        (Select(a=chumpy_array(np.eye(2)), idxs=chumpy_array(np.eye(2))), "expected an array"),
        (Select(a=chumpy_array(np.eye(2)), idxs=np.array([1]), preferred_shape=(2,)), "reshape"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_false_arrays_are_refused(value, words, protocol):
    message = refusal(pickled(_model_with(posedirs=value), protocol))
    assert words in message
    assert "posedirs" in message
