import pytest
import torch

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
    unpose,
    vertex_transforms,
)
from vhlib.body.skinning import linear_blend_skinning, pose_features
from vhlib.geometry.rotations import axis_angle_to_matrix

V = 7


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def linear_people(generator: torch.Generator, num_people: int, rank: int) -> torch.Tensor:
    """People who differ in ``rank`` ways only."""
    ways = normal(generator, rank, V, 3)
    return normal(generator, V, 3) + torch.tensordot(normal(generator, num_people, rank), ways, 1)


class TestShape:
    def test_people_of_rank_k_need_k_components(self, generator):
        people = linear_people(generator, 30, 3)
        errors = reconstruction_errors(learn_shape_space(people, 4), people, (0, 2, 3))
        assert errors[3] < 1e-9 < 0.01 < errors[2] < errors[0]

    def test_betas_of_the_training_set_are_standard_scores(self, generator):
        people = linear_people(generator, 40, 5)
        betas = learn_shape_space(people, 5).encode(people)
        assert torch.allclose(torch.cov(betas.T), torch.eye(5).double())
        assert torch.allclose(betas.mean(0), torch.zeros(5).double(), atol=1e-9)

    def test_components_agree_with_the_singular_value_decomposition(self, generator):
        people = normal(generator, 12, V, 3)
        space = learn_shape_space(people, 4)
        _, s, Vt = torch.linalg.svd((people - people.mean(0)).flatten(1), full_matrices=False)
        expected = (Vt[:4] * s[:4, None] / 11**0.5).T.unflatten(0, (V, 3))
        alike = (space.directions * expected).sum((0, 1)).sign()
        assert torch.allclose(space.directions, expected * alike)
        assert torch.allclose(space.explained, (s**2 / (s**2).sum())[:4])

    @pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
    def test_encode_inverts_decode_over_any_batch(self, generator, batch):
        space = learn_shape_space(normal(generator, 12, V, 3), 4)
        betas = normal(generator, *batch, 4)
        assert torch.allclose(space.encode(space.decode(betas)), betas)

    def test_signs_follow_the_measures(self, generator):
        space = learn_shape_space(normal(generator, 12, V, 3), 3)
        flipped = ShapeSpace(
            space.mean, space.directions * torch.tensor([-1.0, 1, -1]), space.explained
        )
        measures = [lambda mesh: mesh[:, 1].max() - mesh[:, 1].min(), lambda mesh: mesh[:, 0].sum()]
        for turned in (orient_components(space, measures), orient_components(flipped, measures)):
            for k in range(3):
                grown, shrunk = (turned.mean + s * turned.directions[..., k] for s in (1, -1))
                assert measures[min(k, 1)](grown) >= measures[min(k, 1)](shrunk)

    @pytest.mark.parametrize("num_components", [0, 5, 6])
    def test_five_people_have_at_most_four_components(self, generator, num_components):
        with pytest.raises(ValueError, match="expected 1 to 4 for 5 people"):
            learn_shape_space(normal(generator, 5, V, 3), num_components)


class TestJoints:
    def test_planted_convex_combinations_are_found(self, generator):
        people = normal(generator, 20, V, 3)
        planted = torch.zeros(2, V).double()
        planted[0, [1, 4]] = torch.tensor([0.3, 0.7]).double()
        planted[1, 2] = 1
        found = learn_joint_regressor(people, planted @ people, torch.ones(2, V, dtype=torch.bool))
        assert torch.allclose(found, planted, atol=1e-9)

    def test_weights_are_convex_and_stay_with_the_candidates(self, generator):
        people, joints = normal(generator, 20, V, 3), 3 + normal(generator, 20, 2, 3)
        candidates = torch.zeros(2, V, dtype=torch.bool)
        candidates[0, :3] = candidates[1, 3:] = True
        found = learn_joint_regressor(people, joints, candidates)
        assert (found >= 0).all()
        assert torch.allclose(found.sum(1), torch.ones(2).double())
        assert not found[~candidates].any()

    def test_no_convex_combination_is_better(self, generator):
        people, joints = normal(generator, 30, V, 3), normal(generator, 30, 1, 3) / 4
        found = learn_joint_regressor(people, joints, torch.ones(1, V, dtype=torch.bool))

        def loss(weights):
            return (weights @ people - joints).square().sum()

        others = torch.softmax(normal(generator, 200, V), 1)
        nearby = 0.99 * found + 0.01 * others
        assert all(loss(found) <= loss(w[None]) + 1e-9 for w in torch.cat([others, nearby]))

    def test_errors_are_mean_distances(self):
        people = torch.zeros(2, V, 3).double()
        joints = torch.tensor([[[3.0, 4, 0]], [[0, 0, 1]]]).double()
        regressor = torch.full((1, V), 1 / V).double()
        assert joint_errors(regressor, people, joints).tolist() == [3.0]

    def test_a_joint_without_candidates_is_named(self, generator):
        candidates = torch.ones(2, V, dtype=torch.bool)
        candidates[1] = False
        with pytest.raises(ValueError, match=r"joints \[1\] have no candidate"):
            learn_joint_regressor(
                normal(generator, 4, V, 3), normal(generator, 4, 2, 3), candidates
            )


