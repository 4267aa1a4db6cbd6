//! `fastpanel._core`: adapters from NumPy arrays to the kernels.
//!
//! A wrapper takes views, releases the GIL, calls one kernel and hands the
//! result over. No arithmetic and no defaults live here.

mod arrays;
mod cross_section;
mod interleave;
mod robust;
mod rolling;
mod runtime;
mod scoring;
mod splits;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    runtime::register(module)?;
    rolling::register(module)?;
    cross_section::register(module)?;
    interleave::register(module)?;
    robust::register(module)?;
    splits::register(module)?;
    scoring::register(module)
}
