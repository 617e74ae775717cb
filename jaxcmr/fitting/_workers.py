"""Runs in other processes: on the cores of this machine, or on many machines.

The problem is sent once to each worker, as the pickled fitter; then blocks of runs, about
`N_BLOCKS` in all. A worker makes the runs of a block by the same code as this process would, with
a thread for each of its cores, and returns their records. Programs are compiled once per worker,
so workers should live long: processes, not jobs.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import jax

from jaxcmr._cache import keep_compiled
from jaxcmr.fitting._runs import Progress, Run
from jaxcmr.optimize._lanes import count_cores

if TYPE_CHECKING:
    from jaxcmr.fitting._fitter import Fitter

__all__ = ["Workers", "search_in_workers"]

N_BLOCKS = 64
"""Blocks that the runs are divided into, at most. More would be evened out better, and cost more:
see the page on many machines."""


@runtime_checkable
class Client(Protocol):
    """A Dask client: ``dask.distributed.Client``."""

    def get_executor(self, **options: Any) -> Executor:
        """Return an executor that submits tasks to the client's cluster."""

    def submit(self, function: Any, *args: Any, **options: Any) -> Any:
        """Submit a task."""

    def scheduler_info(self, **options: Any) -> Any:
        """Return what the scheduler knows of its workers."""


Workers: TypeAlias = Executor | Client
"""Any `concurrent.futures.Executor`, or a Dask ``Client``."""


def search_in_workers(
    fitter: Fitter, runs: Sequence[Run], share: Sequence[int], workers: Workers
) -> Iterator[Progress]:
    """Make runs in workers, and report as blocks of them end.

    Args:
        fitter: whose runs they are.
        runs: all runs.
        share: which of them to make.
        workers: an executor, or a Dask client.

    Raises:
        RuntimeError: the workers are lost.
        ValueError: `workers` is something else, or the problem cannot be pickled.
    """
    recipe = to_recipe(fitter)
    executor, recipe, n_per_host = open_workers(workers, recipe)
    x64 = jax.config.jax_enable_x64  # type: ignore[attr-defined]
    futures: dict[Future[list[Progress]], list[int]] = {}
    try:
        for block in blocks_of(runs, share):
            task = [runs[i]._replace(state=None) for i in block]
            futures[executor.submit(search_block, recipe, task, x64, n_per_host)] = block
        for future in as_completed(futures):
            for at in future.result():
                yield at._replace(run=futures[future][at.run])
    except BrokenExecutor as error:
        raise RuntimeError(
            "The workers are lost: a process was killed, or ran out of memory. Make new workers "
            "and call again; with a checkpoint, finished runs are not made again."
        ) from error
    finally:
        for future in futures:
            future.cancel()


def open_workers(workers: Workers, recipe: bytes) -> tuple[Executor, Any, int]:
    """Return an executor, the recipe as it takes it, and how many blocks a machine runs at once."""
    if isinstance(workers, ProcessPoolExecutor | ThreadPoolExecutor):
        return workers, recipe, workers._max_workers  # type: ignore[union-attr]
    if isinstance(workers, Executor):
        return workers, recipe, 1
    if isinstance(workers, Client):
        known = workers.scheduler_info(n_workers=-1)["workers"].values()
        slots: dict[str, int] = {}
        for each in known:
            slots[each["host"]] = slots.get(each["host"], 0) + each["nthreads"]
        # As the result of a task, the recipe is sent once to each worker, and made again if lost.
        sent = workers.submit(bytes, recipe, key=f"jaxcmr-{digest_of(recipe)}")
        return workers.get_executor(pure=False), sent, max(slots.values(), default=1)
    raise ValueError(
        "workers must be a concurrent.futures.Executor, such as a ProcessPoolExecutor, or a Dask "
        f"Client; got {type(workers).__name__}."
    )


def blocks_of(runs: Sequence[Run], share: Sequence[int]) -> list[list[int]]:
    """Divide the runs of a share into at most `N_BLOCKS` blocks of whole fits.

    The runs of a single fit are divided one by one.
    """
    fits = [list(group) for _, group in groupby(share, lambda i: (runs[i].subject, runs[i].name))]
    units = fits if len(fits) > 1 else [[i] for i in share]
    length = -(-len(units) // N_BLOCKS)
    parts = [units[i : i + length] for i in range(0, len(units), length)]
    return [[i for unit in part for i in unit] for part in parts]


def to_recipe(fitter: Fitter) -> bytes:
    """Return a fitter as bytes.

    With cloudpickle, which comes with Dask, models and losses that were defined in a notebook can
    be sent, too.
    """
    try:
        import cloudpickle as pickler
    except ImportError:
        pickler = pickle
    try:
        return pickler.dumps(fitter)
    except Exception as error:
        raise ValueError(
            f"The problem cannot be sent to workers, as it cannot be pickled ({error}). Define the "
            "model or the loss at the top of a module, or install cloudpickle."
        ) from error


def digest_of(recipe: bytes) -> str:
    """Return a name for a recipe."""
    return hashlib.sha256(recipe).hexdigest()[:16]


# In a worker

FITTERS: dict[str, Fitter] = {}
"""The fitter that was used last, by the digest of its recipe."""


def search_block(recipe: bytes, runs: list[Run], x64: bool, n_per_host: int) -> list[Progress]:
    """Make runs in this process, with its share of the machine's cores."""
    keep_compiled()
    name = digest_of(recipe)
    fitter = FITTERS.get(name) or pickle.loads(recipe)
    FITTERS.clear()
    FITTERS[name] = fitter
    n_threads = max(1, count_cores() // n_per_host)
    with jax.enable_x64(x64), ThreadPoolExecutor(n_threads) as pool:
        return [at for at in fitter.search_here(runs, pool) if at.record is not None]
