"""Find, read, check and write body models in SMPL's file format."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from importlib import resources
from pathlib import Path

import numpy as np

from vhlib.body.model_data import (
    OPTIONAL_SHAPES,
    REQUIRED_SHAPES,
    TEXTS,
    BodyModelData,
    ModelFileError,
    build_model,
    model_arrays,
)
from vhlib.body.pickled_arrays import MAX_BYTES, read_pickled_arrays
from vhlib.body.safe_pickle import PickleError
from vhlib.files import write_atomically

__all__ = [
    "BodyModelData",
    "ModelFileError",
    "convert_model",
    "find_model",
    "read_model",
    "write_model",
]

BODY_NAMES = ("neutral", "female", "male")
# The lesson's body has the rig's own weights, unsmoothed: skinning's faults show on it.
SHIPPED_FILES = {name: f"open_body_{name}.npz" for name in BODY_NAMES} | {
    "lesson": "lesson_body_neutral.npz"
}
# Damage, a password, an unknown compression: the zip module has no error of its own for these.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)

KEYS = (*REQUIRED_SHAPES, *OPTIONAL_SHAPES)


def find_model(name_or_path: str | Path) -> Path:
    """The file of a shipped body (a name in ``SHIPPED_FILES``), or any other existing file.

    Raises:
        FileNotFoundError: neither such a name nor an existing path.
    """
    name = str(name_or_path)
    path = Path(name_or_path)
    if name in SHIPPED_FILES:
        path = Path(str(resources.files("vhlib") / "assets" / SHIPPED_FILES[name]))
        if not path.exists():
            raise FileNotFoundError(f"the body {name!r} isn't built yet; run vh build-body")
    if not path.is_file():
        raise FileNotFoundError(
            f"no body model {name!r}: expected {', '.join(SHIPPED_FILES)}, or the path of an"
            " existing SMPL-format file (.npz or .pkl)"
        )
    return path


def read_model(path: str | Path) -> BodyModelData:
    """Read and check a SMPL-format model; keys beyond the standard ones are ignored.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: the file can't be read, isn't a body model, or breaks one of its rules.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise FileNotFoundError
        return build_model(_read_arrays(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no model file {path}") from None
    except PickleError as error:
        raise ModelFileError(_one_line(error)) from None
    except MemoryError:
        raise ModelFileError(f"{path}: needs more memory than there is") from None
    except (ModelFileError, OSError) as error:
        raise ModelFileError(_one_line(f"{path}: {error}")) from None


def write_model(model: BodyModelData, path: str | Path) -> None:
    """Write an npz under SMPL's keys, without pickled objects; equal models give equal bytes.

    Raises:
        ModelFileError: the model breaks a rule that ``read_model`` checks.
        OSError: ``path`` is a directory, or its folder is missing or not writable.
    """
    arrays = model_arrays(model)
    build_model(arrays)
    with write_atomically(path) as file, zipfile.ZipFile(file, "w") as archive:
        for key, array in arrays.items():
            archive.writestr(_member(key), _npy_bytes(array), zipfile.ZIP_DEFLATED)


def convert_model(source: str | Path, target: str | Path) -> None:
    """Rewrite a SMPL-format model, pickle or npz, as an npz that ``numpy.load`` opens safely.

    Raises:
        FileNotFoundError: ``source`` or the folder of ``target`` doesn't exist.
        ModelFileError: ``source`` isn't a usable model, or ``target`` doesn't end in .npz.
        OSError: ``target`` can't be written.
    """
    target = Path(target)
    if target.suffix != ".npz":
        raise ModelFileError(f"the converted model is {target.name!r}, expected a name in .npz")
    write_model(read_model(source), target)


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def _member(key: str) -> zipfile.ZipInfo:
    """A zip entry that doesn't depend on the clock or the system."""
    info = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3
    return info


def _npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise ModelFileError("is a folder or a device, expected a file (.npz or .pkl)")
    with path.open("rb") as file:
        start = file.read(2)
    if not start:
        raise ModelFileError("is empty; get the file again")
    if start == b"PK":
        return _read_npz(path)
    return read_pickled_arrays(path, KEYS, TEXTS)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_members(archive)
    except ModelFileError:
        raise
    except (*_ZIP_ERRORS, ValueError) as error:
        raise ModelFileError(
            f"isn't an npz of plain arrays ({str(error)[:200]}); get it again, or run vh"
            " convert-model on the pickle that it was made from"
        ) from None


def _read_members(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """The known arrays. A member never unpacks to more than the size it declares."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    known = {key: members[key] for key in KEYS if key in members}
    if sum(info.file_size for info in known.values()) > MAX_BYTES:
        raise ModelFileError(f"unpacks to over {MAX_BYTES} bytes, which no body model does")
    arrays = {}
    for key, info in known.items():
        with archive.open(info) as member:
            arrays[key] = np.lib.format.read_array(member, allow_pickle=False)
    return arrays
