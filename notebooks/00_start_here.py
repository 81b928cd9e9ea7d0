# %% [markdown]
# # 00 · Start here: from a photo to a body
#
# **After this notebook you can** fit a 3D human body to a real camera frame in one cell, name what
# went in and what came out, read the energy that was minimised, and say how wrong the result is
# and in which direction.
#
# **You need** Python and a little numpy and PyTorch. Nothing about bodies, and no GPU.
# **Time**: 10 minutes; *Run All* takes a few seconds. &nbsp; [Open in Colab]({{colab}})
#
# One cell sets things up. In a checkout there is nothing to install.

# %% tags=["real_data"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vhlib") is None:  # in Colab, for instance
    package = "vhlib[colab] @ git+{{repository}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from ipywidgets import Dropdown, IntSlider
from matplotlib.figure import Figure
from PIL import Image

from vhlib.body import SMPL, BodyParameters
from vhlib.body.skeletons import SMPL_24
from vhlib.data.four_cameras import LIMB_JOINTS
from vhlib.data.photos import Photo
from vhlib.fitting import fit_smplify, load_pose_prior
from vhlib.metrics import mpjpe, pa_mpjpe
from vhlib.notebook.clips import load_clip
from vhlib.notebook.controls import explore, upload_photo
from vhlib.notebook.figures import show, show_photo
from vhlib.notebook.fit_figures import (
    cropped,
    energy_figure,
    error_figure,
    keypoints_figure,
    side_camera,
    views_figure,
)
from vhlib.notebook.mesh_pictures import body_picture
from vhlib.pipelines.photo import draw_overlay, fit_photo

# %% [markdown]
# ## 1. From a photo to a body in one cell
#
# A man balances on one leg, watched by four cameras. We take one picture from one camera, and the
# 25 points that OpenPose, a 2D detector, found in it. That is all the fit gets to know.

# %%
clip = load_clip()  # fetched once; without a network a synthetic stand-in, which says so

# %%
smpl = SMPL.load()  # a parametric body: 10 numbers for its shape, 24 rotations for its pose
photo = clip.frame(1, 60)  # camera 1, frame 60: uint8 (1920, 1080, 3)
keypoints = clip.keypoints(1)[60]  # 25 points in pixels, each with a confidence
camera = clip.cameras[1].in_own_frame()  # its lens; it is its own origin

fit = fit_smplify(smpl, camera, keypoints)

overlay = draw_overlay(Photo(photo), smpl, camera, fit.body_parameters)
panels = {"photo": cropped(photo, keypoints), "fitted body": cropped(overlay, keypoints)}
show_photo(
    views_figure(panels),
    alt="Left: a man in shorts balances on one leg, the other leg off to the side. Right: the "
    "same photo with a blue-grey body model drawn over him in the same pose.",
)

# %% [markdown]
# <sub>Clip: Pose2Sim's demo session (D. Pagnon and contributors, BSD-3-Clause); one subject, 1.7
# seconds; his face was hidden by its makers, a bystander's by us.</sub>
#
# The rest of this notebook takes that cell apart.

# %% [markdown]
# ## 2. What went in
#
# **Does the fit see the photo?** No. It sees this:

# %%
show_photo(
    keypoints_figure(photo, keypoints),
    alt="Left: the photo with dots on the man's joints, blue on his left side and orange on his "
    "right, joined by lines. Right: a bar chart of the 25 points' confidences by name; two bars, "
    "upper neck and head top, are white because the fit doesn't use them.",
)

# %% [markdown]
# *Left* is the man's own left. A confidence near 0 means that the detector hardly saw the point.
# White ones aren't used: there detector and body model mean different places.
#
# The second input is the camera. It sends a point $(X, Y, Z)$, in metres, to the pixel
#
# $$u = f_x \frac{X}{Z} + c_x, \qquad v = f_y \frac{Y}{Z} + c_y$$
#
# where $x$ points right, $y$ down and $z$ forward, away from the camera. The focal length $f$
# counts pixels. Here it is known from calibration.

