"""The bank of sheet 08: what tries each function, and the answers that people give."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from vhlib.course.bank import Case, Exercise, Mistake

# ---------------------------------------------------------------------------- what several share

CENTER = np.array([320.0, 240.0])
TORSO = np.array([[0.18, -0.5, 0], [-0.18, -0.5, 0], [0.1, 0, 0], [-0.1, 0, 0]])
"""Left and right shoulder, left and right hip, of a body that faces the camera; metres."""


def seen(points: np.ndarray, f: float, c: np.ndarray = CENTER) -> np.ndarray:
    """Pixels of points in camera axes."""
    return f * points[..., :2] / points[..., 2:] + c


def places(generator: np.random.Generator, *batch: int) -> np.ndarray:
    """Translations (*batch, 1, 3), some metres before the camera."""
    return generator.uniform([-0.5, -0.5, 3], [0.5, 0.5, 6], size=(*batch, 1, 3))


def rotations(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices (*, 3, 3) of axis-angle vectors (*, 3), by scipy."""
    flat = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return flat.reshape(*vectors.shape[:-1], 3, 3)


def singles(*arrays):
    """The same in float32."""
    return tuple(np.float32(array) for array in arrays)


# ---------------------------------------------------------------------------- torso_depth


def torso_cases(generator: np.random.Generator) -> list[Case]:
    def tried(*batch):
        """Bent torsos, turned, and how they look from somewhere."""
        S = TORSO + 0.06 * generator.normal(size=(*batch, 4, 3))
        R = rotations(0.5 * generator.normal(size=(*batch, 3)))
        S = S @ np.swapaxes(R, -1, -2)
        return S, seen(S + places(generator, *batch), 1000.0) + 4 * generator.normal(
            size=(*batch, 4, 2)
        )

    S = np.array([[0.15, -0.5, 0.0], [-0.15, -0.5, 0.0], [0.15, 0.0, 0.0], [-0.15, 0.0, 0.0]])
    xy = np.array([[300.0, 100.0], [220.0, 100.0], [300.0, 200.0], [220.0, 250.0]])
    pointing, flat = tried()
    flat[0] = flat[2]
    f = generator.uniform(600, 1800)
    return [
        Case("sides of 0.5 m that look 100 and 150 px long", (S, xy, 1000.0)),
        Case("a torso that leans to the camera", (*tried(), f)),
        Case("the left side points at the camera", (pointing, flat, f)),
        Case("five torsos", (*tried(5), f)),
        Case("batch axes (2, 3)", (*tried(2, 3), f)),
        Case("float32", (*singles(*tried(4)), f)),
        Case("nobody", (np.zeros((0, 4, 3)), np.zeros((0, 4, 2)), f)),
    ]


def sides(points: np.ndarray) -> np.ndarray:
    """Vectors from hip to shoulder (*, 2, d), left and right."""
    return points[..., [0, 1], :] - points[..., [2, 3], :]


def lengths(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("...i,...i->...", vectors, vectors))


def torso_by_loop(S, xy, f):
    out = np.zeros(S.shape[:-2])
    for i in np.ndindex(out.shape):
        metres = sum(np.sqrt(((S[i][k] - S[i][k + 2]) ** 2).sum()) for k in (0, 1))
        pixels = sum(np.hypot(*(xy[i][k] - xy[i][k + 2])) for k in (0, 1))
        out[i] = f * metres / pixels
    return out


def torso_with(metres, pixels):
    """Another way to measure S and xy, (*) each."""
    return lambda S, xy, f: f * metres(S) / pixels(xy)


def both(points):
    return lengths(sides(points)).sum(-1)


