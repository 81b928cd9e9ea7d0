"""Figures of a clip: one curve a fit, two pictures a frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vhlib.body import SMPL
from vhlib.fitting import fit_smplify
from vhlib.notebook.clip_figures import depth_figure, frames_figure
from vhlib.notebook.clips import stand_in_clip


def test_depth_is_drawn_against_seconds():
    depths = {"alone": torch.linspace(3, 4, 61), "reference": torch.full((61,), 3.5)}
    alone, reference = depth_figure(depths, 60).axes[0].lines
    assert alone.get_xdata()[-1] == pytest.approx(1.0)
    np.testing.assert_allclose(alone.get_ydata(), depths["alone"])
    assert reference.get_linestyle() == ":"


def test_each_frame_has_its_overlay_and_its_side():
    clip, smpl = stand_in_clip(), SMPL.load()
    frames = [3, 40]
    fit = fit_smplify(smpl, clip.cameras[1], clip.keypoints(1, range(50)))
    axes = frames_figure(smpl, clip, 1, fit.body_parameters, frames, torch.arange(50.0)).axes
    assert len(axes) == 4
    assert [a.get_title(loc="left") for a in axes[::2]] == ["frame 3: 3 mm", "frame 40: 40 mm"]
    assert all(len(a.images) == 1 for a in axes)
