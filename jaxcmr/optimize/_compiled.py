"""Compiled functions of pytrees, of which only the latest are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, ParamSpec, TypeVar

import equinox as eqx
import jax
import numpy as np

__all__ = ["Compiled"]

P = ParamSpec("P")
T = TypeVar("T")


class Compiled(Generic[P, T]):
    """`function`, compiled: arrays in its arguments are traced, all else is static.

    Calls that differ in the values of arrays share a program. Programs belong to the static part;
    the `keep` parts used last keep theirs. A fresh closure is a new static part at every call:
    kept for ever, as by `jax.jit`, some hundreds of their programs use up what memory maps the
    operating system allows a process.

    With `wide_vectors`, loops on a CPU use the longest vectors that it has. (The compiler's own
    choice is at most 256 bits; with 512, a population of likelihoods takes a fifth less time.) Such
    a function cannot be part of another that is being compiled.
    """

    def __init__(
        self, function: Callable[P, T], keep: int = 16, wide_vectors: bool = False
    ) -> None:
        self.function, self.keep, self.wide_vectors = function, keep, wide_vectors
        self._programs: OrderedDict[Any, Callable[[Any], T]] = OrderedDict()
        self._lock = Lock()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        arrays, static = eqx.partition((args, kwargs), is_array)
        return self._program(static)(jax.tree.map(as_strong, arrays))

    def _program(self, static: Any) -> Callable[[Any], T]:
        leaves, structure = jax.tree.flatten(static)
        part = (structure, tuple((type(leaf), leaf) for leaf in leaves))  # 1 is not True
        with self._lock:
            program = self._programs.pop(part, None)
            if program is None:

                def program(arrays: Any) -> T:
                    args, kwargs = eqx.combine(arrays, static)
                    return self.function(*args, **kwargs)

                on_cpu = jax.default_backend() == "cpu"
                wide = {"xla_cpu_prefer_vector_width": 512}
                options = wide if self.wide_vectors and on_cpu else None
                program = jax.jit(program, compiler_options=options)
            self._programs[part] = program
            while len(self._programs) > self.keep:
                self._programs.popitem(last=False)
        return program


def is_array(leaf: Any) -> bool:
    """Whether `leaf` is data: an array of JAX or NumPy."""
    return eqx.is_array(leaf) or isinstance(leaf, np.ndarray | np.generic)


def as_strong(array: Any) -> Any:
    """`array` with the type it has, not one that yields to others: that would be a new program."""
    return array.astype(array.dtype) if getattr(array, "weak_type", False) else array
