# %% [markdown]
# # Sheet 09 · Optimisers and Jacobians
#
# **You practise** writing down how a pixel moves with a joint and holding that against an
# experiment, taking the steps of Gauss-Newton, Levenberg-Marquardt and dogleg, and deciding after
# each step how far the linear model is to be trusted.
#
# **You need** notebook 09. **Points**: 17. **Time**: 85 minutes. &nbsp; [Open in Colab]({{colab}})
#
# Write each function where it says so and run its cell; the cell below it checks it at once.
# `hint(point_jacobian)` gives the next of three hints. All functions take any leading batch axes:
# `*` below stands for none, one, or more of them.
#
# {{graded}}
#
# Throughout, $n$ unknowns $x$ should make $m$ residuals $r$ small, the energy is
# $E = \lVert r \rVert^2$, and $J$ is $m \times n$: its column $j$ tells how all residuals change
# with unknown $j$.

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vhlib") is None:  # in Colab, for instance
    install = [sys.executable, "-m", "pip", "install", "--quiet", "git+{{repository}}"]
    subprocess.run(install, check=True)

from vhlib.course.checks import open_sheet

sheet = open_sheet("09_optimisers_and_jacobians")
check, hint = sheet.check, sheet.hint

# %% tags=["given"]
import numpy as np

# %% [markdown]
# ## 1. How a pixel moves with a joint
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# A point $X$ hangs below a joint at $p$; both are in camera axes (x right, y down, z forward). It is
# seen at $u = f X_x / X_z + c_x$, $v = f X_y / X_z + c_y$. Two things move it: a small turn $\omega$
# about the joint, whose component $k$ is a turn about camera axis $e_k$ in radians, and a
# translation $t$ of the whole body:
#
# $$\frac{\partial X}{\partial \omega_k} = e_k \times (X - p), \qquad
# \frac{\partial X}{\partial t_k} = e_k .$$
#
# What the pixel does follows by the chain rule through the projection.
#
# `point_jacobian(X, p, f)`: `X`, `p` `(*, 3)` in metres, `f` a number in pixels → `(*, 2, 6)`. Row
# 0 is $u$, row 1 is $v$; the columns are $\omega_x, \omega_y, \omega_z, t_x, t_y, t_z$, in pixels
# per radian and pixels per metre.
#
# *Example*: `X = [0.3, 0, 2]`, `p = [0, 0, 2]`, `f = 1000` gives
# `[[0, 22.5, 0, 500, 0, -75], [0, 0, 150, 0, 500, 0]]`. A turn about z moves the point
# straight down the picture; a turn about y brings it nearer, which the picture hardly shows.


