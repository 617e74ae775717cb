"""A group by EM: against closed forms and SciPy, and the properties of shrinkage."""

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import logsumexp
from toy_likelihoods import Bernoullis, Normals, Saddles, Valleys, problem_of

from jaxcmr.bayes import hierarchical_map
from jaxcmr.fitting import FitProblem, JaxDE

OBSERVED = np.array([0.3, -0.5, 1.4, 0.8, -0.2, 0.9])


def normals(weight):
    return problem_of(Normals, observed=OBSERVED, weight=np.broadcast_to(weight, 6))


def test_equal_normals_have_a_closed_form():
    """Means of n normal observations: group mean their mean, variance theirs less 1/n.

    A subject's mode is the mean of its own and the group's mean, weighted by n and 1/sd^2, and the
    log evidence is that of one normal of variance sd^2 + 1/n, and of n - 1 within.
    """
    n = 4.0
    found = hierarchical_map(normals(n), tolerance=1e-7, max_rounds=1000)
    mean, variance = OBSERVED.mean(), OBSERVED.var() - 1 / n
    assert found.converged and found.is_monotone and found.at_rest.all()
    assert found.group["z_mean"][0] == pytest.approx(mean, abs=1e-5)
    assert found.group["z_sd"][0] == pytest.approx(np.sqrt(variance), abs=1e-4)
    modes = (n * OBSERVED + mean / variance) / (n + 1 / variance)
    np.testing.assert_allclose(found.z[:, 0], modes, atol=1e-4)
    np.testing.assert_allclose(found.z_sd[:, 0], (n + 1 / variance) ** -0.5, atol=1e-4)
    within = -(n - 1) / 2 * np.log(2 * np.pi) - np.log(n) / 2  # n equal observations
    evidence = within + stats.norm.logpdf(OBSERVED, mean, np.sqrt(variance + 1 / n))
    np.testing.assert_allclose(found.log_evidence, evidence, atol=1e-4)
    np.testing.assert_allclose(found.estimates["learning_rate"], stats.norm.cdf(modes), atol=1e-4)


def test_unequal_normals_are_as_scipy_has_them():
    """Subjects of unequal precision: the same maximum as of the marginal likelihood by SciPy."""
    weight = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    found = hierarchical_map(normals(weight), tolerance=1e-7, max_rounds=2000)

    def loss(theta):
        return -stats.norm.logpdf(OBSERVED, theta[0], np.sqrt(theta[1] ** 2 + 1 / weight)).sum()

    best = optimize.minimize(loss, [0.0, 1.0], tol=1e-10).x
    np.testing.assert_allclose(found.group[["z_mean", "z_sd"]].iloc[0], best, atol=1e-4)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_subjects_that_do_not_differ_are_told(spread):
    """Where the variance of the subjects' means is no more than that of an observation, the most
    likely sd of the group is 0. EM nears it slowly, and may not stop on its way."""
    observed = 0.5 + spread * np.array([-1.2, -0.4, 0.4, 1.2] * 5)
    problem = problem_of(Normals, observed=observed, weight=np.ones(20))
    found = hierarchical_map(problem, max_rounds=1000)
    assert found.converged and found.group["z_sd"][0] < 0.1
    assert found.group["z_mean"][0] == pytest.approx(0.5, abs=0.01)
    assert found.group["spread_gain"][0] == pytest.approx(0.0, abs=1e-6)
    assert "do not show that subjects differ in learning_rate" in found.verdict()
    exact = stats.norm.logpdf(observed, 0.5, 1.0).sum()  # of a group without spread
    assert found.log_evidence.sum() == pytest.approx(exact, abs=0.05)


def bernoullis(k, n, bounds):
    data = {"subject": np.arange(1, len(k) + 1), "k": k, "n": np.full(len(k), n)}
    return FitProblem(data, "cmr", Bernoullis, {"learning_rate": bounds})


@pytest.mark.parametrize(("spread", "is_shown"), [(0.0, False), (0.01, True)])
def test_whether_subjects_differ_does_not_depend_on_the_bounds(spread, is_shown):
    """5000 tries at one probability, or at several near each other; wide bounds, and narrow ones.

    The gain of the spread is the likelihood ratio of normal means, by SciPy, within the bounds'
    curvature. All of these groups have an sd below 0.05 on the probit scale, on wide bounds.
    """
    rng = np.random.default_rng(4)
    n = 5000.0
    k = rng.binomial(int(n), 0.5 + spread * rng.standard_normal(20)).astype(float)
    found = [hierarchical_map(bernoullis(k, n, bounds)) for bounds in ([0, 1], [0.25, 0.75])]
    assert found[0].group["z_sd"][0] < 0.05
    error = np.sqrt(k / n * (1 - k / n) / n)

    def loss(theta):
        return -stats.norm.logpdf(k / n, theta[0], np.hypot(theta[1], error)).sum()

    best = optimize.minimize(loss, [0.5, 0.01], method="Nelder-Mead", tol=1e-9).fun
    gain = (
        optimize.minimize(lambda mean: loss([*mean, 0.0]), [0.5], method="Nelder-Mead").fun - best
    )
    for each in found:
        assert each.group["spread_gain"][0] == pytest.approx(gain, rel=0.05, abs=0.05)
        assert ("do not show that subjects differ" not in each.verdict()) == is_shown


