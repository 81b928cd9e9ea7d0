# %% [markdown]
# # Sheet 04 · Pose and skinning
#
# **You practise** walking a kinematic chain from the pelvis outwards, turning a bone about its own
# joint, making skin follow several bones, feeding pose correctives, mirroring a pose, and taking a
# body to another coordinate frame.
#
# **You need** notebook 04. **Points**: 16. **Time**: 80 minutes. &nbsp; [Open in Colab]({{colab}})
#
# Write each function where it says so and run its cell; the cell below it checks it at once.
# `hint(chain)` gives the next of three hints. Lengths are metres, rotations are matrices. `*` stands
# for leading batch axes: none, one, or more of them, the same for all arguments that have it. $K$
# counts joints, the root among them, and $V$ vertices.
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

sheet = open_sheet("04_pose_and_skinning")
check, hint = sheet.check, sheet.hint

# %% [markdown]
# One function is given. Use it wherever you need $\begin{bmatrix} R & t \\ 0 & 1 \end{bmatrix}$;
# its arguments broadcast, so `rigid(np.eye(3), t)` makes a pure shift of each `t`.


# %% tags=["given"]
import numpy as np


def rigid(R, t):
    """Matrices [R t; 0 1], (*, 4, 4), of rotations R (*, 3, 3) and shifts t (*, 3)."""
    G = np.zeros((*np.broadcast_shapes(R.shape[:-2], t.shape[:-1]), 4, 4), np.result_type(R, t))
    G[..., :3, :3], G[..., :3, 3], G[..., 3, 3] = R, t, 1
    return G


# %% [markdown]
# The pictures of this sheet show the open body in the pose below, by your functions. Your functions
# get all they need as arguments; graders run them alone, without `body` or `pose`.

# %%
import torch
from matplotlib.figure import Figure

from vhlib.body import SMPL
from vhlib.body.skeletons import SMPL_24
from vhlib.geometry import axis_angle_to_matrix
from vhlib.notebook.figures import show, show_photo
from vhlib.notebook.shape_figures import meshes_figure

body = SMPL.load()
degrees = {
    "left_hip": (-80, 0, 15),
    "left_knee": (95, 0, 0),
    "right_knee": (25, 0, 0),
    "spine1": (10, 10, 0),
    "left_shoulder": (0, -30, -50),
    "left_elbow": (0, -85, 0),
    "right_shoulder": (0, 20, 60),
}
turns = torch.zeros(24, 3)  # axis-angle, relative to the parent
for joint, vector in degrees.items():
    turns[SMPL_24.index(joint)] = torch.tensor(vector).deg2rad()
pose = axis_angle_to_matrix(turns).numpy()  # (24, 3, 3)

# %% [markdown]
# ## 1. The kinematic chain
# **4 points · difficulty 3 of 5 · 20 minutes**
#
# Joint $k$ has a place at rest, $J_k$, a rotation $R_k$ told relative to its parent $p(k)$, and a
# frame $G_k$ that takes coordinates in it to the world's:
#
# $$G_0 = \begin{bmatrix} R_0 & J_0 \\ 0 & 1 \end{bmatrix}, \qquad
# G_k = G_{p(k)} \begin{bmatrix} R_k & J_k - J_{p(k)} \\ 0 & 1 \end{bmatrix}.$$
#
# The posed joint is the origin of its frame, the last column of $G_k$.
#
# `chain(R, J, parents)`: `R` `(*, K, 3, 3)`, `J` `(*, K, 3)`, `parents` `(K,)` whole numbers, -1 for
# the root, which is joint 0; a parent always comes before its children → a tuple `(joints, G)` of
# the posed joints `(*, K, 3)` and the frames `(*, K, 4, 4)`.
#
# *Example*: an arm, `J = [[0, 0, 0], [1, 0, 0], [2, 0, 0.5]]`, `parents = [-1, 0, 1]`. Only joint 1
# turns, by 90° about z, which takes x to y. Then `joints` is `[[0, 0, 0], [1, 0, 0], [1, 1, 0.5]]`:
# joint 1 stays where it was, and joint 2 is swung up.
#
# *Expected picture*: this arm, its posed joints as circles, your joints as crosses in them.


