"""Speed of every model of the catalogue, next to textbook CMR.

To repeat, in an environment that has jaxcmr and psifr::

    python benchmarks/catalogue.py loss growth            # minutes
    python benchmarks/catalogue.py fit --models cmr ecmr  # two fits per model, minutes each
    python benchmarks/catalogue.py fit --subjects 16

- ``loss``: one generation's loss of one PEERS subject (28 lists of 16), 8 candidates per parameter,
  in one thread. It is compiled as a search is, with some generations in one compiled loop. CMR and
  the model take turns; CPU times and ratios are medians of five. The first call, listed apart, is
  wall time: it traces and compiles. Searches run in single precision, polishes in double.
- ``growth``: the same in single precision, for longer lists (made up, 12 items recalled), more of
  the subject's lists, more candidates, and the lists of more subjects in one pooled loss.
- ``fit``: ``jc.fit`` with the default search of 12 short runs, from the start of a fresh process to
  its end, on all cores. The compile cache is empty at first, then as the first process left it.
  With fewer subjects than all 126 the time for all is extrapolated from that of one and of these.

Semantic models get random features of 20 dimensions, emotional ones random valence. Confusable CRU
gets made-up serial recall, of lists of 8 out of 26 letters that all differ, so that each is studied
anew. "cmr, by event" is textbook CMR without its replay. Targets of fits are for two cores.

Prints Markdown tables and writes what it measured to ``OUT/catalogue_PART.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from whole_data import Call, format_table, seconds_of

import jaxcmr as jc
from jaxcmr.loss._likelihood import LikelihoodGenerator
from jaxcmr.optimize import in_double
from jaxcmr.optimize._jit import Compiled
from jaxcmr.parameters import ParameterSpace
from jaxcmr.typing import RecallDataset

CMR, BY_EVENT = "cmr", "cmr, by event"
VALENCES = {"ecmr": (0, 1), "cmr3": (-1, 0, 1)}
ALL_SUBJECTS = 126
PER_PARAMETER = 8  # candidates, as many as a search has
GENERATIONS, FEW = 20, 2  # in one compiled loop; where lists or candidates are many
TURNS = 5
LEAST_SECONDS = 0.1  # of one time, so that other work on the machine evens out


class Target(NamedTuple):
    """What a model may take at most: beside CMR, in one thread, and in a fit of all subjects."""

    ratio: float = 3.0
    microseconds: float = 30.0
    seconds: float | None = None


TARGETS: Mapping[str, Target] = {
    CMR: Target(seconds=50.0),
    "gunn_polyn_2025": Target(seconds=120.0),
    "cru_cmr_context_stop": Target(seconds=120.0),
    "semantic_cmr": Target(seconds=150.0),
    "semantic_cmr_multiplicative": Target(seconds=150.0),
    "semantic_cmr_associative": Target(seconds=150.0),
    "ecmr": Target(5.0, 50.0, 240.0),
    "cmr3": Target(5.0, 50.0),
    "instance_cmr": Target(8.0, 80.0, 240.0),
}
GROWTH: Mapping[str, Sequence[int]] = {
    "list length": (16, 40, 100),
    "lists": (7, 14, 28),
    "candidates": (16, 64, 256, 1024),
    "subjects": (1, 8, 64),
}
GROWTH_MODELS = (CMR, BY_EVENT, "gunn_polyn_2025", "semantic_cmr", "ecmr", "instance_cmr")

losses_of_generations = Compiled(lambda loss, xs: jax.lax.map(loss, xs).ravel(), wide_vectors=True)
"""Compiled as a search is: with the longest vectors of the processor."""


# Data


def first_subjects(n: int) -> RecallDataset:
    """Return the PEERS lists of the first `n` subjects."""
    data = jc.load("peers_notask")
    subjects = data["subject"].ravel()
    return jc.select_trials(data, np.isin(subjects, np.unique(subjects)[:n]))


def make_lists(subject: np.ndarray, length: int, n_recalls: int, n_ids: int) -> RecallDataset:
    """Return lists of random items, a list per row of `subject`, recalled in random order."""
    rng, n_lists = np.random.default_rng(0), len(subject)
    positions, ids = (np.tile(np.arange(1, n + 1), (n_lists, 1)) for n in (length, n_ids))
    return {
        "subject": subject,
        "listLength": np.full((n_lists, 1), length),
        "pres_itemnos": positions,
        "pres_itemids": rng.permuted(ids, axis=1)[:, :length],
        "recalls": np.where(positions <= n_recalls, rng.permuted(positions, axis=1), 0),
    }


def equip(model: str, data: RecallDataset) -> tuple[RecallDataset, np.ndarray | None]:
    """Return data and features as the model needs them, from those of free recall."""
    rng = np.random.default_rng(0)
    if model == "confusable_cru":
        letters = make_lists(data["subject"], length=8, n_recalls=8, n_ids=26)
        studied = letters["pres_itemids"]
        is_wrong, slips = rng.random(studied.shape) < 0.2, rng.integers(1, 27, studied.shape)
        places = rng.normal(size=(26, 2))
        distances = np.linalg.norm(places[:, None] - places, axis=2)
        return {**letters, "rec_itemids": np.where(is_wrong, slips, studied)}, distances
    if model in VALENCES:
        return {**data, "valence": rng.choice(VALENCES[model], data["pres_itemnos"].shape)}, None
    if model.startswith("semantic"):
        return data, rng.normal(size=(int(np.max(data["pres_itemids"])), 20))
    return data, None


def loss_name(model: str) -> str:
    """Return the name of the likelihood of a model."""
    return "confusable_likelihood" if model == "confusable_cru" else "sequence_likelihood"


# Losses, in one thread


def make_call(
    model: str,
    data: RecallDataset,
    precision: str = "float32",
    n_candidates: int | None = None,
    generations: int = FEW,
) -> Call:
    """Return a call of the loss of all lists, with candidates drawn as a search draws its first.

    To be made and called where JAX works in this precision.
    """
    name = CMR if model == BY_EVENT else model
    data, features = equip(name, data)
    generator = jc.LOSSES[loss_name(name)](jc.MODELS[name], data, features)
    assert isinstance(generator, LikelihoodGenerator)
    make_loss = generator.by_event if model == BY_EVENT else generator.__call__
    declared = {each.name: each for each in jc.MODELS[name].parameters}
    loss = make_loss(np.arange(len(data["subject"])), {}, list(declared))
    if precision == "float64":
        [loss] = in_double([loss])
    bounds = {name: each.bounds for name, each in declared.items()}
    space = ParameterSpace.make(bounds, {name: each.scale for name, each in declared.items()})
    size = generations, len(declared), n_candidates or PER_PARAMETER * len(declared)
    places = jnp.asarray(np.random.default_rng(0).random(size), precision)
    return partial(losses_of_generations, loss, jax.vmap(space.from_unit)(places))


def microseconds(call: Call) -> float:
    """Return the CPU time of one candidate's loss, which other work changes less than wall time."""
    n_losses, began = 0, time.process_time()
    while (seconds := time.process_time() - began) < LEAST_SECONDS:
        n_losses += len(jax.block_until_ready(call()))
    return seconds / n_losses * 1e6


