"""`FitProblem`: everything that a fit is about, except the search."""

from __future__ import annotations

import hashlib
import inspect
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcmr.datasets import check_data, check_mask, fingerprint
from jaxcmr.fitting._inputs import (
    FUNCTION,
    as_dataset,
    as_features,
    as_json,
    check_bounds,
    check_parameters,
    is_finite,
    is_numeric,
    split_options,
)
from jaxcmr.fitting._trials import stack_trials, to_mask
from jaxcmr.names import describe_unknown, did_you_mean, find_named, name_of
from jaxcmr.optimize import check_not_forked, in_double
from jaxcmr.parameters import Parameter, names_of
from jaxcmr.results import FitResult
from jaxcmr.typing import (
    Bounds,
    Features,
    Loss,
    LossFn,
    LossFnGenerator,
    Model,
    Parameters,
    RecallDataset,
    TrialMask,
)

__all__ = ["FitProblem"]


class FitProblem:
    """Data, a model, a loss, and the parameters to fit.

    A problem can be pickled: another process makes the loss anew from the data and the names of
    model and loss. (A model or loss of your own must be picklable then.)

    **A model of your own must not read variables that change**, such as globals: fits see the
    change, but losses and likelihoods that were computed before keep what they were compiled with.
    Hand values in as parameters, or make a new model.

    Args:
        dataset: recall data, arrays with one row per trial.
        model: name of a model, or ``(dataset, features) -> factory``.
        loss: name of a loss, or ``(model_factory, dataset, features) -> generator``; options may
            be fixed with `functools.partial`.
        bounds: {parameter: [low, high]} of the parameters to fit.
        fixed: values of the other parameters by name.
        usual: if True, also fit the parameters that have neither bounds nor a fixed value, within
            their usual bounds. By default only if `bounds` is None.
        features: passed to the model, e.g. word vectors.
        loss_options: options of the loss by name.

    Raises:
        ValueError: an unknown name; a parameter that is unknown, missing, or out of the range in
            which the model exists; data that are not a mapping of arrays.

    >>> import numpy as np
    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 0, 0]]}
    >>> problem = FitProblem(data, "cmr", "sequence_likelihood")
    >>> problem.count(np.ones(2, bool))
    (2, 5)
    """

    def __init__(
        self,
        dataset: RecallDataset,
        model: Model,
        loss: Loss,
        bounds: Bounds | None = None,
        *,
        fixed: Parameters | None = None,
        usual: bool | None = None,
        features: Features = None,
        loss_options: Mapping[str, Any] | None = None,
    ) -> None:
        loss, options = split_options(loss, loss_options or {})
        self.dataset = as_dataset(dataset)
        self.features = as_features(features)
        self.model, self.loss, self.loss_options = model, loss, options
        self.subjects = self.dataset["subject"].reshape(-1)
        given, held = bounds or {}, fixed or {}
        if usual or (usual is None and bounds is None):
            given = {
                name: pair
                for name, pair in {**self.usual_bounds, **given}.items()
                if name not in held
            }
        self.bounds = check_bounds(given)
        self.free_names = list(self.bounds)
        if usual:  # nothing is shared with other models: a name that is not read is a mistake
            check_fixed(self.model, held, self.generator.parameters)
        self.fixed = check_parameters(held, self.bounds, self.generator.parameters)

    @cached_property
    def generator(self) -> LossFnGenerator:
        """Return what makes the losses of sets of trials."""
        check_not_forked()
        make = find_named("loss", self.loss)
        model = find_named("model", self.model)
        check_options(self.loss, make, self.loss_options)
        generator = make(model, self.dataset, self.features, **self.loss_options)
        if not isinstance(generator, LossFnGenerator):
            raise ValueError(
                f"{type(generator).__name__} is not a loss generator: derive its class from "
                "jaxcmr.typing.LossFnGenerator, which has every optional member with its default."
            )
        return generator

    def __getstate__(self) -> dict[str, Any]:
        made = ("generator", "data_fingerprint")
        state = {name: value for name, value in vars(self).items() if name not in made}
        for kind in ("model", "loss"):  # a name is smaller, and survives where objects do not
            state[kind] = name_of(kind, state[kind]) or state[kind]
        return state

    @property
    def differentiable(self) -> bool:
        """Return whether the loss has a gradient that a polish can follow."""
        return self.generator.differentiable

    @property
    def scales(self) -> dict[str, str]:
        """Return the scales on which the model's parameters are better searched, by name."""
        return {parameter.name: parameter.scale for parameter in self.generator.parameters or ()}

    @property
    def usual_bounds(self) -> dict[str, list[float]]:
        """Return the usual bounds of the model's parameters by name; empty if it has none."""
        return {parameter.name: parameter.bounds for parameter in self.generator.parameters or ()}

    def loss_of(self, trial_indices: np.ndarray) -> LossFn:
        """Return the loss over some trials, as a function of the free parameters.

        Args:
            trial_indices: (trials,) rows of the data set from 0; -1 is "no trial".
        """
        return self.generator(trial_indices, self.fixed, self.free_names)

    def evaluate(
        self, estimates: Parameters, trial_mask: TrialMask, *, double: bool | None = None
    ) -> float:
        """Return the loss of the trials of a mask at the given parameters.

        Args:
            estimates: a number for each free parameter by name, as in the ``fits`` of a result.
            trial_mask: (trials,) boolean.
            double: compute in double precision, or in that of JAX. By default double for
                differentiable losses, as at the end of a polished fit. (Losses that simulate would
                draw other random numbers.)

        Raises:
            ValueError: a parameter is missing, unknown or not a number, or another number than that
                at which it is fixed; or the mask does not fit.
        """
        check_not_forked()
        rows = np.flatnonzero(check_mask(trial_mask, len(self.subjects)))
        for name, value in self.fixed.items():
            if name in estimates and estimates[name] != value:
                raise ValueError(f"'{name}' is fixed at {value} here; got {estimates[name]!r}.")
        self._check_names(estimates)
        for name in self.free_names:
            if not is_finite(estimates.get(name)):
                raise ValueError(f"'{name}' must be a number; got {estimates.get(name)!r}.")
        x = np.array([float(estimates[name]) for name in self.free_names])
        loss = self.loss_of(rows)
        if not (self.differentiable if double is None else double):
            return float(np.asarray(loss(jnp.asarray(x, jnp.result_type(float)))))
        with jax.enable_x64(True):
            return float(np.asarray(in_double([loss])[0](jnp.asarray(x))))

    def evaluate_result(self, result: FitResult) -> list[float]:
        """Return the loss of each fit of a result, computed anew at its estimates.

        The precision is that of the fits: double where they were polished. (Losses of fits in
        single precision come out to its rounding error, some millionths of their value.)

        Raises:
            ValueError: the result is of another problem, or does not say which trials were fitted.
        """
        double = self._check_result(result)
        losses = []
        for row, ranges in enumerate(result["trials"]):
            mask = to_mask([ranges], len(self.subjects))
            estimates = {name: values[row] for name, values in result["fits"].items()}
            losses.append(self.evaluate(estimates, mask, double=double))
        return losses

    def evaluate_runs(self, result: FitResult) -> list[list[float]]:
        """Return the loss of each run of each fit of a result, computed anew at its estimates.

        Precision and errors are those of `evaluate_result`.
        """
        double = self._check_result(result)
        masks = [to_mask([ranges], len(self.subjects)) for ranges in result["trials"]]
        most = max(map(len, result["runs"]), default=0)
        losses = []
        with jax.enable_x64(double or result["precision"] == "float64"):
            for rows, of_fit in zip(stack_trials(masks), result["runs"], strict=True):
                estimates = [[run["estimates"][n] for n in self.free_names] for run in of_fit]
                x = np.resize(np.array(estimates), (most, len(self.free_names))).T  # one shape
                loss = self.loss_of(rows)
                if double:
                    loss = in_double([loss])[0]
                values = np.asarray(loss(jnp.asarray(x, jnp.result_type(float))), float)
                losses.append(values[: len(of_fit)].tolist())
        return losses

    def _check_result(self, result: FitResult) -> bool:
        """Return whether the losses of a result of this problem are in double precision."""
        if result.get("trials") is None:
            raise ValueError("The result does not say which trials of the data were fitted.")
        if result["data"]["fingerprint"] != self.data_fingerprint:
            raise ValueError("The result is of other data than this problem.")
        for name, here in (("free", self.bounds), ("fixed", self.fixed)):
            if result[name] != here:
                raise ValueError(f"The result has other {name} parameters than this problem.")
        is_polished = self.differentiable and result["hyperparameters"]["polish"]
        return bool(is_polished or result["precision"] == "float64")

    def pointwise_log_likelihood(
        self, parameters: Parameters, trial_mask: TrialMask | None = None
    ) -> np.ndarray:
        """Return ``log P`` (nats) of each scored event, in double precision.

        Args:
            parameters: by name a number, or (n_sets,) numbers, one for each of several parameter
                sets; fixed parameters may be left out.
            trial_mask: (trials,) boolean; all trials by default.

        Returns:
            (trials, events), or (n_sets, trials, events); 0 where there is no event.

        Raises:
            ValueError: the loss is not a likelihood, or the parameters or the mask do not fit.
        """
        everything = np.ones(len(self.subjects), bool)
        mask = everything if trial_mask is None else check_mask(trial_mask, len(self.subjects))
        self._check_names(parameters)
        given = {**self.fixed, **parameters}
        declared = self.generator.parameters
        known = given if declared is None else names_of(declared)
        values = {name: value for name, value in given.items() if name in known}
        return self.generator.pointwise_log_likelihood(np.flatnonzero(mask), values)

    def _check_names(self, parameters: Parameters) -> None:
        """Raise a ValueError for a parameter that is neither free nor fixed nor of the model."""
        of_model = names_of(self.generator.parameters or ())
        known = {*self.free_names, *self.fixed, *of_model}
        for name in parameters:
            if name not in known and name != "subject":
                raise ValueError(describe_unknown("parameter", name, known))

    def count(self, trial_mask: TrialMask) -> tuple[int, int | None]:
        """Return how many trials a mask selects, and how many scored events they hold.

        ``generator.counted`` says what an event is. None if the loss does not count them.
        """
        return self.count_rows(np.flatnonzero(check_mask(trial_mask, len(self.subjects))))

    def count_rows(self, rows: np.ndarray) -> tuple[int, int | None]:
        """Return as `count` what is in some rows of the data set."""
        events = self.generator.count_events(rows)
        return len(rows), None if events is None else int(np.sum(events))

    def count_given_recalls(self) -> np.ndarray | None:
        """Return the number of recalls of each trial of the data, if the loss takes it as given.

        None if the loss scores where recall stops. Recall that is simulated to be compared with the
        data is cut off at this number: the model was not fitted to predict it.
        """
        return self.generator.count_given_recalls(np.arange(len(self.subjects)))

    @cached_property
    def data_fingerprint(self) -> str:
        """Return the fingerprint of the whole data set."""
        return fingerprint(self.dataset)

    @property
    def fingerprint(self) -> str:
        """Return a SHA-256 of data, features, names and parameters, unequal for other problems.

        Objects without a name, such as a model of your own, enter as their pickle.
        """
        unnamed = [
            hashlib.sha256(pickle.dumps(thing)).hexdigest()
            for thing, name in (
                (self.model, name_of("model", self.model)),
                (self.loss, name_of("loss", self.loss)),
                (self.features, "an array" if is_numeric(self.features) else None),
                (self.loss_options, None),
            )
            if name is None and thing is not None
        ]
        about = json.dumps([self.describe(), self.bounds, self.fixed, unnamed], sort_keys=True)
        return f"sha256:{hashlib.sha256(about.encode()).hexdigest()}"

    def describe(self) -> dict[str, Any]:
        """Return what a result says of its problem, as JSON: names, options and fingerprints."""
        is_array, of_features = is_numeric(self.features), self.features
        if not isinstance(of_features, Mapping):
            of_features = {"features": of_features}
        return {
            "model": name_of("model", self.model),
            "loss": name_of("loss", self.loss),
            "loss_options": {name: as_json(value) for name, value in self.loss_options.items()},
            "loss_label": self.generator.label,
            "agree_within": self.generator.agree_within,
            "data": {"n_trials": len(self.subjects), "fingerprint": self.data_fingerprint},
            "features": fingerprint(of_features) if is_array else None,
        }

    def identify(self) -> dict[str, Any]:
        """Return what a result must agree in to be of this problem, by its keys.

        >>> data = {"subject": [1], "listLength": [3], "pres_itemnos": [[1, 2, 3]],
        ...         "recalls": [[3, 1, 0]]}
        >>> problem = FitProblem(data, "cmr", "sequence_likelihood")
        >>> problem.identify()["model"], problem.identify()["free"]["learning_rate"]
        ('cmr', [2.220446049250313e-16, 0.9999999999999998])
        """
        described = self.describe()
        keys = ("data", "features", "model", "loss", "loss_options")
        free = {name: [float(end) for end in ends] for name, ends in self.bounds.items()}
        return {key: described[key] for key in keys} | {"free": free, "fixed": dict(self.fixed)}

    def with_data(self, dataset: RecallDataset) -> FitProblem:
        """Return the same problem with other data, such as simulated recall.

        >>> data = {"subject": [1], "listLength": [3], "pres_itemnos": [[1, 2, 3]],
        ...         "recalls": [[3, 1, 0]]}
        >>> problem = FitProblem(data, "cmr", "sequence_likelihood")
        >>> other = problem.with_data({**data, "recalls": [[1, 2, 3]]})
        >>> other.bounds == problem.bounds, other.fingerprint == problem.fingerprint
        (True, False)
        """
        return FitProblem(
            dataset,
            self.model,
            self.loss,
            self.bounds,
            fixed=self.fixed,
            features=self.features,
            loss_options=self.loss_options,
        )

    @classmethod
    def from_result(
        cls,
        result: FitResult,
        dataset: RecallDataset,
        features: Features = None,
        *,
        model: Model | None = None,
        loss: Loss | None = None,
    ) -> FitProblem:
        """Return the problem that a result is of.

        Args:
            result: a result, also one read from a file.
            dataset: the data that were fitted, with all their trials.
            features: the features that were fitted, if any.
            model: the model, where the result could not name it.
            loss: the loss with its options, where the result could not name it.

        Raises:
            ValueError: other data or features than those fitted; a model or loss without a name.
        """
        if "fits" not in result:
            raise ValueError(
                "The result of a fit comes first, and then the data; the first argument is a "
                f"{type(result).__name__} without fits."
            )
        if result.get("data") is None:
            raise ValueError(
                "The result does not say which data it is of: it was written by an earlier "
                "version, or put together from several data sets. Make the FitProblem by hand."
            )
        dataset, wanted = as_dataset(dataset), result["data"]
        if fingerprint(dataset) != wanted["fingerprint"]:
            dataset = check_data(dataset)  # the form in which `jaxcmr.load` gives data
        if (found := fingerprint(dataset)) != wanted["fingerprint"]:
            raise ValueError(
                f"These are not the data that were fitted: {len(dataset['subject'])} trials with "
                f"fingerprint {found[:15]}..., in place of {wanted['n_trials']} with "
                f"{wanted['fingerprint'][:15]}..."
            )
        model = model or result["model"]
        if model is None:
            raise ValueError("The result is of a model without a name: hand it in with model=...")
        loss, options = loss_of_result(result, loss)
        problem = cls(
            dataset,
            model,
            loss,
            result["free"],
            fixed=result["fixed"],
            features=features,
            loss_options=options,
        )
        if problem.describe()["features"] != result["features"]:
            raise ValueError(
                "These are not the features that were fitted"
                + ("." if features is not None else ": hand them in with features=...")
            )
        return problem


