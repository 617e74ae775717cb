"""Damaged files end in an error that names them, or in data that psifr reads the same.

A hundred seeded mutations of each format. A wrong number in silence is the worst of faults.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from jaxcmr.datasets import check_data, from_cml, from_events, from_mat, load

fr = pytest.importorskip("psifr.fr")

JUNK = ["", "x", "-1", "0", "1", "2.5", "999", "oak", "study", "WORD", "NaN", "inf", "1e400", "é"]


def words(seed=0):
    """A table of three subjects with ragged lists, intrusions and repeats, in psifr's form."""
    rng = np.random.default_rng(seed)
    pool = np.array(["ash", "box", "elm", "fir", "oak", "yew", "bay", "fig"])
    rows = []
    for subject in (1, 2, 3):
        for number in (1, 2):
            studied = rng.permutation(pool)[: rng.integers(2, 5)]
            recalled = rng.choice(pool, rng.integers(1, 6))
            for kind, items in (("study", studied), ("recall", recalled)):
                rows += [(subject, number, kind, p, item) for p, item in enumerate(items, 1)]
    return pd.DataFrame(rows, columns=["subject", "list", "trial_type", "position", "item"])


def mutate(table, rng):
    """Return the table as text cells with one to three faults."""
    cells = table.astype(str).astype(object)
    for _ in range(rng.integers(1, 4)):
        row, column = rng.integers(len(cells)), rng.integers(cells.shape[1])
        match rng.integers(6):
            case 0 | 1:
                cells.iloc[row, column] = JUNK[rng.integers(len(JUNK))]
            case 2:
                cells = cells.drop(index=cells.index[row])
            case 3:
                cells = pd.concat([cells, cells.iloc[[row]]])
            case 4:
                other = rng.integers(len(cells))
                cells.iloc[row, column] = cells.iloc[other, column]
            case 5:
                swapped = cells.iloc[:, column].sample(frac=1, random_state=int(rng.integers(99)))
                cells.isetitem(column, swapped.to_numpy())
        cells = cells.reset_index(drop=True)
    return cells


def recalled(table):
    """Return the positions that psifr scores, by subject and list; first recalls alone.

    Two study events of one item are one item here, at its first position."""
    table = table[~table.duplicated(["subject", "list", "trial_type", "item"])]
    merged = fr.merge_free_recall(table)
    scored = merged[(merged["recall"] == True) & (merged["study"] == True)]  # noqa: E712
    scored = scored.sort_values(["subject", "list", "output"])
    found = scored.groupby(["subject", "list"])["input"].apply(lambda column: [*map(int, column)])
    return {(str(subject), int(number)): rows for (subject, number), rows in found.items()}


def check_same(data, table):
    """Check that the data hold the recalls that psifr scores in the table."""
    lists = zip(data["subject"][:, 0], data["list"][:, 0], data["recalls"], strict=True)
    ours = {(str(subject), int(n)): row[row > 0].tolist() for subject, n, row in lists}
    assert {key: rows for key, rows in ours.items() if rows} == recalled(table)


def read_or_fail(read, path):
    """Return the data, or None if reading ends in a ValueError that names the file."""
    try:
        return read(path)
    except ValueError as error:
        assert path.name in str(error), error
        return None


@pytest.mark.parametrize("suffix, separator", [(".csv", ","), (".tsv", "\t")])
def test_psifr_tables(tmp_path, suffix, separator):
    """An error names the file and, of a cell, the row; data are those of psifr."""
    n_read = 0
    for seed in range(100):
        path = tmp_path / f"study{suffix}"
        mutate(words(), np.random.default_rng(seed)).to_csv(path, sep=separator, index=False)
        data = read_or_fail(load, path)
        if data is not None:
            check_same(data, pd.read_csv(path, sep=separator))
            n_read += 1
    assert 5 < n_read < 95  # both ends are met


def as_events(table):
    """Return the table with the columns and types of events that BIDS and JSON files have."""
    types = table["trial_type"].replace({"study": "WORD", "recall": "REC_WORD"})
    columns = {"trial_type": "type", "item": "item_name"}
    return (
        table.assign(trial_type=types, session="0").rename(columns=columns).drop(columns="position")
    )


