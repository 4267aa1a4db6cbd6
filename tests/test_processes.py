"""Threaded kernels in forked and spawned processes, in worker pools, and from many threads at once.

Each worker computes what the parent computed before, with several threads in both, and has to give
the same bits. A deadlock after a fork shows as a timeout.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastpanel as fp

TIMEOUT = 120
forks = pytest.mark.filterwarnings(
    "ignore:.*fork"
)  # of Python 3.12, and of JAX where it was imported


def digest(seed: int = 0) -> str:
    """Run every kernel family on data large enough to be shared among threads."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1500, 40))
    x[rng.random(x.shape) < 0.05] = np.nan
    y, draws = rng.normal(size=(60, 12)), rng.normal(size=(200, 60, 12))
    panel = rng.normal(size=(400, 12, 8))
    folds = fp.splits.make_cpcv_splits(
        fp.splits.build_equal_groups(400, 0, 100), q=2, horizon=1, embargo_len=2
    )
    scaler = fp.preprocess.PanelPreprocessor()
    states = scaler.fit_splits(panel, [f"f{i}" for i in range(8)], folds)
    results = [
        fp.rolling.mad(x, 30, min_periods=5),
        fp.rolling.std(x, 30, min_periods=5),
        fp.rolling.corr_mean(x[:300], 60, min_periods=30),
        fp.cross_section.rank(x),
        fp.scoring.energy_score(y, draws, 0),
        fp.scoring.crps_ensemble(y, draws, 0),
        states[-1].transform(panel),
    ]
    whole = hashlib.sha256()
    for result in results:
        whole.update(np.ascontiguousarray(result).tobytes())
    return whole.hexdigest()


def digest_with_threads(seed: int) -> str:
    """Set the threads first: a spawned process starts with the default."""
    fp.set_num_threads(4)
    return digest(seed)


@pytest.fixture
def parent() -> Iterator[str]:
    """The parent's own result, so that its threads have run before anything is forked."""
    fp.set_num_threads(4)
    yield digest()
    fp.set_num_threads(None)


@forks
def test_forked_children_run_threads(parent: str) -> None:
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = pool.map_async(digest, [0] * 6).get(TIMEOUT)
    assert found == [parent] * 6
    assert digest() == parent


def users_spread(x: np.ndarray) -> np.ndarray:
    return fp.rolling.apply(x, 20, SPREAD, min_periods=5)


@forks
def test_a_users_compiled_function_in_forked_children(parent: str) -> None:
    import numba

    global SPREAD  # noqa: PLW0603  a child inherits it; a dispatcher made here cannot be sent
    SPREAD = numba.njit(lambda window: window.max() - window.min())
    x = np.random.default_rng(0).normal(size=(400, 30))
    want = users_spread(x)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for found in pool.map_async(users_spread, [x] * 4).get(TIMEOUT):
            np.testing.assert_array_equal(found, want)


@forks
def test_a_child_forked_while_kernels_run(parent: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(digest) for _ in range(4)]
        with multiprocessing.get_context("fork").Pool(1) as children:
            assert children.map_async(digest, [0]).get(TIMEOUT) == [parent]
        assert [run.result(TIMEOUT) for run in running] == [parent] * 4


@pytest.mark.slow
def test_spawned_children_run_threads(parent: str) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map_async(digest_with_threads, [0]).get(TIMEOUT) == [parent]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_workers(parent: str, backend: str) -> None:
    joblib = pytest.importorskip("joblib")
    run = joblib.Parallel(n_jobs=2, backend=backend, timeout=TIMEOUT)
    assert run(joblib.delayed(digest_with_threads)(0) for _ in range(3)) == [parent] * 3
    if backend == "loky":
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)


@forks
@pytest.mark.slow
def test_a_data_loader_worker(parent: str) -> None:
    torch = pytest.importorskip("torch")

    class Digests(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> str:
            return digest()

    loader = torch.utils.data.DataLoader(
        Digests(), batch_size=None, num_workers=1, timeout=TIMEOUT, multiprocessing_context="fork"
    )
    assert list(loader) == [parent] * 3


def test_calls_from_many_threads_do_not_disturb_each_other(parent: str) -> None:
    others = digest(1)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(digest, [0, 1] * 6, timeout=TIMEOUT))
    assert found == [parent, others] * 6


def test_threads_change_no_bit(parent: str) -> None:
    fp.set_num_threads(1)
    assert digest() == parent


def fresh(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import fastpanel as fp; {code}"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


LEVELS = fp.show_versions()["simd_available"]


@pytest.mark.parametrize("level", LEVELS)
def test_the_environment_chooses_level_and_threads(level: str) -> None:
    code = "v = fp.show_versions(); print(v['simd'], v['threads'])"
    done = fresh(code, FASTPANEL_SIMD=level, FASTPANEL_NUM_THREADS="3")
    assert done.stdout.split() == [level, "3"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FASTPANEL_SIMD", "mmx"),
        ("FASTPANEL_NUM_THREADS", "0"),
        ("FASTPANEL_NUM_THREADS", "many"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value(name: str, value: str) -> None:
    done = fresh("fp.show_versions()", **{name: value})
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "ParameterError" in last and name in last and repr(value) in last


def test_threads_are_set_and_shown() -> None:
    fp.set_num_threads(5)
    assert fp.show_versions()["threads"] == 5
    fp.set_num_threads(None)
    assert fp.show_versions()["threads"] == len(os.sched_getaffinity(0))
    with pytest.raises(fp.errors.ParameterError, match="at least 1 or None, got 0"):
        fp.set_num_threads(0)
