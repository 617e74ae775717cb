"""One generation does what Storn and Price's equations say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.optimize import POPULATIONS, STRATEGIES
from jaxcmr.optimize._generation import State, converged, draw, draw_partners, init, step
from jaxcmr.optimize._settings import make_problem

MUTANTS = {
    "best1": lambda pop, best, r, f: best + f * (pop[r[0]] - pop[r[1]]),
    "rand1": lambda pop, best, r, f: pop[r[0]] + f * (pop[r[1]] - pop[r[2]]),
}


def numpy_generation(func, box, settings, population, energies, draws):
    """The same generation in plain NumPy, from the same random draws."""
    population, energies = population.copy(), energies.copy()
    deferred = settings.updating == "deferred"
    parents, parent_energies = population.copy(), energies.copy()
    lower, upper = np.asarray(box.lower), np.asarray(box.upper)
    for i in range(len(population)):
        seen, seen_energies = (parents, parent_energies) if deferred else (population, energies)
        best = seen[np.argmin(seen_energies)]
        mutant = MUTANTS[settings.strategy[:-3]](seen, best, draws.partners[i], draws.scale)
        trial = seen[i].copy()
        for j in range(len(trial)):
            if draws.uniforms[i, j] < settings.recombination or j == draws.fill_point[i]:
                trial[j] = mutant[j]
            if not 0 <= trial[j] <= 1:
                trial[j] = draws.redrawn[i, j]
        energy = func(lower + trial * (upper - lower))
        if energy <= seen_energies[i]:
            population[i], energies[i] = trial, energy
    return population, energies


@pytest.mark.parametrize("updating", ["immediate", "deferred"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_generation_equals_numpy(strategy, updating):
    """Twenty generations in step with the loop above: catches a wrong base vector or sign, a
    parent that is seen too early or too late, and a crossover that forgets its fill point."""
    with jax.enable_x64(True):
        box, settings = make_problem(
            [(-2.0, 3.0)] * 3,
            popsize=4,
            strategy=strategy,
            updating=updating,
            mutation=(0.5, 1.5),
            recombination=0.6,
        )

        def func(x):
            return ((x - 0.7) ** 2).sum(0) + (x**2).sum(0) * (x**3).sum(0)

        state = init(func, box, settings, jax.random.key(3))
        redrawn = 0
        for _ in range(20):
            draws = jax.tree.map(np.asarray, draw(settings, state))
            population, energies = numpy_generation(
                func, box, settings, np.asarray(state.population), np.asarray(state.energies), draws
            )
            state = step(func, box, settings, state)
            np.testing.assert_allclose(state.population, population, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(state.energies, energies, rtol=1e-12)
            redrawn += np.isin(population, draws.redrawn).sum()
        assert redrawn > 0  # the case out of bounds did occur


@pytest.mark.parametrize("k", [2, 3, 5])
def test_partners_are_distinct_and_uniform(k):
    """Never the member itself, never twice, every other member equally often: catches an
    off-by-one in the shift past those taken."""
    members = 7
    keys = jax.random.split(jax.random.key(0), 3000)
    partners = np.asarray(jax.vmap(lambda key: draw_partners(key, members, k))(keys))
    together = np.concatenate(
        [np.broadcast_to(np.arange(members)[:, None], (3000, members, 1)), partners], axis=-1
    )
    assert all(len(set(row)) == k + 1 for row in together.reshape(-1, k + 1).tolist())
    expected = 3000 / (members - 1)
    for position in range(k):
        for member in range(members):
            counts = np.bincount(partners[:, member, position], minlength=members)
            others = np.delete(counts, member)
            chi_square = ((others - expected) ** 2 / expected).sum()
            assert counts[member] == 0 and chi_square < 30  # p about 1e-5 with 5 degrees


def test_latin_hypercube_has_one_member_a_slice():
    """In every coordinate; and the coordinates are shuffled independently."""
    population = np.asarray(POPULATIONS["latinhypercube"](jax.random.key(1), 40, 3))
    slices = np.floor(population * 40).astype(int)
    assert all(sorted(column) == list(range(40)) for column in slices.T)
    assert not np.array_equal(slices[:, 0], slices[:, 1])


def make_state(energies):
    energies = jnp.asarray(energies)
    return State(jnp.zeros((len(energies), 1)), energies, jnp.array(1), jax.random.key(0))


@pytest.mark.parametrize(
    ("energies", "tol", "atol", "expected"),
    [
        ([1.0, 3.0], 0.5, 0.0, True),  # std 1 <= 0.5 x mean 2
        ([1.0, 3.0], 0.49, 0.0, False),
        ([-1.0, -3.0], 0.5, 0.0, True),  # the mean's size counts, not its sign
        ([1.0, 3.0], 0.0, 1.0, True),
        ([1.0, 3.0], 0.0, 0.99, False),
        ([1.0, np.inf], 1e9, 1e9, False),  # never while a member is not finite
    ],
)
def test_convergence_is_scipys_rule(energies, tol, atol, expected):
    """``std <= atol + tol |mean|`` with the population standard deviation."""
    _, settings = make_problem([(0, 1)], tol=tol, atol=atol)
    assert bool(converged(settings, make_state(energies))) is expected


def test_an_equal_energy_wins():
    """As in SciPy: on a plateau the population moves on, which a strict comparison would forbid."""
    box, settings = make_problem([(0.0, 1.0)] * 2, popsize=5, updating="deferred")

    def plateau(x):
        return 0 * x.sum(0)

    before = init(plateau, box, settings, jax.random.key(0))
    after = step(plateau, box, settings, before)
    assert np.all(np.any(after.population != before.population, axis=1))


def test_draws_are_independent_and_cover_everything():
    """No two kinds of draw share numbers, every coordinate can be the fill point, and generations
    and the start differ."""
    box, settings = make_problem([(0.0, 1.0)] * 4, popsize=50, init="random")
    start = init(lambda x: x.sum(0), box, settings, jax.random.key(0))
    first = draw(settings, start)
    second = draw(settings, step(lambda x: x.sum(0), box, settings, start))
    numbers = [start.population, first.uniforms, first.redrawn, second.uniforms, second.redrawn]
    assert len({np.asarray(each).tobytes() for each in numbers}) == 5
    assert set(first.fill_point.tolist()) == {0, 1, 2, 3}
