"""What a SMPL-format file holds, and the checks that every such file must pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64, Int64

from vhlib.body.skeletons import LANDMARKS, SMPL_LANDMARK_VERTICES

SMPL_NUM_VERTICES = 6890

# Half precision rounds a weight by up to 2^-11 of itself, so a row's sum by as much.
WEIGHT_SUM_TOLERANCE = 1e-3
# Nearest-value rounding in a file may leave a zero weight just below zero.
NEGATIVE_WEIGHT_TOLERANCE = 1e-6

# The root's parent, -1, in a file that has it as an unsigned integer; 64 bits wrap by themselves.
UNSIGNED_ROOTS = (2**8 - 1, 2**16 - 1, 2**32 - 1)

# Axes by name: V vertices, J joints, F faces, S shape components, P pose features, T texels.
REQUIRED_SHAPES: Mapping[str, tuple[int | str, ...]] = {
    "v_template": ("V", 3),
    "weights": ("V", "J"),
    "f": ("F", 3),
    "shapedirs": ("V", 3, "S"),
    "posedirs": ("V", 3, "P"),
    "J_regressor": ("J", "V"),
    "kintree_table": (2, "J"),
}
OPTIONAL_SHAPES: Mapping[str, tuple[int | str, ...]] = {
    "landmark_names": ("L",),
    "landmark_vertices": ("L",),
    "uv": ("T", 2),
    "uv_faces": ("F", 3),
    "part_labels": ("F",),
    "provenance": (),
}

# The arrays that hold words.
TEXTS = ("landmark_names", "provenance")

# One without the other means nothing.
PAIRS = (("landmark_names", "landmark_vertices"), ("uv", "uv_faces"))


class ModelFileError(ValueError):
    """A body model that can't be used; the message is one line."""


@dataclass(frozen=True, eq=False)
class BodyModelData:
    """A body in SMPL's format: what ``vhlib.body.SMPL`` computes with (Loper et al. 2015).

    Args:
        v_template: (V, 3) metres, the mean body at rest.
        faces: (F, 3) vertex ids of each triangle.
        lbs_weights: (V, J) skinning weights, each row sums to one.
        shapedirs: (V, 3, S) metres for one unit of each beta.
        posedirs: (V, 3, 9 * (J - 1)) metres for each entry of R_j - I, the root left out.
        J_regressor: (J, V) weights that turn the unposed vertices into joints.
        parents: J joint ids, -1 for the root, which is joint 0; a parent comes before its children.
        landmarks: vertex ids by the names of ``skeletons.LANDMARKS``.
        uv: (T, 2) texture coordinates in [0, 1].
        uv_faces: (F, 3) rows of ``uv``, corner by corner as in ``faces``.
        part_labels: (F,) a body part for each triangle.
        provenance: where the body comes from, in words.
    """

    v_template: Float64[np.ndarray, "V 3"]
    faces: Int64[np.ndarray, "F 3"]
    lbs_weights: Float64[np.ndarray, "V J"]
    shapedirs: Float64[np.ndarray, "V 3 S"]
    posedirs: Float64[np.ndarray, "V 3 9*(J-1)"]
    J_regressor: Float64[np.ndarray, "J V"]
    parents: tuple[int, ...]
    landmarks: Mapping[str, int] = field(default_factory=dict)
    uv: Float64[np.ndarray, "T 2"] | None = None
    uv_faces: Int64[np.ndarray, "F 3"] | None = None
    part_labels: Int64[np.ndarray, " F"] | None = None
    provenance: str = ""

    @property
    def num_vertices(self) -> int:
        """V."""
        return len(self.v_template)

    @property
    def num_joints(self) -> int:
        """J, with the root."""
        return len(self.parents)

    @property
    def num_shape_components(self) -> int:
        """S."""
        return self.shapedirs.shape[2]


def build_model(arrays: Mapping[str, np.ndarray]) -> BodyModelData:
    """The model described by the arrays of a SMPL-format file, under the file's keys, checked.

    Raises:
        ModelFileError: a key is missing, or an array has a wrong type, shape or value.
    """
    _check_shapes(arrays)
    return BodyModelData(
        v_template=_real_numbers("v_template", arrays),
        faces=_ids("f", arrays, len(arrays["v_template"])),
        lbs_weights=_skinning_weights(arrays),
        shapedirs=_real_numbers("shapedirs", arrays),
        posedirs=_real_numbers("posedirs", arrays),
        J_regressor=_real_numbers("J_regressor", arrays),
        parents=_parents(arrays),
        landmarks=_landmarks(arrays),
        uv=_real_numbers("uv", arrays) if "uv" in arrays else None,
        uv_faces=_ids("uv_faces", arrays, len(arrays["uv"])) if "uv_faces" in arrays else None,
        part_labels=_whole_numbers("part_labels", arrays) if "part_labels" in arrays else None,
        provenance=_texts("provenance", arrays)[0] if "provenance" in arrays else "",
    )


def model_arrays(model: BodyModelData) -> dict[str, np.ndarray]:
    """The inverse of ``build_model``: SMPL's keys, reals in single precision, ids in 32 bits."""
    joints = np.arange(model.num_joints)
    arrays = {
        "v_template": model.v_template.astype(np.float32),
        "f": model.faces.astype(np.int32),
        "weights": model.lbs_weights.astype(np.float32),
        "shapedirs": model.shapedirs.astype(np.float32),
        "posedirs": model.posedirs.astype(np.float32),
        "J_regressor": model.J_regressor.astype(np.float32),
        "kintree_table": np.stack([model.parents, joints]).astype(np.int64),
        "landmark_names": np.array(list(model.landmarks), dtype=np.str_),
        "landmark_vertices": np.array(list(model.landmarks.values()), dtype=np.int32),
        "provenance": np.array(model.provenance),
    }
    if model.uv is not None:
        arrays["uv"] = model.uv.astype(np.float32)
    if model.uv_faces is not None:
        arrays["uv_faces"] = model.uv_faces.astype(np.int32)
    if model.part_labels is not None:
        arrays["part_labels"] = model.part_labels.astype(np.int32)
    return arrays


