import numpy as np
import pytest
import torch

from vhlib.body.keypoints import Keypoints
from vhlib.body.skeletons import OPENPOSE_25B
from vhlib.data import four_cameras
from vhlib.data.downloads import cached
from vhlib.data.four_cameras import LIMB_JOINTS, follow_subject, read_qca_calibration

SUBJECT, BYSTANDER = (500.0, 800.0), (100.0, 400.0)


def person(centre, height, confidence):
    """A stick of 25 points of the given height."""
    y = torch.linspace(-height / 2, height / 2, 25)
    xy = torch.stack([torch.full_like(y, centre[0]), centre[1] + y], -1)
    return xy, torch.full((25,), confidence)


def crowd(*people):
    xy, confidence = zip(*people, strict=True) if people else ((), ())
    return Keypoints(
        torch.stack(xy) if people else torch.zeros(0, 25, 2),
        torch.stack(confidence) if people else torch.zeros(0, 25),
        "openpose_25b",
    )


def test_follows_the_large_confident_person_whatever_the_order():
    tall, small = person(SUBJECT, 700, 0.7), person(BYSTANDER, 450, 0.4)
    followed = follow_subject([crowd(tall, small), crowd(small, tall)] * 5)
    assert followed.xy.shape == (10, 25, 2)
    assert torch.allclose(followed.xy.mean(1), torch.tensor(SUBJECT))


def test_a_bystander_who_wins_one_frame_is_not_followed():
    tall, small = person(SUBJECT, 700, 0.7), person(BYSTANDER, 450, 0.4)
    weak = person(SUBJECT, 300, 0.3)
    frames = [crowd(tall, small)] * 10
    frames[4] = crowd(weak, small)
    followed = follow_subject(frames)
    assert torch.allclose(followed.xy.mean(1), torch.tensor(SUBJECT))


def test_a_frame_with_nobody_has_no_confidence():
    tall = person(SUBJECT, 700, 0.7)
    followed = follow_subject([crowd(tall), crowd(), crowd(tall)])
    assert followed.confidence[1].max() == 0
    assert followed.confidence[[0, 2]].min() > 0.6


def test_who_has_no_seen_point_is_not_there():
    """Listed first, or alone: neither is followed, and neither stops the rest."""
    tall, unseen = person(SUBJECT, 700, 0.7), person(BYSTANDER, 900, 0.0)
    followed = follow_subject([crowd(unseen, tall), crowd(unseen), crowd(tall, unseen)])
    assert followed.confidence.mean(-1).tolist() == pytest.approx([0.7, 0.0, 0.7])
    assert torch.allclose(followed.xy[[0, 2]].mean(1), torch.tensor(SUBJECT))


CALIBRATION = """<?xml version='1.0'?>
<calibration><cameras><camera serial="one">
<fov_video bottom="1919" left="0" right="1087" top="0"/>
<transform r11="1" r12="0" r13="0" r21="0" r22="0" r23="1" r31="0" r32="-1" r33="0"
 x="0" y="-3000" z="1000"/>
<intrinsic centerPointU="34816" centerPointV="61440" focalLengthU="107520" focalLengthV="107520"/>
</camera></cameras></calibration>"""


def test_calibration_units_and_axes(tmp_path):
    """A camera 3 m behind the origin, 1 m up, looking along +y with z up."""
    path = tmp_path / "calibration.txt"
    path.write_text(CALIBRATION)
    camera = read_qca_calibration(path)
    torch.testing.assert_close(camera.position, torch.tensor([[0.0, -3, 1]], dtype=torch.float64))
    assert camera.image_size == (1088, 1920)
    assert camera.focal_length.tolist() == [[1680.0, 1680.0]]
    points = torch.tensor([[[0.0, 0, 1], [0.3, 0, 1], [0, 0, 1.3]]], dtype=torch.float64)
    centre, right, above = camera.project(points)[0].tolist()
    assert centre == pytest.approx([544, 960])
    assert right == pytest.approx([544 + 168, 960])
    assert above == pytest.approx([544, 960 - 168])


def test_unknown_trial_is_named():
    with pytest.raises(ValueError, match="unknown trial 'running'; known: balancing, static"):
        four_cameras.load("running")


def test_limb_joints_exist_in_every_skeleton_used():
    assert len(LIMB_JOINTS) == 12
    assert OPENPOSE_25B.indices(*LIMB_JOINTS) == list(range(5, 17))


@pytest.fixture(scope="module")
def clip():
    if cached("pose2sim") is None:
        pytest.skip("run `vh assets fetch`")
    return four_cameras.load()


