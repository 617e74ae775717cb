"""Chance by hand, and scores of counts whose distribution is known."""

import numpy as np
import pytest
from planted_fits import result_of, rows_of, run

from jaxcmr.diagnostics import (
    PredictedCounts,
    chance_log_likelihood,
    diagnose,
    predictive_scores,
)
from jaxcmr.diagnostics._prediction import check_prediction


def test_chance_by_hand():
    """Of three items and a stop each is chosen with 1/4; then 1/3, 1/2, and the last stop is sure.
    A trial without recalls stops by 1/4. Events that are not scored count for nothing."""
    choices = np.array([[3, 1, 2, 0], [0, 0, 0, 0], [2, 1, 0, 0]])
    scored = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 1, 0]], bool)
    found = chance_log_likelihood(choices, np.array([3, 3, 3]), scored)
    np.testing.assert_allclose(found, np.log([1 / 24, 1 / 4, 1 / 3 * 1 / 2]))


def test_chance_sums_to_one_over_all_recall_sequences():
    """Of two items: none, 1, 2, 12, 21."""
    choices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [1, 2, 0], [2, 1, 0]])
    happens = np.pad(choices[:, :-1] > 0, ((0, 0), (1, 0)), constant_values=True)
    found = chance_log_likelihood(choices, np.full(5, 2), happens)
    assert np.exp(found).sum() == pytest.approx(1.0)


def test_a_fit_below_chance_is_told():
    """At 100 events of -1.2 nats, against chance at -1.5 and -1.0."""
    result = result_of([run(120.0)] * 2, [run(120.0)] * 2)
    found = rows_of(diagnose(result, chance=[-150.0, -100.0]), "better_than_chance")
    np.testing.assert_allclose(found.loc[[1, 2], "statistic"], [0.3, -0.2])
    assert found.loc[[1, 2], "passed"].tolist() == [True, False]
    assert found.loc[1, "comment"] == "-1.200 nats per event; by chance -1.500"


def counts_of(rates, n, observed, n_copies=50, seed=0):
    """Return counts of copies drawn at some rates per fit and bin, and of data drawn at others."""
    random = np.random.default_rng(seed)
    possible = np.full(observed.shape, float(n))
    made = random.binomial(n, observed).astype(float)
    simulated = random.binomial(n, rates, (n_copies, *rates.shape)).astype(float)
    bins = list(range(1, rates.shape[1] + 1))
    return PredictedCounts(bins, made, possible, simulated, np.full(simulated.shape, float(n)))


def table_of(counts, check="lag_crp"):
    result = result_of(*[[run(10.0)] * 2] * len(counts.made))
    return rows_of(diagnose(result, predicted={check: counts}), check)


def test_scores_are_standard_normal_if_the_model_is_true():
    """Mean 0 and standard deviation 1, over 4,000 curves of rates from 0.1 to 0.9."""
    rates = np.tile(np.linspace(0.1, 0.9, 8), (500, 1))
    z = predictive_scores(counts_of(rates, 200, rates))
    assert abs(z.mean()) < 0.05 and abs(z.std() - 1) < 0.05


def test_few_fits_of_a_true_model_fail_even_where_events_are_rare():
    """Of 500 subjects some 2 % may: rates of 0.1 % make scores skewed, of data and copies alike."""
    for low in (0.001, 0.2):
        rates = np.tile(np.geomspace(low, 0.6, 10), (500, 1))
        found = table_of(counts_of(rates, 28, rates, n_copies=100))
        assert found["passed"].mean() > 0.975


def test_a_planted_misfit_is_found_where_it_is():
    """The second subject's rate at bin 3 is 0.9 where the model has 0.4, in 50 trials."""
    rates = np.full((2, 6), 0.4)
    observed = rates.copy()
    observed[1, 2] = 0.9
    found = table_of(counts_of(rates, 50, observed))
    assert found.loc[[1, 2], "passed"].tolist() == [True, False]
    assert found.loc[2, "comment"].startswith("worst at 3: observed 0.90")
    assert "predicted 0.39" in found.loc[2, "comment"]  # of 2,500 draws


