# %% [markdown]
# # 04 · Pose and skinning
#
# **After this notebook you can** pose a skeleton by forward kinematics and a skin by linear blend
# skinning, say what pose correctives mend and what they can't, write the whole SMPL function in
# under twenty lines, and take a body to another coordinate frame without displacing it.
#
# **You need** notebook 02 for rotations and 03 for the shape. **Time**: 45 minutes. &nbsp;
# [Open in Colab]({{colab}})

# %% tags=["real_data"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vhlib") is None:  # in Colab, for instance
    package = "vhlib[colab] @ git+{{repository}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

import contextlib
import io
import math
import time
from dataclasses import replace

import numpy as np
import smplx
import torch
from ipywidgets import Dropdown, FloatSlider
from matplotlib.figure import Figure
from smplx.joint_names import JOINT_NAMES, SMPLH_JOINT_NAMES
from smplx.utils import Struct
from smplx.vertex_ids import vertex_ids
from torch.nn.functional import normalize

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.model_files import find_model
from vhlib.body.skeletons import SMPL_24
from vhlib.body.skin import Skin, dual_quaternion_skinning
from vhlib.body.skinning import bone_transforms, forward_kinematics, linear_blend_skinning
from vhlib.data.photos import Photo
from vhlib.fitting.multiview import fit_views
from vhlib.geometry import axis_angle_to_matrix
from vhlib.notebook.clips import load_clip
from vhlib.notebook.controls import explore
from vhlib.notebook.figures import show, show_photo
from vhlib.notebook.fit_figures import crop_window, cropped, views_figure
from vhlib.notebook.mesh_pictures import mesh_picture
from vhlib.notebook.skinning_figures import (
    ColoredMesh,
    camera_towards,
    chain_figure,
    close_ups_figure,
    colored_figure,
    radius_figure,
    ring_figure,
    turn_figure,
)
from vhlib.notebook.viewer import BodyViewer
from vhlib.pipelines.photo import draw_overlay

clip, smpl = load_clip(), SMPL.load()
seen = [clip.keypoints(index, [60]) for index in range(4)]
views = Keypoints(
    torch.stack([k.xy for k in seen]), torch.stack([k.confidence for k in seen]), "openpose_25b"
)
man = fit_views(smpl, clip.cameras, views).body_parameters[0]  # in the room's axes, z up

# %% [markdown]
# ## 1. A pose is 24 rotations
#
# **What must be said of a person to draw him in this pose?** Below, a body was fitted to the man in
# four cameras at once. Ten numbers say who he is (notebook 03), three say where he stands. The rest
# is 24 rotations: one of the whole body, and one for each of 23 joints.

# %%
photo, room = clip.frame(1, 60), clip.cameras[1]
overlay = draw_overlay(Photo(photo), smpl, room, man)
show_photo(
    views_figure({n: cropped(p, seen[1][0]) for n, p in (("photo", photo), ("body", overlay))}),
    alt="Left: a man in shorts balances on one leg, bent sideways, one arm up. Right: the same "
    "photo with a blue-grey body drawn over him in the same pose.",
)

# %% [markdown]
# A joint's rotation is told *relative to its parent*, the next joint towards the pelvis. So joints
# form a tree. With axis-angle vectors of three numbers, a pose $\theta$ has $24 \cdot 3 = 72$: the
# root's 3, `global_orient`, and 69 of `body_pose`.

# %%
# NBVAL_CHECK_OUTPUT
parents = smpl.parents.tolist()


def path(k: int) -> list[int]:
    """From a joint to the root."""
    return [k] if parents[k] < 0 else [k, *path(parents[k])]


print(" < ".join(SMPL_24.names[k] for k in path(SMPL_24.index("left_hand"))))
print("every path ends in the pelvis:", all(path(k)[-1] == 0 for k in range(24)))
print("pose", 24 * 3, "= root", 3, "+ body", 23 * 3)

# %% [markdown]
# **Predict first.** Turn `left_shoulder` alone. Which of the 24 joints change their *place*?

# %%
# NBVAL_CHECK_OUTPUT
shoulder = SMPL_24.index("left_shoulder")
print([SMPL_24.names[k] for k in range(24) if shoulder in path(k)[1:]])

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Three: elbow, wrist and hand. The shoulder's own place is decided by the joints above it: a joint
# turns what hangs on it, not itself. So the rotation of the last joint of each chain, such as
# `left_hand`, moves skin but no joint.
#
# </details>
#
# > **Where people trip.** A lecture text speaks of finger rotations when it explains SMPL's
# > Jacobian. SMPL has none: beyond each wrist there is one joint, 22 or 23, and no finger moves by
# > itself. SMPL-H and SMPL-X have 15 joints in each hand instead. *Can I copy a SMPL pose to them?*
# > By number, the numbers after 21 land elsewhere; by name, the 21 joints before them are the same:

