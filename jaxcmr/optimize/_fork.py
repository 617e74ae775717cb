"""Check that JAX can still be used after a fork."""

from __future__ import annotations

import os

from jax._src import xla_bridge

__all__ = ["check_not_forked"]

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
    """Note, in the parent, whether JAX is running. (In the child, its lock may be held forever.)"""
    global _threads_run
    _threads_run = xla_bridge.backends_are_initialized()


def _after_fork() -> None:
    """Remember it in the child, and in its own children."""
    global _forked_with_threads
    _forked_with_threads = _forked_with_threads or _threads_run


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
