"""Files written whole or not at all, and arrays read from files that nobody vouches for."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np


@contextmanager
def write_atomically(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file that appears under ``path`` only when the block ends without an error.

    Raises:
        OSError: ``path`` is a directory, or its folder is missing or not writable.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory, expected a file name")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} doesn't exist")
    with _naming(path.parent):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        # mkstemp makes the file private; give it the mode that an ordinary open would.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def write_folder_atomically(folder: str | Path) -> Iterator[Path]:
    """An empty folder to write files into; they move to ``folder`` when the block ends well.

    ``folder`` is made if it is missing; files of the same names are replaced.

    Raises:
        OSError: ``folder`` is a file, can't be made, or has a folder in the way of a file.
    """
    folder = Path(folder)
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise NotADirectoryError(f"{existing} is a file, expected a folder to write to")
    with _naming(existing):
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=existing))
    try:
        yield staging
        files = sorted(staging.iterdir())
        for blocked in (folder / file.name for file in files if (folder / file.name).is_dir()):
            raise IsADirectoryError(f"{blocked} is a folder in the way of an output file")
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def read_npz(path: str | Path, keys: Collection[str]) -> dict[str, np.ndarray]:
    """The arrays under those of ``keys`` that an npz holds; nothing in it is unpickled.

    Raises:
        ValueError: the file isn't an npz, or one of these arrays is damaged or pickled.
        OSError: it can't be read.
    """
    with Path(path).open("rb") as file:
        # numpy.load would also take a single array, and a pickle.
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path}: not an npz")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                return {key: archive[key] for key in keys if key in archive}
        # RuntimeError: an encrypted or unknown compression.
        except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{path}: not a readable npz ({error})") from None


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Errors name the folder, not the temporary file that couldn't be made in it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"can't be written to: {error.strerror}", str(folder)) from None
