//! The two settings of a process (threads, SIMD level) and the release of the GIL.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastpanel_kernels::{Exec, Level};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Zero means: as many as the machine offers.
static THREADS: AtomicUsize = AtomicUsize::new(0);
/// What the machine offers: asking the system takes microseconds, so it is asked once.
static CORES: OnceLock<usize> = OnceLock::new();
/// Index into [`Level::ALL`] plus one; zero means: what the CPU has.
static LEVEL: AtomicUsize = AtomicUsize::new(0);

fn threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from)),
        n => n,
    }
}

fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        0 => Level::detect(),
        i => Level::ALL[i - 1],
    }
}

/// Run a kernel without the GIL, under the process's settings.
pub fn enter<T: Send>(py: Python<'_>, kernel: impl FnOnce(Exec) -> T + Send) -> T {
    let exec = Exec::new(threads(), level());
    py.detach(|| kernel(exec))
}

/// Threads that kernels may use; 0 asks for all that the machine offers.
#[pyfunction]
fn set_num_threads(n: usize) {
    THREADS.store(n, Ordering::Relaxed);
}

/// Threads that kernels may use now.
#[pyfunction]
fn num_threads() -> usize {
    threads()
}

/// Force a SIMD level by name; it must be one that the CPU has.
#[pyfunction]
fn set_simd_level(name: &str) -> PyResult<()> {
    let wanted = Level::from_name(name).filter(|level| *level <= Level::detect());
    match wanted.and_then(|level| Level::ALL.iter().position(|other| *other == level)) {
        Some(i) => {
            LEVEL.store(i + 1, Ordering::Relaxed);
            Ok(())
        }
        None => Err(PyValueError::new_err(format!(
            "SIMD level '{name}' is not one of {:?} that this CPU runs",
            simd_levels()
        ))),
    }
}

/// SIMD level in use.
#[pyfunction]
fn simd_level() -> &'static str {
    level().name()
}

/// SIMD levels that this CPU runs, from the lowest.
#[pyfunction]
fn simd_levels() -> Vec<&'static str> {
    Level::ALL.into_iter().filter(|level| *level <= Level::detect()).map(Level::name).collect()
}

/// Was the extension built without optimisation?
#[pyfunction]
fn debug_build() -> bool {
    cfg!(debug_assertions)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(set_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(set_simd_level, module)?)?;
    module.add_function(wrap_pyfunction!(simd_level, module)?)?;
    module.add_function(wrap_pyfunction!(simd_levels, module)?)?;
    module.add_function(wrap_pyfunction!(debug_build, module)?)
}
