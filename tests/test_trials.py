"""Every trial is visited once, whatever lists they share and however they are padded."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.loss import MemorySearchLikelihoodFnGenerator, MemorySearchSpcMseFnGenerator
from jaxcmr.models import MODELS
from jaxcmr.trials import TrialSets, events_scored, ordered_sum


class Lists:
    """A factory that knows which study list each trial has."""

    def __init__(self, lists):
        self.lists = np.asarray(lists)

    def study_lists(self, dataset):
        return self.lists


def arranger(lists, subjects=None):
    n = len(lists)
    subject = np.zeros((n, 1)) if subjects is None else np.asarray(subjects)[:, None]
    data = {**two_items(n), "subject": subject}
    return TrialSets(lambda dataset, features: Lists(lists), data, None).arrange


def two_items(n):
    """Lists of two items, of which nothing was recalled."""
    return {
        "subject": np.zeros((n, 1), int),
        "listLength": np.full((n, 1), 2),
        "pres_itemnos": np.tile([1, 2], (n, 1)),
        "recalls": np.zeros((n, 3), int),
    }


@pytest.mark.parametrize(
    "lists",
    [[0] * 13, list(range(13)), [0, 1] * 6 + [0], [5, 5, 5, 5, 5, 5, 5, 5, 9, 9, 9, 9, 2]],
    ids=["one list", "all different", "alternating", "uneven"],
)
@pytest.mark.parametrize("padding", [0, 1, 5])
def test_every_trial_is_visited_once_with_its_own_list(lists, padding):
    """`per_trial` gets the model that studied its list: catches a block that keeps the list of the
    one before."""
    trials = np.concatenate([np.arange(13)[::-1], np.full(padding, -1)])
    blocks = arranger(lists)(trials)
    of_list = jnp.asarray(lists)
    visited = blocks.visit(
        lambda trial: of_list[trial], lambda studied, trial: 1000.0 * studied + trial + 0.5
    )
    seen = sorted(value for value in np.asarray(visited).ravel().tolist() if value)
    assert seen == sorted(1000 * listed + i + 0.5 for i, listed in enumerate(lists))


def test_each_list_is_studied_once():
    """Of the blocks that 24 trials of two lists fill, four trials each, only two study."""
    blocks = arranger([0, 1] * 12 + [2] * 12)(np.arange(24))
    assert int((blocks.trials[:, 0] >= 0).sum()) == 6
    assert int(blocks.is_new_list.sum()) == 2


@pytest.mark.parametrize(
    ("lists", "shape"), [([0] * 28, (7, 4)), (list(range(28)), (28, 1)), ([0] * 27, (7, 4))]
)
def test_blocks_waste_nothing_on_the_usual_designs(lists, shape):
    """One list for all trials, or a list each: no more blocks than it takes."""
    assert arranger(lists)(np.arange(len(lists))).trials.shape == shape


@pytest.mark.parametrize("n", [1, 4, 5, 12])
def test_shape_depends_on_the_number_of_trials_alone(n):
    """Any n trials fit the blocks of any other n: what lets subjects share a program."""
    rng = np.random.default_rng(0)
    arrange = arranger(rng.integers(0, 3, 24))
    shapes = {arrange(rng.permutation(24)[:n]).trials.shape for _ in range(50)}
    padded = np.concatenate([np.arange(n - 1), [-1]])
    assert shapes == {arrange(padded).trials.shape}


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
def test_data_that_would_be_scored_as_something_else_are_refused(change, message):
    """An intrusion of -1 would be the last item, a recall after a stop nothing: catches data that
    never went through a loader."""
    odd = {name: np.asarray(values) for name, values in {**two_items(1), **change}.items()}
    for make in (MemorySearchLikelihoodFnGenerator, MemorySearchSpcMseFnGenerator):
        with pytest.raises(ValueError, match=message):
            make(MODELS["cmr"], odd, None)


@pytest.mark.parametrize("model", ["cmr", "gunn_polyn_2025"])
@pytest.mark.parametrize("trials", [[0, 4], [-2, 0]])
def test_trials_that_there_are_not_are_refused(model, trials):
    """Played event by event or scored at once: an index beyond the end would be the last trial."""
    generator = MemorySearchLikelihoodFnGenerator(MODELS[model], two_items(4), None)
    with pytest.raises(ValueError, match=r"no trial (4|-2): rows are 0 to 3"):
        generator(np.array(trials), {}, ())


def test_ordered_sum_ignores_zeros_at_the_end():
    """To the last bit, which a tree of partial sums does not."""
    values = jnp.asarray(np.random.default_rng(0).random(1001), jnp.float32)
    for padding in (0, 1, 7, 500):
        padded = jnp.concatenate([values, jnp.zeros(padding, values.dtype)])
        assert float(ordered_sum(padded)) == float(ordered_sum(values))
    np.testing.assert_allclose(ordered_sum(values), values.sum(), rtol=1e-5)


@pytest.mark.parametrize("lengths", [[2**63 + 1, 2**63 + 3], [2**53, 2**53 + 1]])
def test_long_subject_ids_stay_apart(lengths):
    """Two subjects, each with its own list, whose ids no float tells apart: blocks of four trials
    as with any other ids."""
    subjects = np.repeat(np.array(lengths, np.uint64), 4)
    short = arranger([0] * 8, np.repeat([1, 2], 4))(np.arange(8)).trials.shape
    data = {**two_items(8), "subject": subjects[:, None]}
    sets = TrialSets(lambda dataset, features: Lists([0] * 8), data, None)
    assert sets.arrange(np.arange(8)).trials.shape == short == (2, 4)


def test_a_stop_is_an_event_where_recall_ended_early():
    """By hand: nothing, some, all recalled; an item studied twice counts once, unless the length
    of the list decides."""
    studied = np.array([[1, 2, 1], [1, 2, 1], [1, 2, 1], [1, 2, 0]])
    choices = np.array([[0, 0, 0], [2, 0, 0], [2, 1, 0], [1, 1, 1]])
    expected = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert events_scored(studied, choices).astype(int).tolist() == expected
    by_length = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]]
    assert events_scored(studied, choices, "list length").astype(int).tolist() == by_length
