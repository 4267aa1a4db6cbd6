"""Print the peak memory of one case: ``python -m benches.weigh FAMILY KERNEL SIZE LIBRARY``.

What a first call loads is loaded by a call at the smoke size.
"""

from __future__ import annotations

import importlib
import sys

from benches.harness import Peak


def main(family: str, kernel: str, size: str, library: str) -> None:
    """Call once; print bytes beyond the inputs."""
    module = importlib.import_module(f"benches.bench_{family}")
    (case,) = (
        case
        for suite in vars(module).values()
        for case in getattr(suite, "cases", ())
        if (case.kernel, case.size, case.library) == (kernel, size, library)
    )
    case.rival.prepare(case.make(case.small))()
    call = case.rival.prepare(case.make(case.shape))
    with Peak() as peak:
        call()
    print(peak.bytes)


if __name__ == "__main__":
    main(*sys.argv[1:])
