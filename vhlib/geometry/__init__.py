"""Rotations, cameras, meshes and pictures of them: tensors in, tensors out; knows no bodies."""

from vhlib.geometry.cameras import Crop, PerspectiveCamera, WeakPerspectiveCamera
from vhlib.geometry.rotations import (
    Similarity,
    axis_angle_to_matrix,
    geodesic_distance,
    interleaved_6d_to_rotation_6d,
    left_jacobian,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    matrix_to_rotation_6d,
    part_of_rotation,
    project_to_rotation,
    quaternion_to_matrix,
    rotation_6d_to_interleaved_6d,
    rotation_6d_to_matrix,
    rotation_between,
    similarity_procrustes,
    skew,
)

__all__ = [
    "Crop",
    "PerspectiveCamera",
    "Similarity",
    "WeakPerspectiveCamera",
    "axis_angle_to_matrix",
    "geodesic_distance",
    "interleaved_6d_to_rotation_6d",
    "left_jacobian",
    "matrix_to_axis_angle",
    "matrix_to_quaternion",
    "matrix_to_rotation_6d",
    "part_of_rotation",
    "project_to_rotation",
    "quaternion_to_matrix",
    "rotation_6d_to_interleaved_6d",
    "rotation_6d_to_matrix",
    "rotation_between",
    "similarity_procrustes",
    "skew",
]
