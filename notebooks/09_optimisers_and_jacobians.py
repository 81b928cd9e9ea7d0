# %% [markdown]
# # 09 · Optimisers and Jacobians
#
# **After this notebook you can** write a Gauss-Newton and a Levenberg-Marquardt step, derive how a
# keypoint moves with a joint, read the pattern of a Jacobian, and choose a solver by measuring.
#
# **You need** notebook 06, some linear algebra. **Time**: 45 minutes. &nbsp;
# [Open in Colab]({{colab}})

# %% tags=["real_data"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vhlib") is None:  # in Colab, for instance
    package = "vhlib[colab] @ git+{{repository}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

import time

import numpy as np
import torch
from ipywidgets import FloatLogSlider, FloatSlider
from matplotlib.figure import Figure

from vhlib.body import SMPL
from vhlib.body.skeletons import OPENPOSE_25B, SMPL_24
from vhlib.data.four_cameras import LIMB_JOINTS
from vhlib.fitting import COLD_START, GemanMcClure, PosedBody, Term, fit_smplify, load_pose_prior
from vhlib.fitting.energies import Bending, PosePrior, Reprojection, ShapePrior
from vhlib.fitting.posed_body import pack
from vhlib.fitting.solvers import CMAES, LBFGS, METHODS, Adam, Powell, Problem, minimize
from vhlib.fitting.sparsity import jacobian_pattern
from vhlib.geometry import axis_angle_to_matrix
from vhlib.metrics import pa_mpjpe
from vhlib.notebook.clips import load_clip
from vhlib.notebook.controls import explore
from vhlib.notebook.descent_figures import landscape_figure, steps_figure
from vhlib.notebook.energy_figures import race_figure, sparsity_figure
from vhlib.notebook.figures import show

# %% [markdown]
# ## 1. An arm in the plane
#
# **How does an optimiser find the joint angles?** We begin with two unknowns, so that everything
# can be drawn: an upper arm and a forearm in a plane, a shoulder angle $a$, an elbow angle $b$. The
# hand should reach a target. What should be zero is the *residual* $r(x)$, a vector; the energy is
# its square:
#
# $$E(x) = \lVert r(x) \rVert^2, \qquad x = (a, b)$$

# %%
upper, fore = 0.30, 0.25  # metres
target = np.array([0.25, 0.35])


def r(x: np.ndarray) -> np.ndarray:
    a, b = x
    elbow = upper * np.array([np.cos(a), np.sin(a)])
    return elbow + fore * np.array([np.cos(a + b), np.sin(a + b)]) - target


def J(x: np.ndarray) -> np.ndarray:
    a, b = x
    by_b = fore * np.array([-np.sin(a + b), np.cos(a + b)])
    by_a = by_b + upper * np.array([-np.sin(a), np.cos(a)])
    return np.stack([by_a, by_b], axis=1)  # how the residual moves with each angle


def E(x: np.ndarray) -> float:
    return float(r(x) @ r(x))


# %% [markdown]
# Near $x$ the residual is almost linear, $r(x + d) \approx r + J d$, so
# $E(x + d) \approx \lVert r + J d \rVert^2$. Three ways to step:
#
# - **gradient descent** goes downhill, $d = -\eta \cdot 2 J^\top r$, and has to guess how far;
# - **Gauss-Newton** goes to the bottom of the approximation, $J^\top J \, d = -J^\top r$;
# - **Levenberg-Marquardt** does the same, but pays for long steps:
#   $(J^\top J + \lambda D)\, d = -J^\top r$, with $D$ the diagonal of $J^\top J$. If $E$ falls,
#   $\lambda$ shrinks; if not, the step isn't taken and $\lambda$ grows.


# %%
def gradient_descent(x: np.ndarray) -> np.ndarray:
    return x - 3.0 * 2 * J(x).T @ r(x)


def gauss_newton(x: np.ndarray) -> np.ndarray:
    return x - np.linalg.solve(J(x).T @ J(x), J(x).T @ r(x))


class LevenbergMarquardt:
    def __init__(self, lam: float = 1e-2):
        self.lam = lam

    def __call__(self, x: np.ndarray) -> np.ndarray:
        H = J(x).T @ J(x)
        d = -np.linalg.solve(H + self.lam * np.diag(np.diag(H)), J(x).T @ r(x))
        better = E(x + d) < E(x)
        self.lam *= 0.1 if better else 10.0
        return x + d if better else x


