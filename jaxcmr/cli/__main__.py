"""``python -m jaxcmr.cli``."""

import sys

from jaxcmr.cli import main

sys.exit(main())
