import numpy as np
import pytest

from vhlib.body.model_files import find_model, read_model
from vhlib.body.parts import PARTS_6, PARTS_24, PartSet
from vhlib.body.skeleton import mirrored_name
from vhlib.body.skeletons import SMPL_24


@pytest.fixture(scope="module")
def body():
    return read_model(find_model("neutral"))


@pytest.mark.parametrize("parts", [PARTS_24, PARTS_6], ids=lambda parts: parts.name)
def test_every_joint_belongs_to_one_part(parts):
    listed = [joint for joints in parts.joints.values() for joint in joints]
    assert sorted(listed) == sorted(SMPL_24.names)
    assert set(parts.part_of_joint) == set(range(len(parts)))


def test_the_24_parts_are_the_joints(body):
    assert PARTS_24.names == SMPL_24.names
    assert np.array_equal(PARTS_24.of_faces(body.part_labels), body.part_labels)


def test_the_six_parts_of_the_metric():
    assert PARTS_6.names == ("head", "torso", "left_arm", "right_arm", "left_leg", "right_leg")
    part = dict(zip(SMPL_24.names, PARTS_6.part_of_joint, strict=True))
    assert part["left_hand"] == PARTS_6.names.index("left_arm")
    assert part["right_foot"] == PARTS_6.names.index("right_leg")
    for joint, k in part.items():
        mirrored = mirrored_name(PARTS_6.names[k])
        assert PARTS_6.names[part[mirrored_name(joint)]] == mirrored


def test_the_six_parts_lie_where_they_should(body):
    """On the T-pose: arms outside, legs below, the head on top, left at +x."""
    centres = body.v_template[body.faces].mean(1)
    of_faces = PARTS_6.of_faces(body.part_labels)
    mean = {name: centres[of_faces == k].mean(0) for k, name in enumerate(PARTS_6.names)}
    assert mean["head"][1] > mean["torso"][1] > mean["left_leg"][1]
    assert mean["left_arm"][0] > 0.3
    assert mean["right_arm"][0] == pytest.approx(-mean["left_arm"][0], abs=1e-4)
    assert centres[of_faces == PARTS_6.names.index("left_leg"), 0].min() > -0.01


@pytest.mark.parametrize("labels", [[24], [-1, 3]])
def test_labels_of_other_skeletons_are_refused(labels):
    with pytest.raises(ValueError, match="expected ids of SMPL's joints, 0 to 23"):
        PARTS_6.of_faces(np.array(labels))


def test_a_part_set_without_faces():
    assert PartSet("all", {"body": SMPL_24.names}).of_faces(np.array([], dtype=int)).shape == (0,)
