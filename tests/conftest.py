"""Data and settings that several tests share."""

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import strict

strict.check_annotations()  # before the package is imported

# ruff: noqa: E402
from model_examples import PARAMETERS

from jaxcmr.datasets import load_bundled
from jaxcmr.models import MODELS
from jaxcmr.optimize import OptimizeResults, differential_evolution
from jaxcmr.parameters import reads
from jaxcmr.simulation import simulate_dataset


def pytest_configure() -> None:
    """Forbid what NumPy broadcasts in silence, and share compiled programs.

    Most of the time goes into compiling; so tests, and the processes they start, share a cache.
    """
    jax.config.update("jax_numpy_rank_promotion", "raise")
    cache = tempfile.mkdtemp(prefix="jaxcmr-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
    jax.config.update("jax_compilation_cache_dir", cache)


UNOPTIMIZED = {"xla_backend_optimization_level": 0}
if jax.__version_info__ < (0, 11):  # later releases have no other way to emit fusions
    UNOPTIMIZED["xla_cpu_use_fusion_emitters"] = False

quick_jit = partial(jax.jit, compiler_options=UNOPTIMIZED)
"""`jax.jit` for programs of a test that compute little: the compiler does not optimize them."""


def evolve_quickly(func, bounds, **options) -> OptimizeResults:
    """`differential_evolution` as such a program."""
    return quick_jit(lambda: differential_evolution(func, bounds, **options))()


class ConstantTermination(eqx.Module):
    """A stopping rule of one's own: the same probability at every step."""

    probability: jax.Array

    def __call__(self, state):
        return self.probability


def stop_with(probability):
    """Return the creator of that rule, as `make_factory(termination=...)` takes it."""
    return reads()(lambda n_items, parameters: ConstantTermination(jnp.asarray(probability, float)))


@pytest.fixture(scope="module", autouse=True)
def forget_what_was_compiled() -> Iterator[None]:
    """Programs of a file are dropped when it ends: all of them would use up the memory maps that
    the operating system allows a process."""
    yield
    jax.clear_caches()


@pytest.fixture
def parameters() -> dict[str, float]:
    """Parameters in the middle of what fits of CMR find."""
    return dict(PARAMETERS)


@pytest.fixture(params=[False, True], ids=["float32", "float64"])
def x64(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Runs a test in single and in double precision."""
    with jax.enable_x64(request.param):
        yield request.param


@pytest.fixture(scope="session")
def peers() -> dict[str, np.ndarray]:
    """The PEERS free-recall lists: 126 subjects x 28 lists x 16 words."""
    return load_bundled("peers_notask")


@pytest.fixture(scope="session")
def small_data() -> dict[str, np.ndarray]:
    """Six-item lists that CMR recalled: subjects 3, 7, 8 and 20 with 9, 4, 1 and 6 trials."""
    subjects = np.repeat([3, 7, 8, 20], [9, 4, 1, 6])[:, None]
    n_trials = len(subjects)
    lists = {
        "subject": subjects,
        "listLength": np.full((n_trials, 1), 6),
        "pres_itemnos": np.tile(np.arange(1, 7), (n_trials, 1)),
        "recalls": np.zeros((n_trials, 6), int),
    }
    return simulate_dataset(MODELS["cmr"], lists, PARAMETERS, seed=1)


@pytest.fixture(scope="module")
def dask_client() -> Iterator[Any]:
    """A client of two Dask workers with a thread each, which keep what they were sent."""
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    with (
        dask.config.set({"distributed.scheduler.active-memory-manager.start": False}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",  # any free port: other tests may have a cluster at this moment
            silence_logs="CRITICAL",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
