import math

import pytest
import torch

from tests.skinned_tube import elbow_turned, skinned_arm
from vhlib.body.flesh import FOLD_REACH, linear_shares, part_folds
from vhlib.body.pseudo_scans import pose_bones
from vhlib.body.skeletons import SMPL_24
from vhlib.body.skin import dual_quaternion_skinning
from vhlib.body.skinning import linear_blend_skinning


def test_a_twist_needs_dual_quaternions_alone():
    skin, rest, joints = skinned_arm()
    bones = pose_bones(skin, joints, elbow_turned([[1.4, 0, 0], [0.0, 0, 0]]))
    assert linear_shares(skin, rest, bones).abs().max() < 0.02


def test_what_dual_quaternions_gain_linear_skinning_takes_back():
    """Where the one has more volume than at rest and the other less, their mixture has it."""
    skin, rest, joints = skinned_arm()
    bones = pose_bones(skin, joints, elbow_turned([[0.0, -1.2, 0]]))
    shares = linear_shares(skin, rest, bones)[0]
    middle = (rest[:, 0] - 0.6).abs() < 0.05
    assert shares[middle].max() == pytest.approx(float(shares[middle].min()))
    assert shares[~middle & (skin.bends.max(1).values == 0)].abs().max() == 0
    assert 0 <= shares.min() <= shares.max() <= 1


@pytest.fixture(scope="module")
def folded():
    """An arm bent by 150 degrees: skin, rest, bones, posed by skinning."""
    skin, rest, joints = skinned_arm()
    bones = pose_bones(skin, joints, elbow_turned([[0.0, -math.radians(150), 0]]))
    still = rest[None]
    return skin, rest, bones, linear_blend_skinning(still, skin.lbs_weights, bones.transforms)


def sides(bones, posed: torch.Tensor) -> torch.Tensor:
    """Signed distance to the plane halfway between upper arm and forearm, positive beyond it."""
    shoulder, elbow, wrist = (
        bones.posed_joints[:, SMPL_24.index(f"left_{name}")]
        for name in ("shoulder", "elbow", "wrist")
    )
    across = (wrist - elbow) / (wrist - elbow).norm() - (shoulder - elbow) / (
        shoulder - elbow
    ).norm()
    return ((posed - elbow) @ (across / across.norm())[0])[0]


def test_a_fold_touches_and_does_not_cross(folded):
    skin, rest, bones, posed = folded
    near = (rest[:, 0] - 0.6).abs() < 0.15
    forearm = (rest[:, 0] > 0.6) & near
    upper = (rest[:, 0] < 0.6) & near
    assert sides(bones, posed)[forearm].min() < -0.02  # what skinning leaves
    parted = part_folds(skin, rest, bones, posed)
    assert sides(bones, parted)[forearm].min() > -1e-9
    assert sides(bones, parted)[upper].max() < 1e-9
    far = (rest[:, 0] - 0.6).abs() > 0.3
    assert torch.equal(parted[:, far], posed[:, far])


def test_a_fold_leaves_the_other_side_of_the_body_alone():
    """The arm reaches across the midline, near enough to the elbow to be pressed there."""
    skin, rest, joints = skinned_arm()
    aside = torch.tensor([0.45, 0, 0]).double()
    rest, joints = rest - aside, joints - aside
    bones = pose_bones(skin, joints, elbow_turned([[0.0, -math.radians(150), 0]]))
    posed = linear_blend_skinning(rest[None], skin.lbs_weights, bones.transforms)
    parted = part_folds(skin, rest, bones, posed)
    moved = (parted != posed).any(-1)[0]
    elbow = joints[SMPL_24.index("left_elbow")]
    near = (rest - elbow).norm(dim=-1) < FOLD_REACH
    assert (near & (rest[:, 0] < 0)).any()
    assert moved.any()
    assert not moved[rest[:, 0] < 0].any()


def test_a_slightly_bent_arm_is_left_alone():
    skin, rest, joints = skinned_arm()
    bones = pose_bones(skin, joints, elbow_turned([[0.0, -0.7, 0]]))
    posed = dual_quaternion_skinning(rest, skin, bones.transforms)
    assert torch.equal(part_folds(skin, rest, bones, posed), posed)
