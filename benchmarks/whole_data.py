"""Fits of the PEERS data, 126 subjects, next to the program that jaxcmr's names come from.

The reference is ``jaxcmr`` 0.1.1 on the Python package index, which has our name: it lives in an
environment of its own and is only ever run there, in processes that this file starts. It fits by
`scipy.optimize.differential_evolution`, one subject and run after another.

To repeat, in an environment that has jaxcmr and psifr (the reference declares Python 3.12 and one
release of SciPy, but runs without; hence the options)::

    python -m venv other
    other/bin/pip install --ignore-requires-python --no-deps jaxcmr==0.1.1
    other/bin/pip install jax==0.10.2 jaxtyping scipy tqdm simple-pytree
    python benchmarks/whole_data.py --reference other/bin/python            # all parts
    python benchmarks/whole_data.py likelihood --reference other/bin/python # some of them

- ``likelihood``: the lists of one subject under a generation of candidates, drawn uniformly within
  the usual bounds. A time is the median of some repetitions after a first call, listed apart, that
  compiles; the contenders take turns.
- ``fit``: all subjects, from the start of a fresh process to its end, in each of several settings,
  and how far the fits end from the best ones known, ``--best``. The reference, given the same
  data, fits a few of the subjects in one process, one run each, after a short one that warms it up.
  Its whole work is extrapolated: what its process does once, plus the mean time of these runs as
  many times as there are subjects and runs (it has no ``best_of``, and compiles in every run).
- ``growth``: fits of more and more subjects (short runs, ``best_of`` 3, a fresh process each), and
  the likelihood of more and more of their trials, as in a pooled fit.

``best_known.json`` has the lowest negative log-likelihood (nats) of each subject that any search is
known to have found: ours, more than 10,000 of several kinds, or for the first 20 an earlier list.

Prints Markdown tables and writes what it measured to ``OUT/whole_data_PART.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from subprocess import PIPE
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Functions import jaxcmr: in the processes of the reference another package has that name.

HYPERPARAMETERS: dict[str, Any] = {
    "best_of": 3,
    "pop_size": 15,
    "num_steps": 1000,
    "relative_tolerance": 0.001,
    "cross_over_rate": 0.9,
    "diff_w": 0.85,
    "progress_bar": False,
}
SHORT = {"num_steps": 50, "pop_size": 8, "scale": "alternate"}
SETTINGS: dict[str, dict[str, Any]] = {
    "as published, best_of 3": {},
    "short runs, best_of 3": SHORT,
    "short runs, best_of 12": {**SHORT, "best_of": 12},
}
"""What is timed, by name: changes to HYPERPARAMETERS. The last is the default search."""
BEST_KNOWN = Path(__file__).with_name("best_known.json")
REFERENCE_VERSION = "0.1.1"
CALLS = 10  # that one time of a likelihood is the mean of
NEAR = 0.05  # nats from the best known fit
FIELDS = ("subject", "listLength", "pres_itemnos", "recalls")
OURS, BY_EVENT = "ours", "ours, event by event"
SEARCHING = "ours, as in a search: generations in a loop, a program per core"
GENERATIONS = 50
STUDY_MODES = {
    "reference, lists studied once": "base_predict_trials_loss",
    "reference, studied anew for each trial": "present_and_predict_trials_loss",
}

Call = Callable[[], Any]


class Timing(NamedTuple):
    """Seconds of the first call, and microseconds per candidate of the repetitions."""

    first: float | None
    rest: list[float]

    @property
    def microseconds(self) -> float:
        """Return the median."""
        return float(np.median(self.rest))


class Job(NamedTuple):
    """What both programs are given: some subjects' data, and the rest as JSON."""

    data: dict[str, np.ndarray]
    settings: dict[str, Any]

    @property
    def subjects(self) -> np.ndarray:
        """Return their numbers."""
        return np.unique(self.data["subject"])

    def of_subjects(self, n: int) -> Job:
        """Return the job for the first subjects only."""
        chosen = np.isin(self.data["subject"].ravel(), self.subjects[:n])
        return self._replace(data={name: field[chosen] for name, field in self.data.items()})

    def with_settings(self, **changes: Any) -> Job:
        """Return the job with other settings."""
        return self._replace(settings={**self.settings, **changes})

    def with_candidates(self) -> Job:
        """Return the job with a generation of candidates, drawn uniformly within the bounds."""
        low, high = np.array(list(self.settings["bounds"].values())).T[:, :, None]
        size = (len(low), len(low) * HYPERPARAMETERS["pop_size"])
        candidates = np.random.default_rng(0).uniform(low, high, size)
        return self.with_settings(candidates=candidates.tolist())

    def write(self, folder: Path) -> None:
        """Write the job into a folder, for another process."""
        fields: dict[str, Any] = self.data
        np.savez(folder / "data.npz", **fields)
        (folder / "settings.json").write_text(json.dumps(self.settings))

    @classmethod
    def read(cls, folder: Path) -> Job:
        """Return the job in a folder."""
        with np.load(folder / "data.npz") as fields:
            return cls(dict(fields), json.loads((folder / "settings.json").read_text()))


