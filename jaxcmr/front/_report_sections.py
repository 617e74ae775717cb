"""Which analyses belong to which result of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from jaxcmr.front._report_recovery import Recovered
from jaxcmr.front._report_uncertainty import Uncertainty
from jaxcmr.names import describe_unknown
from jaxcmr.recovery import ModelRecovery, PowerCurve, Recovery
from jaxcmr.uncertainty import Bootstrap, Covariance, Profiles

__all__ = ["Analyses", "GivenRecovery", "GivenUncertainty", "sort_analyses"]

AnyRecovery: TypeAlias = Recovered | ModelRecovery
GivenUncertainty: TypeAlias = (
    Uncertainty | Sequence[Uncertainty] | Mapping[str, Uncertainty | Sequence[Uncertainty]] | None
)
GivenRecovery: TypeAlias = (
    AnyRecovery | Sequence[AnyRecovery] | Mapping[str, AnyRecovery | Sequence[AnyRecovery]] | None
)

KINDS: Mapping[str, tuple[type, ...]] = {
    "uncertainty": (Covariance, Profiles, Bootstrap),
    "recovery": (Recovery, PowerCurve, ModelRecovery),
}
"""What each argument of a report takes."""


class Analyses(NamedTuple):
    """Analyses by the name of the result that they are of, and those of all results together."""

    uncertainty: Mapping[str, list[Uncertainty]] = {}
    recovery: Mapping[str, list[Recovered]] = {}
    models: Sequence[ModelRecovery] = ()


def sort_analyses(
    names: Sequence[str], uncertainty: GivenUncertainty, recovery: GivenRecovery
) -> Analyses:
    """Return analyses by result.

    Args:
        names: of the results.
        uncertainty: one analysis or several of a single result, or a dict of these by result.
        recovery: the same. A recovery of models is of all results: its key may be another word.

    Raises:
        ValueError: an analysis is of another kind, or it is not said which result it is of.
    """
    of_fits: dict[str, list[Uncertainty]] = {}
    for key, found in listed("uncertainty", uncertainty):
        assert isinstance(found, Covariance | Profiles | Bootstrap)
        of_fits.setdefault(name_of("uncertainty", key, names), []).append(found)
    recovered: dict[str, list[Recovered]] = {}
    models: list[ModelRecovery] = []
    for key, found in listed("recovery", recovery):
        if isinstance(found, ModelRecovery):
            models.append(found)
            continue
        assert isinstance(found, Recovery | PowerCurve)
        recovered.setdefault(name_of("recovery", key, names), []).append(found)
    return Analyses(of_fits, recovered, models)


def listed(
    what: str, given: GivenUncertainty | GivenRecovery
) -> list[tuple[str | None, Uncertainty | AnyRecovery]]:
    """Return analyses with their keys, None without one.

    Raises:
        ValueError: one of them is not an analysis of this kind.
    """
    if given is None:
        return []
    by_key = given if isinstance(given, Mapping) else {None: given}
    pairs: list[tuple[str | None, Uncertainty | AnyRecovery]] = []
    for key, value in by_key.items():
        for found in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(found, KINDS[what]):
                kinds = ", ".join(kind.__name__ for kind in KINDS[what])
                got = type(found).__name__
                raise ValueError(f"{what} takes {kinds} of jaxcmr.{what}; got {got}.")
            pairs.append((key, found))  # type: ignore[arg-type]
    return pairs


def name_of(what: str, key: str | None, names: Sequence[str]) -> str:
    """Return the name of the result that an analysis is of.

    Raises:
        ValueError: the name is unknown, or missing where there are several results.
    """
    if key is None and len(names) == 1:
        return names[0]
    if key is None:
        raise ValueError(
            f"There are {len(names)} results: say which one each analysis is of, "
            f"{what}={{{names[0]!r}: ...}}."
        )
    if key not in names:
        raise ValueError(describe_unknown("result", key, names))
    return key