# %% nbgrader={"grade": false, "grade_id": "chain", "locked": false, "schema_version": 3, "solution": true, "task": false}
def chain(R, J, parents):
    """Posed joints (*, K, 3) and frames (*, K, 4, 4) from R (*, K, 3, 3) and J (*, K, 3)."""
    ### BEGIN SOLUTION
    G = [rigid(R[..., 0, :, :], J[..., 0, :])]
    for k in range(1, len(parents)):
        p = parents[k]
        G.append(G[p] @ rigid(R[..., k, :, :], J[..., k, :] - J[..., p, :]))
    G = np.stack(G, axis=-3)
    return G[..., :3, 3], G
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "chain_check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check(chain)

# %%
sheet.draw(chain)

# %% [markdown]
# The open body's 24 joints in the pose from above: it stands on its right leg, facing you.

# %%
if sheet.ready(chain):
    rest, parents = body.J_template.numpy(), body.parents.numpy()
    posed, _ = chain(pose, rest, parents)
    figure = Figure(figsize=(6.5, 4.2))
    for axes, across, title in zip(figure.subplots(1, 2), (0, 2), ("front", "side"), strict=True):
        for places, color in ((rest, "#8C8C8C"), (posed, "#0072B2")):
            for k in range(1, 24):
                axes.plot(*places[[parents[k], k]][:, [across, 1]].T, "o-", color=color, ms=4)
        axes.set(title=title, xlabel="xyz"[across], ylabel="y", aspect="equal")
    figure.tight_layout()
    show(
        figure,
        alt="A skeleton from the front and the side, at rest in grey with its arms spread, posed "
        "in blue: the left thigh raised, the knee and the left elbow bent, the right arm lowered.",
    )

# %% [markdown]
# ## 2. A bone turns about its joint
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# Skin is stored at rest, in the world's coordinates. To make it follow bone $k$, first express it in
# the bone's frame *at rest*, whose axes are the world's and whose origin is $J_k$, then go
# back to the world by the frame *as posed*:
#
# $$A_k = G_k \begin{bmatrix} I & -J_k \\ 0 & 1 \end{bmatrix}.$$
#
# `bone_transforms(G, J)`: frames `(*, K, 4, 4)` and joints at rest `(*, K, 3)` → `(*, K, 4, 4)`.
#
# *Example*: a joint at (1, 0, 0) that stays there and turns by 90° about z has
# `A = [[0, -1, 0, 1], [1, 0, 0, -1], [0, 0, 1, 0], [0, 0, 0, 1]]`. It takes (1, 0, 0) to itself and
# (2, 0, 0) to (1, 1, 0). At rest, every $A_k$ is the identity.


# %% nbgrader={"grade": false, "grade_id": "bone_transforms", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bone_transforms(G, J):
    """Motions A (*, K, 4, 4) of the bones from rest, of frames G (*, K, 4, 4) and J (*, K, 3)."""
    ### BEGIN SOLUTION
    return G @ rigid(np.eye(3), -J)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bone_transforms_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(bone_transforms)

# %% [markdown]
# ## 3. Linear blend skinning
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# A vertex follows several bones, each with a weight $w_{vk} \ge 0$, $\sum_k w_{vk} = 1$:
#
# $$\begin{bmatrix} x'_v \\ 1 \end{bmatrix} = \Big( \sum_k w_{vk} A_k \Big)
# \begin{bmatrix} x_v \\ 1 \end{bmatrix}.$$
#
# The blended matrix is used as it is, although it is no longer a rotation and a shift.
#
# `skin(x, w, A)`: vertices at rest `(*, V, 3)`, weights `(V, K)` of all bodies alike, bones' motions
# `(*, K, 4, 4)` → posed vertices `(*, V, 3)`.
#
# *Example*: two bones, the first at rest and the second turned as in part 2. The vertex (1, 0.1, 0)
# stays there if it follows the first alone, goes to (0.9, 0, 0) with the second, and to
# (0.95, 0.05, 0) with half of each.
#
# *Picture*: if your answer is wrong, the check draws a sleeve on a bent arm, each point coloured by
# its error.


# %% nbgrader={"grade": false, "grade_id": "skin", "locked": false, "schema_version": 3, "solution": true, "task": false}
def skin(x, w, A):
    """Posed vertices (*, V, 3) of x (*, V, 3) at rest, by weights w (V, K) and A (*, K, 4, 4)."""
    ### BEGIN SOLUTION
    blended = np.einsum("vk,...kij->...vij", w, A)
    return np.einsum("...vij,...vj->...vi", blended[..., :3, :3], x) + blended[..., :3, 3]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "skin_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(skin)

