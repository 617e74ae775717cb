"""A fit problem stands by itself: it can travel, be told apart, and be made from a result."""

import functools
import json
import pickle
import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest

from jaxcmr.datasets import check_data, select_trials
from jaxcmr.fitting import FitProblem, JaxDE
from jaxcmr.loss import (
    MemorySearchCategorySpcMseFnGenerator,
    MemorySearchLikelihoodFnGenerator,
    MemorySearchSummaryMseFnGenerator,
)
from jaxcmr.models import MODELS, cmr, usual_bounds
from jaxcmr.results import FitResult

BOUNDS = {"encoding_drift_rate": [0.1, 0.9], "choice_sensitivity": [0.5, 20.0]}
QUICK = {"num_steps": 4, "pop_size": 4, "best_of": 2, "scale": "alternate", "progress_bar": False}
EVERYONE = np.ones(20, bool)


@pytest.fixture
def problem(small_data, parameters):
    return FitProblem(small_data, "cmr", "sequence_likelihood", BOUNDS, fixed=parameters)


@pytest.fixture(scope="module")
def result(small_data):
    from conftest import PARAMETERS

    options = {**QUICK, "bounds": BOUNDS}
    fitter = JaxDE(small_data, None, PARAMETERS, "cmr", "sequence_likelihood", options)
    return fitter.fit_subjects(EVERYONE)


def test_names_and_objects_are_the_same_problem(small_data, parameters, problem):
    """A factory or generator that has a name is told by it; options fixed beforehand count."""
    objects = FitProblem(
        small_data,
        cmr.make_factory(),
        functools.partial(MemorySearchLikelihoodFnGenerator, events="recalls"),
        BOUNDS,
        fixed=parameters,
    )
    named = FitProblem(
        small_data,
        "cmr",
        "sequence_likelihood",
        BOUNDS,
        fixed=parameters,
        loss_options={"events": "recalls"},
    )
    assert objects.describe() == named.describe() and objects.fingerprint == named.fingerprint
    assert named.fingerprint != problem.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"bounds": {**BOUNDS, "choice_sensitivity": [0.5, 10.0]}},
        {"model": "cru_cmr", "fixed": {"encoding_drift_decrease": 1.0}},
        {"fixed": {"item_support": 1.0}},
        {"data": {"recalls": 0}},
    ],
)
def test_the_fingerprint_tells_problems_apart(small_data, parameters, problem, change):
    data = {**small_data}
    if "data" in change:
        data["recalls"] = np.where(np.arange(20)[:, None] == 0, 0, data["recalls"])
    other = FitProblem(
        data,
        change.get("model", "cmr"),
        "sequence_likelihood",
        change.get("bounds", BOUNDS),
        fixed={**parameters, **change.get("fixed", {})},
    )
    assert other.fingerprint != problem.fingerprint


def test_a_result_read_back_rebuilds_its_problem(small_data, parameters, result, tmp_path):
    """With the data and nothing else; its losses come out again, in double precision."""
    result.save(tmp_path / "result.json")
    read = FitResult.load(tmp_path / "result.json")
    rebuilt = FitProblem.from_result(read, small_data)
    assert rebuilt.bounds == BOUNDS and rebuilt.fixed == result["fixed"]
    np.testing.assert_allclose(rebuilt.evaluate_result(read), result["fitness"], rtol=0, atol=1e-9)
    moved = {**read["fits"], "encoding_drift_rate": [0.5] * 4}
    assert np.all(np.abs(np.subtract(rebuilt.evaluate_result(FitResult({**read, "fits": moved})),
                                     result["fitness"])) > 1e-6)  # fmt: skip


def test_an_unpolished_fit_is_evaluated_in_its_own_precision(small_data, parameters):
    """Its losses are those of the search."""
    options = {**QUICK, "bounds": BOUNDS, "polish": False}
    fit = JaxDE(small_data, None, parameters, "cmr", "sequence_likelihood", options).fit_subjects(
        EVERYONE
    )
    again = FitProblem.from_result(fit, small_data).evaluate_result(fit)
    np.testing.assert_allclose(again, fit["fitness"], rtol=2e-6)
    assert all(value == float(np.float32(value)) for value in again)


