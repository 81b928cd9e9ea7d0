"""The bank of sheet 05: what tries each function, and the answers that people give."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from scipy.optimize import nnls
from scipy.spatial.transform import Rotation
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from vhlib.course.bank import Case, Exercise, Mistake

# ---------------------------------------------------------------------------- what several share


def rotations(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices (*, 3, 3) of axis-angle vectors (*, 3), by scipy."""
    flat = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return flat.reshape(*vectors.shape[:-1], 3, 3)


def single(*inputs):
    """The same inputs with float32 for every array."""
    return tuple(x.astype(np.float32) if isinstance(x, np.ndarray) else x for x in inputs)


def perpendicular(generator: np.random.Generator, rows: int, count: int) -> np.ndarray:
    """Random unit columns (rows, count), perpendicular to each other."""
    return np.linalg.qr(generator.normal(size=(rows, count)))[0]


# ---------------------------------------------------------------------------- shape_space


def shape_space_cases(generator: np.random.Generator) -> list[Case]:
    def crowd(people, vertices, directions):
        """People whose deviations fall by a third each, so that no two directions mix."""
        count = min(directions, 3 * vertices)
        q = perpendicular(generator, 3 * vertices, count) * 0.3 * 0.66 ** np.arange(count)
        coordinates = perpendicular(generator, people, min(count, people))
        X = np.sqrt(people - 1) * coordinates @ q.T[: coordinates.shape[1]]
        mean = generator.uniform(-0.8, 0.8, (vertices, 3))
        return mean + X.reshape(people, vertices, 3)

    line = np.zeros((3, 2, 3))
    line[:, 1, 1] = 1, 2, 3
    return [
        Case("three people of two vertices", (line, 1)),
        Case("one direction of 8 people", (crowd(8, 4, 5), 1)),
        Case("three directions of 12 people", (crowd(12, 5, 6), 3)),
        Case("fewer people than coordinates", (crowd(5, 9, 4), 3)),
        Case("more people than coordinates", (crowd(25, 2, 6), 4)),
        Case("two people", (crowd(2, 6, 1), 1)),
        Case("float32", (*single(crowd(10, 4, 4)), 2), tolerance=1e-3),
    ]


def by_rule(q):
    """Columns (3M, k) with signs such that the number of largest magnitude is positive."""
    return q * np.where(q.max(axis=0) >= -q.min(axis=0), 1.0, -1.0)


def decomposed(V, k):
    """Mean (M, 3), deviations (k,) and unit directions (3M, k) of any sign."""
    mean = V.mean(axis=0)
    _, s, Qt = np.linalg.svd((V - mean).reshape(len(V), -1), full_matrices=False)
    return mean, s[:k] / np.sqrt(len(V) - 1), Qt[:k].T


def space_of(V, k, deviations):
    """The right answer with other lengths."""
    mean, _, q = decomposed(V, k)
    return mean, (by_rule(q) * deviations).reshape(*mean.shape, k)


def space_by_covariance(V, k):
    """Eigenvectors of the covariance (3M, 3M)."""
    mean = V.mean(axis=0)
    X = (V - mean).reshape(len(V), -1).astype(np.float64)
    variances, q = np.linalg.eigh(np.cov(X, rowvar=False))
    variances, q = variances[::-1][:k], q[:, ::-1][:, :k]
    return mean, (by_rule(q) * np.sqrt(variances)).reshape(*mean.shape, k)


def space_by_people(V, k):
    """Eigenvectors of the small matrix (N, N), as for meshes of many vertices."""
    mean = V.mean(axis=0)
    X = (V - mean).reshape(len(V), -1).astype(np.float64)
    _, u = np.linalg.eigh(X @ X.T)
    directions = (X.T @ u[:, ::-1][:, :k]) / np.sqrt(len(V) - 1)
    return mean, by_rule(directions).reshape(*mean.shape, k)


def space_by_sklearn(V, k):
    X = V.reshape(len(V), -1)
    found = PCA(k, svd_solver="full").fit(X)
    directions = found.components_.T * np.sqrt(found.explained_variance_)
    return found.mean_.reshape(V.shape[1:]), by_rule(directions).reshape(*V.shape[1:], k)


def space_uncentred(V, k):
    _, s, Qt = np.linalg.svd(V.reshape(len(V), -1), full_matrices=False)
    directions = by_rule(Qt[:k].T * s[:k] / np.sqrt(len(V) - 1))
    return V.mean(axis=0), directions.reshape(*V.shape[1:], k)


def space_as_decomposed(V, k):
    mean, deviations, q = decomposed(V, k)
    return mean, (q * deviations).reshape(*mean.shape, k)