# %% [markdown]
# These three functions pose a body.

# %%
if sheet.ready(chain, bone_transforms, skin):
    J, x, w = body.J_template.numpy(), body.v_template.numpy(), body.lbs_weights.numpy()
    _, G = chain(pose, J, body.parents.numpy())
    skins = {"at rest": x, "posed": skin(x, w, bone_transforms(G, J))}
    show_photo(
        meshes_figure({n: torch.from_numpy(s).float() for n, s in skins.items()}, body.faces),
        alt="Two bodies: at rest with spread arms, and on one leg, the other thigh raised, one arm "
        "lowered and the other bent before the chest.",
    )

# %% [markdown]
# ## 4. What pose correctives see
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# Before skinning, SMPL adds offsets to the mesh at rest, linear in the entries of
#
# $$R_k - I, \qquad k = 1, \dots, K - 1,$$
#
# joint by joint, each matrix row by row. The root, joint 0, isn't among them, so that turning the
# whole body changes no offset.
#
# `pose_features(R)`: `(*, K, 3, 3)` → `(*, 9 (K - 1))`; for SMPL's 24 joints that is `(*, 207)`.
#
# *Example*: two joints, both turned by 90° about z: `[-1, -1, 0, 1, -1, 0, 0, 0, 0]`. At rest all
# are zero.
#
# *Expected picture*: these nine numbers in order, yours dashed.


