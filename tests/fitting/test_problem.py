"""A fit problem stands by itself: it can travel, be told apart, and be made from a result."""

import functools
import json
import os
import pickle
import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest
from model_examples import PARAMETERS
from simple_losses import BowlGenerator

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
QUICK = {"num_steps": 2, "pop_size": 4, "progress_bar": False}
AT = {"encoding_drift_rate": 0.6, "choice_sensitivity": 2.0}


def make_problem(data, loss="sequence_likelihood", fixed=PARAMETERS, bounds=BOUNDS, **options):
    """Return a problem of CMR with two free parameters."""
    return FitProblem(data, options.pop("model", "cmr"), loss, bounds, fixed=fixed, **options)


def fit(problem, mask, **options):
    """Return a short fit of each subject."""
    return JaxDE.of(problem, {**QUICK, **options}).fit_subjects(mask)


@pytest.fixture
def problem(small_data):
    return make_problem(small_data)


LOSSES = ["bowl", pytest.param("sequence_likelihood", marks=pytest.mark.full)]


@pytest.fixture(scope="module", params=LOSSES)
def result(request, bowl, small_data):
    """A polished fit, by a cheap loss."""
    return fit(make_problem(small_data, request.param), np.ones(20, bool))


def test_names_and_objects_are_the_same_problem(small_data, problem):
    """A factory or generator that has a name is told by it; options fixed beforehand count."""
    recalls = functools.partial(MemorySearchLikelihoodFnGenerator, events="recalls")
    objects = make_problem(small_data, recalls, model=cmr.make_factory())
    named = make_problem(small_data, loss_options={"events": "recalls"})
    assert objects.describe() == named.describe() and objects.fingerprint == named.fingerprint
    assert named.fingerprint != problem.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"bounds": {**BOUNDS, "choice_sensitivity": [0.5, 10.0]}},
        {"model": "cru_cmr", "fixed": {**PARAMETERS, "encoding_drift_decrease": 1.0}},
        {"fixed": {**PARAMETERS, "item_support": 1.0}},
    ],
)
def test_the_fingerprint_tells_problems_apart(small_data, problem, change):
    assert make_problem(small_data, **change).fingerprint != problem.fingerprint


def test_the_fingerprint_tells_data_apart(small_data, problem):
    recalls = np.where(np.arange(20)[:, None] == 0, 0, small_data["recalls"])
    assert make_problem({**small_data, "recalls": recalls}).fingerprint != problem.fingerprint


@pytest.mark.filterwarnings("ignore:This model does not read features")
def test_the_same_problem_of_other_data_keeps_all_else(small_data):
    """Simulated recall is scored as the data were: by the same options, features and values."""
    features, options = np.eye(5), {"events": "recalls"}
    given = make_problem(small_data, loss_options=options, features=features)
    recalls = np.where(np.arange(20)[:, None] == 0, 0, small_data["recalls"])
    other = given.with_data({**small_data, "recalls": recalls})
    assert other.fingerprint != given.fingerprint and not other.dataset["recalls"][0].any()
    assert other.with_data(small_data).fingerprint == given.fingerprint


def test_problems_with_models_of_ones_own_are_told_apart(small_data):
    """Though neither has a name."""
    one, other = (
        make_problem(
            small_data,
            model=cmr.make_factory(fixed={"item_support": value}),
            fixed={k: v for k, v in PARAMETERS.items() if k != "item_support"},
        ).fingerprint
        for value in (1.0, 2.0)
    )
    assert one != other


def test_a_result_read_back_rebuilds_its_problem(small_data, result, tmp_path):
    """With the data and nothing else; its losses come out again, in double precision."""
    result.save(tmp_path / "result.json")
    read = FitResult.load(tmp_path / "result.json")
    rebuilt = FitProblem.from_result(read, small_data)
    assert rebuilt.bounds == BOUNDS and rebuilt.fixed == result["fixed"]
    np.testing.assert_allclose(rebuilt.evaluate_result(read), result["fitness"], rtol=0, atol=1e-9)
    moved = FitResult({**read, "fits": {**read["fits"], "encoding_drift_rate": [0.8] * 4}})
    assert np.all(np.abs(np.subtract(rebuilt.evaluate_result(moved), result["fitness"])) > 1e-6)


@pytest.mark.parametrize("loss", [*LOSSES, pytest.param("spc_mse", marks=pytest.mark.full)])
def test_an_unpolished_fit_is_evaluated_in_its_own_precision(bowl, small_data, everyone, loss):
    """Its losses are those of the search. (Simulated recalls in another precision would be other
    recalls.)"""
    found = fit(make_problem(small_data, loss), everyone, polish=False)
    again = FitProblem.from_result(found, small_data).evaluate_result(found)
    np.testing.assert_allclose(again, found["fitness"], rtol=2e-6)
    assert all(value == float(np.float32(value)) for value in again)


