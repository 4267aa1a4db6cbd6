"""Section ``tracking``."""

from __future__ import annotations

from fastpanel.config import StrictModel


class MlflowSpec(StrictModel):
    """Where MLflow keeps runs."""

    uri: str | None = None
    """Null: not used. ``sqlite:///mlflow.db``, ``postgresql://...`` or ``http://...``."""
    experiment: str = "fastpanel"
    """Experiment that the runs belong to; created if it is not there."""
    artifacts: str | None = None
    """Where a new experiment keeps files; null: ``mlartifacts`` here, or what a server says."""


class TrackingConfig(StrictModel):
    """Who hears of a run. ``tracking.jsonl`` in its folder always does."""

    mlflow: MlflowSpec = MlflowSpec()
