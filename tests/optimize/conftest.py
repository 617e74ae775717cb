"""Settings of the optimizer's tests."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def quick_compiler() -> Iterator[None]:
    """Compile without optimizing, for tests whose programs run for milliseconds."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
