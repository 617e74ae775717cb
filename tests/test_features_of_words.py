"""The front door lines features up with words, for fits, simulations and the shell."""

import numpy as np
import pandas as pd
import pytest

import jaxcmr as jc

TINY = {"num_steps": 2, "pop_size": 2, "best_of": 1, "polish": False}
SETTINGS = {
    "model": "semantic_cmr",
    "fixed": {"semantic_scale": 50.0, "choice_sensitivity": 2.0},
    "search": TINY,
    "progress": False,
}
WORDS = ["ash", "elm", "fir", "oak", "yew", "box"]


@pytest.fixture
def data(small_data):
    """Lists of one vocabulary; ids are in alphabetical order, as `from_psifr` gives them."""
    ids = np.argsort(np.argsort(WORDS))[None] + 1
    words = np.tile(WORDS, (20, 1))
    return small_data | {"pres_itemids": np.tile(ids, (20, 1)), "pres_items": words}


def test_all_ways_to_say_the_same_give_the_same_fit(data, tmp_path):
    """Vectors, similarities and distances by word, in any order, and by item id."""
    angles = np.array([0.1, 1.2, 0.4, 1.5, 0.9, 0.2])
    vectors = pd.DataFrame({"x": np.cos(angles), "y": np.sin(angles)}, index=WORDS[::-1])
    cosines = vectors @ vectors.T
    in_order = vectors.loc[sorted(WORDS)].to_numpy()
    vectors.to_csv(tmp_path / "vectors.csv")
    cosines.to_csv(tmp_path / "cosines.csv")
    results = [
        jc.fit(data, **SETTINGS, **given)
        for given in (
            {"features": in_order},
            {"features": vectors},
            {"features": vectors.T.to_dict("list")},
            {"features": tmp_path / "vectors.csv"},
            {"similarities": cosines},
            {"similarities": tmp_path / "cosines.csv"},
            {"distances": 1 - cosines},
        )
    ]
    for other in results[1:]:
        np.testing.assert_allclose(other["fitness"], results[0]["fitness"], rtol=1e-5)
    assert results[1]["features"] == results[0]["features"] != results[4]["features"]
    plain = jc.fit(data, features=np.eye(6), **SETTINGS)
    assert np.abs(np.subtract(plain["fitness"], results[0]["fitness"])).max() > 0.1
    simulated = [
        jc.simulate(results[0], data, **given)["recalls"]
        for given in ({"features": in_order}, {"distances": 1 - cosines})
    ]
    np.testing.assert_array_equal(*simulated)


def test_a_matrix_is_not_vectors(data):
    """Distances as vectors were fitted, and gave a number that says nothing about meaning."""
    distances = 1 - np.eye(6)
    with pytest.raises(ValueError, match=r"square matrix .* as distances="):
        jc.fit(data, features=distances, **SETTINGS)
    with pytest.raises(ValueError, match="lacks the studied item 'box'"):
        jc.fit(data, features=pd.DataFrame({"x": 1.0}, index=WORDS[:5]), **SETTINGS)
