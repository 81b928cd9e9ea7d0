# %% [markdown]
# # Sheet 01 · Camera and projection
#
# **You practise** turning a lens in millimetres into pixels, sending points of a room onto a
# picture, reading a network's camera, and carrying its answer from a crop to the full frame and
# into a viewer: size, place, direction and axes.
#
# **You need** notebook 01. **Points**: 15. **Time**: 75 minutes. &nbsp; [Open in Colab]({{colab}})
#
# Write each function where it says so and run its cell; the cell below it checks it at once.
# `hint(intrinsics)` gives the next of three hints. All functions take any leading batch axes: `*`
# below stands for none, one, or more of them.
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

sheet = open_sheet("01_camera_projection")
check, hint = sheet.check, sheet.hint

# %% tags=["given"]
import numpy as np

# %% [markdown]
# ## 1. A lens in pixels
# **2 points · difficulty 1 of 5 · 10 minutes**
#
# A lens of $f_\text{mm}$ stands before a sensor $w_\text{mm}$ wide, which makes pictures of $W$ by
# $H$ pixels. Its pixels are squares, so the focal length in pixels is the same both ways:
#
# $$K = \begin{pmatrix} f & 0 & c_x \\ 0 & f & c_y \\ 0 & 0 & 1 \end{pmatrix}.$$
#
# The axis of the lens meets the picture in its middle. In this course a pixel is a little square:
# the first one of a row reaches from $u = 0$ to $u = 1$, so its centre lies at 0.5, and the
# picture reaches from 0 to $W$.
#
# `intrinsics(f_mm, sensor_mm, width, height)`: arrays `f_mm` and `sensor_mm` `(*)` in millimetres,
# numbers `width` and `height` in pixels → `(*, 3, 3)`, pixels.
#
# *Example*: `intrinsics(np.array(50.0), np.array(36.0), 480, 320)` is
# `[[666.67, 0, 240], [0, 666.67, 160], [0, 0, 1]]`, rounded.


# %% nbgrader={"grade": false, "grade_id": "intrinsics", "locked": false, "schema_version": 3, "solution": true, "task": false}
def intrinsics(f_mm, sensor_mm, width, height):
    """K (*, 3, 3) in pixels of lenses f_mm (*) before sensors sensor_mm (*) wide."""
    ### BEGIN SOLUTION
    f = f_mm * width / sensor_mm
    K = np.zeros((*f.shape, 3, 3))
    K[..., 0, 0] = K[..., 1, 1] = f
    K[..., 0, 2], K[..., 1, 2], K[..., 2, 2] = width / 2, height / 2, 1
    return K
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "intrinsics_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(intrinsics)

# %% [markdown]
# ## 2. From the room to the picture
# **3 points · difficulty 2 of 5 · 15 minutes**
#
# Points $x_w$ of a room come into the camera's axes ($x$ right, $y$ down, $z$ forward) by
#
# $$\begin{pmatrix} X \\ Y \\ Z \end{pmatrix} = R\, x_w + t, \qquad
# T = \begin{pmatrix} R & t \\ 0 & 1 \end{pmatrix},$$
#
# where $T$ is `T_camera_world`, and onto the picture by
#
# $$u = f_x \frac{X}{Z} + c_x, \qquad v = f_y \frac{Y}{Z} + c_y .$$
#
# The formula also gives numbers for a point *behind* the camera, where there is no picture. Let
# both its coordinates be `np.nan`; a point with $Z = 0$ has none either.
#
# `project(X, T_camera_world, K)`: `X` `(*, N, 3)` metres, in the room; `T_camera_world`
# `(*, 4, 4)`; `K` `(*, 3, 3)` as in part 1, but with an $f_x$ and an $f_y$ that may differ →
# `(*, N, 2)`, pixels.
#
# *Example*: the camera stands at (0, 0, -4) in the room and has the room's axes, so
# `T_camera_world` is the identity but for `[0, 0, 4]` in its last column. With the `K` of the
# example above, `X = np.array([[0.3, -0.6, 0.0], [0.3, -0.6, -5.0]])` gives
# `[[290, 60], [nan, nan]]`.
#
# *Expected picture*: the eight corners of a box; the near side is larger than the far one.


