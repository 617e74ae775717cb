"""Mutated inputs are read or refused with a message, and nothing else happens.

See `fuzzer` for what is watched, and `fuzz_kinds` for what is mutated.
"""

import re
import sys

import fuzz_kinds
import pytest
from fuzzer import Outcome, fuzz

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the worker needs POSIX files")

SHARES = {
    "query": 20_000,
    "journal": 10_000,
    "arguments": 3_000,
    "config": 14_000,
    "result": 13_000,
    "npy": 6_000,
    "arrays": 8_000,
    "vectors": 3_000,
    "mat": 5_000,
    "mat73": 3_000,
    "h5": 4_000,
    "quail": 3_000,
    "frame": 2_000,
    "csv": 2_000,
    "tsv": 1_000,
    "json": 2_000,
    "bids": 1_000,
}
"""How many of 100,000 inputs are of each kind: more of those that are read faster."""


def check_outcome(outcome: Outcome) -> None:
    """Check that there is not a fault, and that every kind was both read and refused."""
    faults = [f"{fault.kind} {fault.number}: {fault.what}" for fault in outcome.faults]
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults[:20])
    for kind in SHARES:
        assert outcome.read[kind] > 0, f"every {kind} was refused"
        assert outcome.refused[kind] > 0, f"no {kind} was refused"


def test_every_kind_has_a_share():
    assert SHARES.keys() == fuzz_kinds.KINDS.keys()
    assert sum(SHARES.values()) == 100_000


def test_a_sample():
    """1,500 of the inputs below."""
    plan = {kind: range(max(30, share // 80)) for kind, share in SHARES.items()}
    check_outcome(fuzz(fuzz_kinds.__file__, plan))


@pytest.mark.slow
def test_a_hundred_thousand():
    plan = {kind: range(share) for kind, share in SHARES.items()}
    check_outcome(fuzz(fuzz_kinds.__file__, plan))


PROGRAM = """
import os, pickle, subprocess, time
from fuzzer import Kind, main

def kind(read):
    return Kind(lambda: ["valid"], lambda valid, rng: "mutant", lambda x: x == "valid" or read(x))

def fail(error):
    raise error

KINDS = {
    "read": kind(lambda x: x),
    "refused": kind(lambda x: fail(ValueError("not a table"))),
    "silent": kind(lambda x: fail(ValueError())),
    "bare": kind(lambda x: fail(KeyError("recalls"))),
    "crash": kind(lambda x: os.abort()),
    "hang": kind(lambda x: time.sleep(60)),
    "memory": kind(lambda x: bytearray(1 << 35)),
    "file": kind(lambda x: open("canary", "w").close()),
    "process": kind(lambda x: os.system("touch canary")),
    "pickle": kind(lambda x: pickle.loads(pickle.dumps(subprocess.Popen))),
}
main(KINDS)
"""

FOUND = {
    "silent": "ValueError without a message",
    "bare": "KeyError at .*: 'recalls'",
    "crash": "the process ended with -6",
    "hang": "no answer in 1 s",
    "memory": "MemoryError",
    "file": r"made the files \['canary'\]",
    "process": "did .*os.system",
    "pickle": "did .*pickle.find_class",
}


def test_each_fault_is_found(tmp_path):
    """A worker goes on behind an input that ends or stops it, and the faults are named."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    kinds = ["read", "refused", *FOUND]
    outcome = fuzz(str(program), dict.fromkeys(kinds, range(2)), seconds=1)
    assert outcome.read == {"read": 2} and outcome.refused == {"refused": 2}
    for kind, what in FOUND.items():
        if kind == "memory" and not sys.platform.startswith("linux"):
            continue
        found = [fault.what for fault in outcome.faults if fault.kind == kind]
        assert len(found) == 2, (kind, found)
        assert re.search(what, found[0]), found
