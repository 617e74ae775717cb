"""Tell what a file seems to be, for messages about files that cannot be read."""

from __future__ import annotations

import codecs
from pathlib import Path

HDF5 = b"\x89HDF\r\n\x1a\n"
BEGINNINGS = {
    HDF5: "an HDF5 file; if it is named .h5, it is damaged",
    b"MATLAB 7.3": "a MATLAB file of version 7.3; if it is named .mat, it is damaged",
    b"MATLAB 5.0": (
        "a MATLAB file older than version 7.3; save it with '-v7.3' in MATLAB, or read it with "
        "scipy.io.loadmat and pass the arrays to check_data"
    ),
    b"PK": "a zip archive, as .xlsx and .npz files are",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"\x93NUMPY": "a NumPy array; read it with numpy.load",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
}


def describe_format(path: Path) -> str:
    """Return what the first bytes of a file say that it is, as the end of a sentence."""
    with open(path, "rb") as file:
        head = file.read(4096)
    if not head:
        return "it is empty"
    for beginning, description in BEGINNINGS.items():
        if head.startswith(beginning):
            return f"it seems to be {description}"
    try:
        is_text = "\0" not in codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        is_text = False
    if is_text:
        return "it seems to be text; a psifr table is named .csv, .tsv or .txt"
    return "damaged, or another format?"
