"""The bank of sheet 07: what tries each function, and the answers that people give."""

from __future__ import annotations

import numpy as np
import torch

from vhlib.course.bank import Case, Exercise, Mistake

# ---------------------------------------------------------------------------- what several share


def covariance_draws(
    generator: np.random.Generator, count: int, size: int, variance: float | np.ndarray
) -> np.ndarray:
    """Covariances (count, size, size) with correlated neighbours, about so large."""
    factors = np.tril(generator.normal(size=(count, size, size))) / np.sqrt(size)
    factors = factors + np.eye(size) * generator.uniform(0.6, 1.4, size=(count, 1, size))
    scale = variance * generator.uniform(0.5, 2.0, size=(count, 1, 1))
    return scale * factors @ factors.swapaxes(-1, -2)


def joint_covariances(
    generator: np.random.Generator, count: int, joints: int, variance: float | np.ndarray
) -> np.ndarray:
    """Covariances of poses whose joints don't depend on one another: blocks of three."""
    out = np.zeros((count, 3 * joints, 3 * joints))
    for joint in range(joints):
        block = slice(3 * joint, 3 * joint + 3)
        out[:, block, block] = covariance_draws(generator, count, 3, variance)
    return out


# ---------------------------------------------------------------------------- log_constants


def constant_cases(generator: np.random.Generator) -> list[Case]:
    def weights(count):
        w = generator.uniform(0.2, 1.0, size=count)
        return w / w.sum()

    example = np.array([[[4.0]], [[1.0]]])
    recorded = joint_covariances(generator, 3, 23, np.array([5e-3, 5e-2, 5e-4])[:, None, None])
    unlike = joint_covariances(generator, 3, 23, np.array([1e-6, 1e-2, 1e-7])[:, None, None])
    return [
        Case("two components over one number", (np.array([0.5, 0.5]), example)),
        Case("four over three numbers", (weights(4), covariance_draws(generator, 4, 3, 0.5))),
        Case("a single component", (np.ones(1), covariance_draws(generator, 1, 4, 0.1))),
        Case("variances above one", (weights(3), covariance_draws(generator, 3, 5, 30.0))),
        Case("components over 69 numbers", (weights(3), joint_covariances(generator, 3, 23, 0.01))),
        Case("narrow ones", (weights(4), joint_covariances(generator, 4, 23, 1e-6))),
        Case("two narrow ones and a wide one", (weights(3), unlike)),
        Case("float32, 69 numbers", (np.float32(weights(3)), np.float32(recorded))),
    ]


def constants_by_cholesky(w, covariances):
    """The determinant of a triangular factor is the product of its diagonal."""
    diagonal = np.einsum("kii->ki", np.linalg.cholesky(covariances))
    log_root = np.log(diagonal).sum(-1)
    return np.log(w / (2 * np.pi) ** (covariances.shape[-1] / 2)) + log_root.min() - log_root


def constants_loop(w, covariances):
    out = []
    halves = [0.5 * np.log(np.linalg.eigvalsh(S)).sum() for S in covariances.astype(float)]
    for weight, half in zip(w, halves, strict=True):
        out.append(np.log(weight) - len(covariances[0]) * np.log(2 * np.pi) / 2 - half)
    return np.array(out) + min(halves)


def half_log_det(covariances):
    return np.linalg.slogdet(covariances)[1] / 2


def constants_with(
    log_root=half_log_det, reference=np.min, half_dimension=lambda C: C.shape[-1] / 2
):
    """Wrong constants: another log root, another component to divide by, another power of 2 pi."""

    def constants(w, covariances):
        root = log_root(covariances)
        shift = half_dimension(covariances) * np.log(2 * np.pi)
        return np.log(w) - shift - (root - reference(root))

    return constants


def constants_of_quotients(w, covariances):
    """Log roots, but then the quotients of the roots themselves."""
    log_root = half_log_det(covariances)
    power = (2 * np.pi) ** (covariances.shape[-1] / 2)
    return np.log(w / (power * np.exp(log_root - log_root.min())))


