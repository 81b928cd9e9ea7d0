"""The silhouette's terms: values by hand, derivatives, blindness of one side, recovery."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from tests.fitting.conftest import make_views
from vhlib.body import SMPL
from vhlib.body.model_data import BodyModelData
from vhlib.body.point_regressor import PointRegressor
from vhlib.fitting import fit_smplify
from vhlib.fitting.energies import ShapePrior
from vhlib.fitting.person_masks import PersonMasks
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.robust import GemanMcClure, Squares
from vhlib.fitting.silhouette import SILHOUETTE_START, SPACING, Silhouette
from vhlib.fitting.silhouette_iou import SilhouetteIoU
from vhlib.fitting.solvers import Problem, levenberg_marquardt
from vhlib.fitting.terms import Term
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.contours import find_contour
from vhlib.geometry.rasterizer import rasterize
from vhlib.metrics import iou

CARD_CAMERA = PerspectiveCamera((400.0, 400.0), (200.0, 200.0), (400, 400))


def card() -> SMPL:
    """A square of 1 m before the camera, with nothing to bend: its silhouette is known."""
    return SMPL(
        BodyModelData(
            v_template=np.array([[x, y, 0.0] for y in (-0.5, 0.5) for x in (-0.5, 0.5)]),
            faces=np.array([[0, 1, 2], [1, 3, 2]]),
            lbs_weights=np.array([[1.0, 0.0]] * 4),
            shapedirs=np.zeros((4, 3, 1)),
            posedirs=np.zeros((4, 3, 9)),
            J_regressor=np.full((2, 4), 0.25),
            parents=(-1, 0),
            landmarks={},
            provenance="tests/fitting/test_silhouette.py",
        ),
        num_betas=1,
    ).double()


def card_at(smpl: SMPL, x: float, y: float, z: float) -> PosedBody:
    vector = torch.tensor([[0.0] * 7 + [x, y, z] + [0.0]], dtype=torch.float64)
    return PosedBody(PointRegressor.of_vertices(smpl.rest_model(), [0]), vector)


def square(left: int, top: int, side: int) -> torch.Tensor:
    mask = torch.zeros(1, 400, 400, dtype=torch.bool)
    mask[:, top : top + side, left : left + side] = True
    return mask


@dataclass(frozen=True, eq=False)
class Scene:
    """Bodies, their masks, and the camera that sees both."""

    smpl: SMPL
    camera: PerspectiveCamera
    truth: PosedBody
    masks: torch.Tensor

    def moved(self, shift: torch.Tensor) -> PosedBody:
        return PosedBody(self.truth.regressor, self.truth.vector + shift)

    def drawn(self, body: PosedBody) -> torch.Tensor:
        vertices = self.smpl(**vars(body.parameters())).vertices
        return rasterize(vertices, self.smpl.faces, self.camera).triangle_ids >= 0


@pytest.fixture(scope="module")
def scene() -> Scene:
    """The open body in three poses of the prior."""
    views = make_views(SMPL.load(), count=3, seed=1)
    smpl = SMPL.load().double()
    camera = views.camera.to(torch.float64)
    truth = PosedBody(smpl.keypoint_regressor("openpose_25"), pack(views.truth).double())
    empty = Scene(smpl, camera, truth, torch.empty(0))
    return replace(empty, masks=empty.drawn(truth))


@pytest.fixture(scope="module")
def silhouette(scene) -> Silhouette:
    return Silhouette.of_masks(scene.smpl, scene.masks, scene.camera, mask_to_body=1.0)


@pytest.fixture(scope="module")
def overlap(scene) -> SilhouetteIoU:
    return SilhouetteIoU.of_masks(scene.smpl, scene.masks, scene.camera)


def shift_of(scene: Scene, transl: torch.Tensor) -> torch.Tensor:
    """A change of the unknowns that moves the bodies, metres."""
    vector = torch.zeros_like(scene.truth.vector)
    vector[:, scene.truth.slices["transl"]] = transl
    return vector


def offset(scene: Scene, x=0.0, y=0.0, z=0.0, others=0.0) -> torch.Tensor:
    """A change of the unknowns: metres, and ``others`` times random numbers everywhere."""
    g = torch.Generator().manual_seed(4)
    shift = shift_of(scene, torch.tensor([x, y, z], dtype=torch.float64))
    return shift + others * torch.randn(shift.shape, generator=g, dtype=torch.float64)


def test_a_square_beside_a_square_by_hand():
    """Both 100 px, that is 200 in the window, 10 px of these apart, measured every 2 px.

    The body's right side lies 10 px off the mask; of its top and its bottom, 100 points each, five
    do, by 1, 3, 5, 7 and 9 px. The mask's outline sees the body likewise.
    """
    smpl = card()
    body = card_at(smpl, 0.05, 0.0, 4.0)
    term = Silhouette.of_masks(smpl, square(150, 150, 100), CARD_CAMERA, 1.0, Squares())
    distances = term.match(body).residuals(body)
    assert abs(((distances - 10).abs() < 0.1).sum() - 2 * 100) <= 2  # the corners
    mean = (100 * 100 + 2 * (1 + 9 + 25 + 49 + 81)) / 400
    assert term.energy(body).item() == pytest.approx(2 * mean, rel=0.02)
    one_sided = replace(term, mask_to_body=0.0)
    assert one_sided.energy(body).item() == pytest.approx(mean, rel=0.02)


def test_the_overlap_of_two_squares_by_hand():
    smpl = card()
    term = SilhouetteIoU.of_masks(smpl, square(150, 150, 100), CARD_CAMERA)
    for x in (0.0, 0.05, 0.2):
        expected = 1 - (1 - x) / (1 + x)
        assert term.energy(card_at(smpl, x, 0.0, 4.0)).item() == pytest.approx(expected, abs=1e-3)


def test_one_side_is_blind_to_a_body_within_the_mask_and_two_sides_are_not(scene, silhouette):
    """The planted failure: a body half as far again hides in its own mask, and has to find back."""
    transl = scene.truth.slices["transl"]
    truth = scene.truth.vector[:1]
    hidden = scene.moved(shift_of(scene, 0.5 * scene.truth.vector[:, transl])).vector[:1]
    free = torch.arange(transl.start, transl.stop)
    depth = {}
    for mask_to_body in (0.0, 1.0):
        term = replace(silhouette.select(slice(0, 1)), mask_to_body=mask_to_body)
        problem = Problem(scene.truth.regressor, [(term, 1.0)])
        found = levenberg_marquardt(problem, hidden, free, 15).vector
        depth[mask_to_body] = (found / truth)[0, transl.stop - 1].item()
    assert depth[0.0] > 1.2
    assert depth[1.0] == pytest.approx(1, abs=0.01)


def test_a_body_within_a_larger_mask_costs_one_side_nothing():
    smpl = card()
    body = card_at(smpl, 0.0, 0.0, 8.0)
    two_sided = Silhouette.of_masks(smpl, square(150, 150, 100), CARD_CAMERA, 1.0)
    one_sided = replace(two_sided, mask_to_body=0.0)
    assert one_sided.energy(body).item() == 0
    assert (one_sided.quadratic(body).gradient == 0).all()
    assert two_sided.energy(body).item() > 100
    assert two_sided.quadratic(body).gradient[0, 9] > 0  # nearer would be better


@pytest.mark.parametrize("which", ["silhouette", "overlap"])
def test_zero_at_the_truth_and_growing_with_the_offset(scene, which, request):
    term = request.getfixturevalue(which)
    energies = torch.stack(
        [term.energy(scene.moved(offset(scene, x=x))) for x in (0.0, 0.01, 0.02, 0.05, 0.1)]
    )
    assert (energies.diff(dim=0) > 0).all()
    assert (energies[0] < 0.05 * energies[-1]).all()
    if which == "silhouette":
        distances = term.match(scene.truth).residuals(scene.truth)  # in pixels of a person of 200
        assert distances.quantile(0.98) < 1.0
        assert distances.max() < 3  # at fingertips thinner than a pixel


def test_distances_equal_a_slow_search(scene, silhouette):
    """From the body's outline to the nearest pixel of the mask."""
    body = scene.moved(offset(scene, x=0.04, y=0.02))
    contour = find_contour(
        silhouette.surface.vertices(body), silhouette.surface.edges, silhouette.camera, SPACING
    )
    points = contour.places.interpolate(contour.screen)
    found = silhouette.match(body).residuals(body)[:, : points.shape[1]]
    cells = torch.stack(torch.meshgrid(*[torch.arange(320) + 0.5] * 2, indexing="xy"), -1).double()
    people = PersonMasks.cut_out(scene.masks, scene.camera)
    for sample in range(3):
        slow = torch.cdist(points[sample], cells[people.coverage[sample] >= 0.5]).amin(1) - 0.5
        error = (found[sample] - slow.clamp(min=0))[contour.exists[sample]].abs()
        assert error.max() < 1.0
        assert error.mean() < 0.2


