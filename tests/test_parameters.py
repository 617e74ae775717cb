"""Declarations of parameters, checks of their values, and the spaces that searches move in."""

import inspect
from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.components import PowerChoice
from jaxcmr.optimize import Box
from jaxcmr.parameters import (
    DECADES,
    Parameter,
    ParameterSpace,
    as_candidates,
    bind,
    check_given,
    check_limits,
    check_names,
    declared_by,
    function_of,
    merge,
    names_of,
    reads,
    to_double,
)

RATE = Parameter("rate", 0.0, 1.0, "β", "How far context moves.", limits=(0.0, 1.0))
SCALE = Parameter("scale", 0.0, 9.0, "s", "A strength.", scale="log", limits=(0.0, np.inf))
SHIFT = Parameter("shift", -5.0, 5.0, "m", "A parameter without limits.")

# -- declarations --


def test_a_part_declares_what_it_reads():
    """A function keeps working; a class method declares for the class that it creates."""

    @reads(RATE, SHIFT)
    def create(n_items, parameters):
        return n_items + parameters["rate"] + parameters["shift"]

    assert declared_by(create) == (RATE, SHIFT)
    assert create(3, {"rate": 0.5, "shift": 1.0}) == 4.5
    assert names_of(declared_by(PowerChoice.create)) == ("choice_sensitivity",)


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_undeclared_part_is_an_error_that_says_how_to_declare_it(wrapped):
    """A function without a declaration, or around one that has it."""
    create = (lambda n, p: PowerChoice.create(n, p)) if wrapped else (lambda n, p: None)
    with pytest.raises(ValueError, match=r"declare them with @jaxcmr\.parameters\.reads\(\.\.\.\)"):
        declared_by(create)


def test_parts_may_share_a_parameter():
    """It then comes once, where it was declared first; equal declarations are the same one."""
    again = Parameter("rate", 0.0, 1.0, "β", "How far context moves.", limits=(0.0, 1.0))
    assert merge([SHIFT, RATE], (), [again, SCALE]) == (SHIFT, RATE, SCALE)


@pytest.mark.parametrize(
    "other",
    [
        Parameter("rate", 0.0, 0.5, "β", "How far context moves.", limits=(0.0, 1.0)),
        Parameter("rate", 0.0, 1.0, "ρ", "How far context moves.", limits=(0.0, 1.0)),
        Parameter("rate", 0.0, 1.0, "β", "Something else.", limits=(0.0, 1.0)),
        Parameter("rate", 0.0, 1.0, "β", "How far context moves.", "log", (0.0, 1.0)),
        Parameter("rate", 0.0, 1.0, "β", "How far context moves."),
    ],
    ids=["bounds", "symbol", "meaning", "scale", "limits"],
)
def test_parts_that_declare_a_name_differently_are_an_error(other):
    with pytest.raises(ValueError, match="declare the parameter 'rate' differently"):
        merge([SHIFT, RATE], [other])


def test_declarations_of_a_class_method_are_found_where_python_3_12_looks():
    """From 3.12 on `isinstance` of a protocol sees what an object holds itself, and a bound method
    holds nothing: without a way around, no part of the catalogue would be declared."""
    held = inspect.getattr_static(function_of(PowerChoice.create), "parameters")
    assert held == declared_by(PowerChoice.create) == PowerChoice.create.parameters


# -- values --


def test_bind_sets_free_parameters_in_order():
    """A free parameter replaces a base value of the same name."""
    assert bind({"a": 1, "b": 2}, ("c", "b"), [30, 20]) == {"a": 1, "b": 20, "c": 30}


def test_scalars_have_the_working_precision(x64):
    """Numbers, NumPy scalars and arrays alike, so that a model keeps its dtypes."""
    arrays = as_candidates({"a": 1, "b": np.float64(0.5), "c": jnp.array(2)})
    assert {(value.dtype, value.shape) for value in arrays.values()} == {(jnp.zeros(()).dtype, ())}
    assert not any(value.weak_type for value in arrays.values())


def test_doubles_keep_all_digits_in_single_precision():
    assert to_double({"a": 1 - 1e-12})["a"] == 1 - 1e-12


def test_a_missing_value_is_an_error_that_names_a_misspelled_one():
    check_given({"rate": 0.5, "other": 1.0}, [RATE])
    with pytest.raises(ValueError, match=r"value of parameter 'rate'. Did you mean 'ratte'"):
        check_given({"ratte": 0.5}, [RATE, SCALE])


