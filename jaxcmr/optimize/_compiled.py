"""Compiled functions of pytrees, of which only the latest are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

import equinox as eqx
import jax
import numpy as np

__all__ = ["Compiled", "StaticPart", "as_strong", "is_array", "split"]

P = ParamSpec("P")
T = TypeVar("T")


class StaticPart(NamedTuple):
    """The part of a pytree that is not arrays, as a key: 1, 1.0 and True are different."""

    structure: Any
    leaves: tuple[tuple[type, Any], ...]

    def tree(self) -> Any:
        """Return the pytree, with None in place of the arrays."""
        return self.structure.unflatten([leaf for _, leaf in self.leaves])


def split(tree: Any) -> tuple[Any, StaticPart]:
    """Return the arrays of a pytree, None elsewhere, and its static part."""
    arrays, static = eqx.partition(tree, is_array)
    leaves, structure = jax.tree.flatten(static)
    return arrays, StaticPart(structure, tuple((type(leaf), leaf) for leaf in leaves))


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
        self._programs: OrderedDict[Any, Any] = OrderedDict()  # jitted functions
        self._memory: OrderedDict[Any, int] = OrderedDict()
        self._lock = Lock()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        arrays, static = split((args, kwargs))
        return self._program(static)(jax.tree.map(as_strong, arrays))

    def memory(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """Return the bytes that a call takes beyond its arguments, measured once per program."""
        arrays, part = split((args, kwargs))
        arrays = jax.tree.map(as_strong, arrays)
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arrays))
        with self._lock:
            known = self._memory.get((part, shapes))
        if known is None:
            needs: Any = self._program(part).lower(arrays).compile().memory_analysis()
            known = needs.temp_size_in_bytes + needs.output_size_in_bytes
            with self._lock:
                self._memory[part, shapes] = known
                while len(self._memory) > self.keep:
                    self._memory.popitem(last=False)
        return known

    def _program(self, part: StaticPart) -> Any:
        with self._lock:
            program = self._programs.pop(part, None)
            if program is None:

                def program(arrays: Any) -> T:
                    args, kwargs = eqx.combine(arrays, part.tree())
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