def test_a_loss_without_slope_is_evaluated_as_it_was_searched(small_data, parameters):
    """Simulated recalls in another precision would be other recalls."""
    options = {**QUICK, "bounds": BOUNDS}
    fit = JaxDE(small_data, None, parameters, "cmr", "spc_mse", options).fit_subjects(EVERYONE)
    rebuilt = FitProblem.from_result(fit, small_data)
    np.testing.assert_allclose(rebuilt.evaluate_result(fit), fit["fitness"], rtol=1e-6)


def test_in_another_process_it_fits_to_the_same_bits(problem, result, tmp_path):
    """Pickled and sent: the same estimates and losses."""
    (tmp_path / "problem.pickle").write_bytes(pickle.dumps(problem))
    code = f"""
import json, pickle, sys
import numpy as np
from jaxcmr.fitting import JaxDE
with open("problem.pickle", "rb") as file:
    problem = pickle.load(file)
result = JaxDE.of(problem, {QUICK!r}).fit_subjects(np.ones(20, bool))
print(json.dumps([result["fits"], result["fitness"], problem.fingerprint]))
"""
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    fits, fitness, fingerprint = json.loads(out.splitlines()[-1])
    assert fits == result["fits"] and fitness == result["fitness"]
    assert fingerprint == problem.fingerprint


def test_other_data_are_refused(small_data, result):
    """Also the same trials in another order, in which rows mean other trials. The form in which
    the data come does not matter."""
    part = select_trials(small_data, np.arange(20) < 10)
    with pytest.raises(ValueError, match=r"not the data that were fitted: 10 trials"):
        FitProblem.from_result(result, part)
    turned = {name: values[::-1] for name, values in small_data.items()}
    with pytest.raises(ValueError, match="not the data that were fitted"):
        FitProblem.from_result(result, turned)
    as_lists = {name: values.astype(float).tolist() for name, values in small_data.items()}
    assert FitProblem.from_result(result, as_lists).data_fingerprint


def test_what_has_no_name_must_be_handed_in(small_data, parameters):
    """A function cannot be made from a result; the message says where to give it."""

    def first_recall(recalls, fields, is_trial):
        return (recalls[:, 0] == 1).sum() / is_trial.sum()

    loss = functools.partial(MemorySearchSummaryMseFnGenerator, summary=first_recall)
    fit = JaxDE(small_data, None, parameters, "cmr", loss, {**QUICK, "bounds": BOUNDS}).fit(
        EVERYONE
    )
    assert fit["loss"] == "summary_mse" and "first_recall" in str(fit["loss_options"])
    with pytest.raises(ValueError, match="loss=") as error:
        FitProblem.from_result(fit, small_data)
    assert "summary" in str(error.value)
    again = FitProblem.from_result(fit, small_data, loss=loss)
    np.testing.assert_allclose(again.evaluate_result(fit), fit["fitness"], rtol=1e-6)


def test_features_are_told_apart(small_data, parameters):
    data = {**small_data, "pres_itemids": small_data["pres_itemnos"]}
    vectors = np.random.default_rng(0).random((6, 4))
    fixed = {**parameters, "semantic_scale": 1.0}
    options = {**QUICK, "bounds": BOUNDS, "num_steps": 1, "polish": False}
    fit = JaxDE(data, vectors, fixed, "semantic_cmr", "sequence_likelihood", options).fit(EVERYONE)
    assert FitProblem.from_result(fit, data, vectors.astype(">f8")).features.dtype.isnative
    for other in (None, vectors + 1):
        with pytest.raises(ValueError, match="features"):
            FitProblem.from_result(fit, data, other)


