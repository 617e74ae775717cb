"""Measures equal psifr's, subject by subject, on its two data sets with intrusions and repeats."""

import numpy as np
import pandas as pd
import psifr.fr as fr
import pytest

from jaxcmr.analyses import MEASURES, by_subject
from jaxcmr.datasets import from_psifr

ITEMS, DISTANCES = fr.sample_distances("Morton2013")
EDGES = np.percentile(DISTANCES[np.triu_indices(len(ITEMS), 1)], np.linspace(1, 99, 10))
BY_WORD = pd.DataFrame(DISTANCES, ITEMS, ITEMS)


def is_same(one, other):
    return one == other


def is_other(one, other):
    return one != other


WITHIN = {"test_key": "category", "test": is_same}
ACROSS = {"test_key": "category", "test": is_other}
INDEXED = {"index_key": "index", "distances": DISTANCES}
BINNED = {"distances": BY_WORD, "edges": EDGES}

BOTH = {
    "serial_position_curve": ({}, fr.spc, {}),
    "nth_recall": ({}, fr.pnr, {}),
    "first_recall": ({}, lambda events: fr.pnr(events).query("output == 1"), {}),
    "lag_crp": ({}, fr.lag_crp, {}),
    "lag_crp_compound": ({}, fr.lag_crp_compound, {}),
    "lag_rank": ({}, fr.lag_rank, {}),
}
"""Our options, psifr's function, its options."""

MORTON = {
    **BOTH,
    "lag_crp within": ({"within": "category"}, fr.lag_crp, WITHIN),
    "lag_crp across": ({"across": "category"}, fr.lag_crp, ACROSS),
    "lag_crp_compound within": ({"within": "category"}, fr.lag_crp_compound, WITHIN),
    "lag_rank across": ({"across": "category"}, fr.lag_rank, ACROSS),
    "category_crp": ({}, fr.category_crp, {"category_key": "category"}),
    "category_clustering": ({}, fr.category_clustering, {"category_key": "category"}),
    "category_clustering arc": (
        {"statistic": "arc"},
        fr.category_clustering,
        {"category_key": "category"},
    ),
    "distance_crp": (BINNED, fr.distance_crp, {**INDEXED, "edges": EDGES}),
    "distance_crp unique": (
        {**BINNED, "count_unique": True},
        fr.distance_crp,
        {**INDEXED, "edges": EDGES, "count_unique": True},
    ),
    "distance_crp within": (
        {**BINNED, "within": "category"},
        fr.distance_crp,
        {**INDEXED, "edges": EDGES, **WITHIN},
    ),
    "distance_rank": ({"distances": BY_WORD}, fr.distance_rank, INDEXED),
    "distance_rank within": (
        {"distances": BY_WORD, "within": "category"},
        fr.distance_rank,
        {**INDEXED, **WITHIN},
    ),
}
ALL = [("peers_notask", case) for case in BOTH] + [("Morton2013", case) for case in MORTON]


def tables_of(name: str, n_subjects: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return the events of the first subjects, merged by psifr, and the same as a data set."""
    raw = fr.sample_data(name)
    raw = raw[raw["subject"].isin(raw["subject"].unique()[:n_subjects])]
    data = from_psifr(raw)
    events = fr.merge_free_recall(raw, study_keys=["category"] if name == "Morton2013" else [])
    if name == "Morton2013":
        events["index"] = fr.pool_index(events["item"], ITEMS)
        study = raw.query("trial_type == 'study'").sort_values(["subject", "list", "position"])
        shape = data["pres_itemnos"].shape
        data["category"] = study["category"].to_numpy(str).reshape(shape)
        data["pres_items"] = study["item"].to_numpy(str).reshape(shape)
    return events, data


@pytest.fixture(scope="module")
def few():
    """Five subjects of each data set."""
    return {name: tables_of(name, 5) for name in ("peers_notask", "Morton2013")}


@pytest.fixture(scope="module")
def all_subjects():
    return {name: tables_of(name, 1000) for name in ("peers_notask", "Morton2013")}


def check_equal(tables, name, case):
    """Compare every column that both tables have, row by row."""
    events, data = tables[name]
    options, function, theirs = MORTON[case]
    expected = function(events, **theirs).reset_index(drop=True)
    table = by_subject(data, MEASURES[case.split()[0]], **options)
    columns = [column for column in table if column in expected]
    assert len(columns) >= 2 and len(table) == len(expected)
    pd.testing.assert_frame_equal(
        table[columns], expected[columns], check_dtype=False, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(("name", "case"), ALL)
def test_few_subjects(few, name, case):
    check_equal(few, name, case)


@pytest.mark.full
@pytest.mark.parametrize(("name", "case"), ALL)
def test_all_subjects(all_subjects, name, case):
    """Some 1900 intrusions and 1700 repeats, and a list without recalls."""
    check_equal(all_subjects, name, case)


def test_intrusions_and_repeats(few):
    """The means per list of those that psifr marks. An intrusion of an item that was studied in
    several other lists has a row for each in psifr's table; it is one recall."""
    for events, data in few.values():
        events = events.drop_duplicates(["subject", "list", "item", "output"])
        lists = events.groupby("subject")["list"].nunique().to_numpy()
        for name, is_one in (
            ("intrusions", events["intrusion"] & events["recall"]),
            ("repeats", (events["repeat"] > 0) & ~events["intrusion"]),
        ):
            counts = events[is_one].groupby("subject").size()
            expected = counts.reindex(events["subject"].unique(), fill_value=0).to_numpy()
            table = by_subject(data, MEASURES[name])
            np.testing.assert_array_equal(table["actual"], expected)
            np.testing.assert_allclose(table[name], expected / lists, rtol=1e-15)


def test_a_condition(few):
    """Of the lists of one type, as of a data set with no others."""
    raw = fr.sample_data("Morton2013").query("subject <= 5 and list_type == 'mixed'")
    data = few["Morton2013"][1]
    mixed = set(zip(raw["subject"], raw["list"], strict=True))
    trials = zip(data["subject"][:, 0], data["list"][:, 0], strict=True)
    where = np.array([trial in mixed for trial in trials])
    expected = fr.lag_crp(fr.merge_free_recall(raw))
    table = by_subject(data, MEASURES["lag_crp"], where=where)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
