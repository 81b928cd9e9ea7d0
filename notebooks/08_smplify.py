# %% [markdown]
# # 08 · SMPLify
#
# **After this notebook you can** place a body in front of a camera from six numbers, run the
# original's stages and your own, say what each stage does, and tell where such a fit fails.
#
# **You need** notebooks 06 and 07. **Time**: 45 minutes. &nbsp; [Open in Colab]({{colab}})

# %% tags=["real_data"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vhlib") is None:  # in Colab, for instance
    package = "vhlib[colab] @ git+{{repository}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from matplotlib.figure import Figure

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.skeletons import OPENPOSE_25B, SMPL_24
from vhlib.data.four_cameras import LIMB_JOINTS
from vhlib.data.photos import Photo
from vhlib.fitting import (
    COLD_START,
    Fit,
    Stage,
    fit_clip,
    fit_smplify,
    fit_views,
    load_pose_prior,
)
from vhlib.fitting.multiview import in_world
from vhlib.fitting.schedules import LECTURE_STAGES, SMPLIFY_2016, SPIN
from vhlib.geometry import axis_angle_to_matrix
from vhlib.geometry.camera_estimates import estimate_translation, similar_triangles_depth
from vhlib.metrics import mpjpe, pa_mpjpe
from vhlib.notebook.clip_figures import depth_figure, frames_figure
from vhlib.notebook.clips import load_clip
from vhlib.notebook.controls import step_through
from vhlib.notebook.figures import show, show_photo
from vhlib.notebook.fit_figures import cropped, side_camera, views_figure
from vhlib.notebook.mesh_pictures import body_picture
from vhlib.notebook.palette import BLUE, VERMILLION
from vhlib.notebook.replay import replay
from vhlib.notebook.space import bones, frustum, show_space
from vhlib.pipelines.photo import draw_overlay

clip, smpl, prior = load_clip(), SMPL.load(), load_pose_prior()
photo, keypoints = clip.frame(1, 60), clip.keypoints(1)[60]
room = clip.cameras[1]
camera = room.in_own_frame()

# %% [markdown]
# ## 1. The unknowns
#
# A pose has 24 rotations of 3 numbers, the root's among them; a shape has 10; a place has 3:
# $72 + 10 + 3 = 85$. (A lecture text counts the root twice and arrives at 88.) The energy of
# notebooks 06 and 07 has many minima, so SMPLify does two things before it minimises everything: it
# looks for a good *start*, and it goes in *stages*.

# %% [markdown]
# ## 2. Where does the person stand?
#
# **How far away is somebody who looks 600 pixels tall?** Take a body in the mean pose, upright,
# facing the camera. Two ways to place it.
#
# **Similar triangles.** A torso of length $L$ metres that looks $\ell$ pixels long is at depth
# $t_z = f\, L / \ell$, both sides averaged:

# %%
upright = axis_angle_to_matrix(torch.tensor([math.pi, 0.0, 0.0]))  # SMPL is y up, images y down
stance = axis_angle_to_matrix(prior.mean_pose.unflatten(-1, (-1, 3)))
S = smpl.keypoints("openpose_25b", body_pose=stance, global_orient=upright)  # (25, 3) metres

pairs = [("left_shoulder", "left_hip"), ("right_shoulder", "right_hip")]
edges = torch.tensor([OPENPOSE_25B.indices(*pair) for pair in pairs])
L = (S[edges[:, 0]] - S[edges[:, 1]]).norm(dim=-1).mean()
ell = (keypoints.xy[edges[:, 0]] - keypoints.xy[edges[:, 1]]).norm(dim=-1).mean()
t_z = camera.focal_length.mean() * L / ell

# %% [markdown]
# **Least squares.** From $f (S_x + t_x) = (u - c_x)(S_z + t_z)$ and the same for $v$: two equations
# for each point, linear in the three unknowns $t$, each weighted by the root of its confidence.

