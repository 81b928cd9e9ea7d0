"""The bank of sheet 02: what tries each function, and the answers that people give."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from vhlib.course.bank import Case, Exercise, Mistake

# ---------------------------------------------------------------------------- what several share


def rotations(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices (*, 3, 3) of axis-angle vectors (*, 3), by scipy."""
    flat = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return flat.reshape(*vectors.shape[:-1], 3, 3)


def cross_matrix(v: np.ndarray) -> np.ndarray:
    """[v]x of vectors (*, 3)."""
    return np.cross(v[..., None, :], np.eye(3)).swapaxes(-1, -2)


def unit(v: np.ndarray) -> np.ndarray:
    """Vectors of length one."""
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


# ---------------------------------------------------------------------------- exp_map


def exp_map_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    axis = unit(draw(size=3))
    return [
        Case("a quarter turn about z", (np.array([0.0, 0.0, np.pi / 2]),)),
        Case("one vector", (draw(size=3),)),
        Case("the zero vector", (np.zeros(3),)),
        Case("a batch of 5, one of them zero", (draw(size=(5, 3)) * np.arange(5)[:, None] / 2,)),
        Case("batch axes (2, 3)", (draw(size=(2, 3, 3)),)),
        Case("more than half a turn", (generator.uniform(3.5, 6.0) * axis,)),
        Case("float32", (draw(size=(4, 3)).astype(np.float32),)),
        Case("a batch of one", (draw(size=(1, 3)),)),
    ]


def exp_map_rodrigues_on_vectors(omega):
    """Each column is a turned unit vector: cos e + sin (n x e) + (1 - cos) (n.e) n."""
    angle = np.linalg.norm(omega, axis=-1)[..., None, None]
    axis = omega[..., None, :] / np.where(angle == 0, 1, angle)
    basis = np.broadcast_to(np.eye(3), (*omega.shape, 3))
    turned = np.cos(angle) * basis + np.sin(angle) * np.cross(axis, basis)
    turned = turned + (1 - np.cos(angle)) * (axis * basis).sum(-1, keepdims=True) * axis
    return np.swapaxes(turned, -1, -2)


def exp_map_loop(omega):
    flat = omega.reshape(-1, 3)
    out = np.empty((len(flat), 3, 3), omega.dtype)
    for number, w in enumerate(flat):
        out[number] = Rotation.from_rotvec(w).as_matrix()
    return out.reshape(*omega.shape, 3)


def exp_map_torch_inside(omega):
    return torch.matrix_exp(torch.from_numpy(cross_matrix(omega))).numpy()


def exp_map_divides(omega):
    angle = np.linalg.norm(omega, axis=-1)[..., None, None]
    cross = cross_matrix(omega)
    sine, versine = np.sin(angle) / angle, (1 - np.cos(angle)) / angle**2
    return np.eye(3) + sine * cross + versine * cross @ cross


def exp_map_unnormalised(omega):
    angle = np.linalg.norm(omega, axis=-1)[..., None, None]
    cross = cross_matrix(omega)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def exp_map_by_quotients(omega, sine, versine, square=np.matmul):
    """Rodrigues' formula with other quotients, of angles (*, 1, 1), or another square."""
    angle = np.linalg.norm(omega, axis=-1)[..., None, None]
    cross = cross_matrix(omega)
    return np.eye(3) + sine(angle) * cross + versine(angle) * square(cross, cross)


def sine_quotient(angle):
    return np.sinc(angle / np.pi)


def versine_quotient(angle):
    return np.sinc(angle / (2 * np.pi)) ** 2 / 2


def exp_map_one_length(omega):
    angle = np.linalg.norm(omega)
    if angle == 0:
        return np.broadcast_to(np.eye(3), (*omega.shape, 3)).copy()
    cross = cross_matrix(omega / angle)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def exp_map_euler(omega):
    flat = omega.reshape(-1, 3)
    return Rotation.from_euler("xyz", flat).as_matrix().reshape(*omega.shape, 3)


