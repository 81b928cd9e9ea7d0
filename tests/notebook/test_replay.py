"""The moments of a fit are the beginnings of its longest run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vhlib.body import SMPL
from vhlib.fitting import COLD_START, Fit, Stage, fit_smplify
from vhlib.notebook.clips import stand_in_clip
from vhlib.notebook.replay import Moment, replay


@pytest.fixture(scope="module")
def fits() -> list[int]:
    """How many stages each fit had."""
    return []


@pytest.fixture(scope="module")
def moments(fits) -> list[Moment]:
    smpl, clip = SMPL.load(), stand_in_clip()

    def run(stages) -> Fit:
        fits.append(len(stages))
        return fit_smplify(smpl, clip.cameras[0], clip.keypoints(0)[49], schedule=stages)

    return replay(run, COLD_START, every=4)


def test_every_stage_is_there_in_order_with_its_steps(moments):
    stages = list(dict.fromkeys(moment.stage for moment in moments))
    assert stages == [stage.name for stage in COLD_START]
    assert (moments[0].name, moments[1].name) == ("camera, step 0", "camera, step 4")
    for stage in stages:
        steps = [moment.step for moment in moments if moment.stage == stage]
        assert steps == sorted(set(steps))


def test_the_energy_falls_within_a_stage(moments):
    for stage in COLD_START[1:]:
        energies = [float(moment.fit.energy) for moment in moments if moment.stage == stage.name]
        assert energies == sorted(energies, reverse=True)


def test_the_last_moment_is_the_whole_fit(moments):
    clip = stand_in_clip()
    whole = fit_smplify(SMPL.load(), clip.cameras[0], clip.keypoints(0)[49])

    torch.testing.assert_close(
        moments[-1].fit.projected_keypoints, whole.projected_keypoints, rtol=0, atol=1e-3
    )
    assert moments[-1].step == int(whole.history[-1].iterations)


def test_nothing_is_run_after_a_stage_is_done(moments, fits):
    """At most once more, where a stage was done exactly at the step that was asked for."""
    assert len(fits) - len(moments) <= len(COLD_START)
    assert len(moments) < 40


@pytest.mark.parametrize(("needed", "expected"), [(4, [2, 4]), (5, [2, 4, 5]), (9, [2, 4, 6])])
def test_a_stage_ends_once_wherever_it_is_done(moments, needed, expected):
    def run(stages) -> Fit:
        done = torch.tensor([min(needed, stages[-1].iterations)])
        record = replace(moments[0].fit.history[-1], iterations=done)
        return replace(moments[0].fit, history=[record])

    played = replay(run, [Stage("only", ("betas",), {"shape_prior": 1.0}, 6)])

    assert [moment.step for moment in played] == [0, *expected]