# %%
f, c, conf = camera.focal_length, camera.principal_point, keypoints.confidence
offset = keypoints.xy - c  # (25, 2)
A = torch.zeros(25, 2, 3)
A[:, 0, 0], A[:, 1, 1], A[:, :, 2] = f[0], f[1], -offset
b = offset * S[:, 2:] - f * S[:, :2]
weight = conf.sqrt()[:, None, None]
t = torch.linalg.lstsq((weight * A).flatten(0, 1), (weight * b[..., None]).flatten(0, 1)).solution[
    :, 0
]

# %%
# NBVAL_CHECK_OUTPUT
theirs = similar_triangles_depth(S, keypoints.xy, edges, camera)
print("similar triangles as in the library:", bool((t_z / theirs - 1).abs() < 1e-3))
linear = estimate_translation(S, keypoints.xy, conf, camera)
print("least squares as in the library    :", bool((t - linear).norm() < 1e-2))
print(f"depth by the torso about {t_z.item():.0f} m, by least squares about {t[2].item():.0f} m")

# %% [markdown]
# **Predict first.** Somebody leans towards the camera, so the torso looks shorter than it is. Is
# this person nearer or farther than similar triangles say?
#
# <details><summary><b>Answer</b></summary>
#
# Nearer: a short torso is read as a distant one. It is only a start; the next stage moves the body.
#
# </details>
#
# > **Where people trip.** A lecture text says that SMPLify assumes a height of 1.70 m, a person who
# > faces the camera, and a floor. It uses the *mean shape's torso*, it solves for the root's
# > rotation and tries both directions for people in profile, and it has no floor.

# %% [markdown]
# ## 3. The original's stages
#
# | stage | free | pose prior | shape | bending | collision |
# |---|---|---|---|---|---|
# | camera | root rotation, translation | – | – | – | – |
# | 1 | pose *and* shape | 404 | 100 | 3.17 · 404 | 1000 |
# | 2 | pose and shape | 404 | 50 | 3.17 · 404 | 1000 |
# | 3 | pose and shape | 57.4 | 10 | 3.17 · 57.4 | 1000 |
# | 4 | pose and shape | 4.78 | 5 | 3.17 · 4.78 | 1000 |
#
# All numbers weigh *residuals*: in the energy they are squared. The camera stage asks four points
# of the torso with plain squares, and for a depth near the first guess; afterwards the translation
# stays. (Source: Bogo et al. 2016 and the released code.)

# %%
for stage in SMPLIFY_2016:
    weights = {name: round(w, 1) for name, w in stage.weights.items()}
    print(f"{stage.name:7} frees {', '.join(stage.free)}: {weights}")

# %% [markdown]
# **Predict first.** Why begin with a prior so strong that the body hardly moves?
#
# <details><summary><b>Answer</b></summary>
#
# A strong prior makes the energy nearly quadratic, with one minimum: a likely body, roughly in
# place. As it loosens, that minimum deforms into one of the many of the last energy, and with luck
# into a good one. This is called continuation, or graduated optimisation.
#
# </details>
#
# Step through it. Which limb moves in which stage?


# %%
def original(stages: Sequence[Stage]) -> Fit:
    return fit_smplify(smpl, camera, keypoints, schedule=stages)


moments = replay(original, SMPLIFY_2016, every=5)


def picture(fit: Fit) -> Figure:
    """The overlay and the view from the side."""
    body = fit.body_parameters
    overlay = cropped(draw_overlay(Photo(photo), smpl, camera, body), keypoints)
    side = body_picture(smpl, body, side_camera(room, body.transl, (900, 1150)))
    return views_figure({"photo": overlay, "from the side": side}, height=4.6)


step_through(
    lambda index: picture(moments[index].fit),
    [moment.name for moment in moments],
    alt="The fit after the last step of the fourth body stage: the body covers the man; seen "
    "from the side it stands plausibly, with both knees bent.",
    start=len(moments) - 1,
)

