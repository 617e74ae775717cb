"""Cross-validation: how well does a model predict lists that it was not fitted to?"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxcmr._differences import losses_at
from jaxcmr._result_words import count_of, name_subjects
from jaxcmr._tables import to_html, to_text
from jaxcmr.datasets import check_mask
from jaxcmr.fitting import Fit, FitProblem, JaxDE, Workers, resolve_search
from jaxcmr.fitting._fitter import Fitter
from jaxcmr.fitting._problem import check_problem
from jaxcmr.fitting._starts import as_results, estimates_for
from jaxcmr.fitting._trials import to_mask
from jaxcmr.names import describe_unknown
from jaxcmr.optimize import check_not_forked, in_double
from jaxcmr.results import FitResult
from jaxcmr.typing import Subject, TrialMask
from jaxcmr.uncertainty._bootstrap import FROM_THE_ESTIMATES
from jaxcmr.uncertainty._inputs import in_threads

__all__ = ["CrossValidation", "cross_validate", "score_trials"]


N_STARTS = 4
"""Most ends of the runs of an earlier fit from which a fit to a fold starts."""

SAME_END = 0.01
"""Nats: runs whose losses differ by less have ended at the same place."""


@dataclass(frozen=True)
class CrossValidation:
    """Log-likelihoods (nats) of lists under parameters that were fitted to other lists.

    - ``by_list``: one row per subject and list: ``subject``, ``fold``, ``trial`` (row of the data
      from 0), ``n_events`` (scored events; -1 if not counted), ``log_likelihood``.
    - ``by_fold``: one row per subject and fold: ``subject``, ``fold``, ``n_train`` and ``n_test``
      (lists), ``train_loss``, ``log_likelihood``, ``converged``, and an estimate per parameter.
    - ``folds``: how lists were divided: "list", a number, or the name of a field.
    - ``about``: what must be equal in two models that are compared: data and loss; ``fitted``:
      what was fitted, by the keys of a result.
    - ``has_starts``: whether the fits to folds started from fits to all lists, which have seen the
      held-out ones.
    """

    by_list: pd.DataFrame
    by_fold: pd.DataFrame
    folds: str | int
    about: Mapping[str, Any]
    fitted: Mapping[str, Any] = field(default_factory=dict)
    has_starts: bool = False
    is_approximate: bool = False

    @property
    def by_subject(self) -> pd.DataFrame:
        """One row per subject: ``subject``, ``n_lists``, ``n_events`` and ``log_likelihood``."""
        return sum_by_subject(self.by_list)

    @property
    def log_likelihood(self) -> float:
        """The sum over all held-out lists of all subjects; NaN if one is NaN."""
        return float(self.by_list["log_likelihood"].to_numpy().sum())

    def verdict(self) -> str:
        """Return in words what was predicted, how well, and what to do with the number."""
        n_folds = self.by_fold.groupby("subject", sort=False).size()
        each = count_of(int(n_folds.iloc[0]), "fold") if n_folds.nunique() == 1 else "2 or more"
        words = [
            f"Held-out log-likelihood of {count_of(len(self.by_list), 'list')} of "
            f"{count_of(len(n_folds), 'subject')} ({each} per subject): "
            f"{self.log_likelihood:.1f} nats{per_event(self.by_list)}.",
            "Alone it says little: compare it with that of another model, by paired_differences.",
        ]
        unknown = self.by_list.loc[self.by_list["log_likelihood"].isna(), "subject"]
        if len(unknown):
            words.append(
                f"It is NaN for {count_of(len(unknown), 'list')} "
                f"({name_subjects(list(dict.fromkeys(unknown)))}), and so is the sum."
            )
        moving = self.by_fold.loc[~self.by_fold["converged"], "subject"]
        if len(moving):
            words.append(
                f"{count_of(len(moving), 'fit')} had not converged "
                f"({name_subjects(list(dict.fromkeys(moving)))}): search longer."
            )
        return " ".join(words)

    def __repr__(self) -> str:
        return f"{to_text(self.by_subject)}\n\n{self.verdict()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{to_html(self.by_subject)}"


def cross_validate(
    problem: FitProblem | Fitter,
    trial_mask: TrialMask | None = None,
    folds: str | int = "list",
    *,
    start_from: FitResult | Sequence[FitResult] | None = None,
    search: str | Mapping[str, Any] | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    workers: Workers | None = None,
    progress: bool = False,
) -> CrossValidation:
    """Return how well a model predicts lists that it was not fitted to, by subject and fold.

    The lists of each subject are divided into folds. For each fold, the model is fitted to the
    subject's other lists, and the log-likelihood of the fold is computed with these estimates. All
    fits are made together, and a fitter that is handed in is not changed.

    Args:
        problem: what is fitted, by a negative log-likelihood; or a fitter, whose search is used
            unless `start_from` or `search` is given.
        trial_mask: (trials,) boolean; by default the trials of `start_from`, or all.
        folds: "list" leaves out one list at a time; a number k makes k folds, of which the first
            has the subject's lists 1, k + 1, ...; the name of a field, such as "session", makes a
            fold of the lists that have the same value.
        start_from: fits of the same model to all lists. The fits to the folds start at the ends of
            their runs, up to four that differ, and are by default polishes, which stay in the
            valleys that these runs found.
        search: as for `jc.fit`, beside these starts. By default "thorough", or these polishes.
        seed: of the search.
        checkpoint: a folder that keeps finished fits: if the call is interrupted or killed, the
            same call goes on where it stopped.
        workers: processes to fit in, as for `JaxDE.fit`.
        progress: show a progress bar.

    Raises:
        ValueError: the loss is not a negative log-likelihood; a subject has fewer than two folds;
            or the fitted model gives a held-out list the probability 0.

    >>> from jax.tree_util import Partial
    >>> from jaxcmr.typing import LossFnGenerator
    >>> def nll(y, x): return ((y[:, None] - x) ** 2).sum(0) / 2  # of a mean; its spread is 1
    >>> class Mean(LossFnGenerator):
    ...     label = "NLL"
    ...     def __init__(self, model_factory, dataset, features): self.y = dataset["y"][:, 0]
    ...     def __call__(self, trials, base_params, names): return Partial(nll, self.y[trials])
    >>> data = {"subject": [[1]] * 3, "y": np.array([[0.2], [0.4], [0.6]])}
    >>> problem = FitProblem(data, "cmr", Mean, {"learning_rate": [0, 1]})
    >>> found = cross_validate(problem, start_from={"fits": {"learning_rate": [0.4]}})
    >>> found.by_fold["learning_rate"].round(3).tolist()  # means of the other two
    [0.5, 0.4, 0.3]
    """
    check_not_forked()
    fitter = problem if isinstance(problem, Fitter) else None
    problem = check_problem(problem.problem if isinstance(problem, Fitter) else problem)
    check_likelihood(problem)
    earlier = as_results(start_from)
    if trial_mask is None:
        trial_mask = trials_of(problem, earlier)
    parts = make_folds(problem, trial_mask, folds)
    settings = choose_search(problem, fitter, bool(earlier), search)
    if fitter is None or search is not None:
        settings["seed"] = seed
    make = JaxDE if fitter is None else type(fitter)
    subjects = [part.subject for part in parts]
    starts = [places_of_runs(subjects, result, problem.free_names) for result in earlier]
    fits = [
        Fit(part.subject, part.train, f"fold {part.label}", [x for of in starts for x in of[i]])
        for i, part in enumerate(parts)
    ]
    runs = make.of(problem, {**settings, "progress_bar": progress}).make_runs(
        fits, checkpoint=checkpoint, workers=workers
    )
    best = [min(of_fit, key=lambda run: run["loss"]) for of_fit in runs]
    estimates = [np.array([run["estimates"][name] for name in problem.free_names]) for run in best]
    scores = score_trials(problem, [part.test for part in parts], estimates)
    check_scores(parts, scores)
    return to_cross_validation(problem, folds, parts, best, scores, bool(earlier))


class Part(NamedTuple):
    """One fold of a subject."""

    subject: Subject
    label: int | str
    train: np.ndarray  # rows of the data
    test: np.ndarray


def trials_of(problem: FitProblem, earlier: Sequence[FitResult]) -> TrialMask:
    """Return the mask of the trials of the first earlier fit; all if it does not say which."""
    n_trials = len(problem.subjects)
    trials = earlier[0].get("trials") if earlier else None
    if trials is None:
        return np.ones(n_trials, bool)
    if (earlier[0].get("data") or {}).get("n_trials", n_trials) != n_trials:
        raise ValueError("start_from is a fit of other data: say which trials, with trial_mask.")
    return to_mask(trials, n_trials)


def make_folds(problem: FitProblem, trial_mask: TrialMask, folds: str | int) -> list[Part]:
    """Return the folds of each subject's lists; they are disjoint, and together all lists.

    Raises:
        ValueError: `folds` is invalid, or a subject has fewer than two folds.
    """
    subjects = problem.subjects
    mask = check_mask(trial_mask, len(subjects))
    if not mask.any():
        raise ValueError("The trial mask selects no trials: there is nothing to predict.")
    field = field_of_folds(problem, folds)
    parts: list[Part] = []
    for subject in np.unique(subjects[mask]):
        rows = np.flatnonzero(mask & (subjects == subject))
        labels = np.arange(len(rows)) + 1
        if isinstance(folds, int):
            labels = np.arange(len(rows)) % folds + 1
        elif field is not None:
            labels = field[rows]
        values = np.unique(labels)
        if len(values) < 2:
            raise ValueError(
                f"Subject {subject} has a single fold ({count_of(len(rows), 'list')}): there is "
                "nothing to fit when it is held out. Leave the subject out, or divide by list."
            )
        own = [
            Part(subject.item(), value.item(), rows[labels != value], rows[labels == value])
            for value in values
        ]
        assert np.array_equal(np.sort(np.concatenate([part.test for part in own])), rows)
        parts += own
    return parts


def field_of_folds(problem: FitProblem, folds: str | int) -> np.ndarray | None:
    """Return the field that divides lists into folds; None if lists or a number do."""
    if isinstance(folds, bool | np.bool_) or not isinstance(folds, str | int):
        raise ValueError(f'folds is "list", a number or the name of a field; got {folds!r}.')
    if isinstance(folds, int) and folds < 2:
        raise ValueError(f"folds must be 2 or more; got {folds}.")
    if isinstance(folds, int) or folds == "list":
        return None
    n_trials = len(problem.subjects)
    known = [name for name, array in problem.dataset.items() if np.size(array) == n_trials]
    if folds not in known:
        raise ValueError(describe_unknown("field for folds", folds, ["list", *known]))
    field = np.asarray(problem.dataset[folds]).reshape(-1)
    if np.any(field != field):
        raise ValueError(f"The field {folds!r} is NaN for some trials: which fold are they in?")
    return field


def places_of_runs(
    subjects: Sequence[Subject], result: FitResult, names: Sequence[str]
) -> list[list[np.ndarray]]:
    """Return for each of `subjects` the places, (n,), at which the runs of its fit ended.

    They are up to `N_STARTS` ends that differ in their loss, the lowest first: the valleys that the
    search found. The valley that is lowest for all lists need not be so without some of them. Each
    subject has the same number; if there are fewer ends, the lowest one is repeated. Without
    records of runs, they are the estimates.
    """
    best = estimates_for(subjects, result, names)
    of_fits = result.get("runs") or []
    runs = dict(zip(result["fits"].get("subject", ()), of_fits, strict=False))
    ends = [
        [np.array(x), *other_ends(runs.get(subject, ()), names)]
        for subject, x in zip(subjects, best, strict=True)
    ]
    most = max(map(len, ends))
    return [of_fit + of_fit[:1] * (most - len(of_fit)) for of_fit in ends]


def other_ends(
    runs: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> list[Float[np.ndarray, " n"]]:
    """Return the ends of runs that are above the best and differ in their loss."""
    ends: list[Float[np.ndarray, " n"]] = []
    last = min((run["loss"] for run in runs), default=0.0)
    for run in sorted(runs, key=lambda run: run["loss"]):
        is_complete = all(name in run["estimates"] for name in names)
        if is_complete and run["loss"] > last + SAME_END and len(ends) < N_STARTS - 1:
            last = run["loss"]
            ends.append(np.array([run["estimates"][name] for name in names]))
    return ends


def choose_search(
    problem: FitProblem,
    fitter: Fitter | None,
    has_starts: bool,
    search: str | Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the hyperparameters of the fits to folds.

    Raises:
        ValueError: with them the estimates would be those of all lists, held-out ones included.
    """
    polishes = problem.differentiable and (fitter is None or isinstance(fitter, JaxDE))
    if search is not None:
        settings = resolve_search(search, polishes)
    elif has_starts and problem.differentiable:
        settings = {**FROM_THE_ESTIMATES}
    elif fitter is not None:
        settings = {k: v for k, v in fitter.hyperparameters.items() if k != "bounds"}
    else:
        settings = resolve_search("thorough", polishes)
    moves = settings.get("num_steps", 1) or (problem.differentiable and settings.get("polish", 1))
    if has_starts and not moves:
        raise ValueError(
            "With num_steps 0 and without a polish, a fit ends where it starts: at estimates that "
            "have seen the held-out lists. Search with num_steps of 1 or more."
        )
    return settings


