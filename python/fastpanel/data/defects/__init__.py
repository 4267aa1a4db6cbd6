"""What is wrong with the bars: which asset, which weeks, why."""

from fastpanel.data.defects._assess import quality as quality
from fastpanel.data.defects._report import REASONS as REASONS
from fastpanel.data.defects._report import WHOLE_LIFE as WHOLE_LIFE
from fastpanel.data.defects._report import Quality as Quality

__all__ = ["REASONS", "WHOLE_LIFE", "Quality", "quality"]
