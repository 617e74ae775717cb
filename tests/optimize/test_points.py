"""Polishes of points that are given: they end where the function is lowest, one by one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxcmr.optimize import Polisher


class Bowl(eqx.Module):
    """``sum_i w_i (x_i - center_i)^2``."""

    center: np.ndarray

    def __call__(self, x):
        TRACES.append(x.shape)
        weights = jnp.array([1.0, 30.0], x.dtype)[:, None]
        return (weights * (x - jnp.asarray(self.center, x.dtype)[:, None]) ** 2).sum(0)


class Shift(eqx.Module):
    """Moves all coordinates."""

    by: np.ndarray

    def __call__(self, x):
        return x + jnp.asarray(self.by, x.dtype)


TRACES = []
BOUNDS = [(-1.0, 1.0)] * 2


def test_points_end_at_the_lowest_place_of_their_function():
    """In double precision, inside the box or on its bound; all functions share a program."""
    centers = np.array([[0.5, -0.25], [0.1, 3.0], [0.2, 0.2]])
    polisher = Polisher([Bowl(center) for center in centers], BOUNDS, n_points=3)
    starts = np.array([[0.1, 0.9], [0.5, 0.5]])
    found = []
    for which in range(3):
        ends = polisher(which, starts)
        found.append(2 * ends.unit - 1)
        if which == 0:
            n_traces = len(TRACES)
    assert len(TRACES) == n_traces  # the other two were not traced again
    expected = np.clip(centers, -1, 1)[:, None].repeat(2, axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_where_a_point_ends_does_not_depend_on_the_others():
    polisher = Polisher([Bowl(np.array([0.3, 0.3]))], BOUNDS, n_points=4)
    starts = np.random.default_rng(0).random((4, 2))
    together = polisher(0, starts)
    for i, start in enumerate(starts):
        alone = polisher(0, start[None])
        np.testing.assert_array_equal(alone.unit[0], together.unit[i])
        assert alone.loss[0] == together.loss[i]


def test_each_point_has_its_own_change_of_coordinates():
    with jax.enable_x64(True):
        shifts = [Shift(np.array(by)) for by in (0.0, 0.25)]
    polisher = Polisher([Bowl(np.array([0.5, 0.5]))], BOUNDS, shifts[0], n_points=2)
    ends = polisher(0, np.full((2, 2), 0.5), shifts)
    np.testing.assert_allclose(2 * ends.unit - 1, [[0.5, 0.5], [0.25, 0.25]], atol=1e-9)
