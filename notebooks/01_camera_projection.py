# %% [markdown]
# # 01 · Camera and projection
#
# **After this notebook you can** project a body into a picture, tell perspective from weak
# perspective and say how much they differ, derive $2f/(224\,s)$ and explain the 5000 in it, move a
# crop's camera to the full frame, and get axes and units right at each step.
#
# **You need** notebook 00. **Time**: 45 minutes. &nbsp; [Open in Colab]({{colab}})

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

import numpy as np
import torch
from ipywidgets import Dropdown, FloatLogSlider, FloatSlider
from matplotlib.figure import Figure

from vhlib.body import SMPL, BodyParameters
from vhlib.body.skeletons import SMPL_24
from vhlib.data.photos import Photo
from vhlib.fitting import fit_smplify
from vhlib.geometry import (
    Crop,
    PerspectiveCamera,
    WeakPerspectiveCamera,
    axis_angle_to_matrix,
    geodesic_distance,
    matrix_to_axis_angle,
)
from vhlib.geometry import camera_estimates as estimates
from vhlib.notebook.camera_figures import (
    crop_figure,
    cut,
    flattened,
    focal_figure,
    from_its_right,
    heat_figure,
    rays_figure,
    reaching_body,
    skeletons_figure,
    triads_figure,
    walk_figure,
)
from vhlib.notebook.clips import load_clip
from vhlib.notebook.controls import explore
from vhlib.notebook.figures import show, show_photo
from vhlib.notebook.fit_figures import views_figure
from vhlib.notebook.mesh_pictures import mesh_picture
from vhlib.notebook.viewer import BodyViewer
from vhlib.pipelines.photo import draw_overlay

clip, smpl = load_clip(), SMPL.load()
photo, keypoints = clip.frame(1, 60), clip.keypoints(1)[60]
room = clip.cameras[1]  # the camera that took the photo: its lens, and where it stands
lens = room.in_own_frame()  # the same for points that are given in its own axes
man = fit_smplify(smpl, lens, keypoints).body_parameters  # in those axes
reach = reaching_body()  # upright before the camera, its right arm stretched towards it

# %% [markdown]
# ## 1. From a point to a pixel
#
# **Which pixel does a point in space fall on?** Light from it goes straight to the camera's centre,
# and the picture is where a plane cuts that ray. Here is the rule, seen from the side, for a
# rendered body that stretches out an arm (ignore the lower panel until section 3).


# %%
def at(distance: float) -> torch.Tensor:
    """The vertices of that body so many metres ahead."""
    return smpl(**vars(replace(reach, transl=torch.tensor([0.0, 0.11, distance])))).vertices


joints = smpl(**vars(replace(reach, transl=torch.tensor([0.0, 0.11, 2.0])))).joints
hand, head, foot = joints[SMPL_24.indices("right_hand", "head", "left_foot")]
show(
    rays_figure(
        at(2.0), smpl.faces, {"right hand": hand, "head": head, "left foot": foot}, depth=2.0
    ),
    alt="Two side views of a body two metres from a camera, one arm stretched towards it. Above, "
    "rays run straight from hand, head and foot to the camera, and hand and head meet the picture "
    "in nearly the same place. Below, the hand first moves back to the body's plane: now its dot "
    "lies well below the head's.",
)

# %% [markdown]
# Similar triangles turn that into the **pinhole** projection. With the point in the camera's axes,
# $x$ right, $y$ down, $z$ forward,
#
# $$u = f_x \frac{X}{Z} + c_x, \qquad v = f_y \frac{Y}{Z} + c_y.$$
#
# $f$ is the focal length, $(c_x, c_y)$ the *principal point*, where the axis meets the picture,
# both in pixels. Now for the man of notebook 00, with the body fitted there:

# %%
(f_x, f_y), (c_x, c_y) = lens.focal_length, lens.principal_point
joints = smpl(**vars(man)).joints  # (24, 3) metres, in the camera's axes
X, Y, Z = joints.T
uv = torch.stack([f_x * X / Z + c_x, f_y * Y / Z + c_y], dim=-1)

show_photo(
    skeletons_figure(photo, keypoints, {"24 joints, projected": uv}, SMPL_24),
    alt="A man balances on one leg; the projected skeleton of the body model lies along his limbs.",
)

# %%
# NBVAL_CHECK_OUTPUT
K = torch.tensor([[f_x, 0, c_x], [0, f_y, c_y], [0, 0, 1]])
w = joints @ K.T  # the same as a matrix: u = w_1 / w_3
print("as the library does it:", torch.allclose(uv, lens.project(joints), atol=1e-2))
print("as a matrix K         :", torch.allclose(uv, w[:, :2] / w[:, 2:], atol=1e-2))
print("K in the library      :", torch.equal(K, lens.intrinsics))

# %% [markdown]
# <sub>Clip: Pose2Sim's demo session (D. Pagnon and contributors, BSD-3-Clause).</sub>
#
# ### Size is $f/Z_0$, perspective is $z/Z_0$
#
# **Predict first.** Go to twice the distance $Z_0$ and double the focal length. The same picture?


# %%
def picture(distance: float, focal: float, size: tuple[int, int] = (300, 400)) -> np.ndarray:
    """The body from so many metres, through a lens of so many pixels."""
    camera = PerspectiveCamera(focal, (size[0] / 2, size[1] / 2), size)
    return mesh_picture(at(distance), smpl.faces, camera)


