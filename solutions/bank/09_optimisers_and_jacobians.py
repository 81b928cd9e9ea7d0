"""The bank of sheet 09: what tries each function, and the answers that people give."""

from __future__ import annotations

import numpy as np
import torch

from vhlib.course.bank import Case, Exercise, Mistake

# ---------------------------------------------------------------------------- what several share


def transposed(J: np.ndarray) -> np.ndarray:
    """J^T of a batch."""
    return np.swapaxes(J, -1, -2)


def times(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Matrices (*, m, n) times vectors (*, n)."""
    return np.einsum("...ij,...j->...i", matrix, vector)


def solved(H: np.ndarray, g: np.ndarray) -> np.ndarray:
    """-H^-1 g of a batch."""
    return -np.linalg.solve(H, g[..., None])[..., 0]


def squares(vector: np.ndarray) -> np.ndarray:
    """Squared lengths (*, 1)."""
    return np.square(vector).sum(-1, keepdims=True)


def length(vector: np.ndarray) -> np.ndarray:
    """Lengths (*, 1)."""
    return np.sqrt(squares(vector))


def each(function, *arrays):
    """``function`` of every item of a batch; arrays come with the number of axes of one item."""
    (first, axes), *_ = arrays
    batch = first.shape[: first.ndim - axes]
    items = [np.broadcast_to(a, (*batch, *np.shape(a)[np.ndim(a) - n :])) for a, n in arrays]
    found = np.array([function(*(a[index] for a in items)) for index in np.ndindex(batch)])
    return found.reshape(*batch, *found.shape[1:])


# ---------------------------------------------------------------------------- point_jacobian


def point_cases(generator: np.random.Generator) -> list[Case]:
    draw, place = generator.normal, np.array([0.2, -0.1, 3.0])
    X = place + 0.5 * draw(size=(2, 3, 3))
    p = place + 0.3 * draw(size=(2, 3, 3))
    f = generator.uniform(500, 2000)
    wide = np.array([1.5, -2.0, 2.5]) + 0.2 * draw(size=(5, 3))
    single = X[1].astype(np.float32), p[1].astype(np.float32)
    return [
        Case("30 cm beside the joint", (np.array([0.3, 0.0, 2.0]), np.array([0.0, 0, 2]), 1000.0)),
        Case("a point and its joint", (X[0, 0], p[0, 0], f)),
        Case("a point at the joint itself", (X[0, 1], X[0, 1].copy(), f)),
        Case("five points far from the optical axis", (wide, wide - 0.3 * draw(size=(5, 3)), f)),
        Case("batch axes (2, 3)", (X, p, f)),
        Case("float32", (*single, f)),
        Case("no points", (np.zeros((0, 3)), np.zeros((0, 3)), f)),
    ]


def point_by_complex_step(X, p, f):
    """The derivative is the imaginary part after a tiny imaginary move: nothing cancels."""
    h, out = 1e-20, np.empty((*X.shape[:-1], 2, 6))
    for column in range(6):
        e = np.eye(3)[column % 3]
        move = np.cross(e, X - p) if column < 3 else e
        Y = X + 1j * h * move
        out[..., column] = (f * Y[..., :2] / Y[..., 2:]).imag / h
    return out


def point_by_autograd(X, p, f):
    def pixels(x, X, p):
        turn = x.new_zeros(3, 3)
        turn[[2, 0, 1], [1, 2, 0]] = x[:3]
        turned = X + (turn - turn.mT) @ (X - p) + x[3:]
        return f * turned[:2] / turned[2]

    def one(X, p):
        start, X, p = torch.zeros(6).double(), torch.from_numpy(X), torch.from_numpy(p)
        return torch.autograd.functional.jacobian(lambda x: pixels(x, X, p), start).numpy()

    pairs = zip(X.reshape(-1, 3).astype(float), p.reshape(-1, 3).astype(float), strict=True)
    return np.array([one(*pair) for pair in pairs]).reshape(*X.shape[:-1], 2, 6)


def point_spelt_out(X, p, f):
    x, y, z = np.moveaxis(X, -1, 0)
    a, b, c = np.moveaxis(X - p, -1, 0)
    none = 0 * x
    u = [-x * b / z, c + x * a / z, -b, none + 1, none, -x / z]
    v = [-c - y * b / z, y * a / z, a, none, none + 1, -y / z]
    return (f / z)[..., None, None] * np.stack([np.stack(u, -1), np.stack(v, -1)], -2)


def point_parts(X, p, f):
    """How pixels follow points (*, 2, 3), and points the turn (*, 3, 3)."""
    whole = point_spelt_out(X, p, f)
    turn = transposed(np.cross(np.eye(3), (X - p)[..., None, :]))
    return whole[..., 3:], turn


def joined(projection, turn):
    return np.concatenate([projection @ turn, projection], -1)


def point_weak_perspective(X, p, f):
    projection, turn = point_parts(X, p, f)
    return joined(projection * np.array([1.0, 1, 0]), turn)


def point_depth_sign(X, p, f):
    projection, turn = point_parts(X, p, f)
    return joined(projection * np.array([1.0, 1, -1]), turn)


def point_one_depth(X, p, f):
    projection, turn = point_parts(X, p, f)
    projection[..., 2] *= X[..., None, 2]
    return joined(projection, turn)


def point_projects_the_velocity(X, p, f):
    projection, turn = point_parts(X, p, f)
    with np.errstate(all="ignore"):
        return np.concatenate([f * turn[..., :2, :] / turn[..., 2:, :], projection], -1)


point_jacobian = Exercise(
    "point_jacobian",
    point_cases,
    alternatives=(point_by_complex_step, point_by_autograd, point_spelt_out),
    mistakes=(
        Mistake(
            "you turned about the camera, not about the joint",
            lambda X, p, f: point_spelt_out(X, np.zeros_like(p), f),
        ),
        Mistake(
            "your turns go the wrong way round; the order in a cross product matters",
            lambda X, p, f: joined(point_parts(X, p, f)[0], -point_parts(X, p, f)[1]),
        ),
        Mistake(
            "your pixels don't feel the depth: that is a weak-perspective camera",
            point_weak_perspective,
        ),
        Mistake(
            "in your camera what goes away moves outwards; look at the sign of the depth's column",
            point_depth_sign,
        ),
        Mistake(
            "in the depth's column a power of the depth is missing; the unit tells", point_one_depth
        ),
        Mistake(
            "this is on the plane at distance one, not yet in pixels",
            lambda X, p, f: point_spelt_out(X, p, 1.0),
        ),
        Mistake(
            "the translation stands first; asked for is the turn, then the translation",
            lambda X, p, f: np.roll(point_spelt_out(X, p, f), 3, -1),
        ),
        Mistake(
            "you projected the velocity as if it were a point; a velocity goes through the "
            "projection's derivative",
            point_projects_the_velocity,
        ),
        Mistake(
            "you differentiated the projection at the joint; it is the point that is seen",
            lambda X, p, f: joined(point_spelt_out(p, p, f)[..., 3:], point_parts(X, p, f)[1]),
        ),
    ),
    hints=(
        "Two factors: how the pixel follows the point (2 x 3), and how the point follows the six "
        "unknowns (3 x 6). The second half of the latter is the identity.",
        "u = f x / z depends on x by f / z and on z by -f x / z^2. np.cross(np.eye(3), arm) with arm "
        "of shape (*, 1, 3) gives the three velocities as rows.",
        "With projection (*, 2, 3) and the velocities as columns (*, 3, 3), swapaxes(-1, -2) of "
        "those rows, the answer is np.concatenate([projection @ turn, projection], axis=-1).",
    ),
)

# ---------------------------------------------------------------------------- jacobian_error


def error_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal

    def tried(*shape, h, dtype=np.float64):
        """A Jacobian that is right in some columns, and what an experiment says."""
        m, n = shape[-2:]
        N, r = draw(size=shape), draw(size=(*shape[:-2], 1, m))
        ahead, behind = r + h * transposed(N), r - h * transposed(N)
        curved = 0.1 * draw(size=ahead.shape)  # what both sides have drops out
        J = N * generator.choice([1.0, 1.0, -1.0, 2.0], size=n)
        J[..., -1] += 0.3 * draw(size=shape[:-1])
        return tuple(x.astype(dtype) for x in (J, ahead + curved, behind + curved)) + (h,)

    off = list(tried(10, 8, h=0.05))
    off[0] = transposed(off[1] - off[2]) / 0.1
    off[0][:, 5] *= 3
    first = np.array([[2.0, 0.0], [0.0, 0.0]])
    step = np.array([[0.1, 0.0], [0.0, 0.0]])
    sparse = tried(6, 5, h=0.05)
    sparse[0][:, [1, 3]] = 0
    sparse[1][3] = sparse[2][3]
    _, ahead, behind, h = tried(8, 4, h=0.1)
    right = transposed(ahead - behind) / (2 * h)
    return [
        Case("eight unknowns, number 5 is off", tuple(off)),
        Case("two unknowns, one column zero", (first, step, -step, 0.1)),
        Case("ten residuals, six unknowns", tried(10, 6, h=0.05)),
        Case("a column that is zero in both, one in J alone", sparse),
        Case("a Jacobian that is right", (right, ahead, behind, h), scale=1.0),
        Case("as many residuals as unknowns", tried(5, 5, h=0.2)),
        Case("batch axes (2, 3)", tried(2, 3, 7, 4, h=0.1)),
        Case("float32", tried(9, 4, h=0.25, dtype=np.float32), scale=1.0),
    ]


def error_by_loop(J, ahead, behind, h):
    out = np.zeros((*J.shape[:-2], J.shape[-1]))
    for *batch, j in np.ndindex(out.shape):
        column = J[(*batch, slice(None), j)]
        slope = (ahead[(*batch, j)] - behind[(*batch, j)]) / h / 2
        if column.any() or slope.any():
            apart = np.sqrt(sum((column - slope) ** 2))
            out[(*batch, j)] = apart / (np.sqrt(sum(column**2)) + np.sqrt(sum(slope**2)))
    return out


def error_by_products(J, ahead, behind, h):
    """|J - N|^2 = |J|^2 - 2 J.N + |N|^2 loses digits, so sums of squares by einsum instead."""
    N = np.einsum("...jm->...mj", ahead - behind) * (0.5 / h)

    def length(A):
        return np.sqrt(np.einsum("...mj,...mj->...j", A, A))

    with np.errstate(invalid="ignore"):
        share = length(J - N) / (length(J) + length(N))
    return np.where((J == 0).all(-2) & (N == 0).all(-2), 0.0, share)


def error_with(norm=np.linalg.norm, width=2.0, safe=True):
    """The right answer but for a norm, the width of the difference, or the care at zero."""

    def answer(J, ahead, behind, h):
        N = transposed(ahead - behind) / (width * h)
        total = norm(J, axis=-2) + norm(N, axis=-2)
        return norm(J - N, axis=-2) / (np.where(total == 0, 1, total) if safe else total)

    return answer


def error_absolute(J, ahead, behind, h):
    return np.linalg.norm(J - transposed(ahead - behind) / (2 * h), axis=-2)


def error_over_one(J, ahead, behind, h):
    N = transposed(ahead - behind) / (2 * h)
    length = np.linalg.norm(N, axis=-2)
    return np.linalg.norm(J - N, axis=-2) / np.where(length == 0, 1, length)


def error_over_whole(J, ahead, behind, h):
    N = transposed(ahead - behind) / (2 * h)
    total = np.linalg.norm(J, axis=(-2, -1)) + np.linalg.norm(N, axis=(-2, -1))
    return np.linalg.norm(J - N, axis=-2) / total[..., None]


def error_of_rows(J, ahead, behind, h):
    N = transposed(ahead - behind) / (2 * h)
    return np.linalg.norm(J - N, axis=-1) / (
        np.linalg.norm(J, axis=-1) + np.linalg.norm(N, axis=-1)
    )


def error_of_rows_as_columns(J, ahead, behind, h):
    """Only square Jacobians let this pass."""
    return error_with()(J, transposed(ahead), transposed(behind), h)


def error_zero_where_either(J, ahead, behind, h):
    N = transposed(ahead - behind) / (2 * h)
    either = (J == 0).all(-2) | (N == 0).all(-2)
    return np.where(either, 0, error_with()(J, ahead, behind, h))


def error_over_longer(J, ahead, behind, h):
    N = transposed(ahead - behind) / (2 * h)
    longer = np.maximum(np.linalg.norm(J, axis=-2), np.linalg.norm(N, axis=-2))
    return np.linalg.norm(J - N, axis=-2) / np.where(longer == 0, 1, longer)


def error_of_lengths(J, ahead, behind, h):
    J, N = (np.linalg.norm(A, axis=-2) for A in (J, transposed(ahead - behind) / (2 * h)))
    return np.abs(J - N) / np.where(J + N == 0, 1, J + N)


jacobian_error = Exercise(
    "jacobian_error",
    error_cases,
    alternatives=(error_by_loop, error_by_products),
    mistakes=(
        Mistake(
            "from behind to ahead it is two h, but you divided by one",
            error_with(width=1.0),
        ),
        Mistake(
            "behind minus ahead is minus the derivative, so a right column looks wrong",
            error_with(width=-2.0),
        ),
        Mistake("where both columns are zero you divide zero by zero", error_with(safe=False)),
        Mistake("this is a difference in the residuals' unit, not yet a share", error_absolute),
        Mistake(
            "you divided by the length of one of the two columns; asked for is the sum of both",
            error_over_one,
        ),
        Mistake(
            "you divided by the length of the whole matrix; each unknown has its own scale",
            error_over_whole,
        ),
        Mistake(
            "you measured each residual's row; an unknown is a column",
            error_of_rows,
        ),
        Mistake(
            "you subtracted rows from columns: in ahead and behind an unknown is a row",
            error_of_rows_as_columns,
        ),
        Mistake(
            "where one column alone is zero the share isn't zero: that Jacobian is wrong",
            error_zero_where_either,
        ),
        Mistake(
            "you divided by the longer of the two columns; asked for is the sum of both lengths",
            error_over_longer,
        ),
        Mistake(
            "you compared how long the columns are, not where they point",
            error_of_lengths,
        ),
        Mistake(
            "these are squared lengths: a share of squares",
            error_with(norm=lambda A, axis: np.square(A).sum(axis)),
        ),
    ),
    hints=(
        "In J an unknown is a column, in ahead and behind it is a row: bring both to one layout "
        "first.",
        "np.swapaxes(ahead - behind, -1, -2) has the layout of J. Lengths of columns are "
        "np.linalg.norm(J, axis=-2).",
        "Divide by np.where(total == 0, 1, total): where the total is zero, so is what stands above "
        "it.",
    ),
    drawing="curve",
)

# ---------------------------------------------------------------------------- gauss_newton_step


def system(generator: np.random.Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """A Jacobian (*, m, n) and residuals (*, m) of about 5."""
    return generator.normal(size=shape), 5 * generator.normal(size=shape[:-1])


def newton_cases(generator: np.random.Generator) -> list[Case]:
    J, r = system(generator, 20, 4)
    wild = r.copy()
    wild[generator.integers(20)] += 800
    batch = system(generator, 2, 3, 10, 3)
    single = tuple(x.astype(np.float32) for x in system(generator, 4, 12, 3))
    return [
        Case("one unknown, two residuals", (np.array([[1.0], [1.0]]), np.array([1.0, 10.0]), 10.0)),
        Case("twenty residuals, four unknowns", (J, r, 6.0)),
        Case("an outlier of 800 px", (J, wild, 25.0)),
        Case("sigma far above all residuals", (J, r, 1e4)),
        Case("residuals of zero", (J, np.zeros(20), 10.0), scale=1.0),
        Case("batch axes (2, 3)", (*batch, 8.0)),
        Case("float32", (*single, 6.0)),
    ]


def weights(r, sigma):
    return (1 + (r / sigma) ** 2) ** -2


def weighted_step(J, r, w, w_right=None):
    """Solve J^T diag(w) J d = -J^T diag(w_right) r."""
    w_right = w if w_right is None else w_right
    H = np.einsum("...ij,...i,...ik->...jk", J, w, J)
    return solved(H, np.einsum("...ij,...i->...j", J, w_right * r))


def newton_by_rows(J, r, sigma):
    """Rows times the root of their weight, then plain least squares."""
    root = 1 / (1 + (r / sigma) ** 2)
    return each(
        lambda A, b: np.linalg.lstsq(A, -b, rcond=None)[0], (root[..., None] * J, 2), (root * r, 1)
    )


def newton_by_autograd(J, r, sigma):
    """Weights from the derivative of rho itself."""
    squared = torch.from_numpy(r.astype(np.float64) ** 2).requires_grad_()
    (sigma**2 * squared / (sigma**2 + squared)).sum().backward()
    W = squared.grad.numpy()[..., None] * np.eye(r.shape[-1])
    return -times(np.linalg.pinv(transposed(J) @ W @ J) @ transposed(J) @ W, r)


def newton_weighted_in_pairs(J, r, sigma):
    pairs = r.reshape(*r.shape[:-1], -1, 2)
    return weighted_step(J, r, weights(length(pairs) + 0 * pairs, sigma).reshape(r.shape))


def newton_with_curvature(J, r, sigma):
    squared = (r / sigma) ** 2
    curved = (1 - 3 * squared) / (1 + squared) ** 3
    return weighted_step(J, r, curved, weights(r, sigma))


gauss_newton_step = Exercise(
    "gauss_newton_step",
    newton_cases,
    alternatives=(
        newton_by_rows,
        newton_by_autograd,
        lambda J, r, sigma: weighted_step(J, r, weights(r, sigma)),
    ),
    mistakes=(
        Mistake(
            "this step goes uphill", lambda J, r, sigma: -weighted_step(J, r, weights(r, sigma))
        ),
        Mistake(
            "every residual counts alike: these are plain squares",
            lambda J, r, sigma: weighted_step(J, r, np.ones_like(r)),
        ),
        Mistake(
            "your weight is rho divided by the square; that costs as much as rho, but it pulls harder",
            lambda J, r, sigma: weighted_step(J, r, weights(r, sigma) ** 0.5),
        ),
        Mistake(
            "you weighted J and r before multiplying them, so each weight counts twice",
            lambda J, r, sigma: weighted_step(J, r, weights(r, sigma) ** 2),
        ),
        Mistake(
            "you weighted the right side only; the two sides belong to different energies",
            lambda J, r, sigma: weighted_step(J, r, np.ones_like(r), weights(r, sigma)),
        ),
        Mistake(
            "you weighted the left side only; the outlier still pulls with all its length",
            lambda J, r, sigma: weighted_step(J, r, weights(r, sigma), np.ones_like(r)),
        ),
        Mistake(
            "this is minus the gradient: the direction downhill, without the curvature",
            lambda J, r, sigma: -times(transposed(J), weights(r, sigma) * r),
        ),
        Mistake(
            "your weight is the slope by the residual, not by its square",
            lambda J, r, sigma: weighted_step(J, r, 2 * r * weights(r, sigma)),
        ),
        Mistake(
            "your residuals share a weight by twos, as the u and v of a point; here each has its own",
            newton_weighted_in_pairs,
        ),
        Mistake(
            "this is Newton's own step, with the curvature of rho: near an outlier that is negative",
            newton_with_curvature,
        ),
    ),
    hints=(
        "Weights first, one number for each residual. A diagonal matrix times a matrix is a product "
        "of rows with numbers: W needn't be built.",
        "J^T W is np.swapaxes(J, -1, -2) * w[..., None, :]. It stands on both sides.",
        "np.linalg.solve wants columns on the right: solve(A, b[..., None])[..., 0], and don't "
        "forget the minus.",
    ),
)

# ---------------------------------------------------------------- levenberg_marquardt_step


def damped_cases(generator: np.random.Generator) -> list[Case]:
    J, r = system(generator, 12, 4)
    J = J * np.array([1.0, 30.0, 0.1, 5.0])  # unknowns of different units
    straight = generator.normal(size=(6, 2))
    straight = np.concatenate([straight, straight.sum(-1, keepdims=True)], -1)
    bodies = system(generator, 5, 8, 3)
    batch = system(generator, 2, 3, 8, 3)
    single = tuple(x.astype(np.float32) for x in system(generator, 4, 8, 3))
    lams = generator.uniform(0.01, 3, size=(2, 3))
    simple = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([2.0, 1.0])
    return [
        Case("two unknowns", (*simple, 1.0)),
        Case("unknowns of different units", (J, r, 0.3)),
        Case("no damping", (J, r, 0.0)),
        Case("much damping", (J, r, 1e3)),
        Case("a straight limb: H is singular", (straight, 5 * generator.normal(size=6), 0.1)),
        Case("one damping for five bodies", (*bodies, 0.4)),
        Case("batch axes (2, 3), a damping each", (*batch, lams)),
        Case("float32", (*single, np.float32([0.01, 0.1, 1, 10]))),
    ]


def column(lam):
    """Dampings as matrices of one entry."""
    return np.asarray(lam)[..., None, None]


def damped_with(extra):
    """Solve (H + extra(H, lam)) d = -g."""

    def answer(J, r, lam):
        H = transposed(J) @ J
        return solved(H + extra(H, column(lam)), times(transposed(J), r))

    return answer


def eye_of(H):
    return np.eye(H.shape[-1])


def even(H):
    """The same share for every unknown."""
    return eye_of(H) / H.shape[-1]


def damped_by_stacking(J, r, lam):
    """Least squares with a row for each unknown: sqrt(lam) times its column's length."""

    def one(J, r, lam):
        rows = np.concatenate([J, np.diag(np.sqrt(lam * np.square(J).sum(0)))])
        b = np.concatenate([-r, np.zeros(J.shape[1])])
        return np.linalg.lstsq(rows, b, rcond=None)[0]

    return each(one, (J.astype(np.float64), 2), (r.astype(np.float64), 1), (lam, 0))


def damped_in_own_units(J, r, lam):
    """Marquardt's D makes every column one long; then lambda times the identity, by SVD."""
    length = np.linalg.norm(J, axis=-2)
    U, S, Vt = np.linalg.svd(J / length[..., None, :], full_matrices=False)
    filtered = S / (S**2 + np.asarray(lam)[..., None]) * times(transposed(U), r)
    return -times(transposed(Vt), filtered) / length


levenberg_marquardt_step = Exercise(
    "levenberg_marquardt_step",
    damped_cases,
    alternatives=(
        damped_by_stacking,
        damped_in_own_units,
        damped_with(lambda H, lam: lam * H * eye_of(H)),
    ),
    mistakes=(
        Mistake(
            "you added lambda itself to the diagonal: then radians and metres are damped alike",
            damped_with(lambda H, lam: lam * eye_of(H)),
        ),
        Mistake(
            "this step goes uphill",
            lambda J, r, lam: -damped_with(lambda H, lam: lam * H * eye_of(H))(J, r, lam),
        ),
        Mistake(
            "you scaled all of H, which shortens the step but can't turn it",
            damped_with(lambda H, lam: lam * H),
        ),
        Mistake("lambda does nothing: this is Gauss-Newton", damped_with(lambda H, lam: 0 * H)),
        Mistake(
            "you stacked rows under J whose squares hold lambda squared",
            damped_with(lambda H, lam: lam**2 * H * eye_of(H)),
        ),
        Mistake(
            "you damped with the lengths of J's columns; H holds their squares",
            damped_with(lambda H, lam: lam * np.sqrt(H * eye_of(H))),
        ),
        Mistake(
            "you damped all unknowns by their mean; each has its own entry of H's diagonal",
            damped_with(
                lambda H, lam: lam * (H * eye_of(H)).sum((-2, -1), keepdims=True) * even(H)
            ),
        ),
        Mistake(
            "your damping is subtracted, so that the step grows with it",
            damped_with(lambda H, lam: -lam * H * eye_of(H)),
        ),
        Mistake(
            "you solved for the doubled gradient, but H wasn't doubled",
            lambda J, r, lam: damped_with(lambda H, lam: lam * H * eye_of(H))(J, 2 * r, lam),
        ),
        Mistake(
            "you took the first body's damping for the whole batch",
            lambda J, r, lam: damped_with(lambda H, lam: lam * H * eye_of(H))(
                J, r, np.asarray(lam).flat[0]
            ),
        ),
    ),
    hints=(
        "np.diag makes a diagonal matrix of one vector, or reads the diagonal of one matrix: of a "
        "batch it does neither. A product with the identity keeps only a diagonal.",
        "D is H * np.eye(n). For lam to multiply matrices it needs two more axes: "
        "np.asarray(lam)[..., None, None].",
        "-np.linalg.solve(H + np.asarray(lam)[..., None, None] * D, g[..., None])[..., 0], with "
        "g[..., None] = np.swapaxes(J, -1, -2) @ r[..., None].",
    ),
)

# ---------------------------------------------------------------------------- judge_step


def judged_cases(generator: np.random.Generator) -> list[Case]:
    def tried(*shape, wrong=0.3):
        """A model, its step, and what came of it."""
        J, r = system(generator, *shape)
        d = 0.8 * solved(transposed(J) @ J, times(transposed(J), r))
        moved = times(J, d) * generator.uniform(0.2, 1.2, size=(*shape[:-2], 1))
        r_new = r + moved + wrong * generator.normal(size=r.shape)
        return J, r, d, r_new, generator.uniform(0.01, 2, size=shape[:-2])

    J, r, d, r_new, lam = tried(6, 10, 3)
    r_new[0] = 2 * r[0]  # worse
    r_new[1] = r[1]  # no change
    r_new[2] = r[2] + times(J[2], d[2])  # as promised
    r_new[3] = 0.2 * r_new[2].mean() + 0 * r[3]  # better than promised
    lost = tried(3, 8, 3)
    lost[3][1, 4] = np.nan
    simple = np.array([[1.0]]), np.array([3.0]), np.array([-2.0]), np.array([1.5]), np.array(0.1)
    worse = np.array([[1.0]]), np.array([3.0]), np.array([-2.0]), np.array([4.0]), np.array(0.1)
    whole = tried(12, 4)
    return [
        Case("one unknown, a good step", simple),
        Case("one unknown, a step that fails", worse),
        Case("four unknowns", (*whole[:4], np.array(0.5))),
        Case("six bodies: worse, unchanged, as promised, better ...", (J, r, d, r_new, lam)),
        Case("the second of three bodies went behind the camera", lost),
        Case("batch axes (2, 3)", tried(2, 3, 8, 3)),
        Case("float32", tuple(x.astype(np.float32) for x in tried(4, 10, 3))),
    ]


def judged_by_loop(J, r, d, r_new, lam):
    gains, lams = np.empty(r.shape[:-1]), np.empty(r.shape[:-1])
    for i in np.ndindex(r.shape[:-1]):
        now, hoped = r[i] @ r[i], r[i] + J[i] @ d[i]
        gains[i] = (now - r_new[i] @ r_new[i]) / (now - hoped @ hoped)
        factor = 2.0
        if gains[i] > 0:
            factor = max(1 / 3, 1 - (2 * gains[i] - 1) ** 3)
        lams[i] = factor * lam[i]
    return gains, lams


def gain_by_gradient(J, r, d, r_new):
    """The promise is -2 d.J^T r - |J d|^2, the drop (r - r_new).(r + r_new)."""
    Jd = times(J, d)
    promised = -2 * (Jd * r).sum(-1) - np.square(Jd).sum(-1)
    return ((r - r_new) * (r + r_new)).sum(-1) / promised


def nielsen(gain, lam):
    factor = np.clip(1 - (2 * gain - 1) ** 3, 1 / 3, 2)
    return lam * np.where(gain > 0, factor, 2.0)


def judged_by_gradient(J, r, d, r_new, lam):
    gain = gain_by_gradient(J, r, d, r_new)
    return gain, nielsen(gain, lam)


def judged_with(gain=gain_by_gradient, rule=nielsen):
    """The right answer but for the gain or the rule."""

    def answer(J, r, d, r_new, lam):
        found = gain(J, r, d, r_new)
        return found, rule(found, lam)

    return answer


def fall(r, r_new):
    return (squares(r) - squares(r_new))[..., 0]


def gain_of_batch(J, r, d, r_new):
    drop = np.square(r).sum() - np.square(r_new).sum()
    promised = np.square(r).sum() - np.square(r + times(J, d)).sum()
    return np.broadcast_to(drop / promised, r.shape[:-1]).copy()


def gain_of_lengths(J, r, d, r_new):
    now, new, hoped = (np.sqrt(squares(v)[..., 0]) for v in (r, r_new, r + times(J, d)))
    return (now - new) / (now - hoped)


judge_step = Exercise(
    "judge_step",
    judged_cases,
    alternatives=(judged_by_loop, judged_by_gradient),
    mistakes=(
        Mistake(
            "you promised by the slope alone; the model that gave the step is curved",
            judged_with(lambda J, r, d, n: fall(r, n) / (-2 * (times(J, d) * r).sum(-1))),
        ),
        Mistake(
            "half squares on one side, whole squares on the other: the gain is off by two",
            judged_with(lambda J, r, d, n: 2 * gain_by_gradient(J, r, d, n)),
        ),
        Mistake(
            "an energy is a squared length; you compared lengths",
            judged_with(gain_of_lengths),
        ),
        Mistake(
            "you divided the promise by what happened",
            judged_with(lambda J, r, d, n: 1 / gain_by_gradient(J, r, d, n)),
        ),
        Mistake(
            "you subtracted J d from r; the step already carries its sign",
            judged_with(lambda J, r, d, n: fall(r, n) / fall(r, r - times(J, d))),
        ),
        Mistake(
            "this is what happened as a share of the old energy; the promise isn't in it",
            judged_with(lambda J, r, d, n: fall(r, n) / squares(r)[..., 0]),
        ),
        Mistake(
            "you gave the damping first, then the gain",
            lambda J, r, d, n, lam: judged_by_gradient(J, r, d, n, lam)[::-1],
        ),
        Mistake(
            "you took what got worse for what got better: your gain has the other sign",
            judged_with(lambda J, r, d, n: -gain_by_gradient(J, r, d, n)),
        ),
        Mistake(
            "after a step that failed your damping is as it was, so the same step is tried again",
            judged_with(rule=lambda g, lam: np.where(g > 0, nielsen(g, lam), lam)),
        ),
        Mistake(
            "you used the cubic after a step that failed, too",
            judged_with(rule=lambda g, lam: lam * np.maximum(1 / 3, 1 - (2 * g - 1) ** 3)),
        ),
        Mistake(
            "you trust the model less after a step that helped",
            judged_with(
                rule=lambda g, lam: (
                    lam * np.where(g > 0, 2, np.maximum(1 / 3, 1 - (2 * g - 1) ** 3))
                )
            ),
        ),
        Mistake(
            "after a step that helped you divide by three, however well the model foretold it",
            judged_with(rule=lambda g, lam: lam * np.where(g > 0, 1 / 3, 2.0)),
        ),
        Mistake(
            "your damping has no least factor: after a perfect step it is zero, later negative",
            judged_with(rule=lambda g, lam: lam * np.where(g > 0, 1 - (2 * g - 1) ** 3, 2.0)),
        ),
        Mistake(
            "you asked for a gain of at most zero, and NaN is neither above nor below: a body behind "
            "the camera gets NaN for a damping",
            judged_with(
                rule=lambda g, lam: (
                    lam * np.where(g <= 0, 2.0, np.maximum(1 / 3, 1 - (2 * g - 1) ** 3))
                )
            ),
        ),
        Mistake(
            "you judged the whole batch by one gain; each body has its own",
            judged_with(gain_of_batch),
        ),
    ),
    hints=(
        "Three energies: before, after, and as the model foretold. Each is a sum of squares over the "
        "last axis only.",
        "J d of a batch is (J @ d[..., None])[..., 0]. np.where(gain > 0, ..., ...) picks for each "
        "body, and NaN > 0 is False.",
        "np.where(gain > 0, lam * np.maximum(1 / 3, 1 - (2 * gain - 1) ** 3), 2 * lam)",
    ),
)

# ---------------------------------------------------------------------------- dogleg_step


def landmarks(J, r):
    """Gauss-Newton's step and the steepest descent's best point."""
    H, g = transposed(J) @ J, times(transposed(J), r)
    with np.errstate(all="ignore"):
        steepest = -squares(g) / (g * times(H, g)).sum(-1, keepdims=True) * g
    return solved(H, g), steepest


def dogleg_cases(generator: np.random.Generator) -> list[Case]:
    simple = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([2.0, 2.0])
    J, r = system(generator, 12, 4)
    J = J * np.array([1.0, 4.0, 0.3, 2.0])
    newton, steepest = (np.linalg.norm(v) for v in landmarks(J, r))
    bent, short = steepest + 0.4 * (newton - steepest), 0.6 * steepest
    many = np.broadcast_to(J, (7, 12, 4)).copy(), np.broadcast_to(r, (7, 12)).copy()
    radii = np.linspace(0.3 * steepest, 1.2 * newton, 7)
    batch = system(generator, 2, 3, 8, 3)
    middle = np.linalg.norm(landmarks(*batch)[1], axis=-1) * generator.uniform(0.7, 1.2, (2, 3))
    single = tuple(x.astype(np.float32) for x in (*many, radii))
    return [
        Case("a small radius", (*simple, 1.0)),
        Case("a middle radius: the path bends", (*simple, 2.0)),
        Case("a large radius", (*simple, 3.0)),
        Case("four unknowns, a small radius", (J, r, short)),
        Case("four unknowns, a middle radius", (J, r, bent)),
        Case("seven radii for one model", (*many, radii)),
        Case("one radius for a batch (2, 3)", (*batch, float(middle[0, 0]))),
        Case("batch axes (2, 3), a radius each", (*batch, middle)),
        Case("at the minimum", (J, np.zeros(12), 0.5), scale=1.0),
        Case("float32", single),
    ]


def along_path(newton, steepest, radius, batch):
    """Where two straight pieces leave the ball, the second by the form that cancels nothing."""
    radius = np.broadcast_to(radius, batch)[..., None]
    with np.errstate(all="ignore"):
        leg = newton - steepest
        b, room = (steepest * leg).sum(-1, keepdims=True), radius**2 - squares(steepest)
        share = room / (b + np.sqrt(b**2 + squares(leg) * np.maximum(room, 0)))
        first = steepest * radius / np.sqrt(squares(steepest))
        path = np.where(room > 0, steepest + share * leg, first)
    return np.where(squares(newton) <= radius**2, newton, path)


def dogleg_vectorised(J, r, radius):
    return along_path(*landmarks(J, r), radius, r.shape[:-1])


def dogleg_by_bisection(J, r, radius):
    """The length grows along the path, so halve intervals of the way along it."""

    def one(J, r, radius):
        newton, steepest = (v.astype(np.float64) for v in landmarks(J, r))
        if np.linalg.norm(newton) <= radius:
            return newton

        def at(way):
            return way * steepest if way < 1 else steepest + (way - 1) * (newton - steepest)

        low, high = 0.0, 2.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if np.linalg.norm(at(middle)) > radius else (middle, high)
        return at(low)

    return each(one, (J, 2), (r, 1), (radius, 0))


def dogleg_with(change):
    """``change(newton, steepest, radius, right)`` with lengths as (*, 1)."""

    def answer(J, r, radius):
        newton, steepest = landmarks(J, r)
        wide = np.broadcast_to(radius, r.shape[:-1])[..., None]
        with np.errstate(all="ignore"):
            return change(newton, steepest, wide, dogleg_vectorised(J, r, radius))

    return answer


def bent_where(newton, steepest, radius, other, right):
    """``other`` where the path has bent, else the right answer."""
    return np.where((length(newton) > radius) & (length(steepest) < radius), other, right)


def share_of_lengths(newton, steepest, radius, right):
    share = (radius - length(steepest)) / (length(newton) - length(steepest))
    return bent_where(newton, steepest, radius, steepest + share * (newton - steepest), right)


def smaller_root(newton, steepest, radius, right):
    leg = newton - steepest
    b, c = (steepest * leg).sum(-1, keepdims=True), squares(steepest) - radius**2
    share = (-b - np.sqrt(np.maximum(b**2 - squares(leg) * c, 0))) / squares(leg)
    return bent_where(newton, steepest, radius, steepest + share * leg, right)


def leg_from_zero(newton, steepest, radius, right):
    leg = newton - steepest
    b, c = (steepest * leg).sum(-1, keepdims=True), squares(steepest) - radius**2
    share = (-b + np.sqrt(np.maximum(b**2 - squares(leg) * c, 0))) / squares(leg)
    return bent_where(newton, steepest, radius, steepest + share * newton, right)


def mixed_formulas(newton, steepest, radius, right):
    """b of the short formula in the long one."""
    leg = newton - steepest
    a, b = squares(leg), (steepest * leg).sum(-1, keepdims=True)
    c = squares(steepest) - radius**2
    share = (-b + np.sqrt(np.maximum(b**2 - 4 * a * c, 0))) / (2 * a)
    return bent_where(newton, steepest, radius, steepest + share * leg, right)


dogleg_step = Exercise(
    "dogleg_step",
    dogleg_cases,
    alternatives=(dogleg_vectorised, dogleg_by_bisection),
    mistakes=(
        Mistake(
            "you shortened Gauss-Newton's step to the radius; near the start the path follows the "
            "gradient",
            dogleg_with(lambda n, s, R, right: n * np.minimum(1, R / length(n))),
        ),
        Mistake(
            "your path ends at the steepest descent's point and never bends",
            dogleg_with(lambda n, s, R, right: bent_where(n, s, R, s, right)),
        ),
        Mistake(
            "you go to the steepest descent's best point even where it lies beyond the radius",
            dogleg_with(
                lambda n, s, R, right: np.where(length(s) >= R, right * length(s) / R, right)
            ),
        ),
        Mistake(
            "your share is taken of the lengths; the length doesn't grow evenly along the second leg",
            dogleg_with(share_of_lengths),
        ),
        Mistake(
            "you took the other root: this goes backwards along the second leg",
            dogleg_with(smaller_root),
        ),
        Mistake(
            "your share solves another equation: the middle term of the square holds a two",
            dogleg_with(mixed_formulas),
        ),
        Mistake(
            "your second leg goes along Gauss-Newton's step; it should lead to its end",
            dogleg_with(leg_from_zero),
        ),
        Mistake(
            "you go as far as the radius even where Gauss-Newton's step ends inside",
            dogleg_with(lambda n, s, R, right: np.where(length(n) <= R, n * R / length(n), right)),
        ),
        Mistake(
            "you clipped each unknown by itself: that is a box, and it turns the step",
            dogleg_with(lambda n, s, R, right: np.clip(n, -R, R)),
        ),
        Mistake("this step goes uphill", dogleg_with(lambda n, s, R, right: -right)),
        Mistake(
            "your first leg goes down the gradient beyond the point where the model is lowest",
            lambda J, r, radius: along_path(
                landmarks(J, r)[0], -times(transposed(J), r), radius, r.shape[:-1]
            ),
        ),
        Mistake(
            "once the path bends you jump to Gauss-Newton's step, beyond the radius",
            dogleg_with(lambda n, s, R, right: bent_where(n, s, R, n, right)),
        ),
    ),
    hints=(
        "Write it for one model first, with three ifs in the order of the text; a loop over "
        "np.ndindex(r.shape[:-1]) then does batches.",
        "|d_SD + s leg|^2 = radius^2 is a s^2 + 2 b s + c = 0 with a = leg.leg, b = d_SD.leg and "
        "c = d_SD.d_SD - radius^2. Which sign of c makes one root positive?",
        "s = (-b + sqrt(b^2 - a c)) / a. Before the loop, np.broadcast_to(radius, r.shape[:-1]) "
        "gives every model its radius; index () is the one of a batch without axes.",
    ),
)

EXERCISES = (
    point_jacobian,
    jacobian_error,
    gauss_newton_step,
    levenberg_marquardt_step,
    judge_step,
    dogleg_step,
)
