# %% [markdown]
# # Sheet 03 · Shape: blend shapes and joints
#
# **You practise** making bodies from betas, taking a skeleton along with them, finding the betas of
# a mesh, measuring height and mass, and finding the likeliest body with wanted measurements.
#
# **You need** notebook 03. **Points**: 13. **Time**: 70 minutes. &nbsp; [Open in Colab]({{colab}})
#
# Write each function where it says so and run its cell; the cell below it checks it at once.
# `hint(shaped)` gives the next of three hints. Lengths are metres. `*` stands for leading batch
# axes: none, one, or more of them. $V$ counts vertices, $K$ joints, and $S$ betas.
#
# {{graded}}
#
# Three arrays of a body model occur in several parts: the template $\bar T$ is `v_template`
# `(V, 3)`, the directions $S_k$ are the slices `shapedirs[..., k]` of `shapedirs` `(V, 3, S)`, and
# $\mathcal J$ is `J_regressor` `(K, V)`.

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vhlib") is None:  # in Colab, for instance
    install = [sys.executable, "-m", "pip", "install", "--quiet", "git+{{repository}}"]
    subprocess.run(install, check=True)

from vhlib.course.checks import open_sheet

sheet = open_sheet("03_shape_blend_shapes")
check, hint = sheet.check, sheet.hint

# %% tags=["given"]
import numpy as np

DENSITY = 985.0  # of a person, kilograms per cubic metre

# %% [markdown]
# The pictures of this sheet show the open body by your functions. Your functions get all they need
# as arguments; graders run them alone, without `body` or `draw_bodies`.

# %%
import torch
from matplotlib.figure import Figure

from vhlib.body import SMPL
from vhlib.notebook.figures import show, show_photo
from vhlib.notebook.shape_figures import meshes_figure

body = SMPL.load()


def draw_bodies(meshes, alt, **colours):
    """Show meshes (V, 3) by their titles, side by side on one floor."""
    meshes = {title: torch.as_tensor(mesh).float() for title, mesh in meshes.items()}
    show_photo(meshes_figure(meshes, body.faces, **colours), alt=alt)


# %% [markdown]
# ## 1. Blend shapes
# **2 points · difficulty 1 of 5 · 10 minutes**
#
# A body at rest is the template and a weighted sum of directions:
#
# $$V_\text{shape}(\beta) = \bar T + \sum_{k} \beta_k S_k .$$
#
# `shaped(betas, v_template, shapedirs)`: `betas` `(*, S)` → vertices `(*, V, 3)`.
#
# *Example*: a template of two vertices, (0, 0, 0) and (0, 1, 0), and one direction, which moves the
# second by (0, 0.1, 0). With `betas = [2]` the vertices are (0, 0, 0) and (0, 1.2, 0).
#
# *Expected picture*: the corners of a box, as circles, and yours as crosses in them.


# %% nbgrader={"grade": false, "grade_id": "shaped", "locked": false, "schema_version": 3, "solution": true, "task": false}
def shaped(betas, v_template, shapedirs):
    """Vertices at rest (*, V, 3) of bodies with betas (*, S)."""
    ### BEGIN SOLUTION
    return v_template + np.einsum("vck,...k->...vc", shapedirs, betas)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "shaped_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(shaped)

# %%
sheet.draw(shaped)

# %%
if sheet.ready(shaped):
    betas = np.zeros((4, 10))
    betas[[0, 1], 0], betas[[2, 3], 1] = (-2, 2), (-2, 2)
    people = shaped(betas, body.v_template.numpy(), body.shapedirs.numpy())
    titles = ("beta 0 = -2", "beta 0 = +2", "beta 1 = -2", "beta 1 = +2")
    draw_bodies(
        dict(zip(titles, people, strict=True)),
        alt="Four bodies on one floor. With the first beta they are small or tall. With the second "
        "they differ in build more than in height: broad shoulders, or broad hips.",
    )

# %% [markdown]
# ## 2. Joints that follow the shape
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# Joints are weighted means of the skin at rest, $J(\beta) = \mathcal J\, V_\text{shape}(\beta)$. A
# mean of something linear is linear:
#
# $$J(\beta) = J_{\bar T} + \sum_k \beta_k J_{S_k}.$$
#
# The two small arrays are computed once; with them, joints of any betas come without the mesh. A
# row of $\mathcal J$ sums to one, but a weight may be negative.
#
# `joint_model(J_regressor, v_template, shapedirs)` → a tuple of `J_template` `(K, 3)` and
# `J_shapedirs` `(K, 3, S)`. There are no batch axes here.
#
# *Example*: three vertices, (0, 0, 0), (2, 0, 1) and (2, 2, -1), and one direction, which moves each
# away from the origin by a tenth of its place. With `J_regressor = [[0.5, 0.5, 0], [0, 0.5, 0.5],
# [0, 0, 1]]` the joints are (1, 0, 0.5), (2, 1, 0) and (2, 2, -1), and their direction is a tenth of
# that.
#
# *Expected picture*: the joints of the template, and yours.


