import pytest
import torch
import trimesh

from vhlib.body import SMPL
from vhlib.body.measurements import DENSITY, measure_body
from vhlib.data.makehuman_people import SURVEY


@pytest.mark.parametrize("batch", [(), (3,), (2, 1)])
def test_a_box(batch):
    box = trimesh.creation.box((0.5, 2.0, 0.1))
    vertices = torch.tensor(box.vertices).expand(*batch, -1, -1)
    measured = measure_body(vertices + torch.tensor([3.0, 1.0, -2.0]), torch.tensor(box.faces))
    assert measured.height.shape == batch
    assert torch.allclose(measured.height, torch.tensor(2.0, dtype=torch.float64))
    assert torch.allclose(measured.mass, torch.tensor(0.1 * DENSITY, dtype=torch.float64))
    assert torch.allclose(measured.body_mass_index, measured.mass / 4)


@pytest.mark.parametrize("sex", ["female", "male"])
def test_the_bodies_are_those_of_the_survey(sex):
    smpl = SMPL.load(sex)
    betas = torch.randn(500, 10, generator=torch.Generator().manual_seed(0))
    people = measure_body(smpl(betas=betas).vertices, smpl.faces)
    stature, mass = SURVEY[sex]["stature"], SURVEY[sex]["mass"]
    assert people.height.mean() == pytest.approx(stature[0], abs=0.015)
    assert people.height.std() == pytest.approx(stature[1], abs=0.012)
    assert people.mass.mean() == pytest.approx(mass[0], abs=3)
    assert people.mass.std() == pytest.approx(mass[1], abs=2)
