"""What is known of words is lined up with the words of the data, by name."""

import numpy as np
import pandas as pd
import pytest

from jaxcmr.datasets import align_features

WORDS = ["elm", "oak", "yew"]  # the ids 1, 2 and 4
DATA = {
    "pres_itemids": np.array([[4, 1, 0], [2, 4, 1]]),
    "pres_items": np.array([["yew", "elm", ""], ["oak", "yew", "elm"]]),
}
VECTORS = pd.DataFrame(
    [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [9.0, 9.0]], index=["oak", "yew", "elm", "ash"]
)
ALIGNED = [[0.5, 0.5], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
SIMILAR = pd.DataFrame([[1, 0.1, 0.2], [0.1, 1, 0.3], [0.2, 0.3, 1]], ["yew", "elm", "oak"])
SIMILAR = SIMILAR.set_axis(SIMILAR.index, axis=1)
BY_ID = np.array([[1, 0.3, 0, 0.1], [0.3, 1, 0, 0.2], [0, 0, 1, 0], [0.1, 0.2, 0, 1]])


def test_tables_and_dicts_are_matched_by_name():
    """Rows in any order, of more words than were studied; id 3, which no item has, is 0."""
    assert align_features(DATA, VECTORS).tolist() == ALIGNED
    by_word = {word: VECTORS.loc[word].to_numpy() for word in VECTORS.index[::-1]}
    assert align_features(DATA, by_word).tolist() == ALIGNED
    assert align_features(DATA, {word: 2 for word in WORDS}).tolist() == [[2], [2], [0], [2]]
    ids = {"pres_itemids": DATA["pres_itemids"]}
    assert align_features(ids, VECTORS.set_axis([2, 4, 1, 9])).tolist() == ALIGNED


def test_matrices_are_matched_by_rows_and_by_columns():
    found = align_features(DATA, similarities=SIMILAR)
    np.testing.assert_array_equal(found["similarities"], BY_ID)
    found = align_features(DATA, similarities=SIMILAR[["oak", "yew", "elm"]])
    np.testing.assert_array_equal(found["similarities"], BY_ID)
    found = align_features(DATA, distances=1 - SIMILAR)
    np.testing.assert_allclose(found["distances"], 1 - BY_ID)
    assert align_features(IDS, similarities=BY_ID)["similarities"].tolist() == BY_ID.tolist()


def test_anything_else_goes_to_the_model_as_it_is():
    """Arrays are by item id; a model of one's own may want a dict of arrays."""
    array, other = np.ones((4, 2)), {"length": np.ones(4)}
    assert align_features(DATA, array) is array and align_features(DATA, other) is other
    assert align_features(DATA) is None


IDS = {"pres_itemids": DATA["pres_itemids"]}  # without words, arrays are by id
OTHER_WORD = DATA["pres_items"].copy()
OTHER_WORD[0, 0] = "fir"
WRONG = {
    "a word is missing": (DATA, {"features": VECTORS.drop("elm")}, "lacks the studied item 'elm'"),
    "in a dict": (DATA, {"features": {"elm": [1.0]}}, "lacks the studied item 'oak' .and 1 more"),
    "misspelt": (DATA, {"features": VECTORS.rename({"oak": "Oak"})}, "Did you mean 'Oak'"),
    "twice": (DATA, {"features": VECTORS.rename({"ash": "oak"})}, "has 'oak' twice"),
    "text": (DATA, {"features": VECTORS.astype(object).replace(9, "x")}, "other values than numb"),
    "unequal": (DATA, {"features": {"elm": [1.0], "oak": [1.0, 2.0]}}, "differ in length"),
    "two kinds": (DATA, {"features": VECTORS, "distances": BY_ID}, "one of features and distances"),
    "no column": (DATA, {"similarities": SIMILAR[["oak", "elm"]]}, "lacks the studied item 'yew'"),
    "not square": (IDS, {"similarities": BY_ID[:3]}, r"shape \(3, 4\); expected a square"),
    "too small": (IDS, {"similarities": BY_ID[:2, :2]}, "is 2 x 2, but .* 1 to 4"),
    "distances": (IDS, {"similarities": 1 - BY_ID}, "Hand that in as distances="),
    "similarities": (IDS, {"distances": BY_ID}, "Hand in similarities as similarities="),
    "below 0": (IDS, {"distances": BY_ID - 1}, "one is -1; expected 0 or more"),
    "NaN": (IDS, {"similarities": np.where(BY_ID == 0.3, np.nan, BY_ID)}, "column 2 is nan"),
    "two words": (DATA | {"pres_items": OTHER_WORD}, {"features": VECTORS}, "id 4 has two words"),
    "no ids": ({}, {"features": VECTORS}, "need the field 'pres_itemids'"),
}


@pytest.mark.parametrize("data, given, message", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_named(data, given, message):
    """Fitted in silence, it would say that meaning plays no part."""
    with pytest.raises(ValueError, match=message):
        align_features(data, **given)


def test_pairs_of_words_are_not_taken_for_vectors():
    """A table with the words as rows and as columns holds one number per pair. Nor is an array
    taken that does not say which row is which word."""
    words = [*WORDS, "another"]
    pairs = pd.DataFrame(1 - np.eye(len(words)), index=words, columns=words)
    for matrix in (pairs, pairs.sample(frac=1, random_state=0)):
        with pytest.raises(ValueError, match="Hand it in as distances="):
            align_features(DATA, matrix)
    with pytest.raises(ValueError, match="does not say which row is which word"):
        align_features(DATA, distances=pairs.to_numpy())