@pytest.mark.real_data
class TestRealClip:
    def test_sizes(self, clip):
        assert len(clip) == 100
        assert clip.truth().shape == (100, 12, 3)
        assert clip.detections.confidence.shape == (4, 100, 25)
        assert [camera.image_size for camera in clip.cameras] == [(1080, 1920)] * 2 + [
            (1088, 1920)
        ] * 2

    def test_pictures_have_the_cameras_size(self, clip):
        for c, camera in enumerate(clip.cameras):
            width, height = camera.image_size
            picture = clip.frame(c, 3)
            assert picture.shape == (height, width, 3)
            assert picture.dtype == np.uint8

    def test_refinement_mends_the_calibration(self, clip):
        raw, refined = clip.residuals(refined=False), clip.residuals()
        assert float(raw.nanmedian()) == pytest.approx(9.1, abs=0.3)
        assert float(refined.nanmedian()) == pytest.approx(6.3, abs=0.3)
        for camera in clip.cameras:
            assert camera.position[2] == pytest.approx(1.9, abs=0.3)

    def test_raw_and_refined_truth_differ_by_as_much_as_is_stated(self, clip):
        raw, refined = clip.truth(refined=False), clip.truth()
        hips = [LIMB_JOINTS.index(f"{side}_hip") for side in ("left", "right")]
        raw, refined = (x - x[:, hips].mean(1, keepdim=True) for x in (raw, refined))
        assert float((raw - refined).norm(dim=-1).mean()) == pytest.approx(0.024, abs=0.001)

    def test_the_subject_has_human_bones_of_constant_length(self, clip):
        truth = clip.truth()

        def length(a, b):
            return (truth[:, LIMB_JOINTS.index(a)] - truth[:, LIMB_JOINTS.index(b)]).norm(dim=-1)

        for side in ("left", "right"):
            thigh, shank = (
                length(f"{side}_hip", f"{side}_knee"),
                length(f"{side}_knee", f"{side}_ankle"),
            )
            for bone in (thigh, shank):
                assert 0.36 < bone.mean() < 0.45
                assert bone.std() < 0.02

    def test_truth_moves_smoothly(self, clip):
        speed = clip.truth().diff(dim=0).norm(dim=-1) * clip.fps
        assert speed.median() < 1.0
        assert speed.quantile(0.99) < 5.0

    def test_refined_truth_reprojects_onto_the_detections(self, clip):
        limbs = OPENPOSE_25B.indices(*LIMB_JOINTS)
        for c, camera in enumerate(clip.cameras):
            seen = clip.keypoints(c)
            error = (camera.project(clip.truth()) - seen.xy[:, limbs]).norm(dim=-1)
            assert error[seen.confidence[:, limbs] > 0.3].median() < 9
            assert seen.height().median() > 500

    def test_chosen_frames(self, clip):
        every = clip.keypoints(2)
        some = clip.keypoints(2, [5, 90])
        assert torch.equal(some.xy, every.xy[[5, 90]])
        assert some.skeleton == "openpose_25b"

    @pytest.mark.parametrize(("camera", "frame"), [(4, 0), (-1, 0), (0, 100), (0, -1)])
    def test_indices_outside_are_named(self, clip, camera, frame):
        with pytest.raises(IndexError, match=r"there is no (camera|frame)"):
            clip.keypoints(camera, [frame])

    def test_loading_twice_gives_the_same(self, clip):
        again = four_cameras.load()
        assert torch.equal(again.truth(), clip.truth())

    def test_the_static_trial_is_one_pose(self, clip):
        static = four_cameras.load("static")
        assert len(static) == 12
        assert static.truth().std(dim=0).max() < 1e-5
        assert float(static.residuals().nanmedian()) < 5
        for a, b in zip(static.cameras, clip.cameras, strict=True):
            assert torch.equal(a.T_camera_world, b.T_camera_world)


def test_a_mosaic_keeps_no_detail_inside_and_everything_outside():
    picture = np.random.default_rng(0).integers(0, 256, (100, 90, 3)).astype(np.uint8)
    before = picture.copy()
    hidden = four_cameras.mosaic(picture, (10, 20, 50, 60))
    assert np.array_equal(picture, before)
    inside = np.zeros((100, 90), dtype=bool)
    inside[20:60, 10:50] = True
    assert np.array_equal(hidden[~inside], picture[~inside])
    first_block = hidden[20 : 20 + four_cameras.MOSAIC, 10 : 10 + four_cameras.MOSAIC]
    assert (first_block == first_block[0, 0]).all()


@pytest.mark.real_data
def test_the_bystander_s_head_is_hidden(clip):
    """Neighbouring pixels differ only at the edges of blocks."""
    for camera, (left, top, right, bottom) in four_cameras.BYSTANDERS.items():
        head = clip.frame(camera, 0)[top:bottom, left:right].astype(int)
        assert (np.diff(head, axis=1) == 0).mean() > 0.9