pictures = {f"{Z:g} m, {180 * Z:.0f} px": picture(Z, 180 * Z) for Z in (1.2, 2.0, 8.0)}
show_photo(
    views_figure(pictures, 4.0),
    alt="Three pictures of the same body at 1.2, 2 and 8 metres, with focal lengths of 216, 360 "
    "and 1440 pixels. The trunk keeps its size. The arm that reaches out is long and large in the "
    "first and hardly longer than its own thickness in the last.",
)

# %%
# NBVAL_CHECK_OUTPUT
nearer = 2.0 - hand[2]
print(f"the hand is {nearer:.2f} m nearer than the trunk")
for distance in (1.2, 2.0, 8.0):
    print(f"at {distance:.1f} m it is drawn {distance / (distance - nearer):.2f} times as large")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No. Write a depth as $Z_0 + z$, with $Z_0$ for the body and $z$ for the point's place on it. Then
# $u - c_x = \frac{f}{Z_0} \cdot \frac{X}{1 + z/Z_0}$. Doubling both keeps the first factor, the
# size; the second, perspective, fades as the body gets far for its own depth. Film makers call this
# the dolly zoom.
#
# </details>
#
# Slide both. Can you find one picture of the body at two distances?


# %%
def zoom(distance: float, focal: float) -> Figure:
    return views_figure({f"{distance:.1f} m, {focal:.0f} px": picture(distance, focal)}, 4.0)


explore(
    zoom,
    alt="The body from 1.4 metres through a lens of 300 pixels: the hand that reaches out looks "
    "nearly twice as large as the other.",
    distance=FloatLogSlider(1.4, min=0.1, max=1.0, step=0.05, description="metres"),
    focal=FloatLogSlider(300, min=2.2, max=2.8, step=0.05, description="focal, px"),
)

# %% [markdown]
# ### Where the camera stands
#
# Points of a room are not in the camera's axes. A rotation $R$ and a vector $t$ bring them there,
# $x = R\,x_w + t$.
#
# **Predict first.** Is $t$ the place where the camera stands?

# %%
# NBVAL_CHECK_OUTPUT
R, t = room.T_camera_world[:3, :3], room.T_camera_world[:3, 3]
place = -R.T @ t  # the point of the room that lands on (0, 0, 0)
print("t               :", [round(number, 1) for number in t.tolist()])
print("the camera is at:", [round(number, 1) for number in place.tolist()])
print("as the library says:", torch.allclose(place, room.position, atol=1e-5))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No: $t$ is the room's origin as the camera sees it. The camera stands where $R\,x_w + t = 0$, at
# $-R^\top t$; here at the height of a man's eyes.
#
# </details>
#
# > **Where people trip.** A dataset gives the body in the *room*, and its overlay misses. Turning
# > `global_orient` by $R$ and sending `transl` through $R\,x + t$ looks right, but SMPL turns its
# > root **about the pelvis** $p$, which isn't the origin of the body's own axes. A lecture text
# > says that a camera's $(R, t)$ and a body's rotation and translation are equivalent: they are,
# > with $p$ in the formula,
# >
# > $$R_\text{root}' = R\,R_\text{root}, \qquad t' = R\,(p + t_\text{body}) + t - p.$$


# %%
# NBVAL_CHECK_OUTPUT
def moved(body: BodyParameters, R: torch.Tensor, t: torch.Tensor) -> BodyParameters:
    """The parameters of the same body after x -> R x + t."""
    p = smpl(betas=body.betas).joints[0]  # the pelvis before it is turned and moved
    return replace(body, global_orient=R @ body.global_orient, transl=R @ (p + body.transl) + t - p)


in_the_room = moved(man, R.T, place)
right = moved(in_the_room, R, t)
wrong = replace(
    in_the_room, global_orient=R @ in_the_room.global_orient, transl=R @ in_the_room.transl + t
)
for name, body in {"about the pelvis": right, "naive": wrong}.items():
    metres = (smpl(**vars(body)).vertices - smpl(**vars(man)).vertices).norm(dim=-1).mean()
    print(f"{name:16} is off by {metres:.1f} m")

# %% [markdown]
# ## 2. A focal length in pixels
#
# Lenses are sold in millimetres. A sensor of $w_\text{mm}$ carries $w_\text{px}$ pixels side by
# side, so
#
# $$f_\text{px} = f_\text{mm} \cdot \frac{w_\text{px}}{w_\text{mm}}.$$
#
# > **Where people trip.** Software that asks for *the focal length* wants pixels **of the picture
# > that you give it**. Three ways to get it wrong: enter millimetres; forget that the picture was
# > made smaller, which makes $f$ smaller too; take the "35 mm equivalent" in EXIF, what a camera
# > writes into its files, for the lens's own.
#
# **Predict first.** What does a person look like if the millimetres go in as pixels?


# %%
def through_a_lens(millimetres: float, sensor: float) -> Figure:
    """A body five metres away in a picture 480 pixels wide; right, and with mm taken as px."""
    f_px = millimetres * 480 / sensor
    view = 2 * math.degrees(math.atan(240 / f_px))
    right, wrong = (picture(5.0, f, (480, 320)) for f in (f_px, millimetres))
    return views_figure({f"{f_px:.0f} px, {view:.0f}° across": right, "mm as px": wrong}, 3.0)


