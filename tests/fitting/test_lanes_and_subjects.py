"""A subject's fit is its own: it depends on nothing but its trials, its id and the seed."""

from typing import ClassVar

import numpy as np
import pytest
from model_examples import PARAMETERS

from jaxcmr.fitting import JaxDE
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator, MemorySearchSpcMseFnGenerator
from jaxcmr.models import MODELS
from jaxcmr.models._replay import Replay
from jaxcmr.models.cmr import CMRFactory
from jaxcmr.optimize import _program

BOUNDS = {"encoding_drift_rate": [0.0, 1.0], "recall_drift_rate": [0.0, 1.0]}
SETTINGS = {"bounds": BOUNDS, "num_steps": 12, "pop_size": 5, "best_of": 2, "progress_bar": False}


@pytest.fixture(scope="module", params=[False, pytest.param(True, marks=pytest.mark.full)])
def polish(request):
    """Whether the runs end with a polish."""
    return request.param


def make_cmr(data, polish, **settings):
    """Return the fitter of a likelihood, in which sums run over padded trials."""
    settings = {**SETTINGS, "polish": polish, **settings}
    return JaxDE(data, None, PARAMETERS, "cmr", "sequence_likelihood", settings)


def mask_of(data, subject):
    """Return the mask of the trials of one subject."""
    return data["subject"][:, 0] == subject


def estimates(result):
    """Return everything that a fit found, without its duration."""
    return {name: result[name] for name in ("fits", "fitness", "nit", "nfev", "converged")}


@pytest.fixture(scope="module")
def together(small_data, polish):
    """All subjects fitted together: trial counts 9, 4, 1 and 6, padded to 9."""
    return make_cmr(small_data, polish).fit_subjects(np.ones(20, bool))


@pytest.mark.parametrize("subject", [3, 7])
def test_a_subject_fitted_alone_equals_its_row(small_data, polish, together, subject):
    """Bit for bit, though the batch pads its trials: catches sums that depend on padding and
    random draws that depend on a subject's place in the batch."""
    alone = make_cmr(small_data, polish).fit(mask_of(small_data, subject), subject)
    assert estimates(alone) == estimates(together.select(subject))


def test_permuting_subjects_permutes_results(small_data, polish, together, everyone):
    """With the trials of all subjects in another order: catches draws or sums that depend on where
    in the data a subject stands."""
    order = np.argsort(-small_data["subject"][:, 0], kind="stable")
    shuffled = {name: values[order] for name, values in small_data.items()}
    assert estimates(make_cmr(shuffled, polish).fit_subjects(everyone)) == estimates(together)


@pytest.mark.parametrize("chunk_seconds", [0.0, 1e9])
def test_chunk_length_changes_nothing(
    small_data, polish, together, everyone, monkeypatch, chunk_seconds
):
    """One generation per chunk, or ever longer chunks: catches state that is lost between
    chunks."""
    monkeypatch.setattr(_program, "CHUNK_SECONDS", chunk_seconds)
    assert estimates(make_cmr(small_data, polish).fit_subjects(everyone)) == estimates(together)


def test_more_restarts_keep_the_first_ones(small_data, polish, together, everyone):
    """Run r of a subject draws the same numbers at any `best_of`, so more runs never fit worse."""
    more = make_cmr(small_data, polish, best_of=4).fit_subjects(everyone)
    assert all(a <= b for a, b in zip(more["fitness"], together["fitness"], strict=True))


@pytest.mark.full
def test_runs_are_polished_together_as_alone(small_data, everyone):
    """Bit for bit: the first runs of a fit are those of a fit with fewer, on either scale. Catches
    a likelihood whose rounding depends on its number of columns, or on a run's place in them."""

    def runs(best_of):
        settings = {"best_of": best_of, "scale": "alternate"}
        found = make_cmr(small_data, True, **settings).fit_subjects(everyone)["runs"]
        return [[{**run, "seconds": 0} for run in of_fit] for of_fit in found]

    many = runs(12)
    for best_of in (1, 3):
        assert runs(best_of) == [of_fit[:best_of] for of_fit in many]


def test_seed_matters(small_data, polish, together, everyone):
    """Another seed is another search: catches a seed that is not passed on."""
    assert make_cmr(small_data, polish, seed=1).fit_subjects(everyone)["fits"] != together["fits"]


def test_subject_id_matters_but_may_be_negative(small_data, polish):
    """The default id -1 is as good as any: `fold_in` alone would not accept it."""
    fitter, mask = make_cmr(small_data, polish), mask_of(small_data, 7)
    pooled, own = fitter.fit(mask)["fits"], fitter.fit(mask, 7)["fits"]
    assert pooled.pop("subject") == [-1] and own.pop("subject") == [7]
    assert pooled != own


class CountingFactory(CMRFactory):
    """Textbook CMR that counts how often it is traced: how often Python builds or replays it."""

    traces: ClassVar[list[int]] = []

    def create_trial_model(self, trial_index, parameters):
        self.traces.append(1)
        return super().create_trial_model(trial_index, parameters)


@pytest.mark.parametrize(
    "loss",
    [
        MemorySearchLikelihoodFnGenerator,
        pytest.param(MemorySearchSpcMseFnGenerator, marks=pytest.mark.full),
    ],
)
def test_one_compile_serves_all_subjects(small_data, polish, everyone, monkeypatch, loss):
    """After a fit, one of another subject, or of all, traces as little as the same fit again: the
    check of the loss before it. Catches anything about a subject that jit takes for static."""
    replay_nll = Replay.nll

    def counted(self, parameters, rows):
        CountingFactory.traces.append(1)
        return replay_nll(self, parameters, rows)

    def factory(dataset, features):
        plain = MODELS["cmr"](dataset, features)
        return CountingFactory(plain.parts, plain.n_items, declared=plain.declared)

    monkeypatch.setattr(Replay, "nll", counted)
    settings = {**SETTINGS, "polish": polish}
    fitter = JaxDE(small_data, None, PARAMETERS, factory, loss, settings)
    mask, counts = mask_of(small_data, 3), []
    for fit in (
        lambda: fitter.fit(mask, 3),
        lambda: fitter.fit(mask, 3),
        lambda: fitter.fit(mask, 4),
        lambda: fitter.fit_subjects(everyone),
    ):
        CountingFactory.traces.clear()
        fit()
        counts.append(len(CountingFactory.traces))
    _, again, other, all_subjects = counts
    assert again == other == all_subjects > 0
