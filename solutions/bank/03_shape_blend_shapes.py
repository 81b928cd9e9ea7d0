"""The bank of sheet 03: what tries each function, and the answers that people give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import ConvexHull

from vhlib.course.bank import Case, Exercise, Mistake

# ---------------------------------------------------------------------------- what several share

CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
# Counter-clockwise from outside: left, right, bottom, top, back, front.
BOX_FACES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)
CRATE = CORNERS * [1.2, 1.0, 0.8]
PERSON_BOX = CORNERS * [0.3, 1.7, 0.15]


def model(generator: np.random.Generator, vertices: int, betas: int) -> tuple[np.ndarray, ...]:
    """A template (V, 3) and directions (V, 3, S) that aren't orthogonal."""
    draw = generator.normal
    return draw(size=(vertices, 3)), 0.3 * draw(size=(vertices, 3, betas))


def body_of(betas: np.ndarray, v_template: np.ndarray, shapedirs: np.ndarray) -> np.ndarray:
    """The blend shapes in one matrix product."""
    flat = shapedirs.reshape(-1, shapedirs.shape[-1]) @ betas[..., None]
    return v_template + flat[..., 0].reshape(*betas.shape[:-1], *v_template.shape)


def as_float32(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(array.astype(np.float32) for array in arrays)


# ---------------------------------------------------------------------------- shaped


def shaped_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    larger_taller = np.stack([0.2 * CRATE, CRATE * [0.0, 0.4, 0.0]], axis=-1)
    small, large = model(generator, 4, 2), model(generator, 7, 10)
    many = draw(size=(2, 3, 10))
    return [
        Case("a box, larger and less high", (np.array([1.5, -0.5]), CRATE, larger_taller)),
        Case("two betas", (draw(size=2), *small)),
        Case("betas zero", (np.zeros(2), *small)),
        Case("ten betas", (many[0, 0], *large)),
        Case("a beta at 20", (np.array([20.0, 0.5]), *small)),
        Case("a batch of 3", (many[0], *large)),
        Case("batch axes (2, 3)", (many, *large)),
        Case("as many betas as coordinates", (draw(size=3), *model(generator, 3, 3))),
        Case("float32", as_float32(many[1], *large)),
        Case("a batch of one", (draw(size=(1, 2)), *small)),
    ]


def shaped_loop(betas, v_template, shapedirs):
    out = np.zeros((*betas.shape[:-1], *v_template.shape)) + v_template
    for k in range(shapedirs.shape[-1]):
        out += betas[..., k, None, None] * shapedirs[..., k]
    return out


def shaped_by_first(betas, v_template, shapedirs):
    one = body_of(betas.reshape(-1, betas.shape[-1])[0], v_template, shapedirs)
    return np.broadcast_to(one, (*betas.shape[:-1], *v_template.shape)).copy()


def shaped_by_wrong_axis(betas, v_template, shapedirs):
    vertices, _, count = shapedirs.shape
    return body_of(betas, v_template, shapedirs.reshape(vertices, count, 3).swapaxes(1, 2))


def shaped_by_unit_directions(betas, v_template, shapedirs):
    return body_of(betas, v_template, shapedirs / np.linalg.norm(shapedirs, axis=(0, 1)))


shaped = Exercise(
    "shaped",
    shaped_cases,
    alternatives=(
        body_of,
        shaped_loop,
        lambda betas, v_template, shapedirs: (
            v_template + np.tensordot(betas, shapedirs, axes=(-1, -1))
        ),
        np.vectorize(
            lambda betas, v_template, shapedirs: v_template + shapedirs @ betas,
            signature="(s),(v,c),(v,c,s)->(v,c)",
        ),
    ),
    mistakes=(
        Mistake(
            "these are the offsets alone, not a body",
            lambda b, T, S: body_of(b, 0 * T, S),
        ),
        Mistake(
            "you took the mean of the directions instead of their sum",
            lambda b, T, S: body_of(b / b.shape[-1], T, S),
        ),
        Mistake(
            "you scaled the directions to length one; a beta counts standard deviations",
            shaped_by_unit_directions,
        ),
        Mistake(
            "the template itself goes in once; you weighted it by the betas, too",
            lambda b, T, S: body_of(b, 0 * T, T[..., None] + S),
        ),
        Mistake(
            "you used the first beta alone",
            lambda b, T, S: body_of(b[..., :1], T, S[..., :1]),
        ),
        Mistake(
            "you went the other way along every direction",
            lambda b, T, S: body_of(-b, T, S),
        ),
        Mistake(
            "you read x, y, z and the betas of shapedirs in the wrong order",
            shaped_by_wrong_axis,
        ),
        Mistake("you gave every body of the batch the betas of the first", shaped_by_first),
        Mistake(
            "you kept betas between -3 and 3, which the model doesn't: that is a prior's business",
            lambda b, T, S: body_of(b.clip(-3, 3), T, S),
        ),
    ),
    hints=(
        "Without batch axes it is a matrix product over the last axis of shapedirs. Then think of "
        "where the axes * must end up.",
        "np.einsum names axes by letters and takes ... for those in front; or give betas two more "
        "axes and sum over k in a loop.",
        'np.einsum("vck,...k->...vc", shapedirs, betas) is the sum; v_template broadcasts.',
    ),
    drawing="points",
)

# ---------------------------------------------------------------------------- joint_model


def regressor(generator: np.random.Generator, joints: int, vertices: int) -> np.ndarray:
    """Rows that sum to one, with many zeros; no weight is negative."""
    rows = generator.uniform(-1, 1, size=(joints, vertices)).clip(0)
    rows[np.arange(joints), np.arange(joints) % vertices] += 0.5
    return rows / rows.sum(-1, keepdims=True)


def joint_cases(generator: np.random.Generator) -> list[Case]:
    corners = np.array([[0.0, 0, 0], [2, 0, 1], [2, 2, -1]])
    halves = np.array([[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 1]])
    simple = halves, corners, 0.1 * corners[..., None]
    small, large = model(generator, 6, 2), model(generator, 12, 10)
    rows = regressor(generator, 4, 6)
    negative = rows + 0.3 * (np.eye(4, 6) - np.eye(4, 6, 1))
    return [
        Case("three vertices, one direction", simple),
        Case("four joints", (rows, *small)),
        Case("a joint beyond its vertices, by negative weights", (negative, *small)),
        Case("joints that are vertices", (np.eye(6)[[4, 0]], *small)),
        Case("a single joint, the mean of all", (np.full((1, 6), 1 / 6), *small)),
        Case("ten betas", (regressor(generator, 5, 12), *large)),
        Case("as many betas as coordinates", (rows, *model(generator, 6, 3))),
        Case("a shape that changes nothing", (rows, small[0], 0 * small[1])),
        Case("float32", as_float32(rows, *small)),
    ]


def joint_loop(J_regressor, v_template, shapedirs):
    J = np.zeros((len(J_regressor), 3))
    J_dirs = np.zeros((len(J_regressor), *shapedirs.shape[1:]))
    for j, row in enumerate(J_regressor):
        for v in np.flatnonzero(row):
            J[j] += row[v] * v_template[v]
            J_dirs[j] += row[v] * shapedirs[v]
    return J, J_dirs


def joint_by_differences(J_regressor, v_template, shapedirs):
    """A direction is what one beta more does to the joints."""
    count = shapedirs.shape[-1]
    bodies = body_of(np.eye(count), v_template, shapedirs)
    J = J_regressor @ v_template
    return J, np.moveaxis(J_regressor @ bodies - J, 0, -1)


def joint_flat(J_regressor, v_template, shapedirs):
    stacked = np.concatenate([v_template[..., None], shapedirs], axis=-1)
    both = (J_regressor @ stacked.reshape(len(stacked), -1)).reshape(-1, *stacked.shape[1:])
    return both[..., 0], both[..., 1:]


def joints_by_rows(change: Callable) -> Callable:
    """The right answer for another regressor."""
    return lambda J_regressor, v_template, shapedirs: joint_flat(
        change(J_regressor), v_template, shapedirs
    )


def normalised(rows: np.ndarray) -> np.ndarray:
    return rows / rows.sum(-1, keepdims=True)


def strongest(rows: np.ndarray) -> np.ndarray:
    return np.eye(rows.shape[-1])[rows.argmax(-1)]


def joints_of_bodies(J_regressor, v_template, shapedirs):
    J, J_dirs = joint_flat(J_regressor, v_template, shapedirs)
    return J, J_dirs + J[..., None]


def joints_wrong_order(J_regressor, v_template, shapedirs):
    J, J_dirs = joint_flat(J_regressor, v_template, shapedirs)
    joints, _, count = J_dirs.shape
    return J, J_dirs.reshape(joints, count, 3).swapaxes(1, 2)


def joints_that_stay(J_regressor, v_template, shapedirs):
    J, J_dirs = joint_flat(J_regressor, v_template, shapedirs)
    return J, 0 * J_dirs


def joints_from_first(J_regressor, v_template, shapedirs):
    J, J_dirs = joint_flat(J_regressor, v_template, shapedirs)
    return J - J[:1], J_dirs - J_dirs[:1]


joint_model = Exercise(
    "joint_model",
    joint_cases,
    alternatives=(joint_loop, joint_by_differences, joint_flat),
    mistakes=(
        Mistake(
            "your directions hold the template, too: they are bodies and not changes",
            joints_of_bodies,
        ),
        Mistake(
            "you gave equal weights to all vertices that a joint uses",
            joints_by_rows(lambda rows: normalised((rows != 0).astype(float))),
        ),
        Mistake(
            "you took the vertex of the largest weight for the joint", joints_by_rows(strongest)
        ),
        Mistake(
            "you dropped negative weights, which put a joint beyond its vertices",
            joints_by_rows(lambda rows: normalised(rows.clip(0))),
        ),
        Mistake(
            "you read x, y, z and the betas of shapedirs in the wrong order", joints_wrong_order
        ),
        Mistake(
            "you took each vertex's weights to sum to one; it is those of a joint that do",
            joints_by_rows(lambda rows: rows / np.maximum(rows.sum(0), 1e-3)),
        ),
        Mistake("your joints stay where they are, whatever the shape", joints_that_stay),
        Mistake(
            "J_regressor @ shapedirs doesn't sum over the vertices, the first axis of shapedirs",
            lambda rows, T, S: (rows @ T, rows @ S),
        ),
        Mistake(
            "your joints are told from the first of them; asked for is where they are",
            joints_from_first,
        ),
    ),
    hints=(
        "The same weights are applied twice: to the template and to each of the directions.",
        "J_regressor @ v_template is the first part. In the second, the sum is over the vertices, "
        "the first axis of shapedirs.",
        'np.einsum("jv,vck->jck", J_regressor, shapedirs): j joints, v vertices, c coordinates.',
    ),
    drawing="points",
)

# ---------------------------------------------------------------------------- refit


def refit_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    T = np.array([[0.0, 0, 0], [0, 1, 0]])
    S = np.zeros((2, 3, 2))
    S[1, 1, 0], S[:, 1, 1] = 0.1, 0.1
    example = np.array([[0.0, 0.1, 0], [0, 1.3, 0]])
    small, large = model(generator, 6, 3), model(generator, 12, 10)
    betas = draw(size=(2, 3, 10))
    meshes = body_of(betas, *large)
    noise = 0.2 * draw(size=(2, 3, 12, 3))
    orthogonal = np.linalg.qr(small[1].reshape(18, 3))[0].reshape(6, 3, 3) * [2.0, 0.7, 0.1]
    others = body_of(draw(size=3), *model(generator, 6, 3))
    return [
        Case("two vertices and two directions", (example, T, S)),
        Case("a body of the model", (body_of(draw(size=3), *small), *small)),
        Case("a body of another model", (others, *small)),
        Case("betas of 6 and -5", (body_of(np.array([6.0, -5.0, 1.0]), *small), *small)),
        Case("directions that are orthogonal", (others, small[0], orthogonal)),
        Case("the template", (small[0].copy(), *small), scale=1.0),
        Case("a batch of 3, with noise", (meshes[0] + noise[0], *large)),
        Case("batch axes (2, 3)", (meshes + noise, *large)),
        Case("one direction", (others, small[0], small[1][..., :1].copy())),
        Case("float32", as_float32(meshes[1] + noise[1], *large)),
    ]


def flat_offsets(mesh, v_template, shapedirs) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (*, 3 V) and directions (3 V, S)."""
    directions = shapedirs.reshape(-1, shapedirs.shape[-1])
    return (mesh - v_template).reshape(*mesh.shape[:-2], len(directions)), directions


def refit_normal_equations(mesh, v_template, shapedirs):
    right = np.einsum("...vc,vck->...k", mesh - v_template, shapedirs)
    return right @ np.linalg.inv(np.einsum("vck,vcl->kl", shapedirs, shapedirs))


def refit_pinv(mesh, v_template, shapedirs):
    offsets, directions = flat_offsets(mesh, v_template, shapedirs)
    return offsets @ np.linalg.pinv(directions).T


def refit_qr(mesh, v_template, shapedirs):
    offsets, directions = flat_offsets(mesh, v_template, shapedirs)
    Q, R = np.linalg.qr(directions)
    return np.linalg.solve(R, (offsets @ Q)[..., None])[..., 0]


def refit_dots(mesh, v_template, shapedirs):
    offsets, directions = flat_offsets(mesh, v_template, shapedirs)
    return offsets @ directions


def refit_greedy(mesh, v_template, shapedirs):
    """One beta after the other, each on what the ones before have left."""
    left, directions = flat_offsets(mesh, v_template, shapedirs)
    betas = []
    for direction in directions.T:
        betas.append(left @ direction / (direction @ direction))
        left = left - betas[-1][..., None] * direction
    return np.stack(betas, axis=-1)


def refit_ridge(mesh, v_template, shapedirs):
    offsets, directions = flat_offsets(mesh, v_template, shapedirs)
    gram = directions.T @ directions + np.eye(directions.shape[1])
    return offsets @ directions @ np.linalg.inv(gram)


def refit_mean(mesh, v_template, shapedirs):
    betas = refit_pinv(mesh, v_template, shapedirs)
    if betas.ndim == 1 or not betas.size:
        return betas
    mean = betas.reshape(-1, betas.shape[-1]).mean(0)
    return np.broadcast_to(mean, betas.shape).copy()


def refit_without_offset(mesh, v_template, shapedirs):
    return refit_pinv(mesh, 0 * v_template, shapedirs)


refit = Exercise(
    "refit",
    refit_cases,
    alternatives=(refit_normal_equations, refit_pinv, refit_qr),
    mistakes=(
        Mistake(
            "you explained the whole mesh by betas; they tell how it differs from the template",
            refit_without_offset,
        ),
        Mistake(
            "a dot product for each beta is right for orthogonal directions; these share something",
            lambda mesh, T, S: refit_dots(mesh, T, S) / np.square(S).sum((0, 1)),
        ),
        Mistake(
            "these are plain dot products, as if the directions were orthogonal and of length one",
            refit_dots,
        ),
        Mistake(
            "you fitted one beta after the other and never went back to the earlier ones",
            refit_greedy,
        ),
        Mistake(
            "you pulled the betas towards zero, as a prior does; asked for is the nearest body",
            refit_ridge,
        ),
        Mistake(
            "you gave all meshes of the batch the same betas; each is a person of its own",
            refit_mean,
        ),
        Mistake(
            "the sign is the other way round: you took the mesh away from the template",
            lambda mesh, T, S: -refit_pinv(mesh, T, S),
        ),
        Mistake(
            "reshape(S, -1) doesn't move axes, so betas and coordinates are mixed up",
            lambda mesh, T, S: refit_pinv(mesh, T, S.reshape(S.shape[-1], -1).T.reshape(S.shape)),
        ),
        Mistake(
            "you kept betas between -3 and 3; asked for is the nearest body, however unlikely",
            lambda mesh, T, S: refit_pinv(mesh, T, S).clip(-3, 3),
        ),
        Mistake(
            "you compared heights only; the distance is over all three coordinates",
            lambda mesh, T, S: refit_pinv(mesh[..., 1:2], T[:, 1:2], S[:, 1:2]),
        ),
    ),
    hints=(
        "Make a vector of the mesh's offsets from the template and a matrix of the directions. Then "
        "it is a linear least-squares problem like any other.",
        "shapedirs.reshape(-1, S) has a row for each coordinate of each vertex. np.linalg.lstsq "
        "takes several right-hand sides at once, as columns.",
        "np.linalg.lstsq(directions, offsets.T, rcond=None)[0].T with offsets of shape "
        "(N, 3 V); np.linalg.pinv(directions) works, too. Last, give back the batch axes.",
    ),
    drawing="curve",
)

# ---------------------------------------------------------------------------- measured


def hull(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A closed mesh of random points on a lopsided ellipsoid, its triangles outwards."""
    directions = generator.normal(size=(count, 3))
    points = directions / np.linalg.norm(directions, axis=-1, keepdims=True) * [0.3, 0.8, 0.2]
    points[:, 1] += 0.3 * points[:, 0]
    faces = ConvexHull(points).simplices.astype(np.int64)
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    outwards = a - points.mean(0)  # the mean lies inside, the origin need not
    inwards = (outwards * np.cross(b - a, c - a)).sum(-1) < 0
    faces[inwards] = faces[inwards][:, ::-1]
    return points, faces


def measure_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    points, faces = hull(generator, 14)
    meshes = points * generator.uniform(0.6, 1.4, size=(2, 3, 1, 3)) + 0.1 * draw(size=(2, 3, 1, 3))
    spread = CORNERS * [1.9, 1.6, 0.2]
    two = np.concatenate([PERSON_BOX, 0.5 * PERSON_BOX + [1.0, 0.4, 0.0]])
    two_faces = np.concatenate([BOX_FACES, BOX_FACES + 8])
    return [
        Case("a box about the origin", (PERSON_BOX, BOX_FACES)),
        Case("a box beside the origin", (PERSON_BOX + [2.0, 0.0, 3.0], BOX_FACES)),
        Case("a box that stands on the floor", (PERSON_BOX + [0, 0.85, 0], BOX_FACES)),
        Case("wider than high", (spread, BOX_FACES)),
        Case("two boxes in one mesh", (two, two_faces)),
        Case("a rounder mesh", (points, faces)),
        Case("a batch of 3", (meshes[0], faces)),
        Case("batch axes (2, 3)", (meshes, faces)),
        Case("float32", (meshes[1].astype(np.float32), faces)),
        Case("a batch of one", (meshes[0, :1], faces)),
    ]


def stature(vertices: np.ndarray) -> np.ndarray:
    return np.ptp(vertices[..., 1], axis=-1)


def corners(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(vertices[..., faces[:, corner], :] for corner in range(3))


def mass_by_columns(vertices, faces):
    """The columns under the triangles: mean y times the area as seen from above."""
    a, b, c = corners(vertices, faces)
    u, v = b - a, c - a
    shadow = (u[..., 2] * v[..., 0] - u[..., 0] * v[..., 2]) / 2
    return 985.0 * (shadow * (a + b + c)[..., 1] / 3).sum(-1)


def measured_by_columns(vertices, faces):
    return stature(vertices), mass_by_columns(vertices, faces)


def measured_by_determinants(vertices, faces):
    """Determinants, from a point in the middle of the mesh."""
    middle = vertices.mean(-2, keepdims=True)
    return (
        stature(vertices),
        985 / 6 * np.linalg.det((vertices - middle)[..., faces, :]).sum(-1),
    )


def measured_by_loop(vertices, faces):
    height, mass = np.zeros(vertices.shape[:-2]), np.zeros(vertices.shape[:-2])
    for index in np.ndindex(height.shape):
        x = vertices[index].astype(np.float64)
        height[index] = max(p[1] for p in x) - min(p[1] for p in x)
        mass[index] = sum(np.dot(np.cross(x[i], x[j]), x[k]) for i, j, k in faces) * 985 / 6
    return height, mass


def tetrahedra(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = corners(vertices, faces)
    return (a * np.cross(b, c)).sum(-1) / 6


def areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = corners(vertices, faces)
    return np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum(-1) / 2


def hull_volumes(vertices: np.ndarray) -> np.ndarray:
    volumes = np.zeros(vertices.shape[:-2])
    for index in np.ndindex(volumes.shape):
        volumes[index] = ConvexHull(vertices[index]).volume
    return volumes


measured = Exercise(
    "measured",
    measure_cases,
    alternatives=(measured_by_columns, measured_by_determinants, measured_by_loop),
    mistakes=(
        Mistake(
            "you made all tetrahedra positive, so the space between origin and mesh counts as mass",
            lambda x, faces: (stature(x), 985 * np.abs(tetrahedra(x, faces)).sum(-1)),
        ),
        Mistake(
            "your tetrahedra are six times too large: a triple product is a box on three edges",
            lambda x, faces: (stature(x), 6 * mass_by_columns(x, faces)),
        ),
        Mistake(
            "your tetrahedra are twice too large: a third is for a base area, a sixth for a product",
            lambda x, faces: (stature(x), 2 * mass_by_columns(x, faces)),
        ),
        Mistake(
            "you took the density of water; DENSITY is given above",
            lambda x, faces: (stature(x), mass_by_columns(x, faces) * 1000 / 985),
        ),
        Mistake(
            "you weighed the box around the body",
            lambda x, faces: (stature(x), 985 * np.ptp(x, axis=-2).prod(-1)),
        ),
        Mistake(
            "you weighed the skin: this is its area, not what is inside",
            lambda x, faces: (stature(x), 985 * areas(x, faces)),
        ),
        Mistake(
            "this is a volume, not yet a mass",
            lambda x, faces: (stature(x), mass_by_columns(x, faces) / 985),
        ),
        Mistake(
            "you measured the height from y = 0, where the body needn't stand",
            lambda x, faces: (x[..., 1].max(-1), mass_by_columns(x, faces)),
        ),
        Mistake(
            "you took the largest extent for the height; spread arms can be longer",
            lambda x, faces: (np.ptp(x, axis=-2).max(-1), mass_by_columns(x, faces)),
        ),
        Mistake(
            "your heights are in centimetres",
            lambda x, faces: (100 * stature(x), mass_by_columns(x, faces)),
        ),
        Mistake(
            "you measured the height along z; here it is y that points up",
            lambda x, faces: (np.ptp(x[..., 2], axis=-1), mass_by_columns(x, faces)),
        ),
        Mistake(
            "you weighed what a sheet stretched over the body encloses",
            lambda x, faces: (stature(x), 985 * hull_volumes(x)),
        ),
    ),
    hints=(
        "Gather the first, the second and the third corner of all triangles: three arrays "
        "(*, F, 3).",
        "vertices[..., faces[:, 0], :] are the first corners, whatever the batch axes; np.cross "
        "works along the last axis.",
        "(a * np.cross(b, c)).sum(axis=(-2, -1)) sums the coordinates of each triple product, and "
        "the triangles. Leave the batch axes alone, in the height, too.",
    ),
)

# ---------------------------------------------------------------------------- likeliest


def likeliest_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    A1, wanted1 = np.array([[6.0, 8.0]]), np.array([170.0])
    betas, A = draw(size=(2, 3, 10)), draw(size=(2, 3, 2, 10)) * np.array([[4.0], [9.0]])
    m, wanted = draw(size=(2, 2, 3, 2)) * 6 + np.array([170.0, 70.0])
    met = betas[0, 0], m[0, 0], A[0, 0], m[0, 0].copy()
    square = draw(size=(3, 3)) + 3 * np.eye(3)
    return [
        Case(
            "one wish, from betas that are too long",
            (np.array([5.0, 0]), np.array([190.0]), A1, wanted1),
        ),
        Case("one wish, from betas zero", (np.zeros(2), np.array([160.0]), A1, wanted1)),
        Case("height and mass", (betas[0, 0], m[0, 0], A[0, 0], wanted[0, 0])),
        Case("wishes that are fulfilled already", met),
        Case("as many wishes as betas", (draw(size=3), draw(size=3), square, draw(size=3))),
        Case("from betas zero, ten of them", (np.zeros(10), m[0, 1], A[0, 1], wanted[0, 1])),
        Case("a batch of 3", (betas[0], m[0], A[0], wanted[0])),
        Case("batch axes (2, 3)", (betas, m, A, wanted)),
        Case("float32", as_float32(betas[1], m[1], A[1], wanted[1])),
    ]


def times(A: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.einsum("...ij,...j->...i", A, x)


def likeliest_pinv(betas, m, A, wanted):
    return times(np.linalg.pinv(A), wanted - m + times(A, betas))


def likeliest_by_multipliers(betas, m, A, wanted):
    """Lagrange: [I A^T; A 0] [x; l] = [0; r], all at once."""
    M, S = A.shape[-2:]
    system = np.zeros((*A.shape[:-2], S + M, S + M))
    system[..., :S, :S] = np.eye(S)
    system[..., :S, S:], system[..., S:, :S] = A.swapaxes(-1, -2), A
    right = np.concatenate([np.zeros(betas.shape), wanted - m + times(A, betas)], axis=-1)
    return np.linalg.solve(system, right[..., None])[..., :S, 0]


def likeliest_by_rotation(betas, m, A, wanted):
    """In the coordinates of a QR decomposition of A^T, as many betas as wishes."""
    Q, R = np.linalg.qr(A.swapaxes(-1, -2))
    r = wanted - m + times(A, betas)
    return times(Q, np.linalg.solve(R.swapaxes(-1, -2), r[..., None])[..., 0])


def likeliest_first_betas(betas, m, A, wanted):
    """Only as many betas as there are wishes."""
    count = A.shape[-2]
    r = wanted - m + times(A, betas)
    out = np.zeros(betas.shape)
    out[..., :count] = np.linalg.solve(A[..., :count], r[..., None])[..., 0]
    return out


def likeliest_each_alone(betas, m, A, wanted):
    """Each wish as if it were the only one."""
    r = wanted - m + times(A, betas)
    return times(A.swapaxes(-1, -2), r / np.square(A).sum(-1))


likeliest = Exercise(
    "likeliest",
    likeliest_cases,
    alternatives=(likeliest_pinv, likeliest_by_multipliers, likeliest_by_rotation),
    mistakes=(
        Mistake(
            "you took the shortest step; asked for are the shortest betas",
            lambda betas, m, A, wanted: betas + times(np.linalg.pinv(A), wanted - m),
        ),
        Mistake(
            "this is the step, and not the betas that it leads to",
            lambda betas, m, A, wanted: times(np.linalg.pinv(A), wanted - m),
        ),
        Mistake(
            "you added the present betas to an answer that holds them already",
            lambda betas, m, A, wanted: betas + likeliest_pinv(betas, m, A, wanted),
        ),
        Mistake(
            "this is a gradient: its direction is good, its length belongs to nothing",
            lambda betas, m, A, wanted: times(A.swapaxes(-1, -2), wanted - m + times(A, betas)),
        ),
        Mistake(
            "you fulfilled each wish as if it were the only one; who grows gets heavier, too",
            likeliest_each_alone,
        ),
        Mistake(
            "you used only as many betas as there are wishes, so that they came out long",
            likeliest_first_betas,
        ),
        Mistake(
            "you went away from the wish: it is wanted minus measured",
            lambda betas, m, A, wanted: times(np.linalg.pinv(A), m - wanted + times(A, betas)),
        ),
        Mistake(
            "you solved for the wished measurements as if those of the template were zero",
            lambda betas, m, A, wanted: times(np.linalg.pinv(A), wanted),
        ),
        Mistake(
            "you went back by what the present betas do, instead of counting from the template",
            lambda betas, m, A, wanted: times(np.linalg.pinv(A), wanted - m - times(A, betas)),
        ),
    ),
    hints=(
        "Bring everything but A times the new betas to the right: what is r?",
        "r = wanted - m + A betas. For a batch of vectors, (A @ v[..., None])[..., 0].",
        "With A_T = np.swapaxes(A, -1, -2), np.linalg.solve(A @ A_T, r[..., None]) is all but a "
        "last product with A_T.",
    ),
)

EXERCISES = (shaped, joint_model, refit, measured, likeliest)
