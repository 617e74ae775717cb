"""What a fit returns, shows and leaves behind."""

import json
import pickle
import re

import jax.numpy as jnp
import numpy as np
import pytest
from simple_losses import BowlGenerator

from jaxcmr.fitting import FitInterrupted, FitProblem, JaxDE, ScipyDE
from jaxcmr.fitting._fitter import Fitter
from jaxcmr.optimize import LaneReport, OptimizeResults
from jaxcmr.results import FitResult

BOUNDS = {"encoding_drift_rate": [0.1, 0.9], "choice_sensitivity": [0.0, 20.0]}


def check_result(result, fixed):
    """Check that a result of the small data has every documented key, and that they agree."""
    documented = set(re.findall(r"``(\w+)``", FitResult.__doc__)) - {"FitResult"}
    assert set(result) <= documented
    assert result["n_trials"] == [9, 4, 1, 6] and result["trials"][1] == [[9, 13]]
    assert result["fits"]["subject"] == [3, 7, 8, 20]
    assert all(len(values) == 4 for values in result["fits"].values())
    assert result["free"] == BOUNDS and result["fixed"] == fixed
    for name, value in fixed.items():
        assert result["fits"][name] == [value] * 4
    assert result["hyperparameters"]["cross_over_rate"] == 0.9
    assert result["hyperparameters"]["best_of"] == 2 and result["fit_time"] > 0


def test_a_result_is_complete_and_consistent(make, fitter_class, everyone, small_data):
    """Every documented key; estimates inside the bounds; the fitness is the loss at the estimates,
    and the lowest that there is."""
    result = make(fitter_class, best_of=2, polish=True).fit_subjects(everyone)
    check_result(result, {"learning_rate": 0.4})
    np.testing.assert_allclose(result["fitness"], [9, 4, 1, 6], rtol=1e-6)
    for i, subject in enumerate(result["fits"]["subject"]):
        x = np.array([result["fits"][name][i] for name in BOUNDS])
        of_subject = small_data["subject"][:, 0] == subject
        center = small_data["recalls"][of_subject, 0].mean() / 10
        np.testing.assert_allclose(x, center, atol=1e-3)
        loss = BowlGenerator(None, small_data, None)(np.flatnonzero(of_subject), {}, [])
        np.testing.assert_allclose(result["fitness"][i], loss(x.astype("float32")), rtol=1e-6)


@pytest.mark.full
def test_a_result_of_a_likelihood_is_complete_and_consistent(
    fitter_class, small_data, parameters, everyone
):
    """The same of CMR, whose fitness is in double precision after the polish."""
    options = {"bounds": BOUNDS, "num_steps": 5, "pop_size": 4, "best_of": 2, "progress_bar": False}
    fitter = fitter_class(small_data, None, parameters, "cmr", "sequence_likelihood", options)
    result = fitter.fit_subjects(everyone)
    check_result(result, {k: v for k, v in parameters.items() if k not in BOUNDS})
    assert result["model"] == "cmr" and result["loss"] == "sequence_likelihood"
    losses = FitProblem.from_result(result, small_data).evaluate_result(result)
    np.testing.assert_allclose(result["fitness"], losses, rtol=0, atol=1e-9)


def test_evaluations_are_counted(make, fitter_class, everyone):
    """Two runs of two times four members, over the start and the generations; no polish."""
    fitter = make(fitter_class, best_of=2, relative_tolerance=0.0)
    result = fitter.fit(everyone)
    assert result["nit"] == [3] and result["nfev"] == [2 * 8 * 4]
    assert result["converged"] == [False]


def test_the_lowest_run_wins(make, everyone):
    """Of three runs the second is lower: estimate, generations and convergence are its own, the
    evaluations those of all. Catches a result that takes the first run."""
    found = [(5.0, 0.1, 9, 1), (3.0, 0.2, 4, 0), (4.0, 0.3, 7, 1)]

    class Told(Fitter):
        def search(self, runs, pool):
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

    result = make(Told, bounds={"item_support": [0.0, 1.0]}, best_of=3).fit(everyone, 7)
    assert result["fitness"] == [3.0] and result["nit"] == [4] and result["converged"] == [True]
    assert result["fits"]["subject"] == [7] and result["nfev"] == [300]
    np.testing.assert_allclose(result["fits"]["item_support"], [0.2], rtol=1e-6)
    assert [run["loss"] for run in result["runs"][0]] == [5.0, 3.0, 4.0]


def test_a_loose_tolerance_converges_at_once(make, fitter_class, everyone):
    result = make(fitter_class, relative_tolerance=10.0).fit(everyone)
    assert result["converged"] == [True] and result["nit"] == [1]


