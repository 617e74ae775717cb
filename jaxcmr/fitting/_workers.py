"""Runs in other processes: on the cores of this machine, or on many machines.

The problem is sent once to each worker, as the pickled fitter; then blocks of runs. A worker makes
the runs of a block by the same code as this process would, with a thread for each of its cores, and
returns their records. Programs are compiled once per worker, so workers should live long.

Nothing here tries again. Dask makes the block of a lost worker again elsewhere. Other pools break;
then the checkpoint holds what had finished, and the same call with new workers goes on.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from functools import cache
from itertools import groupby
from multiprocessing.connection import wait as wait_for_process
from threading import Thread
from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
    Protocol,
    TypeAlias,
    TypeVar,
    runtime_checkable,
)

import jax

from jaxcmr._cache import keep_compiled
from jaxcmr.fitting._environment import describe_differences, describe_environment, id_of
from jaxcmr.fitting._parts import fit_of
from jaxcmr.fitting._runs import Progress, Run
from jaxcmr.fitting._states import SavedStates
from jaxcmr.fitting._verify import verify_record
from jaxcmr.optimize import check_not_forked
from jaxcmr.optimize._lanes import count_cores
from jaxcmr.typing import Subject

if TYPE_CHECKING:
    from jaxcmr.fitting._fitter import Fitter

__all__ = [
    "Workers",
    "ask_workers",
    "message_other_loss",
    "search_in_workers",
]

R = TypeVar("R")

BLOCKS_PER_WORKER = 4
"""More would be evened out better at the end, and each costs the time to set up a search."""

MOST_FITS = 16
"""Fits in a block at most: as many are lost with a worker."""

FEWEST_WORKERS = 16
"""As many are reckoned with where there may be more than now, or where their number is unknown."""


class AtOnce(NamedTuple):
    """How many blocks one machine makes at once, and how many processes make them."""

    blocks: int
    processes: int


class Call(NamedTuple):
    """What all blocks of a call share."""

    x64: bool
    at_once: AtOnce
    coordinator: int  # process that asks for them
    number: int  # tells the calls of a process apart


UNKNOWN = AtOnce(1 << 20, 1)
"""Where no workers have come yet: each block gets a single core."""


@runtime_checkable
class Client(Protocol):
    """A Dask client: ``dask.distributed.Client``."""

    status: str

    def get_executor(self, **options: Any) -> Executor:
        """Return an executor that submits tasks to the client's cluster."""

    def submit(self, function: Any, *args: Any, **options: Any) -> Any:
        """Submit a task."""

    def scheduler_info(self, **options: Any) -> Any:
        """Return what the scheduler knows of its workers."""


Workers: TypeAlias = Executor | Client
"""Any `concurrent.futures.Executor`, or a Dask ``Client``."""


def search_in_workers(
    fitter: Fitter,
    runs: Sequence[Run],
    share: Sequence[int],
    workers: Workers,
    states: SavedStates | None,
) -> Iterator[Progress]:
    """Make runs in workers, and report as blocks of them end.

    Args:
        fitter: whose runs they are.
        runs: all runs.
        share: which of them to make.
        workers: an executor, or a Dask client.
        states: where workers that see the folder keep populations of long runs; None for nowhere.

    Raises:
        RuntimeError: the workers are lost, or compute another loss than this process.
        ValueError: `workers` is something else, would fork or has been shut down, or the problem
            cannot be pickled.
    """

    def divide(n_workers: int) -> list[list[int]]:
        return blocks_of(runs, share, BLOCKS_PER_WORKER * n_workers)

    def as_task(block: list[int]) -> tuple[list[Run], SavedStates | None]:
        of_block = None if states is None else states.select(block)
        return [runs[i]._replace(state=None) for i in block], of_block

    here = describe_environment()
    verified: set[tuple[Subject, str, str, int]] = set()  # fits by each process
    for block, done in ask_workers(workers, fitter, search_block, divide, as_task):
        made, environment, error = done
        by, process = id_of(environment), (environment["host"], environment["process"])
        for at in made:
            run = block[at.run]
            fit = fit_of(runs[run])
            if (*fit, *process) not in verified:  # one run of each fit tells
                differing = describe_differences(environment, here)
                check_worker(fitter, runs[run], at, environment, differing)
                verified.add((*fit, *process))
            yield at._replace(run=run, by=by)
        if error is not None:
            raise error


