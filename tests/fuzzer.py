"""Give mutated inputs to readers of files and text, in a process that is watched.

A *kind* of input has valid inputs, a function that mutates one, and a function that reads the
mutant. Input number n of a kind is the same in every process, so a fault is named by both:
`python tests/fuzz_kinds.py show KIND NUMBER` shows the input and the traceback.

A reader may return, or raise what the command line catches, with a message. Any other exception is
a fault; so are a warning, a crash, a process that gives no answer, memory beyond the limit, a file
or a process that the input makes, and a pickle that is opened.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

ALLOWED = (ValueError, OSError, ImportError)
"""What readers may raise, with a message: the command line prints it and exits with 2."""

MEMORY = 1 << 30
"""Bytes that a worker may add to those that it has after its imports."""

SECONDS = 20.0
"""Time for one input: a thousand times what most take, since the machine may be busy."""

FORBIDDEN = {
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen"),
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "pickle.find_class"),
    *("socket.connect", "socket.getaddrinfo", "urllib.Request"),
}
"""Events of Python's audit that an input must not cause; nor may it open a file to write."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Kind(NamedTuple):
    """A kind of input."""

    valid: Callable[[], Sequence[Any]]
    """Return valid inputs, of which mutants are made."""
    mutate: Callable[[Any, Random], Any]
    """Return a mutant of a valid input."""
    read: Callable[[Any], object]
    """Read a mutant, or the file that holds it."""
    file: str = ""
    """The name of the file, if mutants are bytes to be read from one."""


class Fault(NamedTuple):
    """An input that was neither read nor refused with a message."""

    kind: str
    number: int
    what: str


class Outcome(NamedTuple):
    """What became of all inputs: faults, and the number read and refused by kind."""

    faults: list[Fault]
    read: Counter[str]
    refused: Counter[str]


def fuzz(program: str, plan: Mapping[str, range], seconds: float = SECONDS) -> Outcome:
    """Run the inputs of a plan in worker processes and return what became of them.

    A worker goes through the inputs in order and writes down where it is. If it dies, or stays at
    one input for too long, this input is a fault and a new worker goes on behind it.

    Args:
        program: a Python file that calls `main` with its kinds.
        plan: the numbers of the inputs by kind.
        seconds: time for one input.
    """
    outcome = Outcome([], Counter(), Counter())
    inputs = [(kind, number) for kind, numbers in plan.items() for number in numbers]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder, start = Path(name), 0
        (folder / "plan").write_text(json.dumps([[k, n.start, n.stop] for k, n in plan.items()]))
        while start < len(inputs):
            at, died = watch_worker(program, folder, start, seconds)
            if died:
                outcome.faults.append(Fault(*inputs[at], died))
            start = at + 1
        for line in (folder / "report").read_text().splitlines():
            kind, number, word = json.loads(line)
            if word in ("read", "refused"):
                getattr(outcome, word)[kind] += 1
            else:
                outcome.faults.append(Fault(kind, number, word))
    return outcome


def watch_worker(program: str, folder: Path, start: int, seconds: float) -> tuple[int, str]:
    """Run a worker and return the last input it was at, and how it died, "" if it ended."""
    place = folder / "at"
    place.write_text("")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    # The package beside these tests comes before one that is installed.
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    command = [sys.executable, program, "work", str(folder), str(start)]
    with (
        open(folder / "errors", "wb") as errors,
        subprocess.Popen(
            command,
            stdout=errors,
            stderr=errors,
            env={**os.environ, **threads, "PYTHONPATH": paths},
        ) as worker,
    ):
        last, since = "", time.monotonic()
        while worker.poll() is None:
            at = place.read_text()
            if at != last:
                last, since = at, time.monotonic()
            elif time.monotonic() - since > seconds:
                worker.kill()
                return int(at or start), f"no answer in {seconds:g} s"
            time.sleep(0.02)
    said = (folder / "errors").read_text(errors="replace").strip()
    if worker.returncode == 1 or not place.read_text():
        raise RuntimeError(f"The worker of {program} failed by itself: {said[-2000:]}")
    lines = said.splitlines()
    what = f"the process ended with {worker.returncode}: {' '.join(lines[:1] + lines[-1:])}"
    return int(place.read_text()), what if worker.returncode else ""