def path(step, start: np.ndarray, most: int = 200) -> list[np.ndarray]:
    points = [start]
    while E(points[-1]) > 1e-8 and len(points) <= most:
        points.append(step(points[-1]))
    return points


# %% [markdown]
# **Predict first.** The arm starts almost straight, elbow bent by a tenth of a radian. Which of the
# three gets into trouble?

# %%
start = np.array([0.2, 0.1])
paths = {
    "gradient descent": path(gradient_descent, start),
    "Gauss-Newton": path(gauss_newton, start),
    "Levenberg-Marquardt": path(LevenbergMarquardt(), start),
}
angles = ("shoulder angle a", "elbow angle b")
show(
    landscape_figure(E, paths, (-2.0, 2.5, -0.5, 3.2), angles),
    alt="Height lines of the arm's energy over shoulder and elbow angle, with paths from a star. "
    "Gradient descent creeps along the valley in dozens of steps, Levenberg-Marquardt takes a few "
    "bent strides to the bottom, Gauss-Newton's first step leaves the picture.",
)

# %%
# NBVAL_CHECK_OUTPUT
for name, points in paths.items():
    turns = np.abs(points[-1][1] - points[0][1]) / (2 * np.pi)
    steps = len(points) - 1
    print(f"{name:20} {steps:3} steps, ends with the elbow turned by {turns:.1f} rounds")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Gauss-Newton. A straight arm can't move the hand along itself: $J$ is nearly singular, so the
# linear model asks for a huge turn. It does arrive, since angles repeat, with the elbow wound up
# by whole rounds. A body has no joint that does this, and priors and limits would have been thrown
# far away on the way. Straight limbs are common in pictures of people, so this is no rare case.
#
# </details>
#
# ### What the damping does
#
# For $\lambda \to 0$ the step is Gauss-Newton's. For large $\lambda$ it turns towards the
# (scaled) gradient and becomes short. Try it from several places.


# %%
def damped(shoulder: float, elbow: float, lam: float) -> Figure:
    """One step of each kind from a place."""
    x = np.array([shoulder, elbow])
    H, g = J(x).T @ J(x), J(x).T @ r(x)
    downhill = -g / np.linalg.norm(g) * 0.4
    steps = {"downhill (direction)": downhill, "Gauss-Newton": -np.linalg.solve(H, g)}
    steps[f"damped, {lam:.3g}"] = -np.linalg.solve(H + lam * np.diag(np.diag(H)), g)
    return steps_figure(E, x, steps, (-2.0, 2.5, -0.5, 3.2), angles)


explore(
    damped,
    alt="Steps from one place over the height lines: downhill, Gauss-Newton's, which leaves the "
    "picture, and the damped one, which ends near the bottom.",
    shoulder=FloatSlider(0.2, min=-1.5, max=2.0, step=0.1, description="a"),
    elbow=FloatSlider(0.3, min=-0.3, max=2.5, step=0.1, description="b"),
    lam=FloatLogSlider(0.1, min=-4, max=2, step=0.25, description="lambda"),
)

# %% [markdown]
# **Dogleg**, SMPLify's solver, keeps a *radius* instead of a $\lambda$: Gauss-Newton's step if it
# fits inside, else along the gradient and then bent towards it, as far as the radius allows. A
# lecture text names L-BFGS for SMPLify; that came with SMPLify-X. L-BFGS knows only gradients, and
# builds its picture of the curvature from the last few of them.

# %% [markdown]
# ## 2. How a keypoint moves with a joint
#
# **Where does $J$ come from for a whole body?** From one sentence: *a small turn about an axis
# $n$ through joint $p_j$ moves everything below the joint, and nothing else*:
#
# $$\frac{\partial x}{\partial \omega_j} = n \times (x - p_j) \quad \text{if } x \text{ hangs below
# joint } j, \text{ else } 0$$

# %%
smpl, clip = SMPL.load(), load_clip()
one = clip.keypoints(1, [60])
camera = clip.cameras[1].in_own_frame()
fit = fit_smplify(smpl, camera, one)
parameters = {name: value[0] for name, value in vars(fit.body_parameters).items()}

