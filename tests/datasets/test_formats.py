"""Each laboratory format holds the same lists as the psifr table that it was written from."""

import json
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from jaxcmr.datasets import (
    from_bids,
    from_cml,
    from_events,
    from_mat,
    from_psifr,
    from_quail,
    load_bundled,
    to_psifr,
)

# Subject, session, list, type, item: two sessions whose lists begin at 1, ragged, with a practice
# list, sounds, an intrusion from the list before (elm), one from nowhere, and a repeat.
EVENTS = [
    ("s1", 0, -1, "WORD", "try"),
    ("s1", 0, 1, "START", "n/a"),
    ("s1", 0, 1, "WORD", "oak"),
    ("s1", 0, 1, "WORD", "elm"),
    ("s1", 0, 1, "REC_WORD", "elm"),
    ("s1", 0, 1, "REC_WORD_VV", "<>"),
    ("s1", 0, 1, "REC_WORD", "oak"),
    ("s1", 0, 2, "WORD", "ash"),
    ("s1", 0, 2, "WORD", "null"),
    ("s1", 0, 2, "WORD", "yew"),
    ("s1", 0, 2, "REC_WORD", "elm"),
    ("s1", 0, 2, "REC_WORD", "yew"),
    ("s1", 0, 2, "REC_WORD", "zzz"),
    ("s1", 0, 2, "REC_WORD", "<>"),
    ("s1", 0, 2, "REC_WORD", "yew"),
    ("s1", 0, 2, "REC_WORD", "null"),
    ("s1", 1, 1, "WORD", "fir"),
    ("s1", 1, 1, "WORD", "box"),
    ("s2", 0, 1, "WORD", "box"),
    ("s2", 0, 1, "WORD", "elm"),
    ("s2", 0, 1, "REC_WORD", "box"),
    ("s2", 0, 9, "REC_WORD", "box"),
]
TABLE = pd.DataFrame(EVENTS, columns=["subject", "session", "list", "trial_type", "item_name"])


def check_lists(data):
    """The lists of `EVENTS`, worked out by hand."""
    assert data["subject"].ravel().tolist() == ["s1", "s1", "s1", "s2"]
    assert data["list"].ravel().tolist() == [1, 2, 3, 1]
    assert data["session"].ravel().tolist() == [0, 0, 1, 0]
    assert data["session_list"].ravel().tolist() == [1, 2, 1, 1]
    assert data["pres_items"].tolist() == [
        ["oak", "elm", ""],
        ["ash", "null", "yew"],
        ["fir", "box", ""],
        ["box", "elm", ""],
    ]
    assert data["recalls"].tolist() == [[2, 1, 0], [3, 2, 0], [0, 0, 0], [1, 0, 0]]
    assert data["intrusions"].ravel().tolist() == [0, 2, 0, 0]
    assert data["repeats"].ravel().tolist() == [0, 1, 0, 0]


def test_events_are_told_apart_by_session(capsys):
    """Lists that begin at 1 in every session would be one; what was left out is counted."""
    check_lists(from_events(TABLE))
    said = capsys.readouterr().out
    assert "2 events of another type (1 START, 1 REC_WORD_VV)" in said
    assert "1 event of practice" in said and "1 event that are not words" in said
    assert "1 event of lists without study events (1 REC_WORD)" in said
    renamed = TABLE.set_axis(["who", "day", "block", "type", "word"], axis=1)
    names = {"subject": "who", "session": "day", "list": "block", "trial_type": "type"}
    check_lists(from_events(renamed, item="word", show=False, **names))
    timed = TABLE.assign(time=range(len(TABLE))).sample(frac=1, random_state=2)
    check_lists(from_events(timed, order="time", show=False))
    one = TABLE[(TABLE["session"] == 0) & (TABLE["list"] == 1)].assign(session=7)
    found = from_events(one, session=None, show=False)
    assert found["session"].ravel().tolist() == [7, 7] and len(found["recalls"]) == 2


def test_wrong_events_are_named():
    with pytest.raises(ValueError, match="lacks the column 'item_name'"):
        from_events(TABLE.drop(columns="item_name"))
    with pytest.raises(ValueError, match="No study events are left: 'trial_type' holds WORD, STA"):
        from_events(TABLE, study="study", show=False)
    single = TABLE[TABLE["trial_type"] == "WORD"].assign(list=range(1, 11))
    with pytest.raises(ValueError, match="All 10 lists have one study event"):
        from_events(single)
    absent = TABLE.assign(list=TABLE["list"].where(TABLE.index != 8))
    with pytest.raises(ValueError, match=r"'list' is missing in row 8"):
        from_events(absent, show=False)
    named = TABLE.assign(list=TABLE["list"].astype(str).where(TABLE.index != 8, "2a"))
    with pytest.raises(ValueError, match=r"'list' is not a whole number.* in row 8 .*: '2a'"):
        from_events(named, show=False)
    nested = TABLE.assign(item_name=[["x"], *TABLE["item_name"][1:]])
    with pytest.raises(ValueError, match=r"'item' is \['x'\] in row 0"):
        from_events(nested, show=False)


