"""Fit cognitive models of memory search to recall data, compiled with JAX.

Rooms: `datasets`, `models` (made of `components`), `loss`, `fitting` (on `optimize`), `simulation`,
`analyses`; `typing` holds the vocabulary, `cli` the command line.
"""

from jaxcmr._version import __version__

__all__ = ["__version__"]
