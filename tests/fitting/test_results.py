"""What a fit returns, shows and leaves behind."""

import json
import pickle
import re
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.fitting import FitInterrupted, JaxDE, ScipyDE
from jaxcmr.fitting._fitter import Fitter
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.optimize import LaneReport, OptimizeResults
from jaxcmr.results import FitResult

BOUNDS = {"encoding_drift_rate": [0.1, 0.9], "choice_sensitivity": [0.5, 20.0]}
EVERYONE = np.ones(20, bool)


@pytest.fixture(params=[JaxDE, ScipyDE])
def fitter_class(request):
    return request.param


@pytest.fixture
def make(small_data, parameters):
    def make(fitter_class, **options):
        options = {"bounds": BOUNDS, "num_steps": 5, "pop_size": 4, **options}
        return fitter_class(
            small_data,
            None,
            parameters,
            MODELS["cmr"],
            MemorySearchLikelihoodFnGenerator,
            {"progress_bar": False, **options},
        )

    return make


def test_result_is_complete_and_consistent(make, fitter_class, parameters, small_data):
    """Every documented key; estimates inside the bounds; fitness is the loss at the estimates."""
    fitter = make(fitter_class, best_of=2)
    result = fitter.fit_subjects(EVERYONE)
    documented = set(re.findall(r"``(\w+)``", FitResult.__doc__)) - {"FitResult"}
    assert set(result) <= documented
    assert result["model"] == "cmr" and result["loss"] == "sequence_likelihood"
    assert result["n_trials"] == [9, 4, 1, 6] and result["trials"][1] == [[9, 13]]
    assert result["fits"]["subject"] == [3, 7, 8, 20]
    assert all(len(values) == 4 for values in result["fits"].values())
    assert result["free"] == BOUNDS
    assert result["fixed"] == {k: v for k, v in parameters.items() if k not in BOUNDS}
    assert result["fits"]["item_support"] == [parameters["item_support"]] * 4
    assert result["hyperparameters"]["cross_over_rate"] == 0.9
    assert result["hyperparameters"]["best_of"] == 2
    assert result["fit_time"] > 0
    generator = MemorySearchLikelihoodFnGenerator(MODELS["cmr"], small_data, None)
    for i, subject in enumerate(result["fits"]["subject"]):
        x = np.array([result["fits"][name][i] for name in BOUNDS])
        assert np.all((x >= [0.1, 0.5]) & (x <= [0.9, 20.0]))
        trials = np.flatnonzero(small_data["subject"][:, 0] == subject)
        loss = generator(trials, parameters, list(BOUNDS))
        np.testing.assert_allclose(result["fitness"][i], loss(x), rtol=1e-4)


def test_evaluations_are_counted(make, fitter_class):
    """Two runs of two times four members, over the start and the generations; no polish."""
    result = make(fitter_class, best_of=2, polish=False, num_steps=3, relative_tolerance=0.0).fit(
        EVERYONE
    )
    assert result["nit"] == [3] and result["nfev"] == [2 * 8 * 4]
    assert result["converged"] == [False]


def test_the_lowest_run_wins(small_data):
    """Of three runs the second is lower: estimate, generations and convergence are its own, the
    evaluations those of all. Catches a result that takes the first run."""
    found = [(5.0, 0.1, 9, 1), (3.0, 0.2, 4, 0), (4.0, 0.3, 7, 1)]

    class Told(Fitter):
        @staticmethod
        def search(runs, hyperparameters, polishes, pool):
            for lane, (fun, x, nit, status) in enumerate(found):
                result = OptimizeResults(
                    x=np.array([x]),
                    fun=fun,
                    fun_search=fun,
                    success=status == 0,
                    status=status,
                    nit=nit,
                    nfev=100,
                    population=None,
                    population_energies=None,
                )
                yield LaneReport(lane, nit, fun, result, None, 0.0)

    options = {"bounds": {"learning_rate": [0.0, 1.0]}, "best_of": 3, "progress_bar": False}
    fixed = {name: 0.5 for name in usual_bounds("cmr") if name != "learning_rate"}
    fitter = Told(small_data, None, fixed, "cmr", "sequence_likelihood", options)
    result = fitter.fit(EVERYONE, 7)
    assert result["fitness"] == [3.0] and result["nit"] == [4] and result["converged"] == [True]
    assert result["fits"]["subject"] == [7] and result["nfev"] == [300]
    np.testing.assert_allclose(result["fits"]["learning_rate"], [0.2], rtol=1e-6)
    assert [run["loss"] for run in result["runs"][0]] == [5.0, 3.0, 4.0]


def test_a_loose_tolerance_converges_at_once(make, fitter_class):
    result = make(fitter_class, relative_tolerance=10.0).fit(EVERYONE)
    assert result["converged"] == [True] and result["nit"] == [1]


