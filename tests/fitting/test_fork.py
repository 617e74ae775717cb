"""In a process forked after JAX's first use, calls that would hang raise an error instead."""

import subprocess
import sys

import pytest

CODE = """
import os, signal
import numpy as np
import jaxcmr as jc
data = jc.check_data({"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
                      "recalls": [[3, 1, 0], [2, 0, 0]]})
bounds, mask = jc.usual_bounds("cmr"), np.ones(2, bool)
at = dict.fromkeys(bounds, 0.5)
problem = jc.FitProblem(data, "cmr", "sequence_likelihood", bounds)
loss = problem.loss_of(np.arange(2))
fitter = jc.JaxDE.of(problem, {"num_steps": 1, "pop_size": 2, "progress_bar": False})
loss(np.full(len(bounds), 0.5))
calls = {
    "fit": lambda: fitter.fit(mask),
    "front": lambda: jc.fit(data, progress=False),
    "loss": lambda: loss(np.full(len(bounds), 0.5)),
    "evaluate": lambda: problem.evaluate(at, mask),
    "pointwise": lambda: problem.pointwise_log_likelihood(at),
    "simulate": lambda: jc.simulation.simulate_dataset("cmr", data, at),
}
for name, call in calls.items():
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            call()
        except RuntimeError as error:
            os._exit(3 if "spawn" in str(error) else 4)
        os._exit(0)
    print(name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_forked_processes_raise_an_error():
    """At fits, losses, likelihoods and simulations, always by the same message."""
    command = [sys.executable, "-W", "ignore", "-c", CODE]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = ["fit", "front", "loss", "evaluate", "pointwise", "simulate"]
    assert out.split() == [word for name in names for word in (name, "3")]
