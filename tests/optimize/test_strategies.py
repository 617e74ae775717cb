"""Every entry of the table of strategies keeps the contract of a strategy.

The equations are written out a second time here, as loops in NumPy, and run side by side with the
engine on the same random draws.
"""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from conftest import evolve_quickly, quick_jit

from jaxcmr.optimize import STRATEGIES, State, differential_evolution
from jaxcmr.optimize._de import draw, step
from jaxcmr.optimize._run import start
from jaxcmr.optimize._settings import make_problem

full = pytest.mark.full
CLASSIC = [name for name in STRATEGIES if name.endswith(("bin", "exp"))]
ADAPTIVE = [name for name in STRATEGIES if name not in CLASSIC]

MUTANTS = {  # x: all members, b: the best, i: the member, r: partners
    "best1": lambda x, b, i, r, f: b + f * (x[r[0]] - x[r[1]]),
    "rand1": lambda x, b, i, r, f: x[r[0]] + f * (x[r[1]] - x[r[2]]),
    "best2": lambda x, b, i, r, f: b + f * (x[r[0]] + x[r[1]] - x[r[2]] - x[r[3]]),
    "rand2": lambda x, b, i, r, f: x[r[0]] + f * (x[r[1]] + x[r[2]] - x[r[3]] - x[r[4]]),
    "randtobest1": lambda x, b, i, r, f: x[r[0]] + f * (b - x[r[0]]) + f * (x[r[1]] - x[r[2]]),
    "currenttobest1": lambda x, b, i, r, f: x[i] + f * (b - x[i] + x[r[0]] - x[r[1]]),
}


def some(names, quick):
    """The names as parameters of a test, of which the quick suite takes `quick`."""
    return [name if name in quick else pytest.param(name, marks=full) for name in names]


def bumpy(x):
    return ((x - 0.7) ** 2).sum(0) + (x**2).sum(0) * (x**3).sum(0)


def in_numpy(draws):
    """The draws as NumPy's arrays; without the keys, which cannot be."""
    return jax.tree.map(np.asarray, eqx.tree_at(lambda d: d.keys, draws, jnp.zeros(0)))


def numpy_crossover(name, mutant, parent, uniforms, first, rate):
    """Coordinate by coordinate, as in SciPy's `_differentialevolution.py`."""
    trial, n = parent.copy(), len(parent)
    if name.endswith("exp"):
        j, place = 0, first
        while j < n and (j == 0 or uniforms[j] < rate):
            trial[place] = mutant[place]
            place, j = (place + 1) % n, j + 1
    else:
        for j in range(n):
            if uniforms[j] < rate or j == first:
                trial[j] = mutant[j]
    return trial


def numpy_generation(func, box, settings, name, state, draws):
    """A generation of a classic strategy."""
    population, losses = np.array(state.population), np.array(state.losses)
    parents, before = population.copy(), losses.copy()
    deferred = settings.updating == "deferred"
    lower, upper = np.asarray(box.lower), np.asarray(box.upper)
    for i in range(len(population)):
        seen, seen_losses = (parents, before) if deferred else (population, losses)
        best = seen[np.argmin(seen_losses)]
        mutant = MUTANTS[name[:-3]](seen, best, i, draws.partners[i], draws.F[0])
        trial = numpy_crossover(
            name, mutant, seen[i], draws.uniforms[i], draws.forced[i], settings.CR
        )
        outside = (trial < 0) | (trial > 1)
        trial[outside] = draws.replacements[i][outside]
        loss = func(lower + trial * (upper - lower))
        if loss <= seen_losses[i]:
            population[i], losses[i] = trial, loss
            if not deferred and loss <= losses[0]:
                population[[0, i]], losses[[0, i]] = population[[i, 0]], losses[[i, 0]]
    k = np.argmin(losses)
    population[[0, k]], losses[[0, k]] = population[[k, 0]], losses[[k, 0]]
    return population, losses


