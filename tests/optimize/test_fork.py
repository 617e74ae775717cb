"""A forked process in which JAX would hang says so."""

import subprocess
import sys

import pytest

CODE = """
import os, signal, sys
import jax.numpy as jnp
from jaxcmr.optimize import check_not_forked, differential_evolution, evolve_lanes
import jax
if {used}: jnp.ones(2).block_until_ready()
child = os.fork()
if child == 0:
    signal.alarm(60)
    try:
        {call}
    except RuntimeError as error:
        os._exit(3 if "spawn" in str(error) and "before the first fit" in str(error) else 4)
    os._exit(0)
status = os.waitpid(child, 0)[1]
check_not_forked()  # never in the parent
sys.exit(os.waitstatus_to_exitcode(status))
"""
CALLS = {
    "check": "check_not_forked()",
    "minimize": "differential_evolution(lambda x: x[0], [(0, 1)], maxiter=1, polish=False)",
    "lanes": "list(evolve_lanes([lambda x: x[0]], [(0, 1)], [None]))",
}


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.parametrize(
    ("call", "used", "code"),
    [
        ("minimize", True, 3),
        pytest.param("check", True, 3, marks=pytest.mark.full),
        pytest.param("lanes", True, 3, marks=pytest.mark.full),
        pytest.param("minimize", False, 0, marks=pytest.mark.full),
    ],
)
def test_a_fork_after_the_first_use_is_an_error(call, used, code):
    """Of every function that would hang; a process forked before it may search."""
    source = CODE.format(call=CALLS[call], used=used)
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", source]).returncode == code
