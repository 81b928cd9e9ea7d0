"""Stages as data: what they refuse, what the named schedules hold, what each part of one does."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from tests.fitting.conftest import Views, make_views
from vhlib.body import SMPL
from vhlib.body.skeletons import get_skeleton
from vhlib.fitting import (
    COLD_START,
    LECTURE_STAGES,
    SMPLIFY_2016,
    SPIN,
    WARM_START,
    Squares,
    Stage,
    Term,
    fit_smplify,
)
from vhlib.fitting.starts import TORSO, SimilarTriangles, Turn, TurnProfiles
from vhlib.geometry import axis_angle_to_matrix, geodesic_distance
from vhlib.metrics import pa_mpjpe

NAMED = {
    "cold": COLD_START,
    "warm": WARM_START,
    "2016": SMPLIFY_2016,
    "SPIN": SPIN,
    "lecture": LECTURE_STAGES,
}


@pytest.fixture(scope="module")
def people() -> Views:
    return make_views(SMPL.load(), count=4, seed=2)


def fit(views: Views, schedule, **options):
    return fit_smplify(views.smpl, views.camera, views.keypoints, schedule=schedule, **options)


def others_moved(views: Views, names, by: float) -> Views:
    """All keypoints but those named a little to the side."""
    xy = views.keypoints.xy.clone()
    kept = get_skeleton("openpose_25").indices(*names)
    moved = torch.ones(25, dtype=torch.bool)
    moved[kept] = False
    xy[:, moved] += by
    return replace(views, keypoints=replace(views.keypoints, xy=xy))


@pytest.mark.parametrize("name", NAMED)
def test_every_named_schedule_finds_likely_bodies(people, name):
    init = people.truth if name == "warm" else None
    found = fit(people, NAMED[name], init=init)
    error = (found.projected_keypoints - people.keypoints.xy).norm(dim=-1).mean(-1)
    assert (error < 0.03 * people.keypoints.height()).all()
    points = (
        people.smpl.keypoints("smpl_24", **vars(p)) for p in (found.body_parameters, people.truth)
    )
    assert (pa_mpjpe(*points) < 0.08).all()
    assert [record.name for record in found.history] == [stage.name for stage in NAMED[name]]


def test_the_original_s_weights():
    """Bogo et al.'s released code: residual weights of its four stages."""
    camera, *body = SMPLIFY_2016
    assert camera.free == ("global_orient", "transl")
    assert (camera.weights, camera.robust) == ({"reprojection": 1.0, "depth": 100.0}, Squares())
    assert set(camera.keypoints) == set(TORSO)
    assert [s.weights["pose_prior"] for s in body] == [404.0, 404.0, 57.4, 4.78]
    assert [s.weights["shape_prior"] for s in body] == [100.0, 50.0, 10.0, 5.0]
    for stage in body:
        assert set(stage.free) == {"global_orient", "body_pose", "betas"}
        assert stage.weights["bending"] == pytest.approx(3.17 * stage.weights["pose_prior"])
        assert stage.weights["interpenetration"] == 1000.0
        assert stage.robust(torch.tensor(100.0**2))[0] == 100.0**2 / 2
        assert not {"left_hip", "right_hip", "neck"} & set(stage.keypoints)


def test_spin_has_the_original_s_last_stage():
    _, body = SPIN
    assert body.weights == pytest.approx(
        {"reprojection": 1.0, "pose_prior": 4.78, "bending": 15.2, "shape_prior": 5.0}
    )


def test_the_lecture_s_five_stages():
    numerals = dict.fromkeys(stage.name.split()[0] for stage in LECTURE_STAGES)
    assert list(numerals) == ["I", "II", "III", "IV", "V"]
    pose = [s for s in LECTURE_STAGES if s.name.startswith("III")]
    assert all("betas" not in s.free and "transl" not in s.free for s in pose)
    assert [s.weights["pose_prior"] for s in pose] == [404.0, 57.4, 4.78]