@pytest.mark.parametrize(
    ("name", "updating"),
    [pytest.param(name, "deferred", marks=[] if name.endswith("bin") else full) for name in CLASSIC]
    + [("rand2exp", "immediate")]
    + [pytest.param(name, "immediate", marks=full) for name in ("best1bin", "currenttobest1bin")],
)
def test_generation_equals_numpy(name, updating):
    """Twenty generations in step: catches a wrong base vector or sign, a parent seen too early or
    too late, a crossover that forgets its first coordinate, and a best member not put first."""
    with jax.enable_x64(True):
        box, settings, _ = make_problem(
            [(-2.0, 3.0)] * 3,
            popsize=4,
            strategy=name,
            updating=updating,
            mutation=(0.5, 1.5),
            recombination=0.6,
        )
        state = quick_jit(lambda key: start(bumpy, box, settings, key))(jax.random.key(3))
        one_step = quick_jit(lambda state: step(bumpy, box, settings, state))
        draws_of_step = quick_jit(lambda state: draw(settings, state))
        redrawn = 0
        for _ in range(20):
            draws = in_numpy(draws_of_step(state))
            population, losses = numpy_generation(bumpy, box, settings, name, state, draws)
            state = one_step(state)
            np.testing.assert_allclose(state.population, population, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(state.losses, losses, rtol=1e-12)
            redrawn += np.isin(population, draws.replacements).sum()
        assert redrawn > 0  # the case out of bounds did occur


def numpy_lehmer(values, weights):
    return (weights * values**2).sum() / (weights * values).sum()


def numpy_adaptive_generation(func, settings, state, draws):
    """A generation of SHADE or L-SHADE on the unit cube: Tanabe & Fukunaga (2014)."""
    history, memory = settings.strategy.history, jax.tree.map(np.array, state.memory)
    population, losses = np.array(state.population), np.array(state.losses)
    size, members = int(state.size), len(population)
    after, won, gains, archive = population.copy(), [], [], list(memory.archive[: memory.archived])
    new_losses = losses.copy()
    for i in range(size):
        r0, r1 = draws.partners[i]
        second = population[r1] if r1 < members else memory.archive[r1 - members]
        toward = population[draws.pbest[i]] - population[i] + population[r0] - second
        mutant = population[i] + draws.F[i] * toward
        trial = numpy_crossover(
            "bin", mutant, population[i], draws.uniforms[i], draws.forced[i], draws.CR[i]
        )
        outside = (trial < 0) | (trial > 1)
        trial[outside] = draws.replacements[i][outside]
        loss = func(trial)
        if loss <= losses[i]:
            after[i], new_losses[i] = trial, loss
        if loss < losses[i]:
            won.append(i)
            gains.append(losses[i] - loss)

    capacity = round(history.archive_ratio * size)
    archive = archive[:capacity]
    kept, begin = len(archive), int(draws.archive_slot[0] * capacity)
    for rank, i in enumerate(won):
        if kept + rank < capacity:
            archive.append(population[i])
        else:
            archive[(begin + kept + rank) % capacity] = population[i]
    scale, rate, oldest = memory.F, memory.CR, int(memory.oldest)
    if won:
        weights = np.array(gains) / np.sum(gains)
        rates = draws.CR[won]
        never = rate[oldest] < 0 or rates.max() == 0
        rate[oldest] = -1.0 if never else numpy_lehmer(rates, weights)
        scale[oldest] = numpy_lehmer(draws.F[won], weights)
        oldest = (oldest + 1) % len(scale)
    nfev = int(state.nfev) + size
    if history.shrinks:
        size = min(size, max(4, round(members + nfev / int(settings.budget) * (4 - members))))
    order = np.argsort(new_losses, kind="stable")
    new_losses = new_losses[order]
    new_losses[size:] = np.inf
    return after[order], new_losses, size, scale, rate, oldest, np.array(archive)


@pytest.mark.parametrize("name", some(ADAPTIVE, ["lshade"]))
def test_adaptive_generation_equals_numpy(name):
    """Thirty generations in step, past the point where the archive overflows: catches success
    weights, the wrong entry of memory, a loser in the archive, and a population not cut in time."""
    with jax.enable_x64(True):
        box, settings, _ = make_problem(
            [(0.0, 1.0)] * 3, popsize=5, strategy=name, updating="deferred", maxiter=30
        )

        def func(x):
            return (jnp.cos(9 * x) + (x - 0.6) ** 2).sum(0)

        state = quick_jit(lambda key: start(func, box, settings, key))(jax.random.key(1))
        one_step = quick_jit(lambda state: step(func, box, settings, state))
        draws_of_step = quick_jit(lambda state: draw(settings, state))
        overflown = 0
        for _ in range(30):
            draws = in_numpy(draws_of_step(state))
            expected = numpy_adaptive_generation(func, settings, state, draws)
            overflown += int(state.memory.archived) == round(2.6 * int(state.size))
            state = one_step(state)
            population, losses, size, scale, rate, oldest, archive = expected
            np.testing.assert_allclose(state.losses, losses, rtol=1e-12)
            np.testing.assert_allclose(state.population[:size], population[:size], rtol=1e-12)
            np.testing.assert_allclose(state.memory.F, scale, rtol=1e-10)
            np.testing.assert_allclose(state.memory.CR, rate, rtol=1e-10)
            assert int(state.size) == size and int(state.memory.oldest) == oldest
            assert int(state.memory.archived) == len(archive)
            np.testing.assert_allclose(state.memory.archive[: len(archive)], archive, rtol=1e-12)
        assert overflown > 0


@cache
def draws_of(name, members, n_params, generations=200):
    """Draws of many generations from one state; of adaptive ones, with a half-full archive."""
    _, settings, _ = make_problem([(0.0, 1.0)] * n_params, strategy=name, updating="deferred")
    population = jax.random.uniform(jax.random.key(9), (members, n_params))
    history = settings.strategy.history
    memory = None
    if history is not None:
        memory = history.make_memory(population)
        memory = type(memory)(
            memory.F, memory.CR, memory.oldest, memory.archive, jnp.array(members)
        )
    zero = jnp.array(0)
    state = State(
        population, jnp.arange(members, dtype=float), jnp.array(members), memory, zero, zero, zero,
        jax.random.key(4),
    )  # fmt: skip
    many = quick_jit(jax.vmap(lambda g: draw(settings, state._replace(generation=g))))
    return settings, state, in_numpy(many(jnp.arange(generations)))


@pytest.mark.parametrize("name", ["best1bin", "rand1bin", "best2bin", "rand2bin", "lshade"])
def test_partners_are_distinct_and_uniform(name):
    """Never the member itself, never twice, every other member equally often: catches an
    off-by-one in the shift past those taken. The archive is only for the last partner."""
    members, generations = 9, 3000
    settings, _, draws = draws_of(name, members, 2, generations)
    k, adapts = settings.strategy.n_partners, settings.strategy.history is not None
    partners = draws.partners
    assert partners.shape == (generations, members, k)
    everyone = np.concatenate([np.broadcast_to(draws.member[..., None], (*partners.shape[:2], 1)),
                               partners], axis=-1)  # fmt: skip
    assert all(len(set(row)) == k + 1 for row in everyone.reshape(-1, k + 1).tolist())
    for position in range(k):
        pool = 2 * members if adapts and position == k - 1 else members
        expected = generations / (pool - 1)
        for member in range(members):
            counts = np.bincount(partners[:, member, position], minlength=members)
            assert counts[member] == 0 and len(counts) == pool
            chi_square = ((np.delete(counts, member) - expected) ** 2 / expected).sum()
            assert chi_square < pool + 6 * np.sqrt(2 * pool)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", ["best1bin", "best1exp"])
def test_a_trial_vector_has_a_coordinate_of_its_mutant(name, rate):
    """At least one, wherever it starts; with CR 1 all, and with CR 0 exactly one. The share of
    coordinates between is that of the crossover's definition."""
    n = 5
    settings, _, draws = draws_of(name, 12, n)
    CR = jnp.full(draws.forced.shape, rate)
    crossed = np.asarray(settings.strategy.cross(draws.uniforms, draws.forced, CR))
    counts = crossed.sum(-1)
    assert counts.min() >= 1 and set(draws.forced.ravel()) == set(range(n))
    if rate in (0.0, 1.0):
        assert np.all(counts == (n if rate else 1))
    run = sum(rate**j for j in range(n))  # of an exponential crossover
    expected = run if name.endswith("exp") else 1 + (n - 1) * rate
    assert counts.mean() == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("name", ["best1bin", "shade"])
def test_draws_are_in_range(name):
    """F within the dither or in (0, 1], one a generation or one a member; CR in [0, 1]; guides
    among the best."""
    settings, _, draws = draws_of(name, 40, 3, 500)
    if settings.strategy.history is None:
        assert np.all((draws.F >= 0.5) & (draws.F < 1.0)) and np.all(draws.pbest == 0)
        assert np.all(draws.F[:, :1] == draws.F) and np.ptp(draws.F[:, 0]) > 0.45
        assert np.all(np.float32(0.7) == draws.CR)
    else:
        assert np.all((draws.F > 0) & (draws.F <= 1)) and np.all(draws.pbest < 4)
        assert np.all((draws.CR >= 0) & (draws.CR <= 1))
        assert draws.CR.mean() == pytest.approx(0.5, abs=0.005)
        assert draws.CR.std() == pytest.approx(0.1, abs=0.003)
        positive = scipy.stats.cauchy(0.5, 0.1)
        for share in (0.25, 0.5, 0.75):  # of the part of the Cauchy law above 0
            below = positive.cdf(0) + share * positive.sf(0)
            assert np.quantile(draws.F, share) == pytest.approx(positive.ppf(below), abs=0.01)


def sphere_or_valley(x, is_valley):
    sphere = ((x - 1) ** 2).sum()
    return jnp.where(is_valley, (100 * (x[1:] - x[:-1] ** 2) ** 2).sum() + sphere, sphere)


@pytest.mark.parametrize(
    ("name", "updating"),
    [("best1bin", "deferred"), pytest.param("lshade", "immediate", marks=full)]
    + [pytest.param(name, "deferred", marks=full) for name in STRATEGIES if name != "best1bin"],
)
def test_easy_and_bent_valleys_are_solved(name, updating):
    """A sphere, and Rosenbrock's valley, without a polish."""

    @quick_jit
    def solve(is_valley, maxiter):
        return differential_evolution(
            sphere_or_valley,
            [(-3, 4)] * 3,
            args=(is_valley,),
            strategy=name,
            updating=updating,
            popsize=20,
            maxiter=maxiter,
            tol=0,
            polish=False,
        )

    for is_valley, maxiter, tolerance in ((0, 120, 1e-4), (1, 400, 1e-2)):
        result = solve(is_valley, maxiter)
        assert result.fun < tolerance and result.population.shape == (60, 3)


@pytest.mark.parametrize("updating", [pytest.param("immediate", marks=full), "deferred"])
def test_a_strategy_of_the_user(updating):
    """In SciPy's form, with a key for its generator: the best member comes first, members are in
    the unit cube, every member is asked for, and keys differ between members and generations."""

    def best1(candidate, population, rng=None):
        r0, r1 = jax.random.choice(rng, population.shape[0], (2,), replace=False)
        return population[0] + 0.7 * (population[r0] - population[r1])

    def sphere(x):
        return ((x - 3) ** 2).sum()

    result = evolve_quickly(
        sphere, [(0, 10)] * 2, strategy=best1, updating=updating, polish=False, tol=1e-8
    )
    assert bool(result.success)
    np.testing.assert_allclose(result.x, 3, atol=1e-2)

    def give_away(candidate, population, rng=None):
        return jnp.stack([candidate / 100, jax.random.uniform(rng)])

    result = evolve_quickly(
        lambda x: 0 * x[0], [(0, 1)] * 2, strategy=give_away, updating=updating, tol=0, maxiter=1
    )
    places = np.asarray(result.population)
    np.testing.assert_allclose(np.sort(places[:, 0]), np.arange(30) / 100, atol=1e-6)
    assert len(set(places[:, 1].tolist())) == 30
    with pytest.raises(RuntimeError, match=r"strategy.* must return a vector"):
        differential_evolution(sphere, [(0, 10)] * 2, strategy=lambda i, p, rng: jnp.ones(3))
