"""Disks that are full or read-only: an error that says so, and nothing that had finished is lost.

The limit of the operating system on the size of files stands for a full disk: a write fails in the
middle of a line.
"""

import os
import sys
from contextlib import contextmanager

import pytest
from simple_losses import LOSSES, BowlGenerator
from stopped_fits import without_times

from jaxcmr.cli import main
from jaxcmr.datasets import save_data

resource = pytest.importorskip("resource", reason="limits of POSIX")


class Fill:
    """A watcher after whose first so many finished runs there is room for so many more bytes."""

    def __init__(self, folder, after, room):
        self.folder, self.left, self.room = folder, after, room

    def update(self, report):
        self.left -= report.record is not None
        if self.left == 0:
            [journal] = self.folder.rglob("*.jsonl")
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            limit = journal.stat().st_size + self.room
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

    def close(self):
        pass


@contextmanager
def room_again():
    """Take the limit away when the block ends."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def shell(small_data, tmp_path, monkeypatch):
    """Runs ``jaxcmr fit`` with two runs for each of four subjects, and perhaps a watcher."""
    data = tmp_path / "small.h5"
    save_data(small_data, data)
    monkeypatch.setitem(LOSSES, "bowl", BowlGenerator)
    monkeypatch.setattr("jaxcmr.cli._run.save_fit_figure", lambda *arguments: None)
    few = ["--best-of", "2", "--num-steps", "3", "--pop-size", "2", "--loss", "bowl", "--quiet"]

    def fit(folder, watcher=None):
        watchers = [] if watcher is None else [watcher]
        monkeypatch.setattr("jaxcmr.fitting._fitter.default_watchers", lambda *_: watchers)
        return main(["fit", str(data), "--out", str(folder), *few])

    return fit


def test_a_disk_that_fills_up(make, everyone, tmp_path, calls):
    """In the middle of a line. The error names the folder and what to do; with room again, the
    same call makes what is missing."""
    fitter = make(best_of=2)
    whole = fitter.fit_subjects(everyone)
    calls.clear()
    fill = Fill(tmp_path, 3, 100)
    with room_again(), pytest.raises(OSError, match="Make room on the disk") as failure:
        fitter.fit_subjects(everyone, checkpoint=tmp_path, watchers=[fill])
    assert str(tmp_path) in str(failure.value) and "File too large" in str(failure.value)
    assert any("goes on from there" in note for note in failure.value.__notes__)
    calls.clear()
    with pytest.warns(UserWarning, match="1 damaged or unfinished line"):
        result = fitter.fit_subjects(everyone, checkpoint=tmp_path)
    assert len(calls) == 5
    assert without_times(result) == without_times(whole)


def test_a_disk_that_fills_up_under_the_shell(shell, tmp_path, calls, capsys):
    """Exit status 2, the same sentences; the same command goes on."""
    out = tmp_path / "out"
    with room_again():
        assert shell(out, Fill(out, 3, 100)) == 2
    told = capsys.readouterr().err
    assert f"{out}, which keeps finished runs, cannot be written" in told
    assert "goes on from there" in told and "Traceback" not in told
    calls.clear()
    with pytest.warns(UserWarning, match="damaged or unfinished"):
        assert shell(out) == 0
    assert len(calls) == 5


def test_no_room_for_the_result(shell, tmp_path, calls, capsys):
    """All runs are there: the same command writes the result, and searches nothing."""
    out = tmp_path / "out"
    with room_again():
        assert shell(out, Fill(out, 8, 100)) == 2
    told = capsys.readouterr().err
    assert str(out / "result.json") in told and "the same command" in told
    assert not (out / "result.json").exists()
    calls.clear()
    assert shell(out) == 0 and not calls
    assert (out / "result.json").exists()


def test_a_folder_that_cannot_be_made(make, everyone, shell, tmp_path, calls, capsys):
    """An error before the search begins. (Below a file, where no one may write.)"""
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "folder"
    with pytest.raises(NotADirectoryError, match="folder"):
        make().fit_subjects(everyone, checkpoint=folder)
    assert shell(folder) == 2
    assert str(folder) in capsys.readouterr().err
    assert not calls


@pytest.mark.skipif(sys.platform != "linux", reason="/sys is read-only for everyone on Linux")
def test_a_folder_that_has_become_read_only(make, everyone, tmp_path, calls):
    """An error before the search begins; a fit that is complete can still be read."""
    make().fit_subjects(everyone, checkpoint=tmp_path)
    (tmp_path / "runs").rename(tmp_path / "away")
    (tmp_path / "runs").symlink_to("/sys/kernel")
    calls.clear()
    with pytest.raises(OSError, match="cannot be written") as failure:
        make(best_of=2).fit_subjects(everyone, checkpoint=tmp_path)
    assert str(tmp_path) in str(failure.value) and not calls


def test_nothing_is_written_where_nothing_is_missing(make, everyone, tmp_path, monkeypatch):
    """So the runs of a complete fit can be read from a read-only disk."""
    whole = make().fit_subjects(everyone, checkpoint=tmp_path)
    before = sorted(os.listdir(tmp_path / "runs"))
    monkeypatch.setattr("jaxcmr.fitting._journal.Journal.open", None)
    again = make().fit_subjects(everyone, checkpoint=tmp_path)
    assert without_times(again) == without_times(whole)
    assert sorted(os.listdir(tmp_path / "runs")) == before