def test_the_number_recalled_by_hand():
    """Copies have means of 7, 8 and 9, whose SD is 1; the data's 11 is 3 SDs above, 12 is 4."""
    made = np.array([[[70.0]] * 2, [[80.0]] * 2, [[90.0]] * 2]).reshape(3, 2, 1)
    ten = np.full((3, 2, 1), 10.0)
    counts = PredictedCounts([0], np.array([[110.0], [120.0]]), ten[0], made, ten)
    found = table_of(counts, "recalls_per_list")
    np.testing.assert_allclose(found.loc[[1, 2], "statistic"], [3.0, 4.0])
    assert found.loc[[1, 2], "passed"].tolist() == [True, False]
    assert found.loc[1, "comment"] == "observed 11.00, predicted 8.00, z 3.0"


def test_bins_without_opportunity_do_not_count():
    """Lag 0 is never possible; a bin that no copy ever made has the spread of draws at a rate of
    (0 + 0.5) / (20 + 1), not 0."""
    possible = np.array([[0.0, 10.0]])
    simulated = np.zeros((2, 1, 2))
    counts = PredictedCounts([0, 1], np.array([[0.0, 1.0]]), possible, simulated,
                             np.stack([possible] * 2))  # fmt: skip
    z = predictive_scores(counts)
    rate = 0.5 / 21
    assert np.isnan(z[0, 0])
    assert z[0, 1] == pytest.approx(0.1 / np.sqrt(rate * (1 - rate) / 10))


def test_a_single_copy_has_no_spread():
    counts = counts_of(np.full((1, 3), 0.5), 20, np.full((1, 3), 0.5), n_copies=1)
    found = table_of(counts)
    assert found["passed"].isna().all() and "copies" in found.loc[1, "comment"]


def curves(n_copies, seed=0, n_bins=5, n=8, rate=0.3):
    """Counts of copies of a curve whose bins all have one rate, and of data far from it."""
    rng = np.random.default_rng(seed)
    made = rng.binomial(n, rate, (n_copies, 1, n_bins)).astype(float)
    observed = np.array([[n, 0, n, 0, n]], float)
    return PredictedCounts(
        range(n_bins), observed, np.full((1, n_bins), float(n)), made, np.full(made.shape, float(n))
    )


def test_copies_in_which_nothing_was_possible_do_not_hide_a_misfit():
    """They say nothing: the verdict is that of the others. Subjects of few lists have them."""
    whole = curves(200)
    made, possible = whole.simulated_made.copy(), whole.simulated_possible.copy()
    made[:8], possible[:8] = 0, 0
    fewer = whole._replace(simulated_made=whole.simulated_made[8:],
                           simulated_possible=whole.simulated_possible[8:])  # fmt: skip
    found = [
        check_prediction("lag_crp", [1], counts, 3.0)[0]
        for counts in (fewer, whole._replace(simulated_made=made, simulated_possible=possible))
    ]
    assert not found[0].passed and not found[1].passed
    assert found[1].statistic == pytest.approx(found[0].statistic)


@pytest.mark.parametrize("n_copies", [2, 50, 64, 100])
def test_copies_that_are_all_alike(n_copies):
    """A model that always recalls the first word first: wrong for data that never do, right for
    data that always do. Rounding decides nothing."""
    made = np.zeros((n_copies, 1, 4))
    made[..., 0] = 8
    possible = np.full(made.shape, 8.0)
    for observed, passes in (([8, 0, 0, 0], True), ([0, 0, 0, 8], False)):
        counts = PredictedCounts(
            [1, 2, 3, 4], np.array([observed], float), np.full((1, 4), 8.0), made, possible
        )
        [check] = check_prediction("first_recall", [1], counts, 3.0)
        assert check.passed == passes and np.isfinite(check.statistic)
