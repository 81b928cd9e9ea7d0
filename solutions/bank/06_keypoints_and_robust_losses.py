"""The bank of sheet 06: what tries each function, and the answers that people give."""

from __future__ import annotations

import numpy as np
import torch

from vhlib.course.bank import Case, Exercise, Mistake

# ---------------------------------------------------------------------------- what several share


def rho(r, sigma):
    """Geman-McClure of residuals, arrays or tensors."""
    return r * r / (1 + (r / sigma) ** 2)


def weight(r, sigma):
    """Its derivative by the squared residual."""
    return 1 / (1 + (r / sigma) ** 2) ** 2


def residual_cases(generator: np.random.Generator) -> list[Case]:
    """Residuals and a scale in pixels."""
    draw = generator.normal
    sigma = float(generator.uniform(8, 40))
    return [
        Case("from -300 to 300 pixels", (np.linspace(-300.0, 300.0, 61), 100.0)),
        Case("residuals of both signs", (40 * draw(size=12), sigma)),
        Case("no residual", (np.zeros(3), sigma)),
        Case("one number", (np.array(-30.0), 25.0)),
        Case("batch axes (2, 3)", (30 * draw(size=(2, 3, 2)), sigma)),
        Case("far away", (np.array([-1e4, 2e4, -3e4]), 10.0)),
        Case("float32", ((20 * draw(size=(4, 2))).astype(np.float32), sigma)),
        Case("an empty batch", (np.zeros((0, 2)), sigma)),
    ]


# ---------------------------------------------------------------------------- geman_mcclure


def geman_mcclure_by_angle(r, sigma):
    """With r = sigma tan(a) the cost is sigma^2 sin(a)^2."""
    return (sigma * np.sin(np.arctan2(r, sigma))) ** 2


def geman_mcclure_loop(r, sigma):
    out = np.empty(r.shape)
    for index in np.ndindex(r.shape):
        out[index] = sigma**2 * (1 - sigma**2 / (sigma**2 + r[index] ** 2))
    return out


geman_mcclure = Exercise(
    "geman_mcclure",
    residual_cases,
    alternatives=(
        geman_mcclure_by_angle,
        geman_mcclure_loop,
        lambda r, sigma: rho(torch.from_numpy(r), sigma).numpy(),
    ),
    mistakes=(
        Mistake(
            "this saturates at one, another convention; here the cost is about r^2 near zero",
            lambda r, sigma: r**2 / (sigma**2 + r**2),
        ),
        Mistake(
            "you took r as if it were squared already",
            lambda r, sigma: sigma**2 * r / (sigma**2 + r),
        ),
        Mistake(
            "you forgot to square sigma, so the units don't match",
            lambda r, sigma: sigma * r**2 / (sigma + r**2),
        ),
        Mistake(
            "this is largest where the residual is zero: a weight, not a cost",
            lambda r, sigma: sigma**2 / (sigma**2 + r**2),
        ),
        Mistake(
            "this grows without end: these are squares, which no outlier escapes",
            lambda r, sigma: r**2 + 0 * sigma,
        ),
        Mistake("this is half of the cost", lambda r, sigma: rho(r, sigma) / 2),
        Mistake(
            "this is 2 r^2: your quotient ends before the sum that it should divide by",
            lambda r, sigma: sigma**2 * r**2 / sigma**2 + r**2,
        ),
        Mistake(
            "this has a sign: too far left costs as much as too far right",
            lambda r, sigma: r * sigma**2 * np.abs(r) / (sigma**2 + r**2),
        ),
    ),
    hints=(
        "Only the square of the residual enters: compute it once and give it a name.",
        "r**2 squares each number of an array by itself; sigma is a single number.",
        "With r2 = r**2, divide sigma**2 * r2 by sigma**2 + r2.",
    ),
    drawing="curve",
)

# ---------------------------------------------------------------------------- geman_mcclure_weight


def weight_by_complex_step(r, sigma):
    """The derivative of rho by q = r^2 from one evaluation at q + ih."""
    q = r.astype(np.float64) ** 2 + 1e-20j
    return (sigma**2 * q / (sigma**2 + q)).imag / 1e-20


