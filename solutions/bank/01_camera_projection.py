"""The bank of sheet 01: what tries each function, and the answers that people give."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from vhlib.course.bank import Case, Exercise, Mistake

# ---------------------------------------------------------------------------- what several share

# A person with spread arms and one hand forward, about the pelvis, in a camera's axes; metres.
PERSON = np.array(
    [
        [0.0, -0.57, -0.06],  # head
        [0.0, -0.47, -0.03],
        [0.18, -0.41, -0.03],
        [0.44, -0.40, -0.03],
        [0.77, -0.40, -0.03],  # one hand
        [-0.18, -0.41, -0.03],
        [-0.22, -0.40, -0.28],
        [-0.24, -0.40, -0.60],  # the other, towards the camera
        [0.11, 0.08, -0.02],
        [0.14, 0.46, -0.01],
        [0.14, 0.89, 0.01],
        [-0.11, 0.08, -0.02],
        [-0.14, 0.46, -0.01],
        [-0.14, 0.89, 0.01],
    ]
)
CORNERS = np.stack(np.meshgrid([-1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0]), axis=-1).reshape(-1, 3)
Q = np.diag([1.0, -1.0, -1.0])


def rotations(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices (*, 3, 3) of axis-angle vectors (*, 3), by scipy."""
    flat = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return flat.reshape(*vectors.shape[:-1], 3, 3)


def shifted_by(distance: float) -> np.ndarray:
    """A camera so many metres before the room's origin, with the room's axes."""
    transform = np.eye(4)
    transform[2, 3] = distance
    return transform


def single(*inputs):
    """The same inputs with float32 for every array."""
    return tuple(x.astype(np.float32) if isinstance(x, np.ndarray) else x for x in inputs)


# ---------------------------------------------------------------------------- intrinsics


def intrinsics_cases(generator: np.random.Generator) -> list[Case]:
    def lenses(shape):
        return generator.uniform(4, 70, shape), generator.uniform(6, 30, shape)

    def case(name, f_mm, sensor_mm, width, height):
        return Case(name, (f_mm, sensor_mm, width, height), tolerance=1e-5)

    return [
        case("50 mm before a sensor of 36 mm", np.array(50.0), np.array(36.0), 480, 320),
        case("a phone, upright", *lenses(()), 1080, 1920),
        case("an odd number of pixels", *lenses(()), 641, 427),
        case("a batch of 5 lenses", *lenses(5), 800, 600),
        case("batch axes (2, 3)", *lenses((2, 3)), 1920, 1080),
        case("float32", *single(*lenses(4)), 640, 480),
        case("a batch of one lens", *lenses(1), 640, 480),
    ]