# %% nbgrader={"grade": false, "grade_id": "joint_model", "locked": false, "schema_version": 3, "solution": true, "task": false}
def joint_model(J_regressor, v_template, shapedirs):
    """Joints of the template (K, 3) and their directions (K, 3, S)."""
    ### BEGIN SOLUTION
    return J_regressor @ v_template, np.einsum("jv,vck->jck", J_regressor, shapedirs)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "joint_model_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(joint_model)

# %%
sheet.draw(joint_model)

# %% [markdown]
# The skeletons of a small and a tall person, from a few hundred numbers and no mesh:

# %%
if sheet.ready(joint_model):
    J_template, J_shapedirs = joint_model(
        body.J_regressor.numpy(), body.v_template.numpy(), body.shapedirs.numpy()
    )
    figure = Figure(figsize=(4.6, 4.4))
    axes = figure.subplots()
    for b0, color, dash in ((2, "#0072B2", "-"), (-2, "#D55E00", "--")):
        joints = J_template + b0 * J_shapedirs[..., 0]
        for k, parent in enumerate(body.parents.tolist()[1:], start=1):
            name = f"beta 0 = {b0:+}" if k == 1 else None
            axes.plot(*joints[[parent, k], :2].T, dash, marker="o", ms=4, color=color, label=name)
    axes.set(xlabel="x", ylabel="y", aspect="equal")
    axes.legend(frameon=False, loc="lower right")
    show(figure, alt="Two skeletons from the front, arms spread: one larger than the other in all.")

# %% [markdown]
# ## 3. The betas of a mesh
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# Which person is this mesh? It has as many vertices as the model, in the same order, but it needn't
# be one of its bodies: it may come from another model. Take the betas whose body is nearest, over
# all vertices together,
#
# $$\arg\min_\beta \big\lVert \bar T + \textstyle\sum_k \beta_k S_k - \mathrm{mesh} \big\rVert^2 .$$
#
# The directions given here need not be orthogonal to each other.
#
# `refit(mesh, v_template, shapedirs)`: `mesh` `(*, V, 3)` → `betas` `(*, S)`.
#
# *Example*: along y only, a template of two vertices at 0 and 1. Direction 0 moves the second by
# 0.1, direction 1 moves both by 0.1. The mesh has them at 0.1 and 1.3. It is the body with
# `betas = [2, 1]`.


# %% nbgrader={"grade": false, "grade_id": "refit", "locked": false, "schema_version": 3, "solution": true, "task": false}
def refit(mesh, v_template, shapedirs):
    """Betas (*, S) of the bodies that are nearest to meshes (*, V, 3)."""
    ### BEGIN SOLUTION
    S = shapedirs.reshape(-1, shapedirs.shape[-1])  # (3 V, S)
    offsets = (mesh - v_template).reshape(-1, len(S))
    betas = np.linalg.lstsq(S, offsets.T, rcond=None)[0].T
    return betas.reshape(*mesh.shape[:-2], S.shape[1])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "refit_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(refit)

# %% [markdown]
# A man made with the male body, and the neutral body in his place: with his betas copied, and with
# those that you found.

# %%
if sheet.ready(shaped, refit):
    T, S = body.v_template.numpy(), body.shapedirs.numpy()
    male, his = SMPL.load("male"), np.array([1, 1.5, -1, 0.5, 0, 0, 0, 0, 0, 0])
    man = shaped(his, male.v_template.numpy(), male.shapedirs.numpy())
    bodies = {
        "the man": man,
        "copied": shaped(his, T, S),
        "refitted": shaped(refit(man, T, S), T, S),
    }
    off = {
        name: torch.as_tensor(1000 * np.linalg.norm(mesh - man, axis=-1)).float()
        for name, mesh in bodies.items()
    }
    draw_bodies(
        bodies,
        alt="A man, the neutral body with his betas, coloured red where it is centimetres off, and "
        "the neutral body with refitted betas, as pale as the man himself.",
        values=off,
        label="distance in mm",
    )

# %% [markdown]
# ## 4. A tape and a scale
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# The height of a standing body is its extent along y. Its mass is its volume times `DENSITY`. For
# the volume of a closed mesh, join each triangle $a, b, c$ to the origin; the tetrahedron has the
# signed volume
#
# $$\tfrac{1}{6}\; a \cdot (b \times c),$$
#
# positive if the triangle, seen from the origin, shows its inside. Summed over all triangles with
# their signs, what lies outside cancels, wherever the origin is.
#
# `measured(vertices, faces)`: vertices `(*, V, 3)` and `faces` `(F, 3)`, the three vertices of each
# triangle, whole numbers, counter-clockwise as seen from outside → a tuple of heights `(*)` in
# metres and masses `(*)` in kilograms. `DENSITY` is given above.
#
# *Example*: a box, 0.3 wide, 1.7 high and 0.15 deep, measures 1.7 m and 75.35 kg.


