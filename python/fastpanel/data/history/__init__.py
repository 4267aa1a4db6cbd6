"""Where historical bars come from and the form in which they are kept."""

from fastpanel.data.history._exporters import Exporter as Exporter
from fastpanel.data.history._exporters import exporters as exporters
from fastpanel.data.history._exporters import month_file as month_file
from fastpanel.data.history._providers import HistoricalProvider as HistoricalProvider
from fastpanel.data.history._providers import providers as providers
from fastpanel.data.history._request import BAR_SIZES as BAR_SIZES
from fastpanel.data.history._request import HistoryRequest as HistoryRequest

__all__ = [
    "BAR_SIZES",
    "Exporter",
    "HistoricalProvider",
    "HistoryRequest",
    "exporters",
    "month_file",
    "providers",
]