def main(kinds: Mapping[str, Kind]) -> None:
    """Do what the command line says: ``work FOLDER START``, or ``show KIND NUMBER``."""
    command, *rest = sys.argv[1:]
    if command == "work":
        return work(kinds, Path(rest[0]), int(rest[1]))
    kind = kinds[rest[0]]
    mutant = make_mutant(rest[0], kind, int(rest[1]))
    print(f"{mutant!r:.20000}")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        print(kind.read(to_file(kind, mutant)))


def make_mutant(name: str, kind: Kind, number: int) -> Any:
    """Return input `number` of a kind."""
    valid = valid_inputs(kind)
    with warnings.catch_warnings(action="ignore"):
        return kind.mutate(valid[number % len(valid)], Random(f"{name} {number}"))


@cache
def valid_inputs(kind: Kind) -> Sequence[Any]:
    """Return the valid inputs of a kind, which are made once in a process."""
    return kind.valid()


def to_file(kind: Kind, content: Any) -> Any:
    """Return the path of a file with an input, if inputs of this kind are files."""
    if not kind.file:
        return content
    path = Path(kind.file).absolute()
    path.write_bytes(content)
    return path


def work(kinds: Mapping[str, Kind], folder: Path, start: int) -> None:
    """Read the inputs of the plan in `folder` in order, from the one at `start` on."""
    faulthandler.enable()
    sys.dont_write_bytecode = True
    warnings.simplefilter("error")
    plan = json.loads((folder / "plan").read_text())
    inputs = [(name, number) for name, first, end in plan for number in range(first, end)]
    place, audit = os.open(folder / "at", os.O_WRONLY), Audit()
    ready: set[str] = set()
    with (
        open(folder / "report", "a", buffering=1) as report,
        tempfile.TemporaryDirectory(prefix="inputs-") as files,
        contextlib.chdir(files),
    ):
        for i, (name, number) in enumerate(inputs[start:], start):
            os.pwrite(place, str(i).encode(), 0)
            if name not in ready:
                ready.add(name)
                for word in warm_up(kinds[name], audit):
                    report.write(json.dumps([name, -1, word]) + "\n")
            word = read_watched(kinds[name], make_mutant(name, kinds[name], number), audit)
            report.write(json.dumps([name, number, word]) + "\n")


def warm_up(kind: Kind, audit: Audit) -> Iterator[str]:
    """Read the valid inputs of a kind; yield what is wrong. Memory is limited from here on.

    They are read twice, since the first reading imports modules.
    """
    limit_memory(None)
    for valid in valid_inputs(kind):
        read_watched(kind, valid, audit)
        word = read_watched(kind, valid, audit)
        if word != "read":
            yield f"a valid input was not read: {word}"
    limit_memory(MEMORY)


def read_watched(kind: Kind, mutant: Any, audit: Audit) -> str:
    """Return "read", "refused", or what is wrong with how an input was read."""
    given, before = to_file(kind, mutant), set(os.listdir())
    audit.seen.clear()
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(out),
            audit,
        ):
            kind.read(given)
        word = "read"
    except ALLOWED as error:
        word = "refused" if str(error).strip() else f"{type(error).__name__} without a message"
    except BaseException as error:
        word = describe_error(error)
    made = sorted(set(os.listdir()) - before)
    for name in os.listdir():
        os.remove(name)
    return f"made the files {made}, did {audit.seen}" if made or audit.seen else word


def describe_error(error: BaseException) -> str:
    """Return the type of an error, the last line of the package that it came through, its text."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if f"{os.sep}jaxcmr{os.sep}" in each.filename] or frames
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
    return f"{type(error).__name__} at {where}: {error!s:.300}"


def limit_memory(more: int | None) -> None:
    """Let this process have `more` bytes than now, or as many as it likes; on Linux alone."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = resource.RLIM_INFINITY if more is None else pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


class Audit:
    """Writes down, within a `with`, what Python does that a reader must not do."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.is_on = False
        sys.addaudithook(self.hear)

    def __enter__(self) -> None:
        self.is_on = True

    def __exit__(self, *_: object) -> None:
        self.is_on = False

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Write down an event that is forbidden."""
        if not self.is_on:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        if writes or event in FORBIDDEN:
            self.seen.append(f"{event} {arguments!r:.100}")
