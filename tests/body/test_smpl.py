"""SMPL against smplx, against numbers worked out by hand, and against the paper's properties."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from jaxtyping import config
from torch import Tensor

from tests.random_body import as_smplx, random_model
from tests.toy_body import toy_model
from vhlib.body import SMPL, BodyParameters
from vhlib.body.model_files import BodyModelData, find_model, read_model, write_model
from vhlib.body.skeletons import LANDMARKS, SKELETONS, SMPL_24, SMPLX_45, get_skeleton
from vhlib.body.skinning import pose_features, regress_joints
from vhlib.geometry import axis_angle_to_matrix

OPEN_BODIES = ("neutral", "female", "male")
BATCHES = ((), (1,), (5,), (2, 3), (0,))


@pytest.fixture(scope="module", params=[*OPEN_BODIES, "random"])
def model(request):
    if request.param == "random":
        return random_model(seed=3)
    return read_model(find_model(request.param))


def random_parameters(batch: tuple[int, ...], seed: int, pose_size: float = 0.6) -> BodyParameters:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*batch, *shape, generator=g)

    return BodyParameters(
        betas=normal(10),
        body_pose=axis_angle_to_matrix(pose_size * normal(23, 3)),
        global_orient=axis_angle_to_matrix(2 * normal(3)),
        transl=normal(3),
    )


def smplx_output(reference, parameters: BodyParameters):
    """smplx wants rows of a flat batch; ``pose2rot=False`` takes matrices."""
    return reference(
        betas=parameters.betas.reshape(-1, 10),
        body_pose=parameters.body_pose.reshape(-1, 23, 3, 3),
        global_orient=parameters.global_orient.reshape(-1, 1, 3, 3),
        transl=parameters.transl.reshape(-1, 3),
        pose2rot=False,
    )


@pytest.mark.parametrize("batch", [b for b in BATCHES if 0 not in b])
def test_equals_smplx(model, batch):
    smpl, reference = SMPL(model), as_smplx(model)
    parameters = random_parameters(batch, seed=len(batch))
    body, expected = smpl(**vars(parameters)), smplx_output(reference, parameters)
    assert body.vertices.shape == (*batch, model.num_vertices, 3)
    assert body.joints.shape == (*batch, 24, 3)
    vertices = expected.vertices.reshape(body.vertices.shape)
    torch.testing.assert_close(body.vertices, vertices, rtol=0, atol=1e-5)
    joints = expected.joints[:, :24].reshape(body.joints.shape)
    torch.testing.assert_close(body.joints, joints, rtol=0, atol=1e-5)
    points = expected.joints.reshape(*batch, 45, 3)
    torch.testing.assert_close(
        smpl.keypoints("smplx_45", **vars(parameters)), points, rtol=0, atol=1e-5
    )


def test_gradients_equal_smplx(model):
    smpl, reference = SMPL(model), as_smplx(model)
    weight = torch.randn(3, model.num_vertices, 3, generator=torch.Generator().manual_seed(1))
    gradients = []
    for run in (lambda p: smpl(**vars(p)), lambda p: smplx_output(reference, p)):
        leaves = {
            name: value.clone().requires_grad_()
            for name, value in vars(random_parameters((3,), seed=9)).items()
        }
        (weight * run(BodyParameters(**leaves)).vertices).sum().backward()
        gradients.append({name: leaf.grad for name, leaf in leaves.items()})
    for name, ours in gradients[0].items():
        theirs = gradients[1][name]
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm(), name


@pytest.mark.parametrize("skeleton", sorted(SKELETONS))
def test_keypoints_are_those_of_the_mesh(model, skeleton):
    smpl, parameters = SMPL(model), random_parameters((4,), seed=2)
    body = smpl(**vars(parameters))
    picked = {name: body.joints[:, i] for i, name in enumerate(SMPL_24.names)}
    for name in LANDMARKS:
        picked.setdefault(name, body.vertices[:, model.landmarks[name]])
    expected = [
        sum(weight * picked[name] for name, weight in source.items())
        for source in get_skeleton(skeleton).points.values()
    ]
    torch.testing.assert_close(
        smpl.keypoints(skeleton, **vars(parameters)), torch.stack(expected, 1), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("batch", BATCHES)
def test_batches_of_any_shape_are_the_bodies_one_by_one(batch):
    smpl = SMPL(random_model(num_vertices=500, seed=0)).double()
    single_precision = vars(random_parameters(batch, 5))
    parameters = BodyParameters(**{name: v.double() for name, v in single_precision.items()})
    body, points = smpl(**vars(parameters)), smpl.keypoints("smpl_24", **vars(parameters))
    assert points.shape == (*batch, 24, 3)
    for index in np.ndindex(*batch):
        single = smpl(**vars(parameters[index]))
        torch.testing.assert_close(body.vertices[index], single.vertices, rtol=0, atol=1e-12)
        torch.testing.assert_close(points[index], single.joints, rtol=0, atol=1e-12)


def test_arguments_broadcast_and_may_be_left_out():
    smpl = SMPL(random_model(num_vertices=500, seed=0))
    parameters = random_parameters((4,), seed=1)
    shape = parameters.betas[0]
    one_shape = smpl(betas=shape, body_pose=parameters.body_pose).vertices
    repeated = smpl(betas=shape.expand(4, 10), body_pose=parameters.body_pose).vertices
    torch.testing.assert_close(one_shape, repeated)
    assert smpl().vertices.shape == (500, 3)


@pytest.mark.parametrize("batch", BATCHES)
def test_rotations_have_the_root_first(batch):
    parameters = random_parameters(batch, seed=0)
    assert parameters.rotations.shape == (*batch, 24, 3, 3)
    assert torch.equal(parameters.rotations[..., 0, :, :], parameters.global_orient)
    assert torch.equal(parameters.rotations[..., 1:, :, :], parameters.body_pose)


def test_rest_is_the_template(model):
    smpl = SMPL(model)
    body = smpl()
    torch.testing.assert_close(body.vertices, smpl.v_template, rtol=0, atol=1e-6)
    rest_joints = regress_joints(smpl.J_regressor, smpl.v_template)
    torch.testing.assert_close(body.joints, rest_joints, rtol=0, atol=1e-6)


def test_root_turns_rigidly_about_the_pelvis(model):
    """New translation R (J0 + t) - J0: the rotation's centre is the unposed pelvis."""
    smpl = SMPL(model).double()
    parameters = random_parameters((3,), seed=4)
    p = {name: value.double() for name, value in vars(parameters).items()}
    R = axis_angle_to_matrix(torch.tensor([0.3, -1.2, 0.7], dtype=torch.float64))
    before = smpl(**p)
    pelvis = smpl(betas=p["betas"]).joints[:, 0]
    shift = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    moved = p | {
        "global_orient": R @ p["global_orient"],
        "transl": (pelvis + p["transl"]) @ R.mT + shift - pelvis,
    }
    expected = before.vertices @ R.mT + shift
    torch.testing.assert_close(smpl(**moved).vertices, expected, rtol=0, atol=1e-6)
    turned_only = smpl(**(p | {"global_orient": R @ p["global_orient"]}))
    torch.testing.assert_close(turned_only.joints[:, 0], before.joints[:, 0], rtol=0, atol=1e-12)