def test_fatol_is_in_the_units_of_the_loss(make, fitter_class, everyone):
    """It ends a run when the losses span no more, whatever their level, which would have stopped
    the default rule first; a relative tolerance that is given keeps its meaning."""
    run = {"num_steps": 400}
    level = make(fitter_class, fatol=1e-4, **run).fit(everyone)
    default = make(fitter_class, **run).fit(everyone)
    both = make(fitter_class, fatol=1e-4, relative_tolerance=0.001, **run).fit(everyone)
    assert level["hyperparameters"]["relative_tolerance"] == 0.0
    assert level["converged"] == default["converged"] == [True]
    assert level["nit"][0] > default["nit"][0] and level["fitness"] <= default["fitness"]
    assert both["nit"] == default["nit"] and both["fits"] == default["fits"]
    wide = make(fitter_class, fatol=1e6, **run).fit(everyone)
    assert wide["nit"] == [1] and wide["converged"] == [True]


def test_the_polish_only_lowers(make, fitter_class, everyone):
    rough = make(fitter_class).fit_subjects(everyone)
    fine = make(fitter_class, polish=True).fit_subjects(everyone)
    assert all(a < b for a, b in zip(fine["fitness"], rough["fitness"], strict=True))
    assert [run["loss_before_polish"] for [run] in fine["runs"]] == rough["fitness"]


class Staircase(BowlGenerator):
    """A loss that is constant but for steps."""

    differentiable = False

    def __call__(self, trial_indices, base_params, free_param_names):
        return lambda x: jnp.floor(5 * x).sum(0)


def test_a_loss_that_is_not_differentiable_is_not_polished(make, fitter_class, everyone):
    """It says so itself: evaluations are those of the search alone."""
    result = make(fitter_class, loss=Staircase, polish=True).fit(everyone)
    assert result["nfev"] == [8 * (result["nit"][0] + 1)]
    assert result["runs"][0][0]["polish"] is None


def test_a_result_survives_json(make, fitter_class, everyone):
    """Plain lists and numbers, to the last digit; NumPy scalars and tuples in the options too."""
    result = make(fitter_class, seed=np.int64(3), diff_w=(0.5, 0.9)).fit_subjects(everyone)
    assert json.loads(json.dumps(result)) == result


@pytest.mark.full
def test_the_two_fitters_agree(small_data, parameters, everyone):
    """On CMR, two parameters and enough steps: both find the same optimum."""
    options = {"bounds": BOUNDS, "num_steps": 200, "relative_tolerance": 1e-5}
    options["progress_bar"] = False
    ours, theirs = (
        fitter(small_data, None, parameters, "cmr", "sequence_likelihood", options).fit(everyone)
        for fitter in (JaxDE, ScipyDE)
    )
    np.testing.assert_allclose(ours["fitness"], theirs["fitness"], rtol=1e-4)
    for name in BOUNDS:
        np.testing.assert_allclose(ours["fits"][name], theirs["fits"][name], rtol=0.05)


def test_progress_and_iterations_are_shown(make, capsys, everyone):
    """The bar counts subjects and shows generation and best loss; iterations are a line each."""
    fitter = make(progress_bar=True, display_iterations=True, best_of=2, relative_tolerance=0.0)
    fitter.fit_subjects(everyone)
    out, err = capsys.readouterr()
    assert "4/4" in err and "5/4" not in err and "generation=3" in err and "loss of the run=" in err
    assert "subject=20 run=0 step 3: f(x)= " in out and "subject=3 run=1 step" in out


def test_nothing_is_shown_unasked(make, capsys, everyone):
    make().fit(everyone)
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_keeps_what_is_done(make, monkeypatch, everyone):
    """After the second subject has finished: both are in the exception's result, equal to an
    uninterrupted fit, and the message says how much was done."""
    fitter = make()
    whole = fitter.fit_subjects(everyone)
    search = JaxDE.search

    def interrupted(*arguments):
        finished = 0
        for report in search(*arguments):
            yield report
            finished += report.result is not None
            if finished == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(JaxDE, "search", interrupted)
    with pytest.raises(FitInterrupted, match="2 of 4 subjects done") as stop:
        fitter.fit_subjects(everyone)
    part = stop.value.result
    assert len(part["fitness"]) == 2 and part["interrupted"] and not whole["interrupted"]
    again = pickle.loads(pickle.dumps(stop.value))  # as it comes from another process
    assert again.result == part and str(again) == str(stop.value)
    rows = [whole["fits"]["subject"].index(subject) for subject in part["fits"]["subject"]]
    for name, values in part["fits"].items():
        assert values == [whole["fits"][name][row] for row in rows]


def test_a_subject_is_done_when_all_its_runs_are(make, monkeypatch, everyone):
    """With best_of=2, an interruption after one run leaves no subject done."""
    fitter = make(best_of=2)

    def interrupted(*arguments):
        yield LaneReport(0, 1, 1.0, None, None, 0.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(JaxDE, "search", interrupted)
    with pytest.raises(FitInterrupted, match="0 of 4") as stop:
        fitter.fit_subjects(everyone)
    assert stop.value.result["fits"]["subject"] == []
