"""``fp.audit``: one question for bars and for runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from fastpanel._audit._features import AuditReport, audit_features
from fastpanel._audit._verdict import RunAudit
from fastpanel.errors import ParameterError

if TYPE_CHECKING:
    from fastpanel.data import CleanBars
    from fastpanel.simulation import SimulationResult

_DEFAULT_CUTS = 5
_RUN_OPTIONS = ("folds", "bars", "label_end", "hooks", "progress")


@overload
def audit(subject: SimulationResult, **options: Any) -> RunAudit: ...
@overload
def audit(
    subject: CleanBars,
    *,
    groups: str | Sequence[str] = "all",
    features: str | Sequence[str] | None = None,
    cuts: int | Sequence[int] = _DEFAULT_CUTS,
    allow_ragged: bool = False,
    seed: int = 0,
) -> AuditReport: ...
@overload
def audit(subject: Any, **options: Any) -> Any: ...
def audit(
    subject: Any,
    *,
    groups: str | Sequence[str] = "all",
    features: str | Sequence[str] | None = None,
    cuts: int | Sequence[int] = _DEFAULT_CUTS,
    allow_ragged: bool = False,
    seed: int = 0,
    **run: Any,
) -> AuditReport | RunAudit:
    """Take the future away, or make it absurd, and compare what remains bit for bit.

    **Features.** For every cut, all bars after that week are once removed and
    once replaced by absurd prices; the rows up to the cut have to stay as they
    were, down to the last bit and the last missing value.

    **A run.** Five checks: the fold plan row by row with label ends; every
    stored scaler and whitener against a fit on its training rows; every
    choice against one made again from the inner forecasts; whole folds
    computed again with absurd values in rows that were not known; the features
    on the run's bars.

    Parameters
    ----------
    subject : CleanBars, whatever ``fp.read_bars`` takes, or a run
        Cleaned bars are cut after the cleaning; bars are cut before it, so
        that the cleaning is under audit too. A run is its folder or the
        ``SimulationResult``.
    groups, features
        As in ``fp.features.compute``; features of your own are included.
    cuts : int or sequence of int
        How many weekly rows to cut after, drawn evenly with ``seed``, or
        the rows themselves. For a run a number.
    allow_ragged : bool
        As in ``fp.features.compute``.
    seed : int
        Which rows are drawn.
    folds : "last", "all" or sequence of int
        Run only: test groups that are computed again. Each costs about as much
        as it did in the run, and its weeks three times.
    bars : optional
        Run only: the bars behind a panel that the run did not make itself.
    label_end : int [T] or [T, A], optional
        Run only: last row of each target; default: ``cv.horizon`` rows on.
    hooks : Hooks, optional
        Run only: those that the run was made with.
    progress : bool or Reporter
        Run only, default silent.

    Returns
    -------
    AuditReport or RunAudit
        ``.ok``, ``.raise_if_leaking()``, ``.to_dict()``; ``.findings`` of
        features, ``.checks``, ``.leaks`` and ``.write(folder)`` of a run.

    Raises
    ------
    ParameterError
        If there is no row to cut after, or an option does not go with the subject.
    ArtifactError
        The run is not finished, or a file of it is damaged.

    Examples
    --------
    >>> import fastpanel as fp
    >>> clean = fp.clean_bars(fp.data.simulated_market(years=1, bar="1d", late_listers=0))
    >>> print(fp.audit(clean, groups=["momentum", "breakout"], cuts=2))
    cleaned bars: 9 features at 2 cuts: nothing depends on later bars
    """
    folder = _run_folder(subject)
    unknown = sorted(set(run) - set(_RUN_OPTIONS))
    if unknown or (run and folder is None):
        name = unknown[0] if unknown else next(iter(run))
        raise ParameterError(
            f"audit: '{name}' does not go with this subject; options of a run are "
            f"{', '.join(_RUN_OPTIONS)}"
        )
    if folder is None:
        return audit_features(subject, groups, features, cuts, allow_ragged, seed)
    from fastpanel._audit._run import audit_run

    if not isinstance(cuts, int):
        raise ParameterError("cuts of a run is a number of weeks")
    return audit_run(folder, cuts=cuts, **run)


def _run_folder(subject: Any) -> Path | None:
    folder = getattr(subject, "folder", None)
    if isinstance(folder, Path):
        return folder
    if isinstance(subject, (str, Path)) and (Path(subject) / "run_manifest.json").is_file():
        return Path(subject)
    return None
