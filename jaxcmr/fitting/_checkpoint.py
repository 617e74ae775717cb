"""A folder that keeps the finished runs of a fit, so that none is ever made twice.

A run is a function of the problem, the seed, the subject and its number, so the finished ones are
all that it takes to go on. The folder holds::

    run.json     what is fitted: model, loss, bounds, search; written once, compared ever after
    runs/        a journal (see `_journal`): a line per finished run, a file per writing process
    runs/*.npz   populations of long runs on their way, saved once a minute

Several processes may write into one folder at a time. They cannot disturb each other: at worst
they make a run twice, with the same result.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxcmr.files import read_text, write_once
from jaxcmr.fitting._environment import describe_differences, describe_environment, id_of
from jaxcmr.fitting._hyperparameters import CHANGEABLE
from jaxcmr.fitting._journal import Journal, Part, explained_errors
from jaxcmr.fitting._runs import Run
from jaxcmr.fitting._states import SavedStates
from jaxcmr.fitting._verify import verify_record
from jaxcmr.results import POOLED

if TYPE_CHECKING:
    from jaxcmr.fitting._fitter import Fitter
    from jaxcmr.fitting._problem import FitProblem

__all__ = ["Checkpoint", "CheckpointMismatch"]

MANIFEST, RUNS = "run.json", "runs"
FORMAT = 2
"""Version of the files in the folder."""

ABOUT = ("record", "by", "at")
"""What a line says of a run beside its key: the record, the environment, and when it was made."""

MOST_NAMED = 10_000
"""Subjects whose names and starts a header has, for those who ask how far a fit is."""


class CheckpointMismatch(ValueError):
    """The folder holds the runs of another fit: other settings, data, model or loss."""


class Key(NamedTuple):
    """What tells a run from all others in a folder."""

    subject: Any
    fit: str
    trials: str  # digest
    number: int
    start: str  # digest; "" for a random start

    def __str__(self) -> str:
        return hashlib.sha256(repr(tuple(self)).encode()).hexdigest()[:16]


class Checkpoint:
    """The runs of a fitter that are in a folder.

    Args:
        folder: made if it does not exist.
        fitter: whose runs they are.
        runs: all runs of the present call.

    Raises:
        CheckpointMismatch: the folder holds the runs of another fit.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str], fitter: Fitter, runs: Sequence[Run]) -> None:
        self.folder, self.fitter, self.runs = Path(folder), fitter, runs
        identity = identity_of(fitter)
        with explained_errors(self.folder):
            (self.folder / RUNS).mkdir(parents=True, exist_ok=True)
            check_manifest(self.folder / MANIFEST, identity)
        self.environment = describe_environment()
        self.id = id_of(self.environment)
        subjects = list(dict.fromkeys(run.subject for run in runs))
        is_named = len(subjects) <= MOST_NAMED
        self.keys = keys_of(runs, fitter.problem.dataset)
        self.journal = Journal(
            self.folder / RUNS,
            {
                **self.environment,
                "id": self.id,
                "fit": digest_of(identity),
                "began": time.time(),
                "n_fits": len({(run.subject, run.name) for run in runs}),
                "n_runs": len(runs),
                "subjects": subjects if is_named else None,
                "starts": sorted({key.start for key in self.keys}) if is_named else None,
            },
        )
        self.index = {key: i for i, key in enumerate(self.keys)}
        self.records: list[Mapping[str, Any] | None] = [None] * len(runs)
        names = [str(key) for key in self.keys]
        self.states = SavedStates((self.folder / RUNS).absolute(), digest_of(identity), names)
        self._verified: set[tuple[Path, Any, str]] = set()  # fits in each file
        self._trials = {key[:2]: key.trials for key in self.keys}
        self._other_trials: dict[tuple[Any, str], Path] = {}
        self._told: set[str] = set()
        self.read()
        self._check_trials()
        self._say_what_is_damaged()
        if None in self.records:
            with explained_errors(self.folder):  # before the search begins
                self.journal.open()

    # What is done

    def read(self) -> None:
        """Read what others have added to the folder since the last time.

        Raises:
            CheckpointMismatch: it is of another fit.
        """
        for part in self.journal.read():
            if part.header.get("fit") != self.journal.header["fit"]:
                raise CheckpointMismatch(
                    f"{part.path} holds the runs of another fit than {self.folder / MANIFEST} "
                    "says. Use another folder."
                )
            for entry in part.entries:
                if entry.keys() >= {*Key._fields, *ABOUT}:
                    self._take(part, entry)

    def _take(self, part: Part, entry: Mapping[str, Any]) -> None:
        key = Key(*(entry[name] for name in Key._fields))
        i = self.index.get(key)
        if i is None:
            if key.trials != self._trials.get(key[:2], key.trials):
                self._other_trials[key[:2]] = part.path
            return
        if (part.path, *key[:2]) not in self._verified:  # one of each fit tells
            self._verify(i, entry["record"], part.header)
            self._verified.add((part.path, *key[:2]))
        self.records[i] = choose_record(self.records[i], entry["record"])

    def add(self, i: int, record: Mapping[str, Any], by: str = "") -> None:
        """Keep the record of run `i`, made in environment `by`, by default this one."""
        self.records[i] = choose_record(self.records[i], record)
        about = {"record": record, "by": by or self.id, "at": round(time.time(), 1)}
        with explained_errors(self.folder):
            self.journal.add({**self.keys[i]._asdict(), **about})
            self.states.remove(i)
        if about["by"] != self.id:
            self._tell_of_another(by, f"runs came from workers in environment {by}")

    def close(self) -> None:
        """Force everything to the disk."""
        with explained_errors(self.folder):
            self.journal.close()

    # The same problem, the same machine?

    def _verify(self, i: int, record: Mapping[str, Any], header: Mapping[str, Any]) -> None:
        """Compute the loss of a record anew, and note who made it.

        Raises:
            CheckpointMismatch: it differs by more than rounding.
        """
        differing = describe_differences(header, self.environment)
        found = verify_record(self.fitter, self.runs[i], record, differing)
        if not found.is_same:
            raise CheckpointMismatch(
                f"{self.folder} holds the runs of another fit: the estimates of a run of subject "
                f"{self.runs[i].subject} {found}. The model, the loss or the data have changed. "
                "Use another folder."
            )
        if differing:
            self._tell_of_another(
                header.get("id", ""),
                f"runs in {self.folder} were made in another environment "
                f"({'; '.join(differing)}); a loss that was computed anew here differs by "
                f"{found.off:.1g} of its value",
            )

    def _tell_of_another(self, name: str, what: str) -> None:
        """Warn of another environment, once."""
        if name not in self._told:
            self._told.add(name)
            warnings.warn(
                f"{what[0].upper()}{what[1:]}. The fit goes on; there, runs are other realizations "
                "of the same searches.",
                stacklevel=7,
            )

    def _check_trials(self) -> None:
        """Check that no fit has runs of other trials only.

        Raises:
            CheckpointMismatch: one has.
        """
        known = {key[:2] for key, record in zip(self.keys, self.records, strict=True) if record}
        for key in self.keys:
            path = self._other_trials.get(key[:2])
            if path is not None and key[:2] not in known:
                why = WHY_OTHER_TRIALS[bool(key.fit)]
                raise CheckpointMismatch(
                    f"{path} holds runs of {describe_fit(key)}, but of other trials than those "
                    f"given now: {why} have changed. Use another folder."
                )

    def _say_what_is_damaged(self) -> None:
        if self.journal.n_damaged:
            warnings.warn(
                f"{self.journal.n_damaged} damaged or unfinished line(s) in {self.folder / RUNS} "
                "were set aside.",
                stacklevel=5,
            )


