"""Interpenetration: its value, whom it moves, how far it reaches, and limbs that it gets out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch

from tests.random_body import random_model
from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.capsules import Spheres
from vhlib.body.skeletons import SMPL_24
from vhlib.fitting import COLD_START, WARM_START, Stage, fit_smplify, load_pose_prior
from vhlib.fitting.collision import BODY_PAIRS, SMPLIFY_PAIRS, Interpenetration, kept_apart
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.terms import Term
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.geometry.containment import winding_numbers

BODIES = ["neutral", "female", "male", "random"]
POSE = slice(3, 72)
# Radians about x, y and z of the T-pose: left shin and foot through the right ones; hands joined.
CROSSED = {"left_hip": (0.0, 0.0, -0.30), "right_hip": (0.0, 0.0, 0.30)}
JOINED = {
    "left_shoulder": (0.0, -0.9, 0.0),
    "right_shoulder": (0.0, 0.9, 0.0),
    "left_elbow": (0.0, -0.85, 0.0),
    "right_elbow": (0.0, 0.85, 0.0),
}
ARMS_DOWN = {"left_shoulder": (0.0, 0.0, -1.0), "right_shoulder": (0.0, 0.0, 1.0)}


def load(name: str) -> SMPL:
    return SMPL(random_model()) if name == "random" else SMPL.load(name)


def posed(smpl: SMPL, *angles: dict[str, tuple[float, ...]], share: float = 1.0) -> PosedBody:
    """One body for each pose, turned and moved as a whole, of some shape."""
    vector = torch.zeros(len(angles), 86, dtype=smpl.v_template.dtype)
    for row, pose in zip(vector, angles, strict=True):
        for name, turn in pose.items():
            joint = 3 * SMPL_24.index(name)
            row[joint : joint + 3] = share * torch.tensor(turn)
    vector[:, :3] = torch.tensor([0.4, -0.8, 0.3])
    vector[:, 72:82] = 0.3 * torch.linspace(-1, 1, 10)
    vector[:, 82:85] = torch.tensor([0.5, -0.2, 4.0])
    return PosedBody(smpl.keypoint_regressor("smpl_24"), vector)


def moved(body: PosedBody, vector: torch.Tensor) -> PosedBody:
    return PosedBody(body.regressor, vector)


def likely(smpl: SMPL, count: int) -> PosedBody:
    """Poses round the prior's mean, which often touch somewhere."""
    g = torch.Generator().manual_seed(4)
    vector = torch.zeros(count, 86, dtype=torch.float64)
    noise = torch.randn(count, 69, generator=g, dtype=torch.float64)
    vector[:, POSE] = load_pose_prior().mean_pose + 0.35 * noise
    vector[:, 72:82] = torch.randn(count, 10, generator=g, dtype=torch.float64)
    return PosedBody(smpl.keypoint_regressor("smpl_24"), vector)


@pytest.fixture(scope="module")
def smpl() -> SMPL:
    return SMPL.load().double()


@pytest.fixture(scope="module")
def term(smpl) -> Interpenetration:
    return Interpenetration(smpl)


def spheres_in_place(
    term: Interpenetration, body: PosedBody
) -> Iterator[tuple[str, torch.Tensor, float]]:
    """Part, centre and radius of each sphere of the first body, along the chain of its bones."""
    smpl, spheres, parameters = term.smpl, term.spheres, body.parameters()[0]
    joints = smpl(**vars(parameters)).joints
    rotations = torch.cat([parameters.global_orient[None], parameters.body_pose])
    for k, (part, bone) in enumerate(zip(spheres.part, spheres.bone, strict=True)):
        world, above = torch.eye(3).to(rotations), bone
        while above >= 0:
            world, above = rotations[above] @ world, smpl.tree.parents[above]
        at_rest = spheres.center[k] + spheres.center_shapedirs[k] @ parameters.betas
        radius = spheres.radius[k] + spheres.radius_shapedirs[k] @ parameters.betas
        yield part, joints[bone] + world @ at_rest, float(radius)


def energy_by_hand(term: Interpenetration, body: PosedBody) -> float:
    """A loop over all pairs of spheres; bumps are wider where a hand is involved."""
    placed = list(spheres_in_place(term, body))
    checked = {frozenset(pair) for pair in term.pairs}
    total = 0.0
    for i, (part, center, radius) in enumerate(placed):
        for other, elsewhere, size in placed[:i]:
            if frozenset((part, other)) in checked:
                width = 0.36 if "hand" in part + other else 0.3
                squared = float((center - elsewhere).square().sum())
                total += math.exp(-squared / ((width * radius) ** 2 + (width * size) ** 2))
    return total


