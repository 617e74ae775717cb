"""The base of the fitters: a problem and a search in, a `FitResult` out."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcmr.datasets import check_mask
from jaxcmr.fitting._hyperparameters import check_hyperparameters
from jaxcmr.fitting._problem import FitProblem
from jaxcmr.fitting._records import record_run, to_result
from jaxcmr.fitting._search_space import ALTERNATE, UnitCubeLoss, choose_scales
from jaxcmr.fitting._starts import as_results, estimates_for
from jaxcmr.fitting._trials import make_subject_trial_masks, stack_trials
from jaxcmr.fitting._watchers import RunReport, Watcher, default_watchers
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

__all__ = ["UNIT_CUBE", "Fitter", "Run", "words_of_id"]


UNIT_CUBE = [(0.0, 1.0)]
"""Bounds of the searched coordinates, one pair per parameter; see `ParameterSpace`."""

States = Mapping[tuple[Subject, int], State]
"""States of unfinished runs to continue, by subject and number of the run."""


class Run(NamedTuple):
    """One search of one fit."""

    subject: Subject
    number: int  # among the subject's runs
    loss: UnitCubeLoss  # of runs of a subject, `loss.loss` is the same object
    start: np.ndarray | None  # a member of its first population
    state: State | None = None  # to continue


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

            - ``num_steps`` (1000): most generations;
            - ``pop_size`` (15): population per free parameter;
            - ``best_of`` (1): independent runs, of which the best is kept (beside those that start
              from earlier fits, see `fit`);
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

    @staticmethod
    @abstractmethod
    def search(
        runs: Sequence[Run],
        hyperparameters: Mapping[str, Any],
        polish: str | None,
        pool: Executor | None,
    ) -> Iterator[LaneReport]:
        """Search the unit cube in each run, and report on the way.

        Args:
            runs: the runs of all fits.
            hyperparameters: complete hyperparameters.
            polish: how the polish that ends each run takes gradients; None for no polish.
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
        fits, is_pooled = [(subject, mask)], subject == POOLED
        return self._fit_each(fits, is_pooled, start_from, watchers, states, pool)

    def fit_subjects(
        self,
        trial_mask: TrialMask,
        *,
        start_from: Sequence[FitResult] = (),
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
        masks, subjects = make_subject_trial_masks(trial_mask, self.problem.subjects)
        fits = [(s.item(), mask) for s, mask in zip(subjects, masks, strict=True) if mask.any()]
        if not fits:
            raise ValueError("The trial mask selects no trials: there is nothing to fit.")
        return self._fit_each(fits, False, start_from, watchers, states, pool)

    def _fit_each(
        self,
        fits: Sequence[tuple[Subject, TrialMask]],
        is_pooled: bool,
        start_from: Sequence[FitResult],
        watchers: Sequence[Watcher],
        states: States | None,
        pool: Executor | None,
    ) -> FitResult:
        """Make all runs of all fits; the runs of a fit follow one another in `runs`."""
        check_not_forked()
        began = time.perf_counter()
        runs = self._make_runs(fits, start_from, states or {})
        n_runs = len(runs) // len(fits)
        records: list[dict[str, Any] | None] = [None] * len(runs)
        polishes = self.hyperparameters["polish"] and self.problem.differentiable
        polish = self.problem.generator.gradients if polishes else None

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
            with ExitStack() as stack:
                following = [*default_watchers(self.hyperparameters, len(fits)), *watchers]
                for watcher in following:
                    stack.callback(watcher.close)
                for lane in self.search(runs, self.hyperparameters, polish, pool):
                    run = runs[lane.lane]
                    if not np.isfinite(lane.loss):
                        raise ValueError(message_nowhere_finite(run.subject))
                    if lane.result is not None:
                        records[lane.lane] = self._record(run, lane)
                    n_done = sum(all(records[i : i + n_runs]) for i in range(0, len(runs), n_runs))
                    report = RunReport(
                        run.subject,
                        run.number,
                        lane.generation,
                        lane.loss,
                        lane.seconds,
                        lane.state,
                        records[lane.lane],
                        n_done,
                        len(fits),
                    )
                    for watcher in following:
                        watcher.update(report)
            return result_so_far()
        except KeyboardInterrupt:
            raise FitInterrupted(result_so_far(), len(fits)) from None
        except Exception as error:
            keep_result(error, result_so_far())
            raise

    def _make_runs(
        self,
        fits: Sequence[tuple[Subject, TrialMask]],
        start_from: Sequence[FitResult],
        states: States,
    ) -> list[Run]:
        """Return `best_of` runs per fit, and one more per earlier result."""
        names, best_of = self.problem.free_names, self.hyperparameters["best_of"]
        subjects = [subject for subject, _ in fits]
        starts = [estimates_for(subjects, result, names) for result in as_results(start_from)]
        trials = stack_trials([mask for _, mask in fits])
        losses = [self.problem.loss_of(of_fit) for of_fit in trials]
        self._check_loss(losses[0])
        runs = []
        for subject, loss, *own_starts in zip(subjects, losses, *starts, strict=True):
            for number, x in enumerate([None] * best_of + own_starts):
                space = self._space(number)
                start = None if x is None else space.to_unit(x)
                state = states.get((subject, number))
                runs.append(Run(subject, number, UnitCubeLoss(loss, space), start, state))
        return runs

    def _record(self, run: Run, lane: LaneReport) -> dict[str, Any]:
        later = run.number - self.hyperparameters["best_of"]
        return record_run(
            run.number,
            "random" if later < 0 else f"start_from[{later}]",
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


def keep_result(error: Exception, result: FitResult) -> None:
    """Attach the finished fits to an error that ends the others."""
    if result["fitness"]:
        error.result = result  # type: ignore[attr-defined]
        error.add_note(
            f"{len(result['fitness'])} fit(s) had finished: they are in this exception's `result`."
        )


def message_nowhere_finite(subject: Subject) -> str:
    """Return the message for a subject whose loss has no finite value."""
    whose = "these trials" if subject == POOLED else f"subject {subject}"
    return (
        f"The loss of {whose} is NaN or infinite at every starting point. Either the model "
        "rules out something in the data (e.g. a repeated recall, which "
        "jaxcmr.datasets.first_recalls leaves out), or the bounds hold no workable parameters."
    )
