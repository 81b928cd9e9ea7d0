"""Named skeletons against the orders and indices that released code fixes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vhlib.body import SMPL
from vhlib.body.skeleton import mirrored_name
from vhlib.body.skeletons import (
    BLAZEPOSE_33,
    COCO_17,
    H36M_17,
    LANDMARKS,
    LSP_14,
    OPENPOSE_25,
    OPENPOSE_25B,
    SKELETONS,
    SMPL_24,
    SMPL_LANDMARK_VERTICES,
    SMPL_PARENTS,
    SMPLX_45,
    Skeleton,
    get_skeleton,
)

every_skeleton = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)


@pytest.fixture(scope="module")
def smpl() -> SMPL:
    return SMPL.load()


@pytest.fixture(scope="module")
def at_rest(smpl):
    """name of a skeleton -> its points by name on the neutral body in T-pose, millimetres."""

    def points(skeleton: str) -> dict[str, np.ndarray]:
        xyz = 1000 * smpl.keypoints(skeleton).numpy()
        return dict(zip(get_skeleton(skeleton).names, xyz, strict=True))

    return points


@every_skeleton
def test_sizes_names_and_sources(skeleton):
    assert len(skeleton) == int(skeleton.name.rsplit("_", 1)[1].removesuffix("b"))
    assert SKELETONS[skeleton.name] is skeleton
    assert get_skeleton(skeleton.name) is get_skeleton(skeleton) is skeleton
    known = {*SMPL_PARENTS, *LANDMARKS}
    for source in skeleton.points.values():
        assert set(source) <= known
        assert sum(source.values()) == pytest.approx(1)


@every_skeleton
def test_flips_exchange_the_sides(skeleton):
    flip = skeleton.flip_permutation
    assert flip[flip].tolist() == list(range(len(skeleton)))
    for i, name in enumerate(skeleton.names):
        other = skeleton.names[flip[i]]
        assert other == mirrored_name(name)
        assert (other == name) == ("left" not in name and "right" not in name)
        mirrored = {mirrored_name(part): w for part, w in skeleton.points[name].items()}
        assert mirrored == pytest.approx(dict(skeleton.points[other]))


@every_skeleton
def test_a_flipped_skeleton_is_the_mirrored_body(skeleton, smpl):
    """The bodies are mirror-symmetric about x = 0."""
    points = smpl.keypoints(skeleton.name)
    mirrored = points[torch.from_numpy(skeleton.flip_permutation)] * torch.tensor([-1.0, 1, 1])
    torch.testing.assert_close(mirrored, points, rtol=0, atol=1e-3)
    left = [name.startswith("left") or name.endswith("left") for name in skeleton.names]
    assert (points[left, 0] > 0).all(), "x points to the body's left"


@every_skeleton
def test_edges_join_points_and_their_mirror_images(skeleton):
    edges = {frozenset(edge) for edge in skeleton.edges}
    assert len(edges) == len(skeleton.edges), "no edge twice"
    assert all(len(edge) == 2 for edge in edges)
    assert {frozenset(map(mirrored_name, edge)) for edge in edges} == edges
    names = [{skeleton.names[i] for i in edge} for edge in skeleton.edge_indices]
    assert names == [set(edge) for edge in skeleton.edges]


def test_parents_of_smpl():
    parents = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
    assert [-1 if p is None else SMPL_24.index(p) for p in SMPL_PARENTS.values()] == parents


def test_flip_of_smpl():
    flip = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22]
    assert SMPL_24.flip_permutation.tolist() == flip


def test_the_45_joints_of_smplx():
    """24 joints; nose, right eye, left eye, right ear, left ear; feet; tips, thumb to pinky."""
    assert SMPLX_45.names[:24] == SMPL_24.names
    vertices = [332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787]
    vertices += [2746, 2319, 2445, 2556, 2673, 6191, 5782, 5905, 6016, 6133]
    assert [SMPL_LANDMARK_VERTICES[name] for name in SMPLX_45.names[24:]] == vertices
    assert SMPL_LANDMARK_VERTICES["head_top"] == 411


def sources_in_smplx(skeleton: Skeleton) -> list[int | None]:
    """For points that are a single joint or landmark: its index among smplx's 45."""
    singles = [source for source in skeleton.points.values()]
    return [
        SMPLX_45.index(next(iter(source)))
        if len(source) == 1 and next(iter(source)) in SMPLX_45.points
        else None
        for source in singles
    ]


def test_body_25_from_smplx():
    """The index list of vchoutas/smplify-x, ``utils.py``."""
    mapping = [24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28]
    assert sources_in_smplx(OPENPOSE_25) == mapping + [29, 30, 31, 32, 33, 34]


def test_lsp_14_from_smpl():
    """SMPLify's list for LSP joints 0 to 11; the head top is vertex 411."""
    mapping = [8, 5, 2, 1, 4, 7, 21, 19, 17, 16, 18, 20]
    assert sources_in_smplx(LSP_14)[:12] == mapping
    assert LSP_14.names[12:] == ("neck", "head_top")
    assert LSP_14.points["head_top"] == {"head_top": 1.0}


def test_lsp_from_h36m():
    """nkolot/SPIN's list, whose rows have the left leg first where the data set has the right."""
    lsp_from_h36m = [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13]
    legs_exchanged = {1: 4, 2: 5, 3: 6, 4: 1, 5: 2, 6: 3}
    ours = H36M_17.indices(*LSP_14.names[:12])
    assert [legs_exchanged.get(i, i) for i in lsp_from_h36m] == ours