exp_map = Exercise(
    "exp_map",
    exp_map_cases,
    alternatives=(exp_map_rodrigues_on_vectors, exp_map_loop, exp_map_torch_inside),
    mistakes=(
        Mistake("at the zero vector you divide zero by zero", exp_map_divides),
        Mistake(
            "it turns the wrong way round; look at the signs of the cross-product matrix",
            lambda omega: rotations(-omega),
        ),
        Mistake(
            "the length of the vector already is in radians; you converted it from degrees",
            lambda omega: rotations(np.deg2rad(omega)),
        ),
        Mistake(
            "sine and cosine go with an axis of length one, but yours still has length a",
            exp_map_unnormalised,
        ),
        Mistake(
            "you stopped after the first term, which is right for tiny angles only",
            lambda omega: np.eye(3) + cross_matrix(omega),
        ),
        Mistake(
            "you squared each entry of the cross-product matrix; its square is a matrix product",
            lambda omega: exp_map_by_quotients(
                omega, sine_quotient, versine_quotient, square=np.multiply
            ),
        ),
        Mistake(
            "np.sinc(x) is sin(pi x) / (pi x): give it a / pi",
            lambda omega: exp_map_by_quotients(omega, np.sinc, lambda a: np.sinc(a / 2) ** 2 / 2),
        ),
        Mistake(
            "your second quotient is over a; it is over a squared",
            lambda omega: exp_map_by_quotients(
                omega, sine_quotient, lambda a: a * versine_quotient(a)
            ),
        ),
        Mistake(
            "you turned about x, then y, then z; the vector is one turn about one axis",
            exp_map_euler,
        ),
        Mistake(
            "you took one length for the whole batch; each vector has its own",
            exp_map_one_length,
        ),
    ),
    hints=(
        "Build the cross-product matrix first, with np.stack over the last axis. Which quotients of "
        "the formula are 0/0 at rest, and what are their limits?",
        "numpy has the sinc function: np.sinc(x) is sin(pi x) / (pi x), and 1 at zero. For the "
        "second quotient recall 1 - cos a = 2 sin(a/2)^2.",
        "With a of shape (*, 1, 1), sin(a)/a is np.sinc(a / np.pi), and (1 - cos a)/a^2 is "
        "np.sinc(a / (2 * np.pi)) ** 2 / 2. Put both into the formula and use @ for the square.",
    ),
    drawing="frames",
)

# ---------------------------------------------------------------------------- matrix_to_six_d


def matrix_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    return [
        Case("a quarter turn about z", (rotations(np.array([0, 0, np.pi / 2])),)),
        Case("one rotation", (rotations(draw(size=3)),)),
        Case("a batch of 6", (rotations(draw(size=(6, 3))),)),
        Case("batch axes (2, 3)", (rotations(draw(size=(2, 3, 3))),)),
        Case("float32", (rotations(draw(size=(4, 3))).astype(np.float32),)),
        Case("a batch of one", (rotations(draw(size=(1, 3))),)),
    ]


def matrix_to_six_d_filled(R):
    six = np.zeros((*R.shape[:-2], 6), R.dtype)
    six[..., :3] = R[..., :, 0]
    six[..., 3:] = R[..., :, 1]
    return six


matrix_to_six_d = Exercise(
    "matrix_to_six_d",
    matrix_cases,
    alternatives=(
        matrix_to_six_d_filled,
        lambda R: np.einsum("...ij->...ji", R)[..., :2, :].reshape(*R.shape[:-2], -1),
    ),
    mistakes=(
        Mistake(
            "these are the right numbers in the other layout, one of each column in turn",
            lambda R: R[..., :2].reshape(*R.shape[:-2], 6),
        ),
        Mistake(
            "you took the first two rows; asked for are columns",
            lambda R: R[..., :2, :].reshape(*R.shape[:-2], 6),
        ),
        Mistake(
            "you took the last two columns",
            lambda R: np.concatenate([R[..., 1], R[..., 2]], axis=-1),
        ),
        Mistake(
            "you put the second column first",
            lambda R: np.concatenate([R[..., 1], R[..., 0]], axis=-1),
        ),
        Mistake(
            "the two columns are still apart: the answer has one last axis of six",
            lambda R: np.stack([R[..., 0], R[..., 1]], axis=-2),
        ),
        Mistake(
            "R[:, 0] takes rows of one matrix, or matrices of a batch; batch axes come first",
            lambda R: np.concatenate([R[:, 0], R[:, 1]], axis=-1),
        ),
    ),
    hints=(
        "Write down the nine numbers of a matrix and mark the first column, then the second.",
        "R[..., 0] is the first column of every matrix of a batch.",
        "Join R[..., 0] and R[..., 1] along the last axis with np.concatenate.",
    ),
)