def test_an_unknown_name_is_an_error():
    """It says how a part of one's own declares what it reads."""
    check_names(["scale", "rate"], [RATE, SCALE])
    with pytest.raises(ValueError, match=r"no parameter 'scal'. Did you mean 'scale'.*reads"):
        check_names(["rate", "scal"], [RATE, SCALE])


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan, [0.2, 2.0]])
def test_values_outside_the_limits_are_errors(value):
    """A number or one of several; NaN is outside all limits."""
    with pytest.raises(ValueError, match=r"'rate' is .* defined from 0\.0 to 1\.0"):
        check_limits({"rate": value, "shift": -5.0}, [RATE, SHIFT])
    with pytest.raises(ValueError, match=r"'scale' is -1\.0.* from 0\.0 upwards"):
        check_limits({"scale": -1.0}, [RATE, SCALE])


def test_limits_are_included_and_may_be_infinite():
    check_limits({"rate": [0.0, 1.0], "scale": 1e30, "shift": -1e30}, [RATE, SCALE, SHIFT])
    check_limits({"undeclared": 7.0}, [])


# -- spaces --

BOUNDS = {"wide": [1e-16, 100.0], "from_zero": [0.0, 1.0], "narrow": [0.5, 20.0], "signed": [-5, 5]}
SCALES = tuple(DECADES)


def space_on(scale):
    """Return a space with every parameter on this scale."""
    return ParameterSpace.make(BOUNDS, dict.fromkeys(BOUNDS, scale))


@pytest.mark.parametrize("scale", SCALES)
def test_the_ends_of_the_cube_are_the_bounds_exactly(scale, x64):
    """A search that ends on a bound gives the bound; no place is outside the bounds."""
    box = Box.from_bounds(list(BOUNDS.values()))  # the bounds that this precision can hold
    space = space_on(scale)
    np.testing.assert_array_equal(space.from_unit(jnp.zeros(4)), box.lower)
    np.testing.assert_array_equal(space.from_unit(jnp.ones(4)), box.upper)
    places = jnp.asarray(np.concatenate([np.linspace(0, 1, 40), 1 - np.geomspace(1e-9, 1e-2, 9)]))
    found = space.from_unit(jnp.broadcast_to(places, (4, len(places))))
    assert np.all(found >= box.lower[:, None]) and np.all(found <= box.upper[:, None])


def test_equal_steps_are_equal_ratios():
    """On a logarithmic scale, above a ten-thousandth of the range: at 10, 1 and 0.1 of 100 by
    quarters of the cube. On a linear one, equal steps are equal differences."""
    z = np.tile([0.75, 0.5, 0.25], (4, 1))
    with jax.enable_x64(True):
        log, half, linear = (
            np.asarray(space_on(scale).from_unit(jnp.asarray(z)))
            for scale in ("log", "half-log", "linear")
        )
    np.testing.assert_allclose(log[0], [10, 1, 0.1], rtol=0.12)
    np.testing.assert_allclose(log[0], 100 * (10 ** (4 * z[0]) - 1) / (10**4 - 1), rtol=1e-9)
    np.testing.assert_allclose(half[0, 1], 100 * 9 / 99, rtol=1e-9)  # two decades, halfway 10 - 1
    np.testing.assert_allclose(linear[2:], [0.5 + z[0] * 19.5, -5 + z[0] * 10])


