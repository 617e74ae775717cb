"""How the engine uses JAX: compiled functions, precision, and the check for forks."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Lock
from types import FrameType
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax._src import xla_bridge
from jaxtyping import Array, Float, PyTree

__all__ = [
    "QUICK_TO_COMPILE",
    "WIDE_VECTORS",
    "Compiled",
    "Objective",
    "StaticPart",
    "as_argument",
    "check_leaves",
    "check_not_forked",
    "in_double",
    "is_array",
    "is_raised_by_jax",
    "is_traced",
    "split",
    "works_in_double",
]

P = ParamSpec("P")
T = TypeVar("T")

Objective = Callable[[Float[Array, "n_params members"]], Float[Array, " members"]]
"""A loss of many parameter vectors, one per column."""

F = TypeVar("F", bound=Objective)


# Compiled functions

WIDE_VECTORS = {"xla_cpu_prefer_vector_width": 512}
"""Use 512-bit vectors where there are any. The compiler's own limit is 256 bits, with which a
population of likelihoods takes a quarter more time."""

QUICK_TO_COMPILE = {"xla_backend_optimization_level": 1}
"""Optimize less: exact gradients compile in three quarters of the time and run no slower, but
losses of long vectors run some percent slower."""


class StaticPart(NamedTuple):
    """The part of a pytree that is not arrays, as a key: 1, 1.0 and True are different."""

    structure: Any  # a PyTreeDef
    leaves: tuple[tuple[type, Any], ...]

    def to_tree(self) -> PyTree:
        """Return the pytree, with None in place of the arrays."""
        return self.structure.unflatten([leaf for _, leaf in self.leaves])


class Compiled(Generic[P, T]):
    """A compiled function: arrays in its arguments are traced, all else is static.

    Like `eqx.filter_jit`, with an LRU cache: one program for each distinct static part, of which
    the `keep` most recent are retained. `jax.jit` would keep the program of every closure that was
    ever passed, until the process runs out of memory maps.

    `on_cpu` are options of the compiler that are used on a CPU, such as `WIDE_VECTORS`. A function
    with options cannot be part of another that is being compiled.
    """

    def __init__(
        self, function: Callable[P, T], keep: int = 16, on_cpu: dict[str, int] | None = None
    ) -> None:
        self.function, self.keep, self.on_cpu = function, keep, on_cpu
        self._programs: OrderedDict[StaticPart, Callable[[PyTree], T]] = OrderedDict()
        self._memory: OrderedDict[tuple[StaticPart, Any], int] = OrderedDict()
        self._lock = Lock()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        arrays, static = split((args, kwargs))
        return self._program(static)(jax.tree.map(as_argument, arrays))

    def memory(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """Return the bytes that a call takes beyond its arguments, measured once per program."""
        arrays, static = split((args, kwargs))
        arrays = jax.tree.map(as_argument, arrays)
        key = static, tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arrays))
        with self._lock:
            known = self._memory.get(key)
        if known is None:
            program: Any = self._program(static)  # jitted
            needs = program.lower(arrays).compile().memory_analysis()
            known = needs.temp_size_in_bytes + needs.output_size_in_bytes
            with self._lock:
                self._memory[key] = known
                while len(self._memory) > self.keep:
                    self._memory.popitem(last=False)
        return known

    def _program(self, static: StaticPart) -> Callable[[PyTree], T]:
        """Return the jitted program of a static part, and mark it as the latest used."""
        with self._lock:
            program = self._programs.pop(static, None)
            if program is None:

                def call(arrays: PyTree) -> T:
                    args, kwargs = eqx.combine(arrays, static.to_tree())
                    return self.function(*args, **kwargs)

                options = self.on_cpu if jax.default_backend() == "cpu" else None
                program = jax.jit(call, compiler_options=options)
            self._programs[static] = program
            while len(self._programs) > self.keep:
                self._programs.popitem(last=False)
        return program


def split(tree: PyTree) -> tuple[PyTree, StaticPart]:
    """Return the arrays of a pytree, None elsewhere, and its static part."""
    arrays, static = eqx.partition(tree, is_array)
    leaves, structure = jax.tree.flatten(static)
    return arrays, StaticPart(structure, tuple((type(leaf), leaf) for leaf in leaves))


def is_array(leaf: object) -> bool:
    """Return True for data: an array of JAX or NumPy."""
    return eqx.is_array(leaf) or isinstance(leaf, np.ndarray | np.generic)


def check_leaves(name: str, tree: PyTree) -> None:
    """Raise an error unless each leaf is an array that JAX can take, or hashable."""
    for leaf in jax.tree.leaves(tree):
        if isinstance(leaf, np.ma.MaskedArray):
            raise ValueError(
                f"{name} holds a masked array, whose mask JAX would drop: pass "
                "numpy.ma.filled(array, value) instead."
            )
        if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind in "OSUMm":
            raise TypeError(
                f"{name} holds an array of dtype {leaf.dtype}, which JAX cannot compute with: pass "
                "an array of numbers."
            )
        if not is_array(leaf) and not is_hashable(leaf):
            raise TypeError(
                f"{name} holds a {type(leaf).__name__}, which is neither an array nor hashable: "
                "pass arrays, such as jax.numpy.asarray(...)."
            )


def is_hashable(leaf: object) -> bool:
    """Return True if `leaf` can be the key of a cache."""
    try:
        hash(leaf)
    except TypeError:
        return False
    return True


def is_traced(tree: PyTree) -> bool:
    """Return True if any leaf is a JAX tracer (inside jit, vmap or grad)."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def as_argument(array: Any) -> Any:
    """Return an array in the precision in use, and without a weak type.

    A weak type would be another program. JAX would change the precision, too, but it keeps the last
    array that it has made of one of NumPy, in either precision: of two threads that pass the same
    array in single and in double precision, one may get the other's.
    """
    if isinstance(array, np.ndarray | np.generic):
        return np.asarray(array, jax.dtypes.canonicalize_dtype(array.dtype))
    return array.astype(array.dtype) if getattr(array, "weak_type", False) else array