# %%
(fx, fy), (cx, cy) = camera.focal_length.tolist(), camera.principal_point.tolist()
print(f"focal length {fx:.0f} x {fy:.0f} px, principal point ({cx:.0f}, {cy:.0f})")

# %% [markdown]
# > **Where people trip.** A fitted body lives in the axes of *its camera*, while
# > `clip.cameras[1]` also knows where it stands in the room. Draw the body with that one and it
# > lands somewhere else. Hence the `in_own_frame()` above.

# %%
pelvis = smpl(**vars(fit.body_parameters)).joints[:1]
for name, chosen in {"right": camera, "wrong": clip.cameras[1]}.items():
    print(f"{name}: the pelvis is drawn at pixel", chosen.project(pelvis)[0].round().int().tolist())

# %% [markdown]
# ## 3. What came out
#
# Numbers that drive the body model, in `fit.body_parameters`:

# %%
# NBVAL_CHECK_OUTPUT
for name, value in vars(fit.body_parameters).items():
    print(f"{name:14}{tuple(value.shape)}")
print("mesh          ", tuple(smpl(**vars(fit.body_parameters)).vertices.shape))

# %% [markdown]
# `betas` say who it is (tall, heavy, ...), the rotation matrices how each joint is bent, `transl`
# where the body stands. They give a mesh, so we may look at it from anywhere. Below, a second,
# imaginary camera has walked a quarter circle round him.
#
# **Predict first.** The overlay looks right. Will the side view look right as well?