def weight_pull_over_residual(r, sigma):
    return 2 * r * weight(r, sigma) / (2 * r)


geman_mcclure_weight = Exercise(
    "geman_mcclure_weight",
    residual_cases,
    alternatives=(
        weight_by_complex_step,
        lambda r, sigma: np.cos(np.arctan2(r, sigma)) ** 4,
    ),
    mistakes=(
        Mistake(
            "this is the pull, the derivative by r itself; asked for is what multiplies 2r in it",
            lambda r, sigma: 2 * r * weight(r, sigma),
        ),
        Mistake(
            "this is the cost divided by r^2, a quotient and not a derivative",
            lambda r, sigma: sigma**2 / (sigma**2 + r**2),
        ),
        Mistake(
            "you divided the pull by the residual, which is 0/0 where it is zero",
            weight_pull_over_residual,
        ),
        Mistake(
            "this is two at zero: the 2 of the pull 2 r w isn't part of the weight",
            lambda r, sigma: 2 * weight(r, sigma),
        ),
        Mistake(
            "this is the weight for r^2 / (sigma^2 + r^2), which saturates at one",
            lambda r, sigma: weight(r, sigma) / sigma**2,
        ),
        Mistake(
            "this is the cost itself, which is largest for the points that should count least",
            rho,
        ),
        Mistake(
            "you took sigma for sigma squared, so the units don't match",
            lambda r, sigma: (sigma / (sigma + r**2)) ** 2,
        ),
    ),
    hints=(
        "Call q = r^2 and differentiate sigma^2 q / (sigma^2 + q) by q with the quotient rule.",
        "In the numerator of the derivative the terms with q cancel; what stays has sigma only.",
        "The derivative is sigma^4 / (sigma^2 + r^2)^2. Written as the square of one quotient it "
        "needs no large powers.",
    ),
    drawing="curve",
)

# ---------------------------------------------------------------------------- robust_location


def location_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    example = np.array([-4.0, -1.0, 2.0, 5.0, 60.0])
    many = 5 * draw(size=(2, 3, 9)) + 10
    many[..., 0] += 80
    few = (4 * draw(size=(4, 6)) - 20).astype(np.float32)
    return [
        Case("one turn from the mean", (example, np.array(12.4), 15.0, 1)),
        Case("20 turns from the mean", (example, np.array(12.4), 15.0, 20)),
        Case("20 turns from the wrong point", (example, np.array(60.0), 15.0, 20)),
        Case("no turn", (5 * draw(size=(3, 4)), 9 + draw(size=3), 10.0, 0)),
        Case("three turns", (10 * draw(size=8) + 30, np.array(25 + draw()), 12.0, 3)),
        Case("batch axes (2, 3)", (many, many.mean(-1), 8.0, 5)),
        Case("float32", (few, few.mean(-1), 6.0, 2)),
        Case("one point only", (np.array([7.0]), np.array(40.0), 10.0, 1)),
    ]


def location_loop(x, start, sigma, steps):
    out = np.array(start, np.float64)
    for index in np.ndindex(out.shape):
        for _ in range(steps):
            weights = [weight(value - out[index], sigma) for value in x[index]]
            out[index] = np.average(x[index], weights=weights)
    return out


def location_by_descent(x, start, sigma, steps):
    """The same turns as steps down the slope, as long as half the inverse sum of weights."""
    m = torch.from_numpy(np.array(start, np.float64))
    for _ in range(steps):
        m = m.detach().requires_grad_()
        r = torch.from_numpy(x) - m[..., None]
        (slope,) = torch.autograd.grad(rho(r, sigma).sum(), m)
        m = m - slope / (2 * weight(r, sigma).sum(-1))
    return m.detach().numpy()


def location_turns(weigh, mean):
    """A wrong robust_location: its own weights of (x, m, sigma), its own mean of (w, x, m)."""

    def location(x, start, sigma, steps):
        m = start
        for _ in range(steps):
            m = mean(weigh(x, m[..., None], sigma), x, m)
        return m

    return location


