"""Figures of the site, drawn when it is built."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout

import jax
import jax.numpy as jnp
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from jaxcmr.optimize import differential_evolution

matplotlib.use("agg")
plt.rcParams.update({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "jaxcmr"})

Trace = tuple[np.ndarray, np.ndarray]

BLOCK_WITH_IMAGE = re.compile(
    r"```python\n(.*?)```(?:\n\n!\[[^\]]*\]\((gallery/\w+\.svg)\))?", re.DOTALL
)
"""A block of Python, and the file of the image right below it."""

DIMENSION, SEEDS, GENERATIONS = 8, 5, 200
BOUNDS = [(-5.0, 5.0)] * DIMENSION
STRATEGIES = ("rand1bin", "best1bin", "shade", "lshade")


def sphere(x: Float[Array, "n S"]) -> Float[Array, " S"]:
    """Return the values of a function with one round basin."""
    return jnp.sum((x - 0.7) ** 2, axis=0)


def rosenbrock(x: Float[Array, "n S"]) -> Float[Array, " S"]:
    """Return the values of a function with one bent valley."""
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2, axis=0)


def rastrigin(x: Float[Array, "n S"]) -> Float[Array, " S"]:
    """Return the values of a function with some 10 ** n basins, the lowest at 0.7.

    It is rotated, so that no coordinate can be solved alone.
    """
    random = np.random.default_rng(0).standard_normal((DIMENSION, DIMENSION))
    away = jnp.asarray(np.linalg.qr(random)[0]) @ (x - 0.7)
    return jnp.sum(away**2 + 10 - 10 * jnp.cos(2 * jnp.pi * away), axis=0)


LANDSCAPES: Mapping[str, Callable[..., Array]] = {
    "sphere: one basin": sphere,
    "Rosenbrock: a bent valley": rosenbrock,
    "rotated Rastrigin: many basins": rastrigin,
}


def landscape(x: Float[Array, "n S"], number: Array) -> Float[Array, " S"]:
    """Return the values of a landscape by its number: an argument, so one program serves all."""
    return jax.lax.switch(number, list(LANDSCAPES.values()), x)


def trace(number: int, strategy: str, seed: int) -> Trace:
    """Return the evaluations and the best value after each generation of a run."""
    seen: list[tuple[int, float]] = []
    differential_evolution(
        landscape,
        BOUNDS,
        args=(number,),
        key=jax.random.key(seed),
        strategy=strategy,
        maxiter=GENERATIONS,
        mutation=0.85,
        recombination=0.9,
        tol=0.0,
        polish=False,
        updating="deferred",
        vectorized=True,
        callback=lambda intermediate_result: seen.append(
            (int(intermediate_result.nfev), float(intermediate_result.fun))
        ),
    )
    evaluations, best = np.array(seen).T
    return evaluations, best


def convergence() -> bytes:
    """Return an SVG: median gap of some runs against evaluations, one panel per landscape."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
    for number, (name, axis) in enumerate(zip(LANDSCAPES, axes, strict=True)):
        for strategy in STRATEGIES:
            runs = [trace(number, strategy, seed) for seed in range(SEEDS)]
            length = min(len(best) for _, best in runs)
            median = np.median([best[:length] for _, best in runs], axis=0)
            axis.semilogy(runs[0][0][:length], np.maximum(median, 1e-8), label=strategy)
        axis.set(title=name, xlabel="evaluations")
    axes[2].set_ylim(1, 1000)
    axes[0].set_ylabel(f"median gap of {SEEDS} runs")
    axes[0].legend(frameon=False)
    return as_svg(figure)


def study(page: str) -> bytes:
    """Return an SVG: the figure that the first block of Python of a page draws."""
    names: dict[str, object] = {}
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # progress of the fit
        block = BLOCK_WITH_IMAGE.findall(page)[0][0]
        exec(block.replace("plt.show()", ""), names)
    return as_svg(plt.gcf())


def gallery(page: str) -> dict[str, bytes]:
    """Return SVGs by file name: of each block of Python on a page that an image follows."""
    names: dict[str, object] = {}
    images: dict[str, bytes] = {}
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # progress of the fit
        for block, image in BLOCK_WITH_IMAGE.findall(page):
            exec(block, names)
            if image:
                images[image] = as_svg(plt.gcf())
    return images


def as_svg(figure: Figure) -> bytes:
    """Return a figure as an SVG, and close it."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
    return file.getvalue()