def space_turned_signs(V, k):
    mean, deviations, q = decomposed(V, k)
    return mean, -(by_rule(q) * deviations).reshape(*mean.shape, k)


def space_not_transposed(V, k):
    mean, deviations, q = decomposed(V, k)
    return mean, (by_rule(q) * deviations).T.reshape(*mean.shape, k)


def space_of_least(V, k):
    """The last columns instead of the first, as eigh orders them."""
    mean = V.mean(axis=0)
    _, s, Qt = np.linalg.svd((V - mean).reshape(len(V), -1), full_matrices=False)
    directions = by_rule((s[:, None] * Qt)[-k:].T / np.sqrt(len(V) - 1))
    return mean, directions.reshape(*mean.shape, k)


shape_space = Exercise(
    "shape_space",
    shape_space_cases,
    alternatives=(space_by_covariance, space_by_people, space_by_sklearn),
    mistakes=(
        Mistake(
            "you didn't take the mean away, so the first direction is the mean body",
            space_uncentred,
        ),
        Mistake(
            "your directions have length one; people don't vary equally along all of them",
            lambda V, k: space_of(V, k, np.ones(k)),
        ),
        Mistake(
            "these are the singular values as they are, which grow with the number of people",
            lambda V, k: space_of(V, k, decomposed(V, k)[1] * np.sqrt(len(V) - 1)),
        ),
        Mistake(
            "you divided by the number of people, as if their mean had been known before",
            lambda V, k: space_of(V, k, decomposed(V, k)[1] * np.sqrt(1 - 1 / len(V))),
        ),
        Mistake(
            "these are variances; a direction's length is a standard deviation, in metres",
            lambda V, k: space_of(V, k, decomposed(V, k)[1] ** 2),
        ),
        Mistake(
            "the decomposition leaves every sign open; yours don't follow the rule",
            space_as_decomposed,
        ),
        Mistake("all your signs are the wrong way round", space_turned_signs),
        Mistake(
            "you reshaped rows of Q^T as if they were columns, which mixes vertices and directions",
            space_not_transposed,
        ),
        Mistake(
            "you kept the directions in which people vary least",
            space_of_least,
        ),
    ),
    hints=(
        "Four steps: mean, rows, decomposition, lengths and signs. Print the shape after each one. "
        "Which axis of Q^T counts the directions?",
        "np.linalg.svd(X, full_matrices=False) returns U, s and Q^T, whose first k rows are "
        "wanted; Qt[:k].T has the shape (3M, k). np.abs(q).argmax(axis=0) finds the largest in "
        "each column.",
        "With q = Qt[:k].T and i = np.abs(q).argmax(axis=0), the signs are "
        "np.sign(q[i, np.arange(k)]). Multiply q by them and by s[:k] / np.sqrt(N - 1), then "
        "reshape to (M, 3, k).",
    ),
)

# ---------------------------------------------------------------------------- reconstruction_error


def reconstruction_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal

    def space(vertices, count):
        """A mean and perpendicular directions of unequal length."""
        lengths = generator.uniform(0.1, 0.6, count)
        directions = perpendicular(generator, 3 * vertices, count) * lengths
        return draw(size=(vertices, 3)), directions.reshape(vertices, 3, count)

    def people(*shape, vertices=5, count=3, unlike=0.05):
        mean, shapedirs = space(vertices, count)
        betas = draw(size=(*shape, count))
        x = mean + np.einsum("...k,mck->...mc", betas, shapedirs)
        return x + unlike * draw(size=x.shape), mean, shapedirs

    x, mean, shapedirs = people()
    line = np.zeros((2, 3))
    line[1, 1] = 2
    up = np.zeros((2, 3, 1))
    up[1, 1] = 1
    return [
        Case("two vertices, one direction", (np.array([[0, 0.003, 0], [0, 2.5, 0]]), line, up)),
        Case("a person", (x, mean, shapedirs)),
        Case("one direction", (x, mean, shapedirs[..., :1])),
        Case("a body of the space itself", people(unlike=0.0), scale=1.0),
        Case("a batch of 6 people", people(6)),
        Case("batch axes (2, 3)", people(2, 3)),
        Case("float32", single(*people(4))),
    ]


def left_over(x, mean, shapedirs):
    """What the nearest bodies (*, M, 3) lack, metres."""
    flat = shapedirs.reshape(-1, shapedirs.shape[-1])
    offset = (x - mean).reshape(*x.shape[:-2], -1)
    squares = (flat**2).sum(axis=0)
    return (offset - (offset @ flat / squares) @ flat.T).reshape(x.shape)


