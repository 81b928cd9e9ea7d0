"""The renderer's inner loops, compiled by numba for one CPU core.

Each has a plain torch twin (`rasterizer_torch`, `visibility`, `outlines`) and repeats its
arithmetic operation by operation, so both give the same bits. The loops release Python's lock and
start no threads of their own, which forked workers would not survive: callers split a batch over
threads instead.
"""

from __future__ import annotations

from typing import no_type_check

import numba
import numpy as np

# The machine code is kept on disk, beside this file or in the user's cache folder.
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")

# no_type_check: in tests every function is wrapped to check its arguments, and numba can't compile
# the wrapper.


@_compiled
@no_type_check
def rasterize(faces, near, screen, triangle_ids, barycentrics, depth):
    """Fill the pictures (B, H, W): which triangle each pixel sees, and where on it.

    faces: (F, 3) integers. screen: (B, V, 3) pixel x, pixel y and camera z of each vertex, float64.
    """
    height, width = depth.shape[1:]
    candidates = np.empty(len(faces) + 1, np.int32)
    nearest = np.empty(height * width + 1, np.int32)
    nearness = np.empty(height * width + 1, np.float32)
    for k in range(len(screen)):
        count = _touching_pixels(screen[k], faces, (width, height), candidates)
        _draw(screen[k], faces, near, candidates[:count], (width, height), (nearest, nearness))
        _surface(screen[k], faces, nearest, triangle_ids[k], barycentrics[k], depth[k])


@_compiled
@no_type_check
def _touching_pixels(screen, faces, size, candidates):
    """List the triangles whose bounding box holds a pixel centre; return how many there are."""
    count = 0
    for triangle in range(len(faces)):
        x, y, _ = _corners(screen, faces[triangle])
        left, right, top, bottom = _box(x, y, size)
        # The next one overwrites a triangle that doesn't count: quicker than to branch on chance.
        candidates[count] = triangle
        count += (left <= right) & (top <= bottom)
    return count


@_compiled
@no_type_check
def _draw(screen, faces, near, candidates, size, zbuffer):
    """Each triangle offers itself to the pixel centres in it; they keep the nearest.

    Of equals they keep the first. The buffers have a spare place behind the last pixel, where
    triangles write that lose: quicker than to branch on chance.
    """
    nearest, nearness = zbuffer
    nearest[:] = -1
    nearness[:] = -1.0
    spare = len(nearest) - 1
    for triangle in candidates:
        x, y, z = _corners(screen, faces[triangle])
        if not _drawable(x, y, z, near):
            continue
        left, right, top, bottom = _box(x, y, size)
        x, y, z = _wound(x, y, z)
        w0, w1, w2 = 1.0 / z[0], 1.0 / z[1], 1.0 / z[2]
        for row in range(int(top), int(bottom) + 1):
            for column in range(int(left), int(right) + 1):
                e0, e1, e2 = _edge_functions(x, y, column + 0.5, row + 0.5)
                area = e0 + e1 + e2
                inverse_depth = np.float32((e0 * w0 + e1 * w1 + e2 * w2) / area)
                inside = (e0 >= 0.0) & (e1 >= 0.0) & (e2 >= 0.0) & (area > 0.0)
                pixel = row * size[0] + column
                wins = inside & (inverse_depth > nearness[pixel])
                place = np.uint64(pixel if wins else spare)
                nearness[place] = inverse_depth
                nearest[place] = triangle


