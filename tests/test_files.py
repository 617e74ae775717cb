"""Files appear complete or not at all, and keep links and permissions."""

import os
import stat
import subprocess
import sys

import pytest

from jaxcmr.files import read_text, replace_file, write_text


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def write(path, text):
    with replace_file(path) as draft:
        draft.write_text(text)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_write_leaves_the_older_file_and_no_litter(tmp_path, error):
    """Ctrl-C in the middle of writing must not cost the result of an earlier run."""
    path = tmp_path / "result.json"
    for before in (None, "complete"):
        if before is not None:
            path.write_text(before)
        with pytest.raises(error), replace_file(path) as draft:
            draft.write_text("half")
            raise error
        assert [file.read_text() for file in tmp_path.iterdir()] == ([before] if before else [])


def test_the_older_file_stays_until_the_new_one_is_complete(tmp_path):
    """A program that reads in the meantime, or has the file open, sees the older one."""
    path = tmp_path / "result.json"
    path.write_text("older")
    with path.open() as reader, replace_file(path) as draft:
        draft.write_text("newer")
        assert path.read_text() == "older"
        assert draft.name == path.name, "libraries choose a format by the suffix"
    assert path.read_text() == "newer"
    assert reader.closed
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    """Results are often linked to a larger disk: the file there must hold the new data."""
    folder = tmp_path / "disk"
    folder.mkdir()
    for target in (folder / "there.txt", folder / "new.txt"):
        link = tmp_path / f"link-{target.name}"
        if target.name == "there.txt":
            target.write_text("older")
        link.symlink_to(target)
        write(link, "newer")
        assert link.is_symlink()
        assert not target.is_symlink()
        assert target.read_text() == "newer"
    assert sorted(file.name for file in folder.iterdir()) == ["new.txt", "there.txt"]


def test_permissions_are_kept_and_new_files_have_the_usual_ones(tmp_path):
    """0600 made 0644 shows private data to all; `mkstemp` would hide new files from colleagues."""
    private, new, usual = tmp_path / "private", tmp_path / "new", tmp_path / "usual"
    private.write_text("older")
    private.chmod(0o600)
    usual.touch()
    write(private, "newer")
    write(new, "first")
    assert mode_of(private) == 0o600
    assert mode_of(new) == mode_of(usual)


def test_a_file_that_cannot_be_replaced_is_an_error(tmp_path, monkeypatch):
    """Moving a file over /dev/null would break the machine; read-only files are kept."""
    with pytest.raises(ValueError, match="is a folder or a device"):
        write(tmp_path, "text")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is a folder or a device"):
        write(tmp_path / "pipe", "text")
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; create it first"):
        write(tmp_path / "nowhere" / "file", "text")
    kept = tmp_path / "kept"
    kept.write_text("older")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everything
    with pytest.raises(PermissionError, match="kept is read-only"):
        write(kept, "newer")
    assert kept.read_text() == "older"
    assert len(list(tmp_path.iterdir())) == 2


def test_text_is_utf_8_wherever_it_is_written(tmp_path):
    write_text(tmp_path / "text", "Müller\n")
    assert (tmp_path / "text").read_bytes() == "Müller\n".encode()
    assert read_text(tmp_path / "text") == "Müller\n"


def test_a_name_that_was_not_decoded_is_written_as_its_bytes(tmp_path):
    """Under LANG=C the name étude.h5 is read with surrogates; they stand for its UTF-8 bytes."""
    name = "étude.h5".encode().decode("ascii", "surrogateescape")
    write_text(tmp_path / "config.toml", f'data = "{name}"')
    assert read_text(tmp_path / "config.toml") == 'data = "étude.h5"'


@pytest.mark.parametrize("text", ["\udce9tude.h5", "\ud800"])
def test_text_that_is_not_utf_8_leaves_no_empty_file(tmp_path, text):
    """An empty config.toml left behind would block its folder. \\xe9 is é in Latin-1."""
    with pytest.raises(ValueError, match=r"config\.toml cannot be written as UTF-8.*PYTHONUTF8=1"):
        write_text(tmp_path / "config.toml", text)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "encoding, is_read",
    [("utf-8", True), ("utf-8-sig", True), ("latin-1", False), ("utf-16", False)]
    + [(name, False) for name in ("utf-16-le", "utf-16-be", "utf-32")],
)
def test_text_is_read_as_utf_8_only(tmp_path, encoding, is_read):
    """Notepad writes a byte-order mark, PowerShell UTF-16."""
    path = tmp_path / "config.toml"
    # Without a byte-order mark, only null characters tell UTF-16 with plain letters from UTF-8.
    name = "Mueller" if encoding.endswith(("le", "be")) else "Müller"
    path.write_bytes(f"name = '{name}'\r\n".encode(encoding))
    if is_read:
        assert read_text(path) == "name = 'Müller'\n"
    else:
        with pytest.raises(ValueError, match=r"config\.toml is not UTF-8.*save it as UTF-8"):
            read_text(path)


def test_importing_it_is_cheap():
    """The command line imports it for every command."""
    code = "import jaxcmr.files, sys; assert not {'numpy', 'h5py', 'jax'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