def theirs() -> tuple[Any, Any, Any]:
    """Return the model, likelihood and fitter of the reference, in an environment that has it."""
    assert version("jaxcmr") == REFERENCE_VERSION, "This Python does not have the reference."
    model, loss, fit = map(import_module, ("jaxcmr.cmr", "jaxcmr.likelihood", "jaxcmr.fitting"))
    return model.CMRFactory, loss.MemorySearchLikelihoodFnGenerator, fit.ScipyDE


def reference_likelihood(folder: Path) -> None:
    """Print versions, then answers to questions on standard input about times and values."""
    factory, generator, _ = theirs()
    data, settings = Job.read(folder)
    losses = generator(factory, data, None)
    names, candidates = list(settings["bounds"]), jnp.asarray(settings["candidates"])
    trials = jnp.arange(len(data["recalls"]))

    def call(mode: str) -> Call:
        def loss(x: jax.Array) -> jax.Array:
            return getattr(losses, mode)(trials, dict(zip(names, x, strict=True)))

        return partial(jax.jit(jax.vmap(loss, in_axes=1)), candidates)

    calls = {name: call(mode) for name, mode in STUDY_MODES.items()}
    answers = {"first": seconds_of, "time": microseconds, "values": lambda one: one().tolist()}
    print(json.dumps({name: version(name) for name in ("jaxcmr", "jax")}), flush=True)
    for line in sys.stdin:
        question, name = json.loads(line)
        print(json.dumps(answers[question](calls[name])), flush=True)


def reference_fit(folder: Path) -> None:
    """Print seconds of the set-up and of a run of each of some subjects, and their losses."""
    factory, generator, scipy_de = theirs()
    np.random.seed(0)  # it passes SciPy no seed
    job = Job.read(folder)
    subjects = job.subjects[: job.settings["reference_subjects"]]
    options = {"bounds": job.settings["bounds"], **job.settings["reference"]}
    ends, losses = [time.perf_counter()], []
    fitter = scipy_de(job.data, None, {}, factory, generator, options)
    for i, subject in enumerate([subjects[0], *subjects]):
        fitter.num_steps = options["num_steps"] if i else 1
        losses += fitter.single_fit(job.data["subject"].ravel() == subject)["fitness"]
        ends.append(time.perf_counter())
    setup, *runs = np.diff(ends).tolist()
    print(json.dumps({"set-up": setup, "runs": runs, "losses": losses[1:]}))


def ask(process: subprocess.Popen[str], *question: str) -> Any:
    """Return the next answer of the reference's likelihoods, to a question if there is one."""
    assert process.stdin and process.stdout
    if question:
        print(json.dumps(question), file=process.stdin, flush=True)
    if not (line := process.stdout.readline()):
        raise RuntimeError("The reference stopped; its error is above.")
    return json.loads(line)


def our_fit(folder: Path) -> None:
    """Print seconds of the fits of all subjects, their losses, and evaluations per subject."""
    from jaxcmr.fitting import JaxDE
    from jaxcmr.loss.sequence_likelihood import MemorySearchLikelihoodFnGenerator
    from jaxcmr.models.cmr import make_factory

    job = Job.read(folder)
    began = time.perf_counter()
    options = {"bounds": job.settings["bounds"], **job.settings["ours"]}
    fitter = JaxDE(job.data, None, {}, make_factory(), MemorySearchLikelihoodFnGenerator, options)
    result = fitter.fit_subjects(np.ones(len(job.data["recalls"]), bool))
    seconds = time.perf_counter() - began
    losses = dict(zip(result["fits"]["subject"], result["fitness"], strict=True))
    print(json.dumps({"runs": seconds, "losses": losses, "nfev": np.mean(result["nfev"])}))