def test_evaluating_leaves_precision_as_it_was(problem, everyone):
    assert problem.evaluate(AT, everyone) > 0
    assert not jax.config.jax_enable_x64
    with pytest.raises(ValueError, match="'choice_sensitivity' must be a number; got None"):
        problem.evaluate({"encoding_drift_rate": 0.6}, everyone)


@pytest.mark.parametrize("loss", LOSSES)
def test_in_another_process_it_fits_to_the_same_bits(bowl, small_data, everyone, tmp_path, loss):
    """Pickled and sent: the same estimates and losses."""
    problem = make_problem(small_data, loss)
    here = fit(problem, everyone, polish=False)
    (tmp_path / "problem.pickle").write_bytes(pickle.dumps(problem))
    code = f"""
import json, pickle, sys
import numpy as np
sys.path.insert(0, {os.path.dirname(os.path.dirname(__file__))!r})
from simple_losses import LOSSES, BowlGenerator
from jaxcmr.fitting import JaxDE
LOSSES["bowl"] = BowlGenerator
with open("problem.pickle", "rb") as file:
    problem = pickle.load(file)
result = JaxDE.of(problem, {QUICK!r} | {{"polish": False}}).fit_subjects(np.ones(20, bool))
print(json.dumps([result["fits"], result["fitness"], problem.fingerprint]))
"""
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    fits, fitness, fingerprint = json.loads(out.splitlines()[-1])
    assert fits == here["fits"] and fitness == here["fitness"]
    assert fingerprint == problem.fingerprint


def test_other_data_are_not_those_of_a_result(small_data, result):
    """Also the same trials in another order, in which rows mean other trials. The form in which
    the data come does not matter."""
    part = select_trials(small_data, np.arange(20) < 10)
    with pytest.raises(ValueError, match=r"not the data that were fitted: 10 trials"):
        FitProblem.from_result(result, part)
    turned = {name: values[::-1] for name, values in small_data.items()}
    with pytest.raises(ValueError, match="not the data that were fitted"):
        FitProblem.from_result(result, turned)
    whole = ("subject", "listLength", "pres_itemnos", "recalls")  # fields that are read as integers
    as_lists = {
        name: (values.astype(float) if name in whole else values).tolist()
        for name, values in small_data.items()
    }
    assert FitProblem.from_result(result, as_lists).data_fingerprint


def test_an_object_without_a_name_must_be_handed_in(bowl, small_data, everyone):
    """A function cannot be made from a result; the message says where to give it."""

    def first_recall(recalls, fields, is_trial):
        return (recalls[:, 0] == 1).sum() / is_trial.sum()

    loss = functools.partial(MemorySearchSummaryMseFnGenerator, summary=first_recall)
    told = make_problem(small_data, loss).describe()
    assert told["loss"] == "summary_mse" and "first_recall" in str(told["loss_options"])
    found = FitResult({**fit(make_problem(small_data, "bowl"), everyone, polish=False), **told})
    with pytest.raises(ValueError, match="loss=") as error:
        FitProblem.from_result(found, small_data)
    assert "summary" in str(error.value)
    assert FitProblem.from_result(found, small_data, loss=loss).describe() == told


def test_features_are_told_apart(bowl, small_data, everyone):
    data = {**small_data, "pres_itemids": small_data["pres_itemnos"]}
    vectors = np.random.default_rng(0).random((6, 4))
    problem = make_problem(
        data,
        "bowl",
        {**PARAMETERS, "semantic_scale": 1.0},
        model="semantic_cmr",
        features=vectors,
    )
    found = fit(problem, everyone, polish=False)
    again = FitProblem.from_result(found, data, vectors.astype(">f8"))
    assert again.features.dtype.isnative
    for other in (None, vectors + 1):
        with pytest.raises(ValueError, match="features"):
            FitProblem.from_result(found, data, other)


def test_pointwise_log_likelihoods(problem, small_data):
    """They sum to minus the loss; many parameter sets give a first axis, row by row the same."""
    mask = small_data["subject"][:, 0] == 3
    one = problem.pointwise_log_likelihood(AT, mask)
    assert one.shape[0] == 9 and one.dtype == np.float64
    np.testing.assert_allclose(-one.sum(), problem.evaluate(AT, mask), rtol=1e-12)
    many = problem.pointwise_log_likelihood({**AT, "encoding_drift_rate": [0.6, 0.3]}, mask)
    np.testing.assert_allclose(many[0], one, rtol=1e-12)
    assert many.shape == (2, *one.shape) and not np.allclose(many[1], one)
    for other in ("spc_mse", BowlGenerator):
        with pytest.raises(ValueError, match="not a likelihood"):
            make_problem(small_data, other).pointwise_log_likelihood(AT)


