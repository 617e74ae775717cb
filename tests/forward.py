"""Models played forward in one compiled program: the probabilities that their tests look at."""

import jax
import jax.numpy as jnp
import numpy as np
from conftest import quick_jit

from jaxcmr._scan import scan_model
from jaxcmr.simulation import study


def play(factory, trial, items, choices, parameters):
    """Return the outcome probabilities before each choice, (choices, outcomes), stopping first.

    Candidates, if parameters have several values, come last; so they do in `items` and `choices`
    that differ between them.
    """

    def step(model, choice):
        return model.retrieve(choice), model.outcome_probabilities()

    model = study(factory.create_trial_model(trial, parameters), items)
    return scan_model(step, model, choices)[1]


def compiled(*axes):
    """Return `play`, compiled once per kind of model, mapped over these axes of its arguments."""
    program = quick_jit(jax.vmap(play, in_axes=axes) if axes else play)

    def call(factory, trial, items, choices, parameters):
        arrays = (jnp.asarray(each) for each in (trial, items, choices))
        return np.asarray(program(factory, *arrays, as_floats(parameters)))

    return call


def as_floats(parameters):
    """Return parameters as arrays of floats, so that 1 and 1.0 share a compiled program."""
    return {name: jnp.asarray(value, float) for name, value in parameters.items()}


play_one = compiled()
"""`play` for one trial and one set of parameters."""

play_sets = compiled(None, 0, None, 0, 0)
"""`play` with a trial, choices and parameter values for each of several sets."""

play_trials = compiled(None, 0, 0, 0, None)
"""`play` with items and choices for each of several trials."""


def one_list(items, recalls):
    """Return data of trials that study `items` and recall the study positions of `recalls`."""
    rows = np.zeros((len(recalls), len(items)), int)
    for trial, row in enumerate(recalls):
        rows[trial, : len(row)] = row
    return {
        "subject": np.ones((len(rows), 1), int),
        "listLength": np.full((len(rows), 1), len(items)),
        "pres_itemnos": np.tile(items, (len(rows), 1)),
        "recalls": rows,
    }


def likelihoods(model_factory, data, parameters, features=None):
    """Return the probability of each recall in double precision, (trials, outputs + 1).

    The first 0 of a trial is its stop, also where it comes after the last output; what follows it
    has probability 1.
    """
    items = np.asarray(data["pres_itemnos"])
    positions = np.pad(data["recalls"], ((0, 0), (0, 1)))
    choices = np.take_along_axis(np.pad(items, ((0, 0), (1, 0))), positions, axis=1)
    with jax.enable_x64(True):
        factory = model_factory(data, features)
        trials = np.arange(len(items))
        rows = play_trials(factory, trials, items, choices, parameters)
    return np.take_along_axis(rows, choices[:, :, None], axis=2)[:, :, 0]
