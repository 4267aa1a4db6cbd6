"""The compiled core. Arrays come in C-contiguous; the Python layer sees to it."""

from typing import TypeAlias

from fastpanel.typing import BoolArray, FloatArray, IntArray

# runtime
def set_num_threads(n: int) -> None: ...
def num_threads() -> int: ...
def set_simd_level(name: str) -> None: ...
def simd_level() -> str: ...
def simd_levels() -> list[str]: ...
def debug_build() -> bool: ...

# rolling, ewm, technical

# cross_section

# robust
def robust_fit(
    x: FloatArray,
    missing: BoolArray | None,
    *,
    features: IntArray,
    rows: IntArray,
    classes: IntArray,
    member: BoolArray,
    quantiles: tuple[float, float],
) -> tuple[FloatArray, FloatArray]: ...
def pooled_moments(
    x: FloatArray,
    missing: BoolArray | None,
    *,
    block: IntArray,
    rows: IntArray,
    offsets: IntArray,
    jobs: IntArray,
    pairs: bool,
) -> tuple[FloatArray, FloatArray, FloatArray | None]: ...
def robust_transform(
    x: FloatArray,
    missing: BoolArray | None,
    *,
    kept: IntArray,
    centre: FloatArray,
    scale: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
    clip: tuple[FloatArray, FloatArray],
    fill: float,
    channels: bool,
) -> FloatArray: ...

# splits
_Sets: TypeAlias = tuple[IntArray, IntArray]

def split_plan(
    groups: IntArray,
    pool: IntArray,
    combos: IntArray,
    n_samples: int,
    horizon: int,
    label_end: IntArray | None,
    embargo: int,
    reasons: bool,
) -> tuple[_Sets, _Sets, _Sets, _Sets]: ...
def interval_rows(set: IntArray) -> IntArray: ...
def combinations(n: int, width: int, limit: int) -> IntArray: ...
def balanced_combinations(n: int, width: int, limit: int) -> IntArray: ...

# scoring
# Members come as [outer, members, inner, dims], truth as [outer * inner, dims].
def energy_score(
    truth: FloatArray,
    members: FloatArray,
    *,
    fair: bool,
    weights: FloatArray | None,
    mask: BoolArray | None,
    transform: FloatArray | None,
) -> FloatArray: ...
def crps(truth: FloatArray, members: FloatArray, *, fair: bool) -> FloatArray: ...
def pit(truth: FloatArray, members: FloatArray) -> FloatArray: ...
def ensemble_quantiles(members: FloatArray, levels: FloatArray) -> FloatArray: ...
def variogram_score(
    truth: FloatArray,
    members: FloatArray,
    *,
    order: float,
    fair: bool,
    pairs: FloatArray | None,
    weights: FloatArray | None,
) -> FloatArray: ...
