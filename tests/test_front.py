"""The front door: names, paths and tables in, a result out; imports only what is needed."""

import inspect
import json
import subprocess
import sys
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from simple_losses import BowlGenerator, GivenBowlGenerator, bowl

import jaxcmr as jc
from jaxcmr import bayes, front
from jaxcmr.cli._config import KINDS
from jaxcmr.cli._settings import TABLES, VALUES
from jaxcmr.datasets import save_data
from jaxcmr.fitting import DEFAULTS, SEARCHES, resolve_search
from jaxcmr.parameters import Parameter
from jaxcmr.simulation import simulate_dataset
from jaxcmr.typing import MemorySearchFactory

__all__ = ["bowl"]

TINY = {"num_steps": 3, "pop_size": 2, "best_of": 2, "polish": False}


def fit(data, model="cmr", loss="bowl", **settings):
    """Return a short fit by a cheap loss."""
    return jc.fit(data, model, loss, **{"search": TINY, "progress": False, **settings})


@pytest.fixture
def table(small_data):
    """The small data as psifr's events, words for items."""
    rows = []
    words = ["", "ant", "bee", "cat", "dog", "elk", "fox"]
    for i, (subject, recalls) in enumerate(
        zip(small_data["subject"][:, 0], small_data["recalls"], strict=True)
    ):
        rows += [(subject, i, "study", p, words[p]) for p in range(1, 7)]
        recalled = recalls[recalls > 0]
        rows += [(subject, i, "recall", p + 1, words[item]) for p, item in enumerate(recalled)]
    return pd.DataFrame(rows, columns=["subject", "list", "trial_type", "position", "item"])


def test_data_in_the_place_of_the_result_are_told(bowl, small_data):
    """Each function that takes both says which comes first."""
    result = fit(small_data)
    for function in (jc.diagnose, jc.simulate, jc.recover):
        with pytest.raises(ValueError, match="the result comes first"):
            function(small_data, result)
    with pytest.raises(ValueError, match="result of a fit comes first"):
        jc.FitProblem.from_result(small_data, result)
    problem = jc.FitProblem(small_data, "cmr", "bowl")
    for call in (
        jc.uncertainty.covariance,
        jc.comparison.approximate_cross_validation,
        jc.recovery.recover_parameters,
        bayes.hierarchical_map,
    ):
        with pytest.raises(ValueError, match="first argument is a FitProblem"):
            call(result, problem)


def test_every_name_at_the_door_is_there():
    """And nothing that is not listed; a name that is wrong is an AttributeError."""
    for name in jc.__all__:
        assert getattr(jc, name) is not None
    assert set(dir(jc)) == set(jc.__all__) and len(jc.__all__) <= 42
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        _ = jc.fitt


def test_a_number_of_subjects_is_told_apart_from_an_id(bowl, small_data, capsys):
    """Subjects 3, 7, 8 and 20: 3 is the first three of them, and [3] is subject 3."""
    counted = fit(small_data, subjects=3, progress=True)
    assert counted["fits"]["subject"] == [3, 7, 8]
    assert capsys.readouterr().out == (
        "Fitting the first 3 subjects (3, 7, 8). "
        "3 is taken as a number of subjects; subject 3 alone is subjects=[3].\n"
    )
    assert fit(small_data, subjects=[3], progress=True)["fits"]["subject"] == [3]
    assert capsys.readouterr().out == ""
    plan = front.make_plan(small_data, subjects=2)
    assert plan.describe_subjects() == "the first 2 subjects (3, 7)" and plan.hint("[{}]") == ""


