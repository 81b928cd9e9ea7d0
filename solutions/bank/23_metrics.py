"""The bank of sheet 23: what tries each function, and the answers that people give."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from vhlib.course.bank import Case, Exercise, Mistake

# ---------------------------------------------------------------------------- what several share

REACH = np.array([0.25, 0.5, 0.1])
"""How far a body's joints spread, metres: unlike on each axis, so that no rotation is doubtful."""


def poses(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """Joints (*shape, 3) about as a body's, away from the origin."""
    return generator.normal(size=(*shape, 3)) * REACH + generator.normal(size=3)


def near(generator: np.random.Generator, pose: np.ndarray, size: float = 0.05) -> np.ndarray:
    """The pose with noise on each coordinate."""
    return pose + size * generator.normal(size=pose.shape)


def rotation(generator: np.random.Generator) -> np.ndarray:
    """A rotation by some angle about some axis."""
    return Rotation.from_rotvec(generator.normal(size=3)).as_matrix()


def turned(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Every point (*, J, 3) multiplied by the matrix."""
    return points @ np.swapaxes(matrix, -1, -2)


def centred(points: np.ndarray) -> np.ndarray:
    """Points (*, J, 3) with their mean at the origin."""
    return points - points.mean(-2, keepdims=True)


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Lengths (*) of vectors (*, 3)."""
    return np.sqrt(np.einsum("...i,...i->...", vectors, vectors))


def float32(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The arrays in single precision."""
    return tuple(array.astype(np.float32) for array in arrays)


# ---------------------------------------------------------------------------- mpjpe


def mpjpe_cases(generator: np.random.Generator) -> list[Case]:
    hips, pelvis = np.array([2, 3]), np.array([0])
    gt = poses(generator, 14)
    clip, many = poses(generator, 6, 14), poses(generator, 2, 3, 5)
    example = np.array([[1.0, 0, 0], [1, 0, 0], [1, 3, 4]])
    return [
        Case("the example, one root", (example, np.zeros((3, 3)), pelvis)),
        Case("a body about one joint", (near(generator, gt), gt, pelvis)),
        Case("a body about both hips", (near(generator, gt), gt, hips)),
        Case("a body 2 m away from the truth", (near(generator, gt) + 2, gt, hips)),
        Case("a clip of 6 frames", (near(generator, clip), clip, hips)),
        Case("batch axes (2, 3)", (near(generator, many), many, np.array([4]))),
        Case("three joints as the root", (near(generator, gt), gt, np.array([1, 5, 9]))),
        Case("float32", (*float32(near(generator, clip), clip), hips)),
        Case("an empty batch", (np.zeros((0, 14, 3)), np.zeros((0, 14, 3)), hips)),
    ]


def mpjpe_loop(pred, gt, roots):
    out = np.zeros(pred.shape[:-2])
    for index in np.ndindex(out.shape):
        shift = sum(gt[index][r] - pred[index][r] for r in roots) / len(roots)
        for x, y in zip(pred[index], gt[index], strict=True):
            out[index] += np.sqrt(((x + shift - y) ** 2).sum()) / pred.shape[-2]
    return out


def mpjpe_one_difference(pred, gt, roots):
    """Roots of the difference: centring is linear."""
    wrong = pred - gt
    return lengths(wrong - np.take(wrong, roots, axis=-2).mean(-2, keepdims=True)).mean(-1)


def rooted_difference(pred, gt, roots):
    """Differences (*, J, 3) after the roots are taken off."""
    wrong = pred - gt
    return wrong - wrong[..., roots, :].mean(-2, keepdims=True)


def mpjpe_about_each(pred, gt, roots):
    each = [lengths(rooted_difference(pred, gt, roots[[r]])).mean(-1) for r in range(len(roots))]
    return np.mean(each, axis=0)


def mpjpe_of_batch(pred, gt, roots):
    errors = lengths(rooted_difference(pred, gt, roots))
    return errors.mean() if errors.size else 0.0


mpjpe = Exercise(
    "mpjpe",
    mpjpe_cases,
    alternatives=(mpjpe_loop, mpjpe_one_difference),
    mistakes=(
        Mistake(
            "the roots are still apart: each pose is measured about its own",
            lambda p, g, r: lengths(p - g).mean(-1),
        ),
        Mistake(
            "you brought the means of all joints together, not the roots",
            lambda p, g, r: lengths(centred(p) - centred(g)).mean(-1),
        ),
        Mistake(
            "you took the first root joint only; the root is the middle of all of them",
            lambda p, g, r: lengths(rooted_difference(p, g, r[:1])).mean(-1),
        ),
        Mistake(
            "you averaged the errors about each root joint; the root is the middle of the joints",
            mpjpe_about_each,
        ),
        Mistake(
            "these are squared lengths, in square metres",
            lambda p, g, r: np.square(lengths(rooted_difference(p, g, r))).mean(-1),
        ),
        Mistake(
            "this is the sum over the joints, not their mean",
            lambda p, g, r: lengths(rooted_difference(p, g, r)).sum(-1),
        ),
        Mistake(
            "you left the root's joints out of the mean; they count like the others",
            lambda p, g, r: np.delete(lengths(rooted_difference(p, g, r)), r, axis=-1).mean(-1),
        ),
        Mistake(
            "you averaged over coordinates; the error of a joint is one length",
            lambda p, g, r: np.abs(rooted_difference(p, g, r)).mean((-2, -1)),
        ),
        Mistake(
            "this is the root of the mean square, in which large errors weigh more",
            lambda p, g, r: np.sqrt(np.square(lengths(rooted_difference(p, g, r))).mean(-1)),
        ),
        Mistake(
            "you averaged over the whole batch; each pose has its own error",
            mpjpe_of_batch,
        ),
        Mistake(
            "this is in millimetres",
            lambda p, g, r: 1000 * lengths(rooted_difference(p, g, r)).mean(-1),
        ),
    ),
    hints=(
        "Three steps: take each pose's root off its joints, take the length of each difference, "
        "average over joints.",
        "pred[..., roots, :] is (*, r, 3), the root joints alone. Their mean over the axis -2 with "
        "keepdims=True can be subtracted from pred.",
        "With both poses centred, np.linalg.norm(pred - gt, axis=-1).mean(axis=-1).",
    ),
)

# ---------------------------------------------------------------------------- pck_and_auc

THRESHOLDS = np.arange(31) * 0.005


def pck_cases(generator: np.random.Generator) -> list[Case]:
    def draw(*shape):
        return 0.03 * generator.gamma(2.0, size=shape)

    quarters = np.array([0.0, 0.25, 0.25, 0.5, 1.0])  # exact in binary: some lie on a threshold
    return [
        Case("31 thresholds, 17 joints", (draw(17), THRESHOLDS)),
        Case("errors on the thresholds", (quarters, np.array([0.0, 0.25, 0.5, 0.75]))),
        Case("one threshold of 150 mm", (draw(17), np.array([0.15]))),
        Case("unevenly spaced thresholds", (draw(17), np.array([0.02, 0.03, 0.05, 0.2]))),
        Case("a clip of 6 frames", (draw(6, 17), THRESHOLDS)),
        Case("batch axes (2, 3)", (draw(2, 3, 14), THRESHOLDS[::5])),
        Case("no error at all", (np.zeros(14), THRESHOLDS[::5])),
        Case("all beyond the last threshold", (1 + draw(14), THRESHOLDS[::5])),
        Case("float32", (draw(4, 17).astype(np.float32), THRESHOLDS[::5])),
        Case("an empty batch", (np.zeros((0, 17)), THRESHOLDS[::5])),
    ]


def pck_loop(errors, thresholds):
    curve = np.zeros((*errors.shape[:-1], len(thresholds)))
    for number, threshold in enumerate(thresholds):
        curve[..., number] = np.count_nonzero(errors <= threshold, axis=-1)
    curve /= errors.shape[-1]
    return curve, np.einsum("...t->...", curve) / len(thresholds)


def pck_by_sorting(errors, thresholds):
    """How many sorted errors lie at or before a threshold."""
    flat = np.sort(errors, axis=-1).reshape(-1, errors.shape[-1])
    counts = [np.searchsorted(row, thresholds, side="right") for row in flat]
    shape = (*errors.shape[:-1], len(thresholds))
    curve = np.array(counts, float).reshape(shape) / errors.shape[-1]
    return curve, curve.mean(-1)


def with_mean(curve):
    return curve, curve.mean(-1)


def shares(errors, thresholds):
    """The curve (*, T)."""
    return pck_loop(errors, thresholds)[0]


def pck_trapezoid(errors, thresholds):
    curve = shares(errors, thresholds)
    return curve, np.trapezoid(curve, thresholds, axis=-1)


def pck_trapezoid_share(errors, thresholds):
    curve = shares(errors, thresholds)
    width = thresholds[-1] - thresholds[0]
    return curve, np.trapezoid(curve, thresholds, axis=-1) / width


def pck_steps(errors, thresholds):
    curve = shares(errors, thresholds)
    return curve, curve.sum(-1)


pck_and_auc = Exercise(
    "pck_and_auc",
    pck_cases,
    alternatives=(pck_loop, pck_by_sorting),
    mistakes=(
        Mistake(
            "an error equal to the threshold counts as correct, but you left it out",
            lambda e, t: with_mean((e[..., None, :] < t[:, None]).mean(-1)),
        ),
        Mistake(
            "your AUC is an area in metres; asked for is the mean of the curve, a share",
            pck_trapezoid,
        ),
        Mistake(
            "your AUC follows the trapezoidal rule; asked for is the plain mean over thresholds",
            pck_trapezoid_share,
        ),
        Mistake(
            "you averaged the errors first and asked whether the mean is near enough; joints "
            "are counted one by one",
            lambda e, t: with_mean((e.mean(-1)[..., None] <= t).astype(float)),
        ),
        Mistake("your AUC is a sum over the thresholds; asked for is their mean", pck_steps),
        Mistake(
            "you asked whether all joints are near enough; they are counted one by one",
            lambda e, t: with_mean((e.max(-1)[..., None] <= t).astype(float)),
        ),
        Mistake("these are the shares of wrong joints", lambda e, t: with_mean(1 - shares(e, t))),
        Mistake("these are counts, not shares", lambda e, t: with_mean(e.shape[-1] * shares(e, t))),
        Mistake("these are per cent, not shares", lambda e, t: with_mean(100 * shares(e, t))),
        Mistake(
            "you averaged over the whole batch; each pose has its own curve",
            lambda e, t: with_mean(shares(e.reshape(-1), t)),
        ),
    ),
    hints=(
        "Compare every error with every threshold. Which axis do you average over for the curve, "
        "which for the AUC?",
        "errors[..., None, :] is (*, 1, J) and thresholds[:, None] is (T, 1): their comparison is "
        "(*, T, J). The mean of truths is the share that is true.",
        "curve = (errors[..., None, :] <= thresholds[:, None]).mean(axis=-1); return the curve and "
        "its own mean over the last axis.",
    ),
    drawing="curve",
)

# ---------------------------------------------------------------------------- best_rotation

SIX = np.array([[3.0, 0, 0], [-3, 0, 0], [0, 2, 0], [0, -2, 0], [0, 0, 1], [0, 0, -1]])
MIRROR = np.array([-1.0, 1.0, 1.0])


def rotation_cases(generator: np.random.Generator) -> list[Case]:
    quarter = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    x = centred(poses(generator, 14))
    clip, many = centred(poses(generator, 6, 14)), centred(poses(generator, 2, 3, 8))
    flat = centred(x * [1, 1, 0])
    mixed = clip * np.where(np.arange(6) % 2, -1, 1)[:, None, None] ** np.array([1, 0, 0])

    def moved(points):
        return centred(near(generator, turned(points, rotation(generator)), 0.01))

    return [
        Case("the example, turned", (SIX, turned(SIX, quarter))),
        Case("the example, mirrored", (SIX, SIX * MIRROR)),
        Case("a body, turned, with noise", (x, moved(x))),
        Case("a body, mirrored and turned", (x, moved(x * MIRROR))),
        Case("a clip, every other frame mirrored", (clip, moved(mixed))),
        Case("batch axes (2, 3)", (many, moved(many))),
        Case("all points in one plane", (flat, turned(flat, rotation(generator)))),
        Case("no turn at all", (x, x.copy())),
        Case("float32", float32(clip, moved(clip))),
        Case("an empty batch", (np.zeros((0, 14, 3)), np.zeros((0, 14, 3)))),
    ]


def rotation_by_quaternions(x, y):
    """The unit quaternion q that maximises q^T N q, an eigenvector (Davenport, Horn)."""
    S = np.einsum("...ja,...jb->...ab", x, y)
    trace = np.einsum("...ii->...", S)
    z = np.stack(
        [
            S[..., 1, 2] - S[..., 2, 1],
            S[..., 2, 0] - S[..., 0, 2],
            S[..., 0, 1] - S[..., 1, 0],
        ],
        axis=-1,
    )
    N = np.empty((*trace.shape, 4, 4))
    N[..., :3, :3] = S + np.swapaxes(S, -1, -2) - trace[..., None, None] * np.eye(3)
    N[..., 3, :3] = N[..., :3, 3] = z
    N[..., 3, 3] = trace
    q = np.linalg.eigh(N)[1][..., -1]
    matrices = Rotation.from_quat(q.reshape(-1, 4)).as_matrix() if q.size else np.zeros((0, 3, 3))
    return matrices.reshape(*trace.shape, 3, 3)


def rotation_loop(x, y):
    out = np.zeros((*x.shape[:-2], 3, 3))
    for index in np.ndindex(out.shape[:-2]):
        out[index] = Rotation.align_vectors(y[index], x[index])[0].as_matrix()
    return out


def decomposed(x, y):
    """U, V^T and the determinant of their product.

    Points in one plane leave its sign to rounding, and that to the machine; here it is +1.
    """
    U, S, Vt = np.linalg.svd(np.einsum("...ja,...jb->...ab", y, x))
    d = np.sign(np.linalg.det(U) * np.linalg.det(Vt))
    flat = S[..., 2] < 1e-9 * S[..., 0]
    U[..., 2] *= np.where(flat, d, 1.0)[..., None]
    return U, Vt, np.where(flat, 1.0, d)


def rotation_or_reflection(x, y):
    U, Vt, _ = decomposed(x, y)
    return U @ Vt


def rotation_negated(x, y):
    U, Vt, d = decomposed(x, y)
    return d[..., None, None] * (U @ Vt)


def rotation_flips_first(x, y):
    U, Vt, d = decomposed(x, y)
    flip = np.stack([d, np.ones_like(d), np.ones_like(d)], axis=-1)
    return (U * flip[..., None, :]) @ Vt


def rotation_last_row(x, y):
    U, Vt, d = decomposed(x, y)
    matrix = U @ Vt
    matrix[..., 2, :] *= d[..., None]
    return matrix


def rotation_vt_for_v(x, y):
    U, Vt, _ = decomposed(x, y)
    V = np.swapaxes(Vt, -1, -2)
    d = np.linalg.det(U @ V)
    flip = np.stack([np.ones_like(d), np.ones_like(d), d], axis=-1)
    return (U * flip[..., None, :]) @ V


def rotation_one_sign(x, y):
    U, Vt, d = decomposed(x, y)
    sign = -1.0 if (d < 0).any() else 1.0
    return (U * np.array([1.0, 1.0, sign])) @ Vt


best_rotation = Exercise(
    "best_rotation",
    rotation_cases,
    alternatives=(rotation_by_quaternions, rotation_loop),
    mistakes=(
        Mistake(
            "where the points are mirrored, your matrix mirrors too: its determinant is -1",
            rotation_or_reflection,
        ),
        Mistake(
            "this is the way back: it turns y onto x",
            lambda x, y: np.swapaxes(rotation_by_quaternions(x, y), -1, -2),
        ),
        Mistake(
            "you changed the sign of the whole matrix, which gives up all three directions "
            "and not only the cheapest",
            rotation_negated,
        ),
        Mistake(
            "you gave up the direction of the largest singular value, which costs most",
            rotation_flips_first,
        ),
        Mistake(
            "you changed the sign of a row of the product; the singular directions aren't the "
            "coordinate axes",
            rotation_last_row,
        ),
        Mistake(
            "np.linalg.svd gives the transposed V already, and you transposed it again",
            rotation_vt_for_v,
        ),
        Mistake(
            "one mirrored pair of the batch changed the sign for all; each has its own",
            rotation_one_sign,
        ),
    ),
    hints=(
        "Build M first and check its shape, (*, 3, 3). Which of the two sets of points goes to the "
        "left in it?",
        "M is np.swapaxes(y, -1, -2) @ x, and U, S, Vt = np.linalg.svd(M) with the last one "
        "transposed already. np.linalg.det takes a batch.",
        "Multiplying by diag(1, 1, d) scales the last *column* of U: make signs of shape (*, 3), "
        "ones but for the last, and return (U * signs[..., None, :]) @ Vt.",
    ),
    drawing="frames",
)

# ---------------------------------------------------------------------------- procrustes_aligned


def similar(generator: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """The points turned, scaled and shifted, each pose otherwise."""
    batch = points.shape[:-2]
    vectors = generator.normal(size=(*batch, 3))
    matrices = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*batch, 3, 3)
    scale = generator.uniform(0.5, 2.0, size=(*batch, 1, 1))
    return scale * turned(points, matrices) + generator.normal(size=(*batch, 1, 3))


def aligned_cases(generator: np.random.Generator) -> list[Case]:
    gt = poses(generator, 14)
    clip, many = poses(generator, 6, 14), poses(generator, 2, 3, 8)
    example = np.array([[0.0, 0, 0], [2, 0, 0], [0, 4, 0], [0, 0, 2]])
    there = np.array([[0.0, 0, 1], [0, 1, 1], [-2, 0, 1], [0, 0, 2]])

    def wrong(points, size=0.08):
        return similar(generator, near(generator, points, size))

    return [
        Case("the example", (example, there)),
        Case("a body, turned, scaled and shifted", (similar(generator, gt), gt)),
        Case("a wrong body", (wrong(gt), gt)),
        Case("a mirrored body", (similar(generator, gt * MIRROR), gt)),
        Case("a clip of 6 frames", (wrong(clip), clip)),
        Case("batch axes (2, 3)", (wrong(many), many)),
        Case("the truth itself", (gt, gt.copy())),
        Case("float32", float32(wrong(clip), clip)),
    ]


def similarity(pred, gt):
    """Scale (*, 1, 1) and rotation by quaternions; the aligned joints follow from them."""
    x, y = centred(pred), centred(gt)
    R = rotation_by_quaternions(x, y)
    scale = np.einsum("...ja,...ab,...jb->...", y, R, x) / np.einsum("...ja,...ja->...", x, x)
    return scale[..., None, None], R


def aligned(pred, gt):
    scale, R = similarity(pred, gt)
    return scale * turned(centred(pred), R) + gt.mean(-2, keepdims=True)


def aligned_by_singular_values(pred, gt):
    """Umeyama's form, one pose at a time, with the scale from the singular values."""
    out = np.empty(pred.shape)
    for index in np.ndindex(pred.shape[:-2]):
        source, target = pred[index].astype(float), gt[index].astype(float)
        x, y = source - source.mean(0), target - target.mean(0)
        U, S, Vt = np.linalg.svd(y.T @ x / len(x))
        D = np.diag([1, 1, np.sign(np.linalg.det(U) * np.linalg.det(Vt))])
        R = U @ D @ Vt
        c = np.trace(np.diag(S) @ D) / x.var(0).sum()
        t = target.mean(0) - c * R @ source.mean(0)
        out[index] = [c * R @ point + t for point in source]
    return out


def aligned_mirroring(pred, gt):
    x, y = centred(pred), centred(gt)
    R = rotation_or_reflection(x, y)
    moved = turned(x, R)
    scale = (moved * y).sum((-2, -1), keepdims=True) / (x * x).sum((-2, -1), keepdims=True)
    return scale * moved + gt.mean(-2, keepdims=True)


def aligned_by_sizes(pred, gt):
    x, y = centred(pred), centred(gt)
    sizes = np.sqrt([(p * p).sum((-2, -1), keepdims=True) for p in (y, x)])
    return sizes[0] / sizes[1] * turned(x, similarity(pred, gt)[1]) + gt.mean(-2, keepdims=True)


def aligned_unsigned_scale(pred, gt):
    """All singular values added up, also where one direction was given up."""
    x, y = centred(pred), centred(gt)
    values = np.linalg.svd(np.swapaxes(y, -1, -2) @ x, compute_uv=False).sum(-1)
    scale = values[..., None, None] / (x * x).sum((-2, -1), keepdims=True)
    return scale * turned(x, similarity(pred, gt)[1]) + gt.mean(-2, keepdims=True)


def aligned_about_origin(pred, gt):
    scale, R = similarity(pred, gt)
    return scale * turned(pred, R) + gt.mean(-2, keepdims=True) - pred.mean(-2, keepdims=True)


def aligned_as_one(pred, gt):
    """One similarity for all poses of a batch."""
    return aligned(pred.reshape(-1, 3), gt.reshape(-1, 3)).reshape(pred.shape)


def aligned_scaled_first(pred, gt):
    """The scale of the poses as they stand."""
    x, y = centred(pred), centred(gt)
    scale = (x * y).sum((-2, -1), keepdims=True) / (x * x).sum((-2, -1), keepdims=True)
    return scale * turned(x, similarity(pred, gt)[1]) + gt.mean(-2, keepdims=True)


def aligned_by_transposed(pred, gt):
    """Turned the wrong way, and scaled by how that agrees with the truth."""
    x, y = centred(pred), centred(gt)
    moved = x @ similarity(pred, gt)[1]
    scale = (moved * y).sum((-2, -1), keepdims=True) / (x * x).sum((-2, -1), keepdims=True)
    return scale * moved + gt.mean(-2, keepdims=True)


def aligned_per_joint(pred, gt):
    moved, goal = turned(centred(pred), similarity(pred, gt)[1]), centred(gt)
    with np.errstate(all="ignore"):
        scale = (moved * goal).sum(-1, keepdims=True) / (moved * moved).sum(-1, keepdims=True)
    return scale * moved + gt.mean(-2, keepdims=True)


def aligned_mean_scaled(pred, gt):
    scale, R = similarity(pred, gt)
    return scale * (turned(centred(pred), R) + gt.mean(-2, keepdims=True))


def aligned_over_truth(pred, gt):
    """Divided by the size of the other pose."""
    scale, R = similarity(pred, gt)
    sizes = [np.square(centred(p)).sum((-2, -1), keepdims=True) for p in (pred, gt)]
    return scale * sizes[0] / sizes[1] * turned(centred(pred), R) + gt.mean(-2, keepdims=True)


def aligned_at_first_joint(pred, gt):
    scale, R = similarity(pred, gt)
    return scale * turned(pred - pred[..., :1, :], R) + gt[..., :1, :]


procrustes_aligned = Exercise(
    "procrustes_aligned",
    aligned_cases,
    alternatives=(aligned, aligned_by_singular_values),
    mistakes=(
        Mistake(
            "you turned and shifted, but the size is still the prediction's own",
            lambda p, g: turned(centred(p), similarity(p, g)[1]) + g.mean(-2, keepdims=True),
        ),
        Mistake(
            "your scale is the ratio of the sizes, which is too large wherever poses differ",
            aligned_by_sizes,
        ),
        Mistake("where the pose is mirrored, you mirrored it back", aligned_mirroring),
        Mistake(
            "your scale adds up all singular values, also where the rotation gave one up",
            aligned_unsigned_scale,
        ),
        Mistake(
            "you turned about the origin, not about the mean of the joints",
            aligned_about_origin,
        ),
        Mistake(
            "you brought the first joints together; least squares asks for the means",
            aligned_at_first_joint,
        ),
        Mistake(
            "you turned every point by the transposed matrix, and your scale is of that pose",
            aligned_by_transposed,
        ),
        Mistake(
            "you turned every point by the transposed matrix",
            lambda p, g: (
                similarity(p, g)[0] * (centred(p) @ similarity(p, g)[1]) + g.mean(-2, keepdims=True)
            ),
        ),
        Mistake(
            "you took the scale before you turned; where the pose is turned it is too small",
            aligned_scaled_first,
        ),
        Mistake(
            "each joint has a scale of its own; asked for is one for the pose", aligned_per_joint
        ),
        Mistake("you scaled the mean of the truth as well", aligned_mean_scaled),
        Mistake(
            "below the line of your scale stands the size of the truth, not the prediction's",
            aligned_over_truth,
        ),
        Mistake(
            "you put the pose back to its own mean, not to the truth's",
            lambda p, g: centred(aligned(p, g)) + p.mean(-2, keepdims=True),
        ),
        Mistake("the aligned pose is still at the origin", lambda p, g: centred(aligned(p, g))),
        Mistake("you moved the truth onto the prediction", lambda p, g: aligned(g, p)),
        Mistake("one similarity for the whole batch; each pose has its own", aligned_as_one),
    ),
    hints=(
        "Centre both poses, turn the prediction, scale it, shift it to where the truth is. Keep "
        "each step in a variable.",
        "Joints are rows, so R x is x @ np.swapaxes(R, -1, -2). Sums over joints and coordinates "
        "are .sum(axis=(-2, -1), keepdims=True).",
        "With turned = x @ np.swapaxes(R, -1, -2): scale = (turned * y).sum(...) / "
        "(x * x).sum(...), and the answer is scale * turned + the mean of gt.",
    ),
    builds_on=("best_rotation",),
    drawing="points",
)

# ---------------------------------------------------------------------------- pa_mpjpe


def pa_cases(generator: np.random.Generator) -> list[Case]:
    gt = poses(generator, 14)
    clip, many = poses(generator, 6, 14), poses(generator, 2, 3, 8)

    def wrong(points):
        return similar(generator, near(generator, points, 0.08))

    return [
        Case("turned, scaled and shifted only", (similar(generator, gt), gt), scale=0.1),
        Case("a wrong body", (wrong(gt), gt)),
        Case("a mirrored body", (similar(generator, gt * MIRROR), gt)),
        Case("a clip of 6 frames", (wrong(clip), clip)),
        Case("batch axes (2, 3)", (wrong(many), many)),
        Case("float32", float32(wrong(clip), clip)),
    ]


def pa_loop(pred, gt):
    moved = aligned_by_singular_values(pred, gt)
    out = np.zeros(pred.shape[:-2])
    for index in np.ndindex(out.shape):
        out[index] = np.mean(
            [np.sqrt((x - y) @ (x - y)) for x, y in zip(moved[index], gt[index], strict=True)]
        )
    return out


def pa_rooted(pred, gt):
    wrong = aligned(pred, gt) - gt
    return lengths(wrong - wrong[..., :1, :]).mean(-1)


def pa_without_scale(pred, gt):
    R = similarity(pred, gt)[1]
    return lengths(turned(centred(pred), R) - centred(gt)).mean(-1)


def pa_centred_only(pred, gt):
    return lengths(centred(pred) - centred(gt)).mean(-1)


pa_mpjpe = Exercise(
    "pa_mpjpe",
    pa_cases,
    alternatives=(pa_loop, lambda p, g: lengths(aligned(p, g) - g).sum(-1) / p.shape[-2]),
    mistakes=(
        Mistake(
            "after the alignment you brought the first joints together, which undoes part of it",
            pa_rooted,
        ),
        Mistake("your alignment leaves the size as it is", pa_without_scale),
        Mistake("you only brought the means together", pa_centred_only),
        Mistake(
            "where the pose is mirrored, you mirrored it back",
            lambda p, g: lengths(aligned_mirroring(p, g) - g).mean(-1),
        ),
        Mistake(
            "you moved the truth onto the prediction, so the error is in the prediction's size",
            lambda p, g: lengths(aligned(g, p) - p).mean(-1),
        ),
        Mistake(
            "these are squared lengths, in square metres",
            lambda p, g: np.square(lengths(aligned(p, g) - g)).mean(-1),
        ),
        Mistake(
            "this is how far the alignment moved the prediction, not what is left to the truth",
            lambda p, g: lengths(aligned(p, g) - p).mean(-1),
        ),
        Mistake(
            "this is the root of the mean square; the alignment minimises that, but the metric "
            "is the mean distance",
            lambda p, g: np.sqrt(np.square(lengths(aligned(p, g) - g)).mean(-1)),
        ),
        Mistake(
            "one similarity for the whole batch; each pose has its own",
            lambda p, g: lengths(aligned_as_one(p, g) - g).mean(-1),
        ),
        Mistake(
            "you averaged over the whole batch; each pose has its own error",
            lambda p, g: lengths(aligned(p, g) - g).mean(),
        ),
        Mistake(
            "you averaged over coordinates; the error of a joint is one length",
            lambda p, g: np.abs(aligned(p, g) - g).mean((-2, -1)),
        ),
    ),
    hints=(
        "One call of the function above, then a mean of distances.",
        "np.linalg.norm(..., axis=-1) gives the distance of each joint.",
        "The distances of procrustes_aligned(pred, gt) from gt, averaged over the last axis.",
    ),
    builds_on=("procrustes_aligned",),
)

# ---------------------------------------------------------------------------- acceleration_error


def acceleration_cases(generator: np.random.Generator) -> list[Case]:
    def motion(*shape):
        """Smooth motions (*shape, 5, 3), a random walk of the velocities."""
        steps = 0.01 * generator.normal(size=(*shape, 5, 3))
        return steps.cumsum(-3).cumsum(-3)

    jump = np.zeros((5, 3, 3))
    jump[2, 0, 0] = 0.01
    steady = np.arange(6)[:, None, None] * generator.normal(size=(1, 4, 3)) * 0.05
    clip, many = motion(8), motion(2, 3, 6)
    frozen = np.repeat(clip[3:4], 8, axis=0)
    return [
        Case("the example", (jump, np.zeros((5, 3, 3)), 30.0)),
        Case("8 frames", (near(generator, clip, 0.01), clip, 30.0)),
        Case("60 frames per second", (near(generator, clip, 0.01), clip, 60.0)),
        Case("a steady motion against rest", (steady, 0 * steady, 30.0), scale=1.0),
        Case("a frozen prediction", (frozen, clip, 25.0)),
        Case("batch axes (2, 3)", (near(generator, many, 0.01), many, 30.0)),
        Case("three frames, the fewest", (motion(3), motion(3), 50.0)),
        Case("float32", (*float32(near(generator, clip, 0.01), clip), 30.0)),
    ]


def acceleration_loop(pred, gt, fps):
    frames, joints = pred.shape[-3:-1]
    out = np.zeros(pred.shape[:-3])
    for t in range(1, frames - 1):
        for j in range(joints):
            a = pred[..., t - 1, j, :] + pred[..., t + 1, j, :] - 2 * pred[..., t, j, :]
            b = gt[..., t - 1, j, :] + gt[..., t + 1, j, :] - 2 * gt[..., t, j, :]
            out += lengths(a - b)
    return out * fps**2 / ((frames - 2) * joints)


def acceleration_by_matrix(pred, gt, fps):
    """A band matrix of second differences, in units of the time between frames."""
    frames = pred.shape[-3]
    D = np.eye(frames - 2, frames) - 2 * np.eye(frames - 2, frames, 1)
    D = (D + np.eye(frames - 2, frames, 2)) / (1 / fps) ** 2
    pair = [np.einsum("st,...tjc->...sjc", D, joints) for joints in (pred, gt)]
    return lengths(pair[0] - pair[1]).mean((-2, -1))


def second(joints):
    """Second differences along the frames."""
    return np.diff(joints, n=2, axis=-3)


def mean_length(vectors):
    """The mean length over frames and joints."""
    return lengths(vectors).mean((-2, -1))


def acceleration_gradient_twice(pred, gt, fps):
    wrong = np.gradient(np.gradient(pred - gt, axis=-3), axis=-3)
    return fps**2 * mean_length(wrong)


def acceleration_of_errors(pred, gt, fps):
    return fps**2 * np.abs(np.diff(lengths(pred - gt), n=2, axis=-2)).mean((-2, -1))


acceleration_error = Exercise(
    "acceleration_error",
    acceleration_cases,
    alternatives=(acceleration_loop, acceleration_by_matrix),
    mistakes=(
        Mistake(
            "this is per frame², the number that tables print; asked for are seconds",
            lambda p, g, f: mean_length(second(p - g)),
        ),
        Mistake(
            "you counted the frame rate once; time stands squared in an acceleration",
            lambda p, g, f: f * mean_length(second(p - g)),
        ),
        Mistake(
            "you divided where more frames per second make the same step faster",
            lambda p, g, f: mean_length(second(p - g)) / f**2,
        ),
        Mistake(
            "this is an error of velocities: one difference, not two",
            lambda p, g, f: f * mean_length(np.diff(p - g, axis=-3)),
        ),
        Mistake(
            "you compared how strong the accelerations are, not where they point",
            lambda p, g, f: f**2 * np.abs(lengths(second(p)) - lengths(second(g))).mean((-2, -1)),
        ),
        Mistake(
            "this is the prediction's own acceleration, which a frozen body brings to zero",
            lambda p, g, f: f**2 * mean_length(second(p)),
        ),
        Mistake(
            "you took the second difference of how far the joints are off, which is a length",
            acceleration_of_errors,
        ),
        Mistake(
            "you divided by all frames; the first and the last have no acceleration",
            lambda p, g, f: f**2 * lengths(second(p - g)).sum((-2, -1)) / p.shape[-3] / p.shape[-2],
        ),
        Mistake(
            "you took the first joint off each frame first; here positions are used as they are",
            lambda p, g, f: f**2 * mean_length(second(p - p[..., :1, :] - g + g[..., :1, :])),
        ),
        Mistake(
            "this is half an acceleration: the difference of two velocities isn't halved",
            lambda p, g, f: f**2 * mean_length(second(p - g)) / 2,
        ),
        Mistake(
            "you went from joint to joint, not from frame to frame",
            lambda p, g, f: f**2 * mean_length(np.diff(p - g, n=2, axis=-2)),
        ),
        Mistake(
            "np.gradient twice reaches over five frames and smooths the trembling away",
            acceleration_gradient_twice,
        ),
        Mistake(
            "you averaged over the whole batch; each clip has its own error",
            lambda p, g, f: f**2 * lengths(second(p - g)).mean(),
        ),
        Mistake(
            "you averaged over coordinates; the error of a joint is one length",
            lambda p, g, f: f**2 * np.abs(second(p - g)).mean((-3, -2, -1)),
        ),
    ),
    hints=(
        "Second differences along the frames, lengths of their differences, a mean over two axes, "
        "and the frame rate in the right power.",
        "Frames are the axis -3: x[..., 2:, :, :] - 2 * x[..., 1:-1, :, :] + x[..., :-2, :, :], or "
        "np.diff with n=2.",
        "np.linalg.norm(a_pred - a_gt, axis=-1).mean(axis=(-2, -1)), times fps**2.",
    ),
)

EXERCISES = (
    mpjpe,
    pck_and_auc,
    best_rotation,
    procrustes_aligned,
    pa_mpjpe,
    acceleration_error,
)