# %% nbgrader={"grade": false, "grade_id": "project", "locked": false, "schema_version": 3, "solution": true, "task": false}
def project(X, T_camera_world, K):
    """Pixels (*, N, 2) of points X (*, N, 3) of the room; NaN for those not before the camera."""
    ### BEGIN SOLUTION
    R, t = T_camera_world[..., :3, :3], T_camera_world[..., :3, 3]
    in_camera = X @ np.swapaxes(R, -1, -2) + t[..., None, :]
    w = in_camera @ np.swapaxes(K, -1, -2)
    Z = in_camera[..., 2:]
    ahead = Z > 0
    return np.where(ahead, w[..., :2], np.nan) / np.where(ahead, Z, 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "project_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(project)

# %%
sheet.draw(project)

# %% [markdown]
# Four cameras have filmed a man, and twelve of his joints are known in the room. Your function puts
# them into two of the films.

# %% tags=["real_data"]
if sheet.ready(project):
    from matplotlib.figure import Figure

    from vhlib.notebook.clips import load_clip
    from vhlib.notebook.figures import show_photo
    from vhlib.notebook.fit_figures import draw_picture
    from vhlib.notebook.palette import SKY

    clip = load_clip()
    joints = clip.truth()[60].numpy()  # shoulders, elbows, wrists, hips, knees, ankles; left, right
    figure = Figure(figsize=(8, 5), layout="constrained")
    for axes, number in zip(figure.subplots(1, 2), (1, 3), strict=True):
        camera = clip.cameras[number]
        u, v = project(joints, camera.T_camera_world.numpy(), camera.intrinsics.numpy()).T
        draw_picture(axes, clip.frame(number, 60), clip.keypoints(number)[60])
        for limb in ([4, 2, 0, 1, 3, 5], [10, 8, 6, 7, 9, 11], [0, 6], [1, 7]):
            axes.plot(u[limb], v[limb], "o-", color=SKY, linewidth=2)
        axes.set(title=f"camera {number}")
    show_photo(
        figure,
        alt="A man balances on one leg, filmed from two sides; a skeleton of twelve joints lies "
        "along his limbs in both pictures.",
    )

# %% [markdown]
# <sub>Clip: Pose2Sim's demo session (D. Pagnon and contributors, BSD-3-Clause).</sub>
#
# ## 3. A network's camera
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# HMR and its family look at a square crop of $r$ by $r$ pixels and answer with $s$, $t_x$, $t_y$.
# In coordinates that run from -1 to 1 over the crop, a body's points fall on
#
# $$s\,(X + t_x), \qquad s\,(Y + t_y) .$$
#
# Here they are asked for in pixels of the crop, which run from 0 to $r$.
#
# `weak_perspective(X, s, t, r)`: `X` `(*, N, 3)` metres, in the camera's axes; `s` `(*)`, half
# crops a metre; `t` `(*, 2)` metres; `r` a number, pixels → `(*, N, 2)`, pixels of the crop.
#
# *Example*: for `X = np.array([[0.0, -0.5, 0.2]])`, `s = np.array(0.8)`,
# `t = np.array([0.1, 0.25])` and `r = 224` it is `[[120.96, 89.6]]`.
#
# *Expected picture*: a person with spread arms in the crop, seen as if from far away.


# %% nbgrader={"grade": false, "grade_id": "weak_perspective", "locked": false, "schema_version": 3, "solution": true, "task": false}
def weak_perspective(X, s, t, r):
    """Pixels (*, N, 2) in a crop of r x r pixels of points X (*, N, 3) in metres."""
    ### BEGIN SOLUTION
    normalised = s[..., None, None] * (X[..., :2] + t[..., None, :])
    return (normalised + 1) * r / 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "weak_perspective_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(weak_perspective)

# %%
sheet.draw(weak_perspective)

# %% [markdown]
# ## 4. Where the person stands
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# The crop was cut out of a frame: a square with a side of $b$ pixels of the frame, whose middle
# lies $o = m - c$ pixels from the frame's principal point (to the right and downwards). Which
# translation $T = (T_x, T_y, T_z)$ puts the body where the network sees it, if the frame has a
# focal length of $f$ pixels? For the points with $Z = 0$ before they are moved, both cameras have
# to agree, measured in pixels from the principal point:
#
# $$f\, \frac{X + T_x}{T_z} = o_x + \frac{b}{2}\, s\, (X + t_x) \quad \text{for every } X,$$
#
# and alike for $Y$. Both sides are lines in $X$: compare their slopes, then what is left.
#
# `camera_translation(s, t, b, o, f)`: `s` `(*)`, `t` `(*, 2)` metres, `b` `(*)` and `o` `(*, 2)`
# pixels, `f` a number, pixels → `(*, 3)`, metres.
#
# *Example*: a crop that is taken for a picture of its own has $b = r$ and $o = (0, 0)$. With
# `s = np.array(0.9)`, `t = np.array([0.1, 0.2])`, `b = np.array(224.0)` and `f = 5000.0` that gives
# `[0.1, 0.2, 49.603]`. The same `s` and `t` in a frame, `b = np.array(600.0)`,
# `o = np.array([270.0, -54.0])`, `f = 1500.0`, give `[1.1, 0, 5.5556]`.


# %% nbgrader={"grade": false, "grade_id": "camera_translation", "locked": false, "schema_version": 3, "solution": true, "task": false}
def camera_translation(s, t, b, o, f):
    """Translation (*, 3) in metres of the body in the camera of the frame."""
    ### BEGIN SOLUTION
    pixels_per_metre = (b * s / 2)[..., None]
    return np.concatenate([t + o / pixels_per_metre, f / pixels_per_metre], axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "camera_translation_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(camera_translation)

# %% [markdown]
# What does the choice of $f$ do? This cell draws the course's body, one arm towards the camera, in
# a crop: by the network's camera in grey, and by a pinhole with your translation in colour.

# %%
if sheet.ready(project, weak_perspective, camera_translation):
    import torch
    from matplotlib.figure import Figure

    from vhlib.body import SMPL
    from vhlib.body.skeletons import SMPL_24
    from vhlib.geometry import axis_angle_to_matrix
    from vhlib.notebook.figures import show
    from vhlib.notebook.palette import GREY, SKY

    pose = torch.zeros(24, 3)
    pose[SMPL_24.index("right_shoulder")] = torch.tensor([0.0, 1.35, 0.1])
    turns = axis_angle_to_matrix(pose)
    X = SMPL.load()(body_pose=turns[1:], global_orient=turns[0]).vertices.numpy()
    X = X * np.array([1.0, -1.0, -1.0])  # into the camera's axes: upright, facing it
    s, t, r = np.array(0.9), np.array([0.0, -0.35]), 224
    flat = weak_perspective(X, s, t, r)
    figure = Figure(figsize=(8, 3.3), layout="constrained")
    for axes, f in zip(figure.subplots(1, 3), (125.0, 500.0, 5000.0), strict=True):
        T = camera_translation(s, t, np.array(float(r)), np.zeros(2), f)
        K = np.array([[f, 0, r / 2], [0, f, r / 2], [0, 0, 1]])
        pinhole = project(X + T, np.eye(4), K)
        apart = np.linalg.norm(pinhole - flat, axis=-1).max()
        axes.plot(*pinhole.T, ".", color=SKY, markersize=2)
        axes.plot(*flat.T, ".", color=GREY, markersize=1)
        axes.set(title=f"f = {f:.0f}, {T[2]:.1f} m away\nat most {apart:.0f} px apart")
        axes.set(xlim=(0, r), ylim=(r, 0), aspect="equal")
    show(
        figure,
        alt="A body in three crops, by two cameras. With f = 125 the blue arm that reaches "
        "forward is far longer than the grey one; with f = 5000 both bodies coincide.",
    )

# %% [markdown]
# ## 5. Which way the person faces
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# A network takes its crop for the picture of a camera that looks straight at the crop's middle. The
# frame's camera looks elsewhere: the ray to that middle has the direction
#
# $$d = \frac{(o_x / f,\; o_y / f,\; 1)}{|(o_x / f,\; o_y / f,\; 1)|}$$
#
# in its axes. Let $R_\text{ray}$ be the shortest turn that takes straight ahead, $e = (0, 0, 1)$,
# to $d$. With $a = e \times d$ (a cross product),
#
# $$R_\text{ray} = I + [a]_\times + \frac{[a]_\times^2}{1 + d_z}, \qquad
# [a]_\times = \begin{pmatrix} 0 & -a_3 & a_2 \\ a_3 & 0 & -a_1 \\ -a_2 & a_1 & 0 \end{pmatrix}.$$
#
# A root rotation seen in the crop becomes $R_\text{ray}\, R_\text{crop}$ in the frame.
#
# `frame_orient(R, o, f)`: `R` `(*, 3, 3)`, the root rotation of the crop; `o` `(*, 2)` pixels from
# the frame's principal point to the middle of the crop; `f` a number, pixels → `(*, 3, 3)`.
#
# *Example*: for `R = np.eye(3)`, `o = np.array([1000.0, 0.0])` and `f = 1000.0` the ray slants by
# 45 degrees to the right: `[[0.707, 0, 0.707], [0, 1, 0], [-0.707, 0, 0.707]]`.
#
# *Expected picture*: the axes of a body, turned by the slant of its ray.


# %% nbgrader={"grade": false, "grade_id": "frame_orient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def frame_orient(R, o, f):
    """Root rotations (*, 3, 3) in the frame's axes from those R (*, 3, 3) in the crop's."""
    ### BEGIN SOLUTION
    d = np.concatenate([o / f, np.ones_like(o[..., :1])], axis=-1)
    d = d / np.linalg.norm(d, axis=-1, keepdims=True)
    cross = np.zeros((*d.shape, 3))  # a = (-d_y, d_x, 0)
    cross[..., 0, 2], cross[..., 2, 0] = d[..., 0], -d[..., 0]
    cross[..., 1, 2], cross[..., 2, 1] = d[..., 1], -d[..., 1]
    R_ray = np.eye(3) + cross + cross @ cross / (1 + d[..., 2, None, None])
    return R_ray @ R
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "frame_orient_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(frame_orient)

# %%
sheet.draw(frame_orient)

# %% [markdown]
# ## 6. Into a viewer
# **2 points · difficulty 3 of 5 · 10 minutes**
#
# Viewers have $y$ up and $z$ backwards. The whole scene has to be turned by
# $Q = \mathrm{diag}(1, -1, -1)$: a vertex $x$ becomes $Q x$. A body is not given by its vertices,
# though, but by its root rotation $R$ and its translation $t$. SMPL turns the root about the pelvis
# $p$ of the body at rest, so a vertex $x_0$ of the posed body, before root and translation, comes
# to
#
# $$x = R\,(x_0 - p) + p + t .$$
#
# Which $R'$ and $t'$ give $Q x$ for every $x_0$?
#
# `to_y_up(R, t, p)`: `R` `(*, 3, 3)`, `t` and `p` `(*, 3)` metres → a tuple of `R'` `(*, 3, 3)` and
# `t'` `(*, 3)`.
#
# *Example*: `R = np.diag([1.0, -1.0, -1.0])`, `t = np.array([0.5, 0.25, 3.0])` and
# `p = np.array([0.0, -0.25, 0.0])` give the identity and `[0.5, 0.25, -3]`.
#
# *Expected picture*: the axes of the root in the viewer.


# %% nbgrader={"grade": false, "grade_id": "to_y_up", "locked": false, "schema_version": 3, "solution": true, "task": false}
def to_y_up(R, t, p):
    """Root rotation (*, 3, 3) and translation (*, 3) of the same body in a viewer with y up."""
    ### BEGIN SOLUTION
    Q = np.diag([1.0, -1.0, -1.0])
    return Q @ R, (p + t) @ Q - p  # Q is its own transpose
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "to_y_up_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(to_y_up)

# %%
sheet.draw(to_y_up)

# %% [markdown]
# The man of the clip, fitted in the camera's axes, before the eye of a viewer with $y$ up: as he
# is, and with your two arrays.

# %% tags=["real_data"]
if sheet.ready(to_y_up):
    from dataclasses import replace

    import torch

    from vhlib.body import SMPL
    from vhlib.fitting import fit_smplify
    from vhlib.notebook.clips import load_clip
    from vhlib.notebook.figures import show_photo
    from vhlib.notebook.fit_figures import cropped, views_figure
    from vhlib.notebook.mesh_pictures import camera_facing, mesh_picture

    clip, smpl = load_clip(), SMPL.load()
    seen, lens = clip.keypoints(1)[60], clip.cameras[1].in_own_frame()
    man = fit_smplify(smpl, lens, seen).body_parameters
    pelvis = smpl(betas=man.betas).joints[0].numpy()
    R, t = to_y_up(man.global_orient.numpy(), man.transl.numpy(), pelvis)
    upright = replace(man, global_orient=torch.tensor(R).float(), transl=torch.tensor(t).float())
    panels = {"the film": cropped(clip.frame(1, 60), seen)}
    for name, body in {"as he is": man, "yours": upright}.items():
        mesh = smpl(**vars(body)).vertices
        middle = mesh.mean(0)
        camera = camera_facing(middle, 4.0, 700.0, (300, 360))  # y up, four metres before him
        panels[f"{name}, at z = {middle[2]:.1f} m"] = mesh_picture(mesh, smpl.faces, camera)
    show_photo(
        views_figure(panels, 3.6),
        alt="Left: the man in the film, on one leg. Middle: the body hangs head down and shows his "
        "back, at a positive z. Right: upright as in the film, at a negative z.",
    )

# %% [markdown]
# ## Hand in
#
# Save the notebook and hand in this one file. In Colab the next cell downloads it.

# %%
sheet.summary()
