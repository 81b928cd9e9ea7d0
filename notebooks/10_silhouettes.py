# %% [markdown]
# # 10 · Silhouettes
#
# **After this notebook you can** write a silhouette term with one side and with two, say why a
# drawn mask has no gradient and where one comes from, and carve a shape from an outline.
#
# **You need** notebooks 06 to 08. **Time**: 35 minutes. &nbsp; [Open in Colab]({{colab}})

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
from ipywidgets import FloatSlider
from matplotlib.figure import Figure
from scipy.ndimage import distance_transform_edt

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.measurements import Measurements, measure_body
from vhlib.body.skeletons import SMPL_24
from vhlib.data.four_cameras import LIMB_JOINTS
from vhlib.fitting import WARM_START, Fit, Stage, fit_smplify
from vhlib.fitting.silhouette import Silhouette
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.geometry.outlines import mesh_edges
from vhlib.geometry.silhouettes import antialiased_silhouette, blurred, soft_iou
from vhlib.metrics import iou, pa_mpjpe
from vhlib.notebook.clips import load_clip, person_mask
from vhlib.notebook.controls import explore, step_through
from vhlib.notebook.figures import show, show_photo
from vhlib.notebook.outline_figures import distance_figure, masks_figure, shift_figure
from vhlib.notebook.replay import replay
from vhlib.notebook.silhouette_figures import silhouette_figure

clip, smpl = load_clip(), SMPL.load()
photo, one = clip.frame(1, 60), clip.keypoints(1, [60])
camera = clip.cameras[1].in_own_frame()
edges = mesh_edges(smpl.faces)


def mask_of(body: BodyParameters, lens: PerspectiveCamera) -> torch.Tensor:
    """How much of each pixel the body covers."""
    return antialiased_silhouette(smpl(**vars(body)).vertices, edges, lens)


# %% [markdown]
# ## 1. What keypoints don't see
#
# **How broad is he?** Keypoints lie on joints; they tell how long bones are, not what is around
# them. A detector's *mask* says for each pixel whether it is his. Intersection over union (IoU)
# compares two masks: the pixels that both cover, over those that either covers.

# %%
person = person_mask(clip, 1, 60)  # (H, W) shares, from our detector
fit = fit_smplify(smpl, camera, one)
body = mask_of(fit.body_parameters, camera)[0]
show_photo(
    silhouette_figure(photo, person.numpy(), body.numpy(), "keypoints only"),
    alt="The man with two outlines, his own, dashed, and that of the fitted body. They part along "
    "the legs, at the raised arm and hand, and at his left hip, where his mask takes in something "
    "dark behind him; what the body lacks is tinted.",
)

# %%
# NBVAL_CHECK_OUTPUT
before = iou(body > 0.5, person > 0.5).item()
print("IoU with keypoints only is between 0.6 and 0.85:", 0.6 < before < 0.85)

# %% [markdown]
# A silhouette term isn't part of the original SMPLify; it is a common addition.
#
# ## 2. Distances to a mask
#
# **How wrong is a point outside of the mask?** As far as it lies from it. The *distance transform*
# gives this for every pixel; inside the mask it is zero. By brute force, for a small picture:

# %%
rows, columns = np.mgrid[0:48, 0:80] + 0.5
centres = np.stack([columns, rows], axis=-1)  # (48, 80, 2): x, y of each pixel
mask = ((columns - 40) / 26) ** 2 + ((rows - 24) / 15) ** 2 < 1  # an ellipse

inside = centres[mask]  # (M, 2)
distance = np.linalg.norm(centres[:, :, None] - inside, axis=-1).min(axis=-1)

# %%
# NBVAL_CHECK_OUTPUT
print("as scipy's:", np.allclose(distance, distance_transform_edt(~mask)))

# %% [markdown]
# Now let a circle stand for the body. A first energy asks that no point of its outline lies
# outside:
#
# $$E_{\rightarrow} = \frac{1}{n} \sum_i D(x_i)^2$$


# %%
def circle(x: float, y: float, radius: float, count: int = 60) -> np.ndarray:
    angle = 2 * np.pi * np.arange(count) / count
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def one_sided(points: np.ndarray) -> float:
    column, row = points.astype(int).T  # the pixel in which each point lies
    return float((distance[row, column] ** 2).mean())


small, large, aside = circle(40, 24, 5), circle(40, 24, 17), circle(58, 24, 15)
candidates = {"small": small, "large": large, "aside": aside}
show(
    distance_figure(mask, distance, candidates),
    alt="A grey ellipse with height lines of the distance around it. A small circle lies wholly "
    "inside the ellipse, a larger one sticks out above and below, a third is shifted to the right.",
)

