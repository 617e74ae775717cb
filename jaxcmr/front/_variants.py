"""`fit_variants`: many variants of a model, special cases first, each from those nested in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from jaxcmr.datasets import load
from jaxcmr.fitting import FitProblem, Workers
from jaxcmr.fitting._inputs import as_json
from jaxcmr.front._fit import Plan, make_plan
from jaxcmr.front._sources import Data, PathLike, check_mapping, check_switch
from jaxcmr.names import name_of
from jaxcmr.results import FitInterrupted, FitResult
from jaxcmr.typing import Parameters

__all__ = ["fit_variants", "largest_nested", "order_variants", "variant_grid"]

SLACK = 1e-3
"""How far outside the bounds, as a share of their range, a start is still near enough: variants
that turn a mechanism off do so at the very end of its range."""

BY_NAME = ("fixed", "bounds", "loss_options")
"""Arguments of `fit` that are dicts, which a variant changes entry by entry."""

OF_THE_BATCH = ("data", "where", "subjects", "pooled", "checkpoint", "workers", "part", "watchers")
"""Arguments of `fit` that cannot differ between variants: they are fitted to the same trials."""


def fit_variants(
    data: Data,
    variants: Mapping[str, Mapping[str, Any]],
    *,
    neutral: Parameters | None = None,
    nest: bool = True,
    checkpoint: PathLike | None = None,
    workers: Workers | None = None,
    **common: Any,
) -> dict[str, FitResult]:
    """Fit variants of a model to the same data, each also from the special cases of it.

    Special cases come first. A variant is one if its free parameters are some of those of the other
    variant, within its bounds, and its fixed values lie within these bounds, too. One more run per
    fit starts from each of its largest special cases, so that a variant is not worse than they are.

    Args:
        data: as for `fit`.
        variants: arguments of `fit` by the name of the variant, such as ``{"model": "cru"}`` or
            ``{"fixed": {"primacy_scale": 0.0}}``. `variant_grid` makes them of factors.
        neutral: values by name of parameters that some of the models lack, at which other models
            are equal to them.
        nest: False to start from no other variants.
        checkpoint: a folder that keeps finished runs, in a folder for each variant. If the call is
            interrupted or killed, the same call goes on where it stopped, to the same results.
        workers: processes to search in, as for `fit`.
        common: arguments of `fit` for all variants, such as ``subjects=10``. Of dicts, such as
            ``fixed``, a variant changes single entries.

    Returns:
        The results by name, in the order of `variants`.

    Raises:
        ValueError: a name or an argument is invalid; the message says of which variant.
        FitInterrupted: Ctrl-C; with a `checkpoint`, the same call goes on.

    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 3, 0]]}
    >>> variants = {"CMR": {}, "no primacy": {"fixed": {"primacy_scale": 0, "primacy_decay": 0}}}
    >>> tiny = {"num_steps": 2, "pop_size": 2, "best_of": 1, "polish": False}
    >>> results = fit_variants(data, variants, search=tiny, progress=False)
    >>> list(results), [run["origin"] for run in results["CMR"]["runs"][0]]
    (['CMR', 'no primacy'], ['random', 'start_from[0]'])
    """
    check_switch("nest", nest)
    check_variants(variants, common, checkpoint is not None)
    neutral = check_mapping("neutral", neutral)
    dataset = load(data)
    plans = {name: plan_of(dataset, name, changes, common) for name, changes in variants.items()}
    problems = {name: plan.problem for name, plan in plans.items()}
    results: dict[str, FitResult] = {}
    for name in order_variants(problems, neutral):
        plan = plans[name]
        nested = largest_nested(name, results, problems, neutral) if nest else []
        plan.start_from[:0] = [lift(results[small], plan.problem, neutral) for small in nested]
        folder = None if checkpoint is None else Path(checkpoint) / name
        try:
            results[name] = plan.run(checkpoint=folder, workers=workers)
        except (FitInterrupted, ValueError) as error:
            error.add_note(f"Of {len(variants)} variants, {len(results)} had been fitted before "
                           f"{name!r}.")  # fmt: skip
            raise
    return {name: results[name] for name in variants}


def variant_grid(
    base: Mapping[str, Any], factors: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, dict[str, Any]]:
    """Return the variants of a factorial design: one per combination of levels.

    Args:
        base: arguments of `fit` that all have.
        factors: by factor and level, the arguments of `fit` that the level changes. Of dicts, such
            as ``fixed``, it changes single entries.

    Returns:
        Arguments of `fit` by name, ``"factor=level, factor=level"``, for `fit_variants`.

    Raises:
        ValueError: there are no factors or levels, or two factors change the same argument.

    >>> grid = variant_grid({"model": "cru_cmr"}, {
    ...     "primacy": {"on": {}, "off": {"fixed": {"primacy_scale": 0, "primacy_decay": 0}}},
    ...     "learning": {"on": {}, "off": {"fixed": {"learning_rate": 0}}}})
    >>> list(grid)[1:3], grid["primacy=on, learning=off"]["fixed"]
    (['primacy=on, learning=off', 'primacy=off, learning=on'], {'learning_rate': 0})
    """
    if not factors or not all(factors.values()):
        raise ValueError(f"Each factor has one or more levels; got {dict(factors)!r}.")
    grid = {}
    for levels in product(*(of_factor.items() for of_factor in factors.values())):
        name = ", ".join(
            f"{factor}={level}" for factor, (level, _) in zip(factors, levels, strict=True)
        )
        changed: list[tuple[str, str | None]] = []
        variant = dict(base)
        for factor, (_, changes) in zip(factors, levels, strict=True):
            for place in places_changed(changes):
                if place in changed:
                    raise ValueError(f"{factor!r} changes {place[0]}, as another factor does.")
                changed.append(place)
            variant = merge(variant, changes)
        grid[name] = variant
    return grid


def places_changed(changes: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Return which arguments, and which entries of those that are dicts, a level changes."""
    places: list[tuple[str, str | None]] = []
    for argument, value in changes.items():
        is_by_name = argument in BY_NAME and isinstance(value, Mapping)
        places += [(argument, entry) for entry in value] if is_by_name else [(argument, None)]
    return places


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of `fit` with some of them, or entries of them, changed.

    A parameter that is fixed by the changes has no bounds any more, and the other way round.
    """
    merged = {**base, **changes}
    for name in BY_NAME:
        if name in base and name in changes:
            merged[name] = {**check_mapping(name, base[name]), **check_mapping(name, changes[name])}
    for name, other in (("fixed", "bounds"), ("bounds", "fixed")):
        if name in changes and merged.get(other):
            given = check_mapping(other, changes.get(other))
            merged[other] = {
                key: value
                for key, value in merged[other].items()
                if key not in changes[name] or key in given
            }
    return merged


def check_variants(
    variants: Mapping[str, Mapping[str, Any]], common: Mapping[str, Any], keeps: bool
) -> None:
    """Raise a ValueError for variants that are not arguments by name."""
    if not isinstance(variants, Mapping) or not variants:
        raise ValueError("variants is a dict by name: {'CMR': {'model': 'cmr'}, ...}.")
    for name, changes in variants.items():
        if not isinstance(name, str) or not isinstance(changes, Mapping):
            raise ValueError(f"Variant {name!r}: needs a text as name and a dict of arguments.")
        unusable = not name.strip(". ") or re.search(r'[/\\:*?"<>|\0]', name)
        if keeps and unusable:
            raise ValueError(f"Variant {name!r}: the name of its folder cannot be that.")
        for argument in OF_THE_BATCH:
            if argument in changes:
                raise ValueError(f"Variant {name!r}: {argument} is the same for all variants.")
    lowered = [name.lower() for name in variants]
    if keeps and len(set(lowered)) < len(lowered):
        raise ValueError("Some names differ in case only: their folders could be the same.")
    for argument in ("part", "watchers"):
        if argument in common:
            raise ValueError(f"fit_variants does not take {argument}: fit the variants one by one.")


def plan_of(data: Data, name: str, changes: Mapping[str, Any], common: Mapping[str, Any]) -> Plan:
    """Return the plan of a variant; errors say whose it is."""
    try:
        return make_plan(data, **merge(common, changes))
    except (TypeError, ValueError) as error:
        error.add_note(f"This is of variant {name!r}.")
        raise


def order_variants(problems: Mapping[str, FitProblem], neutral: Parameters) -> list[str]:
    """Return the names of variants, special cases before what they are special cases of.

    A special case has fewer free parameters, so that their number is the order.
    """
    return sorted(problems, key=lambda name: len(problems[name].free_names))


def is_nested(small: FitProblem, big: FitProblem, neutral: Parameters) -> bool:
    """Return whether a variant is a special case of another, by names, bounds and values."""
    if name_loss(small) != name_loss(big) or not set(small.free_names) < set(big.free_names):
        return False
    lacks = [name for name in big.free_names if name not in {*small.free_names, *small.fixed}]
    same_model = name_model(small) == name_model(big)
    if not all(name in neutral for name in lacks) or not (same_model or lacks):
        return False
    values = {**neutral, **small.fixed}
    if any(values.get(name, value) != value for name, value in big.fixed.items()):
        return False
    for name, (low, high) in big.bounds.items():
        slack = SLACK * (high - low)
        own = small.bounds.get(name) or [values[name]] * 2
        if own[0] < low - slack or own[1] > high + slack:
            return False
    return True


def name_model(problem: FitProblem) -> Any:
    """Return what tells the model of a problem from others: its name, or itself."""
    return name_of("model", problem.model) or problem.model


def name_loss(problem: FitProblem) -> Any:
    """Return what tells the loss of a problem from others."""
    options = {name: as_json(value) for name, value in problem.loss_options.items()}
    return name_of("loss", problem.loss) or problem.loss, options


def largest_nested(
    big: str,
    names: Iterable[str],
    problems: Mapping[str, FitProblem],
    neutral: Parameters,
) -> list[str]:
    """Return those of `names` that are nested in `big`, but not in another one that is."""
    nested = [name for name in names if is_nested(problems[name], problems[big], neutral)]
    return [
        name
        for name in nested
        if not any(is_nested(problems[name], problems[other], neutral) for other in nested)
    ]


def lift(result: FitResult, problem: FitProblem, neutral: Parameters) -> FitResult:
    """Return a result with values of the parameters that its model lacks."""
    n_fits = len(result["fitness"])
    lacks = [name for name in problem.free_names if name not in result["fits"]]
    return FitResult(
        {**result, "fits": {**result["fits"], **{name: [neutral[name]] * n_fits for name in lacks}}}
    )