# ---------------------------------------------------------------------------- six_d_to_matrix


def six_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    return [
        Case("lengths 2 and not orthogonal", (np.array([2.0, 0.0, 0.0, 5.0, 3.0, 0.0]),)),
        Case("six numbers", (draw(size=6),)),
        Case("of a rotation", (matrix_to_six_d_filled(rotations(draw(size=3))),)),
        Case("a batch of 5", (draw(size=(5, 6)),)),
        Case("batch axes (2, 3)", (draw(size=(2, 3, 6)),)),
        Case("float32", (draw(size=(4, 6)).astype(np.float32),)),
        Case("a batch of one", (draw(size=(1, 6)),)),
    ]


def six_by_qr(six):
    """QR is Gram-Schmidt up to the signs of R's diagonal."""
    columns = np.stack([six[..., :3], six[..., 3:]], axis=-1)
    q, r = np.linalg.qr(columns)
    q = q * np.sign(np.einsum("...ii->...i", r))[..., None, :]
    return np.concatenate([q, np.cross(q[..., 0], q[..., 1])[..., None]], axis=-1)


def six_by_loop(six):
    out = np.empty((*six.shape[:-1], 3, 3))
    for index in np.ndindex(six.shape[:-1]):
        u, v = six[index][:3], six[index][3:]
        b3 = np.cross(u, v)
        b1, b3 = u / np.sqrt(u @ u), b3 / np.sqrt(b3 @ b3)
        out[index] = np.array([b1, np.cross(b3, b1), b3]).T
    return out


def six_columns(u, v):
    """Gram-Schmidt on two stacks of vectors, as columns."""
    b1 = unit(u)
    b2 = unit(v - (b1 * v).sum(-1, keepdims=True) * b1)
    return np.stack([b1, b2, np.cross(b1, b2)], axis=-1)


def six_projected_on_long(six):
    u, v = six[..., :3], six[..., 3:]
    b1, b2 = unit(u), unit(v - (u * v).sum(-1, keepdims=True) * u)
    return np.stack([b1, b2, np.cross(b1, b2)], axis=-1)


def six_not_orthogonal(six):
    b1, b2 = unit(six[..., :3]), unit(six[..., 3:])
    return np.stack([b1, b2, np.cross(b1, b2)], axis=-1)


def six_second_not_unit(six):
    b1, v = unit(six[..., :3]), six[..., 3:]
    b2 = v - (b1 * v).sum(-1, keepdims=True) * b1
    return np.stack([b1, b2, np.cross(b1, b2)], axis=-1)


def six_one_length(six):
    """One length for a whole batch, twice."""
    u, v = six[..., :3], six[..., 3:]
    b1 = u / np.linalg.norm(u)
    left = v - (b1 * v).sum(-1, keepdims=True) * b1
    b2 = left / np.linalg.norm(left)
    return np.stack([b1, b2, np.cross(b1, b2)], axis=-1)


def six_long_third(six):
    matrix = six_columns(six[..., :3], six[..., 3:])
    matrix[..., 2] = np.cross(six[..., :3], six[..., 3:])
    return matrix


def six_left_handed(six):
    matrix = six_columns(six[..., :3], six[..., 3:])
    return matrix * np.array([1.0, 1.0, -1.0])


six_d_to_matrix = Exercise(
    "six_d_to_matrix",
    six_cases,
    alternatives=(six_by_qr, six_by_loop),
    mistakes=(
        Mistake(
            "you read the six numbers in the other layout, one of each column in turn",
            lambda six: six_columns(six[..., 0::2], six[..., 1::2]),
        ),
        Mistake(
            "your vectors are the rows of the matrix; asked for are columns",
            lambda six: six_columns(six[..., :3], six[..., 3:]).swapaxes(-1, -2),
        ),
        Mistake("your first two columns aren't orthogonal", six_not_orthogonal),
        Mistake("your second column isn't of length one", six_second_not_unit),
        Mistake("the third column points the other way, so this is a reflection", six_left_handed),
        Mistake("you took away v's share along u as if u had length one", six_projected_on_long),
        Mistake("you took one length for the whole batch; each vector has its own", six_one_length),
        Mistake("your third column is u x v, whose length isn't one", six_long_third),
    ),
    hints=(
        "Three steps: make u a unit vector, take its direction out of v, make what is left a unit "
        "vector. For batches, lengths and dot products need keepdims=True.",
        "The dot product of a batch is (b1 * v).sum(axis=-1, keepdims=True); the third column is "
        "np.cross(b1, b2), in this order.",
        "np.stack([b1, b2, b3], axis=-1) makes them columns; with axis=-2 they would be rows.",
    ),
    drawing="frames",
)

