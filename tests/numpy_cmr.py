"""CMR in plain NumPy, loops and all: the oracle for the compiled model.

Follows the equations of textbook CMR in their order and shares no code with the package.
"""

import numpy as np

EPS = 2.0**-23  # float32's machine epsilon: the floor of support and of not stopping


def drift(context, context_input, rate):
    """Return context after drift toward an input, ``rho c + b u``; a zero input changes nothing."""
    norm = np.sqrt(np.sum(context_input**2))
    if norm == 0:
        return context
    u = context_input / norm
    d = np.dot(context, u)
    rho = np.sqrt(1 + rate**2 * (d**2 - 1)) - rate * d
    return rho * context + rate * u


def event_probabilities(p, n_items, studied, recalls):
    """Return outcome probabilities before each event of a trial, (events, n_items + 1), stop first.

    Items are numbered from 1 in `studied` and `recalls`; a 0 in `recalls` is the stop.
    """
    context = np.zeros(n_items + 1)
    context[0] = 1.0
    start = context.copy()
    mfc = np.zeros((n_items, n_items + 1))
    mcf = np.zeros((n_items + 1, n_items))
    for i in range(n_items):
        mfc[i, i + 1] = 1 - p["learning_rate"]
        for j in range(n_items):
            mcf[j + 1, i] = p["item_support"] if i == j else p["shared_support"]

    recallable = set()
    for k, item in enumerate(studied):
        i = item - 1
        context = drift(context, mfc[i], p["encoding_drift_rate"])
        mfc[i] += p["learning_rate"] * context
        phi = p["primacy_scale"] * np.exp(-p["primacy_decay"] * k) + 1
        mcf[:, i] += phi * context
        recallable.add(i)

    context = drift(context, start, p["start_drift_rate"])
    rows = []
    stopped = False
    for j, item in enumerate(recalls):
        outcome = np.zeros(n_items + 1)
        r = sorted(recallable)
        if stopped or not r:
            outcome[0] = 1.0
        else:
            a = context @ mcf
            growth = p["stop_probability_scale"] * np.exp(p["stop_probability_growth"] * j)
            stop = min(growth, 1 - EPS * len(r))
            largest = max(a[r])
            share = np.array([(a[i] / largest) ** p["choice_sensitivity"] + EPS for i in r])
            outcome[0] = stop
            outcome[np.array(r) + 1] = (1 - stop) * share / share.sum()
        rows.append(outcome)
        if item == 0:
            stopped = True
        else:
            context = drift(context, mfc[item - 1], p["recall_drift_rate"])
            recallable.discard(item - 1)
    return np.array(rows)


def trial_nll(p, n_items, studied, recalls):
    """Negative log-likelihood of one trial; zeros after the first are not events."""
    rows = event_probabilities(p, n_items, studied, recalls)
    nll = 0.0
    for outcome, item in zip(rows, recalls, strict=True):
        nll -= np.log(outcome[item])
        if item == 0:
            break
    return nll
