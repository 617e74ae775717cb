"""What holds for every measure: masks, padding, one program, exact sums, options, errors."""

import inspect
import pickle
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from jaxcmr.analyses import MEASURES, as_summary, by_subject, lag_crp, make_measure, to_ratio
from jaxcmr.analyses._measure import BLOCK, prepare_options

DISTANCES = np.array([[0, 1, 2, 4], [1, 0, 2, 3], [2, 2, 0, 5], [4, 3, 5, 0]])
OPTIONS = {
    "distance_crp": {"distances": DISTANCES, "edges": [0, 2, 4]},
    "distance_rank": {"distances": DISTANCES},
}

compiled: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
)


def numbered(data):
    """Return the data with numbers for categories: all fields are numeric."""
    values = data["category"]
    codes = np.unique(values, return_inverse=True)[1].reshape(values.shape)
    return {**data, "category": codes}


def rows_of(data, rows):
    return {name: values[rows] for name, values in data.items()}


@pytest.mark.parametrize("name", MEASURES)
def test_a_mask_counts_the_trials_that_it_selects(lists, name):
    """As of a data set of those trials, also in any order and with none of them."""
    measure, options = MEASURES[name], OPTIONS.get(name, {})
    mask = np.array([True, False, True, True, False])
    expected = measure(rows_of(lists, mask), **options)
    np.testing.assert_array_equal(measure(lists, mask, **options), expected)
    np.testing.assert_array_equal(measure(rows_of(lists, [2, 3, 0]), **options), expected)
    assert np.isnan(measure(lists, np.zeros(5, bool), **options)).all()


@pytest.mark.parametrize("name", MEASURES)
def test_padding_counts_nothing(lists, name):
    """Rows of zeros, which fill up blocks of trials and those of a loss."""
    measure, options = MEASURES[name], OPTIONS.get(name, {})
    fields, options = prepare_options(measure, numbered(lists), options)
    fields = {name: lists[name] for name in ("listLength", "pres_itemnos")} | dict(fields)
    padding = {name: jnp.zeros_like(values) for name, values in fields.items()}
    count = jax.jit(partial(measure.counts, **options))
    made, possible = count(jnp.zeros((5, 6), int), padding)
    assert not np.any(made) and not np.any(possible)


@pytest.mark.parametrize("name", MEASURES)
def test_one_program_for_all_masks_and_data_sets(lists, name):
    """Catches a program per mask, per subject or per number of trials."""
    measure, options = MEASURES[name], OPTIONS.get(name, {})
    lists = numbered(lists)
    measure(lists, **options)
    before = len(compiled)
    many = rows_of(lists, np.arange(BLOCK + 7) % 5)
    for data in (lists, many):
        measure(data, data["subject"][:, 0] == 2, **options)
        by_subject(data, measure, "subject == 1", **options)
    assert len(compiled) == before


def test_a_program_is_traced_once():
    """Python runs a measure's counts once for data of one shape."""
    traced = []

    def count(positions, fields):
        traced.append(positions.shape)
        return (positions > 0).sum(-1), fields["listLength"][:, 0]

    @make_measure(count)
    def share(data, mask=None):
        return to_ratio(share, data, mask)

    data = {
        "listLength": np.full((3, 1), 2),
        "pres_itemnos": np.array([[1, 2]] * 3),
        "recalls": np.array([[1, 2], [2, 0], [0, 0]]),
    }
    assert [share(data), share(data, [True, False, False])] == [0.5, 1.0]
    assert len(traced) == 1


@pytest.mark.parametrize("name", MEASURES)
def test_sums_over_blocks_are_exact(lists, name):
    """Of many copies of the lists, in several blocks: counts are whole numbers of 64 bits, times
    the number of copies. Trials of one subject lie in several blocks, in any order."""
    measure, options = MEASURES[name], OPTIONS.get(name, {})
    copies = 3 * BLOCK // 5
    order = np.random.default_rng(0).permutation(5 * copies) % 5
    one = by_subject(lists, measure, **options)
    many = by_subject(rows_of(lists, order), measure, **options)
    kinds = {many[column].dtype.kind for column in ("actual", "possible")}
    if name in ("lag_rank", "distance_rank", "category_clustering"):
        np.testing.assert_allclose(many["actual"], one["actual"] * copies, rtol=1e-12)
    else:
        assert kinds == {"i"}
        np.testing.assert_array_equal(many["actual"], one["actual"] * copies)
    np.testing.assert_array_equal(many["possible"], one["possible"] * copies)


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_a_function_with_one_signature(name):
    """``(data, mask=None, *, options)``; it can be pickled, and its counts have its defaults."""
    measure = MEASURES[name]
    assert pickle.loads(pickle.dumps(measure)) is measure and measure.__name__ == name
    data, mask, *options = inspect.signature(measure).parameters.values()
    assert (data.name, mask.name, mask.default) == ("data", "mask", None)
    counted = inspect.signature(measure.counts).parameters
    for option in options:
        assert option.kind is option.KEYWORD_ONLY
        if option.name in counted:
            assert counted[option.name].default == option.default


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_as_the_summary_of_a_loss(lists, name):
    """The same numbers, of recalls and numeric fields, with padding rows."""
    measure, options = MEASURES[name], OPTIONS.get(name, {})
    lists = numbered(lists)
    summary = as_summary(lists, measure, **options)
    assert summary == as_summary(lists, measure, **options)
    padded = {key: jnp.pad(jnp.asarray(v), ((0, 2), (0, 0))) for key, v in lists.items()}
    is_trial = jnp.arange(7) < 5
    value = jax.jit(summary)(padded.pop("recalls"), padded, is_trial)
    np.testing.assert_allclose(value, measure(lists, **options), rtol=1e-5, atol=1e-6)


