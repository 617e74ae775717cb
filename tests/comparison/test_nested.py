"""Likelihood ratios against published quantiles, SciPy, and the chi-square that a bootstrap of a
regular pair must reproduce."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest
from known_likelihoods import as_column, normal, of_columns, problem_of
from model_examples import PARAMETERS
from scipy import stats

from jaxcmr.comparison import likelihood_ratio_test
from jaxcmr.comparison._likelihood_ratio import p_of
from jaxcmr.comparison._nested import by_draws, count_above
from jaxcmr.fitting import Fit, FitProblem, JaxDE
from jaxcmr.models import usual_bounds
from jaxcmr.results import FitResult
from jaxcmr.simulation import simulate_dataset

SEARCH = {"num_steps": 15, "pop_size": 6, "best_of": 2, "progress_bar": False}
Y = np.array([0.5, 1.0, 2.0, 2.5, 0.1, 1.9])


@of_columns
def about_zero(rows, x):
    """Return the NLL of a normal distribution with mean 0 and standard deviation x[0]."""
    return normal(rows, jnp.concatenate([0 * x, x]))


@of_columns
def fading(rows, x):
    """Return the NLL of a mean ``scale decay`` with spread 1: without scale, decay does nothing."""
    return ((as_column(rows["y"], x) - x[:1] * x[1:]) ** 2).sum(0) / 2


@pytest.fixture(scope="module")
def pair():
    """Numbers of two subjects, each with a spread about 0, or a spread about a mean."""
    subjects = [1] * 3 + [2] * 3
    by_subject = Y.reshape(2, 3)
    spread = np.sqrt((by_subject**2).mean(1))
    small = problem_of(
        about_zero, {"y": Y}, {"sd": [0.05, 9]}, {"sd": spread}, subjects=subjects
    )  # fmt: skip
    estimates = {"mean": by_subject.mean(1), "sd": by_subject.std(1)}
    bounds = {"mean": [-5, 5], "sd": [0.05, 9]}
    big = problem_of(normal, {"y": Y}, bounds, estimates, subjects=subjects)
    return ((small[0], big[0]), small[1], big[1]), {"neutral": {"mean": 0.0}}


def ratio(y):
    """Return the likelihood ratio of a mean, ``n log(mean(y^2) / var(y))``, of each row."""
    return y.shape[1] * np.log((y**2).mean(1) / y.var(1))


@pytest.mark.parametrize(("statistic", "of_chi2"), [(2.706, 0.1), (3.841, 0.05)])
def test_the_quantiles_of_one_parameter(statistic, of_chi2):
    """On a bound, p is half that of chi-square: .1000 and .0500; .0500 and .0250."""
    np.testing.assert_allclose(p_of("chi2", statistic, 1), of_chi2, atol=5e-5)
    np.testing.assert_allclose(p_of("chibar", statistic, 1), of_chi2 / 2, atol=5e-5)
    assert p_of("chibar", 0.0, 1) == 1.0


def test_the_mixture_over_subjects_is_that_of_simulated_sums():
    """Sums of squared normal numbers above 0, of five subjects."""
    random = np.random.default_rng(0)
    sums = (np.maximum(random.normal(size=(400_000, 5)), 0) ** 2).sum(1)
    for statistic in (0.5, 3.0, 8.0):
        expected = (sums >= statistic).mean()
        np.testing.assert_allclose(p_of("chibar", statistic, 1, 5), expected, atol=0.003)
    np.testing.assert_allclose(p_of("chi2", 9.0, 2, 3), stats.chi2.sf(9.0, 6))


def test_draws_are_counted_with_their_interval():
    """Two of nine draws reach 3.0, one of them by rounding: p = 3/10; Clopper-Pearson of 2/9."""
    row = count_above(3.0, np.array([0, 0, 0.1, 0.5, 1, 2, 2.9, 2.99999, 4]))
    assert row["p"] == 0.3
    low, high = stats.beta.ppf([0.025, 0.975], [2, 3], [8, 7])
    np.testing.assert_allclose([row["p_low"], row["p_high"]], [low, high])


def test_losses_that_are_not_finite_have_no_p():
    """Catches a NaN that no draw reaches: p would be the smallest possible."""
    for statistic, drawn in ((np.nan, [0.0, 1.0]), (3.0, [0.0, np.nan])):
        found = by_draws(1, [1], np.array([statistic]), np.array([drawn]), [], {})
        assert np.isnan(found.total["p"]) and np.isnan(found.table["p"][0])
        assert "no p" in found.verdict() and "rejected" not in found.verdict()


def test_the_sum_is_over_subjects_draw_by_draw():
    """Each subject reaches its own statistic in a draw, but the sum is never reached."""
    found = by_draws(1, [1, 2], np.array([3.0, 3.0]), np.array([[4.0, 0, 0], [0, 4.0, 0]]), [2], {})
    assert found.table["p"].tolist() == [0.5, 0.5] and found.total["p"] == 0.25
    assert "p is too small" in found.verdict() and "above those of all draws" in found.verdict()


@pytest.mark.parametrize(("n", "is_told"), [(3, True), (19, True), (20, False)])
def test_too_few_draws_to_reject_are_told(n, is_told):
    """p is 1 / (n + 1) or more: with up to 19 draws it cannot be below .05."""
    found = by_draws(1, [1, 2], np.array([9.0, 9.0]), np.zeros((2, n)), [], {})
    words = found.verdict()
    assert (f"p cannot be below 1 / ({n} + 1) with {n} draws. Take more" in words) == is_told
    assert ("the special case is rejected" in words) != is_told
    assert "not rejected" not in words and ("p is below .05 for 2" in words) != is_told
    reached = by_draws(1, [1, 2], np.array([9.0, 9.0]), np.full((2, n), 9.0), [], {})
    assert "is not rejected" in reached.verdict()


def test_chi2_of_an_interior_pair_is_scipys(pair):
    """The ratio has a closed form; sums have a degree of freedom per subject."""
    results, options = pair
    found = likelihood_ratio_test(*results, "chi2", **options)
    expected = ratio(Y.reshape(2, 3))
    np.testing.assert_allclose(found.table["statistic"], expected, rtol=1e-6)
    np.testing.assert_allclose(found.table["p"], stats.chi2.sf(expected, 1), rtol=1e-5)
    np.testing.assert_allclose(found.total["p"], stats.chi2.sf(expected.sum(), 2), rtol=1e-5)
    assert found.df == 1 and found.draws is None
    with pytest.raises(ValueError, match="mean is inside its bounds"):
        likelihood_ratio_test(*results, "chibar", **options)


def simulate_normal(problem, fits, n, seed):
    """Return a problem whose data are drawn from the fitted normal distributions about 0."""
    y = np.random.default_rng(seed).normal(size=(len(fits.subjects), n, 3))
    y *= fits.estimates[:, 0][:, None, None]
    subjects = np.repeat(fits.subjects, 3 * n)
    drawn, _ = problem_of(
        about_zero, {"y": y.reshape(-1)}, {"sd": [0.05, 9]}, {"sd": 1.0}, subjects=subjects
    )
    rows = np.arange(y.size).reshape(-1, n, 3)
    return drawn, [
        Fit(subject, rows[i, draw], f"draw {draw + 1}", [x])
        for i, (subject, x) in enumerate(zip(fits.subjects, fits.estimates, strict=True))
        for draw in range(n)
    ]


def test_a_bootstrap_fits_both_models_to_the_simulated_lists(pair, monkeypatch, tmp_path):
    """Each draw has the closed form's ratio; another call makes no fit again."""
    results, options = pair
    names = inspect.unwrap(likelihood_ratio_test).__globals__  # of its module, however imported
    monkeypatch.setitem(names, "simulate_lists", simulate_normal)
    options = {**options, "n": 12, "seed": 3, "checkpoint": tmp_path}
    found = likelihood_ratio_test(*results, **options)

    def lines():
        return sum(len(path.read_bytes().splitlines()) for path in tmp_path.rglob("*.jsonl"))

    n_lines = lines()
    again = likelihood_ratio_test(*results, **options)
    assert lines() == n_lines > 0
    drawn = found.draws["statistic"].to_numpy()
    np.testing.assert_array_equal(drawn, again.draws["statistic"])
    y = np.random.default_rng(3).normal(size=(2, 12, 3))  # the ratio does not depend on the spread
    expected = np.array([ratio(of_subject) for of_subject in y])
    np.testing.assert_allclose(drawn, expected.reshape(-1), atol=1e-3)
    observed = ratio(Y.reshape(2, 3))
    p = ((expected >= observed[:, None]).sum(1) + 1) / 13
    np.testing.assert_allclose(found.table["p"], p)
    p = ((expected.sum(0) >= observed.sum()).sum() + 1) / 13
    np.testing.assert_allclose(found.total["p"], p)
    assert "parametric bootstrap" in found.verdict() and not found.warnings


