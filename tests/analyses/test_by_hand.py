"""Every measure, worked by hand from five short lists (see `lists` in conftest.py).

The transitions between first recalls are 3-4 and 4-1 in trial 0, none in trial 1 (an intrusion and
a repeat lie between), 4-2 in trial 2, 1-2 and 2-3 in trial 3.
"""

import numpy as np
import pytest

from jaxcmr.analyses import MEASURES, by_subject

DISTANCES = np.array([[0, 1, 2, 4], [1, 0, 2, 3], [2, 2, 0, 5], [4, 3, 5, 0]])

HAND = {
    # Position 4 is in four of the five lists.
    "serial_position_curve": ({}, [3, 3, 3, 2], [5, 5, 5, 4]),
    # Trials 0 to 3 begin with 3, 2, 4 and 1; trial 3 has no position 4.
    "first_recall": ({}, [1, 1, 1, 1], [4, 4, 4, 3]),
    # First recalls are 3 4 1, 2 3 1, 4 2 and 1 2 3: one row per output position.
    "nth_recall": (
        {},
        [[1, 1, 1, 1], [0, 2, 1, 1], [2, 0, 1, 0], [0, 0, 0, 0]],
        [[4, 4, 4, 3], [3, 3, 3, 2], [2, 1, 1, 1], [0, 0, 0, 0]],
    ),
    # Lags -3 to 3. Left after 3 are 1 2 4; after 4, 1 2; after 4, 1 2 3; after 1, 2 3; after 2, 3.
    "lag_crp": ({}, [1, 1, 0, 0, 3, 0, 0], [2, 3, 2, 0, 3, 1, 0]),
    "lag_crp within": ({"within": "category"}, [0, 0, 0, 0, 2, 0, 0], [0, 0, 0, 0, 2, 0, 0]),
    "lag_crp across": ({"across": "category"}, [1, 1, 0, 0, 1, 0, 0], [2, 2, 0, 0, 1, 0, 0]),
    # Ranks: 3-4 shares lag 1 with position 2, of three; 4-1 is the farther of two; 4-2 the middle
    # of three; 1-2 the nearer of two; 2-3 is the only one left.
    "lag_rank": ({}, 0.75 + 0 + 0.5 + 1, 4),
    # 3-4 and 1-2 are within a category; 4-2 could have been, to position 3.
    "category_crp": ({}, 2, 3),
    # Pairs in a row, less those expected: 1 - 2/3, 0 - 2/3, 0 - 1/3; in trial 3, with 1.5 items per
    # category, 1 - 1/2. Trial 4 has no recalls.
    "category_clustering": ({}, 1 / 3 - 2 / 3 - 1 / 3 + 1 / 2, 4),
    # In trials 0, 1 and 3 two of three recalls share a category: 2/3 of a pair is expected, and 1
    # is the most. Trial 2 has one recall per category.
    "category_clustering arc": ({"statistic": "arc"}, 1 - 2 + 1, 3),
    # Distances up to 2, up to 4. Possible were 2 2 5 from 3; 4 3 and 4 3 5 from 4; 1 2 from 1; 2
    # from 2.
    "distance_crp": ({"distances": DISTANCES, "edges": [0, 2, 4]}, [2, 2], [5, 4]),
    "distance_crp unique": (
        {"distances": DISTANCES, "edges": [0, 2, 4], "count_unique": True},
        [2, 2],
        [3, 2],
    ),
    # Farthest of three, farther of two, nearest of three, nearer of two.
    "distance_rank": ({"distances": DISTANCES}, 0 + 0 + 1 + 1, 4),
    # Lists with 0, 1, 2, 3, 4 words recalled.
    "recalls_per_list": ({}, [1, 0, 1, 3, 0], [5, 5, 5, 5, 5]),
    # After 0 recalls trial 4 stops, after 2 trial 2, after 3 trials 0 and 1; trial 3 is complete.
    "stop_probability": ({}, [1, 0, 1, 2], [5, 4, 4, 2]),
    "intrusions": ({}, 1, 5),
    "repeats": ({}, 1, 5),
}
"""Of each measure: options, counts made, counts possible."""


def check_counts(lists, name, options, made, possible):
    """Compare the ratio, and the counts of the table over both subjects."""
    measure = MEASURES[name]
    with np.errstate(invalid="ignore"):
        ratio = np.divide(made, possible)
    np.testing.assert_allclose(measure(lists, **options), ratio, rtol=1e-14, atol=1e-15)
    table = by_subject(lists, measure, **options)
    for column, expected in (("actual", made), ("possible", possible)):
        counts = table[column].to_numpy().reshape(2, *np.shape(expected)).sum(axis=0)
        np.testing.assert_allclose(counts, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("case", HAND)
def test_five_lists(lists, case):
    options, made, possible = HAND[case]
    check_counts(lists, case.split()[0], options, made, possible)


def test_compound_lags(lists):
    """After 3-4, lag 1, lags -3 and -2 were possible and -3 was made; after 1-2, lag 1 was."""
    made, possible = np.zeros((2, 7, 7), int)
    made[1 + 3, [-3 + 3, 1 + 3]] = 1
    possible[1 + 3, [-3 + 3, -2 + 3, 1 + 3]] = 1
    check_counts(lists, "lag_crp_compound", {}, made, possible)


def test_every_measure_is_worked_by_hand():
    """A new measure needs a row above."""
    assert {case.split()[0] for case in HAND} | {"lag_crp_compound"} == set(MEASURES)