@pytest.mark.parametrize("pairs", [SMPLIFY_PAIRS, BODY_PAIRS])
@pytest.mark.parametrize("name", BODIES)
def test_the_energy_is_the_sum_over_pairs_of_spheres(name, pairs):
    smpl = load(name).double()
    term = Interpenetration(smpl, pairs, spacing=2.0)
    for pose in (CROSSED, JOINED):
        body = posed(smpl, pose)
        assert term.energy(body).item() == pytest.approx(energy_by_hand(term, body), rel=1e-9)


@pytest.mark.parametrize(("parts", "width"), [(("calf", "calf"), 0.3), (("hand", "calf"), 0.36)])
def test_two_spheres(smpl, parts, width):
    """Of radius 3 cm and 4 cm, 5 cm apart: ``exp(-0.05^2 / width^2 (0.03^2 + 0.04^2))``."""
    left, right = (f"{side}_{part}" for side, part in zip(("left", "right"), parts, strict=True))
    term = Interpenetration(smpl, ((left, right),))
    knees = SMPL_24.indices("left_knee", "right_knee")
    aside = torch.tensor([0.015, 0.02, 0.0], dtype=torch.float64)  # 2.5 cm
    places = torch.stack([aside, -aside])
    # Where the cached property keeps them.
    vars(term)["spheres"] = Spheres(
        part=(left, right),
        bone=tuple(knees),
        center=places - smpl.J_template[knees],
        radius=torch.tensor([0.03, 0.04], dtype=torch.float64),
        center_shapedirs=torch.zeros(2, 3, 10).double(),
        radius_shapedirs=torch.zeros(2, 10).double(),
    )
    body = moved(posed(smpl, {}), torch.zeros(1, 86).double())
    expected = math.exp(-(0.05**2) / (width**2 * (0.03**2 + 0.04**2)))
    assert term.energy(body).item() == pytest.approx(expected, rel=1e-12)
    assert term.residuals(body).item() == pytest.approx(math.sqrt(expected), rel=1e-12)


def numeric_jacobian(term: Term, body: PosedBody, step: float = 1e-6) -> torch.Tensor:
    """By the body pose: central differences."""
    columns = []
    for i in range(POSE.start, POSE.stop):
        delta = torch.zeros_like(body.vector)
        delta[:, i] = step
        ahead, behind = (moved(body, body.vector + d) for d in (delta, -delta))
        columns.append((term.residuals(ahead) - term.residuals(behind)) / (2 * step))
    return torch.stack(columns, -1)


@pytest.mark.parametrize("name", BODIES)
def test_the_jacobian_equals_finite_differences(name):
    smpl = load(name).double()
    term = Interpenetration(smpl)
    for body in (posed(smpl, CROSSED, JOINED), likely(smpl, 2)):
        numeric = numeric_jacobian(term, body)
        error = term.jacobian(body)[..., POSE] - numeric
        assert error.norm() < 1e-7 * numeric.norm()


def test_gradcheck(smpl, term):
    body = posed(smpl, JOINED)
    nearest = term.residuals(body)[0].topk(12).indices

    def residuals(pose: torch.Tensor) -> torch.Tensor:
        whole = torch.cat([body.vector[:, :3], pose, body.vector[:, 72:]], -1)
        return term.residuals(moved(body, whole))[:, nearest]

    assert torch.autograd.gradcheck(residuals, body.vector[:, POSE].clone().requires_grad_())


@pytest.mark.parametrize("flaw", [-1.0, 0.99])
def test_a_wrong_jacobian_is_caught(smpl, flaw):
    class Planted(Interpenetration):
        def jacobian(self, body: PosedBody) -> torch.Tensor:
            return flaw * super().jacobian(body)

    term, body = Planted(smpl), posed(smpl, CROSSED)
    numeric = numeric_jacobian(term, body)
    assert (term.jacobian(body)[..., POSE] - numeric).norm() > 1e-3 * numeric.norm()


def test_the_jacobian_and_the_slope_are_the_automatic_ones(smpl, term):
    body = likely(smpl, 3)
    torch.testing.assert_close(term.jacobian(body), Term.jacobian(term, body), rtol=0, atol=1e-13)
    leaf = body.vector.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(term.energy(moved(body, leaf)).sum(), leaf)
    model = term.quadratic(body)
    for found, whole in zip(model.gradient, gradient[:, model.unknowns], strict=True):
        assert (found - whole).norm() <= 1e-10 * whole.norm()