def loss_of_result(
    result: Mapping[str, Any], loss: Loss | None = None
) -> tuple[Loss, Mapping[str, Any]]:
    """Return the loss of a result with its options, or a loss that is handed in.

    Raises:
        ValueError: the result could not name the loss, or one of its options was a function.
    """
    found = loss or result.get("loss")
    if found is None:
        raise ValueError("The result is of a loss without a name: hand it in with loss=...")
    options = result.get("loss_options") or {} if isinstance(found, str) else {}
    for name, value in options.items():
        if isinstance(value, dict) and FUNCTION in value:
            raise ValueError(
                f"The option {name!r} of the loss was a function, {value[FUNCTION]}, which a "
                "result cannot hold: hand in the loss with it, loss=functools.partial(...)."
            )
    return found, options


def check_fixed(model: Model, fixed: Parameters, declared: Sequence[Parameter] | None) -> None:
    """Raise a ValueError for a fixed parameter that the model does not have."""
    known = names_of(declared or ())
    for name in fixed:
        if declared is not None and name not in known:
            called = name_of("model", model) or "the model"
            hint = did_you_mean(name, known)
            raise ValueError(f"fixed: {called} has no parameter '{name}'. {hint}")


def check_options(loss: Loss, make: Callable[..., LossFnGenerator], options: Parameters) -> None:
    """Check that a loss has the options it is given.

    Raises:
        ValueError: it has no option of that name.
    """
    takes = list(inspect.signature(make).parameters.values())
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes):
        return
    known = [
        parameter.name
        for place, parameter in enumerate(takes)
        if parameter.kind is parameter.KEYWORD_ONLY
        or (place > 2 and parameter.kind is parameter.POSITIONAL_OR_KEYWORD)
    ]  # the first three are the model, the data and the features
    for name in options:
        if name not in known:
            hint = did_you_mean(name, known) if known else "It has no options."
            called = loss if isinstance(loss, str) else "this loss"
            raise ValueError(f"loss_options: {called} has no option '{name}'. {hint}")


def check_problem(problem: Any) -> FitProblem:
    """Return a problem as it is.

    Raises:
        ValueError: it is something else, such as a result or data.
    """
    if not isinstance(problem, FitProblem):
        raise ValueError(
            "The first argument is a FitProblem: jc.FitProblem.from_result(result, data) makes "
            f"that of a result. Got {type(problem).__name__}."
        )
    return problem
