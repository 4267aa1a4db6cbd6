"""Which features there are, built-in and the user's, and how they are chosen."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from fastpanel.errors import DuplicateNameError, ParameterError, UnknownNameError
from fastpanel.features._column import Catalog, FeatureColumn
from fastpanel.features._own import PRICES, adapt
from fastpanel.features._table import BUILT_IN

F = TypeVar("F", bound=Callable[..., Any])
_own: dict[str, FeatureColumn] = {}


def catalog() -> Catalog:
    """Return every feature column, the built-in ones first.

    Returns
    -------
    Catalog
        A tuple of :class:`FeatureColumn`; ``to_frame()`` gives a table.

    Examples
    --------
    >>> catalog()[0].name, catalog()[0].lookback, catalog()[0].formula
    ('z_mom_4w', 26, '(p - p[t-4]) / (std(r, w26) sqrt(4) + eps)')
    >>> catalog().keys_of("momentum")
    ('vol_scaled_momentum', 'ema_spread')
    """
    return Catalog((*BUILT_IN, *_own.values()))


def select(groups: str | Sequence[str], features: str | Sequence[str] | None) -> Catalog:
    """Columns of some groups, narrowed to some keys; in catalogue order.

    Takes the arguments of :func:`compute` and raises the same
    ``UnknownNameError`` for a name that is not there.

    Parameters
    ----------
    groups, features
        As in :func:`compute`.

    Returns
    -------
    Catalog

    Examples
    --------
    >>> select("momentum", "ema_spread").names
    ('ema_spread_4w_26w', 'ema_spread_12w_26w')
    """
    known = catalog()
    chosen = known
    if groups != "all":
        wanted = _named(groups, known.groups, "feature group")
        chosen = Catalog(column for column in known if column.group in wanted)
    if features is not None:
        names = dict.fromkeys(name for column in chosen for name in (column.key, column.name))
        wanted = _named(features, tuple(names), f"feature of {list(chosen.groups)}")
        chosen = Catalog(c for c in chosen if c.key in wanted or c.name in wanted)
    return chosen


def _named(given: str | Sequence[str], known: Sequence[str], kind: str) -> set[str]:
    wanted = {given} if isinstance(given, str) else set(given or ())
    if not wanted:
        raise ParameterError(f"no {kind} is chosen; there are {list(known)}")
    for name in sorted(wanted):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {list(known)}"
            raise UnknownNameError(f"unknown {kind}: '{name}'; {hint}")
    return wanted


def register(
    name: str,
    *,
    inputs: Sequence[str] = ("close",),
    frequency: Literal["weekly", "daily"] = "weekly",
    group: str = "custom",
    key: str | None = None,
    horizon: int = 1,
    lookback: int = 0,
    unit: str = "",
    formula: str = "",
    per_asset: bool = False,
    replace: bool = False,
) -> Callable[[F], F]:
    """Register a feature of your own; use as a decorator.

    The function gets one ``float64`` array per input, a copy that it may write
    into, and returns one of the same shape. It may be plain NumPy,
    ``fp.rolling`` kernels or a Numba ``@njit`` function. From then on
    :func:`compute` offers it and ``fp.audit`` examines it like a built-in one.

    Parameters
    ----------
    name : str
        Column name; must be free.
    inputs : sequence of str
        ``"open"``, ``"high"``, ``"low"``, ``"close"``, ``"return"`` (log
        close-to-close) or, for weekly features, names of other columns.
    frequency : ``"weekly"`` or ``"daily"``
        Weekly arrays are ``[T, A]``, one row per week. Daily ones are
        ``[D, A]``: each asset's days without gaps, one below the other, NaN
        at the bottom; the result is sampled at each week's last day.
    group, key : str
        Where it stands in the catalogue; the key is the name by default.
    horizon, lookback : int
        Weeks in its name and first valid weekly row; documentation.
    unit, formula : str
        Documentation.
    per_asset : bool
        Call the function once for each asset with 1-D arrays ``[T]`` or
        ``[D]``, its own history alone. An ``@njit`` function then runs without
        the GIL, assets in parallel; a plain one works too, slowly, and
        :func:`compute` warns. For loops over time.
    replace : bool
        Take the place of an earlier feature of yours with this name.

    Returns
    -------
    callable
        Decorator that gives the function back.

    Raises
    ------
    DuplicateNameError
        If the name is taken.
    ParameterError
        If an input or the frequency is unknown, or horizon or lookback is
        negative. Raised by :func:`compute`: the ``@njit`` function does not
        compile (the message shows your line).

    Examples
    --------
    >>> import numpy as np
    >>> @register("gap_w", inputs=("open", "close"), formula="log(O / C[t-1])", lookback=1)
    ... def gap(open, close):
    ...     out = np.full_like(close, np.nan)
    ...     out[1:] = np.log(open[1:] / close[:-1])
    ...     return out
    >>> catalog()[-1].group
    'custom'
    >>> unregister("gap_w")
    """
    if frequency not in ("weekly", "daily"):
        raise ParameterError(f"frequency is {frequency!r}; choose 'weekly' or 'daily'")
    if horizon < 0 or lookback < 0:
        raise ParameterError(
            f"feature '{name}': horizon and lookback are weeks, at least 0; "
            f"got {horizon} and {lookback}"
        )
    _check_inputs(tuple(inputs), frequency)
    taken = {column.name for column in BUILT_IN} | (set() if replace else set(_own))
    if name in taken:
        raise DuplicateNameError(f"Duplicate registration for name '{name}'. (feature)")

    def keep(function: F) -> F:
        _own[name] = FeatureColumn(
            group=group,
            key=key or name,
            name=name,
            horizon=horizon,
            lookback=lookback,
            frequency=frequency,
            inputs=tuple(inputs),
            unit=unit,
            formula=formula,
            compute=adapt(function, name, tuple(inputs), frequency, per_asset),
        )
        return function

    return keep


def unregister(name: str) -> None:
    """Forget a feature of :func:`register`.

    Parameters
    ----------
    name : str

    Raises
    ------
    UnknownNameError
        No feature of yours has this name; the built-in ones stay.

    Examples
    --------
    >>> _ = register("doc_close")(lambda close: close)
    >>> unregister("doc_close")
    >>> "doc_close" in catalog().names
    False
    """
    if name not in _own:
        raise UnknownNameError(f"no feature of yours is named '{name}'; there are {list(_own)}")
    del _own[name]


def _check_inputs(inputs: tuple[str, ...], frequency: str) -> None:
    known = (*PRICES, "return", *(catalog().names if frequency == "weekly" else ()))
    for name in inputs:
        if name not in known:
            raise ParameterError(f"unknown input '{name}' of a {frequency} feature")
    if not inputs:
        raise ParameterError("a feature needs at least one input")