# %% [markdown]
# ### Does the order matter?
#
# Here are the original, its last stage alone from the same camera stage, that with a milder bending
# prior, SPIN's single stage, the lecture's five stages, and `vhlib`'s own schedule, on every fourth
# frame of camera 1.
#
# > **Where people trip.** The five stages of a lecture text (initialisation, camera, pose, shape,
# > all) are a device for teaching. SMPLify has no shape stage: pose and shape are free together
# > from the first body stage on. Its solver is a dogleg, and L-BFGS came with SMPLify-X.

# %%
every_fourth = range(0, 100, 4)
frames = clip.keypoints(1, every_fourth)
truth = room.world_to_camera(clip.truth()[::4])
limbs = SMPL_24.indices(*LIMB_JOINTS)
hips = [LIMB_JOINTS.index("left_hip"), LIMB_JOINTS.index("right_hip")]


def errors(fit: Fit, gt: torch.Tensor) -> tuple[float, float]:
    """Mean MPJPE and PA-MPJPE in mm."""
    pred = smpl.keypoints("smpl_24", **vars(fit.body_parameters))[..., limbs, :]
    return tuple(1000 * e.mean().item() for e in (mpjpe(pred, gt, root=hips), pa_mpjpe(pred, gt)))


torso, last = SMPLIFY_2016[0], SMPLIFY_2016[-1]
schedules: dict[str, Sequence[Stage]] = {
    "original, four stages": SMPLIFY_2016,
    "its last stage alone": (torso, last),
    "that, bending at 4.5": (torso, replace(last, weights={**last.weights, "bending": 4.5})),
    "SPIN's single stage": SPIN,
    "the lecture's five": LECTURE_STAGES,
    "vhlib's": COLD_START,
}
table = {}
for name, schedule in schedules.items():
    began = time.process_time()
    table[name] = errors(fit_smplify(smpl, camera, frames, schedule=schedule), truth)
    each = 1000 * (time.process_time() - began) / len(every_fourth)
    print(
        "{:22} MPJPE {:3.0f}, PA-MPJPE {:3.0f} mm, ".format(name, *table[name])
        + f"{each:.0f} ms each"
    )

# %%
# NBVAL_CHECK_OUTPUT
four, alone, mild = (pa for _, pa in list(table.values())[:3])
print(f"three stages more change PA-MPJPE by less than 3 mm: {abs(four - alone) < 3}")
print(f"a milder bending prior by more than 3 mm: {alone - mild > 3}")

# %% [markdown]
# From a good camera and an easy view the stages matter less than their fame: on these frames the
# last one alone ends where all four do. *Weights* matter more: the original's for bending, 15.2 in
# the last stage, won't leave a straight knee straight. Over synthetic views from all sides two
# stages instead of one are worth some millimetres (`benchmarks/results/ablation.txt`, "one stage").
# (The times are of a batch on one core.)

# %% [markdown]
# ## 4. Which way does he face?
#
# Shoulders that look close together may belong to somebody in profile, and a profile seen from the
# left looks almost like one from the right. The original then fits twice, from the found direction
# and from half a turn about the body's own vertical axis, and keeps the fit that explains the
# *points* better.

# %%
walk = torch.zeros(23, 3)
for name, angles in {
    "left_hip": (-0.5, 0.0, 0.0),
    "right_hip": (0.35, 0.0, 0.0),
    "right_knee": (0.5, 0.0, 0.0),
    "left_shoulder": (0.0, 0.5, -1.2),
    "right_shoulder": (0.0, 0.4, 1.2),
    "left_elbow": (0.0, -0.6, 0.0),
    "right_elbow": (0.0, 0.5, 0.0),
}.items():
    walk[SMPL_24.names.index(name) - 1] = torch.tensor(angles)
turns = torch.linspace(1.2, 1.8, 7)
turns = torch.nn.functional.pad(torch.cat([turns, -turns])[:, None], (1, 1))  # about the vertical
sideways = upright @ axis_angle_to_matrix(turns)  # 14 walkers, seen from their left and right
profiles = BodyParameters(
    torch.zeros(14, 10),
    axis_angle_to_matrix(walk).expand(14, -1, -1, -1),
    sideways,
    torch.tensor([0.0, 0.2, 4.0]).expand(14, -1),
)
seen = camera.project(smpl.keypoints("openpose_25b", **vars(profiles)))
seen = seen + 3 * torch.randn(seen.shape, generator=torch.Generator().manual_seed(0))
walkers = Keypoints(seen, torch.ones(14, 25), "openpose_25b")

