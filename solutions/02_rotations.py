# %% [markdown]
# # Sheet 02 · Rotations
#
# **You practise** turning three numbers into a rotation without a hole at zero, reading six numbers
# in the right layout, measuring how far two rotations are apart, and differentiating where the
# textbook formula divides by zero.
#
# **You need** notebook 02. **Points**: 14. **Time**: 70 minutes. &nbsp; [Open in Colab]({{colab}})
#
# Write each function where it says so and run its cell; the cell below it checks it at once.
# `hint(exp_map)` gives the next of three hints. All functions take any leading batch axes: `*` below
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

sheet = open_sheet("02_rotations")
check, hint = sheet.check, sheet.hint

# %% tags=["given"]
import numpy as np
import torch

# %% [markdown]
# ## 1. From axis-angle to a matrix
# **3 points · difficulty 2 of 5 · 15 minutes**
#
# A vector $\omega$ means: turn by the angle $a = |\omega|$ (radians) about the axis $\omega / a$,
# by the right-hand rule. With
#
# $$[\omega]_\times = \begin{pmatrix} 0 & -\omega_3 & \omega_2 \\ \omega_3 & 0 & -\omega_1 \\
# -\omega_2 & \omega_1 & 0 \end{pmatrix}$$
#
# the rotation is (Rodrigues)
#
# $$R = I + \frac{\sin a}{a} [\omega]_\times + \frac{1 - \cos a}{a^2} [\omega]_\times^2 .$$
#
# `exp_map(omega)`: `omega` `(*, 3)` in radians → `(*, 3, 3)`. It must be right at
# $\omega = 0$, the pose at rest, where both fractions read 0/0.
#
# *Example*: `exp_map(np.array([0, 0, np.pi / 2]))` is `[[0, -1, 0], [1, 0, 0], [0, 0, 1]]` up to
# rounding: x goes to y, y goes to -x.
#
# *Expected picture*: the turned axes, yours dashed on the expected ones.


# %% nbgrader={"grade": false, "grade_id": "exp_map", "locked": false, "schema_version": 3, "solution": true, "task": false}
def exp_map(omega):
    """Rotation matrices (*, 3, 3) of axis-angle vectors (*, 3) in radians."""
    ### BEGIN SOLUTION
    angle = np.linalg.norm(omega, axis=-1)[..., None, None]
    zero = np.zeros_like(omega[..., 0])
    x, y, z = omega[..., 0], omega[..., 1], omega[..., 2]
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    cross = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    sine = np.sinc(angle / np.pi)  # sin(a) / a, and 1 at zero
    versine = np.sinc(angle / (2 * np.pi)) ** 2 / 2  # (1 - cos a) / a^2, and 1/2 at zero
    return np.eye(3) + sine * cross + versine * (cross @ cross)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "exp_map_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(exp_map)

# %%
sheet.draw(exp_map)

# %% [markdown]
# As $t$ goes from 0 to 1, the rotation of $t \omega$ leads every point along a circle about the
# axis. This cell draws the way of one point with your function.

# %%
if sheet.ready(exp_map):
    from matplotlib.figure import Figure

    from vhlib.notebook.figures import show

    shares = np.linspace(0, 1, 40)
    path = exp_map(shares[:, None] * np.array([0.4, 2.0, 0.9])) @ np.array([1.0, 0.0, 0.0])
    figure = Figure(figsize=(3.4, 3.2))
    axes = figure.subplots()
    axes.plot(path[:, 0], path[:, 1], color="#0072B2")
    axes.plot(*path[[0, -1], :2].T, "o", color="#D55E00")
    axes.set(xlabel="x", ylabel="y", aspect="equal")
    show(
        figure, alt="The tip of the x axis on its way: an arc from (1, 0) to where omega takes it."
    )

# %% [markdown]
# ## 2. To six numbers
# **1 point · difficulty 1 of 5 · 5 minutes**
#
# Networks often answer with the first two columns of a rotation. Two layouts are in use and look
# alike. Here, as in all of `vhlib`: **the first column, then the second**.
#
# `matrix_to_six_d(R)`: `(*, 3, 3)` → `(*, 6)`.
#
# *Example*: for the matrix of the example above it is `[0, 1, 0, -1, 0, 0]`.