def residual_weight(x, m, sigma):
    return weight(x - m, sigma)


def weighted_mean(w, x, m):
    return (w * x).sum(-1) / w.sum(-1)


def location_by_residuals(x, start, sigma, steps):
    m = start
    for _ in range(steps):
        r = x - m[..., None]
        m = weighted_mean(weight(r, sigma), r, m)
    return m


def location_weights_once(x, start, sigma, steps):
    w = weight(x - start[..., None], sigma)
    return weighted_mean(w, x, None) if steps else start


robust_location = Exercise(
    "robust_location",
    location_cases,
    alternatives=(location_loop, location_by_descent),
    mistakes=(
        Mistake(
            "this is what a single turn gives, however many are asked for: the weights change "
            "whenever m does",
            location_weights_once,
        ),
        Mistake(
            "this is the weighted mean of the residuals: how far to go from m, not where to",
            location_by_residuals,
        ),
        Mistake(
            "this is the plain mean, which every wrong point moves",
            lambda x, start, sigma, steps: x.mean(-1),
        ),
        Mistake(
            "the weights are those of the points; asked for are those of the residuals x - m",
            location_turns(lambda x, m, sigma: weight(x, sigma), weighted_mean),
        ),
        Mistake(
            "you weighted with the cost, so the worst point counts most",
            location_turns(lambda x, m, sigma: rho(x - m, sigma), weighted_mean),
        ),
        Mistake(
            "your weights don't add up to one, and you didn't divide by their sum",
            location_turns(residual_weight, lambda w, x, m: (w * x).mean(-1)),
        ),
        Mistake(
            "you weighted with the square of the weight",
            location_turns(lambda x, m, sigma: weight(x - m, sigma) ** 2, weighted_mean),
        ),
        Mistake(
            "this is one turn too many: after no turn the answer is the start",
            lambda x, start, sigma, steps: location_loop(x, start, sigma, steps + 1),
        ),
        Mistake(
            "you added up over the whole batch; each row of points has its own place",
            location_turns(
                residual_weight, lambda w, x, m: (w * x).sum() / w.sum() + np.zeros_like(m)
            ),
        ),
        Mistake(
            "you ignored the start and began at the mean",
            lambda x, start, sigma, steps: location_loop(x, x.mean(-1), sigma, steps),
        ),
    ),
    hints=(
        "A loop of `steps` turns with two lines in it: the weights at this m, the next m.",
        "x - m needs an axis for the points: m[..., None] has the shape (*, 1). Your function of "
        "part 2 gives the weights.",
        "The weighted mean is (w * x).sum(axis=-1) / w.sum(axis=-1). Begin with m = start and "
        "return m behind the loop.",
    ),
    builds_on=("geman_mcclure_weight",),
)

# ---------------------------------------------------------------------------- huber


def huber_cases(generator: np.random.Generator) -> list[Case]:
    draw = generator.normal
    delta = float(generator.uniform(4, 12))
    return [
        Case("from -30 to 30 pixels", (np.linspace(-30.0, 30.0, 61), 8.0)),
        Case("residuals of both signs", (15 * draw(size=12), delta)),
        Case("no residual", (np.zeros(3), delta)),
        Case("one number", (np.array(-25.0), 10.0)),
        Case("just at delta, and beside it", (np.array([7.99, 8.0, 8.01, -8.0]), 8.0)),
        Case("a delta below one", (draw(size=6), 0.3)),
        Case("batch axes (2, 3)", (20 * draw(size=(2, 3, 2)), delta)),
        Case("float32", ((20 * draw(size=(4, 2))).astype(np.float32), delta)),
        Case("an empty batch", (np.zeros((0, 2)), delta)),
    ]


def huber_by_splitting(r, delta):
    """The least of (r - y)^2 + 2 delta |y| over y, which is what r has beyond delta."""
    y = np.sign(r) * np.maximum(np.abs(r) - delta, 0)
    return (r - y) ** 2 + 2 * delta * np.abs(y)