def test_light_modules_and_help_import_no_jax():
    """Help and data handling answer at once."""
    code = """
import sys
from jaxcmr.cli import main
for arguments in (["--help"], ["fit", "--help"], ["models", "--help"], ["--version"]):
    try:
        main(arguments)
    except SystemExit:
        pass
assert not {"jax", "numpy", "h5py"} & set(sys.modules)
import jaxcmr, jaxcmr.datasets, jaxcmr.results
assert not {"jax", "pandas", "equinox"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_fit_imports_nothing_that_it_does_not_need():
    """psifr's plots and SciPy's optimizers take a second, a third of a later process's time."""
    pytest.importorskip("psifr")
    code = """
import sys
from jaxcmr.cli import _run
_run.make_plan("peers_notask", subjects=1)
from jaxcmr.optimize import Box
Box.from_bounds([(0.0, 1.0)])
unneeded = {"psifr", "seaborn", "matplotlib", "scipy.stats", "scipy.optimize"} & set(sys.modules)
assert not unneeded, unneeded
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_ways_in_give_the_same_fit(bowl, small_data, table, tmp_path):
    """A mapping, a table, a CSV file and an HDF5 file, as a path or as text."""
    save_data(small_data, tmp_path / "small.h5")
    table.to_csv(tmp_path / "small.csv", index=False)
    sources = [small_data, table, tmp_path / "small.csv", str(tmp_path / "small.h5")]
    fits = [fit(source) for source in sources]
    assert all(each["fits"] == fits[0]["fits"] for each in fits)
    assert all(each["fitness"] == fits[0]["fitness"] for each in fits)


def test_the_fit_is_that_of_the_class(bowl, small_data):
    """`fit` adds nothing to the numbers."""
    options = {**DEFAULTS, **TINY, "bounds": jc.usual_bounds("cmr"), "progress_bar": False}
    fitter = jc.JaxDE(small_data, None, {}, "cmr", "bowl", options)
    classic = {**TINY, "preset": "classic"}
    ours = fit(small_data, search=classic)
    assert ours["fits"] == fitter.fit_subjects(np.ones(20, bool))["fits"]
    pooled = fit(small_data, search=classic, pooled=True, subjects=2)
    mask = small_data["subject"][:, 0] < 8
    assert pooled["fits"] == fitter.fit(mask)["fits"] and pooled["pooled"]


def test_settings_reach_the_fit(bowl, small_data):
    """Condition, subjects, fixed values and bounds of one parameter in place of the usual ones."""
    result = fit(
        small_data,
        where="subject != 7",
        subjects=np.array([3, 20]),
        fixed={"learning_rate": 0.5},
        bounds={"item_support": [1.0, 2.0]},
        seed=5,
        fitter="scipy",
    )
    assert result["fits"]["subject"] == [3, 20] and result["fits"]["learning_rate"] == [0.5, 0.5]
    assert result["free"]["item_support"] == [1.0, 2.0] and "learning_rate" not in result["free"]
    assert result["free"]["shared_support"] == jc.usual_bounds("cmr")["shared_support"]
    assert result["hyperparameters"]["seed"] == 5 and result["n_trials"] == [9, 6]


@pytest.mark.parametrize(
    ("search", "polishes", "expected"),
    [
        ("thorough", True, (12, 50, 8)),
        ("quick", True, (4, 50, 8)),
        ("thorough", False, (3, None, None)),
        ("quick", False, (1, None, None)),
        ("classic", True, (None, None, None)),
        ({"best_of": 2}, True, (2, 50, 8)),
        ({"best_of": 2}, False, (2, None, None)),
        ({"polish": False}, True, (3, None, None)),
        ({"preset": "classic", "num_steps": 9}, True, (None, 9, None)),
    ],
)
def test_searches_by_name(search, polishes, expected):
    """Short runs only where a polish ends them; a dict changes the thorough search."""
    found = resolve_search(search, polishes)
    assert tuple(found.get(name) for name in ("best_of", "num_steps", "pop_size")) == expected
    assert "preset" not in found


def test_the_default_is_the_thorough_search(small_data):
    plan = front.make_plan(small_data)
    assert {k: plan.settings["search"][k] for k in SEARCHES["thorough"]} == SEARCHES["thorough"]
    plan = front.make_plan(small_data, loss="spc_mse")
    assert plan.settings["search"]["best_of"] == 3 and plan.settings["search"]["num_steps"] == 1000


def test_complete_settings_repeat_the_fit(small_data, tmp_path):
    """As they are written into a file."""
    save_data(small_data, tmp_path / "small.h5")
    plan = front.make_plan(tmp_path / "small.h5", "cru", search={**TINY, "fatol": 0.1}, subjects=2)
    again = front.make_plan(**json.loads(json.dumps(plan.settings)))
    assert again.settings == plan.settings
    assert again.fitter.hyperparameters == plan.fitter.hyperparameters


HOW = {"checkpoint", "part", "workers", "watchers"}
"""Arguments that say how runs are made, not what is fitted: no settings of a file."""


def test_the_shell_has_every_setting_of_fit():
    """And no others: a setting that only one of them has would not be repeated from a file. What
    is left out has the same value in both."""
    of_fit = {
        name: argument
        for name, argument in inspect.signature(jc.fit).parameters.items()
        if name not in HOW
    }
    arguments = set(of_fit)
    assert arguments == set(VALUES) | set(TABLES) | {"search"}
    assert of_fit == dict(inspect.signature(front.make_plan).parameters)
    assert set(KINDS) == arguments | {"data_fingerprint"}


def test_earlier_results_are_started_from(bowl, small_data, tmp_path):
    """By path or as they are; one more run each."""
    first = fit(small_data)
    first.save(tmp_path / "first.json")
    more = {**TINY, "num_steps": 1}
    for start in (first, [first], tmp_path / "first.json", [str(tmp_path / "first.json")]):
        second = fit(small_data, search=more, start_from=start)
        assert [run["origin"] for run in second["runs"][0]] == ["random", "random", "start_from[0]"]
        assert np.all(np.array(second["fitness"]) <= np.array(first["fitness"]) * (1 + 1e-6))


def test_double_precision_is_for_one_fit(bowl, small_data):
    """The process keeps its own."""
    double = fit(small_data, fitter="scipy", precision="float64")
    assert double["precision"] == "float64" and not jax.config.jax_enable_x64
    estimate = double["fits"]["learning_rate"][0]
    assert estimate != float(np.float32(estimate))


def test_simulated_from_a_result_alone(bowl, small_data, tmp_path):
    """From a file, with the data: each fitted trial once per copy, and no other subject's."""
    result = fit(small_data, subjects=[3, 8])
    result.save(tmp_path / "result.json")
    for source in (result, tmp_path / "result.json", json.loads(json.dumps(result))):
        simulated = jc.simulate(source, small_data, n_copies=2, seed=3)
        assert simulated["subject"].ravel().tolist() == ([3] * 9 + [8]) * 2
    assert len(jc.simulate(result, small_data, where="subject == 8")["recalls"]) == 1
    with pytest.raises(ValueError, match="model=") as error:
        jc.simulate({**result, "model": None}, small_data)
    assert "without a name" in str(error.value)


