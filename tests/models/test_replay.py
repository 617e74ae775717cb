"""Whole trials, replayed: what the model gives event by event, for every list and part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit

from jaxcmr.components import (
    ContextCompetition,
    SupportRatioTermination,
    instance_context_to_item,
    per_unit_context,
    power_choice_scaled_by_all,
)
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.loss.sequence_likelihood import ReplayedLikelihood
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.models._replay import FEW
from jaxcmr.models.cmr import make_factory
from jaxcmr.parameters import declared_by, reads

evaluate = quick_jit(lambda loss, x: loss(x))
slopes_of = quick_jit(jax.grad(lambda loss, x: jnp.sum(loss(x)), argnums=1))
NAMES = tuple(usual_bounds("cmr"))
BOUNDS = np.array(list(usual_bounds("cmr").values()))
EVERY_SHAPE = {
    "subject": np.zeros((7, 1), int),
    "listLength": np.array([[5], [5], [3], [4], [5], [3], [5]]),
    "pres_itemnos": np.array(
        [
            [1, 2, 3, 4, 5],  # all recalled, no column left
            [4, 1, 5, 2, 3],  # not in the order of their numbers
            [1, 2, 3, 0, 0],  # all recalled, then a stop that is certain
            [0, 2, 5, 1, 3],  # begins with nothing
            [1, 2, 3, 4, 5],  # nothing recalled
            [5, 2, 4, 0, 0],
            [5, 4, 3, 2, 1],
        ]
    ),
    "recalls": np.array(
        [
            [5, 1, 2, 4, 3],
            [3, 1, 2, 0, 0],
            [2, 1, 3, 0, 0],
            [5, 2, 0, 0, 0],
            [0, 0, 0, 0, 0],
            [3, 0, 0, 0, 0],
            [1, 2, 3, 4, 0],
        ]
    ),
}


def candidates(n, edges):
    """Return parameter vectors inside the usual bounds, (n_params, n), some values on a bound."""
    rng = np.random.default_rng(3)
    unit = rng.random((len(NAMES), n))
    unit = np.where(rng.random(unit.shape) < edges, np.round(unit), unit)
    low, high = BOUNDS[:, :1], BOUNDS[:, 1:]
    return jnp.asarray(np.clip(low + unit * (high - low), low, high), float)


def both(data, trials=None, model=None, names=NAMES, **parts):
    """Return the loss as the generator makes it, and event by event."""
    factory = MODELS[model] if model else make_factory(**parts)
    generator = MemorySearchLikelihoodFnGenerator(factory, data, None)
    trials = np.arange(len(data["recalls"])) if trials is None else trials
    return generator(trials, {}, names), generator.by_event(trials, {}, names)


@pytest.mark.parametrize("x64", [pytest.param(False, marks=pytest.mark.full), True], indirect=True)
@pytest.mark.parametrize("after", [True, False])
def test_it_equals_the_model_played_forward(after, x64):
    """200 parameter sets on lists and recalls of every shape, both orders of learning."""
    fast, plain = both(EVERY_SHAPE, learn_after_context_update=after)
    assert isinstance(fast, ReplayedLikelihood)
    x = candidates(200, 0.2)
    with jax.numpy_rank_promotion("raise"):
        ours = evaluate(fast, x)
    np.testing.assert_allclose(ours, evaluate(plain, x), rtol=1e-9 if x64 else 1e-4)


@pytest.mark.parametrize("name", ["cru", "cmr_exponential"])
def test_other_parts_and_fixed_parameters_have_a_closed_form_too(name):
    """CRU, whose parameters are half of them fixed, and exponential choice, under few parameter
    sets (`FEW`), for which the program is another."""
    names = tuple(usual_bounds(name))
    low, high = np.array(list(usual_bounds(name).values())).T[:, :, None]
    with jax.enable_x64(True):
        fast, plain = both(EVERY_SHAPE, model=name, names=names)
        assert isinstance(fast, ReplayedLikelihood)
        unit = np.random.default_rng(4).random((len(names), FEW))
        x = jnp.asarray(low + unit * (high - low))
        with jax.numpy_rank_promotion("raise"):
            ours = evaluate(fast, x)
        np.testing.assert_allclose(ours, evaluate(plain, x), rtol=1e-9)


def test_its_gradient_equals_that_of_the_model_played_forward():
    """Inside the bounds, strengths near 1 among them."""
    with jax.enable_x64(True):
        fast, plain = both(EVERY_SHAPE)
        x = candidates(20, 0.0).at[4:9].multiply(0.05)
        ours, theirs = (slopes_of(loss, x) for loss in (fast, plain))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_many_trials_come_in_blocks(small_data):
    """More trials than are replayed side by side: catches a block left out or scored twice."""
    x = candidates(5, 0.0)
    once, often = (both(small_data, some)[0] for some in (None, np.tile(np.arange(20), 5)))
    np.testing.assert_allclose(evaluate(often, x), 5 * evaluate(once, x), rtol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"recalls": [[2, 3, 2, 0, 0]] * 7},
        {"pres_itemnos": [[1, 2, 1, 3, 0]] * 7, "recalls": [[2, 4, 0, 0, 0]] * 7},
    ],
    ids=["recall repeated", "item studied twice"],
)
def test_lists_and_recalls_with_repetitions_are_played_forward(change):
    """The equations hold for different items, recalled once each."""
    fast, plain = both({**EVERY_SHAPE, **{k: np.array(v) for k, v in change.items()}})
    assert type(fast) is type(plain)


PARTS = ["mfc", "mcf", "context", "termination", "choice"]


def wrapped(part, vectorized):
    """Return a creator of one's own of what is by default the part of that name."""
    known = getattr(make_factory()(EVERY_SHAPE, None).parts, part)
    declare = reads(*declared_by(known), vectorized=vectorized)
    return declare(lambda n_items, parameters: known(n_items, parameters))


