"""Runs that are killed at random moments and started again, in children of one small process.

Run as ``python -m tests.simulation.killing FOLDER SETTING``; prints what happened as JSON. The
parent of the children only imports: libraries with thread pools do not survive a fork once they
have been used.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fastpanel as fp
from fastpanel.simulation._hooks import stub_hooks
from tests.simulation.conftest import make_panel


def run_in_child(root: Path, config: dict, fits: Path, fate: tuple[str, float] | None) -> bool:
    """Run in ``root``; whether it came to its end. ``fate``: die at the n-th write, or after s."""
    pid = os.fork()
    if pid == 0:
        os.environ["SIMULATION_SOURCE"] = str(root)
        if fate is not None and fate[0] == "writes":
            sys.addaudithook(_die_at(int(fate[1])))
        try:
            fp.simulation.run(
                config, panel=make_panel(), hooks=_logging(config, fits), progress=False
            )
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        if fate is None:
            (root / "modules.json").write_text(json.dumps(sorted(sys.modules)))
        os._exit(0)
    if fate is not None and fate[0] == "seconds":
        time.sleep(fate[1])
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a run failed")
    return os.WIFEXITED(status)


def _die_at(count: int) -> Callable[[str, tuple], None]:
    """Kill this process when it opens for writing, renames or truncates for the n-th time."""
    left = [count]

    def hook(event: str, args: tuple) -> None:
        writing = (
            event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if writing or event in {"os.rename", "os.truncate", "os.mkdir"}:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def _logging(config: dict, fits: Path) -> fp.simulation.Hooks:
    stub = stub_hooks(fp.simulation.load_config(config))
    log = os.open(fits, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def fit(X, y, job, state):
        os.write(log, f"{job['seed']}\n".encode())
        return stub.fit_model(X, y, job, state)

    return replace(stub, fit_model=fit)


def recorded(folder: Path) -> set[tuple[int, str, int]]:
    """Finished units (fold, candidate, split) and finished folds (fold, "outer", -1)."""
    units = {(int(p.parent.name[6:]), "outer", -1) for p in folder.glob("outer/*/finished.json")}
    for path in folder.glob("inner/*/ledger.jsonl"):
        for line in path.read_bytes().split(b"\n")[:-1]:
            unit = json.loads(line)
            units.add((int(path.parent.name[6:]), unit["candidate"], unit["split"]))
    return units


def main(root: Path, config: dict, seed: int, n_kills: int) -> None:
    root.mkdir()
    run_in_child(root / "calm", config, root / "calm.fits", None)
    for name in json.loads((root / "calm" / "modules.json").read_text()):
        if name.startswith(("fastpanel", "polars", "torch", "scipy", "yaml")) and "." in name:
            importlib.import_module(name)
    (root / "calm" / "modules.json").unlink()
    rng = random.Random(seed)
    kills, again = [], []
    for label in range(1000):
        while True:
            fate = (
                ("writes", rng.randrange(1, 40))
                if rng.random() < 0.6
                else ("seconds", rng.uniform(0.01, 0.6))
            )
            folder, fits = root / f"killed_{label}", root / "killed.fits"
            before = recorded(folder / "run")
            fits.unlink(missing_ok=True)
            ended = run_in_child(folder, config, fits, fate if len(kills) < n_kills else None)
            done = fits.read_text().split() if fits.is_file() else []
            again.append({"before": sorted(before), "fits": [int(seed) for seed in done]})
            if ended:
                break
            kills.append(fate)
        (folder / "modules.json").unlink(missing_ok=True)
        if len(kills) >= n_kills:
            break
    print(json.dumps({"folders": label + 1, "kills": kills, "runs": again}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *json.loads(sys.argv[2]))