# %%
where = fit.body_parameters.transl
from_the_side = side_camera(clip.cameras[1], where, image_size=(900, 1150))
side_view = body_picture(smpl, fit.body_parameters, from_the_side)
panels = {"from the camera": cropped(overlay, keypoints), "from the side": side_view}
show_photo(
    views_figure(panels),
    alt="Left: the overlay again. Right: the fitted body alone on white, seen from its side by a "
    "level camera.",
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# It is a plausible person, but nothing in the picture says whether it is the right one: the fit was
# never shown this side. Section 5 measures it. One flaw is visible already: along his right leg and
# at his hands a strip of him shows beside the body. Points on joints say how long his bones are and
# little about what is around them; outlines do ([notebook 10](10_silhouettes.ipynb)).
#
# </details>

# %% [markdown]
# ## 4. What was minimised
#
# A rotation has three degrees of freedom, so the unknowns are $24 \cdot 3 + 10 + 3 = 85$. The 23
# points in use give 46 numbers.
#
# **Predict first.** Where does the rest come from?
#
# <details><summary><b>Answer</b></summary>
#
# From what we know about people before we look: poses that occur, knees that bend one way, shapes
# that aren't extreme. Terms that hold such knowledge are called priors.
#
# </details>
#
# The fit looks for the smallest weighted sum (SMPLify, Bogo et al. 2016)
#
# $$E(\beta, \theta, t) = E_J + 3.5^2 E_\theta + 4.5^2 E_a + 5^2 E_\beta$$
#
# | term | in the code | asks | explained in |
# |---|---|---|---|
# | $E_J$ | `reprojection` | are the joints drawn where they were seen? | [06](06_keypoints_and_robust_losses.ipynb) |
# | $E_\theta$ | `pose_prior` | is the pose like those of people who were recorded? | [07](07_priors.ipynb) |
# | $E_a$ | `bending` | do elbows and knees bend the way they can? | [07](07_priors.ipynb) |
# | $E_\beta$ | `shape_prior` | is the shape an ordinary one? | [07](07_priors.ipynb) |

# %%
show(
    energy_figure(fit),
    alt="Left: bars of the energy's four terms at the end; the pose prior is by far the longest. "
    "Right: the energy on a logarithmic axis falls over the steps of three stages called camera, "
    "body and refine.",
)

# %%
cheapest = 3.5**2 * load_pose_prior().constants.min()
paid = fit.energy_terms["pose_prior"]
print(f"the pose prior costs {paid:.0f}; no pose costs less than {cheapest:.0f}")

# %% [markdown]
# The stages are a recipe against bad starts. *Camera* only places and turns a standing body, with
# no prior; *body* frees everything, and its curve starts anew because the priors come in; *refine*
# finishes. Most of the final energy is a constant of the pose prior, a negative logarithm of a
# probability density. So compare energies with each other, never with zero.

# %% [markdown]
# ## 5. How wrong is it?
#
# The three other cameras saw him too. Rays through the same joint in four pictures almost meet,
# and where they do we get a 3D reference for his twelve limb joints.
#
# **Predict first.** In which direction is the error largest: left-right, up-down, or along the
# line of sight?

# %%
limbs = SMPL_24.indices(*LIMB_JOINTS)
hips = [LIMB_JOINTS.index("left_hip"), LIMB_JOINTS.index("right_hip")]


def limb_joints(parameters: BodyParameters) -> torch.Tensor:
    """The body's twelve limb joints in the camera's axes, (*batch, 12, 3)."""
    return smpl.keypoints("smpl_24", **vars(parameters))[..., limbs, :]


found = limb_joints(fit.body_parameters)
truth = clip.cameras[1].world_to_camera(clip.truth()[60])
truth = truth - truth[hips].mean(0) + found[hips].mean(0)  # hips brought together

faint = body_picture(smpl, fit.body_parameters, from_the_side, opacity=0.35)
show(
    error_figure(faint, from_the_side, found, truth),
    alt="Left: the body from the side, faint, with the skeleton of the fit in black and that of "
    "the reference in orange; they differ most to the left and right, which is depth. Right: bars "
    "of each joint's error; the longest, of the left leg and the right arm, are along the depth, "
    "several times as long as those across the picture.",
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Along the line of sight. Move a point at depth $Z$ by $\Delta$ across the picture, and its pixel
# moves by $f \Delta / Z$. Move it by $\Delta$ *along* the depth, and the pixel moves by only about
# $\frac{X}{Z} \cdot \frac{f \Delta}{Z}$, where $X$ is its distance from the camera's axis: a small
# fraction. The keypoints hardly notice, so the priors decide.
#
# </details>
#
# Two numbers are usual. **MPJPE** is the mean distance of the joints, with the hips brought
# together. **PA-MPJPE** first allows the best turn, shift and scale, so that only the pose itself
# is judged.


# %%
# NBVAL_CHECK_OUTPUT
def rounded(metres: torch.Tensor, to: int = 10) -> int:
    """Millimetres, coarsely: the reference is no better than that."""
    return to * round(1000 * metres.item() / to)


across, along = (found - truth)[:, :2].norm(dim=-1).mean(), (found - truth)[:, 2].abs().mean()
print(f"MPJPE    about {rounded(mpjpe(found, truth, root=hips)):3} mm")
print(f"PA-MPJPE about {rounded(pa_mpjpe(found, truth)):3} mm")
print(f"across the picture {rounded(across)} mm, along the depth {rounded(along)} mm")

# %% [markdown]
# An overlay that looks right proves little. That is the first lesson of this field, and the reason
# why half of this course is about what to know beforehand.

# %% [markdown]
# ## 6. The same on the other cameras
#
# Each camera on its own, the same instant; nothing is shared between the four fits.

# %%
overlays, lines = {}, []
for index, in_the_room in enumerate(clip.cameras):
    seen, lens = clip.keypoints(index)[60], in_the_room.in_own_frame()
    alone = fit_smplify(smpl, lens, seen).body_parameters
    drawn = draw_overlay(Photo(clip.frame(index, 60)), smpl, lens, alone)
    overlays[f"camera {index}"] = cropped(drawn, seen)
    pred, gt = limb_joints(alone), in_the_room.world_to_camera(clip.truth()[60])
    lines.append(f"camera {index}   MPJPE about {rounded(mpjpe(pred, gt, root=hips)):3} mm")

show_photo(
    views_figure(overlays, height=3.4),
    alt="Four overlays side by side, one per camera: two from the front, two from behind. In each "
    "the drawn body lies over the man.",
)

# %%
# NBVAL_CHECK_OUTPUT
print("\n".join(lines))

# %% [markdown]
# One frame is an anecdote. A batch costs little, so take every fifth frame of all four cameras:

# %%
frames, errors, start = range(0, 100, 5), [], time.perf_counter()
for index, in_the_room in enumerate(clip.cameras):
    fits = fit_smplify(smpl, in_the_room, clip.keypoints(index, frames))
    pred, gt = limb_joints(fits.body_parameters), in_the_room.world_to_camera(clip.truth()[::5])
    errors.append(torch.stack([mpjpe(pred, gt, root=hips), pa_mpjpe(pred, gt)]))
print(f"{4 * len(frames)} pictures fitted in {time.perf_counter() - start:.1f} s")

# %%
# NBVAL_CHECK_OUTPUT
means = [rounded(mean, to=5) for mean in torch.cat(errors, dim=1).mean(1)]
print("mean over 80 views: MPJPE about {} mm, PA-MPJPE about {} mm".format(*means))

# %% [markdown]
# **What to say beside these numbers.** The reference is no motion capture: it is triangulated from
# the *same* detections that the fits received, after the cameras were refined on them, and another
# way of refining moves it by 13 mm. It is one man for 1.7 seconds. Papers' numbers come from other
# people, poses and joints, so don't set them side by side.

# %% [markdown]
# ## 7. Try it
#
# **Predict first.** Somebody tells the fit a focal length five times too long. What changes: the
# overlay, the pose, the distance?


# %%
def refit(camera_index: int, frame: int, focal: float) -> Figure:
    """Fit one picture with a focal length that is off by a factor, and show both views."""
    seen, room = clip.keypoints(camera_index)[frame], clip.cameras[camera_index]
    room = replace(room, focal_length=focal * room.focal_length)
    lens = room.in_own_frame()
    body = fit_smplify(smpl, lens, seen).body_parameters
    drawn = draw_overlay(Photo(clip.frame(camera_index, frame)), smpl, lens, body)
    side = body_picture(smpl, body, side_camera(room, body.transl, (900, 1150)))
    distance = f"from the side, {body.transl[2]:.1f} m away"
    return views_figure({f"focal length x {focal:g}": cropped(drawn, seen), distance: side}, 4.0)


explore(
    refit,
    alt="The overlay and the body from the side, fitted with a focal length five times too long.",
    camera_index=IntSlider(1, 0, 3, description="camera", continuous_update=False),
    frame=IntSlider(60, 0, 99, description="frame", continuous_update=False),
    focal=Dropdown(options=[0.5, 1.0, 2.0, 5.0], value=5.0, description="focal x"),
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The overlay stays, and the distance grows by the same factor: $f/Z$ is what a picture shows. The
# pose suffers only a little. So trust no distance without a calibrated focal length.
#
# </details>
#
# Drag the sliders: they work while the notebook runs. (At camera 0, frame 37, OpenPose split the
# man in two: what does a fit make of that?)

# %% [markdown]
# ## 8. Your own photo
#
# A detector of our own finds people and their keypoints in any photo. It runs where this notebook
# runs and sends nothing anywhere. Below it looks at the same frame as above, without OpenPose's
# help and with a guessed focal length. Then it is your turn: press the button, or write
# `fit_photo("path/to/photo.jpg")`. One person, whole, upright and not too small fits best.


# %%
def fit_and_show(path: Path) -> Figure:
    """The photo and the body over it, with what the fit assumed as a title."""
    mine = fit_photo(path)
    print("\n".join(mine.remarks))
    panels = {"photo": cropped(mine.photo.pixels, mine.keypoints)}
    panels["fitted body"] = cropped(mine.overlay(), mine.keypoints)
    return views_figure(panels)


with TemporaryDirectory() as folder:
    example = Path(folder) / "frame.png"
    Image.fromarray(photo).save(example)
    upload_photo(
        fit_and_show,
        alt="The same frame, and the body that was fitted to our own detector's keypoints.",
        example=example,
    )

# %% [markdown]
# The same from a terminal, `vh fit photo.jpg`, also writes the mesh and the parameters to files.
# What can go wrong: limbs that hide behind others, a person cut off by the frame, somebody seen
# from the side in mid-stride. Look at the overlay before you trust the body.
#
# ## 9. Map of the course
#
# What isn't there yet is marked *later*.
#
# | | notebook | afterwards you can | exercises |
# |---|---|---|---|
# | 00 | [start here](00_start_here.ipynb) | fit a real photo, and say how wrong the fit is | – |
# | 01 | [camera projection](01_camera_projection.ipynb) | project; tell perspective from weak perspective | [sheet](../exercises/01_camera_projection.ipynb) |
# | 02 | [rotations](02_rotations.ipynb) | convert between representations of a rotation | [sheet](../exercises/02_rotations.ipynb) |
# | 03 | [shape blend shapes](03_shape_blend_shapes.ipynb) | read `betas`; find joints from a surface | [sheet](../exercises/03_shape_blend_shapes.ipynb) |
# | 04 | [pose and skinning](04_pose_and_skinning.ipynb) | write forward kinematics and linear blend skinning | [sheet](../exercises/04_pose_and_skinning.ipynb) |
# | 05 | [train your own body](05_train_your_own_body.ipynb) | learn a body model from registered meshes | [sheet](../exercises/05_train_your_own_body.ipynb) |
# | 06 | [keypoints and robust losses](06_keypoints_and_robust_losses.ipynb) | make the data term survive outliers | [sheet](../exercises/06_keypoints_and_robust_losses.ipynb) |
# | 07 | [priors](07_priors.ipynb) | write each prior, and see what breaks without it | [sheet](../exercises/07_priors.ipynb) |
# | 08 | [SMPLify](08_smplify.ipynb) | stage a whole fit, term by term | [sheet](../exercises/08_smplify.ipynb) |
# | 09 | [optimisers and Jacobians](09_optimisers_and_jacobians.ipynb) | choose a solver by measuring | [sheet](../exercises/09_optimisers_and_jacobians.ipynb) |
# | 10 | [silhouettes](10_silhouettes.ipynb) | fit shape to an outline | [sheet](../exercises/10_silhouettes.ipynb) |
# | 11 | SMPLify-X *(later)* | add hands, face and a learned prior | – |
# | 12 | lifting *(later)* | learn 3D joints from 2D ones | later |
# | 13 | HMR *(later)* | regress a body with iterative feedback and discriminators | later |
# | 14 | neural body fitting *(later)* | use part maps as a stepping stone | later |
# | 15 | SPIN *(later)* | put the fit into the training loop | later |
# | 16 | PyMAF *(later)* | feed mesh-aligned features back | later |
# | 17 | CLIFF *(later)* | tell a network where its crop came from | later |
# | 18 | PIXIE *(later)* | join experts for body, hands and face | later |
# | 19 | VIBE *(later)* | regress motion, judged by a critic | later |
# | 20 | TCMR *(later)* | make motion smooth without freezing it | later |
# | 21 | MotionBERT *(later)* | pretrain a motion transformer by masking | later |
# | 22 | dense displacements *(later)* | refine a surface from per-pixel offsets | later |
# | 23 | metrics and benchmark *(later)* | compare methods under one protocol | [sheet](../exercises/23_metrics.ipynb) |
#
# ## 10. Where next
#
# - **Your own keypoints**: `vh fit photo.jpg --keypoints photo_keypoints.json` takes a file in
#   OpenPose's format.
# - **Your own SMPL file**: `SMPL.load("path")` reads any file in SMPL's format; the README says
#   how. The body used here is our own, trained from CC0 data: its `betas` aren't SMPL's.
#
# **Summary.** A photo becomes 25 keypoints; a body model turns 85 unknowns into a mesh; an energy
# of one data term and three priors picks the unknowns. Across the picture the fit is good to a few
# centimetres. Along the line of sight it guesses.
#
# **Further reading.** M. Loper et al., *SMPL: a skinned multi-person linear model*, SIGGRAPH Asia
# 2015. F. Bogo et al., *Keep it SMPL*, ECCV 2016. Z. Cao et al., *OpenPose*, TPAMI 2019. D. Pagnon
# et al., *Pose2Sim*, JOSS 2022. Y. Tian et al., *Recovering 3D human mesh from monocular images: a
# survey*, TPAMI 2023.
