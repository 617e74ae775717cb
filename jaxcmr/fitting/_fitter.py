"""What the fitters have in common: data, model and loss in, a `FitResult` out."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcmr.datasets import check_mask
from jaxcmr.fitting._hyperparameters import check_hyperparameters, check_parameters
from jaxcmr.fitting._progress import ProgressBar
from jaxcmr.fitting._result import FitInterrupted, make_result
from jaxcmr.fitting._search_space import ALTERNATE, SearchSpace, choose_scales
from jaxcmr.fitting._starts import as_results, estimates_for
from jaxcmr.fitting._trials import make_subject_trial_masks, stack_trials
from jaxcmr.optimize import LaneReport, OptimizeResults
from jaxcmr.typing import FitResult, LossFn, LossFnGenerator, RecallDataset, TrialMask

__all__ = ["UNIT_CUBE", "Fitter", "Run"]


UNIT_CUBE = [(0.0, 1.0)]
"""Bounds of what is searched, one pair a parameter; see `SearchSpace`."""


class Run(NamedTuple):
    """One search for one subject."""

    subject: int
    number: int  # among the subject's runs
    loss: LossFn  # on the unit cube
    start: np.ndarray | None  # a member of its first population


class Fitter(ABC):
    """Estimates a model's free parameters from data.

    Args:
        dataset: arrays with one row a trial. Only ``subject`` (trials,) or (trials, 1) is read
            here; the rest is for the model and the loss.
        features: passed to the model, e.g. item embeddings; None if it needs none.
        base_params: values by name of parameters that are not fitted. Those with bounds are.
        model_factory: ``(dataset, features) -> factory``.
        loss_fn_generator: ``(model_factory, dataset, features) -> generator``; see
            `jaxcmr.typing.LossFnGenerator`.
        hyperparams: ``bounds`` {parameter: [low, high]} of what is fitted, and optionally

            - ``num_steps`` (1000): most generations;
            - ``pop_size`` (15): population per free parameter;
            - ``best_of`` (1): independent runs, of which the best counts (and of those that start
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
              or "half-log"; "auto", what the model names (supports and other strengths are
              searched on a logarithmic scale) or else "linear"; "alternate", "log" and "half-log"
              by turns; or a dict of these by parameter;
            - ``polish`` (True): end with a bounded quasi-Newton search in double precision, unless
              the loss has an attribute ``has_slope`` that is False;
            - ``max_memory`` (0): bytes that the searches under way may take (`JaxDE` only); 0 is
              half of an accelerator's memory, and on a CPU one search per core;
            - ``seed`` (0): of all randomness, with the subject id and the number of the run;
            - ``progress_bar`` (True), ``display_iterations`` (False).

    Raises:
        ValueError: a hyperparameter or parameter is unknown, missing or out of range.
    """

    def __init__(
        self,
        dataset: RecallDataset,
        features: Any,
        base_params: Mapping[str, Any],
        model_factory: Callable[..., Any],
        loss_fn_generator: Callable[..., LossFnGenerator],
        hyperparams: Mapping[str, Any],
    ) -> None:
        self.hyperparameters = check_hyperparameters(hyperparams)
        self.free_names = list(self.hyperparameters["bounds"])
        if "subject" not in dataset:
            raise ValueError(f"The data set needs a field 'subject'; it has {sorted(dataset)}.")
        self.subjects = np.asarray(dataset["subject"]).reshape(-1)
        self.generator = loss_fn_generator(model_factory, dataset, features)
        bounds, scale = self.hyperparameters["bounds"], self.hyperparameters["scale"]
        of_model = getattr(self.generator, "parameter_scales", None) or {}
        self.spaces = [  # of runs 0, 1, ..., and again from the first
            SearchSpace.of(bounds, choose_scales(scale, bounds, of_model, run))
            for run in range(len(ALTERNATE))
        ]
        self.fixed = check_parameters(
            base_params, self.free_names, getattr(self.generator, "parameter_names", None)
        )

    def fit(
        self,
        trial_mask: TrialMask,
        subject_id: int = -1,
        *,
        start_from: Sequence[FitResult] = (),
    ) -> FitResult:
        """One parameter set for the trials of `trial_mask`: pooled, or one subject's.

        Args:
            trial_mask: (trials,) boolean.
            subject_id: goes into the result and the random draws; with a subject's own trials and
                id, the fit equals that subject's entry of `fit_subjects`.
            start_from: results of earlier fits. One more run starts from each, from its estimate
                for `subject_id` or its pooled one (subject -1), moved into the bounds where it is
                outside. After a fit of a special case of this model to the same trials by the same
                loss, this one is then not worse. Parameters that are fixed here have their values
                from here.

        Returns:
            A `jaxcmr.typing.FitResult` with lists of one.

        Raises:
            ValueError: the mask is no mask of these trials or selects none, the loss is not finite
                at any starting point, or `start_from` lacks a parameter or the subject.
            FitInterrupted: Ctrl-C.
        """
        mask = check_mask(trial_mask, len(self.subjects))
        if not mask.any():
            whose = "" if subject_id == -1 else f" for subject {subject_id}"
            raise ValueError(f"The trial mask selects no trials{whose}: there is nothing to fit.")
        return self._fit_each([int(subject_id)], [mask], start_from)

    def fit_subjects(
        self, trial_mask: TrialMask, *, start_from: Sequence[FitResult] = ()
    ) -> FitResult:
        """A parameter set for each subject that has trials in `trial_mask`.

        Args:
            trial_mask: (trials,) boolean.
            start_from: results of earlier fits, as for `fit`.

        Returns:
            A `jaxcmr.typing.FitResult` with one entry per subject, in ascending order of id.

        Raises:
            ValueError: as `fit`.
            FitInterrupted: Ctrl-C; its ``result`` holds the subjects done so far.
        """
        masks, subjects = make_subject_trial_masks(trial_mask, self.subjects)
        chosen = [i for i, mask in enumerate(masks) if mask.any()]
        if not chosen:
            raise ValueError("The trial mask selects no trials: there is nothing to fit.")
        return self._fit_each(
            [int(subjects[i]) for i in chosen], [masks[i] for i in chosen], start_from
        )

    @abstractmethod
    def _search(self, runs: Sequence[Run]) -> Iterator[LaneReport]:
        """Makes the runs, a lane each, in the unit cube."""

    def _polishes(self, loss: LossFn) -> bool:
        """Whether to end with a polish: not where the loss says that it has no slope to follow."""
        return self.hyperparameters["polish"] and getattr(loss, "has_slope", True)

    def _fit_each(
        self, subjects: list[int], masks: list[TrialMask], start_from: Sequence[FitResult]
    ) -> FitResult:
        began = time.perf_counter()
        starts = [estimates_for(subjects, fit, self.free_names) for fit in as_results(start_from)]
        losses = [
            self.generator(trials, self.fixed, self.free_names) for trials in stack_trials(masks)
        ]
        self._check_loss(losses[0])
        n_runs = self.hyperparameters["best_of"] + len(starts)
        runs = [
            self._make_run(subject, loss, number, own_starts)
            for subject, loss, *own_starts in zip(subjects, losses, *starts, strict=True)
            for number in range(n_runs)
        ]
        finished: dict[int, OptimizeResults] = {}

        def result_so_far() -> FitResult:
            rows = [range(s * n_runs, (s + 1) * n_runs) for s in range(len(subjects))]
            done = [s for s, row in enumerate(rows) if all(lane in finished for lane in row)]
            return make_result(
                [subjects[s] for s in done],
                [
                    [self._in_user_units(finished[lane], runs[lane].number) for lane in rows[s]]
                    for s in done
                ],
                self.fixed,
                self.hyperparameters,
                time.perf_counter() - began,
            )

        with ProgressBar(len(subjects), self.hyperparameters["progress_bar"]) as bar:
            try:
                for report in self._search(runs):
                    subject, run = runs[report.lane].subject, runs[report.lane].number
                    if not np.isfinite(report.energy):
                        raise ValueError(self._nowhere_finite(subject))
                    if self.hyperparameters["display_iterations"]:
                        print(f"{subject=} {run=} step {report.generation}: f(x)= {report.energy}")
                    if report.result is not None:
                        finished[report.lane] = report.result
                    bar.show(subject, report, len(finished) // n_runs)
            except KeyboardInterrupt:
                raise FitInterrupted(result_so_far(), len(subjects)) from None
        return result_so_far()

    def _make_run(
        self, subject: int, loss: LossFn, number: int, starts: Sequence[Sequence[float]]
    ) -> Run:
        """Run `number` of a subject; those from `best_of` on begin with one of `starts` each."""
        space, later = self._space(number), number - self.hyperparameters["best_of"]
        start = space.to_unit(starts[later]) if later >= 0 else None
        return Run(subject, number, space.loss(loss), start)

    def _space(self, number: int) -> SearchSpace:
        return self.spaces[number % len(self.spaces)]

    def _in_user_units(self, result: OptimizeResults, number: int) -> OptimizeResults:
        with jax.enable_x64(np.asarray(result.x).dtype == np.float64):
            return result._replace(x=self._space(number).to_user(jnp.asarray(result.x)))

    def _check_loss(self, loss: LossFn) -> None:
        """Traces the loss without running it, so that its errors come before any compilation."""
        x = jax.ShapeDtypeStruct((len(self.free_names), 3), jnp.result_type(float))
        try:
            shape = jax.eval_shape(lambda x: jnp.asarray(loss(x)), x).shape
        except KeyError as error:
            raise ValueError(
                f"The model asked for parameter {error}, which has neither a value in base_params "
                f"({', '.join(self.fixed)}) nor bounds ({', '.join(self.free_names)})."
            ) from error
        if shape != (3,):
            raise ValueError(
                "The loss must map parameters of shape (n_params, n_candidates) to one number per "
                f"candidate; for 3 candidates it gave shape {shape}."
            )

    def _nowhere_finite(self, subject: int) -> str:
        whose = "these trials" if subject == -1 else f"subject {subject}"
        return (
            f"The loss of {whose} is NaN or infinite at every starting point. Either the model "
            "rules out something in the data (e.g. a repeated recall, which "
            "jaxcmr.datasets.first_recalls leaves out), or the bounds hold no workable parameters."
        )