# %%
# NBVAL_CHECK_OUTPUT
for model, names in {"SMPL-H": SMPLH_JOINT_NAMES, "SMPL-X": JOINT_NAMES}.items():
    pairs = list(zip(SMPL_24.names, names, strict=False))
    print(f"{model}: joints 0 to 21 have the same names: {all(a == b for a, b in pairs[:22])}")
    print("  wrong, by number:", ", ".join(f"{a} turns {b}" for a, b in pairs[22:]))

# %% [markdown]
# SMPL-H keeps SMPL's surface, so those 21 carry over as they are. To SMPL-X they go roughly, and
# the *shape* not at all (notebook 03). Its hand poses have a trap of their own: with
# `flat_hand_mean=False` the model adds a mean hand to what it is given, so zero is a relaxed hand,
# else a flat one. Numbers made for the one need that mean added or taken away for the other.

# %% [markdown]
# ## 2. The kinematic chain
#
# **Where is the wrist?** Give each joint a frame: an origin and three axes. A frame is a matrix
# that takes coordinates in it to world coordinates,
# $G = \begin{bmatrix} R & t \\ 0 & 1 \end{bmatrix}$. Seen from the parent's frame, joint $k$ is
# turned by $R_k$ and sits at the end of a bone, $J_k - J_{p(k)}$, whose length doesn't change:
#
# $$G_k = G_{p(k)} \begin{bmatrix} R_k & J_k - J_{p(k)} \\ 0 & 1 \end{bmatrix}, \qquad
# G_0 = \begin{bmatrix} R_0 & J_0 \\ 0 & 1 \end{bmatrix}$$


# %%
def rigid(R: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """[R t; 0 1] for each R (..., 3, 3) and t (..., 3)."""
    top = torch.cat([R, t[..., None]], -1)
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], -2)


def chain(R: torch.Tensor, J: torch.Tensor) -> torch.Tensor:
    """World frames G (24, 4, 4) from relative rotations (24, 3, 3) and joints at rest (24, 3)."""
    G = [rigid(R[0], J[0])]
    for k, p in enumerate(parents[1:], start=1):  # parents come first
        G.append(G[p] @ rigid(R[k], J[k] - J[p]))
    return torch.stack(G)


# %% [markdown]
# A pose to try it on, by name. Each triple is *one* rotation about one axis: its direction is the
# axis, its length the angle. These are not three turns in a row.


# %%
def pose(**degrees: tuple[float, float, float]) -> torch.Tensor:
    """Axis-angle vectors (24, 3) in radians; joints that aren't named keep their rest."""
    theta = torch.zeros(24, 3)
    for joint, vector in degrees.items():
        theta[SMPL_24.index(joint)] = torch.tensor(vector).deg2rad()
    return theta


# %%
theta = pose(
    pelvis=(0, 40, 0),
    left_hip=(-80, 0, 15),
    left_knee=(95, 0, 0),
    right_knee=(35, 0, 0),
    spine1=(15, 10, 0),
    neck=(0, 30, 0),
    left_shoulder=(0, -30, -50),
    left_elbow=(0, -85, 0),
    right_shoulder=(0, 20, 70),
    right_elbow=(40, 60, 0),
)
R = axis_angle_to_matrix(theta)
J = smpl.J_template  # the mean shape's joints at rest
G = chain(R, J)

# %%
# NBVAL_CHECK_OUTPUT
_, joints = forward_kinematics(R, J, smpl.tree)
print("our loop and the library agree:", bool((G[:, :3, 3] - joints).abs().max() < 1e-6))
print("bones keep their lengths:", end=" ")
child, parent = range(1, 24), parents[1:]
bone, rest_bone = joints[child] - joints[parent], J[child] - J[parent]
print(bool((bone.norm(dim=-1) - rest_bone.norm(dim=-1)).abs().max() < 1e-6))

# %% [markdown]
# (The library walks the tree level by level, for a whole batch at once.)

# %%
rest = BodyParameters(torch.zeros(10), torch.eye(3).repeat(23, 1, 1), torch.eye(3), torch.zeros(3))
upright = torch.tensor([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]) @ room.T_camera_world[:3, :3]
him = replace(man, global_orient=upright @ man.global_orient)
show_photo(
    chain_figure(
        smpl,
        {"at rest": rest, "the man": him},
        SMPL_24.indices("pelvis", "left_shoulder", "left_elbow", "right_hip", "right_knee", "head"),
    ),
    alt="Two see-through bodies with bones as black lines and, at six joints, frames of three "
    "coloured axes. At rest, arms out, all frames are parallel. In the man's pose each frame "
    "is turned; that of the left elbow has followed the shoulder's.",
)

# %% [markdown]
# At rest all frames are parallel to the world's: in SMPL the axes do *not* lie along the bones. So
# "bend the elbow" is a turn about $y$ when the arms point sideways, and the knee's is about $x$.
#
# **Predict first.** In the viewer the left elbow is bent. Choose the left shoulder and turn it. Do
# the elbow's three numbers change? Does its frame?

