"""SMPL as a module: a model file's buffers, the paper's function, keypoints without the mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vhlib.body.model_files import BodyModelData, find_model, read_model
from vhlib.body.planar_skinning import skin_planar
from vhlib.body.point_regressor import PointRegressor, RestModel
from vhlib.body.skeletons import SMPL_24, Skeleton, get_skeleton
from vhlib.body.skinning import (
    KinematicTree,
    blend_shapes,
    bone_transforms,
    forward_kinematics,
    pose_features,
)

AnySkeleton = str | Skeleton


@dataclass(frozen=True, eq=False)
class BodyParameters:
    """What SMPL is driven by; ``smpl(**vars(parameters))`` gives the body.

    betas (*batch, S) in standard deviations; body_pose (*batch, 23, 3, 3) and global_orient
    (*batch, 3, 3) rotation matrices; transl (*batch, 3) metres.
    """

    betas: Float[Tensor, "*batch S"]
    body_pose: Float[Tensor, "*batch K 3 3"]
    global_orient: Float[Tensor, "*batch 3 3"]
    transl: Float[Tensor, "*batch 3"]

    @property
    def rotations(self) -> Float[Tensor, "*batch J 3 3"]:
        """Of all joints, the root's ``global_orient`` first."""
        return torch.cat([self.global_orient[..., None, :, :], self.body_pose], -3)

    def __getitem__(self, index) -> BodyParameters:
        """Index the batch axes of every field alike."""
        return BodyParameters(**{name: value[index] for name, value in vars(self).items()})


@dataclass(frozen=True, eq=False)
class BodyOutput:
    """vertices (*batch, V, 3) and joints (*batch, J, 3), metres."""

    vertices: Float[Tensor, "*batch V 3"]
    joints: Float[Tensor, "*batch J 3"]