def test_posed_joints_are_not_regressed_from_the_posed_mesh(model):
    smpl = SMPL(model)
    body = smpl(**vars(random_parameters((1,), seed=8)))
    regressed = regress_joints(smpl.J_regressor, body.vertices)
    assert (regressed - body.joints).norm(dim=-1).max() > 1e-3


def test_every_chain_reaches_the_root():
    smpl = SMPL(random_model(num_vertices=500, seed=0))
    assert smpl.parents[0] == -1
    assert smpl.tree.ancestors[:, 0].all()
    assert [len(level) for level in smpl.tree.levels] == [1, 3, 3, 3, 5, 3, 2, 2, 2]


def test_pose_features_have_207_entries_that_ignore_the_root():
    smpl = SMPL(random_model(num_vertices=500, seed=0))
    parameters = random_parameters((2,), seed=0)
    assert pose_features(parameters.body_pose).shape == (2, 207)
    assert not pose_features(torch.eye(3).expand(23, 3, 3)).any()
    assert smpl.posedirs.shape == (500, 3, 207)


@pytest.fixture(scope="module")
def toy():
    return SMPL(toy_model(), num_betas=2).double()


class TestToyBody:
    """Two joints, two vertices; the numbers are worked out in tests/toy_body.py."""

    def test_elbow_turned_by_90_degrees(self, toy):
        quarter = torch.tensor([[0.0, 0.0, math.pi / 2]], dtype=torch.float64)
        body = toy(body_pose=axis_angle_to_matrix(quarter))
        expected = torch.tensor([[0, 0, 0], [-0.75, 1.25, -0.5]], dtype=torch.float64)
        torch.testing.assert_close(body.vertices, expected, rtol=0, atol=1e-12)

    def test_first_beta_moves_vertex_and_joint(self, toy):
        body = toy(betas=torch.tensor([1.0, 0.0], dtype=torch.float64))
        assert body.vertices.tolist() == [[0, 0, 0], [0, 4, 0]]
        assert body.joints.tolist() == [[0, 0, 0], [0, 2, 0]]

    def test_root_turned_by_180_degrees_round_the_shifted_root(self, toy):
        """betas[1] puts the root at (1, 0, 0); half a turn takes (1, 2, 0) to (1, -2, 0)."""
        half = torch.tensor([0.0, 0.0, math.pi], dtype=torch.float64)
        body = toy(
            betas=torch.tensor([0.0, 1.0], dtype=torch.float64),
            global_orient=axis_angle_to_matrix(half),
            transl=torch.tensor([0.0, 0.0, 5.0], dtype=torch.float64),
        )
        expected = torch.tensor([[1, 0, 5], [1, -2, 5]], dtype=torch.float64)
        torch.testing.assert_close(body.vertices, expected, rtol=0, atol=1e-12)

    def test_translation_moves_joints_too(self, toy):
        shift = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
        assert toy(transl=shift).joints.tolist() == [[1, 2, 3], [1, 3, 3]]

    def test_skeletons_need_24_joints(self, toy):
        with pytest.raises(ValueError, match="24 joints, this model has 2"):
            toy.keypoints("smpl_24")