def error_by_lstsq(x, mean, shapedirs):
    """Least squares that would also do for directions that aren't perpendicular."""
    D = shapedirs.reshape(-1, shapedirs.shape[-1]).astype(np.float64)
    people = (x - mean).reshape(-1, D.shape[0]).T.astype(np.float64)
    betas = np.linalg.lstsq(D, people, rcond=None)[0]
    rest = (people - D @ betas).T.reshape(x.shape)
    return np.mean(np.sqrt((rest**2).sum(-1)), axis=-1) * 1e3


def error_by_removal(x, mean, shapedirs):
    """Take the directions out of the person one after the other."""
    rest = (x - mean).astype(np.float64)
    for k in range(shapedirs.shape[-1]):
        d = shapedirs[..., k] / np.linalg.norm(shapedirs[..., k])
        rest = rest - (rest * d).sum(axis=(-2, -1), keepdims=True) * d
    return 1000 * np.hypot(np.hypot(rest[..., 0], rest[..., 1]), rest[..., 2]).mean(-1)


def error_by_projector(x, mean, shapedirs):
    flat = torch.from_numpy(shapedirs).flatten(0, 1).double()
    Q = torch.linalg.qr(flat).Q
    offset = torch.from_numpy(x - mean).double().flatten(-2)
    rest = (offset - offset @ Q @ Q.mT).unflatten(-1, (-1, 3))
    return 1000 * rest.norm(dim=-1).mean(-1).numpy()


def error_with_betas(x, mean, shapedirs, power):
    """Numbers d . x / |d|^power, in millimetres."""
    offset = x - mean
    lengths = np.linalg.norm(shapedirs, axis=(0, 1))
    betas = np.einsum("...mc,mck->...k", offset, shapedirs) / lengths**power
    rest = offset - np.einsum("...k,mck->...mc", betas, shapedirs)
    return 1000 * np.linalg.norm(rest, axis=-1).mean(-1)


def error_mean_kept(x, mean, shapedirs):
    """Numbers from the person itself instead of from what it has beyond the mean."""
    squares = (shapedirs**2).sum(axis=(0, 1))
    betas = np.einsum("...mc,mck->...k", x, shapedirs) / squares
    rest = x - mean - np.einsum("...k,mck->...mc", betas, shapedirs)
    return 1000 * np.linalg.norm(rest, axis=-1).mean(-1)


reconstruction_error = Exercise(
    "reconstruction_error",
    reconstruction_cases,
    alternatives=(error_by_lstsq, error_by_removal, error_by_projector),
    mistakes=(
        Mistake(
            "you took the directions for unit vectors: a dot product isn't the number of steps",
            lambda x, m, d: error_with_betas(x, m, d, 0),
        ),
        Mistake(
            "you divided by the length of a direction once, as if one of the two had length one",
            lambda x, m, d: error_with_betas(x, m, d, 1),
        ),
        Mistake(
            "you projected the person, not what it has beyond the mean",
            error_mean_kept,
        ),
        Mistake(
            "this is the distance to the mean; the directions aren't used",
            lambda x, m, d: 1000 * np.linalg.norm(x - m, axis=-1).mean(-1) + 0 * d.sum(),
        ),
        Mistake(
            "this is in metres",
            lambda x, m, d: np.linalg.norm(left_over(x, m, d), axis=-1).mean(-1),
        ),
        Mistake(
            "this is the root of the mean square, not the mean of the distances",
            lambda x, m, d: 1000 * np.sqrt((left_over(x, m, d) ** 2).sum(-1).mean(-1)),
        ),
        Mistake(
            "this is the mean over coordinates; a vertex's distance takes its three together",
            lambda x, m, d: 1000 * np.abs(left_over(x, m, d)).mean(axis=(-2, -1)),
        ),
        Mistake(
            "this is one distance of all vertices together, as if a body were a single point",
            lambda x, m, d: 1000 * np.sqrt((left_over(x, m, d) ** 2).sum((-2, -1))),
        ),
        Mistake(
            "this is the largest distance, not their mean",
            lambda x, m, d: 1000 * np.linalg.norm(left_over(x, m, d), axis=-1).max(-1),
        ),
        Mistake(
            "this is the sum over the vertices",
            lambda x, m, d: 1000 * np.linalg.norm(left_over(x, m, d), axis=-1).sum(-1),
        ),
        Mistake(
            "you averaged over all people; each has an error of its own",
            lambda x, m, d: 1000 * np.linalg.norm(left_over(x, m, d), axis=-1).mean(),
        ),
    ),
    hints=(
        "What is left over must be perpendicular to every direction. Write that down for one "
        "direction: which number does it give?",
        "beta_k = d_k . (x - mean) / |d_k|^2, with dot products over all 3M numbers: "
        "np.einsum('...mc,mck->...k', offset, shapedirs) makes them all.",
        "Divide those by (shapedirs**2).sum(axis=(0, 1)), take np.einsum('...k,mck->...mc', betas, "
        "shapedirs) away from x - mean, then np.linalg.norm over the last axis, mean, times 1000.",
    ),
)

