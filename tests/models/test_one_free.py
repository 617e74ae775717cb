"""One free parameter: only a part of the model then has several candidates."""

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from model_examples import example_of

from jaxcmr.loss import LOSSES
from jaxcmr.models import MODELS

QUICK = ("cru", "cmr_context_stop")
"""One that is replayed, one in which stopping is a choice; all others are tried in full only."""
SHARES = np.array([0.9, 1.0, 1.05])  # of the value in the middle of what fits find

evaluate = quick_jit(
    lambda losses, values: [loss(x) for loss, x in zip(losses, values, strict=True)]
)


def make_generator(name):
    """Return the likelihood of two lists, one of them with recalls, and parameter values."""
    data, features, values = example_of(name, 3, 2)
    data["recalls"][0, :2] = [2, 1]
    data["rec_itemids"] = data["recalls"]
    loss = "confusable_likelihood" if name == "confusable_cru" else "sequence_likelihood"
    return LOSSES[loss](MODELS[name], data, features), values


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.full]) for n in MODELS],
)
def test_candidates_may_differ_in_any_one_parameter(name):
    """Each has the loss that it has if all parameters are free, and have as many values."""
    generator, values = make_generator(name)
    trials, names = np.arange(2), tuple(values)
    losses, columns, everything = [], [], []
    for free in names:
        fixed = {other: value for other, value in values.items() if other != free}
        losses.append(generator(trials, fixed, (free,)))
        columns.append(jnp.asarray(SHARES * values[free], float)[None])
        everything.append([v * (SHARES if n == free else np.ones(3)) for n, v in values.items()])
    found = evaluate(losses, columns)
    all_free = generator(trials, {}, names)
    expected = evaluate([all_free], [jnp.asarray(np.concatenate(everything, axis=1), float)])[0]
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-5)


def test_a_free_parameter_that_the_model_does_not_read_changes_nothing():
    """Every candidate has the same loss. There are as many lists as candidates that fill a vector:
    catches losses of lists that are taken for those of candidates."""
    generator, values = make_generator("cru")
    lists = np.tile([0, 1], 8)
    of_unread, of_nothing = (generator(lists, values, names) for names in (("unread",), ()))
    found = [
        evaluate([of_unread, of_nothing], [jnp.ones((n_free, 3)) for n_free in (1, 0)]),
        8 * evaluate([generator(np.arange(2), values, ())], [jnp.zeros(0)])[0],
    ]
    np.testing.assert_allclose(found[0], np.full((2, 3), found[1]), rtol=1e-5)