@pytest.mark.parametrize(
    "weight", [[1.0, 2.0, 4.0, 8.0, 16.0, 32.0], [1.5, 1.5, 50.0, 1.5, 1.5, 1.5]]
)
def test_the_gain_of_spread_is_a_likelihood_ratio(weight):
    """Normal means of unequal precision: as the marginal likelihood by SciPy, at sd 0 and best.

    The common value may be far from the group's mean, at a subject that is known much better.
    """
    weight = np.array(weight)
    found = hierarchical_map(normals(weight), tolerance=1e-7, max_rounds=2000)

    def loss(theta):
        return -stats.norm.logpdf(OBSERVED, theta[0], np.sqrt(theta[1] ** 2 + 1 / weight)).sum()

    best = optimize.minimize(loss, [0.0, 1.0], tol=1e-10).fun
    equal = loss([np.average(OBSERVED, weights=weight), 0.0])
    # modes are found to some 1e-5, and the gain rises with their distance at a slope of about 10
    assert found.group["spread_gain"][0] == pytest.approx(equal - best, abs=5e-4)


def test_a_parameter_that_the_data_do_not_touch_gains_nothing():
    """Subjects without data, or whose Hessian says less than the prior does."""
    none = hierarchical_map(problem_of(Normals, observed=[0.0, 5.0], weight=[0.0, 0.0]))
    saddle = hierarchical_map(problem_of(Saddles, weight=[0.2, 0.2, 0.0]), max_rounds=3)
    for found in (none, saddle):
        assert found.group["spread_gain"][0] == pytest.approx(0.0, abs=1e-6)
        assert "do not show" in found.verdict()


def test_a_group_has_several_subjects():
    """One is refused; a few are told to be few."""
    with pytest.raises(ValueError, match="two subjects at least"):
        hierarchical_map(problem_of(Normals, observed=np.ones(1), weight=np.ones(1)))
    found = hierarchical_map(problem_of(Normals, observed=np.arange(3.0), weight=np.ones(3)))
    assert "do not compare models" in found.verdict()


def test_little_data_is_drawn_to_the_group():
    """No data: the group's mean, log evidence 0. The more data, the less shrinkage."""
    weight = np.array([0.0, 1.0, 4.0, 16.0, 64.0, 64.0])
    observed = np.array([9.0, 1.0, 1.0, 1.0, 1.0, -1.0])
    problem = problem_of(Normals, observed=observed, weight=weight)
    found = hierarchical_map(problem, tolerance=1e-6, max_rounds=1000)
    mean, sd = found.group[["z_mean", "z_sd"]].iloc[0]
    assert found.z[0, 0] == pytest.approx(mean, abs=1e-4)
    assert found.z_sd[0, 0] == pytest.approx(sd, abs=1e-4)
    assert found.log_evidence[0] == pytest.approx(0.0, abs=1e-6)
    distances = 1 - found.z[1:5, 0]
    assert np.all(np.diff(distances) < 0) and np.all(distances > 0)


def test_evidence_of_bernoullis_is_near_the_integral():
    """Laplace on the probit scale, against the integral over the group's distribution."""
    k = np.array([3.0, 15.0, 9.0, 12.0, 6.0, 18.0])
    found = hierarchical_map(problem_of(Bernoullis, k=k, n=np.full(6, 20.0)))
    mean, sd = found.group[["z_mean", "z_sd"]].iloc[0]
    z = np.linspace(-8, 8, 20_001)
    p = stats.norm.cdf(z)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        density = p**k * (1 - p) ** (20 - k) * stats.norm.pdf(z, mean, sd)[:, None]
    np.testing.assert_allclose(
        found.log_evidence, np.log(density.sum(0) * (z[1] - z[0])), atol=0.02
    )
    shrunken = found.estimates["learning_rate"].to_numpy()
    assert np.all(np.abs(shrunken - shrunken.mean()) < np.abs(k / 20 - shrunken.mean()))


