"""Made-up poses are what they say, and a prior that knows nothing scores one half."""

import math

import pytest
import torch

from vhlib.body.skeletons import SMPL_24
from vhlib.fitting.energies import BENT_JOINTS, signed_bends
from vhlib.geometry.rotations import axis_angle_to_matrix
from vhlib.training.prior_scores import (
    ClipScores,
    RandomPoses,
    area_under_curve,
    hyperextended,
    mean_scores,
    recorded_joints,
    score_clip,
)

WRIST = 3 * (SMPL_24.index("left_wrist") - 1)


def clip(count=400, seed=0, wrist=True):
    """Poses about 0.3; without ``wrist`` that joint isn't recorded."""
    generator = torch.Generator().manual_seed(seed)
    poses = 0.3 + 0.2 * torch.randn(count, 69, generator=generator)
    if not wrist:
        poses[:, WRIST : WRIST + 3] = 0
    return poses


@pytest.fixture
def random_poses():
    return RandomPoses.of_clips([clip(seed=1), clip(seed=2, wrist=False)])


def generator():
    return torch.Generator().manual_seed(5)


def test_joints_come_from_the_clips_that_record_them(random_poses):
    wrist = SMPL_24.index("left_wrist") - 1
    assert [len(pool) for pool in random_poses.joints] == [
        400 if j == wrist else 800 for j in range(23)
    ]


@pytest.mark.parametrize("way", ["any_rotation", "uniform", "shuffled"])
def test_what_isnt_recorded_stays(random_poses, way):
    poses = clip(wrist=False)
    before = poses.clone()
    made_up = getattr(random_poses, way)(poses, generator())
    assert made_up.shape == poses.shape
    assert made_up[:, WRIST : WRIST + 3].abs().max() == 0
    others = [i for i in range(69) if i not in range(WRIST, WRIST + 3)]
    assert (made_up[:, others] != poses[:, others]).float().mean() > 0.99
    assert torch.equal(poses, before)
    assert torch.equal(made_up, getattr(random_poses, way)(poses, generator()))


def test_a_joint_that_no_training_clip_records_stays():
    random_poses = RandomPoses.of_clips([clip(wrist=False)])
    poses = clip(seed=3)
    made_up = random_poses.shuffled(poses, generator())
    assert torch.equal(made_up[:, WRIST : WRIST + 3], poses[:, WRIST : WRIST + 3])


def test_shuffled_numbers_are_recorded_ones(random_poses):
    """Each of the same place; together they are nobody's pose."""
    made_up = random_poses.shuffled(clip(), generator())
    recorded = torch.cat([clip(seed=1), clip(seed=2, wrist=False)])
    for i in range(69):
        assert torch.isin(made_up[:, i], recorded[:, i]).all()
    distance = torch.cdist(made_up, recorded)
    assert distance.min() > 1.0


def test_uniform_numbers_fill_the_recorded_range(random_poses):
    numbers = random_poses.uniform(clip(count=2000), generator())[:, 0]
    pool = random_poses.joints[0][:, 0]
    low, high = torch.quantile(pool, torch.tensor([0.005, 0.995]))
    assert low <= numbers.min() < low + 0.01
    assert high - 0.01 < numbers.max() <= high
    assert abs(numbers.mean() - (low + high) / 2) < 0.02


def test_any_rotation_has_no_preferred_direction(random_poses):
    """The mean of uniformly distributed rotation matrices is zero."""
    poses = random_poses.any_rotation(clip(count=2000), generator()).unflatten(-1, (23, 3))
    assert axis_angle_to_matrix(poses).mean((0, 1)).abs().max() < 0.02
    assert poses.norm(dim=-1).max() <= math.pi + 1e-4


def test_hyperextended_poses_have_one_joint_bent_too_far():
    poses = clip()
    bent = hyperextended(poses, generator())
    whole = torch.nn.functional.pad(bent, (3, 0)).unflatten(-1, (24, 3))
    degrees = torch.rad2deg(signed_bends(whole))
    changed = (bent != poses).unflatten(-1, (23, 3)).any(-1)
    assert (changed.sum(-1) == 1).all()
    joints = [SMPL_24.index(name) - 1 for name, *_ in BENT_JOINTS]
    assert (changed[:, joints].sum(0) > 50).all()
    angle = degrees[changed[:, joints]]
    assert 20 <= angle.min() < 22
    assert 58 < angle.max() <= 60


def test_a_prior_that_knows_tells_all_and_one_that_guesses_half(random_poses):
    poses = clip(seed=1)

    def known(theta):
        """Zero for the clip's own poses."""
        return torch.cdist(theta, poses).amin(-1)

    def guess(theta):
        return torch.rand(len(theta), generator=guesses)

    guesses = torch.Generator().manual_seed(0)
    assert score_clip(known, poses, random_poses, generator()) == ClipScores(
        1.0, 1.0, 1.0, 1.0, 1.0
    )
    scores = score_clip(guess, poses, random_poses, generator())
    assert all(abs(value - 0.5) < 0.08 for value in vars(scores).values())
    reversed_ = score_clip(lambda theta: -known(theta), poses, random_poses, generator())
    assert reversed_ == ClipScores(0.0, 0.0, 0.0, 0.0, 0.0)


def test_area_under_the_curve_by_counting():
    real, made_up = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([3.0, 4.0])
    assert area_under_curve(real, made_up) == pytest.approx(4 / 6)


def test_scores_are_averaged_by_name():
    scores = [ClipScores(1.0, 0.5, 0.25, 0.0, 1.0), ClipScores(0.0, 0.5, 0.75, 1.0, 1.0)]
    assert mean_scores(scores) == ClipScores(0.5, 0.5, 0.5, 0.5, 1.0)


def test_joints_that_turn_are_found():
    turning = recorded_joints(clip(wrist=False))
    assert turning.sum() == 22
    assert not turning[SMPL_24.index("left_wrist") - 1]
