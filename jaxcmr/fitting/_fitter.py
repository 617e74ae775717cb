"""The base of the fitters: a problem and a search in, a `FitResult` out."""

from __future__ import annotations

import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcmr.datasets import check_mask
from jaxcmr.fitting._checkpoint import Checkpoint, CheckpointMismatch
from jaxcmr.fitting._hyperparameters import check_hyperparameters
from jaxcmr.fitting._parts import as_part, fit_of, shares_of
from jaxcmr.fitting._problem import FitProblem
from jaxcmr.fitting._records import record_run, to_result
from jaxcmr.fitting._runs import Fit, Progress, Run
from jaxcmr.fitting._search_space import ALTERNATE, UnitCubeLoss, choose_scales
from jaxcmr.fitting._starts import as_results, estimates_for
from jaxcmr.fitting._states import SavedStates
from jaxcmr.fitting._trials import pad_rows, rows_by_subject
from jaxcmr.fitting._watchers import RunReport, Watcher, default_watchers
from jaxcmr.fitting._workers import Workers, search_in_workers
from jaxcmr.optimize import LaneReport, State, check_not_forked
from jaxcmr.parameters import ParameterSpace
from jaxcmr.results import POOLED, FitInterrupted, FitResult
from jaxcmr.typing import (
    Features,
    Loss,
    LossFn,
    Model,
    Parameters,
    RecallDataset,
    Subject,
    TrialMask,
)

__all__ = ["UNIT_CUBE", "Execution", "Fitter", "words_of_id"]


UNIT_CUBE = [(0.0, 1.0)]
"""Bounds of the searched coordinates, one pair per parameter; see `ParameterSpace`."""

States = Mapping[tuple[Subject, int], State]
"""States of unfinished runs to continue, by subject and number of the run."""


class Execution(NamedTuple):
    """How runs are made; see `Fitter.fit`."""

    checkpoint: str | os.PathLike[str] | None = None
    part: tuple[int, int] = (1, 1)
    workers: Workers | None = None
    watchers: Sequence[Watcher] = ()
    states: States | None = None
    pool: Executor | None = None