class SMPL(nn.Module):
    """A skinned, vertex-based body model [Loper et al. 2015].

    Every argument of ``forward`` and ``keypoints`` may be left out: zero betas, rest pose, no
    translation. Leading batch axes broadcast. Rotations are matrices; turn axis-angle into them
    with ``vhlib.geometry.axis_angle_to_matrix``.

    Args:
        data: a validated model file.
        num_betas: how many of the file's shape components to use.

    Raises:
        ValueError: the file has fewer shape components.
    """

    v_template: Tensor  # (V, 3)
    faces: Tensor  # (F, 3)
    lbs_weights: Tensor  # (V, J)
    J_regressor: Tensor  # (J, V)
    parents: Tensor  # (J,), -1 for the root

    def __init__(self, data: BodyModelData, num_betas: int = 10):
        super().__init__()
        if not 0 < num_betas <= data.num_shape_components:
            most = data.num_shape_components
            raise ValueError(
                f"num_betas = {num_betas}: the model has {most} components, so num_betas "
                f"can be 1 to {most}"
            )
        self.tree = KinematicTree(data.parents)
        self.num_betas = num_betas
        self.landmarks = dict(data.landmarks)
        num_joints = len(data.parents)
        self._shapes = {
            "betas": (num_betas,),
            "body_pose": (num_joints - 1, 3, 3),
            "global_orient": (3, 3),
            "transl": (3,),
        }
        self._regressors: dict[tuple, tuple[Sequence[Skeleton], PointRegressor]] = {}
        shapedirs = data.shapedirs[..., :num_betas]

        def store(name: str, values) -> None:
            tensor = torch.as_tensor(values, dtype=torch.float32).contiguous()
            self.register_buffer(name, tensor, persistent=False)

        store("v_template", data.v_template)
        store("lbs_weights", data.lbs_weights)
        store("J_regressor", data.J_regressor)
        # Joints are linear in betas, so two small products stand for the regressor (eq. 10).
        store("J_template", data.J_regressor @ data.v_template)
        store(
            "J_shapedirs",
            torch.tensordot(torch.tensor(data.J_regressor), torch.tensor(shapedirs), 1),
        )
        # Shape and pose directions as one matrix, (S + 9 (J - 1), 3, V), coordinates outermost:
        # one product gives all offsets, and each coordinate of the mesh lies in one piece.
        directions = torch.cat([torch.tensor(shapedirs), torch.tensor(data.posedirs)], -1)
        store("_directions", directions.permute(2, 1, 0))
        self.register_buffer("faces", torch.as_tensor(data.faces, dtype=torch.long), False)
        self.register_buffer("parents", torch.tensor(data.parents), False)

    @classmethod
    def load(cls, name_or_path: str | Path = "neutral", num_betas: int = 10) -> SMPL:
        """One of the open bodies ("neutral", "female", "male") or any SMPL-format file.

        Raises:
            ValueError, FileNotFoundError: one line that names the file and what is wrong in it.
        """
        path = find_model(name_or_path)
        data = read_model(path)
        try:
            return cls(data, num_betas)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    @property
    def shapedirs(self) -> Float[Tensor, "V 3 S"]:
        """Shape directions, metres per standard deviation."""
        return self._directions[: self.num_betas].permute(2, 1, 0)

    @property
    def posedirs(self) -> Float[Tensor, "V 3 P"]:
        """Pose-corrective directions, metres per entry of ``pose_features``."""
        return self._directions[self.num_betas :].permute(2, 1, 0)

    def forward(
        self,
        betas: Tensor | None = None,
        body_pose: Tensor | None = None,
        global_orient: Tensor | None = None,
        transl: Tensor | None = None,
    ) -> BodyOutput:
        """Vertices and joints of the posed body.

        Shapes as in ``BodyParameters``. Raises ValueError that names the argument for what isn't a
        tensor of the expected shape and dtype, or that names all whose batch axes don't broadcast.
        """
        batch, betas, rotations, transl = self._arguments(betas, body_pose, global_orient, transl)
        joints = self.J_template + blend_shapes(betas, self.J_shapedirs)
        world, posed = forward_kinematics(rotations, joints, self.tree)
        at_rest = self._rest_vertices(betas, rotations)
        transforms = bone_transforms(world, posed + transl[:, None], joints)
        vertices = skin_planar(at_rest, transforms, self.lbs_weights)
        return BodyOutput(
            vertices.reshape(*batch, *self.v_template.shape),
            (posed + transl[:, None]).reshape(*batch, *joints.shape[1:]),
        )

    def keypoints(
        self,
        skeleton: AnySkeleton | Sequence[AnySkeleton],
        betas: Tensor | None = None,
        body_pose: Tensor | None = None,
        global_orient: Tensor | None = None,
        transl: Tensor | None = None,
    ) -> Float[Tensor, "*batch K 3"]:
        """Points of a named skeleton, exactly those of the posed mesh, without building it.

        Of several skeletons the points follow one another; that costs little more than one.

        Raises ValueError if a skeleton needs landmarks that the model doesn't have.
        """
        batch, betas, rotations, transl = self._arguments(betas, body_pose, global_orient, transl)
        points = self.keypoint_regressor(skeleton).points(betas, rotations)
        return (points + transl[:, None]).reshape(*batch, *points.shape[1:])

    def keypoint_regressor(self, skeleton: AnySkeleton | Sequence[AnySkeleton]) -> PointRegressor:
        """The compiled form of ``keypoints``, also with derivatives; made once per skeleton."""
        one = isinstance(skeleton, str | Skeleton)
        skeletons = [get_skeleton(s) for s in ([skeleton] if one else skeleton)]
        key = (*(s.name for s in skeletons), self.v_template.dtype, self.v_template.device)
        known, regressor = self._regressors.get(key, (None, None))
        if known != skeletons:  # not made yet, or of another skeleton with the same name
            regressor = self._compile(skeletons)
            self._regressors[key] = skeletons, regressor
        return regressor

    @torch.inference_mode(False)  # what is kept serves calls with gradients, too
    def _compile(self, skeletons: Sequence[Skeleton]) -> PointRegressor:
        if len(self.parents) != len(SMPL_24):
            raise ValueError(
                f"skeletons are defined for SMPL's {len(SMPL_24)} joints, this model has "
                f"{len(self.parents)}"
            )
        return PointRegressor.of_skeletons(self.rest_model(), skeletons, self.landmarks)

    def rest_model(self) -> RestModel:
        """The linear part of the body, of which a ``PointRegressor`` is made."""
        return RestModel(
            *(self.v_template, self.shapedirs, self.posedirs, self.lbs_weights),
            *(self.J_template, self.J_shapedirs, self.tree),
        )

    def _rest_vertices(self, betas: Tensor, rotations: Tensor) -> Float[Tensor, "N 3 V"]:
        """T(betas, pose) of eq. 6, coordinates first."""
        coefficients = torch.cat([betas, pose_features(rotations[:, 1:])], -1)
        template = self.v_template.T.reshape(-1)
        offsets = torch.addmm(template, coefficients, self._directions.flatten(1))
        return offsets.unflatten(-1, (3, -1))

    def _arguments(
        self, betas, body_pose, global_orient, transl
    ) -> tuple[torch.Size, Tensor, Tensor, Tensor]:
        """Defaults filled in, batch axes broadcast and flattened to one."""
        values = (betas, body_pose, global_orient, transl)
        batch = _common_batch(
            {
                name: self._batch_of(name, value)
                for name, value in zip(self._shapes, values, strict=True)
                if value is not None
            }
        )
        betas, body_pose, global_orient, transl = (
            (self._default(shape) if value is None else value)
            .expand(*batch, *shape)
            .reshape(batch.numel(), *shape)
            for value, shape in zip(values, self._shapes.values(), strict=True)
        )
        return batch, betas, torch.cat([global_orient[:, None], body_pose], 1), transl

    def _default(self, shape: tuple[int, ...]) -> Tensor:
        like = self.v_template
        if shape[-2:] == (3, 3):
            return torch.eye(3, dtype=like.dtype, device=like.device)
        return like.new_zeros(shape)

    def _batch_of(self, name: str, value: object) -> torch.Size:
        """Batch axes of an argument; raises ValueError for its type, shape and dtype."""
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{name} must be a tensor, got {type(value).__name__}; torch.as_tensor makes one"
            )
        shape, dtype = self._shapes[name], self.v_template.dtype
        axes = value.ndim - len(shape)
        if value.shape[axes:] != shape:
            expected = ", ".join(["*batch", *map(str, shape)])
            hint = "; rotations are matrices, see axis_angle_to_matrix" if 3 in shape[1:] else ""
            raise ValueError(f"{name} must be ({expected}), got {tuple(value.shape)}{hint}")
        if value.dtype != dtype:
            raise ValueError(
                f"{name} is {value.dtype}, the model {dtype}; convert one of them, for example "
                f"with smpl.double()"
            )
        return value.shape[:axes]


def _common_batch(batches: Mapping[str, torch.Size]) -> torch.Size:
    """What the arguments' batch axes broadcast to, or a ValueError that names them."""
    different = set(batches.values())
    if len(different) == 1:
        return different.pop()
    try:
        return torch.broadcast_shapes(*different)
    except RuntimeError:
        found = ", ".join(f"{name} {tuple(batch)}" for name, batch in batches.items())
        raise ValueError(f"the batch axes don't broadcast: {found}") from None
