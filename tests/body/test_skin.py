import numpy as np
import pytest
import torch

from tests.skinned_tube import bent, skinned_arm, skinned_tube
from vhlib.body.skeletons import SMPL_24
from vhlib.body.skin import Skin, delta_mush, dual_quaternion_skinning
from vhlib.body.skinning import linear_blend_skinning
from vhlib.geometry.meshes import signed_volume
from vhlib.geometry.rotations import axis_angle_to_matrix


@pytest.fixture(scope="module")
def tube() -> tuple[Skin, torch.Tensor]:
    return skinned_tube()


def middle_radius(points: torch.Tensor, rest: torch.Tensor) -> float:
    ring = rest[:, 1].abs() < 0.01
    return float(points[..., ring, :][..., [0, 2]].norm(dim=-1).max())


def test_dual_quaternions_move_rigid_parts_as_matrices_do(tube):
    skin, rest = tube
    transforms = bent([0.9, 0.2, -0.3])
    transforms[:, :, 2, 3] = 0.4
    linear = linear_blend_skinning(rest[None], skin.lbs_weights, transforms)
    curved = dual_quaternion_skinning(rest, skin, transforms)
    rigid = skin.lbs_weights.max(1).values == 1
    assert rigid.any()
    assert torch.allclose(curved[:, rigid], linear[:, rigid])


def test_a_half_turn_pinches_the_linear_tube_only(tube):
    skin, rest = tube
    transforms = bent([0.0, 3.1, 0.0])
    linear = linear_blend_skinning(rest[None], skin.lbs_weights, transforms)
    curved = dual_quaternion_skinning(rest, skin, transforms)
    assert middle_radius(linear, rest) < 0.01
    assert middle_radius(curved, rest) == pytest.approx(0.1, abs=1e-6)


def test_delta_mush_keeps_the_rest_shape_and_follows_a_rigid_motion(tube):
    skin, rest = tube
    turn = axis_angle_to_matrix(torch.tensor([0.3, -0.8, 0.5]).double())
    moved = torch.stack([rest, rest @ turn.T + 0.2])
    assert torch.allclose(delta_mush(skin, rest, moved), moved, atol=1e-9)


def test_softness_is_between_the_bones_only(tube):
    skin, rest = tube
    assert skin.softness[rest[:, 1].abs() < 0.05].min() > 0.9
    assert skin.softness[rest[:, 1].abs() > 0.4].max() == 0


def test_delta_mush_cuts_no_corner_at_a_bent_joint(tube):
    skin, rest = tube
    posed = dual_quaternion_skinning(rest, skin, bent([1.2, 0.0, 0.0]))
    relaxed = delta_mush(skin, rest, posed)
    volumes = signed_volume(torch.cat([posed, relaxed]), skin.faces)
    assert float(volumes[1]) == pytest.approx(float(volumes[0]), rel=0.01)
    assert (relaxed - posed).abs().max() > 1e-4


def test_only_the_bent_joint_bends_the_skin():
    skin, rest, _ = skinned_arm()
    elbow = SMPL_24.index("left_elbow")
    middle = (rest[:, 0] - 0.6).abs() < 0.01
    assert torch.allclose(skin.bends[middle, elbow], torch.ones(int(middle.sum())).double())
    assert np.delete(skin.bends.numpy(), elbow, 1).max() == 0
