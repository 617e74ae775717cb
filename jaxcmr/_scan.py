"""A loop over the events of a trial, through which a model goes as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from jaxcmr.typing import MemorySearch

__all__ = ["scan_model"]

M = TypeVar("M", bound=MemorySearch)


def scan_model(
    step: Callable[[M, Any], tuple[M, PyTree]],
    model: M,
    events: PyTree,
    happens: Bool[Array, " events"] | None = None,
) -> tuple[M, PyTree]:
    """Return the model after all events, and the outputs of all steps, stacked.

    As `jax.lax.scan`, with three differences. Only those arrays of the model that a step changes go
    through the loop, so that a memory that recall leaves alone is not copied. They may get more
    candidates on their last axes in the first step. And events that do not happen are left out:
    they take no time, and their outputs are 0.

    Args:
        step: ``(model, event) -> (model, output)``.
        model: before the first event.
        events: arrays with one row per event.
        happens: which events happen; all by default.
    """
    structure: Any
    leaves, structure = jax.tree.flatten(model)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    changes = [False] * len(leaves)

    def step_leaves(leaves: list[Array], event: Any) -> tuple[list[Array], PyTree]:
        after, output = step(structure.unflatten(leaves), event)
        changed = jax.tree.leaves(after)
        changes[:] = [new is not old for new, old in zip(changed, leaves, strict=True)]
        return changed, output

    one_event = jax.tree.map(lambda rows: jax.ShapeDtypeStruct(rows.shape[1:], rows.dtype), events)
    while True:  # until the step widens nothing more
        after, output = jax.eval_shape(step_leaves, leaves, one_event)
        if all(new.shape == old.shape for new, old in zip(after, leaves, strict=True)):
            break
        leaves = [jnp.broadcast_to(old, new.shape) for old, new in zip(leaves, after, strict=True)]
    is_carried = tuple(changes)

    def of_model(carried: list[Array]) -> list[Array]:
        """Return all leaves, given those that are carried."""
        given = iter(carried)
        return [
            next(given) if each else leaf for leaf, each in zip(leaves, is_carried, strict=True)
        ]

    def carried_of(leaves: list[Array]) -> list[Array]:
        return [leaf for leaf, each in zip(leaves, is_carried, strict=True) if each]

    def body(carried: list[Array], event: tuple[Any, Any]) -> tuple[list[Array], PyTree]:
        event, does_happen = event

        def go(carried: list[Array]) -> tuple[list[Array], PyTree]:
            after, output = step_leaves(of_model(carried), event)
            return carried_of(after), output

        def stay(carried: list[Array]) -> tuple[list[Array], PyTree]:
            return carried, jax.tree.map(lambda one: jnp.zeros(one.shape, one.dtype), output)

        return go(carried) if does_happen is None else jax.lax.cond(does_happen, go, stay, carried)

    carried, outputs = jax.lax.scan(body, carried_of(leaves), (events, happens))
    return structure.unflatten(of_model(carried)), outputs