def test_jacobian_equals_finite_differences_with_the_matches_held(scene, silhouette):
    """Along random directions, and along each unknown that isn't a joint's.

    A point that lies on the mask's edge itself has a slope on one side only, and is left out.
    """
    body = scene.moved(offset(scene, x=0.03, y=0.02, z=0.1, others=0.05))
    matched = silhouette.match(body)
    here, jacobian = matched.residuals(body), matched.jacobian(body)
    g = torch.Generator().manual_seed(5)
    n = body.vector.shape[-1]
    directions = [
        *torch.randn(8, n, generator=g, dtype=torch.float64),
        *torch.eye(n, dtype=torch.float64)[scene.truth.slices["betas"].start :],
    ]
    step, numeric, smooth = 1e-6, [], torch.ones_like(here, dtype=torch.bool)
    for direction in directions:
        ahead, behind = (
            matched.residuals(PosedBody(body.regressor, body.vector + sign * step * direction))
            for sign in (1, -1)
        )
        numeric.append((ahead - behind) / (2 * step))
        smooth &= (ahead - 2 * here + behind).abs() < 0.1 * step
    numeric = torch.stack(numeric, -1)
    assert (~smooth).sum() <= 3
    error = (jacobian @ torch.stack(directions, -1) - numeric)[smooth]
    assert error.norm() / numeric.norm() < 1e-7


