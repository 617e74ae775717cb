"""The kinds of input that the package reads, for the fuzzer.

A new kind is one more entry of `KINDS`, and its share in `test_fuzz`. For a file of lines that is
read by its path: `Kind(make_valid_files, mutate_bytes, read_it, "name.jsonl")`.

`python tests/fuzz_kinds.py show KIND NUMBER` shows an input and reads it.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zlib
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import fuzzer
import h5py
import numpy as np
import pandas as pd
import tomli_w
from fuzz_mutations import (
    CODE,
    FLOATS,
    NUMBERS,
    TOKENS,
    mutate_arrays,
    mutate_bytes,
    mutate_rows,
    mutate_text,
    mutate_tree,
)
from fuzzer import Kind
from scipy.io import savemat

from jaxcmr.cli._config import read_config
from jaxcmr.cli._parsers import make_parser
from jaxcmr.cli._settings import gather_settings
from jaxcmr.datasets import (
    align_features,
    check_data,
    from_psifr,
    from_quail,
    generate_trial_mask,
    load,
    save_data,
)
from jaxcmr.fitting._journal import Journal, to_line
from jaxcmr.front._sources import load_features
from jaxcmr.results import FitResult

Array = np.ndarray

HEADER = ["subject", "list", "trial_type", "position", "item"]
EVENTS = [
    *[(1, 1, "study", 1, "oak"), (1, 1, "study", 2, "elm"), (1, 1, "study", 3, "yew")],
    *[(1, 1, "recall", 1, "yew"), (1, 1, "recall", 2, "oak"), (1, 1, "recall", 3, "yew")],
    *[(1, 2, "study", 1, "fig"), (1, 2, "study", 2, "oak"), (1, 2, "recall", 1, "pen")],
    *[(2, 1, "study", 1, "elm"), (2, 1, "study", 2, "bay"), (2, 1, "recall", 1, "bay")],
]
FIELDS: dict[str, Any] = {
    "subject": [1, 1, 2],
    "listLength": [3, 2, 2],
    "pres_itemnos": [[1, 2, 3], [1, 2, 0], [1, 2, 0]],
    "recalls": [[3, 1, 0], [0, 0, 0], [2, 0, 0]],
    "pres_itemids": [[5, 2, 7], [3, 5, 0], [2, 1, 0]],
    "pres_items": [["oak", "elm", "yew"], ["fig", "oak", ""], ["elm", "bay", ""]],
    "rt": [[0.5, 2.5, np.nan], [np.nan] * 3, [1.0, np.nan, np.nan]],
}
NUMERIC = {name: values for name, values in FIELDS.items() if name != "pres_items"}


def check_loaded(data: Mapping[str, Array]) -> None:
    """Check that data are a data set that stays as it is when it is checked again."""
    checked = check_data(data)
    for name, values in data.items():
        assert checked[name].dtype == values.dtype and checked[name].shape == values.shape, name


def load_checked(source: Any) -> None:
    check_loaded(load(source))


def either(*mutations: Callable[[Any, Random], Any]) -> Callable[[Any, Random], Any]:
    """Return a mutation that is one of several, chosen at random."""
    return lambda valid, rng: rng.choice(mutations)(valid, rng)


# Tables in text


def to_text(rows: Sequence[Sequence[Any]], separator: str) -> bytes:
    """Return rows as a file of text; cells are quoted now and then by those who write them."""
    text = "\n".join(separator.join(map(str, row)) for row in rows) + "\n"
    return text.encode("utf-8", "surrogatepass")


def mutates_table(separator: str) -> Callable[[bytes, Random], bytes]:
    """Return a mutation of a file of text: of its cells or of its bytes."""

    def mutate(content: bytes, rng: Random) -> bytes:
        if rng.randrange(2):
            return mutate_bytes(content, rng)
        rows = [line.split(separator) for line in content.decode().splitlines()]
        return to_text(mutate_rows(rows, rng, TOKENS), separator)

    return mutate


def make_tables() -> list[list[Sequence[Any]]]:
    """Return tables of psifr: with items as words, as numbers, and with more columns."""
    numbers = [(*event[:4], len(event[4]) + ord(event[4][0])) for event in EVENTS]
    more = [(*event, f"s{event[0]}", place / 4) for place, event in enumerate(EVENTS)]
    return [[HEADER, *EVENTS], [HEADER, *numbers], [[*HEADER, "session", "rt"], *more]]


def make_text(separator: str) -> list[bytes]:
    """Return the tables of psifr as files of text."""
    return [to_text(rows, separator) for rows in make_tables()]


def make_bids() -> list[bytes]:
    """Return a file of a BIDS folder."""
    header = ["onset", "trial_type", "item_name", "list", "serialpos"]
    types = {"study": "WORD", "recall": "REC_WORD"}
    events = [event[1:] for event in EVENTS if event[0] == 1]
    rows = [[types[kind], item, number, place] for number, kind, place, item in events]
    return [to_text([header, *([n, *row] for n, row in enumerate(rows))], "\t")]


# Tables and arrays in memory

CELLS = [
    *TOKENS, *NUMBERS, *FLOATS, None, [], ["oak"], {}, {"item": 1}, (), b"oak", 1j, pd.NaT, pd.NA,
    pd.Timestamp("2020-01-01"), pd.Timedelta("1s"), np.int8(1), np.float32(2), np.array([1, 2]),
    np.datetime64("NaT"), np.ma.masked, np.uint64(2**64 - 1), np.longdouble(1), object, len, set(),
]  # fmt: skip


def mutate_frame(rows: Sequence[Sequence[Any]], rng: Random) -> pd.DataFrame:
    """Return a table of mutated rows, now and then with types that pandas has for a column."""
    header, *rest = mutate_rows(rows, rng, CELLS)
    names = [tuple(each) if isinstance(each, list) else each for each in header]
    names = [repr(each) if isinstance(each, dict | set | Array) else each for each in names]
    columns = [np.empty(len(rest), object) for _ in names]
    for place, column in enumerate(columns):
        for row, cells in enumerate(rest):
            column[row] = cells[place]
    table = pd.concat(
        [pd.Series(column, dtype=object) for column in columns], axis=1, keys=range(len(names))
    )
    if rng.randrange(3):
        table = table.infer_objects()
    table.columns = pd.Index(names, dtype=object)
    if rng.randrange(4) == 0:
        place = rng.randrange(len(names))
        kind = rng.choice(
            ["category", "string", "Int8", "Int64", "Float64", "boolean", "complex", "bool"]
        )
        with suppress(ValueError, TypeError, OverflowError):
            table.isetitem(place, table.iloc[:, place].astype(kind))
    if rng.randrange(6) == 0:
        table.index = pd.Index(rng.choices([0, "a", 2.5], k=len(table)))
    return table


def make_eggs() -> list[Any]:
    """Return the two tables of an Egg as rows of subject, list and cells."""
    pres = [[0, 0, {"item": "oak"}, {"item": "elm", "size": 2}], [0, 1, {"item": "fig"}, None]]
    return [(pres, [[0, 0, {"item": "elm"}, None], [0, 1, "pen", {"item": "fig"}]])]


def mutate_egg(egg: Any, rng: Random) -> Namespace:
    """Return an Egg whose tables have mutated cells and indices."""
    tables = list(egg)
    tables[rng.randrange(2)] = mutate_rows(tables[rng.randrange(2)], rng, CELLS)
    return Namespace(pres=to_egg_table(tables[0]), rec=to_egg_table(tables[1]))


def to_egg_table(rows: Sequence[Sequence[Any]]) -> Any:
    cells = np.empty((len(rows), 2), object)
    for row, values in enumerate(rows):
        cells[row, 0], cells[row, 1] = values[2], values[3]
    try:
        index = pd.MultiIndex.from_tuples(
            [tuple(row[:2]) for row in rows], names=["Subject", "List"]
        )
    except (TypeError, ValueError):
        return None
    return pd.DataFrame(cells, index=index)


def read_egg(egg: Any) -> None:
    egg = (
        egg
        if isinstance(egg, Namespace)
        else Namespace(pres=to_egg_table(egg[0]), rec=to_egg_table(egg[1]))
    )
    check_loaded(from_quail(egg))


def read_frame(table: Any) -> None:
    if not isinstance(table, pd.DataFrame):
        table = pd.DataFrame(table[1:], columns=table[0])
    check_loaded(from_psifr(table))


# Binary files


def to_hdf5(fields: Mapping[str, Any], attributes: Mapping[str, Any] = {}) -> bytes:
    """Return fields as an HDF5 file; what HDF5 cannot store is left out."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("data")
        for name, values in fields.items():
            array = np.asarray(values)
            if array.dtype.kind == "U":
                array = array.astype(h5py.string_dtype())
            try:
                group[name] = array.T
                group[name].attrs.update(attributes)
            except (TypeError, ValueError, RuntimeError, OSError):
                continue
    return buffer.getvalue()


