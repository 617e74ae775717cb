"""Mean squared error between observed and simulated serial position curves."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from jaxcmr.analyses import recalled_positions
from jaxcmr.loss.summary_mse import Fields, SimulatedMseGenerator
from jaxcmr.typing import Features, Model, RecallDataset

__all__ = ["MemorySearchSpcMseFnGenerator", "position_curves", "studied_positions"]


class MemorySearchSpcMseFnGenerator(SimulatedMseGenerator):
    """Makes losses by the serial position curve.

    The curve is recall probability by study position, over the lists that have the position.

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data.
        features: passed to `model_factory`.
        n_simulations: simulated recalls of each trial, each cut off at the number of recalls
            observed there. A fit takes about as many times longer than one by sequence likelihood.
        seed: of the simulations' random draws.

    Raises:
        ValueError: as for `jaxcmr.loss.summary_mse.SimulatedMseGenerator`.

    Examples:
        >>> data = {"subject": np.array([[1], [1]]), "listLength": np.array([[3], [3]]),
        ...         "pres_itemnos": np.array([[1, 2, 3]] * 2),
        ...         "recalls": np.array([[3, 1, 0], [3, 0, 0]])}
        >>> generator = MemorySearchSpcMseFnGenerator("cmr", data)
        >>> generator(np.array([0, 1]), {}, []).observed.tolist()
        [0.5, 0.0, 1.0]
    """

    def __init__(
        self,
        model_factory: Model,
        dataset: RecallDataset,
        features: Features = None,
        *,
        n_simulations: int = 20,
        seed: int = 0,
    ) -> None:
        fields = {"in_curve": studied_positions(dataset["listLength"])}
        super().__init__(
            model_factory,
            dataset,
            features,
            position_curves,
            fields,
            n_simulations,
            seed,
            pooled=True,
        )


def position_curves(
    recalls: Int[Array, "trials outputs"], fields: Fields, is_trial: Bool[Array, " trials"]
) -> Float[Array, "*curves positions"]:
    """Return recall probability by study position, in one curve or several: a `Summary`.

    ``fields["in_curve"]``, (trials, positions) or (trials, curves, positions), is True if the item
    at a position of a list is of a curve. If no list has such an item there, the curve is NaN.

    Examples:
        >>> recalls, in_curve = jnp.array([[3, 1, 0], [3, 0, 0]]), jnp.ones((2, 3), bool)
        >>> position_curves(recalls, {"in_curve": in_curve}, jnp.ones(2, bool)).tolist()
        [0.5, 0.0, 1.0]
    """
    in_curve = fields["in_curve"]
    recalled = recalled_positions(recalls, in_curve.shape[-1])
    if in_curve.ndim == 3:
        recalled = recalled[:, None, :]
    return jnp.sum(recalled & in_curve, axis=0) / jnp.sum(in_curve, axis=0)


def studied_positions(list_lengths: Num[np.ndarray, "..."]) -> Bool[np.ndarray, "trials positions"]:
    """Return which positions each trial's list has, out of those of the longest list.

    Examples:
        >>> studied_positions(np.array([[1], [2]])).tolist()
        [[True, False], [True, True]]
    """
    lengths = np.asarray(list_lengths).reshape(-1, 1)
    return np.arange(int(lengths.max())) < lengths
