"""Which keypoints are trusted: those a body can have, whatever the skeleton."""

from __future__ import annotations

import pytest
import torch

from tests.fitting.conftest import make_views
from vhlib.body import SMPL, Keypoints
from vhlib.body.skeletons import get_skeleton
from vhlib.fitting.observations import AMBIGUOUS_POINTS, only, sized_by, usable_keypoints
from vhlib.fitting.posed_body import PosedBody, pack

PARTS = {
    "whole": (),
    "bust": ("knee", "ankle", "heel", "toe", "hip", "elbow", "wrist"),
    "legs": ("nose", "eye", "ear", "shoulder", "elbow", "wrist"),
}


@pytest.fixture(scope="module")
def people():
    return make_views(SMPL.load(), count=40, seed=1)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("skeleton", ["openpose_25", "coco_17", "smpl_24"])
def test_people_lose_no_right_point_and_no_wrong_one_is_kept(people, skeleton, part):
    """Skeletons crowd in the face, the feet or the spine, and half a person is one too."""
    rest = people.smpl.keypoints(skeleton)
    xy = people.camera.project(people.smpl.keypoints(skeleton, **vars(people.truth)))
    names = get_skeleton(skeleton).names
    hidden = [any(word in name for word in PARTS[part]) for name in names]
    confidence = (~torch.tensor(hidden)).float().expand(xy.shape[:-1]).clone()
    confidence[:, get_skeleton(skeleton).indices(*AMBIGUOUS_POINTS.get(skeleton, ()))] = 0
    usable = usable_keypoints(Keypoints(xy, confidence, skeleton), rest)
    assert (usable.confidence == confidence).float().mean() > 0.995

    last = int(confidence[0].nonzero()[-1])
    xy[:, last] += 3 * usable.height().amax()
    usable = usable_keypoints(Keypoints(xy, confidence, skeleton), rest)
    assert (usable.confidence[:, last] == 0).all()


def test_two_points_are_enough(people):
    confidence = torch.zeros(40, 25)
    confidence[:, [2, 5]] = 1
    keypoints = Keypoints(people.keypoints.xy, confidence, "openpose_25")
    usable = usable_keypoints(keypoints, people.smpl.keypoints("openpose_25"))
    assert torch.equal(usable.confidence, confidence)


def test_only_some_names_count_and_the_person_is_as_large(people):
    some = only(people.keypoints, ("left_knee", "right_knee", "head_top"))
    seen = get_skeleton("openpose_25").indices("left_knee", "right_knee")
    assert some.confidence.nonzero()[:, 1].unique().tolist() == sorted(seen)
    assert torch.equal(some.height(), people.keypoints.height())
    assert torch.equal(some[3:5].height(), people.keypoints.height()[3:5])
    assert (people.keypoints.confidence == 1).all()
    one_point = only(people.keypoints, ("left_knee",))
    assert torch.equal(one_point.confidence, people.keypoints.confidence)


def test_nobody_is_larger_than_their_distance_lets_them_be(people):
    """A point far outside makes the box three times as large, and the size hardly larger."""
    regressor = people.smpl.keypoint_regressor("openpose_25")
    body = PosedBody(regressor, pack(people.truth))
    size = people.keypoints.height()
    right = sized_by(people.keypoints, people.camera, body)
    assert ((right.height() / size > 0.8) & (right.height() <= size)).all()
    xy = people.keypoints.xy.clone()
    xy[:, 4] += 2 * size[:, None]
    wrong = Keypoints(xy, people.keypoints.confidence, "openpose_25")
    bounded = sized_by(wrong, people.camera, body)
    assert (wrong.height() > 2 * size).all()
    assert (bounded.height() < 1.4 * size).all()
    assert torch.equal(bounded.xy, wrong.xy)
