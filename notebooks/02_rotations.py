# %% [markdown]
# # 02 · Rotations
#
# **After this notebook you can** convert between five ways to write a rotation, turn a body without
# breaking it, tell which of two layouts six numbers are in, differentiate at the identity, and
# measure, blend and repair rotations.
#
# **You need** notebook 00 and matrix products. **Time**: 50 minutes. &nbsp;
# [Open in Colab]({{colab}})

# %% tags=["real_data"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vhlib") is None:  # in Colab, for instance
    package = "vhlib[colab] @ git+{{repository}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

import math
import time
from dataclasses import replace

import torch
from ipywidgets import Dropdown, IntSlider
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation, Slerp
from smplx.lbs import batch_rodrigues

from vhlib.body import SMPL
from vhlib.body.skeletons import SMPL_24
from vhlib.data.photos import Photo
from vhlib.fitting import fit_smplify
from vhlib.geometry import (
    axis_angle_to_matrix,
    geodesic_distance,
    interleaved_6d_to_rotation_6d,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    matrix_to_rotation_6d,
    project_to_rotation,
    quaternion_to_matrix,
    rotation_6d_to_matrix,
    skew,
)
from vhlib.notebook.clips import load_clip
from vhlib.notebook.controls import explore
from vhlib.notebook.figures import show, show_photo
from vhlib.notebook.fit_figures import cropped, views_figure
from vhlib.notebook.rotation_figures import (
    Curves,
    blends_figure,
    curves_figure,
    gimbal_figure,
    pictures_and_curves_figure,
    rest_with,
    turn_figure,
    turned_picture,
)
from vhlib.notebook.viewer import BodyViewer
from vhlib.pipelines.photo import draw_overlay

smpl = SMPL.load()
clip = load_clip()
frames = [0, 20, 40, 60, 80]
camera = clip.cameras[1].in_own_frame()
fits = fit_smplify(smpl, camera, clip.keypoints(1, frames)).body_parameters
man = fits[frames.index(60)]  # fitted to one photo, in the axes of its camera

# %% [markdown]
# ## 1. One turn, nine numbers, three freedoms
#
# A body is posed by 24 rotations. **What is a rotation, as numbers?** A matrix whose columns say
# where the three axes go. They stay perpendicular, of length one, and a right hand stays a right
# hand:
#
# $$R^\top R = I, \qquad \det R = 1$$
#
# Nine numbers under six conditions leave three freedoms. The *axis-angle* vector $\omega$ is three
# numbers: its direction is the axis, its length $a = |\omega|$ the angle in radians.

# %%
omega = torch.tensor([0.2, 1.25, -0.4])
show(
    turn_figure(omega),
    alt="Three drawings of coloured arrows x, y and z and a black one, the axis. From left to "
    "right the coloured arrows turn about the black one; dots show where their tips have been.",
)

# %% [markdown]
# How does $\omega$ become a matrix? Turn a very little, many times. A small turn moves $v$ by
# $\omega \times v$, which is a matrix product $[\omega]_\times v$; $n$ turns, each by the $n$-th
# part, give
#
# $$R = \lim_{n \to \infty} \left( I + \tfrac{1}{n} [\omega]_\times \right)^n
# = I + \tfrac{\sin a}{a} [\omega]_\times + \tfrac{1 - \cos a}{a^2} [\omega]_\times^2$$
#
# The limit is the exponential of a matrix; the closed form on the right is Rodrigues' formula.
#
# **Predict first.** How many small turns come within one hundredth of it: ten, a hundred, or a
# thousand?


# %%
# NBVAL_CHECK_OUTPUT
def rodrigues(omega: torch.Tensor) -> torch.Tensor:
    a = omega.norm()
    W = skew(omega)  # W @ v = omega x v
    return torch.eye(3) + a.sin() / a * W + (1 - a.cos()) / a**2 * (W @ W)


