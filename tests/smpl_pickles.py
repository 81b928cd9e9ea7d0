"""Pickles as the licensed model files have them, written without their software.

``write_pickle`` writes with any protocol. ``python2=True`` also spells strings, bytes and module
names as Python 2 with the numpy and scipy of 2015 did. Arrays wrapped by ``chumpy_array`` are
pickled as chumpy's, from a module that exists only while the file is written.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import types
from pathlib import Path
from unittest import mock

import numpy as np
from scipy import sparse

from vhlib.body.model_files import BodyModelData


class Ch:
    """The state of a chumpy array: its numbers in ``x``, and what chumpy remembers beside them."""

    def __init__(self, **terms):
        self.__dict__.update(terms, _dirty_vars=set(terms), _itr=None, _depends_on_deps={})


class Select(Ch):
    """Some elements of another chumpy array, in a shape of their own."""


Ch.__module__ = "chumpy.ch"
Select.__module__ = "chumpy.reordering"


def chumpy_array(array: np.ndarray) -> Ch:
    return Ch(x=np.asarray(array))


def chumpy_slice(array: np.ndarray, start: int, stop: int) -> Select:
    """``Ch(array)[..., start:stop]``."""
    ids = np.arange(array.size).reshape(array.shape)[..., start:stop]
    return Select(a=chumpy_array(array), idxs=ids.ravel(), preferred_shape=ids.shape)


def smpl_dict(model: BodyModelData, regressor=sparse.csc_matrix) -> dict[str, object]:
    """The content of a SMPL 1.0 pickle: double precision, a sparse regressor, unsigned ids."""
    kintree = np.stack([model.parents, np.arange(model.num_joints)]).astype(np.int64)
    return {
        "v_template": model.v_template,
        "f": model.faces.astype(np.uint32),
        "weights": model.lbs_weights,
        "shapedirs": model.shapedirs,
        "posedirs": model.posedirs,
        "J_regressor": regressor(model.J_regressor),
        "kintree_table": kintree.astype(np.uint32),
        "J": model.J_regressor @ model.v_template,
        "weights_prior": model.lbs_weights,
        "bs_type": "lrotmin",
        "bs_style": "lbs",
    }


def write_pickle(content: object, path: Path, protocol: int = 2, python2: bool = False) -> Path:
    path.write_bytes(pickled(content, protocol, python2))
    return path


def pickled(content: object, protocol: int = 2, python2: bool = False) -> bytes:
    with fake_chumpy():
        if not python2:
            return pickle.dumps(content, protocol)
        buffer = io.BytesIO()
        _Python2Pickler(buffer, protocol).dump(content)
    return _with_old_module_names(buffer.getvalue())


def fake_chumpy() -> contextlib.AbstractContextManager:
    """While this is open, ``chumpy.ch.Ch`` and ``chumpy.reordering.Select`` can be imported."""
    modules = {"chumpy": types.ModuleType("chumpy")}
    for value in (Ch, Select):
        module = types.ModuleType(value.__module__)
        setattr(module, value.__name__, value)
        modules[module.__name__] = module
    return mock.patch.dict(sys.modules, modules)


def _with_old_module_names(data: bytes) -> bytes:
    """numpy 1 and scipy before 1.8; names end a line, so the array bytes can't be meant."""
    data = data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    for name in (b"csc", b"csr", b"coo"):
        data = data.replace(b"cscipy.sparse._%b\n" % name, b"cscipy.sparse.%b\n" % name)
    return data


class _Python2Pickler(pickle._Pickler):
    """Writes ``str`` and ``bytes`` both as Python 2's 8-bit strings."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, value: str | bytes) -> None:
        data = value.encode("latin1") if isinstance(value, str) else value
        if self.proto == 0:
            self.write(pickle.STRING + repr(data).removeprefix("b").encode("ascii") + b"\n")
        elif len(data) < 256:
            self.write(pickle.SHORT_BINSTRING + len(data).to_bytes(1, "little") + data)
        else:
            self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(value)

    dispatch[str] = save_string
    dispatch[bytes] = save_string