def write_bids(folder, table, kind="beh", **names):
    """Write a table as a BIDS study, one file per subject and session."""
    for (subject, session), part in table.groupby(["subject", "session"]):
        place = Path(folder, f"sub-{subject}", f"ses-{session}", "beh")
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"sub-{subject}_ses-{session}_task-free_{kind}.tsv"
        part = part.drop(columns=["subject", "session"]).rename(columns=names)
        part.to_csv(path, sep="\t", index=False, na_rep="n/a")


def test_bids(tmp_path, capsys):
    """Subject and session come from file names, lists from `list` or `trial`; "null" is a word."""
    write_bids(tmp_path / "a", TABLE)
    check_lists(from_bids(tmp_path / "a"))
    assert "Left out" in capsys.readouterr().out
    write_bids(tmp_path / "b", TABLE, list="trial")
    write_bids(tmp_path / "b", TABLE.assign(item_name="x"), kind="events")  # of the same recording
    check_lists(from_bids(tmp_path / "b", show=False))
    check_lists(from_bids(sorted((tmp_path / "b").rglob("*_beh.tsv")), task="free", show=False))


def test_bids_files_that_cannot_be_read_are_named(tmp_path):
    write_bids(tmp_path, TABLE)
    path = next(tmp_path.rglob("sub-s2*_beh.tsv"))
    with pytest.raises(ValueError, match=r"no files sub-.*Tasks there: free"):
        from_bids(tmp_path, task="other")
    other = path.with_name("sub-s2_ses-9_task-word_beh.tsv")
    other.write_text(path.read_text())
    with pytest.raises(ValueError, match=r"several tasks: free, word\. Choose"):
        from_bids(tmp_path)
    other.unlink()
    good = path.read_text()
    path.write_text(good.replace("elm", "n/a"))
    with pytest.raises(ValueError, match=r"row 1 of sub-s2_ses-0_task-free_beh\.tsv.*'item' is"):
        from_bids(tmp_path, show=False)
    path.write_text("../../.git/annex/objects/ab/cd/MD5E-s1--x.tsv")
    with pytest.raises(ValueError, match=r"sub-s2.* is not downloaded"):
        from_bids(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        from_bids(tmp_path / "nowhere")


@pytest.mark.parametrize("form", ["records", "list", "dict"])
def test_cml(tmp_path, form):
    """Records, columns of values and columns by row number, as pandas writes them."""
    events = TABLE.rename(columns={"trial_type": "type"}).assign(params=[{"x": 1}] * len(TABLE))
    content = events.to_dict(form)
    (tmp_path / "events.json").write_text(json.dumps(content))
    check_lists(from_cml(tmp_path / "events.json", show=False))
    check_lists(from_cml(events, show=False))


def test_an_array_of_structures_in_matlab(tmp_path):
    """Old events files; of version 7.3 as HDF5 holds them, every cell a reference."""
    events = TABLE.rename(columns={"trial_type": "type", "item_name": "item"})
    records = events.assign(item=events["item"].where(events["item"] != "n/a", np.nan))
    savemat(tmp_path / "old.mat", {"events": records.to_dict("records")})
    check_lists(from_mat(tmp_path / "old.mat", show=False))
    with h5py.File(tmp_path / "new.mat", "w") as file:
        for name, column in events.items():
            cells = np.empty((len(column), 1), h5py.ref_dtype)
            for row, value in enumerate(column):
                text = isinstance(value, str)
                stored = [[ord(letter)] for letter in value] if text else [[float(value)]]
                entry = file.create_dataset(f"#refs#/{name}{row}", data=stored)
                entry.attrs["MATLAB_class"] = np.bytes_("char" if text else "double")
                cells[row] = entry.ref
            file[f"events/{name}"] = cells
    check_lists(from_mat(tmp_path / "new.mat", show=False))


@pytest.mark.parametrize("has_numbers", [True, False])
def test_a_structure_of_trials_in_matlab(tmp_path, has_numbers):
    """Pool numbers become ids; intrusions and repeats are counted. The truth is what `from_psifr`
    makes of the same lists."""
    truth = from_events(TABLE, show=False)
    ids = truth["rec_itemids"]
    at = (truth["pres_itemids"][:, None] == ids[:, :, None]) & (ids > 0)[:, :, None]
    recalls = np.where(ids == 0, 0, np.where(at.any(2), at.argmax(2) + 1, -1))
    fields = {
        "subject": np.array([1, 1, 1, 2], np.uint8)[:, None],
        "session": truth["session"],
        "pres_items": truth["pres_items"].astype(object),
        "rec_items": truth["rec_items"].astype(object),
        "recalls": recalls,
        "listLength": 3,
        "times": np.ones(recalls.shape),
        "params": {"rate": 2.0},
    }
    if has_numbers:
        pool = np.array([0, 40, 7, 99, 12, 55, 3, 21, 8])
        fields["pres_itemnos"] = pool[truth["pres_itemids"]].astype(float)
        fields["rec_itemnos"] = np.where(ids < 0, -1, pool[ids])
    savemat(tmp_path / "trials.mat", {"data": fields})
    data = from_mat(tmp_path / "trials.mat", show=False)
    for name in ("recalls", "intrusions", "repeats", "listLength", "pres_items", "session"):
        wide = data[name][:, : truth[name].shape[1]]
        np.testing.assert_array_equal(wide, truth[name], err_msg=name)
    expected = pool[truth["pres_itemids"]] if has_numbers else truth["pres_itemids"]
    np.testing.assert_array_equal(data["pres_itemids"], expected)
    np.testing.assert_array_equal(data["rec_items"], truth["rec_items"])
    assert "params" not in data and data["rec_times"].shape == recalls.shape


def test_quail():
    """Cells are dicts or words, padded by None, NaN or empty text."""
    truth = from_events(TABLE, show=False)
    index = pd.MultiIndex.from_arrays([truth["subject"][:, 0], truth["list"][:, 0] - 1])
    words = {name: truth[f"{name}_items"] for name in ("pres", "rec")}
    plain = {k: pd.DataFrame(v, index=index).replace("", None) for k, v in words.items()}
    cells = {
        k: v.map(lambda w: {"item": w, "size": len(w)} if isinstance(w, str) else w)
        for k, v in plain.items()
    }
    for egg in (plain, cells):
        data = from_quail(SimpleNamespace(**egg))
        for name in ("recalls", "intrusions", "repeats", "pres_items", "rec_items"):
            np.testing.assert_array_equal(data[name], truth[name], err_msg=name)
    assert data["size"][0].tolist()[:2] == [3, 3]
    with pytest.raises(ValueError, match="Expected an Egg"):
        from_quail(TABLE)


def test_a_bundled_study_comes_back_from_bids(tmp_path):
    """Three subjects of PEERS, with list numbers that run on over sessions."""
    pytest.importorskip("psifr")
    table = to_psifr(load_bundled("peers_notask"))
    table = table[table["subject"].isin(table["subject"].unique()[:3])]
    truth = from_psifr(table)
    types = table["trial_type"].map({"study": "WORD", "recall": "REC_WORD"})
    write_bids(tmp_path, table.assign(trial_type=types).rename(columns={"item": "item_name"}))
    data = from_bids(tmp_path, show=False)
    assert data["subject"].astype(int).tolist() == truth["subject"].tolist()
    for name in ("session", "recalls", "pres_items", "rec_items", "intrusions", "repeats"):
        np.testing.assert_array_equal(data[name], truth[name], err_msg=name)
    np.testing.assert_array_equal(data["session_list"], truth["list"])


def test_the_fields_of_a_data_set_in_an_old_matlab_file(tmp_path):
    """Where there are ids beside numbers within lists, the numbers are not those of a pool."""
    truth = from_events(TABLE, show=False)
    wanted = ("subject", "listLength", "pres_itemnos", "pres_itemids", "recalls", "rec_itemids")
    fields = {name: truth[name] for name in wanted} | {"subject": np.array([1, 1, 1, 2])}
    savemat(tmp_path / "data.mat", {"data": fields})
    data = from_mat(tmp_path / "data.mat", show=False)
    for name in wanted[1:]:
        np.testing.assert_array_equal(data[name], truth[name], err_msg=name)


@pytest.mark.parametrize("session", ["session", None])
def test_lists_that_share_a_number_are_not_merged(session):
    """As of two runs of one session, each with a list 1: one list of six words would be silent."""
    events = [("WORD", "a"), ("WORD", "b"), ("REC_WORD", "b")]
    events += [("WORD", "c"), ("WORD", "d"), ("REC_WORD", "c")]
    table = pd.DataFrame(events, columns=["trial_type", "item_name"])
    table = table.assign(subject="s", session=1, list=1)
    with pytest.raises(ValueError, match=r"follows recalls of its list.*list 1; row 3"):
        from_events(table, session=session)


def test_an_intrusion_without_a_number_is_one_all_the_same(tmp_path):
    """Files of the behavioral toolbox may have 0 for the item of an intrusion. It interrupts
    recall: no transition goes across it, also after a round trip."""
    data = {"subject": [1], "pres_itemnos": [[7, 9, 4]], "recalls": [[3, -1, 1, 0]]}
    savemat(tmp_path / "gap.mat", {"data": {**data, "rec_itemnos": [[4, 0, 7, 0]]}})
    found = from_mat(tmp_path / "gap.mat", show=False)
    assert found["rec_itemids"].tolist() == [[4, -1, 7, 0]] and found["intrusions"].tolist() == [
        [1]
    ]
    again = from_psifr(to_psifr(found))
    assert again["intrusions"].tolist() == [[1]]