once = [replace(s, prepare=(), best_by=()) if s.name != "camera" else s for s in SMPLIFY_2016]
found = {
    "one direction": fit_smplify(smpl, camera, walkers, schedule=once),
    "both tried": fit_smplify(smpl, camera, walkers, schedule=SMPLIFY_2016),
}
for name, fit in found.items():
    ahead = (fit.body_parameters.global_orient[..., 2] * sideways[..., 2]).sum(-1)
    print(f"{name:13} {int((ahead > 0.5).sum())} of 14 face the right way")

# %%
# NBVAL_CHECK_OUTPUT
ahead = (found["both tried"].body_parameters.global_orient[..., 2] * sideways[..., 2]).sum(-1)
print("with both tried, all but one at most:", bool((ahead > 0.5).sum() >= 13))

# %% [markdown]
# Some start the wrong way round, and no later stage turns them; trying both costs one fit more.
# `vhlib`'s own schedule always tries four directions. Its camera stage is cheap, so all four go
# through it as one batch.

# %% [markdown]
# ## 5. Focal length
#
# **Predict first.** The focal length is unknown, as in most photos. If we guess twice the true one,
# what will be wrong: overlay, pose, distance?

# %%
# NBVAL_CHECK_OUTPUT
true = fit_smplify(smpl, camera, keypoints)
far_lens = replace(camera, focal_length=2 * camera.focal_length)
guessed = fit_smplify(smpl, far_lens, keypoints)
ratio = guessed.body_parameters.transl[2] / true.body_parameters.transl[2]
print(f"twice the focal length, {ratio.item():.1f} times the distance")

# %% [markdown]
# And if the fit may change it? A prior keeps the logarithm of the focal length near the guess. Ten
# moments, all four cameras:

# %%
free = [
    replace(s, free=(*s.free, "focal_length"), weights={**s.weights, "focal_prior": 5.0})
    for s in COLD_START
]
factors, found = [], {"known": [], "twice": [], "freed": []}
for index, each in enumerate(clip.cameras):
    own, seen = each.in_own_frame(), clip.keypoints(index, range(0, 100, 10))
    twice = replace(own, focal_length=2 * own.focal_length)
    fits = {
        "known": fit_smplify(smpl, own, seen),
        "twice": fit_smplify(smpl, twice, seen),
        "freed": fit_smplify(smpl, twice, seen, schedule=free),
    }
    factors += (fits["freed"].camera.focal_length[:, 0] / own.focal_length[0]).tolist()
    for name, fit in fits.items():
        found[name].append(errors(fit, each.world_to_camera(clip.truth()[::10])))
print(f"freed, it settles at {min(factors):.1f} to {max(factors):.1f} times the true one")
means = {name: torch.tensor(rows).mean(0).tolist() for name, rows in found.items()}
for name, mean in means.items():
    print("{:6} MPJPE {:3.0f}, PA-MPJPE {:3.0f} mm".format(name, *mean))

# %%
# NBVAL_CHECK_OUTPUT
print("a guess of twice costs accuracy:", means["twice"][0] > means["known"][0])
print("freeing it wins some back      :", means["freed"][0] < means["twice"][0])

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Distance takes nearly all of it: $f/Z$ is what a picture shows. What remains is *perspective*,
# near limbs being larger, a faint signal from four metres away. A wrong guess bends the pose a
# little to explain it. Freed, the focal length goes back towards the true one on average, and lands
# anywhere near or far from it in a single picture, where it is confused with limbs that point at
# the camera. A guess that is less far off (the picture's diagonal, here 1.3 times the true one)
# costs poses less; distances need a calibrated camera.
#
# </details>

