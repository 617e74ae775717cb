"""Polishes of points that are given, without a search before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree
from numpy.typing import ArrayLike

from jaxcmr.optimize._fingerprint import Fingerprint, fingerprint
from jaxcmr.optimize._jit import (
    QUICK_TO_COMPILE,
    WIDE_VECTORS,
    Compiled,
    Objective,
    check_not_forked,
    in_double,
    is_array,
    works_in_double,
)
from jaxcmr.optimize._lanes import NOTHING, as_way
from jaxcmr.optimize._polish import (
    EXACT,
    HELPED,
    MAX_GRADIENTS,
    Coordinates,
    PolishResult,
    points_per_call,
    polish,
)
from jaxcmr.optimize._program import Form, LaneFunction, Transform
from jaxcmr.optimize._space import Box

__all__ = ["Polisher"]


class Polisher:
    """Polishes points of many functions in the same box.

    Points of one function are polished side by side; each call is of one function, and calls may
    come from several threads. Where a point ends does not depend on the other points. Functions
    of the same form (same static parts, same shapes) share one compiled program. Those that work
    in double precision are polished in it.

    Args:
        funcs: objectives ``(n_params, S) -> (S,)``, callable pytrees.
        bounds: (n_params, 2).
        transform: a change of coordinates like those of the calls, for its form; or None.
        polish: how gradients are taken, as for `evolve_lanes`.
        n_points: most points of a call.

    Examples:
        >>> import jax
        >>> import numpy as np
        >>> from jaxcmr.optimize import Polisher
        >>> polisher = Polisher([lambda x: ((x - 0.25) ** 2).sum(0)], [(-1, 1)], n_points=2)
        >>> ends = polisher(0, np.array([[-1.0], [0.5]]))
        >>> ends.unit.round(6).tolist()  # places in the unit cube
        [[0.625], [0.625]]
    """

    def __init__(
        self,
        funcs: Sequence[Objective],
        bounds: ArrayLike,
        transform: Transform | None = None,
        *,
        polish: bool | str = True,
        n_points: int = 16,
    ) -> None:
        check_not_forked()
        self.way, self.n_points = as_way(polish) or EXACT, n_points
        n_params = len(np.asarray(bounds))
        lanes = [LaneFunction(func, transform, NOTHING) for func in funcs]
        self.in_double = works_in_double(lanes[0], n_params)
        with jax.enable_x64(self.in_double or jax.config.jax_enable_x64):  # type: ignore[attr-defined]
            x = jax.ShapeDtypeStruct((n_params, 1), jnp.result_type(float))
            marks: dict[Form, Fingerprint] = {}
            marked = []
            for lane in in_double(lanes) if self.in_double else lanes:
                form = Form.of(lane)
                if form not in marks:
                    marks[form] = fingerprint(lane, x)
                marked.append(replace(lane.without_transform(), fingerprint=marks[form]))
            self.funcs = on_device(marked)
            self.box = Box.from_bounds(bounds)

    def __call__(
        self,
        which: int,
        units: Float[np.ndarray, "k n_params"],
        transforms: Sequence[Transform] | None = None,
    ) -> PolishResult:
        """Return the ends of the polishes of up to `n_points` points, as arrays of the host.

        Args:
            which: number of the function.
            units: starting points in the unit cube.
            transforms: the change of coordinates of each point, in the precision of the polish.
        """
        k = len(units)
        limits = np.where(np.arange(self.n_points) < k, MAX_GRADIENTS, 0).astype(np.int32)
        with jax.enable_x64(self.in_double or jax.config.jax_enable_x64):  # type: ignore[attr-defined]
            full = np.pad(units, ((0, self.n_points - k), (0, 0)), mode="edge")
            ends = self._polish(which, full, transforms, limits, self.way)
            if self.way == EXACT and np.any(ends.status[:k] != 1):  # rare, and long to compile
                failed = np.pad(ends.status[:k] != 1, (0, self.n_points - k))
                helped = self._polish(which, full, transforms, limits * failed, HELPED)
                ends = jax.tree.map(
                    lambda old, new: np.where(failed.reshape(-1, *[1] * (old.ndim - 1)), new, old),
                    ends,
                    helped,
                )
        return jax.tree.map(lambda leaf: leaf[:k], ends)

    def _polish(
        self,
        which: int,
        units: np.ndarray,
        transforms: Sequence[Transform] | None,
        limits: np.ndarray,
        way: str,
    ) -> PolishResult:
        of_points: Any = None
        if transforms is not None:
            full = [*transforms, *[transforms[-1]] * (self.n_points - len(transforms))]
            of_points = jax.tree.map(lambda *leaves: np.stack(leaves), *full)
        on_cpu = jax.default_backend() == "cpu"
        block = points_per_call(units.shape[1], way) if on_cpu else self.n_points
        arrays, static = eqx.partition(of_points, is_array)
        ends = polish_points(
            self.funcs[which],
            self.box,
            static,
            way,
            block,
            arrays,
            jnp.asarray(units),
            jnp.asarray(limits),
        )
        return jax.tree.map(np.asarray, ends)


def polish_points_of(
    func: Objective,
    box: Box,
    static: PyTree,
    way: str,
    block: int,
    arrays: PyTree,
    units: Float[Array, "k n_params"],
    limits: Int[Array, " k"],
) -> PolishResult:
    """Return the ends of the polishes of points of one function.

    Their transforms come as arrays and what these have in common.
    """
    return polish(func, Coordinates(box, eqx.combine(arrays, static)), units, limits, way, block)


polish_points = Compiled(polish_points_of, on_cpu=WIDE_VECTORS | QUICK_TO_COMPILE)


def on_device(funcs: Sequence[LaneFunction]) -> list[LaneFunction]:
    """Return functions with their arrays on the device; those that they share stay shared."""
    moved: dict[int, Array] = {}

    def move(leaf: Any) -> Any:
        if not is_array(leaf):
            return leaf
        if id(leaf) not in moved:
            moved[id(leaf)] = jnp.asarray(leaf)
        return moved[id(leaf)]

    return [jax.tree.map(move, func) for func in funcs]