# ---------------------------------------------------------------------------- joints


def joint_cases(generator: np.random.Generator, aside: float) -> list[Case]:
    """People with vertices around a joint; ``aside`` moves the joint out of their middle."""

    def people(count, vertices, shift=aside, noise=0.03):
        shape = 0.3 * generator.normal(size=(vertices, 3))
        V = shape * generator.uniform(0.7, 1.3, (count, 1, 3)) + generator.normal(
            size=(count, 1, 3)
        )
        V = V + noise * generator.normal(size=V.shape)
        w = generator.dirichlet(np.ones(vertices))
        w = w + shift * (np.arange(vertices) == 0) - shift * (np.arange(vertices) == 1)
        return V, w @ V + noise * generator.normal(size=(count, 3))

    def put(count, vertices, **options):
        V, j = people(count, vertices, **options)
        order = generator.permutation(vertices)
        return V[:, order], j

    V = np.array([[[1.0, 0, 0], [-1, 0, 0], [0, 2, 0]], [[1.2, 0, 0], [-1, 0, 0], [0, 2, 0]]])
    height = 0.4 if aside < 0.3 else -0.4
    j = np.array([[0, height, 0.1], [0, height, 0.1]])
    return [
        Case("two people of three vertices", (V, j)),
        Case("8 people, four vertices", put(8, 4)),
        Case("10 people, six vertices", put(10, 6)),
        Case("well inside", put(8, 5, shift=0.0)),
        Case("outside", put(9, 5, shift=1.2)),
        Case("one vertex", put(4, 1, shift=0.0)),
        Case("two vertices", put(5, 2)),
        Case("float32", single(*put(10, 4)), tolerance=1e-3),
    ]


def choice_cases(generator: np.random.Generator) -> list[Case]:
    """Joints for which a short cut to the best choice of vertices leads elsewhere."""
    scale = generator.uniform(0.15, 0.25, (6, 1, 1))
    triangle = scale * np.array([[0, 0, 0], [1, 0, 0], [-4, 1, 0]])
    beside = scale[..., 0] * np.array([0.45, -0.2, 0.1])
    triangle = triangle + 0.001 * generator.normal(size=triangle.shape)
    order = generator.permutation(3)
    axis = rotations(generator.normal(size=3))[:, 0]
    apart = generator.uniform(0.1, 0.2) * np.array([[1.0, 1.4], [0.5, 0.0]])
    pair = generator.permutation(2)
    return [
        Case("two vertices near, one far away", (triangle[:, order], beside)),
        Case("two people who disagree", ((apart[..., None] * axis)[:, pair], np.zeros((2, 3)))),
    ]


def rows_of(V):
    """(N, M, 3) as equations (3N, M)."""
    return V.swapaxes(1, 2).reshape(-1, V.shape[1])


def affine_by_last_vertex(V, j):
    """The last weight is one minus the others: ordinary least squares for those."""
    if V.shape[1] == 1:
        return np.ones(1)
    last = V[:, -1:]
    others = rows_of(V[:, :-1] - last)
    w = np.linalg.lstsq(others, (j - last[:, 0]).ravel(), rcond=None)[0]
    return np.append(w, 1 - w.sum())


def affine_by_multiplier(V, j):
    """One linear system for the weights and the multiplier of their sum, in metres as they are."""
    A, M = rows_of(V).astype(np.float64), V.shape[1]
    system = np.block([[2 * A.T @ A, np.ones((M, 1))], [np.ones((1, M)), np.zeros((1, 1))]])
    right = np.append(2 * A.T @ j.ravel(), 1.0)
    return np.linalg.solve(system, right)[:-1]


def affine_by_null_space(V, j):
    """Equal weights, changed within the directions that keep the sum."""
    M = V.shape[1]
    Z = np.linalg.svd(np.ones((1, M)))[2][1:].T
    equal = np.full(M, 1 / M)
    A = rows_of(V)
    return equal + Z @ np.linalg.pinv(A @ Z) @ (j.ravel() - A @ equal)


def free_weights(V, j):
    return np.linalg.lstsq(rows_of(V), j.ravel(), rcond=None)[0]


def affine_of_gram(V, j, normalised=True):
    A = V - j[:, None]
    C = np.einsum("nac,nbc->ab", A, A)
    w = np.linalg.solve(C, np.ones(len(C)))
    return w / w.sum() if normalised else w