def make_hdf5() -> list[bytes]:
    """Return files of the package, with a fingerprint and compression, and plain ones."""
    path = Path("valid.h5")
    save_data({name: values for name, values in FIELDS.items()}, path)
    content = path.read_bytes()
    path.unlink()
    matlab = {"MATLAB_class": np.bytes_("double")}
    return [content, to_hdf5(FIELDS), to_hdf5(NUMERIC, matlab)]


ATTRIBUTES: list[dict[str, Any]] = [
    {"MATLAB_class": np.bytes_(name)}
    for name in (b"double", b"logical", b"char", b"cell", b"", b"\xff")
]
ATTRIBUTES += [
    {"MATLAB_class": 7},
    {"MATLAB_empty": [1, 2]},
    {"fingerprint": "x"},
    {"MATLAB_sparse": 3},
]


def mutate_hdf5(content: bytes, rng: Random) -> bytes:
    """Return a damaged file, or a sound one of mutated arrays."""
    if rng.randrange(3):
        return mutate_bytes(content, rng)
    return to_hdf5(mutate_arrays(rng.choice([FIELDS, NUMERIC]), rng), rng.choice([{}, *ATTRIBUTES]))


TRIALS = {
    "subject": [1, 1, 2],
    "pres_itemnos": [[7, 9, 4], [9, 2, 1], [4, 7, 2]],
    "recalls": [[3, -1, 1], [1, 0, 0], [2, 3, 2]],
    "rec_itemnos": [[4, 8, 7], [9, 0, 0], [7, 2, 7]],
    "times": [[0.1, 0.2, 0.3], [0.1, np.nan, np.nan], [1.0, 2.0, 3.0]],
}
WORDS = np.array([["oak", "elm"], ["fig", "bay"], ["yew", "oak"]], object)