def test_a_wrong_jacobian_would_be_caught(scene, silhouette):
    """Vertices that only the bones carry, without the correctives, are not the body's."""
    body = scene.moved(offset(scene, x=0.03, others=0.2))
    matched = silhouette.match(body)
    right = matched.jacobian(body)
    model = silhouette.surface.model
    rigid = replace(model, posedirs=torch.zeros_like(model.posedirs))
    silhouette.surface.__dict__["model"] = rigid
    planted = silhouette.match(body).jacobian(body)
    silhouette.surface.__dict__["model"] = model
    assert (planted - right).norm() / right.norm() > 1e-3


@pytest.mark.parametrize("which", ["silhouette", "overlap"])
def test_a_batch_is_its_members_one_by_one(scene, which, request):
    term = request.getfixturevalue(which)
    body = scene.moved(offset(scene, x=0.03, others=0.05))
    together = term.quadratic(body)
    for sample in range(3):
        one = slice(sample, sample + 1)
        alone = term.select(one).quadratic(PosedBody(body.regressor, body.vector[one]))
        for name in ("energy", "gradient", "hessian"):
            expected = getattr(alone, name)[0]
            torch.testing.assert_close(
                getattr(together, name)[sample], expected, rtol=1e-9, atol=1e-9
            )


def test_quadratic_has_the_gradient_of_the_matched_energy(scene, silhouette):
    body = scene.moved(offset(scene, x=0.03, others=0.05))
    matched = silhouette.match(body)
    vector = body.vector.clone().requires_grad_()
    matched.energy(PosedBody(body.regressor, vector)).sum().backward()
    gradient = silhouette.quadratic(body).gradient
    torch.testing.assert_close(gradient, vector.grad, rtol=1e-8, atol=1e-8)