def affine_from_origin(V, j):
    C = np.einsum("nac,nbc->ab", V, V)
    w = np.linalg.pinv(C) @ np.ones(len(C))
    return w / w.sum() + 0 * j.sum()


def affine_mixed_up(V, j):
    """Vertices and coordinates laid out in the wrong order."""
    A = (V - j[:, None]).reshape(-1, V.shape[1])
    w = np.linalg.pinv(A.T @ A) @ np.ones(V.shape[1])
    return w / w.sum()


def affine_of_last_person(V, j):
    A = (V - j[:, None])[-1]
    w = np.linalg.pinv(A @ A.T) @ np.ones(len(A))
    return w / w.sum()


affine_weights = Exercise(
    "affine_weights",
    lambda generator: joint_cases(generator, 0.2),
    alternatives=(affine_by_last_vertex, affine_by_multiplier, affine_by_null_space),
    mistakes=(
        Mistake(
            "these are the best weights without any condition: they don't sum to one",
            free_weights,
        ),
        Mistake(
            "you solved without the condition and divided by the sum after it: no longer the best",
            lambda V, j: free_weights(V, j) / free_weights(V, j).sum(),
        ),
        Mistake(
            "you took the vertices as seen from the origin, so the joint has no say",
            affine_from_origin,
        ),
        Mistake(
            "the numbers in C w are all alike, but they aren't one; look at the sum of the weights",
            lambda V, j: affine_of_gram(V, j, normalised=False),
        ),
        Mistake(
            "these are equal weights, the middle of the vertices",
            lambda V, j: np.full(V.shape[1], 1 / V.shape[1]) + 0 * j.sum(),
        ),
        Mistake(
            "you averaged the people first; in how they differ lies what the weights learn from",
            lambda V, j: affine_of_last_person(V.mean(0)[None], j.mean(0)[None]),
        ),
        Mistake(
            "your weights serve one person only; C is a sum over all",
            affine_of_last_person,
        ),
        Mistake(
            "your reshape mixes vertices with coordinates: (N, M, 3) isn't (N, 3, M)",
            affine_mixed_up,
        ),
    ),
    hints=(
        "All entries of C w are some number c, so w is c times the solution of an easy system.",
        "np.einsum('nac,nbc->ab', A, A) is C for A of shape (N, M, 3); j[:, None] subtracts a "
        "joint from all vertices of its person. np.linalg.solve does the rest.",
        "w = np.linalg.solve(C, np.ones(M)), and c is fixed by the sum: return w / w.sum().",
    ),
)


def joint_by_nnls(V, j):
    """A row so heavy that the sum becomes one, as in the notebook."""
    A = rows_of(V - j[:, None]).astype(np.float64)
    heavy = np.vstack([A, np.full((1, A.shape[1]), 1e3)])
    w = nnls(heavy, np.append(np.zeros(len(A)), 1e3))[0]
    return w / w.sum()


def joint_by_leaving(V, j):
    """From every choice of vertices, smallest first, checked by the conditions of a minimum."""
    A = rows_of(V - j[:, None]).astype(np.float64)
    C = A.T @ A
    for size in range(1, len(C) + 1):
        for chosen in map(list, itertools.combinations(range(len(C)), size)):
            part = np.linalg.solve(C[np.ix_(chosen, chosen)], np.ones(size))
            w = np.zeros(len(C))
            w[chosen] = part / part.sum()
            slope = C @ w  # at the minimum no vertex left out may have a lower one
            if w.min() >= 0 and slope.min() >= slope[chosen].mean() - 1e-9 * abs(slope).max():
                return w
    raise AssertionError("some choice meets the conditions")


def joint_by_exchange(V, j):
    """Shift weight between the two vertices that gain most by it, until nothing is gained."""
    A = rows_of(V - j[:, None]).astype(np.float64)
    C = A.T @ A
    w = np.full(len(C), 1 / len(C))
    for _ in range(20000):
        slope = C @ w
        to = slope.argmin()
        used = np.where(w > 0, slope, -np.inf)
        away = used.argmax()
        gain = slope[away] - slope[to]
        if gain <= 1e-13 * np.abs(C).max():
            break
        curve = C[to, to] + C[away, away] - 2 * C[to, away]
        step = min(w[away], gain / curve)
        w[to] += step
        w[away] = 0.0 if step == w[away] else w[away] - step
    return w


def joint_clipped(V, j):
    w = np.maximum(affine_by_last_vertex(V, j), 0)
    return w / w.sum()