def ask_workers(
    workers: Workers,
    thing: object,
    make: Callable[..., R],
    divide: Callable[[int], Sequence[list[int]]],
    as_task: Callable[[list[int]], object],
) -> Iterator[tuple[list[int], R]]:
    """Let workers make something of blocks, and yield each block and its result as it ends.

    Args:
        workers: an executor, or a Dask client.
        thing: sent once to each worker, as a pickle.
        make: called there as ``make(thing, task, n_threads)``, in the precision in use here.
        divide: ``(number of workers) -> blocks`` of numbers.
        as_task: what is sent for a block.

    Raises:
        RuntimeError: the workers are lost.
        ValueError: `workers` is something else, would fork or has been shut down, or `thing` cannot
            be pickled.
    """
    lost = errors_of_lost(workers)
    x64 = jax.config.jax_enable_x64  # type: ignore[attr-defined]
    futures: dict[Future[R], list[int]] = {}
    try:
        executor, recipe, at_once, n_workers = open_workers(workers, to_recipe(thing))
        call = Call(x64, at_once, os.getpid(), time.time_ns())
        for block in divide(n_workers):
            try:
                future = executor.submit(make_in_worker, make, recipe, as_task(block), call)
            except RuntimeError as error:
                if "shutdown" not in str(error):
                    raise
                raise ValueError(message_shut_down(workers)) from error
            futures[future] = block
        waiting = set(futures)
        while waiting:
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            # Blocks that failed come last, so that what ended together with them is not lost.
            for future in sorted(ended, key=has_failed):
                yield futures[future], future.result()
    except lost as error:
        raise RuntimeError(
            f"The workers are lost ({type(error).__name__}): a process was killed or ran out of "
            "memory, or the scheduler has ended. Make new workers and call again; with a "
            "checkpoint, finished runs are not made again."
        ) from error
    finally:
        for future in futures:
            future.cancel()


def check_worker(
    fitter: Fitter,
    run: Run,
    at: Progress,
    environment: Mapping[str, Any],
    differing: Sequence[str],
) -> None:
    """Check that a worker computes the same loss as this process, by a run that it has made.

    A worker that lives long keeps the modules that it has imported, though they may have changed
    since.

    Raises:
        RuntimeError: it computes another.
    """
    assert at.record is not None
    found = verify_record(fitter, run, at.record, differing)
    if not found.is_same:
        raise RuntimeError(
            message_other_loss(environment, f"estimates of a run of subject {run.subject} {found}")
        )


def message_other_loss(environment: Mapping[str, Any], what: str) -> str:
    """Return the message for a worker that computes another loss than this process."""
    return (
        f"A worker on {environment['host']} computes another loss than this process: the {what}. "
        "It may have imported the model or the loss before they were changed. Start new workers "
        "and call again."
    )


def message_shut_down(workers: Workers) -> str:
    """Return the message for workers that take no more work."""
    return (
        f"workers is a {type(workers).__name__} that has been shut down. It must be open until the "
        "call has returned: call inside its `with` block, or make new workers. With a checkpoint, "
        "finished runs are not made again."
    )


def has_failed(future: Future[Any]) -> bool:
    """Return whether a future that has ended has no result."""
    return future.cancelled() or future.exception() is not None


def errors_of_lost(workers: Workers) -> tuple[type[BaseException], ...]:
    """Return the errors by which an executor or a client says that its workers are lost."""
    if isinstance(workers, Executor) or not isinstance(workers, Client):
        return BrokenExecutor, CancelledError
    from distributed import KilledWorker
    from distributed.client import ClosedClientError
    from distributed.comm import CommClosedError

    return CancelledError, KilledWorker, CommClosedError, ClosedClientError


def open_workers(workers: Workers, recipe: bytes) -> tuple[Executor, Any, AtOnce, int]:
    """Return an executor, and what goes with it.

    That is the recipe as the executor takes it, what one machine does at once, and how many blocks
    all machines make at once.
    """
    if isinstance(workers, ProcessPoolExecutor):
        check_start_method(workers)
    if isinstance(workers, ProcessPoolExecutor | ThreadPoolExecutor):
        n_workers = workers._max_workers  # type: ignore[union-attr]
        n_processes = n_workers if isinstance(workers, ProcessPoolExecutor) else 1
        return workers, recipe, AtOnce(n_workers, n_processes), n_workers
    if isinstance(workers, Executor):
        return workers, recipe, AtOnce(1, 1), FEWEST_WORKERS
    if isinstance(workers, Client):
        if workers.status in ("closing", "closed"):
            raise ValueError(message_shut_down(workers))
        known = workers.scheduler_info(n_workers=-1)["workers"].values()
        slots: Counter[str] = Counter()
        processes: Counter[str] = Counter()
        for each in known:
            slots[each["host"]] += each["nthreads"]
            processes[each["host"]] += 1
        # As the result of a task, the recipe is sent once to each worker (again if Dask has dropped
        # it there to save memory), and made again if lost.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")  # it is sent only here
            sent = workers.submit(bytes, recipe, key=f"jaxcmr-{digest_of(recipe)}")
        n_workers = max(sum(slots.values()), FEWEST_WORKERS)
        at_once = AtOnce(max(slots.values()), max(processes.values())) if slots else UNKNOWN
        return workers.get_executor(pure=False), sent, at_once, n_workers
    raise ValueError(
        "workers must be a concurrent.futures.Executor, such as a ProcessPoolExecutor, or a Dask "
        f"Client; got {type(workers).__name__}."
    )