# ---------------------------------------------------------------------------- geodesic_distance


LONGER = 1 + 1e-12
"""Of a rotation after many products: its cosines are beyond 1 however the trace is computed."""


def distance_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    R, axis = rotations(draw(size=(40, 3))), unit(draw(size=3))
    worn = LONGER * R
    many = rotations(draw(size=(2, 3, 3)))
    return [
        Case("a quarter turn", (np.eye(3), rotations(axis * np.pi / 2))),
        Case("two rotations", (R[0], R[1])),
        Case("a batch of 20", (R[:20], R[20:])),
        Case("batch axes (2, 3)", (many, many[::-1].copy())),
        Case("rotations and themselves", (worn, worn), scale=1e-2),
        Case("1e-8 radians apart", (worn[2], worn[2] @ rotations(1e-8 * axis))),
        Case("half a turn apart", (worn[3], worn[3] @ rotations(np.pi * axis))),
        Case("float32", (R[:4].astype(np.float32), R[4:8].astype(np.float32))),
    ]


def distance_by_chord(R, S):
    """|R - S|_F = 2 sqrt(2) sin(a / 2)."""
    chord = np.sqrt(np.square(R - S).sum(axis=(-2, -1)))
    return 2 * np.arcsin(np.minimum(chord / np.sqrt(8), 1))


def distance_by_quaternions(R, S):
    relative = (np.einsum("...ji,...jk->...ik", R, S)).reshape(-1, 3, 3)
    return Rotation.from_matrix(relative).magnitude().reshape(R.shape[:-2])


def distance_of_parts(R, S, angle):
    """``angle(2 sin a, 2 cos a)``."""
    Q = np.swapaxes(R, -1, -2) @ S
    odd = Q - np.swapaxes(Q, -1, -2)
    sine = np.linalg.norm(odd, axis=(-2, -1)) / np.sqrt(2)
    return angle(sine, np.trace(Q, axis1=-2, axis2=-1) - 1)


def cosine_between(R, S):
    return (np.einsum("...ij,...ij->...", R, S) - 1) / 2


geodesic_distance = Exercise(
    "geodesic_distance",
    distance_cases,
    alternatives=(distance_by_chord, distance_by_quaternions),
    mistakes=(
        Mistake(
            "rounding takes your cosine beyond 1, where arccos has no value",
            lambda R, S: np.arccos(cosine_between(R, S)),
        ),
        Mistake(
            "arccos alone loses small angles: the cosine of 1e-8 is 1 in all its digits",
            lambda R, S: np.arccos(np.clip(cosine_between(R, S), -1, 1)),
        ),
        Mistake(
            "you multiplied R and S; the turn between them needs one of them transposed",
            lambda R, S: distance_by_quaternions(R.swapaxes(-1, -2), S),
        ),
        Mistake("this is in degrees", lambda R, S: np.degrees(distance_by_chord(R, S))),
        Mistake(
            "this is the Frobenius norm of the difference, a chord and not the angle",
            lambda R, S: np.linalg.norm(R - S, axis=(-2, -1)),
        ),
        Mistake(
            "the sine alone can't tell an angle from its supplement",
            lambda R, S: np.arcsin(np.minimum(np.sin(distance_by_chord(R, S)), 1)),
        ),
        Mistake("this is half the angle", lambda R, S: distance_by_chord(R, S) / 2),
        Mistake(
            "np.arctan2 takes the sine first, then the cosine",
            lambda R, S: distance_of_parts(R, S, lambda s, c: np.arctan2(c, s)),
        ),
        Mistake(
            "your sine is doubled and your cosine isn't: np.arctan2 needs both alike",
            lambda R, S: distance_of_parts(R, S, lambda s, c: np.arctan2(s, c / 2)),
        ),
        Mistake(
            "you took the trace for the doubled cosine, but it is larger by 1",
            lambda R, S: distance_of_parts(R, S, lambda s, c: np.arctan2(s, c + 1)),
        ),
        Mistake(
            "a quotient hides the signs: beyond a quarter turn np.arctan gives negative angles",
            lambda R, S: distance_of_parts(R, S, lambda s, c: np.arctan(s / c)),
        ),
    ),
    hints=(
        "You have the sine from one part of Q and the cosine from the other. Which function takes "
        "both and is exact everywhere?",
        "np.arctan2(s, c) is the angle for any positive multiple of sine and cosine: here both come "
        "doubled. np.swapaxes(R, -1, -2) transposes a batch.",
        "The doubled cosine is np.trace(Q, axis1=-2, axis2=-1) - 1; the doubled sine is the length "
        "of the vector in the text, such as Q[..., 2, 1] - Q[..., 1, 2] for its first element.",
    ),
)