def huber_by_pull(r, delta):
    """Twice the area under the pull, which is r clipped at delta: a triangle, then a strip."""
    inner = np.minimum(np.abs(r), delta)
    return inner**2 + 2 * delta * (np.abs(r) - inner)


def huber_loop(r, delta):
    out = [x * x if abs(x) < delta else delta * (2 * abs(x) - delta) for x in r.ravel().tolist()]
    return np.array(out, float).reshape(r.shape)


huber = Exercise(
    "huber",
    huber_cases,
    alternatives=(huber_by_splitting, huber_by_pull, huber_loop),
    mistakes=(
        Mistake(
            "this is half of it, the other convention; here the cost is r^2 near zero",
            lambda r, delta: huber_by_pull(r, delta) / 2,
        ),
        Mistake(
            "negative residuals never reach delta in your comparison",
            lambda r, delta: np.where(r <= delta, r**2, 2 * delta * r - delta**2),
        ),
        Mistake(
            "the cost jumps where the line begins",
            lambda r, delta: np.where(np.abs(r) <= delta, r**2, 2 * delta * np.abs(r)),
        ),
        Mistake(
            "your line reaches the right height at zero, not at delta, so the cost jumps",
            lambda r, delta: np.where(np.abs(r) <= delta, r**2, 2 * delta * np.abs(r) + delta**2),
        ),
        Mistake(
            "on the negative side your line falls below zero: a sign is left in it",
            lambda r, delta: np.where(np.abs(r) <= delta, r**2, 2 * delta * r - delta**2),
        ),
        Mistake(
            "this is the line everywhere; near zero the cost is the square",
            lambda r, delta: 2 * delta * np.abs(r) - delta**2,
        ),
        Mistake(
            "the line begins at the right height, but with half the slope: there is a corner",
            lambda r, delta: np.where(np.abs(r) <= delta, r**2, delta * np.abs(r)),
        ),
        Mistake(
            "the cost doesn't grow any more beyond delta; this is a truncated square",
            lambda r, delta: np.minimum(r**2, delta**2),
        ),
        Mistake(
            "you compared the squared residual with delta itself",
            lambda r, delta: np.where(r**2 <= delta, r**2, 2 * delta * np.abs(r) - delta**2),
        ),
        Mistake(
            "the line is there, but the square goes on instead of it: you have them in the wrong "
            "places",
            lambda r, delta: np.where(np.abs(r) > delta, r**2, 2 * delta * np.abs(r) - delta**2),
        ),
        Mistake(
            "your two halves don't meet: half of the square goes with a line for the whole",
            lambda r, delta: np.where(
                np.abs(r) <= delta, r**2 / 2, 2 * delta * np.abs(r) - delta**2
            ),
        ),
    ),
    hints=(
        "At |r| = delta the square has the value delta^2 and the slope 2 delta. Which line has too?",
        "np.where(condition, a, b) chooses for each number, also where r is a single one, into "
        "which no mask can write. The condition is about |r|.",
        "Beyond delta the line is 2 * delta * np.abs(r) - delta**2.",
    ),
    drawing="curve",
)

# ---------------------------------------------------------------------------- person_height


def height_cases(generator: np.random.Generator) -> list[Case]:
    uniform = generator.uniform
    example = np.array([[300.0, 200.0], [340.0, 520.0], [310.0, 900.0], [0.0, 0.0]])

    def person(*batch, stretch=(120.0, 400.0)):
        """Points about (700, 600), every fifth of them not found."""
        xy = np.array([700.0, 600.0]) + np.array(stretch) * uniform(-1, 1, size=(*batch, 25, 2))
        confidence = uniform(0.3, 1, size=(*batch, 25))
        xy[..., ::5, :], confidence[..., ::5] = 0, 0
        return xy, confidence

    lying = person(stretch=(400.0, 100.0))
    weak, weak_confidence = person()
    weak_confidence[3], weak[3] = 0.05, (40.0, 1700.0)
    missing = person(3)
    missing[1][1] = 0
    return [
        Case("three points seen, one not", (example, np.array([0.9, 0.8, 0.9, 0.0]))),
        Case("a person of 25 points", person()),
        Case("somebody who lies", lying),
        Case("a faint point far away", (weak, weak_confidence)),
        Case("batch axes (2, 3)", person(2, 3)),
        Case("nothing is seen of one of three", missing),
        Case("one point only", (example[:1], np.array([0.9]))),
        Case("float32", tuple(x.astype(np.float32) for x in person(4))),
    ]


