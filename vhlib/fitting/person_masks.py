"""Masks of people, cut out and brought to one size: what the silhouette's terms compare with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad
from torch.nn.utils.rnn import pad_sequence

from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.cameras import Crop

# A window's side over the longer side of the person's box: room for limbs that don't fit yet.
WINDOW = 1.6
# From this share on a pixel is the person's.
HALF = 0.5


@dataclass(frozen=True, eq=False)
class PersonMasks:
    """N square windows of R x R pixels, one person in the middle of each.

    Args:
        camera: a batch of N, whose pixels are those of the windows.
        coverage: (N, R, R) the person's share of each pixel. Beyond the picture's border it goes on
            as it is there, since nobody knows where a cut-off person ends.
        in_picture: (N, R, R) which pixels lie in the picture.
    """

    camera: PerspectiveCamera
    coverage: Float[Tensor, "N R R"]
    in_picture: Bool[Tensor, "N R R"]
    PERSON_HEIGHT: ClassVar[float] = 200.0

    @classmethod
    def cut_out(
        cls, masks: Tensor, camera: PerspectiveCamera, person_height: float | int = PERSON_HEIGHT
    ) -> PersonMasks:
        """The people of whole pictures, each ``person_height`` pixels tall, or wide if that's more.

        Args:
            masks: (N, H, W) bool, or shares from 0 to 1; one person in each.
            camera: of the pictures; its fields may have the batch axis.

        Raises:
            ValueError: other shapes or values, or a mask with nobody in it.
        """
        _require_pictures(masks, camera)
        resolution = round(WINDOW * person_height)
        corners, sides, coverage, in_picture = zip(
            *(_cut(_shares(mask, sample), sample, resolution) for sample, mask in enumerate(masks)),
            strict=True,
        )
        side = torch.tensor(sides, dtype=coverage[0].dtype)
        crop = Crop(torch.tensor(corners) + side[:, None] / 2, side, resolution)
        return cls(camera.cropped(crop), torch.stack(coverage), torch.stack(in_picture))

    def __len__(self) -> int:
        """How many windows."""
        return len(self.coverage)

    def select(self, index) -> PersonMasks:
        """Some of the windows, by any index."""
        return PersonMasks(self.camera.select(index), self.coverage[index], self.in_picture[index])

    def distances(self) -> Float[Tensor, "N S S"]:
        """From the corners between pixels to where the person may be, pixels; negative in there.

        That is the mask, and all that lies beyond the picture. A distance transform runs from
        centre to centre of pixels, and the border lies half a pixel before; a corner has the mean
        of the pixels around it. So the distance is smooth across the lines through the centres, on
        which outlines are measured.
        """
        allowed = (self.coverage >= HALF) | ~self.in_picture
        signed = torch.stack([_to_other(~mask) - _to_other(mask) for mask in allowed])
        around = pad(signed[:, None], (1, 1, 1, 1), mode="replicate")
        return avg_pool2d(around, 2, stride=1)[:, 0].to(self.coverage)

    def outlines(self, every: int = 1) -> tuple[Float[Tensor, "N M 2"], Bool[Tensor, "N M"]]:
        """Points of each mask's outline, pixels, and which of the M exist.

        They lie where the coverage passes one half between two neighbours, in every so many rows
        and columns. The picture's border is no outline.
        """
        found = [
            torch.cat(
                [_crossings(*window, every), _crossings(*(w.T for w in window), every).flip(-1)]
            )
            for window in zip(self.coverage, self.in_picture, strict=True)
        ]
        points = pad_sequence(found, batch_first=True)
        count = torch.tensor([len(one) for one in found])
        return points, torch.arange(points.shape[1]) < count[:, None]


def _require_pictures(masks: Tensor, camera: PerspectiveCamera) -> None:
    width, height = camera.image_size
    if masks.ndim != 3 or len(masks) == 0 or masks.shape[1:] != (height, width):
        raise ValueError(
            f"masks must be (N, {height}, {width}) for the camera's {width} x {height} pictures, "
            f"found {tuple(masks.shape)}"
        )
    batches = {
        tuple(camera.focal_length.shape[:-1]),
        tuple(camera.principal_point.shape[:-1]),
        tuple(camera.T_camera_world.shape[:-2]),
    }
    if not batches <= {(), (len(masks),)}:
        raise ValueError(f"{len(masks)} masks, but cameras with batch axes {max(batches)}")
    if masks.dtype != torch.bool and not masks.is_floating_point():
        raise ValueError(
            f"masks must be bool, or shares from 0 to 1, found {masks.dtype}; try masks > 0"
        )


def _shares(mask: Tensor, sample: int) -> Float[Tensor, "H W"]:
    """The person's share of each pixel, or a ValueError."""
    if mask.dtype == torch.bool:
        return mask.float()
    low, high = mask.aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"masks must be shares from 0 to 1, that of sample {sample} runs from {low:g} to "
            f"{high:g}"
        )
    return mask


def _cut(
    mask: Float[Tensor, "H W"], sample: int, resolution: int
) -> tuple[list[int], int, Tensor, Tensor]:
    """The square about a person: left top corner, side, coverage, which pixels are in the picture.

    Beyond the picture the mask's border is repeated.
    """
    corner, side = _window(mask >= HALF, sample)
    columns, rows = (start + torch.arange(side) for start in corner)
    height, width = mask.shape
    x, y = columns.clamp(0, width - 1), rows.clamp(0, height - 1)
    within = (y == rows)[:, None] & (x == columns)
    pictures = torch.stack([mask[y[:, None], x], within.to(mask)])[None]
    size = resolution, resolution
    coverage, within = interpolate(pictures, size, mode="bilinear", antialias=True)[0]
    if coverage.max() < HALF:
        raise ValueError(f"the mask of sample {sample} is too thin to be a person")
    return corner, side, coverage, within >= HALF


def _window(inside: Bool[Tensor, "H W"], sample: int) -> tuple[list[int], int]:
    """Left top corner and side in whole pixels."""
    spans = [inside.any(axis).nonzero()[:, 0] for axis in (0, 1)]
    if not len(spans[0]):
        raise ValueError(f"the mask of sample {sample} is empty: no pixel reaches {HALF}")
    ends = [(int(span[0]), int(span[-1]) + 1) for span in spans]
    side = math.ceil(WINDOW * max(last - first for first, last in ends))
    return [(first + last - side) // 2 for first, last in ends], side


def _to_other(mask: Bool[Tensor, "R R"]) -> Float[Tensor, "R R"]:
    """From the centres of the mask's pixels to the border; zero elsewhere."""
    return (torch.from_numpy(distance_transform_edt(mask.numpy())) - 0.5).clamp(min=0)


def _crossings(coverage: Tensor, in_picture: Tensor, every: int) -> Float[Tensor, "m 2"]:
    """Where the coverage passes one half along every so many rows: x, y."""
    inside = coverage >= HALF
    passes = (inside[:, :-1] != inside[:, 1:]) & in_picture[:, :-1] & in_picture[:, 1:]
    row, column = passes[::every].nonzero(as_tuple=True)
    row = every * row
    left, right = coverage[row, column], coverage[row, column + 1]
    between = (HALF - left) / (right - left)
    return torch.stack([column + 0.5 + between, row + 0.5], -1)
