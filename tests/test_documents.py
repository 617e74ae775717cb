"""What the documents show is code that works: names exist, and the part that the how-to writes."""

import ast
import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr import models
from jaxcmr.datasets import check_data
from jaxcmr.fitting import JaxDE
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.simulation import simulate_dataset, study

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


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