def half_log_of_det(covariances, tiny=0.0):
    return np.log(np.linalg.det(covariances) + tiny) / 2


right_constants = constants_with()

log_constants = Exercise(
    "log_constants",
    constant_cases,
    alternatives=(constants_by_cholesky, constants_loop),
    mistakes=(
        Mistake(
            "a determinant of so many small variances is zero in the computer, and its logarithm "
            "infinite",
            constants_with(half_log_of_det),
        ),
        Mistake(
            "a tiny number added to the determinants makes them all alike, and the constants lose "
            "what tells components apart",
            constants_with(lambda C: half_log_of_det(C, tiny=1e-16)),
        ),
        Mistake(
            "you left the logarithms too early: quotients of roots can be too large for float32",
            constants_of_quotients,
        ),
        Mistake(
            "you took determinants, not their roots",
            constants_with(lambda C: np.linalg.slogdet(C)[1]),
        ),
        Mistake(
            "you divided by the largest root of a determinant, not by the smallest",
            constants_with(reference=np.max),
        ),
        Mistake(
            "you didn't divide by the smallest root of a determinant",
            constants_with(reference=lambda root: 0.0),
        ),
        Mistake(
            "a wide component has the larger constant with you: its peak is lower, not higher",
            constants_with(lambda C: -half_log_det(C), reference=np.max),
        ),
        Mistake(
            "you added the weights as they are; the others are logarithms",
            lambda w, C: w + right_constants(np.ones_like(w), C),
        ),
        Mistake("you left out the power of 2 pi", constants_with(half_dimension=lambda C: 0.0)),
        Mistake(
            "the power of 2 pi is that of one number, but a component is over D of them",
            constants_with(half_dimension=lambda C: 0.5),
        ),
        Mistake(
            "these are the constants of the energy, minus what was asked for",
            lambda w, C: -right_constants(w, C),
        ),
        Mistake(
            "you left out the weights, so rare components cost no more than common ones",
            lambda w, C: right_constants(np.ones_like(w), C),
        ),
    ),
    hints=(
        "Take the logarithm on paper first: a quotient of products becomes a sum of four terms.",
        "np.linalg.slogdet takes a stack of matrices and gives signs and logarithms of the "
        "determinants' magnitudes. A root is half of the logarithm.",
        "With log_root = half the log-determinants, the last term is log_root - log_root.min(); "
        "the power of 2 pi gives -D / 2 * np.log(2 * np.pi).",
    ),
)

# ---------------------------------------------------------------------------- mixture_energy


def mixture_cases(generator: np.random.Generator) -> list[Case]:
    draw, uniform = generator.normal, generator.uniform

    def mixture(count, size, variance=0.2, spread=1.0):
        precisions = np.linalg.inv(covariance_draws(generator, count, size, variance))
        precisions = (precisions + precisions.swapaxes(-1, -2)) / 2
        return spread * draw(size=(count, size)), precisions, -uniform(2.0, 9.0, size=count)

    line = np.stack([np.linspace(-3.0, 9.0, 61), np.full(61, 0.5)], axis=-1)
    row = np.array([[-1.5, 0.0], [1.5, 1.0], [4.5, 0.5], [7.5, 0.0]])
    narrow = np.array([2.0, 5.0, 1.5, 4.0])[:, None, None] * np.array([[1.0, 0.3], [0.3, 1.0]])
    along = row, narrow, -np.array([3.0, 4.0, 2.0, 3.5])
    example = np.array([[0.0], [4.0]]), np.array([[[1.0]], [[4.0]]]), np.array([-1.0, -3.0])
    tied = np.array([[-1.0], [1.0]]), np.ones((2, 1, 1)), np.array([-2.0, -2.0])
    means, precisions, log_c = mixture(3, 6)
    float32 = tuple(x.astype(np.float32) for x in (draw(size=(5, 6)), *mixture(3, 6)))
    return [
        Case("along a line", (line, *along)),
        Case("the example at 1", (np.array([1.0]), *example)),
        Case("the example at 3", (np.array([3.0]), *example)),
        Case("half way between two equal components", (np.zeros(1), *tied)),
        Case("at a mean", (means[1], means, precisions, log_c)),
        Case("a batch of 5", (draw(size=(5, 6)), means, precisions, log_c)),
        Case("batch axes (2, 3)", (draw(size=(2, 3, 4)), *mixture(8, 4))),
        Case("near components", (0.3 * draw(size=(6, 3)), *mixture(4, 3, 0.5, 0.3))),
        Case("float32", float32),
    ]