# %% [markdown]
# ## 6. A video
#
# **What does time add?** Single frames flicker: each one guesses depths by itself. People keep
# their shape, and their joints don't jump. `fit_clip` fits all frames of a camera as one problem,
# with one shape and a price on the accelerations of the points in space.

# %%
track = clip.keypoints(1)
alone = fit_smplify(smpl, camera, track)
together = fit_clip(smpl, camera, track, fps=60)
hand = SMPL_24.names.index("left_wrist")
reference = room.world_to_camera(clip.truth())[:, LIMB_JOINTS.index("left_wrist"), 2]
depths = {
    name: smpl.keypoints("smpl_24", **vars(fit.body_parameters))[:, hand, 2]
    for name, fit in {"each frame alone": alone, "as one clip": together}.items()
}
show(
    depth_figure(depths | {"reference": reference}, fps=60),
    alt="Depth of the left wrist against time. Fitted frame by frame it flickers by centimetres, "
    "fitted as one clip it is smooth; both lie some way from the triangulated reference, which "
    "is drawn dotted.",
)

# %%
# NBVAL_CHECK_OUTPUT
gt = room.world_to_camera(clip.truth())


def jerkiness(fit: Fit) -> float:
    """Mean acceleration of the limb joints in mm per squared frame."""
    x = smpl.keypoints("smpl_24", **vars(fit.body_parameters))[:, limbs]
    return 1000 * (x[2:] - 2 * x[1:-1] + x[:-2]).norm(dim=-1).mean().item()


single, whole = errors(alone, gt), errors(together, gt)
print(
    "as one clip, MPJPE is smaller:",
    whole[0] < single[0],
    " PA-MPJPE is smaller:",
    whole[1] < single[1],
)
print("accelerations fall to less than a third:", jerkiness(together) < jerkiness(alone) / 3)

# %%
print("single frames MPJPE {:.0f}, PA-MPJPE {:.0f} mm".format(*single))
print("one clip      MPJPE {:.0f}, PA-MPJPE {:.0f} mm".format(*whole))

# %% [markdown]
# Smoothness removes the flicker and some of the error. What it can't mend is an error that all
# frames share: if the prior prefers a wrong depth throughout, it will be smoothly wrong.

# %% [markdown]
# ## 7. Four cameras at once
#
# Residuals of all cameras in one energy: the same body, in the room's axes.

# %%
moment = list(range(10, 100, 20))
per_view = [clip.keypoints(index, moment) for index in range(4)]
views = Keypoints(
    torch.stack([k.xy for k in per_view]),
    torch.stack([k.confidence for k in per_view]),
    "openpose_25b",
)
everyone = fit_views(smpl, clip.cameras, views)
one_view = fit_smplify(smpl, camera, per_view[1])

# %%
# NBVAL_CHECK_OUTPUT
four, one = errors(everyone, clip.truth()[moment]), errors(one_view, gt[moment])
print(f"four views: MPJPE less than half of one view's: {four[0] < one[0] / 2}")

# %%
print(
    "four views MPJPE {:.0f}, PA-MPJPE {:.0f} mm;".format(*four),
    "one view {:.0f}, {:.0f} mm".format(*one),
)

# %%
shown = 2  # of the moments
one_in_room = in_world(smpl, one_view.body_parameters, room)
figures = {"four views": everyone.body_parameters, "one view": one_in_room}
looks = {"four views": (BLUE, "--"), "one view": (VERMILLION, ":")}
limb_places = torch.full((len(SMPL_24), 3), torch.nan)
limb_places[list(limbs)] = clip.truth()[moment[shown]].float()
strokes = [frustum(each, f"camera {index}") for index, each in enumerate(clip.cameras)]
strokes.append(bones(limb_places, "smpl_24", "black", "reference"))
for name, found in figures.items():
    points = smpl.keypoints("smpl_24", **vars(found))[shown]
    color, dash = looks[name]
    strokes.append(bones(points, "smpl_24", color, name, dash))