def test_draws_and_sweeps_of_the_fitted_trials(bowl, small_data):
    """A copy per draw and value, of the fitted subjects; what is not drawn is as fitted."""
    result = fit(small_data, subjects=[3, 8], fixed={"stop_probability_growth": 0.0})
    draws = pd.DataFrame({"subject": [3, 8, 3, 8], "stop_probability_scale": [1.0, 0.0, 0.0, 1.0]})
    vary = {"learning_rate": [0.1, 0.9]}
    simulated = jc.simulate(result, small_data, draws=draws, vary=vary)
    assert simulated["learning_rate"].ravel().tolist() == [0.1] * 20 + [0.9] * 20
    assert simulated["subject"].ravel().tolist() == ([3] * 9 + [8]) * 4
    n_recalled = (simulated["recalls"] > 0).sum(1).tolist()
    assert n_recalled == ([0] * 9 + [6] + [6] * 9 + [0]) * 2


NO_STOPPING = {"stop_probability_scale": 0.0, "stop_probability_growth": 0.0}


def n_recalled(data):
    """Return the number of recalls of each list."""
    return (np.asarray(data["recalls"]) > 0).sum(1).tolist()


@pytest.mark.parametrize(
    ("loss", "options", "pooled"),
    [
        ("sequence_likelihood", {"events": "recalls"}, False),
        ("set_likelihood", {"events": "recalls", "n_orders": 2}, False),
        ("spc_mse", {"n_simulations": 1}, True),
    ],
)
def test_lists_are_cut_where_the_loss_takes_their_length_as_given(
    small_data, loss, options, pooled
):
    """The model was fitted without stopping and would recall all six items of every list."""
    one = {name: 0.5 for name in jc.usual_bounds("cmr") if name != "learning_rate"} | NO_STOPPING
    result = fit(small_data, loss=loss, loss_options=options, fixed=one, pooled=pooled)
    assert result["stops_scored"] is False
    expected = n_recalled(small_data)
    assert max(expected) > 2 and min(expected) < 6
    simulated = jc.simulate(result, small_data, n_copies=2, vary={"learning_rate": [0.1, 0.9]})
    assert n_recalled(simulated) == expected * 4
    assert set(n_recalled(jc.simulate(result, small_data, n_recalls="model"))) == {6}


