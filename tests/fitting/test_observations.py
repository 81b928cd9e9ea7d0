"""Which keypoints are trusted: those a body can have, whatever the skeleton."""

from __future__ import annotations

import pytest
import torch

from tests.fitting.conftest import make_views
from vhlib.body import SMPL, Keypoints
from vhlib.body.skeletons import get_skeleton
from vhlib.fitting.observations import AMBIGUOUS_POINTS, usable_keypoints

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
