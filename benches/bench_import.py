"""What ``import fastpanel`` costs in a fresh interpreter, its start-up included."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from benches.harness import Rival, suite


def fresh(_: object) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", "import fastpanel"], check=True)


test_import = suite(
    "package",
    {"smoke": (), "fresh interpreter": ()},
    lambda size: size,
    {"import": {"fastpanel": Rival(fresh, read=None)}},
)