@pytest.mark.parametrize("scale", SCALES)
def test_unit_cube_and_parameters_map_to_each_other(scale):
    """There and back, either way; values out of bounds map to the nearest bound."""
    rng = np.random.default_rng(1)
    low, high = np.array(list(BOUNDS.values())).T
    with jax.enable_x64(True):
        space = space_on(scale)
        for _ in range(5):
            z, x = rng.random(4), low + rng.random(4) * (high - low)
            np.testing.assert_allclose(space.to_unit(space.from_unit(jnp.asarray(z))), z)
            np.testing.assert_allclose(space.from_unit(jnp.asarray(space.to_unit(x))), x)
    assert space_on(scale).to_unit([-1.0, 2.0, 0.0, 9.0]).tolist() == [0.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize("scale", SCALES)
def test_values_below_an_upper_bound_map_below_it(scale):
    """In single precision, where 1 - 1e-8 would be 1: a start next to a learning rate of 1 is not
    one at 1, which is another model. The bound itself keeps its place."""
    interval = ParameterSpace.make({"learning_rate": [0.0, 1.0]}, {"learning_rate": scale})
    for x in (1 - 2.0**-24, 1 - 1e-9):
        place = jnp.asarray(interval.to_unit([x]), jnp.float32)
        assert 0.999999 < interval.from_unit(place)[0] < 1
    assert interval.to_unit([1.0]) == 1 and interval.from_unit(jnp.ones(1)) == 1


@pytest.mark.parametrize("scale", SCALES)
def test_an_upper_bound_has_a_gradient(scale):
    """The one-sided one: a search that begins there can leave. Catches a bound that is returned as
    a constant."""
    with jax.enable_x64(True):
        space = space_on(scale)
        slope = jax.jacfwd(space.from_unit)(jnp.ones(4))
        below = space.from_unit(jnp.full(4, 1 - 1e-5))
        nearby = (space.from_unit(jnp.ones(4)) - below) / 1e-5
    np.testing.assert_allclose(np.diagonal(slope), nearby, rtol=1e-3)


@pytest.mark.parametrize(("high", "place"), [(1 - 2.2e-16, 1.0), (1.0, 1 - 1e-12)])
def test_estimates_stay_inside_in_single_precision(high, place):
    """Where fits of CMR end just below a learning rate of 1, simulations in float32 would take it
    for 1, which is another model: no item then moves the context of study. The polish works in
    double precision, and its estimates must mean the same to everything that comes after."""
    space = ParameterSpace.make({"learning_rate": [0.0, high]}, {"learning_rate": "linear"})
    with jax.enable_x64(True):
        estimate = space.from_unit(jnp.full(1, place))
        assert estimate.dtype == np.float64
    assert 0.999999 < np.float32(estimate[0]) < 1


# -- unconstrained numbers --


@pytest.mark.parametrize("scale", SCALES)
def test_unconstrained_numbers_and_parameters_map_to_each_other(scale):
    """There and back, either way; parameters on a bound map to an infinite number, and back."""
    low, high = np.array(list(BOUNDS.values())).T
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        space = space_on(scale)
        for _ in range(5):
            y, x = rng.normal(0, 3, 4), low + rng.random(4) * (high - low)
            found = space.to_unconstrained(space.from_unconstrained(jnp.asarray(y)))
            np.testing.assert_allclose(found, y, rtol=1e-7)
            found = space.from_unconstrained(jnp.asarray(space.to_unconstrained(x)))
            np.testing.assert_allclose(found, x, rtol=1e-9)
        assert np.all(space.to_unconstrained(low) == -np.inf)
        assert np.all(space.to_unconstrained(high) == np.inf)
        for bound, infinite in ((low, -jnp.inf), (high, jnp.inf)):
            found = space.from_unconstrained(jnp.full(4, infinite))
            np.testing.assert_array_equal(found, bound)


@pytest.mark.parametrize("scale", SCALES)
def test_the_log_jacobian_is_that_of_automatic_differentiation(scale):
    """``log |det dx/dy|`` at random numbers, where the determinant itself can be computed."""
    with jax.enable_x64(True):
        space = space_on(scale)
        y = jnp.asarray(np.random.default_rng(3).uniform(-12, 12, (200, 4)))
        found = jax.vmap(space.log_jacobian)(y)
        jacobian = jax.vmap(jax.jacfwd(space.from_unconstrained))(y)
        expected = np.linalg.slogdet(np.asarray(jacobian))
        assert np.all(expected.sign == 1)
        np.testing.assert_allclose(found, expected.logabsdet, rtol=0, atol=1e-9)


def exact_log_jacobian(decades, low, high, y):
    """Return ``log dx/dy`` of one parameter, by its formula in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        z = 1 / (1 + (-Decimal(y)).exp())
        dz = z * (1 - z)
        dx = Decimal(high) - Decimal(low)
        if decades:
            k = int(decades) * Decimal(10).ln()
            dx *= k * (k * z).exp() / (k.exp() - 1)
        return float((dx * dz).ln())


@pytest.mark.parametrize("scale", SCALES)
def test_the_log_jacobian_is_right_far_out(scale):
    """Where z is within rounding of 0 or 1, and ``log(1 - z)`` would be lost or infinite; in single
    precision too."""
    for x64, rtol in ((True, 1e-13), (False, 1e-5)):
        with jax.enable_x64(x64):
            space = space_on(scale)
            for y in (-30.0, -17.0, 0.0, 17.0, 30.0):
                found = space.log_jacobian(jnp.full(4, y))
                expected = sum(
                    exact_log_jacobian(DECADES[scale], low, high, y)
                    for low, high in BOUNDS.values()
                )
                np.testing.assert_allclose(found, expected, rtol=rtol)


@pytest.mark.parametrize("y", [-30.0, 0.0, 30.0])
def test_the_log_jacobian_has_a_finite_gradient(y, x64):
    """As samplers that follow gradients need."""
    slope = jax.grad(space_on("log").log_jacobian)(jnp.full(4, y))
    assert np.all(np.isfinite(slope))
