//! Adapters of cross-sections: tables `[N, A]`, statistics across each row.

use fastpanel_kernels::{Exec, cross_section};
use pyo3::prelude::*;

use crate::arrays::{In, Out, empty, shape, values, values_mut};
use crate::runtime::enter;

type Kernel = fn(Exec, &[f64], usize, &mut [f64]);

fn run<'py>(
    py: Python<'py>,
    x: &In<'py>,
    result: impl FnOnce(usize, usize) -> Vec<usize>,
    kernel: Kernel,
) -> PyResult<Out<'py>> {
    let [rows, cols] = shape(x, "x")?;
    let table = values(x, "x")?;
    let mut out = empty(py, &result(rows, cols));
    let target = values_mut(&mut out);
    enter(py, |exec| kernel(exec, table, cols, target));
    Ok(out)
}

#[pyfunction]
fn cross_section_rank<'py>(py: Python<'py>, x: In<'py>) -> PyResult<Out<'py>> {
    run(py, &x, |rows, cols| vec![rows, cols], cross_section::rank)
}

#[pyfunction]
fn cross_section_zscore<'py>(py: Python<'py>, x: In<'py>) -> PyResult<Out<'py>> {
    run(py, &x, |rows, cols| vec![rows, cols], cross_section::zscore)
}

#[pyfunction]
fn cross_section_demean<'py>(py: Python<'py>, x: In<'py>) -> PyResult<Out<'py>> {
    run(py, &x, |rows, cols| vec![rows, cols], cross_section::demean)
}

#[pyfunction]
fn cross_section_mad_dispersion<'py>(py: Python<'py>, x: In<'py>) -> PyResult<Out<'py>> {
    run(py, &x, |rows, _| vec![rows], cross_section::mad_dispersion)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(cross_section_rank, module)?)?;
    module.add_function(wrap_pyfunction!(cross_section_zscore, module)?)?;
    module.add_function(wrap_pyfunction!(cross_section_demean, module)?)?;
    module.add_function(wrap_pyfunction!(cross_section_mad_dispersion, module)?)
}
