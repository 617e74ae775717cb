"""The bits of a run depend on its data, settings, seed, subject and number: on nothing else.

What is finished is kept and not made again, so a run made by another process, on other cores or
beside other runs must be the same run.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from model_examples import MODELS
from tiny_fits import SUBJECTS, evaluate_all, fit_all, make_fitter, run_process, runs_of
from tiny_fits import tiny_problem as problem_of

from jaxcmr.optimize import _program

ALL = np.ones(len(SUBJECTS), bool)
OTHER_MACHINE = {"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}
IN_FULL = [name if name == "cmr" else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]


@pytest.fixture(scope="module", params=IN_FULL)
def model(request):
    """Textbook CMR; in the slow tests every model."""
    yield request.param
    jax.clear_caches()


@pytest.fixture(scope="module")
def together(model):
    """The runs of all three subjects, fitted together."""
    return fit_all(model)


def test_one_core_gives_the_bits_of_several(model, together):
    """Compiled anew in a process that is confined to one core. Catches sums that are divided among
    threads, and programs that are cut to the number of cores."""
    assert run_process("runs", model, cores=1)[model] == together


@pytest.mark.slow
def test_eight_cores_give_the_same_bits_compiled_or_read(model, together, tmp_path):
    """In a process that sees eight cores, and in one that sees two and reads the programs of the
    first. Catches programs that are kept on disk without what they were cut to."""
    for cores in (8, 2):
        found = run_process("runs", model, cores=cores, JAXCMR_COMPILE_CACHE=str(tmp_path))
        assert found[model] == together


def test_a_loss_can_be_checked_on_another_machine(model, together, tmp_path):
    """Stored losses come back to 1e-9 of their value where the processor has narrower vectors, but
    for a model that divides by a temperature near zero. Catches losses that are stored in single
    precision, which come back to 1e-6."""
    amplifies = model == "cmr_exponential"
    for stored, again in evaluate_all(model, together):
        assert again == pytest.approx(stored, rel=1e-9 if amplifies else 1e-12)
    file = tmp_path / "runs.json"
    file.write_text(json.dumps({model: together}), encoding="utf-8")
    for stored, again in run_process("losses", str(file), **OTHER_MACHINE)[model]:
        assert again == pytest.approx(stored, rel=1e-8 if amplifies else 1e-9)


@pytest.mark.full
def test_neighbors_change_nothing(model, together):
    """Lanes in another order, one thread or three, a subject alone (number 8 has fewer trials than
    the others, which are padded together but not alone), and runs polished beside ten others."""
    order = np.argsort(-SUBJECTS, kind="stable")
    assert runs_of(make_fitter(problem_of(model, order)).fit_subjects(ALL)) == together
    problem = problem_of(model)
    for n_threads in (1, 3):
        with ThreadPoolExecutor(n_threads) as pool:
            found = make_fitter(problem).fit_subjects(ALL, pool=pool)
        assert runs_of(found) == together
    for subject in (7, 8):
        alone = runs_of(make_fitter(problem).fit(subject == SUBJECTS, subject))
        assert alone == {str(subject): together[str(subject)]}
    more = runs_of(make_fitter(problem, best_of=12).fit_subjects(ALL))
    assert {subject: runs[:2] for subject, runs in more.items()} == together


def test_a_program_called_again_gives_equal_bits(model, monkeypatch):
    """Two hundred times from four threads at once: the chunk of generations and the polish. Catches
    sums whose order depends on which thread is first."""
    calls = {}

    def keep(name, program):
        def call(*args):
            calls.setdefault(name, (program, args, jax.config.jax_enable_x64))
            return program(*args)

        return call

    for name in ("advance_lanes", "polish_exactly", "polish_by_differences"):
        monkeypatch.setattr(_program, name, keep(name, getattr(_program, name)))
    make_fitter(problem_of(model), best_of=1).fit(SUBJECTS == 7, 7)
    assert len(calls) == 2
    for program, args, in_double in calls.values():

        def bits(_, program=program, args=args, in_double=in_double):
            with jax.enable_x64(in_double):
                arrays = jax.tree.leaves(program(*args))
            return b"".join(np.asarray(each).tobytes() for each in arrays if is_numeric(each))

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(bits, range(200)))) == 1


def is_numeric(array):
    """Return False for random keys."""
    return not jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key)
