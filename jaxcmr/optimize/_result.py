"""The result of a minimization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int

__all__ = ["OptimizeResults"]

MESSAGES: Mapping[int, str] = {
    -1: "in progress",
    0: "Optimization terminated successfully.",
    1: "Maximum number of iterations has been exceeded.",
    2: "The objective was not finite anywhere in the population.",
    3: "Maximum number of function evaluations has been exceeded.",
    4: "Maximum number of function evaluations has been reached.",
    5: "callback function requested stop early",
}
POLISH_MESSAGES: Mapping[int, str] = {
    0: "not polished",
    1: "polished along the gradient",
    2: "polished along finite differences",
    3: "polish skipped: no finite value, gradient or finite differences to start from",
    4: "polished by the function given",
    5: "polished by the function given, whose end was not lower or not inside the bounds",
}


class OptimizeResults(NamedTuple):
    """The result of a minimization, in the user's units, with SciPy's names; a pytree of arrays.

    Results of a batch under `jax.vmap` have the batch's axis first in every array.

    Examples:
        >>> from jaxcmr.optimize import differential_evolution
        >>> def sphere(x):
        ...     return (x**2).sum()
        >>> result = differential_evolution(sphere, [(-1, 1)], maxiter=2, tol=0, polish=False)
        >>> int(result.nit), result.message
        (2, 'Maximum number of iterations has been exceeded.')
    """

    x: Float[Array, " n_params"]
    """The best parameters found."""
    fun: Float[Array, ""]
    """The loss there."""
    success: Bool[Array, ""]
    """True if the population converged."""
    status: Int[Array, ""]
    """Why the run ended, see `message`."""
    nit: Int[Array, ""]
    """Generations."""
    nfev: Int[Array, ""]
    """Evaluations of the loss, those of the polish and of all restarts included."""
    population: Float[Array, "members n_params"]
    """The last population, best member first. ``init=result.population`` goes on from it."""
    population_energies: Float[Array, " members"]
    """The loss of each of its members; infinite for those that a shrinking strategy dropped."""
    njev: Int[Array, ""] | int = 0
    """Gradients taken by the polish, exact or by differences."""
    jac: Float[Array, " n_params"] | None = None
    """The gradient at `x`; None if there was no polish."""
    hess_inv: Float[Array, "n_params n_params"] | None = None
    """The polish's estimate of the inverse Hessian at `x`; None if there was no polish."""
    nonfinite: Int[Array, ""] | int = 0
    """Evaluations of the search, of those in `nfev`, that were infinite or NaN."""
    agreed: Int[Array, ""] | int = 1
    """Restarts, the best one included, that ended within `agree_tol` of the best."""
    polish_status: Int[Array, ""] | int = 0
    """How the polish went, see `polish_message`."""
    fun_search: Float[Array, ""] | None = None
    """The best loss when the search ended, before the polish and in the search's precision."""
    at_rest: Bool[Array, ""] | bool = False
    """True if the polish came to rest: its Hessian, measured where it ended, promises no gain above
    rounding error, or its last steps gained no more than that. False if it ran out of steps, had
    no finite gradient to start from, was a function of the user, or if there was no polish."""

    @property
    def message(self) -> str | list[str]:
        """Why the run ended; a list for a batch."""
        return look_up(MESSAGES, self.status)

    @property
    def polish_message(self) -> str | list[str]:
        """How the polish went; a list for a batch."""
        return look_up(POLISH_MESSAGES, self.polish_status)


def look_up(messages: Mapping[int, str], status: Int[Array, "..."] | int) -> str | list[str]:
    """Return the message of each status."""
    codes = np.asarray(status).tolist()
    return [messages[code] for code in codes] if isinstance(codes, list) else messages[codes]