torso_depth = Exercise(
    "torso_depth",
    torso_cases,
    alternatives=(torso_by_loop, torso_with(both, both)),
    mistakes=(
        Mistake(
            "you took a quotient for each side and averaged those; one foreshortened side then "
            "decides alone",
            lambda S, xy, f: (f * lengths(sides(S)) / lengths(sides(xy))).mean(-1),
        ),
        Mistake(
            "you measured the width of shoulders and hips; it vanishes in profile",
            lambda S, xy, f: (
                f
                * lengths(S[..., ::2, :] - S[..., 1::2, :]).sum(-1)
                / lengths(xy[..., ::2, :] - xy[..., 1::2, :]).sum(-1)
            ),
        ),
        Mistake(
            "you went from each shoulder to the other side's hip",
            lambda S, xy, f: (
                f
                * lengths(S[..., :2, :] - S[..., [3, 2], :]).sum(-1)
                / lengths(xy[..., :2, :] - xy[..., [3, 2], :]).sum(-1)
            ),
        ),
        Mistake(
            "you measured the body without its depth; in space a length has three parts",
            torso_with(lambda S: both(S[..., :2]), both),
        ),
        Mistake(
            "in the picture you measured downwards only; a torso may lean",
            torso_with(both, lambda xy: np.abs(sides(xy)[..., 1]).sum(-1)),
        ),
        Mistake(
            "you turned the quotient over: who looks small isn't near",
            lambda S, xy, f: f * both(xy) / both(S),
        ),
        Mistake(
            "you used one side of the body only",
            torso_with(lambda S: lengths(sides(S))[..., 0], lambda xy: lengths(sides(xy))[..., 0]),
        ),
        Mistake(
            "you averaged vectors before measuring them; opposite leanings then cancel",
            torso_with(
                lambda S: lengths(sides(S).mean(-2)), lambda xy: lengths(sides(xy).mean(-2))
            ),
        ),
    ),
    hints=(
        "Shoulders minus hips is one subtraction for both sides at once, since the order is left, "
        "right, left, right.",
        "S[..., :2, :] - S[..., 2:, :] holds both sides. np.linalg.norm(..., axis=-1) gives their "
        "lengths.",
        "Average the lengths over the last axis, in space and in the picture, then f * L / ell.",
    ),
)

# ---------------------------------------------------------------------------- camera_translation


def translation_cases(generator: np.random.Generator) -> list[Case]:
    def tried(*batch, points=12, noise=5.0):
        """A cloud of points of a person's size, seen from somewhere; confidences."""
        S = generator.normal(size=(*batch, points, 3)) * [0.3, 0.6, 0.25]
        xy = seen(S + places(generator, *batch), 1000.0)
        conf = generator.uniform(0.05, 1, size=(*batch, points))
        return S, xy + noise * generator.normal(size=xy.shape), conf

    simple = np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 1.0, 0.0]])
    pixels = np.array([[550.0, 475.0], [675.0, 475.0], [550.0, 725.0]])
    S, xy, conf = tried(points=20)
    xy[::4] += generator.uniform(100, 300, size=xy[::4].shape)
    conf[::4] = 0
    f, c = 1000.0, CENTER
    return [
        Case(
            "three points without an error",
            (simple, pixels, np.array([1.0, 0.5, 0.2]), f, np.array([500.0, 500.0])),
        ),
        Case("twelve points without an error", (*tried(noise=0.0), f, c)),
        Case("errors of some pixels", (*tried(noise=12.0), f, c)),
        Case("points astray, with no confidence", (S, xy, conf, f, c)),
        Case("two points", (*tried(points=2), f, c)),
        Case("batch axes (2, 3)", (*tried(2, 3), f, c)),
        Case("float32", (*singles(*tried(4)), f, np.float32(c)), tolerance=1e-3),
    ]


def translation_by_means(S, xy, conf, f, c):
    """Given t_z, t_x and t_y are weighted means; one equation is left for t_z."""
    ray = (xy - c) / f
    share = (conf / conf.sum(-1, keepdims=True))[..., None]
    known = ray * S[..., 2:] - S[..., :2]

    def mean(v):
        return (share * v).sum(-2, keepdims=True)

    slope, rest = ray - mean(ray), known - mean(known)
    t_z = -(share * slope * rest).sum((-2, -1)) / (share * slope**2).sum((-2, -1))
    t_xy = (mean(known) + mean(ray) * t_z[..., None, None])[..., 0, :]
    return np.concatenate([t_xy, t_z[..., None]], -1)


