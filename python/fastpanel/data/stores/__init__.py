"""Folders of cleaned data and of features, one per ISO week of the newest row."""

from fastpanel.data.stores._features import FeatureGroup as FeatureGroup
from fastpanel.data.stores._features import feature_groups as feature_groups
from fastpanel.data.stores._features import read_features_csv as read_features_csv
from fastpanel.data.stores._features import read_group as read_group
from fastpanel.data.stores._features import write_group as write_group
from fastpanel.data.stores._lake import read_clean as read_clean
from fastpanel.data.stores._lake import read_return_tensor as read_return_tensor
from fastpanel.data.stores._lake import read_returns as read_returns
from fastpanel.data.stores._lake import write_clean as write_clean
from fastpanel.data.stores._weeks import latest_week as latest_week
from fastpanel.data.stores._weeks import staged as staged
from fastpanel.data.stores._weeks import week_of as week_of
from fastpanel.data.stores._wide import read_wide as read_wide
from fastpanel.data.stores._wide import write_wide as write_wide

__all__ = [
    "FeatureGroup",
    "feature_groups",
    "latest_week",
    "read_clean",
    "read_features_csv",
    "read_group",
    "read_return_tensor",
    "read_returns",
    "read_wide",
    "staged",
    "week_of",
    "write_clean",
    "write_group",
    "write_wide",
]