def our_likelihoods(job: Job) -> dict[str, Call]:
    """Return calls of the loss as it is, and of the model played event by event."""
    import equinox as eqx

    from jaxcmr.loss.sequence_likelihood import MemorySearchLikelihoodFnGenerator
    from jaxcmr.models.cmr import make_factory

    generator = MemorySearchLikelihoodFnGenerator(make_factory(), job.data)
    names, candidates = list(job.settings["bounds"]), jnp.asarray(job.settings["candidates"])
    trials = np.arange(len(job.data["recalls"]))
    losses: dict[str, Any] = {
        OURS: generator(trials, {}, names),
        BY_EVENT: generator.by_event(trials, {}, names),
    }
    compiled = eqx.filter_jit(lambda loss, x: loss(x))
    return {name: partial(compiled, loss, candidates) for name, loss in losses.items()}


def our_search(job: Job) -> Call:
    """Return a call of the loss as searches make it: one generation after another in one program.

    Its loops use the longest vectors of the processor.
    """
    generator = import_module("jaxcmr.loss").MemorySearchLikelihoodFnGenerator
    make_factory = import_module("jaxcmr.models.cmr").make_factory
    trials = np.arange(len(job.data["recalls"]))
    loss = generator(make_factory(), job.data)(trials, {}, list(job.settings["bounds"]))
    candidates = jnp.asarray(job.settings["candidates"])
    generations = jnp.broadcast_to(candidates, (GENERATIONS, *candidates.shape))
    on_cpu = jax.default_backend() == "cpu"
    options = {"xla_cpu_prefer_vector_width": 512} if on_cpu else None
    compiled = jax.jit(lambda xs: jax.lax.map(loss, xs).ravel(), compiler_options=options)
    return partial(compiled, generations)


def seconds_of(call: Call) -> float:
    """Return the seconds of one call; the first one compiles."""
    began = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - began


def microseconds(call: Call, n_threads: int = 1) -> float:
    """Return the time per candidate; of several threads, that of all candidates together."""

    def some(thread: int) -> int:
        values = [jax.block_until_ready(call()) for _ in range(CALLS)]
        return sum(map(len, values))

    with ThreadPoolExecutor(n_threads) as pool:
        began = time.perf_counter()
        n_candidates = sum(pool.map(some, range(n_threads)))
        return (time.perf_counter() - began) / n_candidates * 1e6