def joint_last_choice(V, j):
    """Whatever choice without a negative weight came last."""
    M = V.shape[1]
    for size in range(1, M + 1):
        for chosen in map(list, itertools.combinations(range(M), size)):
            part = affine_by_last_vertex(V[:, chosen], j)
            if part.min() >= 0:
                w = np.zeros(M)
                w[chosen] = part
    return w


def joint_by_dropping(V, j):
    """Leave out the most negative weight, one after the other."""
    chosen = list(range(V.shape[1]))
    while (part := affine_by_last_vertex(V[:, chosen], j)).min() < 0:
        chosen.pop(part.argmin())
    w = np.zeros(V.shape[1])
    w[chosen] = part
    return w


def joint_by_distance(V, j):
    """Every choice, but the sum of distances decides."""
    found = []
    for size in range(1, V.shape[1] + 1):
        for chosen in map(list, itertools.combinations(range(V.shape[1]), size)):
            w = np.zeros(V.shape[1])
            w[chosen] = affine_by_last_vertex(V[:, chosen], j)
            found.append(w)
    allowed = [w for w in found if w.min() >= 0]
    return min(allowed, key=lambda w: np.linalg.norm(w @ V - j, axis=-1).sum())


def joint_nearest_vertex(V, j):
    distance = np.linalg.norm(V - j[:, None], axis=-1).mean(0)
    return np.eye(V.shape[1])[distance.argmin()]


joint_weights = Exercise(
    "joint_weights",
    lambda generator: joint_cases(generator, 0.6) + choice_cases(generator),
    alternatives=(joint_by_nnls, joint_by_leaving, joint_by_exchange),
    mistakes=(
        Mistake("some of your weights are negative", affine_by_multiplier),
        Mistake(
            "you set negative weights to zero and rescaled the others, which aren't best any more",
            joint_clipped,
        ),
        Mistake(
            "you set negative weights to zero, and the sum isn't one any more",
            lambda V, j: np.maximum(affine_by_multiplier(V, j), 0),
        ),
        Mistake(
            "these aren't negative but don't sum to one, so they can't follow who steps aside",
            lambda V, j: nnls(rows_of(V).astype(float), j.ravel().astype(float))[0],
        ),
        Mistake(
            "you left out the most negative weight, one after the other; a vertex left out early "
            "can belong to the best choice",
            joint_by_dropping,
        ),
        Mistake(
            "you compared choices by the sum of distances, not of their squares",
            joint_by_distance,
        ),
        Mistake(
            "this is the nearest vertex alone",
            joint_nearest_vertex,
        ),
        Mistake(
            "these are equal weights, the middle of the vertices",
            lambda V, j: np.full(V.shape[1], 1 / V.shape[1]) + 0 * j.sum(),
        ),
        Mistake(
            "you kept the last choice without a negative weight, not the best one",
            joint_last_choice,
        ),
        Mistake(
            "you kept the first choice: a vertex alone never has a negative weight",
            lambda V, j: np.eye(V.shape[1])[0] + 0 * j.sum(),
        ),
    ),
    hints=(
        "Two loops: one over the size of a choice, one over the choices of that size. What has to "
        "be remembered from one to the next?",
        "V[:, chosen] with a tuple or list of numbers are the vertices of a choice. Put its "
        "weights into zeros: w = np.zeros(M); w[list(chosen)] = affine_weights(V[:, chosen], j).",
        "The error of w is ((w @ V - j) ** 2).sum(). Begin with least = np.inf, and where w.min() "
        ">= 0 and the error is below least, remember both.",
    ),
    builds_on=("affine_weights",),
)

# ---------------------------------------------------------------------------- rest_residuals


def residual_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal

    def posed(*shape, vertices=6, lacking=0.15):
        """Scans by skinning with blends of two rotations, so that no matrix is one."""
        share = generator.uniform(0.25, 0.75, (*shape, vertices, 1, 1))
        turns = rotations(draw(size=(2, *shape, 1, 3)))
        A = share * turns[0] + (1 - share) * turns[1]
        t = draw(size=(*shape, vertices, 3))
        mean = draw(size=(vertices, 3))
        y = lacking * draw(size=(*shape, vertices, 3))
        scan = np.einsum("...ij,...j->...i", A, mean + y) + t
        return scan, np.concatenate([A, t[..., None]], axis=-1), mean

    quarter = np.array([[[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]]])
    at_rest = posed(vertices=4)
    still = np.concatenate([np.eye(3), np.zeros((3, 1))], axis=1)
    return [
        Case("a quarter turn", (np.array([[-1.1, 0, 1]]), quarter, np.array([[0.0, 1, 0]]))),
        Case("six vertices", posed()),
        Case("a body that isn't moved", (at_rest[0], np.tile(still, (4, 1, 1)), at_rest[2])),
        Case("a scan that skinning meets", posed(lacking=0.0), scale=1.0),
        Case("a batch of 3 poses", posed(3)),
        Case("batch axes (2, 3)", posed(2, 3, vertices=3)),
        Case("float32", single(*posed(2)), tolerance=1e-3),
        Case("no poses", posed(0)),
    ]