def _check_shapes(arrays: Mapping[str, np.ndarray]) -> None:
    missing = [key for key in REQUIRED_SHAPES if key not in arrays]
    if missing:
        raise ModelFileError(
            f"has no {', '.join(missing)}; expected a SMPL-format model with"
            f" {', '.join(REQUIRED_SHAPES)}"
        )
    for pair in PAIRS:
        if len(lone := [key for key in pair if key in arrays]) == 1:
            raise ModelFileError(f"has {lone[0]} alone, expected {' and '.join(pair)} or neither")
    present = {key: shape for key, shape in OPTIONAL_SHAPES.items() if key in arrays}
    sizes: dict[str, int] = {}
    for key, axes in (REQUIRED_SHAPES | present).items():
        _check_shape(key, arrays[key].shape, axes, sizes)
        if key == "weights":
            sizes["P"] = 9 * (sizes["J"] - 1)
    if not (sizes["V"] and sizes["J"]):
        raise ModelFileError(f"has {sizes['V']} vertices and {sizes['J']} joints, expected some")


def _check_shape(
    key: str, found: tuple[int, ...], axes: tuple[int | str, ...], sizes: dict[str, int]
) -> None:
    """Compare a shape with named axes; the first array that has an axis fixes its size."""
    if len(found) == len(axes):
        for size, axis in zip(found, axes, strict=True):
            if isinstance(axis, str):
                sizes.setdefault(axis, size)
    expected = tuple(sizes.get(axis, axis) if isinstance(axis, str) else axis for axis in axes)
    if found != expected:
        names = ", ".join(str(axis) for axis in axes)
        values = ", ".join(str(size) for size in expected)
        raise ModelFileError(
            f"{key} has shape {found}, expected ({names}) = ({values}); the arrays of a model must"
            " come from the same file"
        )


def _real_numbers(key: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Finite numbers as float64. The model computes in float32, so larger ones aren't finite."""
    array = arrays[key]
    if array.dtype.kind not in "fiu":
        raise ModelFileError(f"{key} holds {str(array.dtype)[:80]}, expected real numbers")
    bad = ~(np.abs(array.astype(np.float64)) <= np.finfo(np.float32).max)
    if bad.any():
        raise ModelFileError(
            f"{key} holds {bad.sum()} values that are NaN, infinite or too large, expected finite"
            " numbers; the file is damaged, get it again"
        )
    return array.astype(np.float64)


def _whole_numbers(key: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Integers as int64."""
    array = arrays[key]
    if array.dtype.kind not in "iu":
        raise ModelFileError(f"{key} holds {str(array.dtype)[:80]}, expected integers")
    return array.astype(np.int64)


def _texts(key: str, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """The elements as strings."""
    try:
        return [str(text) for text in arrays[key].ravel()]
    except (ValueError, SystemError):  # Python's own, of a number that stands for no letter
        raise ModelFileError(f"{key} holds no text; the file is damaged, get it again") from None


def _ids(key: str, arrays: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    ids = _whole_numbers(key, arrays)
    if ids.size and not (ids.min() >= 0 and ids.max() < count):
        raise ModelFileError(
            f"{key} has ids from {ids.min()} to {ids.max()}, expected 0 to {count - 1}; its mesh"
            " isn't that of this model"
        )
    return ids


def _skinning_weights(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    weights = _real_numbers("weights", arrays)
    if weights.size and weights.min() < -NEGATIVE_WEIGHT_TOLERANCE:
        raise ModelFileError(f"weights go down to {weights.min():.3g}, expected none below zero")
    worst = np.abs(weights.sum(1) - 1).max(initial=0)
    if worst > WEIGHT_SUM_TOLERANCE:
        raise ModelFileError(
            f"weights has a row whose sum is {worst:.3g} away from one, expected at most"
            f" {WEIGHT_SUM_TOLERANCE}; divide each row by its sum"
        )
    return weights


def _parents(arrays: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    parents, joints = _whole_numbers("kintree_table", arrays).tolist()
    parents[0] = -1 if parents[0] in UNSIGNED_ROOTS else parents[0]
    if joints != list(range(len(joints))):
        raise ModelFileError(
            f"kintree_table's second row is {str(joints)[:80]}, expected the joint ids 0, 1, 2, ..."
        )
    if parents[0] != -1:
        raise ModelFileError(f"kintree_table gives joint 0 the parent {parents[0]}, expected none")
    for joint, parent in enumerate(parents[1:], start=1):
        if not 0 <= parent < joint:
            raise ModelFileError(
                f"kintree_table gives joint {joint} the parent {parent}, expected one of the joints"
                f" 0 to {joint - 1}: a tree with the root first and parents before their children"
            )
    return tuple(parents)


def _landmarks(arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
    num_vertices = len(arrays["v_template"])
    if "landmark_names" not in arrays:
        return dict(SMPL_LANDMARK_VERTICES) if num_vertices == SMPL_NUM_VERTICES else {}
    names = _texts("landmark_names", arrays)
    counts = Counter(names)
    unexpected = [name for name in names if name not in LANDMARKS or counts[name] > 1]
    if unexpected:
        raise ModelFileError(
            f"landmark_names has {unexpected[0][:80]!r}, expected each at most once of"
            f" {', '.join(LANDMARKS)}"
        )
    vertices = _ids("landmark_vertices", arrays, num_vertices).tolist()
    return dict(zip(names, vertices, strict=True))
