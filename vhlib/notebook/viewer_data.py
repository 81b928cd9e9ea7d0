"""A body model as one block of bytes, small enough to send to a page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vhlib.body import SMPL
from vhlib.body.skeletons import SMPL_24

# Correctives that move a vertex by less, in metres for each entry of R - I, are left out.
NEGLIGIBLE = 1e-5
# Where an array starts, so that the page may look at it in place.
ALIGNMENT = 8


@dataclass(frozen=True, eq=False)
class PackedBody:
    """What viewer.js needs to evaluate a body.

    header: "arrays", name -> [numpy's type without byte order, offset in bytes, length, scale], and
    "joints", their names. data: the arrays in little-endian order. A scale that isn't zero
    multiplies whole numbers to metres.
    """

    header: dict[str, object]
    data: bytes


def pack_body(smpl: SMPL) -> PackedBody:
    """The model's arrays; directions as 16-bit numbers, which costs less than 0.1 mm.

    Sparse ones in rows: the vertices' skinning weights, and the pose correctives as blocks of 3 x 9
    for each pair of a joint and a vertex that it changes.
    """
    joints = len(smpl.parents)
    names = SMPL_24.names if joints == len(SMPL_24) else [f"joint {j}" for j in range(joints)]
    header: dict[str, object] = {}
    data = bytearray()
    for name, values in {
        **_rest_arrays(smpl),
        **_weight_arrays(smpl),
        **_pose_arrays(smpl),
    }.items():
        stored, scale = _quantised(values) if name in QUANTISED else (values, 0.0)
        header[name] = [stored.dtype.str[1:], len(data), int(stored.size), scale]
        data += stored.astype(stored.dtype.newbyteorder("<")).tobytes()
        data += bytes(-len(data) % ALIGNMENT)
    return PackedBody({"arrays": header, "joints": list(names)}, bytes(data))


QUANTISED = ("shapedirs", "poseBlock")


def _rest_arrays(smpl: SMPL) -> dict[str, np.ndarray]:
    """The body at rest: shapedirs one direction after the other, joints linear in the betas."""
    return {
        "template": _float32(smpl.v_template),
        "shapedirs": _float32(smpl.shapedirs.permute(2, 0, 1)),
        "jointTemplate": _float32(smpl.J_template),
        "jointShapedirs": _float32(smpl.J_shapedirs.permute(2, 0, 1)),
        "parents": smpl.parents.cpu().numpy().astype(np.int32),
        "faces": _index(smpl.faces.cpu().numpy(), len(smpl.v_template)),
    }


def _weight_arrays(smpl: SMPL) -> dict[str, np.ndarray]:
    """Skinning weights, those of one vertex after the other: none is cut."""
    weights = _float32(smpl.lbs_weights)
    vertex, joint = weights.nonzero()
    return {
        "weightStart": _row_starts(vertex, len(weights)),
        "weightJoint": _index(joint, weights.shape[1]),
        "weightValue": weights[vertex, joint],
    }


def _pose_arrays(smpl: SMPL) -> dict[str, np.ndarray]:
    """Pose correctives, those of one joint after the other; of joint j + 1 in row j."""
    vertices, joints = smpl.lbs_weights.shape
    blocks = _float32(smpl.posedirs).reshape(vertices, 3, joints - 1, 9).transpose(2, 0, 1, 3)
    joint, vertex = (np.abs(blocks).max((2, 3)) > NEGLIGIBLE).nonzero()
    return {
        "poseStart": _row_starts(joint, joints - 1),
        "poseVertex": _index(vertex, vertices),
        "poseBlock": blocks[joint, vertex],
    }


def _float32(tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)


def _index(values: np.ndarray, count: int) -> np.ndarray:
    """Whole numbers below ``count`` in as few bytes as hold them."""
    return values.astype(np.min_scalar_type(max(count - 1, 0)))


def _row_starts(rows: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([[0], np.bincount(rows, minlength=count).cumsum()]).astype(np.uint32)


def _quantised(values: np.ndarray) -> tuple[np.ndarray, float]:
    """16-bit numbers and what one of them means."""
    largest = float(np.abs(values).max(initial=0.0))
    scale = largest / np.iinfo(np.int16).max if largest > 0 else 1.0
    return np.round(values / scale).astype(np.int16), scale
