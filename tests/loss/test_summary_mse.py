"""The loss of a summary of your own: the same function of observed and of simulated recalls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit, stop_with

from jaxcmr.analyses import MEASURES, as_summary
from jaxcmr.loss import MemorySearchSpcMseFnGenerator, MemorySearchSummaryMseFnGenerator
from jaxcmr.models import MODELS
from jaxcmr.models.cmr import make_factory

evaluate = quick_jit(lambda loss, x: loss(x))
simulated_summary = quick_jit(lambda loss, x: loss.simulated_summary(x))
NOTHING = jnp.zeros(0)


def curve(recalls, fields, is_trial):
    """Recall probability of six positions."""
    recalled = jnp.any(recalls[:, None, :] == jnp.arange(1, 7)[None, :, None], axis=-1)
    return recalled.sum(0) / is_trial.sum()


def first_recall(recalls, fields, is_trial):
    """Share of the trials with a recall that begin with each of three positions."""
    begins = recalls[:, :1] == jnp.arange(1, 4)[None]
    return begins.sum(0) / (recalls[:, 0] > 0).sum()


def mean_length_by_column(recalls, fields, is_trial):
    """List length of the trials that recall anything at an output position."""
    made = recalls > 0
    return (made * fields["listLength"]).sum(0) / made.sum(0)


def make_loss(data, trials, parameters, summary, factory=None, **options):
    generator = MemorySearchSummaryMseFnGenerator(
        factory or MODELS["cmr"], data, summary=summary, **options
    )
    return generator(np.asarray(trials), parameters, ())


DATA = {
    "subject": np.zeros((4, 1), int),
    "listLength": np.array([[3], [2], [3], [3]]),
    "pres_itemnos": np.array([[1, 2, 3], [1, 2, 0], [1, 2, 3], [1, 2, 3]]),
    "recalls": np.array([[3, 1, 0], [1, 0, 0], [3, 0, 0], [0, 0, 0]]),
    "rec_itemids": np.ones((4, 5), int),
    "note": np.array(["a", "b", "c", "d"]),
}


def test_with_the_serial_position_curve_it_is_spc_mse(small_data, parameters):
    """The same simulations give the same number, for any trials, padded or not: catches rows that
    are out of order, doubled or dropped on their way to the summary."""
    plain = MemorySearchSpcMseFnGenerator(MODELS["cmr"], small_data, seed=4)
    for trials in ([*range(9)], [12, -1, 3, -1, -1, 5, 19, 0, 1]):
        ours = make_loss(small_data, trials, parameters, curve, seed=4)
        theirs = plain(np.asarray(trials), parameters, ())
        np.testing.assert_allclose(ours.observed, theirs.observed, rtol=1e-6)
        np.testing.assert_allclose(evaluate(ours, NOTHING), evaluate(theirs, NOTHING), rtol=1e-4)


@pytest.mark.parametrize(
    "measure",
    [
        "lag_crp",
        pytest.param("lag_rank", marks=pytest.mark.full),
        pytest.param("stop_probability", marks=pytest.mark.full),
    ],
)
def test_a_measure_is_a_summary(small_data, parameters, measure):
    """Of the data it is the measure itself, over the trials asked for; of simulations it is a mean
    of that measure, whose mean squared difference from it is the loss."""
    measure = MEASURES[measure]
    summary = as_summary(small_data, measure)
    loss = make_loss(small_data, [*range(9), -1], parameters, summary, seed=4)
    subject = {name: values[:9] for name, values in small_data.items()}
    np.testing.assert_allclose(loss.observed, measure(subject), rtol=1e-5)
    simulated = simulated_summary(loss, NOTHING)
    difference = np.nanmean((simulated - np.asarray(loss.observed)) ** 2)
    np.testing.assert_allclose(evaluate(loss, NOTHING), difference, rtol=1e-4)


def test_rows_keep_their_fields(parameters):
    """Recalls meet the list length of their own trial, in any order, and a model that never stops
    repeats the observed numbers of recalls, hence the summary. By hand: two
    lists of 3 and one of 2 have a first recall, one of 3 a second, none a third."""
    never_stop = make_factory(termination=stop_with(0.0))
    loss = make_loss(DATA, [2, -1, 0, 3, 1], parameters, mean_length_by_column, never_stop)
    np.testing.assert_allclose(loss.observed, [8 / 3, 3, np.nan], rtol=1e-6)
    np.testing.assert_allclose(simulated_summary(loss, NOTHING), [8 / 3, 3, 0], rtol=1e-6)


def test_observed_recalls_are_not_among_the_fields(parameters):
    """A summary that reads them there would be the same for every model."""
    seen = []

    def summary(recalls, fields, is_trial):
        seen.append(set(fields))
        return recalls.sum()

    make_loss(DATA, [0], parameters, summary)
    assert all(fields == {"subject", "listLength", "pres_itemnos"} for fields in seen)


def test_what_the_data_lack_does_not_count(parameters):
    """Shares of first recalls are 0/0 in a set of trials without recalls: nothing to compare."""
    loss = make_loss(DATA, [3], parameters, first_recall)
    assert np.all(np.isnan(loss.observed)) and evaluate(loss, NOTHING) == 0


def test_a_model_gains_nothing_by_recalling_nothing(parameters):
    """Its shares are 0/0 and count as 0: shares 1/3, 0 and 2/3 in the data give
    (1/9 + 0 + 4/9) / 3. Left out, they would make silence the best model of all."""
    silent = make_factory(termination=stop_with(1.0))
    loss = make_loss(DATA, range(4), parameters, first_recall, silent)
    np.testing.assert_allclose(evaluate(loss, NOTHING), 5 / 27, rtol=1e-6)


def test_simulations_without_a_value_are_left_out_of_the_mean(parameters):
    """A summary that is infinite or NaN in some simulations: the mean is over the others. With one
    recalled item of three, `1 / (position is 3)` is 1 or infinite: the mean of the finite is 1."""
    never_stop = make_factory(termination=stop_with(0.0))
    loss = make_loss(
        DATA, [2], parameters, lambda r, f, t: 1 / jnp.any(r == 3), never_stop, n_simulations=200
    )
    assert loss.observed == 1 and simulated_summary(loss, NOTHING) == 1


def test_padding_that_counts_is_found(parameters):
    """A mean over all rows, or a value per row, cannot be padded: an error says so at once."""
    with pytest.raises(ValueError, match="is_trial"):
        make_loss(DATA, [0], parameters, lambda recalls, fields, is_trial: (recalls > 0).mean(0))
    with pytest.raises(ValueError, match=r"shape \(4,\), with three padding rows \(7,\)"):
        make_loss(DATA, [0], parameters, lambda recalls, fields, is_trial: recalls[:, 0])


def test_a_summary_must_be_given():
    with pytest.raises(ValueError, match=r"summary=function\(recalls, fields, is_trial\)"):
        MemorySearchSummaryMseFnGenerator(MODELS["cmr"], DATA)


STAMP = 1_600_000_000_000  # milliseconds; -2022801408 in 32 bits


@pytest.mark.parametrize(
    ("dtype", "x64"),
    [
        (np.int64, False),
        *(
            pytest.param(dtype, x64, marks=pytest.mark.full)
            for dtype, x64 in [(np.int64, True), (np.uint64, False), (np.float64, False)]
        ),
    ],
)
def test_long_numbers_reach_the_summary_as_they_are(small_data, parameters, dtype, x64):
    """Of observed and of simulated recalls, in single precision as in double: time stamps, their
    differences, and ids that 32 bits would make equal."""

    def of_stamps(recalls, fields, is_trial):
        stamp, identity = fields["stamp"][:, 0], fields["id"][:, 0]
        return jnp.stack(
            [
                ((stamp > STAMP) & is_trial).sum(),
                jnp.where(is_trial, stamp - STAMP, 0).max(),
                ((identity == 63) & is_trial).sum(),
            ]
        )

    stamps = (STAMP + np.arange(20)).astype(dtype)[:, None]
    ids = np.where(np.arange(20) < 5, 63, 63 + 2**32)[:, None]
    data = {**small_data, "stamp": stamps, "id": ids}
    with jax.enable_x64(x64):
        loss = make_loss(data, range(20), parameters, of_stamps)
        np.testing.assert_array_equal(loss.observed, [19, 19, 5])
        assert loss.observed.dtype == jnp.result_type(float)
        np.testing.assert_array_equal(simulated_summary(loss, NOTHING), [19, 19, 5])


def test_short_numbers_need_no_wide_arithmetic(small_data, parameters):
    """Fields that 32 bits hold are computed with as before."""
    data = {
        **small_data,
        "rt": np.random.default_rng(0).random((20, 1)),
        "most": [[2**31 - 1]] * 20,
    }
    loss = make_loss(data, range(20), parameters, curve)
    assert not loss.is_wide and loss.fields["rt"].dtype == jnp.float32
