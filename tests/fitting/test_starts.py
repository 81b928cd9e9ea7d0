"""Where fits begin: directions tried, depths by similar triangles and by least squares."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.fitting.conftest import make_views
from vhlib.body import SMPL, Keypoints
from vhlib.body.skeletons import get_skeleton
from vhlib.fitting import load_pose_prior
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.starts import (
    ALL_AROUND,
    PLAUSIBLE_DEPTH,
    TORSO,
    LeastSquares,
    SimilarTriangles,
    Turn,
    TurnProfiles,
    View,
    mean_stance,
    near_profile,
    torso_depth,
)
from vhlib.geometry import PerspectiveCamera, geodesic_distance


@pytest.fixture(scope="module")
def people():
    return make_views(SMPL.load(), count=5, seed=4)


def view_of(views, **changes) -> View:
    regressor = views.smpl.keypoint_regressor(views.keypoints.skeleton)
    return replace(View(regressor, views.camera, views.keypoints), **changes)


def candidates_of(views) -> torch.Tensor:
    return pack(views.truth)[None]


def unseen(keypoints: Keypoints, *names: str, people=slice(None)) -> Keypoints:
    confidence = keypoints.confidence.clone()
    for index in get_skeleton(keypoints.skeleton).indices(*names):
        confidence[people, index] = 0
    return replace(keypoints, confidence=confidence)


def rotations(view: View, vectors: torch.Tensor) -> torch.Tensor:
    return PosedBody(view.regressor, vectors).rotations


def test_turning_goes_about_the_body_s_own_vertical_axis(people):
    view, start = view_of(people), candidates_of(people)
    turned = Turn(ALL_AROUND)(start, view)
    assert turned.shape == (4, *start.shape[1:])
    before = rotations(view, start[0])[:, 0]
    for angle, vectors in zip(ALL_AROUND, turned, strict=True):
        after = rotations(view, vectors)[:, 0]
        up = before @ torch.tensor([0.0, 1.0, 0.0])
        torch.testing.assert_close(after @ torch.tensor([0.0, 1.0, 0.0]), up, rtol=0, atol=1e-5)
        expected = torch.full((5,), abs(angle))
        torch.testing.assert_close(geodesic_distance(before, after), expected, rtol=0, atol=1e-3)
        torch.testing.assert_close(vectors[:, 3:], start[0, :, 3:])


def test_candidate_k_comes_of_candidate_k_mod_s(people):
    view = view_of(people)
    pair = torch.cat([candidates_of(people), candidates_of(people) + 0.1])
    turned = Turn((0.0, 1.0, 2.0))(pair, view)
    torch.testing.assert_close(turned[..., 3:], pair.repeat(3, 1, 1)[..., 3:])
    for before, after in zip(pair, turned[:2], strict=True):
        angle = geodesic_distance(rotations(view, before), rotations(view, after))
        torch.testing.assert_close(angle, torch.zeros_like(angle), rtol=0, atol=1e-3)


@pytest.mark.parametrize("zoom", [0.1, 1.0, 7.0])
def test_profiles_are_told_at_any_size(zoom):
    smpl = SMPL.load()
    facing, aside = (make_views(smpl, 6, seed=2, yaw=yaw) for yaw in (0.0, torch.pi / 2))
    for views, expected in ((facing, False), (aside, True)):
        keypoints = replace(views.keypoints, xy=zoom * views.keypoints.xy)
        assert (near_profile(keypoints) == expected).float().mean() > 0.8


def test_shoulders_that_are_not_seen_may_be_in_profile(people):
    assert not near_profile(people.keypoints).all()
    assert near_profile(unseen(people.keypoints, "left_shoulder")).all()


def test_only_profiles_are_turned_half_round(people):
    keypoints = unseen(people.keypoints, "left_shoulder", people=[1, 3])
    view, start = view_of(people, keypoints=keypoints), candidates_of(people)
    profile = near_profile(keypoints)
    assert profile.any()
    assert not profile.all()
    candidates = TurnProfiles()(start, view)
    assert candidates.shape[0] == 2
    assert torch.equal(candidates[:1], start)
    assert torch.equal(candidates[1, ~profile], start[0, ~profile])
    turn = geodesic_distance(*(rotations(view, c[profile])[:, 0] for c in candidates))
    torch.testing.assert_close(turn, torch.full_like(turn, torch.pi), rtol=0, atol=1e-3)
    nobody = TurnProfiles(nearer_than=0.0)(start, view_of(people))
    assert torch.equal(nobody, start)


def test_least_squares_puts_the_right_body_in_its_place(people):
    view, start = view_of(people), candidates_of(people)
    displaced = start.clone()
    displaced[..., PosedBody(view.regressor, start[0]).slices["transl"]] += 3.0
    torch.testing.assert_close(LeastSquares()(displaced, view), start, rtol=0, atol=1e-3)


def test_no_start_is_behind_the_camera_or_out_of_reach(people):
    """A pose upside down can be placed best by a negative depth."""
    view = view_of(people)
    wrong = torch.randn(20, 5, 86, generator=torch.Generator().manual_seed(0))
    wrong[..., -1] = 0
    for place in (LeastSquares(), SimilarTriangles()):
        depth = place(wrong, view)[..., 84]
        assert (depth >= PLAUSIBLE_DEPTH[0]).all()
        assert (depth <= PLAUSIBLE_DEPTH[1]).all()


def distant(views, focal_length: float = 50_000.0, depth: float = 100.0):
    """The same people far away, so that perspective hardly counts."""
    camera = PerspectiveCamera((focal_length,) * 2, (400.0, 500.0), (800, 1000))
    truth = replace(views.truth, transl=torch.tensor([0.3, -0.2, depth]).expand(5, 3))
    xy = camera.project(views.smpl.keypoints("openpose_25", **vars(truth)))
    return replace(views, camera=camera, truth=truth, keypoints=replace(views.keypoints, xy=xy))


def test_similar_triangles_know_the_depth_of_a_torso_that_fits(people):
    views = distant(people, 20_000.0, 40.0)
    view, start = view_of(views), candidates_of(views)
    sides = get_skeleton("openpose_25").indices(*TORSO)
    points = views.smpl.keypoints("openpose_25", **vars(views.truth))[:, sides]
    # A torso that leans looks shorter than it is, by as much as its edges turn from the picture.
    edges = points[:, 0::2] - points[:, 1::2]
    leaning = edges.norm(dim=-1).mean(-1) / edges[..., :2].norm(dim=-1).mean(-1)
    depth = torso_depth(start, view)[0]
    torch.testing.assert_close(depth, 40.0 * leaning, rtol=0.01, atol=0)
    one_side = view_of(views, keypoints=unseen(views.keypoints, "left_hip"))
    torch.testing.assert_close(torso_depth(start, one_side)[0], 40 * leaning, rtol=0.05, atol=0)


@pytest.mark.parametrize(("zoom", "limit"), [(1e2, PLAUSIBLE_DEPTH[0]), (1e-3, PLAUSIBLE_DEPTH[1])])
def test_a_torso_of_any_size_stands_at_a_plausible_depth(people, zoom, limit):
    middle = people.camera.principal_point
    xy = middle + zoom * (people.keypoints.xy - middle)
    view = view_of(people, keypoints=replace(people.keypoints, xy=xy))
    assert (torso_depth(candidates_of(people), view) == limit).all()


def test_a_torso_that_is_not_seen_is_placed_by_least_squares(people):
    keypoints = unseen(people.keypoints, "left_hip", "right_shoulder", people=[0, 2])
    view, start = view_of(people, keypoints=keypoints), candidates_of(people)
    depth = torso_depth(start, view)[0]
    by_least_squares = LeastSquares()(start, view)[0, :, 84]
    torch.testing.assert_close(depth[[0, 2]], by_least_squares[[0, 2]])
    whole = torso_depth(start, view_of(people))[0]
    torch.testing.assert_close(depth[[1, 3, 4]], whole[[1, 3, 4]])


def test_similar_triangles_put_the_middle_of_the_points_where_it_is_seen(people):
    views = distant(people)
    view = view_of(views)
    placed = SimilarTriangles()(candidates_of(views), view)[0]
    points = PosedBody(view.regressor, placed).points
    seen = views.camera.project(points).mean(1)
    torch.testing.assert_close(seen, views.keypoints.xy.mean(1), rtol=0, atol=1.5)


def test_a_focal_length_that_was_found_counts(people):
    """Twice the focal length is twice the depth, for either way of placing."""
    view, start = view_of(people), candidates_of(people)
    longer = start.clone()
    longer[..., -1] = torch.log(torch.tensor(2.0))
    once, twice = (torso_depth(candidates, view) for candidates in (start, longer))
    torch.testing.assert_close(twice, 2 * once, rtol=1e-4, atol=0)
    factor = LeastSquares()(longer, view)[..., 84] / LeastSquares()(start, view)[..., 84]
    assert ((factor > 1.7) & (factor < 2.3)).all()


def test_the_mean_stance_stands_upright_and_faces_the_camera(people):
    view = view_of(people)
    stance = mean_stance(view, load_pose_prior().mean_pose)
    assert stance.shape == (1, 5, 86)
    names = get_skeleton("openpose_25")
    found = PosedBody(view.regressor, stance[0]).points
    points = dict(zip(names.names, found.unbind(1), strict=True))
    assert (points["nose"][:, 1] < points["mid_hip"][:, 1]).all()
    assert (points["mid_hip"][:, 1] < points["left_ankle"][:, 1]).all()
    assert (points["nose"][:, 2] < points["neck"][:, 2]).all()
    assert (points["left_shoulder"][:, 0] > points["right_shoulder"][:, 0]).all()


@pytest.mark.parametrize(
    "prepare", [Turn((1.0,)), TurnProfiles(900.0), LeastSquares(), SimilarTriangles()]
)
def test_no_argument_is_changed_and_nobody_is_somebody_else_s_neighbour(people, prepare):
    view, start = view_of(people), candidates_of(people)
    before = start.clone()
    together = prepare(start, view)
    assert torch.equal(start, before)
    for i in range(5):
        alone = replace(view, keypoints=view.keypoints[i : i + 1])
        torch.testing.assert_close(prepare(start[:, i : i + 1], alone), together[:, i : i + 1])
    nobody = replace(view, keypoints=view.keypoints[:0])
    assert prepare(start[:, :0], nobody).shape[1:] == (0, 86)