def check_start_method(pool: ProcessPoolExecutor) -> None:
    """Check that a pool will not fork this process, in which JAX runs.

    A pool that has its processes already may have forked them before JAX started.

    Raises:
        ValueError: it would.
    """
    context = pool._mp_context
    if context is not None and context.get_start_method() == "fork" and not pool._processes:
        raise ValueError(
            "workers would fork this process, in which JAX runs: the copies would hang. Make the "
            "pool with fresh processes: ProcessPoolExecutor(mp_context=multiprocessing.get_context"
            "('spawn')), and in a script keep the call under if __name__ == '__main__'."
        )


def blocks_of(runs: Sequence[Run], share: Sequence[int], most: int) -> list[list[int]]:
    """Divide the runs of a share into blocks of whole fits.

    There are at most so many, unless a block would have more than `MOST_FITS`.

    The runs of a single fit are divided one by one.
    """
    fits = [list(group) for _, group in groupby(share, lambda i: (runs[i].subject, runs[i].name))]
    units = fits if len(fits) > 1 else [[i] for i in share]
    length = min(-(-len(units) // most), MOST_FITS)
    parts = [units[i : i + length] for i in range(0, len(units), length)]
    return [[i for unit in part for i in unit] for part in parts]


def to_recipe(thing: object) -> bytes:
    """Return a fitter, or another thing that workers need, as bytes.

    With cloudpickle, which comes with Dask, models and losses that were defined in a notebook can
    be sent, too.
    """
    try:
        import cloudpickle as pickler
    except ImportError:
        pickler = pickle
    try:
        return pickler.dumps(thing)
    except Exception as error:
        raise ValueError(
            f"The problem cannot be sent to workers, as it cannot be pickled ({error}). Define the "
            "model or the loss at the top of a module, or install cloudpickle."
        ) from error


def digest_of(recipe: bytes) -> str:
    """Return a name for a recipe."""
    return hashlib.sha256(recipe).hexdigest()[:16]


# In a worker

INTERRUPTED: set[Call] = set()
"""Calls that ended with Ctrl-C in this process."""

OPENED: dict[str, Any] = {}
"""The fitter or other thing that was used last, by the digest of its recipe."""


class Block(NamedTuple):
    """What a worker has done."""

    made: list[Progress]  # of runs that have finished
    environment: Mapping[str, Any]  # of the worker
    error: Exception | None  # which ended the other runs


def search_block(
    fitter: Fitter, task: tuple[list[Run], SavedStates | None], n_threads: int
) -> Block:
    """Make runs in this process.

    Args:
        fitter: whose runs they are.
        task: the runs; and where populations of long runs are kept, if this machine sees that
            folder.
        n_threads: how many threads may search.
    """
    runs, states = task
    if states is not None:
        states.is_optional = True  # this machine may not see the folder, or not write there
    made: list[Progress] = []
    here = describe_environment()
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for at in fitter.search_here(runs, pool, states):
                if at.record is not None:
                    made.append(at)
        except Exception as error:
            return Block(made, here, error)
    return Block(made, here, None)


def make_in_worker(
    make: Callable[[Any, Any, int], R], recipe: bytes, task: object, call: Call
) -> R:
    """Make a block in this process, with its share of the machine's cores.

    Ctrl-C reaches all processes of a terminal. Blocks that already wait for this process are then
    not made either.

    Args:
        make: ``(thing, task, n_threads) -> what has been made``.
        recipe: the pickled thing. What was used last is kept, with all that it has compiled.
        task: the block.
        call: what all blocks share.
    """
    if call in INTERRUPTED:
        raise KeyboardInterrupt
    check_not_forked()
    end_with(call.coordinator)
    n_threads = max(1, count_cores() // call.at_once.blocks)
    if os.getpid() != call.coordinator:
        keep_to(max(1, count_cores() // call.at_once.processes))
    keep_compiled()
    name = digest_of(recipe)
    thing = OPENED.get(name) or pickle.loads(recipe)
    OPENED.clear()
    OPENED[name] = thing
    try:
        with jax.enable_x64(call.x64):
            return make(thing, task, n_threads)
    except KeyboardInterrupt:
        INTERRUPTED.add(call)
        raise


def keep_to(n_cores: int) -> None:
    """Keep the threads that XLA starts in this process to its share of the cores.

    XLA starts one for each core of the machine. Processes side by side then take a quarter more
    CPU time, most of it spent in waiting for one another. It reads the variable when JAX first
    computes; a value that is set already is left alone.
    """
    os.environ.setdefault("PJRT_NPROC", str(n_cores))


@cache  # one thread is enough
def end_with(coordinator: int) -> None:
    """End this process when the one that started it has ended, however that ended.

    Otherwise the processes of a pool wait forever for tasks from a process that was killed.
    """
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid != coordinator:
        return

    def follow() -> None:
        wait_for_process([parent.sentinel])
        os._exit(1)

    Thread(target=follow, daemon=True).start()
