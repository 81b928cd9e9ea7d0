# %% [markdown]
# # Sheet 10 · Silhouettes
#
# **You practise** comparing two masks, measuring how far a point lies outside of one, asking that
# question both ways, and drawing an edge so that it has a slope.
#
# **You need** notebook 10. **Points**: 16. **Time**: 85 minutes. &nbsp; [Open in Colab]({{colab}})
#
# Write each function where it says so and run its cell; the cell below it checks it at once.
# `hint(mask_iou)` gives the next of three hints. All functions take any leading batch axes: `*`
# stands for none, one, or more of them. A mask is an array of truth values `(*, H, W)`. The pixel
# in row $r$ and column $c$ is a square with its centre at $x = c + 0.5$, $y = r + 0.5$; points are
# `(x, y)`, in pixels.
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

sheet = open_sheet("10_silhouettes")
check, hint = sheet.check, sheet.hint

# %%
from functools import cache


@cache
def body_mask(girth):
    """The mask (48, 48) of the course's body for pictures; girth 0 is the mean one, 3 is broad."""
    from vhlib.body import SMPL
    from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
    from vhlib.geometry.rasterizer import rasterize

    smpl, lens = SMPL.load(), PerspectiveCamera(70.0, (24, 24), (48, 48))
    betas = torch.tensor([0.0, 0.0, girth, girth, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    turn = axis_angle_to_matrix(torch.tensor([torch.pi, 0.0, 0.0]))
    place = torch.tensor([0.0, 0.06, 3.0])
    vertices = smpl(betas, global_orient=turn, transl=place).vertices
    return (rasterize(vertices, smpl.faces, lens).triangle_ids >= 0).numpy()


def outline(mask):
    """Centres (N, 2) of the pixels of your contour of a mask, as (x, y)."""
    return np.argwhere(contour(mask))[:, ::-1] + 0.5


# %% tags=["given"]
import numpy as np
import torch

# %% [markdown]
# ## 1. Do two masks agree?
# **1 point · difficulty 1 of 5 · 10 minutes**
#
# Intersection over union: the number of pixels that both masks cover, over the number that at least
# one of them covers,
#
# $$\mathrm{IoU} = \frac{|A \cap B|}{|A \cup B|} .$$
#
# Two empty masks agree fully: their IoU is 1, though the formula reads 0/0.
#
# `mask_iou(a, b)`: masks `(*, H, W)` twice → `(*)`, from 0 to 1.
#
# *Example*: `a = np.array([[1, 1, 0], [1, 1, 0]], bool)` and
# `b = np.array([[0, 1, 1], [0, 0, 0]], bool)` share one pixel of five: 0.2.


# %% nbgrader={"grade": false, "grade_id": "mask_iou", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mask_iou(a, b):
    """Intersection over union (*) of masks (*, H, W); 1 where both are empty."""
    ### BEGIN SOLUTION
    intersection = (a & b).sum(axis=(-2, -1))
    union = (a | b).sum(axis=(-2, -1))
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mask_iou_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(mask_iou)

# %% [markdown]
# ## 2. How far outside?
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# IoU says that something is wrong, not which way to go. A distance does. The *distance field* of a
# mask holds for each pixel the distance from its centre to the centre of the nearest pixel of the
# mask: zero inside, growing outside. If the mask is empty, nothing is near, and all distances are
# infinite.
#
# Compare each pixel with every other: for $P = H W$ pixels that is a table of $P \times P$
# distances. For small pictures this is fast enough.
#
# `distance_field(mask)`: `(*, H, W)` → `(*, H, W)`, in pixels.
#
# *Example*: for `np.array([[1, 0, 0, 0], [0, 0, 0, 0]], bool)` it is
# `[[0, 1, 2, 3], [1, 1.4142, 2.2361, 3.1623]]`.
#
# *Expected picture*: a dark mask in a valley that rises to all sides; the difference is zero.


# %% nbgrader={"grade": false, "grade_id": "distance_field", "locked": false, "schema_version": 3, "solution": true, "task": false}
def distance_field(mask):
    """Distance (*, H, W) in pixels from each pixel to the nearest one of the mask (*, H, W)."""
    ### BEGIN SOLUTION
    centres = np.stack(np.indices(mask.shape[-2:]), axis=-1).reshape(-1, 2)
    table = np.linalg.norm(centres[:, None] - centres, axis=-1)
    inside = mask.reshape(*mask.shape[:-2], 1, -1)
    return np.where(inside, table, np.inf).min(axis=-1).reshape(mask.shape)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "distance_field_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(distance_field)

# %%
sheet.draw(distance_field)

# %% [markdown]
# ## 3. The outline of a mask
# **2 points · difficulty 2 of 5 · 10 minutes**
#
# A pixel of the mask lies on its outline if one of its four neighbours (left, right, above, below)
# isn't in the mask. What lies beyond the picture isn't in the mask either, so an outline is closed
# even where a person is cut off by the picture's border.
#
# `contour(mask)`: `(*, H, W)` → `(*, H, W)`, truth values.
#
# *Example*: a block of 3×3 pixels, wherever it lies: its eight outer pixels, not the middle one.
#
# *Expected picture*: a closed ring one pixel wide, its corners cut off.


# %% nbgrader={"grade": false, "grade_id": "contour", "locked": false, "schema_version": 3, "solution": true, "task": false}
def contour(mask):
    """The pixels (*, H, W) of the mask (*, H, W) that have one of four neighbours outside it."""
    ### BEGIN SOLUTION
    framed = np.zeros((*mask.shape[:-2], mask.shape[-2] + 2, mask.shape[-1] + 2), bool)
    framed[..., 1:-1, 1:-1] = mask
    above, below = framed[..., :-2, 1:-1], framed[..., 2:, 1:-1]
    left, right = framed[..., 1:-1, :-2], framed[..., 1:-1, 2:]
    return mask & ~(above & below & left & right)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "contour_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check(contour)

# %%
sheet.draw(contour)

# %% [markdown]
# Your three functions on the course's body: the mask of somebody broad, its distance field, and
# over it the outline of the mean body, which a fit to keypoints alone might have left there.
#
# *Expected*: an IoU of 0.82. Nearly all of the mean body hides in the mask: its outline runs where
# the field is zero.

# %%
if sheet.ready(mask_iou, distance_field, contour):
    from matplotlib.figure import Figure

    from vhlib.notebook.figures import show
    from vhlib.notebook.palette import BLUE, VERMILLION

    broad, mean = body_mask(3.0), body_mask(0.0)
    figure = Figure(figsize=(6.2, 4.4), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(distance_field(broad), cmap="cividis", extent=(0, 48, 48, 0))
    axes.plot(*outline(broad).T, "s", color=BLUE, ms=4, label="the mask's outline")
    axes.plot(*outline(mean).T, "o", color=VERMILLION, ms=3, label="the mean body's")
    figure.colorbar(shown, label="distance to the mask, px")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    show(
        figure,
        alt="A distance field, zero within a broad body. The outline of the mean body runs inside "
        "of the broad one's.",
    )
    print(f"IoU {mask_iou(mean, broad):.2f}")

# %% [markdown]
# ## 4. Between the pixels
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# The points of a body's outline don't lie on pixel centres. Read the field there by *bilinear
# interpolation*: each pixel counts with a weight that falls from 1 at its centre to 0 one pixel
# away, in $x$ and in $y$,
#
# $$D(x, y) = \sum_{r, c} h(y - y_r)\, h(x - x_c)\, D_{rc}, \qquad h(t) = \max(0,\ 1 - |t|),$$
#
# with the centres $x_c = c + 0.5$ and $y_r = r + 0.5$. A point beyond the outermost centres is
# first moved to the nearest place among them: $x$ to at least 0.5 and at most $W - 0.5$, and $y$
# likewise by $H$.
#
# `look_up(field, points)`: `(*, H, W)` and `(*, N, 2)` with `(x, y)` → `(*, N)`.
#
# *Example*: in `field = np.array([[0.0, 1.0], [2.0, 3.0]])` the points (0.5, 0.5), (1.5, 0.5),
# (1, 1) and (9, 1) read 0, 1, 1.5 and 2.


# %% nbgrader={"grade": false, "grade_id": "look_up", "locked": false, "schema_version": 3, "solution": true, "task": false}
def look_up(field, points):
    """Values (*, N) of a field (*, H, W) at points (*, N, 2), bilinear between pixel centres."""
    ### BEGIN SOLUTION
    height, width = field.shape[-2:]
    x = np.clip(points[..., 0], 0.5, width - 0.5)[..., None]
    y = np.clip(points[..., 1], 0.5, height - 0.5)[..., None]
    along_x = np.maximum(0, 1 - np.abs(x - (np.arange(width) + 0.5)))  # (*, N, W)
    along_y = np.maximum(0, 1 - np.abs(y - (np.arange(height) + 0.5)))  # (*, N, H)
    return np.einsum("...nr,...nc,...rc->...n", along_y, along_x, field)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "look_up_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(look_up)

# %% [markdown]
# ## 5. Both ways
# **4 points · difficulty 3 of 5 · 20 minutes**
#
# Let $x_1 \dots x_N$ be points on the outline of a body, and $m_1 \dots m_K$ the centres of the
# pixels on the outline of the mask. The first term asks that no point of the body lies outside of
# the mask, the second that no point of the mask's outline is far from the body:
#
# $$E_\rightarrow = \frac{1}{N} \sum_i D(x_i)^2, \qquad
# E_\leftarrow = \frac{1}{K} \sum_k \min_i \lVert m_k - x_i \rVert^2 .$$
#
# `silhouette_terms(points, mask)`: points `(*, N, 2)` with `(x, y)`, a mask `(*, H, W)` that isn't
# empty → a tuple of $E_\rightarrow$ `(*)` and $E_\leftarrow$ `(*)`, in square pixels. Use
# `distance_field`, `look_up` and `contour`.
#
# The number $K$ differs among the masks of a batch. So compute the minimum for the centres of *all*
# pixels, `(*, H * W)`, and average it over those on the outline.
#
# *Example*: `mask` is 5×5 with the middle pixel only, and `points` is `[[4.5, 2.5], [2.5, 2.5]]`.
# The first point is 2 pixels outside, the second isn't, and the mask's only pixel is met: (2, 0).
# Without the second point it is (4, 4).


# %% nbgrader={"grade": false, "grade_id": "silhouette_terms", "locked": false, "schema_version": 3, "solution": true, "task": false}
def silhouette_terms(points, mask):
    """Mean squares (*), (*): points (*, N, 2) to the mask (*, H, W), and its outline to points."""
    ### BEGIN SOLUTION
    outwards = np.square(look_up(distance_field(mask), points)).mean(axis=-1)
    rows, columns = np.indices(mask.shape[-2:]).reshape(2, -1) + 0.5
    pixels = np.stack([columns, rows], axis=-1)  # (H * W, 2)
    squares = np.square(pixels[:, None] - points[..., None, :, :]).sum(axis=-1)
    on_outline = contour(mask).reshape(*mask.shape[:-2], -1)
    inwards = (squares.min(axis=-1) * on_outline).sum(axis=-1) / on_outline.sum(axis=-1)
    return outwards, inwards
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "silhouette_terms_check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check(silhouette_terms)

# %% [markdown]
# Now the mask is the mean body's, and bodies from slim to broad are held against it. **Predict
# first**: where does each of the two terms have its minimum, and where their sum?

# %%
if sheet.ready(mask_iou, distance_field, contour, look_up, silhouette_terms):
    from vhlib.notebook.figures import show
    from vhlib.notebook.outline_figures import shift_figure

    girths, mean = np.linspace(-3, 3, 7), body_mask(0.0)
    pairs = [silhouette_terms(outline(body_mask(girth)), mean) for girth in girths.tolist()]
    outwards, inwards = np.array(pairs).T
    show(
        shift_figure(
            girths,
            {"body to mask": outwards, "mask to body": inwards, "both": outwards + inwards},
            xlabel="girth (third and fourth shape parameter)",
        ),
        alt="Three curves over girth. The one from body to mask is nearly zero for slim bodies and "
        "rises for broad ones; the one from mask to body rises to both sides, and so does the sum.",
    )

# %% [markdown]
# Under the first term alone a slim body costs next to nothing: it hides in the mask. Together they
# have one minimum, at the true girth. (In `vhlib` the second term spares the points of the mask's
# outline that the body covers, since the first term sees to these.)

# %% [markdown]
# ## 6. An edge with a slope
# **3 points · difficulty 3 of 5 · 15 minutes**
#
# A drawn mask is a staircase: move its edge a little, and no pixel changes. The *share*
# that is covered of the pixel at the edge follows every move. Take one row of $W$ pixels, pixel $k$
# from $x = k$ to $x = k + 1$, and a body that covers it from `left` to `right`. Write in PyTorch
# what share of each pixel is covered, so that `left` and `right` get their gradients.
#
# `row_coverage(left, right, width)`: tensors `(*)` with `left <= right`, in pixels, and a whole
# number → a tensor `(*, width)` of the same type, from 0 to 1. What lies beyond the row is cut off.
#
# *Example*: from 1.25 to 6.5 in a row of nine pixels: `[0, 0.75, 1, 1, 1, 1, 0.5, 0, 0]`. The
# derivative of pixel 6 by `right` is 1, that of pixel 1 by `left` is -1, and all others are 0.
#
# *Expected picture*: a plateau at 1, with one value between 0 and 1 at either end.


# %% nbgrader={"grade": false, "grade_id": "row_coverage", "locked": false, "schema_version": 3, "solution": true, "task": false}
def row_coverage(left, right, width):
    """Shares (*, width) of the pixels of a row that lie between left (*) and right (*)."""
    ### BEGIN SOLUTION
    begin = torch.arange(width, dtype=left.dtype)
    first = torch.maximum(left[..., None], begin)
    last = torch.minimum(right[..., None], begin + 1)
    return (last - first).clamp(min=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "row_coverage_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check(row_coverage)

# %%
sheet.draw(row_coverage)

# %% [markdown]
# A bar 5.3 pixels wide is shifted over its own place. Its IoU with the goal, of shares, is the sum
# of the smaller shares over the sum of the larger ones.
#
# *Expected*: a staircase for the drawn bar, a valley with a slope everywhere for yours, and at a
# shift of 1.2 pixels the slope 0.2509, which agrees with the finite difference.

# %%
if sheet.ready(row_coverage):
    from vhlib.notebook.figures import show
    from vhlib.notebook.outline_figures import shift_figure

    def bar(shift, width=5.3):
        """The bar's cover of 20 pixels, shifted from where it belongs."""
        return row_coverage(7.4 + shift, 7.4 + width + shift, 20)

    def energy(cover, goal):
        """1 - IoU of shares."""
        larger = torch.maximum(cover, goal).sum(-1)
        return 1 - torch.minimum(cover, goal).sum(-1) / larger

    shifts, goal = torch.linspace(-3, 3, 301, dtype=torch.float64), bar(torch.zeros(()).double())
    drawn = energy((bar(shifts) > 0.5).double(), (goal > 0.5).double())
    curves = {"drawn: covered or not": drawn, "shares of pixels": energy(bar(shifts), goal)}
    show(
        shift_figure(shifts.numpy(), {name: curve.numpy() for name, curve in curves.items()}),
        alt="1 - IoU against shift: a staircase for the drawn bar, a steady valley for the shares.",
    )
    x = torch.tensor(1.2, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(energy(bar(x), goal), x)
    step = 1e-6
    measured = (energy(bar(x + step), goal) - energy(bar(x - step), goal)) / (2 * step)
    print(f"slope {slope:.4f}, by finite differences {measured:.4f}")

# %% [markdown]
# ## Hand in
#
# Save the notebook and hand in this one file. In Colab the next cell downloads it.

# %%
sheet.summary()
