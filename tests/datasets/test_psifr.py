"""A data set made from a psifr table has the same trials, items and recalls."""

import numpy as np
import pytest

from jaxcmr.datasets import from_psifr, generate_trial_mask, select_trials

pd = pytest.importorskip("pandas")


def table_of(*events):
    return pd.DataFrame(events, columns=["subject", "list", "trial_type", "position", "item"])


def events(subject, number, study, recall):
    """The events of one list from two strings, one letter per item."""
    return [
        (subject, number, trial_type, position, item)
        for trial_type, items in (("study", study), ("recall", recall))
        for position, item in enumerate(items, start=1)
    ]


def test_a_table_worked_out_by_hand():
    """Subject 2's list 1 is recalled with a repeat (c), an intrusion from another list (e) and one
    from no list (z). List 2 is shorter, subject 1's list has no recalls, and the rows are unsorted.
    Items a b c d e f have the ids 1 2 3 4 5 6. Trial 0 ends with the last item and trial 1 begins
    with the first: a number for trial and item that is off by one would mix them up.
    """
    data = from_psifr(
        table_of(
            *events(2, 2, "efa", "af"),
            *events(2, 1, "abcd", "cezacb"),
            *events(1, 7, "edf", ""),
        )
    )
    assert data["subject"].tolist() == [[1], [2], [2]]
    assert data["list"].tolist() == [[7], [1], [2]]
    assert data["listLength"].tolist() == [[3], [4], [3]]
    assert data["pres_itemnos"].tolist() == [[1, 2, 3, 0], [1, 2, 3, 4], [1, 2, 3, 0]]
    assert data["recalls"].tolist() == [[0, 0, 0, 0], [3, 1, 2, 0], [3, 2, 0, 0]]
    assert data["pres_itemids"].tolist() == [[5, 4, 6, 0], [1, 2, 3, 4], [5, 6, 1, 0]]
    assert data["rec_itemids"].tolist() == [
        [0, 0, 0, 0, 0, 0],
        [3, 5, -1, 1, 3, 2],
        [1, 6, 0, 0, 0, 0],
    ]
    assert data["intrusions"].tolist() == [[0], [2], [0]]
    assert data["repeats"].tolist() == [[0], [1], [0]]


def test_an_item_studied_twice_keeps_its_first_number():
    """In abac, a is item 1 both times and c is item 4. Recall of a is scored once, at position 1.
    Catches numbering by distinct items, where c would be 3, which is not its study position."""
    data = from_psifr(table_of(*events(1, 1, "abac", "caab")))
    assert data["listLength"].tolist() == [[4]]
    assert data["pres_itemnos"].tolist() == [[1, 2, 1, 4]]
    assert data["recalls"].tolist() == [[4, 1, 2, 0]]
    assert data["rec_itemids"].tolist() == [[3, 1, 1, 2]]


def test_the_order_of_rows_does_not_count():
    """Positions give the order. Tables are often sorted by item, or mix study and recall."""
    table = table_of(*events(1, 1, "abcd", "dbzb"), *events(1, 2, "ecba", "ae"))
    expected = from_psifr(table)
    for seed in range(5):
        shuffled = from_psifr(table.sample(frac=1, random_state=seed))
        for name in expected:
            np.testing.assert_array_equal(shuffled[name], expected[name], strict=True)


def test_recall_positions_may_have_gaps():
    """Recall rows are often filtered (vocalizations, intrusions) before they come here."""
    table = table_of(*events(1, 1, "abc", "bzc"))
    assert from_psifr(table[table["item"] != "z"])["recalls"].tolist() == [[2, 3, 0]]


def test_integer_items_keep_their_numbers():
    """Word pool numbers index similarity matrices; renumbering would break the link."""
    table = table_of(*events(1, 1, "abc", "czb"))
    pool = table.assign(item=table["item"].map({"a": 40, "b": 7, "c": 900, "z": 5}))
    data = from_psifr(pool)
    assert data["pres_itemids"].tolist() == [[40, 7, 900]]
    assert data["rec_itemids"].tolist() == [[900, -1, 7]]
    assert data["recalls"].tolist() == [[3, 2, 0]]


