"""What the documents show is code that works: names exist, and the README and examples run."""

import ast
import doctest
import importlib
import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import jaxcmr
from jaxcmr import models
from jaxcmr.datasets import check_data
from jaxcmr.fitting import JaxDE
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.simulation import simulate_dataset, study

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TINY = "{'num_steps': 2, 'pop_size': 2, 'best_of': 2, 'polish': False}"
DOOR = (
    "jaxcmr.front",
    "jaxcmr.results",
    "jaxcmr.names",
    "jaxcmr.fitting._problem",
    "jaxcmr.fitting._trials",
    "jaxcmr.fitting._hyperparameters",
)
"""Modules of the front door; other rooms run their own examples."""


def blocks(page):
    """The Python of a page, block by block."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_on_a_page_can_be_imported(page):
    """Every block parses, and what it imports from jaxcmr is there: catches a name that changed."""
    for block in blocks(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("jaxcmr"):
                exec(ast.unparse(node), {})
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "jc":
                assert hasattr(jaxcmr, node.attr), f"jc.{node.attr}"


@pytest.mark.parametrize("name", DOOR)
def test_examples_in_docstrings(name):
    """Those of the front door give what they show."""
    options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    found = doctest.testmod(importlib.import_module(name), optionflags=options)
    assert found.attempted and not found.failed


def test_the_readme_runs():
    """Its blocks of Python, one after the other, with nothing changed but the search. The fitter
    gives the numbers of the front door, subject by subject."""
    door, fitter, engine = blocks(ROOT / "README.md")
    names = {}
    for block, (search, tiny) in (
        (door, ("jc.fit(data, ", f"jc.fit(data, search={TINY}, ")),
        (fitter, ('**jc.SEARCHES["thorough"]', f"**{TINY}")),
    ):
        assert block.count(search) == 1
        exec(block.replace(search, tiny), names)
    result, together, fits = names["result"], names["together"], names["fits"]
    assert result["fits"]["subject"] == [63, 64, 65] and result["n_trials"] == [16] * 3
    assert len(names["simulated"]["recalls"]) == 48
    assert [fit["fitness"][0] for fit in fits] == together["fitness"]
    assert together["fits"]["subject"] == [63, 64, 65]
    exec(engine, names)
    np.testing.assert_allclose(names["found"].x, 0.3, atol=1e-3)


def test_the_part_that_the_how_to_writes(small_data, parameters):
    """A stopping rule of one's own is a model with a name by one row: it is fitted, with the bounds
    of that row and no others, and simulated; stopping is as likely at every output position."""
    part, row = blocks(ROOT / "docs" / "how-to" / "extend.md")[:2]
    names = {**vars(models), "CATALOGUE": {}}
    exec(part, names)
    exec(row, names)
    factory, bounds, _ = names["CATALOGUE"]["cmr_constant_stop"]
    assert set(factory(small_data).parameter_names) == set(bounds)

    values = {**parameters, "stop_probability": 0.25}
    model = factory(small_data).create_trial_model(jnp.array(0), values)
    model = study(model, jnp.arange(1, 7))
    for item in (3, 4, 6):
        np.testing.assert_allclose(model.outcome_probability(jnp.array(0)), 0.25, rtol=1e-6)
        np.testing.assert_allclose(model.outcome_probabilities().sum(), 1, rtol=1e-6)
        model = model.retrieve(jnp.array(item))

    options = {"bounds": bounds, "num_steps": 2, "pop_size": 2, "polish": False}
    fitter = JaxDE(
        small_data,
        None,
        {},
        factory,
        MemorySearchLikelihoodFnGenerator,
        {**options, "progress_bar": False},
    )
    result = fitter.fit_subjects(np.ones(20, bool))
    check_data(simulate_dataset(factory, small_data, result["fits"]))