@pytest.mark.parametrize("part", PARTS)
def test_a_wrapped_part_is_replayed_as_well(part):
    """What counts is the part, not the function that creates it."""
    fast, plain = both(EVERY_SHAPE, **{part: wrapped(part, vectorized=True)})
    assert isinstance(fast, ReplayedLikelihood)
    x = candidates(3, 0.0)
    np.testing.assert_allclose(evaluate(fast, x), evaluate(plain, x), rtol=1e-4)


def test_a_part_for_one_candidate_at_a_time_is_mapped_and_says_so():
    """The same losses, by a model that is called for each candidate."""
    part = wrapped("termination", vectorized=False)
    with pytest.warns(UserWarning, match="takes one parameter set at a time"):
        fast, plain = both(EVERY_SHAPE, termination=part)
    assert type(fast) is type(plain) and not fast.trials.factory.vectorized
    x = candidates(3, 0.0)
    np.testing.assert_allclose(evaluate(fast, x), evaluate(both(EVERY_SHAPE)[1], x), rtol=1e-4)


@pytest.mark.parametrize(
    "parts",
    [
        {"context": per_unit_context},
        {"choice": power_choice_scaled_by_all},
        {"termination": SupportRatioTermination.create},
        {"termination": ContextCompetition.create},
        {"mcf": instance_context_to_item},
    ],
    ids=["drift", "choice", "ratio", "competition", "memory"],
)
def test_parts_that_need_more_are_played_forward(parts):
    """The drift of single units, recalled items, stopping as an item, traces."""
    fast, plain = both(EVERY_SHAPE, **parts)
    assert type(fast) is type(plain)


def test_repeated_recalls_are_played_forward():
    fast, plain = both(EVERY_SHAPE, allow_repeated_recalls=True)
    assert type(fast) is type(plain)


def test_zeros_after_the_recalls_change_no_bit():
    """Cut off after three outputs, with and without free columns: recall of fewer than all items
    ends in a stop."""
    recalls = EVERY_SHAPE["recalls"][:, :3]
    x = candidates(20, 0.2)
    values = []
    for padding in (0, 1, 5):
        data = {**EVERY_SHAPE, "recalls": np.pad(recalls, ((0, 0), (0, padding)))}
        fast, plain = both(data)
        assert isinstance(fast, ReplayedLikelihood)
        values.append(np.asarray(evaluate(fast, x)))
        if padding == 0:
            np.testing.assert_allclose(values[0], evaluate(plain, x), rtol=1e-4)
    np.testing.assert_array_equal(values[1], values[0])
    np.testing.assert_array_equal(values[2], values[0])