p = smpl.keypoints("smpl_24", **parameters)  # (24, 3) posed joints
below = smpl.tree.ancestors  # below[k, j]: joint k is j or hangs below it
n = torch.eye(3)  # the camera's axes
arm = p[:, None] - p[None, :]  # (k, j): from joint j to joint k
moves = torch.linalg.cross(n[None, None], arm[:, :, None], dim=-1) * below[..., None, None]

# %% [markdown]
# Does it hold? We turn the left hip by a thousandth of a radian about each axis of the camera, and
# look where the left foot goes.


# %%
# NBVAL_CHECK_OUTPUT
def turned(joint: int, axis: int, angle: float) -> torch.Tensor:
    """All joints after a small turn of one about an axis of the camera."""
    R = torch.cat([exact["global_orient"][None], exact["body_pose"]])
    above = torch.eye(3).double()  # the world rotation of the joint's parent
    for j in [j for j in range(24) if below[joint, j] and j != joint]:
        above = above @ R[j]
    R[joint] = above.T @ axis_angle_to_matrix(angle * n[axis].double()) @ above @ R[joint]
    moved = {**exact, "global_orient": R[0], "body_pose": R[1:]}
    return precise.keypoints("smpl_24", **moved)


precise = SMPL.load().double()
exact = {name: value.double() for name, value in parameters.items()}
hip, foot = SMPL_24.indices("left_hip", "left_foot")
for axis, name in enumerate("xyz"):
    moved = (turned(hip, axis, 1e-3) - turned(hip, axis, -1e-3))[foot] / 2e-3
    error = (moves[foot, hip, axis] - moved).norm() / moved.norm()
    print(f"turn about {name}: formula and experiment agree to {'1 %' if error < 0.01 else error}")

# %% [markdown]
# In `vhlib` the unknowns are axis-angle vectors, so each column is multiplied once more by the
# derivative of the turn (the left Jacobian), landmarks on the skin blend several bones and bulge
# with the pose, and betas lengthen bones. All of it stays exact; nothing is approximated.

# %% [markdown]
# ## 3. The pattern
#
# **Predict first.** Unknowns: 72 numbers of pose (the root included), 10 betas, 3 of translation,
# 85 in all. Which entries of the row *left wrist, u* aren't zero?

