"""The equations of SMPL against slow loops over joints, vertices and bones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vhlib.body.skeletons import SMPL_24, SMPL_PARENTS
from vhlib.body.skinning import (
    KinematicTree,
    blend_shapes,
    bone_transforms,
    forward_kinematics,
    linear_blend_skinning,
    pose_features,
    regress_joints,
)
from vhlib.geometry import axis_angle_to_matrix

SMPL_TREE = KinematicTree(
    tuple(-1 if parent is None else SMPL_24.index(parent) for parent in SMPL_PARENTS.values())
)
BATCHES = [(), (1,), (4,), (2, 3), (0,)]
any_batch = pytest.mark.parametrize("batch", BATCHES)


@st.composite
def parents_of_trees(draw) -> tuple[int, ...]:
    """Of any tree whose parents come before their children, in any order of levels."""
    count = draw(st.integers(1, 9))
    return (-1, *(draw(st.integers(0, joint - 1)) for joint in range(1, count)))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def rotations(*shape: int, seed: int = 0) -> torch.Tensor:
    """Of every size: some are nearly the identity, some turn by more than half a circle."""
    axis_angle = normal(*shape, 3, seed=seed) * 10 ** normal(*shape, 1, seed=seed + 1)
    return axis_angle_to_matrix(axis_angle)


def homogeneous(R: np.ndarray, t: np.ndarray) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, t
    return T


def chain(tree: KinematicTree, R: np.ndarray, joints: np.ndarray) -> list[np.ndarray]:
    """World transform of each joint, eq. 4: the product of 4 x 4 matrices down from the root."""
    world: list[np.ndarray] = []
    for j, parent in enumerate(tree.parents):
        bone = joints[j] - (joints[parent] if parent >= 0 else 0)
        local = homogeneous(R[j], bone)
        world.append(world[parent] @ local if parent >= 0 else local)
    return world


class TestTree:
    @given(parents=parents_of_trees())
    def test_levels_hold_every_joint_one_below_its_parent(self, parents):
        tree = KinematicTree(parents)
        level_of = {j: depth for depth, level in enumerate(tree.levels) for j in level}
        assert sorted(level_of) == list(range(len(tree.parents)))
        assert level_of[0] == 0
        assert all(
            level_of[j] == level_of[parent] + 1
            for j, parent in enumerate(tree.parents[1:], start=1)
        )

    @given(parents=parents_of_trees())
    def test_ancestors_are_those_met_on_the_way_up(self, parents):
        tree = KinematicTree(parents)
        for joint in range(len(tree.parents)):
            met, above = set(), joint
            while above >= 0:
                met.add(above)
                above = tree.parents[above]
            assert set(tree.ancestors[joint].nonzero()[:, 0].tolist()) == met

    def test_smpl_has_nine_levels(self):
        assert [len(level) for level in SMPL_TREE.levels] == [1, 3, 3, 3, 5, 3, 2, 2, 2]
        assert int(SMPL_TREE.ancestors.sum(1).max()) == 9


@any_batch
def test_blend_shapes_add_each_direction(batch):
    coefficients, directions = normal(*batch, 4), normal(5, 3, 4, seed=1)
    slow = torch.zeros(*batch, 5, 3, dtype=torch.float64)
    for c in range(4):
        slow = slow + coefficients[..., c, None, None] * directions[:, :, c]
    torch.testing.assert_close(blend_shapes(coefficients, directions), slow)


@any_batch
def test_joints_are_weighted_means(batch):
    weights, vertices = normal(2, 5), normal(*batch, 5, 3, seed=1)
    slow = sum(weights[:, v, None] * vertices[..., None, v, :] for v in range(5))
    torch.testing.assert_close(regress_joints(weights, vertices), slow)


@any_batch
def test_pose_features_are_entries_of_r_minus_i_row_by_row(batch):
    R = rotations(*batch, 3)
    features = pose_features(R)
    assert features.shape == (*batch, 27)
    for joint in range(3):
        for row in range(3):
            for column in range(3):
                entry = R[..., joint, row, column] - float(row == column)
                torch.testing.assert_close(features[..., 9 * joint + 3 * row + column], entry)


class TestForwardKinematics:
    @given(parents=parents_of_trees(), seed=st.integers(0, 1000), batch=st.sampled_from(BATCHES))
    @settings(max_examples=60, deadline=None)
    def test_is_the_product_of_the_chain(self, parents, seed, batch):
        tree, count = KinematicTree(parents), len(parents)
        R, joints = rotations(*batch, count, seed=seed), normal(*batch, count, 3, seed=seed + 5)
        world, posed = forward_kinematics(R, joints, tree)
        assert world.shape == (*batch, count, 3, 3)
        assert posed.shape == (*batch, count, 3)
        flat = (R.reshape(-1, count, 3, 3), joints.reshape(-1, count, 3))
        found = (world.reshape(-1, count, 3, 3), posed.reshape(-1, count, 3))
        for one_R, one_joints, one_world, one_posed in zip(*flat, *found, strict=True):
            for j, T in enumerate(chain(tree, one_R.numpy(), one_joints.numpy())):
                np.testing.assert_allclose(one_world[j], T[:3, :3], atol=1e-12)
                np.testing.assert_allclose(one_posed[j], T[:3, 3], atol=1e-12)

    def test_bones_keep_their_lengths(self):
        joints = normal(24, 3)
        _, posed = forward_kinematics(rotations(50, 24), joints.expand(50, 24, 3), SMPL_TREE)
        for j, parent in enumerate(SMPL_TREE.parents[1:], start=1):
            length = (posed[:, j] - posed[:, parent]).norm(dim=-1)
            torch.testing.assert_close(length, (joints[j] - joints[parent]).norm().expand(50))

    def test_a_joint_moves_only_what_lies_below_it(self):
        joints, R = normal(24, 3), rotations(24)
        _, before = forward_kinematics(R, joints, SMPL_TREE)
        for j in range(24):
            turned = R.clone()
            turned[j] = rotations(1, seed=9)[0] @ R[j]
            _, after = forward_kinematics(turned, joints, SMPL_TREE)
            moved = (after - before).norm(dim=-1) > 1e-9
            below = SMPL_TREE.ancestors[:, j].clone()
            below[j] = False
            assert torch.equal(moved, below)

    def test_gradients(self):
        tree = KinematicTree((-1, 0, 0, 2))
        arguments = (rotations(2, 4).requires_grad_(), normal(2, 4, 3).requires_grad_())
        assert torch.autograd.gradcheck(lambda R, j: forward_kinematics(R, j, tree), arguments)


class TestSkinning:
    @any_batch
    def test_is_the_weighted_mean_of_what_each_bone_does(self, batch):
        tree, count = KinematicTree((-1, 0, 1, 0)), 4
        R, joints = rotations(*batch, count), normal(*batch, count, 3, seed=3)
        vertices = normal(*batch, 6, 3, seed=4)
        weights = torch.softmax(normal(6, count, seed=5), -1)
        world, posed = forward_kinematics(R, joints, tree)
        skinned = linear_blend_skinning(vertices, weights, bone_transforms(world, posed, joints))
        assert skinned.shape == (*batch, 6, 3)

        flat = (x.reshape(-1, *x.shape[len(batch) :]).numpy() for x in (R, joints, vertices))
        for one_R, one_joints, rest, found in zip(*flat, skinned.reshape(-1, 6, 3), strict=True):
            chained = chain(tree, one_R, one_joints)
            for v in range(6):
                blended = np.zeros(4)
                for j in range(count):
                    to_joint = homogeneous(np.eye(3), -one_joints[j])
                    at_rest = np.append(rest[v], 1.0)
                    blended += float(weights[v, j]) * (chained[j] @ to_joint @ at_rest)
                np.testing.assert_allclose(found[v], blended[:3], atol=1e-12)

    def test_at_rest_nothing_moves(self):
        joints, vertices = normal(24, 3), normal(10, 3, seed=1)
        identity = torch.eye(3, dtype=torch.float64).expand(24, 3, 3)
        world, posed = forward_kinematics(identity, joints, SMPL_TREE)
        torch.testing.assert_close(posed, joints)
        weights = torch.softmax(normal(10, 24, seed=2), -1)
        transforms = bone_transforms(world, posed, joints)
        torch.testing.assert_close(linear_blend_skinning(vertices, weights, transforms), vertices)

    def test_a_vertex_of_one_bone_moves_rigidly_with_it(self):
        joints, vertices = normal(24, 3), normal(24, 3, seed=1)
        world, posed = forward_kinematics(rotations(24), joints, SMPL_TREE)
        weights = torch.eye(24, dtype=torch.float64)
        skinned = linear_blend_skinning(vertices, weights, bone_transforms(world, posed, joints))
        torch.testing.assert_close((skinned - posed).norm(dim=-1), (vertices - joints).norm(dim=-1))

    def test_gradients(self):
        arguments = [rotations(2, 3), normal(2, 3, 3, seed=1), normal(2, 3, 3, seed=2)]
        vertices = normal(2, 5, 3, seed=3)
        weights = torch.softmax(normal(5, 3, seed=4), -1)

        def skin(world, posed, joints, vertices):
            transforms = bone_transforms(world, posed, joints)
            return linear_blend_skinning(vertices, weights, transforms)

        inputs = [x.requires_grad_() for x in (*arguments, vertices)]
        assert torch.autograd.gradcheck(skin, inputs)
