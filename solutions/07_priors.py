# %% [markdown]
# # Sheet 07 · Priors
#
# **You practise** turning a mixture of Gaussians into an energy without losing its constants,
# writing that energy as a sum of squares, keeping knees and elbows from bending the wrong way, and
# keeping limbs apart by the pose alone.
#
# **You need** notebook 07. **Points**: 16. **Time**: 80 minutes. &nbsp; [Open in Colab]({{colab}})
#
# Write each function where it says so and run its cell; the cell below it checks it at once.
# `hint(bending_energy)` gives the next of three hints. `*` below stands for any leading batch axes:
# none, one, or more of them.
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

sheet = open_sheet("07_priors")
check, hint = sheet.check, sheet.hint

# %% tags=["given"]
import numpy as np
import torch

JOINTS = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2"),
    *("left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar"),
    *("right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist", "left_hand", "right_hand"),
)  # the 24 joints of SMPL in order; the pelvis is the root
WIDTH = 0.3  # of a sphere's bump, as a share of the sphere's radius

# %% [markdown]
# ## 1. The constants of a mixture
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# Component $k$ of a mixture over $D$ numbers has a weight $w_k$ and a covariance $\Sigma_k$. In the
# pose prior its energy has the constant $-\log c_k$ with
#
# $$c_k = \frac{w_k}{(2\pi)^{D/2} \, \sqrt{|\Sigma_k|} \,/\, \min_j \sqrt{|\Sigma_j|}} .$$
#
# A pose has $D = 69$ and variances far below one. The product of so many small numbers is too small
# for float32, and for narrow components even for float64: never form a determinant or a quotient of
# them, only their logarithms.
#
# `log_constants(w, covariances)`: `(M,)` and `(M, D, D)` → $\log c_k$, `(M,)`. There are no batch
# axes. Weights add up to one.
#
# *Example*: `w = [0.5, 0.5]` and the covariances `[[4]]` and `[[1]]`, so $D = 1$: `[-2.3052,
# -1.6121]`. They differ by $\log \sqrt 4$; a mixture all of whose components are ten times as narrow
# has the same constants.


# %% nbgrader={"grade": false, "grade_id": "log_constants", "locked": false, "schema_version": 3, "solution": true, "task": false}
def log_constants(w, covariances):
    """The logarithms log c_k (M,) for weights (M,) and covariances (M, D, D)."""
    ### BEGIN SOLUTION
    D = covariances.shape[-1]
    log_root = np.linalg.slogdet(covariances)[1] / 2
    return np.log(w) - D / 2 * np.log(2 * np.pi) - (log_root - log_root.min())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "log_constants_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(log_constants)

# %% [markdown]
# ## 2. The energy of a pose
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# With the inverse covariances $\Sigma_k^{-1}$, called precisions,
#
# $$E_\theta = \min_k \left[ \tfrac{1}{2} (\theta - \mu_k)^\top \Sigma_k^{-1} (\theta - \mu_k)
# - \log c_k \right] .$$
#
# `mixture_energy(theta, means, precisions, log_c)`: `theta` `(*, D)` radians, `means` `(M, D)`,
# `precisions` `(M, D, D)`, `log_c` `(M,)` → `(*)`.
#
# *Example*: `means = [[0], [4]]`, `precisions = [[[1]], [[4]]]`, `log_c = [-1, -3]`: the energy is
# 1.5 at `theta = [1]`, by the first component, and 5 at `theta = [3]`, by the second.
#
# *Expected picture*: energies along a line through four components. Parabolas, and a kink wherever
# the next component takes over. (The horizontal axis counts the poses.)