def energies_of(theta, means, precisions):
    """Half squared Mahalanobis distances (*, M), by the factor of the precisions."""
    factor = np.linalg.cholesky(precisions)
    apart = theta[..., None, :] - means
    return 0.5 * np.square((apart[..., None, :] @ factor)[..., 0, :]).sum(-1)


def mixture_loop(theta, means, precisions, log_c):
    out = np.full(theta.shape[:-1], np.inf)
    for index in np.ndindex(out.shape):
        for mean, precision, constant in zip(means, precisions, log_c, strict=True):
            d = theta[index] - mean
            out[index] = min(out[index], 0.5 * d @ precision @ d - constant)
    return out


def mixture_multiplied_out(theta, means, precisions, log_c):
    """theta P theta - 2 theta P mu + mu P mu, each term for all components at once."""
    theta, means = theta.astype(float), means.astype(float)
    moved = np.einsum("mij,mj->mi", precisions.astype(float), means)
    outer = theta[..., :, None] * theta[..., None, :]
    squares = np.tensordot(outer, precisions.astype(float), axes=((-2, -1), (1, 2)))
    squares = squares - 2 * theta @ moved.T + (means * moved).sum(-1)
    return np.amin(squares / 2 - log_c, axis=-1)


def reduced(reduce, factor=1.0, sign=-1.0):
    """A wrong energy: other reductions of the components, factor of squares, sign of log_c."""

    def energy(theta, means, precisions, log_c):
        return reduce(factor * energies_of(theta, means, precisions) + sign * log_c)

    return energy


def least(energies):
    return energies.min(-1)


def mixture_chosen_by(theta, means, precisions, log_c, choice):
    """The energy of the component for which ``choice`` (*, M) is least."""
    energies = energies_of(theta, means, precisions) - log_c
    return np.take_along_axis(energies, choice.argmin(-1)[..., None], -1)[..., 0]


def mixture_nearest_mean(theta, means, precisions, log_c):
    distance = np.linalg.norm(theta[..., None, :] - means, axis=-1)
    return mixture_chosen_by(theta, means, precisions, log_c, distance)


def mixture_chosen_without_constants(theta, means, precisions, log_c):
    squares = energies_of(theta, means, precisions)
    return mixture_chosen_by(theta, means, precisions, log_c, squares)


mixture_energy = Exercise(
    "mixture_energy",
    mixture_cases,
    alternatives=(mixture_loop, mixture_multiplied_out),
    mistakes=(
        Mistake(
            "you added the components up; one of them is active, the one that explains the pose best",
            reduced(lambda energies: energies.sum(-1)),
        ),
        Mistake(
            "this is the component that explains the pose worst",
            reduced(lambda energies: energies.max(-1)),
        ),
        Mistake(
            "your quadratic is twice as large as the logarithm of a Gaussian has it",
            reduced(least, factor=2.0),
        ),
        Mistake("you left out the constants of the components", reduced(least, sign=0.0)),
        Mistake(
            "your constants have the wrong sign: a likely component should cost less",
            reduced(least, sign=1.0),
        ),
        Mistake(
            "you chose the component with the nearest mean; distance says nothing without the "
            "precisions and constants",
            mixture_nearest_mean,
        ),
        Mistake(
            "you chose the component before its constant was in",
            mixture_chosen_without_constants,
        ),
        Mistake(
            "you multiplied by covariances; what comes in already is their inverse",
            lambda theta, means, precisions, log_c: reduced(least)(
                theta, means, np.linalg.inv(precisions), log_c
            ),
        ),
        Mistake(
            "this is the exact logarithm of the sum of all components, not its best term",
            reduced(lambda energies: -np.logaddexp.reduce(-energies, axis=-1)),
        ),
        Mistake(
            "you took the least of the whole batch; each pose has its own component",
            reduced(lambda energies: np.full(energies.shape[:-1], energies.min())),
        ),
    ),
    hints=(
        "Compute the bracket for all components first, (*, M), then take the least over the last "
        "axis.",
        "theta[..., None, :] - means has the shape (*, M, D). The quadratic form of each is a sum "
        "over two indices: np.einsum writes it in one line.",
        'np.einsum("...mi,mij,...mj->...m", d, precisions, d) / 2 - log_c is the bracket.',
    ),
    drawing="curve",
)

