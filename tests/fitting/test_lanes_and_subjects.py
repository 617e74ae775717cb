"""A subject's fit is its own: it depends on nothing but its trials, its id and the seed."""

from typing import ClassVar

import jax
import numpy as np
import pytest

from jaxcmr.fitting import JaxDE
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator, MemorySearchSpcMseFnGenerator
from jaxcmr.models import MODELS
from jaxcmr.models._replay import Replay
from jaxcmr.models.cmr import CMRFactory
from jaxcmr.optimize import _program

BOUNDS = {"encoding_drift_rate": [0.0, 1.0], "recall_drift_rate": [0.0, 1.0]}
SETTINGS = {
    "bounds": BOUNDS,
    "num_steps": 12,
    "pop_size": 5,
    "best_of": 2,
    "progress_bar": False,
}


def make_fitter(data, parameters, generator=MemorySearchLikelihoodFnGenerator, **settings):
    return JaxDE(data, None, parameters, MODELS["cmr"], generator, {**SETTINGS, **settings})


def only(data, subject):
    """The trials of one subject."""
    return data["subject"][:, 0] == subject


def estimates(result):
    """Everything a fit found, without its duration."""
    return {name: result[name] for name in ("fits", "fitness", "nit", "nfev", "converged")}


def row(result, subject):
    """One subject's part of a result, as a result of its own."""
    i = result["fits"]["subject"].index(subject)
    fits = {name: [values[i]] for name, values in result["fits"].items()}
    return {"fits": fits} | {
        name: [result[name][i]] for name in ("fitness", "nit", "nfev", "converged")
    }


@pytest.fixture(scope="module")
def everyone(small_data):
    """All subjects fitted together: trial counts 9, 4, 1 and 6, padded to 9."""
    from conftest import PARAMETERS

    return make_fitter(small_data, PARAMETERS).fit_subjects(np.ones(20, bool))


@pytest.mark.parametrize("subject", [3, 7, 8, 20])
def test_a_subject_fitted_alone_equals_its_row(small_data, parameters, everyone, subject):
    """Bit for bit, though the batch pads its trials: catches sums that depend on padding and
    random draws that depend on a subject's place in the batch."""
    alone = make_fitter(small_data, parameters).fit(only(small_data, subject), subject)
    assert estimates(alone) == row(everyone, subject)


def test_permuting_subjects_permutes_results(small_data, parameters, everyone):
    """With the trials of all subjects in another order: catches draws or sums that depend on where
    in the data a subject stands."""
    order = np.argsort(-small_data["subject"][:, 0], kind="stable")
    shuffled = {name: values[order] for name, values in small_data.items()}
    result = make_fitter(shuffled, parameters).fit_subjects(np.ones(20, bool))
    assert estimates(result) == estimates(everyone)


@pytest.mark.parametrize("chunk_seconds", [0.0, 1e9])
def test_chunk_length_changes_nothing(small_data, parameters, everyone, monkeypatch, chunk_seconds):
    """One generation a chunk, or ever longer chunks: catches state that is lost between chunks."""
    monkeypatch.setattr(_program, "CHUNK_SECONDS", chunk_seconds)
    result = make_fitter(small_data, parameters).fit_subjects(np.ones(20, bool))
    assert estimates(result) == estimates(everyone)


def test_more_restarts_keep_the_first_ones(small_data, parameters, everyone):
    """Run r of a subject draws the same numbers whatever best_of is, so more runs never fit
    worse."""
    more = make_fitter(small_data, parameters, best_of=4).fit_subjects(np.ones(20, bool))
    assert all(a <= b for a, b in zip(more["fitness"], everyone["fitness"], strict=True))


def test_seed_matters(small_data, parameters, everyone):
    """Another seed is another search: catches a seed that is not passed on."""
    other = make_fitter(small_data, parameters, seed=1).fit_subjects(np.ones(20, bool))
    assert other["fits"] != everyone["fits"]


def test_subject_id_matters_but_may_be_negative(small_data, parameters):
    """The default id -1 is as good as any: `fold_in` alone would refuse it."""
    fitter = make_fitter(small_data, parameters)
    mask = only(small_data, 7)
    assert fitter.fit(mask)["fits"]["subject"] == [-1]
    assert fitter.fit(mask)["fits"] != fitter.fit(mask, 7)["fits"]


class CountingFactory(CMRFactory):
    """Textbook CMR that counts how often Python builds or replays it: how often it is traced."""

    traces: ClassVar[list[int]] = []

    def create_trial_model(self, trial_index, parameters):
        self.traces.append(1)
        return super().create_trial_model(trial_index, parameters)


@pytest.fixture
def traces(parameters, small_data, monkeypatch):
    """Counts the traces that a call makes: ``traces(fitter_options, call)``."""
    replay_nll = Replay.nll

    def counted(self, parameters, rows):
        CountingFactory.traces.append(1)
        return replay_nll(self, parameters, rows)

    monkeypatch.setattr(Replay, "nll", counted)

    def factory(dataset, features):
        plain = MODELS["cmr"](dataset, features)
        return CountingFactory(plain.parts, plain.n_items)

    def count(generator, *calls):
        jax.clear_caches()
        fitter = JaxDE(small_data, None, parameters, factory, generator, SETTINGS)
        counts = []
        for call in calls:
            CountingFactory.traces.clear()
            call(fitter)
            counts.append(len(CountingFactory.traces))
        return counts

    return count


@pytest.mark.parametrize(
    "generator", [MemorySearchLikelihoodFnGenerator, MemorySearchSpcMseFnGenerator]
)
def test_one_compile_serves_all_subjects(small_data, traces, generator):
    """Four subjects with unequal trial counts trace the model as often as a single one does:
    catches anything about a subject that jit takes for static."""
    [one] = traces(generator, lambda fitter: fitter.fit_subjects(only(small_data, 3)))
    [four] = traces(generator, lambda fitter: fitter.fit_subjects(np.ones(20, bool)))
    assert four == one > 0


def test_a_loop_over_subjects_compiles_once(small_data, traces):
    """The second `fit` of as many trials runs what the first compiled; all that is traced is the
    check of the loss before it."""
    first, second = traces(
        MemorySearchLikelihoodFnGenerator,
        lambda fitter: fitter.fit(only(small_data, 3), 3),
        lambda fitter: fitter.fit(only(small_data, 3), 4),
    )
    assert second <= 2 < first
