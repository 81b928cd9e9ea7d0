"""Terms are switched off in every stage that has them."""

from __future__ import annotations

import pytest

from vhlib.body import SMPL
from vhlib.fitting import COLD_START, Stage, fit_smplify
from vhlib.notebook.clips import stand_in_clip
from vhlib.notebook.term_switches import switched


def test_with_all_terms_on_nothing_changes():
    assert switched(COLD_START, pose_prior=True, bending=True) == list(COLD_START)


def test_a_term_that_is_off_is_in_no_stage():
    stages = switched(COLD_START, pose_prior=False)

    assert [stage.name for stage in stages] == [stage.name for stage in COLD_START]
    assert not [stage for stage in stages if "pose_prior" in stage.weights]
    assert stages[1].weights["bending"] == COLD_START[1].weights["bending"]
    assert set(stages[1].best_by) == set(stages[1].weights)


def test_a_stage_without_terms_is_left_out():
    stages = switched(COLD_START, reprojection=False)

    assert [stage.name for stage in stages] == ["body", "refine"]


def test_an_optional_term_is_switched_off_too():
    stage = Stage("one", ("betas",), {"a": 1.0, "b": 1.0}, 1, optional=("b",))

    assert switched([stage], b=False)[0].optional == ()


def test_a_term_of_no_stage_is_refused():
    with pytest.raises(
        ValueError, match="no stage weighs prior, the terms are bending, pose_prior"
    ):
        switched(COLD_START, prior=False)


def test_a_switched_schedule_can_be_run():
    clip, keypoints = stand_in_clip(), stand_in_clip().keypoints(0)[49]

    fit = fit_smplify(
        SMPL.load(), clip.cameras[0], keypoints, schedule=switched(COLD_START, pose_prior=False)
    )

    assert set(fit.energy_terms) == {"reprojection", "bending", "shape_prior"}
