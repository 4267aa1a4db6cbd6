"""Purged, embargoed splits of the time axis: plans as interval sets, rows on demand."""

from fastpanel.splits._audit import audit
from fastpanel.splits._cpcv import make_cpcv_splits
from fastpanel.splits._fold import Fold, plan_hash
from fastpanel.splits._groups import build_equal_groups
from fastpanel.splits._outer import make_outer_folds, skipped_outer_groups
from fastpanel.splits._registry import CV_REGISTRY, register_cv
from fastpanel.splits._splitters import CombinatorialPurgedCV
from fastpanel.splits._walk_forward import PurgedWalkForward

__all__ = [
    "CV_REGISTRY",
    "CombinatorialPurgedCV",
    "Fold",
    "PurgedWalkForward",
    "audit",
    "build_equal_groups",
    "make_cpcv_splits",
    "make_outer_folds",
    "plan_hash",
    "register_cv",
    "skipped_outer_groups",
]
