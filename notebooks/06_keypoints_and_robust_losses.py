# %% [markdown]
# # 06 · Keypoints and robust losses
#
# **After this notebook you can** write the term that compares a body with detected points, say what
# a confidence and a robust function do to it, and foretell when one wrong point spoils a fit.
#
# **You need** notebook 00; of 01 the projection. **Time**: 35 minutes. &nbsp;
# [Open in Colab]({{colab}})

# %% tags=["real_data"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vhlib") is None:  # in Colab, for instance
    package = "vhlib[colab] @ git+{{repository}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

import time
from dataclasses import replace

import torch
from ipywidgets import FloatSlider
from matplotlib.figure import Figure

from vhlib.body import SMPL, Keypoints
from vhlib.body.skeletons import OPENPOSE_25B, get_skeleton
from vhlib.fitting import COLD_START, GemanMcClure, Huber, PosedBody, Squares, fit_smplify
from vhlib.fitting.energies import Reprojection
from vhlib.fitting.posed_body import pack
from vhlib.notebook.clips import load_clip
from vhlib.notebook.controls import explore
from vhlib.notebook.figures import show, show_photo
from vhlib.notebook.fit_figures import keypoints_figure
from vhlib.notebook.keypoint_editor import edit_keypoints
from vhlib.notebook.keypoint_figures import (
    ambiguity_figure,
    kernel_figure,
    location_figure,
    outlier_figure,
    residual_figure,
)
from vhlib.notebook.live_fit import LiveFit

clip = load_clip()
smpl = SMPL.load()
photo = clip.frame(1, 60)
one = clip.keypoints(1, [60])  # a batch of one person, (1, 25)
keypoints = one[0]
camera = clip.cameras[1].in_own_frame()
fit_batch = fit_smplify(smpl, camera, one)
fit = fit_smplify(smpl, camera, keypoints)

# %% [markdown]
# ## 1. What a detector says
#
# A detector answers with a list: for each named point a pixel $(x_i, y_i)$ and a confidence $c_i$
# between 0 and 1. It knows nothing of bones or depth.
#
# **Predict first.** A point of confidence 0.2: is it *probably wrong*, or *probably hidden*?

