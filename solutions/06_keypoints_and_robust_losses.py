# %% [markdown]
# # Sheet 06 · Keypoints and robust losses
#
# **You practise** writing robust functions and the weight with which one lets a residual count,
# finding a place among points of which some are wrong, and writing the energy that compares a body
# with detected points, with a gradient that a fit can follow.
#
# **You need** notebook 06. **Points**: 15. **Time**: 75 minutes. &nbsp; [Open in Colab]({{colab}})
#
# Write each function where it says so and run its cell; the cell below it checks it at once.
# `hint(huber)` gives the next of three hints. All functions take any leading batch axes: `*` below
# stands for none, one, or more of them.
#
# {{graded}}

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vhlib") is None:  # in Colab, for instance
    install = [sys.executable, "-m", "pip", "install", "--quiet", "git+{{repository}}"]
    subprocess.run(install, check=True)

from vhlib.course.checks import open_sheet

sheet = open_sheet("06_keypoints_and_robust_losses")
check, hint = sheet.check, sheet.hint

# %% tags=["given"]
import numpy as np
import torch

LEAST_CONFIDENCE = 0.1  # a point counts as seen above it
PERSON_HEIGHT = 200.0  # pixels: residuals are measured as if everybody were so tall
SIGMA = 25.0  # of Geman-McClure in the energy, in pixels of such a person

# %% [markdown]
# ## 1. A cost that saturates
# **2 points · difficulty 1 of 5 · 8 minutes**
#
# The function of Geman and McClure is about $r^2$ for a small residual and never exceeds
# $\sigma^2$:
#
# $$\rho(r^2) = \frac{\sigma^2 r^2}{\sigma^2 + r^2} .$$
#
# `geman_mcclure(r, sigma)`: residuals `r` `(*)` in pixels, either sign; `sigma`, a number, in
# pixels → `(*)`, pixels squared. Each residual by itself: nothing is summed.
#
# *Example*: `geman_mcclure(np.array([0.0, 3.0, -100.0]), 100.0)` is `[0, 8.9919, 5000]`: near zero
# almost the square, at $|r| = \sigma$ half of what it can ever be.
#
# *Expected picture*: a valley with its floor at zero whose slopes level off.


