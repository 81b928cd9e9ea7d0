# %% [markdown]
# # Sheet 05 · Train your own body
#
# **You practise** learning a shape space from registered people and judging it by others, finding
# the weights by which vertices give a joint, and learning what skinning gets wrong from bodies in
# many poses.
#
# **You need** notebook 05. **Points**: 16. **Time**: 85 minutes. &nbsp; [Open in Colab]({{colab}})
#
# Write each function where it says so and run its cell; the cell below it checks it at once.
# `hint(shape_space)` gives the next of three hints. Functions that learn take one set of people or
# poses. Functions that use what was learned take any leading batch axes: `*` below stands for none,
# one, or more of them.
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

sheet = open_sheet("05_train_your_own_body")
check, hint = sheet.check, sheet.hint

# %%
from functools import cache


@cache
def registered_people():
    """Forty people of notebook 05, loaded when a picture first asks for them."""
    from vhlib.notebook.registered_people import load_registered_people

    return load_registered_people(40, seed=5)


# %% tags=["given"]
import itertools

import numpy as np

# %% [markdown]
# ## 1. A shape space
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# $N$ people are registered: meshes of $M$ vertices in the same pose and order. Take their mean
# away, lay every mesh out as one row of $X$ $(N \times 3M)$, and decompose
#
# $$X = U\,\mathrm{diag}(s)\,Q^T, \qquad
# \mathrm{shapedirs}_k = \frac{s_k}{\sqrt{N-1}}\, q_k ,$$
#
# the columns $q_k$ of $Q$ having length one and $s_1$ being the largest: one unit of a direction is
# one standard deviation. A direction and its negative serve equally well, so here is a rule: in
# every direction, the number of largest magnitude is positive.
#
# `shape_space(V, k)`: `V` `(N, M, 3)` metres, `k` how many directions → a tuple of the mean
# `(M, 3)` and the directions `(M, 3, k)`, both in metres.
#
# *Example*: three people of two vertices,
# `V = np.array([[[0.0, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 2, 0]], [[0, 0, 0], [0, 3, 0]]])`.
# `shape_space(V, 1)` is `[[0, 0, 0], [0, 2, 0]]` and one direction, `[[0, 0, 0], [0, 1, 0]]` when
# you look at its `[..., 0]`: the second vertex has a standard deviation of one metre.


# %% nbgrader={"grade": false, "grade_id": "shape_space", "locked": false, "schema_version": 3, "solution": true, "task": false}
def shape_space(V, k):
    """Mean (M, 3) and k directions (M, 3, k), metres, of people V (N, M, 3)."""
    ### BEGIN SOLUTION
    mean = V.mean(axis=0)
    X = (V - mean).reshape(len(V), -1)
    _, s, Qt = np.linalg.svd(X, full_matrices=False)
    q = Qt[:k].T  # (3M, k)
    largest = np.abs(q).argmax(axis=0)
    q = q * np.sign(q[largest, np.arange(k)])
    return mean, (s[:k] / np.sqrt(len(V) - 1) * q).reshape(*mean.shape, k)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "shape_space_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(shape_space)

# %% [markdown]
# ## 2. How well it knows a person
# **3 points · difficulty 2 of 5 · 15 minutes**
#
# A body of a shape space is the mean plus a sum of directions $d_k$, each with its number
# $\beta_k$:
#
# $$\hat x = \mathrm{mean} + \sum_k \beta_k\, d_k .$$
#
# The nearest to a person $x$ is the one with the least sum, over all vertices, of *squared*
# distances. The directions are perpendicular to each other, as vectors of $3M$ numbers, but their
# length isn't one. Which $\beta_k$ does the nearest body have? How far it then is from $x$ we state
# as the distance between a vertex and its counterpart, averaged over the vertices, in
# **millimetres**.
#
# `reconstruction_error(x, mean, shapedirs)`: `x` `(*, M, 3)`, `mean` `(M, 3)`, `shapedirs`
# `(M, 3, k)`, all in metres → `(*)`, millimetres.
#
# *Example*: with the mean and the direction of the example above, the person
# `[[0, 0.003, 0], [0, 2.5, 0]]` has $\beta = 0.5$ and an error of 1.5: three millimetres at one
# vertex, none at the other.


