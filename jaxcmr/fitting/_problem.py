"""`FitProblem`: everything that a fit is about, but the search."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcmr.datasets import as_fields, check_data, check_mask, fingerprint
from jaxcmr.datasets._check import count_trials, is_whole
from jaxcmr.fitting._hyperparameters import check_bounds, check_parameters, is_finite
from jaxcmr.fitting._trials import to_rows
from jaxcmr.names import did_you_mean, find_named, name_of
from jaxcmr.optimize import check_not_forked, in_double
from jaxcmr.results import FitResult
from jaxcmr.typing import Bounds, LossFn, LossFnGenerator, Parameters, RecallDataset, TrialMask

__all__ = ["FitProblem"]

FUNCTION = "function"


class FitProblem:
    """Data, a model, a loss, and the parameters to fit.

    A problem can be pickled: what it computes is made anew from the data and the names of model
    and loss wherever it is used first. (A model or loss of one's own must be picklable then.)

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
        features: passed to the model, e.g. word vectors.
        loss_options: options of the loss by name.

    Raises:
        ValueError: an unknown name; a parameter that is unknown, missing, or out of the range in
            which the model exists; data that are not a mapping of arrays.

    >>> import numpy as np
    >>> from jaxcmr.models import usual_bounds
    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 0, 0]]}
    >>> problem = FitProblem(data, "cmr", "sequence_likelihood", usual_bounds("cmr"))
    >>> problem.count(np.ones(2, bool))
    (2, 5)
    """

    def __init__(
        self,
        dataset: RecallDataset,
        model: Any,
        loss: Any,
        bounds: Bounds,
        *,
        fixed: Parameters | None = None,
        features: Any = None,
        loss_options: Mapping[str, Any] | None = None,
    ) -> None:
        options = dict(loss_options or {})
        if isinstance(loss, partial) and not loss.args:
            loss, options = loss.func, {**loss.keywords, **options}
        options = {name: as_plain(value) for name, value in options.items()}
        self.dataset = as_dataset(dataset)
        self.features = as_features(features)
        self.bounds = check_bounds(bounds)
        self.free_names = list(self.bounds)
        self.model, self.loss, self.loss_options = model, loss, options
        self.subjects = self.dataset["subject"].reshape(-1)
        self.fixed = check_parameters(
            fixed or {},
            self.bounds,
            getattr(self.generator, "parameter_names", None),
            getattr(self.generator, "parameter_limits", None),
        )

    @cached_property
    def generator(self) -> LossFnGenerator:
        """Makes the losses of sets of trials."""
        check_not_forked()
        make = find_named("loss", self.loss)
        model = find_named("model", self.model)
        try:
            return partial(make, **self.loss_options)(model, self.dataset, self.features)
        except TypeError as error:
            if "unexpected keyword argument" in str(error) and self.loss_options:
                raise ValueError(f"An option that this loss does not have: {error}.") from error
            raise

    def __getstate__(self) -> dict[str, Any]:
        made = ("generator", "data_fingerprint")
        state = {name: value for name, value in vars(self).items() if name not in made}
        for kind in ("model", "loss"):  # a name is smaller, and survives where objects do not
            state[kind] = name_of(kind, state[kind]) or state[kind]
        return state

    @property
    def has_slope(self) -> bool:
        """Whether the loss has a slope that a polish can follow."""
        return getattr(self.generator, "has_slope", True)

    @property
    def scales(self) -> Mapping[str, str]:
        """Scales on which the model's parameters are better searched, by name."""
        return getattr(self.generator, "parameter_scales", None) or {}

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
            double: compute in double precision, or in that of JAX. By default double for losses
                with a slope, as at the end of a polished fit. (Losses that simulate would draw
                other random numbers.)

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
        if not (self.has_slope if double is None else double):
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
        if result.get("trials") is None:
            raise ValueError("The result does not say which trials of the data were fitted.")
        if result["data"]["fingerprint"] != self.data_fingerprint:
            raise ValueError("The result is of other data than this problem.")
        for name, here in (("free", self.bounds), ("fixed", self.fixed)):
            if result[name] != here:
                raise ValueError(f"The result has other {name} parameters than this problem.")
        is_polished = self.has_slope and result["hyperparameters"]["polish"]
        double = is_polished or result["precision"] == "float64"
        losses = []
        for row, ranges in enumerate(result["trials"]):
            mask = np.zeros(len(self.subjects), bool)
            mask[to_rows(ranges)] = True
            estimates = {name: values[row] for name, values in result["fits"].items()}
            losses.append(self.evaluate(estimates, mask, double=double))
        return losses

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
        pointwise = getattr(self.generator, "pointwise_log_likelihood", None)
        if pointwise is None:
            raise ValueError(f"{self._loss_name() or 'This loss'} is not a likelihood.")
        everything = np.ones(len(self.subjects), bool)
        mask = everything if trial_mask is None else check_mask(trial_mask, len(self.subjects))
        self._check_names(parameters)
        given = {**self.fixed, **parameters}
        known = getattr(self.generator, "parameter_names", None) or given
        return pointwise(np.flatnonzero(mask), {n: v for n, v in given.items() if n in known})

    def _check_names(self, parameters: Parameters) -> None:
        """Raise a ValueError for a parameter that is neither free nor fixed nor of the model."""
        of_model = getattr(self.generator, "parameter_names", None) or ()
        known = {*self.free_names, *self.fixed, *of_model}
        for name in parameters:
            if name not in known and name != "subject":
                raise ValueError(f"There is no parameter {name!r}. {did_you_mean(name, known)}")

    def count(self, trial_mask: TrialMask) -> tuple[int, int | None]:
        """Return how many trials a mask selects, and how many scored events they hold.

        Events are scored recalls and scored stops. None if the loss does not count them.
        """
        rows = np.flatnonzero(check_mask(trial_mask, len(self.subjects)))
        count_events = getattr(self.generator, "count_events", None)
        return len(rows), None if count_events is None else int(np.sum(count_events(rows)))

    @cached_property
    def data_fingerprint(self) -> str:
        """The fingerprint of the whole data set."""
        return fingerprint(self.dataset)

    @property
    def fingerprint(self) -> str:
        """A SHA-256 that tells two problems apart: of data, features, names and parameters.

        What has no name, such as a model of one's own, enters by what pickle makes of it.
        """
        unnamed = [
            hashlib.sha256(pickle.dumps(thing)).hexdigest()
            for thing, name in (
                (self.model, name_of("model", self.model)),
                (self.loss, self._loss_name()),
                (self.features, "an array" if is_numeric(self.features) else None),
                (self.loss_options, None),
            )
            if name is None and thing is not None
        ]
        about = json.dumps([self.describe(), self.bounds, self.fixed, unnamed], sort_keys=True)
        return f"sha256:{hashlib.sha256(about.encode()).hexdigest()}"

    def describe(self) -> dict[str, Any]:
        """Return what a result says of its problem, as JSON: names, options and fingerprints."""
        is_array = is_numeric(self.features)
        return {
            "model": name_of("model", self.model),
            "loss": self._loss_name(),
            "loss_options": {name: as_json(value) for name, value in self.loss_options.items()},
            "loss_label": getattr(self.generator, "label", "loss"),
            "agree_within": getattr(self.generator, "agree_within", 0.05),
            "data": {"n_trials": len(self.subjects), "fingerprint": self.data_fingerprint},
            "features": fingerprint({"features": self.features}) if is_array else None,
        }

    def _loss_name(self) -> str | None:
        return name_of("loss", self.loss)

    @classmethod
    def from_result(
        cls,
        result: FitResult,
        dataset: RecallDataset,
        features: Any = None,
        *,
        model: Any = None,
        loss: Any = None,
    ) -> FitProblem:
        """Return the problem that a result is the answer to.

        Args:
            result: a result, also one read from a file.
            dataset: the data that were fitted, with all their trials.
            features: the features that were fitted, if any.
            model: the model, where the result could not name it.
            loss: the loss with its options, where the result could not name it.

        Raises:
            ValueError: other data or features than those fitted; a model or loss without a name.
        """
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
        model, loss = model or result["model"], loss or result["loss"]
        for kind, thing in (("model", model), ("loss", loss)):
            if thing is None:
                raise ValueError(
                    f"The result is of a {kind} without a name: hand it in with {kind}=..."
                )
        options = result["loss_options"] if isinstance(loss, str) else {}
        for name, value in options.items():
            if isinstance(value, dict) and FUNCTION in value:
                raise ValueError(
                    f"The option {name!r} of the loss was a function, {value[FUNCTION]}, which a "
                    "result cannot hold: hand in the loss with it, loss=functools.partial(...)."
                )
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


