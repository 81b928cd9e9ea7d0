"""Capsules and spheres: exact on tubes, inside the bodies that ship, counted by the rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.random_body import random_model
from vhlib.body import SMPL
from vhlib.body.capsules import CAPSULE_PARTS, Capsules, Spheres, fit_capsules
from vhlib.body.model_files import BodyModelData
from vhlib.body.skeleton import mirrored_name
from vhlib.body.skeletons import SMPL_24
from vhlib.geometry.containment import winding_numbers

PARTS = list(CAPSULE_PARTS)
SHIPPED = ["neutral", "female", "male"]
# Of the tubes: metres; rings along one and corners of a ring.
RADIUS, LENGTH, MIDDLE = 0.04, 0.30, (0.01, -0.02, 0.03)
RINGS, CORNERS = 41, 24
SCALED, STRETCHED, FATTER, SHIFTED = range(4)


def tube(
    middle: np.ndarray, axis: np.ndarray, length: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An open tube as long as a capsule with its ends: vertices, faces, and outward directions."""
    side = np.linalg.svd(axis[None])[2][1:]
    angles = np.arange(CORNERS) * 2 * np.pi / CORNERS
    outwards = np.cos(angles)[:, None] * side[0] + np.sin(angles)[:, None] * side[1]
    places = (length + 2 * RADIUS) * np.linspace(-0.5, 0.5, RINGS)[:, None, None] * axis
    vertices = middle + places + RADIUS * outwards
    ids = np.arange(RINGS * CORNERS).reshape(RINGS, CORNERS)
    here, there = ids[:-1], ids[1:]
    faces = np.concatenate(
        [
            np.stack([here, np.roll(here, -1, 1), there], -1),
            np.stack([np.roll(here, -1, 1), np.roll(there, -1, 1), there], -1),
        ]
    )
    outwards = np.broadcast_to(outwards, vertices.shape)
    return vertices.reshape(-1, 3), faces.reshape(-1, 3), outwards.reshape(-1, 3)


def body_of_tubes(length: float = LENGTH) -> BodyModelData:
    """A random body whose faces are gone, and so its skin; one tube for each part instead.

    Its first betas scale it by a twentieth; stretch the tubes by a tenth about their middles; let
    them grow outwards by 1 cm; and shift them by a metre along x away from their joints.
    """
    model = random_model(num_vertices=500)
    joints = model.J_regressor @ model.v_template
    vertices, shapedirs, weights = [model.v_template], [np.zeros((500, 3, 10))], [model.lbs_weights]
    shapedirs[0][:, :, SCALED] = 0.05 * model.v_template
    faces = []
    for part in CAPSULE_PARTS.values():
        start, end = joints[SMPL_24.indices(*part.axis)]
        axis = (end - start) / np.linalg.norm(end - start)
        carrier = SMPL_24.index(part.joints[0])
        middle = joints[carrier] + MIDDLE
        skin, triangles, outwards = tube(middle, axis, length)
        by_shape = np.zeros((len(skin), 3, 10))
        by_shape[:, :, SCALED] = 0.05 * skin
        by_shape[:, :, STRETCHED] = 0.1 * ((skin - middle) @ axis)[:, None] * axis
        by_shape[:, :, FATTER] = 0.01 * outwards
        by_shape[:, 0, SHIFTED] = 1.0
        faces.append(triangles + sum(map(len, vertices)))
        vertices.append(skin)
        shapedirs.append(by_shape)
        weights.append(np.eye(24)[np.full(len(skin), carrier)])
    count = sum(map(len, vertices))
    return replace(
        model,
        v_template=np.concatenate(vertices),
        faces=np.concatenate(faces).astype(np.int64),
        lbs_weights=np.concatenate(weights),
        shapedirs=np.concatenate(shapedirs),
        posedirs=np.zeros((count, 3, 207)),
        J_regressor=np.pad(model.J_regressor, ((0, 0), (0, count - 500))),
    )


@pytest.fixture(scope="module")
def tubes() -> Capsules:
    return fit_capsules(SMPL(body_of_tubes()).double())


