import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vhlib.geometry import axis_angle_to_matrix
from vhlib.metrics import (
    acceleration,
    acceleration_error,
    auc,
    f1,
    iou,
    mpjpe,
    n_mpjpe,
    pa_mpjpe,
    pa_pve,
    pck,
    procrustes_aligned,
    pve,
)

BATCHES = [(), (1,), (0,), (4,), (2, 3)]
seeds = st.integers(0, 2**31)


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def poses(*batch, seed=0):
    return random(*batch, 14, 3, seed=seed), random(*batch, 14, 3, seed=seed + 1)


def similar(points, seed=0):
    """The same poses after random similarities."""
    batch = points.shape[:-2]
    R, t = axis_angle_to_matrix(random(*batch, 3, seed=seed)), random(*batch, 1, 3, seed=seed)
    return random(*batch, 1, 1, seed=seed).exp() * points @ R.mT + t


@pytest.mark.parametrize("batch", BATCHES)
def test_every_metric_gives_one_value_per_sample(batch):
    pred, gt = poses(*batch)
    values = [
        mpjpe(pred, gt, root=0),
        n_mpjpe(pred, gt, root=[2, 3]),
        pa_mpjpe(pred, gt),
        pve(pred, gt, roots=None),
        pve(pred, gt, roots=(pred[..., 0, :], gt[..., 0, :])),
        pa_pve(pred, gt),
        pck(pred, gt, threshold=0.15, root=None),
        auc(pred, gt, root=0),
        acceleration_error(*(random(*batch, 5, 14, 3, seed=s) for s in range(2))),
        acceleration(random(*batch, 5, 14, 3)),
        iou(pred > 0, gt > 0),
        f1(pred > 0, gt > 0),
    ]
    assert [value.shape for value in values] == [batch] * len(values)


@pytest.mark.parametrize("metric", [mpjpe, n_mpjpe])
def test_a_batch_is_its_samples(metric):
    pred, gt = poses(5)
    singles = torch.stack([metric(p, g, root=0) for p, g in zip(pred, gt, strict=True)])
    torch.testing.assert_close(metric(pred, gt, root=0), singles)
    singles = torch.stack([pa_mpjpe(p, g) for p, g in zip(pred, gt, strict=True)])
    torch.testing.assert_close(pa_mpjpe(pred, gt), singles)