class TestKeypoints:
    def test_only_those_named_place_the_camera(self, people):
        """Arms and legs may be anywhere near; the torso decides."""
        camera = SMPLIFY_2016[:1]
        first, second = fit(people, camera), fit(others_moved(people, TORSO, 30.0), camera)
        torch.testing.assert_close(
            first.body_parameters.transl, second.body_parameters.transl, rtol=0, atol=2e-2
        )
        everything = [replace(camera[0], keypoints=None)]
        third = fit(others_moved(people, TORSO, 30.0), everything)
        assert (third.body_parameters.transl - first.body_parameters.transl).norm() > 0.1

    def test_the_size_of_a_person_is_that_of_all_their_points(self, people):
        """Fewer points don't make the person smaller, or weights would change their meaning."""
        whole = Stage("s", ("transl",), {"reprojection": 1.0}, 0, robust=Squares())
        parts = (TORSO, tuple(n for n in get_skeleton("openpose_25").names if n not in TORSO))
        energy = fit(people, [whole]).energy
        of_parts = sum(fit(people, [replace(whole, keypoints=part)]).energy for part in parts)
        torch.testing.assert_close(of_parts, energy, rtol=1e-4, atol=0)

    def test_whoever_shows_none_of_them_keeps_all(self, people):
        confidence = people.keypoints.confidence.clone()
        confidence[1, get_skeleton("openpose_25").indices(*TORSO)] = 0
        views = replace(people, keypoints=replace(people.keypoints, confidence=confidence))
        camera = SMPLIFY_2016[0]
        torso, all_points = (
            fit(views, [stage]).body_parameters.transl
            for stage in (camera, replace(camera, keypoints=None))
        )
        assert torch.equal(torso[1], all_points[1])
        assert not torch.isclose(torso[[0, 2, 3]], all_points[[0, 2, 3]], rtol=1e-3).all()

    def test_names_of_other_skeletons_are_passed_over(self, people):
        stage = Stage("s", ("transl",), {"reprojection": 1.0}, 3, keypoints=("head_top", *TORSO))
        without = replace(stage, keypoints=TORSO)
        assert torch.equal(fit(people, [stage]).energy, fit(people, [without]).energy)


class TestPlaces:
    def test_the_original_s_camera_stays_in_its_body_stages(self, people):
        camera, whole = (fit(people, schedule) for schedule in (SMPLIFY_2016[:1], SMPLIFY_2016))
        assert torch.equal(camera.body_parameters.transl, whole.body_parameters.transl)
        turned = (camera.body_parameters.global_orient, whole.body_parameters.global_orient)
        assert (geodesic_distance(*turned) > 1e-3).all()

    def test_depth_keeps_a_placed_body_where_it_was_placed(self, people):
        stage = SMPLIFY_2016[0]
        placed, held, free = (
            fit(people, [s]).body_parameters.transl[:, 2]
            for s in (
                replace(stage, iterations=0),
                replace(stage, weights={"reprojection": 1.0, "depth": 1e5}),
                replace(stage, weights={"reprojection": 1.0}),
            )
        )
        torch.testing.assert_close(held, placed, rtol=0, atol=1e-3)
        assert ((free - placed).abs() > 1e-2).any()

    def test_a_stage_may_place_bodies_that_were_given(self, people):
        """SPIN's camera stage takes a network's pose and finds its own translation."""
        lost = replace(people.truth, transl=people.truth.transl + 5.0)
        found = fit(people, SPIN[:1], init=lost).body_parameters.transl
        assert ((found - people.truth.transl).norm(dim=-1) < 0.5).all()


@pytest.fixture(scope="module")
def profiles(people) -> Views:
    return make_views(people.smpl, count=8, seed=5, yaw=math.pi / 2)


