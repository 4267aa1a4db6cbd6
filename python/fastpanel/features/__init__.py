"""Features of price bars: a catalogue of 45 columns, and your own."""

from fastpanel.features._catalog import catalog, register, select, unregister
from fastpanel.features._column import Catalog, FeatureColumn
from fastpanel.features._compute import compute

__all__ = ["Catalog", "FeatureColumn", "catalog", "compute", "register", "select", "unregister"]