# ---------------------------------------------------------------------------- whitened_residual


def residual_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    example = np.array([[4.0, 2.0], [2.0, 2.0]])
    turn = np.linspace(0, 2 * np.pi, 17)[:-1]
    ellipse = np.stack([np.cos(turn), np.sin(turn)], -1) @ np.linalg.cholesky(example).T
    mean = np.array([1.0, -2.0])
    (five,) = covariance_draws(generator, 1, 5, 0.3)
    (six,) = covariance_draws(generator, 1, 6, 0.1)
    (pose,) = joint_covariances(generator, 1, 23, 0.02)
    return [
        Case("an ellipse about the mean", (ellipse + mean, mean, example)),
        Case("one vector of five", (draw(size=5), draw(size=5), five)),
        Case("at the mean", (mean, mean, example)),
        Case("a batch of 4", (draw(size=(4, 5)), draw(size=5), five)),
        Case("batch axes (2, 3)", (draw(size=(2, 3, 6)), draw(size=6), six)),
        Case("a pose of 69 numbers", (0.3 * draw(size=69), 0.3 * draw(size=69), pose)),
        Case("two poses of the size of D", (draw(size=(2, 2)), mean, example)),
        Case(
            "float32",
            tuple(x.astype(np.float32) for x in (draw(size=(3, 5)), draw(size=5), five)),
        ),
    ]


def residual_by_substitution(theta, mean, covariance):
    """Forward substitution, a row of the triangle at a time."""
    L, d = np.linalg.cholesky(covariance.astype(float)), (theta - mean).astype(float)
    out = np.zeros_like(d)
    for row in range(len(L)):
        out[..., row] = (d[..., row] - out[..., :row] @ L[row, :row]) / L[row, row]
    return out * 0.5**0.5


def residual_by_torch(theta, mean, covariance):
    L = torch.linalg.cholesky(torch.from_numpy(2 * covariance))
    d = torch.from_numpy(theta - mean).reshape(-1, len(mean))
    return torch.linalg.solve_triangular(L, d.mT, upper=False).mT.reshape(theta.shape).numpy()


def transformed(matrix, factor=0.5**0.5):
    """A wrong residual: another matrix (D, D) of the covariance, or another factor."""

    def residual(theta, mean, covariance):
        return factor * np.einsum("ij,...j->...i", matrix(covariance), theta - mean)

    return residual


def inverse_factor(covariance):
    return np.linalg.inv(np.linalg.cholesky(covariance))


def symmetric_root(covariance):
    values, vectors = np.linalg.eigh(covariance)
    return vectors / np.sqrt(values) @ vectors.T