def test_the_sd_of_few_skewed_subjects_is_too_small():
    """The figures of the page: 1.09 by EM, 1.31 at the maximum of the integral, by quadrature."""
    k, n = np.array([8.0, 3, 10, 0, 5, 7]), np.array([10.0, 10, 10, 10, 12, 9])
    found = hierarchical_map(problem_of(Bernoullis, k=k, n=n))
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)

    def nll(group):
        z = (group[0] + np.exp(group[1]) * nodes)[:, None]
        terms = k * stats.norm.logcdf(z) + (n - k) * stats.norm.logcdf(-z)
        return -logsumexp(terms, axis=0, b=weights[:, None]).sum()

    mean, log_sd = optimize.minimize(nll, [0.0, 0.0], method="Nelder-Mead").x
    sds = [found.group["z_sd"][0], np.exp(log_sd)]
    np.testing.assert_allclose(sds, [1.09, 1.31], atol=0.005)
    np.testing.assert_allclose([found.group["z_mean"][0], mean], [0.147, 0.160], atol=0.005)


def test_a_mode_on_a_kink_is_found_and_told():
    """Where the valley 20 |z_1 - z_2| + 5 (z_1 - 1)^2 meets the prior: z_1 = z_2 = 10 / 12."""
    found = hierarchical_map(problem_of(Valleys, n_params=2, zero=[0.0, 0.0]), max_rounds=1)
    np.testing.assert_allclose(found.z[0], 10 / 12, atol=0.01)
    assert not found.at_rest[0] and np.isfinite(found.log_evidence[0])
    grid = np.linspace(-4, 4, 1601)
    one, two = np.meshgrid(grid, grid, indexing="ij")
    loss = 20 * np.abs(one - two) + 5 * (one - 1) ** 2
    whole = np.exp(stats.norm.logpdf(one) + stats.norm.logpdf(two) - loss).sum() * 0.005**2
    assert found.log_evidence[0] == pytest.approx(np.log(whole), abs=0.4)
    assert "2 subject(s) lie on a kink" in found.verdict()


def test_a_hessian_that_is_not_positive_is_recorded():
    """The subject has no log evidence and does not enter the group; the others do."""
    found = hierarchical_map(problem_of(Saddles, weight=[3.0, 0.0, 0.0]), max_rounds=3)
    assert np.isnan(found.log_evidence[0]) and np.isfinite(found.log_evidence[1:]).all()
    assert found.table()["positive"].tolist() == [False, True, True]
    assert found.rounds["left_out"].tolist() == [1]  # without data the group stays what it was
    assert "not positive definite, [1]" in found.verdict()
    with pytest.raises(ValueError, match="No subject's posterior"):
        hierarchical_map(problem_of(Saddles, weight=[3.0, 3.0]))


@pytest.mark.full
def test_it_starts_from_a_result_and_keeps_its_trials(small_data):
    """Fits of CMR, some on bounds: the same subjects and starts; other data are refused."""
    bounds = {"learning_rate": [0.0, 1.0], "item_support": [0.0, 100.0]}
    full = FitProblem(small_data, "cmr", "sequence_likelihood").usual_bounds
    fixed = {name: 0.5 * (low + min(high, 2.0)) for name, (low, high) in full.items()}
    fixed["stop_probability_scale"], fixed["stop_probability_growth"] = 0.01, 0.4
    base = {name: value for name, value in fixed.items() if name not in bounds}
    hyperparams = {"bounds": bounds, "num_steps": 10, "progress_bar": False}
    fitter = JaxDE(small_data, None, base, "cmr", "sequence_likelihood", hyperparams)
    mask = small_data["subject"][:, 0] != 7
    result = fitter.fit_subjects(mask)
    problem = FitProblem.from_result(result, small_data)
    found = hierarchical_map(problem, result, max_rounds=5)
    assert found.subjects == (3, 8, 20)
    assert found.before["learning_rate"].tolist() == result["fits"]["learning_rate"]
    assert np.isfinite(found.log_evidence).all()
    assert "3 subjects, 2 parameters" in repr(found) and "<table" in found._repr_html_()
    with pytest.raises(ValueError, match="other data"):
        hierarchical_map(FitProblem({**small_data, "listLength": small_data["listLength"] + 0,
                                     "extra": mask[:, None]}, "cmr", "sequence_likelihood",
                                    bounds, fixed=base), result)  # fmt: skip


def test_progress_is_shown_only_if_it_is_asked_for(capsys):
    hierarchical_map(normals(4.0), max_rounds=2)
    assert capsys.readouterr().err == ""
    hierarchical_map(normals(4.0), max_rounds=2, progress=True)
    shown = capsys.readouterr().err
    assert "Rounds of EM: 2round" in shown and "log_evidence=-" in shown
