"""The state of a run between two generations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxcmr.optimize._history import Memory

__all__ = ["State"]


class State(NamedTuple):
    """The population after a generation, in the unit cube. The start is generation 0, and -1 while
    nobody has been evaluated.

    The best member comes first; with an adaptive strategy all are in ascending order of energy.
    Only the first `size` members take part; the energy of the others is infinite.
    """

    population: Float[Array, "members n_params"]
    energies: Float[Array, " members"]
    size: Int[Array, ""]
    memory: Memory | None
    generation: Int[Array, ""]
    nfev: Int[Array, ""]
    nonfinite: Int[Array, ""]
    key: PRNGKeyArray

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the state as plain NumPy arrays, for a file or another process.

        Examples:
            >>> import jax
            >>> from jaxcmr.optimize import State, evolve_lanes
            >>> reports = evolve_lanes([lambda x: (x**2).sum(0)], [(-1, 1)], [jax.random.key(0)])
            >>> state = next(reports).state
            >>> arrays = state.to_arrays()
            >>> State.from_arrays(arrays).to_arrays().keys() == arrays.keys()
            True
        """
        numbers = self._asdict()
        memory, key = numbers.pop("memory"), numbers.pop("key")
        if memory is not None:
            numbers |= {f"memory_{name}": value for name, value in vars(memory).items()}
        is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        numbers["key"] = jax.random.key_data(key) if is_typed else key
        kind = str(jax.random.key_impl(key)) if is_typed else ""
        arrays = {name: np.asarray(jax.device_get(value)) for name, value in numbers.items()}
        return arrays | {"key_kind": np.array(kind)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> State:
        """Return the state that `to_arrays` wrote."""
        fields: dict[str, Any] = {
            name: np.asarray(arrays[name]) for name in cls._fields if name in arrays
        }
        remembered: dict[str, Any] = {
            name.removeprefix("memory_"): np.asarray(value)
            for name, value in arrays.items()
            if name.startswith("memory_")
        }
        kind = str(arrays["key_kind"])
        key = jnp.asarray(fields.pop("key"))
        return cls(
            **fields,
            memory=Memory(**remembered) if remembered else None,
            key=jax.random.wrap_key_data(key, impl=kind) if kind else key,
        )