def test_overlap_has_the_slope_of_its_energy(scene, overlap):
    """Along a line on which no outline changes its edges."""
    g = torch.Generator().manual_seed(0)
    start = scene.truth.vector + offset(scene, x=0.03, others=0.05)
    direction = torch.randn(start.shape, generator=g, dtype=torch.float64)
    step = 1e-8
    gradient = overlap.quadratic(PosedBody(scene.truth.regressor, start)).gradient
    ahead, behind = (
        overlap.energy(PosedBody(scene.truth.regressor, start + sign * step * direction))
        for sign in (1, -1)
    )
    torch.testing.assert_close(
        (gradient * direction).sum(-1), (ahead - behind) / (2 * step), rtol=1e-5, atol=0
    )


def test_overlap_at_its_best_pulls_nowhere():
    smpl = card()
    body = card_at(smpl, 0.0, 0.0, 4.0)
    model = SilhouetteIoU.of_masks(smpl, square(150, 150, 100), CARD_CAMERA).quadratic(body)
    assert model.energy.item() == pytest.approx(0, abs=1e-9)
    assert model.gradient.isfinite().all()
    assert model.hessian.isfinite().all()


def test_energies_do_not_depend_on_the_size_of_the_picture(scene, silhouette):
    large = scene.camera.resized((1600, 2000))
    masks = scene.masks.repeat_interleave(2, 1).repeat_interleave(2, 2)
    body = scene.moved(offset(scene, x=0.05))
    twice = Silhouette.of_masks(scene.smpl, masks, large, mask_to_body=1.0)
    torch.testing.assert_close(twice.energy(body), silhouette.energy(body), rtol=0.02, atol=0.05)


def test_the_focal_factor_enlarges_the_body(scene, silhouette):
    """As it does the camera's: the truth seen through 1.2 times the lens is as large as that."""
    body = scene.truth.vector.clone()
    body[:, scene.truth.slices["focal_length"]] = np.log(1.2)
    longer = replace(scene.camera, focal_length=1.2 * scene.camera.focal_length)
    expected = replace(
        silhouette,
        camera=replace(silhouette.camera, focal_length=1.2 * silhouette.camera.focal_length),
    ).energy(scene.truth)
    found = silhouette.energy(PosedBody(scene.truth.regressor, body))
    torch.testing.assert_close(found, expected)
    assert (found > 10).all()
    own = Silhouette.of_masks(scene.smpl, replace(scene, camera=longer).drawn(scene.truth), longer)
    assert (own.energy(scene.truth) < 0.2).all()


def test_a_body_out_of_sight_is_dear_and_does_not_pull(scene, silhouette):
    away = scene.moved(offset(scene, x=30.0))
    sigma = silhouette.robust.sigma
    torch.testing.assert_close(
        silhouette.energy(away), torch.full((3,), sigma**2).double(), rtol=0.01, atol=0
    )
    assert (silhouette.quadratic(away).gradient == 0).all()


@pytest.mark.parametrize("which", ["silhouette", "overlap"])
def test_a_body_that_is_nowhere_spoils_neither_the_process_nor_the_others(scene, which, request):
    """A solver whose system is singular tries such a step, and has to see that it is no good."""
    term = request.getfixturevalue(which)
    vector = scene.truth.vector.clone()
    expected = term.quadratic(PosedBody(scene.truth.regressor, vector))
    vector[1] = torch.nan
    found = term.quadratic(PosedBody(scene.truth.regressor, vector))
    assert not (found.energy[1] < expected.energy[1])
    for name in ("energy", "gradient", "hessian"):
        torch.testing.assert_close(getattr(found, name)[::2], getattr(expected, name)[::2])


def test_a_stage_s_robust_function_leaves_the_term_as_it_is(silhouette):
    assert silhouette.with_robust(GemanMcClure(1.0)) is silhouette