def test_orders_of_coco_and_blazepose():
    limbs = ["shoulder", "elbow", "wrist", "hip", "knee", "ankle"]
    both = [f"{side}_{limb}" for limb in limbs for side in ("left", "right")]
    coco = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", *both]
    assert list(COCO_17.names) == coco
    named = {
        **{0: "nose", 2: "left_eye", 5: "right_eye", 7: "left_ear", 8: "right_ear"},
        **{1: "left_eye_inner", 3: "left_eye_outer", 4: "right_eye_inner", 6: "right_eye_outer"},
        **{9: "mouth_left", 10: "mouth_right", 11: "left_shoulder", 14: "right_elbow"},
        **{15: "left_wrist", 17: "left_pinky", 19: "left_index", 22: "right_thumb"},
        **{23: "left_hip", 26: "right_knee", 27: "left_ankle", 30: "right_heel"},
        **{31: "left_foot_index", 32: "right_foot_index"},
    }
    assert {i: BLAZEPOSE_33.names[i] for i in named} == named


def test_order_of_body_25b():
    assert OPENPOSE_25B.names[:17] == COCO_17.names
    feet = [f"{s}_{p}" for s in ("left", "right") for p in ("big_toe", "small_toe", "heel")]
    assert OPENPOSE_25B.names[17:] == ("upper_neck", "head_top", *feet)


def test_unknown_names_are_refused_with_the_known():
    with pytest.raises(ValueError, match=r"unknown skeleton 'body_25'; known: smpl_24, smplx_45,"):
        get_skeleton("body_25")
    with pytest.raises(ValueError, match=r"coco_17 has no point 'neck'; it has nose, left_eye,"):
        COCO_17.index("neck")
    assert COCO_17.indices("nose", "right_ankle") == [0, 16]


class TestOwnCombinations:
    """Where they lie on the open body, in millimetres: x to its left, y up, z forward."""

    def test_eyes(self, at_rest):
        p = at_rest("blazepose_33")
        widths = [p[f"left_eye_{corner}"][0] for corner in ("inner", "outer")]
        assert 10 < widths[0] < 18
        assert widths[0] + 20 < widths[1] < 50

    def test_mouth_corners_lie_at_the_lips(self, at_rest, smpl):
        p = at_rest("blazepose_33")
        corner = p["mouth_left"]
        assert 15 < corner[0] < 30
        assert 20 < p["nose"][1] - corner[1] < 45
        skin = 1000 * smpl().vertices.numpy()
        assert np.linalg.norm(skin - corner, axis=1).min() < 10

    def test_mouth_corners_follow_the_head(self, smpl, at_rest):
        """A nod of the head turns them with the nose."""
        nod = torch.eye(3).repeat(23, 1, 1)
        nod[SMPL_24.index("head") - 1] = torch.tensor([[1.0, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
        names = ("nose", "mouth_left", "left_eye", "left_ear")
        nodded = dict(
            zip(
                BLAZEPOSE_33.names,
                1000 * smpl.keypoints("blazepose_33", body_pose=nod),
                strict=True,
            )
        )
        rest = at_rest("blazepose_33")
        for a in names:
            moved = np.linalg.norm(nodded[a].numpy() - nodded["mouth_left"].numpy())
            assert moved == pytest.approx(np.linalg.norm(rest[a] - rest["mouth_left"]), abs=3)

    @pytest.mark.parametrize(
        ("finger", "low", "high"), [("index", 80, 105), ("pinky", 65, 95), ("thumb", 85, 120)]
    )
    def test_knuckles_lie_between_wrist_and_tip(self, at_rest, finger, low, high):
        p, tips = at_rest("blazepose_33"), at_rest("smplx_45")
        knuckle, wrist, tip = p[f"left_{finger}"], p["left_wrist"], tips[f"left_{finger}"]
        assert low < np.linalg.norm(knuckle - wrist) < high
        assert np.linalg.norm(tip - knuckle) > 25

    def test_necks_rise_from_the_shoulders_to_the_chin(self, at_rest):
        thorax, lsp = at_rest("h36m_17")["thorax"][1], at_rest("lsp_14")["neck"][1]
        upper = at_rest("openpose_25b")["upper_neck"][1]
        shoulders, nose = at_rest("smpl_24")["left_shoulder"][1], at_rest("coco_17")["nose"][1]
        assert shoulders < thorax == lsp < upper < nose - 60

    def test_the_spine_of_human36m(self, at_rest):
        p = at_rest("h36m_17")
        heights = [p[n][1] for n in ("pelvis", "spine", "thorax", "jaw", "head_top")]
        assert np.diff(heights).min() > 60


def test_openpose_clicks_ankles_higher_than_they_are():
    """By 14 mm in the static trial of Pose2Sim's demo; its other limb joints are SMPL's."""
    points, joints = (
        dict(zip(s.names, 1000 * SMPL.load().keypoints(s.name), strict=True))
        for s in (OPENPOSE_25B, SMPL_24)
    )
    for name in set(points) & set(joints):
        x, y, z = (points[name] - joints[name]).tolist()
        assert max(abs(x), abs(z)) < 5
        assert y == pytest.approx(14 if "ankle" in name else 0, abs=2)


def test_the_detectors_upper_neck():
    """OpenPose's upper neck lies about 105 mm below its nose on the real clip, as ours does."""
    p = dict(zip(OPENPOSE_25B.names, SMPL.load().keypoints("openpose_25b"), strict=True))
    assert 0.075 < float(p["nose"][1] - p["upper_neck"][1]) < 0.115