def check_likelihood(problem: FitProblem) -> None:
    """Raise a ValueError unless the loss of a problem is a negative log-likelihood."""
    label = problem.generator.label
    if label != "NLL":
        raise ValueError(
            f"Predictions are scored by log-likelihoods in nats; this loss is {label!r}. Fit with "
            'loss="sequence_likelihood", or set `label = "NLL"` in a likelihood of your own.'
        )


def score_trials(
    problem: FitProblem,
    rows: Sequence[np.ndarray],
    estimates: Sequence[Float[np.ndarray, " n"]],
) -> list[Float[np.ndarray, " trials"]]:
    """Return the log-likelihood of each trial of some sets of rows, each at its own estimates.

    The precision is that of `FitProblem.evaluate`: double, if the loss has a gradient.
    """
    double = problem.differentiable
    x64 = double or bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]
    with jax.enable_x64(x64):
        losses = [problem.loss_of(np.array([row])) for each in rows for row in each]
        losses = in_double(losses) if double else losses
    first = np.cumsum([0, *map(len, rows)])

    def score(i: int) -> Float[np.ndarray, " trials"]:
        with jax.enable_x64(x64):
            x = jnp.asarray(estimates[i][:, None], jnp.result_type(float))
            return -np.array([np.asarray(losses_at(loss, x), float)[0]
                              for loss in losses[first[i] : first[i + 1]]])  # fmt: skip

    return in_threads(score, len(rows))