def test_pointwise_log_likelihoods(problem, small_data, parameters):
    """They sum to minus the loss; many parameter sets give a first axis, row by row the same."""
    at = {"encoding_drift_rate": 0.6, "choice_sensitivity": 2.0}
    mask = small_data["subject"][:, 0] == 3
    one = problem.pointwise_log_likelihood(at, mask)
    assert one.shape[0] == 9 and one.dtype == np.float64
    np.testing.assert_allclose(-one.sum(), problem.evaluate(at, mask), rtol=1e-12)
    many = problem.pointwise_log_likelihood({**at, "encoding_drift_rate": [0.6, 0.3]}, mask)
    np.testing.assert_allclose(many[0], one, rtol=1e-12)
    assert many.shape == (2, *one.shape) and not np.allclose(many[1], one)
    with pytest.raises(ValueError, match="not a likelihood"):
        FitProblem(small_data, "cmr", "spc_mse", BOUNDS, fixed=parameters).pointwise_log_likelihood(
            at
        )


def test_counts_by_hand(parameters):
    """Three recalls and one: two stops that the model could have passed by; a list recalled whole
    has no choice but to stop."""
    data = check_data(
        {
            "subject": [1, 1, 2],
            "listLength": [3, 3, 3],
            "pres_itemnos": [[1, 2, 3]] * 3,
            "recalls": [[3, 1, 0], [2, 0, 0], [1, 2, 3]],
        }
    )
    problem = FitProblem(data, "cmr", "sequence_likelihood", BOUNDS, fixed=parameters)
    assert problem.count(np.array([True, True, False])) == (2, 5)
    assert problem.count(np.ones(3, bool)) == (3, 8)
    recalls = FitProblem(data, "cmr", "sequence_likelihood", BOUNDS, fixed=parameters,
                         loss_options={"events": "recalls"})  # fmt: skip
    assert recalls.count(np.ones(3, bool)) == (3, 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "cmrr"}, "Unknown model 'cmrr'. Did you mean 'cmr'?"),
        ({"loss": "sequence_likelyhood"}, "Did you mean 'sequence_likelihood'?"),
        ({"model": 3}, "by its name .*or as a callable; got 3"),
        ({"loss_options": {"event": "all"}}, "does not have.*event"),
        (
            {"bounds": {**BOUNDS, "recall_drift_rate": [0.0, 3.0]}},
            r"'recall_drift_rate' is 3\.0, but",
        ),
        ({"fixed": {"learning_rate": 1.5}}, r"'learning_rate' is 1\.5, but"),
        ({"bounds": {"encoding_drift_rate": [1e8, 1e8 + 1]}}, "encoding_drift_rate"),
        ({"features": np.ma.masked_array([[1.0]], [[True]])}, "features is a masked array"),
    ],
)
def test_mistakes(small_data, parameters, change, message):
    """Each names what came, and what was expected."""
    given = {"model": "cmr", "loss": "sequence_likelihood", "bounds": BOUNDS, **change}
    fixed = {**parameters, **given.pop("fixed", {})}
    with pytest.raises(ValueError, match=message):
        FitProblem(small_data, given.pop("model"), given.pop("loss"), given.pop("bounds"),
                   fixed=fixed, **given)  # fmt: skip


def test_a_table_is_refused_with_the_line_to_write(parameters):
    table = pd.DataFrame({"subject": [1], "list": [1], "position": [1], "item": ["a"]})
    with pytest.raises(ValueError, match="from_psifr"):
        JaxDE(table, None, parameters, "cmr", "sequence_likelihood", {"bounds": BOUNDS})