def translation_by_lstsq(S, xy, conf, f, c):
    out = np.zeros((*S.shape[:-2], 3))
    for i in np.ndindex(out.shape[:-1]):
        rows, right = [], []
        for (x, y, z), (u, v), w in zip(S[i], xy[i], np.sqrt(conf[i]), strict=True):
            rows += [[w * f, 0, w * (c[0] - u)], [0, w * f, w * (c[1] - v)]]
            right += [w * ((u - c[0]) * z - f * x), w * ((v - c[1]) * z - f * y)]
        out[i] = np.linalg.lstsq(np.array(rows, float), np.array(right, float), rcond=None)[0]
    return out


def translation_with(weight=lambda conf: conf, sign=1.0):
    """The right answer but for the weights of squared errors, or the sign."""
    return lambda S, xy, conf, f, c: sign * translation_by_means(S, xy, weight(conf), f, c)


def translation_rows(S, xy, f, c):
    """Rows (*, 2K, 3) and right sides (*, 2K) without weights, all of u first, then all of v."""
    u, v = np.moveaxis(xy - c, -1, 0)
    one, none = np.full_like(u, f), np.zeros_like(u)
    rows = [np.stack([one, none, -u], -1), np.stack([none, one, -v], -1)]
    right = [u * S[..., 2] - f * S[..., 0], v * S[..., 2] - f * S[..., 1]]
    return np.concatenate(rows, -2), np.concatenate(right, -1)


def translation_half_weighted(S, xy, conf, f, c):
    A, b = translation_rows(S, xy, f, c)
    root = np.sqrt(np.concatenate([conf, conf], -1))
    return (np.linalg.pinv(root[..., None] * A) @ b[..., None])[..., 0]


def translation_in_other_order(S, xy, conf, f, c):
    A, b = translation_rows(S, xy, f, c)
    root = np.sqrt(np.repeat(conf, 2, -1))
    return (np.linalg.pinv(root[..., None] * A) @ (root * b)[..., None])[..., 0]


def translation_depth_sign(S, xy, conf, f, c):
    flip = np.array([1.0, 1.0, -1.0])
    return flip * translation_by_means(S, xy, conf, f, c)


def translation_by_centres(S, xy, conf, f, c):
    """The depth from how wide points and pixels spread, then their centres."""
    share = (conf / conf.sum(-1, keepdims=True))[..., None]
    mean_S, mean_xy = ((share * v).sum(-2) for v in (S, xy - c))
    spread_S = np.sqrt((share * (S - mean_S[..., None, :])[..., :2] ** 2).sum((-2, -1)))
    spread_xy = np.sqrt((share * (xy - c - mean_xy[..., None, :]) ** 2).sum((-2, -1)))
    t_z = (f * spread_S / spread_xy)[..., None]
    return np.concatenate([mean_xy * t_z / f - mean_S[..., :2], t_z], -1)


camera_translation = Exercise(
    "camera_translation",
    translation_cases,
    alternatives=(translation_by_means, translation_by_lstsq),
    mistakes=(
        Mistake(
            "every point counts alike: the confidence isn't in it",
            translation_with(np.ones_like),
        ),
        Mistake(
            "you weighted rows by the confidence itself; squared in the sum it counts twice",
            translation_with(np.square),
        ),
        Mistake(
            "you weighted the rows but not what stands on the right of them",
            translation_half_weighted,
        ),
        Mistake(
            "your confidences come in another order than your rows",
            translation_in_other_order,
        ),
        Mistake(
            "you only ask whether a point is seen, not how surely",
            translation_with(lambda conf: (conf > 0).astype(conf.dtype)),
        ),
        Mistake(
            "your pixels still count from the corner of the picture, not from the principal point",
            lambda S, xy, conf, f, c: translation_by_means(S, xy, conf, f, 0 * c),
        ),
        Mistake(
            "you left the points' own depths out, as if the body were flat",
            lambda S, xy, conf, f, c: translation_by_means(S * np.array([1, 1, 0]), xy, conf, f, c),
        ),
        Mistake(
            "this body stands behind the camera; look at the sign with which t_z changes sides",
            translation_depth_sign,
        ),
        Mistake(
            "this is the way back, from the body to the camera",
            translation_with(sign=-1.0),
        ),
        Mistake(
            "you didn't take the points' own places off: your translation goes to their middle",
            lambda S, xy, conf, f, c: (
                translation_by_means(S, xy, conf, f, c)
                + ((conf / conf.sum(-1, keepdims=True))[..., None] * S).sum(-2)
            ),
        ),
        Mistake(
            "you compared how widely points and pixels spread: that is a weak-perspective camera",
            translation_by_centres,
        ),
    ),
    hints=(
        "Sort each equation: what multiplies t_x, what t_y, what t_z, and what is known? The row of "
        "u begins with f and 0.",
        "The rows of a point are [f, 0, -(u - c_x)] and [0, f, -(v - c_y)], its right sides "
        "(u - c_x) S_z - f S_x and the same for v.",
        "With weighted A (*, 2K, 3) and b (*, 2K, 1), np.linalg.solve(A^T A, A^T b) solves a whole "
        "batch; A^T is np.swapaxes(A, -1, -2).",
    ),
)

