from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from vhlib.body.skeletons import SMPL_24
from vhlib.data.downloads import cached
from vhlib.data.mocap import MotionSequence
from vhlib.fitting.priors import load_pose_prior
from vhlib.geometry.rotations import axis_angle_to_matrix
from vhlib.training import pose_prior
from vhlib.training.pose_prior import (
    PosePriorRecipe,
    fit_mixture,
    mix_limbs,
    train_pose_prior,
    training_poses,
)


def random_clips(count=6, frames=40):
    """Small motions about different poses, named as the registry's are."""
    generator = torch.Generator().manual_seed(0)
    clips = {}
    for i in range(count):
        centre = 0.4 * torch.randn(24, 3, generator=generator)
        axis_angle = centre + 0.1 * torch.randn(frames, 24, 3, generator=generator)
        name = pose_prior.HELD_OUT_CLIPS[i] if i < 2 else f"clip{i}"
        rotations = axis_angle_to_matrix(axis_angle)
        clips[name] = MotionSequence(rotations, torch.zeros(frames, 3), 30.0, name)
    return clips


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("prior") / "gmm.npz"
    return out, train_pose_prior(out, components=3, motions=random_clips())


def test_writes_a_prior_that_loads_and_prefers_the_recorded_poses(trained):
    out, _ = trained
    prior = load_pose_prior(out)
    assert prior.means.shape == (3, 69)
    recorded = next(iter(random_clips().values())).body_pose
    far = axis_angle_to_matrix(torch.full((1, 23, 3), 1.0))
    assert prior.energy(recorded).max() < prior.energy(far).min()


def test_says_what_came_out_and_where_from(trained, capsys, tmp_path):
    out, scores = trained
    with np.load(out, allow_pickle=False) as archive:
        provenance = str(archive["provenance"])
    assert "components=3" in provenance
    assert str(scores.log_likelihood) in provenance
    train_pose_prior(tmp_path / "again.npz", components=3, motions=random_clips())
    printed = capsys.readouterr().out
    assert f"{scores.log_likelihood:.1f} nats" in printed
    assert f"hyperextended joints {scores.clips.hyperextended:.3f}" in printed
    assert (tmp_path / "again.npz").read_bytes() == out.read_bytes()


def test_held_out_clips_are_not_fitted_while_scoring(monkeypatch, tmp_path):
    fitted = []
    fit = pose_prior.fit_mixture

    def record(recipe, motions):
        fitted.append(set(motions))
        return fit(recipe, motions)

    monkeypatch.setattr(pose_prior, "fit_mixture", record)
    clips = random_clips()
    train_pose_prior(tmp_path / "gmm.npz", components=2, motions=clips)
    *scoring, final = fitted
    assert len(scoring) == 2
    assert all(names.isdisjoint(pose_prior.HELD_OUT_CLIPS) for names in scoring)
    assert final == set(clips)


@pytest.mark.parametrize("pooling", [0.0, 0.4, 1.0])
def test_components_share_their_covariance(pooling):
    """Between each component's own and that of all poses; what it is scored with follows."""
    recipe = PosePriorRecipe(components=3, pooling=pooling, limb_mixed=200)
    clips = random_clips()
    pooled, apart = fit_mixture(recipe, clips), fit_mixture(replace(recipe, pooling=0.0), clips)
    poses = training_poses(recipe, clips).numpy()
    whole = np.cov(poses.T) + recipe.shrinkage * np.eye(69)
    expected = [(1 - pooling) * own + pooling * whole for own in apart.covariances_]
    np.testing.assert_allclose(pooled.covariances_, expected)
    np.testing.assert_array_equal(pooled.means_, apart.means_)
    components = zip(pooled.means_, pooled.covariances_, pooled.weights_, strict=True)
    logs = [np.log(w) + multivariate_normal(m, c).logpdf(poses[:20]) for m, c, w in components]
    np.testing.assert_allclose(pooled.score_samples(poses[:20]), logsumexp(logs, axis=0))


def test_every_clip_counts_about_equally_and_mirrored():
    clips = random_clips(2, frames=40)
    long = next(iter(random_clips(1, frames=900).values()))
    recipe = PosePriorRecipe(limb_mixed=0)
    poses = training_poses(recipe, clips | {"long": long})
    assert poses.shape == (2 * (80 + 80 + 300), 69)
    flip = torch.from_numpy(SMPL_24.flip_permutation[1:] - 1)
    signs = torch.tensor([1.0, -1, -1], dtype=torch.float64)
    first = poses[:80].unflatten(-1, (23, 3))
    mirrored = poses[80:160].unflatten(-1, (23, 3))
    torch.testing.assert_close(first[:, flip] * signs, mirrored, atol=1e-6, rtol=0)


def test_limbs_are_mixed_whole():
    """Each limb of a mixed pose comes from one recorded pose, and not all from the same."""
    poses = torch.arange(50.0).reshape(50, 1).expand(50, 69)
    mixed = mix_limbs(poses, 200, torch.Generator().manual_seed(0)).unflatten(-1, (23, 3))
    groups = [
        [name for name in SMPL_24.names[1:] if name.startswith(side) and name.endswith(ends)]
        for side, ends in (
            ("left", ("collar", "shoulder", "elbow", "wrist", "hand")),
            ("right", ("collar", "shoulder", "elbow", "wrist", "hand")),
            (("left", "right"), ("hip", "knee", "ankle", "foot")),
            (("spine", "neck", "head"), ("1", "2", "3", "neck", "head")),
        )
    ]
    assert sorted(chain.from_iterable(groups)) == sorted(SMPL_24.names[1:])
    sources = []
    for group in groups:
        values = mixed[:, [index - 1 for index in SMPL_24.indices(*group)]].flatten(1)
        assert (values == values[:, :1]).all()
        sources.append(values[:, 0])
    assert (sources[0] != sources[1]).float().mean() > 0.9
    assert (sources[2] != sources[3]).float().mean() > 0.9


def test_mixing_leaves_the_poses_alone():
    poses = torch.randn(20, 69, generator=torch.Generator().manual_seed(0))
    before = poses.clone()
    mix_limbs(poses, 10, torch.Generator().manual_seed(1))
    assert torch.equal(poses, before)


@pytest.mark.slow
@pytest.mark.real_data
def test_the_shipped_prior_is_what_the_recipe_gives(tmp_path):
    if cached("pybullet") is None or cached("assimp-testmodels") is None:
        pytest.skip("run `vh assets fetch pybullet assimp-testmodels`")
    scores = train_pose_prior(tmp_path / "gmm.npz")
    assert scores.log_likelihood == pytest.approx(30.8, abs=1.0)
    assert scores.log_likelihood > scores.single_gaussian
    again, shipped = load_pose_prior(tmp_path / "gmm.npz"), load_pose_prior("gmm")
    torch.testing.assert_close(again.mean_pose, shipped.mean_pose, atol=0.02, rtol=0)
    poses = shipped.sample(100, torch.Generator().manual_seed(0))
    torch.testing.assert_close(again.energy(poses), shipped.energy(poses), atol=2.0, rtol=0.02)