# %% [markdown]
# **Predict first.** For which of the three circles is $E_\rightarrow$ least?

# %%
# NBVAL_CHECK_OUTPUT
for name, points in candidates.items():
    print(f"{name:6} one-sided {one_sided(points):5.1f}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# For the small one, with exactly zero: it hides inside. A body under this term alone may shrink,
# bring its arms to its sides and stand in the shadow.
#
# </details>
#
# So one also asks the other way: no point of the *mask's* outline far from the body.


# %%
# NBVAL_CHECK_OUTPUT
eroded = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
border = centres[mask & ~np.pad(eroded, 1)]  # mask pixels with a neighbour outside


def two_sided(points: np.ndarray) -> float:
    to_body = np.linalg.norm(border[:, None] - points, axis=-1).min(axis=1)
    return one_sided(points) + float((to_body**2).mean())


for name, points in candidates.items():
    print(f"{name:6} two-sided {two_sided(points):5.1f}")

# %% [markdown]
# In `vhlib` the term is `Silhouette`: outlines of body and mask, distances both ways, measured like
# keypoints in pixels of a person 200 px tall, each under a robust function. Which vertices lie on
# the outline changes with the pose, so the body is drawn anew at each step, and correspondences are
# held fast within the step, as in iterative closest points.

# %% [markdown]
# ## 3. Where does the gradient come from?
#
# **Can we differentiate a drawn mask?** We shift a body sideways over its own mask, by steps of a
# thousandth of a pixel, and watch $1 - \mathrm{IoU}$.

# %%
lens = PerspectiveCamera(150.0, (32, 48), (64, 96))
upright = axis_angle_to_matrix(torch.tensor([math.pi, 0.0, 0.0]))
calm = torch.zeros(23, 3)
for side, sign in (("left", -1.0), ("right", 1.0)):
    calm[SMPL_24.names.index(f"{side}_shoulder") - 1, 2] = 1.1 * sign
pose = axis_angle_to_matrix(calm)


def standing(betas: torch.Tensor, x: float = 0.0) -> BodyParameters:
    return BodyParameters(betas, pose, upright, torch.tensor([x, 0.2, 3.2]))


goal = mask_of(standing(torch.zeros(10)), lens)
shifts = np.linspace(1.0, 1.2, 161)  # pixels: a close look at one place
metres = shifts * 3.2 / 150
soft = torch.stack([mask_of(standing(torch.zeros(10), x), lens) for x in metres.tolist()])
hard = (soft > 0.5).float()
curves = {"drawn: covered or not": 1 - soft_iou(hard, (goal > 0.5).float())}
curves["shares of pixels"] = 1 - soft_iou(soft, goal)
show(
    shift_figure(shifts, {name: energy.numpy() for name, energy in curves.items()}),
    alt="Energy against a shift between 1.0 and 1.2 pixels. The drawn mask gives a staircase, flat "
    "between steps; shares of pixels give a smooth rising curve.",
)

# %% [markdown]
# **Predict first.** What is the derivative of the staircase?
#
# <details><summary><b>Answer</b></summary>
#
# Zero almost everywhere: a pixel is covered or it isn't, and a tiny shift changes none. No
# optimiser that follows slopes can use it. But the *share* of a pixel that is covered changes
# smoothly with the outline, and only pixels on the outline change.
#
# </details>
#
# So the gradient lives on the outline. For each place where it passes between two pixel centres,
# moving it by one pixel changes the covered area by one. That is all there is to it (Laine et al.
# 2020); the library's gradient against finite differences:

# %%
# NBVAL_CHECK_OUTPUT
vertices = smpl(**vars(standing(torch.zeros(10)))).vertices.double()
target = goal.double()


def energy(x: torch.Tensor) -> torch.Tensor:
    moved = vertices + torch.stack([x, x * 0, x * 0])
    return 1 - soft_iou(antialiased_silhouette(moved, edges, lens), target)


x = torch.tensor(0.0117, dtype=torch.float64, requires_grad=True)
(slope,) = torch.autograd.grad(energy(x), x)
with torch.no_grad():
    measured = (energy(x + 1e-6) - energy(x - 1e-6)) / 2e-6
print(f"gradient and finite difference agree to 0.1 %: {bool((slope / measured - 1).abs() < 1e-3)}")

# %% [markdown]
# ### How far does it reach?
#
# Only a pixel. If the outlines are far apart, areas still differ, but their difference no longer
# tells in which direction to go once they don't overlap. Blur both masks and they feel each other
# from farther away. Try it.


# %%
def reach(sigma: float) -> Figure:
    """1 - IoU of blurred masks against a shift of up to a body's width."""
    far = np.linspace(-30, 30, 61)
    masks = torch.stack(
        [mask_of(standing(torch.zeros(10), s * 3.2 / 150), lens) for s in far.tolist()]
    )
    energies = {"sharp": 1 - soft_iou(masks, goal)}
    if sigma > 0:
        energies[f"blurred, {sigma:g} px"] = 1 - soft_iou(
            blurred(masks, sigma), blurred(goal, sigma)
        )
    return shift_figure(far, {name: energy.numpy() for name, energy in energies.items()})


explore(
    reach,
    alt="Energy against shift for sharp and blurred masks. The sharp one is steep for a few "
    "pixels, dips once more at eleven and is nearly flat beyond twenty; the blurred one falls all "
    "the way towards zero shift.",
    sigma=FloatSlider(6.0, min=0.0, max=15.0, step=1.0, description="blur"),
)

# %% [markdown]
# ## 4. A shape from an outline
#
# Now the other unknowns are known: pose, place, camera. Only the ten betas are free, and the data
# are a mask. Keypoints alone can't tell girth; can the outline?

# %%
picture = PerspectiveCamera(600.0, (150, 210), (300, 420))
someone = standing(torch.tensor([0.5, 0.0, 1.5, 1.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]))
outline = mask_of(someone, picture)
term = Silhouette.of_masks(smpl, outline[None], picture, mask_to_body=1.0)
joints = picture.project(smpl.keypoints("openpose_25", **vars(someone)))
seen = Keypoints(joints[None], torch.ones(1, 25), "openpose_25")
start = BodyParameters(
    **{name: value[None] for name, value in vars(standing(torch.zeros(10))).items()}
)


def carve(weights: dict[str, float], steps: int = 30) -> Stage:
    return Stage("carve", ("betas",), weights, steps, 1e-6)


def shaped_by(stages: list[Stage]) -> Fit:
    return fit_smplify(smpl, picture, seen, schedule=stages, init=start, extra_terms=[term])


by_points = shaped_by([carve({"reprojection": 1.0, "shape_prior": 1.0})])
by_outline = shaped_by([carve({"silhouette": 20.0, "shape_prior": 1.0})])


# %%
# NBVAL_CHECK_OUTPUT
def measure(betas: torch.Tensor) -> Measurements:
    return measure_body(smpl(betas=betas).vertices, smpl.faces)


truth = measure(someone.betas)
for name, found in {"keypoints": by_points, "outline": by_outline}.items():
    guess = measure(found.body_parameters.betas[0])
    wrong = abs(guess.mass - truth.mass) / truth.mass
    print(f"{name:9} mass is off by {'less' if wrong < 0.04 else 'more'} than 4 %")

# %%
for name, betas in {
    "true": someone.betas,
    "keypoints": by_points.body_parameters.betas[0],
    "outline": by_outline.body_parameters.betas[0],
}.items():
    body = measure(betas)
    print(f"{name:9} {100 * body.height:.0f} cm tall, {body.mass:.0f} kg")

# %%
moments = replay(shaped_by, [carve({"silhouette": 20.0, "shape_prior": 1.0}, 12)], every=1)


def carved(index: int) -> Figure:
    """The mask, and the body's outline after some steps."""
    parameters = moments[index].fit.body_parameters
    now = mask_of(parameters, picture)[0]
    name = f"IoU {iou(now > 0.5, outline > 0.5).item():.3f}"
    return masks_figure({name: (outline.numpy(), now.numpy())})


step_through(
    carved,
    [moment.name for moment in moments],
    alt="A filled silhouette and over it the outline of the mean body, which is slimmer and "
    "shorter; in a running notebook the slider carves it until both agree.",
)

# %% [markdown]
# ## 5. What an outline doesn't tell
#
# **Predict first.** Turn somebody round by half a turn. What happens to his outline?

# %%
far = PerspectiveCamera(9000.0, (150, 210), (300, 420))
turned = upright @ axis_angle_to_matrix(torch.tensor([0.0, math.pi, 0.0]))
bent = torch.zeros(23, 3)
bent[SMPL_24.names.index("left_shoulder") - 1] = torch.tensor([0.0, -0.9, -0.5])
bent[SMPL_24.names.index("right_shoulder") - 1] = torch.tensor([0.0, 0.3, 1.0])
mirrored = bent.clone()  # left and right exchanged, as in a mirror
for side, other in (("left_shoulder", "right_shoulder"), ("right_shoulder", "left_shoulder")):
    angles = bent[SMPL_24.names.index(other) - 1] * torch.tensor([1.0, -1.0, -1.0])
    mirrored[SMPL_24.names.index(side) - 1] = angles
away = torch.tensor([0.0, 0.2, 48.0])
front = BodyParameters(torch.zeros(10), axis_angle_to_matrix(bent), upright, away)
back = BodyParameters(torch.zeros(10), axis_angle_to_matrix(mirrored), turned, away)
two = {"from the front": mask_of(front, far), "from behind": mask_of(back, far)}
show(
    masks_figure({name: (m.numpy(), two["from the front"].numpy()) for name, m in two.items()}),
    alt="Two silhouettes that look the same, one of a body seen from the front, one of its mirror "
    "image seen from behind.",
)

# %%
# NBVAL_CHECK_OUTPUT
same = iou(two["from the front"] > 0.5, two["from behind"] > 0.5).item()
print("the two outlines have an IoU above 0.9:", same > 0.9)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# It turns into its mirror image; and the mirrored person, turned round, has the same outline again
# (nearly: feet point elsewhere). A silhouette can't tell front from back, nor left from right, nor
# an arm in front of the belly from one behind it. It adds girth to what keypoints know; it doesn't
# replace them.
#
# </details>

# %% [markdown]
# ## 6. On the real frame
#
# Start from the keypoint fit, then let all unknowns move with both terms. The way from the mask to
# the body counts a quarter here: people wear clothes, and a mask is wider than the body in it.


# %%
term = Silhouette.of_masks(smpl, person[None], camera)


def with_silhouette(weight: float) -> Fit:
    schedule = [
        replace(s, iterations=20, weights={**s.weights, "silhouette": weight}) for s in WARM_START
    ]
    return fit_smplify(
        smpl, camera, one, schedule=schedule, init=fit.body_parameters, extra_terms=[term]
    )


def outlines(weight: float) -> Figure:
    """The outlines with a weight of the term."""
    drawn = mask_of(with_silhouette(weight).body_parameters, camera)[0]
    return silhouette_figure(photo, person.numpy(), drawn.detach().numpy(), f"weight {weight:g}")


explore(
    outlines,
    alt="The man and two outlines, his own and the body's, which now nearly agree but at his "
    "left hip and hands.",
    weight=FloatSlider(
        10.0, min=0.0, max=40.0, step=5.0, description="weight", continuous_update=False
    ),
)

# %%
# NBVAL_CHECK_OUTPUT
limbs = SMPL_24.indices(*LIMB_JOINTS)
reference = clip.cameras[1].world_to_camera(clip.truth()[60])


def pa(found: Fit) -> float:
    return pa_mpjpe(
        smpl.keypoints("smpl_24", **vars(found.body_parameters))[0, limbs], reference
    ).item()


refined = with_silhouette(20.0)
after = iou(mask_of(refined.body_parameters, camera)[0] > 0.5, person > 0.5).item()
print("IoU grew by more than 0.05:", after - before > 0.05)
print("PA-MPJPE didn't get worse by more than 5 mm:", pa(refined) < pa(fit) + 0.005)

# %% [markdown]
# **What the mask is of.** Shorts and hair belong to the man but not to the body, so a term that is
# trusted too much makes him heavier and his head larger; a mask's own errors do the same. The
# robust function and a moderate weight, chosen on synthetic views, keep this small. Over the whole
# clip: `python benchmarks/silhouette.py`, table in `benchmarks/results`.

# %% [markdown]
# ## 7. What it costs

# %%
began = time.perf_counter()
with_silhouette(20.0)
print(f"20 steps with the silhouette: {time.perf_counter() - began:.2f} s")
began = time.perf_counter()
fit_smplify(smpl, camera, one, init=fit.body_parameters)
print(f"8 steps without: {time.perf_counter() - began:.2f} s")

# %% [markdown]
# **Summary.** Keypoints don't know girth, outlines do. Distances to the mask must be asked both
# ways, or the body hides inside. A drawn mask has no slope; shares of pixels have one, on the
# outline only, and blur carries it farther. An outline can't tell front from back, and it is of
# clothes.
#
# **Exercises.** [Sheet 10](../exercises/10_silhouettes.ipynb).
#
# **Further reading.** P. Felzenszwalb and D. Huttenlocher, *Distance transforms of sampled
# functions*, 2012. S. Laine et al., *Modular primitives for high-performance differentiable
# rendering*, 2020. C. Lassner et al., *Unite the people*, CVPR 2017 (silhouettes in SMPLify). D.
# Alldieck et al., *Video based reconstruction of 3D people models*, CVPR 2018.