def height_loop(xy, confidence):
    out = np.zeros(xy.shape[:-2])
    for index in np.ndindex(out.shape):
        seen = xy[index][confidence[index] > 0.1]
        if len(seen):
            out[index] = max(np.ptp(seen[:, 0]), np.ptp(seen[:, 1]))
    return out


def height_by_differences(xy, confidence):
    """The largest difference of two seen points along either axis."""
    both = (confidence > 0.1)[..., :, None] & (confidence > 0.1)[..., None, :]
    apart = np.abs(xy[..., :, None, :] - xy[..., None, :, :]) * both[..., None]
    return apart.max(axis=(-3, -2, -1))


def seen_box(xy, confidence, threshold=0.1):
    """Width and height (*, 2) of the box; zero where nothing is seen."""
    seen = (confidence > threshold)[..., None]
    size = np.where(seen, xy, -np.inf).max(-2) - np.where(seen, xy, np.inf).min(-2)
    return np.where(np.isfinite(size), size, 0.0)


def height_centred(xy, confidence):
    """Twice the largest distance from the mean point, along either axis."""
    seen = (confidence > 0.1)[..., None]
    mean = (seen * xy).sum(-2) / seen.sum(-2)
    return 2 * (np.abs(xy - mean[..., None, :]) * seen).max(axis=(-2, -1))


person_height = Exercise(
    "person_height",
    height_cases,
    alternatives=(height_loop, height_by_differences),
    mistakes=(
        Mistake(
            "points that were not found lie at (0, 0), and your box reaches there",
            lambda xy, confidence: np.ptp(xy, axis=-2).max(-1),
        ),
        Mistake(
            "this is the vertical side; of somebody who lies the other one is longer",
            lambda xy, confidence: seen_box(xy, confidence)[..., 1],
        ),
        Mistake(
            "this is the diagonal of the box",
            lambda xy, confidence: np.linalg.norm(seen_box(xy, confidence), axis=-1),
        ),
        Mistake(
            "this is the shorter side of the box",
            lambda xy, confidence: seen_box(xy, confidence).min(-1),
        ),
        Mistake(
            "you count every point with a confidence above zero as seen",
            lambda xy, confidence: seen_box(xy, confidence, 0.0).max(-1),
        ),
        Mistake(
            "you multiplied the points by their confidence, which moves them towards (0, 0)",
            lambda xy, confidence: np.ptp(xy * confidence[..., None], axis=-2).max(-1),
        ),
        Mistake(
            "your box begins at the corner of the picture: a zero in an unseen point's stead is a "
            "place, too",
            lambda xy, confidence: (xy * (confidence > 0.1)[..., None]).max(axis=(-2, -1)),
        ),
        Mistake("people aren't symmetric about the mean of their points", height_centred),
    ),
    hints=(
        "The box's sides are the largest minus the smallest coordinate, among the seen points only.",
        "A batch has different numbers of seen points in each row, so don't cut them out: replace "
        "unseen ones by a value that no minimum or no maximum would choose, np.inf or -np.inf.",
        "np.where((confidence > LEAST_CONFIDENCE)[..., None], xy, np.inf).min(axis=-2) is the upper "
        "left corner. Where nothing is seen the sides come out as -inf: np.maximum(..., 0).",
    ),
)

# ---------------------------------------------------------------------------- reprojection_energy