def time_loss(models: Sequence[str]) -> dict[str, Any]:
    """Return microseconds, ratio to CMR and seconds of the first call, by precision and model."""
    data = first_subjects(1)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for precision in ("float32", "float64"):
        with jax.enable_x64(precision == "float64"):
            cmr, found[precision] = make_call(CMR, data, precision, generations=GENERATIONS), {}
            first_of_cmr = seconds_of(cmr)
            for model in models or [CMR, BY_EVENT, *(name for name in jc.MODELS if name != CMR)]:
                show_progress(precision, model)
                call = make_call(model, data, precision, generations=GENERATIONS)
                first = first_of_cmr if model == CMR else seconds_of(call)
                turns = [(microseconds(cmr), microseconds(call)) for _ in range(TURNS)]
                found[precision][model] = {
                    "microseconds": median(of_model for _, of_model in turns),
                    "ratio": median(of_model / of_cmr for of_cmr, of_model in turns),
                    "first": first,
                }
    return found


def time_growth(models: Sequence[str]) -> dict[str, Any]:
    """Return microseconds per candidate, by what grows and by model."""
    subject, one = np.ones((28, 1), int), first_subjects(1)
    calls: dict[str, Callable[[str, int], Call]] = {
        "list length": lambda model, n: make_call(model, make_lists(subject, n, 12, 10 * n)),
        "lists": lambda model, n: make_call(model, jc.select_trials(one, np.arange(28) < n)),
        "candidates": lambda model, n: make_call(model, one, n_candidates=n),
        "subjects": lambda model, n: make_call(model, first_subjects(n)),
    }
    found: dict[str, dict[str, list[float]]] = {what: {} for what in GROWTH}
    for model in models or GROWTH_MODELS:
        for what, sizes in GROWTH.items():
            show_progress(model, what)
            found[what][model] = []
            for size in sizes:
                call = calls[what](model, size)
                jax.block_until_ready(call())
                found[what][model].append(median(microseconds(call) for _ in range(TURNS)))
    return found


# Fits, in processes of their own


def fit_subjects(model: str, n_subjects: int) -> float:
    """Return the sum of the losses of a fit of the first subjects, made in this process."""
    data, features = equip(model, first_subjects(n_subjects))
    result = jc.fit(data, model, loss_name(model), features=features, progress=False)
    return sum(result["fitness"])


