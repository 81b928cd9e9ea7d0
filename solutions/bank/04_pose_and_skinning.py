"""The bank of sheet 04: what tries each function, and the answers that people give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from vhlib.course.bank import Case, Exercise, Mistake

# ---------------------------------------------------------------------------- what several share

ARM = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.5]])
ARM_PARENTS = np.array([-1, 0, 1])
QUARTER = Rotation.from_rotvec([0.0, 0.0, np.pi / 2]).as_matrix()

PARENTS = np.array(
    [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
)
SWAP = np.array(
    [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22]
)
MIDDLE_AND_LEFT = {  # joints at rest of a person with spread arms, in SMPL's order, metres
    0: (0.0, -0.24, 0.02),
    1: (0.11, -0.32, 0.02),
    3: (0.0, -0.16, 0.0),
    4: (0.14, -0.70, 0.01),
    6: (0.0, -0.08, 0.0),
    7: (0.14, -1.13, -0.01),
    9: (0.0, 0.07, 0.01),
    10: (0.15, -1.18, 0.13),
    12: (0.0, 0.23, 0.03),
    13: (0.06, 0.17, 0.04),
    15: (0.0, 0.33, 0.06),
    16: (0.18, 0.17, 0.03),
    18: (0.44, 0.16, 0.03),
    20: (0.67, 0.16, 0.03),
    22: (0.77, 0.16, 0.03),
}
PERSON = np.zeros((24, 3))
for joint, place in MIDDLE_AND_LEFT.items():
    PERSON[SWAP[joint]] = np.multiply(place, [-1, 1, 1])
    PERSON[joint] = place


def rotations(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices (*, 3, 3) of axis-angle vectors (*, 3), by scipy."""
    flat = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return flat.reshape(*vectors.shape[:-1], 3, 3)


def transpose(R: np.ndarray) -> np.ndarray:
    return R.swapaxes(-1, -2)


def apply(R: np.ndarray, v: np.ndarray) -> np.ndarray:
    """R v for each matrix of a batch."""
    return np.einsum("...ij,...j->...i", R, v)


