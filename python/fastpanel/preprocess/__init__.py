"""Cleaning and robust scaling of panels, fitted on training rows only."""

from fastpanel.preprocess._preprocessor import PanelPreprocessor
from fastpanel.preprocess._spec import PreprocessingSpec
from fastpanel.preprocess._state import PreprocessState
from fastpanel.preprocess._tables import PCAResult, ZScoreResult, identity, pca, zscore

__all__ = [
    "PCAResult",
    "PanelPreprocessor",
    "PreprocessState",
    "PreprocessingSpec",
    "ZScoreResult",
    "identity",
    "pca",
    "zscore",
]
