"""Fingerprints of functions: what they compute now, independent of name and identity."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Callable, Hashable, Iterator
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jaxtyping import Array, Float, PyTree

from jaxcmr.optimize._jit import Objective, is_array

__all__ = ["Fingerprint", "Fingerprinted", "add_fingerprint", "fingerprint"]

PLAIN = type(jax.tree.structure(0))  # the structure of a pytree
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Fingerprint(NamedTuple):
    """What a function computes, as a key of a cache.

    Equal fingerprints mean equal programs: the same operations on the same constants, calling the
    same Python functions.
    """

    digest: str
    """Of the operations (the text of the jaxpr) and of all constants."""
    callbacks: tuple[Hashable, ...]
    """Python functions that the program calls as it runs."""


class Fingerprinted(eqx.Module):
    """An objective and the fingerprint it had when the call began.

    The fingerprint is static, so `Compiled` keeps one program for each version of the function.
    """

    objective: Objective
    fingerprint: Fingerprint = eqx.field(static=True)

    def __call__(self, x: Float[Array, "n_params members"]) -> Array:
        return self.objective(x)


def add_fingerprint(objective: Objective, n_params: int, members: int) -> Fingerprinted:
    """Return the objective with its fingerprint, traced for a population of this shape.

    The identity of a function does not tell what it computes: attributes of its object, variables
    of its closure, globals, and arrays that are changed in place may all differ at the next call.
    """
    x = jax.ShapeDtypeStruct((n_params, members), jnp.result_type(float))
    return Fingerprinted(objective, fingerprint(objective, x))


def fingerprint(func: Callable[..., Any], *args: Any) -> Fingerprint:
    """Return the fingerprint of what `func` computes, by tracing it.

    Arrays in `func` (a pytree) and `args` enter by shape and dtype only: a program takes them as
    arguments. Arrays that `func` captures otherwise enter by value.

    Examples:
        >>> from jaxcmr.optimize import program_fingerprint
        >>> target = 0.3
        >>> def loss(x):
        ...     return (x - target) ** 2
        >>> before = program_fingerprint(loss, 1.0)
        >>> before == program_fingerprint(loss, 1.0)
        True
        >>> target = 0.8
        >>> before == program_fingerprint(loss, 1.0)
        False
    """
    arrays, static = eqx.partition((func, args), is_array_or_struct)

    def call(arrays: PyTree) -> PyTree:
        # JAX caches traces by the identity of the function; this one is new at every call.
        func, args = eqx.combine(arrays, static)
        return func(*args)

    program = jax.make_jaxpr(call)(jax.tree.map(as_struct, arrays))
    digest = hashlib.blake2b(ADDRESS.sub("", str(program)).encode())
    callbacks: list[Hashable] = []
    for constant in find_captured(program):
        if isinstance(constant, jax.core.Tracer):  # an outer transformation's: never the same
            callbacks.append(object())
        elif is_array(constant):
            digest.update(to_bytes(constant))
        else:
            callbacks.append(describe(constant))
    return Fingerprint(digest.hexdigest(), tuple(callbacks))


def is_array_or_struct(leaf: object) -> bool:
    """Return True for arrays, and for a `jax.ShapeDtypeStruct` in place of one."""
    return is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def as_struct(array: Any) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype that a program sees of this array."""
    if isinstance(array, jax.ShapeDtypeStruct):
        return array
    aval = jax.typeof(array)
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype)


def find_captured(program: ClosedJaxpr | Jaxpr) -> Iterator[Any]:
    """Yield the constants and callbacks of a jaxpr and of all jaxprs inside it."""
    if isinstance(program, ClosedJaxpr):
        yield from program.consts
        program = program.jaxpr
    for equation in program.eqns:  # the text may abbreviate literals
        yield from (np.asarray(atom.val) for atom in equation.invars if isinstance(atom, Literal))
        yield from find_in_parameter(equation.params)
    yield from (np.asarray(atom.val) for atom in program.outvars if isinstance(atom, Literal))


def find_in_parameter(parameter: object) -> Iterator[Any]:
    """Yield the constants and callbacks in a parameter of an operation."""
    if isinstance(parameter, ClosedJaxpr | Jaxpr):
        yield from find_captured(parameter)
    elif isinstance(parameter, dict):
        for name, value in parameter.items():
            if name == "callback":
                yield value
            else:
                yield from find_in_parameter(value)
    elif isinstance(parameter, tuple | list):
        for value in parameter:
            yield from find_in_parameter(value)
    elif is_array(parameter):
        yield parameter


def to_bytes(array: Any) -> bytes:
    """Return the dtype, shape and values of an array."""
    if eqx.is_array(array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    array = np.asarray(jax.device_get(array))
    return f"{array.dtype}{array.shape}".encode() + array.tobytes()


def describe(value: Any, depth: int = 4) -> Hashable:
    """Return a hashable description of a Python function: its code and what it refers to.

    JAX makes some of these functions anew with every trace, so their identity does not tell
    whether they are the same. Objects that a function refers to are compared by identity: as the
    function is called by Python, it sees their present state.
    """
    if value is None or isinstance(value, bool | int | float | str | PLAIN):
        return (type(value), value)
    if depth == 0:
        return Same(value)
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        parts = [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        if value.__module__.startswith("jax."):  # its containers are as new as the function
            parts = [as_tuple(part) for part in parts]
        return (value.__code__, *(describe(part, depth - 1) for part in parts))
    if isinstance(value, tuple):
        return tuple(describe(part, depth - 1) for part in value)
    if isinstance(value, functools.partial):
        parts = [value.func, *value.args, *value.keywords.values()]
        return (*value.keywords, *(describe(part, depth - 1) for part in parts))
    if isinstance(value, MethodType):
        return (value.__func__, Same(value.__self__))
    # JAX wraps callbacks in a dataclass.
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
        return (type(value), *(describe(part, depth - 1) for part in parts))
    return Same(value)


def as_tuple(value: Any) -> Any:
    """Return the elements of a list or dict as a tuple, anything else as it is."""
    value = tuple(value.items()) if isinstance(value, dict) else value
    return tuple(value) if isinstance(value, list) else value


class Same:
    """A key that equals itself only. It holds its object, whose address stays taken."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)