# %% nbgrader={"grade": false, "grade_id": "mixture_energy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mixture_energy(theta, means, precisions, log_c):
    """Energy (*) of poses (*, D): that of the component which explains each best."""
    ### BEGIN SOLUTION
    apart = theta[..., None, :] - means  # (*, M, D)
    squares = np.einsum("...mi,mij,...mj->...m", apart, precisions, apart)
    return (squares / 2 - log_c).min(axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mixture_energy_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(mixture_energy)

# %%
sheet.draw(mixture_energy)

# %% [markdown]
# The course's mixture and your two functions judge eight bodies: four drawn from the mixture, and
# the same four with every angle turned into its opposite. A pose whose energy is higher by 30 is
# $e^{30}$ times less likely.

# %%
if sheet.ready(log_constants, mixture_energy):
    from vhlib.body import SMPL, BodyParameters
    from vhlib.fitting import load_pose_prior
    from vhlib.geometry import axis_angle_to_matrix, matrix_to_axis_angle
    from vhlib.notebook.body_figures import bodies_figure
    from vhlib.notebook.figures import show

    prior, smpl = load_pose_prior(), SMPL.load()
    means, precisions = prior.means.double().numpy(), prior.precisions.double().numpy()
    log_c = log_constants(prior.weights.double().numpy(), np.linalg.inv(precisions))
    drawn = matrix_to_axis_angle(prior.sample(4, torch.Generator().manual_seed(1)))
    poses = torch.cat([drawn, -drawn])
    E = mixture_energy(poses.flatten(-2).double().numpy(), means, precisions, log_c)
    still = torch.zeros(8, 10), axis_angle_to_matrix(poses), torch.eye(3).expand(8, 3, 3)
    bodies = BodyParameters(*still, torch.zeros(8, 3))
    show(
        bodies_figure(smpl, bodies, [f"E = {e:.0f}" for e in E]),
        alt="Two rows of four bodies. Above, people who step and bend, with energies near 100. "
        "Below, each joint is bent the opposite way, knees and elbows are broken, and the energies "
        "are near 130.",
    )

# %% [markdown]
# ## 3. The same as residuals
# **2 points · difficulty 3 of 5 · 12 minutes**
#
# A least-squares solver wants numbers whose squares add up to the energy. Take the lower triangular
# factor of the covariance (Cholesky), $\Sigma = L L^\top$. Then
#
# $$r = \tfrac{1}{\sqrt 2} L^{-1} (\theta - \mu), \qquad
# \lVert r \rVert^2 = \tfrac{1}{2} (\theta - \mu)^\top \Sigma^{-1} (\theta - \mu) .$$
#
# For the energy a rotated $r$ would do as well; the check asks for this one.
#
# `whitened_residual(theta, mean, covariance)`: `(*, D)`, `(D,)` and `(D, D)` → `(*, D)`.
#
# *Example*: `theta = [2, 0]`, `mean = [0, 0]`, `covariance = [[4, 2], [2, 2]]`: `[0.7071, -0.7071]`.
# The squares add up to 1.
#
# *Expected picture*: points from an ellipse, one standard deviation from the mean, come to lie on a
# circle of radius $1/\sqrt 2$ about zero.


# %% nbgrader={"grade": false, "grade_id": "whitened_residual", "locked": false, "schema_version": 3, "solution": true, "task": false}
def whitened_residual(theta, mean, covariance):
    """Residuals (*, D) whose squares add up to half the squared Mahalanobis distance."""
    ### BEGIN SOLUTION
    L = np.linalg.cholesky(covariance)
    return np.linalg.solve(L, (theta - mean)[..., None])[..., 0] / np.sqrt(2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "whitened_residual_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(whitened_residual)

# %%
sheet.draw(whitened_residual)

# %% [markdown]
# ## 4. Joints that bend one way
# **3 points · difficulty 2 of 5 · 12 minutes**
#
# $$E_a = \sum_i \exp(s_i \theta_i)^2$$
#
# over four angles: the two elbows about y, the two knees about x. The sign $s_i$ makes each term
# small where the joint bends as people's do, and large where it breaks:
#
# | joint | turns about | people bend it to |
# |---|---|---|
# | left elbow | y | negative angles |
# | right elbow | y | positive angles |
# | left knee | x | positive angles |
# | right knee | x | positive angles |
#
# `bending_energy(body_pose)`: `(*, 69)` radians → `(*)`. The vector holds the axis-angle of joints 1
# to 23 of `JOINTS`, x, y and z of each in turn; the pelvis isn't in it.
#
# *Example*: at rest, all zero, it is 4: a straight limb costs one. With the left knee bent by 1.2 as
# people do, 3.0907; with the same knee bent by 1.2 the wrong way, 14.0232.
#
# *Expected picture*: the left knee turned from -0.6 to 1.2, and the energy falls all the way.


# %% nbgrader={"grade": false, "grade_id": "bending_energy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bending_energy(body_pose):
    """Energy (*) of the four hinges of body poses (*, 69) in radians."""
    ### BEGIN SOLUTION
    hinges = {"left_elbow": (1, 1), "right_elbow": (1, -1), "left_knee": (0, -1)}
    hinges["right_knee"] = hinges["left_knee"]
    energy = 0.0
    for joint, (axis, sign) in hinges.items():
        theta = body_pose[..., 3 * (JOINTS.index(joint) - 1) + axis]
        energy = energy + np.exp(2 * sign * theta)
    return energy
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bending_energy_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(bending_energy)

# %%
sheet.draw(bending_energy)

# %% [markdown]
# Four bodies with your energy: one knee and one elbow bent as people's are, straight, and broken.

# %%
if sheet.ready(bending_energy):
    from vhlib.body import SMPL, BodyParameters
    from vhlib.geometry import axis_angle_to_matrix
    from vhlib.notebook.body_figures import bodies_figure
    from vhlib.notebook.figures import show

    bend = torch.tensor([1.2, 0.0, -0.6, -1.2])
    poses = torch.zeros(4, 24, 3)
    poses[:, JOINTS.index("left_knee"), 0] = bend
    poses[:, JOINTS.index("left_elbow"), 1] = -bend
    E_a = bending_energy(poses[:, 1:].flatten(-2).double().numpy())
    turned = axis_angle_to_matrix(poses)
    bodies = BodyParameters(torch.zeros(4, 10), turned[:, 1:], turned[:, 0], torch.zeros(4, 3))
    show(
        bodies_figure(SMPL.load(), bodies, [f"$E_a$ = {e:.1f}" for e in E_a], yaw=1.5),
        alt="Four bodies seen from their left. Knee and elbow are bent as people's are, then "
        "straight, then bent the wrong way by 0.6 and by 1.2 radians; the energy grows from 2.2 "
        "over 4.0 and 8.6 to 24.0.",
    )

# %% [markdown]
# ## 5. Ordinary shapes
# **1 point · difficulty 1 of 5 · 6 minutes**
#
# The betas are the residuals of the shape prior. In SMPLify a weight multiplies *residuals*, before
# they are squared: the last stage has the weight 5.
#
# `shape_energy(betas, weight)`: `(*, S)` in standard deviations, and a number → `(*)`, the term as it
# stands in the energy.
#
# *Example*: `betas = [2, -1]` and `weight = 5.0`: 125.


# %% nbgrader={"grade": false, "grade_id": "shape_energy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def shape_energy(betas, weight):
    """Energy (*) of shapes (*, S) whose residuals are multiplied by the weight."""
    ### BEGIN SOLUTION
    return np.square(weight * betas).sum(axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "shape_energy_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(shape_energy)

# %% [markdown]
# ## 6. Spheres that must not meet
# **4 points · difficulty 4 of 5 · 20 minutes**
#
# Two limbs are filled with spheres. Every sphere $i$ of the one and every sphere $j$ of the other
# cost a bump of the distance of their centres $p$:
#
# $$E = \sum_{i, j} \exp\left( -\frac{\lVert p_i - p_j \rVert^2}{\sigma_i^2 + \sigma_j^2} \right),
# \qquad \sigma_i = 0.3 \, r_i .$$
#
# Limbs may part because they *move*, not because they grow thin: the energy depends on the radii,
# but its gradient by them has to be zero. `detach` makes of a tensor one with the same values, which
# a gradient takes for constants.
#
# `sphere_penalty(a, b)`: tensors `(*, A, 4)` and `(*, B, 4)`, for each sphere x, y, z of its centre
# and its radius, metres → `(*)`. It is a PyTorch function; gradients by `a` and `b` are checked:
# right by the centres, zero by the radii, without NaN where centres coincide.
#
# *Example*: one sphere each, of radius 0.1, centres 0.06 apart: $e^{-2}$, 0.1353. With the centres in
# one place it is 1, and 0.2 apart, where they just touch, 2e-10.


# %% nbgrader={"grade": false, "grade_id": "sphere_penalty", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sphere_penalty(a, b):
    """Bumps (*) of the spheres (*, A, 4) of one limb with those (*, B, 4) of another."""
    ### BEGIN SOLUTION
    p_a, p_b = a[..., :, None, :3], b[..., None, :, :3]
    s_a, s_b = WIDTH * a[..., :, None, 3].detach(), WIDTH * b[..., None, :, 3].detach()
    d2 = (p_a - p_b).square().sum(dim=-1)  # (*, A, B)
    return torch.exp(-d2 / (s_a**2 + s_b**2)).sum(dim=(-2, -1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "sphere_penalty_check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check(sphere_penalty)

# %% [markdown]
# The open body brings its legs together and crosses them, and your function follows its two calves.
# **Predict first**: does the penalty rise for as long as the legs go on?

# %%
if sheet.ready(sphere_penalty):
    from matplotlib.figure import Figure

    from vhlib.body import SMPL, BodyParameters
    from vhlib.fitting.collision import Interpenetration
    from vhlib.geometry import axis_angle_to_matrix
    from vhlib.notebook.body_figures import front_camera, placed_spheres, spheres_picture
    from vhlib.notebook.figures import show
    from vhlib.notebook.palette import BLUE

    smpl = SMPL.load()
    spheres = Interpenetration(smpl).spheres

    def crossing(angle):
        """The body at rest with both legs turned inwards by so many radians."""
        pose = torch.zeros(23, 3)
        pose[JOINTS.index("left_hip") - 1, 2] = -angle
        pose[JOINTS.index("right_hip") - 1, 2] = angle
        lower = torch.tensor([0.0, 0.25, 0.0])
        return BodyParameters(torch.zeros(10), axis_angle_to_matrix(pose), torch.eye(3), lower)

    def calf(side, body):
        """Its spheres (A, 4)."""
        centers, radii = placed_spheres(smpl, spheres, body)
        chosen = [part == f"{side}_calf" for part in spheres.part]
        return torch.cat([centers, radii[:, None]], dim=-1)[chosen]

    angles = torch.linspace(-0.2, 0.5, 36)
    bodies = [crossing(angle) for angle in angles]
    E = [sphere_penalty(calf("left", body), calf("right", body)) for body in bodies]
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 2))
    for axes, body in ((left, bodies[0]), (middle, bodies[-9])):
        axes.imshow(spheres_picture(smpl, spheres, body, front_camera(0.0)))
        axes.axis("off")
    right.plot(angles, E, color=BLUE)
    right.set(xlabel="each leg turned inwards, radians", ylabel="bumps of the two calves")
    show(
        figure,
        alt="A see-through body filled with spheres, its legs apart and then crossed. Beside them "
        "the sum of bumps against the angle: nothing up to 0.15 radians, then a hump, and nothing "
        "again from 0.42 on.",
    )

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No. Where the legs cross moves up the calves, from the ankles to the knees, and then leaves them:
# from there on the thighs run through each other. Each pair of limbs knows only itself, so the list
# of pairs that are looked at is a part of this prior.
#
# </details>

# %% [markdown]
# ## Hand in
#
# Save the notebook and hand in this one file. In Colab the next cell downloads it.

# %%
sheet.summary()
