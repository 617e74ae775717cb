"""A small fit with its data, and the report of it."""

import pytest
from report_pages import HOSTILE

import jaxcmr as jc

TINY = {"num_steps": 3, "pop_size": 2, "best_of": 2, "polish": False}


@pytest.fixture(scope="session")
def small_fit(small_data):
    """CMR with two free parameters, fitted to two of the subjects."""
    names = ("learning_rate", "choice_sensitivity")
    fixed = {name: 0.5 for name in jc.usual_bounds("cmr") if name not in names}
    return jc.fit(small_data, fixed=fixed, subjects=[3, 7], search=TINY, seed=5, progress=False)


@pytest.fixture(scope="session")
def small_report(small_fit, small_data, tmp_path_factory):
    """The file of its report with the data."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    return jc.report({HOSTILE: small_fit}, path, small_data, n_copies=2, curvature=False)