R = rodrigues(omega)
for n in (10, 100, 1000):
    many = torch.linalg.matrix_power(torch.eye(3) + skew(omega) / n, n)
    print(f"{n:4} small turns: within {(many - R).abs().max():.0e}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# A hundred. The error falls as $1/n$: each small turn also makes vectors longer, by a factor
# $1 + \tfrac12 (a/n)^2$.
#
# </details>
#
# Do others mean the same by the same three numbers?

# %%
# NBVAL_CHECK_OUTPUT
peers = {"vhlib": axis_angle_to_matrix(omega), "torch": torch.linalg.matrix_exp(skew(omega))}
peers["scipy"] = torch.tensor(Rotation.from_rotvec(omega.numpy()).as_matrix()).float()
peers["smplx"] = batch_rodrigues(omega[None])[0]
for name, theirs in peers.items():
    print(f"{name:5} agrees to 1e-6:", bool((theirs - R).abs().max() < 1e-6))

# %% [markdown]
# ### On a body
#
# Below, `body_pose` holds one axis-angle vector for each joint but the root. Each turns the limb
# *in the axes of the parent bone*. Choose a joint and slide its three numbers, or drag it.
#
# **Predict first.** Left shoulder (0, 0, −1.2) brings the arm down. What will (0.6, 0, −1.2) do:
# the same, and then twist the arm by 0.6?

# %%
arm_down = torch.zeros(24, 3)
arm_down[SMPL_24.index("left_shoulder")] = torch.tensor([0.6, 0.0, -1.2])
viewer = BodyViewer(
    smpl,
    "A body with its right arm stretched out and its left arm lowered and turned forward.",
    body_pose=arm_down[1:],
    skeleton=True,
    frames=True,
    joint=SMPL_24.index("left_shoulder"),
)
viewer.show()

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No. The three numbers aren't three turns one after the other: they are *one* turn about *one* axis
# that has moved. Turns one after the other are products of matrices, and their order counts.
#
# </details>

# %%
# NBVAL_CHECK_OUTPUT
# geodesic_distance is the angle of the turn from one rotation to the other: section 7
about_x = rodrigues(torch.tensor([math.pi / 2, 0.0, 0.0]))
about_y = rodrigues(torch.tensor([0.0, math.pi / 2, 0.0]))
apart = geodesic_distance(about_x @ about_y, about_y @ about_x).rad2deg()
print(f"x then y, or y then x, both by 90 degrees: {apart:.0f} degrees apart")
together = rodrigues(torch.tensor([0.6, 0.0, -1.2]))
in_turn = rodrigues(torch.tensor([0.0, 0.0, -1.2])) @ rodrigues(torch.tensor([0.6, 0.0, 0.0]))
apart = geodesic_distance(together, in_turn).rad2deg()
print(f"(0.6, 0, -1.2), or one after the other: {apart:.0f} degrees apart")

# %% [markdown]
# ## 2. Numbers that jump
#
# **Is there one vector for each rotation?** No: a turn by $a$ about an axis is also a turn by
# $a - 2\pi$. A conversion from a matrix has to pick one, and picks the shortest.
#
# **Predict first.** Slide the body from 170 to 190 degrees. What do the body and the number do?

# %%
degrees = torch.arange(0.0, 361.0, 2.0)
facing = axis_angle_to_matrix(torch.stack([0 * degrees, degrees.deg2rad(), 0 * degrees], -1))
component = matrix_to_axis_angle(facing)[:, 1].rad2deg()
component[degrees == 180] = math.nan  # there both signs are right


def spin(turn: int) -> Figure:
    """The body turned about its vertical axis, and the number that a matrix gives back."""
    R_turn = axis_angle_to_matrix(torch.tensor([0.0, math.radians(turn), 0.0]))
    body = turned_picture(smpl, rest_with(pelvis=R_turn))
    labels = ("degrees turned", "y of the axis-angle, degrees")
    return pictures_and_curves_figure(
        {f"turned by {turn} degrees": body}, Curves(degrees, {"y": component}, labels, at=turn)
    )


explore(
    spin,
    alt="Left: a body seen from behind. Right: the number rises from 0 to 180 degrees, goes on at "
    "-180, and rises to 0 again.",
    turn=IntSlider(190, 0, 360, 10, description="turn"),
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The body turns on smoothly. The number jumps from 180 to −180: two neighbours, told in numbers
# that are 360 degrees apart.
#
# </details>
#
# > **Where people trip.** A lecture text takes a loss on matrices and one on axis-angle for
# > equivalent. But a difference, a mean or a loss of axis-angle *numbers* takes those neighbours
# > for opposites. Two bodies that both show their back, wrong by numbers and right by matrices:

# %%
# NBVAL_CHECK_OUTPUT
back = torch.tensor([[0.0, math.radians(170), 0.0], [0.0, math.radians(-170), 0.0]])
R_back = axis_angle_to_matrix(back)
print(f"apart: {(back[0] - back[1]).norm().rad2deg():.0f} degrees by the numbers, ", end="")
print(f"{geodesic_distance(*R_back).rad2deg():.0f} in truth")
means = {
    "numbers": axis_angle_to_matrix(back.mean(0)),
    "matrices": project_to_rotation(R_back.sum(0)),  # sum, and repair: section 8
}
for name, mean in means.items():
    print(f"mean of the {name}: {geodesic_distance(mean, R_back[0]).rad2deg():.0f} degrees off")

# %% [markdown]
# ### The way back, and where it is blind
#
# Read Rodrigues' formula backwards: the part of $R$ that changes sign when transposed is
# $\sin a \, [n]_\times$ with the unit axis $n$, and the trace is $1 + 2 \cos a$.
#
# **Predict first.** At which angle does this recipe lose the axis?


# %%
# NBVAL_CHECK_OUTPUT
def log(R: torch.Tensor) -> torch.Tensor:
    v = torch.stack([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]]) / 2  # sin a * n
    a = torch.atan2(v.norm(), (R.trace() - 1) / 2)
    return a / v.norm() * v


for turn in (30, 179, 180):
    R = axis_angle_to_matrix(math.radians(turn) * omega / omega.norm())
    for name, way_back in {"the recipe": log, "vhlib": matrix_to_axis_angle}.items():
        gap = (axis_angle_to_matrix(way_back(R)) - R).abs().max()
        print(f"{turn:3} degrees, there and back by {name:10}: right {bool(gap < 1e-4)}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# At half a turn $\sin a = 0$, and only rounding is left of the axis. (At $a = 0$ as well, but there
# no axis is needed.) `vhlib` goes by a quaternion instead. Half a turn is no rare case: the next
# section says why most people in photos are near it.
#
# </details>
#
# A *quaternion* is four numbers of length one, the axis scaled by the sine of *half* the angle and
# the cosine: $q = (\sin \tfrac a2 \, n, \; \cos \tfrac a2)$. Half a turn is then nothing special.
# But after a full turn $q$ has become $-q$: two for each rotation.


# %%
# NBVAL_CHECK_OUTPUT
def quaternion(omega: torch.Tensor) -> torch.Tensor:
    a = omega.norm()
    return torch.cat([(a / 2).sin() * omega / a, (a / 2).cos()[None]])  # x, y, z, w


q, theirs = quaternion(omega), Rotation.from_rotvec(omega.numpy()).as_quat()
print("as in scipy:", bool((q - torch.tensor(theirs)).abs().max() < 1e-6))
once_more = quaternion((1 + 2 * math.pi / omega.norm()) * omega)
print("a full turn later it is -q:", bool((once_more + q).abs().max() < 1e-5))
print(
    "the same matrix:", bool((quaternion_to_matrix(-q) - quaternion_to_matrix(q)).abs().max() == 0)
)

# %% [markdown]
# ## 3. Turn a body the right way up
#
# An image's $y$ points down, SMPL's template stands along $+y$. So a person who stands upright in a
# photo has a root rotation near $(\pi, 0, 0)$, half a turn about $x$; the mean parameters from
# which HMR and SPIN start hold just that turn. A viewer whose $y$ points up (OpenGL and most 3D
# programs) shows the fitted body upside down. **How do you turn it back?**
#
# > **Where people trip.** "It's half a turn, so I add π to the first component." Below it stands
# > beside the right way, a product of matrices.
#
# **Predict first.** When does adding π work?

# %%
half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # y down, z forward -> y up, z back
omega_root = matrix_to_axis_angle(man.global_orient)
added = axis_angle_to_matrix(omega_root + torch.tensor([math.pi, 0.0, 0.0]))
composed = half_turn @ man.global_orient

ways = {"as fitted": man.global_orient, "π added": added, "composed": composed}
pictures = {"photo": cropped(clip.frame(1, 60), clip.keypoints(1)[60])}
for name, root in ways.items():
    pictures[name] = turned_picture(smpl, replace(man, global_orient=root), zoom=1.3)
show_photo(
    views_figure(pictures, height=3.4),
    alt="A man who balances on one leg, and the body fitted to him in a viewer with y up. As "
    "fitted it stands on its head; with pi added it stands, but turned and tilted away from his "
    "pose; composed it stands as he does.",
)

# %%
# NBVAL_CHECK_OUTPUT
print(f"pi added: about {geodesic_distance(added, composed).rad2deg() / 10:.0f}0 degrees wrong")
straight = torch.tensor([math.pi, 0.0, 0.0])
lucky = geodesic_distance(axis_angle_to_matrix(2 * straight), half_turn @ rodrigues(straight))
print(f"for a root of exactly (pi, 0, 0): {lucky.rad2deg():.0f} degrees wrong")
for name, signs in {"y and z": [1.0, -1.0, -1.0], "y alone": [1.0, -1.0, 1.0]}.items():
    print(f"negating {name}: determinant {torch.tensor(signs).prod():+.0f}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Only when the rotation is about the $x$ axis itself. Then two turns about one axis add up, and the
# recipe passes its first test. Anybody who isn't facing the camera squarely comes out wrong, here
# by about 40 degrees.
#
# Negating $y$ alone turns the picture over, too, but it is a mirror (determinant $-1$): left and
# right change places. $y$ and $z$ together are a turn.
#
# </details>
#
# Turns add up only along one axis. All others are products, and the side matters:
# $R_\text{turn} R$ turns about the axes of the *world*, $R \, R_\text{turn}$ about the body's own.
#
# **Predict first.** Spin the man by 90 degrees about the vertical in each of the three ways. Which
# keep him upright?


# %%
def turn_man(degrees: int, way: str) -> Figure:
    """The man turned about y, by one of three recipes, and how far each is from the first."""
    angle = torch.arange(-180.0, 181.0, 10.0).deg2rad()
    turns = torch.stack([0 * angle, angle, 0 * angle], -1)
    R_turn, log_root = axis_angle_to_matrix(turns), matrix_to_axis_angle(composed)
    recipes = {
        "R_turn @ R": R_turn @ composed,
        "R @ R_turn": composed @ R_turn,
        "add to y": axis_angle_to_matrix(log_root + turns),
    }
    root = recipes[way][(degrees + 180) // 10]
    off = {k: geodesic_distance(recipes["R_turn @ R"], R).rad2deg() for k, R in recipes.items()}
    curves = Curves(angle.rad2deg(), off, ("turn in degrees", "degrees from R_turn @ R"), degrees)
    picture = turned_picture(smpl, replace(man, global_orient=root), zoom=1.3)
    return pictures_and_curves_figure({f"{way}, {degrees} degrees": picture}, curves)


explore(
    turn_man,
    alt="Left: the man's body, turned by 90 degrees by adding to the y component, falls forward. "
    "Right: how far each recipe is from R_turn @ R; two of them leave it as the turn grows.",
    degrees=IntSlider(90, -180, 180, 10, description="degrees"),
    way=Dropdown(options=["R_turn @ R", "R @ R_turn", "add to y"], value="add to y"),
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Turning about the world's vertical, `R_turn @ R`, keeps every height as it was. `R @ R_turn` turns
# about his own long axis, which leans as he does. Adding to a component turns about neither.
#
# </details>
#
# The pictures here are centred. In a scene, `transl` has to change as well, because the root turns
# the body about its *pelvis*: see [notebook 04](04_pose_and_skinning.ipynb), section 7.

# %% [markdown]
# ## 4. Euler angles, and why arms lock
#
# Three turns about coordinate axes, one after the other: aim the arm, raise it, twist it,
#
# $$R = R_y(a) \, R_z(b) \, R_x(c)$$
#
# Good for reading and for joints with few freedoms. **What can go wrong?** First the order: twelve
# are in use, each about axes that stand still or that turn along. Capitals tell the two in `scipy`.
#
# **Predict first.** In `scipy`, how far apart are `"xyz"` and `"XYZ"` of the same three angles?

# %%
# NBVAL_CHECK_OUTPUT
fixed = Rotation.from_euler("xyz", [40, 50, 60], degrees=True)  # about the world's axes
moving = Rotation.from_euler("XYZ", [40, 50, 60], degrees=True)  # about axes that turn along
print(f"{math.degrees((fixed.inv() * moving).magnitude()):.0f} degrees apart")
swapped = Rotation.from_euler("ZYX", [60, 50, 40], degrees=True)
print("xyz is ZYX backwards:", bool(fixed.approx_equal(swapped)))


# %% [markdown]
# Second, the angles don't always span all turns. A small change of $a$, $b$ or $c$ turns the arm
# about $y$, about $R_y z$, or about $R_y R_z x$. Put these three axes into the columns of a matrix
# (the Jacobian of the angles). Its smallest singular value says how well they span: 1 if they are
# perpendicular, 0 if some turn is out of their reach.
#
# **Predict first.** At which $b$ does the arm of a T-pose lose a freedom: stretched out, or hanging
# down?


# %%
def euler_arm(a: float, b: float, c: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The arm's rotation and, as columns, the axes about which a, b and c turn it; degrees."""
    x, y, z = torch.eye(3)
    R_y, R_z, R_x = (
        axis_angle_to_matrix(axis * math.radians(angle)) for axis, angle in ((y, a), (z, b), (x, c))
    )
    return R_y @ R_z @ R_x, torch.stack([y, R_y @ z, R_y @ R_z @ x], dim=1)


raised = torch.arange(-120.0, 121.0, 2.0)
least = [torch.linalg.svdvals(euler_arm(0, b.item(), 0)[1])[-1] for b in raised]


def gimbal(a: int, b: int, c: int) -> Figure:
    """The arm at three angles, its axes, and how well they span."""
    R_arm, J = euler_arm(a, b, c)
    curve = Curves(raised, {"": least}, ("b in degrees", "smallest singular value"), at=b)
    return gimbal_figure(turned_picture(smpl, rest_with(left_shoulder=R_arm), 0.5), J, curve)


explore(
    gimbal,
    alt="Left: a body whose left arm hangs down. Middle: three arrows, of which the first and the "
    "third, a and c, point in opposite directions. Right: the smallest singular value is 1 at "
    "b = 0 and falls to 0 at -90 and 90 degrees.",
    a=IntSlider(0, -180, 180, 10, description="a: aim"),
    b=IntSlider(-90, -120, 120, 10, description="b: raise"),
    c=IntSlider(0, -180, 180, 10, description="c: twist"),
)

# %%
# NBVAL_CHECK_OUTPUT
for b in (0, -45, -80, -90):
    smallest = torch.linalg.svdvals(euler_arm(0, b, 0)[1])[-1]
    print(f"b = {b:3}: smallest singular value {smallest:.2f}")
aimed, twisted = euler_arm(30, -90, 0)[0], euler_arm(0, -90, -30)[0]
print("hanging down, a by 30 does what c by -30 does:", bool((aimed - twisted).abs().max() < 1e-6))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Hanging down, where arms are most of the time. There "aim" and "twist" turn about the same line,
# the arm's own, and no small change of the three angles swings the arm forward. This is *gimbal
# lock*. Every set of three angles has such places; axis-angle has its own at turns by $2\pi$, out
# of the way.
#
# </details>

# %% [markdown]
# ## 5. Six numbers, two layouts
#
# A network's outputs are continuous in its inputs, so numbers that jump are hard to learn. Every
# way to write all rotations in four or fewer numbers has jumps (Zhou et al. 2019); six are enough.
# Take any two vectors $a_1, a_2$ and straighten them (Gram and Schmidt):
#
# $$b_1 = \frac{a_1}{|a_1|}, \qquad
# b_2 = \frac{a_2 - (b_1 \cdot a_2)\, b_1}{|a_2 - (b_1 \cdot a_2)\, b_1|}, \qquad
# b_3 = b_1 \times b_2, \qquad R = [b_1\; b_2\; b_3]$$
#
# **Predict first.** Double all six numbers. How does the rotation change?


# %%
# NBVAL_CHECK_OUTPUT
def straighten(six: torch.Tensor) -> torch.Tensor:
    a_1, a_2 = six[..., :3], six[..., 3:]
    b_1 = a_1 / a_1.norm(dim=-1, keepdim=True)
    b_2 = a_2 - (b_1 * a_2).sum(-1, keepdim=True) * b_1
    b_2 = b_2 / b_2.norm(dim=-1, keepdim=True)
    return torch.stack([b_1, b_2, torch.linalg.cross(b_1, b_2)], dim=-1)


anything = torch.randn(1000, 6, generator=torch.Generator().manual_seed(0))
R = straighten(anything)
print("rotations:", bool((R.mT @ R - torch.eye(3)).abs().max() < 1e-4 and R.det().min() > 0))
print("same as vhlib:", bool((R - rotation_6d_to_matrix(anything)).abs().max() < 1e-4))
print("doubled, the same:", bool((straighten(2 * anything) - R).abs().max() < 1e-4))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Not at all: lengths are thrown away. A network may say the same rotation in many ways, and only
# parallel or vanishing vectors have none.
#
# </details>

# %%
angles = Curves(degrees, {"axis-angle, y": component / 180}, ("degrees turned", "in half turns"))
six = matrix_to_rotation_6d(facing)
labels = ("degrees turned", "element of the 6D vector")
chosen = {f"element {i}": six[:, i] for i in (0, 2, 4)}
show(
    curves_figure(angles, Curves(degrees, chosen, labels)),
    alt="Left: the axis-angle's y over a full turn jumps from 1 to -1 at 180 degrees. Right: three "
    "elements of the 6D vector follow a cosine, a sine and a constant, without a jump.",
)

# %% [markdown]
# ### Which six?
#
# The two columns are a 3 x 2 matrix, and there are two ways to write it in a row:
#
# - *stacked*, column 1, then column 2: ProHMR, HMR 2.0, `vhlib`;
# - *interleaved*, row by row, so that column 1 is elements 0, 2, 4: SPIN, VIBE, PyMAF, CLIFF, EFT,
#   PIXIE, MotionBERT, VPoser, and SPIN's file of mean parameters.
#
# Any six numbers give a rotation, but for the rare parallel ones. So nothing complains when weights
# or mean parameters of one project are fed to another's function, which often has the same name.
#
# **Predict first.** One elbow is read in the wrong layout, the rest of the man right. A slip of a
# few degrees?


# %%
def misread(R: torch.Tensor) -> torch.Tensor:
    """Written stacked, read as if interleaved."""
    return rotation_6d_to_matrix(interleaved_6d_to_rotation_6d(matrix_to_rotation_6d(R)))


# %%
groups = {
    "nothing": [],
    "the left elbow": SMPL_24.indices("left_elbow"),
    "arms": [i for i, name in enumerate(SMPL_24.names[:22]) if i > 15],
    "21 joints": list(range(1, 22)),
    "root and 21 joints": list(range(22)),
}


def with_misread(frame: int, what: str) -> Figure:
    """The fit over its photo, right and with some joints misread."""
    body, joints = fits[frames.index(frame)], groups[what]
    R = torch.cat([body.global_orient[None], body.body_pose])
    R[joints] = misread(R[joints])
    bodies = {"right": body, f"misread: {what}": replace(body, global_orient=R[0], body_pose=R[1:])}
    photo, seen = Photo(clip.frame(1, frame)), clip.keypoints(1)[frame]
    drawn = {name: draw_overlay(photo, smpl, camera, one) for name, one in bodies.items()}
    return views_figure({name: cropped(panel, seen) for name, panel in drawn.items()}, 4.2)


explore(
    with_misread,
    alt="Twice the photo of the man on one leg with a body over him. Left it lies on him; right, "
    "with 21 joints read in the other layout, it is knotted into itself.",
    frame=Dropdown(options=frames, value=60, description="frame"),
    what=Dropdown(options=list(groups), value="21 joints", description="misread"),
)

# %%
# NBVAL_CHECK_OUTPUT
R = torch.cat([man.global_orient[None], man.body_pose])[:22]  # without the hands, see below
wrong = misread(R)
square = (wrong.mT @ wrong - torch.eye(3)).abs().max() < 1e-4
print("22 misread matrices are rotations:", bool(square and wrong.det().min() > 0))
off = geodesic_distance(R, wrong).rad2deg()
print(f"off by more than 20 degrees: {(off > 20).sum()} of {len(off)}")
print("the identity, misread, is finite:", bool(misread(torch.eye(3)).isfinite().all()))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Every joint is far off, even those that were hardly bent: the two layouts share only the first and
# the last element. The identity is the worst case: misread, its second column is zero, and
# no rotation follows. The fit leaves the hands there, so they were left out.
#
# </details>
#
# > **Where people trip.** Given a file of six numbers, don't trust a function's name: test it. Six
# > numbers that *came from matrices* are two perpendicular unit vectors in the right layout, and
# > hardly ever in the other.


# %%
# NBVAL_CHECK_OUTPUT
def perpendicular_units(six: torch.Tensor, shape: str) -> bool:
    columns = six.unflatten(-1, (2, 3)).mT if shape == "stacked" else six.unflatten(-1, (3, 2))
    return bool((columns.mT @ columns - torch.eye(2)).abs().max() < 1e-4)


for layout in ("stacked", "interleaved"):
    print(f"could it be {layout}?", perpendicular_units(matrix_to_rotation_6d(R), layout))

# %% [markdown]
# ## 6. Gradients where every fit starts
#
# Fits start from the rest pose, $\omega = 0$. There $\sin a / a$ is $0/0$. **Which way to write
# Rodrigues' formula survives that?** Four; all agree away from zero:


# %%
def turn_about(axis: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    N = skew(axis)
    return torch.eye(3).to(axis) + a.sin() * N + (1 - a.cos()) * (N @ N)


def plain(w: torch.Tensor) -> torch.Tensor:
    return turn_about(w / w.norm(), w.norm())


def patched(w: torch.Tensor) -> torch.Tensor:
    a = w.norm()
    return turn_about(torch.where(a > 0, w / a, 0.0), a)


def shifted(w: torch.Tensor) -> torch.Tensor:
    a = (w + 1e-8).norm()  # as in HMR and smplx
    return turn_about(w / a, a)


def smooth(w: torch.Tensor) -> torch.Tensor:
    a, W = w.norm(), skew(w)  # torch takes the norm's gradient at zero as zero
    sine, versine = torch.sinc(a / math.pi), torch.sinc(a / (2 * math.pi)) ** 2 / 2
    return torch.eye(3).to(w) + sine * W + versine * (W @ W)


# %% [markdown]
# The last uses $\tfrac{1 - \cos a}{a^2} = \tfrac12 \left( \tfrac{\sin (a/2)}{a/2} \right)^2$ and
# $\mathrm{sinc}(t) = \tfrac{\sin \pi t}{\pi t}$, which knows its own value at zero.
#
# **Predict first.** A turn about $x$ lifts $R_{zy}$ at rate 1, so its gradient at zero should be
# $(1, 0, 0)$. Which of the four give it?

# %%
# NBVAL_CHECK_OUTPUT
forms = {"plain": plain, "patched": patched, "shifted": shifted, "smooth": smooth}
for name, form in forms.items():
    for start in (0.0, -1e-8):
        w = torch.full((3,), start, requires_grad=True)
        entry = form(w)[2, 1]
        (slope,) = torch.autograd.grad(entry, w)
        words = [f"{number:.0f}" for number in (slope.round() + 0.0).tolist()]
        print(f"{name:7} at {start:6}: finite {bool(entry.isfinite())!s:5} gradient {words}")
exact = smooth(omega.double())
print(f"in double precision: shifted is off by {(shifted(omega.double()) - exact).abs().max():.0e}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# *Plain* divides zero by zero. *Patched* has the right value and no gradient: `torch.where` hides
# the bad branch's value, but its derivative, infinite, is multiplied by zero on the way back, and
# that is NaN. *Shifted* is right at zero, and its hole has moved to $-10^{-8} (1, 1, 1)$. That is
# rarely met; the price is an error of a few $10^{-9}$ for turns of about a radian, which shows in
# double precision. *Smooth* has no hole and no such error.
#
# </details>
#
# > **Where people trip.** A fit that is NaN from its first step on. Here an arm is to turn from a
# > start $\omega_0 = s\,(1, 1, 1)$ to a target, by gradient descent on the squared distance of the
# > matrices. Choose each form with each start $s$. Where the picture refuses, read what it says.

# %%
target = axis_angle_to_matrix(torch.tensor([0.3, -0.6, -1.0]))
starts = {"0": 0.0, "-1e-8": -1e-8, "0.1": 0.1}


def descend(form: str, start: str, steps: int) -> Figure:
    """The arm after some steps of gradient descent, and its distance from the target."""
    w, way = torch.full((3,), starts[start]), []
    for step in range(steps + 1):
        w = w.requires_grad_()
        loss = (forms[form](w) - target).square().sum()
        way.append(loss.item())
        (slope,) = torch.autograd.grad(loss, w)
        if step < steps and not slope.isfinite().all():
            raise ValueError(f"step {step + 1}: loss {loss:.2f}, gradient {slope.tolist()}")
        w = (w - 0.05 * slope * (step < steps)).detach()
    arm = turned_picture(smpl, rest_with(left_shoulder=smooth(w)))
    curve = Curves(range(steps + 1), {"loss": way}, ("step", "squared distance"))
    return pictures_and_curves_figure({f"{form}, {steps} steps": arm}, curve)


explore(
    descend,
    alt="Left: a body whose left arm was brought down and forward. Right: the squared distance "
    "falls to nearly 0 over 20 steps.",
    form=Dropdown(options=list(forms), value="smooth", description="form"),
    start=Dropdown(options=list(starts), value="0", description="start"),
    steps=IntSlider(20, 1, 40, description="steps"),
)

# %% [markdown]
# ## 7. How far, and what lies between
#
# **How far apart are two rotations?** As far as one has to turn from the one to the other:
#
# $$d(R_1, R_2) = |\log(R_1^\top R_2)|$$
#
# with $\log$ the way back from a matrix to its shortest $\omega$. Often one meets
# $\arccos\!\big( (\mathrm{tr}\, R_1^\top R_2 - 1) / 2 \big)$. On paper it is the same angle.
#
# **Predict first.** In 32-bit numbers, how small an angle can each of the two tell from zero?

# %%
generator = torch.Generator().manual_seed(0)
axis = torch.nn.functional.normalize(torch.randn(500, 3, generator=generator), dim=-1)
R_1 = axis_angle_to_matrix(2 * torch.randn(500, 3, generator=generator))


def by_trace(R_1: torch.Tensor, R_2: torch.Tensor) -> torch.Tensor:
    trace = (R_1.mT @ R_2).diagonal(dim1=-2, dim2=-1).sum(-1)
    return ((trace - 1) / 2).arccos()


true = torch.logspace(-6, -0.5, 40)
errors = {"arccos of the trace": [], "length of the log": []}
for angle in true:
    R_2 = R_1 @ axis_angle_to_matrix(angle * axis)
    for name, distance in zip(errors, (by_trace, geodesic_distance), strict=True):
        off = distance(R_1, R_2) - angle  # or NaN, which the figure leaves out
        errors[name].append(off[off.isfinite()].abs().max())
show(
    curves_figure(Curves(true, errors, ("true angle in radians", "largest error"), log=True)),
    alt="Errors over the true angle, both axes logarithmic. That of the arccos stays near a "
    "thousandth for all angles below a thousandth; that of the log lies four powers of ten lower.",
)

# %%
# NBVAL_CHECK_OUTPUT
near = R_1 @ axis_angle_to_matrix(1e-4 * axis)
for name, distance in {"arccos": by_trace, "log": geodesic_distance}.items():
    measured = distance(R_1, near)
    good = f"{(measured / 1e-4 - 1).abs().nan_to_num(1.0).lt(0.01).float().mean():.0%}"
    w = torch.zeros(3, requires_grad=True)
    (slope,) = torch.autograd.grad(distance(torch.eye(3), smooth(w)), w)
    nan = bool(measured.isnan().any())
    print(f"{name:6}: of angles of 1e-4 {good:>4} are right to 1 %, NaN {nan}")
    print(f"        gradient of a perfect guess is finite: {bool(slope.isfinite().all())}")
far = axis_angle_to_matrix(2.0 * axis)
chord = (R_1 - R_1 @ far).square().sum((-2, -1)).sqrt()  # the Frobenius distance
print("chord = 2 sqrt(2) sin(d/2):", bool((chord - 8**0.5 * math.sin(1.0)).abs().max() < 1e-5))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The arccos is blind below a thousandth of a radian: near 1 the cosine is flat, so an error of the
# last digit in the trace becomes its square root in the angle. A trace rounded to above 3 gives
# NaN, and so does the gradient of a perfect guess. The log is right.
#
# </details>
#
# The length of the chord, $|R_1 - R_2|_F = 2 \sqrt 2 \sin(d/2)$, is cheaper, and its square is
# smooth: it is what a squared loss on the entries of matrices measures, as in SPIN.
#
# ### Between two rotations
#
# **What lies a share $t$ of the way from $R_1$ to $R_2$?** Three answers:


# %%
def slerp(R_1: torch.Tensor, R_2: torch.Tensor, t: float) -> torch.Tensor:
    return R_1 @ axis_angle_to_matrix(t * matrix_to_axis_angle(R_1.mT @ R_2))


def chordal(R_1: torch.Tensor, R_2: torch.Tensor, t: float) -> torch.Tensor:
    return project_to_rotation((1 - t) * R_1 + t * R_2)  # blend the matrices; see section 8


def numbers(R_1: torch.Tensor, R_2: torch.Tensor, t: float) -> torch.Tensor:
    w_1, w_2 = matrix_to_axis_angle(R_1), matrix_to_axis_angle(R_2)
    return axis_angle_to_matrix((1 - t) * w_1 + t * w_2)


# %% [markdown]
# **Predict first.** The body turns from 100 degrees on by 160 degrees. Which of the three keep the
# speed? Which take the other way round?

# %%
blends = {"slerp": slerp, "chordal": chordal, "numbers": numbers}


def yaw(degrees: float) -> torch.Tensor:
    return axis_angle_to_matrix(torch.tensor([0.0, math.radians(degrees), 0.0]))


def between(percent: int, apart: int) -> Figure:
    """A body on its way between two directions, by each of three blends."""
    return blends_figure(smpl, blends, (yaw(100), yaw(100 + apart)), percent)


explore(
    between,
    alt="Three bodies a quarter of the way between two directions; two have turned to the back by "
    "different amounts, the third the other way. Right: degrees from the start over the way: a "
    "straight line for slerp, an S for chordal, and a line past 180 and back for the numbers.",
    percent=IntSlider(25, 0, 100, 5, description="percent"),
    apart=IntSlider(160, 20, 175, 5, description="apart"),
)

# %%
# NBVAL_CHECK_OUTPUT
R_1, R_2 = yaw(100), yaw(260)
for name, blend in blends.items():
    gone = geodesic_distance(R_1, blend(R_1, R_2, 0.25)).rad2deg()
    print(f"{name:8} a quarter of the way: {gone:.0f} degrees of 160")
theirs = Slerp([0, 1], Rotation.from_matrix(torch.stack([R_1, R_2]).numpy()))(0.25).as_matrix()
ours = slerp(R_1, R_2, 0.25)
print("slerp as in scipy:", bool((ours - torch.tensor(theirs)).abs().max() < 1e-5))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# *Slerp* turns at constant speed about one axis. *Chordal* takes the same way but hurries through
# the middle; for small angles the two can't be told apart, and chordal also blends many rotations:
# sum and repair. *Numbers* cross the jump of section 2 and go the long way round, past the front.
#
# </details>

# %% [markdown]
# ## 8. Repairing a matrix
#
# Networks and sums give 3 x 3 matrices that are no rotations. **Which rotation is meant?** Two
# answers. Gram-Schmidt straightens the first column, then the second, and forgets the third. The
# singular value decomposition $M = U S V^\top$ gives the *nearest* rotation, all columns alike:
#
# $$R = U \, \mathrm{diag}(1, 1, \det(U V^\top)) \, V^\top$$
#
# Neural Body Fitting and GraphCMR repair their matrices so. (Why nearest? $|M - R|^2$ is least
# where $\mathrm{tr}(R^\top M) = \mathrm{tr}(Q S)$ is largest, $Q = V^\top R^\top U$. No entry of
# the orthogonal $Q$ exceeds one, so the best is $Q = I$; where that would mirror, the smallest
# singular value pays.)
#
# > **Where people trip.** Without the determinant the formula gives the nearest *orthogonal*
# > matrix, and that can be a mirror image: a left hand for a right one.

# %%
# NBVAL_CHECK_OUTPUT
M = torch.tensor([[0.9, 0.1, 0.0], [-0.2, 1.1, 0.1], [0.1, 0.0, -0.3]])
U, S, Vh = torch.linalg.svd(M)
naive = U @ Vh
right = U @ torch.diag(torch.stack([torch.ones(()), torch.ones(()), naive.det()])) @ Vh
print(f"determinants: naive {naive.det():.0f}, right {right.det():.0f}")
print("same as vhlib:", bool((right - project_to_rotation(M)).abs().max() < 1e-5))

# %% [markdown]
# **Predict first.** Every entry of a rotation is disturbed by the same noise, and repaired. By how
# much is Gram-Schmidt worse?


# %%
def repaired(R: torch.Tensor, noise: float) -> dict[str, torch.Tensor]:
    """Rotations disturbed by normal noise and made rotations again, by both ways."""
    draw = torch.randn(R.shape, generator=torch.Generator().manual_seed(1))
    M = R + noise * draw
    return {"SVD": project_to_rotation(M), "Gram-Schmidt": straighten(matrix_to_rotation_6d(M))}


many = axis_angle_to_matrix(torch.randn(4000, 3, generator=generator))
noises = torch.linspace(0.01, 0.6, 13)
typical = {"SVD": [], "Gram-Schmidt": []}
for noise in noises:
    for name, R in repaired(many, noise.item()).items():
        typical[name].append(geodesic_distance(R, many).square().mean().sqrt().rad2deg())


def disturbed(noise: float) -> Figure:
    """The man with every joint disturbed and repaired, and the typical error over the noise."""
    upright = replace(man, global_orient=composed)
    bodies = {"fitted": turned_picture(smpl, upright, zoom=1.3)}
    for name, pose in repaired(man.body_pose, noise).items():
        bodies[name] = turned_picture(smpl, replace(upright, body_pose=pose), zoom=1.2)
    labels = ("noise of each entry", "error in degrees, root mean square")
    return pictures_and_curves_figure(bodies, Curves(noises, typical, labels, at=noise))


explore(
    disturbed,
    alt="Three bodies: the man as fitted, and his pose disturbed and repaired by SVD and by "
    "Gram-Schmidt, both with an arm gone astray. Right: both errors grow with the noise; that of "
    "Gram-Schmidt is always the larger.",
    noise=Dropdown(options=[0.05, 0.1, 0.2, 0.3, 0.4, 0.6], value=0.2, description="noise"),
)

# %%
# NBVAL_CHECK_OUTPUT
ratio = (typical["Gram-Schmidt"][0] / typical["SVD"][0]) ** 2
print(f"small noise: the mean squared error is {ratio:.1f} times as large")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Twice, as a mean square. To first order SVD averages the two entries that tell each of the three
# angles, $(M_{ij} - M_{ji})/2$, which halves the variance; Gram-Schmidt reads one of the two
# (Levinson et al. 2020).
#
# </details>

# %% [markdown]
# ## 9. Name it at every door
#
# > **Where people trip.** Most mistakes with rotations raise no error: a wrong rotation is still a
# > rotation.
#
# **What does each look like?** Here is one fitted pose, given to readers that expect something
# else.
#
# **Predict first.** Which misreading is the most dangerous?

# %%
pose = man.body_pose
omega, xyzw = matrix_to_axis_angle(pose), matrix_to_quaternion(pose)
euler = torch.tensor(Rotation.from_euler("xyz", omega.numpy()).as_matrix()).float()
readings = {
    "right": pose,
    "axis-angle\nread as Euler xyz": euler,
    "transposed": pose.mT,
    "degrees\nread as radians": axis_angle_to_matrix(omega.rad2deg()),
    "xyzw read as wxyz": quaternion_to_matrix(xyzw[:, [1, 2, 3, 0]]),
}
upright = replace(man, global_orient=composed)
pictures = {
    name: turned_picture(smpl, replace(upright, body_pose=read), zoom=1.3)
    for name, read in readings.items()
}
show_photo(
    views_figure(pictures, height=3.0),
    alt="Five bodies. The first stands on one leg with bent arms, and the second looks almost the "
    "same. The third bends its limbs to the wrong sides; the fourth and the fifth are knotted.",
)

# %%
# NBVAL_CHECK_OUTPUT
for name, read in readings.items():
    off = geodesic_distance(pose, read).rad2deg().max()
    size = "none" if off < 1 else "below 30 degrees" if off < 30 else "above 60 degrees"
    print(f"{' '.join(name.split()):30} largest error {size}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The second: for small turns Euler angles and axis-angle nearly agree, so it passes a glance, and a
# test with one joint bent about one coordinate axis passes exactly. Knots are found at once.
#
# </details>
#
# Defence: shapes and names. In `vhlib` every rotation inside is a matrix, and the functions at the
# edges carry both ends in their names, `rotation_6d_to_matrix`. `smplx` takes axis-angle while
# `pose2rot=True`, its default, and matrices with `pose2rot=False`. SPIN's network puts out
# matrices, and its dictionary of fits holds axis-angle: ask before you load.

# %%
# NBVAL_CHECK_OUTPUT
try:
    smpl(body_pose=omega)  # axis-angle, where matrices are expected
except ValueError as error:
    print(error)

# %% [markdown]
# | | numbers | jumps | holes | good for |
# |---|---|---|---|---|
# | matrix | 9 | none | – | all computing |
# | axis-angle | 3 | at half a turn | at a whole turn | files, priors, unknowns of a fit |
# | Euler angles | 3 | yes | middle angle at a right angle | reading, single hinges |
# | quaternion | 4 | its sign | – | animation, blending |
# | 6D | 6 | none | parallel vectors | outputs of networks |

# %% [markdown]
# ## 10. What it costs

# %%
batch = torch.randn(24_000, 3, generator=generator)  # a thousand bodies
matrices = axis_angle_to_matrix(batch)
for name, run in {
    "axis-angle to matrix": lambda: axis_angle_to_matrix(batch),
    "matrix to axis-angle": lambda: matrix_to_axis_angle(matrices),
    "6D to matrix": lambda: rotation_6d_to_matrix(matrix_to_rotation_6d(matrices)),
    "nearest by SVD": lambda: project_to_rotation(matrices),
}.items():
    began = time.perf_counter()
    run()
    print(f"{name}: {1000 * (time.perf_counter() - began):.1f} ms for the joints of 1000 bodies")

# %% [markdown]
# **Summary.** Three numbers must jump or lock somewhere; six needn't. Turns are composed by matrix
# products, never by adding components. Six numbers have two layouts, and the wrong one raises no
# error. At the identity use forms that are smooth, not an epsilon; measure with the log, not the
# arccos; repair with the SVD and its determinant.
#
# **Exercises.** [Sheet 02](../exercises/02_rotations.ipynb).
#
# **Further reading.** Y. Zhou et al., *On the continuity of rotation representations in neural
# networks*, CVPR 2019. J. Levinson et al., *An analysis of SVD for deep rotation estimation*,
# NeurIPS 2020. R. Hartley et al., *Rotation averaging*, IJCV 2013. K. Shoemake, *Animating rotation
# with quaternion curves*, SIGGRAPH 1985. F. S. Grassia, *Practical parameterization of rotations
# using the exponential map*, 1998. M. Omran et al., *Neural body fitting*, 3DV 2018. N. Kolotouros
# et al., *Convolutional mesh regression for single-image human shape reconstruction*, CVPR 2019.