# %% nbgrader={"grade": false, "grade_id": "geman_mcclure", "locked": false, "schema_version": 3, "solution": true, "task": false}
def geman_mcclure(r, sigma):
    """Cost (*) in pixels squared of residuals (*) in pixels; at most sigma squared."""
    ### BEGIN SOLUTION
    r2 = r**2
    return sigma**2 * r2 / (sigma**2 + r2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "geman_mcclure_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(geman_mcclure)

# %%
sheet.draw(geman_mcclure)

# %% [markdown]
# ## 2. How much a residual still counts
# **2 points · difficulty 2 of 5 · 12 minutes**
#
# Squares pull with $2r$. A robust function pulls like a square whose weight depends on the
# residual:
#
# $$\frac{d \rho}{d r} = 2\, r\, w(r), \qquad w = \frac{d \rho}{d (r^2)} .$$
#
# Differentiate $\rho$ by its argument $r^2$ to find $w$: one where the residual is zero, and falling
# to zero far away.
#
# `geman_mcclure_weight(r, sigma)`: `(*)` in pixels → `(*)`, a number without a unit. It must be
# right at $r = 0$ too.
#
# *Example*: for the residuals `[0, 50, 100, -200]` and `sigma = 100` it is `[1, 0.64, 0.25, 0.04]`.
#
# *Expected picture*: a bell with its top of one at zero.


# %% nbgrader={"grade": false, "grade_id": "geman_mcclure_weight", "locked": false, "schema_version": 3, "solution": true, "task": false}
def geman_mcclure_weight(r, sigma):
    """Weight (*) of residuals (*) in pixels: the derivative of the cost by the squared residual."""
    ### BEGIN SOLUTION
    return (sigma**2 / (sigma**2 + r**2)) ** 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "geman_mcclure_weight_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(geman_mcclure_weight)

# %%
sheet.draw(geman_mcclure_weight)

# %% [markdown]
# ## 3. Find the place
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# $N$ detections $x_i$ on a line are all of one place $m$, but some of them are wrong. Where is it?
# Where $E(m) = \sum_i \rho((x_i - m)^2)$ is least. There its derivative vanishes:
#
# $$\sum_i w(x_i - m)\,(x_i - m) = 0 .$$
#
# If the weights were known, $m$ would be a weighted mean. They depend on $m$, so take turns: compute
# the weights at the current $m$, then move $m$ to the mean with these weights, and so on. This is
# called *iteratively reweighted least squares*.
#
# `robust_location(x, start, sigma, steps)`: `x` `(*, N)` pixels, `start` `(*)` the first $m$,
# `sigma` in pixels, `steps` how many such turns → `(*)`, pixels. After no turn it is `start`.
#
# *Example*: for `x = np.array([-4, -1, 2, 5, 60.0])`, `start = np.array(12.4)` (the mean) and
# `sigma = 15.0` it is 2.1480 after one turn and 0.5708 after 20. From `start = np.array(60.0)` it
# stays near the wrong point: 59.0922 after 20.


# %% nbgrader={"grade": false, "grade_id": "robust_location", "locked": false, "schema_version": 3, "solution": true, "task": false}
def robust_location(x, start, sigma, steps):
    """Place (*) among points (*, N), pixels, after so many turns of reweighting from start (*)."""
    ### BEGIN SOLUTION
    m = start
    for _ in range(steps):
        w = geman_mcclure_weight(x - m[..., None], sigma)
        m = (w * x).sum(axis=-1) / w.sum(axis=-1)
    return m
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "robust_location_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(robust_location)

# %% [markdown]
# The energy of the example, and where your turns lead from two starts: with a cost that forgets
# outliers it can have more than one minimum.

# %%
if sheet.ready(geman_mcclure, geman_mcclure_weight, robust_location):
    from matplotlib.figure import Figure

    from vhlib.notebook.figures import show
    from vhlib.notebook.palette import BLUE, ORANGE, VERMILLION

    x, m = np.array([-4, -1, 2, 5, 60.0]), np.linspace(-15, 75, 400)
    figure = Figure(figsize=(7, 3.2))
    axes = figure.subplots()
    axes.plot(m, geman_mcclure(x - m[:, None], 15.0).sum(-1), color=BLUE)
    axes.plot(x, np.full(5, 1160.0), "k^", label="detections")
    for start, color in ((12.4, VERMILLION), (45.0, ORANGE)):
        path = np.array([robust_location(x, np.array(start), 15.0, turns) for turns in range(21)])
        energy = geman_mcclure(x - path[:, None], 15.0).sum(-1)
        axes.plot(path, energy, "o-", color=color, label=f"from {start}, to {path[-1]:.1f}")
    axes.set(xlabel="m in pixels", ylabel="E(m) in pixels squared", ylim=(100, 1250))
    axes.legend(loc="lower right")
    show(
        figure,
        alt="An energy with a deep dip near 1 and a shallow one near 59. One row of dots runs from "
        "12.4 into the deep dip; another runs from 45 into the shallow one.",
    )

# %% [markdown]
# ## 4. A cost that goes on as a line
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# Huber's function is the square up to $|r| = \delta$. From there it goes on as the straight line
# that has the same value and the same slope there. Find that line first. (Many texts have half of
# this function; here, as in the notebook, it begins as $r^2$.)
#
# `huber(r, delta)`: `r` `(*)` in pixels, either sign; `delta`, a number, in pixels → `(*)`, pixels
# squared.
#
# *Example*: `huber(np.array([0.0, 4.0, 8.0, -20.0]), 8.0)` is `[0, 16, 64, 256]`.
#
# *Expected picture*: a parabola that turns into two straight lines without a corner.


# %% nbgrader={"grade": false, "grade_id": "huber", "locked": false, "schema_version": 3, "solution": true, "task": false}
def huber(r, delta):
    """Cost (*) in pixels squared of residuals (*) in pixels: squares, beyond delta a line."""
    ### BEGIN SOLUTION
    distance = np.abs(r)
    return np.where(distance <= delta, r**2, 2 * delta * distance - delta**2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "huber_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(huber)

# %%
sheet.draw(huber)

# %% [markdown]
# ## 5. How tall in the picture
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# Residuals in pixels mean nothing until one knows how large the person is. The size of a person is
# the longer side of the upright box around the points that are *seen*, those whose confidence is
# above `LEAST_CONFIDENCE`. Detectors write a point that they did not find as $(0, 0)$ with
# confidence zero.
#
# `person_height(xy, confidence)`: `(*, K, 2)` pixels and `(*, K)` → `(*)`, pixels; zero where no
# point is seen.
#
# *Example*: seen points at (300, 200), (340, 520) and (310, 900), and one at (0, 0) with confidence
# zero: 700.


# %% nbgrader={"grade": false, "grade_id": "person_height", "locked": false, "schema_version": 3, "solution": true, "task": false}
def person_height(xy, confidence):
    """Longer side (*) in pixels of the box around the points (*, K, 2) that are seen."""
    ### BEGIN SOLUTION
    seen = (confidence > LEAST_CONFIDENCE)[..., None]
    low = np.where(seen, xy, np.inf).min(axis=-2)
    high = np.where(seen, xy, -np.inf).max(axis=-2)
    return np.maximum((high - low).max(axis=-1), 0)  # -inf where nothing is seen
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "person_height_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(person_height)

# %% [markdown]
# ## 6. The energy of a body's points
# **4 points · difficulty 4 of 5 · 20 minutes**
#
# A body's points $X_i = (X, Y, Z)_i$ stand in the axes of the camera, metres, x right, y down, z
# forward. Project them, subtract the detections $x_i$, and scale to a person `PERSON_HEIGHT` pixels
# tall, where $h$ is how tall the person is in the picture:
#
# $$r_i = \frac{200}{h} \left( f\, \frac{(X, Y)_i}{Z_i} + c - x_i \right), \qquad
# E_J = \sum_i c_i^2 \left[ \rho(r_{i,x}^2) + \rho(r_{i,y}^2) \right]$$
#
# with $\rho$ of Geman and McClure at `SIGMA`. The symbol $c$ has two meanings that papers keep: $c$
# alone is the principal point in pixels, $c_i$ is a confidence.
#
# `reprojection_energy(X, xy, confidence, height, f, c)`: tensors; `X` `(*, K, 3)` metres, `xy`
# `(*, K, 2)` pixels, `confidence` `(*, K)`, `height` `(*)` pixels, `f` and `c` `(2,)` pixels →
# `(*)`, one energy for each body. It is a PyTorch function: the gradient by `X` is checked too, and
# a point that fits exactly must give a gradient of zero, not NaN. Write $\rho$ out in it.
#
# *Example*: one point, `X = [[0, 0, 4]]`, seen at (500, 410) with confidence 0.5, a person 400
# pixels tall, `f = [1000, 1000]`, `c = [500, 400]`: it projects to (500, 400), the residual is
# (0, -5), and the energy 6.0096.


# %% nbgrader={"grade": false, "grade_id": "reprojection_energy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reprojection_energy(X, xy, confidence, height, f, c):
    """Energy (*) of points X (*, K, 3) in metres against detections xy (*, K, 2) in pixels."""
    ### BEGIN SOLUTION
    projected = f * X[..., :2] / X[..., 2:] + c
    r = PERSON_HEIGHT / height[..., None, None] * (projected - xy)
    r2 = r**2
    rho = SIGMA**2 * r2 / (SIGMA**2 + r2)
    return (confidence**2 * rho.sum(dim=-1)).sum(dim=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "reprojection_energy_check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check(reprojection_energy)

# %% [markdown]
# How hard does one detection pull at the body if it lies 0, 5, ... 400 pixels beside its place?
# This cell takes a body fitted to a frame, moves the detected right wrist sideways, and asks your
# energy for its gradient, all places at once as one batch.

# %% tags=["real_data"]
if sheet.ready(person_height, reprojection_energy):
    from matplotlib.figure import Figure

    from vhlib.body import SMPL
    from vhlib.body.skeletons import OPENPOSE_25B
    from vhlib.fitting import fit_smplify
    from vhlib.notebook.clips import load_clip
    from vhlib.notebook.figures import show_photo
    from vhlib.notebook.fit_figures import draw_keypoints, draw_picture
    from vhlib.notebook.palette import BLUE, VERMILLION

    clip, smpl = load_clip(), SMPL.load()
    seen, camera = clip.keypoints(1)[60], clip.cameras[1].in_own_frame()
    body = fit_smplify(smpl, camera, seen).body_parameters
    wrist, offset = OPENPOSE_25B.names.index("right_wrist"), torch.arange(0.0, 401.0, 5.0)
    X = smpl.keypoints("openpose_25b", **vars(body)).repeat(len(offset), 1, 1).requires_grad_()
    xy = camera.project(X.detach())  # every other point just where the body has it
    xy[:, wrist, 0] += offset
    height = float(person_height(seen.xy.numpy(), seen.confidence.numpy()))
    heights, confidence = torch.full_like(offset, height), torch.ones(xy.shape[:2])
    lens = camera.focal_length.expand(2), camera.principal_point
    reprojection_energy(X, xy, confidence, heights, *lens).sum().backward()

    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    draw_picture(left, clip.frame(1, 60), seen)
    draw_keypoints(left, seen)
    left.plot(*xy[::10, wrist].T, "x", color=VERMILLION, markeredgewidth=3, zorder=4)
    right.plot(offset, X.grad[:, wrist].norm(dim=-1), color=BLUE)
    right.axvline(SIGMA / 3**0.5 * height / PERSON_HEIGHT, color=VERMILLION, linestyle=":")
    right.set(xlabel="detection off by, pixels", ylabel="pull at the wrist, per metre")
    show_photo(
        figure,
        alt="Left: the man with his keypoints, and a row of crosses beside his right wrist. Right: "
        "the pull rises to a peak where the residual is sigma / sqrt 3, marked by a dotted line, "
        "and dies away.",
    )

# %% [markdown]
# ## Hand in
#
# Save the notebook and hand in this one file. In Colab the next cell downloads it.

# %%
sheet.summary()