def test_a_result_of_another_problem_is_not_evaluated(problem, small_data, parameters, result):
    """Other data or other fixed values would give other losses for these fits."""
    turned = {name: values[::-1] for name, values in small_data.items()}
    other = FitProblem(turned, "cmr", "sequence_likelihood", BOUNDS, fixed=parameters)
    with pytest.raises(ValueError, match="other data"):
        other.evaluate_result(result)
    fixed = {**parameters, "learning_rate": 0.1}
    other = FitProblem(small_data, "cmr", "sequence_likelihood", BOUNDS, fixed=fixed)
    with pytest.raises(ValueError, match="other fixed"):
        other.evaluate_result(result)
    at = {"encoding_drift_rate": 0.6, "choice_sensitivity": 2.0}
    with pytest.raises(ValueError, match=r"'learning_rate' is fixed at 0\.4 here; got 0\.9"):
        problem.evaluate({**at, "learning_rate": 0.9}, EVERYONE)
    for method in (problem.evaluate, problem.pointwise_log_likelihood):
        with pytest.raises(ValueError, match="Did you mean 'learning_rate'"):
            method({**at, "lerning_rate": 0.9}, EVERYONE)


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("subject", np.linspace(1, 2, 20), r"whole numbers; got 1\.05"),
        ("listLength", np.full((10, 1), 6), "10 rows but 'subject' has 20"),
    ],
)
def test_data_that_do_not_line_up(small_data, parameters, field, values, message):
    with pytest.raises(ValueError, match=message):
        FitProblem(
            {**small_data, field: values}, "cmr", "sequence_likelihood", BOUNDS, fixed=parameters
        )


def test_problems_with_models_of_ones_own_are_told_apart(small_data, parameters):
    """Though neither has a name."""
    one, other = (
        FitProblem(
            small_data,
            cmr.make_factory(fixed={"item_support": value}),
            "sequence_likelihood",
            BOUNDS,
            fixed={k: v for k, v in parameters.items() if k != "item_support"},
        ).fingerprint
        for value in (1.0, 2.0)
    )
    assert one != other


def test_options_may_be_numbers_of_numpy(small_data, parameters):
    def make(n_simulations):
        options = {"n_simulations": n_simulations}
        return FitProblem(
            small_data, "cmr", "spc_mse", BOUNDS, fixed=parameters, loss_options=options
        )

    assert make(np.int64(3)).describe()["loss_options"] == {"n_simulations": 3}
    with pytest.raises(ValueError, match="n_simulations must be a whole number"):
        make(2.5)


def test_a_summary_that_reads_what_has_changed(small_data, parameters):
    """Its new value counts, in the loss and in the data: it was compiled with the old one."""
    wanted = [1]

    def first_is(recalls, fields, is_trial):
        return ((recalls[:, 0] == wanted[0]) & is_trial).sum() / is_trial.sum()

    loss = functools.partial(MemorySearchSummaryMseFnGenerator, summary=first_is, n_simulations=4)
    at = {"encoding_drift_rate": 0.6, "choice_sensitivity": 2.0}
    problem = FitProblem(small_data, "cmr", loss, BOUNDS, fixed=parameters)
    values = []
    for wanted[0] in (1, 6):
        values.append(problem.evaluate(at, EVERYONE))
        renewed = functools.partial(
            MemorySearchSummaryMseFnGenerator,
            summary=lambda *given: first_is(*given),
            n_simulations=4,
        )
        fresh = FitProblem(small_data, "cmr", renewed, BOUNDS, fixed=parameters)
        assert values[-1] == fresh.evaluate(at, EVERYONE)
    assert values[0] != values[1]


def test_evaluating_leaves_precision_as_it_was(problem):
    assert problem.evaluate({"encoding_drift_rate": 0.6, "choice_sensitivity": 2.0}, EVERYONE) > 0
    assert not jax.config.jax_enable_x64
    with pytest.raises(ValueError, match="'choice_sensitivity' must be a number; got None"):
        problem.evaluate({"encoding_drift_rate": 0.6}, EVERYONE)


@pytest.mark.parametrize(
    "name", ["cmr", "positional_cmr", "semantic_cmr", "ecmr", "confusable_cru"]
)
def test_models_survive_being_sent(name):
    """The factory that comes back is the named one."""
    assert pickle.loads(pickle.dumps(MODELS[name])) == MODELS[name]
    assert usual_bounds(name)


def test_a_category_loss_is_told_with_its_field(small_data, parameters):
    data = {**small_data, "kind": small_data["pres_itemnos"] % 2}
    loss = functools.partial(MemorySearchCategorySpcMseFnGenerator, category_field="kind")
    problem = FitProblem(data, "cmr", loss, BOUNDS, fixed=parameters)
    assert problem.describe()["loss_options"] == {"category_field": "kind"}
    assert problem.describe()["loss_label"] == "MSE"