def as_dataset(dataset: RecallDataset) -> dict[str, np.ndarray]:
    """Return the fields of a data set as arrays, one row per trial, with whole-number subjects."""
    fields = as_fields(dataset)
    if "subject" not in fields:
        raise ValueError(f"The data set needs a field 'subject'; it has {sorted(fields)}.")
    count_trials(fields)
    subjects = fields["subject"]
    if subjects.dtype.kind == "f":
        if not np.all(is_whole(subjects)):
            odd = subjects[~is_whole(subjects)][0]
            raise ValueError(f"Subjects are whole numbers; got {odd}.")
        fields["subject"] = subjects.astype(np.int64)
    return fields


def as_features(features: Any) -> Any:
    """Return numeric features as an array of the machine's byte order, others as they are.

    Raises:
        ValueError: entries of a masked array are missing.
    """
    if np.ma.is_masked(features):
        raise ValueError(
            f"features is a masked array with {np.ma.count_masked(features)} missing entries: fill "
            "them in, or leave out the trials of these items."
        )
    array = np.asarray(features) if not isinstance(features, Mapping) else None
    if array is None or array.dtype.kind not in "biuf" or array.ndim == 0:
        return features
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def is_numeric(features: Any) -> bool:
    """Return whether features are an array of numbers."""
    return isinstance(features, np.ndarray) and features.dtype.kind in "biuf"


def as_plain(value: Any) -> Any:
    """Return an option with NumPy's numbers as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def as_json(value: Any) -> Any:
    """Return an option of a loss as JSON holds it; of a function, ``{"function": its name}``."""
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        name = getattr(value, "__qualname__", repr(value))
        return {FUNCTION: f"{getattr(value, '__module__', '')}:{name}"}