def test_losses_may_be_told_apart_in_their_own_units(make, fitter_class):
    """`fatol` ends a run when the losses span no more, whatever their level, which would have
    stopped the default rule first; a relative tolerance that is given keeps its meaning."""
    run = {"polish": False, "num_steps": 400, "pop_size": 10}
    level = make(fitter_class, fatol=0.01, **run).fit(EVERYONE)
    default = make(fitter_class, **run).fit(EVERYONE)
    both = make(fitter_class, fatol=0.01, relative_tolerance=0.001, **run).fit(EVERYONE)
    assert level["hyperparameters"]["relative_tolerance"] == 0.0
    assert level["converged"] == default["converged"] == [True]
    assert level["nit"][0] > default["nit"][0] and level["fitness"] <= default["fitness"]
    assert both["nit"] == default["nit"] and both["fits"] == default["fits"]
    wide = make(fitter_class, fatol=1e6, **run).fit(EVERYONE)
    assert wide["nit"] == [1] and wide["converged"] == [True]


def test_polish_only_lowers(make, fitter_class):
    rough = make(fitter_class, polish=False).fit_subjects(EVERYONE)
    fine = make(fitter_class).fit_subjects(EVERYONE)
    assert all(a <= b for a, b in zip(fine["fitness"], rough["fitness"], strict=True))


def test_a_loss_without_slope_is_not_polished(small_data, fitter_class):
    """It says so itself: evaluations are those of the search alone."""

    class Staircase(eqx.Module):
        has_slope: ClassVar[bool] = False

        def __call__(self, x):
            return jnp.floor(5 * x).sum(0)

    def generator(model_factory, dataset, features):
        return lambda trials, base, names: Staircase()

    options = {"bounds": BOUNDS, "num_steps": 3, "pop_size": 4, "progress_bar": False}
    result = fitter_class(small_data, None, {}, None, generator, options).fit(EVERYONE)
    assert result["nfev"] == [8 * (result["nit"][0] + 1)]


def test_result_survives_json(make, fitter_class):
    """Plain lists and numbers, to the last digit; NumPy scalars and tuples in the options too."""
    fitter = make(fitter_class, seed=np.int64(3), diff_w=(0.5, 0.9))
    result = fitter.fit_subjects(EVERYONE)
    assert json.loads(json.dumps(result)) == result


def test_the_two_fitters_agree(make):
    """Two parameters and enough steps: both find the same optimum."""
    ours, theirs = (
        make(fitter, num_steps=200, relative_tolerance=1e-5, pop_size=15).fit(EVERYONE)
        for fitter in (JaxDE, ScipyDE)
    )
    np.testing.assert_allclose(ours["fitness"], theirs["fitness"], rtol=1e-4)
    for name in BOUNDS:
        np.testing.assert_allclose(ours["fits"][name], theirs["fits"][name], rtol=0.05)


def test_progress_and_iterations_are_shown(make, capsys):
    """The bar counts subjects and shows generation and best fitness; iterations are a line each."""
    make(JaxDE, progress_bar=True, display_iterations=True, best_of=2).fit_subjects(EVERYONE)
    out, err = capsys.readouterr()
    assert "4/4" in err and "5/4" not in err and "generation=5" in err and "best=" in err
    assert "subject=20 run=0 step 5: f(x)= " in out and "subject=3 run=1 step" in out


def test_nothing_is_shown_unasked(make, capsys):
    make(JaxDE).fit(EVERYONE)
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_keeps_what_is_done(make, monkeypatch):
    """After the second subject has finished: both are in the exception's result, equal to an
    uninterrupted fit, and the message says how much was done."""
    fitter = make(JaxDE)
    whole = fitter.fit_subjects(EVERYONE)
    search = JaxDE.search

    def interrupted(*arguments):
        finished = 0
        for report in search(*arguments):
            yield report
            finished += report.result is not None
            if finished == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(JaxDE, "search", staticmethod(interrupted))
    with pytest.raises(FitInterrupted, match="2 of 4 subjects done") as stop:
        fitter.fit_subjects(EVERYONE)
    part = stop.value.result
    assert len(part["fitness"]) == 2 and part["interrupted"] and not whole["interrupted"]
    again = pickle.loads(pickle.dumps(stop.value))  # as it comes from another process
    assert again.result == part and str(again) == str(stop.value)
    for i, subject in enumerate(part["fits"]["subject"]):
        j = whole["fits"]["subject"].index(subject)
        assert {k: v[i] for k, v in part["fits"].items()} == {
            k: v[j] for k, v in whole["fits"].items()
        }


def test_a_subject_counts_as_done_when_all_its_runs_are(make, monkeypatch):
    """With best_of=2, an interruption after one run leaves no subject done."""
    fitter = make(JaxDE, best_of=2)

    def interrupted(*arguments):
        yield LaneReport(0, 1, 1.0, None, None, 0.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(JaxDE, "search", staticmethod(interrupted))
    with pytest.raises(FitInterrupted, match="0 of 4") as stop:
        fitter.fit_subjects(EVERYONE)
    assert stop.value.result["fits"]["subject"] == []