@_compiled
@no_type_check
def _surface(screen, faces, nearest, triangle_ids, barycentrics, depth):
    """The triangle that each pixel sees, with perspective-correct barycentrics and depth."""
    height, width = triangle_ids.shape
    barycentrics[:] = 0.0
    depth[:] = np.inf
    for row in range(height):
        for column in range(width):
            triangle = nearest[row * width + column]
            triangle_ids[row, column] = triangle
            if triangle < 0:
                continue
            x, y, z = _corners(screen, faces[triangle])
            e0, e1, e2 = _edge_functions(x, y, column + 0.5, row + 0.5)
            w0, w1, w2 = e0 / z[0], e1 / z[1], e2 / z[2]
            total = w0 + w1 + w2
            barycentrics[row, column, 0] = w0 / total
            barycentrics[row, column, 1] = w1 / total
            barycentrics[row, column, 2] = w2 / total
            depth[row, column] = (e0 + e1 + e2) / total


@_compiled
@no_type_check
def hide_vertices(faces, near, screen, cells, hidden):
    """Mark the vertices in the ``cells`` of the picture that lie behind a triangle.

    faces and screen (V, 3) as in `rasterize`. cells: `visibility.Cells`. hidden: (M,) bool.
    """
    rim = cells.side - 1.0
    for triangle in range(len(faces)):
        x, y, z = _corners(screen, faces[triangle])
        if not _drawable(x, y, z, near):
            continue
        left = _cell(min(x), cells.left, cells.size, rim)
        right = _cell(max(x), cells.left, cells.size, rim)
        top = _cell(min(y), cells.top, cells.size, rim)
        bottom = _cell(max(y), cells.top, cells.size, rim)
        x, y, z = _wound(x, y, z)
        w0, w1, w2 = 1.0 / z[0], 1.0 / z[1], 1.0 / z[2]
        for row in range(top, bottom + 1):
            first = cells.starts[row * cells.side + left]
            last = cells.starts[row * cells.side + right + 1]
            for k in range(first, last):
                e0, e1, e2 = _edge_functions(x, y, cells.x[k], cells.y[k])
                area = e0 + e1 + e2
                inside = (e0 >= 0.0) & (e1 >= 0.0) & (e2 >= 0.0) & (area > 0.0)
                before = (e0 * w0 + e1 * w1 + e2 * w2) / area > cells.limit[k]
                hidden[k] |= inside & before


@_compiled
@no_type_check
def _cell(position, low, size, rim):
    """Column of a pixel x, or row of a pixel y; those beyond the grid count to its rim."""
    return int(min(max(np.floor((position - low) / size), 0.0), rim))


@_compiled
@no_type_check
def find_outline(mesh, near, screen, mask, transposed_mask):
    """Where the mesh ends in its picture: the fields of `outlines.Outline` but the first, (N, 5).

    mesh: faces (F, 3), edges (E, 2) and the faces beside each edge (E, 2). mask: (H, W) bool.
    """
    faces, edges, sides = mesh
    facing = _facing(faces, near, screen)
    height, width = mask.shape
    by_rows = np.full((height, width), -1), np.full((height, width), -np.inf)
    by_columns = np.full((width, height), -1), np.full((width, height), -np.inf)
    for edge in range(len(edges)):
        first, last = facing[sides[edge, 0]], facing[sides[edge, 1]]
        rim = sides[edge, 0] == sides[edge, 1]
        if first == last and not (rim and first != 0):
            continue
        x0, y0 = screen[edges[edge, 0], 0], screen[edges[edge, 0], 1]
        x1, y1 = screen[edges[edge, 1], 0], screen[edges[edge, 1], 1]
        _cut_rows(edge, x0, y0, x1, y1, mask, *by_rows)
        _cut_rows(edge, y0, x0, y1, x1, transposed_mask, *by_columns)
    return _measured(edges, screen, mask, by_rows[0], by_columns[0])


@_compiled
@no_type_check
def _facing(faces, near, screen):
    """Whether each face is seen from outside or inside, 1 or -1; 0 if it isn't drawn."""
    facing = np.zeros(len(faces), np.int8)
    for triangle in range(len(faces)):
        x, y, z = _corners(screen, faces[triangle])
        if _drawable(x, y, z, near):
            facing[triangle] = np.sign(_edge_functions(x, y, x[0], y[0])[0])
    return facing


