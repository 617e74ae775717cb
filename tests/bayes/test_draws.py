"""Draws: a NumPyro model, its posterior where that is known, and the form that ArviZ reads."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from toy_likelihoods import Bernoullis, problem_of

from jaxcmr.bayes import log_density, numpyro_model, to_datatree
from jaxcmr.fitting import FitProblem
from jaxcmr.simulation import simulate_dataset

numpyro = pytest.importorskip("numpyro")
xarray = pytest.importorskip("xarray")


def sample(potential=None, model=None, start=None, n=500):
    """Return draws by name of one chain of NUTS, from a potential function or a model."""
    kernel = numpyro.infer.NUTS(model, potential_fn=potential)
    mcmc = numpyro.infer.MCMC(kernel, num_warmup=n, num_samples=n, progress_bar=False)
    mcmc.run(jax.random.key(0), init_params=start)
    return mcmc


def test_the_numpyro_model_has_the_log_density_of_its_parts():
    """Group, offsets and recalls, written out with SciPy."""
    problem = problem_of(Bernoullis, k=[8, 3], n=[10, 10])
    sites = {
        "group_mean": jnp.array([0.2]),
        "group_sd": jnp.array([0.7]),
        "offset": jnp.array([[0.5], [-1.0]]),
    }
    model = numpyro_model(problem)
    found, trace = numpyro.infer.util.log_density(model, (), {}, sites)
    p = stats.norm.cdf(0.2 + 0.7 * np.array([0.5, -1.0]))
    expected = (
        stats.norm.logpdf(0.2)
        + stats.halfnorm.logpdf(0.7)
        + stats.norm.logpdf([0.5, -1.0]).sum()
        + (np.array([8, 3]) * np.log(p) + np.array([2, 7]) * np.log1p(-p)).sum()
    )
    assert float(found) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(trace["learning_rate"]["value"], p, rtol=1e-5)
    with pytest.raises(ValueError, match="scale must be positive"):
        numpyro_model(problem, scale=0.0)


def test_a_tree_holds_each_list_once(small_data):
    """The log likelihood of a subject's lists sums to minus its loss; ArviZ takes it by list."""
    problem = FitProblem(small_data, "cmr", "sequence_likelihood")
    mask = problem.subjects != 7
    rng = np.random.default_rng(0)
    bounds = np.array(list(problem.bounds.values())).clip(0.05, 0.95)
    draws = {
        name: rng.uniform(low, high, size=(2, 4, 3))
        for name, (low, high) in zip(problem.bounds, bounds, strict=True)
    }
    samples = {**draws, "group_mean": np.zeros((2, 4, 11)), "other": np.zeros((2, 4, 5))}
    stats_of_draws = {"diverging": np.zeros((2, 4), bool)}
    tree = to_datatree(problem, samples, mask, sample_stats=stats_of_draws, thin=2, seed=7)
    found = tree["log_likelihood"]["recalls"]
    assert found.dims == ("chain", "draw", "list") and found.shape == (2, 2, 16)
    assert found["list"].values.tolist() == np.flatnonzero(mask).tolist()
    assert found["subject_of_list"].values.tolist() == problem.subjects[mask].tolist()
    estimates = {name: values[1, 2, 1] for name, values in draws.items()}  # subject 8
    loss = problem.evaluate(estimates, problem.subjects == 8)
    of_subject = found[1, 1][found["subject_of_list"] == 8]
    assert float(of_subject.sum()) == pytest.approx(-loss, abs=1e-8)
    posterior = tree["posterior"]
    assert posterior["learning_rate"].dims == ("chain", "draw", "subject")
    assert posterior["group_mean"].dims == ("chain", "draw", "parameter")
    assert posterior["subject"].values.tolist() == [3, 8, 20]
    for group in ("posterior", "log_likelihood", "sample_stats"):  # ArviZ 1.x draws by these
        assert tree[group]["draw"].values.tolist() == tree[group]["chain"].values.tolist() == [0, 1]
    np.testing.assert_array_equal(
        tree["observed_data"]["recalls"].values, small_data["recalls"][mask]
    )
    assert tree["constant_data"]["listLength"].dims == ("list",)
    assert tree["sample_stats"]["diverging"].shape == (2, 2)
    assert tree.attrs["seed"] == 7 and tree.attrs["data_fingerprint"] == problem.data_fingerprint
    with pytest.raises(ValueError, match="with 3 subject"):
        to_datatree(problem, {**samples, "learning_rate": np.zeros((2, 4))}, mask)


@pytest.mark.full
def test_nuts_on_the_log_density_has_the_exact_posterior():
    """8 of 10 under a uniform prior: Beta(9, 3). ArviZ reads the tree and counts the lists."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        az = pytest.importorskip("arviz")
        problem = problem_of(Bernoullis, subject=[1, 1], k=[5.0, 3.0], n=[6.0, 4.0])
        density = log_density(problem)
        mcmc = sample(potential=lambda z: -density(z), start=jnp.zeros((1, 1)), n=2000)
        z = np.asarray(mcmc.get_samples(group_by_chain=True))
        p = np.asarray(density.to_user(jnp.asarray(z)))[..., 0]
        assert p.mean() == pytest.approx(9 / 12, abs=0.02)
        assert p.std() == pytest.approx(stats.beta(9, 3).std(), abs=0.015)
        tree = to_datatree(problem, {"learning_rate": p})
        read = az.from_datatree(tree) if hasattr(az, "from_datatree") else tree
        assert az.loo(read).n_data_points == 2


@pytest.mark.slow
def test_nuts_and_laplace_agree_on_a_long_subject(peers, parameters):
    """280 lists of one simulated subject: posterior means within a tenth of a posterior sd."""
    lists = {name: np.tile(values[:28], (10, 1)) for name, values in peers.items()
             if np.ndim(values) == 2}  # fmt: skip
    lists["subject"] = np.ones((280, 1), int)
    data = simulate_dataset("cmr", lists, parameters, seed=3)
    free = ["encoding_drift_rate", "recall_drift_rate", "learning_rate"]
    usual = FitProblem(data, "cmr", "sequence_likelihood").bounds
    fixed = {name: value for name, value in parameters.items() if name not in free}
    problem = FitProblem(
        data, "cmr", "sequence_likelihood", {name: usual[name] for name in free}, fixed=fixed
    )
    single = log_density(problem)
    start = single.to_probit(np.array([parameters[name] for name in free]))
    mcmc = sample(
        potential=lambda z: -single(z), start=jnp.asarray(start, jnp.float32)[None], n=1000
    )
    draws = np.asarray(mcmc.get_samples())[:, 0]
    with jax.enable_x64(True):
        density = log_density(problem)
        gradient = jax.jit(jax.grad(lambda z: -density(z[None])))
        mode = jnp.asarray(start)
        for _ in range(8):  # Newton by differences of gradients
            H = np.array([(gradient(mode + h) - gradient(mode - h)) / 2e-4
                          for h in 1e-4 * jnp.eye(3)])  # fmt: skip
            mode = mode - np.linalg.solve(H, gradient(mode))
        mode = np.asarray(mode)
    sd = np.sqrt(np.diag(np.linalg.inv(H)))
    assert np.all(np.abs(draws.mean(0) - mode) < 0.1 * sd)
    np.testing.assert_allclose(draws.std(0), sd, rtol=0.15)
