"""Recall data: load, save, convert, check, select.

A data set is a `RecallDataset` (see `jaxcmr.typing`): a mapping from field names to arrays of
numbers or text with one row per trial. A trial is one studied list and the recalls that followed
it. `load` reads data from any source. Data that were loaded or converted are checked (see
`check_data`).

This room is plain NumPy. It imports pandas and psifr only when they are needed, and never JAX.
"""

from jaxcmr.datasets._bids import from_bids, from_cml
from jaxcmr.datasets._check import as_fields, check_data
from jaxcmr.datasets._events import from_events
from jaxcmr.datasets._features import align_features
from jaxcmr.datasets._first_recalls import first_recalls
from jaxcmr.datasets._hdf5 import fingerprint, load_data, save_data
from jaxcmr.datasets._load import BUNDLED, load, load_bundled
from jaxcmr.datasets._mat import from_mat
from jaxcmr.datasets._psifr import from_psifr
from jaxcmr.datasets._quail import from_quail
from jaxcmr.datasets._select import check_mask, generate_trial_mask, select_trials
from jaxcmr.datasets._to_psifr import to_psifr

__all__ = [
    "BUNDLED",
    "align_features",
    "as_fields",
    "check_data",
    "check_mask",
    "fingerprint",
    "first_recalls",
    "from_bids",
    "from_cml",
    "from_events",
    "from_mat",
    "from_psifr",
    "from_quail",
    "generate_trial_mask",
    "load",
    "load_bundled",
    "load_data",
    "save_data",
    "select_trials",
    "to_psifr",
]