def test_a_bootstrap_from_estimates_on_a_bound_is_told(monkeypatch):
    """Spreads about 0 are 1.32 and 1.81: with bounds up to 1.5, the second is on its bound."""
    spread = np.minimum(np.sqrt((Y.reshape(2, 3) ** 2).mean(1)), 1.5)
    subjects, bounds = [1] * 3 + [2] * 3, {"sd": [0.05, 1.5]}
    small = problem_of(about_zero, {"y": Y}, bounds, {"sd": spread}, subjects=subjects)
    estimates = {"mean": Y.reshape(2, 3).mean(1), "sd": Y.reshape(2, 3).std(1)}
    big = problem_of(normal, {"y": Y}, {"mean": [-5, 5], **bounds}, estimates, subjects=subjects)
    names = inspect.unwrap(likelihood_ratio_test).__globals__  # of its module, however imported
    monkeypatch.setitem(names, "simulate_lists", simulate_normal)
    problems = (small[0], big[0])
    found = likelihood_ratio_test(problems, small[1], big[1], n=3, neutral={"mean": 0.0})
    assert len(found.warnings) == 1  # of all parameters together
    assert "special case are on a bound: sd (subject 2). A bootstrap" in found.warnings[0]


def test_formulas_are_refused_on_a_bound_and_for_a_lost_parameter():
    """No scale is the bound of scale, and without scale the loss does not depend on decay."""
    bounds = {"scale": [0.0, 5.0], "decay": [0.1, 2.0]}
    zero = problem_of(fading, {"y": Y}, bounds, {"scale": 0.0, "decay": 0.5})[1]
    small = problem_of(
        of_columns(lambda rows, x: fading.__wrapped__(rows, jnp.concatenate([0 * x, x]))),
        {"y": Y}, {"decay": [0.1, 2.0]}, {"decay": 0.5},
    )  # fmt: skip
    big = problem_of(fading, {"y": Y}, bounds, {"scale": 2 * Y.mean(), "decay": 0.5})
    assert zero["fitness"] == small[1]["fitness"]
    results, options = ((small[0], big[0]), small[1], big[1]), {"neutral": {"scale": 0.0}}
    with pytest.raises(ValueError, match="scale is on a bound") as refused:
        likelihood_ratio_test(*results, "chi2", **options)
    assert "decay does not change the loss in the special case" in str(refused.value)
    with pytest.raises(ValueError, match="does not hold: decay does not change the loss"):
        likelihood_ratio_test(*results, "chibar", **options)
    told = likelihood_ratio_test(*results, "chibar", anyway=True, **options)
    assert "does not hold here" in told.verdict()
    np.testing.assert_allclose(told.total["p"], stats.chi2.sf(6 * Y.mean() ** 2, 1) / 2)