# %% nbgrader={"grade": false, "grade_id": "measured", "locked": false, "schema_version": 3, "solution": true, "task": false}
def measured(vertices, faces):
    """Heights (*) in metres and masses (*) in kilograms of closed meshes (*, V, 3)."""
    ### BEGIN SOLUTION
    y = vertices[..., 1]
    a, b, c = (vertices[..., faces[:, corner], :] for corner in range(3))
    volume = (a * np.cross(b, c)).sum(axis=(-2, -1)) / 6
    return y.max(axis=-1) - y.min(axis=-1), DENSITY * volume
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "measured_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(measured)

# %% [markdown]
# A crowd of sixty, drawn as the model says: each beta from a normal distribution of deviation 1.

# %%
if sheet.ready(shaped, measured):
    T, S, faces = body.v_template.numpy(), body.shapedirs.numpy(), body.faces.numpy()
    crowd = np.random.default_rng(0).normal(size=(60, 10)).astype(np.float32)
    heights, masses = measured(shaped(crowd, T, S), faces)
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    axes.plot(100 * heights, masses, "o", color="#0072B2", alpha=0.6, label="random betas")
    height, mass = measured(T, faces)
    axes.plot(100 * height, mass, "D", color="#D55E00", ms=9, label="betas zero")
    axes.set(xlabel="height in cm", ylabel="mass in kg")
    axes.legend(frameon=False)
    show(
        figure,
        alt="Heights and masses of sixty random bodies, a cloud that rises to the right, and the "
        "mean body in its middle.",
    )

# %% [markdown]
# ## 5. The likeliest person of these measurements
# **3 points · difficulty 4 of 5 · 20 minutes**
#
# Somebody of 185 cm and 70 kg, please: $M = 2$ wishes, ten unknowns. Of all betas that fulfil them,
# the likeliest are the shortest, since their density falls with $\lVert \beta \rVert$. The
# measurements $m(\beta)$ aren't linear, so linearise them about the present betas, where they are
# $m$ and have the derivative $A = \partial m / \partial \beta$, and find
#
# $$\min_{\beta'} \lVert \beta' \rVert^2 \quad \text{such that} \quad
# m + A\,(\beta' - \beta) = m^* .$$
#
# It is $\beta'$ itself that shall be short, not the step $\beta' - \beta$. The shortest solution of
# a system $A x = r$ with fewer equations than unknowns is $A^\top (A A^\top)^{-1} r$.
#
# `likeliest(betas, m, A, wanted)`: present `betas` `(*, S)`, their measurements `m` `(*, M)`, the
# derivative `A` `(*, M, S)`, the wishes $m^*$, `wanted` `(*, M)` → the new betas `(*, S)`.
#
# *Example*: one wish, two betas. At `betas = [5, 0]`, `m = [190]`, `A = [[6, 8]]` and
# `wanted = [170]` the answer is `[0.6, 0.8]`. At `[0, 0]`, where a linear `m` is `[160]`, it is the
# same.


# %% nbgrader={"grade": false, "grade_id": "likeliest", "locked": false, "schema_version": 3, "solution": true, "task": false}
def likeliest(betas, m, A, wanted):
    """The shortest betas (*, S) that have the wanted measurements, if m were linear."""
    ### BEGIN SOLUTION
    A_T = np.swapaxes(A, -1, -2)
    r = (wanted - m)[..., None] + A @ betas[..., None]
    return (A_T @ np.linalg.solve(A @ A_T, r))[..., 0]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "likeliest_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(likeliest)

# %% [markdown]
# Three of your functions make somebody of 185 cm and 70 kg. The derivative is taken by differences
# of 20 bodies, two for each beta.

# %%
if sheet.ready(shaped, measured, likeliest):
    T, S = body.v_template.double().numpy(), body.shapedirs.double().numpy()

    def m(betas):
        """Height in cm and mass in kg, (*, 2)."""
        height, mass = measured(shaped(betas, T, S), body.faces.numpy())
        return np.stack([100 * height, mass], axis=-1)

    betas, step = np.zeros(10), 0.01 * np.eye(10)
    for turn in range(5):
        print(f"turn {turn}: {m(betas).round(1)}, length of betas {np.linalg.norm(betas):.2f}")
        A = ((m(betas + step) - m(betas - step)) / 0.02).T  # (2, 10)
        betas = likeliest(betas, m(betas), A, np.array([185.0, 70.0]))
    draw_bodies(
        {"betas zero": T, "185 cm, 70 kg": shaped(betas, T, S)},
        alt="The mean body and beside it a taller, slimmer one.",
    )

# %% [markdown]
# ## Hand in
#
# Save the notebook and hand in this one file. In Colab the next cell downloads it.

# %%
sheet.summary()
