"""Recall data: load, save, convert, check, select.

A data set is a `RecallDataset` (see `jaxcmr.typing`): a mapping from field names to numeric arrays
with one row per trial, a trial being one studied list and the recalls that followed it. `load`
reads data from any source; all that this room returns is checked (see `check_data`).

This room is plain NumPy: it imports neither JAX nor, until they are needed, pandas and psifr.
"""

from jaxcmr.datasets._bundled import BUNDLED, load_bundled
from jaxcmr.datasets._check import check_data
from jaxcmr.datasets._fields import as_fields
from jaxcmr.datasets._fingerprint import fingerprint
from jaxcmr.datasets._first_recalls import first_recalls
from jaxcmr.datasets._hdf5 import load_data, save_data
from jaxcmr.datasets._load import load
from jaxcmr.datasets._psifr import from_psifr
from jaxcmr.datasets._select import check_mask, generate_trial_mask, select_trials

__all__ = [
    "BUNDLED",
    "as_fields",
    "check_data",
    "check_mask",
    "fingerprint",
    "first_recalls",
    "from_psifr",
    "generate_trial_mask",
    "load",
    "load_bundled",
    "load_data",
    "save_data",
    "select_trials",
]