def time_fits(models: Sequence[str], n_subjects: int) -> dict[str, Any]:
    """Return the seconds of whole processes, each model with a compile cache of its own."""
    found = {}
    for model in models or jc.MODELS:
        with tempfile.TemporaryDirectory() as cache:
            times: dict[str, float] = {}
            for kind, n in (("empty", n_subjects), ("filled", n_subjects), ("one", 1)):
                show_progress(model, kind)
                began = time.perf_counter()
                loss = run_afresh(fit_subjects.__name__, [model, n], JAXCMR_COMPILE_CACHE=cache)
                times[kind] = time.perf_counter() - began
                times.setdefault("loss", loss)
        found[model] = times
    return {"subjects": n_subjects, "models": found}


def run_afresh(task: str, arguments: Sequence[Any], **environment: str) -> Any:
    """Return the result of one of `TASKS`, in a process of its own."""
    command = [sys.executable, os.path.abspath(__file__), "--task", task, json.dumps(arguments)]
    env = {name: value for name, value in os.environ.items() if "COMPILATION_CACHE" not in name}
    env.update(environment)
    run = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


TASKS = {task.__name__: task for task in (time_loss, time_growth, fit_subjects)}


# Tables


def loss_table(result: dict[str, Any]) -> str:
    """Return a row per model."""
    header = ["model", "µs", "ratio to cmr", "at most", "µs at most (a hint)", "first call, s"]
    header += ["double precision: µs", "ratio to cmr", "first call, s"]
    rows = []
    for model, single in result["float32"].items():
        target, double = TARGETS.get(model, Target()), result["float64"][model]
        row = [model, f"{single['microseconds']:.1f}", f"{single['ratio']:.1f}"]
        row += [f"{target.ratio:.0f}", f"{target.microseconds:.0f}", f"{single['first']:.1f}"]
        row += [f"{double['microseconds']:.1f}", f"{double['ratio']:.1f}", f"{double['first']:.1f}"]
        rows.append(row)
    return format_table(header, rows)


def growth_table(result: dict[str, Any]) -> str:
    """Return a table for each thing that grows."""
    return "\n".join(
        format_table(
            [what, *map(str, GROWTH[what])],
            [
                [model, *(f"{one:.1f} ({one / times[0]:.1f})" for one in times)]
                for model, times in by_model.items()
            ],
        )
        for what, by_model in result.items()
    )


def fit_table(result: dict[str, Any]) -> str:
    """Return a row per model."""
    n = result["subjects"]
    header = ["model", "one subject, s", f"{n}, s", f"{n}, empty cache, s"]
    header += [f"{ALL_SUBJECTS}, empty cache, s{'' if n == ALL_SUBJECTS else ', extrapolated'}"]
    rows = []
    for model, times in result["models"].items():
        per_subject = (times["filled"] - times["one"]) / max(1, n - 1)
        whole = times["empty"] + (ALL_SUBJECTS - n) * per_subject
        target = TARGETS.get(model, Target()).seconds
        row = [times["one"], times["filled"], times["empty"], whole, target]
        rows.append([model, *(f"{s:.1f}" if s else "" for s in row), f"{times['loss']:.2f}"])
    return format_table([*header, "at most", "sum of losses, nats"], rows)


PARTS: Mapping[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "loss": ("Loss of one subject, per candidate of a generation, in one thread", loss_table),
    "growth": (
        "Loss per candidate, µs (relative to the first column), in one thread",
        growth_table,
    ),
    "fit": ("Fits of subjects, whole processes, compile cache filled or empty", fit_table),
}
"""Title and table of each part."""


def show_progress(*words: str) -> None:
    """Show what is being measured."""
    print(*words, end="\033[K\r", file=sys.stderr, flush=True)


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--models", nargs="+", default=[], help="names; all by default")
    parser.add_argument("--subjects", type=int, default=ALL_SUBJECTS, help="how many are fitted")
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the times")
    parser.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        task, arguments = TASKS[options.task[0]], json.loads(options.task[1])
        if task is not fit_subjects and sys.platform == "linux":
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before JAX starts threads
        return print(json.dumps(task(*arguments)))
    if unknown := {*options.parts} - {*PARTS} | {*options.models} - {BY_EVENT, *jc.MODELS}:
        parser.error(f"unknown parts or models: {', '.join(sorted(unknown))}")
    setting = {"jaxcmr": jc.__version__, "jax": version("jax"), "cores": os.cpu_count()}
    print(", ".join(f"{name} {value}" for name, value in setting.items()))
    options.out.mkdir(parents=True, exist_ok=True)
    for part in options.parts or PARTS:
        title, as_table = PARTS[part]
        if part == "fit":
            result = time_fits([m for m in options.models if m != BY_EVENT], options.subjects)
        else:
            result = run_afresh(f"time_{part}", [options.models])
        show_progress()
        print(f"\n{title}\n\n{as_table(result)}", flush=True)
        saved = json.dumps({"setting": setting, **result})
        (options.out / f"catalogue_{part}.json").write_text(saved)


if __name__ == "__main__":
    main()