explore(
    through_a_lens,
    alt="Left: a body in the middle of a wide picture, as a 50 mm lens shows it from five metres. "
    "Right, with 50 taken as pixels: a speck.",
    millimetres=FloatSlider(50, min=10, max=70, step=5, description="lens, mm"),
    sensor=Dropdown(
        options=[
            ("full frame, 36 mm", 36.0),
            ("APS-C, 23.5 mm", 23.5),
            ("Four Thirds, 17.3 mm", 17.3),
        ],
        description="sensor",
    ),
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Like a speck. A fit to real keypoints makes up for it by moving the body nearer, by the ratio of
# the two numbers, and there perspective distorts all it draws.
#
# </details>
#
# A phone's EXIF says "26 mm" and means *equivalent to 26 mm before a film of 36 x 24 mm*. Its
# picture has another shape (4:3), so one has to say which side is compared. The standard of the
# camera makers (CIPA) compares the diagonals.

# %%
# NBVAL_CHECK_OUTPUT
print(f"50 mm before 36 mm, a picture of 480 px: {50 * 480 / 36:.0f} px, not 50")
size, film = (4032, 3024), math.hypot(36, 24)
f_px = 26 / film * math.hypot(*size)
print(f"by the diagonal {f_px:.0f} px, by the width {26 / 36 * size[0]:.0f} px")
print("as the library does:", math.isclose(f_px, estimates.focal_from_35mm(26, size)))

guess = math.hypot(*size)  # CLIFF's where nothing is known; its paper says about 55 degrees
angle = 2 * math.degrees(math.atan(math.hypot(*size) / 2 / guess))
print(f"the diagonal as a guess: {angle:.0f} degrees from corner to corner")

# %%
# NBVAL_CHECK_OUTPUT
half = lens.resized((540, 960))
print(f"half the size, {half.focal_length[0] / f_x:.2f} times the focal length")
window = lens.cropped(Crop(lens.principal_point, 500.0, 500))  # cut out, not resampled
print(f"cut out      , {window.focal_length[0] / f_x:.2f} times the focal length")

# %% [markdown]
# ## 3. Weak perspective
#
# **What if one depth served for all points?** Replace each $Z_i$ by the body's $Z_0$:
#
# $$u = s\,X + c_x, \qquad v = s\,Y + c_y, \qquad s = f / Z_0.$$
#
# It is linear in $X$, and depth and focal length are gone: only their ratio, the scale $s$, is
# left. In the first figure's lower panel, all points go to one plane first.
#
# **Predict first.** Where on the body is this wrong, and in which direction does it err?

# %%
Z_0, f = 2.0, 200.0  # metres, pixels of a crop of 224 x 224
points, s = at(Z_0), f / Z_0
perspective = f * points[:, :2] / points[:, 2:]
weak = s * points[:, :2]
error = (weak - perspective).norm(dim=-1)

front = PerspectiveCamera(f, (112, 112), (224, 224)).resized((448, 448))  # drawn finer
show_photo(
    heat_figure(
        points,
        smpl.faces,
        {"as the camera sees it": front, "from its right": from_its_right(front, Z_0)},
        error,
        "error of weak perspective, px of 224",
    ),
    alt="The body coloured by the error, from the front and from its right. It is dark, near zero, "
    "on trunk and legs, green on the foot in front and yellow on the hand that reaches out.",
)

# %%
# NBVAL_CHECK_OUTPUT
z = points[:, 2:] - Z_0
same = torch.allclose(weak, perspective * (1 + z / Z_0), atol=1e-4)
print("weak = perspective * (1 + z / Z_0):", same)
print(f"mean error {error.mean():.1f} px, largest {error.max():.0f} px of a crop of 224")
for distance in (2, 4, 8, 50):
    print(f"from {distance:2} m the hand is drawn {100 * nearer / distance:2.0f} % too small")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Where a point is nearer or farther than $Z_0$. Weak perspective draws it at $1 + z/Z_0$ times its
# true distance from the principal point: near points ($z < 0$) too far inside, far ones too far
# outside. On the axis itself it errs nowhere, whatever the depth.
#
# </details>
#
# The body below lives in the page. Turn its shoulder by the sliders x, y and z, or any other joint:
# the colours are the error from two metres in front of it, computed anew by this notebook.

# %%
facing_us = replace(reach, global_orient=torch.eye(3), transl=torch.tensor([0.0, 0.36, 0.0]))
viewer = BodyViewer.of(
    smpl,
    facing_us,
    alt="The body stretches an arm forward, coloured by the error: yellow at the hand that reaches "
    "out and at the foot in front, dark on the trunk.",
    joint=SMPL_24.index("right_shoulder"),
)


def recolour(_change: object = None, f: float = f, Z_0: float = Z_0) -> None:
    x, y, z = smpl(**vars(viewer.parameters)).vertices.T  # the viewer's z points to us
    off = f * torch.hypot(x, y) * (1 / (Z_0 - z) - 1 / Z_0).abs()
    viewer.color(off, "error, px of 224", limits=(0, 20))


viewer.observe(recolour, list(viewer.sizes))
recolour()
viewer.show()

# %% [markdown]
# > **Where people trip.** In $u = s X + c_x$ the $X$ has to be in the camera's axes, the person's
# > own shift $T$ included. A lecture text calls the principal point a 2D translation. It is a
# > constant of the lens. The person's shift on the picture, $s\,T_x$, is another number, and an
# > unknown. Leave it out and everybody stands on the optical axis.

# %%
pelvis = joints[0]
centred = joints[:, :2] - pelvis[:2]  # a body about its own pelvis
scale = f_x / pelvis[2]
on_the_axis = scale * centred + lens.principal_point
shifted = scale * (centred + pelvis[:2]) + lens.principal_point
show_photo(
    skeletons_figure(
        photo, keypoints, {"wrong: c only": on_the_axis, "right: s T + c": shifted}, SMPL_24
    ),
    alt="Left: the skeleton has the man's pose, but hangs below him. Right: it lies on him, "
    "all but the right arm, which is drawn too far inside.",
)

# %%
# NBVAL_CHECK_OUTPUT
miss = (on_the_axis - shifted)[0].norm().item()
off = (shifted - uv).norm(dim=-1)
print(f"left out, the shift costs about {round(miss, -2):.0f} px")
print(f"weak perspective itself costs about {round(off.mean().item(), -1):.0f} px,", end=" ")
print(f"at the {SMPL_24.names[off.argmax()]} about {round(off.max().item(), -2):.0f}")

# %% [markdown]
# Look at the right arm: the fit has it reach forward, and weak perspective misses it here as it did
# the hand above. From three and a half metres that is no small thing.

# %% [markdown]
# ## 4. A network's camera: $s$, $t_x$, $t_y$
#
# HMR (notebook 13) and its family are networks that answer a picture with a body. They look at a
# square **crop**, resampled to 224 x 224 pixels, and have three numbers for the camera. Coordinates
# run from -1 to 1 over the crop, and the released code projects by
#
# $$u = s\,(X + t_x), \qquad v = s\,(Y + t_y).$$
#
# $t$ is in **metres**, as the body is, since both are scaled. $1/s$ is half the crop's width in
# metres. We have no network here, so we ask what one that agrees with our fit would say.

# %%
low, high = keypoints.box()[:2], keypoints.box()[2:]
crop = Crop((low + high) / 2, 1.25 * (high - low).max(), 224)
network = estimates.frame_translation_to_weak_perspective(man.transl, crop, lens)
X = smpl(**vars(replace(man, transl=torch.zeros(3)))).joints  # turned and posed, not shifted
s, t = network.scale, network.translation
in_crop = (s * (X[:, :2] + t) + 1) * 112

show_photo(
    crop_figure({"the crop, 224 x 224": (cut(photo, crop), in_crop)}, SMPL_24),
    alt="The man in a square crop with the projected skeleton over him.",
)

# %%
# NBVAL_CHECK_OUTPUT
ours = crop.normalized_to_crop(network.project(X))
print("two lines and the library agree:", torch.allclose(in_crop, ours, atol=1e-3))
off = (in_crop - crop.frame_to_crop(uv)).norm(dim=-1)
mean, most = (5 * round(off.item() / 5) for off in (off.mean(), off.max()))
print(f"off by about {mean} px, at the {SMPL_24.names[off.argmax()]} by about {most}")

# %% [markdown]
# > **Where people trip.** The *paper* prints $s\,X + t$. The same three numbers mean another camera
# > there: its $t$ is in half crops, and has to be divided by $s$ to become the code's. Neither is
# > in pixels. A lecture text gives the printed form as HMR's, without a word on the code.
#
# **Predict first.** For which crops would you not notice the mix-up?


# %%
def misread(side: float, right: float) -> Figure:
    """A box of another size, moved sideways; its own s and t read in both conventions."""
    box = Crop(crop.center + torch.tensor([right, 0.0]), side, 224)
    network = estimates.frame_translation_to_weak_perspective(man.transl, box, lens)
    s, t = network.scale, network.translation
    seen = cut(photo, box)
    both = {"s (X + t)": s * (X[:, :2] + t), "s X + t": s * X[:, :2] + t}
    return crop_figure(
        {f"{name}, s = {s:.2f}": (seen, (u + 1) * 112) for name, u in both.items()}, SMPL_24
    )


explore(
    misread,
    alt="A loose crop, twice: under s (X + t) the skeleton lies on the man, under s X + t beside "
    "him.",
    side=FloatSlider(1400, min=600, max=2000, step=100, description="box, px"),
    right=FloatSlider(250, min=-400, max=400, step=50, description="moved, px"),
)

# %%
# NBVAL_CHECK_OUTPUT
for scale in (1.0, 0.9, 0.45):
    a = WeakPerspectiveCamera(torch.tensor(scale), torch.tensor([0.3, 0.0]))
    b = WeakPerspectiveCamera.from_offset(a.scale, a.translation)  # the same numbers, sX + t
    shift = 112 * (b.project(X) - a.project(X))[0, 0]
    print(f"s = {scale:.2f}, t = 0.3: read wrongly, the person moves by {shift:4.1f} px of 224")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# For tight, centred ones: the two differ by $(1 - s)\,t$, which vanishes at $s = 1$ or $t = 0$. HMR
# starts at $s = 0.9$, so a mix-up survives many demos and appears with the first person who stands
# off the middle of a loose box.
#
# </details>

# %% [markdown]
# ## 5. Where $2f/(224\,s)$ comes from, and the 5000
#
# SPIN (notebook 15) trains HMR's network on fits by SMPLify, the method that fitted our man, and
# that works with a *pinhole*. At a large depth $t_z$ a pinhole with the principal point in the
# crop's middle gives $u_\text{px} \approx f (X + t_x)/t_z$. The network says
# $u_\text{px} = 112\,s\,(X + t_x)$, half the crop being 112 px. Ask that they agree:
#
# $$\frac{f}{t_z} = 112\,s \quad\Rightarrow\quad t_z = \frac{2f}{224\,s}.$$
#
# So for **any** $f$ there is a depth that fits. SPIN takes $f = 5000$ px.
#
# **Predict first.** How far away is everybody then, and what is the field of view?


# %%
# NBVAL_CHECK_OUTPUT
def trick(camera: WeakPerspectiveCamera, f: float, res: int = 224) -> torch.Tensor:
    """The translation under which a pinhole of f pixels looks like this camera."""
    depth = 2 * f / (res * camera.scale)
    return torch.cat([camera.translation, depth[None]])


usual = WeakPerspectiveCamera(torch.tensor(0.9), torch.tensor([0.0, 0.0]))
for f in (500.0, 5000.0):
    t_z, view = trick(usual, f)[2], 2 * math.degrees(math.atan(112 / f))
    print(f"f = {f:4.0f}: the person is {t_z:.2f} m away, the crop {view:.1f} degrees wide")
print(f"a limb 0.5 m nearer is drawn {100 * 0.5 / trick(usual, 5000.0)[2]:.1f} % larger")
theirs = estimates.weak_perspective_to_translation(usual, 5000.0, 224)
print("as the library does:", torch.equal(trick(usual, 5000.0), theirs))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About fifty metres, and less than three degrees. Few photos of people are taken from there: 5000
# is a convention that makes perspective so small that the pinhole behaves like the network's camera
# (HMR's own drawings use 500). It belongs to crops of 224 pixels. Units are metres because the
# body's are.
#
# </details>
#
# > **Where people trip.** The person isn't 49.6 m away: the chosen $f$ says so, not the network.
# > With 500 the same answer means 4.96 m, and nearly the same picture. No distance, speed or path
# > can be read from $t_z$, and 5000 isn't the focal length of anybody's camera.
#
# How large is the error? Below, the body is seen from a distance that we know. Left to right: the
# truth; weak perspective; the trick with the $f$ you choose. The curves say how far the trick is
# from either.

# %%
S = 0.9
reaching = smpl(**vars(reach)).vertices  # not moved: t_z comes from the focal length


def pinhole_px(f: float) -> torch.Tensor:
    """Pixels, from the crop's middle, with t_z = 2 f / (224 s)."""
    return f * reaching[:, :2] / (reaching[:, 2:] + 2 * f / (224 * S))


def mean_px(difference: torch.Tensor) -> float:
    return difference.norm(dim=-1).mean().item()


weak_px = 112 * S * reaching[:, :2]


# %%
def crop_picture(f: float, weak: bool = False) -> np.ndarray:
    """What that pinhole draws, or weak perspective."""
    t_z = 2 * f / (224 * S)
    mesh = reaching + torch.tensor([0.0, 0.0, t_z])
    camera = PerspectiveCamera(f, (112, 112), (224, 224))
    return mesh_picture(flattened(mesh, t_z) if weak else mesh, smpl.faces, camera)


# %%
def compare(distance: float, focal: float) -> Figure:
    """Truth, weak perspective and the trick, for a person at a distance."""
    f_true = 112 * S * distance
    panels = {"truth": crop_picture(f_true), "weak perspective": crop_picture(f_true, weak=True)}
    panels[f"f = {focal:.0f}"] = crop_picture(focal)
    focals = torch.logspace(2, 5, 91).tolist()
    errors = {
        "to weak perspective": [mean_px(pinhole_px(f) - weak_px) for f in focals],
        "to the truth": [mean_px(pinhole_px(f) - pinhole_px(f_true)) for f in focals],
    }
    return focal_figure(panels, focals, errors, focal)


explore(
    compare,
    alt="Above, three crops of the reaching body: from two metres with a long arm; by weak "
    "perspective and with f = 5000, both with a short one. Below, mean errors over the assumed "
    "focal length: the one to weak perspective falls as a straight line, the one to the truth dips "
    "at the true focal length near 200 and stays level beyond 1000.",
    distance=FloatLogSlider(2.0, min=0.18, max=1.5, step=0.05, description="metres"),
    focal=FloatLogSlider(5000, min=2.01, max=5.0, step=0.05, description="focal, px"),
)

# %%
# NBVAL_CHECK_OUTPUT
to_weak = [mean_px(pinhole_px(f) - weak_px) for f in (1e3, 1e4, 1e5)]
print("to weak perspective:", ", ".join(f"{e:.2g} px" for e in to_weak))
print(f"ten times the focal length, {to_weak[1] / to_weak[2]:.0f} times the accuracy")
truth = pinhole_px(112 * S * 2.0)
print(
    f"to the truth from 2 m: {mean_px(pinhole_px(5000.0) - truth):.1f} px with f = 5000, ", end=""
)
print(f"{mean_px(weak_px - truth):.1f} px by weak perspective")

# %% [markdown]
# Two lessons. Against weak perspective the error falls as $1/f$, as $z/t_z$ says it must. Against
# the *truth* a larger $f$ doesn't help: there is one right focal length, and beyond it the error
# settles at that of weak perspective.

# %% [markdown]
# ## 6. From the crop to the full frame
#
# **Where in the room is he?** The crop's camera doesn't know where the crop was cut. Let the box
# have its middle at $(m_x, m_y)$ and a side of $b$ pixels of the frame, and let $F$ be the frame's
# focal length. Half a crop is $b/2$ pixels, so the scale is $s\,b/2$ pixels a metre, and it has to
# equal $F/t_z$:
#
# $$t_z = \frac{2F}{b\,s}, \qquad T_x = t_x + \frac{2\,(m_x - c_x)}{b\,s}, \qquad
# T_y = t_y + \frac{2\,(m_y - c_y)}{b\,s}.$$
#
# This is CLIFF's form (it takes the middle of the frame for the principal point and, if nothing
# better is known, its diagonal for $F$). It brings back what the crop had lost: size and place of
# the box. With keypoints at hand, a translation can also be solved for directly, as in [notebook
# 08](08_smplify.ipynb).

# %%
F, c = lens.focal_length.mean(), lens.principal_point
m, b, s, t = crop.center, crop.size, network.scale, network.translation
T = torch.cat([t + 2 * (m - c) / (b * s), 2 * F[None] / (b * s)])

crop_T = trick(network, 5000.0)
crop_lens = PerspectiveCamera(5000.0, c, lens.image_size)  # the crop's, taken for the frame's
half_photo, panels = photo[::2, ::2].copy(), {}
for title, camera, transl in (
    ("wrong: as it is", crop_lens, crop_T),
    ("right: moved", lens, T),
):
    body = replace(man, transl=transl)
    panels[title] = draw_overlay(Photo(half_photo), smpl, camera.resized((540, 960)), body)
show_photo(
    views_figure(panels, 4.6),
    alt="Two full frames. Left: a body far too small, at the man's knees. Right: the body on him.",
)

# %%
# NBVAL_CHECK_OUTPUT
theirs = estimates.crop_to_frame_translation(network, crop, lens)
print("as the library does:", torch.allclose(T, theirs, atol=1e-3))
print("back where the fit had put him:", torch.allclose(T, man.transl, atol=1e-2))
print(f"depth by the trick about {round(crop_T[2].item(), -1):.0f} m, in the frame {T[2]:.1f} m")

# %% [markdown]
# > **Where people trip.** The crop's camera drawn on the full image, as on the left, is a frequent
# > question about this family of networks. Another is a *path through the room*: SPIN's $t_z$
# > contains no $b$, so a person who walks away, always filling the box, stays where they are.

# %%
# NBVAL_CHECK_OUTPUT
for size in (600.0, 300.0):
    box = Crop((540.0, 960.0), size, 224)
    frame = PerspectiveCamera(1500.0, (540, 960), (1080, 1920))
    far = estimates.crop_to_frame_translation(usual, box, frame)[2]
    print(f"box of {size:.0f} px: SPIN {trick(usual, 5000.0)[2]:.1f} m, in the frame {far:.1f} m")

# %% [markdown]
# **Predict first.** One network output, two boxes, the second shifted by 100 px: what must the two
# drawings have in common?


# %%
def same_output(right: float, side: float) -> Figure:
    """The same answer of the network for another box."""
    box = Crop(crop.center + torch.tensor([right, 0.0]), side, 224)
    T = estimates.crop_to_frame_translation(network, box, lens)
    body = replace(man, transl=T)
    drawn = draw_overlay(Photo(half_photo), smpl, lens.resized((540, 960)), body)
    hip = box.frame_to_crop(lens.project(X + T))[SMPL_24.index("left_hip")]
    inside = cut(drawn, Crop(box.center / 2, box.size / 2, 224))
    titles = "{2:.1f} m away".format(*T), "crop: left hip at {:.0f}, {:.0f}".format(*hip)
    return views_figure(dict(zip(titles, (drawn, inside), strict=True)), 4.4)


explore(
    same_output,
    alt="Left: the frame with the body to the right of the man and smaller, as its box is. Right: "
    "the box's content, with the body in the middle as ever.",
    right=FloatSlider(200, min=-400, max=400, step=50, description="moved, px"),
    side=FloatSlider(600, min=400, max=1400, step=50, description="box, px"),
)

# %%
# NBVAL_CHECK_OUTPUT
flat = X * torch.tensor([1.0, 1.0, 0.0])  # all in the plane of the body's origin
in_the_crop = crop.normalized_to_crop(network.project(X))
for name, right, side in (
    ("its own", 0.0, crop.size),
    ("shifted", 100.0, crop.size),
    ("half", 0.0, crop.size / 2),
):
    box = Crop(crop.center + torch.tensor([right, 0.0]), side, 224)
    T_box = estimates.crop_to_frame_translation(network, box, lens)
    off = [
        (box.frame_to_crop(lens.project(points + T_box)) - in_the_crop).norm(dim=-1).mean()
        for points in (flat, X)
    ]
    print(
        f"{name:8} box: flat points agree within 0.1 px: {bool(off[0] < 0.1)},"
        f" the body within 10 px: {bool(off[1] < 10)}"
    )

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The drawing *inside the crop*. Points in the plane of the body's origin agree exactly; others
# differ by $z/t_z$, since the frame's camera is a real one and has perspective.
#
# </details>
#
# The demonstration of VIBE, a network for video (notebook 19), stays with weak perspective and
# gives the frame a scale for each side. It has no depth, and agrees with the crop for all points.

# %%
# NBVAL_CHECK_OUTPUT
half_frame = torch.tensor(lens.image_size) / 2
scales = network.scale * crop.size / (2 * half_frame)  # two, since the frame isn't square
shift = network.translation + (crop.center - half_frame) / half_frame / scales
pixels = half_frame * (scales * (X[:, :2] + shift) + 1)
print("in the crop:", torch.allclose(crop.frame_to_crop(pixels), in_the_crop, atol=1e-2))
theirs = estimates.weak_perspective_in_frame(network, crop, lens.image_size)
print("as the library does:", torch.allclose(torch.stack([scales, shift]), torch.stack(theirs)))

# %% [markdown]
# ## 7. A person walks to the frame's edge
#
# The crop has lost one thing more. A person keeps facing the picture's plane, and steps sideways.
#
# **Predict first.** Does the crop change?

# %%
wide = PerspectiveCamera(1000.0, (960, 540), (1920, 1080))


def turned(angle: float) -> torch.Tensor:
    """A rotation about the camera's y axis that takes the view ahead to ``angle``, to the right."""
    return axis_angle_to_matrix(torch.tensor([0.0, angle, 0.0]))


def walker(x: float, follow: bool) -> tuple[BodyParameters, Crop]:
    """A body at (x, 3 m) and its box; if it follows, it turns with the ray to it."""
    turn = turned(math.atan2(x, 3.0) if follow else 0.0)
    body = moved(reach, turn, torch.tensor([x, 0.0, 3.0]))
    pixels = wide.project(smpl(**vars(body)).vertices)
    low, high = pixels.amin(0), pixels.amax(0)
    return body, Crop((low + high) / 2, 1.1 * (high - low).max(), 224)


# %%
def walk(x: float, follow: bool) -> Figure:
    body, box = walker(x, follow)
    frame = mesh_picture(smpl(**vars(body)).vertices, smpl.faces, wide.resized((960, 540)))
    half = Crop(box.center / 2, box.size / 2, 224)
    return walk_figure(frame, half, body.transl, body.global_orient[:, 2], wide)


explore(
    walk,
    alt="Above: a wide frame, a body near its right edge in a box. Below left: the crop, in which "
    "she is seen from her right and the arm crosses her chest. Below right, from above: the "
    "camera, the slanting ray to her, and an arrow that shows that she faces straight back.",
    x=FloatSlider(2.2, min=-2.2, max=2.2, step=0.2, description="x, metres"),
    follow=Dropdown(
        options=[("faces the picture's plane", False), ("turns with the ray", True)], description=""
    ),
)


# %%
# NBVAL_CHECK_OUTPUT
def crop_joints(x: float, follow: bool) -> torch.Tensor:
    body, box = walker(x, follow)
    return box.frame_to_crop(wide.project(smpl(**vars(body)).joints))


middle = crop_joints(0.0, False)
print(f"the ray to her at x = 2.2 m: {math.degrees(math.atan2(2.2, 3.0)):.0f} degrees")
for name, follow in {"same root rotation": False, "turned with the ray": True}.items():
    off = mean_px(crop_joints(2.2, follow) - middle)
    print(f"{name:19}: the crop's joints differ by {off:.0f} px of 224")

# %%
# NBVAL_CHECK_OUTPUT
R_ray = turned(0.6)
ahead = moved(reach, torch.eye(3), torch.tensor([0.0, 0.0, 3.0]))
aside = moved(ahead, R_ray, torch.zeros(3))  # the camera's whole world, turned
along_the_ray = replace(wide, T_camera_world=torch.block_diag(R_ray.T, torch.eye(1)))
same = torch.allclose(
    along_the_ray.project(smpl(**vars(aside)).joints),
    wide.project(smpl(**vars(ahead)).joints),
    atol=1e-2,
)
print("a camera that looks along the ray sees exactly the same:", same)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Yes: we see her from the side, by the angle of the ray. And the other way round: if she turns with
# the ray, the crop stays nearly the same, although her root rotation in the camera's axes has
# changed by that angle. What is left comes from the picture's plane, which the ray meets at a
# slant: a camera that looks along the ray sees no difference at all.
#
# </details>
#
# So **the same crop at two places of the frame has two correct root rotations**,
#
# $$R_\text{frame} = R_\text{ray}\, R_\text{crop}.$$
#
# A network that sees only the crop can't tell. CLIFF adds the box, $(m_x - c_x, m_y - c_y, b)/F$,
# to the features, and takes its 2D loss in the full frame (notebook 17).
#
# > **Where people trip.** A lecture text says that HMR and SPIN take the root's turn about the
# > vertical as zero, that half a turn gives the same crop, and that a crop can't tell a person who
# > faces left from one who faces right. They predict a free rotation in three dimensions, in the
# > crop's axes. A back isn't a front, and mirrored points have another loss. What a crop hides is
# > the *direction of its own middle*. And CLIFF's rotation is one in the *camera's* axes, not in
# > the world's.


# %%
# NBVAL_CHECK_OUTPUT
def standing(yaw: float) -> torch.Tensor:
    """Joints in the crop of the body in the middle, turned about the vertical."""
    body = moved(reach, turned(yaw), torch.tensor([0.0, 0.0, 3.0]))
    return walker(0.0, False)[1].frame_to_crop(wide.project(smpl(**vars(body)).joints))


for name, a, b in (("front and back", 0.0, math.pi), ("facing left and right", -1.5, 1.5)):
    print(f"{name:21}: joints differ by {mean_px(standing(a) - standing(b)):.0f} px of 224")

# %% [markdown]
# ## 8. $y$ down or $y$ up
#
# Pictures count rows downwards, so OpenCV, and everything above, has $y$ down and $z$ forward.
# Viewers (OpenGL, Blender's and glTF's cameras, the viewer above) have $y$ up and $z$ backward.

# %%
show(
    triads_figure(),
    alt="Two sets of axes. OpenCV: x right, y down, z away from us. OpenGL: x right, y up, z "
    "towards us.",
)

# %% [markdown]
# Between them lies half a turn about $x$, a *rotation*:
#
# $$Q = \mathrm{diag}(1, -1, -1), \qquad \det Q = 1.$$
#
# The fit gives a body in OpenCV's axes, so an upright person has a root rotation near $Q$. (HMR
# starts its search there: its mean has the root turned by $\pi$ about $x$.)
#
# **Predict first.** The fitted man in a viewer with $y$ up, four ways: as he is; with $y$ negated;
# with $\pi$ added to the first number of his axis-angle `global_orient`; with $Q$ composed. Which
# of them is the man of the photo?

# %%
Q = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
orient = matrix_to_axis_angle(man.global_orient)
plus_pi = axis_angle_to_matrix(orient + torch.tensor([math.pi, 0.0, 0.0]))
mesh = smpl(**vars(man)).vertices
ways = {
    "as he is": mesh,
    "y negated": mesh * torch.tensor([1.0, -1.0, 1.0]),
    "pi added": smpl(**vars(replace(man, global_orient=plus_pi))).vertices,
    "Q composed": smpl(**vars(moved(man, Q, torch.zeros(3)))).vertices,
}


# %%
def y_up(way: str) -> np.ndarray:
    """What such a viewer shows, its eye four metres off."""
    mesh = ways[way] - (ways[way].amin(0) + ways[way].amax(0)) / 2
    eye = torch.block_diag(Q, torch.eye(1))
    eye[2, 3] = 4.0
    faces = smpl.faces.flip(1) if way == "y negated" else smpl.faces  # a mirror turns them over
    return mesh_picture(mesh, faces, PerspectiveCamera(600.0, (140, 150), (280, 300), eye))


show_photo(
    views_figure({way: y_up(way) for way in ways}, 3.4),
    alt="Four pictures of the man in a y-up viewer. As he is: head down, his back to us. y "
    "negated: upright, seen from behind. pi added: upright, but leaning to the other side. Q "
    "composed: upright, facing us and leaning as in the photo.",
)

# %%
# NBVAL_CHECK_OUTPUT
away = math.degrees(geodesic_distance(plus_pi, Q @ man.global_orient))
print(f"pi added: the root is off by about {round(away, -1):.0f} degrees")
no_turn = torch.diag(torch.tensor([1.0, -1.0, 1.0]))
print(f"determinants: Q {torch.linalg.det(Q):.0f}, negating y {torch.linalg.det(no_turn):.0f}")
print("Q composed is Q times the mesh:", torch.allclose(mesh @ Q.T, ways["Q composed"], atol=1e-5))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Only the last. *As he is*, he hangs head down and shows his back. With $y$ negated alone he is
# upright but **mirrored**: his left leg has become the right one. With $\pi$ added he is a man in
# the same pose who leans the wrong way.
#
# </details>
#
# > **Where people trip.** A body upside down in the viewer isn't mended by a sign or by a sum.
# > Negating one axis mirrors. Adding $\pi$ to one number of an axis-angle vector is a turn by $\pi$
# > only if the vector already points along that axis; rotations are composed by products
# > ([notebook 02](02_rotations.ipynb)). Multiply the *vertices* by $Q$, or move the *parameters*
# > with $R = Q$, $t = 0$ in section 1's formula, pelvis and all.

# %% [markdown]
# Now a viewer that turns, $y$ up, with $Q$ composed. To see him upside down, add a cell with
# `in_viewer.global_orient = orient`.

# %%
body = replace(moved(man, Q, torch.zeros(3)), transl=torch.zeros(3))
in_viewer = BodyViewer.of(smpl, body, alt="The man's body, upright, balancing on one leg.")
in_viewer.show()

# %% [markdown]
# ## 9. What it costs

# %%
vertices = smpl(**vars(man)).vertices
for name, run in {
    "pose the body": lambda: smpl(**vars(man)),
    "project its vertices": lambda: lens.project(vertices),
    "draw it, 224 x 224": lambda: mesh_picture(vertices, smpl.faces, lens.cropped(crop)),
}.items():
    began = time.perf_counter()
    for _ in range(5):
        run()
    print(f"{name:21} {1000 * (time.perf_counter() - began) / 5:6.2f} ms")

# %% [markdown]
# **Summary.** A pinhole divides by depth; weak perspective divides by one depth for all and errs by
# $z/Z_0$. A network's $s, t_x, t_y$ is a weak-perspective camera of its crop, $s(X + t)$, in
# metres. $t_z = 2f/(224\,s)$ makes a pinhole look like it; 5000 is a convention. The full frame
# needs the box, and the root's rotation needs the ray to it. State axes, units, and where the root
# turns.
#
# **Exercises.** [Sheet 01](../exercises/01_camera_projection.ipynb).
#
# **Further reading.** R. Hartley and A. Zisserman, *Multiple view geometry in computer vision*,
# 2004, chapter 6. A. Kanazawa et al., *End-to-end recovery of human shape and pose*, CVPR 2018. N.
# Kolotouros et al., *SPIN*, ICCV 2019. M. Kocabas et al., *VIBE*, CVPR 2020. I. Kissos et al.,
# *Beyond weak perspective for monocular 3D human pose estimation*, ECCV workshops 2020. Z. Li et
# al., *CLIFF*, ECCV 2022.
