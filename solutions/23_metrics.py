# %% [markdown]
# # Sheet 23 · Metrics
#
# **You practise** measuring how far a predicted pose is from the true one: about a root, within a
# threshold, after the best alignment, and in motion. And you see what each number can't see.
#
# **You need** numpy; notebook 02 helps with part 3. **Points**: 15. **Time**: 75 minutes. &nbsp;
# [Open in Colab]({{colab}})
#
# Write each function where it says so and run its cell; the cell below it checks it at once.
# `hint(mpjpe)` gives the next of three hints. Joints are in metres, `(*, J, 3)`: `*` stands for
# any leading batch axes, none, one, or more of them. Tables in papers print millimetres; the
# functions here stay with metres.
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

sheet = open_sheet("23_metrics")
check, hint = sheet.check, sheet.hint

# %%
from functools import cache


@cache
def two_poses():
    """The joints (24, 3) of the course's body at rest and bent, for pictures."""
    import torch

    from vhlib.body import SMPL
    from vhlib.body.skeletons import SMPL_24
    from vhlib.geometry import axis_angle_to_matrix

    smpl, turns = SMPL.load(), torch.zeros(24, 3)
    turns[SMPL_24.index("left_shoulder"), 2] = -0.6  # the arm down
    turns[SMPL_24.index("right_hip"), 0] = -0.7  # the leg forward
    turns[0, 0] = 0.25  # and the whole body leans
    turned = axis_angle_to_matrix(turns)
    bent = smpl.keypoints("smpl_24", body_pose=turned[1:], global_orient=turned[0])
    return smpl.keypoints("smpl_24").numpy(), bent.numpy()


# %% tags=["given"]
import numpy as np

# %% [markdown]
# ## 1. The mean error per joint
# **2 points · difficulty 1 of 5 · 10 minutes**
#
# One picture doesn't tell how far away somebody stands. So a pose is measured *about its root*: a
# joint, or the middle of several, such as both hips. Both poses are shifted until their own root is
# at the origin; the error of joint $j$ is then a length, and MPJPE (mean per joint position error)
# is the mean over all joints, those of the root among them:
#
# $$e_j = \lVert (x_j - r_x) - (y_j - r_y) \rVert, \qquad
# \mathrm{MPJPE} = \frac{1}{J} \sum_j e_j .$$
#
# Here $x$ is the prediction, $y$ the truth, and $r_x$, $r_y$ are the means of their root joints.
#
# `mpjpe(pred, gt, roots)`: `(*, J, 3)` twice, and an array of the indices of the root joints →
# `(*)`, metres. Each pose has its own error.
#
# *Example*: `gt` is all zeros, `pred` is `[[1, 0, 0], [1, 0, 0], [1, 3, 4]]`. With
# `roots = np.array([0])` only the last joint is off, by 5, and the error is 5/3 = 1.6667. With
# `roots = np.array([0, 2])` the root of the prediction is (1, 1.5, 2), each joint is off by 2.5,
# and so is their mean.