def start(python: str, task: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return a command and its environment, without a compile cache or other packages' paths."""
    isolated = ["-I"] if task.startswith("reference") else []
    env = {name: value for name, value in os.environ.items() if "COMPILATION_CACHE" not in name}
    return [python, *isolated, os.path.abspath(__file__), "--task", task, str(folder)], env


def run_afresh(python: str, task: str, job: Job) -> dict[str, Any]:
    """Return what a process of its own prints, with the seconds from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        job.write(Path(folder))
        command, env = start(python, task, Path(folder))
        began = time.perf_counter()
        run = subprocess.run(command, env=env, check=True, stdout=PIPE, text=True)
        seconds = time.perf_counter() - began
    return {**json.loads(run.stdout.splitlines()[-1]), "seconds": seconds}


def time_likelihood(job: Job, options: argparse.Namespace) -> dict[str, Any]:
    """Return times and values of the likelihoods of one subject."""
    job = job.of_subjects(1).with_candidates()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        job.write(folder)
        calls = our_likelihoods(job)
        first = {name: seconds_of(call) for name, call in calls.items()}
        values = {name: call().tolist() for name, call in calls.items()}
        timers: dict[str, Callable[[], float]] = {}
        for name, call in calls.items():
            timers[name] = partial(microseconds, call)
            timers[f"{name}, two at once in threads"] = partial(microseconds, call, 2)
        search = our_search(job)
        first[SEARCHING] = seconds_of(search)
        timers[SEARCHING] = partial(microseconds, search, os.cpu_count() or 1)
        versions = None
        if options.reference:
            command, env = start(options.reference, "reference_likelihood", folder)
            process = stack.enter_context(
                subprocess.Popen(command, env=env, stdin=PIPE, stdout=PIPE, text=True)
            )
            versions = ask(process)
            for name in STUDY_MODES:
                first[name] = ask(process, "first", name)
                values[name] = ask(process, "values", name)
                timers[name] = partial(ask, process, "time", name)
        rest: dict[str, list[float]] = {name: [] for name in timers}
        for turn in range(options.repeats):
            for name, timer in timers.items():
                print(f"{turn + 1}/{options.repeats} {name}", end="\033[K\r", file=sys.stderr)
                rest[name].append(timer())
        print(end="\033[K", file=sys.stderr)
    timings = {name: Timing(first.get(name), some)._asdict() for name, some in rest.items()}
    return {"versions": versions, "timings": timings, "values": values}


def time_fit(job: Job, options: argparse.Namespace) -> dict[str, Any]:
    """Return the times of all fits of ours, and of some of the reference."""
    settings = {"as told": options.settings} if options.settings else SETTINGS
    best = json.loads(options.best.read_text()) if options.best else {}
    ours = {}
    for name, changes in settings.items():
        as_set = job.with_settings(ours={**HYPERPARAMETERS, **changes})
        print(name, end="\033[K\r", file=sys.stderr)
        one = run_afresh(sys.executable, "our_fit", as_set.of_subjects(1))
        all_subjects = run_afresh(sys.executable, "our_fit", as_set)
        fits = all_subjects["losses"]
        gaps = {subject: fits[subject] - best[subject] for subject in fits if subject in best}
        ours[name] = {**all_subjects, "first": one["seconds"], "gaps": gaps}
    print(end="\033[K", file=sys.stderr)
    result = {"settings": job.settings, "n_subjects": len(job.subjects), "ours": ours}
    if options.reference:
        result["reference"] = run_afresh(options.reference, "reference_fit", job)
    return result


def time_growth(job: Job, options: argparse.Namespace) -> dict[str, Any]:
    """Return the times of fits of 1, 2, 4, ... subjects and all, and of their pooled likelihood."""
    numbers = [*(2**i for i in range(8) if 2**i < len(job.subjects)), len(job.subjects)]
    short = job.with_settings(ours={**HYPERPARAMETERS, **SHORT})
    growth = []
    for n in numbers:
        print(f"{n} subjects", end="\033[K\r", file=sys.stderr)
        fit = run_afresh(sys.executable, "our_fit", short.of_subjects(n))
        call = our_likelihoods(job.of_subjects(n).with_candidates())[OURS]
        jax.block_until_ready(call())
        times, began = [], time.process_time()
        for _ in range(options.repeats):
            times.append(seconds_of(call))
        cores = (time.process_time() - began) / sum(times)
        n_trials = len(job.of_subjects(n).data["recalls"])
        growth.append([n, fit["seconds"], n_trials, float(np.median(times)) * 1e3, cores])
    print(end="\033[K", file=sys.stderr)
    return {"growth": growth}


def format_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def likelihood_table(result: dict[str, Any]) -> str:
    """Return times, their ratios to ours, and whether the values are the same."""
    timings = {name: Timing(**one) for name, one in result["timings"].items()}
    values = {name: np.array(some) for name, some in result["values"].items()}
    rows = []
    for name, timing in timings.items():
        ratio = f"{timing.microseconds / timings[OURS].microseconds:.2f}"
        first = "" if timing.first is None else f"{timing.first:.2f}"
        apart = np.abs(values[name] / values[OURS] - 1) if name in values else None
        differs = "" if apart is None else f"{np.median(apart):.1e}, {np.max(apart):.1e}"
        rows.append([name, f"{timing.microseconds:.2f}", ratio, first, differs])
    header = ["", "µs per candidate", "ratio to ours", "first call, s"]
    header += ["values: relative difference from ours, median and largest"]
    text = ""
    if result["versions"]:
        once, anew = (values[name] for name in STUDY_MODES)
        text = (
            f"Values of the reference's two modes differ by {np.max(np.abs(anew / once - 1)):.1e} "
            "at most, relatively. They need not equal ours: its context computes the share "
            "it keeps for each unit by itself, ours for the whole, and its choice divides support "
            "by the largest of all items, recalled ones included, before it adds the same floor.\n"
        )
    return f"{format_table(header, rows)}\n{text}"


def fit_table(result: dict[str, Any]) -> str:
    """Return seconds, those of the reference extrapolated, and distances from the best fits."""
    whole, text = None, ""
    if "reference" in result:
        n_runs = result["n_subjects"] * result["settings"]["reference"]["best_of"]
        runs, seconds = result["reference"]["runs"], result["reference"]["seconds"]
        once, a_run = seconds - sum(runs), float(np.mean(runs))
        whole = once + n_runs * a_run
        each = ", ".join(f"{one:.2f}" for one in runs)
        text = (
            f"The reference's whole work, {whole:.0f} s, is extrapolated from runs of {each} s, "
            f"one per subject: {once:.2f} s once, and {n_runs} times {a_run:.2f} s.\n"
        )
    rows = []
    for name, ours in result["ours"].items():
        row = [name, f"{ours['nfev']:.0f}", f"{ours['first']:.1f}", f"{ours['seconds']:.1f}"]
        row.append(f"{whole / ours['seconds']:.0f}" if whole else "")
        gaps = np.array(list(ours["gaps"].values()))
        near = [f"{gaps.mean():.3f}", f"{np.mean(gaps <= NEAR):.1%}", f"{gaps.max():.2f}"]
        rows.append(row + (near if gaps.size else [""] * 3))
    header = ["", "evaluations per subject", "one subject, s", "all, s", "reference : ours"]
    header += ["mean gap, nats", f"within {NEAR}", "worst"]
    return f"{format_table(header, rows)}\n{text}"


def growth_table(result: dict[str, Any]) -> str:
    """Return a row per number of subjects."""
    header = ["subjects", "fit, s", "trials", "their likelihood, ms", "cores busy"]
    formats = ["{:d}", "{:.1f}", "{:d}", "{:.1f}", "{:.1f}"]
    return format_table(
        header,
        [
            [form.format(value) for form, value in zip(formats, row, strict=True)]
            for row in result["growth"]
        ],
    )


PARTS: dict[str, tuple[str, Callable[..., dict[str, Any]], Callable[[dict[str, Any]], str]]] = {
    "likelihood": ("The likelihood of one subject", time_likelihood, likelihood_table),
    "fit": ("All subjects fitted", time_fit, fit_table),
    "growth": ("More and more subjects and trials", time_growth, growth_table),
}
"""Title of each part, what measures it, and its table."""
TASKS = {task.__name__: task for task in (our_fit, reference_fit, reference_likelihood)}


def the_job(options: argparse.Namespace) -> Job:
    """Return the immediate free recall of the first subjects, as the options ask."""
    from jaxcmr.datasets import load_bundled, load_data, select_trials
    from jaxcmr.models import usual_bounds

    data = load_data(options.data) if options.data else load_bundled("peers_notask")
    if "listtype" in data:
        data = select_trials(data, data["listtype"].ravel() == -1)
    settings = {
        "bounds": usual_bounds("cmr"),
        "reference": {**HYPERPARAMETERS, **options.reference_settings},
        "reference_subjects": options.reference_subjects,
    }
    job = Job({name: np.asarray(data[name]) for name in FIELDS}, settings)
    return job.of_subjects(options.subjects or len(job.subjects))


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--reference", metavar="PYTHON", help="one that has the reference")
    parser.add_argument("--data", type=Path, help="HDF5 file; by default what psifr brings along")
    parser.add_argument("--subjects", type=int, help="how many; all by default")
    parser.add_argument("--reference-subjects", type=int, default=2, help="how many it fits")
    parser.add_argument("--settings", type=json.loads, help="JSON: hyperparameters, of one setting")
    parser.add_argument("--reference-settings", type=json.loads, default={}, help="and its own")
    parser.add_argument("--best", type=Path, default=BEST_KNOWN, help="JSON: {subject: nats}")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the times")
    parser.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", False)
    if options.task:
        return TASKS[options.task[0]](Path(options.task[1]))
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    job = the_job(options)
    setting = {"device": str(jax.devices()[0]), "cores": os.cpu_count(), "jax": version("jax")}
    print(f"jax {setting['jax']}, {setting['device']}, {setting['cores']} cores")
    print(f"{len(job.subjects)} subjects, {len(job.data['recalls'])} trials")
    options.out.mkdir(parents=True, exist_ok=True)
    for part in options.parts or PARTS:
        title, measure, as_table = PARTS[part]
        result = measure(job, options)
        print(f"\n{title}\n\n{as_table(result)}", flush=True)
        saved = json.dumps({"setting": setting, **result})
        (options.out / f"whole_data_{part}.json").write_text(saved)


if __name__ == "__main__":
    main()