def test_mpjpe_by_hand_with_each_root():
    gt = torch.zeros(3, 3)
    pred = torch.tensor([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
    assert mpjpe(pred, gt, root=None).item() == pytest.approx((0 + 5 + 1) / 3)
    assert mpjpe(pred, gt, root=0).item() == pytest.approx((0 + 5 + 1) / 3)
    assert mpjpe(pred, gt, root=1).item() == pytest.approx((5 + 0 + 26**0.5) / 3)
    # Root at (1.5, 2, 0), the mean of the first two joints.
    assert mpjpe(pred, gt, root=[0, 1]).item() == pytest.approx((2.5 + 2.5 + 7.25**0.5) / 3)


def test_n_mpjpe_by_hand():
    gt = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert n_mpjpe(3 * gt, gt, root=0).item() == pytest.approx(0.0)
    # <gt, pred> / <pred, pred> = 1 / 2 turns (1, 1, 0) into (0.5, 0.5, 0).
    pred = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    assert n_mpjpe(pred, gt, root=0).item() == pytest.approx(0.5**0.5 / 2)
    assert n_mpjpe(torch.ones(2, 3), gt, root=0).item() == pytest.approx(0.5)


def test_pa_mpjpe_by_hand():
    """A stick of length 2 onto one of length 4 fits exactly; a bent middle joint stays off."""
    gt = torch.tensor([[-2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    pred = torch.tensor([[0.0, -1.0, 7.0], [0.0, 0.0, 7.0], [0.0, 1.0, 7.0]])
    assert pa_mpjpe(pred, gt).item() == pytest.approx(0.0, abs=1e-6)
    # Centred, the pose is (-1, -h), (0, 2h), (1, -h), h = 1/3; by symmetry nothing turns and the
    # scale is <gt, pred> / <pred, pred> = 4 / (2 + 6 h^2) = 1.5: off by 0.5 at the ends and in y.
    bent = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert pa_mpjpe(bent, gt).item() == pytest.approx((2 * 0.5**0.5 + 1.0) / 3)


@given(seed=seeds)
def test_pa_mpjpe_ignores_similarities_of_the_prediction(seed):
    pred, gt = poses(3, seed=seed)
    torch.testing.assert_close(pa_mpjpe(similar(pred, seed), gt), pa_mpjpe(pred, gt))
    torch.testing.assert_close(pa_mpjpe(similar(gt, seed), gt), torch.zeros(3).double())


def test_a_mirrored_pose_is_not_forgiven():
    _, gt = poses(3)
    mirrored = gt * torch.tensor([-1.0, 1.0, 1.0])
    assert (pa_mpjpe(mirrored, gt) > 0.1).all()


@given(seed=seeds)
def test_mpjpe_ignores_translation_and_n_mpjpe_also_scale(seed):
    pred, gt = poses(3, seed=seed)
    moved = pred + random(3, 1, 3, seed=seed)
    torch.testing.assert_close(mpjpe(moved, gt, root=0), mpjpe(pred, gt, root=0))
    torch.testing.assert_close(n_mpjpe(5 * moved, gt, root=0), n_mpjpe(pred, gt, root=0))


@given(seed=seeds)
def test_procrustes_has_the_least_root_mean_square_of_all_similarities(seed):
    pred, gt = poses(3, seed=seed)

    def rms(points):
        return (points - gt).square().sum(-1).mean(-1).sqrt()

    best = rms(procrustes_aligned(pred, gt))
    assert (best <= rms(similar(pred, seed)) + 1e-12).all()
    assert (best <= rms(pred) + 1e-12).all()


def test_pve_subtracts_the_given_roots_only():
    gt = torch.zeros(4, 3)
    pred = gt + torch.tensor([0.0, 0.3, 0.4])
    assert pve(pred, gt, roots=None).item() == pytest.approx(0.5)
    assert pve(pred, gt, roots=(pred[0], gt[0])).item() == pytest.approx(0.0)
    assert pa_pve(*poses()).item() == pytest.approx(pa_mpjpe(*poses()).item())


def test_pck_and_auc_by_hand():
    gt = torch.zeros(4, 3)
    pred = torch.tensor([0.0, 0.05, 0.149, 0.151])[:, None] * torch.tensor([1.0, 0.0, 0.0])
    assert pck(pred, gt, threshold=0.15, root=None).item() == pytest.approx(3 / 4)
    assert pck(pred, gt, threshold=0.1, root=None).item() == pytest.approx(2 / 4)
    assert auc(pred, gt, thresholds=(0.02, 0.1, 0.2), root=None).item() == pytest.approx(7 / 12)
    # Within 0, 5, ... 150 mm: the first joint always, the others from 50 mm, 150 mm and never.
    far = torch.tensor([0.0, 0.048, 0.149, 0.151])[:, None] * torch.tensor([1.0, 0.0, 0.0])
    assert auc(far, gt, root=None).item() == pytest.approx((31 + 21 + 1 + 0) / (31 * 4))
    assert auc(gt, gt, root=None).item() == 1.0


def test_acceleration_by_hand_and_its_units():
    t = torch.arange(6.0)[:, None, None]
    falling = 0.5 * 9.81 * (t / 30) ** 2 * torch.tensor([0.0, 1.0, 0.0])
    assert acceleration(falling).item() == pytest.approx(9.81 / 900, rel=1e-4)
    assert acceleration(falling, fps=30).item() == pytest.approx(9.81, rel=1e-4)
    frozen = falling[:1].expand_as(falling)
    assert acceleration(frozen).item() == 0.0
    assert acceleration_error(frozen, falling, fps=30).item() == pytest.approx(9.81, rel=1e-4)


@given(seed=seeds)
def test_acceleration_error_ignores_constant_velocity_and_offset(seed):
    pred, gt = random(2, 7, 14, 3, seed=seed), random(2, 7, 14, 3, seed=seed + 1)
    t = torch.arange(7.0)[:, None, None]
    drifting = pred + t * random(2, 1, 14, 3, seed=seed) + random(2, 1, 14, 3, seed=seed + 2)
    torch.testing.assert_close(acceleration_error(drifting, gt), acceleration_error(pred, gt))
    torch.testing.assert_close(acceleration(drifting), acceleration(pred))


def test_masks_by_hand():
    pred = torch.tensor([[1, 1, 0], [0, 0, 0]], dtype=torch.bool)
    gt = torch.tensor([[0, 1, 1], [1, 0, 0]], dtype=torch.bool)
    assert iou(pred, gt).item() == pytest.approx(1 / 4)
    assert f1(pred, gt).item() == pytest.approx(2 / 5)
    empty = torch.zeros_like(gt)
    assert iou(empty, empty).item() == f1(empty, empty).item() == 1.0
    assert iou(empty, gt).item() == f1(empty, gt).item() == 0.0


def test_poses_of_different_shape_or_too_few_frames_are_refused():
    for metric in (pa_mpjpe, acceleration_error):
        with pytest.raises(ValueError, match=r"same shape, found \(5, 14, 3\) and \(5, 1, 3\)"):
            metric(random(5, 14, 3), random(5, 1, 3))
    with pytest.raises(ValueError, match="same shape"):
        mpjpe(random(14, 3), random(17, 3), root=0)
    with pytest.raises(ValueError, match="at least 3 frames, found 2"):
        acceleration(random(2, 14, 3))


def test_inputs_are_left_alone():
    pred, gt = poses(2)
    copies = pred.clone(), gt.clone()
    mpjpe(pred, gt, root=0), n_mpjpe(pred, gt, root=0), pa_mpjpe(pred, gt)
    assert torch.equal(pred, copies[0])
    assert torch.equal(gt, copies[1])