def to_mat(variables: Mapping[str, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, dict(variables), **options)
    return b"MATLAB 5.0 MAT-file".ljust(116) + buffer.getvalue()[116:]  # without the time


def make_mat() -> list[Any]:
    """Return files of versions 4 and 5: structures of trials, of words, and of events."""
    words = {"subject": [1, 1, 2], "pres_items": WORDS, "recalls": [[1, 2], [2, 0], [-1, 1]]}
    types = {"study": "WORD", "recall": "REC_WORD"}
    columns = ("subject", "list", "type", "serialpos", "item")
    events = np.array(
        [(s, n, types[kind], place, item) for s, n, kind, place, item in EVENTS],
        dtype=[(name, object) for name in columns],
    )
    session = np.array(
        [(*row, 0) for row in events.tolist()], [*events.dtype.descr, ("session", "O")]
    )
    trials = {name: np.array(values, float) for name, values in TRIALS.items()}
    return [to_mat({"data": trials}), to_mat({"data": words}), to_mat({"events": session})]


def mutate_mat(content: bytes, rng: Random) -> bytes:
    """Return a damaged file, with what is damaged compressed or not, or one of mutated arrays."""
    match rng.randrange(4):
        case 0:
            return mutate_bytes(content, rng)
        case 1:  # of one compressed element
            damaged = zlib.compress(mutate_bytes(content[128:], rng))
            return content[:128] + struct.pack("<II", 15, len(damaged)) + damaged
        case 2:
            damaged = mutate_bytes(struct.pack("<II", 15, 0) + zlib.compress(content[128:]), rng)
            return content[:128] + damaged
    try:
        fields = {k: v for k, v in mutate_arrays(TRIALS, rng).items() if k.isidentifier()}
        return to_mat({"data": fields}, do_compression=rng.random() < 0.5)
    except Exception:  # what MATLAB cannot hold
        return mutate_bytes(content, rng)


def make_mat73() -> list[bytes]:
    """Return files of version 7.3: trials, and trials with words in cells."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("data")
        for name, values in (("subject", [1, 1, 2]), ("recalls", [[1, 2], [2, 0], [-1, 1]])):
            group[name] = np.array(values, float).T
            group[name].attrs["MATLAB_class"] = np.bytes_("double")
        cells = np.empty(WORDS.shape, h5py.ref_dtype)
        for place, word in np.ndenumerate(WORDS):
            letters = file.create_dataset(
                f"#refs#/w{place[0]}{place[1]}", data=[[ord(c)] for c in word]
            )
            letters.attrs["MATLAB_class"] = np.bytes_("char")
            cells[place] = letters.ref
        group["pres_items"] = cells.T
        group["pres_items"].attrs["MATLAB_class"] = np.bytes_("cell")
    return [buffer.getvalue(), to_hdf5(TRIALS, {"MATLAB_class": np.bytes_("double")})]


def mutate_mat73(content: bytes, rng: Random) -> bytes:
    if rng.randrange(3):
        return mutate_bytes(content, rng)
    return to_hdf5(mutate_arrays(TRIALS, rng), rng.choice(ATTRIBUTES))


# Features

VECTORS = [
    ["", "a", "b"],
    *[[w, n, 0.5] for n, w in enumerate(["oak", "elm", "yew", "fig", "bay", "pen"])],
]


def read_features(path: Path) -> None:
    """Read features and line them up with words; they are numbers with a row per item."""
    features = align_features(check_data(FIELDS), load_features(path))
    assert isinstance(features, Array) and features.dtype.kind in "biuf", type(features)


class Attack:
    """What a pickle could hold: code that makes a file when it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, ("open('canary', 'w')",))