# ---------------------------------------------------------------------------- pose_error


def pose_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    pose, target = draw(size=(2, 23, 3)) * 0.6
    quarter = np.array([[0.3, -0.2, 0.5], [0.0, np.pi / 2, 0.0]])
    rest = np.array([[0.3, -0.2, 0.5], [0.0, 0.0, 0.0]])
    axes = unit(draw(size=(4, 3)))
    turned = (2.0 * axes, (2.0 - 2 * np.pi) * axes)
    return [
        Case("one joint of two a quarter turn off", (quarter, rest)),
        Case("a body of 23 joints", (pose, target)),
        Case("the same rotations, written a whole turn apart", turned, scale=1.0),
        Case("a clip of 3 frames", (draw(size=(3, 23, 3)), draw(size=(3, 23, 3)))),
        Case("batch axes (2, 2)", (draw(size=(2, 2, 5, 3)), draw(size=(2, 2, 5, 3)))),
        Case("rest and rest", (np.zeros((24, 3)), np.zeros((24, 3))), scale=1.0),
        Case("float32", tuple(draw(size=(2, 24, 3)).astype(np.float32))),
    ]


def joint_angles(pose, target):
    """Angles (*, J) in radians."""
    return distance_by_chord(rotations(pose), rotations(target))


def pose_error_loop(pose, target):
    out = np.zeros(pose.shape[:-2])
    for index in np.ndindex(out.shape):
        there = Rotation.from_rotvec(pose[index])
        angles = (there.inv() * Rotation.from_rotvec(target[index])).magnitude()
        out[index] = 180 / np.pi * sum(angles) / len(angles)
    return out


pose_error = Exercise(
    "pose_error",
    pose_cases,
    alternatives=(
        pose_error_loop,
        lambda pose, target: (
            np.rad2deg(np.einsum("...j->...", joint_angles(pose, target))) / pose.shape[-2]
        ),
    ),
    mistakes=(
        Mistake(
            "you subtracted axis-angle vectors; compare the rotations that they stand for",
            lambda p, t: np.degrees(np.linalg.norm(p - t, axis=-1).mean(-1)),
        ),
        Mistake("this is in radians", lambda p, t: joint_angles(p, t).mean(-1)),
        Mistake(
            "you averaged over the whole batch; each pose has its own error",
            lambda p, t: np.degrees(joint_angles(p, t).mean()),
        ),
        Mistake("this is the sum over joints", lambda p, t: np.degrees(joint_angles(p, t).sum(-1))),
        Mistake(
            "this is the largest angle of all joints; asked for is their mean",
            lambda p, t: np.degrees(joint_angles(p, t).max(-1)),
        ),
        Mistake(
            "this is the root of the mean square; asked for is the mean",
            lambda p, t: np.degrees(np.sqrt(np.square(joint_angles(p, t)).mean(-1))),
        ),
        Mistake(
            "you divided by 180 / pi: from radians to degrees it is the other way",
            lambda p, t: np.radians(joint_angles(p, t).mean(-1)),
        ),
        Mistake(
            "you compared how far each joint is turned, not whereto",
            lambda p, t: np.degrees(
                np.abs(np.linalg.norm(p, axis=-1) - np.linalg.norm(t, axis=-1)).mean(-1)
            ),
        ),
        Mistake(
            "you averaged the vectors first; angles are averaged last",
            lambda p, t: np.degrees(joint_angles(p.mean(-2), t.mean(-2))),
        ),
    ),
    hints=(
        "Two of your functions in a row, then a mean and a unit.",
        "exp_map takes the whole pose (*, J, 3) at once and gives (*, J, 3, 3).",
        "Average geodesic_distance over the last axis only, then np.degrees.",
    ),
    builds_on=("exp_map", "geodesic_distance"),
)