# %%
elbow_bent = pose(left_elbow=(0, -85, 0), left_shoulder=(-60, 0, 0))
BodyViewer(
    smpl,
    "The mean body, its left elbow bent. In a running notebook it shows its bones and the frames "
    "of its joints, and each joint can be turned.",
    body_pose=elbow_bent[1:],
    skeleton=True,
    frames=True,
    joint=shoulder,
).show()

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The numbers stay, since they are told relative to the shoulder. The frame turns, since
# $G_{elbow} = \dots\, G_{shoulder} \begin{bmatrix} R_{elbow} & \cdot \\ 0 & 1 \end{bmatrix}$.
#
# </details>
#
# > **Where people trip.** Two mistakes pass every test of shapes. *The product in the wrong order*,
# > and *world rotations* (which some motion files hold) *fed in as relative ones*:

# %%
# NBVAL_CHECK_OUTPUT
swapped = [rigid(R[0], J[0])]
for k, p in enumerate(parents[1:], start=1):
    swapped.append(rigid(R[k], J[k] - J[p]) @ swapped[p])  # local @ parent
swapped = torch.stack(swapped)[:, :3, 3]
as_world = chain(G[:, :3, :3], J)[:, :3, 3]

for name, wrong in (("wrong order", swapped), ("world as relative", as_world)):
    stretched = (wrong[child] - wrong[parent]).norm(dim=-1) / rest_bone.norm(dim=-1)
    kept = bool((stretched - 1).abs().max() < 1e-5)
    off = 100 * (wrong - joints).norm(dim=-1).max()
    print(f"{name:17}: off by up to {off:3.0f} cm, bones keep their lengths: {kept}")

back = G[parent][:, :3, :3].mT @ G[child][:, :3, :3]  # R_k = G_p^T G_k
print("relative again from world:", bool((back - R[1:]).abs().max() < 1e-6))

# %% [markdown]
# The first tears the skeleton, which is easy to see. The second gives a sound skeleton in a wrong
# pose, because every joint adds the turns above it a second time.
#
# ### The same pose, mirrored
#
# A mirror swaps left and right, and turns a rotation's axis: of an axis-angle vector the $y$ and
# $z$ components change sign (the mirror is $x \to -x$). Networks are trained with such flips.

# %%
# NBVAL_CHECK_OUTPUT
swap = SMPL_24.flip_permutation
mirrored = theta[swap] * torch.tensor([1.0, -1.0, -1.0])
twice = mirrored[swap] * torch.tensor([1.0, -1.0, -1.0])
theirs = chain(axis_angle_to_matrix(mirrored), J)[:, :3, 3]
ours = joints[swap] * torch.tensor([-1.0, 1.0, 1.0])
print("twice is nothing:", bool((twice == theta).all()))
print("the mirrored pose has the mirrored joints, to a millimetre:", end=" ")
print(bool((theirs - ours).norm(dim=-1).max() < 1e-3))

# %% [markdown]
# It holds because this template is symmetric. On a body with one longer leg the two would differ.

# %% [markdown]
# ## 3. Skin that follows bones
#
# **Which bone does the skin at an elbow follow?** Both a little. Each vertex $v$ has a weight
# $w_{vk} \ge 0$ for each joint, $\sum_k w_{vk} = 1$. They are stored in the model; SMPL's were
# learned, those of our open body come from an artist's rig, smoothed.

# %%
elbow = SMPL_24.index("left_elbow")
w = smpl.lbs_weights  # (V, 24)
bent = smpl(body_pose=axis_angle_to_matrix(elbow_bent[1:]))
weight_views = {
    "at rest": ColoredMesh(smpl.v_template, w[:, elbow]),
    "bent": ColoredMesh(bent.vertices, w[:, elbow]),
}
arm = camera_towards(J[elbow], 0.8, (320, 320))
show_photo(
    colored_figure(
        smpl.faces, weight_views, "weight of left_elbow", dict.fromkeys(weight_views, arm)
    ),
    alt="A left arm from the front, coloured by the weight of the elbow joint: 1, nearly black, on "
    "the forearm, 0, light, on the upper arm and the hand, with a band of orange at the elbow and "
    "at the wrist. Straight on the left; bent upwards on the right, the colours moved along.",
)

# %% [markdown]
# A vertex is stored at rest, $x_v$. If it belonged to bone $k$ alone, where would it go? First
# into the bone's frame *at rest*, which is a shift by $-J_k$; then out of the frame *as posed*,
# which is $G_k$. Linear blend skinning takes the weighted mean of the matrices that do this:
#
# $$A_k = G_k \begin{bmatrix} I & -J_k \\ 0 & 1 \end{bmatrix}, \qquad
# \begin{bmatrix} x'_v \\ 1 \end{bmatrix} = \Big( \sum_k w_{vk} A_k \Big)
# \begin{bmatrix} x_v \\ 1 \end{bmatrix}$$