def test_lists_are_cut_in_other_data_draws_and_on_demand(small_data):
    """By the data handed in, or by numbers that are given."""
    one = {name: 0.5 for name in jc.usual_bounds("cmr") if name != "learning_rate"} | NO_STOPPING
    result = fit(small_data, loss_options={"events": "recalls"}, fixed=one,
                 loss="sequence_likelihood")  # fmt: skip
    turned = {name: rows[::-1] for name, rows in small_data.items()}
    draws = pd.DataFrame({"subject": [3, 7, 8, 20], "learning_rate": 0.3})
    assert n_recalled(jc.simulate(result, turned, draws=draws)) == n_recalled(turned)
    some = jc.simulate(result, small_data, where="subject == 7", n_recalls=np.arange(20) % 7)
    assert n_recalled(some) == [2, 3, 4, 5]  # rows 9 to 12
    problem, rows = front.problem_of(result, small_data), np.arange(20) < 3
    for number, expected in ((None, n_recalled(small_data)[:3]), ("model", [6] * 3),
                             (np.arange(20), [0, 1, 2])):  # fmt: skip
        made = front.simulate_problem(problem, result, rows, n_recalls=number)
        assert n_recalled(made) == expected
    empty = {**small_data, "recalls": np.zeros((20, 6), int)}
    with pytest.raises(ValueError, match="have no recalls"):
        jc.simulate(result, empty)
    assert set(n_recalled(jc.simulate(result, empty, n_recalls="model"))) == {6}
    for wrong in ("data", [1.5] * 20, np.full(20, -1)):
        with pytest.raises(ValueError, match="whole numbers from 0, one per trial"):
            jc.simulate(result, small_data, n_recalls=wrong)


def test_letters_are_cut_after_as_many_as_were_typed(parameters):
    """Right or wrong: of the third list no letter is right, and ``recalls`` is empty."""
    typed = np.array([[1, 2, 0], [1, 3, 2], [3, 0, 0]])
    data = {
        "subject": np.ones((3, 1), int),
        "listLength": np.full((3, 1), 3),
        "pres_itemnos": np.tile([1, 2, 3], (3, 1)),
        "recalls": np.array([[1, 2, 0], [1, 2, 0], [0, 0, 0]]),
        "pres_itemids": np.tile([1, 2, 1], (3, 1)),
        "rec_itemids": typed,
    }
    known = {**parameters, **NO_STOPPING, "item_sensitivity_max": 1.5}
    fixed = {name: known.get(name, 0.7) for name in jc.usual_bounds("confusable_cru")}
    del fixed["encoding_drift_rate"]
    letters = {"features": np.array([[0, 1, 2.0], [1, 0, 0], [2, 0, 0]])}
    options = {"loss": "confusable_likelihood", "loss_options": {"events": "recalls"}}
    result = fit(data, "confusable_cru", fixed=fixed, **options, **letters)
    for n_recalls, expected in ((None, [2, 3, 1]), ("model", [3, 3, 3])):
        simulated = jc.simulate(result, data, n_copies=5, n_recalls=n_recalls, **letters)
        assert (simulated["rec_itemids"] > 0).sum(1).tolist() == expected * 5


