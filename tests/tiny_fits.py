"""Small fits of any model of the catalogue, also in a process of its own.

As a program, ``python tiny_fits.py runs MODEL...`` prints the runs of each model's fits as JSON,
and ``python tiny_fits.py losses FILE`` evaluates the estimates of such a file again. JSON keeps
every bit of a number.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from model_examples import example_of

import jaxcmr
from jaxcmr._cache import keep_compiled
from jaxcmr.fitting import FitProblem, JaxDE
from jaxcmr.models import usual_bounds

SUBJECTS = np.repeat([3, 7, 8], [4, 4, 3])
SETTINGS = {"num_steps": 8, "pop_size": 2, "best_of": 2, "scale": "alternate"}
CACHES = ("JAX_COMPILATION_CACHE_DIR", "JAXCMR_COMPILE_CACHE")


def tiny_problem(model: str, order: Sequence[int] = range(len(SUBJECTS))) -> FitProblem:
    """Return the problem of 11 lists of six items, recalled in random orders by three subjects.

    Every other recall ends after three items, where the model can stop early.
    """
    data, features, _ = example_of(model, 6, len(SUBJECTS))
    recalls = np.random.default_rng(5).permuted(data["pres_itemnos"], axis=1)
    if model != "cmr_no_stop":
        recalls[::2, 3:] = 0
    data |= {"subject": SUBJECTS[:, None], "recalls": recalls, "rec_itemids": recalls}
    data = {name: values[list(order)] for name, values in data.items()}
    loss = "confusable_likelihood" if model == "confusable_cru" else "sequence_likelihood"
    return FitProblem(data, model, loss, usual_bounds(model), features=features)


def make_fitter(problem: FitProblem, **settings: Any) -> JaxDE:
    """Return the fitter of a problem, which shows nothing."""
    return JaxDE.of(problem, {**SETTINGS, "progress_bar": False, **settings})


def runs_of(result: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return all that a fit knows of its runs but their duration, by subject, as JSON would."""
    runs = [[{**run, "seconds": 0.0} for run in of_fit] for of_fit in result["runs"]]
    return json.loads(json.dumps(dict(zip(map(str, result["fits"]["subject"]), runs, strict=True))))


def fit_all(model: str) -> dict[str, list[dict[str, Any]]]:
    """Return the runs of all subjects, fitted together."""
    return runs_of(make_fitter(tiny_problem(model)).fit_subjects(np.ones(len(SUBJECTS), bool)))


def evaluate_all(model: str, runs: dict[str, list[dict[str, Any]]]) -> list[tuple[float, float]]:
    """Return the stored loss of each run, and its loss evaluated again at its estimates."""
    problem = tiny_problem(model)
    return [
        (run["loss"], problem.evaluate(run["estimates"], int(subject) == SUBJECTS))
        for subject, of_subject in runs.items()
        for run in of_subject
    ]


def run_process(*arguments: str, cores: int | None = None, **environment: str) -> Any:
    """Return what this program prints with these arguments.

    Args:
        cores: how many cores the process sees. (With one, it is also confined to one.)
        environment: variables; without a folder for compiled programs, the process compiles all.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in CACHES}
    paths = os.pathsep.join([str(Path(jaxcmr.__file__).parents[1]), str(Path(__file__).parent)])
    variables = {**inherited, "PYTHONPATH": paths, "JAXCMR_COMPILE_CACHE": "off", **environment}
    command = [sys.executable, __file__, *arguments]
    if cores is not None:
        variables |= {"PJRT_NPROC": str(cores), "TINY_FITS_CORES": str(cores)}
    found = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def main(task: str, *arguments: str) -> None:
    """Print the runs of models, or the losses of stored runs evaluated again."""
    if os.environ.get("TINY_FITS_CORES") == "1" and sys.platform == "linux":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    keep_compiled()  # if the environment names a folder
    if task == "runs":
        print(json.dumps({model: fit_all(model) for model in arguments}))
    else:
        stored = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        print(json.dumps({model: evaluate_all(model, runs) for model, runs in stored.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