def test_beyond_the_picture_s_border_a_body_is_free(scene):
    """Cut at the hips, the mask says nothing of the legs: the truth still costs nothing."""
    cut = replace(scene.camera, image_size=(800, 560))
    term = Silhouette.of_masks(scene.smpl, scene.masks[:, :560], cut)
    assert (term.energy(scene.truth) < 0.2).all()
    overlap = SilhouetteIoU.of_masks(scene.smpl, scene.masks[:, :560], cut)
    assert (overlap.energy(scene.truth) < 0.03).all()


@pytest.mark.parametrize(("which", "weight"), [("silhouette", 1.0), ("overlap", 30.0)])
def test_place_and_shape_are_recovered_from_the_mask(scene, which, weight, request):
    """From 5 cm aside and betas one standard deviation off."""
    term = request.getfixturevalue(which).select(slice(0, 2))
    shift = offset(scene, x=0.04, y=-0.03)
    g = torch.Generator().manual_seed(7)
    betas, transl = (scene.truth.slices[name] for name in ("betas", "transl"))
    shift[:, betas] = torch.randn(3, 10, generator=g, dtype=torch.float64)
    start = scene.moved(shift).vector[:2]
    problem = Problem(scene.truth.regressor, [(term, weight), (ShapePrior(), 0.1)])
    free = torch.arange(betas.start, transl.stop)
    found = levenberg_marquardt(problem, start, free, 20).vector

    def agreement(vector):
        return iou(scene.drawn(PosedBody(scene.truth.regressor, vector)), scene.masks[:2])

    assert (agreement(start) < 0.85).all()
    assert (agreement(found) > 0.97).all()
    away = (found - scene.truth.vector[:2])[:, transl]
    assert (away[:, :2].norm(dim=-1) < 0.01).all()


def test_fit_smplify_goes_on_with_the_mask(scene):
    """The mask closer than keypoints alone bring it, and the keypoints as near as before."""
    views = make_views(SMPL.load(), count=3, seed=1)
    smpl, camera = views.smpl, views.camera
    g = torch.Generator().manual_seed(0)
    noisy = views.keypoints.xy + 5 * torch.randn(3, 25, 2, generator=g)
    keypoints = replace(views.keypoints, xy=noisy)
    before = fit_smplify(smpl, camera, keypoints)
    term = Silhouette.of_masks(smpl, scene.masks, camera)
    after = fit_smplify(
        *(smpl, camera, keypoints, None, SILHOUETTE_START, before.body_parameters, [term])
    )

    def agreement(fit):
        vertices = smpl(**vars(fit.body_parameters)).vertices
        return iou(rasterize(vertices, smpl.faces, camera).triangle_ids >= 0, scene.masks)

    def distance(fit):
        return (fit.projected_keypoints - views.keypoints.xy).norm(dim=-1).mean(-1)

    assert (agreement(after) > agreement(before) + 0.02).all()
    assert (agreement(after) > 0.92).all()
    assert (distance(after) < distance(before)).all()


@pytest.mark.parametrize("term_type", [Silhouette, SilhouetteIoU])
def test_what_is_no_mask_is_refused(scene, term_type):
    masks = scene.masks.clone()
    masks[1] = False
    with pytest.raises(ValueError, match="sample 1 is empty"):
        term_type.of_masks(scene.smpl, masks, scene.camera)
    with pytest.raises(ValueError, match=r"must be \(N, 1000, 800\)"):
        term_type.of_masks(scene.smpl, scene.masks[0], scene.camera)


def test_nothing_of_the_caller_s_is_changed(scene, silhouette, overlap):
    vector = scene.truth.vector.clone()
    body = PosedBody(scene.truth.regressor, vector)
    pictures = [
        t.clone() for t in (silhouette.distance, silhouette.outline, overlap.masks.coverage)
    ]
    masks = scene.masks.clone()
    for term in (silhouette, overlap, Silhouette.of_masks(scene.smpl, masks, scene.camera)):
        assert isinstance(term, Term)
        term.quadratic(body)
        term.energy(body)
    assert torch.equal(vector, scene.truth.vector)
    assert torch.equal(masks, scene.masks)
    after = silhouette.distance, silhouette.outline, overlap.masks.coverage
    assert all(torch.equal(a, b) for a, b in zip(pictures, after, strict=True))