def check_scores(parts: Sequence[Part], scores: Sequence[Float[np.ndarray, " trials"]]) -> None:
    """Raise a ValueError for a held-out list whose log-likelihood is not finite."""
    for part, of_part in zip(parts, scores, strict=True):
        if not np.all(np.isfinite(of_part)):
            row = part.test[int(np.argmin(np.isfinite(of_part)))]
            raise ValueError(
                f"The log-likelihood of row {row} of the data, of subject {part.subject}, is not "
                f"finite when fold {part.label} is held out: the model that was fitted to the "
                "other lists rules it out. Narrow the bounds of parameters that reach 0 or 1."
            )


def to_cross_validation(
    problem: FitProblem,
    folds: str | int,
    parts: Sequence[Part],
    best: Sequence[Mapping[str, Any]],
    scores: Sequence[Float[np.ndarray, " trials"]],
    has_starts: bool,
) -> CrossValidation:
    """Return the tables of the folds."""
    by_list = pd.concat(
        [
            list_table(problem, part.subject, part.label, part.test, of_part)
            for part, of_part in zip(parts, scores, strict=True)
        ],
        ignore_index=True,
    )
    by_fold = pd.DataFrame(
        [
            {
                "subject": part.subject,
                "fold": part.label,
                "n_train": len(part.train),
                "n_test": len(part.test),
                "train_loss": run["loss"],
                "log_likelihood": float(of_part.sum()),
                "converged": bool(run["at_rest"] or run["stopped"] == "tolerance"),
                **run["estimates"],
            }
            for part, run, of_part in zip(parts, best, scores, strict=True)
        ]
    )
    return CrossValidation(
        by_list, by_fold, folds, about_of(problem), problem.identify(), has_starts
    )


