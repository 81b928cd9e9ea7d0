"""Photos from files: upright, in 8-bit RGB, with the focal length that the camera noted."""

from __future__ import annotations

import io
import logging
import warnings
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

# What a phone's HEIC files say after their first four bytes.
_HEIF_BRANDS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1", b"ftyphevc", b"ftypheim")

# Some of Pillow's decoders log what they raise a moment later.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True, eq=False)
class Photo:
    """Pixels (H, W, 3), upright, and EXIF's 35-mm equivalent focal length if the file has one."""

    pixels: UInt8[np.ndarray, "H W 3"]
    focal_35mm: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.pixels.shape[1], self.pixels.shape[0]


def read_photo(path: str | Path) -> Photo:
    """A picture as 8-bit RGB, turned upright as its EXIF orientation says.

    Raises:
        ValueError: not a picture, or damaged; one line with the file's name.
        OSError: can't be read.
    """
    path = Path(path)
    content = path.read_bytes()
    if not content:
        raise ValueError(f"{path} is empty, expected a picture")
    try:
        # Pillow warns about harmless things, such as large pictures and odd EXIF entries.
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)) as image:
            image.load()
            return Photo(_upright_rgb(image), _focal_35mm(image))
    except UnidentifiedImageError:
        heic = content[4:12] in _HEIF_BRANDS
        kind = "is a HEIC file, which Pillow can't" if heic else "isn't a picture that Pillow can"
        raise ValueError(f"{path} {kind} read; save it as JPEG or PNG") from None
    except MemoryError:
        raise ValueError(f"{path} needs more memory than there is; make it smaller") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        raise ValueError(f"{path} can't be read as a picture: {error}") from None


def _upright_rgb(image: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        # Pillow would clip 16-bit grey to its darkest 256 levels.
        grey = (np.asarray(upright).clip(0, 2**16 - 1) // 2**8).astype(np.uint8)
        upright = Image.fromarray(grey)
    return np.array(upright.convert("RGB"))


def _focal_35mm(image: Image.Image) -> float | None:
    """EXIF's entry in millimetres if a lens could have it; cameras write 0 for "unknown"."""
    exif = image.getexif().get_ifd(ExifTags.IFD.Exif)
    value = exif.get(ExifTags.Base.FocalLengthIn35mmFilm)
    known = isinstance(value, Real) and 5 < float(value) < 4000
    return float(value) if known else None