def make_npy() -> list[bytes]:
    arrays = [np.arange(14.0).reshape(7, 2), np.ones((7, 3), "f4")]
    files = [io.BytesIO() for _ in arrays]
    for file, array in zip(files, arrays, strict=True):
        np.save(file, array)
    return [file.getvalue() for file in files]


def mutate_npy(content: bytes, rng: Random) -> bytes:
    match rng.randrange(6):
        case 0:
            return pickle.dumps(Attack())
        case 1:
            file = io.BytesIO()
            np.save(file, np.array([Attack()], object), allow_pickle=True)
            return mutate_bytes(file.getvalue(), rng) if rng.randrange(2) else file.getvalue()
        case 2:
            file = io.BytesIO()
            np.savez(file, a=np.ones(3), b=np.array([Attack()], object))
            return file.getvalue()
        case 3:
            file = io.BytesIO()
            np.save(
                file, mutate_arrays({"a": np.ones((7, 2))}, rng).popitem()[1], allow_pickle=True
            )
            return file.getvalue()
    return mutate_bytes(content, rng)


# Text in a grammar

QUERY_FIELDS = {
    **FIELDS,
    "kind": ["mixed", "pure", "mixed"],
    "session": [1, 2, 1],
    "day": [0.5, np.nan, 2],
}
NAMES = [
    "subject",
    "data['recalls'][:, 0]",
    "recalls",
    "day",
    "kind",
    "session",
    "data['rt']",
    "rt[:, 1:]",
]
LITERALS = [
    "1",
    "2",
    "0",
    "-1",
    "0.5",
    "1e400",
    "2**9**9",
    "9" * 30,
    "True",
    "'mixed'",
    "'1'",
    "None",
    "1j",
    "b'a'",
    "...",
]
OPERATORS = [
    *("==", "!=", "<", "<=", ">", ">=", "and", "or", "&", "|", "+", "-", "*", "/", "//", "%"),
    *("in", "not in", "is", "**", "<<", ">>", "@", "^", ":=", ","),
]
CALLS = [
    *("np.isin({}, {})", "np.logical_and({}, {})", "np.logical_not({})", "np.logical_xor({}, {})"),
    *("not {}", "~{}", "-{}", "({})", "({})", "[{}, {}]", "{}[{}]", "{}[:, {}]", "*{}", "len({})"),
    *("np.load({})", "open({}, 'w')", "{}.__class__", "{}.tofile('canary')", "f'{{{}}}'"),
    *("[{} for x in {}]", "(lambda: {})()", "{} if {} else 0", "{{{}: {}}}"),
]


def make_query(rng: Random, depth: int = 0) -> str:
    """Return a query of a grammar in which most rules are allowed."""
    kind = rng.randrange(4 if depth < 4 else 1)
    if kind == 0:
        return rng.choice(
            NAMES if rng.randrange(2) else LITERALS + [rng.choice(CODE)][: rng.randrange(9) == 0]
        )
    parts = [make_query(rng, depth + 1), make_query(rng, depth + 1)]
    if kind == 1:
        return rng.choice(CALLS).format(*parts)
    return f"({parts[0]} {rng.choice(OPERATORS[: rng.choice([6, 16, 99])])} {parts[1]})".replace(
        ",", " "
    )