def test_summaries_with_other_options_differ(lists):
    """Else a loss would be served the program of another."""
    summaries = {
        as_summary(lists, lag_crp),
        as_summary(lists, MEASURES["lag_rank"]),
        as_summary(lists, MEASURES["distance_rank"], distances=DISTANCES),
        as_summary(lists, MEASURES["distance_rank"], distances=DISTANCES**2 + np.eye(4)[::-1]),
    }
    assert len(summaries) == 4 == len({repr(each) for each in summaries})
    assert repr(as_summary(lists, lag_crp)) == "lag_crp(across=None, within=None)"


def test_subjects_may_be_words(lists):
    """They stay words, in order."""
    lists["subject"] = np.array([["bo"], ["bo"], ["al"], ["al"], ["al"]])
    table = by_subject(lists, MEASURES["category_crp"])
    expected = pd.DataFrame(
        {"subject": ["al", "bo"], "prob": [0.5, 1.0], "actual": [1, 1], "possible": [2, 1]}
    )
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)


def test_a_condition_keeps_the_bins(lists):
    """Trial 3 has a list of three; the longest list of the data has four positions."""
    table = by_subject(numbered(lists), MEASURES["first_recall"], "listLength == 3")
    assert table["input"].tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(table["prob"], [1, 0, 0, np.nan])


def test_labeled_distances_are_matched(lists):
    """By word or by id, in any order of the labels. An array has the order of the ids, and is not
    taken for data with words, as it does not say which row is which."""
    measure = MEASURES["distance_rank"]
    expected = measure(lists, distances=DISTANCES)
    lists["pres_items"] = np.array(["", "owl", "jay", "elm", "ash"])[lists["pres_itemids"]]
    with pytest.raises(ValueError, match="which row is which word"):
        measure(lists, distances=DISTANCES)
    for labels in (["owl", "jay", "elm", "ash"], [1, 2, 3, 4]):
        table = pd.DataFrame(DISTANCES, labels, labels)
        shuffled = table.iloc[[2, 0, 3, 1], [2, 0, 3, 1]]
        assert measure(lists, distances=shuffled) == expected
    with pytest.raises(ValueError, match=r"lack 1 of the 4 .* such as 'ash'"):
        table = pd.DataFrame(DISTANCES, ["owl", "jay", "elm", "asp"])
        table.columns = table.index
        measure(lists, distances=table)


ERRORS = {
    "both": ("lag_crp", {"within": "category", "across": "category"}, "not both"),
    "no field": ("category_crp", {"category": "kind"}, "'kind' is not a field"),
    "a column": ("category_crp", {"category": "subject"}, r"shape \(5, 1\)"),
    "few distances": ("distance_rank", {"distances": DISTANCES[:3, :3]}, "have 3 rows"),
    "not square": ("distance_rank", {"distances": DISTANCES[:3]}, "must be square"),
    "edges": ("distance_crp", {"distances": DISTANCES, "edges": [1, 0]}, "increasing"),
    "statistic": ("category_clustering", {"statistic": "arcs"}, "lbc, arc; got 'arcs'"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_wrong_options_are_errors(lists, case):
    name, options, message = ERRORS[case]
    with pytest.raises(ValueError, match=message):
        MEASURES[name](lists, **options)


def test_data_must_be_a_data_set(lists):
    """Not a table of events, and with recalls."""
    with pytest.raises(ValueError, match="from_psifr"):
        lag_crp(pd.DataFrame({"subject": [1]}))
    del lists["recalls"]
    with pytest.raises(ValueError, match="lacks the field 'recalls'"):
        lag_crp(lists)


def test_missing_values_are_errors(lists):
    """An item without a category, and a distance that is NaN."""
    lists["category"][2, 1] = ""
    with pytest.raises(ValueError, match="no category in trial 2, position 2"):
        MEASURES["category_crp"](lists)
    distances = np.where(DISTANCES == 3, np.nan, DISTANCES)
    with pytest.raises(ValueError, match="items 2 and 4 is NaN"):
        MEASURES["distance_rank"](lists, distances=distances)


def test_categories_that_are_words_cannot_be_in_a_loss(lists):
    """Losses read numeric fields only."""
    with pytest.raises(ValueError, match="'category' is not numeric"):
        as_summary(lists, lag_crp, within="category")