# %%
robust = GemanMcClure(25.0)
terms = [
    (Reprojection(camera, one, robust), 1.0),
    (PosePrior(load_pose_prior()), 3.5),
    (Bending(), 6.0),
    (ShapePrior(), 5.0),
]
problem = Problem(smpl.keypoint_regressor("openpose_25b"), terms)
pattern = jacobian_pattern(problem, pack(fit.body_parameters))
show(
    sparsity_figure(pattern),
    alt="A table of residuals, downwards, against unknowns, across. Rows of keypoints have blue "
    "blocks only at the joints above them, the betas and the translation; the pose prior's rows "
    "fill a triangle over all joints but the root; bending and shape prior touch one unknown each.",
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Root, the joints of the spine below the collar, left collar, shoulder and elbow, the betas, and
# the translation. Not the left wrist itself: turning it moves the hand only. Nothing of the legs,
# the head or the right arm. (In `vhlib` also the focal length, an 86th unknown that is held fixed
# unless a stage frees it.)
#
# </details>
#
# > **Where people trip.** A lecture text counts 88 unknowns (the root twice), gives 48 x 82 as the
# > size, and explains zeros by "finger rotations": SMPL has no fingers to rotate, and SMPLify's
# > data term has 13 points and leaves the translation to a stage of its own. The zeros come from
# > the tree: a keypoint hangs below few joints.

# %%
# NBVAL_CHECK_OUTPUT
rows = pattern.felt[pattern.terms["reprojection"], :85]
print(f"reprojection: {rows.shape[0]} residuals x {rows.shape[1]} unknowns")
wrist = pattern.rows.index("left_wrist u")
names = list(pattern.columns)
felt = pattern.by_block()[wrist].nonzero()[:, 0]
print("left wrist u feels:", ", ".join(names[i] for i in felt.tolist()))

# %% [markdown]
# Is sparsity worth exploiting here? With 85 unknowns $J^\top J$ is a matrix of 85 x 85, and the
# pose prior fills most of it anyway. Bundle adjustment, with thousands of cameras and points, lives
# from sparsity; a single body doesn't. What pays is the *analytic* Jacobian:

# %%
body = PosedBody(problem.regressor, pack(fit.body_parameters))


def milliseconds(call, repeats: int = 20) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return 1000 * (time.perf_counter() - began) / repeats


def fresh() -> PosedBody:
    return PosedBody(problem.regressor, body.vector)  # a PosedBody remembers what it computed


def by_autograd() -> torch.Tensor:
    vector = body.vector[0]
    return torch.func.jacrev(
        lambda x: terms[0][0].residuals(PosedBody(problem.regressor, x[None]))[0]
    )(vector)


print(f"written by hand {milliseconds(lambda: terms[0][0].jacobian(fresh())):.1f} ms, ", end="")
print(f"by autograd {milliseconds(by_autograd, 3):.1f} ms")

# %%
# NBVAL_CHECK_OUTPUT
written, automatic = terms[0][0].jacobian(fresh())[0], by_autograd()
difference = (written - automatic).norm() / automatic.norm()
print(f"they are equal to 1e-4: {bool(difference < 1e-4)}")

# %% [markdown]
# ## 4. The race
#
# **Which solver is best?** One real frame, one start (after the camera stage: a standing body in
# the right place), one energy. Seven methods:
#
# | | uses | an iteration |
# |---|---|---|
# | Powell | energies alone | one line search in each direction |
# | CMA-ES | energies alone | a generation of random bodies around a moving mean |
# | Adam | gradients | one step |
# | L-BFGS | gradients, remembered | one line search |
# | Gauss-Newton | the Jacobian | one step, halved if it fails |
# | dogleg | the Jacobian | one step inside a radius |
# | Levenberg-Marquardt | the Jacobian | one damped step |
#
# **Predict first.** 85 unknowns, some hundredths of a second for a hundred energies. Put them in
# order.

# %%
placed = fit_smplify(smpl, camera, one, schedule=COLD_START[:1]).body_parameters
budgets = {
    "gauss_newton": (METHODS["gauss_newton"], 50),
    "levenberg_marquardt": (METHODS["levenberg_marquardt"], 50),
    "dogleg": (METHODS["dogleg"], 50),
    "lbfgs": (LBFGS(), 100),
    "adam": (Adam(step=0.02), 300),
    "cma_es": (CMAES(seed=0), 150),
    "powell": (Powell(), 2),
}
runs = {
    name.replace("_", " "): minimize(problem, pack(placed), method=method, iterations=most)
    for name, (method, most) in budgets.items()
}
show(
    race_figure(runs),
    alt="Energy above the lowest found against CPU time, both logarithmic. Levenberg-Marquardt, "
    "dogleg and Gauss-Newton fall to the floor within some tens of milliseconds, Adam many times "
    "later; L-BFGS stops ten units above it, CMA-ES and Powell end far above.",
)

# %%
limbs = SMPL_24.indices(*LIMB_JOINTS)
truth = clip.cameras[1].world_to_camera(clip.truth()[60])
print(
    "                      energy  iterations  evaluations    CPU s   PA-MPJPE  it stopped because"
)
for name, run in runs.items():
    found = PosedBody(problem.regressor, run.vector).parameters()
    joints = smpl.keypoints("smpl_24", **vars(found))[0, limbs]
    counts = run.evaluations
    evaluations = int(counts.energy + counts.gradient + counts.jacobian)
    print(
        f"{name:20} {run.energy.item():7.0f} {int(run.iterations):11} {evaluations:12} "
        f"{run.cpu_seconds.sum().item():8.2f} {1000 * pa_mpjpe(joints, truth).item():7.0f} mm"
        f"  {run.stopped[0].name.lower().replace('_', ' ')}"
    )

# %%
# NBVAL_CHECK_OUTPUT
lm = runs["levenberg marquardt"]
for name in ("lbfgs", "adam", "cma es", "powell"):
    slower = runs[name].cpu_seconds.sum() / lm.cpu_seconds.sum()
    print(f"{name:7} took more than three times as long: {bool(slower > 3)}")
for name in ("cma es", "powell"):
    higher = runs[name].energy / lm.energy - 1
    print(f"{name:7} ended more than 5 % higher: {bool(higher > 0.05)}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The three that know the Jacobian win. Their steps are dearer, but a few dozen suffice, because
# they know which way all residuals bend together. L-BFGS has to learn the curvature, and Adam never
# does. Methods without derivatives spend their evaluations on finding out what 85 partial
# derivatives would have told them at once: with over a hundred times as many evaluations they
# end higher. They have their place where there are no derivatives, or a handful of unknowns and
# many minima.
#
# </details>
#
# > **Where people trip.** Look at the last but one column. The lowest energy isn't the smallest
# > error: the energy is a model of what we know, and its minimum is somewhere near the truth, not
# > on it. A better solver gives you the minimum of a poor energy faster.

# %% [markdown]
# ## 5. Many bodies at once
#
# Each body is a small problem: matrices of 85 x 85 are far too small to keep a processor busy. A
# hundred frames as one batch cost much less than a hundred times one:

# %%
frames = clip.keypoints(1, range(0, 100, 2))
starts = fit_smplify(smpl, camera, frames, schedule=COLD_START[:1]).body_parameters
together = Problem(problem.regressor, [(Reprojection(camera, frames, robust), 1.0), *terms[1:]])
alone = milliseconds(lambda: minimize(problem, pack(placed), iterations=10), 3)
batch = milliseconds(lambda: minimize(together, pack(starts), iterations=10), 1)
print(f"one body {alone:.0f} ms; {len(frames)} together {batch:.0f} ms")

# %% [markdown]
# Bodies have dampings of their own and leave the batch when they are done, so that a difficult one
# keeps no other waiting, and each ends where it would have ended alone:

# %%
# NBVAL_CHECK_OUTPUT
same = minimize(together.select(slice(7, 8)), pack(starts)[7:8], iterations=10).energy
both = minimize(together, pack(starts), iterations=10).energy[7]
print(
    f"alone and in the batch, the energy is equal to 1e-3: {bool((same / both - 1).abs() < 1e-3)}"
)

# %% [markdown]
# This is why fits can run *inside* a training loop (notebook 15, later). SPIN does it with 2 x 100
# steps of Adam; the committed comparison (`python benchmarks/fit_speed.py`, its table in
# `benchmarks/results/fit_speed.txt`) sets Levenberg-Marquardt beside it on the same problems.

# %% [markdown]
# ## 6. An energy of your own, without a Jacobian
#
# A term needs a name and residuals; its derivatives come by themselves. Here the hands should
# touch:


# %%
class HandsTouch(Term):
    name = "hands_touch"

    def residuals(self, body: PosedBody) -> torch.Tensor:
        left, right = OPENPOSE_25B.indices("left_wrist", "right_wrist")
        return body.points[:, left] - body.points[:, right]  # metres


touching = Problem(problem.regressor, [*terms, (HandsTouch(), 300.0)])
clapped = minimize(touching, pack(fit.body_parameters), iterations=50)
for name, vector in {"before": pack(fit.body_parameters), "after": clapped.vector}.items():
    gap = HandsTouch().residuals(PosedBody(problem.regressor, vector)).norm()
    print(f"{name:6} the wrists are {100 * gap:.0f} cm apart")

# %% [markdown]
# ## 7. What it costs
#
# The whole notebook ran on a few CPU seconds; the table above has the shares. Memory: a batch of
# $N$ bodies needs little more than $N$ Jacobians, about
# $N \cdot 50 \cdot 86 \cdot 4$ bytes.

# %%
print(f"50 bodies: {50 * 50 * 86 * 4 / 2**20:.1f} MiB of reprojection Jacobians")

# %% [markdown]
# **Summary.** Gauss-Newton solves a linear problem for the step; Levenberg-Marquardt and dogleg
# bound it, which straight limbs make necessary. A joint's turn moves what hangs below it by
# $n \times (x - p)$, hence the pattern of the Jacobian. With it a few dozen steps suffice, a
# hundred bodies fit at once; without it, hundreds or thousands do. And a lower energy isn't a
# smaller error.
#
# **Exercises.** [Sheet 09](../exercises/09_optimisers_and_jacobians.ipynb).
#
# **Further reading.** K. Levenberg 1944; D. Marquardt 1963. M. Powell, *A hybrid method for
# nonlinear equations*, 1970 (dogleg). H. B. Nielsen, *Damping parameter in Marquardt's method*,
# 1999. J. Nocedal and S. Wright, *Numerical Optimization*, 2006. N. Hansen, *The CMA evolution
# strategy: a tutorial*, 2016. F. Bogo et al., *Keep it SMPL*, ECCV 2016.
