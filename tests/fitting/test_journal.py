"""A journal: no damage to a file gives a wrong entry, and none loses a line that is whole."""

import json
import os
import random

import pytest

from jaxcmr.fitting._journal import Journal, from_line, to_line

ENTRIES = [{"run": i, "loss": 1 / (i + 1), "name": "Müller\n\u2028\ud800"} for i in range(5)]


@pytest.fixture
def text(tmp_path):
    """The bytes of a journal with a header and five entries."""
    journal = Journal(tmp_path / "first", {"host": "lab"})
    for entry in ENTRIES:
        journal.add(entry)
    journal.close()
    [path] = (tmp_path / "first").iterdir()
    return path.read_bytes()


def read(folder, text):
    """Return what is read from a journal of these bytes, and the count of lines set aside."""
    folder.mkdir(exist_ok=True)
    (folder / "a.jsonl").write_bytes(text)
    journal = Journal(folder, {})
    return entries_of(journal), journal.n_damaged


def entries_of(journal):
    """Return the entries that have been added, of all files."""
    return [entry for part in journal.read() for entry in part.entries]


def test_entries_come_back_as_they_were(tmp_path, text):
    """Numbers to the last bit; each line can be read as plain JSON."""
    assert read(tmp_path / "x", text) == (ENTRIES, 0)
    lines = [json.loads(line) for line in text.decode().splitlines()]
    assert lines[0]["header"] == {"host": "lab"} and lines[3]["loss"] == 1 / 3


def test_cut_anywhere(tmp_path, text):
    """As a kill, or a full disk, leaves it: the whole lines count, the rest is counted."""
    ends = [i for i, byte in enumerate(text) if byte == ord("\n")]
    for cut in range(len(text) + 1):
        found, n_damaged = read(tmp_path / "x", text[:cut])
        n_whole = sum(end <= cut for end in ends)  # a line that lacks only its end is whole
        assert found == ENTRIES[: max(n_whole - 1, 0)], cut
        assert n_damaged == (cut not in (0, *ends) and cut - 1 not in ends), cut


def test_flipped_bits_and_garbage(tmp_path, text):
    """Each entry that is found is one that was written, and most are found."""
    known, n_found = [json.dumps(entry) for entry in ENTRIES], 0
    rng = random.Random(0)
    for _ in range(300):
        damaged = bytearray(text)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(text))] ^= 1 << rng.randrange(8)
        damaged += rng.randbytes(rng.randint(0, 30))
        found, n_damaged = read(tmp_path / "x", bytes(damaged))
        assert all(json.dumps(entry) in known for entry in found)
        assert n_damaged > 0 or len(found) == len(ENTRIES)
        n_found += len(found)
    assert n_found > 300 * len(ENTRIES) / 2


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"a": 1}',
        b'{"a": 1, "crc32": "00000000"}',
        b"\xff\xfe",
        to_line({"a": 1})[:-1].replace(b"1,", b"2,"),
        b"[" * 100_000,
        to_line({"a": 1})[1:-1],
        b'{"a": NaN, "crc32": "zzzzzzzz"}',
    ],
)
def test_lines_that_are_set_aside(line):
    assert from_line(line) is None
    assert from_line(to_line({"a": 1})[:-1]) == {"a": 1}


def test_what_others_add_is_read_later(tmp_path):
    """Once; also a line that was half written the first time, by another process."""
    writer, reader = Journal(tmp_path, {}), Journal(tmp_path, {})
    writer.add({"run": 0})
    assert entries_of(reader) == [{"run": 0}] and entries_of(reader) == []
    [path] = tmp_path.iterdir()
    line = to_line({"run": 1})
    for piece in (line[:9], line[9:-1]):
        with path.open("ab") as file:
            file.write(piece)
        found = entries_of(reader)
    assert found == [{"run": 1}] and reader.n_damaged == 0
    with path.open("ab") as file:
        file.write(b"\n" + to_line({"run": 2}))
    assert entries_of(reader) == [{"run": 2}]
    writer.close()


def test_writers_have_files_of_their_own(tmp_path):
    """Two in one process, too."""
    writers = [Journal(tmp_path, {"number": i}) for i in range(2)]
    for i, writer in enumerate(writers):
        writer.add({"run": i})
        writer.close()
    both = Journal(tmp_path, {})
    assert sorted(entry["run"] for entry in entries_of(both)) == [0, 1]
    assert sorted(header["number"] for header in both.headers.values()) == [0, 1]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        Journal(tmp_path, {}).add({"run": 0})
    tmp_path.chmod(0o700)