whitened_residual = Exercise(
    "whitened_residual",
    residual_cases,
    alternatives=(residual_by_substitution, residual_by_torch),
    mistakes=(
        Mistake(
            "the squares of these add up to twice the energy",
            transformed(inverse_factor, 1.0),
        ),
        Mistake(
            "you halved the residual; the half belongs to its square",
            transformed(inverse_factor, 0.5),
        ),
        Mistake(
            "you multiplied by L, which stretches where it should shrink",
            transformed(np.linalg.cholesky),
        ),
        Mistake(
            "you solved with the transposed factor",
            transformed(lambda C: inverse_factor(C).T),
        ),
        Mistake(
            "you divided each number by its own standard deviation, as if none depended on another",
            transformed(lambda C: np.diag(1 / np.sqrt(np.diag(C)))),
        ),
        Mistake(
            "this is the gradient of the energy: the inverse covariance itself, not a factor of it",
            transformed(np.linalg.inv, 1.0),
        ),
        Mistake(
            "you forgot the mean: the residual is zero there",
            lambda theta, mean, covariance: transformed(inverse_factor)(
                theta, np.zeros_like(mean), covariance
            ),
        ),
        Mistake(
            "the energy is right, but you took a factor of the inverse covariance, not the inverse "
            "of the covariance's factor",
            transformed(lambda C: np.linalg.cholesky(np.linalg.inv(C)).T),
        ),
        Mistake(
            "the energy is right, but this is the symmetric root; asked for is the triangular factor",
            transformed(symmetric_root),
        ),
        Mistake(
            "this points from the pose to the mean",
            transformed(inverse_factor, -(0.5**0.5)),
        ),
    ),
    hints=(
        "Don't invert the covariance. Which function gives L? Which one solves L x = d for x?",
        "np.linalg.solve(L, d) takes columns: (*, D, 1) is one for each pose of a batch.",
        "np.linalg.solve(L, (theta - mean)[..., None])[..., 0], then the root of one half.",
    ),
    drawing="points",
)

# ---------------------------------------------------------------------------- bending_energy

LEFT_KNEE, RIGHT_KNEE, LEFT_ELBOW, RIGHT_ELBOW = 9, 12, 52, 55
ENTRIES = (LEFT_ELBOW, RIGHT_ELBOW, LEFT_KNEE, RIGHT_KNEE)
SIGNS = (1.0, -1.0, -1.0, -1.0)


def bending_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    sweep = np.zeros((37, 69))
    sweep[:, LEFT_KNEE] = np.linspace(-0.6, 1.2, 37)

    def one(entry, angle):
        pose = np.zeros(69)
        pose[entry] = angle
        return pose

    crouch = np.zeros(69)
    crouch[list(ENTRIES)] = -np.array(SIGNS) * generator.uniform(0.5, 1.5, size=4)
    return [
        Case("the left knee from -0.6 to 1.2", (sweep,)),
        Case("rest", (np.zeros(69),)),
        Case("the left elbow bent as people do", (one(LEFT_ELBOW, -1.0),)),
        Case("the right elbow bent as people do", (one(RIGHT_ELBOW, 1.0),)),
        Case("the right knee broken", (one(RIGHT_KNEE, -1.0),)),
        Case("all four bent as people do", (crouch,)),
        Case("a pose of all joints", (0.5 * draw(size=69),)),
        Case("batch axes (2, 3)", (0.4 * draw(size=(2, 3, 69)),)),
        Case("float32", ((0.4 * draw(size=(2, 69))).astype(np.float32),)),
    ]


def bending_by_mask(body_pose):
    """One product with a matrix that picks and signs, then hyperbolic functions for exp."""
    pick = np.zeros((69, 4))
    pick[[52, 55, 9, 12], range(4)] = (2, -2, -2, -2)
    doubled = body_pose.astype(float) @ pick
    return (np.cosh(doubled) + np.sinh(doubled)).sum(axis=-1)


def bending_by_joint(body_pose):
    theta = body_pose.reshape(*body_pose.shape[:-1], 23, 3)
    left, right = theta[..., 17, 1], theta[..., 18, 1]
    knees = theta[..., 3:5, 0]
    return np.exp(left) ** 2 + np.exp(-right) ** 2 + (np.exp(-knees) ** 2).sum(-1)


def hinge_sum(signs=SIGNS, entries=ENTRIES, cost=lambda x: np.exp(x) ** 2):
    """A wrong energy: other signs, entries, or cost of a signed angle."""

    def energy(body_pose):
        return cost(np.array(signs) * body_pose[..., list(entries)]).sum(-1)

    return energy


def bending_of_sum(body_pose):
    return np.exp(np.array(SIGNS) * body_pose[..., list(ENTRIES)]).sum(-1) ** 2


def bending_of_length(body_pose):
    theta = body_pose.reshape(*body_pose.shape[:-1], 23, 3)
    angles = np.linalg.norm(theta, axis=-1)[..., [17, 18, 3, 4]]
    return (np.exp(np.array(SIGNS) * angles) ** 2).sum(-1)