@pytest.fixture(scope="module")
def smpl():
    return SMPL(random_model(num_vertices=500, seed=0))


@pytest.mark.parametrize("batch", BATCHES)
def test_a_body_of_one_joint_turns_rigidly(batch):
    vertices = np.array([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
    stone = BodyModelData(
        v_template=vertices,
        faces=np.array([[0, 1, 2]]),
        lbs_weights=np.ones((3, 1)),
        shapedirs=np.zeros((3, 3, 2)),
        posedirs=np.zeros((3, 3, 0)),
        J_regressor=np.full((1, 3), 1 / 3),
        parents=(-1,),
    )
    R = axis_angle_to_matrix(torch.tensor([0.0, 0.0, math.pi / 2])).expand(*batch, 3, 3)

    body = SMPL(stone, num_betas=2)(global_orient=R)

    centre = vertices.mean(0)
    turned = (vertices - centre) @ np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    expected = torch.tensor(turned + centre, dtype=torch.float32).expand(*batch, 3, 3)
    torch.testing.assert_close(body.vertices, expected)


class TestRefusals:
    def test_axis_angle_instead_of_matrices(self, smpl):
        with pytest.raises(
            ValueError, match=r"body_pose must be \(\*batch, 23, 3, 3\), got \(2, 69\)"
        ):
            smpl(body_pose=torch.zeros(2, 69))

    def test_wrong_number_of_betas(self, smpl):
        with pytest.raises(ValueError, match=r"betas must be \(\*batch, 10\), got \(2, 16\)"):
            smpl(betas=torch.zeros(2, 16))

    def test_other_dtype(self, smpl):
        with pytest.raises(ValueError, match=r"transl is torch.float64.*smpl.double\(\)"):
            smpl(transl=torch.zeros(3, dtype=torch.float64))

    def test_more_betas_than_the_file_has(self):
        with pytest.raises(ValueError, match="num_betas = 11: the model has 10 components"):
            SMPL(random_model(num_vertices=500, seed=0), num_betas=11)

    def test_a_file_with_fewer_betas_than_usual_is_named(self, tmp_path):
        path = tmp_path / "nine.npz"
        write_model(random_model(num_vertices=60, num_joints=24, num_shapes=9), path)
        with pytest.raises(
            ValueError, match=r"nine\.npz: .* 9 components, so num_betas can be 1 to 9"
        ):
            SMPL.load(path)
        assert SMPL.load(path, num_betas=9)().vertices.shape == (60, 3)

    def test_batches_that_do_not_broadcast(self, smpl):
        message = r"batch axes don't broadcast: betas \(2,\), transl \(3,\)$"
        arguments = {"betas": torch.zeros(2, 10), "transl": torch.zeros(3, 3)}
        for function in (smpl, partial(smpl.keypoints, "smpl_24")):
            with pytest.raises(ValueError, match=message):
                function(**arguments)

    @pytest.mark.parametrize("betas", [np.zeros(10, np.float32), [0.0] * 10, 0.0])
    def test_what_is_no_tensor(self, smpl, betas, monkeypatch):
        monkeypatch.setattr(config, "jaxtyping_disable", True)  # outside of tests nobody checks
        with pytest.raises(ValueError, match=r"betas must be a tensor, got \w+; torch.as_tensor"):
            smpl(betas=betas)

    def test_unknown_skeleton(self, smpl):
        with pytest.raises(ValueError, match=r"unknown skeleton 'openpose'; known: .*openpose_25"):
            smpl.keypoints("openpose")

    def test_missing_landmarks_are_named(self):
        data = random_model(num_vertices=500, seed=0)
        some = {name: v for name, v in data.landmarks.items() if name not in ("nose", "left_ear")}
        with pytest.raises(
            ValueError, match="openpose_25 needs the landmark vertices left_ear, nose"
        ):
            SMPL(_with_landmarks(data, some)).keypoints("openpose_25")


def _with_landmarks(data, landmarks):
    from dataclasses import replace

    return replace(data, landmarks=landmarks)


def test_arguments_are_left_alone():
    smpl = SMPL(random_model(num_vertices=500, seed=0))
    parameters = random_parameters((2,), seed=0)
    copies = {name: value.clone() for name, value in vars(parameters).items()}
    smpl(**vars(parameters))
    smpl.keypoints("openpose_25", **vars(parameters))
    smpl.keypoint_regressor("openpose_25").linearize(parameters.betas, parameters.rotations)
    for name, value in vars(parameters).items():
        assert torch.equal(value, copies[name])


def test_double_precision_follows_the_module():
    smpl = SMPL(random_model(num_vertices=500, seed=0))
    single = smpl.keypoints("smplx_45")
    double = smpl.double().keypoints("smplx_45")
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=0, atol=1e-6)


def test_smplx_order_of_landmarks():
    assert SMPLX_45.names[24:27] == ("nose", "right_eye", "left_eye")
    assert len(SMPLX_45) == 45