# ---------------------------------------------------------------------------- near_profile


def profile_cases(generator: np.random.Generator) -> list[Case]:
    def tried(*batch):
        """Shoulders around the threshold, in all directions, all seen."""
        height = generator.uniform(100, 800, size=batch)
        distance = generator.choice([3.0, 15.0, 22.0, 29.0, 45.0], size=batch) * height / 200
        angle = generator.uniform(0, 2 * np.pi, size=batch)
        left = generator.uniform(0, 1000, size=(*batch, 2))
        apart = distance[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
        return np.stack([left, left + apart], -2), np.ones((*batch, 2)), height

    pair = np.array([[300.0, 200.0], [330.0, 200.0]])
    crowd, conf, height = tried(30)
    conf[::3, 0] = 0
    conf[1::3, 1] = 0
    conf[2], crowd[2] = 0, [[100.0, 100.0], [900.0, 100.0]]
    faint, sure, tall = tried(20)
    exact = np.array([[100.0, 100.0], [115.0, 120.0]]), np.ones(2), np.array(200.0)
    return [
        Case("30 px apart, a person of 600 px", (pair, np.ones(2), np.array(600.0))),
        Case("30 px apart, a person of 200 px", (pair, np.ones(2), np.array(200.0))),
        Case("forty people", tried(40)),
        Case("25 px exactly isn't closer than 25 px", exact),
        Case("thirty people, many with a shoulder unseen", (crowd, conf, height)),
        Case("confidences that are low but not zero", (faint, 0.01 * sure, tall)),
        Case("batch axes (4, 5)", tried(4, 5)),
        Case("float32", singles(*tried(20))),
    ]


def apart(shoulders: np.ndarray) -> np.ndarray:
    return lengths(shoulders[..., 1, :] - shoulders[..., 0, :])


def profile_by_loop(shoulders, conf, height):
    out = np.zeros(conf.shape[:-1], bool)
    for i in np.ndindex(out.shape):
        if conf[i][0] == 0 or conf[i][1] == 0:
            out[i] = True
        else:
            (a, b), (x, y) = shoulders[i]
            out[i] = (a - x) ** 2 + (b - y) ** 2 < (height[i] / 8) ** 2
    return out


def profile_with(measure, unseen=lambda conf: conf.min(-1) == 0):
    """Another way to measure people, compared with 25; or to treat those not seen."""
    return lambda shoulders, conf, height: (measure(shoulders, height) < 25) | unseen(conf)


def scaled(shoulders, height):
    return 200 * apart(shoulders) / height


near_profile = Exercise(
    "near_profile",
    profile_cases,
    alternatives=(profile_by_loop, profile_with(scaled)),
    mistakes=(
        Mistake(
            "25 px are meant for a person of 200 px; near the camera nobody is in profile for you",
            profile_with(lambda s, h: apart(s)),
        ),
        Mistake(
            "you scaled the wrong way: tall people's distances should shrink",
            profile_with(lambda s, h: apart(s) * h / 200),
        ),
        Mistake(
            "you measured sideways only; the shoulders of somebody who lies are one above the other",
            profile_with(lambda s, h: 200 * np.abs(s[..., 1, 0] - s[..., 0, 0]) / h),
        ),
        Mistake(
            "you answer whether front and back can be told apart, which is the opposite",
            lambda s, conf, h: ~profile_with(scaled)(s, conf, h),
        ),
        Mistake(
            "a shoulder that wasn't seen has a place, too, but it means nothing",
            profile_with(scaled, lambda conf: np.zeros(conf.shape[:-1], bool)),
        ),
        Mistake(
            "you say yes only where both shoulders are unseen; one is enough",
            profile_with(scaled, lambda conf: conf.max(-1) == 0),
        ),
        Mistake(
            "you count shoulders 25 px apart as closer than that",
            lambda s, conf, h: (scaled(s, h) <= 25) | (conf.min(-1) == 0),
        ),
        Mistake(
            "you ask for both reasons at once; either of them is enough",
            lambda s, conf, h: (scaled(s, h) < 25) & (conf.min(-1) == 0),
        ),
        Mistake(
            "you say no where a shoulder wasn't seen; but then nothing tells front from back",
            lambda s, conf, h: (scaled(s, h) < 25) & (conf.min(-1) > 0),
        ),
        Mistake(
            "a low confidence isn't a confidence of zero",
            profile_with(scaled, lambda conf: conf.min(-1) < 0.5),
        ),
        Mistake(
            "you compared a squared distance with 25",
            profile_with(lambda s, h: (200 * apart(s) / h) ** 2),
        ),
    ),
    hints=(
        "Two reasons for yes, joined by or. For arrays that is |, with brackets around both sides.",
        "The distance is a norm over the last axis of shoulders[..., 0, :] - shoulders[..., 1, :].",
        "(distance * 200 / height < 25) | (conf == 0).any(axis=-1)",
    ),
)

# ---------------------------------------------------------------------------- four_ways

QUARTERS = np.arange(4) * np.pi / 2


def ways_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    leaning = rotations(np.array([np.pi, 0, 0])) @ rotations(0.5 * draw(size=3))
    return [
        Case("upright, facing the camera", (np.diag([1.0, -1.0, -1.0]),)),
        Case("a body that leans", (leaning,)),
        Case("the body's axes are the camera's", (np.eye(3),)),
        Case("five bodies", (rotations(draw(size=(5, 3))),)),
        Case("batch axes (2, 3)", (rotations(draw(size=(2, 3, 3))),)),
        Case("float32", (rotations(draw(size=(4, 3))).astype(np.float32),)),
    ]


def about(axis: str, angles=QUARTERS) -> np.ndarray:
    """Turns (4, 3, 3) about one axis."""
    return rotations(np.asarray(angles)[:, None] * np.eye(3)["xyz".index(axis)])


def ways_by_columns(R):
    """Quarter turns about y exchange the columns x and z with a sign."""
    x, y, z = np.moveaxis(R, -1, 0)
    each = [(x, z), (-z, x), (-x, -z), (z, -x)]
    return np.stack([np.stack([a, y, b], -1) for a, b in each], -3)


def ways_by_scipy(R):
    out = np.empty((*R.shape[:-2], 4, 3, 3))
    for i in np.ndindex(R.shape[:-2]):
        for k in range(4):
            turn = Rotation.from_rotvec([0, k * np.pi / 2, 0])
            out[(*i, k)] = (Rotation.from_matrix(R[i]) * turn).as_matrix()
    return out


def ways_with(turns, before=False):
    """R and other turns, after R or (as the camera sees it) before it."""
    return lambda R: (
        np.einsum("kij,...jl->...kil", turns, R)
        if before
        else np.einsum("...ij,kjl->...kil", R, turns)
    )


def ways_added(R):
    vector = Rotation.from_matrix(R.reshape(-1, 3, 3)).as_rotvec().reshape(*R.shape[:-1])
    return rotations(vector[..., None, :] + QUARTERS[:, None] * np.array([0.0, 1.0, 0.0]))


def ways_compounded(R):
    found = [R]
    for k in range(1, 4):
        found.append(found[-1] @ about("y")[k])
    return np.stack(found, -3)


four_ways = Exercise(
    "four_ways",
    ways_cases,
    alternatives=(ways_by_columns, ways_by_scipy, ways_with(about("y"))),
    mistakes=(
        Mistake(
            "you turned about the camera's vertical axis; a body that leans then leans elsewhere",
            ways_with(about("y"), before=True),
        ),
        Mistake(
            "you added an angle to a component of axis-angle; rotations are composed, not added",
            ways_added,
        ),
        Mistake("your turns go the other way round", ways_with(about("y", -QUARTERS))),
        Mistake(
            "you turned about the axis along which the body looks: it cartwheels",
            ways_with(about("z")),
        ),
        Mistake(
            "you turned about the axis from side to side: it somersaults",
            ways_with(about("x")),
        ),
        Mistake(
            "np.cos takes radians, and you gave it degrees",
            ways_with(about("y", np.degrees(QUARTERS))),
        ),
        Mistake(
            "your four are an eighth of a turn apart, so nobody looks away from the camera",
            ways_with(about("y", QUARTERS / 2)),
        ),
        Mistake(
            "you turned each from the one before it by ever larger angles",
            ways_compounded,
        ),
        Mistake(
            "these are the ways back: each matrix is transposed",
            lambda R: ways_with(about("y"))(R).swapaxes(-1, -2),
        ),
    ),
    hints=(
        "Four matrices R_y first, as one array (4, 3, 3). Then one product with all of them.",
        "For the product to make four of each R, R needs an axis where the four go: "
        "R[..., None, :, :] has the shape (*, 1, 3, 3).",
        "np.stack of the nine entries, each an array of four, over axis -1, then .reshape(4, 3, 3). "
        "Of R and the turns, R stands on the left.",
    ),
)

# ---------------------------------------------------------------------------- stage_energies

ORIGINAL = np.array(
    [
        [1, 404, 3.17 * 404, 100, 1000],
        [1, 404, 3.17 * 404, 50, 1000],
        [1, 57.4, 3.17 * 57.4, 10, 1000],
        [1, 4.78, 3.17 * 4.78, 5, 1000],
    ]
)


def energy_cases(generator: np.random.Generator) -> list[Case]:
    def terms(*batch):
        """Energies of the size that a fit has."""
        return generator.uniform(0.5, 2, size=(*batch, 5)) * [3000, 90, 3, 4, 0.001]

    weights = generator.uniform(0.5, 4, size=(3, 5))
    weights[1, [0, 2]] = 0
    weights[2, 3] = 0
    some = generator.uniform(1, 5, size=(4, 5))
    lost = some.copy()
    lost[1, 3], lost[2, 0], lost[3, 2] = np.inf, np.nan, np.nan
    return [
        Case("two terms, two stages", (np.array([2.0, 3.0]), np.array([[1.0, 10], [1, 2]]))),
        Case("the original's four stages", (terms(), ORIGINAL)),
        Case("its last stage for six people", (terms(6), ORIGINAL[3:])),
        Case("stages that switch terms off", (some, weights)),
        Case("terms that aren't finite, some switched off", (lost, weights)),
        Case("energies of zero", (np.zeros((2, 5)), weights)),
        Case("batch axes (2, 3)", (generator.uniform(1, 5, size=(2, 3, 5)), weights)),
        Case("float32", singles(generator.uniform(1, 5, size=(4, 5)), weights)),
    ]


def energies_by_loop(terms, weights):
    out = np.zeros((*terms.shape[:-1], len(weights)))
    for *i, s in np.ndindex(out.shape):
        for energy, w in zip(terms[tuple(i)], weights[s], strict=True):
            if w:
                out[(*i, s)] += energy * w * w
    return out


def energies_by_choice(terms, weights):
    """Each stage by the columns that it has."""
    stages = [terms[..., w != 0] @ np.square(w[w != 0]) for w in weights]
    return np.stack(stages, -1)


def energies_with(change):
    """``change(terms (*, 1, T), weights (S, T))`` gives the parts of the sums."""

    def answer(terms, weights):
        with np.errstate(all="ignore"):
            parts = change(terms[..., None, :], weights)
        return np.where(weights == 0, 0, parts).sum(-1)

    return answer


stage_energies = Exercise(
    "stage_energies",
    energy_cases,
    alternatives=(energies_by_loop, energies_by_choice),
    mistakes=(
        Mistake(
            "you weighted energies; the table's numbers weigh residuals",
            energies_with(lambda E, w: w * E),
        ),
        Mistake(
            "you squared the energies along with the weights, but they are sums of squares already",
            energies_with(lambda E, w: (w * E) ** 2),
        ),
        Mistake(
            "zero times NaN isn't zero: a term that is switched off still spoils your sum",
            lambda E, w: (w**2 * E[..., None, :]).sum(-1),
        ),
        Mistake(
            "you dropped what isn't finite even where it counts: a lost body then looks cheap",
            lambda E, w: np.nan_to_num(E, nan=0, posinf=0) @ (w**2).T,
        ),
        Mistake(
            "you divided by the sum of the weights; stages may weigh more or less in all",
            lambda E, w: energies_with(lambda E, w: w**2 * E)(E, w) / (w**2).sum(-1),
        ),
        Mistake(
            "each stage has its own weights, and you added those of the stages before it",
            lambda E, w: np.cumsum(energies_with(lambda E, w: w**2 * E)(E, w), -1),
        ),
        Mistake(
            "you added the whole batch up; each person has an energy",
            lambda E, w: np.broadcast_to(
                energies_with(lambda E, w: w**2 * E)(E, w).sum(tuple(range(E.ndim - 1))),
                (*E.shape[:-1], len(w)),
            ).copy(),
        ),
        Mistake(
            "this is half of the energy",
            lambda E, w: energies_with(lambda E, w: w**2 * E)(E, w) / 2,
        ),
        Mistake(
            "this is the mean of the weighted terms, not their sum",
            lambda E, w: energies_with(lambda E, w: w**2 * E)(E, w) / w.shape[-1],
        ),
    ),
    hints=(
        "Without the switch it would be one matrix product. Think of what 0 times infinity is.",
        "terms[..., None, :] has the shape (*, 1, T), so its product with (S, T) has (*, S, T): all "
        "parts of all sums.",
        "np.where(weights == 0, 0, parts) puts zeros where a term is off; then sum over the last "
        "axis.",
    ),
)

# ---------------------------------------------------------------------------- keep_best


def winner_cases(generator: np.random.Generator) -> list[Case]:
    def tried(*batch, candidates=4):
        """Candidates of six unknowns with the energies of three terms."""
        return (
            generator.normal(size=(*batch, candidates, 6)),
            generator.uniform(1, 6, size=(*batch, candidates, 3)),
        )

    data, everything = np.array([1.0, 0.0, 0.0]), np.array([1.0, 0.4, 2.5])
    simple = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 1.0], [4.0, 9.0]])
    lost, partly, none = tried(6), tried(6), tried(3)
    lost[1][:, 1] = np.nan
    lost[1][::2, 0, 0] = np.inf
    partly[1][:, 0, 0] = 0.5
    partly[1][:, 0, 1:] = np.nan  # of terms that don't decide
    none[1][1] = np.nan
    even = tried(2)
    even[1][:, 1:3] = 0.25
    return [
        Case("two candidates, the data decide", (*simple, np.array([1.0, 0.0]))),
        Case("two candidates, both terms decide", (*simple, np.array([1.0, 1.0]))),
        Case("four candidates, all terms decide", (*tried(), everything)),
        Case("ten people", (*tried(10), everything)),
        Case("energies that aren't finite", (*lost, everything)),
        Case("NaN in a term that doesn't decide", (*partly, data)),
        Case("a person of whom no candidate is finite", (*none, everything)),
        Case("two that are equal", (*even, everything)),
        Case("batch axes (2, 3)", (*tried(2, 3), everything)),
        Case("float32", singles(*tried(5), everything)),
    ]