def frame(R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """[R t; 0 1] by rows."""
    top = np.concatenate([np.broadcast_to(R, (*t.shape, 3)), t[..., None]], axis=-1)
    bottom = np.broadcast_to(np.array([0.0, 0.0, 0.0, 1.0]), (*t.shape[:-1], 1, 4))
    return np.concatenate([top, bottom], axis=-2)


def tree(generator: np.random.Generator, count: int) -> np.ndarray:
    """Parents of a tree of ``count`` joints in which joint 2 hangs on the root, like joint 1."""
    later = [int(generator.integers(1, k - 1)) for k in range(3, count)]
    return np.array([-1, 0, 0, *later])


# ---------------------------------------------------------------------------- chain


def chain_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    elbow = np.stack([np.eye(3), QUARTER, np.eye(3)])
    parents = tree(generator, 6)
    some, places = rotations(draw(size=(2, 3, 6, 3))), draw(size=(2, 3, 6, 3))
    still = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
    return [
        Case("an arm of three joints, the middle one turned", (elbow, ARM, ARM_PARENTS)),
        Case(
            "the same arm elsewhere, all joints turned",
            (rotations(draw(size=(3, 3))), ARM + [0.3, -0.5, 0.2], ARM_PARENTS),
        ),
        Case("a body at rest", (still, PERSON, PARENTS)),
        Case("a body in a pose", (rotations(0.5 * draw(size=(24, 3))), PERSON, PARENTS)),
        Case("a tree with branches", (some[0, 0], places[0, 0], parents)),
        Case("a batch of 3, each with joints of its own", (some[0], places[0], parents)),
        Case("batch axes (2, 3)", (some, places, parents)),
        Case("the root alone", (some[0, 0, :1], places[0, 0, :1], np.array([-1]))),
        Case("float32", (some[1].astype(np.float32), places[1].astype(np.float32), parents)),
        Case("a batch of one", (some[0, :1], places[0, :1], parents)),
    ]


def walked(
    R: np.ndarray, J: np.ndarray, parents: np.ndarray, link: Callable
) -> tuple[np.ndarray, np.ndarray]:
    """Frames from the root outwards, ``link(G, R, J, k, p)`` each."""
    G = np.zeros((*J.shape[:-1], 4, 4))
    G[..., 0, :, :] = frame(R[..., 0, :, :], J[..., 0, :])
    for k in range(1, len(parents)):
        G[..., k, :, :] = link(G, R, J, k, parents[k])
    return G[..., :3, 3], G


def bone(J: np.ndarray, k: int, p: int) -> np.ndarray:
    return J[..., k, :] - J[..., p, :]


def chain_recursive(R, J, parents):
    """Rotation and place apart, each joint asking its parent."""

    def world(k):
        if parents[k] < 0:
            return R[..., k, :, :], J[..., k, :]
        turn, place = world(parents[k])
        return turn @ R[..., k, :, :], place + apply(turn, bone(J, k, parents[k]))

    turns, places = zip(*(world(k) for k in range(len(parents))), strict=True)
    places = np.stack(places, axis=-2)
    return places, frame(np.stack(turns, axis=-3), places)


def chain_by_paths(R, J, parents):
    """A joint is carried by each of its ancestors in turn, from the nearest to the root."""
    places, turns = J.copy(), R.copy()
    for k in range(len(parents)):
        ancestor = parents[k]
        while ancestor >= 0:
            pivot, turn = J[..., ancestor, :], R[..., ancestor, :, :]
            places[..., k, :] = pivot + apply(turn, places[..., k, :] - pivot)
            turns[..., k, :, :] = turn @ turns[..., k, :, :]
            ancestor = parents[ancestor]
    return places, frame(turns, places)


def chain_by_elimination(R, J, parents):
    """All frames at once: G (I - L) = G_0, with the links above the diagonal of a block matrix."""
    count, batch = len(parents), J.shape[:-2]
    system = np.broadcast_to(np.eye(4 * count), (*batch, 4 * count, 4 * count)).copy()
    for k in range(1, count):
        p = parents[k]
        block = frame(R[..., k, :, :], bone(J, k, p))
        system[..., 4 * p : 4 * p + 4, 4 * k : 4 * k + 4] = -block
    right = np.zeros((*batch, 4, 4 * count))
    right[..., :4] = frame(R[..., 0, :, :], J[..., 0, :])
    solved = transpose(np.linalg.solve(transpose(system), transpose(right)))
    G = np.moveaxis(solved.reshape(*batch, 4, count, 4), -2, -3)
    return G[..., :3, 3], G


def chain_without_root(R, J, parents):
    places, G = chain_recursive(R, J, parents)
    return places - J[..., :1, :], frame(G[..., :3, :3], places - J[..., :1, :])


def chain_root_on_last(R, J, parents):
    places, G = chain_recursive(R, J, parents)
    return places - J[..., -1:, :], frame(G[..., :3, :3], places - J[..., -1:, :])


def chain_relative_as_world(R, J, parents):
    def link(G, R, J, k, p):
        place = G[..., p, :3, 3] + apply(R[..., p, :, :], bone(J, k, p))
        return frame(R[..., k, :, :], place)

    return walked(R, J, parents, link)


def chain_turns_its_own_bone(R, J, parents):
    def link(G, R, J, k, p):
        turn = R[..., k, :, :]
        return G[..., p, :, :] @ frame(turn, apply(turn, bone(J, k, p)))

    return walked(R, J, parents, link)


chain = Exercise(
    "chain",
    chain_cases,
    alternatives=(chain_recursive, chain_by_paths, chain_by_elimination),
    mistakes=(
        Mistake(
            "the product is in the wrong order: you turned the parent's frame by the child's",
            lambda R, J, parents: walked(
                R,
                J,
                parents,
                lambda G, R, J, k, p: frame(R[..., k, :, :], bone(J, k, p)) @ G[..., p, :, :],
            ),
        ),
        Mistake(
            "you took each rotation as the world's; it is told relative to the parent",
            chain_relative_as_world,
        ),
        Mistake(
            "you measured each joint from the world's origin, and so counted the way there twice",
            lambda R, J, parents: walked(
                R,
                J,
                parents,
                lambda G, R, J, k, p: G[..., p, :, :] @ frame(R[..., k, :, :], J[..., k, :]),
            ),
        ),
        Mistake("you put the root at the world's origin", chain_without_root),
        Mistake(
            "you hung each joint on the one before it in the list",
            lambda R, J, parents: chain_recursive(R, J, np.arange(len(parents)) - 1),
        ),
        Mistake(
            "a joint's own rotation moved the bone that ends in it; it moves only what hangs on it",
            chain_turns_its_own_bone,
        ),
        Mistake(
            "it turns the wrong way round: these are the transposed rotations",
            lambda R, J, parents: chain_recursive(transpose(R), J, parents),
        ),
        Mistake(
            "the root has no parent, but you took -1 for one: in Python that is the last joint",
            chain_root_on_last,
        ),
        Mistake(
            "the place of a joint is the last column of its frame; you took the last row",
            lambda R, J, parents: (
                chain_recursive(R, J, parents)[1][..., 3, :3],
                chain_recursive(R, J, parents)[1],
            ),
        ),
        Mistake(
            "the bones turn, but your frames don't: each has the axes of rest",
            lambda R, J, parents: (
                chain_recursive(R, J, parents)[0],
                frame(np.eye(3), chain_recursive(R, J, parents)[0]),
            ),
        ),
        Mistake(
            "your frames have their parent's axes: the joint's own rotation is missing",
            lambda R, J, parents: (
                chain_recursive(R, J, parents)[0],
                frame(
                    chain_recursive(R, J, parents)[1][..., :3, :3] @ transpose(R),
                    chain_recursive(R, J, parents)[0],
                ),
            ),
        ),
    ),
    hints=(
        "Since a parent comes before its children, one loop over k = 1, 2, ... finds every parent's "
        "frame made already. The root is made before the loop.",
        "Joint k of a batch is R[..., k, :, :] and J[..., k, :]; collect the frames in a list and "
        "np.stack them along axis -3.",
        "In the loop: G.append(G[p] @ rigid(R[..., k, :, :], bone)) with p = parents[k] and the "
        "bone from J[..., p, :] to J[..., k, :]. The posed joints are G[..., :3, 3].",
    ),
    drawing="points",
)

# ---------------------------------------------------------------------------- bone_transforms


def bone_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    there = frame(QUARTER, ARM[1])[None]
    J, R, t = draw(size=(2, 3, 4, 3)), rotations(draw(size=(2, 3, 4, 3))), draw(size=(2, 3, 4, 3))
    G = frame(R, t)
    return [
        Case("a joint that stays in place and turns", (there, ARM[1:2].copy())),
        Case("at rest", (frame(np.eye(3), J[0, 0]), J[0, 0])),
        Case("a joint that moves and doesn't turn", (frame(np.eye(3), t[0, 0, :1]), J[0, 0, :1])),
        Case("four joints", (G[0, 0], J[0, 0])),
        Case("joints at the origin", (G[0, 1], np.zeros((4, 3)))),
        Case("a batch of 3", (G[0], J[0])),
        Case("batch axes (2, 3)", (G, J)),
        Case("float32", (G[1].astype(np.float32), J[1].astype(np.float32))),
        Case("a batch of one", (G[0, :1], J[0, :1])),
    ]


def bone_by_formula(G, J):
    """A = [R, t - R J]."""
    A = np.array(G)
    A[..., :3, 3] -= apply(G[..., :3, :3], J)
    return A


def bone_by_rest_frames(G, J):
    """What takes the frames at rest to those posed: A G_rest = G."""
    at_rest = frame(np.eye(3, dtype=J.dtype), J)
    return transpose(np.linalg.solve(transpose(at_rest), transpose(G)))


def bone_by_loop(G, J):
    A = np.empty_like(G)
    for index in np.ndindex(J.shape[:-1]):
        back = np.eye(4)
        back[:3, 3] = -J[index]
        A[index] = G[index].dot(back)
    return A


bone_transforms = Exercise(
    "bone_transforms",
    bone_cases,
    alternatives=(bone_by_formula, bone_by_rest_frames, bone_by_loop),
    mistakes=(
        Mistake(
            "these are the frames themselves, which expect points in the bone's own coordinates",
            lambda G, J: G.copy(),
        ),
        Mistake(
            "you shifted after the turn, in the world's axes; the joint at rest lies before it",
            lambda G, J: frame(np.eye(3), -J) @ G,
        ),
        Mistake(
            "you shifted away from the joint's place at rest instead of back from it",
            lambda G, J: G @ frame(np.eye(3), J),
        ),
        Mistake(
            "you rotated about the origin, not about the joint",
            lambda G, J: frame(G[..., :3, :3], np.zeros_like(J)),
        ),
        Mistake(
            "you rotated about the joint's posed place, where the skin at rest doesn't know of it",
            lambda G, J: frame(
                G[..., :3, :3], G[..., :3, 3] - apply(G[..., :3, :3], G[..., :3, 3])
            ),
        ),
        Mistake(
            "this is the way back, from the pose to rest",
            lambda G, J: np.linalg.inv(bone_by_formula(G, J)),
        ),
        Mistake(
            "you shifted by the transposed rotation of the joint's place",
            lambda G, J: frame(G[..., :3, :3], G[..., :3, 3] - apply(transpose(G[..., :3, :3]), J)),
        ),
        Mistake(
            "it moves the joint, but doesn't turn anything",
            lambda G, J: frame(np.eye(3), G[..., :3, 3] - J),
        ),
    ),
    hints=(
        "Try your function at rest, where G is the identity with J in its last column: what must "
        "come out?",
        "The given function makes the second matrix: its rotation is np.eye(3), and it broadcasts.",
        "rigid(np.eye(3), -J) has the shape (*, K, 4, 4), and @ multiplies the last two axes of G "
        "and of it. Which of the two acts on a vertex first?",
    ),
)

# ---------------------------------------------------------------------------- skin


def sleeve() -> tuple[np.ndarray, np.ndarray]:
    """Vertices (72, 3) around the arm, and weights (72, 2) that pass from one bone to the other."""
    along, around = np.meshgrid(np.linspace(0.1, 1.9, 9), np.arange(8) * np.pi / 4, indexing="ij")
    x = np.stack([along, 0.2 * np.cos(around), 0.2 * np.sin(around)], axis=-1).reshape(-1, 3)
    lower = np.clip(x[:, 0] - 0.5, 0, 1)
    return x, np.stack([1 - lower, lower], axis=-1)


def weights(generator: np.random.Generator, vertices: int, bones: int) -> np.ndarray:
    """Rows that sum to one, with zeros among them."""
    w = generator.uniform(-0.4, 1, size=(vertices, bones)).clip(0)
    w[:, 0] += 0.1
    return w / w.sum(-1, keepdims=True)


def motions(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """Rigid motions (*shape, 4, 4)."""
    draw = generator.normal
    return frame(rotations(draw(size=(*shape, 3))), draw(size=(*shape, 3)))


def skin_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    x, w = sleeve()
    bent = bone_by_formula(frame(np.stack([np.eye(3), QUARTER]), ARM[:2]), ARM[:2])
    still = np.stack([np.eye(4), np.eye(4)])
    twist = np.stack([np.eye(4), frame(rotations(np.array([np.pi, 0, 0])), np.zeros(3))])
    half = np.full((8, 2), 0.5)
    some, few, A = draw(size=(2, 3, 5, 3)), weights(generator, 5, 4), motions(generator, 2, 3, 4)
    return [
        Case("a sleeve on a bent arm", (x, w, bent)),
        Case("the sleeve at rest", (x, w, still)),
        Case("one bone", (some[0, 0], np.ones((5, 1)), A[0, 0, :1])),
        Case("a wrist twisted by half a turn", (x[32:40], half, twist)),
        Case("five vertices on four bones", (some[0, 0], few, A[0, 0])),
        Case("a batch of 3", (some[0], few, A[0])),
        Case("batch axes (2, 3)", (some, few, A)),
        Case("float32", tuple(each.astype(np.float32) for each in (some[1], few, A[1]))),
    ]


def skin_by_bones(x, w, A):
    """Each bone takes the whole mesh; the results are averaged."""
    out = np.zeros_like(x)
    for k in range(w.shape[1]):
        bone_matrix = A[..., k, :, :]
        carried = x @ transpose(bone_matrix[..., :3, :3]) + bone_matrix[..., None, :3, 3]
        out += w[:, k : k + 1] * carried
    return out


def skin_homogeneous(x, w, A):
    ones = np.ones((*x.shape[:-1], 1), x.dtype)
    flat = (w @ A.reshape(*A.shape[:-2], 16)).reshape(*x.shape[:-1], 4, 4)
    return (flat @ np.concatenate([x, ones], -1)[..., None])[..., :3, 0]


def skin_loop(x, w, A):
    out = np.empty_like(x)
    for index in np.ndindex(x.shape[:-1]):
        batch, v = index[:-1], index[-1]
        parts = [w[v, k] * (A[batch][k] @ [*x[index], 1.0]) for k in range(w.shape[1])]
        out[index] = sum(parts)[:3]
    return out


def skin_by_columns(x, w, A):
    blended = np.einsum("vk,...kij->...vij", w, A)
    return apply(transpose(blended[..., :3, :3]), x) + blended[..., :3, 3]


def skin_orthonormal(x, w, A):
    """The blended matrix replaced by the nearest rotation."""
    blended = np.einsum("vk,...kij->...vij", w, A.astype(np.float64))
    U, _, Vt = np.linalg.svd(blended[..., :3, :3])
    U[..., 2] *= np.linalg.det(U @ Vt)[..., None]
    return apply(U @ Vt, x) + blended[..., :3, 3]


skin = Exercise(
    "skin",
    skin_cases,
    alternatives=(skin_by_bones, skin_homogeneous, skin_loop),
    mistakes=(
        Mistake(
            "each vertex follows its strongest bone alone, so the skin tears between bones",
            lambda x, w, A: skin_by_bones(x, np.eye(w.shape[1])[w.argmax(-1)], A),
        ),
        Mistake(
            "you turned the vertices and left out the shifts: they are points, not directions",
            lambda x, w, A: apply(np.einsum("vk,...kij->...vij", w, A)[..., :3, :3], x),
        ),
        Mistake(
            "vertex times matrix isn't matrix times vertex: yours turn the wrong way round",
            skin_by_columns,
        ),
        Mistake(
            "every bone pulls alike: you took the mean of the bones and not their weighted sum",
            lambda x, w, A: skin_by_bones(x, np.full_like(w, 1 / w.shape[1]), A),
        ),
        Mistake(
            "you made the weights of a bone sum to one over the mesh; those of a vertex do already",
            lambda x, w, A: skin_by_bones(x, w / w.sum(0), A),
        ),
        Mistake(
            "the shifts of all bones are added in full; they are blended like the rotations",
            lambda x, w, A: (
                apply(np.einsum("vk,...kij->...vij", w, A)[..., :3, :3], x)
                + A[..., :3, 3].sum(-2)[..., None, :]
            ),
        ),
        Mistake(
            "you made the blended matrix a rotation again, which linear blending doesn't",
            skin_orthonormal,
        ),
        Mistake(
            "you posed every body of the batch by the bones of the first",
            lambda x, w, A: skin_by_bones(
                x, w, np.broadcast_to(A.reshape(-1, *A.shape[-3:])[0], A.shape)
            ),
        ),
        Mistake(
            "you shifted the vertices before turning them; the turn comes first",
            lambda x, w, A: apply(
                np.einsum("vk,...kij->...vij", w, A)[..., :3, :3],
                x + np.einsum("vk,...ki->...vi", w, A[..., :3, 3]),
            ),
        ),
        Mistake(
            "you gave the weighted motion instead of the vertex: the place at rest counts twice",
            lambda x, w, A: x + skin_by_bones(x, w, A),
        ),
    ),
    hints=(
        "Either blend the matrices first, one for each vertex, or let each bone carry the whole "
        "mesh and add up the results by weight. Both give the same.",
        'np.einsum("vk,...kij->...vij", w, A) is the blended matrix of every vertex. Its part '
        "[..., :3, :3] turns, its part [..., :3, 3] shifts.",
        'A matrix for every vertex on that vertex: np.einsum("...vij,...vj->...vi", turn, x). Then '
        "add the shift.",
    ),
    drawing="body",
)

# ---------------------------------------------------------------------------- pose_features


def feature_cases(generator: np.random.Generator) -> list[Case]:
    some = rotations(generator.normal(size=(2, 3, 5, 3)))
    still = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
    lying = still.copy()
    lying[0] = rotations(np.array([-np.pi / 2, 0, 0]))
    body = rotations(0.6 * generator.normal(size=(24, 3)))
    return [
        Case("two joints, both a quarter turn about z", (np.stack([QUARTER, QUARTER]),)),
        Case("five joints", (some[0, 0],)),
        Case("a body at rest", (still,), scale=1.0),
        Case("a body that lies down and moves no limb", (lying,), scale=1.0),
        Case("a body in a pose", (body,)),
        Case("a batch of 3", (some[0],)),
        Case("batch axes (2, 3)", (some,)),
        Case("float32", (some[1].astype(np.float32),)),
    ]


def features_filled(R):
    out = np.zeros((*R.shape[:-3], 9 * (R.shape[-3] - 1)))
    for k in range(1, R.shape[-3]):
        for entry in range(9):
            row, column = divmod(entry, 3)
            out[..., 9 * (k - 1) + entry] = R[..., k, row, column] - (row == column)
    return out


def features_flat_first(R):
    """All entries in a row, the root's nine dropped, ones taken from every fourth of nine."""
    flat = R.reshape(*R.shape[:-3], 9 * R.shape[-3])[..., 9:]
    return flat - np.tile([1, 0, 0, 0, 1, 0, 0, 0, 1], R.shape[-3] - 1)


def ravelled(matrices: np.ndarray) -> np.ndarray:
    """(*, K, 3, 3) to (*, 9 K)."""
    return matrices.reshape(*matrices.shape[:-3], 9 * matrices.shape[-3])


def features_by_entry(R):
    """All upper left entries first."""
    joints_last = np.moveaxis(R[..., 1:, :, :] - np.eye(3), -3, -1)
    return joints_last.reshape(*R.shape[:-3], 9 * (R.shape[-3] - 1))


pose_features = Exercise(
    "pose_features",
    feature_cases,
    alternatives=(
        features_filled,
        features_flat_first,
        lambda R: ravelled(np.delete(R - np.eye(3), 0, axis=-3)),
    ),
    mistakes=(
        Mistake(
            "the root is among your joints and the last one isn't: a body that lies down changes",
            lambda R: ravelled(R[..., :-1, :, :] - np.eye(3)),
        ),
        Mistake(
            "you flattened the matrices by columns",
            lambda R: ravelled(transpose(R[..., 1:, :, :] - np.eye(3))),
        ),
        Mistake(
            "at rest yours aren't zero: these are the rotations themselves",
            lambda R: ravelled(R[..., 1:, :, :]),
        ),
        Mistake(
            "you took 1 from all nine entries; the identity has zeros, too",
            lambda R: ravelled(R[..., 1:, :, :] - 1),
        ),
        Mistake(
            "the sign is the other way round: you took the pose away from rest",
            lambda R: ravelled(np.eye(3) - R[..., 1:, :, :]),
        ),
        Mistake(
            "your numbers go entry by entry; asked for is joint by joint",
            features_by_entry,
        ),
        Mistake(
            "you measured each joint against the root's rotation; the rest pose is the identity",
            lambda R: ravelled(R[..., 1:, :, :] - R[..., :1, :, :]),
        ),
    ),
    hints=(
        "Which joints count, and what is a joint's matrix at rest?",
        "R[..., 1:, :, :] leaves out the root whatever the batch axes; np.eye(3) broadcasts.",
        "reshape(*R.shape[:-3], 9 * (R.shape[-3] - 1)) joins the last three axes, row by row.",
    ),
    drawing="curve",
)

# ---------------------------------------------------------------------------- mirrored


def mirror_cases(generator: np.random.Generator) -> list[Case]:
    some = rotations(generator.normal(size=(2, 3, 5, 3)))
    swap = np.array([0, 2, 1, 4, 3])
    one = np.array([0])
    return [
        Case("one joint by 30° about z", (rotations(np.array([[0, 0, np.pi / 6]])), one)),
        Case("one joint about x", (rotations(np.array([[1.2, 0, 0]])), one)),
        Case("one joint about any axis", (some[0, 0, :1], one)),
        Case("five joints, two pairs of them", (some[0, 0], swap)),
        Case("a body", (rotations(0.6 * generator.normal(size=(24, 3))), SWAP)),
        Case("a body at rest", (np.broadcast_to(np.eye(3), (24, 3, 3)).copy(), SWAP)),
        Case("batch axes (2, 3)", (some, swap)),
        Case("float32", (some[1].astype(np.float32), swap)),
        Case("a batch of one", (some[0, :1], swap)),
    ]


def mirrored_by_signs(R, swap):
    """Entries that have x once change sign."""
    out = np.take(R, swap, axis=-3)
    out[..., 0, 1:] *= -1
    out[..., 1:, 0] *= -1
    return out


def mirrored_by_vectors(R, swap):
    """The axis-angle vector keeps x and turns y and z round."""
    flat = Rotation.from_matrix(R[..., swap, :, :].reshape(-1, 3, 3)).as_rotvec()
    return rotations(flat * [1, -1, -1]).reshape(R.shape)


def mirrored_one_by_one(R, swap):
    poses = R.reshape(-1, *R.shape[-3:])
    return np.stack([MIRROR @ pose[swap] @ MIRROR for pose in poses]).reshape(R.shape)


def mirrored_loop(R, swap):
    out = np.empty_like(R)
    for k, image in enumerate(swap):
        for row in range(3):
            for column in range(3):
                sign = -1 if (row == 0) != (column == 0) else 1
                out[..., k, row, column] = sign * R[..., image, row, column]
    return out


MIRROR = np.diag([-1.0, 1.0, 1.0])

mirrored = Exercise(
    "mirrored",
    mirror_cases,
    alternatives=(mirrored_by_signs, mirrored_by_vectors, mirrored_loop, mirrored_one_by_one),
    mistakes=(
        Mistake(
            "left and right still do what they did: only the turns are mirrored, not the joints",
            lambda R, swap: mirrored_by_signs(R, np.arange(len(swap))),
        ),
        Mistake(
            "you swapped left and right, but every joint turns as its partner did",
            lambda R, swap: R[..., swap, :, :],
        ),
        Mistake(
            "you mirrored the result only: these aren't rotations, their determinant is -1",
            lambda R, swap: MIRROR @ R[..., swap, :, :],
        ),
        Mistake(
            "you mirrored the input only: these aren't rotations, their determinant is -1",
            lambda R, swap: R[..., swap, :, :] @ MIRROR,
        ),
        Mistake(
            "you turned everything back: a mirror keeps turns about x",
            lambda R, swap: transpose(R[..., swap, :, :]),
        ),
        Mistake(
            "you mirrored at the wrong plane; the body's left and right lie along x",
            lambda R, swap: np.diag([1.0, 1, -1]) @ R[..., swap, :, :] @ np.diag([1.0, 1, -1]),
        ),
        Mistake(
            "you mirrored at the plane y = 0, which makes above and below change places",
            lambda R, swap: np.diag([1.0, -1, 1]) @ R[..., swap, :, :] @ np.diag([1.0, -1, 1]),
        ),
        Mistake(
            "you mirrored the transposed rotations, so every turn goes the wrong way round",
            lambda R, swap: MIRROR @ transpose(R[..., swap, :, :]) @ MIRROR,
        ),
        Mistake(
            "* multiplies entry by entry; a product of matrices is @",
            lambda R, swap: MIRROR * R[..., swap, :, :] * MIRROR,
        ),
        Mistake(
            "you treated the root like a camera and left it out; it is mirrored, too",
            lambda R, swap: np.concatenate(
                [R[..., :1, :, :], mirrored_by_signs(R, swap)[..., 1:, :, :]], axis=-3
            ),
        ),
    ),
    hints=(
        "Two things happen: every joint takes its partner's rotation, and every rotation is seen in "
        "the mirror.",
        "R[..., swap, :, :] permutes the joints whatever the batch axes; M = np.diag([-1.0, 1, 1]).",
        "@ multiplies the last two axes and broadcasts, so M @ permuted @ M does all joints at "
        "once. One M alone would make a reflection of a rotation.",
    ),
    drawing="frames",
)

# ---------------------------------------------------------------------------- moved


def move_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    zero, pelvis = np.zeros(3), np.array([0.0, -0.24, 0.02])
    about_x, about_y = rotations(np.array([[np.pi / 2, 0, 0], [0, np.pi / 2, 0]]))
    R_0, R = rotations(draw(size=(2, 2, 3, 3)))
    transl, J_0, t = draw(size=(3, 2, 3, 3))
    many = (R_0, transl, J_0, R, t)
    return [
        Case("an upright body, the world turned about x", (np.eye(3), zero, pelvis, about_x, zero)),
        Case(
            "the world shifted, not turned", (R_0[0, 0], transl[0, 0], pelvis, np.eye(3), t[0, 0])
        ),
        Case("a turntable", (R_0[0, 0], transl[0, 0], pelvis * [1, 1, 0], about_y, zero)),
        Case("a pelvis at the origin", (R_0[0, 0], transl[0, 0], zero, R[0, 0], t[0, 0])),
        Case("any body, any motion", tuple(each[0, 0] for each in many)),
        Case("a batch of 3", tuple(each[0] for each in many)),
        Case("batch axes (2, 3)", many),
        Case("nothing moves", (R_0[0, 1], transl[0, 1], J_0[0, 1], np.eye(3), zero)),
        Case("float32", tuple(each[1].astype(np.float32) for each in many)),
        Case("a batch of one", tuple(each[0, :1] for each in many)),
    ]


def moved_by_matrices(R_0, transl, J_0, R, t):
    """The root's motion as a 4x4 matrix, moved, and read back."""
    whole = frame(R, t) @ frame(R_0, J_0 + transl - apply(R_0, J_0))
    turn = whole[..., :3, :3]
    return turn, whole[..., :3, 3] - J_0 + apply(turn, J_0)


def moved_by_correction(R_0, transl, J_0, R, t):
    """What is often written, and the (R - I) J_0 that it lacks."""
    turn = np.einsum("...ij,...jk->...ik", R, R_0)
    return turn, apply(R, transl) + t + apply(R - np.eye(3), J_0)


def moved_by_points(R_0, transl, J_0, R, t):
    """From where four points come to lie, as a motion-capture studio would."""
    corners = np.concatenate([np.zeros((1, 3)), np.eye(3)])
    out_R, out_t = np.empty_like(R_0), np.empty_like(transl)
    for index in np.ndindex(transl.shape[:-1]):
        y = (corners - J_0[index]) @ R_0[index].T + J_0[index] + transl[index]
        y = y @ R[index].T + t[index]
        out_R[index] = (y[1:] - y[0]).T
        out_t[index] = y[0] + out_R[index] @ J_0[index] - J_0[index]
    return out_R, out_t


moved = Exercise(
    "moved",
    move_cases,
    alternatives=(moved_by_matrices, moved_by_correction, moved_by_points),
    mistakes=(
        Mistake(
            "you moved the translation like a point, as if the root turned about the origin",
            lambda R_0, transl, J_0, R, t: (R @ R_0, apply(R, transl) + t),
        ),
        Mistake(
            "you turned the root and left the translation as it was",
            lambda R_0, transl, J_0, R, t: (R @ R_0, transl.copy()),
        ),
        Mistake(
            "the root's turns are in the wrong order: the world's comes after the body's own",
            lambda R_0, transl, J_0, R, t: (R_0 @ R, apply(R, J_0 + transl) + t - J_0),
        ),
        Mistake(
            "this is where the pelvis comes to lie; the translation is counted from its rest",
            lambda R_0, transl, J_0, R, t: (R @ R_0, apply(R, J_0 + transl) + t),
        ),
        Mistake(
            "you turned J_0 by the body's own root, but the root turns about it: it stays",
            lambda R_0, transl, J_0, R, t: (
                R @ R_0,
                apply(R, apply(R_0, J_0) + transl) + t - J_0,
            ),
        ),
        Mistake(
            "you took away J_0 as turned by the new root; the translation is counted from its rest",
            lambda R_0, transl, J_0, R, t: (
                R @ R_0,
                apply(R, J_0 + transl) + t - apply(R @ R_0, J_0),
            ),
        ),
        Mistake(
            "the root became R R_0 R^T; the vertex before its turn keeps its axes, so R stays left",
            lambda R_0, transl, J_0, R, t: (
                R @ R_0 @ transpose(R),
                apply(R, J_0 + transl) + t - J_0,
            ),
        ),
        Mistake(
            "your vector turned the wrong way round: as a row, v @ R is R^T v",
            lambda R_0, transl, J_0, R, t: (
                R @ R_0,
                apply(transpose(R), J_0 + transl) + t - J_0,
            ),
        ),
        Mistake(
            "you went the other way, from the camera to the room",
            lambda R_0, transl, J_0, R, t: (
                transpose(R) @ R_0,
                apply(transpose(R), J_0 + transl - t) - J_0,
            ),
        ),
        Mistake(
            "you turned the pelvis, but the shift t of the world is missing",
            lambda R_0, transl, J_0, R, t: (R @ R_0, apply(R, J_0 + transl) - J_0),
        ),
        Mistake(
            "you took J_0 away before the turn and brought it back after: the signs are swapped",
            lambda R_0, transl, J_0, R, t: (R @ R_0, apply(R, transl - J_0) + t + J_0),
        ),
        Mistake(
            "the translation is right, but the root still has its old rotation",
            lambda R_0, transl, J_0, R, t: (R_0.copy(), apply(R, J_0 + transl) + t - J_0),
        ),
    ),
    hints=(
        "Where is the pelvis before the motion, and where after it? The root's own turn doesn't "
        "move it.",
        "Before, it is at J_0 + transl. After, it must be at J_0 + transl'. And what is the camera's "
        "view of a direction that R_0 has turned?",
        "(R @ v[..., None])[..., 0] turns vectors (*, 3) of a batch. Take the pelvis through "
        "y -> R y + t, and then take away its place at rest.",
    ),
)

EXERCISES = (chain, bone_transforms, skin, pose_features, mirrored, moved)