# %%
show_photo(
    keypoints_figure(photo, keypoints),
    alt="Left: a man balancing, with dots on his joints. Right: bars of the confidences of the 25 "
    "points; the left ear, on the far side of his head, has the shortest.",
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Neither for sure. A confidence is the height of a peak in the detector's map of scores. Hidden
# points have low peaks, and so have blurred or unusual ones; a point that is confidently wrong,
# such as left taken for right, can have a high one. It is a weight, not a probability.
#
# </details>
#
# ### Points have names
#
# Every detector has its own list. Here are two with 25 points each, `openpose_25` and
# `openpose_25b`, so an array of the one passes for the other without an error.
#
# > **Where people trip.** Code that says `keypoints[8]` works until the list changes. Point 8 is

# %%
# NBVAL_CHECK_OUTPUT
for name in ("openpose_25", "openpose_25b", "coco_17", "smpl_24"):
    print(f"{name:13} {get_skeleton(name).names[8]}")

# %% [markdown]
# What happens to a fit that is given the right points under the wrong list?

# %%
# NBVAL_CHECK_OUTPUT
misread = Keypoints(keypoints.xy, keypoints.confidence, "openpose_25")
wrong = fit_smplify(smpl, camera, misread)
for name, seen, found in (("right list", keypoints, fit), ("wrong list", misread, wrong)):
    pixels = (found.projected_keypoints - seen.xy).norm(dim=-1).median()
    share = pixels / keypoints.height()
    print(
        f"{name}: the middle point is off by {'less' if share < 0.03 else 'more'} than 3 %"
        " of the person's height"
    )

# %% [markdown]
# No exception, no warning: a bad fit. `vhlib` keeps the list's name in the `Keypoints`, and turns
# names into indices in one place.
#
# ### The same name, another place
#
# A *neck* is where shoulders meet for one list, the base of the skull for another:

# %%
# NBVAL_CHECK_OUTPUT
necks = {"openpose_25": "neck", "openpose_25b": "upper_neck", "lsp_14": "neck"}
height = {}
for skeleton, point in necks.items():
    at = get_skeleton(skeleton).names.index(point)
    height[skeleton] = smpl.keypoints(skeleton)[at, 1].item()
lowest = min(height.values())
for skeleton, y in height.items():
    print(f"{necks[skeleton]:10} of {skeleton:12} {1000 * (y - lowest):3.0f} mm above the lowest")

# %% [markdown]
# These are `vhlib`'s own readings of the lists; every project has others. Centimetres between
# definitions are one floor of the errors you will see. Points on which lists differ most (necks,
# the top of the head) are best left out, as the white bars above are, and *hips* deserve suspicion:
# SPIN's fit ignores them, and 14 joints from one regressor can't be compared with 14 from another.

# %% [markdown]
# ## 2. The reprojection error
#
# **How far is a body from the picture?** Take its points, project them, subtract:
#
# $$u_i = f \, \frac{X_i}{Z_i} + c, \qquad r_i = s\,(u_i - x_i)$$
#
# The factor $s$ we need later; it turns pixels of this photo into pixels of a person 200 px tall.

# %%
X = smpl.keypoints("openpose_25b", **vars(fit.body_parameters))  # (25, 3) metres
u = camera.focal_length * X[:, :2] / X[:, 2:] + camera.principal_point  # (25, 2) pixels
r = u - keypoints.xy

show_photo(
    residual_figure(photo, keypoints, u),
    alt="The man with his keypoints; an arrow leaves each projected point of the fitted body "
    "towards the detected one, drawn five times too long. Most are short; they point to all sides.",
)

# %%
# NBVAL_CHECK_OUTPUT
person = keypoints.height()
print(f"he is about {round(person.item(), -1):.0f} px tall")
print(f"mean residual about {100 * r.norm(dim=-1).mean() / person:.0f} % of that")

# %% [markdown]
# The term of the energy is the weighted sum
#
# $$E_J = \sum_i c_i^2 \left[ \rho(r_{i,x}^2) + \rho(r_{i,y}^2) \right]$$
#
# with a robust function $\rho$ that section 4 explains. In code, with SMPLify's
# $\rho(r^2) = \sigma^2 r^2 / (\sigma^2 + r^2)$:

# %%
# NBVAL_CHECK_OUTPUT
sigma = 25.0
r2 = (200 / person * r).square()  # (25, 2): every coordinate by itself
rho = sigma**2 * r2 / (sigma**2 + r2)
E_J = (keypoints.confidence[:, None] ** 2 * rho).sum()

term = Reprojection(camera, one, GemanMcClure(sigma))
body = PosedBody(smpl.keypoint_regressor("openpose_25b"), pack(fit_batch.body_parameters))
print("five lines and the library agree:", bool((E_J / term.energy(body) - 1).abs() < 1e-4))

# %% [markdown]
# ## 3. What a confidence does
#
# **Predict first.** Halve all confidences. What happens to $E_J$?

# %%
# NBVAL_CHECK_OUTPUT
half = Reprojection(
    camera,
    Keypoints(one.xy, one.confidence / 2, "openpose_25b"),
    GemanMcClure(sigma),
)
print(f"E_J falls to {(half.energy(body) / term.energy(body)).item():.2f} of what it was")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# To a quarter: in SMPLify and SPIN the confidence multiplies the *residual*, so it enters the
# energy squared. A lecture text shows it once, unsquared. With squares a point of confidence 0.3
# counts eleven times less than one of confidence 1, not three times.
#
# </details>
#
# Because only the ratio of terms matters, halving every confidence also makes every prior four
# times as strong. A detector that is modest about all its points gets fits that trust it less.

# %% [markdown]
# ## 4. Robust functions
#
# **What should a residual of 100 pixels cost?** If noise were Gaussian, its square. But detectors
# fail in another way: mostly they are right within a few pixels, and now and then a point lies on
# the wrong leg. Three answers, each a function of the squared residual:
#
# | | cost $\rho$ | pull $d\rho/dr$ of a far point |
# |---|---|---|
# | squares | $r^2$ | grows without end |
# | Huber | $r^2$, then a straight line | stays the same |
# | Geman-McClure | $\sigma^2 r^2 / (\sigma^2 + r^2)$ | dies away |

# %%
kernels = {
    "squares": Squares(),
    "Huber, 8 px": Huber(8.0),
    "Geman-McClure, 25 px": GemanMcClure(25.0),
}
show(
    kernel_figure(kernels, largest=100.0, limits=(1500.0, 40.0)),
    alt="Left: cost against residual. Squares leave the picture at once, Huber rises as a line, "
    "Geman-McClure levels off. Right: pull against residual. That of squares grows, Huber's stays "
    "constant, Geman-McClure's peaks at about 14 pixels and falls.",
)

# %% [markdown]
# **Predict first.** At which residual does Geman-McClure pull hardest?
#
# <details><summary><b>Answer</b></summary>
#
# $\frac{d\rho}{dr} = \frac{2 r \sigma^4}{(\sigma^2 + r^2)^2}$ is largest where its own derivative
# vanishes, $\sigma^2 - 3 r^2 = 0$: at $r = \sigma/\sqrt{3}$. At $r = \sigma$ the cost is half of
# what it can ever be, $\sigma^2$.
#
# </details>

# %%
# NBVAL_CHECK_OUTPUT
r = torch.linspace(0, 400, 40_001, dtype=torch.float64)
value, slope = GemanMcClure(100.0)(r.square())
print(f"pulls hardest at r = {r[(2 * r * slope).argmax()] / 100:.3f} sigma")
print(f"at r = sigma it costs {value[r == 100.0].item() / 100**2:.2f} sigma^2")
print(f"at r = 4 sigma it pulls with {(2 * r * slope)[-1] / (2 * r * slope).max():.2f} of its peak")

# %% [markdown]
# > **Where people trip.** $\rho$ is applied to *each coordinate*, and then summed; papers that
# > write $\rho(\lVert r \rVert)$ suggest one value for each point. The difference: the same
# > distance costs more along a diagonal than along an axis, so the energy depends on how the photo
# > is turned.


# %%
# NBVAL_CHECK_OUTPUT
def cost(residual: list[float], per_coordinate: bool) -> float:
    """Geman-McClure of one point's residual, sigma = 100."""
    r2 = torch.tensor(residual).square()
    return GemanMcClure(100.0)(r2 if per_coordinate else r2.sum())[0].sum().item()


for residual in ([100.0, 0.0], [100 / 2**0.5, 100 / 2**0.5]):
    costs = cost(residual, per_coordinate=True), cost(residual, per_coordinate=False)
    print(
        "residual ({:5.1f}, {:4.1f}): by coordinate {:.0f}, by point {:.0f}".format(
            *residual, *costs
        )
    )

# %% [markdown]
# ### The price of forgetting outliers
#
# Five detections of one place on a line, one of them wrong. Where does each energy have its least?
#
# **Predict first.** Slide the wrong one away. Which estimates follow, and how far?


# %%
def estimate(outlier: float, sigma: float) -> Figure:
    """Energies of the place for four points near zero and one at ``outlier``."""
    chosen = {"squares": Squares(), "Huber": Huber(sigma / 3), "Geman-McClure": GemanMcClure(sigma)}
    return location_figure([-4.0, -1.0, 2.0, 5.0, outlier], chosen)


explore(
    estimate,
    alt="Energy curves over the place, with triangles for the points: four near 0, one at 60. The "
    "parabola of squares has its least at 12, Huber's near 2, Geman-McClure's at 1, and a second, "
    "shallower dip of Geman-McClure's at the wrong point.",
    outlier=FloatSlider(60.0, min=0.0, max=120.0, step=5.0, description="wrong point"),
    sigma=FloatSlider(15.0, min=5.0, max=60.0, step=5.0, description="sigma"),
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Squares follow by a fifth of the way, for ever: their least is the mean. Huber's least moves a
# little and then stays, close to the median. Geman-McClure's comes back: far away the wrong point
# no longer counts. But its curve has a *second dip* at the wrong point. Squares and Huber are
# convex here and have one minimum from any start; a function that forgets has several. That is why
# a fit starts with a large $\sigma$, and why it starts near the truth.
#
# </details>

# %%
# NBVAL_CHECK_OUTPUT
place = torch.linspace(-20, 80, 10_001, dtype=torch.float64)
points = torch.tensor([-4.0, -1.0, 2.0, 5.0, 60.0], dtype=torch.float64)
for name, kernel in {"squares": Squares(), "Huber": Huber(5.0), "G-M": GemanMcClure(15.0)}.items():
    energy = kernel((place[:, None] - points).square())[0].sum(-1)
    dips = ((energy[1:-1] < energy[:-2]) & (energy[1:-1] < energy[2:])).sum()
    print(f"{name:8} least at {place[energy.argmin()]:5.1f}, minima: {dips}")

# %% [markdown]
# ## 5. One wrong point in a body
#
# Points of a body aren't on a line: bones tie them to each other. We move *one* detection of the
# real frame sideways, refit, and see how far the body's joints move on average.
#
# **Predict first.** Which is worse to get wrong, a hip or a wrist?


# %%
def damage(point: str, pixels: float, kernel: object) -> float:
    """Mean change of all joints in mm when one detection is off by so many pixels."""
    xy = keypoints.xy.clone()
    xy[OPENPOSE_25B.names.index(point), 0] += pixels
    seen = Keypoints(xy, keypoints.confidence, "openpose_25b")
    schedule = [s if s.name == "camera" else replace(s, robust=kernel) for s in COLD_START]
    spoilt = fit_smplify(smpl, camera, seen, schedule=schedule).body_parameters
    moved = smpl.keypoints("openpose_25b", **vars(spoilt)) - X
    return 1000 * moved.norm(dim=-1).mean().item()


offsets = (50, 100, 150, 200, 300)
curves = {
    point.replace("_", " "): {
        name: [damage(point, pixels, kernel) for pixels in offsets]
        for name, kernel in kernels.items()
    }
    for point in ("right_hip", "right_wrist")
}
show(
    outlier_figure(offsets, curves),
    alt="Two panels, the mean change of all joints against how far one detection is off, on a "
    "logarithmic axis. Hip: squares climb past a metre, Huber stays level at some tens of "
    "millimetres, Geman-McClure falls to a few. Wrist: the three rise together to a tenth of a "
    "metre at 150 pixels and part from there.",
)

# %%
# NBVAL_CHECK_OUTPUT
hip = {name: values[-1] for name, values in curves["right hip"].items()}
for name, millimetres in hip.items():
    size = "over 300" if millimetres > 300 else "under 100" if millimetres > 15 else "under 15"
    print(f"hip off by 300 px, {name:21} joints move by {size} mm")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# With squares the hip, once it is far off; with a robust function the wrist. A hip can't go
# anywhere alone, so either the whole body follows (squares) or the point is given up (robust). A
# wrist sits at the end of a chain that can reach many places: for moderate offsets the arm simply
# goes there, whatever the function, since no other point objects.
#
# </details>
#
# So a robust function does not *know* which point is wrong. It stops caring about points with which
# the rest of the body can't comply. An error that a body could make real passes every robust
# function; only knowledge of likely poses (notebook 07) or of time can object.

# %% [markdown]
# ## 6. In which pixels?
#
# > **Where people trip.** $\sigma = 100$ *pixels* of what? In a 4K photo in which the person is
# > 2000 px tall, 100 px is a finger's length; in a crop of 224 px it is half a body, and nothing is
# > ever an outlier. The same holds for every weight against the priors.
#
# Take the same body seen in the same photo, once at full and once at a quarter of its size:

# %%
# NBVAL_CHECK_OUTPUT
small_camera = camera.resized((270, 480))
small = Keypoints(one.xy / 4, one.confidence, "openpose_25b")
for name, lens, seen in (
    ("full size", camera, one),
    ("a quarter ", small_camera, small),
):
    pixels = lens.project(X) - seen.xy[0]
    raw = (seen.confidence[0, :, None] ** 2 * GemanMcClure(100.0)(pixels.square())[0]).sum()
    scaled = Reprojection(lens, seen, GemanMcClure(25.0)).energy(body)
    kind = {"in its own pixels": raw / 100, "for a person of 200 px": scaled[0]}
    full = kind if name == "full size" else full
    print(name, *(f" {key}: {value / full[key]:.2f} of full" for key, value in kind.items()))

# %% [markdown]
# `vhlib` measures residuals as if the person were 200 px tall, about as in the pictures for which
# SMPLify's numbers were made. SMPLify-X divides by the image's height for the same reason.

# %% [markdown]
# ## 7. What keypoints can't say
#
# **Which wrist?** Fix the elbow and the length of the forearm. The wrist's pixel says that it lies
# on one ray. A ray meets a sphere twice:
#
# $$\lVert \lambda d - e \rVert^2 = \ell^2 \quad\Rightarrow\quad
# \lambda = d^\top e \pm \sqrt{(d^\top e)^2 - \lVert e \rVert^2 + \ell^2},
# \qquad \lVert d \rVert = 1$$

# %%
names = ("right_elbow", "right_wrist")
elbow, wrist = X[OPENPOSE_25B.indices(*names)]
d = wrist / wrist.norm()
length = (wrist - elbow).norm()
middle = d @ elbow
root = (middle**2 - elbow @ elbow + length**2).sqrt()
wrists = torch.stack([(middle - root) * d, (middle + root) * d])

show(
    ambiguity_figure(elbow, wrists),
    alt="An elbow and a circle of the forearm's length about it. A dotted line of sight cuts the "
    "circle twice; a solid blue forearm ends at the nearer cut, a dashed orange one at the other.",
)

# %%
# NBVAL_CHECK_OUTPUT
apart = (camera.project(wrists)[0] - camera.project(wrists)[1]).norm()
print(f"the two wrists are the same pixel: {bool(apart < 0.1)}")
print(f"a skeleton with 8 such bones has {2**8} answers for the same picture")

# %%
print(f"here they are {100 * (wrists[0] - wrists[1]).norm():.0f} cm apart")

# %% [markdown]
# No weight and no robust function can choose between them, since $E_J$ is the same. That is the
# work of the priors in notebook 07.

# %% [markdown]
# ## 8. Drag a point
#
# Every move refits the body from where it was. **Predict first**: pull the left knee up by a hand's
# breadth, then the right hip by a body's width. Which will the body follow?

# %%
edit_keypoints(
    photo,
    keypoints,
    LiveFit(smpl, camera, fit.body_parameters),
    alt="The man with his keypoints and, over him, the fitted body. In a running notebook the "
    "points can be dragged and the body follows.",
)

# %% [markdown]
# ## 9. What it costs

# %%
live = LiveFit(smpl, camera, fit.body_parameters)
start = time.perf_counter()
for _ in range(10):
    fit_smplify(smpl, camera, keypoints, init=fit.body_parameters)
print(f"a refit takes {100 * (time.perf_counter() - start):.0f} ms")
start = time.perf_counter()
for _ in range(100):
    term.quadratic(body)
print(f"E_J with its derivatives {10 * (time.perf_counter() - start):.1f} ms")

# %% [markdown]
# **Summary.** Points have names, and names have definitions that differ by centimetres. $E_J$ adds
# up robust functions of each coordinate's residual, weighted by the confidence squared, in pixels
# of a person of fixed size. Squares follow every outlier, Huber bounds its pull, Geman-McClure
# forgets it and pays with extra minima. None can see an error that a body could make real, and none
# can choose a depth.
#
# **Exercises.** [Sheet 06](../exercises/06_keypoints_and_robust_losses.ipynb).
#
# **Further reading.** P. Huber, *Robust estimation of a location parameter*, 1964. S. Geman and D.
# McClure, *Statistical methods for tomographic image reconstruction*, 1987. F. Bogo et al., *Keep
# it SMPL*, ECCV 2016. N. Kolotouros et al., *Learning to reconstruct 3D human pose and shape via
# model-fitting in the loop*, ICCV 2019. C. Sminchisescu and B. Triggs, *Kinematic jump processes
# for monocular 3D human tracking*, CVPR 2003 (the two-fold ambiguity of each bone).