def weighed(terms, weights):
    """Weighted energies (*, C); what isn't finite is infinite."""
    energy = energies_by_choice(terms, weights[None])[..., 0]
    return np.where(np.isfinite(energy), energy, np.inf)


def picked(candidates, winner):
    """The winners' rows."""
    return np.take_along_axis(candidates, np.asarray(winner)[..., None, None], -2)[..., 0, :]


def best_by_loop(candidates, terms, weights):
    out = np.empty((*candidates.shape[:-2], candidates.shape[-1]))
    for i in np.ndindex(out.shape[:-1]):
        best, least = 0, np.inf
        for k, energies in enumerate(terms[i]):
            energy = sum(w * w * e for w, e in zip(weights, energies, strict=True) if w)
            if energy < least:  # never true of NaN
                best, least = k, energy
        out[i] = candidates[(*i, best)]
    return out


def best_by_sorting(candidates, terms, weights):
    order = np.argsort(weighed(terms, weights), axis=-1, kind="stable")
    flat = candidates.reshape(-1, *candidates.shape[-2:])
    rows = flat[np.arange(len(flat)), order.reshape(len(flat), -1)[:, 0]]
    return rows.reshape(*candidates.shape[:-2], candidates.shape[-1])


def best_with(choose):
    """``choose(terms, weights)`` gives the winners (*)."""
    return lambda candidates, terms, weights: picked(candidates, choose(terms, weights))