show_space(
    strokes,
    alt="A room from above one corner: four cameras about a skeleton of the reference. That of "
    "four views lies on it; that of camera 1 alone stands nearer to camera 1.",
)

# %% [markdown]
# Turn the figure until you look from camera 1: the three skeletons coincide. From the side they
# don't. So neither the body model nor the solver is what limits a single view: it is the missing
# depth.

# %% [markdown]
# ## 8. Where it fails
#
# The worst frames of this camera, and the best one.

# %%
pred = smpl.keypoints("smpl_24", **vars(alone.body_parameters))[:, limbs]
by_frame = 1000 * mpjpe(pred, gt, root=hips)
order = by_frame.argsort(descending=True).tolist()
chosen = [order[0], next(k for k in order if abs(k - order[0]) > 15), order[-1]]
show_photo(
    frames_figure(smpl, clip, 1, alone.body_parameters, chosen, by_frame),
    alt="Three frames with the fitted body drawn over the man and, beside each, the body from the "
    "side. In the first the body's right forearm hangs where he has none: his is raised, out of "
    "the picture. The other two overlays look right. From the side, the bodies of the two worst "
    "frames lean and crouch, that of the best stands upright.",
)

# %% [markdown]
# **What goes wrong.** In the first frame OpenPose took the left wrist for the right one as well,
# with a confidence below 0.1: nothing says where the raised forearm is, and the prior lets it hang.
# In the second the overlay is fine, and limbs point towards or away from the camera by the wrong
# amount: the pixels hardly change, so the pose prior decides, and it knows few people who balance.
# Other known failures, measured with `python benchmarks/robustness.py`: left and right swapped,
# half of the body outside of the picture, a fifth of the points astray, and a wrong focal length.
#
# **Numbers of others.** SMPLify's reconstruction error on Human3.6M is given as 82.3 mm (SPIN,
# table 3): other people, other joints, another protocol, so it can't be set beside those above. A
# figure of "about 100 on 3DPW" for SMPLify, as a lecture text has it, stands in none of the papers'
# tables.

# %% [markdown]
# ## 9. A schedule of your own
#
# A schedule is a list. Make one by replacing parts of another:

# %%
# NBVAL_CHECK_OUTPUT
gentle = [
    *COLD_START[:-1],
    replace(COLD_START[-1], name="stiff", weights={**COLD_START[-1].weights, "pose_prior": 20.0}),
    COLD_START[-1],
]
mine = fit_smplify(smpl, camera, keypoints, schedule=gentle)
print("stages:", ", ".join(record.name for record in mine.history))

# %% [markdown]
# ## 10. What it costs

# %%
for name, run in {
    "one frame, cold": lambda: fit_smplify(smpl, camera, keypoints),
    "one frame, warm": lambda: fit_smplify(smpl, camera, keypoints, init=true.body_parameters),
    "25 frames, cold": lambda: fit_smplify(smpl, camera, frames),
}.items():
    began = time.perf_counter()
    run()
    print(f"{name}: {1000 * (time.perf_counter() - began):.0f} ms")

# %% [markdown]
# The original took up to a minute a picture. `python benchmarks/real_clip.py` runs all 400 views,
# single, as clips and together, beside SPIN's schedule; its table lies in `benchmarks/results`.
#
# **Summary.** A start from the torso or by least squares; a camera stage; stages whose priors
# loosen, pose and shape free together; both directions for profiles. A focal length trades against
# distance. Time removes flicker, more cameras remove the error: what a single picture lacks is
# depth.
#
# **Exercises.** [Sheet 08](../exercises/08_smplify.ipynb).
#
# **Further reading.** F. Bogo et al., *Keep it SMPL*, ECCV 2016. N. Kolotouros et al., *SPIN*, ICCV
# 2019. Y. Huang et al., *Towards accurate marker-less human shape and pose estimation over time*,
# 3DV 2017 (several views, a clip at once). A. Arnab et al., *Exploiting temporal context for 3D
# human pose estimation in the wild*, CVPR 2019.
