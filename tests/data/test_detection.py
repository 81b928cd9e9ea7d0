"""The detector on real frames, against mediapipe's stored answers, and on bad photos."""

from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.detector import ANSWERS, LIMBS_HERE, differences, first_look, is_swapped
from vhlib.body.skeletons import BLAZEPOSE_33
from vhlib.data import four_cameras
from vhlib.data.detection import People, detect_people
from vhlib.data.downloads import cached
from vhlib.data.left_right import exchanged
from vhlib.data.videos import read_frames

CLIP_FRAMES, VIDEO_FRAMES = (0, 10, 40), (60, 120, 135, 165)
SWAPPED_FRAMES = (44, 48, 52)
FLIP = BLAZEPOSE_33.flip_permutation


def needs(*packages):
    """Skip where LiteRT or one of the packages isn't there: tests never download."""
    pytest.importorskip("ai_edge_litert")
    for name in ("mediapipe", *packages):
        if cached(name) is None:
            pytest.skip(f"needs the real data {name}: run vh assets fetch {name}")


@cache
def frames(camera):
    clip = four_cameras.load()
    wanted = CLIP_FRAMES + (SWAPPED_FRAMES if camera == 1 else ())
    return dict(zip(sorted(wanted), clip.frames(camera, wanted), strict=True))


@cache
def video():
    path = next(cached("sports2d").rglob("demo.mp4"))
    return dict(zip(VIDEO_FRAMES, read_frames(path, VIDEO_FRAMES), strict=True))


@pytest.fixture(scope="module")
def photo():
    needs("pose2sim")
    return frames(0)[40]


@pytest.fixture(scope="module")
def found(photo):
    return detect_people(photo)


def relative(a, b, person=0):
    """Median distance of two people's keypoints in shares of their height."""
    distance = (a.xy[person] - b.xy[person]).norm(dim=-1).median()
    return float(distance / a.height()[person])


# Against mediapipe


def check_against_mediapipe(pictures):
    """Medians over pictures; single ones vary, since the two see slightly different crops."""
    stored = np.load(ANSWERS)
    rows = [
        differences(detect_people(p), stored[f"{name}/keypoints"], stored[f"{name}/mask"])
        for name, p in pictures.items()
    ]
    named, other, overlap = np.array(rows).T
    assert (named < other).all(), "left and right differ from mediapipe's"
    assert np.median(named) < 0.02
    assert named.max() < 0.04
    assert np.median(overlap) >= 0.9
    assert overlap.min() > 0.85


@pytest.mark.parametrize("camera", range(4))
def test_keypoints_and_masks_are_mediapipes(camera):
    needs("pose2sim")
    chosen = {f"camera{camera}_{i:03d}": frames(camera)[i] for i in CLIP_FRAMES}
    check_against_mediapipe(chosen)


def test_keypoints_and_masks_are_mediapipes_on_another_video():
    needs("sports2d")
    check_against_mediapipe({f"sports2d_{i:03d}": video()[i] for i in VIDEO_FRAMES})


# Left and right


@pytest.mark.parametrize("frame", SWAPPED_FRAMES)
def test_a_front_taken_for_a_back_is_put_right(frame):
    needs("pose2sim")
    openpose = four_cameras.load().keypoints(1, [frame])
    picture = frames(1)[frame]
    assert is_swapped(first_look(picture, openpose.xy[0].mean(0))[None], openpose)
    people = detect_people(picture)
    assert people.corrected[0]
    assert not is_swapped(people.keypoints.xy[:1], openpose)


@pytest.mark.parametrize("camera", [2, 3])
def test_a_back_stays_a_back(camera):
    needs("pose2sim")
    people = detect_people(frames(camera)[0])
    assert not people.corrected.any()
    assert not is_swapped(people.keypoints.xy[:1], four_cameras.load().keypoints(camera, [0]))


def test_the_frame_before_names_the_sides(photo, found):
    everybody = torch.ones(len(found), dtype=torch.bool)
    other = exchanged(found.keypoints, everybody)
    named = detect_people(photo, previous=other)
    assert torch.equal(named.keypoints.xy, other.xy)
    assert torch.equal(named.world, found.world[:, torch.from_numpy(FLIP)])
    assert named.corrected.all()
    same = detect_people(photo, previous=found.keypoints)
    assert torch.equal(same.keypoints.xy, found.keypoints.xy)


# What one photo gives


def test_a_person_has_a_box_a_mask_and_a_body_in_metres(photo, found):
    height, width = photo.shape[:2]
    assert len(found) == 1
    mask = found.mask(0)
    assert mask.shape == (height, width)
    assert mask.min() >= 0
    assert mask.max() <= 1
    x, y = found.keypoints.xy[0, LIMBS_HERE].long().T
    assert (mask[y, x] > 0.5).float().mean() > 0.8
    left, top, right, bottom = found.boxes[0]
    inside = mask[int(top) : int(bottom), int(left) : int(right)]
    assert (inside > 0.5).sum() > 0.98 * (mask > 0.5).sum()
    torso = found.world[0, [11, 12]].mean(0) - found.world[0, [23, 24]].mean(0)
    assert 0.3 < torso.norm() < 0.7
    assert torso[1] < 0


def test_the_photo_is_not_written_to(photo):
    before = photo.copy()
    detect_people(photo)
    assert np.array_equal(photo, before)


def test_a_mirrored_photo_gives_the_mirrored_person(photo, found):
    mirrored = detect_people(photo[:, ::-1]).keypoints
    expected = found.keypoints.xy[:, FLIP] * torch.tensor([-1.0, 1.0])
    expected = expected + torch.tensor([photo.shape[1], 0.0])
    distance = (mirrored.xy[0] - expected[0]).norm(dim=-1).median()
    assert distance < 0.01 * found.keypoints.height()[0]