# %%
def skin(x: torch.Tensor, w: torch.Tensor, G: torch.Tensor, J: torch.Tensor) -> torch.Tensor:
    """Posed vertices (V, 3) from vertices at rest (V, 3) and weights (V, 24)."""
    A = G @ rigid(torch.eye(3).expand(24, 3, 3), -J)
    blended = torch.einsum("vk,kij->vij", w, A)
    return torch.einsum("vij,vj->vi", blended[:, :3, :3], x) + blended[:, :3, 3]


x = smpl.v_template
A = bone_transforms(G[:, :3, :3], G[:, :3, 3], J)

# %%
# NBVAL_CHECK_OUTPUT
same = (skin(x, w, G, J) - linear_blend_skinning(x, w, A)).abs().max() < 1e-5
print("four lines and the library agree:", bool(same))
print("weights sum to one:", bool((w.sum(1) - 1).abs().max() < 1e-5))
print(f"a vertex follows {(w > 0).sum(1).float().mean():.1f} bones on average")
at_rest = chain(torch.eye(3).expand(24, 3, 3), J)
print("no pose, no change:", bool((skin(x, w, at_rest, J) - x).abs().max() < 1e-6))

# %% [markdown]
# > **Where people trip.** A lecture text says that computing the matrices which skin the mesh is
# > essentially forward kinematics. It is that and one step more: a shift by $-J_k$. Without it the
# > body comes apart even at rest. A zero pose is the test that finds this at once.

# %%
# NBVAL_CHECK_OUTPUT
forgotten = linear_blend_skinning(x, w, at_rest[:, :3])  # G_k where A_k should be
print(
    f"zero pose, shift forgotten: vertices off by up to {(forgotten - x).norm(dim=-1).max():.1f} m"
)

# %% [markdown]
# **Predict first.** Some skin of the forearm follows its bone practically alone: the largest weight
# of `left_elbow` is 1.0. What is the largest weight of `spine1`, and of `left_collar`? Choose
# joints in the viewer and see how far their weights reach.

# %%
BodyViewer(
    smpl,
    "The mean body. In a running notebook the weights of the chosen joint colour its skin.",
    weights=True,
    joint=SMPL_24.index("left_collar"),
).show()

