"""Use cases: whole stages from folder to folder, callable without the command line."""

from fastpanel._environment import Environment as Environment
from fastpanel._environment import dotenv as dotenv
from fastpanel.pipelines._cleaning import Cleaned as Cleaned
from fastpanel.pipelines._cleaning import clean_data as clean_data
from fastpanel.pipelines._engineering import Engineered as Engineered
from fastpanel.pipelines._engineering import engineer_features as engineer_features
from fastpanel.pipelines._historical import HistoryReport as HistoryReport
from fastpanel.pipelines._historical import download_history as download_history
from fastpanel.pipelines._log import Log as Log
from fastpanel.pipelines._log import open_log as open_log
from fastpanel.pipelines._modeling import Modeled as Modeled
from fastpanel.pipelines._modeling import fit_prepared as fit_prepared
from fastpanel.pipelines._preprocessors import Preprocessor as Preprocessor
from fastpanel.pipelines._preprocessors import Processed as Processed
from fastpanel.pipelines._preprocessors import default_registry as default_registry
from fastpanel.pipelines._processing import ProcessedFolder as ProcessedFolder
from fastpanel.pipelines._processing import process_data as process_data
from fastpanel.pipelines._show import show_feature_tensor as show_feature_tensor
from fastpanel.pipelines._show import show_return_tensor as show_return_tensor
from fastpanel.pipelines._tickers import TickerFile as TickerFile
from fastpanel.pipelines._tickers import load_tickers as load_tickers

__all__ = [
    "Cleaned",
    "Engineered",
    "Environment",
    "HistoryReport",
    "Log",
    "Modeled",
    "Preprocessor",
    "Processed",
    "ProcessedFolder",
    "TickerFile",
    "clean_data",
    "default_registry",
    "dotenv",
    "download_history",
    "engineer_features",
    "fit_prepared",
    "load_tickers",
    "open_log",
    "process_data",
    "show_feature_tensor",
    "show_return_tensor",
]