def test_columns_that_are_constant_within_lists_have_a_value_per_trial():
    """Numbers and text; NaN throughout a list is constant, and missing text is empty."""
    table = table_of(*events(1, 1, "ab", "b"), *events(2, 1, "cd", "c")).assign(
        session=[1, 1, 1, 2, 2, 2],
        age=[np.nan, np.nan, np.nan, 33.5, 33.5, 33.5],
        group=["x"] * 6,
        task=pd.Categorical([None, None, None, "size", "size", "size"]),
        old=pd.array([True] * 3 + [False] * 3, "boolean"),
        day=pd.to_datetime(["2020-01-01"] * 6),
    )
    data = from_psifr(table)
    assert data["session"].tolist() == [[1], [2]]
    np.testing.assert_array_equal(data["age"], [[np.nan], [33.5]])
    assert data["group"].tolist() == [["x"], ["x"]]
    assert data["task"].tolist() == [[""], ["size"]]
    assert data["old"].tolist() == [[True], [False]]
    assert not {"day", "item", "position"} & data.keys()


def test_columns_that_change_within_lists_have_a_value_per_event():
    """Those of study events go by position, those of recalls by output; a part without values is
    not a field. Catches rows laid out in the order of the table, which is shuffled here."""
    table = table_of(*events(1, 1, "abc", "bz"), *events(2, 1, "cd", "")).assign(
        category=["x", "y", None, "y", None, "x", "x"],
        time=[None, None, None, 0.5, 0.25, None, None],
        rank=pd.array([1, 2, None, 2, 9, 3, 4], "Int64"),
        onset=[0, 1, 2, 9, 10, 0, 1],
    )
    data = from_psifr(table.sample(frac=1, random_state=1))
    assert data["category"].tolist() == [["x", "y", ""], ["x", "x", ""]]
    assert data["rec_category"].tolist() == [["y", ""], ["", ""]]
    assert "time" not in data
    nan = np.nan
    np.testing.assert_array_equal(data["rec_time"], [[0.5, 0.25], [nan, nan]])
    np.testing.assert_array_equal(data["rank"], [[1, 2, nan], [3, 4, nan]])
    np.testing.assert_array_equal(data["rec_rank"], [[2, 9], [nan, nan]])
    np.testing.assert_array_equal(data["onset"], [[0, 1, 2], [0, 1, nan]])


def test_words_and_named_subjects_are_kept():
    """Subjects are sorted as text. A word that was never studied has the id -1, but is there."""
    data = from_psifr(table_of(*events("s2", 1, "ab", "bz"), *events("s10", 1, "c", "")))
    assert data["subject"].tolist() == [["s10"], ["s2"]]
    assert data["pres_items"].tolist() == [["c", ""], ["a", "b"]]
    assert data["rec_items"].tolist() == [["", ""], ["b", "z"]]
    assert data["rec_itemids"].tolist() == [[0, 0], [2, -1]]


def test_psifr_counts_the_same():
    """The oracle is psifr's own scoring of 96,000 events: every correct first recall in order,
    their number in each list, and the serial position curve."""
    fr = pytest.importorskip("psifr.fr")
    table = fr.sample_data("peers_notask")
    data = from_psifr(table)
    merged = fr.merge_free_recall(table)
    scored = merged[merged["recall"] & ~merged["intrusion"] & (merged["repeat"] == 0)]
    scored = scored.sort_values(["subject", "list", "output"])
    recalls = data["recalls"]
    np.testing.assert_array_equal(recalls[recalls > 0], scored["input"])
    # The table itself, because psifr's merge repeats an intrusion for each list with the item.
    raw = table[table["trial_type"] == "recall"]
    for field, rows in (("recalls", scored), ("rec_itemids", raw)):
        counts = (data[field] != 0).sum(axis=1)
        expected = rows.groupby(["subject", "list"]).size()  # without rows for empty lists
        np.testing.assert_array_equal(counts[counts > 0], expected)

    spc = fr.spc(merged)["recall"].to_numpy().reshape(126, 16)
    recalled = (recalls[:, :, None] == np.arange(1, 17)).any(axis=1)
    np.testing.assert_allclose(recalled.reshape(126, 28, 16).mean(axis=1), spc, atol=1e-12)


