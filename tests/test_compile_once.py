"""Every public callable compiles at its first call with arguments of some shapes, and not again.

A loop over subjects that compiled at every call took seconds for each, and ended when the memory
maps that the operating system allows a process were used up: some 140 for each program.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_examples import example_of, parameters_of

from jaxcmr.analyses import recalled_positions, serial_position_curve
from jaxcmr.loss import LOSSES
from jaxcmr.loss.sequence_likelihood import event_nll
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.simulation import recall_freely, simulate_dataset, study

compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
)


def n_compiled():
    """Programs compiled so far in this process."""
    return len(compiled)


def n_maps():
    """Memory maps of this process; 0 where the system does not say."""
    maps = Path("/proc/self/maps")
    return len(maps.read_text().splitlines()) if maps.exists() else 0


def first_recall(recalls, fields, is_trial):
    return (recalls[:, :1] == jnp.arange(1, 7)[None]).sum(0) / is_trial.sum()


OPTIONS = {
    "category_spc_mse": {"category_field": "valence", "n_simulations": 2},
    "spc_mse": {"n_simulations": 2},
    "set_likelihood": {"n_orders": 2},
    "summary_mse": {"summary": first_recall, "n_simulations": 2},
}
SUBJECTS = np.array([[0, 1, 2, -1], [3, -1, -1, -1], [4, 5, 6, 7]])


def make_generator(loss, model="cmr"):
    """A fresh generator on fresh copies of the same data: eight recalls of six items."""
    data, features, _ = example_of(model, 6, 8)
    recalls = np.zeros((8, 6), int)
    recalls[:, :2] = [[6, 1], [5, 6], [1, 2], [3, 0], [6, 5], [2, 4], [4, 0], [1, 6]]
    data |= {"recalls": recalls, "rec_itemids": recalls}
    return partial(LOSSES[loss], **OPTIONS.get(loss, {}))(MODELS[model], data, features)


COSTLY = ("category_spc_mse", "confusable_likelihood", "set_likelihood", "summary_mse")
"""Losses of which others here compile the same classes."""


@pytest.mark.parametrize(
    "loss",
    [pytest.param(name, marks=[pytest.mark.full] if name in COSTLY else []) for name in LOSSES],
)
def test_a_loss_called_with_numbers_compiles_once(loss):
    """One vector or many, for other trials and parameters, and of another generator alike."""
    model = "confusable_cru" if loss == "confusable_likelihood" else "cmr"
    names, values = tuple(usual_bounds(model)), list(parameters_of(model).values())
    one, many = np.array(values), np.tile(values, (3, 1)).T

    def call(generator, trials, scale):
        return [generator(trials, {}, names)(scale * x) for x in (one, many, jnp.asarray(many))]

    call(make_generator(loss, model), SUBJECTS[0], 1.0)
    before = n_compiled()
    generator = make_generator(loss, model)
    for trials in SUBJECTS:
        for values in call(generator, trials, 0.9):
            assert np.all(np.isfinite(values))
    assert n_compiled() == before


@pytest.mark.full
def test_a_thousand_calls_need_no_more_memory_maps_than_the_first():
    """Three models, of which one has a closed form; all subjects; some generators made anew."""
    models = ("cmr", "cmr_context_stop", "semantic_cmr")

    def calls():
        for model in models:
            generator = make_generator("sequence_likelihood", model)
            x = np.array(list(parameters_of(model).values()))
            for trials in SUBJECTS:
                yield generator(trials, {}, tuple(usual_bounds(model)))(x)

    list(calls())
    programs, maps = n_compiled(), n_maps()
    n_calls = 0
    while n_calls < 1000:
        n_calls += len(list(calls()))
    assert n_compiled() == programs
    assert n_maps() <= maps + 20


CASES = {
    "pointwise_log_likelihood": lambda i: make_generator(
        "sequence_likelihood"
    ).pointwise_log_likelihood(SUBJECTS[i], parameters_of("cmr")),
    "pointwise_log_likelihood of many": lambda i: make_generator(
        "sequence_likelihood"
    ).pointwise_log_likelihood(
        SUBJECTS[i], {**parameters_of("cmr"), "learning_rate": np.linspace(0.1, 0.9, 40)}
    ),
    "study": lambda i: study(a_model(), jnp.arange(1, 7)),
    "recall_freely": lambda i: recall_freely(a_studied_model(), jax.random.key(1), 6),
    "event_nll": lambda i: event_nll(a_studied_model(), jnp.array([6, 1, 0])),
    "simulate_dataset": lambda i: simulate_dataset(
        MODELS["cmr"], example_of("cmr", 6, 8)[0], parameters_of("cmr"), n_copies=3
    ),
    "serial_position_curve": lambda i: serial_position_curve(np.array([[1, 2], [3, 0]]), [3, 3]),
    "recalled_positions": lambda i: recalled_positions(np.array([[1, 2], [3, 0]]), 3),
}


def a_model():
    data, features, parameters = example_of("cmr", 6, 8)
    return MODELS["cmr"](data, features).create_trial_model(jnp.array(0), parameters)


def a_studied_model():
    return study(a_model(), jnp.arange(1, 7))


@pytest.mark.parametrize("case", CASES)
def test_other_callables_compile_once(case):
    """Called as a notebook does, with numbers, for other trials and of other generators alike."""
    CASES[case](0)
    before = n_compiled()
    for i in range(3):
        CASES[case](i)
    assert n_compiled() == before


def test_what_a_search_compiles_is_the_loss_itself():
    """Inside a program that is being traced, a loss is not a program of its own. Catches a call
    that would change what a search compiles."""
    loss = make_generator("sequence_likelihood")(SUBJECTS[0], {}, tuple(usual_bounds("cmr")))
    x = jnp.array(list(parameters_of("cmr").values()))
    inside = str(jax.make_jaxpr(lambda x: loss(x))(x))
    plain = str(jax.make_jaxpr(lambda x: type(loss).__call__.__wrapped__(loss, x))(x))
    assert inside == plain