def test_a_photo_on_its_side_gives_the_person_on_its_side(photo, found):
    turned = detect_people(np.rot90(photo, -1))  # clockwise: (x, y) -> (height - y, x)
    x, y = found.keypoints.xy.unbind(-1)
    expected = torch.stack([photo.shape[0] - y, x], -1)
    distance = (turned.keypoints.xy[0] - expected[0]).norm(dim=-1).median()
    assert distance < 0.03 * found.keypoints.height()[0]
    x, y, z = found.world[0].unbind(-1)
    assert (turned.world[0] - torch.stack([-y, x, z], -1)).norm(dim=-1).median() < 0.1


# Several people, small people


def crowd(*pictures, width=1080):
    return np.concatenate([picture[:1900, :width] for picture in pictures], axis=1)


def test_everybody_in_a_crowd_is_found_once():
    needs("pose2sim")
    alone = [detect_people(frames(c)[0]) for c in range(4)]
    people = detect_people(crowd(*(frames(c)[0] for c in range(4))), min_height=0.15)
    assert len(people) == 4
    assert (people.scores.diff() <= 0).all()
    shifts = [torch.tensor([1080.0 * c, 0.0]) for c in range(4)]
    for one, shift in zip(alone, shifts, strict=True):
        expected = one.keypoints.xy[0] + shift
        distances = (people.keypoints.xy - expected).norm(dim=-1).median(-1).values
        assert (distances < 0.03 * one.keypoints.height()[0]).sum() == 1


def test_at_most_so_many_people():
    needs("pose2sim")
    both = crowd(frames(0)[0], frames(1)[0])
    assert len(detect_people(both, min_height=0.3)) == 2
    assert len(detect_people(both, min_height=0.3, max_people=1)) == 1


def test_a_small_person_is_found_by_tiles(photo, found):
    small = Image.fromarray(photo).resize((photo.shape[1] // 3, photo.shape[0] // 3))
    scene = np.full((1600, 1600, 3), 128, dtype=np.uint8)
    scene[700:1340, 200:560] = np.asarray(small)
    people = detect_people(scene)
    assert len(people) == 1
    expected = found.keypoints.xy[0] / 3 + torch.tensor([200.0, 700.0])
    distance = (people.keypoints.xy[0] - expected).norm(dim=-1).median()
    assert distance < 0.02 * found.keypoints.height()[0] / 3


# Bad photos


def nobody(people):
    empty = (people.keypoints.xy.shape, people.boxes.shape, people.world.shape)
    return len(people) == 0 and empty == ((0, 33, 2), (0, 4), (0, 33, 3))


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 3), (300, 400)])
def test_a_blank_photo_holds_nobody(shape):
    needs()
    assert nobody(detect_people(np.full((*shape, 3), 120, dtype=np.uint8)))


def test_noise_holds_nobody():
    needs()
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    assert nobody(detect_people(noise))


@pytest.mark.parametrize("name", ["cat", "rocket", "coffee", "motorcycle", "text", "moon"])
def test_things_and_animals_are_not_people(name):
    needs()
    data = pytest.importorskip("skimage.data")
    load = getattr(data, name, None) or (lambda: data.stereo_motorcycle()[0])
    try:
        picture = load()
    except (OSError, ModuleNotFoundError):
        pytest.skip(f"scikit-image would have to download {name}")
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=-1)
    assert nobody(detect_people(picture))


def test_an_upper_body_has_unseen_feet():
    needs()
    people = detect_people(pytest.importorskip("skimage.data").astronaut())
    assert len(people) == 1
    index = BLAZEPOSE_33.index
    confidence = people.keypoints.confidence[0]
    assert confidence[[index("left_shoulder"), index("nose"), index("right_eye")]].min() > 0.9
    feet = [f"{side}_{part}" for side in ("left", "right") for part in ("ankle", "heel")]
    assert confidence[BLAZEPOSE_33.indices(*feet)].max() < 0.5
    left, top, right, bottom = people.boxes[0]
    assert 0 <= left < right <= 512
    assert 0 <= top < bottom <= 512
    nose, face = people.keypoints.xy[0, index("nose")], torch.tensor([222.0, 118.0])
    assert (nose - face).norm() < 20


def test_a_grey_photo_gives_the_same_person(photo, found):
    grey = np.repeat(np.asarray(Image.fromarray(photo).convert("L"))[..., None], 3, axis=-1)
    people = detect_people(grey)
    assert len(people) == 1
    assert relative(found.keypoints, people.keypoints) < 0.02


def test_a_very_large_photo_gives_the_same_person(photo, found):
    large = np.asarray(Image.fromarray(photo).resize((4320, 7680)))
    people = detect_people(large)
    assert len(people) == 1
    distance = (people.keypoints.xy[0] / 4 - found.keypoints.xy[0]).norm(dim=-1).median()
    assert distance < 0.01 * found.keypoints.height()[0]


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))]
)
def test_something_else_than_rgb_bytes_is_refused(image):
    with pytest.raises(ValueError, match=r"expected an image of shape \(H, W, 3\) in uint8"):
        detect_people(image)


def test_an_empty_image_is_refused():
    with pytest.raises(ValueError, match="the image is empty"):
        detect_people(np.zeros((0, 5, 3), np.uint8))


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_an_impossible_height_is_refused(share):
    with pytest.raises(ValueError, match="min_height is a share"):
        detect_people(np.zeros((5, 5, 3), np.uint8), min_height=share)


def test_nobody_is_a_result_like_any_other():
    needs()
    people = detect_people(np.zeros((40, 50, 3), np.uint8), previous=None)
    assert isinstance(people, People)
    assert people.image_size == (50, 40)