def about_of(problem: FitProblem) -> dict[str, Any]:
    """Return what must be equal in two models whose predictions are compared."""
    described = problem.describe()
    return {name: described[name] for name in ("data", "loss", "loss_options")}


def list_table(
    problem: FitProblem,
    subject: Subject,
    fold: int | str | Sequence[int],
    rows: np.ndarray,
    scores: Float[np.ndarray, " trials"],
) -> pd.DataFrame:
    """Return one row per list of a fold."""
    events = problem.generator.count_events(rows)
    return pd.DataFrame(
        {
            "subject": [subject] * len(rows),
            "fold": fold,
            "trial": rows,
            "n_events": -1 if events is None else np.asarray(events, int),
            "log_likelihood": scores,
        }
    )


def sum_by_subject(by_list: pd.DataFrame) -> pd.DataFrame:
    """Return sums over the lists of each subject; NaN if one is NaN."""
    groups = by_list.groupby("subject", sort=False)
    return pd.DataFrame(
        {
            "n_lists": groups.size(),
            "n_events": groups["n_events"].sum(),
            "log_likelihood": groups["log_likelihood"].apply(lambda each: each.to_numpy().sum()),
        }
    ).reset_index()


def per_event(by_list: pd.DataFrame) -> str:
    """Return the mean per scored event in words, if events are counted."""
    n_events = by_list["n_events"].sum()
    mean = by_list["log_likelihood"].to_numpy().sum() / n_events if n_events > 0 else np.nan
    return f", {mean:.3f} per scored event" if n_events > 0 else ""