WHY_OTHER_TRIALS = {
    False: "the data, the condition or the subjects of a pooled fit",
    True: "the data, the folds, the seed or the estimates",
}
"""What may have changed where the trials of a fit have; True if it has a name of its own, as folds
and drawn or simulated trials have."""


def describe_fit(key: Key) -> str:
    """Return in words which fit a run is of."""
    whose = "a pooled fit" if key.subject == POOLED else f"subject {key.subject}"
    return f"{whose} ({key.fit})" if key.fit else whose


def keys_of(runs: Sequence[Run], dataset: Mapping[str, np.ndarray]) -> list[Key]:
    """Return the key of each run."""
    digests = TrialDigests(dataset)
    rows = {id(run.rows): run.rows for run in runs}  # those of a fit are the same object
    trials = {name: digests.of(each) for name, each in rows.items()}
    starts = [b"" if run.start is None else run.start.tobytes() for run in runs]
    return [
        Key(
            run.subject,
            run.name,
            trials[id(run.rows)],
            run.number,
            hashlib.sha256(start).hexdigest()[:16] if start else "",
        )
        for run, start in zip(runs, starts, strict=True)
    ]


def choose_record(one: Mapping[str, Any] | None, other: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return one of two records of a run, the same in whichever order they come."""
    if one is None or one == other:
        return other
    return min(one, other, key=lambda record: json.dumps({**record, "seconds": 0}, sort_keys=True))


class TrialDigests:
    """Digests of trials: of their values in all fields of a data set, without padding."""

    def __init__(self, dataset: Mapping[str, np.ndarray]) -> None:
        self.fields = [(name, canonical(array)) for name, array in sorted(dataset.items())]
        self._rows: dict[int, bytes] = {}

    def of(self, rows: Iterable[int]) -> str:
        """Return the digest of some rows in order; -1 is padding."""
        digest = hashlib.sha256()
        for row in np.asarray(rows).tolist():
            if row >= 0:
                digest.update(self._of_row(row))
        return digest.hexdigest()[:16]

    def _of_row(self, row: int) -> bytes:
        if row not in self._rows:
            digest = hashlib.sha256()
            for name, array in self.fields:
                is_text = array.dtype.kind == "U"
                value = "\x1f".join(array[row]) if is_text else array[row].tobytes()
                text = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
                text = text.rstrip(b"\x1f" if is_text else b"\0")
                digest.update(b"%s %d " % (name.encode(), len(text)) + text)
            self._rows[row] = digest.digest()
        return self._rows[row]


def canonical(array: np.ndarray) -> np.ndarray:
    """Return an array as rows of text or of float64."""
    rows = array.reshape(len(array), -1)
    if rows.dtype.kind == "U":
        return rows
    return rows.astype("<f8") + 0  # -0.0 is 0.0; whole numbers may have become real ones


# What is fitted


def identity_of(fitter: Fitter) -> dict[str, Any]:
    """Return what runs of a fitter depend on, beside trials and seeds, as JSON."""
    elsewhere = {"bounds", *CHANGEABLE}
    search = {k: v for k, v in fitter.hyperparameters.items() if k not in elsewhere}
    of_problem = identity_of_problem(fitter.problem)
    return {**of_problem, "fitter": type(fitter).__name__, "search": search}


def identity_of_problem(problem: FitProblem) -> dict[str, Any]:
    """Return what losses of a problem depend on, beside trials, as JSON."""
    about = problem.describe()
    return {
        "format": FORMAT,
        **{name: about[name] for name in ("model", "loss", "loss_options", "features")},
        "bounds": [[name, *pair] for name, pair in problem.bounds.items()],  # in order
        "fixed": dict(problem.fixed),
        "precision": str(np.dtype(jnp.result_type(float))),
    }


def digest_of(identity: Mapping[str, Any]) -> str:
    """Return a short digest of an identity, the same for identities that are equal."""
    text = json.dumps(with_floats(identity), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def with_floats(value: Any) -> Any:
    """Return JSON in which equal numbers are written alike: 1 as 1.0, -0.0 as 0.0."""
    if isinstance(value, Mapping):
        return {name: with_floats(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [with_floats(each) for each in value]
    is_exact = isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**53)
    return value + 0.0 if is_exact else value


def check_manifest(path: Path, identity: Mapping[str, Any], kind: str = "runs") -> None:
    """Write the manifest, or compare with the one that is there.

    Args:
        path: of the manifest.
        identity: what it says.
        kind: what is in the folder.

    Raises:
        CheckpointMismatch: it is of another fit, or damaged.
    """
    text = json.dumps(identity, indent=1)
    write_once(path, text + "\n")
    try:
        there = json.loads(read_text(path))
        if not isinstance(there, dict):
            raise ValueError("not an object")
    except (ValueError, RecursionError) as error:
        raise CheckpointMismatch(
            f"{path} cannot be read ({error}). Delete this file: the settings are compared with "
            f"those of the {kind} in {path.parent} anyway."
        ) from error
    wanted = json.loads(text)
    differing = [name for name in wanted | there if wanted.get(name) != there.get(name)]
    if differing:
        name = differing[0]
        more = f" (and in {', '.join(differing[1:])})" if differing[1:] else ""
        raise CheckpointMismatch(
            f"{path.parent} holds the {kind} of another fit, which differs in {name}{more}: "
            f"{describe_difference(there.get(name), wanted.get(name))}. Use another folder."
        )


def describe_difference(there: Any, here: Any) -> str:
    """Return what differs between two values of a manifest."""
    is_table = isinstance(there, list) and isinstance(here, list)
    if is_table and all(isinstance(row, list) for row in [*there, *here]):  # names and bounds
        there, here = ({name: pair for name, *pair in rows} for rows in (there, here))
    if isinstance(there, Mapping) and isinstance(here, Mapping) and there != here:
        names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
        return ", ".join(f"{n} is {there.get(n)!r} there, {here.get(n)!r} here" for n in names[:3])
    return f"{there!r} there, {here!r} here"