# ---------------------------------------------------------------------------- exp_map_torch


def torch_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    some = draw(size=(4, 3))
    some[[0, 2]] = 0
    return [
        Case("one vector", (draw(size=3),)),
        Case("the zero vector", (np.zeros(3),)),
        Case("the gradient away from zero", (draw(size=(3, 3)),), gradients=(0,)),
        Case("the gradient at zero", (np.zeros(3),), gradients=(0,)),
        Case("the gradient of a batch, two of four zero", (some,), gradients=(0,)),
        Case("batch axes (2, 3)", (draw(size=(2, 3, 3)),)),
        Case("float32", (some.astype(np.float32),), gradients=(0,)),
    ]


def torch_cross(omega):
    x, y, z = omega.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def torch_series_at_zero(omega):
    """Both quotients by their series where the angle is small, by a safe angle elsewhere."""
    square = omega.square().sum(-1)[..., None, None]
    small = square < 1e-6
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    sine = torch.where(small, 1 - square / 6, angle.sin() / angle)
    versine = torch.where(small, 0.5 - square / 24, (1 - angle.cos()) / angle**2)
    cross = torch_cross(omega)
    return torch.eye(3, dtype=omega.dtype) + sine * cross + versine * cross @ cross


def torch_divides(omega):
    angle = omega.norm(dim=-1)[..., None, None]
    cross = torch_cross(omega) / angle
    return (
        torch.eye(3, dtype=omega.dtype) + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)
    )


def torch_where_outside(omega):
    angle = omega.norm(dim=-1)[..., None, None]
    return torch.where(angle == 0, torch.eye(3, dtype=omega.dtype), torch_divides(omega))


def torch_identity_when_small(omega):
    is_zero = (omega == 0).all(-1)[..., None]
    safe = torch.where(is_zero, torch.ones_like(omega), omega)
    eye = torch.eye(3, dtype=omega.dtype)
    return torch.where(is_zero[..., None], eye, torch_divides(safe))


def torch_copied_numbers(omega):
    """Right for one vector's value; raises for a batch whose gradient is asked for."""
    x, y, z = omega.detach().unbind(-1)
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=omega.dtype)
    angle = omega.norm(dim=-1)[..., None, None] / torch.pi
    turned = torch.sinc(angle) * cross + torch.sinc(angle / 2) ** 2 / 2 * cross @ cross
    return torch.eye(3, dtype=omega.dtype) + turned


def torch_detached(omega):
    return torch.from_numpy(rotations(omega.detach().double().numpy())).to(omega)


exp_map_torch = Exercise(
    "exp_map_torch",
    torch_cases,
    alternatives=(torch_series_at_zero, lambda omega: torch.matrix_exp(torch_cross(omega))),
    mistakes=(
        Mistake("at the zero vector you divide zero by zero", torch_divides),
        Mistake(
            "the value is right, but the branch that torch.where throws away has a NaN gradient",
            torch_where_outside,
        ),
        Mistake(
            "near zero you return the identity itself, which depends on nothing: its gradient is "
            "zero, and a fit can't leave the pose at rest",
            torch_identity_when_small,
        ),
        Mistake(
            "your answer was computed outside of torch, so no gradient arrives", torch_detached
        ),
        Mistake(
            "torch.tensor copies plain numbers, and the gradient is lost; use torch.stack",
            torch_copied_numbers,
        ),
        Mistake(
            "it turns the wrong way round; look at the signs of the cross-product matrix",
            lambda omega: torch.matrix_exp(-torch_cross(omega)),
        ),
        Mistake(
            "you stopped after the first term, which is right for tiny angles only",
            lambda omega: torch.eye(3, dtype=omega.dtype) + torch_cross(omega),
        ),
    ),
    hints=(
        "Look for a form of both quotients that has no 0/0 in it, not for a way to hide the NaN.",
        "torch.sinc(x) is sin(pi x) / (pi x) with the right value and gradient at zero, and torch's "
        "gradient of a norm at zero is zero.",
        "Translate your answer to part 1: torch.stack for the matrix, torch.sinc for np.sinc, "
        "dim for axis, and torch.eye(3, dtype=omega.dtype).",
    ),
    framework="torch",
)

EXERCISES = (
    exp_map,
    matrix_to_six_d,
    six_d_to_matrix,
    geodesic_distance,
    pose_error,
    exp_map_torch,
)
