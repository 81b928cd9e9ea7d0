"""Video files as pictures, by PyAV."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer


def read_frames(path: str | Path, indices: Collection[int] | None = None) -> Iterator[np.ndarray]:
    """Pictures of a video in order, each uint8 (H, W, 3) RGB; only those of ``indices`` if given.

    Frames between them are decoded too, since most depend on the one before.

    Raises:
        FileNotFoundError: there is no such file.
        IndexError: the video has no such frame.
        ValueError: the file isn't a video, or has sound alone.
    """
    remaining = None if indices is None else set(indices)
    with _opened(path) as container:
        for i, picture in enumerate(container.decode(video=0)):
            if remaining == set():
                return
            if remaining is None or i in remaining:
                yield picture.to_ndarray(format="rgb24")
            if remaining is not None:
                remaining.discard(i)
    if remaining:
        raise IndexError(f"{path} has no frame {min(remaining)}")


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height of a video's pictures in pixels; raises as ``read_frames``."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height


def _opened(path: str | Path) -> InputContainer:
    try:
        container = av.open(str(path))
    except av.error.InvalidDataError:
        raise ValueError(f"{path}: not a video file that PyAV can read") from None
    if not container.streams.video:
        container.close()
        raise ValueError(f"{path}: not a video, there are no pictures in it; is it sound alone?")
    return container
