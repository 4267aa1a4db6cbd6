"""Bars, cleaning and the panel: from price files to one frozen array per study."""

from fastpanel.data._arrays import PriceArrays
from fastpanel.data._bars import read_bars
from fastpanel.data._calendar import Sessions, sessions
from fastpanel.data._clean import clean_bars
from fastpanel.data._clean_bars import CleanBars, WeeklyReturns
from fastpanel.data._panel import Panel
from fastpanel.data._simulated import simulated_market
from fastpanel.data.defects import REASONS, Quality, quality

__all__ = [
    "REASONS",
    "CleanBars",
    "Panel",
    "PriceArrays",
    "Quality",
    "Sessions",
    "WeeklyReturns",
    "clean_bars",
    "quality",
    "read_bars",
    "sessions",
    "simulated_market",
]
