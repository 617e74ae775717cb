"""What a report says of the data: trials, lists, recalls and errors of those that were fitted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxcmr.reporting._tables import Cell, Table
from jaxcmr.typing import RecallDataset, TrialMask

__all__ = ["DataFacts", "data_table", "describe_data", "describe_lengths"]


class DataFacts(NamedTuple):
    """Counts of the fitted trials; recalls are first recalls of studied positions."""

    n_subjects: int
    n_trials: int
    n_left_out: int
    """Trials of the data set that were not fitted."""
    lengths: dict[int, int]
    """How many lists have each length."""
    trials_per_subject: tuple[int, int]
    n_recalls: int
    recalls_per_list: tuple[float, float]
    """Mean and standard deviation (n - 1) over subjects of the mean number per list."""
    n_intrusions: int | None
    n_repeats: int | None


def describe_data(data: RecallDataset, mask: TrialMask) -> DataFacts:
    """Return what there is to say of the trials of a mask.

    Raises:
        ValueError: the mask holds no trial.

    >>> import numpy as np
    >>> data = {"subject": [[1], [1], [2]], "listLength": [[3], [3], [2]],
    ...         "recalls": [[3, 1, 3], [2, 0, 0], [1, 2, 0]]}
    >>> data = {name: np.array(rows) for name, rows in data.items()}
    >>> facts = describe_data(data, np.array([True, True, True]))
    >>> facts.lengths, facts.n_recalls, facts.recalls_per_list
    ({2: 1, 3: 2}, 5, (1.75, 0.3535533905932738))
    """
    if not np.any(mask):
        raise ValueError("The mask holds no trial: there is nothing to describe.")
    subjects = np.asarray(data["subject"]).reshape(-1)[mask]
    recalls = np.sort(np.asarray(data["recalls"])[mask], axis=1)
    is_first = np.diff(recalls, axis=1, prepend=0) > 0  # sorted, so that repeats are neighbors
    recalled = np.sum(is_first & (recalls > 0), axis=1)
    lengths, counts = np.unique(
        np.asarray(data["listLength"]).reshape(-1)[mask], return_counts=True
    )
    present, of_subject, n_trials = np.unique(subjects, return_inverse=True, return_counts=True)
    means = np.bincount(of_subject, weights=recalled) / n_trials
    errors = {
        name: count_errors(np.asarray(data[name])[mask]) if name in data else None
        for name in ("intrusions", "repeats")
    }
    return DataFacts(
        len(present),
        int(np.sum(mask)),
        int(np.sum(~np.asarray(mask))),
        {int(length): int(n) for length, n in zip(lengths, counts, strict=True)},
        (int(n_trials.min()), int(n_trials.max())),
        int(recalled.sum()),
        (float(means.mean()), float(means.std(ddof=1)) if len(means) > 1 else float("nan")),
        errors["intrusions"],
        errors["repeats"],
    )


def count_errors(errors: np.ndarray) -> int:
    """Return the sum of counts, (trials, 1); or of marks of each recall, those that are not 0."""
    return int(errors.sum() if errors.shape[1] == 1 else np.count_nonzero(errors))


def data_table(facts: DataFacts) -> Table:
    """Return the counts as a table."""
    mean, spread = facts.recalls_per_list
    low, high = facts.trials_per_subject
    rows: list[tuple[str, Cell]] = [
        ("subjects", Cell.of(facts.n_subjects)),
        ("lists fitted", Cell.of(facts.n_trials)),
        ("lists in the data that were not fitted", Cell.of(facts.n_left_out)),
        ("lists per subject", Cell.of(low if low == high else f"{low} to {high}")),
        ("list length", Cell.of(describe_lengths(facts))),
        ("recalls of studied items, repeats left out", Cell.of(facts.n_recalls)),
        ("recalls per list, mean over subjects", Cell.of(mean)),
    ]
    if facts.n_subjects > 1:
        rows.append(("recalls per list, SD over subjects", Cell.of(spread)))
    for name, count in (("intrusions", facts.n_intrusions), ("repeats", facts.n_repeats)):
        words = f"{name} in these lists, which are not scored"
        rows.append((words, Cell.of("not recorded" if count is None else count)))
    cells = [[Cell.of(name), cell] for name, cell in rows]
    return Table("The fitted lists.", ["count", "value"], cells, is_sortable=False)


def describe_lengths(facts: DataFacts) -> str:
    """Return the list lengths in words: "16", or "8 (10 lists), 16 (20 lists)"."""
    if len(facts.lengths) == 1:
        return str(next(iter(facts.lengths)))
    if len(facts.lengths) > 5:
        return f"{min(facts.lengths)} to {max(facts.lengths)}"
    return ", ".join(f"{length} ({n} lists)" for length, n in facts.lengths.items())
