import math
import pickle
from importlib import resources

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from vhlib.body.skeletons import SMPL_24
from vhlib.data.downloads import cached
from vhlib.data.motion_library import load_registry_motions
from vhlib.fitting.energies import BENT_JOINTS
from vhlib.fitting.priors import GaussianMixturePrior, load_pose_prior
from vhlib.fitting.priors.gmm import read_mixture
from vhlib.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle


def random_mixture(components=3, spread=0.3, seed=0):
    """Means, covariances with eigenvalues near spread^2, and weights, in float64."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(components, 69)) * 0.5
    factors = rng.normal(size=(components, 69, 69)) * spread / math.sqrt(69)
    covars = factors @ factors.transpose(0, 2, 1) + (spread / 3) ** 2 * np.eye(69)
    weights = rng.uniform(0.5, 1.5, components)
    return means, covars, weights / weights.sum()


@pytest.fixture
def prior():
    return GaussianMixturePrior(*random_mixture(), dtype=torch.float64)


def poses(*batch, seed=1, scale=0.4):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*batch, 69, generator=generator, dtype=torch.float64)


def test_energy_is_the_best_components_negative_log_density_up_to_a_constant(prior):
    """Against scipy: -log(w_k N(theta; mu_k, Sigma_k)), smallest k, shifted by min half log det."""
    means, covars, weights = random_mixture()
    shift = 0.5 * min(np.linalg.slogdet(c)[1] for c in covars)
    theta = poses(20)
    densities = [
        np.log(w) + multivariate_normal(m, c).logpdf(theta.numpy())
        for m, c, w in zip(means, covars, weights, strict=True)
    ]
    expected = -np.max(densities, axis=0) - shift
    np.testing.assert_allclose(prior.energy_axis_angle(theta).numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3), (0,)])
def test_every_answer_keeps_the_batch_axes(prior, batch):
    theta = poses(*batch)
    matrices = axis_angle_to_matrix(theta.unflatten(-1, (-1, 3)))
    energy = prior.energy_axis_angle(theta)
    assert energy.shape == batch
    torch.testing.assert_close(prior.energy(matrices), energy)
    torch.testing.assert_close(prior.residuals(theta).square().sum(-1), energy)
    assert prior.active_component(theta).shape == batch
    quadratic = prior.quadratic(theta)
    torch.testing.assert_close(quadratic.energy, energy)
    assert quadratic.hessian.shape == (*batch, 69, 69)


def test_quadratic_holds_the_exact_derivatives(prior):
    theta = poses(4)
    quadratic = prior.quadratic(theta)
    for i in range(4):
        gradient = torch.autograd.functional.jacobian(prior.energy_axis_angle, theta[i])
        hessian = torch.autograd.functional.hessian(prior.energy_axis_angle, theta[i])
        torch.testing.assert_close(quadratic.gradient[i], gradient)
        torch.testing.assert_close(quadratic.hessian[i], hessian)


def test_gradients_reach_rotation_matrices(prior):
    # Rotations vary along their manifold, so the check goes through axis-angle.
    theta = poses(2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda t: prior.energy(axis_angle_to_matrix(t.unflatten(-1, (-1, 3)))), theta
    )


def test_each_component_wins_at_its_mean(prior):
    assert prior.active_component(prior.means).tolist() == [0, 1, 2]


def test_energy_is_positive_everywhere(prior):
    assert prior.energy_axis_angle(prior.means).min() > 0
    assert prior.constants.min() > 69 / 2 * math.log(2 * math.pi) - 1e-9


def test_float32_keeps_the_weighting_where_determinants_underflow():
    """Standard deviations near 0.02 give a determinant of 1e-250; its logarithm is harmless."""
    means, covars, weights = random_mixture(spread=0.03)
    covars[1] *= 2
    assert np.float32(np.linalg.det(covars[0])) == 0
    single = GaussianMixturePrior(means, covars, weights)
    double = GaussianMixturePrior(means, covars, weights, dtype=torch.float64)
    assert single.constants.dtype == torch.float32
    assert single.constants.std() > 5
    torch.testing.assert_close(single.constants.double(), double.constants, rtol=1e-6, atol=0)
    theta = double.means + poses(3, scale=0.01)
    torch.testing.assert_close(
        single.energy_axis_angle(theta.float()).double(),
        double.energy_axis_angle(theta),
        rtol=1e-3,
        atol=0,
    )


def test_mean_pose_weighs_the_components(prior):
    means, _, weights = random_mixture()
    np.testing.assert_allclose(prior.mean_pose.numpy(), weights @ means)


def test_weights_are_scaled_to_sum_to_one(prior):
    means, covars, weights = random_mixture()
    doubled = GaussianMixturePrior(means, covars, 2 * weights, dtype=torch.float64)
    torch.testing.assert_close(doubled.constants, prior.constants)


def test_samples_have_the_mixtures_moments():
    means, covars, _ = random_mixture(1, spread=0.2)
    prior = GaussianMixturePrior(means * 0.2, covars, np.ones(1), dtype=torch.float64)
    drawn = prior.sample(4000, torch.Generator().manual_seed(3))
    assert drawn.shape == (4000, 23, 3, 3)
    theta = matrix_to_axis_angle(drawn).flatten(1)
    deviation = (theta - prior.means).T.cov()
    assert (theta.mean(0) - prior.means[0]).abs().max() < 0.02
    assert (deviation - torch.from_numpy(covars[0])).norm() < 0.15 * np.linalg.norm(covars[0])


def test_samples_depend_on_the_generator_only(prior):
    one, same, other = (prior.sample(5, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_inputs_are_not_changed(prior):
    theta = poses(3)
    before = theta.clone()
    prior.energy_axis_angle(theta)
    prior.residuals(theta)
    prior.quadratic(theta)
    assert torch.equal(theta, before)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_reads_the_layout_of_the_released_pickle(tmp_path, protocol, prior):
    means, covars, weights = random_mixture()
    path = tmp_path / "gmm_08.pkl"
    content = {"means": means, "covars": covars, "weights": weights}
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    loaded = load_pose_prior(path)
    torch.testing.assert_close(loaded.means.double(), prior.means)
    torch.testing.assert_close(loaded.constants.double(), prior.constants)


def test_npz_and_pickle_give_the_same(tmp_path):
    arrays = dict(zip(("means", "covars", "weights"), random_mixture(), strict=True))
    np.savez(tmp_path / "mixture.npz", **arrays)
    (tmp_path / "mixture.pkl").write_bytes(pickle.dumps(arrays))
    theta = poses(4).float()
    one, other = (load_pose_prior(tmp_path / f"mixture.{kind}") for kind in ("npz", "pkl"))
    assert torch.equal(one.energy_axis_angle(theta), other.energy_axis_angle(theta))


class Malicious:
    def __reduce__(self):
        return (print, ("run",))


def test_a_harmful_pickle_is_refused_and_not_run(tmp_path, capsys):
    path = tmp_path / "gmm_08.pkl"
    path.write_bytes(pickle.dumps({"means": Malicious()}))
    with pytest.raises(ValueError, match="print"):
        load_pose_prior(path)
    assert capsys.readouterr().out == ""


def wrong(**changes):
    arrays = dict(zip(("means", "covars", "weights"), random_mixture(), strict=True))
    return {key: value for key, value in (arrays | changes).items() if value is not None}


NOT_DEFINITE = random_mixture()[1] - np.eye(69)
SKEWED = random_mixture()[1] + np.triu(np.ones((69, 69)), 1)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (wrong(weights=None), "no weights"),
        (wrong(means=np.zeros((3, 63))), r"found \(3, 63\)"),
        (wrong(weights=np.ones(2)), "a pose mixture has"),
        (wrong(weights=np.array([1.0, 0, 1])), "must be positive"),
        (wrong(means=np.full((3, 69), np.nan)), "isn't finite"),
        (wrong(covars=NOT_DEFINITE), "component 0 isn't positive definite"),
        (wrong(covars=SKEWED), "isn't symmetric"),
    ],
)
def test_a_broken_mixture_is_named(tmp_path, arrays, message):
    path = tmp_path / "broken.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        read_mixture(path)
    assert "broken.npz" in str(caught.value)


def test_files_that_are_no_mixture(tmp_path):
    text = tmp_path / "notes.npz"
    text.write_text("no mixture")
    with pytest.raises(ValueError, match=r"notes\.npz"):
        load_pose_prior(text)
    with pytest.raises(FileNotFoundError, match="no pose prior 'vposer': expected gmm, or"):
        load_pose_prior("vposer")


class TestShippedPrior:
    def test_has_eight_components_and_says_where_it_comes_from(self):
        assert load_pose_prior("gmm").means.shape == (8, 69)
        path = resources.files("vhlib") / "assets" / "priors" / "gmm.npz"
        with np.load(str(path), allow_pickle=False) as archive:
            assert "CMU Graphics Lab" in str(archive["provenance"])
            assert archive["means"].dtype == np.float32

    def test_is_nearly_symmetric(self):
        """It is fitted on mirrored poses too, so left and right differ only by chance."""
        mean = load_pose_prior().mean_pose.unflatten(0, (23, 3))
        flip = torch.from_numpy(SMPL_24.flip_permutation[1:] - 1)
        mirrored = mean[flip] * torch.tensor([1.0, -1, -1])
        assert (mean - mirrored).abs().max() < 0.1

    @pytest.mark.parametrize(("name", "axis", "sign"), BENT_JOINTS)
    def test_prefers_knees_and_elbows_that_bend_the_right_way(self, name, axis, sign):
        """By 1.2 radians from the mean pose; five are a factor of 150 in probability."""
        prior = load_pose_prior()
        number = 3 * (SMPL_24.index(name) - 1) + axis
        natural, impossible = prior.mean_pose.clone(), prior.mean_pose.clone()
        natural[number], impossible[number] = -1.2 * sign, 1.2 * sign
        assert prior.energy_axis_angle(natural) + 5 < prior.energy_axis_angle(impossible)

    @pytest.mark.real_data
    def test_recorded_poses_are_likelier_than_shuffled_limbs(self):
        if cached("pybullet") is None:
            pytest.skip("run `vh assets fetch pybullet`")
        prior = load_pose_prior()
        walk = load_registry_motions(with_bvh=False)["humanoid3d_walk"].body_pose
        generator = torch.Generator().manual_seed(0)
        shuffled = walk[:, torch.randperm(23, generator=generator)]
        assert prior.energy(walk).max() < prior.energy(shuffled).min()
