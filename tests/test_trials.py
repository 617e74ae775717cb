"""Every trial is visited once, with its own list, wherever padding stands."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.loss import MemorySearchLikelihoodFnGenerator, MemorySearchSpcMseFnGenerator
from jaxcmr.models import MODELS
from jaxcmr.simulation import make_model_factory
from jaxcmr.trials import ModelData, as_rows, events_scored, ordered_sum
from jaxcmr.typing import MemorySearchFactory


class Remembers(eqx.Module):
    """A model that knows its trial, and the item numbers of the list that it studied."""

    trial: jnp.ndarray
    studied: jnp.ndarray

    def experience(self, choice):
        return Remembers(self.trial, 10 * self.studied + choice)

    def start_retrieving(self):
        return self


class Lists(eqx.Module, MemorySearchFactory):
    """A factory that knows which study list each trial has."""

    lists: np.ndarray

    def create_trial_model(self, trial_index, parameters):
        return Remembers(trial_index, jnp.array(0))

    def study_lists(self, dataset):
        return self.lists


def two_items(n):
    """Lists of two items, of which nothing was recalled."""
    return {
        "subject": np.zeros((n, 1), int),
        "listLength": np.full((n, 1), 2),
        "pres_itemnos": np.tile([1, 2], (n, 1)),
        "recalls": np.zeros((n, 3), int),
    }


def select(lists, trials, **fields):
    """Trials of a data set in which these lists are the same."""
    data = {**two_items(len(lists)), **fields}
    made = ModelData(lambda dataset, features: Lists(np.asarray(lists)), data)
    return made.select(np.asarray(trials), {}, ())


@pytest.mark.parametrize(
    "lists",
    [[0] * 13, list(range(13)), [0, 1] * 6 + [0], [5, 5, 5, 5, 5, 5, 5, 5, 9, 9, 9, 9, 2]],
    ids=["one list", "all different", "alternating", "uneven"],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_every_trial_is_visited_once_with_its_own_list(lists, padding):
    """The model has studied the trial's list, and places lead back to the order asked for. Catches
    a block that keeps the list of the one before."""
    items = np.stack([np.asarray(lists) // 4 + 1, np.asarray(lists) % 4 + 1], axis=1)
    lengths = np.full((13, 1), 4)
    asked_for = np.concatenate([np.arange(13)[::-1], np.full(padding, -1)])
    trials = select(lists, asked_for, pres_itemnos=items, listLength=lengths)
    visited = trials.visit(jnp.zeros(0), lambda model, trial: 100.0 * model.studied + trial + 0.5)
    in_order = np.asarray(visited).reshape(-1)[trials.places_of(asked_for)]
    expected = [100 * (10 * a + b) + trial + 0.5 for trial, (a, b) in enumerate(items)]
    np.testing.assert_allclose(in_order[:13], expected[::-1])
    assert np.count_nonzero(visited) == 13 and not in_order[13:].any()


def test_each_list_is_studied_once():
    """24 trials of two lists are two blocks of twelve, each of which studies once."""
    trials = select([0, 1] * 12 + [2] * 12, np.arange(24))
    assert [sorted(block % 2) for block in np.asarray(trials.blocks)[:2]] == [[0] * 12, [1] * 12]
    assert np.all(trials.blocks[2:] == -1)


@pytest.mark.parametrize(
    ("lists", "shape"), [([0] * 28, (1, 28)), (list(range(28)), (28, 1)), ([0] * 70, (3, 24))]
)
def test_blocks_waste_little_on_the_usual_designs(lists, shape):
    """One list for all trials, or one per trial: no more blocks than needed."""
    assert select(lists, np.arange(len(lists))).blocks.shape == shape


@pytest.mark.parametrize("n", [1, 4, 5, 12])
def test_shape_depends_on_the_number_of_trials_alone(n):
    """Any n trials fit the blocks of any other n: so subjects share a program."""
    rng = np.random.default_rng(0)
    lists = rng.integers(0, 3, 24)
    shapes = {select(lists, rng.permutation(24)[:n]).blocks.shape for _ in range(20)}
    padded = np.concatenate([np.arange(n - 1), [-1]])
    assert shapes == {select(lists, padded).blocks.shape}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recalls": [[2, -1, 1]]}, r"'recalls' holds -1 in trial 0.*first_recalls"),
        ({"recalls": [[2, 0, 1]]}, "holds 1 in trial 0, column 2: after a 0"),
        ({"recalls": [[3, 0, 0]]}, "holds 3.*nothing was studied"),
        ({"pres_itemnos": [[1, 0]], "recalls": [[2, 0, 0]]}, "holds 2.*nothing was studied"),
        ({"pres_itemnos": [[1, 3]]}, "'pres_itemnos' holds 3.*longest 'listLength', 2"),
    ],
)
def test_invalid_recalls_are_an_error(change, message):
    """An intrusion of -1 would be scored as the last item, a recall after a stop as nothing."""
    odd = {name: np.asarray(values) for name, values in {**two_items(1), **change}.items()}
    for make in (MemorySearchLikelihoodFnGenerator, MemorySearchSpcMseFnGenerator):
        with pytest.raises(ValueError, match=message):
            make(MODELS["cmr"], odd, None)


@pytest.mark.parametrize("model", ["cmr", "gunn_polyn_2025"])
@pytest.mark.parametrize("trials", [[0, 4], [-2, 0]])
def test_trials_out_of_range_are_an_error(model, trials):
    """In closed form or event by event: an index beyond the end would be the last trial."""
    generator = MemorySearchLikelihoodFnGenerator(MODELS[model], two_items(4), None)
    with pytest.raises(ValueError, match=r"no trial (4|-2): rows are 0 to 3"):
        generator(np.array(trials), {}, ())


@pytest.mark.parametrize("trials", [[True, False], [0.0, 1.0], [[0, 1]], 3, ["0"]])
def test_trials_are_row_numbers(trials):
    """A mask or floats would select other trials in silence."""
    with pytest.raises(ValueError, match="row numbers"):
        as_rows(np.array(trials), 5)


def test_a_factory_is_a_memory_search_factory():
    """The error says what to derive from."""
    with pytest.raises(ValueError, match=r"class object, .*derive.*typing.MemorySearchFactory"):
        make_model_factory(lambda dataset, features: object(), two_items(1))


def test_ordered_sum_ignores_zeros_at_the_end():
    """To the last bit, which a tree of partial sums does not."""
    values = jnp.asarray(np.random.default_rng(0).random(1001), jnp.float32)
    for padding in (0, 7, 500):
        padded = jnp.concatenate([values, jnp.zeros(padding, values.dtype)])
        assert float(ordered_sum(padded)) == float(ordered_sum(values))
    np.testing.assert_allclose(ordered_sum(values), values.sum(), rtol=1e-5)


@pytest.mark.parametrize("ids", [[2**63 + 1, 2**63 + 3], [2**53, 2**53 + 1]])
def test_long_subject_ids_stay_apart(ids):
    """Two subjects, each with its own trials of a list, whose ids no float tells apart: blocks of
    four trials as with any other ids."""
    long, short = (
        select([0] * 8, np.arange(8), subject=np.repeat(each, 4)[:, None]).blocks.shape
        for each in (np.array(ids, np.uint64), [1, 2])
    )
    assert long == short == (2, 4)


def test_a_stop_is_an_event_where_recall_ended_early():
    """By hand: nothing, some, all recalled; an item studied twice counts once, unless the length
    of the list decides."""
    studied = np.array([[1, 2, 1], [1, 2, 1], [1, 2, 1], [1, 2, 0]])
    choices = np.array([[0, 0, 0], [2, 0, 0], [2, 1, 0], [1, 1, 1]])
    expected = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert events_scored(studied, choices).astype(int).tolist() == expected
    by_length = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]]
    assert events_scored(studied, choices, "list length").astype(int).tolist() == by_length