@_compiled
@no_type_check
def _cut_rows(edge, x0, y0, x1, y1, mask, outermost, distance):
    """Enter the edge where it passes between mask and background farther out than those before."""
    height, width = mask.shape
    first = max(np.ceil(min(y0, y1) - 0.5), 0.0)
    last = min(np.ceil(max(y0, y1) - 0.5) - 1.0, height - 1.0)
    if not first <= last:
        return
    for row in range(int(first), int(last) + 1):
        crossing = x0 + (row + 0.5 - y0) / (y1 - y0) * (x1 - x0)
        column = np.floor(crossing - 0.5)
        if not 0.0 <= column < width - 1.0:
            continue
        left = int(column)
        outward = int(mask[row, left]) - int(mask[row, left + 1])
        if outward != 0 and outward * crossing >= distance[row, left]:
            distance[row, left] = outward * crossing
            outermost[row, left] = edge


@_compiled
@no_type_check
def _measured(edges, screen, mask, by_rows, by_columns):
    """The outermost edges that are steep, by rows, and those that aren't, by columns."""
    places = np.empty((2 * mask.size, 5), np.int64)
    count = 0
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            outward = 1 if mask[row, column] else -1
            edge = by_rows[row, column]
            if edge >= 0 and _steep(edges, screen, edge):
                _fill(places[count], edge, 0, row, column, outward)
                count += 1
            edge = by_columns[column, row]
            if edge >= 0 and not _steep(edges, screen, edge):
                _fill(places[count], edge, 1, column, row, outward)
                count += 1
    return places[:count]


@_compiled
@no_type_check
def _fill(place, edge, transposed, row, column, outward):
    place[0], place[1], place[2], place[3], place[4] = edge, transposed, row, column, outward


@_compiled
@no_type_check
def _steep(edges, screen, edge):
    a, b = edges[edge, 0], edges[edge, 1]
    return abs(screen[b, 1] - screen[a, 1]) >= abs(screen[b, 0] - screen[a, 0])


@_compiled
@no_type_check
def _corners(screen, face):
    """Pixel x, pixel y and camera z of a triangle's corners, a triple each."""
    a, b, c = face[0], face[1], face[2]
    x = screen[a, 0], screen[b, 0], screen[c, 0]
    y = screen[a, 1], screen[b, 1], screen[c, 1]
    z = screen[a, 2], screen[b, 2], screen[c, 2]
    return x, y, z


@_compiled
@no_type_check
def _drawable(x, y, z, near):
    """Whether a triangle has an area, is finite, and lies wholly beyond ``near``."""
    area, _, _ = _edge_functions(x, y, x[0], y[0])
    return (min(z) > near) & (abs(area) > 0.0) & (abs(area) < np.inf)


@_compiled
@no_type_check
def _wound(x, y, z):
    """The corners in the order that makes the area positive."""
    area, _, _ = _edge_functions(x, y, x[0], y[0])
    if area > 0.0:
        return x, y, z
    return (x[0], x[2], x[1]), (y[0], y[2], y[1]), (z[0], z[2], z[1])


@_compiled
@no_type_check
def _box(x, y, size):
    """First and last column, first and last row whose pixel centres the bounding box holds."""
    width, height = size
    left = max(np.ceil(min(x) - 0.5), 0.0)
    right = min(np.floor(max(x) - 0.5), width - 1.0)
    top = max(np.ceil(min(y) - 0.5), 0.0)
    bottom = min(np.floor(max(y) - 0.5), height - 1.0)
    return left, right, top, bottom


@_compiled
@no_type_check
def _edge_functions(x, y, px, py):
    """Twice the signed areas that the point (px, py) makes with each side of its triangle."""
    x0, x1, x2 = x[0] - px, x[1] - px, x[2] - px
    y0, y1, y2 = y[0] - py, y[1] - py, y[2] - py
    return x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0
