"""``python -m fastpanel``."""

import sys

from fastpanel.cli import main

sys.exit(main())