def test_the_table_and_the_published_file_are_the_same_lists(real):
    """psifr's table and the published file come from the same experiment by two routes. They must
    agree in every study list, recall and item (published numbers are alphabetical, too)."""
    fr = pytest.importorskip("psifr.fr")
    data = from_psifr(fr.sample_data("peers_notask"))
    published = select_trials(real, generate_trial_mask(real, "listtype == -1"))
    for name in ("subject", "session", "listLength", "pres_itemnos", "pres_itemids", "recalls"):
        np.testing.assert_array_equal(data[name], published[name])
    width = data["rec_itemids"].shape[1]
    np.testing.assert_array_equal(data["rec_itemids"], published["rec_itemids"][:, :width])


def changed(**columns):
    """A sound table of two lists with the given cells, {row: value} by column, changed."""
    table = table_of(*events(1, 1, "ab", "b"), *events(2, 5, "cd", "c")).astype(object)
    for column, cells in columns.items():
        for row, value in cells.items():
            table.loc[row, column] = value
    return table.infer_objects()


SOUND = changed()
WRONG = {
    "no table": ("peers.csv", "Expected a pandas DataFrame; got str"),
    "no rows": (SOUND[:0], "no rows"),
    "no item column": (SOUND.drop(columns="item"), "lacks the column 'item'"),
    "misspelt column": (SOUND.rename(columns={"list": "List"}), "Did you mean 'List'"),
    "two of a name": (SOUND.set_axis(["subject"] * 5, axis=1), "share a name"),
    "some named subjects": (changed(subject={3: "LTP9"}), "'subject' is LTP9.*all strings or all"),
    "text numbers": (SOUND.astype({"list": str}), "'list' is 1, not an integer"),
    "nameless item": (changed(item={4: ""}), "list 5 .row 4.*'item' is an empty string"),
    "a field's name": (SOUND.assign(x=range(6), rec_x=1), "makes a field 'rec_x' itself"),
    "half a list": (changed(list={4: 1.5}), "Subject 2, list 1.5 .row 4.*'list' is 1.5"),
    "unknown type": (changed(trial_type={4: "test"}), "Subject 2, list 5.*'test'; expected"),
    "missing type": (changed(trial_type={4: None}), "Subject 2, list 5.*'trial_type' is missing"),
    "missing item": (changed(item={4: None}), "Subject 2, list 5 .row 4.*'item' is missing"),
    "missing position": (changed(position={1: np.nan}), "Subject 1, list 1.*'position' is missing"),
    "missing subject": (changed(subject={1: np.nan}), "list 1 .row 1.*'subject' is missing"),
    "endless position": (changed(position={4: np.inf}), "Subject 2, list 5.*'position' is inf"),
    "not studied": (changed(trial_type={3: "recall", 4: "recall"}), "list 5.*no study events"),
    "twice studied": (changed(position={4: 1}), "list 5.*Two study events have position 1"),
    "lists restart in each session": (
        pd.concat([SOUND.assign(session=1), SOUND.assign(session=2)]),
        r"position 1.*number the lists on: table\['list'\] = table.groupby",
    ),
    "twice recalled": (
        pd.concat([SOUND, SOUND[5:]]),
        "Subject 2, list 5.*Two recall events have position 1",
    ),
    "a position skipped": (changed(position={4: 3}), "list 5 .row 4.*position 3 is out of order"),
    "begins at 2": (changed(position={3: 2, 4: 3}), "list 5 .row 3.*position 2 is out of order"),
    "counted from 0": (changed(position={0: 0, 1: 1}), "list 1 .row 0.*position 0 is out of order"),
    "mixed items": (changed(item={4: 7}), "'item' is a, not an integer.*all strings or all"),
    "item zero": (SOUND.assign(item=[0, 1, 1, 2, 3, 2]), "Subject 1, list 1.*item is 0"),
    "taken name": (SOUND.assign(recalls=1), "makes a field 'recalls' itself"),
}


