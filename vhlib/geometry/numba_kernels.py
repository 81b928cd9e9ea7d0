"""The two inner loops of the renderer, compiled by numba for one CPU core.

Each has a plain torch twin (`rasterizer`, `visibility`) and repeats its arithmetic operation by
operation, so both give the same bits. The loops release Python's lock and start no threads of their
own, which forked workers would not survive: callers split a batch over threads instead.
"""

from __future__ import annotations

from typing import no_type_check

import numba
import numpy as np

# The machine code is kept on disk, beside this file or in the user's cache folder.
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


# no_type_check: shape annotations are enforced in tests by wrapping each function, and numba can't
# compile the wrapper.
@_compiled
@no_type_check
def rasterize(faces, near, screen, triangle_ids, barycentrics, depth):
    """Fill the pictures (B, H, W): which triangle each pixel sees, and where on it.

    faces: (F, 3) int64. screen: (B, V, 3) pixel x, pixel y and camera z of each vertex, float64.
    """
    nearness = np.empty(depth.shape[1:], np.float32)
    for k in range(len(screen)):
        _nearest_triangles(screen[k], faces, near, nearness, triangle_ids[k])
        _surface(screen[k], faces, triangle_ids[k], barycentrics[k], depth[k])


@_compiled
@no_type_check
def _nearest_triangles(screen, faces, near, nearness, triangle_ids):
    """The z-buffer: every triangle offers itself to the pixel centres in its bounding box."""
    height, width = triangle_ids.shape
    triangle_ids[:] = -1
    nearness[:] = -1.0
    for triangle in range(len(faces)):
        a, b, c = faces[triangle, 0], faces[triangle, 1], faces[triangle, 2]
        x0, x1, x2 = screen[a, 0], screen[b, 0], screen[c, 0]
        left = max(np.ceil(min(x0, x1, x2) - 0.5), 0.0)
        right = min(np.floor(max(x0, x1, x2) - 0.5), width - 1.0)
        if left > right:
            continue
        y0, y1, y2 = screen[a, 1], screen[b, 1], screen[c, 1]
        top = max(np.ceil(min(y0, y1, y2) - 0.5), 0.0)
        bottom = min(np.floor(max(y0, y1, y2) - 0.5), height - 1.0)
        if top > bottom:
            continue
        z0, z1, z2 = screen[a, 2], screen[b, 2], screen[c, 2]
        area, _, _ = _edge_functions(x0, y0, x1, y1, x2, y2, x0, y0)
        if not (min(z0, z1, z2) > near and 0.0 < abs(area) < np.inf):
            continue
        if area < 0.0:  # wound the other way round
            x1, y1, z1, x2, y2, z2 = x2, y2, z2, x1, y1, z1
        w0, w1, w2 = 1.0 / z0, 1.0 / z1, 1.0 / z2
        for row in range(int(top), int(bottom) + 1):
            for column in range(int(left), int(right) + 1):
                e0, e1, e2 = _edge_functions(x0, y0, x1, y1, x2, y2, column + 0.5, row + 0.5)
                area = e0 + e1 + e2
                if e0 >= 0.0 and e1 >= 0.0 and e2 >= 0.0 and area > 0.0:
                    inverse_depth = np.float32((e0 * w0 + e1 * w1 + e2 * w2) / area)
                    if inverse_depth > nearness[row, column]:
                        nearness[row, column] = inverse_depth
                        triangle_ids[row, column] = triangle


@_compiled
@no_type_check
def _surface(screen, faces, triangle_ids, barycentrics, depth):
    """Perspective-correct barycentrics and depth of the triangle that each pixel sees."""
    height, width = triangle_ids.shape
    barycentrics[:] = 0.0
    depth[:] = np.inf
    for row in range(height):
        for column in range(width):
            triangle = triangle_ids[row, column]
            if triangle < 0:
                continue
            a, b, c = faces[triangle, 0], faces[triangle, 1], faces[triangle, 2]
            x0, x1, x2 = screen[a, 0], screen[b, 0], screen[c, 0]
            y0, y1, y2 = screen[a, 1], screen[b, 1], screen[c, 1]
            e0, e1, e2 = _edge_functions(x0, y0, x1, y1, x2, y2, column + 0.5, row + 0.5)
            w0, w1, w2 = e0 / screen[a, 2], e1 / screen[b, 2], e2 / screen[c, 2]
            total = w0 + w1 + w2
            barycentrics[row, column, 0] = w0 / total
            barycentrics[row, column, 1] = w1 / total
            barycentrics[row, column, 2] = w2 / total
            depth[row, column] = (e0 + e1 + e2) / total


@_compiled
@no_type_check
def _edge_functions(x0, y0, x1, y1, x2, y2, px, py):
    """Twice the signed areas that the point (px, py) makes with each side of its triangle."""
    x0, y0, x1, y1, x2, y2 = x0 - px, y0 - py, x1 - px, y1 - py, x2 - px, y2 - py
    return x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0