# %% nbgrader={"grade": false, "grade_id": "point_jacobian", "locked": false, "schema_version": 3, "solution": true, "task": false}
def point_jacobian(X, p, f):
    """How the pixels of points X (*, 3) move with a turn about p (*, 3) and a shift: (*, 2, 6)."""
    ### BEGIN SOLUTION
    x, y, z = X[..., 0], X[..., 1], X[..., 2]
    zero = np.zeros_like(x)
    by_u = np.stack([f / z, zero, -f * x / z**2], axis=-1)
    by_v = np.stack([zero, f / z, -f * y / z**2], axis=-1)
    projection = np.stack([by_u, by_v], axis=-2)  # (*, 2, 3): pixels by the point
    arm = (X - p)[..., None, :]
    turn = np.swapaxes(np.cross(np.eye(3), arm), -1, -2)  # (*, 3, 3): column k is e_k x (X - p)
    return np.concatenate([projection @ turn, projection], axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "point_jacobian_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(point_jacobian)

# %% [markdown]
# ## 2. Ask an experiment
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# A Jacobian written by hand is wrong until it has been tried. Move one unknown $x_j$ by $+h$ and by
# $-h$ and look at the residuals: the central difference
#
# $$N_j = \frac{r(x + h e_j) - r(x - h e_j)}{2h}$$
#
# should equal column $J_j$. How far they are apart, as a share that doesn't depend on units:
#
# $$\varepsilon_j = \frac{\lVert J_j - N_j \rVert}{\lVert J_j \rVert + \lVert N_j \rVert}
# \quad \in [0, 1], \qquad \varepsilon_j = 0 \text{ where both columns are zero.}$$
#
# Zero columns are usual: a foot doesn't feel the elbow.
#
# `jacobian_error(J, ahead, behind, h)`: `J` `(*, m, n)`; `ahead` and `behind` `(*, n, m)`, whose
# **row** $j$ holds the residuals after $x_j$ was moved by $+h$ and by $-h$; `h` a number →
# `(*, n)`, a share for each unknown.
#
# *Example*: `J = [[2, 0], [0, 0]]`, `ahead = [[0.1, 0], [0, 0]]`, `behind = [[-0.1, 0], [0, 0]]`,
# `h = 0.1` give `[0.3333, 0]`: the first column is twice what it should be, the second is right.
#
# *Expected picture*: the share over the number of the unknown, yours dashed on the expected one.


# %% nbgrader={"grade": false, "grade_id": "jacobian_error", "locked": false, "schema_version": 3, "solution": true, "task": false}
def jacobian_error(J, ahead, behind, h):
    """Shares (*, n) by which the columns of J (*, m, n) miss central differences."""
    ### BEGIN SOLUTION
    N = np.swapaxes(ahead - behind, -1, -2) / (2 * h)
    apart = np.linalg.norm(J - N, axis=-2)
    total = np.linalg.norm(J, axis=-2) + np.linalg.norm(N, axis=-2)
    return apart / np.where(total == 0, 1, total)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "jacobian_error_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(jacobian_error)

# %%
sheet.draw(jacobian_error)

# %% [markdown]
# Both at work: a turn of the left shoulder of our body. Arrows are your Jacobian's forecast for a
# turn of 37°, dotted lines the true arcs. Where they part, a linear model goes wrong. Below it says
# how well your Jacobian does at the left wrist.

# %%
if sheet.ready(point_jacobian, jacobian_error):
    from matplotlib.figure import Figure

    from vhlib.body import SMPL
    from vhlib.body.skeletons import SMPL_24
    from vhlib.geometry import axis_angle_to_matrix
    from vhlib.notebook.figures import show
    from vhlib.notebook.palette import BLUE, GREY, VERMILLION

    smpl, f = SMPL.load(), 1000.0
    away = np.array([0.0, 0.2, 3.0])
    skin = smpl.v_template.numpy() * [1, -1, -1] + away  # upright before the camera
    joints = smpl.keypoints("smpl_24").numpy() * [1, -1, -1] + away
    hanging = joints[SMPL_24.indices("left_elbow", "left_wrist", "left_hand")]
    p = joints[SMPL_24.index("left_shoulder")]

    def pixels(X):
        """About the principal point."""
        return f * X[..., :2] / X[..., 2:]

    def moved(X, omega):
        """Pixels after a true turn about the shoulder."""
        R = axis_angle_to_matrix(smpl.v_template.new_tensor(omega).double()).numpy()
        return pixels((X - p) @ R.T + p)

    omega = np.array([0.0, 0.4, 0.5])
    arrows = point_jacobian(hanging, np.broadcast_to(p, (3, 3)), f)[..., :3] @ omega
    arcs = np.stack([moved(hanging, share * omega) for share in np.linspace(0, 1, 30)])
    figure = Figure(figsize=(4.6, 4.2))
    axes = figure.subplots()
    axes.plot(*pixels(skin).T, ".", color=GREY, ms=1)
    for arc in arcs.swapaxes(0, 1):
        axes.plot(*arc.T, ":", color=BLUE, linewidth=3)
    where = pixels(hanging)
    axes.quiver(
        *where.T, *arrows.T, angles="xy", scale_units="xy", scale=1, color=VERMILLION, zorder=3
    )
    axes.set(xlim=(-60, 330), ylim=(180, -260), aspect="equal", xlabel="u, px", ylabel="v, px")
    show(
        figure,
        alt="A body of grey dots with its left arm stretched out. From elbow, wrist and hand "
        "straight arrows go down the picture; dotted arcs leave with them and bend inwards.",
    )

    h, wrist = 1e-4, hanging[1]
    turns = [[moved(wrist, sign * h * axis) for axis in np.eye(3)] for sign in (1, -1)]
    shifts = [[pixels(wrist + sign * h * axis) for axis in np.eye(3)] for sign in (1, -1)]
    ahead, behind = np.concatenate([turns, shifts], axis=1)
    error = jacobian_error(point_jacobian(wrist, p, f), ahead, behind, h)
    print("the six columns are right to 1e-4:", bool((error < 1e-4).all()))

# %% [markdown]
# ## 3. Gauss-Newton, with robust weights
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# A detector's outlier mustn't steer the body. So the energy is a sum of $\rho(r_i^2)$ with
# Geman-McClure's $\rho(r^2) = \sigma^2 r^2 / (\sigma^2 + r^2)$, taken of each residual by itself. For
# one step we replace it by weighted squares that pull as hard as it does here. The weight is the
# slope of $\rho$ by the *squared* residual,
#
# $$w_i = \frac{d\rho}{d(r_i^2)} = \frac{\sigma^4}{(\sigma^2 + r_i^2)^2} ,$$
#
# taken as fixed during the step. With $W$ the diagonal matrix of the $w_i$, the step $d$ to the bottom
# of the approximation $\sum_i w_i\,(r_i + (J d)_i)^2$ solves
#
# $$J^\top W J \; d = -J^\top W r .$$
#
# `gauss_newton_step(J, r, sigma)`: `J` `(*, m, n)`, `r` `(*, m)`, `sigma` a positive number in the
# unit of `r` → `d` `(*, n)`.
#
# *Example*: `J = [[1], [1]]`, `r = [1, 10]`, `sigma = 10` give `[-2.829]`. Without weights it would be
# -5.5: the far residual would count as much as the near one.


# %% nbgrader={"grade": false, "grade_id": "gauss_newton_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gauss_newton_step(J, r, sigma):
    """Steps (*, n) of Gauss-Newton with Geman-McClure's weights; J (*, m, n), r (*, m)."""
    ### BEGIN SOLUTION
    w = sigma**4 / (sigma**2 + r**2) ** 2
    weighted = np.swapaxes(J, -1, -2) * w[..., None, :]  # J^T W
    return -np.linalg.solve(weighted @ J, weighted @ r[..., None])[..., 0]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gauss_newton_step_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(gauss_newton_step)

# %% [markdown]
# ## 4. Levenberg-Marquardt
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# A stretched arm can't move its hand along itself: $J$ is nearly singular and Gauss-Newton's step
# huge. So pay for length (here without weights, $W = I$):
#
# $$(H + \lambda D)\, d = -J^\top r, \qquad H = J^\top J, \qquad D \text{ the diagonal of } H .$$
#
# $D$, Marquardt's choice, measures each unknown by what it does to the residuals, so radians and
# metres needn't be compared.
#
# `levenberg_marquardt_step(J, r, lam)`: `J` `(*, m, n)`, `r` `(*, m)`, `lam` a number, or `(*)` with
# a damping for each body of the batch → `d` `(*, n)`.
#
# *Example*: `J = [[2, 0], [0, 1]]`, `r = [2, 1]` and `lam = 1` give `[-0.5, -0.5]`, half of
# Gauss-Newton's `[-1, -1]`.


# %% nbgrader={"grade": false, "grade_id": "levenberg_marquardt_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def levenberg_marquardt_step(J, r, lam):
    """Damped steps (*, n) for J (*, m, n), r (*, m) and dampings lam, a number or (*)."""
    ### BEGIN SOLUTION
    transposed = np.swapaxes(J, -1, -2)
    H = transposed @ J
    D = H * np.eye(H.shape[-1])
    damped = H + np.asarray(lam)[..., None, None] * D
    return -np.linalg.solve(damped, transposed @ r[..., None])[..., 0]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "levenberg_marquardt_step_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(levenberg_marquardt_step)

# %% [markdown]
# ## 5. Was the step worth it?
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# A step was computed from a linear model and then tried. The *gain* sets what happened against what
# the model promised:
#
# $$\text{gain} = \frac{\lVert r \rVert^2 - \lVert r_\text{new} \rVert^2}
# {\lVert r \rVert^2 - \lVert r + J d \rVert^2} .$$
#
# A gain of 1: the model was right. Above zero: the step helps and is taken. Otherwise the body stays
# where it was. Nielsen's rule turns the gain into the next damping:
#
# $$\lambda_\text{new} = \begin{cases}
# \lambda \cdot \max\left(\tfrac13,\ 1 - (2\,\text{gain} - 1)^3\right) & \text{if gain} > 0 \\
# 2 \lambda & \text{otherwise.} \end{cases}$$
#
# "Otherwise" includes a gain that isn't a number: a trial step may take a point behind the camera
# and its residual to NaN. The gain then stays NaN.
#
# `judge_step(J, r, d, r_new, lam)`: `J` `(*, m, n)`, `r` and `r_new` `(*, m)` before and after the
# step `d` `(*, n)`, `lam` `(*)` → a tuple `(gain, lam_new)`, both `(*)`. The promise is never zero.
#
# *Example*: `J = [[1]]`, `r = [3]`, `d = [-2]`, `r_new = [1.5]`, `lam = 0.1`. The model promised a
# fall from 9 to 1, and it fell to 2.25: gain 0.84375, new damping 0.0675.


# %% nbgrader={"grade": false, "grade_id": "judge_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def judge_step(J, r, d, r_new, lam):
    """Gain (*) of a step d that led from residuals r to r_new, and the next damping (*)."""
    ### BEGIN SOLUTION
    forecast = r + (J @ d[..., None])[..., 0]
    before, after, promised = ((v**2).sum(axis=-1) for v in (r, r_new, forecast))
    gain = (before - after) / (before - promised)
    shrunk = lam * np.maximum(1 / 3, 1 - (2 * gain - 1) ** 3)
    return gain, np.where(gain > 0, shrunk, 2 * lam)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "judge_step_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(judge_step)

# %% [markdown]
# Now you have an optimiser. Here it runs a camera stage like SMPLify's on a frame of the clip: the
# torso of a body in rest pose, four points, six unknowns, from five metres away to where the man
# stands.

# %% tags=["real_data"]
if sheet.ready(point_jacobian, levenberg_marquardt_step, judge_step):
    from matplotlib.figure import Figure

    from vhlib.body import SMPL
    from vhlib.body.skeletons import OPENPOSE_25B
    from vhlib.geometry import axis_angle_to_matrix
    from vhlib.notebook.clips import load_clip
    from vhlib.notebook.figures import show_photo
    from vhlib.notebook.fit_figures import draw_picture
    from vhlib.notebook.palette import GREY, ORANGE, SKY

    frame, clip, smpl = 90, load_clip(), SMPL.load()
    photo, seen = clip.frame(1, frame), clip.keypoints(1)[frame]
    f, c = clip.cameras[1].focal_length.mean().item(), clip.cameras[1].principal_point.numpy()
    torso = OPENPOSE_25B.indices("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    target, joint = seen.xy.numpy()[torso], np.zeros(3)
    X = smpl.keypoints("openpose_25b").numpy()[torso] * [1, -1, -1]

    def residuals(X):
        """Pixels of the torso less the detected ones: u, v, u, v, ..."""
        return (f * X[:, :2] / X[:, 2:] + c - target).ravel()

    X, joint, lam = X + [0, 0, 5], joint + [0, 0, 5], np.array(0.1)
    ways = [X]
    for _ in range(60):
        J = point_jacobian(X, np.broadcast_to(joint, X.shape), f).reshape(-1, 6)
        r = residuals(X)
        d = levenberg_marquardt_step(J, r, lam)
        if np.abs(d).max() < 1e-3:  # a thousandth of a radian or a metre
            break
        R = axis_angle_to_matrix(smpl.v_template.new_tensor(d[:3]).double()).numpy()
        trial = (X - joint) @ R.T + joint + d[3:]
        gain, lam = judge_step(J, r, d, residuals(trial), lam)
        if gain > 0:
            X, joint = trial, joint + d[3:]
            ways.append(X)
    print(f"{len(ways) - 1} steps helped; the torso's middle is {X[:, 2].mean():.1f} m away")

    truth = clip.cameras[1].world_to_camera(clip.truth()[frame]).mean(0)[2]
    print(f"the reference says {truth.item():.1f} m")

    figure = Figure(figsize=(4, 5.4))
    axes = figure.subplots()
    draw_picture(axes, photo, seen)
    for points, color, label in ((ways[0], ORANGE, "start"), (ways[-1], SKY, "end")):
        u = (f * points[:, :2] / points[:, 2:] + c)[[0, 1, 3, 2, 0]]
        axes.plot(*u.T, "o-", color=color, linewidth=3, label=label)
    axes.plot(*target.T, "w+", ms=14, mew=2, label="detected")
    axes.legend(loc="lower right", facecolor=GREY)
    show_photo(
        figure,
        alt="A man with a cross at each shoulder and hip. The torso of the rest pose, drawn as a "
        "quadrangle, starts small before his thighs and ends on the four crosses.",
    )

# %% [markdown]
# Try frame 60, once as it is and once with a first damping of 0.01. The bolder first steps end in
# another minimum, more than twice as far away: four points leave several, and an optimiser finds one
# of them. The original's residual that holds the depth near its first guess keeps it from straying.

# %% [markdown]
# ## 6. Dogleg
# **4 points · difficulty 4 of 5 · 20 minutes**
#
# SMPLify's own solver bounds the step by a *radius* $\Delta$ instead of a damping. With $g = J^\top r$
# and $H = J^\top J$ there are two landmarks:
#
# $$d_\text{GN} = -H^{-1} g, \qquad d_\text{SD} = -\frac{g^\top g}{g^\top H g}\; g ,$$
#
# Gauss-Newton's step, and the lowest point of the model along its steepest descent. The dogleg path
# runs straight from 0 to $d_\text{SD}$ and from there straight to $d_\text{GN}$. The step is the point
# where the path leaves the ball of radius $\Delta$, or its end if it doesn't:
#
# - $d_\text{GN}$ if $\lVert d_\text{GN} \rVert \le \Delta$;
# - else $-\Delta\, g / \lVert g \rVert$ if $\lVert d_\text{SD} \rVert \ge \Delta$;
# - else $d_\text{SD} + s\,(d_\text{GN} - d_\text{SD})$ with the $s$ in $[0, 1]$ that makes its length
#   $\Delta$: the larger root of a quadratic equation in $s$.
#
# `dogleg_step(J, r, radius)`: `J` `(*, m, n)`, `r` `(*, m)`, `radius` a number or `(*)` → `d`
# `(*, n)`. At a minimum, where $g = 0$, the step is zero.
#
# *Example*: for `J = [[2, 0], [0, 1]]` and `r = [2, 2]`, radius 1 gives `[-0.894, -0.447]`, radius 2
# gives `[-1.036, -1.711]`, and radius 3 Gauss-Newton's `[-1, -2]`.


# %% nbgrader={"grade": false, "grade_id": "dogleg_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dogleg_step(J, r, radius):
    """Steps (*, n) within radius, a number or (*), for J (*, m, n) and r (*, m)."""
    ### BEGIN SOLUTION
    transposed = np.swapaxes(J, -1, -2)
    H, g = transposed @ J, (transposed @ r[..., None])[..., 0]
    radius = np.broadcast_to(radius, g.shape[:-1])

    def end_of_path(H, g, radius):
        newton = -np.linalg.solve(H, g)
        if newton @ newton <= radius**2:
            return newton
        steepest = -(g @ g) / (g @ H @ g) * g
        room = radius**2 - steepest @ steepest
        if room <= 0:
            return -radius / np.sqrt(g @ g) * g
        leg = newton - steepest
        a, b = leg @ leg, steepest @ leg
        return steepest + (np.sqrt(b**2 + a * room) - b) / a * leg

    d = np.empty_like(g)
    for index in np.ndindex(g.shape[:-1]):
        d[index] = end_of_path(H[index], g[index], radius[index])
    return d
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "dogleg_step_check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check(dogleg_step)

# %% [markdown]
# The notebook's arm once more, over its two angles. Each dot is your step for another radius: for
# small ones they line up downhill, then they bend towards Gauss-Newton's.

# %%
if sheet.ready(gauss_newton_step, levenberg_marquardt_step, dogleg_step):
    import matplotlib.pyplot as plt

    from vhlib.notebook.descent_figures import draw_landscape
    from vhlib.notebook.figures import show
    from vhlib.notebook.palette import BLUE, GREEN, STYLE, VERMILLION

    upper, fore, target = 0.30, 0.25, np.array([0.25, 0.35])  # metres

    def arm(x):
        """From the target to the hand."""
        whole = fore * np.array([np.cos(x[0] + x[1]), np.sin(x[0] + x[1])])
        return upper * np.array([np.cos(x[0]), np.sin(x[0])]) + whole - target

    x = np.array([0.1, 1.0])
    by_b = fore * np.array([-np.sin(x.sum()), np.cos(x.sum())])
    J = np.stack([by_b + upper * np.array([-np.sin(x[0]), np.cos(x[0])]), by_b], axis=1)
    radii, lams = np.linspace(0.05, 1.5, 24), np.geomspace(1e-3, 1e3, 40)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
        draw_landscape(axes, lambda x: float(arm(x) @ arm(x)), (-0.5, 1.8, 0.2, 2.2))
        for steps, color, marker, label in (
            ([levenberg_marquardt_step(J, arm(x), lam) for lam in lams], BLUE, "-", "damped"),
            ([dogleg_step(J, arm(x), radius) for radius in radii], VERMILLION, "o", "dogleg"),
            ([gauss_newton_step(J, arm(x), 1e6)], GREEN, "D", "Gauss-Newton"),
        ):
            axes.plot(*(x + np.array(steps)).T, marker, color=color, ms=6, label=label)
        axes.plot(*x, "k*", ms=16, label="start")
        axes.set(xlabel="shoulder angle a", ylabel="elbow angle b", aspect="equal")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    show(
        figure,
        alt="Height lines over two angles. From a star a row of dots goes straight downhill, then "
        "bends towards a diamond, Gauss-Newton's step; the damped steps for all dampings form a "
        "smooth curve beside it with the same ends.",
    )

# %% [markdown]
# ## Hand in
#
# Save the notebook and hand in this one file. In Colab the next cell downloads it.

# %%
sheet.summary()