def check_events(data, source):
    """Check data made of events against psifr, given the same events as a table."""
    number = pd.to_numeric(source["list"], errors="coerce")
    types = source["type"].replace({"WORD": "study", "REC_WORD": "recall"})
    events = source.assign(list=number, trial_type=types, item=source["item_name"])
    events = events[types.isin(["study", "recall"]) & (number > 0) & (events["item"] != "")]
    studied = events[events["trial_type"] == "study"].set_index(["subject", "list"]).index
    events = events[events.set_index(["subject", "list"]).index.isin(studied)]
    events["position"] = events.groupby(["subject", "list", "trial_type"]).cumcount() + 1
    check_same(data | {"list": data["session_list"]}, events)


def test_bids_files(tmp_path):
    n_read = 0
    for seed in range(100):
        path = tmp_path / "sub-01_task-free_beh.tsv"
        table = as_events(mutate(words(), np.random.default_rng(seed)))
        table.rename(columns={"type": "trial_type"}).to_csv(path, sep="\t", index=False)
        data = read_or_fail(load, path)
        if data is not None:
            check_events(data, table)
            n_read += 1
    assert 10 < n_read < 100


def test_json_files(tmp_path):
    """Cells that change, and files that end early or hold another kind of JSON."""
    n_read = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        table = as_events(mutate(words(), rng))
        records = table.assign(list=pd.to_numeric(table["list"], errors="coerce")).to_dict(
            "records"
        )
        text = json.dumps(records)
        if seed % 5 == 0:
            text = text[: rng.integers(len(text))]
        if seed % 5 == 1:
            records[rng.integers(len(records))]["item_name"] = [{}, ["a"], None, True][seed % 4]
            text = json.dumps([records, {"events": records}][seed % 2])
        path = tmp_path / "events.json"
        path.write_text(text)
        data = read_or_fail(from_cml, path)
        if data is not None:
            check_events(data, table.replace({"item_name": {"nan": ""}}) if seed % 5 > 1 else table)
            n_read += 1
    assert 10 < n_read < 100


def test_matlab_files(tmp_path):
    """Bytes that change, files that end early, and values that change before they are saved."""
    truth = from_events(as_events(words()).rename(columns={"type": "trial_type"}), show=False)
    sound = {
        "subject": truth["subject"].astype(int),
        "pres_itemnos": truth["pres_itemids"],
        "rec_itemnos": truth["rec_itemids"],
        "recalls": truth["recalls"],
        "listLength": truth["listLength"],
    }
    n_read, path = 0, tmp_path / "study.mat"
    for seed in range(100):
        rng = np.random.default_rng(seed)
        fields = {name: np.array(values, float) for name, values in sound.items()}
        if seed % 2:
            name = [*fields][rng.integers(len(fields))]
            place = tuple(rng.integers(fields[name].shape))
            fields[name][place] = rng.choice([-1, 0, 1, 2.5, 77, np.nan, np.inf])
        savemat(path, {"data": fields}, do_compression=True)  # as MATLAB does
        if seed % 2 == 0:
            content = bytearray(path.read_bytes())
            for at in rng.integers(len(content), size=3):
                content[at] = rng.integers(256)
            path.write_bytes(content[: rng.integers(len(content)) if seed % 4 else len(content)])
        data = read_or_fail(lambda path: from_mat(path, show=False), path)
        if data is not None:
            check_data(data)
            n_read += 1
    assert 10 < n_read < 100


def test_the_row_and_the_column_are_named(tmp_path):
    """Of every cell that is not a number where one must be: row 4 of the data, counted from 0."""
    for column in ("list", "position"):
        table = words().astype(str)
        table.loc[4, column] = "x"
        path = Path(tmp_path, "study.csv")
        table.to_csv(path, index=False)
        with pytest.raises(
            ValueError, match=rf"study\.csv: .*\(row 4 of the table\): '{column}' is"
        ):
            load(path)