def constant(value: float | tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def assert_near(actual: torch.Tensor, expected: torch.Tensor, relative: float) -> None:
    torch.testing.assert_close(actual, expected.expand_as(actual), rtol=relative, atol=1e-8)


# Rings at the ends have half the area of the others: the trapezoid rule's share in a variance.
RINGED = 2e-3


def test_a_tube_has_its_own_radius_and_length(tubes):
    assert_near(tubes.radius, constant(RADIUS), 1e-5)
    assert_near(tubes.length, constant(LENGTH), RINGED)
    assert_near(tubes.center, constant(MIDDLE), 1e-5)


def test_a_part_wider_than_long_is_a_ball_of_any_shape():
    balls = fit_capsules(SMPL(body_of_tubes(length=-RADIUS)).double())
    assert_near(balls.radius, constant(RADIUS), 1e-5)
    assert not balls.length.any()
    assert not balls.length_shapedirs.any()


def test_betas_change_a_tube_as_they_change_its_skin(tubes):
    by = {name: getattr(tubes, f"{name}_shapedirs") for name in ("center", "length", "radius")}
    assert_near(by["radius"][:, SCALED], 0.05 * constant(RADIUS), 1e-5)
    assert_near(by["length"][:, SCALED], 0.05 * constant(LENGTH), RINGED)
    assert_near(by["center"][..., SCALED], 0.05 * constant(MIDDLE), 1e-5)
    assert_near(by["radius"][:, STRETCHED], constant(0.0), 0)
    assert_near(by["length"][:, STRETCHED], 0.1 * constant(LENGTH + 2 * RADIUS), RINGED)
    assert_near(by["radius"][:, FATTER], constant(0.01), 1e-5)
    assert_near(by["length"][:, FATTER], constant(-0.02), 1e-5)
    assert_near(by["center"][..., SHIFTED], constant((1.0, 0.0, 0.0)), 1e-5)
    for derivative in by.values():
        assert not derivative[..., SHIFTED + 1 :].any()


def test_spheres_lie_along_the_capsule_and_change_with_it(tubes):
    spheres = tubes.spheres()
    calf = [k for k, part in enumerate(spheres.part) if part == "left_calf"]
    axis = tubes.axis[PARTS.index("left_calf")]
    along = (spheres.center[calf] - constant(MIDDLE)) @ axis
    # floor(0.3 / 0.08 - 1) = 2 inner ones.
    assert_near(along, LENGTH * constant((-1 / 2, -1 / 6, 1 / 6, 1 / 2)), RINGED)
    stretched = spheres.center_shapedirs[calf][..., STRETCHED] @ axis
    ends = 0.1 * (LENGTH + 2 * RADIUS)
    assert_near(stretched, ends * constant((-1 / 2, -1 / 6, 1 / 6, 1 / 2)), RINGED)
    assert spheres.bone[calf[0]] == SMPL_24.index("left_knee")


@pytest.mark.parametrize(
    ("length", "spacing", "inner"),
    [(0.0, 2.0, 0), (0.159, 2.0, 0), (0.161, 2.0, 1), (0.161, 1.0, 3), (0.4, 2.0, 4)],
)
def test_the_number_of_spheres_follows_the_rule(tubes, length, spacing, inner):
    same = replace(tubes, length=constant(length).expand(20), radius=constant(RADIUS).expand(20))
    parts = same.spheres(spacing).part
    for name in PARTS:
        expected = inner + 2
        if name.endswith("thigh"):
            expected = inner + 1
        elif name.endswith("upper_arm") and inner:
            expected = inner
        assert parts.count(name) == expected


def test_a_thigh_keeps_the_end_at_the_knee(tubes):
    spheres = tubes.spheres()
    thigh = [k for k, part in enumerate(spheres.part) if part == "left_thigh"]
    along = (spheres.center[thigh] - constant(MIDDLE)) @ tubes.axis[PARTS.index("left_thigh")]
    assert_near(along, LENGTH * constant((-1 / 6, 1 / 6, 1 / 2)), RINGED)


def at_rest(spheres: Spheres, smpl: SMPL) -> torch.Tensor:
    """Centres, (K, 3)."""
    return smpl.J_template[list(spheres.bone)] + spheres.center


@pytest.mark.parametrize("name", SHIPPED)
def test_spheres_fill_a_body_from_inside(name):
    smpl = SMPL.load(name).double()
    spheres = fit_capsules(smpl).spheres(1.0)
    centers = at_rest(spheres, smpl)

    def inside(points: torch.Tensor) -> torch.Tensor:
        return winding_numbers(points, smpl.v_template, smpl.faces) > 0

    assert inside(centers).all()
    # Points within the box of the body, and how many of those inside it some sphere holds.
    g = torch.Generator().manual_seed(0)
    low, high = smpl.v_template.amin(0), smpl.v_template.amax(0)
    points = low + (high - low) * torch.rand(1000, 3, generator=g).double()
    points = points[inside(points)]
    held = ((points[:, None] - centers).norm(dim=-1) < spheres.radius).any(-1)
    assert held.double().mean() > 0.7
    # And the other way round, points of the spheres; hands and feet are flatter than balls.
    directions = torch.nn.functional.normalize(torch.randn(20, 3, generator=g), dim=-1)
    rough = [p.endswith(("hand", "foot")) for p in spheres.part]
    within = centers[:, None] + 0.8 * spheres.radius[:, None, None] * directions.double()
    kept = inside(within.flatten(0, 1)).unflatten(0, (-1, 20)).double().mean(-1)
    assert kept[~torch.tensor(rough)].mean() > 0.9


@pytest.mark.parametrize("name", SHIPPED)
def test_both_sides_are_alike(name):
    capsules = fit_capsules(SMPL.load(name))
    other = [PARTS.index(mirrored_name(part)) for part in PARTS]
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(capsules.radius[other], capsules.radius, rtol=0, atol=1e-4)
    torch.testing.assert_close(capsules.length[other], capsules.length, rtol=0, atol=1e-4)
    torch.testing.assert_close(capsules.center[other] * mirror, capsules.center, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_body_of_24_joints_has_capsules_in_its_own_type(dtype):
    smpl = SMPL(random_model()).to(dtype)
    capsules = fit_capsules(smpl)
    for value in vars(capsules).values():
        assert value.dtype == dtype
        assert value.isfinite().all()
        assert len(value) == len(CAPSULE_PARTS) == 20
    assert capsules.radius.min() > 0
    assert capsules.length.min() >= 0


def test_every_joint_belongs_to_one_part():
    joints = [joint for part in CAPSULE_PARTS.values() for joint in part.joints]
    assert sorted(joints) == sorted(SMPL_24.names)


def test_other_joints_are_refused():
    with pytest.raises(ValueError, match="SMPL's 24 joints, this model has 7"):
        fit_capsules(SMPL(random_model(num_vertices=300, num_joints=7)))


def test_a_part_without_skin_is_named():
    model = body_of_tubes()
    weights = model.lbs_weights.copy()
    head = SMPL_24.index("head")
    weights[:, SMPL_24.index("neck")] += weights[:, head]
    weights[:, head] = 0
    with pytest.raises(ValueError, match=r"no skin to fit a capsule to: .* moves with head"):
        fit_capsules(SMPL(replace(model, lbs_weights=weights)))