def residuals_by_inverse(scan, T, mean):
    return np.einsum("...ij,...j->...i", np.linalg.inv(T[..., :3]), scan - T[..., 3]) - mean


def residuals_of_difference(scan, T, mean):
    """Skin the mean, and carry what is left back."""
    A = T[..., :3]
    left = scan - (A @ mean[..., None])[..., 0] - T[..., 3]
    return np.linalg.solve(A, left[..., None])[..., 0]


def residuals_by_cofactors(scan, T, mean):
    """Cramer's rule with cross products."""
    a, b, c = (T[..., k] for k in range(3))
    right = scan - T[..., 3]
    minors = [np.cross(b, c), np.cross(c, a), np.cross(a, b)]
    volume = (a * minors[0]).sum(-1)
    return np.stack([(m * right).sum(-1) / volume for m in minors], axis=-1) - mean


def moved_back(scan, A, t, transposed=False):
    inverse = np.swapaxes(A, -1, -2) if transposed else np.linalg.inv(A)
    return np.einsum("...ij,...j->...i", inverse, scan - t)


def skinned(T, x):
    return np.einsum("...ij,...j->...i", T[..., :3], x) + T[..., 3]


rest_residuals = Exercise(
    "rest_residuals",
    residual_cases,
    alternatives=(residuals_by_inverse, residuals_of_difference, residuals_by_cofactors),
    mistakes=(
        Mistake(
            "this is what is lacking after skinning; the same bulge points elsewhere in every pose",
            lambda scan, T, mean: scan - skinned(T, mean),
        ),
        Mistake(
            "you transposed A as if it were a rotation; a blend of rotations is none",
            lambda scan, T, mean: moved_back(scan, T[..., :3], T[..., 3], True) - mean,
        ),
        Mistake(
            "you skinned the scan once more instead of carrying it back",
            lambda scan, T, mean: skinned(T, scan) - mean,
        ),
        Mistake(
            "you turned the scan back but left its shift in",
            lambda scan, T, mean: moved_back(scan, T[..., :3], 0.0) - mean,
        ),
        Mistake(
            "you turned first and took the shift away afterwards: it is given in the posed frame",
            lambda scan, T, mean: moved_back(scan, T[..., :3], 0.0) - T[..., 3] - mean,
        ),
        Mistake(
            "these are the scan's vertices at rest; asked for is what they have beyond the mean",
            lambda scan, T, mean: moved_back(scan, T[..., :3], T[..., 3]) + 0 * mean,
        ),
        Mistake(
            "your offsets lead from the scan to the mean",
            lambda scan, T, mean: mean - moved_back(scan, T[..., :3], T[..., 3]),
        ),
    ),
    hints=(
        "Solve the equation for y by hand, from the outside in: first t, then A, then the mean.",
        "np.linalg.solve takes batches of matrices; its right side wants columns: "
        "(scan - t)[..., None].",
        "np.linalg.solve(T[..., :3], (scan - T[..., 3])[..., None])[..., 0] are the scan's "
        "vertices at rest.",
    ),
)

# ---------------------------------------------------------------------------- learn_correctives


def corrective_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal

    def poses(count, joints, vertices, ridge):
        R = rotations(0.8 * draw(size=(count, joints, 3)))
        features = (R[:, 1:] - np.eye(3)).reshape(count, -1)
        B = 0.1 * draw(size=(features.shape[1], vertices * 3))
        y = features @ B + 0.02 + 0.01 * draw(size=(count, vertices * 3))
        return R, y.reshape(count, vertices, 3), ridge

    half = np.stack([np.eye(3), np.diag([-1.0, -1, 1])])[None]
    at_rest = np.tile(np.eye(3), (3, 3, 1, 1))
    return [
        Case("one pose of two joints", (half, np.array([[[0.0, 0.09, 0]]]), 1.0)),
        Case("12 poses of three joints", poses(12, 3, 3, 0.01)),
        Case("fewer poses than features", poses(5, 4, 2, 0.05)),
        Case("many poses, a small ridge", poses(40, 2, 4, 1e-3)),
        Case("a strong ridge", poses(8, 3, 2, 10.0)),
        Case("all poses at rest", (at_rest, 0.1 * draw(size=(3, 2, 3)), 0.1)),
        Case("float32", (*single(*poses(20, 3, 2, 0.1)[:2]), 0.1), tolerance=1e-3),
    ]


