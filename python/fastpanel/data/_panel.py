"""The panel: ``values[T, A, F]`` with its times, assets and features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel._extras import require
from fastpanel.data import _frames, _skfolio, _store, _targets
from fastpanel.data._axes import (
    check_increasing,
    frozen,
    positions,
    read_only,
    row_index,
    unique_names,
)
from fastpanel.data._times import as_times, lower_bound, upper_bound
from fastpanel.errors import ParameterError, ShapeError, UnknownNameError
from fastpanel.typing import AnyArray, ArrayLike, BoolArray, FloatArray, TimeArray

if TYPE_CHECKING:
    import polars as pl

    from fastpanel.data._clean_bars import WeeklyReturns


@dataclass(frozen=True, eq=False, repr=False)
class Panel:
    """Time x asset x feature values, immutable.

    Parameters
    ----------
    values : array, shape ``[T, A, F]``
        Becomes C-ordered ``float64``. Missing is NaN. A writable array is
        copied, a read-only one is kept as it is.
    times : array, shape ``[T]``
        Strictly increasing; ``datetime64[ns]`` in UTC. Row ``t`` holds what is
        known at ``times[t]``.
    assets, features : sequence of str
        Names of the second and third axis, without duplicates.
    mask : bool array, shape ``[T, A, F]``, optional
        True = missing. A NaN value is always missing, whatever the mask says.
    targets : array, shape ``[T, A]``, optional
        What is to be forecast from row ``t``; NaN = unknown.

    Raises
    ------
    ShapeError
        If the arrays do not fit together.
    ParameterError
        If the times do not increase or a name occurs twice.

    Notes
    -----
    ``len(panel)`` is T. ``panel[rows]`` with an integer, a slice, an index
    array or a bool array gives the panel of those rows, so splitters with the
    scikit-learn protocol work on it; slices share memory. Rows keep the order
    of time: an index array that goes back in time is refused.

    Examples
    --------
    >>> import numpy as np
    >>> panel = Panel(np.arange(6.0).reshape(3, 2, 1), ["2024-01-05", "2024-01-12",
    ...               "2024-01-19"], assets=["A", "B"], features=["x"])
    >>> panel
    Panel(T=3, A=2, F=1, 2024-01-05 .. 2024-01-19, missing=0.0%)
    >>> panel[1:].sel(assets="B").values.ravel().tolist()
    [3.0, 5.0]
    """

    values: FloatArray
    times: TimeArray
    assets: tuple[str, ...]
    features: tuple[str, ...]
    mask: BoolArray
    targets: FloatArray | None

    def __init__(  # the axes in their order
        self,
        values: ArrayLike,
        times: Any,
        assets: Sequence[str],
        features: Sequence[str],
        mask: ArrayLike | None = None,
        targets: ArrayLike | None = None,
    ) -> None:
        cube = frozen(values, np.float64, "values")
        missing = np.isnan(cube)
        if mask is not None:
            given = np.asarray(mask, dtype=np.bool_)
            if given.shape != cube.shape:
                raise ShapeError(f"mask has shape {given.shape}, values have {cube.shape}")
            missing |= given
        self._set(
            cube,
            frozen(as_times(times), np.dtype("datetime64[ns]"), "times"),
            unique_names(assets, "assets"),
            unique_names(features, "features"),
            read_only(missing),
            None if targets is None else frozen(targets, np.float64, "targets"),
        )
        self._check()

    def _set(self, *parts: Any) -> None:
        names = ("values", "times", "assets", "features", "mask", "targets")
        for name, part in zip(names, parts, strict=True):
            object.__setattr__(self, name, part)

    def _check(self) -> None:
        expected = (len(self.times), len(self.assets), len(self.features))
        if self.values.shape != expected:
            raise ShapeError(
                f"values have shape {self.values.shape}; times, assets and features say {expected}"
            )
        if self.targets is not None and self.targets.shape != expected[:2]:
            raise ShapeError(f"targets have shape {self.targets.shape}, expected {expected[:2]}")
        check_increasing(self.times)

    @classmethod
    def _of(cls, *parts: Any) -> Panel:
        """Build from parts that are checked and frozen already."""
        panel = cls.__new__(cls)
        panel._set(*parts)
        return panel

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        days = self.times.astype("datetime64[D]")
        span = f"{days[0]} .. {days[-1]}" if len(days) else "empty"
        share = self.mask.mean() if self.mask.size else 0.0
        sizes = f"T={len(self)}, A={len(self.assets)}, F={len(self.features)}"
        return f"Panel({sizes}, {span}, missing={share:.1%})"

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(T, A, F)``."""
        return len(self.times), len(self.assets), len(self.features)

    def __getitem__(self, rows: Any) -> Panel:
        """Panel of some rows; an integer keeps the time axis with length 1."""
        if isinstance(rows, int | np.integer):
            position = int(rows) + (len(self) if rows < 0 else 0)
            if not 0 <= position < len(self):
                raise IndexError(f"row {int(rows)} is outside a panel of {len(self)} rows")
            rows = slice(position, position + 1)
        elif not isinstance(rows, slice):
            rows = row_index(rows, len(self))
        panel = self._take(rows, 0)
        check_increasing(panel.times)
        return panel

    def _take(self, index: Any, axis: int) -> Panel:
        pick = (*(slice(None),) * axis, index)
        targets = self.targets
        if targets is not None and axis < 2:
            targets = read_only(targets[pick])
        assets = self.assets if axis != 1 else tuple(self.assets[i] for i in index)
        features = self.features if axis != 2 else tuple(self.features[i] for i in index)
        times = self.times if axis != 0 else read_only(self.times[index])
        values, mask = read_only(self.values[pick]), read_only(self.mask[pick])
        return Panel._of(values, times, assets, features, mask, targets)

    def sel(
        self,
        times: Any = None,
        assets: str | Sequence[str] | None = None,
        features: str | Sequence[str] | None = None,
    ) -> Panel:
        """Select by label.

        Parameters
        ----------
        times : slice, time or sequence of times, optional
            A slice is inclusive on both ends and takes ``"YYYY-MM"``,
            ``"YYYY-MM-DD"`` or datetimes; single times have to be labels.
        assets, features : str or sequence of str, optional
            Names, in the order wanted; one name keeps the axis.

        Raises
        ------
        UnknownNameError
            If a name or a time is not in the panel.
        """
        panel = self
        if times is not None:
            panel = panel[self._time_rows(times)]
        if assets is not None:
            panel = panel._take(positions(self.assets, assets, "asset"), 1)
        if features is not None:
            panel = panel._take(positions(self.features, features, "feature"), 2)
        return panel

    def _time_rows(self, times: Any) -> Any:
        if isinstance(times, slice):
            if times.step is not None:
                raise ParameterError("a slice of times has no step")
            start, stop = times.start, times.stop
            first = 0 if start is None else np.searchsorted(self.times, lower_bound(start))
            last = len(self) if stop is None else np.searchsorted(self.times, upper_bound(stop))
            return slice(int(first), int(last))
        single = isinstance(times, str) or np.ndim(times) == 0
        wanted = as_times([times] if single else times)
        rows = np.searchsorted(self.times, wanted)
        found = rows < len(self)
        found[found] = self.times[rows[found]] == wanted[found]
        if not found.all():
            raise UnknownNameError(f"no row is labelled {wanted[~found][0]}")
        return rows

    def with_targets(self, returns: WeeklyReturns | ArrayLike, *, shift: int = 1) -> Panel:
        """Return the same panel with targets: row ``t`` is to forecast the return of ``t + shift``.

        Parameters
        ----------
        returns : WeeklyReturns or array ``[T, A]``
            ``clean.returns``, which is matched by week and asset, so the panel may
            hold fewer of both; or the return *of* each row of the panel,
            unshifted. NaN = missing.
        shift : int
            Rows from the forecast to the return; at least 1.

        Returns
        -------
        Panel
            Targets of the last ``shift`` weeks are NaN: not known yet.

        Raises
        ------
        DataError
            A week or an asset of the panel is not in ``returns``.
        ShapeError
            An array of another shape.
        ParameterError
            A ``shift`` below 1.

        Examples
        --------
        >>> panel = Panel(np.zeros((3, 1, 1)), ["2024-01-05", "2024-01-12", "2024-01-19"], ["A"],
        ...               ["x"])
        >>> panel.with_targets([[0.01], [0.02], [-0.01]]).targets.ravel().tolist()
        [0.02, -0.01, nan]
        """
        targets = read_only(_targets.targets_of(self, returns, shift))
        return Panel._of(self.values, self.times, self.assets, self.features, self.mask, targets)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        time: str = "timestamp",
        asset: str = "asset",
        *,
        target: str | None = None,
    ) -> Panel:
        """Build from a long frame: one row per time and asset, one column per feature.

        Parameters
        ----------
        frame : polars, pandas or pyarrow frame
            Anything with the Arrow stream protocol. Rows may come in any
            order; a pair without a row is missing.
        time, asset : str
            Names of the key columns. Times without zone are UTC.
        target : str, optional
            Column that becomes ``targets``.

        Raises
        ------
        DataError
            If a key column is absent or holds nulls, a column is not numeric,
            or a (time, asset) pair occurs twice.
        """
        return cls(**_frames.cubes_of(frame, time, asset, target))

    def to_frame(self, *, time: str = "timestamp", asset: str = "asset") -> pl.DataFrame:
        """Long polars frame, sorted by time then asset order; missing is null.

        Holds one row for every (time, asset) pair and, if the panel has
        targets, a last column ``target``.
        """
        return _frames.long_frame(self, time, asset)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Hand the long frame over: ``pyarrow.table(panel)``, ``polars.DataFrame(panel)``."""
        return self.to_frame().__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> Any:
        """Pandas frame with the index (timestamp, asset), one column per feature."""
        require("pandas", "Panel.to_pandas")
        return self.to_frame().to_pandas().set_index(["timestamp", "asset"])

    def to_skfolio(self) -> Any:
        """``skfolio.containers.AssetPanel`` with one 2-D field per feature.

        Masked values are NaN; a pair whose features are all missing is not
        active, and its target, in the field ``target``, NaN, as skfolio wants
        it. The arrays are copies.
        """
        return _skfolio.to_skfolio(self)

    @classmethod
    def from_skfolio(cls, source: Any, *, target: str | None = None) -> Panel:
        """Build from a ``skfolio.containers.AssetPanel``.

        A 2-D field becomes one feature, a 3-D one ``<field>__<label>`` per
        label; pairs that are not active are masked. ``target`` names the field
        that becomes ``targets``.

        Raises
        ------
        DataError
            A categorical field, observations that are no times, or another
            kind of object.
        UnknownNameError
            No field is named ``target``.
        """
        return cls(**_skfolio.parts_of(source, target))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        """``np.asarray(panel)``: a copy of the values ``[T, A, F]``, NaN where masked."""
        if copy is False:
            raise ValueError("a panel becomes an array by a copy; use panel.values for the memory")
        return self._visible().astype(np.float64 if dtype is None else dtype, copy=False)

    def _visible(self) -> FloatArray:
        values: FloatArray = np.where(self.mask, np.nan, self.values)
        return values

    def to_torch(self) -> Any:
        """Values as a ``torch.float64`` tensor ``[T, A, F]`` of its own; missing is NaN."""
        return require("torch", "Panel.to_torch").from_numpy(self._visible())

    def to_jax(self) -> Any:
        """Values as a JAX array ``[T, A, F]``; missing is NaN.

        ``float64`` where JAX has ``jax_enable_x64`` on, else its ``float32``.
        """
        return require("jax", "Panel.to_jax").numpy.asarray(self._visible())

    def save(self, path: str | Path) -> None:
        """Write to one file, whole or not at all.

        The file has the safetensors layout (tensors ``values``, ``mask``,
        ``times`` as ns since 1970, ``targets``; names as metadata), so other
        programs can read it. Nothing is pickled.
        """
        _store.save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Panel:
        """Open a file of :meth:`save`; the arrays are memory-mapped, read-only.

        Raises
        ------
        ArtifactError
            If the file is missing, damaged or not a panel.
        """
        return cls._of(*_store.load(Path(path)))