bending_energy = Exercise(
    "bending_energy",
    bending_cases,
    alternatives=(bending_by_mask, bending_by_joint),
    mistakes=(
        Mistake(
            "all your signs are +, which punishes natural knees and one natural elbow",
            hinge_sum(signs=(1, 1, 1, 1)),
        ),
        Mistake(
            "all your signs are turned round: you reward broken limbs",
            hinge_sum(signs=(-1, 1, 1, 1)),
        ),
        Mistake(
            "both elbows have the same sign with you; left and right mirror each other",
            hinge_sum(signs=(1, 1, -1, -1)),
        ),
        Mistake(
            "your entries count from the pelvis, as in the vector of 72",
            hinge_sum(entries=[entry + 3 for entry in ENTRIES]),
        ),
        Mistake(
            "your exponentials aren't squared",
            hinge_sum(cost=np.exp),
        ),
        Mistake(
            "you squared the angle inside the exponential, which forgets its sign",
            hinge_sum(cost=lambda x: np.exp(x**2)),
        ),
        Mistake("you squared the sum; each exponential is squared by itself", bending_of_sum),
        Mistake(
            "your term has a flat part; a straight limb costs one, not nothing",
            hinge_sum(cost=lambda x: np.where(x > 0, np.exp(2 * x) - 1, 0.0)),
        ),
        Mistake(
            "you took the whole angle of each joint; the term looks at one component of it",
            bending_of_length,
        ),
        Mistake(
            "your elbows turn about x, about which the forearm only twists",
            hinge_sum(entries=(LEFT_ELBOW - 1, RIGHT_ELBOW - 1, LEFT_KNEE, RIGHT_KNEE)),
        ),
        Mistake(
            "your elbows turn about z, the third of a joint's numbers",
            hinge_sum(entries=(LEFT_ELBOW + 1, RIGHT_ELBOW + 1, LEFT_KNEE, RIGHT_KNEE)),
        ),
        Mistake(
            "your knees turn about y, about which the lower leg only twists",
            hinge_sum(entries=(LEFT_ELBOW, RIGHT_ELBOW, LEFT_KNEE + 1, RIGHT_KNEE + 1)),
        ),
        Mistake(
            "your knees have unlike signs; they bend about x, which no mirror turns round",
            hinge_sum(signs=(1, -1, -1, 1)),
        ),
        Mistake(
            "you took the joints' numbers for entries; each joint has three",
            hinge_sum(entries=(18, 19, 4, 5)),
        ),
        Mistake(
            "left and right are swapped",
            hinge_sum(entries=(RIGHT_ELBOW, LEFT_ELBOW, LEFT_KNEE, RIGHT_KNEE)),
        ),
    ),
    hints=(
        "Put the natural angle of each joint into exp(s theta): which s makes it smaller than one?",
        "JOINTS.index(name) counts the pelvis as 0. The vector begins with joint 1, so how far is "
        "everything shifted?",
        "Joint j stands at 3 * (j - 1), then x, y, z; elbows are the second of the three, knees the "
        "first. The signs are + for the left elbow and - for the others.",
    ),
    drawing="curve",
)

# ---------------------------------------------------------------------------- shape_energy


def shape_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    return [
        Case("two betas", (np.array([2.0, -1.0]), 5.0)),
        Case("ten betas", (draw(size=10), 5.0)),
        Case("the average person", (np.zeros(10), 5.0)),
        Case("a small weight", (draw(size=10), 0.1)),
        Case("a batch of 4", (draw(size=(4, 10)), 10.0)),
        Case("batch axes (2, 3)", (draw(size=(2, 3, 10)), 3.0)),
        Case("float32", (draw(size=(2, 10)).astype(np.float32), 5.0)),
    ]


def shape_loop(betas, weight):
    out = np.zeros(betas.shape[:-1])
    for index in np.ndindex(betas.shape):
        out[index[:-1]] += float(weight * betas[index]) ** 2
    return out


