"""`FitResult`: what a fit found, with the evidence for it.

A result is a dict of lists, numbers and strings that survives JSON unchanged. Every list has one
entry per fit: per subject, or one entry for a pooled fit. Estimates and losses are in the user's
units throughout.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxcmr._result_words import title, to_html, to_text, verdict
from jaxcmr.files import read_text, write_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["POOLED", "SCHEMA", "FitInterrupted", "FitResult"]

SCHEMA = 2
"""Version of the keys of a result. Files without the key ``schema`` are of version 1."""

POOLED = -1
"""The subject id of a pooled fit."""

PER_FIT = ("fitness", "nit", "nfev", "converged", "trials", "n_trials", "n_events", "runs")
"""Keys that hold one entry per fit, beside the columns of ``fits``."""

RUN_COLUMNS = (
    "loss_before_polish",
    "loss",
    "generations",
    "evaluations",
    "stopped",
    "polish",
    "at_rest",
)
"""Keys of a run that are columns of the table of runs as they are."""

NEEDED_OF_A_RUN = ("loss", "at_bound")
"""Keys without which a run cannot be compared with others."""

KINDS_OF_A_RUN: dict[str, tuple[type, ...]] = {
    "loss": (int, float),
    "at_bound": (dict,),
    "estimates": (dict,),
    "scale": (dict,),
    "gradient": (dict, type(None)),
}
"""Types that the entries of a run have."""

KINDS_BY_PARAMETER: dict[str, tuple[type, ...]] = {
    "at_bound": (str,),
    "estimates": (int, float),
    "scale": (str,),
    "gradient": (int, float, type(None)),
}
"""Types of what a run holds by parameter."""

SAME = (
    "model",
    "loss",
    "loss_options",
    "features",
    "free",
    "fixed",
    "pooled",
    "precision",
)
"""Keys in which results must agree to be put together."""


class FitResult(dict[str, Any]):
    """A fit's estimates and losses, as a dict with methods.

    - ``fitness``: loss at the estimate, e.g. the negative log-likelihood in nats.
    - ``fits``: value of every parameter, fixed ones included, and ``"subject"`` (-1 if pooled).
    - ``free``, ``fixed``: bounds of the free parameters; values of the others.
    - ``nit``: generations of the best run. ``nfev``: loss evaluations of all runs together, polish
      included. ``converged``: the best run ended by its tolerance or at a point of zero gradient.
    - ``runs``: for each fit a list of its runs; see `runs_table`.
    - ``trials``: for each fit the rows of the data set, as ranges ``[first, behind the last]``;
      ``n_trials``, ``n_events``: how many, and how many scored events they hold; ``counted``: in
      words what an event is, such as "scored recalls and stops"; ``stops_scored``: False if the
      loss takes the number of recalls as given, so that the fit does not predict it.
    - ``model``, ``loss``, ``loss_options``, ``features``, ``data``, ``precision``, ``pooled``: what
      was fitted, by name or fingerprint. None stands for an object without a name.
    - ``hyperparameters``: complete, defaults filled in. ``fit_time``: seconds, compilation
      included. ``interrupted``: True if subjects are missing because the fit was stopped.
    - ``loss_label``, ``agree_within``: short name of the loss ("NLL"), and how close the losses of
      two runs must be to count as the same.
    - ``schema``: version of these keys. ``version``: of jaxcmr, which made the fit.

    >>> result = FitResult(
    ...     fitness=[7.0], fits={"learning_rate": [0.4], "subject": [3]}, free={}, fixed={}
    ... )
    >>> result.table()[["subject", "loss", "learning_rate"]].values.tolist()
    [[3.0, 7.0, 0.4]]
    """

    def table(self, agree_within: float | None = None) -> pd.DataFrame:
        """Return one row per fit.

        Columns: ``subject``; ``loss``; ``n_trials`` and ``n_events``; an estimate per parameter;
        ``agree``, the number of runs that ended within `agree_within` of the best, the best
        included, out of ``n_runs``; ``at_bound``, the estimates that lie on a bound, such as
        "primacy_scale (upper)"; and ``converged``.

        Args:
            agree_within: in units of the loss. By default what the loss declares: 0.05 nats for
                likelihoods, less for mean squared errors.
        """
        import pandas as pd

        fits, counts = self["fits"], self.agreement(agree_within)
        missing = [None] * len(self["fitness"])
        columns = {
            "subject": fits["subject"],
            "loss": self["fitness"],
            "n_trials": self.get("n_trials", missing),
            "n_events": self.get("n_events", missing),
            **{name: values for name, values in fits.items() if name != "subject"},
            "agree": [agree for agree, _ in counts] or missing,
            "n_runs": [n_runs for _, n_runs in counts] or missing,
            "at_bound": [format_bounds(bounds) for bounds in self.at_bound()],
            "converged": self.get("converged", missing),
        }
        return pd.DataFrame(columns)

    def runs_table(self) -> pd.DataFrame:
        """Return one row per run of every fit, in the order in which the runs are numbered.

        Columns: ``subject``; ``run``; ``origin`` ("random", or the earlier fit it started from);
        ``scale`` of the search; ``loss_before_polish`` and ``loss``; ``generations``;
        ``evaluations``; ``stopped``, why the search ended; ``polish``, how the polish went, and
        ``at_rest``, whether it ended where the gradient is zero; ``steepest``, the largest partial
        derivative at the end among parameters off their bounds, per unit of the search space;
        ``at_bound``; ``seconds``; and an estimate per free parameter. What the record of a run
        lacks is None.
        """
        import pandas as pd

        rows = []
        for subject, of_fit in zip(self["fits"]["subject"], self.get("runs") or [], strict=False):
            for run in of_fit:
                inside = [
                    abs(partial)
                    for name, partial in (run.get("gradient") or {}).items()
                    if name not in run["at_bound"] and partial is not None
                ]
                scales = sorted(set(run.get("scale", {}).values()) - {"linear"}) or ["linear"]
                rows.append(
                    {
                        "subject": subject,
                        **{k: run.get(k) for k in ("run", "origin")},
                        "scale": "/".join(scales),
                        **{k: run.get(k) for k in RUN_COLUMNS},
                        "steepest": max(inside, default=None),
                        "at_bound": format_bounds(run["at_bound"]),
                        "seconds": run.get("seconds"),
                        **run.get("estimates", {}),
                    }
                )
        return pd.DataFrame(rows)

    def agreement(self, within: float | None = None) -> list[tuple[int, int]]:
        """Return for each fit how many of its runs agree with the best, and how many there are.

        The list is empty for results without runs. `within` is as for `table`.
        """
        within = self.get("agree_within", 0.0) if within is None else within
        pairs = zip(self["fitness"], self.get("runs") or [], strict=False)
        return [
            (sum(run["loss"] <= best + within for run in of_fit), len(of_fit))
            for best, of_fit in pairs
        ]

    def at_bound(self) -> list[dict[str, str]]:
        """Return for each fit the estimates on a bound, {parameter: "lower" or "upper"}.

        They are judged on the scale that the best run searched on.
        """
        runs = self.get("runs") or [[] for _ in self["fitness"]]
        best = [min(of_fit, key=lambda run: run["loss"], default=None) for of_fit in runs]
        return [{} if run is None else run["at_bound"] for run in best]

    def select(self, subjects: int | str | Iterable[int | str]) -> FitResult:
        """Return the fits of some subjects, in the order given.

        Raises:
            ValueError: the result has no fit of a subject.
        """
        if isinstance(subjects, str) or not isinstance(subjects, Iterable):
            subjects = [subjects]
        wanted = [each if isinstance(each, str) else int(each) for each in subjects]
        rows = {subject: row for row, subject in enumerate(self["fits"]["subject"])}
        missing = [subject for subject in wanted if subject not in rows]
        if missing:
            raise ValueError(
                f"There is no fit of subject(s) {missing[:5]}; there are {list(rows)}."
            )
        chosen = [rows[subject] for subject in wanted]
        per_fit = {key: [self[key][row] for row in chosen] for key in PER_FIT if self.get(key)}
        fits = {name: [values[row] for row in chosen] for name, values in self["fits"].items()}
        return FitResult({**self, **per_fit, "fits": fits})

    @classmethod
    def concat(cls, results: Sequence[FitResult]) -> FitResult:
        """Return one result with the fits of all `results`, e.g. of parts of the subjects.

        The settings of the first are kept, the seconds added up. If the results are of different
        data sets, or of a model or loss without a name, ``data`` and ``trials`` are None: what was
        fitted can then not be made again from the result.

        Raises:
            ValueError: `results` is empty, they differ in model, loss, features or parameters or in
                whether they were polished, or two hold a fit of the same subject.
        """
        results = [cls(result) for result in results]
        if not results:
            raise ValueError("There are no results to put together.")
        first = results[0]
        for other in results[1:]:
            for key, one, another in find_differences(first, other):
                raise ValueError(
                    f"Results that differ in {key!r} cannot be put together: {one!r} and "
                    f"{another!r}."
                )
        subjects = [subject for result in results for subject in result["fits"]["subject"]]
        twice = [subject for subject, count in Counter(subjects).items() if count > 1]
        if twice:
            raise ValueError(f"More than one result holds a fit of subject(s) {twice[:5]}.")
        shared = [key for key in PER_FIT if all(result.get(key) is not None for result in results)]
        whole = {key: [entry for result in results for entry in result[key]] for key in shared}
        fits = {
            name: [value for result in results for value in result["fits"][name]]
            for name in first["fits"]
        }
        joined = cls({**{k: v for k, v in first.items() if k not in PER_FIT}, **whole})
        joined.update(
            fits=fits,
            fit_time=sum(result.get("fit_time", 0.0) for result in results),
            interrupted=any(result.get("interrupted", False) for result in results),
        )
        is_named = first.get("model") is not None and first.get("loss") is not None
        if not is_named or any(result.get("data") != first.get("data") for result in results):
            joined.update(data=None, trials=None)
        return joined

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the result to a JSON file, which appears whole or not at all.

        Args:
            path: the file.
            overwrite: also replace a result that holds subjects that this one lacks, or a file
                that is not a result.

        Raises:
            ValueError: the file holds a result with subjects that this one lacks, or is not a
                result of this version.
        """
        target = Path(path)
        if target.exists() and target.stat().st_size and not overwrite:
            there = FitResult.load(target)["fits"].get("subject", [])
            lost = set(there) - set(self["fits"]["subject"])
            if lost:
                raise ValueError(
                    f"{target} holds the fits of {len(lost)} subject(s) that this result lacks: "
                    "save under another name, or with overwrite=True."
                )
        write_text(target, to_json(self) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FitResult:
        """Read a result that `save` or ``jaxcmr fit`` wrote, also one of earlier versions.

        Args:
            path: the file, or a folder of ``jaxcmr fit`` with its ``result.json``.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a result.
        """
        path = Path(path, "result.json") if Path(path).is_dir() else Path(path)
        if not path.exists():
            what = f"There is no {path}."
            if path.with_name("run.json").exists():
                what += (
                    " The folder keeps the runs of a fit, which 'jaxcmr status' counts: the same "
                    "call or command goes on from them. (In Python, result.save writes the file.)"
                )
            raise FileNotFoundError(what)
        try:
            result = json.loads(read_text(path))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is not the result of a fit: not JSON ({error}).") from error
        except RecursionError:
            raise ValueError(f"{path} is not the result of a fit: nested too deeply.") from None
        if not isinstance(result, dict) or "fits" not in result:
            raise ValueError(f"{path} is not the result of a fit: it has no 'fits'.")
        if not isinstance(result.get("schema", 1), int) or result.get("schema", 1) > SCHEMA:
            raise ValueError(
                f"{path} was written by a later version of jaxcmr (schema {result['schema']}; this "
                f"version reads up to {SCHEMA})."
            )
        try:
            check_entries(result)
        except ValueError as error:
            raise ValueError(f"{path} is not the result of a fit: {error}") from None
        return cls(result)

    def verdict(self) -> str:
        """Return in words how far the fits can be trusted.

        That is: for how many subjects runs agree, which parameters sit on bounds for how many
        subjects, and which subjects' fits have not converged.
        """
        return verdict(self)

    def to_text(self, width: int | None = None) -> str:
        """Return the table as text, one row per fit.

        An estimate on its upper bound is marked ``^``, on its lower ``_``. Columns that do not fit
        into `width` characters (the terminal's, by default) go into further blocks of rows below,
        each beginning with the subject.
        """
        return to_text(self, width)

    def copy(self) -> FitResult:
        """Return a copy that may be changed without changing this result."""
        return deepcopy(self)

    def __repr__(self) -> str:
        return f"{title(self)}\n\n{to_text(self)}\n\n{verdict(self)}"

    def _repr_html_(self) -> str:
        return to_html(self)


def check_entries(result: Mapping[str, Any]) -> None:
    """Check that a result read from a file has one entry per fit in each of its lists.

    Raises:
        ValueError: a list is missing, is not a list, or has another length.
    """
    fits, losses = result["fits"], result.get("fitness")
    if not isinstance(fits, Mapping) or "subject" not in fits or not isinstance(losses, list):
        raise ValueError("expected a list 'fitness', and lists by name in 'fits', with 'subject'.")
    others = {name: result[name] for name in PER_FIT if result.get(name) is not None}
    for name, values in {**fits, **others}.items():
        if not isinstance(values, list) or len(values) != len(losses):
            raise ValueError(
                f"'{name}' is {values!r:.80}; expected a list of {len(losses)}, as 'fitness' has."
            )
    numbers = {**fits, "fitness": losses, "n_trials": others.get("n_trials", [])}
    for name, values in numbers.items():
        for value in values:
            is_name = name == "subject" and isinstance(value, str)
            check_kind(f"an entry of '{name}'", 0 if is_name else value, (int, float))
    for name in ("free", "fixed"):
        check_kind(f"'{name}'", result.get(name, {}), (dict,))
    for name in ("loss_label", "counted"):
        check_kind(f"'{name}'", result.get(name, ""), (str,))
    check_kind("'agree_within'", result.get("agree_within", 0), (int, float))
    for of_fit in others.get("runs", []):
        check_kind("an entry of 'runs'", of_fit, (list,))
        for run in of_fit:
            check_run(run)


def check_run(run: Any) -> None:
    """Check that the record of a run holds what tables and verdicts read of it."""
    check_kind("a run", run, (dict,))
    for name in NEEDED_OF_A_RUN:
        if name not in run:
            raise ValueError(f"a run lacks '{name}'; it has {', '.join(run) or 'nothing'}.")
    for name, kinds in KINDS_OF_A_RUN.items():
        if name in run:
            check_kind(f"'{name}' of a run", run[name], kinds)
    for name, kinds in KINDS_BY_PARAMETER.items():
        for value in (run.get(name) or {}).values():
            check_kind(f"an entry of '{name}' of a run", value, kinds)
    if not set(run["at_bound"].values()) <= {"lower", "upper"}:
        raise ValueError(f"'at_bound' is {run['at_bound']!r:.80}; expected lower or upper.")


def check_kind(what: str, value: Any, kinds: tuple[type, ...]) -> None:
    """Raise a ValueError unless a value is of one of some types; True is not a number."""
    if not isinstance(value, kinds) or isinstance(value, bool):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{what} is {value!r:.80}; expected {names}.")


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C during a fit. `result` holds the fits of the subjects that were done.

    With a `checkpoint`, the folder of finished runs, the same call goes on where it stopped.
    """

    def __init__(
        self,
        result: FitResult,
        n_subjects: int,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> None:
        done = len(result["fitness"])
        go_on = f" The same call goes on from the runs in {checkpoint}." if checkpoint else ""
        super().__init__(
            f"The fit was interrupted with {done} of {n_subjects} subjects done; their fits are in "
            "this exception's `result` (in a notebook: import sys; sys.last_value.result)." + go_on
        )
        self.result, self.n_subjects, self.checkpoint = result, n_subjects, checkpoint

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.result, self.n_subjects, self.checkpoint)


def format_bounds(bounds: Mapping[str, str]) -> str:
    """Return the estimates on a bound as text: "primacy_scale (upper)"."""
    return ", ".join(f"{name} ({end})" for name, end in bounds.items())


def find_differences(
    one: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the keys, with both values, that keep two results from being put together."""

    def comparable(result: Mapping[str, Any]) -> dict[str, Any]:
        polish = result.get("hyperparameters", {}).get("polish")
        return {**{key: result.get(key) for key in SAME}, "polish": polish}

    for key, value in comparable(one).items():
        if value != comparable(other)[key]:
            yield key, value, comparable(other)[key]


def to_json(result: Mapping[str, Any]) -> str:
    """Return a result as JSON text, one line per key, per parameter and per run."""
    return json_lines(result, {"fits": 1, "runs": 2})


def json_lines(value: Any, depths: Mapping[str, int], depth: int = 1, indent: str = " ") -> str:
    """Return `value` as JSON text with one line per entry, down to `depth`.

    Entries of a dict that are named in `depths` go so many levels deeper.
    """
    if depth == 0 or not value or not isinstance(value, Mapping | list):
        return json.dumps(value)
    deeper = indent + " "
    if isinstance(value, Mapping):
        lines = [
            f"{json.dumps(key)}: {json_lines(each, {}, depth - 1 + depths.get(key, 0), deeper)}"
            for key, each in value.items()
        ]
    else:
        lines = [json_lines(each, {}, depth - 1, deeper) for each in value]
    first, last = "{}" if isinstance(value, Mapping) else "[]"
    return f"{first}\n{indent}" + f",\n{indent}".join(lines) + f"\n{indent[1:]}{last}"