class Fitter(ABC):
    """Estimate a model's free parameters from data.

    Args:
        dataset: arrays with one row per trial. Only ``subject`` (trials,) or (trials, 1) is read
            here; the rest is for the model and the loss.
        features: passed to the model, e.g. item embeddings; None if it needs none.
        base_params: values by name of parameters that are not fitted. Those with bounds are.
        model_factory: name of a model in `jaxcmr.models.MODELS`, or ``(dataset, features) ->
            factory``.
        loss_fn_generator: name of a loss in `jaxcmr.loss.LOSSES`, or ``(model_factory, dataset,
            features) -> generator``; see `jaxcmr.typing.LossFnGenerator`.
        hyperparams: ``bounds`` {parameter: [low, high]} of what is fitted, and optionally

            - ``num_steps`` (1000): most generations; 0 leaves the first population and the polish;
            - ``pop_size`` (15): population per free parameter;
            - ``best_of`` (1): independent runs, of which the best is kept (beside those that start
              from earlier fits, see `fit`; with such, it may be 0);
            - ``relative_tolerance`` (0.001), ``absolute_tolerance`` (0.0): a run ends when the
              standard deviation of the population's losses is at most the absolute tolerance plus
              the relative one times their mean;
            - ``fatol`` (0.0): a run also ends when the population's losses differ by no more than
              this, in the units of the loss: nats, of a likelihood. If it is given,
              ``relative_tolerance`` is 0 unless given, too;
            - ``cross_over_rate`` (0.9); ``diff_w`` (0.85), a number or (low, high) for dither;
            - ``strategy`` ("best1bin"), ``init`` ("latinhypercube");
            - ``scale`` ("auto"): the scale on which parameters are searched, "linear", "log"
              or "half-log"; "auto", the scale that the model declares (supports and other strengths
              are searched on a logarithmic scale); "alternate", "log" and "half-log" in turn; or a
              dict of these by parameter;
            - ``polish`` (True): end with a bounded quasi-Newton search in double precision, unless
              the loss declares ``differentiable = False``;
            - ``max_memory`` (0): bytes that the searches under way may take (`JaxDE` only); 0 is
              half of an accelerator's memory, and on a CPU one search per core;
            - ``seed`` (0): of all randomness, with the subject id and the number of the run;
            - ``progress_bar`` (True), ``display_iterations`` (False).

            `jaxcmr.fitting.SEARCHES` has good settings by name.

    Raises:
        ValueError: a hyperparameter or parameter is unknown, missing or out of range.
    """

    @abstractmethod
    def search(self, runs: Sequence[Run], pool: Executor | None) -> Iterator[LaneReport]:
        """Search the unit cube in each run, and report on the way.

        Args:
            runs: the runs of all fits; those of a fit follow one another.
            pool: threads to run in, or None.
        """

    def __init__(
        self,
        dataset: RecallDataset,
        features: Features,
        base_params: Parameters | None,
        model_factory: Model,
        loss_fn_generator: Loss,
        hyperparams: Mapping[str, Any],
    ) -> None:
        settings = check_hyperparameters(hyperparams)
        problem = FitProblem(
            dataset,
            model_factory,
            loss_fn_generator,
            settings["bounds"],
            fixed=base_params,
            features=features,
        )
        self._set(problem, settings)

    @classmethod
    def of(cls, problem: FitProblem, hyperparams: Mapping[str, Any]) -> Fitter:
        """Return the fitter of a `FitProblem`, whose bounds are used.

        Args:
            problem: data, model, loss and bounds.
            hyperparams: as above, without ``bounds``.
        """
        fitter = cls.__new__(cls)
        fitter._set(problem, check_hyperparameters({**hyperparams, "bounds": problem.bounds}))
        return fitter

    def _set(self, problem: FitProblem, hyperparameters: dict[str, Any]) -> None:
        self.problem, self.hyperparameters = problem, hyperparameters
        bounds, scale = problem.bounds, hyperparameters["scale"]
        self.scales = [  # of runs 0, 1, ..., and again from the first
            choose_scales(scale, bounds, problem.scales, run) for run in range(len(ALTERNATE))
        ]
        self.spaces = [ParameterSpace.make(bounds, scales) for scales in self.scales]

    def fit(
        self,
        trial_mask: TrialMask,
        subject_id: Subject = POOLED,
        *,
        start_from: Sequence[FitResult] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        part: str | None = None,
        workers: Workers | None = None,
        watchers: Sequence[Watcher] = (),
        states: States | None = None,
        pool: Executor | None = None,
    ) -> FitResult:
        """Fit one parameter set to the trials of `trial_mask`: pooled, or one subject's.

        Args:
            trial_mask: (trials,) boolean.
            subject_id: goes into the result and the random draws; with a subject's own trials and
                id, the fit equals that subject's entry of `fit_subjects`.
            start_from: results of earlier fits. One more run starts from each, from its estimate
                for `subject_id` or its pooled one, moved into the bounds where it is outside.
                If that was a fit of a special case of this model to the same trials by the same
                loss, this one is then not worse. Parameters that are fixed here keep the values
                given here.
            checkpoint: a folder that keeps finished runs. If the fit is interrupted or killed, the
                same call goes on where it stopped, to the same result. `best_of` and the set of
                subjects may grow.
            part: "3/20" makes the third of twenty shares of the runs first, then what no other part
                has made. Every part returns the whole result. It needs a `checkpoint` in a folder
                that all parts share.
            workers: processes to search in, on this machine or others: a
                `concurrent.futures.Executor` or a Dask ``Client``. By default this process.
            watchers: objects with ``update(report)`` and ``close()`` that follow the fit; see
                `jaxcmr.fitting.RunReport`.
            states: ``{(subject, run): report.state}`` of runs to continue, from an earlier,
                unfinished fit of the same problem (`JaxDE` only).
            pool: threads to run in; by default one per core (`JaxDE` only).

        Returns:
            A `FitResult` with lists of one.

        Raises:
            ValueError: the mask does not fit these trials or selects none, the loss is not finite
                at any starting point, or `start_from` lacks a parameter or the subject.
            FitInterrupted: Ctrl-C.
        """
        subjects = self.problem.subjects
        mask = check_mask(trial_mask, len(subjects))
        if not mask.any():
            whose = "" if subject_id == POOLED else f" for subject {subject_id}"
            raise ValueError(f"The trial mask selects no trials{whose}: there is nothing to fit.")
        n_subjects = len(np.unique(subjects[mask]))
        if n_subjects > 1 and self.hyperparameters["progress_bar"]:
            print(
                f"Pooled fit: one parameter set for {mask.sum()} trials of {n_subjects} subjects. "
                "(fit_subjects, or pooled=False, gives each subject its own.)"
            )
        if not isinstance(subject_id, Integral | str):
            raise ValueError(f"subject_id must be a whole number or a name; got {subject_id!r}.")
        subject = str(subject_id) if isinstance(subject_id, str) else int(subject_id)
        fits, is_pooled = [(subject, np.flatnonzero(mask))], subject == POOLED
        how = Execution(checkpoint, as_part(part, checkpoint), workers, watchers, states, pool)
        return self._fit_each(fits, is_pooled, start_from, how)

    def fit_subjects(
        self,
        trial_mask: TrialMask,
        *,
        start_from: Sequence[FitResult] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        part: str | None = None,
        workers: Workers | None = None,
        watchers: Sequence[Watcher] = (),
        states: States | None = None,
        pool: Executor | None = None,
    ) -> FitResult:
        """Fit a parameter set to each subject that has trials in `trial_mask`.

        Args:
            trial_mask: (trials,) boolean.
            start_from: results of earlier fits, as for `fit`; so are the others.

        Returns:
            A `FitResult` with one entry per subject, in ascending order of id.

        Raises:
            ValueError: as `fit`.
            FitInterrupted: Ctrl-C; its ``result`` holds the subjects done so far. So does the
                ``result`` of any other error that ends the fit on its way.
        """
        subjects = self.problem.subjects
        fits = [*rows_by_subject(check_mask(trial_mask, len(subjects)), subjects).items()]
        if not fits:
            raise ValueError("The trial mask selects no trials: there is nothing to fit.")
        how = Execution(checkpoint, as_part(part, checkpoint), workers, watchers, states, pool)
        return self._fit_each(fits, False, start_from, how)

    def make_runs(
        self,
        fits: Sequence[Fit],
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        workers: Workers | None = None,
        watchers: Sequence[Watcher] = (),
        pool: Executor | None = None,
    ) -> list[list[Mapping[str, Any]]]:
        """Make the runs of many fits, such as folds of the trials of each subject.

        Args:
            fits: the fits; all have the same number of starts.
            checkpoint: as for `fit`; so are the others.

        Returns:
            For each fit the records of its runs, as in ``result["runs"]``: `best_of` that start
            at random, and one from each start.
        """
        twice = [
            fit for fit, count in Counter((f.subject, f.name) for f in fits).items() if count > 1
        ]
        if twice:
            raise ValueError(
                f"Fits of one subject need names of their own; there are two of {twice[0]}."
            )
        runs = self._plan_runs(fits, {})
        records: list[Mapping[str, Any] | None] = [None] * len(runs)
        self._make(
            runs, records, len(fits), Execution(checkpoint, (1, 1), workers, watchers, pool=pool)
        )
        n_runs = len(runs) // max(len(fits), 1)
        made = [record for record in records if record is not None]
        return [made[i * n_runs : (i + 1) * n_runs] for i in range(len(fits))]

    def _fit_each(
        self,
        fits: Sequence[tuple[Subject, np.ndarray]],
        is_pooled: bool,
        start_from: Sequence[FitResult],
        how: Execution,
    ) -> FitResult:
        """Make all runs of all fits, and return the result of the fits that are complete."""
        began = time.perf_counter()
        subjects = [subject for subject, _ in fits]
        starts = [
            estimates_for(subjects, result, self.problem.free_names)
            for result in as_results(start_from)
        ]
        runs = self._plan_runs(
            [
                Fit(subject, rows, "", [np.array(of[i]) for of in starts])
                for i, (subject, rows) in enumerate(fits)
            ],
            how.states or {},
        )
        n_runs = len(runs) // len(fits)
        records: list[Mapping[str, Any] | None] = [None] * len(runs)

        def result_so_far() -> FitResult:
            of_fits = [records[i * n_runs : (i + 1) * n_runs] for i in range(len(fits))]
            done = [i for i, of_fit in enumerate(of_fits) if all(of_fit)]
            return to_result(
                self.problem,
                self.hyperparameters,
                [fits[i] for i in done],
                [of_fits[i] for i in done],
                pooled=is_pooled,
                interrupted=len(done) < len(fits),
                fit_time=time.perf_counter() - began,
            )

        try:
            self._make(runs, records, len(fits), how)
            return result_so_far()
        except KeyboardInterrupt:
            raise FitInterrupted(result_so_far(), len(fits), how.checkpoint) from None
        except Exception as error:
            keep_result(error, result_so_far(), how.checkpoint)
            raise

    def _plan_runs(self, fits: Sequence[Fit], states: States) -> list[Run]:
        """Return `best_of` runs per fit, and one more per start."""
        check_not_forked()
        best_of = self.hyperparameters["best_of"]
        if not best_of and not all(fit.starts for fit in fits):
            raise ValueError("best_of is 0, and there is nothing to start from: there are no runs.")
        if len({len(fit.starts) for fit in fits}) > 1:
            raise ValueError("Fits that are made together have the same number of starts.")
        runs = []
        for fit, rows in zip(fits, pad_rows([fit.rows for fit in fits]), strict=True):
            numbers = [*range(best_of), *range(-1, -1 - len(fit.starts), -1)]
            for number, start in zip(numbers, [None] * best_of + [*fit.starts], strict=True):
                state = states.get((fit.subject, number))
                runs.append(Run(fit.subject, fit.name, number, rows, start, state))
        if runs:
            self._check_loss(self.problem.loss_of(runs[0].rows))
        return runs

    def _make(
        self,
        runs: Sequence[Run],
        records: list[Mapping[str, Any] | None],
        n_fits: int,
        how: Execution,
    ) -> None:
        """Make the runs that `records` lacks, and put their records there as they come."""
        if how.workers is not None and how.states:
            raise ValueError("Workers do not go on with states: leave one of the two out.")
        with ExitStack() as stack:
            kept: Checkpoint | None = None
            if how.checkpoint is not None:
                kept = Checkpoint(how.checkpoint, self, runs)
                stack.callback(kept.close)
                records[:] = kept.records
            following = [*default_watchers(self.hyperparameters, n_fits), *how.watchers]
            for watcher in following:
                stack.callback(watcher.close)
            for share in shares_of(runs, records, how.part):
                left = Counter(
                    fit_of(run) for run, record in zip(runs, records, strict=True) if not record
                )
                for at in self._search(runs, share, kept, how):
                    run = runs[at.run]
                    if at.record is not None:
                        if kept is not None:
                            kept.add(at.run, at.record, at.by)
                        records[at.run] = at.record
                        left[fit_of(run)] -= 1
                        if left[fit_of(run)] == 0:
                            del left[fit_of(run)]
                    report = RunReport(
                        run.subject,
                        run.number,
                        at.generation,
                        at.loss,
                        at.seconds,
                        at.state,
                        at.record,
                        n_fits - len(left),
                        n_fits,
                    )
                    for watcher in following:
                        watcher.update(report)
                if kept is not None:
                    kept.read()
                    records[:] = kept.records

    def _search(
        self, runs: Sequence[Run], share: Sequence[int], kept: Checkpoint | None, how: Execution
    ) -> Iterator[Progress]:
        """Make the runs of a share, here or in workers."""
        states = None if kept is None else kept.states
        if how.workers is not None:
            yield from search_in_workers(self, runs, share, how.workers, states)
            return
        states = None if states is None else states.select(share)
        for at in self.search_here([runs[i] for i in share], how.pool, states):
            yield at._replace(run=share[at.run])

    def search_here(
        self, runs: Sequence[Run], pool: Executor | None, states: SavedStates | None
    ) -> Iterator[Progress]:
        """Make runs in this process, and report on the way.

        Args:
            runs: the runs.
            pool: threads to run in, or None.
            states: where populations of long runs are kept; None for nowhere.

        Raises:
            ValueError: the loss of a run is nowhere finite.
            OSError: populations cannot be kept.
        """
        if states is not None:
            runs = [
                run._replace(state=states.load(i, self, run)) if run.state is None else run
                for i, run in enumerate(runs)
            ]
        for lane in self.search(runs, pool):
            if not np.isfinite(lane.loss):
                raise ValueError(message_nowhere_finite(runs[lane.lane].subject))
            if states is not None and lane.state is not None:
                states.save(lane.lane, lane.state)
            record = None if lane.result is None else self._record(runs[lane.lane], lane)
            yield Progress(lane.lane, lane.generation, lane.loss, lane.seconds, lane.state, record)

    def evaluate_at(self, run: Run, place: np.ndarray) -> float:
        """Return the loss of a run at a place in the unit cube, in the precision of the search."""
        [loss] = self.losses_of([run])
        return float(np.asarray(loss(jnp.asarray(place, jnp.result_type(float))[:, None]))[0])

    def losses_of(self, runs: Sequence[Run]) -> list[UnitCubeLoss]:
        """Return the losses of runs in the unit cube; runs of a fit have the same `loss.loss`."""
        losses = {id(run.rows): run.rows for run in runs}
        made = {key: self.problem.loss_of(rows) for key, rows in losses.items()}
        return [UnitCubeLoss(made[id(run.rows)], self._space(run.number)) for run in runs]

    def start_of(self, run: Run) -> np.ndarray | None:
        """Return the place in the unit cube that a run starts from; None if at random."""
        return None if run.start is None else self._space(run.number).to_unit(run.start.tolist())

    @property
    def polish(self) -> str | None:
        """Return how the polish that ends each run takes gradients; None for no polish."""
        polishes = self.hyperparameters["polish"] and self.problem.differentiable
        return self.problem.generator.gradients if polishes else None

    def _record(self, run: Run, lane: LaneReport) -> dict[str, Any]:
        return record_run(
            run.number,
            "random" if run.number >= 0 else f"start_from[{-1 - run.number}]",
            self.scales[run.number % len(self.scales)],
            self._space(run.number),
            lane,
        )

    def _space(self, number: int) -> ParameterSpace:
        return self.spaces[number % len(self.spaces)]

    def _check_loss(self, loss: LossFn) -> None:
        """Trace the loss without running it, so that its errors come before compilation."""
        names = self.problem.free_names
        x = jax.ShapeDtypeStruct((len(names), 3), jnp.result_type(float))
        try:
            shape = jax.eval_shape(lambda x: jnp.asarray(loss(x)), x).shape
        except KeyError as error:
            if self.problem.generator.parameters is not None:
                raise  # the model's parameters are all given: the key is one of the loss itself
            raise ValueError(
                f"The model asked for parameter {error}, which has neither a value in base_params "
                f"({', '.join(self.problem.fixed)}) nor bounds ({', '.join(names)})."
            ) from error
        if shape != (3,):
            raise ValueError(
                "The loss must map parameters of shape (n_params, n_candidates) to one number per "
                f"candidate; for 3 candidates it gave shape {shape}."
            )