class TestPose:
    def test_unpose_inverts_skinning(self, generator):
        rotations = axis_angle_to_matrix(0.5 * normal(generator, 4, 3, 3))
        transforms = torch.cat([rotations, normal(generator, 4, 3, 3)[..., None]], -1)
        weights = torch.softmax(normal(generator, V, 3), 1)
        rest = normal(generator, V, 3)
        posed = linear_blend_skinning(rest.expand(4, V, 3), weights, transforms)
        back = unpose(posed, vertex_transforms(weights, transforms))
        assert torch.allclose(back, rest.expand_as(back))

    def test_planted_correctives_are_found(self, generator):
        features, planted = normal(generator, 60, 9), normal(generator, V, 3, 9)
        offsets = torch.einsum("vcf,pf->pvc", planted, features)
        support = torch.ones(V, 9, dtype=torch.bool)
        found = learn_pose_correctives(features, offsets, support, ridge=1e-12)
        assert torch.allclose(found, planted, atol=1e-6)

    def test_it_is_the_ridge_solution_of_each_vertex_within_its_support(self, generator):
        features, offsets = normal(generator, 30, 6), normal(generator, 30, V, 3)
        support = torch.rand(V, 6, generator=generator) < 0.6
        support[3] = False
        found = learn_pose_correctives(features, offsets, support, ridge=0.2)
        for vertex, columns in enumerate(support):
            X = features[:, columns]
            rows = torch.cat([X, (0.2 * 30) ** 0.5 * torch.eye(X.shape[1]).double()])
            right = torch.cat([offsets[:, vertex], torch.zeros(X.shape[1], 3).double()])
            expected = torch.linalg.lstsq(rows, right).solution.T
            assert torch.allclose(found[vertex][:, columns], expected)
        assert not found.transpose(1, 2)[~support].any()

    def test_errors_are_measured_in_the_posed_body(self, generator):
        features, offsets = normal(generator, 5, 9), normal(generator, 5, V, 3)
        rotations = axis_angle_to_matrix(normal(generator, 5, V, 3))
        skinning = torch.cat([2 * rotations, torch.zeros(5, V, 3, 1).double()], -1)
        posedirs = normal(generator, V, 3, 9)
        before, after = pose_errors(posedirs, features, offsets, skinning)
        left = offsets - torch.einsum("vcf,pf->pvc", posedirs, features)
        assert before == pytest.approx(2 * float(offsets.norm(dim=-1).mean()))
        assert after == pytest.approx(2 * float(left.norm(dim=-1).mean()))


class TestSymmetry:
    mirror = torch.tensor([1, 0, 2, 4, 3, 6, 5])
    joint_mirror = torch.tensor([0, 2, 1])
    reflect = torch.diag(torch.tensor([-1.0, 1, 1])).double()

    def test_meshes_and_weights_equal_their_mirror_images(self, generator):
        mesh = symmetrise_meshes(normal(generator, 2, V, 3), self.mirror)
        assert torch.allclose(mesh[:, self.mirror] @ self.reflect, mesh)
        assert torch.allclose(symmetrise_meshes(mesh, self.mirror), mesh)
        weights = torch.softmax(normal(generator, V, 3), 1)
        weights = symmetrise_weights(weights, self.mirror, self.joint_mirror)
        assert torch.allclose(weights[self.mirror][:, self.joint_mirror], weights)
        assert torch.allclose(weights.sum(1), torch.ones(V).double())

    def test_the_mirrored_pose_gives_the_mirrored_offsets(self, generator):
        posedirs = normal(generator, V, 3, 18)
        symmetric = symmetrise_posedirs(posedirs, self.mirror, self.joint_mirror)
        pose = axis_angle_to_matrix(normal(generator, 2, 3))
        mirrored_pose = self.reflect @ pose.flip(0) @ self.reflect

        def offsets(directions, rotations):
            return directions @ pose_features(rotations)

        expected = offsets(symmetric, pose)[self.mirror] @ self.reflect
        assert torch.allclose(offsets(symmetric, mirrored_pose), expected)
        assert not torch.allclose(
            offsets(posedirs, mirrored_pose), offsets(posedirs, pose)[self.mirror] @ self.reflect
        )
