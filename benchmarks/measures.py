"""Speed of measures by subject, next to psifr.

To repeat, in an environment that has jaxcmr and psifr::

    python benchmarks/measures.py                # all 126 PEERS subjects, 50 copies: minutes
    python benchmarks/measures.py --copies 5     # fewer

Each measure is tabulated by subject: 28 lists of 16 words per subject, times the copies, as the
figures of a fit need it of simulated recalls. The program has been compiled before, which takes
about a second per measure. psifr is timed on one copy, and its time multiplied by the number of
copies; to be quicker still it can be timed on fewer subjects and scaled to all (``--psifr``). psifr
first merges study and recall events, once for all measures; that time is listed apart and is not in
the ratios. Category and distance measures are of Morton2013, 40 subjects with 48 lists of 24 words,
with as many copies. Times are wall times; the ratio is of CPU times as well.

Prints a Markdown table and writes what it measured to ``OUT/measures.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from psifr import fr

from jaxcmr.analyses import MEASURES, by_subject
from jaxcmr.datasets import load_bundled

PSIFR: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "serial_position_curve": fr.spc,
    "first_recall": fr.pnr,  # which has it as its first output
    "nth_recall": fr.pnr,
    "lag_crp": fr.lag_crp,
    "lag_crp_compound": fr.lag_crp_compound,
    "lag_rank": fr.lag_rank,
    "category_crp": lambda events: fr.category_crp(events, "category"),
    "category_clustering": lambda events: fr.category_clustering(events, "category"),
    "distance_crp": lambda events: fr.distance_crp(events, "index", DISTANCES, EDGES),
    "distance_rank": lambda events: fr.distance_rank(events, "index", DISTANCES),
}
ITEMS, DISTANCES = fr.sample_distances("Morton2013")
EDGES = np.percentile(DISTANCES[np.triu_indices(len(ITEMS), 1)], np.linspace(1, 99, 10))
BY_WORD = pd.DataFrame(DISTANCES, ITEMS, ITEMS)
OPTIONS: dict[str, dict[str, Any]] = {
    "distance_crp": {"distances": BY_WORD, "edges": EDGES},
    "distance_rank": {"distances": BY_WORD},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=50)
    parser.add_argument("--psifr", type=int, default=1000, help="subjects that psifr is timed on")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args()
    rows = [
        *time_measures("peers_notask", list(PSIFR)[:6], options.copies, options.psifr),
        *time_measures("Morton2013", list(PSIFR)[6:], options.copies, options.psifr),
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "measures.json").write_text(json.dumps(rows, indent=1))
    columns = list(rows[0])
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(str(row[column]) for column in columns) + " |")


def time_measures(
    name: str, measures: list[str], copies: int, n_subjects: int
) -> list[dict[str, object]]:
    """Return a row of times for each measure, and one for psifr's merge of events."""
    raw = fr.sample_data(name)
    subjects = raw["subject"].unique()
    some = raw[raw["subject"].isin(subjects[:n_subjects])]
    scale = copies * len(subjects) / min(n_subjects, len(subjects))
    keys = ["category"] if name == "Morton2013" else []
    events, merge_s, _ = timed(lambda: fr.merge_free_recall(some, study_keys=keys))
    if keys:
        events["index"] = fr.pool_index(events["item"], ITEMS)
    data = copies_of(name, raw, copies)
    rows: list[dict[str, object]] = [
        {"measure": f"(merge, {name})", "lists": len(data["subject"]), "s": "", "psifr s": ""}
    ]
    rows[0] |= {"psifr s": round(merge_s * scale, 1), "ratio": "", "CPU ratio": ""}
    for measure in measures:
        tabulate(measure, data)  # compiles
        _, ours, our_cpu = timed(lambda measure=measure: tabulate(measure, data))
        _, theirs, their_cpu = timed(lambda measure=measure: PSIFR[measure](events))
        rows.append(
            {
                "measure": measure,
                "lists": len(data["subject"]),
                "s": round(ours, 2),
                "psifr s": round(theirs * scale, 1),
                "ratio": round(theirs * scale / ours, 1),
                "CPU ratio": round(their_cpu * scale / our_cpu, 1),
            }
        )
    return rows


def copies_of(name: str, raw: pd.DataFrame, copies: int) -> dict[str, np.ndarray]:
    """Return a data set with copies of all trials, and words and categories of Morton2013."""
    data = load_bundled(name)
    if name == "Morton2013":
        study = raw.query("trial_type == 'study'").sort_values(["subject", "list", "position"])
        for field, column in (("category", "category"), ("pres_items", "item")):
            data[field] = study[column].to_numpy(str).reshape(data["pres_itemnos"].shape)
    return {field: np.tile(values, (copies, 1)) for field, values in data.items()}


def tabulate(measure: str, data: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return the table of a measure by subject."""
    return by_subject(data, MEASURES[measure], **OPTIONS.get(measure, {}))


def timed(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the result of a function, and the wall and CPU seconds that it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
