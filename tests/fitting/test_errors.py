"""An error inside a user's loss is raised as it is, whichever program was being compiled."""

import jax
import jax.numpy as jnp
import pytest
from simple_losses import BowlGenerator

import jaxcmr as jc

SEARCH = {"num_steps": 2, "pop_size": 4, "best_of": 1}


class Broken(BowlGenerator):
    """A bowl that raises an error where `is_broken` says so."""

    def __init__(self, model_factory, dataset, features, *, error, is_broken):
        super().__init__(model_factory, dataset, features)
        self.error, self.is_broken = error, is_broken

    def __call__(self, trial_indices, base_params, free_param_names):
        bowl = super().__call__(trial_indices, base_params, free_param_names)

        def loss(x):
            if self.is_broken(x):
                raise self.error
            return bowl(x)

        return loss


def is_anything(x):
    return True


def is_searched(x):
    """Of a whole population; the check before the fit tries three candidates."""
    return x.ndim == 2 and x.shape[1] > 3


def is_double(x):
    return x.dtype == jnp.float64


@pytest.mark.parametrize(
    ("is_broken", "fitter"),
    [
        (is_anything, "jax"),
        (is_searched, "jax"),
        (is_searched, "scipy"),
        (is_double, "jax"),
        (is_double, "scipy"),
    ],
)
def test_errors_of_a_loss_are_raised(small_data, is_broken, fitter):
    """At the check before the fit, in the search, and in the polish in double precision. Catches a
    fallback, such as a polish in single precision, that takes the error for one of JAX."""
    for error in (TypeError("a type of mine"), ValueError("a value of mine")):
        with pytest.raises(type(error), match=str(error)):
            jc.fit(
                small_data,
                None,
                Broken,
                loss_options={"error": error, "is_broken": is_broken},
                bounds={"learning_rate": [0.0, 1.0]},
                search=SEARCH,
                fitter=fitter,
                pooled=True,
                progress=False,
            )


@pytest.mark.parametrize("fitter", ["scipy", pytest.param("jax", marks=pytest.mark.full)])
def test_a_loss_that_cannot_be_doubled_is_polished_all_the_same(small_data, fitter):
    """In single precision: JAX's own complaint about a mixture of precisions is no error of the
    loss."""

    class Single(BowlGenerator):
        def __call__(self, trial_indices, base_params, free_param_names):
            bowl = super().__call__(trial_indices, base_params, free_param_names)

            def loss(x):
                half = jnp.full(x.shape, 0.5, jnp.float32)
                return bowl(jax.lax.add(x, half))  # an error of JAX, unless x is float32

            return loss

    fit = jc.fit(
        small_data,
        None,
        Single,
        bounds={"learning_rate": [-1.0, 1.0]},
        fitter=fitter,
        search=SEARCH,
        pooled=True,
        progress=False,
    )
    assert fit["runs"][0][0]["polish"] == "gradient"
    assert fit["fitness"] == pytest.approx([20.0], rel=1e-5)