@pytest.mark.parametrize("table, message", WRONG.values(), ids=WRONG)
def test_a_wrong_row_is_named(table, message):
    """Subject, list and row lead the user to it; a silent repair would change recalls."""
    with pytest.raises(ValueError, match=message):
        from_psifr(table)


def test_pandas_types_of_every_kind_are_read():
    """Nullable integers, categories and object columns hold the same table."""
    expected = from_psifr(SOUND)["recalls"].tolist()
    kinds = SOUND.astype({"subject": "Int64", "item": "category", "trial_type": "category"})
    assert from_psifr(kinds)["recalls"].tolist() == expected
    assert from_psifr(SOUND.astype(object))["recalls"].tolist() == expected
    assert from_psifr(SOUND.astype({"position": float}))["recalls"].tolist() == expected


HASHED = 12283903001182175729  # pandas.util.hash_array(["s1"])


@pytest.mark.parametrize("dtype", ["uint64", "UInt64", object])
def test_hashed_subjects_keep_their_ids(dtype):
    """Pseudonyms are often 64-bit hashes. As int64 they would be negative and change their order.
    In one array with int64 lists they would be floats, and ids that differ by 2 one subject."""
    table = table_of(*events(1, 7, "ab", "b"), *events(2, 7, "cd", ""), *events(3, 7, "ef", "fe"))
    ids = {1: HASHED + 2, 2: 5, 3: HASHED}
    table["subject"] = pd.Series([ids[each] for each in table["subject"]], dtype=dtype)
    data = from_psifr(table)
    assert data["subject"].dtype == np.uint64
    assert data["subject"].ravel().tolist() == [5, HASHED, HASHED + 2]
    assert data["recalls"].tolist() == [[0, 0], [2, 1], [2, 0]]
    chosen = generate_trial_mask(data, f"subject == {HASHED}")
    assert chosen.tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint64", "Int64", "float64", ">i4", object])
def test_ordinary_subjects_are_int64(dtype):
    table = SOUND.astype({"subject": dtype, "list": dtype, "position": dtype})
    data = from_psifr(table)
    for name, array in from_psifr(SOUND).items():
        np.testing.assert_array_equal(data[name], array, strict=True)


BEYOND = [
    ("subject", [2**64, 1]),
    ("subject", [-(2**63) - 1, 1]),
    ("subject", [2**63, -1]),
    ("list", [2**63, 1]),
    ("item", [2**63, 1]),
    ("position", [2**63, 1]),
]


@pytest.mark.parametrize("column, values", BEYOND)
def test_numbers_beyond_64_bits_are_named(column, values):
    """The OverflowError of NumPy names neither the column nor the row."""
    table = SOUND.iloc[[3, 4]].assign(item=[1, 2], trial_type="study").reset_index(drop=True)
    table[column] = pd.Series(values[::-1], dtype=object)
    with pytest.raises(ValueError, match=rf"row 1 of .*'{column}' is {values[0]}; expected integ"):
        from_psifr(table)


@pytest.mark.parametrize(
    "values", [pd.to_timedelta([1] * 6), [True] * 6, pd.Series([True] * 6, dtype=object)]
)
def test_durations_and_flags_are_not_integers(values):
    with pytest.raises(ValueError, match=r"'list' is .*, not an integer"):
        from_psifr(SOUND.assign(list=values))