# %% nbgrader={"grade": false, "grade_id": "pose_features", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pose_features(R):
    """R_k - I of all joints but the root, (*, 9 (K - 1)), of rotations (*, K, 3, 3)."""
    ### BEGIN SOLUTION
    beyond_root = R[..., 1:, :, :] - np.eye(3)
    return beyond_root.reshape(*R.shape[:-3], 9 * (R.shape[-3] - 1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "pose_features_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(pose_features)

# %%
sheet.draw(pose_features)

# %% [markdown]
# The open body's correctives in this pose, by your features: flesh moves where a joint bends.

# %%
if sheet.ready(chain, bone_transforms, skin, pose_features):
    J, x, w = body.J_template.numpy(), body.v_template.numpy(), body.lbs_weights.numpy()
    A = bone_transforms(chain(pose, J, body.parents.numpy())[1], J)
    offsets = body.posedirs.numpy() @ pose_features(pose)  # (V, 3)
    skins = {"without correctives": skin(x, w, A), "with them": skin(x + offsets, w, A)}
    millimetres = torch.from_numpy(1000 * np.linalg.norm(offsets, axis=-1)).float()
    show_photo(
        meshes_figure(
            {name: torch.from_numpy(vertices).float() for name, vertices in skins.items()},
            body.faces,
            values={"with them": millimetres},
            label="corrective in mm",
        ),
        alt="The posed body twice, the second coloured by how far its correctives move the skin: "
        "most at the raised hip and knee, less at the left shoulder and elbow, not at head and hands.",
    )

# %% [markdown]
# ## 5. The mirrored pose
# **2 points · difficulty 3 of 5 · 10 minutes**
#
# A mirror at the plane $x = 0$ is the matrix $M = \mathrm{diag}(-1, 1, 1)$. A turn seen in it is:
# mirror back, turn, mirror again. And what a right hand does, its image does with the left. With
# $s(k)$ the joint that is the mirror image of joint $k$, the mirrored pose is
#
# $$R'_k = M\, R_{s(k)}\, M .$$
#
# Each $R'_k$ is a rotation again; networks are trained with such flips.
#
# `mirrored(R, swap)`: rotations `(*, K, 3, 3)` and `swap` `(K,)`, whole numbers, the $s(k)$ →
# `(*, K, 3, 3)`.
#
# *Example*: a single joint that is its own image, `swap = [0]`. A turn by 30° about z becomes one by
# -30°; a turn about x stays as it is.
#
# *Expected picture*: the axes as turned by this single joint, yours dashed on the expected ones.


# %% nbgrader={"grade": false, "grade_id": "mirrored", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mirrored(R, swap):
    """The rotations (*, K, 3, 3) of the mirror image of a pose; joint k is the image of swap[k]."""
    ### BEGIN SOLUTION
    M = np.diag([-1.0, 1.0, 1.0])
    return M @ R[..., swap, :, :] @ M
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mirrored_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(mirrored)

# %%
sheet.draw(mirrored)

# %%
if sheet.ready(mirrored):
    flipped = mirrored(pose, SMPL_24.flip_permutation)
    skins = {
        name: body(body_pose=torch.from_numpy(R[1:]).float(), global_orient=None).vertices
        for name, R in {"the pose": pose, "mirrored": flipped}.items()
    }
    show_photo(
        meshes_figure(skins, body.faces),
        alt="Two bodies that look like each other in a mirror: the one raises its left thigh, the "
        "other its right one.",
    )

# %% [markdown]
# ## 6. Into the camera's axes
# **3 points · difficulty 4 of 5 · 15 minutes**
#
# A body is known in the room's axes, and you want its parameters in the camera's, which sees a room
# point $y$ at $R\,y + t$. SMPL's root turns the body about the *pelvis at rest*, $J_0$, and then
# shifts it: with $\hat x$ for a vertex before the root's turn,
#
# $$y = R_0 (\hat x - J_0) + J_0 + \mathrm{transl}.$$
#
# The moved body must have the same form, with other $R'_0$ and $\mathrm{transl}'$ but the same
# $J_0$ and $\hat x$, such that it stands at $R\,y + t$. Find both; notebook 04 does it by putting
# one equation into the other.
#
# `moved(R_0, transl, J_0, R, t)`: `R_0` and `R` `(*, 3, 3)`, `transl`, `J_0` and `t` `(*, 3)` → a
# tuple of the new root rotation `(*, 3, 3)` and the new translation `(*, 3)`.
#
# *Example*: `R_0` the identity, `transl` zero, `J_0 = (0, -0.24, 0.02)`. The world is turned by 90°
# about x, $R\,(x, y, z) = (x, -z, y)$, with $t = 0$. Then $R'_0 = R$ and
# $\mathrm{transl}' = (0, 0.22, -0.26)$.


# %% nbgrader={"grade": false, "grade_id": "moved", "locked": false, "schema_version": 3, "solution": true, "task": false}
def moved(R_0, transl, J_0, R, t):
    """Root rotation (*, 3, 3) and translation (*, 3) of a body after y -> R y + t."""
    ### BEGIN SOLUTION
    pelvis = (R @ (J_0 + transl)[..., None])[..., 0] + t
    return R @ R_0, pelvis - J_0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "moved_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(moved)

# %% [markdown]
# A man was fitted in four cameras at once, in the room's axes. Your function takes him to the axes
# of two of the cameras, where he is drawn over what they saw.

# %%
if sheet.ready(moved):
    from vhlib.body import BodyParameters, Keypoints
    from vhlib.data.photos import Photo
    from vhlib.fitting.multiview import fit_views
    from vhlib.notebook.clips import load_clip
    from vhlib.notebook.fit_figures import cropped, views_figure
    from vhlib.pipelines.photo import draw_overlay

    clip = load_clip()
    seen = [clip.keypoints(index, [60]) for index in range(4)]
    xy, confidence = (torch.stack([getattr(k, n) for k in seen]) for n in ("xy", "confidence"))
    man = fit_views(body, clip.cameras, Keypoints(xy, confidence, "openpose_25b"))
    man = man.body_parameters[0]
    J_0 = body(betas=man.betas).joints[0].numpy()
    panels = {}
    for index in (1, 2):
        camera = clip.cameras[index]
        R, t = camera.T_camera_world[:3, :3].numpy(), camera.T_camera_world[:3, 3].numpy()
        root, transl = moved(man.global_orient.numpy(), man.transl.numpy(), J_0, R, t)
        root, transl = (torch.from_numpy(array).float() for array in (root, transl))
        there = BodyParameters(man.betas, man.body_pose, root, transl)
        photo = Photo(clip.frame(index, 60))
        drawn = draw_overlay(photo, body, camera.in_own_frame(), there)
        panels[f"camera {index}"] = cropped(drawn, seen[index][0])
    show_photo(
        views_figure(panels, height=4.0),
        alt="A man balancing on one leg, from two sides, each with the fitted body drawn over him.",
    )

# %% [markdown]
# <sub>Clip: Pose2Sim's demo session (D. Pagnon and contributors, BSD-3-Clause); his face was hidden
# by its makers.</sub>
#
# ## Hand in
#
# Save the notebook and hand in this one file. In Colab the next cell downloads it.

# %%
sheet.summary()
