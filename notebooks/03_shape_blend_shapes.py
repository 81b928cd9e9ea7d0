# %% [markdown]
# # 03 · Shape: blend shapes and joints
#
# **After this notebook you can** make a person from ten numbers, say where these numbers come from
# and what they mean, regress a skeleton from a mesh, and tell why hips differ between data sets and
# betas between models.
#
# **You need** numpy, PyTorch and some linear algebra (a singular value decomposition). Notebooks 01
# and 02 help but aren't needed. **Time**: 40 minutes. &nbsp; [Open in Colab]({{colab}})

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vhlib") is None:  # in Colab, for instance
    package = "vhlib[colab] @ git+{{repository}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

import io
import pickle
import time
from collections import defaultdict
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from unittest import mock

import numpy as np
import smplx
import torch
from ipywidgets import Dropdown, FloatSlider, IntSlider
from matplotlib.figure import Figure
from smplx.utils import Struct

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.learning import learn_shape_space
from vhlib.body.measurements import measure_body
from vhlib.body.model_data import REQUIRED_SHAPES, model_arrays
from vhlib.body.model_files import find_model, read_model
from vhlib.body.skeletons import OPENPOSE_25B, SMPL_24, get_skeleton
from vhlib.data.photos import Photo
from vhlib.fitting import fit_smplify
from vhlib.geometry import axis_angle_to_matrix
from vhlib.metrics import mpjpe, pa_mpjpe
from vhlib.notebook.clips import load_clip
from vhlib.notebook.controls import explore
from vhlib.notebook.figures import show, show_photo
from vhlib.notebook.shape_figures import (
    bent_leg_figure,
    meshes_figure,
    points_figure,
    regressor_figure,
    see_through,
    spectrum_figure,
    tape_figure,
)
from vhlib.notebook.viewer import BodyViewer
from vhlib.pipelines.photo import draw_overlay

smpl = SMPL.load()  # "neutral": trained on women and men
faces = smpl.faces  # (F, 3) which three vertices make a triangle
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## 1. A person is a mean and ten numbers
#
# **How do you store a body?** As a *mesh*: $V$ points on the skin, joined by triangles. SMPL's mesh
# has 6,890 points, so a body would be 20,670 numbers, and nearly all choices of them look like no
# body at all. Two decisions make it ten.
#
# - Every body has the *same* triangles. Vertex 1000 is the same place on everybody's skin, so
#   bodies can be added and averaged, point by point.
# - A body is the mean body plus a weighted sum of a few *directions*, the **blend shapes**:
#
# $$V_\text{shape}(\beta) = \bar{T} + \sum_{k} \beta_k S_k$$
#
# $\bar T$ is the template, `v_template` $(V, 3)$, and $S_k$ the $k$-th slice of `shapedirs`
# $(V, 3, 10)$, both in metres; $\beta$ are the ten `betas`. That is the whole shape model (Loper et
# al. 2015, eq. 8):

# %%
v_template, shapedirs = smpl.v_template, smpl.shapedirs


def shaped(betas: torch.Tensor) -> torch.Tensor:
    """The skin at rest, (V, 3) metres."""
    return v_template + shapedirs @ betas


def beta(**values: float) -> torch.Tensor:
    """Ten betas, zero but for those named: beta(b0=2, b3=-1)."""
    return torch.tensor([float(values.get(f"b{k}", 0)) for k in range(10)])


# %% [markdown]
# **Predict first.** Ten sliders. Do you expect one for height, one for weight, one for the length
# of the legs?