def energy_cases(generator: np.random.Generator) -> list[Case]:
    draw, uniform = generator.normal, generator.uniform
    f, c = np.array([1100.0, 1100.0]), np.array([540.0, 960.0])

    def scene(*batch, off=12.0, lens=(f, c)):
        """People about 4 m away and detections so many pixels off."""
        X = np.array([0.3, 0.4, 0.3]) * draw(size=(*batch, 8, 3)) + np.array([0.1, 0.0, 4.0])
        xy = lens[0] * X[..., :2] / X[..., 2:] + lens[1] + off * draw(size=(*batch, 8, 2))
        confidence = uniform(0.2, 1.0, size=(*batch, 8))
        return X, xy, confidence, uniform(300, 700, size=batch), *lens

    example = (
        np.array([[0.0, 0.0, 4.0]]),
        np.array([[500.0, 410.0]]),
        np.array([0.5]),
        np.array(400.0),
        np.array([1000.0, 1000.0]),
        np.array([500.0, 400.0]),
    )
    unseen = scene()
    unseen[1][2:4], unseen[2][2:4] = 0, 0
    X = np.array([[0.25, 0.5, 2.0], [-0.5, 0.25, 4.0]])
    fits = (X, np.array([[665.0, 1210.0], [415.0, 1022.5]]), np.ones(2), np.array(400.0))
    lens = np.array([1000.0, 1000.0]), np.array([540.0, 960.0])
    oblong = np.array([1300.0, 900.0]), np.array([600.0, 350.0])
    return [
        Case("one point, 10 pixels off", example),
        Case("a body of 8 points", scene()),
        Case("the gradient of that", scene(), gradients=(0,)),
        Case("points that fit exactly, and their gradient", (*fits, *lens), gradients=(0,)),
        Case("two points not found", unseen, gradients=(0,)),
        Case("outliers of hundreds of pixels", scene(off=300.0), gradients=(0,)),
        Case("batch axes (2, 3)", scene(2, 3), gradients=(0,)),
        Case("two focal lengths", scene(2, lens=oblong), gradients=(0,)),
        Case("float32", tuple(x.astype(np.float32) for x in scene(3, off=40.0)), gradients=(0,)),
    ]


def energy_by_matrix(X, xy, confidence, height, f, c):
    """Homogeneous pixels by the camera's matrix; all coordinates in one row."""
    K = torch.diag(torch.cat([f, f.new_ones(1)]))
    K = K + torch.nn.functional.pad(c[:, None], (2, 0, 0, 1))
    pixels = X @ K.T
    r = (pixels[..., :2] / pixels[..., 2:] - xy).flatten(-2) * (200 / height[..., None])
    squares = confidence.square().repeat_interleave(2, dim=-1)
    return torch.einsum("...k,...k->...", squares, rho(r, 25.0))


def energy_loop(X, xy, confidence, height, f, c):
    """A person, a point and a coordinate at a time; sigma is in the picture's pixels here."""
    K, energies = X.shape[-2], []
    rows = X.reshape(-1, K, 3), xy.reshape(-1, K, 2), confidence.reshape(-1, K), height.reshape(-1)
    for points, seen, trust, tall in zip(*rows, strict=True):
        scale, total = 200 / tall, 0.0
        for i in range(K):
            for axis in range(2):
                u = f[axis] * points[i, axis] / points[i, 2] + c[axis]
                total = total + trust[i] ** 2 * rho(u - seen[i, axis], 25.0 / scale) * scale**2
        energies.append(total)
    return torch.stack(energies).reshape(height.shape)


def offsets(X, xy, height, f, c):
    """The scaled residuals."""
    return 200 / height[..., None, None] * (f * X[..., :2] / X[..., 2:] + c - xy)


def energy_with(cost=None, squares=torch.square, off=offsets):
    """A wrong energy: other costs (*, K) of residuals, other weights, other residuals."""

    def energy(X, xy, confidence, height, f, c):
        r = off(X, xy, height, f, c)
        costs = rho(r, 25.0).sum(-1) if cost is None else cost(r)
        return (squares(confidence) * costs).sum(-1)

    return energy