def words_of_id(subject: Subject) -> list[int]:
    """Return a subject id as words of 32 bits, for random draws.

    A whole number has one word, or two if it is beyond that. A name has three, of its SHA-256.
    """
    if isinstance(subject, str):
        digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).digest()
        return [int.from_bytes(digest[i : i + 4], "big") for i in (0, 4, 8)]
    is_wide = not -(2**31) <= subject < 2**32
    return [subject % 2**32, *([(subject >> 32) % 2**32] if is_wide else [])]


def keep_result(error: Exception, result: FitResult, checkpoint: Any) -> None:
    """Attach the finished fits to an error that ends the others."""
    if result["fitness"]:
        error.result = result  # type: ignore[attr-defined]
        error.add_note(
            f"{len(result['fitness'])} fit(s) had finished: they are in this exception's `result`."
        )
    is_refused = isinstance(error, CheckpointMismatch)
    if checkpoint is not None and not is_refused and os.path.isdir(checkpoint):
        error.add_note(f"Finished runs are kept in {checkpoint}: the same call goes on from there.")


def message_nowhere_finite(subject: Subject) -> str:
    """Return the message for a subject whose loss has no finite value."""
    whose = "these trials" if subject == POOLED else f"subject {subject}"
    return (
        f"The loss of {whose} is NaN or infinite at every starting point. Either the model "
        "rules out something in the data (e.g. a repeated recall, which "
        "jaxcmr.datasets.first_recalls leaves out), or the bounds hold no workable parameters."
    )