# %%
panels = {
    f"beta {k} = {value:+}": shaped(beta(**{f"b{k}": value})) for value in (-2, 2) for k in range(4)
}
show_photo(
    meshes_figure(panels, faces, columns=4),
    alt="Eight bodies on one floor: above with minus two, below with plus two of each of the first "
    "four betas.",
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# None of them is only that. Beta 0 is mostly height, but tall people are heavier and more often
# men, and all of that comes along. Where these mixtures come from is section 2, what they mean is
# section 3.
#
# </details>
#
# Move them yourself. The sliders work in the page, all the body's mathematics included; the
# skeleton inside follows, which is section 4. Drag to turn the body.

# %%
viewer = BodyViewer(
    smpl,
    alt="A tall body with its arms spread, the rest pose. In a running notebook it has a slider "
    "for each beta and can be turned.",
    skeleton=True,
    betas=beta(b0=1.5),
)
viewer.show()

# %% [markdown]
# Our two lines against the library, and against `smplx`, the package by SMPL's authors, which gets
# the same file:

# %%
# NBVAL_CHECK_OUTPUT
betas = torch.randn(10, generator=generator)
ours, theirs = shaped(betas), {"vhlib": smpl(betas=betas).vertices}
file = Struct(**np.load(find_model("neutral")))
with redirect_stdout(io.StringIO()):  # it prints a remark about ten betas
    peer = smplx.SMPL("", data_struct=file, vertex_ids=defaultdict(int))
theirs["smplx"] = peer(betas=betas[None]).vertices[0].detach()
for name, vertices in theirs.items():
    print(f"equal to {name} within 0.01 mm: {bool((ours - vertices).abs().max() < 1e-5)}")
print("zero betas give the template:", torch.equal(shaped(torch.zeros(10)), v_template))

# %% [markdown]
# This body has 6,769 vertices, not 6,890: SMPL's own files can't be passed on, so the course trains
# a body of its own in SMPL's file format (notebook 05). All equations and array layouts are SMPL's.

# %% [markdown]
# ## 2. Where the directions come from
#
# **Who chooses the ten directions?** Nobody: they are the *principal components* of a crowd. SMPL
# had two crowds, laser-scanned for the CAESAR survey: 1,700 men for its male body, 2,100 women for
# its female one. A mesh was fitted to each scan and brought to the rest pose, or the directions
# would have learned how people hold their arms.
#
# > **Where people trip.** These 3,800 scans are *people*, and serve the shape alone. A set of notes
# > counts them as scans in different *poses*. What a bent elbow does to the skin was learned from
# > other scans, of far fewer people in many poses.
#
# Our crowd is **synthetic**: 200 women and 200 men, drawn from the course's female and male bodies.
# Each of those has ten directions of its own. We forget them and keep the meshes.

# %%
female, male = SMPL.load("female"), SMPL.load("male")
crowd = torch.cat(
    [m(betas=torch.randn(200, 10, generator=generator)).vertices for m in (female, male)]
)
crowd = crowd[torch.randperm(len(crowd), generator=generator)]
people, held_out = crowd[:300], crowd[300:]
show_photo(
    meshes_figure({f"person {n}": people[n] for n in range(6)}, faces),
    alt="Six people of the crowd on one floor, women and men of different heights and builds.",
)

# %% [markdown]
# Stack the $N$ people as rows and take away the mean: $X$ is $(N, 3V)$. Its singular value
# decomposition finds the directions in which the crowd varies most:
#
# $$X = U \Sigma W^\top, \qquad \sigma_k = \frac{\Sigma_k}{\sqrt{N - 1}}, \qquad
# S_k = \sigma_k W_k$$
#
# $W_k$ is the direction, $\sigma_k$ the standard deviation of the crowd along it. Multiplying both
# is SMPL's convention and makes the unit of a beta: **one standard deviation**.


# %%
def pca(people: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean (V, 3), directions (V, 3, N - 1) scaled by their deviation, shares of the variance."""
    mean = people.mean(0)
    X = (people - mean).flatten(1)
    _U, Sigma, Wt = torch.linalg.svd(X, full_matrices=False)
    Sigma, Wt = Sigma[:-1], Wt[:-1]  # the mean is gone, so the last one is empty
    sigma = Sigma / (len(people) - 1) ** 0.5
    return mean, (sigma[:, None] * Wt).T.unflatten(0, mean.shape), Sigma**2 / (Sigma**2).sum()


def encode(mesh: torch.Tensor, mean: torch.Tensor, S: torch.Tensor) -> torch.Tensor:
    """The betas of a mesh: the directions are orthogonal, so a dot product each."""
    return torch.einsum("...vc,vck->...k", mesh - mean, S) / (S**2).sum((0, 1))


mean, S, explained = pca(people)
S = S[..., :10]

# %% [markdown]
# **Predict first.** The course's neutral body was trained on 900 other people, half women, half
# men. Will our ten directions look like its `shapedirs`?


# %%
# NBVAL_CHECK_OUTPUT
def cosines(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """Between directions of the same number, without their sign."""
    return torch.cosine_similarity(A.flatten(0, 1), B.flatten(0, 1), dim=0).abs()


for k, cosine in enumerate(cosines(S, shapedirs)[:4]):
    print(f"direction {k} lies along the neutral body's: {bool(cosine > 0.95)}")
library = learn_shape_space(people, 10).directions
print("all ten lie along the library's:", bool((cosines(S, library) > 0.999).all()))
crowd_betas = encode(people, mean, S)
print("deviations of the crowd's betas:", [f"{d:.2f}" for d in crowd_betas.std(0)[:4]])
print("their means are zero:", bool(crowd_betas.mean(0).abs().max() < 1e-3))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The first ones do. A crowd has one direction of largest variance, and two large crowds drawn alike
# agree on it. Late components explain little, explain it about equally, and so come out differently
# from crowd to crowd.
#
# </details>
#
# > **Where people trip.** *What does beta 3 mean?* Nothing that has a name: it is the fourth
# > largest direction of one crowd. Not even its sign means anything. Take $-S_k$ for $S_k$ and
# > $-\beta_k$ for $\beta_k$, and every body stays what it was. So "a negative beta 1 is a heavy
# > person" can hold in one model and be the reverse in the next.

# %%
# NBVAL_CHECK_OUTPUT
flip = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0, 1.0])  # another sign for some
someone = S @ betas
for name, offsets in {"right": (flip * S) @ (flip * betas), "wrong": (flip * S) @ betas}.items():
    print(f"{name}: the same body: {torch.allclose(offsets, someone, atol=1e-6)}")

# %% [markdown]
# ### How many components?
#
# As many as the details you need. The 100 people who were held out tell: give each the best betas,
# build the body, measure the distance.


# %%
def rebuilt(meshes: torch.Tensor, mean: torch.Tensor, S: torch.Tensor) -> torch.Tensor:
    return mean + torch.einsum("vck,...k->...vc", S, encode(meshes, mean, S))


def held_out_errors(num_people: int) -> dict[int, float]:
    """Metres by the number of components, learned from some people of the crowd."""
    mean, S, _ = pca(people[:num_people])
    errors = {}
    for count in range(min(num_people, 23)):
        guess = rebuilt(held_out, mean, S[..., :count])
        errors[count] = (guess - held_out).norm(dim=-1).mean().item()
    return errors


errors = {f"learned from {n} people": held_out_errors(n) for n in (5, 20, 300)}
show(
    spectrum_figure(explained[:22], errors),
    alt="Left: bars on a logarithmic axis; the first component has nine tenths of the variance, "
    "the second a twenty-fifth, and they go on falling. Right: the distance to people not seen in "
    "training falls with the number of components; to zero for 300 people, while 20 and 5 people "
    "give fewer and poorer components.",
)

# %%
# NBVAL_CHECK_OUTPUT
by_count = errors["learned from 300 people"]
print(f"first component: {explained[0]:.0%} of the variance")
print(f"the mean body alone is {100 * by_count[0]:.0f} cm off")
for count in (1, 2, 10, 21):
    print(f"{count:2} components: {1000 * by_count[count]:.0f} mm")

# %% [markdown]
# Zero at 21 comes from how we drew the crowd: ten directions of women, ten of men, and the
# difference of their means. The people of notebook 05 don't end so, and scans don't either. SMPL's
# first files hold ten directions, later ones 300.
#
# **Predict first.** How many directions can five people teach at most? Move the number of people,
# and watch somebody who wasn't among them.


# %%
def learn_and_rebuild(num_people: int, components: int) -> Figure:
    """A held-out person, rebuilt by what some others taught."""
    mean, S, _ = pca(people[:num_people])
    S = S[..., :components]
    guess = rebuilt(held_out[3], mean, S)
    distance = 1000 * (guess - held_out[3]).norm(dim=-1)
    off = f"off by {distance.mean():.0f} mm"
    panels = {"held out": held_out[3], f"components: {S.shape[-1]}": guess, off: guess}
    return meshes_figure(panels, faces, values={off: distance}, label="distance in mm")


explore(
    learn_and_rebuild,
    alt="A person who was held out, the body rebuilt from what five others taught, and the same "
    "body coloured by its distance from the truth.",
    num_people=IntSlider(5, min=2, max=300, description="people", continuous_update=False),
    components=IntSlider(10, min=1, max=25, description="components", continuous_update=False),
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Four: five people span four dimensions about their mean. And those four are the quirks of these
# five. Scans are dear, components are cheap: it is the number of people that limits a shape space.
#
# </details>

# %%
# NBVAL_CHECK_OUTPUT
X = (people[:5] - people[:5].mean(0)).flatten(1)
print("independent directions among five people:", torch.linalg.matrix_rank(X).item())

# %% [markdown]
# ## 3. What betas mean: height, mass, likelihood
#
# **Which beta is the height?** Bodies can be measured. Height is the extent of the mesh along $y$,
# mass its volume times the density of a person, about 985 kg per cubic metre. One beta at a time,
# by one standard deviation:

# %%
# NBVAL_CHECK_OUTPUT
zero = measure_body(v_template, faces)
print(f"betas zero: {100 * zero.height:.0f} cm, {zero.mass:.0f} kg")
for k in range(4):
    ends = torch.stack([shaped(beta(**{f"b{k}": step})) for step in (-1, 1)])
    tape = measure_body(ends, faces)
    taller, heavier = (tape.height[1] - tape.height[0]) / 2, (tape.mass[1] - tape.mass[0]) / 2
    print(f"beta {k} + 1: {100 * taller:+5.1f} cm {heavier:+5.0f} kg")

# %% [markdown]
# Beta 0 takes height and mass along together, and mass has its share in all four.
#
# Below is the body beside its place in a cloud of random people, each beta drawn from a normal
# distribution of mean 0 and deviation 1.
#
# **Predict first.** All betas zero is the mean body. How long is the vector $\beta$ of a *typical*
# person: about 0, about 1, or about 3?

# %%
cloud = measure_body(smpl(betas=torch.randn(400, 10, generator=generator)).vertices, faces)


def on_the_plot(b0: float, b1: float, b2: float, b3: float) -> Figure:
    return tape_figure(smpl, beta(b0=b0, b1=b1, b2=b2, b3=b3), cloud)


start = {"b0": 1.5, "b1": 0.0, "b2": -1.0, "b3": 0.0}
explore(
    on_the_plot,
    alt="Left: a tall body. Right: heights and masses of 400 random bodies, a grey cloud that "
    "rises to the right, and an orange diamond where the body on the left belongs.",
    **{
        name: FloatSlider(value, min=-3, max=3, step=0.5, description=f"beta {name[1]}")
        for name, value in start.items()
    },
)

# %%
# NBVAL_CHECK_OUTPUT
lengths = torch.randn(100_000, 10, generator=generator).norm(dim=-1)
print(f"mean length {lengths.mean():.1f}; the root of ten is {10**0.5:.1f}")
print(f"between 2 and 4: {((lengths > 2) & (lengths < 4)).float().mean():.0%} of people")
print(f"below 1: fewer than one in a thousand: {bool((lengths < 1).float().mean() < 1e-3)}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 3. Zero is the likeliest *point*, but ten independent deviations of size 1 add up to a
# length of about $\sqrt{10}$, and hardly anybody is average in all ten respects.
#
# </details>
#
# The density of that distribution falls as $\exp(-\lVert \beta \rVert^2 / 2)$. This is why fits pay
# for $\lVert \beta \rVert^2$, the *shape prior* of notebook 07. Nothing in the equation of section
# 1 stops a beta at 20, and with all four sliders at their left ends the body above is hardly human:
# only the prior knows.
#
# ### From measurements to betas
#
# *Somebody of 185 cm and 70 kg, please.* Two wishes, ten unknowns, so many bodies do. Take the
# likeliest, the one with the shortest $\beta$. With $m(\beta)$ the two measurements and
# $A = \partial m / \partial \beta$ $(2, 10)$, step to the solution of the linearised problem,
#
# $$\beta \leftarrow A^\top (A A^\top)^{-1} \left(m^* - m(\beta) + A \beta\right)$$
#
# the shortest $\beta$ that has the wanted measurements $m^*$ there, and repeat.


# %%
def m(betas: torch.Tensor) -> torch.Tensor:
    tape = measure_body(shaped(betas), faces)
    return torch.stack([100 * tape.height, tape.mass])  # cm, kg


def somebody(height: float, mass: float) -> torch.Tensor:
    betas, wanted = torch.zeros(10), torch.tensor([height, mass])
    for _ in range(6):
        A = torch.func.jacrev(m)(betas)
        betas = A.T @ torch.linalg.solve(A @ A.T, wanted - m(betas) + A @ betas)
    return betas


explore(
    lambda height, mass: tape_figure(smpl, somebody(height, mass), cloud),
    alt="Left: a tall slim body. Right: its place, 185 cm and 70 kg, at the lower edge of the "
    "cloud.",
    height=FloatSlider(185.0, min=150, max=200, step=5, description="cm", continuous_update=False),
    mass=FloatSlider(70.0, min=45, max=130, step=5, description="kg", continuous_update=False),
)

# %%
# NBVAL_CHECK_OUTPUT
tall = somebody(185.0, 70.0)
print("it measures {:.0f} cm and {:.0f} kg".format(*m(tall)))
print("betas", [f"{b:+.1f}" for b in tall[:4]], f"length {tall.norm():.1f}")
print(f"farther out in height and mass: {torch.exp(-(tall.norm() ** 2) / 2):.0%} of people")

# %% [markdown]
# Is that an ordinary length? For ten random betas it is. But this is the *shortest* $\beta$ with
# these measurements: all of it went into two numbers. Of two independent normal deviations, a share
# of $\exp(-\lVert \beta \rVert^2 / 2)$ is farther out, so the diamond stands at the cloud's edge.

# %% [markdown]
# ## 4. Joints from the skin
#
# **Where does a mesh bend?** About its joints, which lie inside and aren't part of the mesh. They
# must follow the shape: a taller person's elbow is elsewhere. SMPL takes each joint as a fixed
# weighted mean of the *unposed* skin (eq. 10):
#
# $$J(\beta) = \mathcal{J}\, V_\text{shape}(\beta)$$
#
# with the matrix $\mathcal J$, `J_regressor` $(24, V)$. Each row holds a few weights, here none of
# them negative, that sum to one: the joint lies among its vertices.

# %%
explore(
    lambda joint, b0: regressor_figure(smpl, joint, beta(b0=b0)),
    alt="The hip of a see-through body from the front and from the side: nine blue dots of "
    "different sizes on the skin, joined by lines to an orange cross inside, the left hip joint.",
    joint=Dropdown(options=SMPL_24.names, value="left_hip", description="joint"),
    b0=FloatSlider(0.0, min=-3, max=3, step=0.5, description="beta 0", continuous_update=False),
)

# %%
# NBVAL_CHECK_OUTPUT
J_regressor = smpl.J_regressor
J = J_regressor @ shaped(betas)
print("equal to vhlib within 0.01 mm:", bool((J - smpl(betas=betas).joints).abs().max() < 1e-5))
joints = peer(betas=betas[None]).joints[0].detach()
print("equal to smplx within 0.01 mm:", bool((J - joints[:24]).abs().max() < 1e-5))
print("rows sum to one:", bool((J_regressor.sum(1) - 1).abs().max() < 1e-5))
print("no weight is negative:", bool((J_regressor >= 0).all()))
used = (J_regressor > 0).sum(1)
print(f"vertices per joint: {used.min()} to {used.max()} of {len(v_template)}")

# %% [markdown]
# A weighted mean of something linear is linear,
# $J(\beta) = \mathcal J \bar T + (\mathcal J S)\beta$. Two small arrays, $(24, 3)$ and
# $(24, 3, 10)$, give the joints without the mesh. Fits that look only at joints live on this.

# %%
# NBVAL_CHECK_OUTPUT
J_template = J_regressor @ v_template
J_shapedirs = torch.einsum("jv,vck->jck", J_regressor, shapedirs)
small = J_template + J_shapedirs @ betas
print("the same joints:", bool((small - J).abs().max() < 1e-5))
print(f"{J_template.numel() + J_shapedirs.numel()} numbers, not", shapedirs.numel())

# %% [markdown]
# **Predict first.** The body bends (how is notebook 04's business). Its posed skin is at hand. Does
# $\mathcal J$ times the *posed* skin give the posed joints?


# %%
def bent(degrees: float) -> dict[str, torch.Tensor]:
    """Left thigh raised, and the knee bent, by as many degrees."""
    turn = torch.zeros(23, 3)  # axis-angle of all joints but the root
    turn[SMPL_24.index("left_hip") - 1, 0] = -torch.pi / 180 * degrees
    turn[SMPL_24.index("left_knee") - 1, 0] = torch.pi / 180 * degrees
    return {"body_pose": axis_angle_to_matrix(turn)}


leg = ("left_hip", "left_knee", "left_ankle")


def two_ways(degrees: float) -> Figure:
    body = smpl(**bent(degrees))
    points = {"J_regressor @ posed skin": J_regressor @ body.vertices, "true joints": body.joints}
    chosen = {name: xyz[SMPL_24.indices(*leg)] for name, xyz in points.items()}
    return bent_leg_figure(body.vertices, faces, chosen, f"bent by {degrees:g} degrees")


explore(
    two_ways,
    alt="A see-through body seen from its left, one thigh raised. Orange circles, regressed from "
    "the posed skin, and blue squares, the true joints, agree at the ankle and lie apart at the "
    "hip and, less, at the knee.",
    degrees=FloatSlider(90.0, min=0, max=110, step=10, description="degrees"),
)

# %%
# NBVAL_CHECK_OUTPUT
for degrees in (0, 90):
    body = smpl(**bent(degrees))
    apart = (J_regressor @ body.vertices - body.joints).norm(dim=-1)
    found = (f"{name} {100 * apart[SMPL_24.index(name)].item():.0f} cm" for name in leg)
    print(f"bent by {degrees:2} degrees, off by:", ", ".join(found))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No. Near a bend the skin folds and stretches, so the weighted mean leaves the joint. SMPL
# regresses joints once, at rest, and *turns* them with the bones from then on. Other points *are*
# defined on the posed skin: eyes, ears, toes and finger tips are vertices of it, and the regressors
# of Human3.6M's joints are applied to it.
#
# </details>
#
# > **Where people trip.** So `J_regressor @ vertices` is right for a body at rest and wrong for any
# > other (the circles); the model returns its posed joints (the squares), so take those.
#
# > **Where people trip.** *Which index is the knee?* `smplx` returns 45 points for SMPL, the 24
# > joints and 21 vertices. Detectors have lists of 17, 25 or 33. SPIN keeps 49 points, gathered
# > from 54: OpenPose's 25 and 24 of the data sets, so that each knee is in there *twice*. An array
# > of the right length raises no error, so go by names:

# %%
# NBVAL_CHECK_OUTPUT
for name in ("smpl_24", "smplx_45", "openpose_25", "openpose_25b", "coco_17", "h36m_17"):
    skeleton = get_skeleton(name)
    print(f"{name:13} left_knee is {skeleton.index('left_knee'):2}, and 4 is {skeleton.names[4]}")

# %% [markdown]
# ## 5. Whose hip?
#
# **Is a hip a hip?** SMPL's is where the thigh turns, deep inside. Somebody who clicks hips in
# pictures sees trousers. Hips of LSP and OpenPose are reported to sit wider or higher than SMPL's
# by centimetres; OpenPose's lie two centimetres lower than our body's
# (`benchmarks/results/joint_definitions.txt`). For Human3.6M's joints there is a regressor of its
# own, for the same skin.
#
# Another definition is another row of weights. As an *illustration*, nobody's actual regressor, we
# take the point halfway between the joint and the outermost skin at its height.

# %%
hips = SMPL_24.indices("left_hip", "right_hip")
level = (v_template[:, 1] - J_template[hips[0], 1]).abs() < 0.01
clicked = J_regressor.clone()
for hip, side in zip(hips, (1, -1), strict=True):
    outwards = torch.where(level, side * v_template[:, 0], -torch.inf)
    skin = (outwards > outwards.max() - 0.01).float()
    clicked[hip] = (J_regressor[hip] + skin / skin.sum()) / 2

# %% [markdown]
# **Predict first.** A network returns *exactly* the right body. Its joints come from one regressor,
# the reference's from the other. Fourteen joints are compared. What is their mean distance (MPJPE),
# and what is left of it after the best turn, shift and scaling (PA-MPJPE)?

# %%
# NBVAL_CHECK_OUTPUT
parts = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
limbs = [f"{side}_{part}" for side in ("left", "right") for part in parts]
fourteen = SMPL_24.indices("neck", "head", *limbs)
pred, gt = (regressor @ shaped(betas) for regressor in (J_regressor, clicked))
print(f"the hips are {100 * (pred - gt)[hips].norm(dim=-1).mean():.0f} cm apart")
pred, gt = pred[fourteen], gt[fourteen]
print(f"error of the perfect body: {1000 * mpjpe(pred, gt, root=None):.0f} mm, ", end="")
print(f"after alignment {1000 * pa_mpjpe(pred, gt):.0f} mm, over {len(pred)} joints")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Not zero. Published methods often differ by less: on 3DPW, videos of people outdoors, SPIN's
# PA-MPJPE is 59.2 mm and VIBE's 56.5 mm, both trained without 3DPW. So say which regressor made the
# joints, of the prediction and of the reference. SMPLify, SPIN and ProHMR give the hips no weight
# in the picture, for this reason.
#
# Alignment makes it *worse* here: it minimises the sum of squares, and to lessen the large errors
# of two hips it moves twelve joints that were right (notebook 23).
#
# </details>
#
# > **Where people trip.** *Which regressor do I train with, and which do I evaluate with?* With two
# > different ones, often. SPIN's training points are the 24 joints, 21 vertices and nine rows more.
# > Its evaluation on Human3.6M and 3DPW uses none of the nine: it multiplies the posed skin by
# > `J_regressor_h36m` $(17, 6890)$ and compares 14 of the 17. Do as the table does that you compare
# > with.
#
# Both definitions on a real picture, for two fits: one that is told the detected hips, and one that
# isn't.

# %% tags=["real_data"]
clip = load_clip()
photo, keypoints = clip.frame(1, 60), clip.keypoints(1)[60]
camera = clip.cameras[1].in_own_frame()
seen = OPENPOSE_25B.indices("left_hip", "right_hip")
confidence = keypoints.confidence.clone()
confidence[seen] = 0
untold = Keypoints(keypoints.xy, confidence, keypoints.skeleton)
fits = {
    name: fit_smplify(smpl, camera, points).body_parameters
    for name, points in {"told the hips": keypoints, "not told": untold}.items()
}


# %%
def hip_pixels(body: BodyParameters) -> dict[str, torch.Tensor]:
    joints = smpl(**vars(body)).joints[hips]
    outwards = ((clicked - J_regressor) @ shaped(body.betas))[hips] @ body.global_orient.T
    as_if_clicked = camera.project(joints + outwards)
    pixels = {"detected": keypoints.xy[seen], "joints of the body": camera.project(joints)}
    return {**pixels, "as if clicked": as_if_clicked}


corner = keypoints.xy[seen].mean(0).round() - 160  # of the part shown
overlays = {n: draw_overlay(Photo(photo), smpl, camera, body) for n, body in fits.items()}
panels = {name: see_through(photo, drawn, corner, 320) for name, drawn in overlays.items()}
marks = {n: {m: xy - corner for m, xy in hip_pixels(body).items()} for n, body in fits.items()}
show_photo(
    points_figure(panels, marks),
    alt="The middle of a balancing man with a see-through fitted body over it, twice. Three marks "
    "for each hip. Left, told the hips: detected point and joint of the body almost coincide. "
    "Right, not told: they are apart. In both the point as if clicked lies farther out.",
)

# %%
for name, body in fits.items():
    pixels, scale = hip_pixels(body), body.transl[2] / camera.focal_length[0]
    apart = (pixels["detected"] - pixels["joints of the body"]).norm(dim=-1).mean() * scale
    print(f"{name:13}: detected hips and joints are {100 * apart:.1f} cm apart in the picture")

# %% [markdown]
# <sub>Clip: Pose2Sim's demo session (D. Pagnon and contributors, BSD-3-Clause); his face was hidden
# by its makers.</sub>
#
# A fit that is told the points pulls its joints to them, whatever the points mean; the overlay
# looks fine, and pose and betas have paid. The distance in the right picture isn't the definitions'
# alone: a joint that a fit isn't told may be off as well, whatever its definition. Two causes, one
# picture. That is why definitions have to be *known*; they can't be read off a fit.

# %% [markdown]
# ## 6. Betas belong to one model
#
# **May I give a man's betas to the female body?** There are three sets of files: female, male and
# neutral, each with a mean and directions of its own. (For SMPL-X they are different again, on
# another mesh.)
#
# **Predict first.** The same betas in three bodies of the course: the same person?


# %%
def same_betas(b0: float, b1: float, b2: float) -> Figure:
    bodies, betas = {"female": female, "neutral": smpl, "male": male}, beta(b0=b0, b1=b1, b2=b2)
    meshes = {name: model(betas=betas).vertices for name, model in bodies.items()}
    tapes = {name: measure_body(mesh, faces) for name, mesh in meshes.items()}
    titles = (f"{n}: {100 * t.height:.0f} cm, {t.mass:.0f} kg" for n, t in tapes.items())
    return meshes_figure(dict(zip(titles, meshes.values(), strict=True)), faces)


explore(
    same_betas,
    alt="Three bodies with the same betas: beta 1 is 3 and makes the female one broad and heavy, "
    "hardly changes the weight of the neutral one and makes the male one heavy.",
    b0=FloatSlider(0.0, min=-3, max=3, step=0.5, description="beta 0"),
    b1=FloatSlider(3.0, min=-3, max=3, step=0.5, description="beta 1"),
    b2=FloatSlider(0.0, min=-3, max=3, step=0.5, description="beta 2"),
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No: three people. The lists are coordinates in three different systems.
#
# </details>
#
# What *does* carry over is the mesh. All bodies of one family have the same vertices, so refit:
# look for the betas of the new model whose body is nearest to the old mesh, by least squares.
#
# > **Where people trip.** Wrong: copy the betas. Right: refit them, and look at what is left.


# %%
def refit(mesh: torch.Tensor, model: SMPL) -> torch.Tensor:
    """The betas min |v_template + shapedirs @ betas - mesh|^2."""
    offsets = (mesh - model.v_template).flatten()
    return torch.linalg.lstsq(model.shapedirs.flatten(0, 1), offsets[:, None]).solution[:, 0]


his_betas = beta(b0=1, b1=1.5, b2=-1, b3=0.5)
man = male(betas=his_betas).vertices
bodies = {"the man": (man, torch.zeros(len(man)))}
for name, model in {"neutral": smpl, "female": female}.items():
    for way, its_betas in {"copied": his_betas, "refitted": refit(man, model)}.items():
        mesh = model(betas=its_betas).vertices
        bodies[f"{name}, {way}"] = mesh, 1000 * (mesh - man).norm(dim=-1)

# %%
meshes, distances = ({n: pair[part] for n, pair in bodies.items()} for part in (0, 1))
show_photo(
    meshes_figure(meshes, faces, columns=5, values=distances, label="distance in mm"),
    alt="Five bodies coloured by the distance from the first, a man. With copied betas the neutral "
    "body is orange, the female one dark red at hands and feet, more than ten centimetres off. "
    "Refitted, the neutral body is as pale as the man himself, the female one slightly coloured.",
)

# %%
# NBVAL_CHECK_OUTPUT
for name, (mesh, distance) in bodies.items():
    tape = measure_body(mesh, faces)
    size = f"{100 * tape.height:.0f} cm, {tape.mass:.0f} kg"
    print(f"{name:18} {size:15} mean distance {distance.mean():.0f} mm")
length = refit(man, female).norm()
print(f"length of the female body's betas: {length:.1f}")
print("longer ones in 100,000 random people: fewer than ten:", bool((lengths > length).sum() < 10))

# %% [markdown]
# The neutral body holds men and comes within millimetres. The female body gets the height and the
# mass, but only with betas that hardly any woman has, and is a centimetre off even so. In 3DPW the
# true bodies are female and male and the predictions neutral: compare meshes or joints, not betas.
#
# The betas of a real SMPL file mean nothing to the course's bodies, either. Between *different
# meshes* (SMPL to SMPL-X) there isn't even a distance vertex by vertex; one fits surface to
# surface, as the `transfer_model` tool beside `smplx` does.
#
# > **Where people trip.** Zero betas are the mean of the *crowd*. The average that HMR and SPIN
# > start from (`smpl_mean_params.npz`) is another: its betas run to about 0.4.

# %% [markdown]
# ## 7. Opening the real files
#
# **Predict first.** You register, download SMPL's `.pkl` of 2015, and `pickle.load` it. What
# happens?
#
# A pickle names the classes of its contents, and Python imports them. These files hold arrays of
# *chumpy*, a package that doesn't work with current Pythons, and strings of Python 2. We put our
# own body into such a file:


# %%
class Ch:  # stands for chumpy's array
    def __init__(self, x: np.ndarray):
        self.x = x


Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
fake = {"chumpy": ModuleType("chumpy"), "chumpy.ch": ModuleType("chumpy.ch")}
fake["chumpy.ch"].Ch = Ch
everything = model_arrays(read_model(find_model("neutral")))
arrays = {key: everything[key] for key in REQUIRED_SHAPES}  # what SMPL's files have
with mock.patch.dict(sys.modules, fake):  # only while the file is written
    of_2015 = pickle.dumps({**arrays, "shapedirs": Ch(arrays["shapedirs"])}, protocol=2)

# %%
# NBVAL_CHECK_OUTPUT
python_2_string = b"U\x04caf\xe9."  # what Python 2 pickled for "café"
for name, data in {"chumpy": of_2015, "Python 2": python_2_string}.items():
    try:
        pickle.loads(data)
    except (ImportError, UnicodeDecodeError) as error:
        print(f"{name}: {type(error).__name__}: {str(error)[:40]}")
print("with an encoding:", pickle.loads(python_2_string, encoding="latin1"))
with TemporaryDirectory() as folder:
    path = Path(folder) / "SMPL_NEUTRAL.pkl"
    path.write_bytes(of_2015)
    model = read_model(path)
print("vhlib reads it: the same directions:", np.allclose(model.shapedirs, arrays["shapedirs"]))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# It fails, in one of these two ways. The cure is to read with `encoding="latin1"` and a stand-in
# for chumpy's class, once, and to store an `.npz` from then on.
#
# </details>
#
# `SMPL.load("SMPL_NEUTRAL.pkl")` does, and `vh convert-model SMPL_NEUTRAL.pkl smpl.npz` stores it.
# Neither imports anything that the file names. `pickle.load` on a file from somebody else runs
# whatever its author wrote into it. (One more error from threads: a file that git or an editor
# has given Windows line ends fails with "STRING opcode": fetch it again, from SMPL's own site.)

# %% [markdown]
# ## 8. What it costs


# %%
def milliseconds(call, repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return 1000 * (time.perf_counter() - began) / repeats


print(f"a shaped mesh      {milliseconds(lambda: shaped(betas), 50):8.2f} ms")
print(f"its joints alone   {milliseconds(lambda: J_template + J_shapedirs @ betas, 50):8.2f} ms")
print(f"PCA of 300 people  {milliseconds(lambda: pca(people), 1):8.0f} ms")
print(f"shapedirs in memory {shapedirs.numel() * 4 / 2**20:7.1f} MiB, as float32")

# %% [markdown]
# **Summary.** A body at rest is a mean mesh plus ten directions, $\bar T + S \beta$. The directions
# are principal components of a crowd, so a beta counts standard deviations, means nothing by
# itself, and belongs to one model only: between models refit the mesh. Height and mass are
# functions of all betas. Joints are weighted means of the skin *at rest*; which vertices define a
# hip is a convention, and conventions differ by centimetres.
#
# **Exercises.** [Sheet 03](../exercises/03_shape_blend_shapes.ipynb).
#
# **Further reading.** M. Loper et al., *SMPL: a skinned multi-person linear model*, SIGGRAPH Asia
# 2015. K. Robinette et al., *Civilian American and European Surface Anthropometry Resource
# (CAESAR)*, 2002. D. Anguelov et al., *SCAPE*, SIGGRAPH 2005. B. Allen et al., *The space of human
# body shapes*, SIGGRAPH 2003. A. Osman et al., *STAR: sparse trained articulated human body
# regressor*, ECCV 2020. V. Choutas et al., *Accurate 3D body shape regression using metric and
# semantic attributes* (SHAPY), CVPR 2022.