def energy_confidence_inside(X, xy, confidence, height, f, c):
    r = confidence[..., None] * offsets(X, xy, height, f, c)
    return rho(r, 25.0).sum((-2, -1))


def energy_scaled_outside(X, xy, confidence, height, f, c):
    r = f * X[..., :2] / X[..., 2:] + c - xy
    return 200 / height * (confidence[..., None] ** 2 * rho(r, 25.0)).sum((-2, -1))


def energy_detached(X, xy, confidence, height, f, c):
    return energy_with()(X.detach(), xy, confidence, height, f, c)


def one_depth(X, xy, height, f, c):
    depth = X[..., 2:].mean(dim=-2, keepdim=True)
    return 200 / height[..., None, None] * (f * X[..., :2] / depth + c - xy)


reprojection_energy = Exercise(
    "reprojection_energy",
    energy_cases,
    alternatives=(energy_by_matrix, energy_loop),
    mistakes=(
        Mistake(
            "the confidence enters once, so a doubtful point counts too much",
            energy_with(squares=lambda confidence: confidence),
        ),
        Mistake(
            "you ignored the confidence, so points that were not found count in full",
            energy_with(squares=torch.ones_like),
        ),
        Mistake(
            "you took one cost for each point, of its distance; here each coordinate has its own",
            energy_with(cost=lambda r: rho(r.norm(dim=-1), 25.0)),
        ),
        Mistake(
            "your confidence stands inside rho, where it makes outliers look near",
            energy_confidence_inside,
        ),
        Mistake(
            "these are pixels of the picture, so sigma means something else for every photo",
            energy_with(off=lambda X, xy, height, f, c: f * X[..., :2] / X[..., 2:] + c - xy),
        ),
        Mistake(
            "you scaled the energy; sigma is in pixels of the scaled residual",
            energy_scaled_outside,
        ),
        Mistake(
            "you took the scale out of rho as a square, but rho isn't a square",
            lambda *inputs: 200 / inputs[3] * energy_scaled_outside(*inputs),
        ),
        Mistake(
            "your cost saturates at one, another convention",
            energy_with(cost=lambda r: rho(r, 25.0).sum(-1) / 25.0**2),
        ),
        Mistake(
            "you didn't divide by the depth: everybody looks the same size from anywhere",
            energy_with(
                off=lambda X, xy, height, f, c: (
                    200 / height[..., None, None] * (f * X[..., :2] + c - xy)
                )
            ),
        ),
        Mistake(
            "these are plain squares: a single outlier outweighs the body",
            energy_with(cost=lambda r: r.square().sum(-1)),
        ),
        Mistake(
            "you left out the principal point, as if pixels were counted from it",
            energy_with(off=lambda X, xy, height, f, c: offsets(X, xy, height, f, 0 * c)),
        ),
        Mistake(
            "you divided by one depth for the whole body; every point has its own",
            energy_with(off=one_depth),
        ),
        Mistake(
            "this is a mean over the points; the energy is their sum",
            lambda *inputs: energy_with()(*inputs) / inputs[0].shape[-2],
        ),
        Mistake("your answer leaves torch or is detached, so no gradient arrives", energy_detached),
        Mistake(
            "the scale is upside down: a person twice as tall makes your residual larger",
            energy_with(off=lambda X, xy, height, f, c: offsets(X, xy, 200**2 / height, f, c)),
        ),
    ),
    hints=(
        "Three lines: where the points land, the scaled residual of each coordinate, the weighted "
        "sum. Write the shape of each as a comment first.",
        "X[..., 2:] keeps an axis, so it divides X[..., :2]; height[..., None, None] stands against "
        "(*, K, 2). Squares need no root: a norm has no gradient at zero.",
        "With rho of shape (*, K, 2): (confidence**2 * rho.sum(dim=-1)).sum(dim=-1).",
    ),
    framework="torch",
)

EXERCISES = (
    geman_mcclure,
    geman_mcclure_weight,
    robust_location,
    huber,
    person_height,
    reprojection_energy,
)