def mutate_query(valid: str, rng: Random) -> str:
    match rng.randrange(6):
        case 0 | 4 | 5:
            return mutate_text(valid, rng, [*TOKENS, *NAMES, *LITERALS, *OPERATORS])
        case 1:
            return mutate_text(make_query(rng), rng)
        case 2 if rng.randrange(10) == 0:
            times = rng.choice([90, 900, 9000])
            before, after = rng.choice(
                [("(", ")"), ("not ", ""), ("-", ""), ("~", ""), ("[", "]"), ("1+", "")]
            )
            return before * times + valid + after * times
    return make_query(rng)


def read_query(query: str) -> None:
    mask = generate_trial_mask(QUERY_FIELDS, query)
    assert mask.shape == (3,) and mask.dtype == bool


CONFIG = {
    "data": "study.csv", "model": "cmr", "loss": "sequence_likelihood", "where": "subject == 1",
    "subjects": [1, 2], "pooled": False, "seed": 3, "start_from": ["../a/result.json"],
    "fixed": {"learning_rate": 0.5}, "bounds": {"primacy_scale": [0.0, 100.0]},
    "search": {"preset": "thorough", "num_steps": 10, "seed": 4}, "precision": "float32",
    "hyperparameters": {"best_of": 2, "progress_bar": True},
}  # fmt: skip


def mutate_config(valid: bytes, rng: Random) -> bytes:
    """Return a TOML file of mutated settings or of mutated text."""
    if rng.randrange(2):
        with suppress(Exception):  # TOML cannot hold all, such as None
            return tomli_w.dumps(mutate_tree(CONFIG, rng)).encode()
    text = mutate_text(valid.decode(), rng)
    return (
        mutate_bytes(text.encode("utf-8", "surrogatepass"), rng)
        if rng.randrange(3) == 0
        else text.encode("utf-8", "replace")
    )


RUN = {
    "run": 0, "origin": "random", "seconds": 1.5,
    "loss": 7.0, "estimates": {"a": 0.5}, "scale": {"a": "linear"}, "gradient": {"a": 1e-8},
    "at_bound": {}, "at_rest": True, "loss_before_polish": 8.0, "generations": 9,
    "evaluations": 90, "stopped": "tolerance", "polish": "converged",
}  # fmt: skip
RESULT = {
    "schema": 2, "model": "cmr", "loss": "sequence_likelihood", "fitness": [7.0, 9.0],
    "fits": {"a": [0.5, 0.25], "b": [1.0, 1.0], "subject": [1, 2]}, "free": {"a": [0.0, 1.0]},
    "fixed": {"b": 1.0}, "runs": [[RUN, RUN], [RUN]], "converged": [True, False], "nit": [9, 9],
    "nfev": [90, 90], "n_trials": [3, 4], "n_events": [12, 13], "trials": [[[0, 3]], [[3, 7]]],
    "hyperparameters": {"best_of": 2}, "fit_time": 1.5, "pooled": False, "agree_within": 0.05,
    "loss_label": "NLL", "counted": "recalled sets", "interrupted": False,
}  # fmt: skip


def mutate_json(valid: bytes, rng: Random) -> bytes:
    """Return a JSON file of a mutated tree, or with mutated text or bytes."""
    if rng.randrange(3):
        return json.dumps(mutate_tree(json.loads(valid), rng)).encode()
    if rng.randrange(10) == 0:
        return rng.choice([b"[", b'{"fits":', b"[[],"]) * rng.choice([90, 2000, 200_000])
    text = mutate_text(valid.decode(), rng).encode("utf-8", "surrogatepass")
    return mutate_bytes(text, rng) if rng.randrange(2) else text


def read_result(path: Path) -> None:
    """Load a result and show it."""
    result = FitResult.load(path)
    result.table()
    result.runs_table()
    repr(result)


def make_events() -> list[bytes]:
    """Return events as JSON has them, as records and by column."""
    types = {"study": "WORD", "recall": "REC_WORD"}
    records = [
        {"subject": f"R{s}", "session": 0, "list": n, "type": types[kind], "item_name": item}
        for s, n, kind, _, item in EVENTS
    ]
    columns = {name: [row[name] for row in records] for name in records[0]}
    return [json.dumps(records).encode(), json.dumps(columns).encode()]