def test_losses_that_a_result_cannot_name_are_asked_for(small_data):
    """If they take the number of recalls as given; those that score stops are not needed."""
    fixed = {"learning_rate": 0.5, **NO_STOPPING}
    own = fit(small_data, loss=GivenBowlGenerator, fixed=fixed)
    for unnamed, hint in (
        (own, "loss without a name"),
        ({**own, "loss": "summary_mse", "loss_options": {"summary": {"function": "mine"}}},
         "loss=functools.partial"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{hint}.*n_recalls="):
            jc.simulate(unnamed, small_data)
    simulated = jc.simulate(own, small_data, loss=GivenBowlGenerator)
    assert n_recalled(simulated) == n_recalled(small_data)
    stops = fit(small_data, loss=BowlGenerator, fixed={"learning_rate": 0.5})
    assert stops["stops_scored"] is True
    simulated = jc.simulate(stops, small_data, seed=4)
    expected = simulate_dataset("cmr", small_data, stops, seed=4)
    np.testing.assert_array_equal(simulated["recalls"], expected["recalls"])


def test_trials_that_are_simulated_by_default(bowl, small_data):
    """Those that were fitted, whichever form the data have; in other data, all of the subjects."""
    as_floats = {**small_data, "subject": small_data["subject"].astype(float)}
    hyperparams = {"bounds": jc.usual_bounds("cmr"), **TINY, "progress_bar": False}
    some = jc.JaxDE(as_floats, None, {}, "cmr", "bowl", hyperparams).fit_subjects(np.arange(20) < 3)
    loaded, turned = jc.load(as_floats), {name: each[::-1] for name, each in small_data.items()}
    mask = front.trials_to_simulate(some, loaded, as_floats, None)
    assert np.flatnonzero(mask).tolist() == [0, 1, 2]
    mask = front.trials_to_simulate(some, turned, turned, None)
    assert np.flatnonzero(mask).tolist() == list(range(11, 20))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "cmrr"}, "Unknown model 'cmrr'. Did you mean 'cmr'?"),
        ({"loss": "nll"}, "Unknown loss 'nll'"),
        ({"fitter": "torch"}, "Unknown fitter 'torch'"),
        ({"precision": "half"}, "Unknown precision 'half'"),
        ({"search": "fast"}, "Unknown search 'fast'"),
        ({"search": 3}, "search is a name"),
        ({"search": {"pop": 3}}, "Unknown hyperparameter 'pop'"),
        ({"search": {"seed": 3}}, "as the argument seed="),
        ({"search": {"bounds": {}}}, "as the argument bounds="),
        ({"fixed": {"learning_rat": 1.0}}, "no parameter 'learning_rat'. Did you mean"),
        ({"fixed": 3}, "fixed is a dict"),
        ({"bounds": {"learning_rat": [0, 1]}}, "no parameter 'learning_rat'"),
        ({"loss_options": {"event": "all"}}, "no option 'event'. Did you mean 'events'?"),
        ({"subjects": 0}, "subjects must be"),
        ({"subjects": True}, "subjects must be"),
        ({"subjects": "3"}, "subjects must be"),
        ({"subjects": [3.5]}, "subjects must be"),
        ({"subjects": [4]}, "Subject 4 has no trials"),
        ({"where": "lenght == 3"}, "Unknown field 'lenght'"),
        ({"seed": 2**32}, "from 0 to 4294967295"),
        ({"pooled": "yes"}, "pooled must be True or False"),
        ({"start_from": [3]}, "results or paths"),
        ({"start_from": {"fitness": []}}, "has 'fits'|have 'fits'"),
        ({"features": "nowhere.npy"}, "nowhere.npy"),
    ],
)
def test_mistakes(small_data, settings, message):
    """A sentence each, before anything is searched."""
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        jc.fit(small_data, progress=False, **settings)


def test_names_do_wherever_objects_do(small_data, parameters):
    """In losses and simulations made by hand, too; a wrong one is told with the nearest."""
    by_name, by_object = (
        jc.loss.MemorySearchLikelihoodFnGenerator(model, small_data)(np.arange(4), parameters, [])
        for model in ("cmr", jc.MODELS["cmr"])
    )
    assert by_name(np.zeros(0)) == by_object(np.zeros(0))
    simulated = jc.simulation.simulate_dataset("cmr", small_data, parameters)
    expected = jc.simulation.simulate_dataset(jc.MODELS["cmr"], small_data, parameters)
    np.testing.assert_array_equal(simulated["recalls"], expected["recalls"])
    with pytest.raises(ValueError, match="Did you mean 'cmr'"):
        jc.simulation.simulate_dataset("cmrr", small_data, parameters)


def test_features_that_no_part_reads_are_a_warning(small_data):
    """They would be taken to matter. Models that read them, or have none given, warn of nothing."""
    data = {**small_data, "pres_itemids": small_data["pres_itemnos"]}
    vectors = np.random.default_rng(0).random((6, 4))
    for model in ("cmr", "positional_cmr", "cru"):
        with pytest.warns(UserWarning, match="does not read features"):
            front.make_plan(data, model, features=vectors)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jc.MODELS["semantic_cmr"](data, vectors)
        jc.MODELS["confusable_cru"](data, 1.0 - np.eye(6))
        jc.MODELS["cmr"](data)


STOP_RATE = Parameter(
    "stop_rate", 0.001, 0.9, "p", "Probability of stopping.", scale="log", limits=(0.0, 1.0)
)
FIRST = Parameter("first_weight", 1.0, 9.0, "w", "Strength of the first item.")


