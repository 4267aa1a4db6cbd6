"""Features of cleaned bars, as a panel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastpanel._runtime import interleave, number
from fastpanel.data import CleanBars, Panel, PriceArrays
from fastpanel.errors import DataError, ParameterError
from fastpanel.features._catalog import catalog, select
from fastpanel.features._inputs import EPS, Inputs


def compute(
    clean: CleanBars,
    groups: str | Sequence[str] = "all",
    features: str | Sequence[str] | None = None,
    *,
    allow_ragged: bool = False,
    eps: float = EPS,
) -> Panel:
    """Compute feature columns, one row per week.

    Parameters
    ----------
    clean : CleanBars
        Output of ``fp.clean_bars``.
    groups : str or sequence of str
        ``"all"``, or some of ``momentum``, ``mean_reversion``, ``breakout``,
        ``cross_sectional``, ``volatility``, ``seasonal``, ``regime`` and the
        groups of registered features.
    features : str or sequence of str, optional
        Keys (or column names) within these groups; by default all.
    allow_ragged : bool
        Let assets miss weeks. Such weeks are masked, an asset's features
        begin after their own look-back, and cross-sectional and regime
        columns use the assets that are there.
    eps : float
        The constant that keeps denominators off zero.

    Returns
    -------
    Panel
        ``float64 [T, A, F]``, columns in catalogue order; NaN until a
        feature's look-back is full. Row ``t`` uses bars up to ``times[t]``
        only. Regime columns hold one value for all assets.

    Raises
    ------
    DataError
        An asset misses a week and ``allow_ragged`` is off; a daily feature is
        asked for and there are no daily bars.
    UnknownNameError
        An unknown group or feature.
    ParameterError
        No group is chosen, or ``eps`` is not positive.

    Notes
    -----
    Weekly features are close-to-close; the default target of ``clean_bars``
    is within the week. A missing daily row is dropped before windows are cut,
    so 20 days are 20 valid days; the last daily value of a week is its weekly
    one, missing if the asset has no day in that week. A gap in weekly bars
    blanks the windows that hold it. ``fp.features.catalog()`` lists formula,
    unit and first valid row of each column.

    Examples
    --------
    >>> import fastpanel as fp
    >>> clean = fp.clean_bars(fp.data.simulated_market(years=2, late_listers=0))
    >>> fp.features.compute(clean, "momentum").features
    ('z_mom_4w', 'z_mom_12w', 'z_mom_26w', 'ema_spread_4w_26w', 'ema_spread_12w_26w')
    """
    if not isinstance(clean, CleanBars):
        raise DataError(f"clean is a {type(clean).__name__}; give fp.clean_bars(bars)")
    if not number(eps, "eps") > 0:
        raise ParameterError(f"eps must be positive, got {eps}")
    chosen = select(groups, features)
    inputs = Inputs(clean, {column.name: column for column in catalog()}, eps)
    week = inputs.weekly
    absent = np.isnan(week.close)
    if not allow_ragged and absent.any():
        _refuse_gaps(week)
    values = interleave([inputs.column(column.name) for column in chosen])
    values.flags.writeable = False  # nobody else holds it, so the panel takes it as it is
    mask = np.broadcast_to(absent[:, :, None], values.shape) if absent.any() else None
    return Panel(values, week.times, week.assets, chosen.names, mask)


def _refuse_gaps(week: PriceArrays) -> None:
    rows, assets = np.nonzero(np.isnan(week.close).T)[::-1]
    label = np.datetime_as_string(week.times[rows[0]], unit="m")
    more = f" ({len(rows) - 1} more such weeks)" if len(rows) > 1 else ""
    raise DataError(
        f"asset '{week.assets[assets[0]]}' has no bar in the week labelled {label}{more}; "
        "drop the asset, shorten the range, or pass allow_ragged=True (--allow-ragged) to mask "
        "such weeks"
    )