COMMANDS = [
    "fit study.csv --model cru --where subject==1 --subjects 1,2 --fixed a=0.5 --bounds b=0:1",
    "fit --no-progress --pooled --search quick --best-of 3 --seed 4 --out here",
    "models cmr --json", "check study.h5 --quiet", "convert a.csv b.h5 --force",
    "diagnose r --strict --quick --copies 9", "simulate r --vary a=0.1,0.5 --draws d.csv",
    "plot r --figure sweep --vary a=1,2 --measure lag_crp --format pdf", "completion bash",
    "report r --no-data --title T --out r.html",
]  # fmt: skip


def mutate_arguments(valid: list[str], rng: Random) -> list[str]:
    others = [
        *TOKENS,
        *(word for each in COMMANDS for word in each.split()),
        "--help",
        "--version",
        "--",
        "-",
    ]
    rows = [[word] for word in valid]
    words = [row[0] for row in mutate_rows([[""], *rows], rng, others)][1:]
    if words and rng.randrange(3) == 0:
        at = rng.randrange(len(words))
        words[at] = mutate_text(words[at], rng)
    return words


def read_arguments(words: list[str]) -> None:
    """Parse arguments. The parser ends the program after --help (0) and after a mistake (2)."""
    try:
        options = make_parser().parse_args(words)
    except SystemExit as end:
        assert end.code in (0, 2), end.code
        raise ValueError("told by the parser") from None
    if options.command == "fit":
        gather_settings(options)


QUERIES = [
    "subject == 1 and kind in ['mixed', 'pure']",
    "data['recalls'][:, 0] > 0",
    "(session // 2 == 0) | np.isin(subject, [1, 2]) & ~(1 <= day < 2)",
    "not (kind != 'mixed' or subject * 2 - 1 in [1, 3])",
]
BIDS = "sub-01_ses-0_task-free_beh.tsv"

# Journals

RUNS = [{"subject": s, "fit": "", "number": n, "record": {"loss": 7.25 + n}} for s in (3, "a")
        for n in range(3)]  # fmt: skip


def make_journal() -> list[bytes]:
    """Return a journal of six runs."""
    return [b"".join(map(to_line, [{"header": {"host": "lab"}}, *RUNS]))]


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a journal, which are among those that were written.

    Raises:
        ValueError: lines were set aside. (The journal itself says so, and reads the others.)
    """
    journal = Journal(path.parent, {})
    entries = [entry for part in journal.read() for entry in part.entries]
    assert all(entry in RUNS for entry in entries), entries
    if journal.n_damaged:
        raise ValueError(f"{journal.n_damaged} lines are damaged.")
    return entries


KINDS: dict[str, Kind] = {
    "csv": Kind(partial(make_text, ","), mutates_table(","), load_checked, "study.csv"),
    "tsv": Kind(partial(make_text, "\t"), mutates_table("\t"), load_checked, "study.tsv"),
    "bids": Kind(make_bids, mutates_table("\t"), lambda path: load_checked(path.parent), BIDS),
    "frame": Kind(make_tables, mutate_frame, read_frame),
    "arrays": Kind(lambda: [FIELDS], mutate_arrays, load_checked),
    "quail": Kind(make_eggs, mutate_egg, read_egg),
    "h5": Kind(make_hdf5, mutate_hdf5, load_checked, "study.h5"),
    "mat": Kind(make_mat, mutate_mat, load_checked, "study.mat"),
    "mat73": Kind(make_mat73, mutate_mat73, load_checked, "study.mat"),
    "json": Kind(make_events, mutate_json, load_checked, "events.json"),
    "vectors": Kind(lambda: [to_text(VECTORS, ",")], mutates_table(","), read_features, "v.csv"),
    "npy": Kind(make_npy, mutate_npy, read_features, "vectors.npy"),
    "query": Kind(lambda: QUERIES, mutate_query, read_query),
    "config": Kind(lambda: [tomli_w.dumps(CONFIG).encode()], mutate_config, read_config, "c.toml"),
    "result": Kind(lambda: [json.dumps(RESULT).encode()], mutate_json, read_result, "r.json"),
    "journal": Kind(make_journal, mutate_bytes, read_journal, "runs.jsonl"),
    "arguments": Kind(
        lambda: [each.split() for each in COMMANDS], mutate_arguments, read_arguments
    ),
}
"""Every kind of input by name."""

if __name__ == "__main__":
    fuzzer.main(KINDS)