# %% nbgrader={"grade": false, "grade_id": "mpjpe", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mpjpe(pred, gt, roots):
    """Mean distance (*) of joints (*, J, 3) after the mean of the joints ``roots`` is taken off."""
    ### BEGIN SOLUTION
    pred = pred - pred[..., roots, :].mean(axis=-2, keepdims=True)
    gt = gt - gt[..., roots, :].mean(axis=-2, keepdims=True)
    return np.linalg.norm(pred - gt, axis=-1).mean(axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mpjpe_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(mpjpe)

# %% [markdown]
# Two papers that report MPJPE on the same joints may still differ in the root. This cell bends the
# course's body and asks for the error about several roots.
#
# *Expected*: three different numbers, from 127 to 153 mm, for one and the same prediction.

# %%
if sheet.ready(mpjpe):
    from vhlib.body.skeletons import SMPL_24

    rest, bent = two_poses()
    for names in (["pelvis"], ["left_hip", "right_hip"], ["neck"]):
        error = mpjpe(bent, rest, np.array(SMPL_24.indices(*names)))
        print(f"about {' and '.join(names):23} {1000 * error:6.1f} mm")

# %% [markdown]
# ## 2. How many joints are near enough
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# A mean hides whether all joints are a little off or one is far off. PCK (percentage of correct
# keypoints) counts: the share of joints whose error is **at most** a threshold $\tau$. Over many
# thresholds it is a curve that rises towards 1. Its "area" AUC is the plain **mean** of the
# curve over the thresholds, as the benchmark MPI-INF-3DHP defines it (there 31 thresholds from 0 to
# 150 mm). So it is a share too, from 0 to 1.
#
# $$\mathrm{PCK}(\tau) = \frac{1}{J} \sum_j [\, e_j \le \tau \,], \qquad
# \mathrm{AUC} = \frac{1}{T} \sum_t \mathrm{PCK}(\tau_t) .$$
#
# `pck_and_auc(errors, thresholds)`: the errors `(*, J)` of the joints, thresholds `(T,)`, both in
# metres → a tuple of the curve `(*, T)` and its AUC `(*)`.
#
# *Example*: for `errors = np.array([0.02, 0.15, 0.3])` and `thresholds = np.array([0.15, 0.3])`
# the curve is `[0.6667, 1]` and the AUC 0.8333.
#
# *Expected picture*: a curve that never falls, yours dashed on the expected one.


# %% nbgrader={"grade": false, "grade_id": "pck_and_auc", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pck_and_auc(errors, thresholds):
    """Shares (*, T) of errors (*, J) at most each threshold (T,), and their mean (*)."""
    ### BEGIN SOLUTION
    curve = (errors[..., None, :] <= thresholds[:, None]).mean(axis=-1)
    return curve, curve.mean(axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "pck_and_auc_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(pck_and_auc)

# %%
sheet.draw(pck_and_auc)

# %% [markdown]
# ## 3. The best rotation
# **4 points · difficulty 4 of 5 · 20 minutes**
#
# Two sets of points $x_j$ and $y_j$, each with its mean at the origin. Which rotation brings the
# first nearest to the second, in the sum of squares $\sum_j \lVert R x_j - y_j \rVert^2$? Expanded,
# only the term $-2 \sum_j y_j \cdot R x_j = -2\, \mathrm{tr}(R^\top M)$ depends on $R$, with the
# 3×3 matrix
#
# $$M = \sum_j y_j x_j^\top = U\, \mathrm{diag}(\sigma_1, \sigma_2, \sigma_3)\, V^\top, \qquad
# \sigma_1 \ge \sigma_2 \ge \sigma_3 \ge 0 .$$
#
# The largest trace that an *orthogonal* matrix reaches is $\sigma_1 + \sigma_2 + \sigma_3$, at
# $U V^\top$. If the determinant of that matrix is $-1$, it mirrors, and no body can be mirrored
# into place. Then the best rotation gives up the direction that costs least, the one of $\sigma_3$:
#
# $$R = U\, \mathrm{diag}(1, 1, d)\, V^\top, \qquad d = \det(U V^\top) = \pm 1 .$$
#
# `best_rotation(x, y)`: `(*, J, 3)` twice, centred → `(*, 3, 3)`, of determinant +1. In a batch,
# some pairs may be mirrored and others not.
#
# *Example*: `x` has the six points ±(3, 0, 0), ±(0, 2, 0), ±(0, 0, 1). If `y` is `x` after a
# quarter turn about z, that turn is the answer: `[[0, -1, 0], [1, 0, 0], [0, 0, 1]]`. If `y` is `x`
# with its *first* coordinate mirrored, the answer is `diag(-1, 1, -1)`: x must be flipped, and z,
# where the points reach least, is flipped along with it.
#
# *Expected picture*: the turned axes, yours dashed on the expected ones.


# %% nbgrader={"grade": false, "grade_id": "best_rotation", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_rotation(x, y):
    """Rotations (*, 3, 3) that bring centred points x (*, J, 3) nearest to y (*, J, 3)."""
    ### BEGIN SOLUTION
    U, _, Vt = np.linalg.svd(np.swapaxes(y, -1, -2) @ x)
    signs = np.ones(U.shape[:-1])
    signs[..., 2] = np.linalg.det(U @ Vt)
    return (U * signs[..., None, :]) @ Vt
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "best_rotation_check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check(best_rotation)

# %%
sheet.draw(best_rotation)

# %% [markdown]
# ## 4. The best similarity
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# Now also a scale $s$ and a shift $t$ are free (Procrustes alignment):
#
# $$\min_{s,\, R,\, t}\ \sum_j \lVert s R\, x_j + t - y_j \rVert^2 .$$
#
# The derivative by $t$ is zero if the mean of the prediction goes to the mean of the truth. So
# centre both, $x'_j = x_j - \bar x$ and $y'_j = y_j - \bar y$, and find $R$ by part 3. The
# derivative by $s$ is zero at
#
# $$s = \frac{\sum_j y'_j \cdot R\, x'_j}{\sum_j \lVert x'_j \rVert^2},
# \qquad \text{and the aligned joints are } s R\, x'_j + \bar y .$$
#
# This scale is *not* the ratio of the two sizes: where the poses differ, it is smaller.
#
# `procrustes_aligned(pred, gt)`: `(*, J, 3)` twice → `(*, J, 3)`, the moved prediction, each pose
# with a similarity of its own. Use `best_rotation`.
#
# *Example*: `pred` is `[[0, 0, 0], [2, 0, 0], [0, 4, 0], [0, 0, 2]]`, `gt` the same turned by a
# quarter about z, half as large, and 1 m farther along z. The answer is `gt`:
# `[[0, 0, 1], [0, 1, 1], [-2, 0, 1], [0, 0, 2]]`.
#
# *Expected picture*: your points as crosses in the circles of the expected ones.


# %% nbgrader={"grade": false, "grade_id": "procrustes_aligned", "locked": false, "schema_version": 3, "solution": true, "task": false}
def procrustes_aligned(pred, gt):
    """Joints pred (*, J, 3) moved by the similarity that brings them nearest to gt (*, J, 3)."""
    ### BEGIN SOLUTION
    middle = gt.mean(axis=-2, keepdims=True)
    x, y = pred - pred.mean(axis=-2, keepdims=True), gt - middle
    turned = x @ np.swapaxes(best_rotation(x, y), -1, -2)
    agreement = (turned * y).sum(axis=(-2, -1), keepdims=True)
    scale = agreement / (x * x).sum(axis=(-2, -1), keepdims=True)
    return scale * turned + middle
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "procrustes_aligned_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(procrustes_aligned)

# %%
sheet.draw(procrustes_aligned)

# %% [markdown]
# ## 5. The error that is left
# **1 point · difficulty 1 of 5 · 5 minutes**
#
# PA-MPJPE, also called the reconstruction error, is the mean distance of the joints after that
# alignment. No root is needed any more: the alignment has shifted the pose already.
#
# `pa_mpjpe(pred, gt)`: `(*, J, 3)` twice → `(*)`, metres.
#
# *Example*: for the two poses of the example above it is 0.


# %% nbgrader={"grade": false, "grade_id": "pa_mpjpe", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pa_mpjpe(pred, gt):
    """Mean distance (*) of joints (*, J, 3) after each pose is aligned by its best similarity."""
    ### BEGIN SOLUTION
    return np.linalg.norm(procrustes_aligned(pred, gt) - gt, axis=-1).mean(axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "pa_mpjpe_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(pa_mpjpe)

# %% [markdown]
# What does PA-MPJPE forgive? Four wrong predictions of the bent body. **Predict first**: for which
# of them does PA-MPJPE drop to zero?

# %%
if sheet.ready(mpjpe, pa_mpjpe):
    import torch
    from matplotlib.figure import Figure

    from vhlib.geometry import axis_angle_to_matrix
    from vhlib.notebook.figures import show
    from vhlib.notebook.palette import BLUE, VERMILLION

    rest, bent = two_poses()
    lean = axis_angle_to_matrix(torch.tensor([0.5, 0.0, 0.0])).numpy()
    errors = {
        "a tenth too small": 0.9 * bent,
        "leaning by 29°": bent @ lean.T,
        "mirrored": bent * [-1, 1, 1],
        "at rest": rest,
    }
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes, place = figure.subplots(), np.arange(4)
    before = [1000 * mpjpe(wrong, bent, np.array([0])) for wrong in errors.values()]
    after = [1000 * pa_mpjpe(wrong, bent) for wrong in errors.values()]
    axes.barh(place - 0.2, before, 0.38, color=BLUE, label="MPJPE")
    axes.barh(place + 0.2, after, 0.38, color=VERMILLION, hatch="//", label="PA-MPJPE")
    axes.set(yticks=place, yticklabels=errors, xlabel="mm")
    axes.invert_yaxis()
    axes.legend(frameon=False)
    show(
        figure,
        alt="Two bars for each of four wrong predictions. PA-MPJPE is zero for a body that is too "
        "small or leans; for a mirrored body and one at rest it is smaller than MPJPE, not zero.",
    )

# %% [markdown]
# It forgives size, and which way the whole body faces or leans. A pose that floats tilted in the
# air scores like one that stands. So the two numbers aren't variants of one: on the benchmark 3DPW
# the network SPIN has an MPJPE of 96.9 mm and a PA-MPJPE of 59.2. A list that mixes both ranks
# methods by which number they printed. Even the order may change: on MPI-INF-3DHP, VNect has the
# better AUC before alignment (40.4 % against SPIN's 37.1), SPIN after it (55.6 against 47.3).
#
# And the alignment minimises *squares*: PA-MPJPE is nearly always below MPJPE, but nothing
# guarantees it.
#
# ## 6. Errors in motion
# **3 points · difficulty 2 of 5 · 15 minutes**
#
# A video may be right on the whole in each frame and still tremble. The acceleration of a joint at
# frame $t$ is its second difference, times the square of the frame rate $f$:
#
# $$a_t = f^2 \, (x_{t-1} - 2 x_t + x_{t+1}), \qquad t = 1, \dots, T - 2,$$
#
# with frames counted from 0. The acceleration error is the mean of
# $\lVert a_t^{\text{pred}} - a_t^{\text{gt}} \rVert$ over these frames and all joints. Tables print
# it with $f = 1$, in mm per frame², where the same two motions, if they are smooth, score about a
# quarter when filmed at twice the rate. (VIBE's evaluation takes the root off each frame first. Here
# positions are used as they are given.)
#
# `acceleration_error(pred, gt, fps)`: `(*, T, J, 3)` twice, frames per second → `(*)` in m/s².
#
# *Example*: three joints at rest for five frames, and a prediction in which the first of them jumps
# by 0.01 m in frame 2 and back in frame 3. That joint's accelerations are 0.01, -0.02 and 0.01 m
# per frame², so the mean over 3 frames and 3 joints is 0.04/9 = 0.004444; at 30 frames per second,
# 4 m/s².


# %% nbgrader={"grade": false, "grade_id": "acceleration_error", "locked": false, "schema_version": 3, "solution": true, "task": false}
def acceleration_error(pred, gt, fps):
    """Mean distance (*) in m/s² of two accelerations of joints (*, T, J, 3), fps frames a second."""
    ### BEGIN SOLUTION
    wrong = fps**2 * np.diff(pred - gt, n=2, axis=-3)
    return np.linalg.norm(wrong, axis=-1).mean(axis=(-2, -1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "acceleration_error_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(acceleration_error)

# %% [markdown]
# The course's body goes to stand on one leg and comes back, in 100 frames at 60 per second. Three
# predictions: one trembles by 5 mm on each axis, one is shifted by 10 cm, one is frozen in the
# middle. **Predict first** how they rank by either error.

# %%
if sheet.ready(mpjpe, acceleration_error):
    from matplotlib.figure import Figure

    from vhlib.data.four_cameras import LIMB_JOINTS
    from vhlib.notebook.clips import stand_in_clip
    from vhlib.notebook.figures import show
    from vhlib.notebook.palette import BLUE, ORANGE

    true = stand_in_clip().truth().numpy()  # (100, 12, 3)
    tremble = np.random.default_rng(0).normal(scale=0.005, size=true.shape)
    motions = {
        "trembling": true + tremble,
        "shifted": true + np.array([0.1, 0, 0]),
        "frozen": np.broadcast_to(true[50], true.shape),
    }
    hips = np.array([LIMB_JOINTS.index(name) for name in ("left_hip", "right_hip")])
    figure = Figure(figsize=(7, 3), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    left.barh(
        [*motions], [1000 * mpjpe(m, true, hips).mean() for m in motions.values()], color=BLUE
    )
    right.barh(
        [*motions], [acceleration_error(m, true, 60) for m in motions.values()], color=ORANGE
    )
    left.set(xlabel="MPJPE about the hips, mm")
    right.set(xlabel="acceleration error, m/s²")
    left.invert_yaxis()
    show(
        figure,
        alt="Bars for three predictions. The shifted one has neither error. The trembling one has "
        "a small MPJPE and a large acceleration error, the frozen one the other way round.",
    )

# %% [markdown]
# A frozen body errs by the truth's own acceleration and no more, so a small acceleration error is
# no praise without a small MPJPE beside it. And both numbers are blind to the shift.
#
# ## Hand in
#
# Save the notebook and hand in this one file. In Colab the next cell downloads it.

# %%
sheet.summary()