# %% nbgrader={"grade": false, "grade_id": "matrix_to_six_d", "locked": false, "schema_version": 3, "solution": true, "task": false}
def matrix_to_six_d(R):
    """The first two columns of rotations (*, 3, 3), one after the other: (*, 6)."""
    ### BEGIN SOLUTION
    return np.concatenate([R[..., 0], R[..., 1]], axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "matrix_to_six_d_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(matrix_to_six_d)

# %% [markdown]
# ## 3. And back, from any six numbers
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# What a network answers is no pair of orthogonal unit vectors. Gram-Schmidt makes one of it: with
# $u$ the first three numbers and $v$ the last three,
#
# $$b_1 = \frac{u}{|u|}, \qquad b_2 = \frac{v - (b_1 \cdot v)\, b_1}{|v - (b_1 \cdot v)\, b_1|},
# \qquad b_3 = b_1 \times b_2 .$$
#
# `six_d_to_matrix(six)`: `(*, 6)` → `(*, 3, 3)` with the *columns* $b_1, b_2, b_3$.
#
# *Example*: `[2, 0, 0, 5, 3, 0]` gives the identity: lengths don't matter, nor what $v$ has of $u$.


# %% nbgrader={"grade": false, "grade_id": "six_d_to_matrix", "locked": false, "schema_version": 3, "solution": true, "task": false}
def six_d_to_matrix(six):
    """Rotations (*, 3, 3) from six numbers (*, 6): column 1, then column 2, not yet orthonormal."""
    ### BEGIN SOLUTION
    u, v = six[..., :3], six[..., 3:]
    b1 = u / np.linalg.norm(u, axis=-1, keepdims=True)
    v = v - (b1 * v).sum(axis=-1, keepdims=True) * b1
    b2 = v / np.linalg.norm(v, axis=-1, keepdims=True)
    return np.stack([b1, b2, np.cross(b1, b2)], axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "six_d_to_matrix_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(six_d_to_matrix)

# %% [markdown]
# ## 4. How far apart
# **2 points · difficulty 3 of 5 · 10 minutes**
#
# The distance of two rotations is the angle $a \in [0, \pi]$ of the turn $Q = R^\top S$ that leads
# from one to the other. Its trace is $1 + 2 \cos a$. But a cosine is flat at zero: by it alone,
# angles below $10^{-8}$ vanish, and rounding takes it beyond 1. The part that changes sign when
# $Q$ is transposed holds the sine: the vector
# $(Q_{32} - Q_{23},\ Q_{13} - Q_{31},\ Q_{21} - Q_{12})$ has the length $2 \sin a$.
#
# `geodesic_distance(R, S)`: `(*, 3, 3)` twice → `(*)`, radians.
#
# *Example*: the identity and a quarter turn about any axis are 1.5708 apart, a rotation and itself 0.


# %% nbgrader={"grade": false, "grade_id": "geodesic_distance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def geodesic_distance(R, S):
    """Angles (*) in radians between rotations R and S, both (*, 3, 3)."""
    ### BEGIN SOLUTION
    Q = np.swapaxes(R, -1, -2) @ S
    twice_cosine = np.trace(Q, axis1=-2, axis2=-1) - 1
    turn = Q - np.swapaxes(Q, -1, -2)
    twice_sine = np.sqrt(turn[..., 2, 1] ** 2 + turn[..., 0, 2] ** 2 + turn[..., 1, 0] ** 2)
    return np.arctan2(twice_sine, twice_cosine)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "geodesic_distance_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(geodesic_distance)

# %% [markdown]
# ## 5. The error of a pose
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# A body's pose is an axis-angle vector for each joint. Two vectors that look far apart may be the
# same rotation, so compare the rotations, with what you have written above. The error of a pose is
# the mean angle over its joints, in **degrees**.
#
# `pose_error(pose, target)`: `(*, J, 3)` twice, radians → `(*)`, degrees.
#
# *Example*: two joints, one of them right, the other a quarter turn off: 45.


# %% nbgrader={"grade": false, "grade_id": "pose_error", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pose_error(pose, target):
    """Mean angle (*) in degrees between the joints of two poses (*, J, 3) in axis-angle."""
    ### BEGIN SOLUTION
    return np.degrees(geodesic_distance(exp_map(pose), exp_map(target)).mean(axis=-1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "pose_error_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(pose_error)

# %% [markdown]
# ## 6. Differentiate at the identity
# **4 points · difficulty 4 of 5 · 20 minutes**
#
# A fit starts at rest, $\omega = 0$, and asks for the derivative there. Write the map of part 1 in
# PyTorch so that value *and* gradient are right for every vector of a batch, zero vectors among
# them. A `torch.where` that picks the right value isn't enough: the gradient runs through the
# branch that it throws away, and zero times NaN is NaN.
#
# `exp_map_torch(omega)`: a tensor `(*, 3)` → a tensor `(*, 3, 3)` of the same type.
#
# *Example*: at zero, the derivative of $R_{32}$ by $\omega_1$ is 1 and that of $R_{23}$ is -1.


# %% nbgrader={"grade": false, "grade_id": "exp_map_torch", "locked": false, "schema_version": 3, "solution": true, "task": false}
def exp_map_torch(omega):
    """Rotations (*, 3, 3) of axis-angle tensors (*, 3), differentiable everywhere."""
    ### BEGIN SOLUTION
    angle = omega.norm(dim=-1)[..., None, None]  # torch's gradient of a norm at zero is zero
    x, y, z = omega.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    cross = torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
    sine = torch.sinc(angle / torch.pi)
    versine = torch.sinc(angle / (2 * torch.pi)) ** 2 / 2
    return torch.eye(3, dtype=omega.dtype) + sine * cross + versine * (cross @ cross)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "exp_map_torch_check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check(exp_map_torch)

# %% [markdown]
# ## Hand in
#
# Save the notebook and hand in this one file. In Colab the next cell downloads it.

# %%
sheet.summary()
