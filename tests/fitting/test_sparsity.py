"""Which residual feels which unknown: known from the tree for joints, from the equations else."""

from __future__ import annotations

import pytest
import torch

from vhlib.body import Keypoints
from vhlib.body.skeletons import SMPL_24
from vhlib.fitting import load_pose_prior
from vhlib.fitting.energies import Bending, PosePrior, Reprojection, ShapePrior
from vhlib.fitting.posed_body import pack
from vhlib.fitting.solvers import Problem
from vhlib.fitting.sparsity import JacobianPattern, jacobian_pattern


@pytest.fixture(scope="module")
def pattern(views) -> JacobianPattern:
    """Of all terms on SMPL's own joints, which no mesh is needed for."""
    points = views.smpl.keypoints("smpl_24", **vars(views.truth))
    keypoints = Keypoints(views.camera.project(points), torch.ones(4, 24), "smpl_24")
    terms = [Reprojection(views.camera, keypoints), PosePrior(load_pose_prior()), Bending()]
    weighted = [(term, 1.0) for term in [*terms, ShapePrior()]]
    problem = Problem(views.smpl.keypoint_regressor("smpl_24"), weighted)
    return jacobian_pattern(problem, pack(views.truth))


def test_a_joint_feels_those_above_it_the_shape_and_the_camera(pattern, views):
    columns = list(pattern.columns)
    above = views.smpl.tree.ancestors & ~torch.eye(24, dtype=torch.bool)
    blocks = pattern.by_block()[pattern.terms["reprojection"]]
    for axis in (0, 1):
        assert torch.equal(blocks[axis::2, :24], above)
    for name in ("betas", "transl", "focal_length"):
        assert blocks[:, columns.index(name)].all()


def test_rows_and_columns_have_names(pattern):
    assert pattern.felt.shape == (48 + 70 + 4 + 10, 86)
    assert len(pattern.rows) == len(pattern.felt)
    assert pattern.rows[2 * SMPL_24.index("left_wrist") : 42] == ("left_wrist u", "left_wrist v")
    assert pattern.rows[pattern.terms["bending"]] == (
        "left_elbow",
        "right_elbow",
        "left_knee",
        "right_knee",
    )
    assert pattern.columns["left_knee"] == slice(12, 15)


def test_priors_feel_their_own_blocks(pattern):
    felt = pattern.felt
    assert felt[pattern.terms["bending"]].sum() == 4
    assert torch.equal(felt[pattern.terms["shape_prior"]].nonzero()[:, 1], torch.arange(72, 82))
    pose = felt[pattern.terms["pose_prior"]]
    assert pose[:69, 3:72].any(0).all()
    assert not pose[:, :3].any()
    assert not pose[69].any(), "the component's constant moves nothing"
    assert pattern.share == pytest.approx(float(felt.sum()) / felt.numel())


def test_what_is_small_counts_as_nothing_on_request(views):
    terms = [(Reprojection(views.camera, views.keypoints), 1.0)] * 2
    problem = Problem(views.smpl.keypoint_regressor("openpose_25"), terms)
    every, large = (jacobian_pattern(problem, pack(views.truth), share) for share in (0.0, 0.05))
    assert list(every.terms) == ["reprojection", "reprojection 2"]
    assert large.share < every.share
    assert (every.felt | ~large.felt).all()
    # A point of the mesh is moved a little by every joint's correctives.
    nose = every.rows.index("nose u")
    knee = every.columns["left_knee"]
    assert every.felt[nose, knee].any()
    assert not large.felt[nose, knee].any()
