"""The bank of sheet 10: what tries each function, and the answers that people give."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from vhlib.course.bank import Case, Exercise, Mistake

# ---------------------------------------------------------------------------- what several share


def centres(shape: tuple[int, int]) -> np.ndarray:
    """The centres (H, W, 2) of a picture's pixels, as (x, y)."""
    rows, columns = np.indices(shape) + 0.5
    return np.stack([columns, rows], axis=-1)


def blob(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Two discs (height, width), never empty and never on the picture's border."""
    mask = np.zeros((height, width), bool)
    for _ in range(2):
        x, y = generator.uniform(4, width - 4), generator.uniform(4, height - 4)
        radius = generator.uniform(1.0, 2.4)
        mask |= np.linalg.norm(centres(mask.shape) - [x, y], axis=-1) < radius
    return mask


def blobs(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """Masks (*shape) of two discs each."""
    out = np.empty(shape, bool)
    for index in np.ndindex(shape[:-2]):
        out[index] = blob(generator, *shape[-2:])
    return out


def per_image(function, *arrays):
    """``function`` of each picture (H, W) of the arrays (*, H, W), stacked."""
    batch = arrays[0].shape[:-2]
    results = [np.asarray(function(*(a[index] for a in arrays))) for index in np.ndindex(batch)]
    return np.stack(results).reshape((*batch, *results[0].shape))


def distance_to(mask: np.ndarray) -> np.ndarray:
    """scipy's distances (H, W) to a mask, infinite if it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    return ndimage.distance_transform_edt(~mask)


def pixels(mask: np.ndarray) -> np.ndarray:
    """Numbers (*) of covered pixels."""
    return np.count_nonzero(mask, axis=(-2, -1))


# ---------------------------------------------------------------------------- mask_iou


def iou_cases(generator: np.random.Generator) -> list[Case]:
    a, b = blobs(generator, 2, 12, 16)
    many, others = blobs(generator, 2, 2, 3, 10, 12)
    a[5:8, 5:9], b[6:9, 6:11] = True, True  # some overlap, whatever the discs do
    part = a.copy()
    part[:6] = False
    empty = np.zeros((12, 16), bool)
    example = np.array([[1, 1, 0], [1, 1, 0]], bool), np.array([[0, 1, 1], [0, 0, 0]], bool)
    some = np.stack([a, empty, empty]), np.stack([b, b, empty])
    return [
        Case("the example", example),
        Case("two blobs", (a, b)),
        Case("a mask and a part of it", (a, part)),
        Case("a mask and itself", (a, a.copy())),
        Case("apart", (a, ~a)),
        Case("two empty masks", (empty, empty.copy())),
        Case("a batch, one pair empty", some),
        Case("batch axes (2, 3)", (many, others)),
    ]


def iou_by_counts(a, b):
    """Union by inclusion and exclusion, one pair at a time."""

    def one(first, second):
        both = sum(bool(p and q) for p, q in zip(first.flat, second.flat, strict=True))
        union = int(first.sum()) + int(second.sum()) - both
        return both / union if union else 1.0

    return per_image(one, a, b)


def iou_by_least_and_most(a, b):
    shares = np.array([a, b], float)
    least, most = shares.min(0).sum((-2, -1)), shares.max(0).sum((-2, -1))
    return np.divide(least, most, out=np.ones(most.shape), where=most > 0)


def right_or(a, b, wrong):
    """``wrong`` (*) but 1 where both masks are empty."""
    return np.where(pixels(a | b) == 0, 1.0, wrong)


mask_iou = Exercise(
    "mask_iou",
    iou_cases,
    alternatives=(iou_by_counts, iou_by_least_and_most),
    mistakes=(
        Mistake(
            "you added both areas, so what both cover counts twice below the line",
            lambda a, b: right_or(a, b, pixels(a & b) / (pixels(a) + pixels(b))),
        ),
        Mistake(
            "this is the F1 score (Dice), which is kinder than IoU",
            lambda a, b: right_or(a, b, 2 * pixels(a & b) / (pixels(a) + pixels(b))),
        ),
        Mistake(
            "you divided by the second mask alone; a mask that covers everything would be perfect",
            lambda a, b: right_or(a, b, pixels(a & b) / pixels(b)),
        ),
        Mistake(
            "you divided by the first mask alone; a mask of one pixel would be perfect",
            lambda a, b: right_or(a, b, pixels(a & b) / pixels(a)),
        ),
        Mistake(
            "you counted pixels that neither covers as agreement",
            lambda a, b: (a == b).mean((-2, -1)),
        ),
        Mistake(
            "this is 1 - IoU, which is zero where the masks agree",
            lambda a, b: 1 - iou_by_least_and_most(a, b),
        ),
        Mistake(
            "you divided by the pixels that one mask alone covers; those of both belong there too",
            lambda a, b: np.where(
                pixels(a ^ b) == 0, 1.0, pixels(a & b) / np.maximum(pixels(a ^ b), 1)
            ),
        ),
        Mistake(
            "for two empty masks you divide zero by zero",
            lambda a, b: pixels(a & b) / pixels(a | b),
        ),
        Mistake(
            "two empty masks agree fully, but yours don't agree at all",
            lambda a, b: pixels(a & b) / np.maximum(pixels(a | b), 1),
        ),
        Mistake(
            "you added up the whole batch; each pair has its own IoU",
            lambda a, b: (
                (a & b).sum() / max((a | b).sum(), 1)
                if a.ndim > 2
                else (right_or(a, b, pixels(a & b) / pixels(a | b)))
            ),
        ),
    ),
    hints=(
        "Of truth values, & is the intersection and | the union. Over which axes do you count?",
        "(a & b).sum(axis=(-2, -1)) counts the pixels of each pair. The union may be zero: "
        "np.where(union == 0, ..., ...) decides, but both of its branches are computed.",
        "np.where(union == 0, 1.0, intersection / np.maximum(union, 1)).",
    ),
)

# ---------------------------------------------------------------------------- distance_field


def field_cases(generator: np.random.Generator) -> list[Case]:
    corner = np.zeros((7, 10), bool)
    corner[0, 0] = True
    empty = np.zeros((5, 6), bool)
    some = blobs(generator, 3, 9, 11)
    some[1] = False
    return [
        Case("a blob", (blob(generator, 12, 16),)),
        Case("the example", (np.array([[1, 0, 0, 0], [0, 0, 0, 0]], bool),)),
        Case("one pixel in the corner", (corner,)),
        Case("another blob", (blob(generator, 14, 10),)),
        Case("a mask that fills the picture", (~empty,)),
        Case("an empty mask", (empty,)),
        Case("a batch of 3, one of them empty", (some,)),
        Case("batch axes (2, 2)", (blobs(generator, 2, 2, 9, 11),)),
    ]


def field_in_two_passes(mask):
    """Least squares along each row first, then over the rows of each column."""

    def one(picture):
        height, width = picture.shape
        x, y = np.arange(width), np.arange(height)
        along = np.where(picture[:, None, :], (x[:, None] - x) ** 2.0, np.inf).min(-1)
        return np.sqrt(((y[:, None] - y)[..., None] ** 2 + along).min(1))

    return per_image(one, mask)


def field_counted_in_steps(mask, metric):
    """Whole steps from pixel to pixel, by one of scipy's metrics."""

    def one(m):
        if not m.any():
            return distance_to(m)
        return ndimage.distance_transform_cdt(~m, metric).astype(float)

    return per_image(one, mask)


def field_block(mask):
    return field_counted_in_steps(mask, "taxicab")


def field_chessboard(mask):
    return field_counted_in_steps(mask, "chessboard")


def field_along_rows(mask):
    x = np.arange(mask.shape[-1])
    return np.where(mask[..., None, :], np.abs(x[:, None] - x) * 1.0, np.inf).min(-1)


def field_to_middle(mask):
    def one(m):
        if not m.any():
            return distance_to(m)
        at = centres(m.shape)
        return np.linalg.norm(at - at[m].mean(0), axis=-1)

    return per_image(one, mask)


def field_signed(mask):
    return per_image(lambda m: distance_to(m) - (distance_to(~m) if not m.all() else 0), mask)


def field_to_outline(mask):
    return per_image(lambda m: distance_to(outline_of(m)), mask)


def field_to_all(mask, over=np.mean):
    """Of each pixel's distances to the mask's pixels, another number than the least."""

    def one(m):
        if not m.any():
            return distance_to(m)
        at = centres(m.shape)
        return over(np.linalg.norm(at[:, :, None] - at[m], axis=-1), axis=-1)

    return per_image(one, mask)


def field_finite(mask):
    return np.nan_to_num(per_image(distance_to, mask), posinf=0.0)


def outline_of(mask):
    """scipy's outline (H, W): the mask without its erosion."""
    return mask & ~ndimage.binary_erosion(mask)


distance_field = Exercise(
    "distance_field",
    field_cases,
    alternatives=(lambda mask: per_image(distance_to, mask), field_in_two_passes),
    mistakes=(
        Mistake(
            "you measured to the nearest pixel outside of the mask",
            lambda mask: per_image(lambda m: distance_to(~m), mask),
        ),
        Mistake(
            "these are squares of distances",
            lambda mask: np.square(per_image(distance_to, mask)),
        ),
        Mistake("you added the steps in x and y; a distance goes straight", field_block),
        Mistake("you took the larger of the steps in x and y", field_chessboard),
        Mistake("you looked along the pixel's own row only", field_along_rows),
        Mistake(
            "you measured to the middle of the mask, not to its nearest pixel", field_to_middle
        ),
        Mistake("inside, your field is negative; there it is zero", field_signed),
        Mistake("you measured to the outline, so the field rises inside as well", field_to_outline),
        Mistake(
            "you took all masks of the batch for one",
            lambda mask: np.broadcast_to(
                distance_to(mask.reshape(-1, *mask.shape[-2:]).any(0)), mask.shape
            ).copy(),
        ),
        Mistake("where the mask is empty, your distances are zero", field_finite),
        Mistake(
            "your field is zero everywhere: each pixel found itself, whether in the mask or not",
            lambda mask: np.zeros(mask.shape),
        ),
        Mistake("you took the mean distance to the mask's pixels, not the least", field_to_all),
        Mistake(
            "you took the farthest of the mask's pixels, not the nearest",
            lambda mask: field_to_all(mask, over=np.max),
        ),
        Mistake(
            "you measured to the pixels' edges; a distance goes from centre to centre",
            lambda mask: np.maximum(per_image(distance_to, mask) - 0.5, 0),
        ),
    ),
    hints=(
        "Make the table of distances between any two pixels first. It doesn't depend on the mask. "
        "Then ask which columns of it count.",
        "np.indices(mask.shape[-2:]) holds row and column of every pixel; reshaped to (2, P), "
        "differences by broadcasting give (2, P, P). np.where(inside, table, np.inf) rules out.",
        "With inside = mask.reshape(*mask.shape[:-2], 1, -1) and the table (P, P): "
        "np.where(inside, table, np.inf).min(axis=-1).reshape(mask.shape).",
    ),
    drawing="image",
)

# ---------------------------------------------------------------------------- contour


def contour_cases(generator: np.random.Generator) -> list[Case]:
    block = np.zeros((5, 6), bool)
    block[1:4, 1:4] = True
    disc = np.linalg.norm(centres((13, 16)) - [8, 6.5], axis=-1) < generator.uniform(4.2, 5.8)
    left = np.zeros((7, 9), bool)
    left[2:6, :5] = True
    full = np.ones((5, 6), bool)
    return [
        Case("a disc", (disc,)),
        Case("a block of 3 by 3", (block,)),
        Case("a disc with a hole", (disc & ~block_at(disc.shape, 6, 8),)),
        Case("cut off by the left border", (left,)),
        Case("a mask that fills the picture", (full,)),
        Case("an empty mask", (~full,)),
        Case("one pixel", (np.ones((1, 1), bool),)),
        Case("batch axes (2, 3)", (blobs(generator, 2, 3, 10, 12) | block_at((10, 12), 4, 5),)),
    ]


def block_at(shape, row, column):
    """A block (H, W) of 3 by 3 pixels about a place."""
    mask = np.zeros(shape, bool)
    mask[row - 1 : row + 2, column - 1 : column + 2] = True
    return mask


def contour_loop(mask):
    def one(m):
        out = np.zeros(m.shape, bool)
        for r, c in np.argwhere(m):
            for y, x in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                beyond = not (0 <= y < m.shape[0] and 0 <= x < m.shape[1])
                out[r, c] |= beyond or not m[y, x]
        return out

    return per_image(one, mask)


def contour_by_counting(mask):
    """Pixels of the mask with fewer than four neighbours in it, counted by a convolution."""
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    return per_image(
        lambda m: m & (ndimage.convolve(m.astype(int), cross, mode="constant") < 4), mask
    )


def neighbours(mask, outside=False):
    """Those above, below, left and right (4, *, H, W); ``outside`` is beyond the picture."""
    frame = [(0, 0)] * (mask.ndim - 2) + [(1, 1), (1, 1)]
    m = np.pad(mask, frame, constant_values=outside)
    return np.stack([m[..., :-2, 1:-1], m[..., 2:, 1:-1], m[..., 1:-1, :-2], m[..., 1:-1, 2:]])


def contour_wraps(mask):
    around = [np.roll(mask, step, axis) for axis in (-2, -1) for step in (-1, 1)]
    return mask & ~np.all(around, axis=0)


def contour_off_the_border(mask):
    out = np.zeros_like(mask)
    out[..., 1:-1, 1:-1] = (mask & ~neighbours(mask).all(0))[..., 1:-1, 1:-1]
    return out


def contour_of_changes(mask):
    above, _, left, _ = neighbours(mask)
    return (mask ^ above) | (mask ^ left)


def contour_of_eight(mask):
    return per_image(lambda m: m & ~ndimage.binary_erosion(m, np.ones((3, 3), bool)), mask)


contour = Exercise(
    "contour",
    contour_cases,
    alternatives=(contour_loop, contour_by_counting),
    mistakes=(
        Mistake("at the picture's border np.roll looks at the opposite border", contour_wraps),
        Mistake(
            "you took what lies beyond the picture for a part of the mask, so the outline of a "
            "person who is cut off stays open",
            lambda mask: mask & ~neighbours(mask, outside=True).all(0),
        ),
        Mistake(
            "you left out the pixels at the picture's border, as if none of them could be on an "
            "outline",
            contour_off_the_border,
        ),
        Mistake(
            "you marked changes between neighbours, which puts half of the outline outside of the "
            "mask",
            contour_of_changes,
        ),
        Mistake("you asked all eight neighbours; diagonal ones don't count", contour_of_eight),
        Mistake(
            "your outline lies outside of the mask",
            lambda mask: ~mask & neighbours(mask).any(0),
        ),
        Mistake(
            "your outline is two pixels wide: one inside, one outside",
            lambda mask: (mask & ~neighbours(mask).all(0)) | (~mask & neighbours(mask).any(0)),
        ),
        Mistake(
            "these are the pixels within the outline, not those on it",
            lambda mask: mask & neighbours(mask).all(0),
        ),
        Mistake(
            "you asked the neighbours above and to the left only",
            lambda mask: mask & ~neighbours(mask)[::2].all(0),
        ),
        Mistake(
            "you kept pixels all of whose neighbours are outside; one is enough",
            lambda mask: mask & ~neighbours(mask).any(0),
        ),
    ),
    hints=(
        "A pixel isn't on the outline if it and all four neighbours are in the mask. How do you "
        "get the mask shifted by one pixel?",
        "Put the mask into an array of False that is two rows and two columns larger: its slices, "
        "shifted by one, are the neighbours.",
        "With framed[..., 1:-1, 1:-1] = mask, the neighbours above are framed[..., :-2, 1:-1]. "
        "The answer is mask & ~(above & below & left & right).",
    ),
    drawing="image",
)

# ---------------------------------------------------------------------------- look_up


def look_up_cases(generator: np.random.Generator) -> list[Case]:
    def draw(*shape):
        return generator.uniform(0, 5, size=shape)

    def places(*shape, width=9, height=6):
        return generator.uniform([0.6, 0.6], [width - 0.6, height - 0.6], size=(*shape, 2))

    example = np.array([[0.0, 1.0], [2.0, 3.0]])
    at = np.array([[0.5, 0.5], [1.5, 0.5], [1.0, 1.0], [9.0, 1.0]])
    beyond = np.array([[-3.0, 2.2], [0.2, 0.1], [12.0, 3.3], [4.4, 7.0], [9.0, 6.0]])
    field = draw(6, 9)
    return [
        Case("the example", (example, at)),
        Case("8 points", (field, places(8))),
        Case("at the centres", (field, centres((6, 9)).reshape(-1, 2))),
        Case("at the border and beyond it", (field, beyond)),
        Case("a batch of 3", (draw(3, 6, 9), places(3, 5))),
        Case("batch axes (2, 3)", (draw(2, 3, 6, 9), places(2, 3, 4))),
        Case("float32", (field.astype(np.float32), places(6).astype(np.float32))),
        Case("no point", (field, np.zeros((0, 2)))),
    ]


def look_up_by_scipy(field, points):
    out = np.empty(points.shape[:-1])
    for index in np.ndindex(field.shape[:-2]):
        place = points[index][:, ::-1].T - 0.5
        out[index] = ndimage.map_coordinates(field[index], place, order=1, mode="nearest")
    return out


def look_up_corners(field, points, shift=0.5):
    """The four pixels about each point, weighted by the opposite areas."""
    height, width = field.shape[-2:]
    x = np.clip(points[..., 0] - shift, 0, width - 1)
    y = np.clip(points[..., 1] - shift, 0, height - 1)
    left, top = (np.minimum(np.floor(v).astype(int), n - 2) for v, n in ((x, width), (y, height)))
    u, v = x - left, y - top
    flat = field.reshape(*field.shape[:-2], -1)

    def corner(row, column):
        return np.take_along_axis(flat, row * width + column, axis=-1)

    upper = (1 - u) * corner(top, left) + u * corner(top, left + 1)
    lower = (1 - u) * corner(top + 1, left) + u * corner(top + 1, left + 1)
    return (1 - v) * upper + v * lower


def look_up_nearest(field, points):
    """The pixel in which each point lies."""
    height, width = field.shape[-2:]
    column = np.clip(np.floor(points[..., 0]).astype(int), 0, width - 1)
    row = np.clip(np.floor(points[..., 1]).astype(int), 0, height - 1)
    return np.take_along_axis(field.reshape(*field.shape[:-2], -1), row * width + column, axis=-1)


def look_up_mirrored_weights(field, points):
    """Each corner has the weight of the corner opposite."""
    height, width = field.shape[-2:]
    x, y = (np.clip(points[..., k] - 0.5, 0, n - 1) for k, n in ((0, width), (1, height)))
    left, top = (np.minimum(np.floor(v), n - 2) for v, n in ((x, width), (y, height)))
    swapped = np.stack([2 * left + 1 - x, 2 * top + 1 - y], axis=-1)
    return look_up_corners(field, swapped + 0.5)


def look_up_black_beyond(field, points):
    """As if the picture went on with zeros."""
    frame = [(0, 0)] * (field.ndim - 2) + [(1, 1), (1, 1)]
    return look_up_corners(np.pad(field, frame), points + 1)


def look_up_within(field, points, low, high):
    """Points moved between ``low`` and ``high`` (x, y) first."""
    return look_up_black_beyond(field, np.clip(points, low, high))


def size_of(field):
    """Width and height."""
    return np.array(field.shape[:-3:-1])


def look_up_to_the_border(field, points):
    return look_up_within(field, points, 0, size_of(field))


def look_up_limited_to_numbers(field, points):
    return look_up_within(field, points, 0, size_of(field) - 1)


def look_up_limits_exchanged(field, points):
    return look_up_within(field, points, 0.5, size_of(field)[::-1] - 0.5)


def look_up_added(field, points):
    """The mean of interpolating along the nearest row and along the nearest column."""
    height, width = field.shape[-2:]
    x, y = points[..., 0], points[..., 1]
    on_row = np.stack([x, np.clip(np.floor(y), 0, height - 1) + 0.5], axis=-1)
    on_column = np.stack([np.clip(np.floor(x), 0, width - 1) + 0.5, y], axis=-1)
    return (look_up_corners(field, on_row) + look_up_corners(field, on_column)) / 2


look_up = Exercise(
    "look_up",
    look_up_cases,
    alternatives=(look_up_by_scipy, look_up_corners),
    mistakes=(
        Mistake(
            "you are half a pixel off: centres lie at +0.5, not at whole numbers",
            lambda field, points: look_up_corners(field, points, shift=0.0),
        ),
        Mistake(
            "you are half a pixel off to the other side",
            lambda field, points: look_up_corners(field, points, shift=1.0),
        ),
        Mistake(
            "you took (row, column); a point is (x, y)",
            lambda field, points: look_up_corners(field, points[..., ::-1]),
        ),
        Mistake(
            "you read the pixel in which the point lies, with no step between", look_up_nearest
        ),
        Mistake(
            "your weights are exchanged: the far pixel counts more than the near one",
            look_up_mirrored_weights,
        ),
        Mistake("beyond the outermost centres your field falls to zero", look_up_black_beyond),
        Mistake(
            "you moved points to the picture's border only; the outermost centres lie half a pixel "
            "inside",
            look_up_to_the_border,
        ),
        Mistake(
            "you limited x and y to the numbers of columns and rows, which aren't places",
            look_up_limited_to_numbers,
        ),
        Mistake(
            "you limited x by the height and y by the width",
            look_up_limits_exchanged,
        ),
        Mistake(
            "you added the weights in x and y; they are multiplied",
            look_up_added,
        ),
    ),
    hints=(
        "First move the points in, then compute for each point one weight a column and one a row.",
        "x[..., None] - (np.arange(width) + 0.5) is (*, N, W): how far each point is from each "
        "column. np.maximum(0, 1 - np.abs(...)) makes weights of it.",
        "np.einsum('...nr,...nc,...rc->...n', along_y, along_x, field) adds it all up; np.clip "
        "moves points in.",
    ),
)

# ---------------------------------------------------------------------------- silhouette_terms


def terms_cases(generator: np.random.Generator) -> list[Case]:
    middle = np.zeros((5, 5), bool)
    middle[2, 2] = True
    ellipse = (np.square((centres((14, 18)) - [9, 7]) / [6, 4]).sum(-1)) < 1

    def circle(x, y, radius, count=12):
        angle = 2 * np.pi * (np.arange(count) + generator.uniform()) / count
        return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=-1)

    def places(*shape):
        return generator.uniform([0.5, 0.5], [11.5, 9.5], size=(*shape, 2))

    block = np.zeros((10, 12), bool)
    block[2:9, :8] = True
    return [
        Case("the example", (np.array([[4.5, 2.5], [2.5, 2.5]]), middle)),
        Case("one point", (np.array([[4.5, 2.5]]), middle)),
        Case("a small circle within an ellipse", (circle(9, 7, 2.0), ellipse)),
        Case("a circle that sticks out", (circle(9.3, 7.2, 5.5), ellipse)),
        Case("a circle aside", (circle(13.0, 6.0, 3.0), ellipse)),
        Case("a mask cut off by the border", (places(7), block)),
        Case("a batch of 3", (places(3, 8), blobs(generator, 3, 10, 12))),
        Case("batch axes (2, 2)", (places(2, 2, 6), blobs(generator, 2, 2, 10, 12))),
        Case("float32", (places(8).astype(np.float32), block)),
    ]


def terms_loop(points, mask):
    """One body at a time, the outline's centres as a list."""
    batch = mask.shape[:-2]
    outwards, inwards = np.zeros(batch), np.zeros(batch)
    for index in np.ndindex(batch):
        x, m = points[index].astype(float), mask[index]
        outwards[index] = (look_up_by_scipy(distance_to(m), x) ** 2).mean()
        goals = centres(m.shape)[outline_of(m)]
        inwards[index] = np.mean([((x - goal) ** 2).sum(-1).min() for goal in goals])
    return outwards, inwards


def squares_to(points, mask):
    """Squared distances (*, H, W, N) from the centres of pixels to points."""
    return np.square(centres(mask.shape[-2:])[:, :, None] - points[..., None, None, :, :]).sum(-1)


def mean_over(values, where):
    """Mean (*) of values (*, H, W) over the pixels of a mask."""
    return np.where(where, values, 0).sum((-2, -1)) / pixels(where)


def terms_expanded(points, mask):
    """|m - x|^2 = |m|^2 - 2 m.x + |x|^2."""
    at, points = centres(mask.shape[-2:]), points.astype(float)
    cross = np.einsum("hwd,...nd->...hwn", at, points)
    squares = (at**2).sum(-1)[..., None] - 2 * cross + (points**2).sum(-1)[..., None, None, :]
    field = per_image(distance_to, mask)
    outwards = (look_up_corners(field, points) ** 2).sum(-1) / points.shape[-2]
    return outwards, mean_over(squares.min(-1), per_image(outline_of, mask))


def outward(points, mask):
    return np.square(look_up_corners(per_image(distance_to, mask), points)).mean(-1)


def inward(points, mask, where=outline_of):
    return mean_over(squares_to(points, mask).min(-1), per_image(where, mask))


def terms_unsquared(points, mask):
    first = look_up_corners(per_image(distance_to, mask), points).mean(-1)
    second = np.sqrt(squares_to(points, mask)).min(-1)
    return first, mean_over(second, per_image(outline_of, mask))


def terms_squared_late(points, mask):
    first, second = terms_unsquared(points, mask)
    return first**2, second**2


def terms_to_outline(points, mask):
    field = per_image(lambda m: distance_to(outline_of(m)), mask)
    return np.square(look_up_corners(field, points)).mean(-1), inward(points, mask)


def terms_same_way(points, mask):
    """From the body's points to the mask's outline, where the other way was asked for."""
    squares = np.where(per_image(outline_of, mask)[..., None], squares_to(points, mask), np.inf)
    return outward(points, mask), squares.min((-3, -2)).mean(-1)


def terms_summed(points, mask):
    first, second = outward(points, mask), inward(points, mask)
    return first * points.shape[-2], second * pixels(per_image(outline_of, mask))


def terms_squared_early(points, mask):
    field = np.square(per_image(distance_to, mask))
    return look_up_corners(field, points).mean(-1), inward(points, mask)


def terms_over_the_picture(points, mask):
    squares = np.where(per_image(outline_of, mask), squares_to(points, mask).min(-1), 0)
    return outward(points, mask), squares.mean((-2, -1))


silhouette_terms = Exercise(
    "silhouette_terms",
    terms_cases,
    alternatives=(terms_loop, terms_expanded),
    mistakes=(
        Mistake("you averaged distances, not their squares", terms_unsquared),
        Mistake("you averaged the distances first and squared the mean", terms_squared_late),
        Mistake(
            "your first term averages distances, not their squares",
            lambda points, mask: (terms_unsquared(points, mask)[0], inward(points, mask)),
        ),
        Mistake(
            "your second term averages distances, not their squares",
            lambda points, mask: (outward(points, mask), terms_unsquared(points, mask)[1]),
        ),
        Mistake(
            "you squared the field and then read between its pixels; read first, then square",
            terms_squared_early,
        ),
        Mistake(
            "your second term is a sum over the outline; asked for is the mean",
            lambda points, mask: (outward(points, mask), terms_summed(points, mask)[1]),
        ),
        Mistake(
            "you divided by the number of all pixels, not by those of the outline",
            terms_over_the_picture,
        ),
        Mistake(
            "you gave both terms in the other order",
            lambda points, mask: (inward(points, mask), outward(points, mask)),
        ),
        Mistake(
            "your second term asks all pixels of the mask, not those of its outline",
            lambda points, mask: (outward(points, mask), inward(points, mask, where=lambda m: m)),
        ),
        Mistake(
            "your second term averages over all pixels of the picture",
            lambda points, mask: (
                outward(points, mask),
                squares_to(points, mask).min(-1).mean((-2, -1)),
            ),
        ),
        Mistake(
            "your second term goes from the body to the mask again, so a body that hides in a "
            "corner of the mask costs little",
            terms_same_way,
        ),
        Mistake(
            "your first term measures to the outline, so a point well inside costs too",
            terms_to_outline,
        ),
        Mistake(
            "your pixels have their centres at whole numbers",
            lambda points, mask: (outward(points, mask), inward(points + 0.5, mask)),
        ),
        Mistake(
            "your centres are (row, column), but points are (x, y)",
            lambda points, mask: (outward(points, mask), inward(points[..., ::-1], mask)),
        ),
        Mistake("these are sums; asked for are means", terms_summed),
    ),
    hints=(
        "The first term is one line with two of your functions. For the second, make the centres "
        "of all pixels, (H * W, 2), in the order in which a mask is reshaped to (H * W).",
        "centres[:, None] - points[..., None, :, :] is (*, H * W, N, 2). Square, add, take the "
        "least over the points: (*, H * W).",
        "on_outline = contour(mask).reshape(*mask.shape[:-2], -1); the mean over the outline is "
        "(least * on_outline).sum(-1) / on_outline.sum(-1).",
    ),
    builds_on=("distance_field", "contour", "look_up"),
)

# ---------------------------------------------------------------------------- row_coverage


def coverage_cases(generator: np.random.Generator) -> list[Case]:
    def ends(*shape, dtype=np.float64):
        """Left and right ends (*shape) that are no whole numbers, where the slope has a jump."""
        whole = np.sort(generator.integers(0, 9, size=(2, *shape)), axis=0)
        places = whole + np.sort(generator.uniform(0.1, 0.9, size=(2, *shape)), axis=0)
        return tuple(np.array(place, dtype) for place in places)

    return [
        Case("the example", (np.array(1.25), np.array(6.5), 9)),
        Case("within one pixel", (np.array(2.2), np.array(2.6), 5)),
        Case("from border to border", (np.array(1.0), np.array(3.0), 4)),
        Case("beyond both ends of the row", (np.array(-1.5), np.array(9.5), 6)),
        Case("outside of the row", (np.array(7.5), np.array(9.25), 6)),
        Case("nothing is covered", (np.array(2.5), np.array(2.5), 4), scale=1.0),
        Case("the gradients", (*ends(), 9), gradients=(0, 1)),
        Case("the gradients of a batch of 4", (*ends(4), 9), gradients=(0, 1)),
        Case("batch axes (2, 3)", (*ends(2, 3), 9), gradients=(0, 1)),
        Case("float32", (*ends(3, dtype=np.float32), 9), gradients=(0, 1)),
    ]


def coverage_by_ramps(left, right, width):
    """What lies before right, less what lies before left, of each pixel."""
    k = torch.arange(width).to(left)
    before = torch.nn.functional.hardtanh
    return before(right.unsqueeze(-1) - k, 0, 1) - before(left.unsqueeze(-1) - k, 0, 1)


def coverage_loop(left, right, width):
    columns = []
    for k in range(width):
        overlap = right.clamp(max=k + 1) - left.clamp(min=k)
        columns.append(torch.relu(overlap))
    return torch.stack(columns, -1)


def pixel_begins(left, width):
    return torch.arange(width, dtype=left.dtype)


def coverage_drawn(left, right, width):
    centre = pixel_begins(left, width) + 0.5
    return ((centre >= left[..., None]) & (centre < right[..., None])).to(left)


def coverage_detached(left, right, width):
    return coverage_by_ramps(left.detach(), right.detach(), width)


def coverage_unclipped(left, right, width):
    k = pixel_begins(left, width)
    return torch.minimum(right[..., None], k + 1) - torch.maximum(left[..., None], k)


def coverage_unlimited(left, right, width):
    k = pixel_begins(left, width)
    return torch.relu(right[..., None] - k) - torch.relu(left[..., None] - k)


def coverage_by_sigmoid(left, right, width):
    centre = pixel_begins(left, width) + 0.5
    return torch.sigmoid(4 * (centre - left[..., None])) * torch.sigmoid(
        4 * (right[..., None] - centre)
    )


def coverage_left_detached(left, right, width):
    return coverage_by_ramps(left.detach(), right, width)


def coverage_from_the_start(left, right, width):
    return coverage_by_ramps(torch.full_like(right, -1.0), right, width)


def coverage_of_nearer_edge(left, right, width):
    """Right where a pixel holds one edge at most."""
    centre = pixel_begins(left, width) + 0.5
    inside = torch.minimum(centre - left[..., None], right[..., None] - centre)
    return (inside + 0.5).clamp(0, 1)


def coverage_multiplied(left, right, width):
    k = pixel_begins(left, width)
    return (right[..., None] - k).clamp(0, 1) * (k + 1 - left[..., None]).clamp(0, 1)


row_coverage = Exercise(
    "row_coverage",
    coverage_cases,
    alternatives=(coverage_by_ramps, coverage_loop),
    mistakes=(
        Mistake("in yours a pixel is covered or it isn't, which has no slope", coverage_drawn),
        Mistake(
            "your answer was computed outside of torch, so no gradient arrives", coverage_detached
        ),
        Mistake(
            "your left end was detached, or taken out of torch: it gets no gradient",
            coverage_left_detached,
        ),
        Mistake(
            "beyond the ends your shares are negative: nothing is covered there", coverage_unclipped
        ),
        Mistake(
            "your shares exceed 1: you measured from each pixel's begin and not within it",
            coverage_unlimited,
        ),
        Mistake(
            "you looked at the nearer edge only; a pixel may hold both",
            coverage_of_nearer_edge,
        ),
        Mistake(
            "you multiplied what lies before right by what lies after left; where one pixel holds "
            "both edges that isn't their overlap",
            coverage_multiplied,
        ),
        Mistake("a sigmoid is smooth, but it isn't the share that is covered", coverage_by_sigmoid),
        Mistake(
            "you are half a pixel off: pixel k reaches from k to k + 1",
            lambda left, right, width: coverage_by_ramps(left + 0.5, right + 0.5, width),
        ),
        Mistake(
            "this is what lies beside the interval",
            lambda left, right, width: 1 - coverage_by_ramps(left, right, width),
        ),
        Mistake(
            "you left the left end out: all before the right one is covered",
            coverage_from_the_start,
        ),
    ),
    hints=(
        "What is common to the interval from left to right and the one from k to k + 1? Where does "
        "it begin, where does it end, and what if it ends before it begins?",
        "left[..., None] against torch.arange(width, dtype=left.dtype) is (*, width). "
        "torch.maximum and torch.minimum compare tensors and pass gradients on.",
        "(torch.minimum(right[..., None], begin + 1) - torch.maximum(left[..., None], begin))"
        ".clamp(min=0).",
    ),
    framework="torch",
    drawing="curve",
)

EXERCISES = (
    mask_iou,
    distance_field,
    contour,
    look_up,
    silhouette_terms,
    row_coverage,
)