def test_counts_by_hand():
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
    problem = make_problem(data)
    assert problem.count(np.array([True, True, False])) == (2, 5)
    assert problem.count(np.ones(3, bool)) == (3, 8)
    recalls = make_problem(data, loss_options={"events": "recalls"})
    assert recalls.count(np.ones(3, bool)) == (3, 6)
    assert make_problem(data, BowlGenerator).count(np.ones(3, bool)) == (3, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "cmrr"}, "Unknown model 'cmrr'. Did you mean 'cmr'?"),
        ({"loss": "sequence_likelyhood"}, "Did you mean 'sequence_likelihood'?"),
        ({"model": 3}, "by its name .*or as a callable; got 3"),
        ({"loss_options": {"event": "all"}}, "has no option 'event'. Did you mean 'events'?"),
        ({"loss": BowlGenerator, "loss_options": {"depth": 3}}, "'depth'. It has no options"),
        (
            {"bounds": {**BOUNDS, "recall_drift_rate": [0.0, 3.0]}},
            r"'recall_drift_rate' is 3\.0, but",
        ),
        ({"fixed": {**PARAMETERS, "learning_rate": 1.5}}, r"'learning_rate' is 1\.5, but"),
        ({"bounds": {"encoding_drift_rate": [1e8, 1e8 + 1]}}, "encoding_drift_rate"),
        ({"features": np.ma.masked_array([[1.0]], [[True]])}, "features is a masked array"),
    ],
)
def test_mistakes(small_data, change, message):
    """Each message names what came, and what was expected."""
    with pytest.raises(ValueError, match=message):
        make_problem(small_data, **change)


def test_a_table_gives_the_line_to_write():
    table = pd.DataFrame({"subject": [1], "list": [1], "position": [1], "item": ["a"]})
    with pytest.raises(ValueError, match="from_psifr"):
        make_problem(table)


def test_a_result_of_another_problem_is_not_evaluated(problem, small_data, result, everyone):
    """Other data or other fixed values would give other losses for these fits."""
    turned = {name: values[::-1] for name, values in small_data.items()}
    with pytest.raises(ValueError, match="other data"):
        make_problem(turned, result["loss"]).evaluate_result(result)
    other = {**PARAMETERS, "learning_rate": 0.1}
    with pytest.raises(ValueError, match="other fixed"):
        make_problem(small_data, result["loss"], other).evaluate_result(result)
    with pytest.raises(ValueError, match=r"'learning_rate' is fixed at 0\.4 here; got 0\.9"):
        problem.evaluate({**AT, "learning_rate": 0.9}, everyone)
    for method in (problem.evaluate, problem.pointwise_log_likelihood):
        with pytest.raises(ValueError, match="Did you mean 'learning_rate'"):
            method({**AT, "lerning_rate": 0.9}, everyone)


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("subject", np.linspace(1, 2, 20), r"whole numbers; got 1\.05"),
        ("listLength", np.full((10, 1), 6), "10 rows but 'subject' has 20"),
    ],
)
def test_data_that_do_not_line_up(small_data, field, values, message):
    with pytest.raises(ValueError, match=message):
        make_problem({**small_data, field: values})


def test_options_may_be_numbers_of_numpy(small_data):
    problem = make_problem(small_data, "spc_mse", loss_options={"n_simulations": np.int64(3)})
    assert problem.describe()["loss_options"] == {"n_simulations": 3}
    with pytest.raises(ValueError, match="n_simulations must be a whole number"):
        make_problem(small_data, "spc_mse", loss_options={"n_simulations": 2.5})


@pytest.mark.full
def test_a_summary_that_reads_what_has_changed(small_data, everyone):
    """Its new value counts, in the loss and in the data: it was compiled with the old one."""
    wanted = [1]

    def first_is(recalls, fields, is_trial):
        return ((recalls[:, 0] == wanted[0]) & is_trial).sum() / is_trial.sum()

    def make_loss(summary):
        return functools.partial(
            MemorySearchSummaryMseFnGenerator, summary=summary, n_simulations=4
        )

    problem = make_problem(small_data, make_loss(first_is))
    values = []
    for wanted[0] in (1, 6):
        values.append(problem.evaluate(AT, everyone))
        fresh = make_problem(small_data, make_loss(lambda *given: first_is(*given)))
        assert values[-1] == fresh.evaluate(AT, everyone)
    assert values[0] != values[1]


@pytest.mark.parametrize(
    "name", ["cmr", "positional_cmr", "semantic_cmr", "ecmr", "confusable_cru"]
)
def test_models_survive_being_sent(name):
    """The factory that comes back is the named one."""
    assert pickle.loads(pickle.dumps(MODELS[name])) == MODELS[name]
    assert usual_bounds(name)


def test_a_category_loss_is_told_with_its_field(small_data):
    data = {**small_data, "kind": small_data["pres_itemnos"] % 2}
    loss = functools.partial(MemorySearchCategorySpcMseFnGenerator, category_field="kind")
    told = make_problem(data, loss).describe()
    assert told["loss_options"] == {"category_field": "kind"} and told["loss_label"] == "MSE"
