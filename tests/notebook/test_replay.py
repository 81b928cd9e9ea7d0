"""The moments of a fit are the beginnings of its longest run."""

from __future__ import annotations

import pytest
import torch

from vhlib.body import SMPL
from vhlib.fitting import COLD_START, Fit, fit_smplify
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
    assert len(fits) == len(moments) < 40
