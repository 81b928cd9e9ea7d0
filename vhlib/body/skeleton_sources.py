"""What the points of skeletons are made of, as weights on joints and landmark vertices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vhlib.body.skeletons import SMPL_24, Skeleton


def source_weights(
    skeletons: Sequence[Skeleton], landmarks: Mapping[str, int]
) -> tuple[Tensor, Tensor, list[int]]:
    """Weights of each point on joints (K, J) and landmarks (K, L), and the landmarks' vertices.

    Raises:
        ValueError: a skeleton needs landmarks that the model doesn't name.
    """
    joints = {name: index for index, name in enumerate(SMPL_24.names)}
    for skeleton in skeletons:
        missing = sorted(_landmarks_of(skeleton) - set(landmarks))
        if missing:
            raise ValueError(
                f"{skeleton.name} needs the landmark vertices {', '.join(missing)}, which this "
                f"model doesn't name; its npz may hold them as landmark_names and landmark_vertices"
            )
    names = sorted(set().union(*(_landmarks_of(skeleton) for skeleton in skeletons)))
    sources = [source for skeleton in skeletons for source in skeleton.points.values()]
    joint_weights = torch.zeros(len(sources), len(joints), dtype=torch.float64)
    landmark_weights = torch.zeros(len(sources), len(names), dtype=torch.float64)
    for row, source in enumerate(sources):
        for name, weight in source.items():
            if name in joints:
                joint_weights[row, joints[name]] = weight
            else:
                landmark_weights[row, names.index(name)] = weight
    return joint_weights, landmark_weights, [landmarks[name] for name in names]


def _landmarks_of(skeleton: Skeleton) -> set[str]:
    return {name for source in skeleton.points.values() for name in source} - set(SMPL_24.names)