shape_energy = Exercise(
    "shape_energy",
    shape_cases,
    alternatives=(
        shape_loop,
        lambda betas, weight: weight**2 * np.einsum("...s,...s->...", betas, betas),
    ),
    mistakes=(
        Mistake(
            "your weight multiplies the energy; here it multiplies residuals, before they are squared",
            lambda betas, weight: weight * np.square(betas).sum(-1),
        ),
        Mistake(
            "this is the length of the residuals, not its square",
            lambda betas, weight: weight * np.linalg.norm(betas, axis=-1),
        ),
        Mistake(
            "this is a mean over betas; more of them would weaken the prior",
            lambda betas, weight: np.square(weight * betas).mean(-1),
        ),
        Mistake(
            "you squared the sum, in which betas of opposite sign cancel",
            lambda betas, weight: np.square((weight * betas).sum(-1)),
        ),
        Mistake(
            "you halved it; SMPLify's term has no factor of one half",
            lambda betas, weight: np.square(weight * betas).sum(-1) / 2,
        ),
        Mistake(
            "you forgot the weight",
            lambda betas, weight: np.square(betas).sum(-1),
        ),
        Mistake(
            "you added up the magnitudes, not the squares",
            lambda betas, weight: weight**2 * np.abs(betas).sum(-1),
        ),
    ),
    hints=(
        "Which numbers does the weight multiply, and what happens to them then?",
        "The sum runs over the last axis only; batch axes stay.",
        "Square weight * betas and sum with axis=-1.",
    ),
)

# ---------------------------------------------------------------------------- sphere_penalty


def sphere_cases(generator: np.random.Generator) -> list[Case]:
    draw, uniform = generator.normal, generator.uniform

    def limb(*shape, place=(0.0, 0.0, 0.0)):
        """Spheres (*shape, 4) close about a place."""
        centres = np.array(place) + 0.05 * draw(size=(*shape, 3))
        return np.concatenate([centres, uniform(0.05, 0.2, size=(*shape, 1))], axis=-1)

    def sphere(x, radius):
        return np.array([[x, 0.0, 0.0, radius]])

    a, b = limb(4), limb(4)
    b[1, :3] = a[2, :3]
    far = limb(2), limb(3, place=(0.5, 0.0, 0.0))
    return [
        Case("two spheres, 0.06 m apart", (sphere(0.0, 0.1), sphere(0.06, 0.1))),
        Case("of different radii", (sphere(0.0, 0.2), sphere(0.05, 0.1))),
        Case("limbs of 4 and 3 spheres", (limb(4), limb(3))),
        Case("the gradient by both", (limb(4), limb(3)), gradients=(0, 1)),
        Case("centres in one place", (a, b), gradients=(0, 1)),
        Case("limbs of 3 and 3 spheres", (limb(3), limb(3)), gradients=(0, 1)),
        Case("limbs far apart", far, scale=1.0),
        Case("batch axes (2, 3)", (limb(2, 3, 4), limb(2, 3, 2)), gradients=(0, 1)),
        Case(
            "float32",
            (limb(2, 4).astype(np.float32), limb(2, 3).astype(np.float32)),
            gradients=(0, 1),
        ),
    ]


def spheres_loop(a, b):
    """A pair at a time."""
    total = 0.0
    for i in range(a.shape[-2]):
        for j in range(b.shape[-2]):
            apart = a[..., i, :3] - b[..., j, :3]
            width = (a[..., i, 3].detach() ** 2 + b[..., j, 3].detach() ** 2) * 0.09
            total = total + torch.exp(-(apart * apart).sum(-1) / width)
    return total


def spheres_by_axes(a, b):
    """A product of three bumps, one along each axis; the radii as numbers without a history."""
    with torch.no_grad():
        width = 0.3 * torch.hypot(a[..., 3, None], b[..., None, :, 3])
    bumps = torch.ones_like(width)
    for axis in range(3):
        apart = a[..., axis, None] - b[..., None, :, axis]
        bumps = bumps * torch.exp(-((apart / width) ** 2))
    return torch.einsum("...ij->...", bumps)