# Precision


def in_double(funcs: Sequence[F], converted: dict[int, np.ndarray] | None = None) -> list[F]:
    """Return the functions with their real arrays in double precision.

    Arrays that they share stay shared. `converted` holds arrays, by the id of the original, that
    are in double precision already.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxcmr.optimize import in_double
        >>> [double] = in_double([jax.tree_util.Partial(jnp.add, jnp.ones(2))])
        >>> double.args[0].dtype
        dtype('float64')
    """
    doubles = dict(converted or {})

    def convert(leaf: Any) -> Any:
        if not is_array(leaf) or not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        if id(leaf) not in doubles:
            doubles[id(leaf)] = np.asarray(leaf, np.float64)
        return doubles[id(leaf)]

    return [jax.tree.map(convert, func) for func in funcs]


def works_in_double(func: Objective, n_params: int) -> bool:
    """Return True if `func` can be traced with all real numbers in double precision.

    False if JAX finds that precisions conflict: a loop that starts with a float32 total, say, must
    end with one. Any other error of `func` is raised, and so is one that it also has in the
    precision in use.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxcmr.optimize import works_in_double
        >>> works_in_double(lambda x: (x**2).sum(0), n_params=2)
        True
    """
    arrays, static = split(func)
    leaves, structure = jax.tree.flatten(arrays)
    shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    return _works_in_double(static, structure, shapes, n_params)


@lru_cache(maxsize=16)
def _works_in_double(
    static: StaticPart, structure: Any, shapes: tuple[tuple[Any, Any], ...], n_params: int
) -> bool:
    has_conflict = False

    def call(arrays: PyTree, x: Array) -> Array:
        nonlocal has_conflict
        try:
            return eqx.combine(arrays, static.to_tree())(x)
        except (TypeError, ValueError) as error:
            # As in "requires arguments to have the same dtypes, got float64, float32."
            text = str(error)
            has_conflict = is_raised_by_jax(error) and "dtype" in text and "64" in text
            raise

    def trace(in_double: bool) -> None:
        real = jnp.result_type(float)
        leaves = [
            (shape, real if in_double and jnp.issubdtype(dtype, jnp.floating) else dtype)
            for shape, dtype in shapes
        ]
        arrays = structure.unflatten([jax.ShapeDtypeStruct(*leaf) for leaf in leaves])
        jax.eval_shape(call, arrays, jax.ShapeDtypeStruct((n_params, 1), real))

    try:
        with jax.enable_x64(True):
            trace(in_double=True)
    except (TypeError, ValueError):
        if not has_conflict:
            raise
        trace(in_double=False)  # a function that fails in the precision in use, too, is wrong
        return False
    return True


def is_raised_by_jax(error: BaseException) -> bool:
    """Return True if a function of JAX raised the error, rather than a function that JAX called.

    To be called while `error` is being handled inside a function that JAX traces: outside, JAX has
    removed its own frames from the traceback.
    """
    frame: FrameType | None = None
    traceback = error.__traceback__
    while traceback is not None:
        frame, traceback = traceback.tb_frame, traceback.tb_next
    return frame is not None and str(frame.f_globals.get("__name__")).startswith("jax.")


# Forks

_threads_run = False  # in the parent, when it last forked
_forked_with_threads = False


def check_not_forked() -> None:
    """Raise a RuntimeError in a process forked after JAX had started its threads.

    A fork copies the memory of a process, but only one of its threads. The child would wait
    forever for the others. Processes forked before JAX's first use, and spawned ones, may use JAX.

    Examples:
        >>> from jaxcmr.optimize import check_not_forked
        >>> check_not_forked()
    """
    if _forked_with_threads:
        raise RuntimeError(
            "This process was forked after JAX had started its threads, so JAX would hang here. "
            "Make the pool of processes before the first fit, or use the 'spawn' start method: "
            "multiprocessing.get_context('spawn').Pool(...)."
        )


def _before_fork() -> None:
    """Note in the parent whether JAX is running. In the child, its lock may be held forever."""
    global _threads_run
    _threads_run = xla_bridge.backends_are_initialized()


def _after_fork() -> None:
    """Note in the child whether JAX was running in any process that it descends from."""
    global _forked_with_threads
    _forked_with_threads = _forked_with_threads or _threads_run


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
