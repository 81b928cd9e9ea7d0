"""Video files as pictures, by PyAV, which installs with the extra ``video``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np


def read_frames(path: str | Path, indices: Collection[int] | None = None) -> Iterator[np.ndarray]:
    """Pictures of a video in order, each uint8 (H, W, 3) RGB; only those of ``indices`` if given.

    Frames between them are decoded too, since most depend on the one before.

    Raises:
        ImportError: PyAV isn't installed.
        IndexError: the video ends before the last of ``indices``.
        ValueError: the file isn't a video.
    """
    av = _import_av()
    last = max(indices, default=-1) if indices is not None else None
    with _opened(av, path) as container:
        for i, picture in enumerate(container.decode(video=0)):
            if last is not None and i > last:
                return
            if indices is None or i in indices:
                yield picture.to_ndarray(format="rgb24")
        if last is not None and i < last:
            raise IndexError(f"{path} has {i + 1} frames, there is no frame {last}")


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height of a video's pictures in pixels."""
    with _opened(_import_av(), path) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height


def _import_av():
    try:
        import av
    except ImportError:
        raise ImportError(
            "reading videos needs PyAV: run `pip install av` or `pip install 'vhlib[video]'`"
        ) from None
    return av


def _opened(av, path: str | Path):
    try:
        return av.open(str(path))
    except av.error.InvalidDataError:
        raise ValueError(f"{path}: not a video file that PyAV can read") from None