class TestCandidates:
    def test_profiles_are_tried_both_ways_and_the_data_decide(self, profiles):
        """Half of them start the wrong way round and may not turn: the right way is found."""
        half_round = axis_angle_to_matrix(torch.tensor([0.0, math.pi, 0.0]))
        wrong = torch.arange(8) % 2 == 0
        turned = profiles.truth.global_orient @ half_round
        orient = torch.where(wrong[:, None, None], turned, profiles.truth.global_orient)
        init = replace(profiles.truth, global_orient=orient)
        fixed = [replace(s, free=("body_pose", "betas")) for s in SMPLIFY_2016[1:]]

        def found(*prepare):
            return fit(profiles, [replace(fixed[0], prepare=prepare), *fixed[1:]], init=init)

        both, one = found(TurnProfiles()), found()
        data, data_of_one = (f.energy_terms["reprojection"] for f in (both, one))
        torch.testing.assert_close(data[~wrong], data_of_one[~wrong], rtol=1e-3, atol=0)
        assert (data[wrong] < 0.5 * data_of_one[wrong]).all()
        turn = geodesic_distance(both.body_parameters.global_orient, profiles.truth.global_orient)
        assert (turn < 1e-2).all()

    def test_the_history_is_that_of_the_body_that_was_chosen(self, profiles):
        found = fit(profiles, COLD_START)
        for record, following in zip(found.history, found.history[1:], strict=False):
            assert record.energy.shape[1:] == (8,)
            assert record.iterations.shape == (8,)
            assert (record.energy.diff(dim=0) <= 0).all()
            assert record.iterations.max() < len(record.energy)
            assert following.energy.shape[1:] == (8,)
        torch.testing.assert_close(found.history[-1].energy[-1], found.energy)

    def test_candidates_left_at_the_end_are_decided_by_the_whole_energy(self, profiles):
        body = replace(COLD_START[1], best_by=())
        many = fit(profiles, [COLD_START[0], body])
        each = [
            fit(
                profiles,
                [replace(COLD_START[0], prepare=(Turn((a,)), *COLD_START[0].prepare[1:])), body],
            )
            for a in COLD_START[0].prepare[0].angles
        ]
        least = torch.stack([one.energy for one in each]).amin(0)
        torch.testing.assert_close(many.energy, least, rtol=0.05, atol=0)

    def test_one_stage_may_stand_twice_in_a_schedule(self, people):
        twice = fit(people, [*COLD_START, COLD_START[-1]])
        assert len(twice.history) == 4


class Still(Term):
    """A term with the name of one that is optional in the original."""

    name: ClassVar[str] = "interpenetration"

    def residuals(self, body) -> torch.Tensor:
        return body.transl[:, :1] * 0 + 2.0


class TestOptionalTerms:
    def test_count_when_they_are_given(self, people):
        without = fit(people, SMPLIFY_2016)
        assert "interpenetration" not in without.energy_terms
        found = fit(people, SMPLIFY_2016, extra_terms=[Still()])
        assert (found.energy_terms["interpenetration"] == 4e6).all()

    def test_others_are_an_error_when_they_are_not(self, people):
        strict = [replace(stage, optional=()) for stage in SMPLIFY_2016]
        with pytest.raises(ValueError, match="'body 1' weighs interpenetration, the terms are"):
            fit(people, strict)


class TestRefusals:
    def test_a_keypoint_of_no_skeleton(self):
        with pytest.raises(ValueError, match="'s' counts left_sholder, a point of no skeleton"):
            Stage("s", ("transl",), {"reprojection": 1.0}, 3, keypoints=("left_sholder",))

    @pytest.mark.parametrize("field", ["best_by", "optional"])
    def test_a_name_without_a_weight(self, field):
        with pytest.raises(ValueError, match=f"'s' has bending in {field} but no weight for it"):
            Stage("s", ("transl",), {"reprojection": 1.0}, 3, **{field: ("bending",)})

    def test_a_stage_without_unknowns_or_terms(self, people):
        idle = Stage("s", (), {"reprojection": 1.0}, 3)
        with pytest.raises(ValueError, match="'s' frees nothing"):
            fit(people, [idle])
        weightless = Stage("s", ("transl",), {"mine": 1.0}, 3, optional=("mine",))
        with pytest.raises(ValueError, match="'s' weighs no term that there is"):
            fit(people, [weightless])

    def test_the_whole_schedule_is_checked_before_anything_runs(self, people):
        class Loud(Term):
            name: ClassVar[str] = "loud"

            def residuals(self, body) -> torch.Tensor:
                raise AssertionError("a stage was run")

        good = Stage("a", ("transl",), {"loud": 1.0}, 3)
        bad = Stage("b", ("transl",), {"reprojektion": 1.0}, 3)
        with pytest.raises(ValueError, match="'b' weighs reprojektion"):
            fit(people, [good, bad], extra_terms=[Loud()])

    def test_an_anchor_without_bodies(self, people):
        stage = Stage("s", ("transl",), {"anchor": 1.0}, 3)
        with pytest.raises(ValueError, match="'s' weighs anchor, the terms are"):
            fit(people, [stage])


def test_schedules_are_data():
    """They print what they do."""
    text = repr(SMPLIFY_2016[0])
    assert "SimilarTriangles()" in text
    assert "left_shoulder" in text
    assert SMPLIFY_2016[0].prepare == (SimilarTriangles(),)
