"""The nested-CV simulation: outer walk-forward, inner CPCV, selection, diagnostics."""

from fastpanel.simulation._backtest import BacktestResult as BacktestResult
from fastpanel.simulation._backtest import ReplaySettings as ReplaySettings
from fastpanel.simulation._backtest import backtest as backtest
from fastpanel.simulation._backtest import read_settings as read_settings
from fastpanel.simulation._baselines import climatology as climatology
from fastpanel.simulation._baselines import ewma_volatility as ewma_volatility
from fastpanel.simulation._config import SimulationConfig as SimulationConfig
from fastpanel.simulation._config import load_config as load_config
from fastpanel.simulation._dataset import Dataset as Dataset
from fastpanel.simulation._experiment import Experiment as Experiment
from fastpanel.simulation._experiment import ExperimentConfig as ExperimentConfig
from fastpanel.simulation._experiment import build_experiment as build_experiment
from fastpanel.simulation._hooks import Hooks as Hooks
from fastpanel.simulation._hooks import default_hooks as default_hooks
from fastpanel.simulation._inner import InnerObjective as InnerObjective
from fastpanel.simulation._inner import make_inner_objective as make_inner_objective
from fastpanel.simulation._loaders import DATASET_REGISTRY as DATASET_REGISTRY
from fastpanel.simulation._loaders import register_dataset as register_dataset
from fastpanel.simulation._outer import OuterResult as OuterResult
from fastpanel.simulation._outer import evaluate_outer_walk_forward as evaluate_outer_walk_forward
from fastpanel.simulation._result import SimulationResult as SimulationResult
from fastpanel.simulation._runner import run as run
from fastpanel.simulation._structure import CVStructure as CVStructure
from fastpanel.simulation._structure import OuterPlan as OuterPlan
from fastpanel.simulation._structure import build_structure as build_structure

__all__ = [
    "DATASET_REGISTRY",
    "BacktestResult",
    "CVStructure",
    "Dataset",
    "Experiment",
    "ExperimentConfig",
    "Hooks",
    "InnerObjective",
    "OuterPlan",
    "OuterResult",
    "ReplaySettings",
    "SimulationConfig",
    "SimulationResult",
    "backtest",
    "build_experiment",
    "build_structure",
    "climatology",
    "default_hooks",
    "evaluate_outer_walk_forward",
    "ewma_volatility",
    "load_config",
    "make_inner_objective",
    "read_settings",
    "register_dataset",
    "run",
]