def test_the_quadratic_leaves_out_what_is_too_far_apart_only(smpl, term):
    for body in (likely(smpl, 4), posed(smpl, {}, CROSSED, JOINED)):
        model, jacobian = term.quadratic(body), term.jacobian(body)[..., POSE]
        torch.testing.assert_close(model.energy, term.energy(body), rtol=1e-12, atol=0)
        hessian = 2 * jacobian.mT @ jacobian
        for found, whole in zip(model.hessian, hessian, strict=True):
            assert (found - whole).norm() <= 1e-10 * whole.norm()


def test_nobody_grows_thin_or_turns_away(smpl, term):
    """The energy depends on the betas, its derivatives don't; nor on where the body stands."""
    body = posed(smpl, CROSSED)
    leaf = body.vector.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(term.energy(moved(body, leaf)).sum(), leaf)
    others = [i for i in range(86) if not POSE.start <= i < POSE.stop]
    for by_others in (term.jacobian(body)[..., others], gradient[:, others]):
        assert not by_others.any()
    assert gradient[:, POSE].any()
    assert term.quadratic(body).unknowns == POSE
    thinner = body.vector.clone()
    thinner[:, 72:82] += 0.5
    assert term.energy(moved(body, thinner)) != term.energy(body)
    elsewhere = body.vector.clone()
    elsewhere[:, [0, 1, 2, 82, 83, 84]] += 1.0
    assert term.energy(moved(body, elsewhere)) == term.energy(body)


