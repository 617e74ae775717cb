"""``python -m jaxcmr``."""

import sys

from jaxcmr.cli import main

sys.exit(main())