class Guesser(eqx.Module):
    """A model of one's own: it stops with one probability, or else recalls any item that is left,
    the first one `first_weight` times as often."""

    left: jax.Array
    stop: jax.Array

    def experience(self, choice):
        return self

    def start_retrieving(self):
        return self

    def retrieve(self, choice):
        items = jnp.arange(1, len(self.left) + 1)
        return Guesser(jnp.where(items == choice, 0.0, self.left), self.stop)

    def activations(self):
        return self.left

    def outcome_probability(self, choice):
        return self.outcome_probabilities()[choice]

    def outcome_probabilities(self):
        total = self.left.sum()
        stop = jnp.where(total > 0, self.stop, 1.0)
        shares = self.left / jnp.where(total > 0, total, 1.0)
        return jnp.concatenate([stop[None], (1 - stop) * shares])


class GuesserFactory(eqx.Module, MemorySearchFactory):
    """Builds a `Guesser` for any trial, and declares its parameters."""

    n_items: int = eqx.field(static=True)

    def __init__(self, dataset, features):
        self.n_items = dataset["pres_itemnos"].shape[1]

    @property
    def parameters(self):
        return (STOP_RATE, FIRST)

    def create_trial_model(self, trial_index, parameters):
        left = jnp.ones(self.n_items).at[0].set(parameters["first_weight"])
        return Guesser(left, parameters["stop_rate"])


class SilentFactory(GuesserFactory):
    """The same, undeclared."""

    @property
    def parameters(self):
        return None


def test_a_declared_model_of_ones_own_needs_no_bounds(small_data):
    """It is fitted within its usual bounds, on its scales, by its likelihood played event by event.
    By hand: the best probability of stopping is the share of stops among all events."""
    fixed = {"first_weight": 1.0}
    search = {"num_steps": 5, "pop_size": 8, "best_of": 1, "scale": "auto"}
    result = fit(small_data, GuesserFactory, "sequence_likelihood", fixed=fixed, search=search)
    assert result["free"] == {"stop_rate": [0.001, 0.9]} and result["fixed"] == fixed
    assert result["runs"][0][0]["scale"] == {"stop_rate": "log"}
    assert result["model"] is None and "a model" in repr(result)
    stops = (small_data["recalls"] == 0).any(axis=1)
    recalls = (small_data["recalls"] > 0).sum(axis=1)
    for subject, estimate in zip(
        result["fits"]["subject"], result["fits"]["stop_rate"], strict=True
    ):
        of_subject = small_data["subject"][:, 0] == subject
        n_stops, n_recalls = stops[of_subject].sum(), recalls[of_subject].sum()
        assert estimate == pytest.approx(max(n_stops / (n_stops + n_recalls), 0.001), abs=1e-4)


def test_declarations_of_ones_own_are_held_to(small_data):
    """Bounds of some parameters leave the others' usual ones; limits and names are checked."""
    own = front.make_plan(small_data, GuesserFactory, bounds={"first_weight": [1.0, 2.0]})
    assert own.problem.bounds == {"stop_rate": [0.001, 0.9], "first_weight": [1.0, 2.0]}
    assert own.problem.scales == {"stop_rate": "log", "first_weight": "linear"}
    for settings, message in (
        ({"bounds": {"stop_rate": [0.0, 1.5]}}, r"'stop_rate' is 1\.5, but the model is defined"),
        ({"fixed": {"stop_rate": -1.0}}, r"'stop_rate' is -1\.0, but the model is defined"),
        ({"fixed": {"stop_rat": 0.5}}, "no parameter 'stop_rat'. Did you mean 'stop_rate'"),
    ):
        with pytest.raises(ValueError, match=message):
            front.make_plan(small_data, GuesserFactory, **settings)


def test_an_undeclared_model_needs_bounds(small_data):
    """It has no usual ones; it is fitted all the same."""
    with pytest.raises(ValueError, match="must be a dict"):
        fit(small_data, SilentFactory, BowlGenerator)
    bounds = {"stop_rate": [0.1, 0.9], "first_weight": [0.0, 1.0]}
    result = fit(small_data, SilentFactory, BowlGenerator, bounds=bounds, fitter="scipy")
    assert result["free"] == bounds and result["model"] is None


def test_parameters_that_a_factory_fixes_are_not_free(small_data):
    """A variant of CMR is declared like the model itself, without them."""
    factory = jc.models.cmr.make_factory(fixed={"learning_rate": 0.3})
    usual = jc.usual_bounds("cmr")
    del usual["learning_rate"]
    assert front.make_plan(small_data, factory).problem.bounds == usual
