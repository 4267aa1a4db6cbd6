"""A run from configuration to report, stage by stage, resumable at every unit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastpanel.data import Panel
from fastpanel.progress import Reporter, reporter
from fastpanel.simulation import _manifest
from fastpanel.simulation._candidate import check_names
from fastpanel.simulation._config import SimulationConfig, load_config
from fastpanel.simulation._dataset import dataset_from_panel, save_dataset
from fastpanel.simulation._hooks import Hooks
from fastpanel.simulation._loaders import FEATURE_STORE_PANEL, load_named
from fastpanel.simulation._lock import run_lock
from fastpanel.simulation._manifest import Manifest
from fastpanel.simulation._open import PANEL, claim, run_folder, stored_dataset, sweep
from fastpanel.simulation._result import SimulationResult
from fastpanel.simulation._stages import Stages
from fastpanel.simulation.tracking import open_log


def run(
    config: SimulationConfig | Mapping[str, Any] | str | Path,
    *,
    hooks: Hooks | None = None,
    panel: Panel | None = None,
    loader: str = FEATURE_STORE_PANEL,
    progress: bool | Reporter = True,
) -> SimulationResult:
    """Run the nested-CV simulation.

    Bars become features and targets; an outer walk-forward holds out one group
    of weeks after the other; before each, an inner CPCV on earlier weeks scores
    every candidate and selects one; that one forecasts the held-out weeks, with
    scaler and model refitted on what was known each week.

    Parameters
    ----------
    config : SimulationConfig, mapping or path of a YAML file
    hooks : Hooks, optional
        Replaces fitting, prediction, scoring, allocation or accounting.
    panel : Panel, optional
        Use this panel; ``targets[t]`` is the return realised after row ``t``.
        Default: loaded as ``data.dataset_params`` says.
    loader : str
        A loader registered with :func:`register_dataset`.
    progress : bool or Reporter
        Bars on a terminal, plain lines elsewhere; ``False`` is silent.

    Returns
    -------
    SimulationResult

    Raises
    ------
    ConfigError
        Mistakes in the configuration (all of them), or a folder that holds a
        run with another one.
    DataError
        Input that breaks the contract, naming asset and time.
    RunLockedError
        Another run works in the folder.
    ArtifactError
        A file cannot be written, or a stored one is damaged.

    Notes
    -----
    Artefacts go to ``SIMULATION_SOURCE/<label>`` (``runs/<label>`` if the
    variable is not set). Every file is written whole or not at all. A run that
    was stopped, by Ctrl-C or by a crash, goes on where it stopped when it is
    started again with the same configuration; finished candidates and folds
    are not computed again. The same seed gives the same results.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import fastpanel as fp
    >>> times = np.datetime64("2020-01-03") + 7 * np.arange(60)
    >>> rng = np.random.default_rng(0)
    >>> panel = fp.Panel(rng.normal(size=(60, 2, 1)), times, ["A", "B"], ["f"],
    ...                  targets=0.01 * rng.normal(size=(60, 2)))
    >>> config = {"cv": {"warmup_len": 12, "group_len": 12, "q": 1},
    ...           "predictive": {"num_samples": 16}, "flags": {"simulation_mode": "stub"}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     config["data"] = {"simulation_output_path": folder + "/run"}
    ...     result = fp.simulation.run(config, panel=panel, progress=False)
    >>> [(fold.group, fold.samples.shape) for fold in result.outer]
    [(1, (16, 12, 2)), (2, (16, 12, 2)), (3, (16, 12, 2))]
    """
    settings = load_config(config)
    full = settings.flags.simulation_mode == "full"
    check_names(settings, fits_models=full and hooks is None)
    say = reporter(progress)
    params = settings.data.dataset_params
    given = None if panel is None else dataset_from_panel(panel, params)
    if given is None and settings.data.simulation_output_path is None:
        given = load_named(loader, params)
    folder = run_folder(settings, given)
    claim(folder)
    with run_lock(folder):
        sweep(folder)
        _manifest.refuse_other_config(folder, settings)
        dataset = stored_dataset(settings, folder, given)
        manifest = Manifest(folder, settings)
        manifest.write()
        log = open_log(settings.tracking, folder, say)
        try:
            if dataset is None:
                dataset = given or load_named(loader, params)
                save_dataset(dataset, folder / PANEL)
            else:
                say.say(f"Inputs: {folder / PANEL} is reused")
            result = Stages(settings, dataset, folder, hooks, say, manifest, log).go()
        except KeyboardInterrupt:
            manifest.end("interrupted")
            log.close("interrupted")
            say.say(f"Stopped. Start again with the same configuration to go on in {folder}")
            raise
        except BaseException as error:
            manifest.end("failed", error=str(error))
            log.close("failed")
            raise
        manifest.end("finished")
        log.close("finished")
    return result