# %% nbgrader={"grade": false, "grade_id": "reconstruction_error", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reconstruction_error(x, mean, shapedirs):
    """Mean vertex distance (*) in mm from people x (*, M, 3) to their nearest bodies."""
    ### BEGIN SOLUTION
    offset = x - mean
    squared_lengths = (shapedirs**2).sum(axis=(0, 1))
    betas = np.einsum("...mc,mck->...k", offset, shapedirs) / squared_lengths
    rest = offset - np.einsum("...k,mck->...mc", betas, shapedirs)
    return 1000 * np.linalg.norm(rest, axis=-1).mean(axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "reconstruction_error_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(reconstruction_error)

# %% [markdown]
# Thirty people to learn from, and ten whom your space has never seen. What does one direction more
# do for either?

# %% tags=["real_data"]
if sheet.ready(shape_space, reconstruction_error):
    from matplotlib.figure import Figure

    from vhlib.notebook.figures import show
    from vhlib.notebook.palette import BLUE, VERMILLION

    people = registered_people().vertices.numpy()
    mean, shapedirs = shape_space(people[:30], 29)
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    kept = (1, 2, 3, 5, 8, 12, 16, 20, 25, 29)
    for label, some, look in (("learned from", people[:30], "--"), ("new", people[30:], "o-")):
        errors = [reconstruction_error(some, mean, shapedirs[..., :k]).mean() for k in kept]
        left.plot(kept, errors, look, color=BLUE, markersize=4, label=label)
    left.set(xlabel="directions", ylabel="mean error, mm", ylim=(0, None))
    left.legend()
    for beta, color in ((-2, VERMILLION), (2, BLUE)):
        x, y, _ = (mean + beta * shapedirs[..., 0]).T
        right.plot(x + 0.5 * beta, y, ".", color=color, markersize=0.5)
    right.set(title="first direction, -2 and +2", aspect="equal")
    right.set_axis_off()
    show(
        figure,
        alt="Left: the error of the people learned from falls to zero with 29 directions; that of "
        "new people levels off above it. Right: two bodies, one small, one large.",
    )

# %% [markdown]
# ## 3. Weights for a joint
# **2 points · difficulty 3 of 5 · 15 minutes**
#
# A joint inside the body is found from $M$ vertices around it, with the same weights $w$ for
# everybody:
#
# $$\min_w \; \sum_n \lVert V_n^T w - j_n \rVert^2 \qquad \text{with } \textstyle\sum_i w_i = 1.$$
#
# Since the weights sum to one, $V_n^T w - j_n = A_n^T w$ with $A_n = V_n - j_n$, the vertices as
# seen from the joint (each row minus $j_n$). So it is $w^T C\, w$ that has to be least, with
#
# $$C = \sum_n A_n A_n^T \quad (M \times M).$$
#
# At the least value, shifting a little weight from one vertex to another changes nothing: the
# derivative $2\,C w$ has the same number for all vertices. Which number it is doesn't matter,
# since the sum of the weights is known.
#
# `affine_weights(V, j)`: `V` `(N, M, 3)` and `j` `(N, 3)`, metres → `(M,)`, weights that sum to one
# and may be negative. $C$ can be inverted in all cases here.
#
# *Example*: two people of three vertices around a joint that isn't quite in their plane,
# `V = np.array([[[1.0, 0, 0], [-1, 0, 0], [0, 2, 0]], [[1.2, 0, 0], [-1, 0, 0], [0, 2, 0]]])` and
# `j = np.array([[0.0, 0.4, 0.1], [0.0, 0.4, 0.1]])`, give about `[0.3799, 0.4197, 0.2005]`.


# %% nbgrader={"grade": false, "grade_id": "affine_weights", "locked": false, "schema_version": 3, "solution": true, "task": false}
def affine_weights(V, j):
    """Weights (M,) that sum to one and take vertices V (N, M, 3) nearest to joints j (N, 3)."""
    ### BEGIN SOLUTION
    A = V - j[:, None]
    C = np.einsum("nac,nbc->ab", A, A)
    w = np.linalg.solve(C, np.ones(len(C)))
    return w / w.sum()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "affine_weights_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(affine_weights)

# %% [markdown]
# ## 4. Weights that aren't negative
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# Negative weights find a joint from differences of vertices, which magnify noise. So ask for
# $w \ge 0$ as well. The best weights then are zero at some vertices, and at the others they are
# what part 3 gives for those vertices alone. Which ones these are nobody says; but for a handful of
# vertices one can try every choice: solve part 3 for it, pass over a result with a negative weight,
# and keep the one with the least error $\sum_n \lVert V_n^T w - j_n \rVert^2$.
# `itertools.combinations(range(M), size)` lists all choices of one size.
#
# `joint_weights(V, j)`: as in part 3, `M` at most 6 → `(M,)`, weights that aren't negative and sum
# to one.
#
# *Example*: `V` as above, but with the joints at `[[0, -0.4, 0.1], [0, -0.4, 0.1]]`, beyond the
# line from the first vertex to the second: part 3 gives the third a weight of about -0.2, and
# `joint_weights` is about `[0.4751, 0.5249, 0]`.


# %% nbgrader={"grade": false, "grade_id": "joint_weights", "locked": false, "schema_version": 3, "solution": true, "task": false}
def joint_weights(V, j):
    """Weights (M,), none negative, that sum to one and take V (N, M, 3) nearest to j (N, 3)."""
    ### BEGIN SOLUTION
    M = V.shape[1]
    best, least = None, np.inf
    for size in range(1, M + 1):
        for chosen in itertools.combinations(range(M), size):
            w = np.zeros(M)
            w[list(chosen)] = affine_weights(V[:, chosen], j)
            error = ((w @ V - j) ** 2).sum()
            if w.min() >= 0 and error < least:
                best, least = w, error
    return best
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "joint_weights_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(joint_weights)

# %% [markdown]
# A slice through thirty people at the left hip joint, seen from above, and what either of your
# functions makes of six vertices: a disc's area is a weight, and orange ones are negative. Ten new
# people are then measured with five millimetres of noise.

# %% tags=["real_data"]
if sheet.ready(affine_weights, joint_weights):
    from matplotlib.figure import Figure

    from vhlib.body.skeletons import SMPL_24
    from vhlib.notebook.figures import show
    from vhlib.notebook.palette import BLUE, GREY, VERMILLION

    registered = registered_people()
    V, j = registered.vertices.numpy(), registered.joints[:, SMPL_24.index("left_hip")].numpy()
    ring = np.nonzero(np.linalg.norm((V - j[:, None]).mean(0) * [1, 8, 1], axis=-1) < 0.16)[0]
    six = ring[np.linspace(0, len(ring) - 1, 6).astype(int)]
    noisy = V[30:, six] + 0.005 * np.random.default_rng(0).normal(size=(10, 6, 3))
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    panels = zip(figure.subplots(1, 2), (affine_weights, joint_weights), strict=True)
    for axes, learn in panels:
        w = learn(V[:30, six], j[:30])
        off = 1000 * np.linalg.norm(w @ noisy - j[30:], axis=-1).mean()
        x, _, z = 100 * (V - j[:, None]).mean(0).T
        axes.plot(x[ring], z[ring], ".", color=GREY)
        axes.scatter(x[six], z[six], 900 * np.abs(w), c=np.where(w < 0, VERMILLION, BLUE))
        axes.plot(0, 0, "k*", markersize=12)
        axes.margins(0.2)
        axes.set(title=f"{learn.__name__}\n{off:.0f} mm off on new people", aspect="equal")
        axes.set(xlabel="to the left, cm", ylabel="forward, cm")
    show(
        figure,
        alt="Part of the outline of a hip seen from above, a star for the joint inside. Left: "
        "large discs, one of them orange. Right: a few small blue ones.",
    )

# %% [markdown]
# ## 5. What skinning lacks, at rest
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# Skinning moves vertex $i$ by a transform of its own, $x \mapsto A_i\,x + t_i$, a blend of what the
# bones near it do. A blend of rotations is no rotation. A scan of the same pose differs from what
# skinning makes of the mean body, and SMPL adds what is lacking *before* skinning. How much would
# that have been? Find $y_i$ such that
#
# $$A_i\,(\bar v_i + y_i) + t_i = \mathrm{scan}_i .$$
#
# `rest_residuals(scan, T, mean)`: `scan` `(*, M, 3)`, `T` `(*, M, 3, 4)` with $A_i$ in its first
# three columns and $t_i$ in the last, `mean` `(M, 3)`, metres → `(*, M, 3)`, metres.
#
# *Example*: one vertex. `T = np.array([[[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]]])` is a
# quarter turn about $z$ and a metre along it. `scan = np.array([[-1.1, 0, 1]])` and
# `mean = np.array([[0.0, 1, 0]])` give `[[0, 0.1, 0]]`: at rest, ten centimetres up were lacking.


# %% nbgrader={"grade": false, "grade_id": "rest_residuals", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rest_residuals(scan, T, mean):
    """Offsets (*, M, 3) at rest that skinning by T (*, M, 3, 4) needs to meet scans (*, M, 3)."""
    ### BEGIN SOLUTION
    A, t = T[..., :3], T[..., 3]
    return np.linalg.solve(A, (scan - t)[..., None])[..., 0] - mean
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "rest_residuals_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(rest_residuals)

# %% [markdown]
# ## 6. Correctives from poses
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# $P$ poses, and what each of them lacked at rest. The features of a pose are the entries of
# $R_j - I$ of all joints but the root (joint 0), each matrix row by row, one joint after the other:
# the rows of $X$ $(P \times 9(J-1))$. The residuals of a pose are one row of $Y$ $(P \times 3M)$.
# The linear map $B$ from features to residuals that
#
# $$\min_B \; \sum_p \lVert B x_p - y_p \rVert^2 + \lambda P\, \lVert B \rVert^2, \qquad
# B^T = (X^T X + \lambda P I)^{-1} X^T Y$$
#
# asks for is called `posedirs`. The ridge $\lambda$ is what makes the matrix invertible if there
# are fewer poses than features.
#
# `learn_correctives(R, y, ridge)`: `R` `(P, J, 3, 3)`, `y` `(P, M, 3)` metres, `ridge` $= \lambda$,
# a number → `(M, 3, 9 * (J - 1))`, metres.
#
# *Example*: one pose of two joints and one vertex. The second joint turns by half a turn about $z$,
# `R = np.stack([np.eye(3), np.diag([-1.0, -1, 1])])[None]`, and `y = np.array([[[0.0, 0.09, 0]]])`.
# With `ridge = 1.0` the vertex's second coordinate, `learn_correctives(R, y, 1.0)[0, 1]`, is -0.02
# at features 0 and 4 and zero elsewhere. The other two coordinates are zero at all features.


# %% nbgrader={"grade": false, "grade_id": "learn_correctives", "locked": false, "schema_version": 3, "solution": true, "task": false}
def learn_correctives(R, y, ridge):
    """posedirs (M, 3, 9 (J - 1)) from poses R (P, J, 3, 3) and residuals y (P, M, 3)."""
    ### BEGIN SOLUTION
    P = len(R)
    X = (R[:, 1:] - np.eye(3)).reshape(P, -1)
    H = X.T @ X + ridge * P * np.eye(X.shape[1])
    Bt = np.linalg.solve(H, X.T @ y.reshape(P, -1))
    return Bt.T.reshape(*y.shape[1:], -1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "learn_correctives_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(learn_correctives)

# %% [markdown]
# Sixteen pseudo-scans of a knee that bends more and more teach your functions what skinning lacks
# there. Then the knee is bent by an angle that none of them had.

# %%
if sheet.ready(rest_residuals, learn_correctives):
    import torch

    from vhlib.body.learning import vertex_transforms
    from vhlib.body.model_files import find_model, read_model
    from vhlib.body.pseudo_scans import pose_bones, pseudo_scans
    from vhlib.body.skeletons import SMPL_24
    from vhlib.body.skin import Skin
    from vhlib.geometry import axis_angle_to_matrix
    from vhlib.notebook.figures import show_photo
    from vhlib.notebook.learning_figures import field_figure, framing_camera

    file, knee = read_model(find_model("neutral")), SMPL_24.index("left_knee")
    mean, W, J = map(torch.from_numpy, (file.v_template, file.lbs_weights, file.J_regressor))
    mean, W, joints = mean.double(), W.double(), J.double() @ mean.double()
    skin = Skin(torch.from_numpy(file.faces), W, tuple(file.parents))
    bends = torch.zeros(17, 24, 3, dtype=torch.float64)
    bends[:, knee, 0] = torch.cat([torch.linspace(0, 2.4, 16), torch.tensor([2.1])])  # radians
    R = axis_angle_to_matrix(bends)
    bones = pose_bones(skin, joints, R)
    scans = pseudo_scans(skin, mean, bones)
    T = vertex_transforms(W, bones.transforms).numpy()
    R, v = R[:, [0, knee]].numpy(), mean.numpy()  # the root and the one joint that bends
    B = learn_correctives(R[:16], rest_residuals(scans[:16].numpy(), T[:16], v), 1e-4)
    panels = {"scan": (scans[16], None)}
    offset = B @ (R[16, 1] - np.eye(3)).ravel()
    for title, x in {"skinning alone": v, "with your correctives": v + offset}.items():
        posed = torch.tensor(np.einsum("mab,mb->ma", T[16, ..., :3], x) + T[16, ..., 3])
        panels[title] = (posed, 1000 * (posed - scans[16]).norm(dim=-1))
    camera = framing_camera(joints[knee].float(), metres=1.1, yaw=np.pi / 2)
    show_photo(
        field_figure(panels, skin.faces, "distance from the scan, mm", 15, camera),
        alt="A bent left knee from the side, three times. Left: the scan. Middle: "
        "skinning alone, dark around the knee. Right: with correctives, pale.",
    )

# %% [markdown]
# ## Hand in
#
# Save the notebook and hand in this one file. In Colab the next cell downloads it.

# %%
sheet.summary()
