"""What a run tells of itself while it goes on: JSON lines, and MLflow where it is wanted."""

from fastpanel.simulation.tracking._config import TrackingConfig as TrackingConfig
from fastpanel.simulation.tracking._facts import Fact as Fact
from fastpanel.simulation.tracking._log import TrackingLog as TrackingLog
from fastpanel.simulation.tracking._log import open_log as open_log

__all__ = ["Fact", "TrackingConfig", "TrackingLog", "open_log"]