def squared_distances(a, b):
    return (a[..., :, None, :3] - b[..., None, :, :3]).square().sum(-1)


def radii(a, b):
    return a[..., :, None, 3].detach(), b[..., None, :, 3].detach()


def bumps(a, b, width2=lambda r, q: 0.09 * (r**2 + q**2), exponent=lambda d2: d2):
    """Bumps (*, A, B), of other widths squared or other exponents."""
    return torch.exp(-exponent(squared_distances(a, b)) / width2(*radii(a, b)))


def penalty_with(**changes):
    """A wrong penalty: with changed bumps."""
    return lambda a, b: bumps(a, b, **changes).sum((-2, -1))


def penalty_to_the_radii(a, b):
    width = 0.09 * (a[..., :, None, 3] ** 2 + b[..., None, :, 3] ** 2)
    return torch.exp(-squared_distances(a, b) / width).sum((-2, -1))


def penalty_detached(a, b):
    return penalty_with()(a.detach(), b.detach())


def penalty_by_root(a, b):
    distance = squared_distances(a, b).sqrt()
    r, q = radii(a, b)
    return torch.exp(-(distance**2) / (0.09 * (r**2 + q**2))).sum((-2, -1))


def penalty_depth(a, b):
    r, q = radii(a, b)
    return (r + q - squared_distances(a, b).sqrt()).clamp(min=0).sum((-2, -1))


def penalty_in_turn(a, b):
    count = min(a.shape[-2], b.shape[-2])
    return bumps(a, b).diagonal(dim1=-2, dim2=-1)[..., :count].sum(-1)


sphere_penalty = Exercise(
    "sphere_penalty",
    sphere_cases,
    alternatives=(spheres_loop, spheres_by_axes),
    mistakes=(
        Mistake(
            "your gradient reaches the radii, so a fit parts limbs by making them thin",
            penalty_to_the_radii,
        ),
        Mistake(
            "your answer is cut off from the centres too, so no gradient moves them",
            penalty_detached,
        ),
        Mistake(
            "the root of a squared distance has no gradient where centres coincide, and the square "
            "of it doesn't bring it back",
            penalty_by_root,
        ),
        Mistake(
            "you took the radii themselves for the widths of the bumps",
            penalty_with(width2=lambda r, q: r**2 + q**2),
        ),
        Mistake(
            "you squared the sum of the widths; what is added are their squares",
            penalty_with(width2=lambda r, q: 0.09 * (r + q) ** 2),
        ),
        Mistake(
            "the share of the radius is outside of the square with you",
            penalty_with(width2=lambda r, q: 0.3 * (r**2 + q**2)),
        ),
        Mistake(
            "your exponent has a factor of one half, as a normal distribution's",
            penalty_with(width2=lambda r, q: 2 * 0.09 * (r**2 + q**2)),
        ),
        Mistake(
            "your exponent holds the distance, not its square",
            penalty_with(exponent=lambda d2: (d2 + 1e-30).sqrt()),
        ),
        Mistake(
            "this is how deep spheres are in each other, with a corner where they touch; asked for "
            "is a smooth bump",
            penalty_depth,
        ),
        Mistake(
            "you paired the first with the first, the second with the second; every sphere meets "
            "every other",
            penalty_in_turn,
        ),
        Mistake(
            "this is a mean over the pairs; the energy is their sum",
            lambda a, b: bumps(a, b).mean((-2, -1)),
        ),
    ),
    hints=(
        "Begin with all squared distances, (*, A, B), then the same shape of sums of squared "
        "widths. Sum last.",
        "a[..., :, None, :] stands against b[..., None, :, :]. You need the squared distance only, "
        "so take no root.",
        "Widths are WIDTH * a[..., :, None, 3].detach(), and for b with None before the colon; then "
        "torch.exp(-d2 / (s_a**2 + s_b**2)).sum(dim=(-2, -1)).",
    ),
    framework="torch",
)

EXERCISES = (
    log_constants,
    mixture_energy,
    whitened_residual,
    bending_energy,
    shape_energy,
    sphere_penalty,
)