def best_of_batch(candidates, terms, weights):
    energy = weighed(terms, weights)
    winner = np.unravel_index(energy.argmin(), energy.shape)[-1]
    return candidates[..., winner, :].copy()


def best_by_switched_sum(terms, weights):
    energy = (weights**2 * terms).sum(-1)
    return np.where(np.isfinite(energy), energy, np.inf).argmin(-1)


keep_best = Exercise(
    "keep_best",
    winner_cases,
    alternatives=(best_by_loop, best_by_sorting),
    mistakes=(
        Mistake(
            "you kept the one with the highest energy",
            best_with(lambda E, w: np.where(np.isinf(weighed(E, w)), -1, weighed(E, w)).argmax(-1)),
        ),
        Mistake(
            "argmin takes NaN for the least of all: a candidate that was lost wins",
            best_with(lambda E, w: energies_by_choice(E, w[None])[..., 0].argmin(-1)),
        ),
        Mistake(
            "all terms decide with you, whatever their weights",
            best_with(lambda E, w: weighed(E, np.ones_like(w)).argmin(-1)),
        ),
        Mistake(
            "you weighted energies; the numbers weigh residuals",
            best_with(lambda E, w: weighed(E, np.sqrt(w)).argmin(-1)),
        ),
        Mistake(
            "the data alone decide with you, even if other terms have a weight",
            best_with(lambda E, w: weighed(E, np.eye(len(w))[0]).argmin(-1)),
        ),
        Mistake(
            "a term without a weight knocks your candidates out where it isn't a number",
            best_with(best_by_switched_sum),
        ),
        Mistake(
            "one winner for the whole batch; each person has a winner",
            best_of_batch,
        ),
        Mistake(
            "you mixed the candidates; a mean of a front and a back view is neither",
            lambda c, E, w: c.mean(-2),
        ),
        Mistake("you always keep the first one", lambda c, E, w: c[..., 0, :].copy()),
        Mistake(
            "of equal ones you keep the last",
            best_with(
                lambda E, w: np.where(
                    np.isinf(weighed(E, w)).all(-1),
                    0,
                    E.shape[-2] - 1 - weighed(E, w)[..., ::-1].argmin(-1),
                )
            ),
        ),
    ),
    hints=(
        "Part 5 gives the energies: its weights have a row for each stage, and here there is one. "
        "What must replace NaN so that argmin passes it by?",
        "stage_energies(terms, weights[None])[..., 0] has the shape (*, C). np.where(np.isfinite(E), "
        "E, np.inf) is safe for argmin.",
        "np.take_along_axis(candidates, winner[..., None, None], axis=-2)[..., 0, :] picks a row for "
        "each person.",
    ),
    builds_on=("stage_energies",),
)

EXERCISES = (
    torso_depth,
    camera_translation,
    near_profile,
    four_ways,
    stage_energies,
    keep_best,
)