# %%
# NBVAL_CHECK_OUTPUT
for joint in ("left_elbow", "spine1", "left_collar"):
    print(f"largest weight of {joint:11} {w[:, SMPL_24.index(joint)].max():.1f}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Below 1: no vertex follows either alone. Limbs are stiff between their joints, so only a band at
# each joint is shared. A trunk is soft all over, so its joints share nearly all of it and bend it
# as one.
#
# </details>

# %% [markdown]
# ## 4. The candy wrapper
#
# **What does a mean of rotations look like?** Turn the hand about the line of the arm by
# $\varphi$. A vertex at the wrist with weight $w$ for the hand lands at the weighted mean of *where
# the forearm has it* and *where the hand takes it*: in the plane across the arm, written as complex
# numbers, $(1 - w)\,r + w\,r e^{i\varphi}$, with
#
# $$\frac{r'}{r} = \left| 1 - w + w e^{i\varphi} \right| = \sqrt{1 - 2w(1-w)(1 - \cos\varphi)}$$
#
# **Predict first.** What is left of the radius halfway, $w = 1/2$, at 90° and at 180°?
#
# We take `vhlib`'s *lesson body*: the same mesh, with an artist's weights that change quickly from
# bone to bone.

# %%
lesson = SMPL.load("lesson")
v, weights, joints_at_rest = lesson.v_template, lesson.lbs_weights, lesson.J_template
wrist, hand = SMPL_24.indices("left_wrist", "left_hand")
axis = normalize(joints_at_rest[hand] - joints_at_rest[wrist], dim=0)


# %%
def twist(degrees: float) -> torch.Tensor:
    """Rotations (24, 3, 3) with the left hand turned about the line of the arm."""
    theta = torch.zeros(24, 3)
    theta[wrist] = math.radians(degrees) * axis
    return axis_angle_to_matrix(theta)


def across(vertices: torch.Tensor) -> torch.Tensor:
    """What is left of each vertex across the arm: (V, 3), its length is the radius."""
    d = vertices - joints_at_rest[wrist]
    return d - (d @ axis)[:, None] * axis


def linear(degrees: float) -> torch.Tensor:
    """Linear blend skinning of the twisted wrist."""
    return skin(v, weights, chain(twist(degrees), joints_at_rest), joints_at_rest)


# %%
# NBVAL_CHECK_OUTPUT
two = weights[:, wrist] + weights[:, elbow] > 0.9999  # vertices of these two bones only
w_hand = weights[two, wrist]
for degrees in (45, 90, 180):
    found = (across(linear(degrees)).norm(dim=-1) / across(v).norm(dim=-1))[two]
    cosine = math.cos(math.radians(degrees))
    formula = (1 - 2 * w_hand * (1 - w_hand) * (1 - cosine)).clamp(min=0).sqrt()
    middle = abs(math.cos(math.radians(degrees) / 2))
    print(
        f"{degrees:3}°: formula = mesh: {bool((found - formula).abs().max() < 1e-3)}, "
        f"halfway {middle:.2f} of the radius is left"
    )

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# $|\cos(\varphi/2)|$: 0.71 at 90°, and nothing at 180°. The mean of two opposite points is the
# axis, so the wrist is pinched to a point like the end of a wrapped sweet. SMPL's authors call the
# family of these faults *taffy* and *bow tie*.
#
# </details>
#
# Bent joints lose volume for the same reason: a mean of two places cuts the corner between them.

# %%
ring = two & ((weights[:, wrist] - 0.5).abs() < 0.12)
wrist_camera = camera_towards(joints_at_rest[wrist], 0.36, (420, 260))


ways = {"linear": linear}  # of posing the skin; section 5 adds two


def twisted_wrist(degrees: float, way: str = "linear") -> Figure:
    """The wrist from the front, and its ring of skin seen along the arm."""
    posed = ways[way](degrees)
    picture = mesh_picture(posed, lesson.faces, wrist_camera)
    return ring_figure(picture, axis, across(v)[ring], across(posed)[ring])


explore(
    twisted_wrist,
    alt="Left: a forearm and a hand turned by 150 degrees about it; the wrist is pinched thin. "
    "Right: the ring of skin at the wrist seen along the arm, an oval of grey dots at rest and a "
    "much smaller cluster of orange squares after the twist.",
    degrees=FloatSlider(150.0, min=-180.0, max=180.0, step=10.0, description="twist in °"),
)

# %% [markdown]
# ## 5. Pose correctives
#
# **Who puts the flesh back?** SMPL adds offsets to the mesh *before* it is skinned, still in the
# rest pose. They are linear in the entries of the rotation matrices:
#
# $$T(\beta, \theta) = \bar T + B_S(\beta) + B_P(\theta), \qquad
# B_P(\theta) = \sum_{n=1}^{9K} \big( R_n(\theta) - R_n(\theta^*) \big) P_n, \qquad K = 23$$
#
# with $\theta^*$ the rest pose, whose matrices are the identity. $T$ still stands in the rest pose,
# though some texts call it posed. The $P_n$, `posedirs`, are learned: from scans of posed people in
# SMPL, from computed pseudo-scans in our open body (notebook 05). The root isn't among the $K$
# joints.
#
# **Predict first.** How many numbers describe a pose to $B_P$? What does $B_P$ become if a person
# lies down without moving a limb?


# %%
def pose_features(R: torch.Tensor) -> torch.Tensor:
    """R_k - I of joints 1 to 23, row by row: (207,)."""
    return (R[1:] - torch.eye(3)).flatten()


def B_P(R: torch.Tensor, posedirs: torch.Tensor) -> torch.Tensor:
    """Offsets (V, 3) in metres."""
    return posedirs @ pose_features(R)


# %%
# NBVAL_CHECK_OUTPUT
lying = R.clone()
lying[0] = axis_angle_to_matrix(torch.tensor([-math.pi / 2, 0.0, 0.0])) @ R[0]
still = torch.eye(3).expand(24, 3, 3)
print(f"{len(pose_features(R))} numbers = {23} joints times {9}")
print(
    "lying down changes nothing:", bool((B_P(lying, smpl.posedirs) == B_P(R, smpl.posedirs)).all())
)
print("no pose, no offset:", bool((B_P(still, smpl.posedirs) == 0).all()))
for degrees in (60, 120, 180):
    size = (twist(degrees)[wrist] - torch.eye(3)).norm() / 8**0.5
    print(f"twist by {degrees:3}°: the features have {size:.2f} of their largest length")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# $207 = 23 \cdot 9$, and it stays as it was: gravity and contact don't exist in SMPL. The features
# grow as $\lVert R - I \rVert = 2\sqrt 2\, \lvert \sin(\varphi/2) \rvert$: they are bounded, and
# after a whole turn they are back at zero. Axis-angle vectors would be neither.
#
# </details>

# %%
above = (80, 0, 0)  # the root turns us to see an arm from above, and changes no corrective
deeds = {
    "knee, 95°": (pose(left_knee=(95, 0, 0)), "left_knee", 1.3),
    "elbow, 95°, from above": (pose(pelvis=above, left_elbow=(0, -95, 0)), "left_elbow", 0.0),
    "thigh, 80°": (pose(left_hip=(-80, 0, 0)), "left_hip", 0.9),
}
coloured, cameras = {}, {}
for title, (vector, joint, yaw) in deeds.items():
    turned = axis_angle_to_matrix(vector)
    frames, offsets = chain(turned, J), B_P(turned, smpl.posedirs)
    posed = skin(x + offsets, w, frames, J)
    coloured[title] = ColoredMesh(posed, 1000 * offsets.norm(dim=-1))
    place = frames[SMPL_24.index(joint), :3, 3]
    cameras[title] = camera_towards(place, 0.7, (320, 320), yaw)
show_photo(
    colored_figure(smpl.faces, coloured, "corrective in mm", cameras),
    alt="A bent knee, a bent elbow and a raised thigh, coloured by how far the corrective moved "
    "each vertex. Only the skin around the bent joint is dark; the hip's crease most of all.",
)

# %% [markdown]
# ### How much of the candy wrapper do they mend?
#
# The lesson body's correctives were learned from poses in which the wrist twists by up to 80°.
# Another cure changes the blending: the normalised mean of *dual quaternions* is itself a rigid
# motion, so a twist keeps its radius. SMPL's authors evaluated both; the released models
# blend linearly, as every graphics program can.


# %%
def corrected(degrees: float) -> torch.Tensor:
    """Linear blend skinning with correctives."""
    turned = twist(degrees)
    G = chain(turned, joints_at_rest)
    return skin(v + B_P(turned, lesson.posedirs), weights, G, joints_at_rest)


def dual_quaternions(degrees: float) -> torch.Tensor:
    """A rigid mean of the bones' motions."""
    G = chain(twist(degrees), joints_at_rest)
    A = bone_transforms(G[:, :3, :3], G[:, :3, 3], joints_at_rest)
    return dual_quaternion_skinning(v, Skin(lesson.faces, weights, tuple(parents)), A[None])[0]


# %%
ways |= {"with correctives": corrected, "dual quaternions": dual_quaternions}
columns = {f"{d}°": d for d in (0, 80, 120, 180)}
show_photo(
    close_ups_figure(
        lesson.faces,
        {name: {title: way(d) for title, d in columns.items()} for name, way in ways.items()},
        camera_towards(joints_at_rest[wrist], 0.36, (300, 190)),
    ),
    alt="A forearm with its hand twisted by 0, 80, 120 and 180 degrees, in three rows. Linear: the "
    "wrist thins and at 180 degrees is a point. With correctives: whole at 80 degrees, a point "
    "at 180. Dual quaternions: the wrist keeps its width throughout, with spiral creases at 180.",
)

# %%
# NBVAL_CHECK_OUTPUT
degrees = torch.linspace(0, 180, 37)
left = {
    name: torch.stack(
        [
            (across(way(d))[ring].norm(dim=-1) / across(v)[ring].norm(dim=-1)).mean()
            for d in degrees.tolist()
        ]
    )
    for name, way in ways.items()
}
for name, ratio in left.items():
    print(f"{name:16} radius left at 80°: {ratio[16]:.1f}, at 180°: {ratio[36]:.1f}")

# %%
show(
    radius_figure(degrees, left, trained=80.0),
    alt="The share of the wrist's radius that is left against the twist. Linear skinning falls "
    "from 1 to about 0.1. With correctives it stays above 0.9 up to 80 degrees, where training "
    "ended, and then falls almost as low. Dual quaternions stay at 1.",
)

# %% [markdown]
# A corrective is linear in $\cos\varphi$ and $\sin\varphi$. It mends the poses that it was trained
# on, and nothing holds it beyond them; priors on pose (notebook 07) keep fits where the model is
# good. Try each way at each twist:

# %%
explore(
    twisted_wrist,
    alt="Left: a forearm and a hand turned by 80 degrees, the wrist whole. Right: the ring of skin "
    "at the wrist seen along the arm; orange squares lie on an oval about as wide as that of the "
    "grey dots.",
    degrees=FloatSlider(80.0, min=-180.0, max=180.0, step=10.0, description="twist in °"),
    way=Dropdown(options=list(ways), value="with correctives", description="skinning"),
)

# %% [markdown]
# And the whole body: switch *pose correctives* off and on, then bend the elbow by 130° and look at
# its inside.

# %%
BodyViewer(
    lesson,
    "The lesson body with its left wrist twisted by 80 degrees. In a running notebook correctives "
    "can be switched off and on.",
    body_pose=math.radians(80) * torch.eye(23)[wrist - 1][:, None] * axis,
    joint=wrist,
).show()

# %% [markdown]
# > **Where people trip.** *All 24 rotations go in, the root among them.* That gives 216 features,
# > and who "repairs" the shapes by taking the first 207 puts every joint in the place of the next
# > one. *The matrices are flattened by columns.* Both run without an error:

# %%
# NBVAL_CHECK_OUTPUT
proper = B_P(R, smpl.posedirs)
print(f"the correctives of our pose reach {100 * proper.norm(dim=-1).max():.0f} cm")
with_root = (R - torch.eye(3)).flatten()[:207]
by_columns = (R[1:] - torch.eye(3)).mT.flatten()
for name, features in (("with the root", with_root), ("by columns", by_columns)):
    off = (smpl.posedirs @ features - proper).norm(dim=-1).max()
    print(f"{name:13}: off by up to {100 * off:.0f} cm")

# %% [markdown]
# ## 6. The whole function
#
# Shape, joints, correctives, chain, skin, translation: the order matters.


# %%
def M(betas: torch.Tensor, R: torch.Tensor, transl: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """SMPL: vertices (V, 3) and joints (24, 3) of one body."""
    shaped = smpl.v_template + smpl.shapedirs @ betas  # B_S: notebook 03
    J = smpl.J_regressor @ shaped  # of the shaped body at rest
    corrected = shaped + smpl.posedirs @ pose_features(R)  # B_P: still at rest
    G = chain(R, J)
    return skin(corrected, smpl.lbs_weights, G, J) + transl, G[:, :3, 3] + transl


# %% [markdown]
# The reference implementation is `smplx` (for non-commercial use). It reads our open body, since
# that has SMPL's file format.

# %%
with contextlib.redirect_stdout(io.StringIO()):  # it says that ten shape components are few
    peer = smplx.SMPL(
        model_path="",
        data_struct=Struct(**np.load(find_model("neutral"))),
        vertex_ids=dict.fromkeys(vertex_ids["smplh"], 0),  # ours has other vertices; not used here
    )

# %%
# NBVAL_CHECK_OUTPUT
generator = torch.Generator().manual_seed(0)
largest = {"vhlib": 0.0, "smplx": 0.0}
with torch.no_grad():
    for _ in range(5):
        betas, transl = torch.randn(10, generator=generator), torch.randn(3, generator=generator)
        rotations = axis_angle_to_matrix(0.6 * torch.randn(24, 3, generator=generator))
        vertices, _ = M(betas, rotations, transl)
        body = BodyParameters(betas, rotations[1:], rotations[0], transl)
        one = {name: value[None] for name, value in vars(body).items()}
        one["global_orient"] = rotations[None, :1]  # smplx wants (1, 1, 3, 3)
        theirs = {"vhlib": smpl(**vars(body)), "smplx": peer(**one, pose2rot=False)}
        for name, output in theirs.items():
            off = (output.vertices.reshape(-1, 3) - vertices).norm(dim=-1).max()
            largest[name] = max(largest[name], off.item())
for name, off in largest.items():
    print(f"five random bodies, ours against {name}: the same within 0.01 mm: {off < 1e-5}")

# %% [markdown]
# (`pose2rot=False` says that we pass matrices; by default `smplx` takes axis-angle vectors.)
#
# **Predict first.** $J$ is regressed from `shaped`. Why not from `corrected`, also a mesh at rest?

# %%
# NBVAL_CHECK_OUTPUT
too_late = smpl.J_regressor @ (smpl.v_template + B_P(R, smpl.posedirs))
largest = 1000 * (too_late - J).norm(dim=-1).max()
print(f"joints from the corrected mesh at rest: off by up to {largest:.0f} mm")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# SMPL defines $J(\beta)$ on the shaped body at rest; a bone must not grow because a muscle bulges.
# Nor do the posed joints come from the *posed* mesh (notebook 03, section 4): they are the chain's,
# the last columns of $G_k$.
#
# </details>

# %% [markdown]
# ## 7. The root turns about the pelvis
#
# **A body was found in the room's axes. What are its parameters in the camera's?** The camera sees
# a room point $y$ at $R\,y + t$. A vertex of a body is, with everything but the root done in
# $\hat x$,
#
# $$y = R_0 (\hat x - J_0) + J_0 + \mathrm{transl}$$
#
# because the root turns the body about the *pelvis* $J_0$, and the pelvis isn't the origin of the
# template. Put this into $R\,y + t$ and read off what stands where:
#
# $$R_0' = R\,R_0, \qquad \mathrm{transl}' = R\,(J_0 + \mathrm{transl}) + t - J_0$$
#
# **Predict first.** Without the two $J_0$, by how much is the body displaced? In which turns would
# you not notice?


# %%
def moved(body: BodyParameters, R: torch.Tensor, t: torch.Tensor) -> BodyParameters:
    """The same body after y -> R y + t."""
    J_0 = (smpl.J_regressor @ (smpl.v_template + smpl.shapedirs @ body.betas))[0]
    return replace(
        body, global_orient=R @ body.global_orient, transl=R @ (J_0 + body.transl) + t - J_0
    )


def displaced(body: BodyParameters, R: torch.Tensor, t: torch.Tensor) -> BodyParameters:
    """What is often written instead."""
    return replace(body, global_orient=R @ body.global_orient, transl=R @ body.transl + t)


# %%
other = clip.cameras[2]
R_room, t_room = other.T_camera_world[:3, :3], other.T_camera_world[:3, 3]
panels = {}
for title, rule in {"about the origin: wrong": displaced, "about the pelvis: right": moved}.items():
    inside = rule(man, R_room, t_room)  # in camera 2's own axes
    drawn = draw_overlay(Photo(clip.frame(2, 60)), smpl, other.in_own_frame(), inside)
    left, top, right, bottom = (int(edge) for edge in crop_window(seen[2][0], drawn, margin=0.2))
    panels[title] = drawn[top:bottom, left:right]
show_photo(
    views_figure(panels),
    alt="The man seen from behind by another camera, with the fitted body over him. Left, with the "
    "wrong translation, the body hangs beside him. Right it covers him.",
)

# %%
# NBVAL_CHECK_OUTPUT
body = BodyParameters(
    torch.ones(10), R[1:], R[0], torch.tensor([0.5, 1.0, 3.0])
)  # in any pose, shape and place
y = smpl(**vars(body)).vertices
for name, vector in {"x": [math.pi, 0.0, 0.0], "y": [0.0, math.pi, 0.0]}.items():
    turn, t = axis_angle_to_matrix(torch.tensor(vector)), torch.tensor([0.1, 0.2, 0.3])
    found = [smpl(**vars(rule(body, turn, t))).vertices for rule in (moved, displaced)]
    good, bad = ((f - (y @ turn.T + t)).norm(dim=-1).max() for f in found)
    print(f"half a turn about {name}: right {good < 1e-5}, without J_0 off by {100 * bad:.0f} cm")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# By $(R - I) J_0$, the same for all vertices. The pelvis lies below the template's origin, so a
# half turn about a horizontal axis costs twice that depth, and a turn about the vertical almost
# nothing: tests on a turntable pass. A fit hides it, too, by finding another translation.
#
# </details>
#
# > **Where people trip.** "Turning the root also moves the body" and "with the extrinsics applied
# > it is half a metre off" have been asked about SMPL for years. The same formula brings bodies of
# > datasets from the world into a camera, and from $y$ up to $z$ up. $J_0$ depends on the betas:
# > with another shape the translation is another.

# %%
start = replace(rest, body_pose=R[1:], transl=torch.tensor([0.7, 0.2, 0.0]))
before = smpl(**vars(start)).vertices
recipes = {
    "root only": lambda body, R, t: replace(body, global_orient=R @ body.global_orient),
    "root, and R transl": displaced,
    "about the pelvis": moved,
}


def turn_world(degrees: float, recipe: str) -> Figure:
    """Turn the world about its origin, and the body's parameters by a recipe."""
    turn = axis_angle_to_matrix(torch.tensor([0.0, 0.0, math.radians(degrees)]))
    after = recipes[recipe](start, turn, torch.zeros(3))
    return turn_figure(smpl.faces, smpl(**vars(after)).vertices, before @ turn.T)


# %%
explore(
    turn_world,
    alt="A body and a cross at the world's origin. A dashed outline shows the body with the world "
    "turned by 100 degrees; the filled one, posed by the recipe without the pelvis, lies beside "
    "it, off by some 36 centimetres.",
    degrees=FloatSlider(100.0, min=-180.0, max=180.0, step=10.0, description="turn in °"),
    recipe=Dropdown(options=list(recipes), value="root, and R transl", description="recipe"),
)

# %% [markdown]
# ## 8. What it costs

# %%
with torch.no_grad():
    for name, count, call in (
        ("our function, one body", 1, lambda: M(torch.zeros(10), R, torch.zeros(3))),
        ("vhlib, one body", 1, lambda: smpl(body_pose=R[1:])),
        ("vhlib, a batch of 64", 64, lambda: smpl(body_pose=R[1:].expand(64, 23, 3, 3))),
        ("its 24 joints only", 64, lambda: smpl.keypoints("smpl_24", torch.zeros(64, 10), R[1:])),
    ):
        call()
        began = time.perf_counter()
        for _ in range(5):
            call()
        print(f"{name:23} {200 * (time.perf_counter() - began) / count:6.2f} ms a body")
megabytes = smpl.posedirs.numel() * 4 / 1e6
print(f"posedirs take {megabytes:.0f} MB, most of the model")

# %% [markdown]
# **Summary.** A pose is 24 rotations, each relative to its parent; frames multiply from the pelvis
# outwards. Skin follows a weighted mean of its bones' motions, taken from the rest pose: cheap,
# smooth, and thin where bones turn against each other. Correctives, linear in $R_k - I$ of the 23
# joints below the root, mend what they were trained on. The root turns about the pelvis, and who
# changes frames must say so to the translation.
#
# **Exercises.** [Sheet 04](../exercises/04_pose_and_skinning.ipynb).
#
# **Further reading.** M. Loper et al., *SMPL: a skinned multi-person linear model*, SIGGRAPH Asia
# 2015. N. Magnenat-Thalmann et al., *Joint-dependent local deformations for hand animation and
# object grasping*, 1988 (linear blend skinning). J. Lewis et al., *Pose space deformation*,
# SIGGRAPH 2000. L. Kavan et al., *Geometric skinning with approximate dual quaternion blending*,
# ACM TOG 2008. G. Pavlakos et al., *Expressive body capture*, CVPR 2019 (SMPL-X).
