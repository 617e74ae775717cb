"""The 36 published variants of CRU and CMR, each fitted from those that are nested in it.

The variants of Gunn & Polyn (2025) are fitted from the smallest to the largest. Each fit makes a
few random runs, one run from each of the largest variants that are nested in it, i.e. from those
with one mechanism less; the smallest also make one from each of `CORNERS`. A pair of variants of
which one is nested in the other is broken if the larger one's negative log-likelihood is more than
0.05 nats above the smaller one's for any subject. To repeat, in one process or in several that
share the subjects::

    python benchmarks/variants.py --out build/variants
    python benchmarks/variants.py --subjects 0:63 --out build/first & \\
    python benchmarks/variants.py --subjects 63:126 --out build/second & wait
    python benchmarks/variants.py --out build --merge build/*/best_known_variants.json
    python benchmarks/variants.py --subjects 0:1 --stop positional    # a quick look

Prints a Markdown table. Writes the estimates, and after every variant the lowest negative
log-likelihood of each subject (nats) that this or an earlier run into the same folder has found:
``OUT/best_known_variants.json``. ``published_variants.json`` has the same form, and the published
values of the first 20 subjects. ``best_known_variants.json`` beside it has the lowest of both; null
where no fit has been made yet. Merge new results into it::

    python benchmarks/variants.py --out benchmarks --merge build/best_known_variants.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxcmr.datasets import load
from jaxcmr.files import write_text
from jaxcmr.fitting import JaxDE
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS
from jaxcmr.models.gunn_polyn_2025 import PUBLISHED, VARIANTS
from jaxcmr.results import POOLED, FitResult

SHORT = {"num_steps": 50, "pop_size": 8, "scale": "alternate", "progress_bar": False}
NEAR = 0.05  # nats: losses that differ by less count as equal
PUBLISHED_LOSSES = Path(__file__).with_name("published_variants.json")
RESULT_NAME = "best_known_variants.json"
STOPS = ("positional", "competing")
MECHANISMS = {
    name: (stop, frozenset(on))
    for positional, competing, on in PUBLISHED
    for stop, name in zip(STOPS, (positional, competing), strict=True)
}
"""How a variant stops and which mechanisms are on, by its name."""
CORNERS: tuple[dict[str, float], ...] = tuple(
    {
        "encoding_drift_rate": encoding_drift_rate,
        "recall_drift_rate": recall_drift_rate,
        "learning_rate": 0.98,
        "choice_sensitivity": choice_sensitivity,
        "start_drift_rate": 0.9,
        "shared_support": 1.0,
        "item_support": 1.0,
        "primacy_scale": 1.0,
        "primacy_decay": 1.0,
        "stop_probability_scale": 0.005,
        "stop_probability_growth": 0.35,
        "encoding_drift_decrease": 0.95,
    }
    for encoding_drift_rate, recall_drift_rate, choice_sensitivity in (
        (0.98, 0.985, 0.035),
        (0.9, 0.98, 0.06),
        (0.8, 0.985, 0.05),
        (0.9, 0.9995, 0.15),
        (0.35, 0.9998, 1.0),
        (0.3, 0.99998, 4.0),
        (0.08, 0.9999, 40.0),
    )
)
"""Parameters near optima of the smallest variants. For many subjects these lie in a corner, with a
recall drift rate of almost 1, that random populations miss: most end on a plateau beside it."""


class Losses(NamedTuple):
    """Losses by variant, one value per subject; NaN where none is known."""

    subjects: list[int]
    variants: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> Losses:
        """Return the losses in a file; no subjects if it does not exist."""
        if not path.exists():
            return cls([], {})
        content = json.loads(path.read_text())
        variants = {name: np.array(row, float) for name, row in content["variants"].items()}
        return cls(content["subjects"], variants)

    def write(self, path: Path) -> None:
        """Write the losses, rounded, one variant per line."""
        rows = [
            f"  {json.dumps(name)}: "
            + json.dumps([None if np.isnan(loss) else round(loss, 4) for loss in row.tolist()])
            for name, row in self.variants.items()
        ]
        head = f'{{\n "subjects": {json.dumps(self.subjects)},\n "variants": {{\n'
        write_text(path, head + ",\n".join(rows) + "\n }\n}\n")

    def of(self, name: str, subjects: Sequence[int]) -> np.ndarray:
        """Return the losses of a variant for `subjects`, NaN where none is known."""
        known = dict(zip(self.subjects, self.variants.get(name, ()), strict=False))
        return np.array([known.get(subject, np.nan) for subject in subjects])


def lowest(several: Sequence[Losses]) -> Losses:
    """Return the lowest of several losses for each variant and subject that any of them has."""
    subjects = sorted({subject for losses in several for subject in losses.subjects})
    names = [name for name in ordered() if any(name in losses.variants for losses in several)]
    return Losses(
        subjects,
        {name: np.fmin.reduce([each.of(name, subjects) for each in several]) for name in names},
    )


def ordered(first: int = 0) -> list[str]:
    """Return all variants, the smallest first; of each size, starting with number `first`."""
    sizes = sorted({len(on) for _, on in MECHANISMS.values()})
    names: list[str] = []
    for size in sizes:
        level = [name for name, (_, on) in MECHANISMS.items() if len(on) == size]
        names += [level[(i + first) % len(level)] for i in range(len(level))]
    return names


def is_nested(small: str, big: str) -> bool:
    """Return whether variant `small` is `big` with mechanisms off, or the same model."""
    (small_stop, small_on), (big_stop, big_on) = MECHANISMS[small], MECHANISMS[big]
    return small != big and small_stop == big_stop and small_on <= big_on


def largest_nested(big: str, names: Sequence[str]) -> list[str]:
    """Return those of `names` that are nested in `big`, but not in another one that is."""
    nested = [name for name in names if is_nested(name, big)]
    # Of two fits of one model, both are kept.
    return [
        name
        for name in nested
        if not any(MECHANISMS[name][1] < MECHANISMS[other][1] for other in nested)
    ]


def fit_variants(options: argparse.Namespace) -> Iterator[FitResult]:
    """Fit the chosen variants to the chosen subjects, and yield each result; its model is named."""
    data = load(options.data)
    of_trials = np.asarray(data["subject"]).reshape(-1)
    mask = np.isin(of_trials, np.unique(of_trials)[slice(*options.subjects)])
    fits: dict[str, FitResult] = {}
    corners = [
        FitResult(fits={"subject": [POOLED], **{name: [value] for name, value in corner.items()}})
        for corner in CORNERS
    ]
    for name in options.variants:
        variant = VARIANTS[name]
        starts = [fits[less] for less in largest_nested(name, list(fits))]
        starts += corners if len(MECHANISMS[name][1]) <= options.corners else []
        fitter = JaxDE(
            data,
            None,
            variant.fixed,
            MODELS[variant.model],
            MemorySearchLikelihoodFnGenerator,
            {**SHORT, "bounds": variant.free, "best_of": options.best_of, "seed": options.seed},
        )
        fits[name] = fitter.fit_subjects(mask, start_from=[] if options.alone else starts)
        fits[name]["name"] = name
        yield fits[name]


def broken_pairs(losses: Losses) -> dict[tuple[str, str], float]:
    """Return by how much the larger variant is worse for any subject, for each nested pair."""
    pairs = [(big, small) for big, small in permutations(losses.variants, 2)]
    return {
        (big, small): float(np.nanmax(losses.variants[big] - losses.variants[small]))
        for big, small in pairs
        if is_nested(small, big)
    }


def table(losses: Losses, published: Losses, seconds: Mapping[str, float]) -> str:
    """Return the Markdown table: a row per variant, and a line on the nested pairs.

    Seconds are those of the variants that have been fitted just now.
    """
    broken = broken_pairs(losses)
    rows = [
        "| variant | free | s | mean NLL | above the published | worst, nats | worse than nested |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, values in losses.variants.items():
        above = values - published.of(name, losses.subjects)
        above = above[~np.isnan(above)]
        worst = f"{above.max():.2f}" if len(above) else ""
        worse = sum(excess > NEAR for (big, _), excess in broken.items() if big == name)
        took = f"{seconds[name]:.1f}" if name in seconds else ""
        rows.append(
            f"| {name} | {len(VARIANTS[name].free)} | {took} "
            f"| {np.nanmean(values):.3f} | {np.sum(above > NEAR)} of {len(above)} | {worst} "
            f"| {worse} |"
        )
    total = sum(np.nansum(values) for values in losses.variants.values())
    rows.append(
        f"\n{len(losses.subjects)} subjects, {len(losses.variants)} variants, "
        f"{sum(seconds.values()):.0f} s; sum of all fits {total:.1f} nats. "
        f"{sum(excess > NEAR for excess in broken.values())} of {len(broken)} nested pairs are "
        f"broken; the worst by {max(broken.values(), default=np.nan):.2g} nats."
    )
    return "\n".join(rows)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description="Fit the published variants of CRU and CMR, each from those nested in it."
    )
    add: Callable[..., argparse.Action] = parser.add_argument
    add("--subjects", default="0:126", metavar="A:B", help="from the A-th to before the B-th")
    add("--variants", nargs="+", choices=list(VARIANTS), metavar="NAME", help="default: all")
    add("--stop", choices=[*STOPS, "both"], default="both", help="how the variants stop")
    add("--best-of", type=int, default=2, help="random runs of each fit")
    add("--seed", type=int, default=0)
    add("--alone", action="store_true", help="start from no other fits")
    add("--corners", type=int, default=1, metavar="N",
        help="start from CORNERS, too, where at most N mechanisms are on")  # fmt: skip
    add("--first", type=int, default=0, help="of each size, begin with this variant: several "
        "processes that share a compile cache then compile different programs")  # fmt: skip
    add("--data", default="peers_notask", help="name or file of the data")
    add("--published", type=Path, default=PUBLISHED_LOSSES, help="losses to compare with")
    add("--out", type=Path, default=Path("build/variants"))
    add("--merge", type=Path, nargs="+", metavar="FILE", help="only merge such files into OUT")
    options = parser.parse_args(arguments)
    begin, _, end = options.subjects.partition(":")
    options.subjects = int(begin), int(end)
    options.variants = [
        name
        for name in ordered(options.first)
        if (not options.variants or name in options.variants)
        and options.stop in ("both", MECHANISMS[name][0])
    ]
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit or merge, write, and print the table."""
    options = parse(arguments)
    published, target = Losses.read(options.published), options.out / RESULT_NAME
    options.out.mkdir(parents=True, exist_ok=True)
    if options.merge:
        merged = lowest([Losses.read(path) for path in [target, *options.merge]])
        merged.write(target)
        print(table(merged, published, {}))
        return
    seconds: dict[str, float] = {}
    fitted: list[Losses] = []
    began = time.perf_counter()
    for fit in fit_variants(options):
        name = fit["name"]
        fitted.append(Losses(list(fit["fits"]["subject"]), {name: np.array(fit["fitness"])}))
        lowest([Losses.read(target), *fitted]).write(target)
        subjects = "-".join(map(str, options.subjects))
        fit.save(options.out / f"{name}.{subjects}.json", overwrite=True)
        began, seconds[name] = time.perf_counter(), time.perf_counter() - began
        print(f"{name}: {seconds[name]:.1f} s, mean {np.mean(fit['fitness']):.3f}", flush=True)
    print(table(lowest(fitted), published, seconds))


if __name__ == "__main__":
    main()