def features_of(R):
    """R - I of all joints but the root, (P, 9 (J - 1))."""
    return (R[:, 1:] - np.eye(3)).reshape(len(R), -1)


def regressed(X, y, ridge):
    """(M, 3, F); ``ridge`` as it is added to the diagonal."""
    H = X.T @ X + ridge * np.eye(X.shape[1])
    return (np.linalg.pinv(H) @ X.T @ y.reshape(len(y), -1)).T.reshape(*y.shape[1:], -1)


def correctives_by_more_rows(R, y, ridge):
    """Ordinary least squares with one row more for each feature."""
    P, X = len(R), features_of(R)
    F = X.shape[1]
    rows = np.concatenate([X, np.sqrt(ridge * P) * np.eye(F)])
    right = np.concatenate([y.reshape(P, -1), np.zeros((F, y[0].size))])
    return np.linalg.lstsq(rows, right, rcond=None)[0].T.reshape(*y.shape[1:], F)


def correctives_by_poses(R, y, ridge):
    """The small system (P, P) instead of (F, F)."""
    P, X = len(R), features_of(R)
    alpha = np.linalg.solve(X @ X.T + ridge * P * np.eye(P), y.reshape(P, -1))
    return np.einsum("pf,pm->mf", X, alpha).reshape(*y.shape[1:], -1)


def correctives_by_sklearn(R, y, ridge):
    model = Ridge(alpha=ridge * len(R), fit_intercept=False)
    B = model.fit(features_of(R), y.reshape(len(y), -1)).coef_
    return np.asarray(B).reshape(*y.shape[1:], -1)


def correctives_not_transposed(R, y, ridge):
    B = regressed(features_of(R), y, ridge * len(R))
    return B.reshape(-1, B.shape[-1]).T.reshape(B.shape)


learn_correctives = Exercise(
    "learn_correctives",
    corrective_cases,
    alternatives=(correctives_by_more_rows, correctives_by_poses, correctives_by_sklearn),
    mistakes=(
        Mistake(
            "your features aren't zero at rest, so the body at rest is corrected, too",
            lambda R, y, ridge: regressed(R[:, 1:].reshape(len(R), -1), y, ridge * len(R)),
        ),
        Mistake(
            "you left out the last joint; the root, the first one, has no features",
            lambda R, y, ridge: regressed(
                (R[:, :-1] - np.eye(3)).reshape(len(R), -1), y, ridge * len(R)
            ),
        ),
        Mistake(
            "you wrote each rotation column by column",
            lambda R, y, ridge: regressed(features_of(np.swapaxes(R, -1, -2)), y, ridge * len(R)),
        ),
        Mistake(
            "your ridge doesn't grow with the number of poses, so more of them weaken it",
            lambda R, y, ridge: regressed(features_of(R), y, ridge),
        ),
        Mistake(
            "there is no ridge in it",
            lambda R, y, ridge: regressed(features_of(R), y, 0.0),
        ),
        Mistake(
            "you divided the ridge by the number of poses",
            lambda R, y, ridge: regressed(features_of(R), y, ridge / len(R)),
        ),
        Mistake(
            "you squared the ridge",
            lambda R, y, ridge: regressed(features_of(R), y, ridge**2 * len(R)),
        ),
        Mistake(
            "you took the mean of the residuals away: a constant, which no feature can give back",
            lambda R, y, ridge: regressed(features_of(R), y - y.mean(0), ridge * len(R)),
        ),
        Mistake(
            "you took the mean of the features away, but at rest the features themselves are zero",
            lambda R, y, ridge: regressed(
                features_of(R) - features_of(R).mean(0), y, ridge * len(R)
            ),
        ),
        Mistake(
            "you reshaped B^T as if it were B, which mixes vertices and features",
            correctives_not_transposed,
        ),
    ),
    hints=(
        "First the two matrices: how many rows has X, how many has Y, and what is in a row?",
        "(R[:, 1:] - np.eye(3)).reshape(P, -1) is X. np.linalg.solve(H, X.T @ Y) gives B^T with H "
        "the matrix to invert; the identity in it has as many rows as there are features.",
        "H = X.T @ X + ridge * P * np.eye(X.shape[1]). B^T has the shape (9 (J - 1), 3M): "
        "transpose it, then reshape to (M, 3, 9 (J - 1)).",
    ),
)

EXERCISES = (
    shape_space,
    reconstruction_error,
    affine_weights,
    joint_weights,
    rest_residuals,
    learn_correctives,
)