def matrix_k(f_x, f_y, c_x, c_y):
    """K (*, 3, 3) of four numbers (*)."""
    f_x, f_y, c_x, c_y = np.broadcast_arrays(f_x, f_y, c_x, c_y)
    zero, one = np.zeros(f_x.shape), np.ones(f_x.shape)
    rows = [[f_x, zero, c_x], [zero, f_y, c_y], [zero, zero, one]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def intrinsics_by_angle(f_mm, sensor_mm, width, height):
    """The focal length that sees half the width under the lens's half angle."""
    f = width / 2 / np.tan(np.arctan2(sensor_mm / 2, f_mm))
    return matrix_k(f, f, width / 2, height / 2)


def intrinsics_from_sensor_to_pixels(f_mm, sensor_mm, width, height):
    """A camera in millimetres, then millimetres to pixels: scale, and move the origin."""
    lens = matrix_k(f_mm, f_mm, 0.0, 0.0)
    pixel = sensor_mm / width
    return matrix_k(1 / pixel, 1 / pixel, width / 2, height / 2) @ lens


def intrinsics_loop(f_mm, sensor_mm, width, height):
    out = np.empty((*f_mm.shape, 3, 3))
    for index in np.ndindex(f_mm.shape):
        f = f_mm[index] / (sensor_mm[index] / width)
        out[index] = [[f, 0, 0.5 * width], [0, f, 0.5 * height], [0, 0, 1]]
    return out


def focal(f_mm, sensor_mm, width):
    """Pixels."""
    return f_mm * width / sensor_mm


intrinsics = Exercise(
    "intrinsics",
    intrinsics_cases,
    alternatives=(
        intrinsics_by_angle,
        intrinsics_from_sensor_to_pixels,
        intrinsics_loop,
    ),
    mistakes=(
        Mistake(
            "you entered the lens's millimetres as pixels",
            lambda f, w, W, H: matrix_k(f, f, W / 2, H / 2),
        ),
        Mistake(
            "you multiplied by millimetres and divided by pixels: look at the unit that is left",
            lambda f, w, W, H: matrix_k(f * w / W, f * w / W, W / 2, H / 2),
        ),
        Mistake(
            "this middle is right where pixel centres are whole numbers; here they lie at +0.5",
            lambda f, w, W, H: matrix_k(focal(f, w, W), focal(f, w, W), (W - 1) / 2, (H - 1) / 2),
        ),
        Mistake(
            "you took another focal length for the height, as if pixels weren't squares",
            lambda f, w, W, H: matrix_k(focal(f, w, W), focal(f, w, H), W / 2, H / 2),
        ),
        Mistake(
            "you compared the sensor's width with the picture's height",
            lambda f, w, W, H: matrix_k(focal(f, w, H), focal(f, w, H), W / 2, H / 2),
        ),
        Mistake(
            "your principal point is (row, column); u comes first",
            lambda f, w, W, H: matrix_k(focal(f, w, W), focal(f, w, W), H / 2, W / 2),
        ),
        Mistake(
            "your principal point is the picture's corner",
            lambda f, w, W, H: matrix_k(focal(f, w, W), focal(f, w, W), 0.0, 0.0),
        ),
        Mistake(
            "your principal point is half a pixel too far: the picture reaches from 0 to W",
            lambda f, w, W, H: matrix_k(focal(f, w, W), focal(f, w, W), (W + 1) / 2, (H + 1) / 2),
        ),
        Mistake(
            "your matrix is transposed: the principal point stands in the last column",
            lambda f, w, W, H: np.swapaxes(
                matrix_k(focal(f, w, W), focal(f, w, W), W / 2, H / 2), -1, -2
            ),
        ),
        Mistake(
            "you took every sensor for the film of 36 mm that phones compare themselves with",
            lambda f, w, W, H: matrix_k(f * W / 36.0, f * W / 36.0, W / 2, H / 2),
        ),
    ),
    hints=(
        "How many pixels are there to a millimetre of the sensor? The focal length is a length "
        "like any other.",
        "np.zeros((*f.shape, 3, 3)) makes a batch of matrices; K[..., 0, 0] is one entry of all of "
        "them.",
        "f = f_mm * width / sensor_mm goes to K[..., 0, 0] and K[..., 1, 1], width / 2 to "
        "K[..., 0, 2], height / 2 to K[..., 1, 2], and 1 to K[..., 2, 2].",
    ),
)

# ---------------------------------------------------------------------------- project


def project_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal

    def cameras(*shape):
        """Turned by any angle, some metres away."""
        transform = np.zeros((*shape, 4, 4))
        transform[..., :3, :3] = rotations(1.3 * draw(size=(*shape, 3)))
        transform[..., :3, 3] = 0.8 * draw(size=(*shape, 3)) + [0.3, -0.2, 7.0]
        transform[..., 3, 3] = 1
        return transform

    def lenses(*shape):
        f = generator.uniform(400, 1500, shape)
        return matrix_k(f, 1.1 * f, 310.0 + 20 * draw(size=shape), 250.0 + 20 * draw(size=shape))

    def points(*shape):
        return generator.uniform(-1, 1, (*shape, 3))

    plain = np.array([[666.67, 0.0, 240.0], [0.0, 666.67, 160.0], [0.0, 0.0, 1.0]])
    around = np.array([[0.3, -0.6, 0.0], [0.3, -0.6, -5.0], [0.4, 0.1, -4.0], [0.1, 0.2, -3.9]])
    return [
        Case("a box before a camera that is moved, not turned", (CORNERS, shifted_by(5.0), plain)),
        Case("a box before a turned camera", (CORNERS, cameras(), lenses())),
        Case("one point", (points(1), cameras(), lenses())),
        Case("points before, beside and behind the camera", (around, shifted_by(4.0), plain)),
        Case("a batch of 3 cameras", (points(3, 5), cameras(3), lenses(3))),
        Case("batch axes (2, 3)", (points(2, 3, 4), cameras(2, 3), lenses(2, 3))),
        Case("float32", single(points(2, 6), cameras(2), lenses(2))),
        Case("one point of one camera", (points(1, 1), cameras(1), lenses(1))),
    ]


def to_camera(X, T):
    """R x + t."""
    return np.einsum("...ij,...nj->...ni", T[..., :3, :3], X) + T[..., None, :3, 3]


def divided(x, K, depth=None):
    """Pixels of points in the camera's axes, NaN where the depth isn't positive."""
    depth = x[..., 2:] if depth is None else depth
    f = np.stack([K[..., 0, 0], K[..., 1, 1]], axis=-1)[..., None, :]
    pixels = f * x[..., :2] / depth + K[..., None, :2, 2]
    return np.where(x[..., 2:] > 0, pixels, np.nan)


def project_by_matrix(X, T_camera_world, K):
    """One 3 x 4 matrix on homogeneous points."""
    P = K @ T_camera_world[..., :3, :]
    w = np.concatenate([X, np.ones_like(X[..., :1])], axis=-1) @ P.swapaxes(-1, -2)
    pixels = w[..., :2] / w[..., 2:]
    pixels[w[..., 2] <= 0] = np.nan
    return pixels


def project_loop(X, T_camera_world, K):
    out = np.full((*X.shape[:-1], 2), np.nan)
    for index in np.ndindex(X.shape[:-1]):
        T, lens = T_camera_world[index[:-1]], K[index[:-1]]
        x, y, z = T[:3, :3] @ X[index] + T[:3, 3]
        if z > 0:
            out[index] = lens[0, 0] * x / z + lens[0, 2], lens[1, 1] * y / z + lens[1, 2]
    return out


def project_in_torch(X, T_camera_world, K):
    X, T, K = (torch.from_numpy(x) for x in (X, T_camera_world, K))
    rays = torch.einsum("...ij,...nj->...ni", T[..., :3, :3], X) + T[..., None, :3, 3]
    rays = torch.where(rays[..., 2:] > 0, rays / rays[..., 2:], torch.nan)
    return torch.einsum("...ij,...nj->...ni", K, rays)[..., :2].numpy()


def with_parts(R, t):
    """Transforms (*, 4, 4) of rotations and translations."""
    transform = np.zeros((*np.broadcast_shapes(R.shape[:-2], t.shape[:-1]), 4, 4))
    transform[..., :3, :3], transform[..., :3, 3], transform[..., 3, 3] = R, t, 1
    return transform


def project_turned_back(X, T, K):
    R = T[..., :3, :3].swapaxes(-1, -2)
    return divided(to_camera(X, with_parts(R, T[..., :3, 3])), K)


def project_shift_first(X, T, K):
    unmoved = with_parts(T[..., :3, :3], np.zeros(3))
    return divided(to_camera(X + T[..., None, :3, 3], unmoved), K)


def project_not_moved(X, T, K):
    return divided(to_camera(X, with_parts(T[..., :3, :3], np.zeros(3))), K)


def project_by_distance(X, T, K):
    x = to_camera(X, T)
    return divided(x, K, np.linalg.norm(x, axis=-1, keepdims=True))


def project_behind_too(X, T, K):
    w = to_camera(X, T) @ K.swapaxes(-1, -2)
    return w[..., :2] / w[..., 2:]


def project_plane_too(X, T, K):
    behind = to_camera(X, T)[..., 2:] < 0
    return np.where(behind, np.nan, project_behind_too(X, T, K))


def project_pictured(X, T, K):
    pixels = divided(to_camera(X, T), K)
    return np.where((pixels >= 0).all(-1, keepdims=True), pixels, np.nan)


def project_shift_divided(X, T, K):
    x = to_camera(X, T)
    f = np.stack([K[..., 0, 0], K[..., 1, 1]], axis=-1)[..., None, :]
    pixels = (f * x[..., :2] + K[..., None, :2, 2]) / x[..., 2:]
    return np.where(x[..., 2:] > 0, pixels, np.nan)


def project_one_focal_length(X, T, K):
    K = K.copy()
    K[..., 1, 1] = K[..., 0, 0]
    return divided(to_camera(X, T), K)


project = Exercise(
    "project",
    project_cases,
    alternatives=(project_by_matrix, project_loop, project_in_torch),
    mistakes=(
        Mistake(
            "you took the points for the camera's; they are the room's",
            lambda X, T, K: divided(X, K),
        ),
        Mistake(
            "T_camera_world leads from the room to the camera; you went the other way",
            lambda X, T, K: divided(to_camera(X, np.linalg.inv(T)), K),
        ),
        Mistake("you turned the points but didn't move them by t", project_not_moved),
        Mistake(
            "you turned the points the wrong way round: for points in rows, x @ R isn't R x",
            project_turned_back,
        ),
        Mistake(
            "you moved the points by t before turning them, as if t were given in the room's axes",
            project_shift_first,
        ),
        Mistake(
            "nothing is divided by depth, so near things are no larger than far ones",
            lambda X, T, K: divided(to_camera(X, T), K, 1.0),
        ),
        Mistake(
            "you divided by the distance from the camera's centre, not by the depth along its axis",
            project_by_distance,
        ),
        Mistake(
            "points behind the camera get a place, upside down; nothing of them is in the picture",
            project_behind_too,
        ),
        Mistake(
            "a point with Z = 0 has no picture either, and yours is infinitely far",
            project_plane_too,
        ),
        Mistake(
            "a point beyond the picture's edge has a pixel, too; only Z decides who has none",
            project_pictured,
        ),
        Mistake(
            "you divided the principal point by depth, too; it is added after that",
            project_shift_divided,
        ),
        Mistake(
            "you took the focal length of u for v; here they differ",
            project_one_focal_length,
        ),
        Mistake(
            "your v counts upwards; both the camera's y and the picture's rows go down",
            lambda X, T, K: divided(to_camera(X, T) * [1.0, -1.0, 1.0], K),
        ),
        Mistake(
            "these are (row, column); u, the column, comes first",
            lambda X, T, K: divided(to_camera(X, T), K)[..., ::-1],
        ),
        Mistake(
            "these are measured from the principal point, not from the picture's corner",
            lambda X, T, K: divided(to_camera(X, T), K * (np.arange(3) < 2)),
        ),
    ),
    hints=(
        "Three steps: into the camera's axes, divide by depth, and say what has no picture. Check "
        "the first step alone: a point at -R^T t must come to (0, 0, 0).",
        "Points lie in rows, so R x for all of them is X @ np.swapaxes(R, -1, -2), and t needs an "
        "axis more: t[..., None, :]. np.where(condition, a, b) chooses for each element.",
        "With x = R X + t and w = x @ np.swapaxes(K, -1, -2), the pixels are w[..., :2] / "
        "w[..., 2:], and np.nan where x[..., 2:] > 0 doesn't hold.",
    ),
    drawing="pixels",
)

# ---------------------------------------------------------------------------- weak_perspective


def weak_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal

    def inputs(*shape, points=5):
        s = generator.uniform(0.4, 0.8, shape)
        t = generator.uniform(0.1, 0.5, (*shape, 2)) * generator.choice([-1, 1], (*shape, 2))
        X = 0.5 * draw(size=(*shape, points, 3))
        return X, s, t, 224

    some = inputs()
    return [
        Case("a person in a crop", (PERSON, np.array(0.8), np.array([0.1, -0.2]), 224)),
        Case("five points", some),
        Case("a crop of 256 pixels", (*some[:3], 256)),
        Case("the body isn't shifted", (*some[:2], np.zeros(2), 224)),
        Case("a batch of 3", inputs(3)),
        Case("batch axes (2, 3)", inputs(2, 3)),
        Case("float32", single(*inputs(2))),
        Case("one point of a batch of one", inputs(1, points=1)),
    ]


def weak(X, s, t, r, offset=1.0):
    """(s (X + t) + offset) r / 2."""
    return (s[..., None, None] * (X[..., :2] + t[..., None, :]) + offset) * r / 2


def weak_by_matrix(X, s, t, r):
    """An affine map of homogeneous points, put together from three."""
    shape = s.shape
    shift, scale = np.zeros((*shape, 2, 3)), s[..., None, None] * np.diag([1.0, 1.0, 0.0])
    shift[..., 0, 0] = shift[..., 1, 1] = 1
    shift[..., 2] = t
    scale[..., 2, 2] = 1
    to_pixels = r / 2 * np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    homogeneous = X.copy()
    homogeneous[..., 2] = 1
    row = np.broadcast_to([0.0, 0.0, 1.0], (*shape, 1, 3))
    whole = to_pixels @ scale @ np.concatenate([shift, row], axis=-2)
    return np.einsum("...ij,...nj->...ni", whole, homogeneous)


def weak_loop(X, s, t, r):
    out = np.zeros((*X.shape[:-1], 2))
    for index in np.ndindex(X.shape[:-1]):
        metres = X[index][:2] + t[index[:-1]]
        out[index] = r / 2 + metres * (r / 2 * s[index[:-1]])
    return out


def weak_by_far_pinhole(X, s, t, r):
    """The limit of a pinhole that is far away."""
    f = 1e9
    depth = 2 * f / (r * s[..., None, None])
    return f * (X[..., :2] + t[..., None, :]) / (X[..., 2:] + depth) + r / 2


weak_perspective = Exercise(
    "weak_perspective",
    weak_cases,
    alternatives=(weak_by_matrix, weak_loop, weak_by_far_pinhole),
    mistakes=(
        Mistake(
            "you shifted after scaling, s X + t, as the paper prints it; here t is in metres",
            lambda X, s, t, r: (s[..., None, None] * X[..., :2] + t[..., None, :] + 1) * r / 2,
        ),
        Mistake(
            "you added t in pixels; it is in metres, as the body is",
            lambda X, s, t, r: weak(X, s, 0 * t, r) + t[..., None, :],
        ),
        Mistake(
            "these are coordinates from -1 to 1; asked for are pixels of the crop",
            lambda X, s, t, r: weak(X, s, t, 2, 0.0),
        ),
        Mistake(
            "your pixels are counted from the crop's middle, not from its corner",
            lambda X, s, t, r: weak(X, s, t, r, 0.0),
        ),
        Mistake(
            "from -1 to 1 is a way of two, so one is half a crop; you took it for a whole one",
            lambda X, s, t, r: weak(X, s, t, 2 * r, 0.5),
        ),
        Mistake(
            "these are pixels whose centres are whole numbers; here they lie at +0.5",
            lambda X, s, t, r: weak(X, s, t, r) - 0.5,
        ),
        Mistake(
            "you let 1 be the last pixel's centre; it is the crop's edge",
            lambda X, s, t, r: weak(X, s, t, r - 1),
        ),
        Mistake(
            "you left out t, so everybody stands on the optical axis",
            lambda X, s, t, r: weak(X, s, 0 * t, r),
        ),
        Mistake(
            "you divided by each point's own depth; this camera has one scale for all",
            lambda X, s, t, r: (
                (s[..., None, None] * (X[..., :2] + t[..., None, :]) / X[..., 2:] + 1) * r / 2
            ),
        ),
        Mistake(
            "your v counts upwards; both the camera's y and the picture's rows go down",
            lambda X, s, t, r: weak(X * [1.0, -1.0, 1.0], s, t * [1.0, -1.0], r),
        ),
    ),
    hints=(
        "Depth isn't used at all. First find the coordinates from -1 to 1; which pixels are -1, 0 "
        "and 1?",
        "s has the shape (*), X has (*, N, 3): s[..., None, None] and t[..., None, :] bring them "
        "together.",
        "-1 is pixel 0, 0 is r / 2 and 1 is r: (coordinate + 1) * r / 2.",
    ),
    drawing="pixels",
)

# ---------------------------------------------------------------------------- camera_translation


def translation_cases(generator: np.random.Generator) -> list[Case]:
    def inputs(*shape):
        s, b = generator.uniform(0.5, 1.2, shape), generator.uniform(250, 900, shape)
        t, o = (
            low * generator.uniform(1, 3, (*shape, 2)) * generator.choice([-1, 1], (*shape, 2))
            for low in (0.1, 120.0)
        )
        return s, t, b, o

    s, t, b, o = inputs()
    crop = (np.array(0.9), np.array([0.1, 0.2]), np.array(224.0), np.zeros(2))
    return [
        Case("a crop of 224 pixels for itself", (*crop, 5000.0)),
        Case("a crop whose middle is the frame's", (s, t, b, 0 * o, 1500.0)),
        Case("a crop off the middle", (s, t, b, o, 1500.0)),
        Case("the body isn't shifted in its crop", (s, 0 * t, b, o, 1200.0)),
        Case("a batch of 4", (*inputs(4), 1500.0)),
        Case("batch axes (2, 3)", (*inputs(2, 3), 2000.0)),
        Case("float32", (*single(*inputs(3)), 1500.0)),
        Case("a batch of one", (*inputs(1), 1500.0)),
    ]


def joined(x_y, z):
    """(*, 2) and (*) to (*, 3)."""
    return np.concatenate([x_y, z[..., None]], axis=-1)


def translation_by_two_points(s, t, b, o, f):
    """What the crop makes of X = 0 and X = 1, on rays of the frame; then similar triangles."""
    half = (b / 2)[..., None]
    at_zero, at_one = (o + half * s[..., None] * (x + t) for x in (0.0, 1.0))
    depth = f / (at_one - at_zero)[..., 0]
    return joined(at_zero / f * depth[..., None], depth)


def translation_by_solving(s, t, b, o, f):
    """Four linear equations in T: f (X + T_x) - (u) T_z = 0 at two points, in least squares."""
    out = np.zeros((*s.shape, 3))
    for index in np.ndindex(s.shape):
        rows, right = [], []
        for x in (-0.5, 0.5):
            u, v = o[index] + b[index] / 2 * s[index] * (x + t[index])
            rows += [[f, 0, -u], [0, f, -v]]
            right += [-f * x, -f * x]
        out[index] = np.linalg.lstsq(np.array(rows, float), np.array(right, float), rcond=None)[0]
    return out


def translation(s, t, b, o, f, share=2.0):
    """The right one; ``share`` stands for the two of both quotients."""
    scale = share / (b * s)
    return joined(t + o * scale[..., None], f * scale)


camera_translation = Exercise(
    "camera_translation",
    translation_cases,
    alternatives=(translation_by_two_points, translation_by_solving),
    mistakes=(
        Mistake(
            "you left out where the crop was cut: this is right if its middle is the frame's",
            lambda s, t, b, o, f: translation(s, t, b, 0 * o, f),
        ),
        Mistake(
            "you took every crop to be 224 pixels wide, so size in the frame no longer counts",
            lambda s, t, b, o, f: translation(s, t, np.full_like(b, 224.0), o, f),
        ),
        Mistake(
            "this is the crop's own camera of 5000 and 224 pixels; the frame has another",
            lambda s, t, b, o, f: translation(s, t, np.full_like(b, 224.0), 0 * o, 5000.0),
        ),
        Mistake(
            "s counts half crops a metre; you took it for whole ones",
            lambda s, t, b, o, f: translation(s, t, b, o, f, 1.0),
        ),
        Mistake(
            "you added pixels to metres",
            lambda s, t, b, o, f: joined(t + o, 2 * f / (b * s)),
        ),
        Mistake(
            "2 o / b counts half crops; divide by s, too, and it is in metres",
            lambda s, t, b, o, f: joined(t + 2 * o / b[..., None], 2 * f / (b * s)),
        ),
        Mistake(
            "you shifted the body as if it stood at a depth of one metre",
            lambda s, t, b, o, f: joined(t + o / f, 2 * f / (b * s)),
        ),
        Mistake(
            "a larger scale means that the person is nearer; yours goes away",
            lambda s, t, b, o, f: joined(t + 2 * o * (s / b)[..., None], 2 * f * s / b),
        ),
        Mistake(
            "you took t for the shift of s X + t; it is in metres already",
            lambda s, t, b, o, f: translation(s, t / s[..., None], b, o, f),
        ),
        Mistake(
            "your body goes to the other side: the crop lies at +o from the principal point",
            lambda s, t, b, o, f: translation(s, t, b, -o, f),
        ),
        Mistake(
            "this is 5000, SPIN's convention for crops, and not the focal length that was given",
            lambda s, t, b, o, f: translation(s, t, b, o, 5000.0),
        ),
    ),
    hints=(
        "The equation holds for every X, so what stands before X must be the same on both sides. "
        "That gives T_z alone.",
        "Slopes: f / T_z = b s / 2, the pixels of one metre. Put that into the equation and X is "
        "gone; solve what is left for T_x. Shapes: (b * s)[..., None] goes with t and o.",
        "T_z = 2 f / (b s), and T_x = t_x + 2 o_x / (b s). np.concatenate joins t + ... (*, 2) "
        "with T_z[..., None] along the last axis.",
    ),
)

# ---------------------------------------------------------------------------- frame_orient


def orient_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal

    def inputs(*shape):
        """Both offsets are large, of any sign."""
        signs = generator.choice([-1, 1], (*shape, 2))
        return rotations(draw(size=(*shape, 3))), signs * generator.uniform(250, 900, (*shape, 2))

    facing = rotations(np.array([np.pi, 0.0, 0.0]))
    return [
        Case("45 degrees to the right", (np.eye(3), np.array([1000.0, 0.0]), 1000.0)),
        Case(
            "one that faces the camera, at the right edge", (facing, np.array([800.0, 0]), 1000.0)
        ),
        Case("any rotation, in a corner", (*inputs(), 1100.0)),
        Case("in the middle of the frame", (inputs()[0], np.zeros(2), 1000.0)),
        Case("a batch of 5", (*inputs(5), 1300.0)),
        Case("batch axes (2, 3)", (*inputs(2, 3), 1500.0)),
        Case("float32", (*single(*inputs(3)), 900.0)),
        Case("a batch of one", (*inputs(1), 1000.0)),
    ]


def ray_angles(o, f):
    """The shortest turns as axis-angle vectors (*, 3)."""
    sideways = np.hypot(o[..., 0], o[..., 1])
    axis = np.stack([-o[..., 1], o[..., 0], np.zeros_like(sideways)], axis=-1)
    length = np.where(sideways == 0, 1, sideways)
    return axis * (np.arctan2(sideways, f) / length)[..., None]


def orient_by_rotation_vector(R, o, f):
    return rotations(ray_angles(o, f).astype(np.float64)) @ R


def orient_by_two_mirrors(R, o, f):
    """Two reflections: in the plane across e, then in the one across the middle of e and d."""
    d = np.concatenate([o / f, np.ones_like(o[..., :1])], axis=-1)
    d = d / np.sqrt(np.einsum("...i,...i->...", d, d))[..., None]
    e = np.array([0.0, 0.0, 1.0])
    half = d + e
    half = half / np.linalg.norm(half, axis=-1, keepdims=True)
    mirror = np.eye(3) - 2 * half[..., :, None] * half[..., None, :]
    return mirror @ np.diag([1.0, 1.0, -1.0]) @ R


def orient_loop(R, o, f):
    out = np.empty(R.shape)
    for index in np.ndindex(R.shape[:-2]):
        d = np.array([*o[index] / f, 1.0])
        d = d / np.sqrt(d @ d)
        a = np.cross([0, 0, 1.0], d)
        columns = [
            e * d[2] + np.cross(a, e) + a * (a @ e) / (1 + d[2]) for e in np.eye(3)
        ]  # the turn of each axis
        out[index] = np.stack(columns, axis=-1) @ R[index]
    return out


def orient_of_long_ray(R, o, f):
    """The formula with a direction whose length isn't one."""
    d = np.concatenate([o / f, np.ones_like(o[..., :1])], axis=-1)
    cross = np.cross(np.cross([0.0, 0.0, 1.0], d)[..., None, :], np.eye(3)).swapaxes(-1, -2)
    return (np.eye(3) + cross + cross @ cross / 2) @ R


def orient_by_formula(R, direction, square=np.matmul, unit=False):
    """The formula with a direction (*, 3) of any length; ``unit`` makes a's length one."""
    d = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    a = np.cross([0.0, 0.0, 1.0], d)
    if unit:
        a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    cross = np.cross(a[..., None, :], np.eye(3)).swapaxes(-1, -2)
    return (np.eye(3) + cross + square(cross, cross) / (1 + d[..., 2, None, None])) @ R


def about(axis, angle):
    """Turns about one of the camera's axes."""
    return rotations(angle[..., None].astype(np.float64) * np.eye(3)[axis])


frame_orient = Exercise(
    "frame_orient",
    orient_cases,
    alternatives=(orient_by_rotation_vector, orient_by_two_mirrors, orient_loop),
    mistakes=(
        Mistake(
            "you turned about the body's axes, on the other side of R; the ray is in the camera's",
            lambda R, o, f: R @ rotations(ray_angles(o, f)),
        ),
        Mistake(
            "you turned from the ray to straight ahead; the way is the other one",
            lambda R, o, f: rotations(-ray_angles(o, f)) @ R,
        ),
        Mistake(
            "the formula is for a direction of length one, but yours is longer",
            orient_of_long_ray,
        ),
        Mistake(
            "o is in pixels; the ray has o / f before its 1",
            lambda R, o, f: orient_by_formula(R, joined(o, np.ones_like(o[..., 0]))),
        ),
        Mistake(
            "you made a unit vector of a; its length is the sine of the angle, as it should be",
            lambda R, o, f: orient_by_formula(R, joined(o / f, np.ones_like(o[..., 0])), unit=True),
        ),
        Mistake(
            "you squared each entry of the cross-product matrix; its square is a matrix product",
            lambda R, o, f: orient_by_formula(
                R, joined(o / f, np.ones_like(o[..., 0])), square=np.multiply
            ),
        ),
        Mistake(
            "you turned sideways only; the crop also lies above or below the middle",
            lambda R, o, f: rotations(ray_angles(o * [1.0, 0.0], f)) @ R,
        ),
        Mistake(
            "you turned sideways and then up or down, which isn't the shortest turn to the ray",
            lambda R, o, f: (
                about(1, np.arctan2(o[..., 0], f))
                @ about(0, -np.arctan2(o[..., 1], np.hypot(o[..., 0], f)))
                @ R
            ),
        ),
        Mistake(
            "this is the crop's own rotation: the ray changes nothing in it",
            lambda R, o, f: R + 0 * o[..., :1, None],
        ),
        Mistake(
            "the vertical part has the wrong sign; y goes down in the picture and in the camera",
            lambda R, o, f: rotations(ray_angles(o * [1.0, -1.0], f)) @ R,
        ),
        Mistake(
            "this is the turn to the ray alone; the body's own rotation is lost",
            lambda R, o, f: rotations(ray_angles(o, f)),
        ),
    ),
    hints=(
        "Write down a for e = (0, 0, 1) by hand: one of its three numbers is always zero.",
        "np.concatenate([o / f, np.ones_like(o[..., :1])], axis=-1) is the ray; divide it by "
        "np.linalg.norm(..., axis=-1, keepdims=True). np.zeros((*d.shape, 3)) holds the matrices.",
        "a = (-d_y, d_x, 0), so [a]x has d_x at [0, 2], -d_x at [2, 0], d_y at [1, 2], -d_y at "
        "[2, 1]. d[..., 2, None, None] divides a batch of matrices. The turn comes left of R.",
    ),
    drawing="frames",
)

# ---------------------------------------------------------------------------- to_y_up


def y_up_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal

    def inputs(*shape):
        p = np.array([0.02, -0.25, 0.06]) + 0.05 * draw(size=(*shape, 3))
        t = np.array([0.1, 0.2, 3.5]) + 0.3 * draw(size=(*shape, 3))
        return rotations(draw(size=(*shape, 3))), t, p

    some = inputs()
    upright = Q.copy(), np.array([0.5, 0.25, 3.0]), np.array([0.0, -0.25, 0.0])
    return [
        Case("upright before the camera", upright),
        Case("any body", some),
        Case("the pelvis is the origin", (*some[:2], np.zeros(3))),
        Case("a batch of 4", inputs(4)),
        Case("batch axes (2, 3)", inputs(2, 3)),
        Case("float32", single(*inputs(3))),
        Case("a batch of one", inputs(1)),
    ]


def y_up_from_vertices(R, t, p):
    """Where the body's origin and its three axes come to, read back into R' and t'."""
    points = np.concatenate([p[..., None, :], p[..., None, :] + np.eye(3)], axis=-2)
    relative = points - p[..., None, :]
    placed = np.einsum("...ij,...nj->...ni", R, relative) + (p + t)[..., None, :]
    seen = placed * np.array([1.0, -1.0, -1.0])
    turned = (seen[..., 1:, :] - seen[..., :1, :]).swapaxes(-1, -2)
    return turned, seen[..., 0, :] - p


def y_up_by_signs(R, t, p):
    R, t = R.copy(), t.copy()
    R[..., 1:, :] *= -1
    t[..., 1:] = -t[..., 1:] - 2 * p[..., 1:]
    return R, t


def y_up_by_transforms(R, t, p):
    """4 x 4 matrices: x = T(p + t) R T(-p) x0; take T(p) and T(-p) off again."""
    moved = with_parts(np.eye(3), p + t) @ with_parts(R, np.zeros(3))
    whole = with_parts(rotations(np.array([np.pi, 0.0, 0.0])), np.zeros(3)) @ moved
    return whole[..., :3, :3], whole[..., :3, 3] - p


def pi_added(R, t, p):
    """pi added to the first number of the axis-angle vector."""
    vectors = Rotation.from_matrix(R.reshape(-1, 3, 3)).as_rotvec() + [np.pi, 0.0, 0.0]
    return rotations(vectors).reshape(R.shape), (p + t) @ Q - p


def y_up(R, t, p, turn=Q):
    """The right one for a symmetric ``turn``."""
    return turn @ R, (p + t) @ turn - p


to_y_up = Exercise(
    "to_y_up",
    y_up_cases,
    alternatives=(y_up_from_vertices, y_up_by_signs, y_up_by_transforms),
    mistakes=(
        Mistake(
            "you turned the translation about the origin; the root turns about the pelvis",
            lambda R, t, p: (Q @ R, t @ Q),
        ),
        Mistake(
            "you turned the body in place, so it still stands behind the viewer's eye",
            lambda R, t, p: (Q @ R, t + 0 * p),
        ),
        Mistake(
            "you turned about the body's axes, on the other side of R; Q is in the camera's",
            lambda R, t, p: (R @ Q, (p + t) @ Q - p),
        ),
        Mistake(
            "negating y alone mirrors the body: your matrix is no rotation",
            lambda R, t, p: (np.diag([1.0, -1.0, 1.0]) @ R, t * [1.0, -1.0, 1.0] + 0 * p),
        ),
        Mistake(
            "you turned about the viewing axis, so the body is upright but shows its other side",
            lambda R, t, p: y_up(R, t, p, np.diag([-1.0, -1.0, 1.0])),
        ),
        Mistake(
            "you added pi to a number of the axis-angle vector; turns don't add up like that",
            pi_added,
        ),
        Mistake(
            "you turned the pelvis to the other side: look at its sign",
            lambda R, t, p: (Q @ R, (t - p) @ Q + p),
        ),
        Mistake(
            "you added the pelvis where it has to be taken away",
            lambda R, t, p: (Q @ R, (p + t) @ Q + p),
        ),
        Mistake(
            "you took away the pelvis as turned by the new root, which leaves it where it is",
            lambda R, t, p: (Q @ R, (p + t) @ Q - np.einsum("...ij,...j->...i", Q @ R, p)),
        ),
        Mistake(
            "you turned the body's own axes, too: Q belongs on the left of R alone",
            lambda R, t, p: (Q @ R @ Q, (p + t) @ Q - p),
        ),
        Mistake(
            "you forgot to take the pelvis away again, so the body is off by it",
            lambda R, t, p: (Q @ R, (p + t) @ Q),
        ),
    ),
    hints=(
        "Write Q x out. Then write the formula for R' and t', and compare what stands with x_0 and "
        "what doesn't.",
        "From Q R (x_0 - p) + Q (p + t) = R' (x_0 - p) + p + t' you can read both off. For vectors "
        "in rows, Q v is v @ Q, since Q is its own transpose.",
        "R' = Q R and t' = Q (p + t) - p. Return them as a tuple: return R_new, t_new.",
    ),
    drawing="frames",
)

EXERCISES = (
    intrinsics,
    project,
    weak_perspective,
    camera_translation,
    frame_orient,
    to_y_up,
)