@pytest.mark.parametrize(
    ("pose", "parts"),
    [(JOINED, ("left_hand", "right_hand")), (CROSSED, ("left_calf", "right_calf"))],
)
def test_beyond_three_radii_hardly_anything_pulls(smpl, pose, parts):
    """Equal spheres come together: the slope beyond three radii against that where they touch."""
    term = Interpenetration(smpl, (parts,))
    contact, beyond = [], []
    for share in torch.linspace(0, 1.4, 71).tolist():
        body = posed(smpl, pose, share=share)
        placed = list(spheres_in_place(term, body))
        first, second = ([(c, r) for part, c, r in placed if part == name] for name in parts)
        distance = min(float((a - b).norm()) for a, _ in first for b, _ in second)
        slope = float(term.quadratic(body).gradient.norm())
        radius = max(r for _, _, r in placed if r == first[0][1] or r == second[0][1])
        if distance <= 2 * radius:
            contact.append(slope)
        if distance > 3 * radius:
            beyond.append(slope)
    assert len(beyond) > 10
    assert max(beyond) < 1e-6 * contact[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_is_its_members(dtype):
    smpl = SMPL.load().to(dtype)
    term = Interpenetration(smpl)
    body = moved(likely(smpl, 4), likely(smpl, 4).vector.to(dtype))
    exact = 1e-5 if dtype == torch.float32 else 1e-12
    together, residuals = term.quadratic(body)[:3], term.residuals(body)
    for i in range(4):
        alone = moved(body, body.vector[i : i + 1])
        pairs = [*zip(term.quadratic(alone)[:3], together, strict=True)]
        for single, batch in [*pairs, (term.residuals(alone), residuals)]:
            assert (single[0] - batch[i]).norm() <= exact * batch[i].norm()


def test_no_bodies_at_all(smpl, term):
    body = moved(likely(smpl, 1), torch.zeros(0, 86, dtype=torch.float64))
    assert term.energy(body).shape == (0,)
    assert term.quadratic(body).hessian.shape == (0, 69, 69)


def test_nothing_of_the_caller_s_changes(smpl, term):
    body = posed(smpl, CROSSED)
    held = [body.vector, *smpl.buffers()]
    copies = [tensor.clone() for tensor in held]
    term.quadratic(body)
    term.jacobian(body)
    assert all(torch.equal(a, b) for a, b in zip(held, copies, strict=True))


@pytest.mark.parametrize(
    ("pairs", "flaw"), [((), "hold nothing"), ((("left_hand", "belly"),), "hold belly, expected")]
)
def test_pairs_that_check_nothing_are_refused(smpl, pairs, flaw):
    with pytest.raises(ValueError, match=flaw):
        Interpenetration(smpl, pairs)


def test_smplify_s_pairs_are_23():
    assert len({frozenset(pair) for pair in SMPLIFY_PAIRS}) == len(SMPLIFY_PAIRS) == 23
    assert set(SMPLIFY_PAIRS) < set(BODY_PAIRS)
    assert len({frozenset(pair) for pair in BODY_PAIRS}) == len(BODY_PAIRS)


SHAPE = Stage("shape", ("betas",), {"reprojection": 1.0, "shape_prior": 5.0}, 10)
SCHEDULES = {"there": WARM_START, "cold": COLD_START, "shape last": (*WARM_START, SHAPE)}


def legs_inside_each_other(smpl: SMPL, body: BodyParameters) -> int:
    """Vertices of the left lower leg within the right leg, whose open end the body closes."""
    bones = smpl.lbs_weights.argmax(-1)
    left = torch.isin(bones, torch.tensor(SMPL_24.indices("left_knee", "left_ankle", "left_foot")))
    whole = torch.isin(
        bones, torch.tensor(SMPL_24.indices("left_hip", "left_knee", "left_ankle", "left_foot"))
    )
    vertices = smpl(**vars(body)).vertices
    others = smpl.faces[~whole[smpl.faces].any(-1)]
    return int((winding_numbers(vertices[left], vertices, others) > 0).sum())


@pytest.mark.parametrize("start", SCHEDULES)
def test_crossed_calves_come_apart_while_the_picture_stays(start):
    """The keypoints are those of legs that run through each other; depth is free."""
    smpl = SMPL.load()
    camera = PerspectiveCamera((1000.0, 1000.0), (300.0, 300.0), (600, 600))
    pose = posed(smpl, {**CROSSED, **ARMS_DOWN}).parameters()
    upright = axis_angle_to_matrix(torch.tensor([math.pi, 0.0, 0.0]))
    impossible = BodyParameters(
        pose.betas[0], pose.body_pose[0], upright, torch.tensor([0.0, 0.2, 4.0])
    )
    xy = camera.project(smpl.keypoints("openpose_25", **vars(impossible)))
    keypoints = Keypoints(xy, torch.ones(25), "openpose_25")
    schedule = SCHEDULES[start]
    init = None if start == "cold" else impossible
    without = fit_smplify(smpl, camera, keypoints, schedule=schedule, init=init)
    apart = fit_smplify(
        *(smpl, camera, keypoints),
        schedule=kept_apart(schedule),
        init=init,
        extra_terms=[Interpenetration(smpl)],
    )
    assert keypoints.height() > 200
    assert legs_inside_each_other(smpl, impossible) > 20
    assert legs_inside_each_other(smpl, without.body_parameters) > 20
    assert legs_inside_each_other(smpl, apart.body_parameters) == 0
    assert (apart.projected_keypoints - xy).norm(dim=-1).mean() < 2


def weights(schedule: Sequence[Stage]) -> list[float | None]:
    return [stage.weights.get("interpenetration") for stage in schedule]


def test_a_schedule_that_keeps_limbs_apart():
    kept = kept_apart(COLD_START, (10.0, 20.0, 30.0))
    assert weights(kept) == [None, 10.0, 10.0, 20.0, 30.0]
    assert len({stage.name for stage in kept}) == 5
    for stage, before in zip(kept, (*COLD_START, COLD_START[-1], COLD_START[-1]), strict=True):
        assert {**stage.weights, "interpenetration": None} == {
            **before.weights,
            "interpenetration": None,
        }
        assert (stage.free, stage.iterations) == (before.free, before.iterations)
    assert weights(COLD_START) == [None] * 3
    # What the last stage does first is done once.
    turned = [replace(COLD_START[-1], prepare=COLD_START[0].prepare, remeasure=True)]
    first, *again = kept_apart(turned)
    assert first.prepare == turned[0].prepare
    assert first.remeasure
    assert not any(stage.prepare or stage.remeasure for stage in again)


def test_the_last_stage_that_frees_the_pose_is_run_again():
    kept = kept_apart((*COLD_START, SHAPE), (10.0, 20.0, 30.0))
    assert weights(kept) == [None, 10.0, 10.0, None, 20.0, 30.0]
    assert [stage.free for stage in kept[3:]] == [SHAPE.free, *[COLD_START[-1].free] * 2]


@pytest.mark.parametrize("schedule", [(), COLD_START[:1], (SHAPE,)])
def test_a_schedule_without_pose_is_refused(schedule):
    with pytest.raises(ValueError, match="a stage that frees body_pose"):
        kept_apart(schedule)


def test_the_pose_that_is_packed_is_the_pose_that_is_checked(smpl, term):
    body = posed(smpl, JOINED)
    again = moved(body, pack(body.parameters()))
    torch.testing.assert_close(term.energy(again), term.energy(body))