def test_what_is_not_nested_and_lost_optima_are_errors(pair):
    (problems, small, big), options = pair
    with pytest.raises(ValueError, match="no value of mean"):
        likelihood_ratio_test(problems, small, big, "chi2")
    with pytest.raises(ValueError, match="not a special case"):
        likelihood_ratio_test(problems, small, big, "chi2", neutral={"mean": 3.0})
    with pytest.raises(ValueError, match="more free parameters"):
        likelihood_ratio_test((problems[0], problems[0]), small, small)
    with pytest.raises(ValueError, match="method"):
        likelihood_ratio_test(problems, small, big, "chisquare")
    fits = {"mean": [0.0, 0.0], **{name: small["fits"][name] for name in ("sd", "subject")}}
    stuck = FitResult({**big, "fits": fits, "fitness": [x + 0.01 for x in small["fitness"]]})
    with pytest.raises(ValueError, match="its search missed the optimum"):
        likelihood_ratio_test(problems, small, stuck, "chi2", **options)


def test_a_search_that_would_miss_the_optimum_is_told(pair):
    """Subject 2's fit from the special case ends higher than the search of the observed lists."""
    found = by_draws(1, [1, 2], np.array([3.0, 3.0]), np.zeros((2, 3)), [2], {})
    assert "For subject 2" in found.warnings[0] and "search" in found.warnings[0]


@pytest.mark.slow
def test_a_bootstrap_of_a_regular_pair_reproduces_chi_square():
    """Kolmogorov and Smirnov's test of 300 ratios of CMR against chi-square with one df.

    Sixty lists of six items, of which a drift rate and the sensitivity of choices are estimated.
    """
    n, problems, results = 60, [], []
    lists = {
        "subject": np.ones((n, 1), int),
        "listLength": np.full((n, 1), 6),
        "pres_itemnos": np.tile(np.arange(1, 7), (n, 1)),
        "recalls": np.zeros((n, 6), int),
    }
    data = simulate_dataset("cmr", lists, PARAMETERS, seed=0)
    for names in (["encoding_drift_rate"], ["encoding_drift_rate", "choice_sensitivity"]):
        bounds = {name: usual_bounds("cmr")[name] for name in names}
        fixed = {name: value for name, value in PARAMETERS.items() if name not in names}
        problem = FitProblem(data, "cmr", "sequence_likelihood", bounds, fixed=fixed)
        fitter = JaxDE.of(problem, SEARCH)
        results.append(fitter.fit_subjects(np.ones(n, bool), start_from=results))
        problems.append(problem)
    found = likelihood_ratio_test(tuple(problems), *results, n=300)
    drawn = found.draws["statistic"].clip(lower=0)
    assert stats.kstest(drawn, stats.chi2(1).cdf).pvalue > 0.01
    expected = likelihood_ratio_test(tuple(problems), *results, "chi2").total["p"]
    np.testing.assert_allclose(found.total["p"], expected, atol=0.1)
