//! Adapter of columns that become one table.

use fastpanel_kernels::interleave as kernel;
use pyo3::prelude::*;

use crate::arrays::{In, Out, empty, expect_len, values, values_mut};
use crate::runtime::enter;

#[pyfunction]
fn interleave<'py>(py: Python<'py>, columns: Vec<In<'py>>) -> PyResult<Out<'py>> {
    let columns: Vec<&[f64]> =
        columns.iter().map(|column| values(column, "a column")).collect::<PyResult<_>>()?;
    let rows = columns.first().map_or(0, |column| column.len());
    for column in &columns {
        expect_len(column, rows, "a column")?;
    }
    let mut out = empty(py, &[rows, columns.len()]);
    let target = values_mut(&mut out);
    enter(py, |exec| kernel::interleave(exec, &columns, target));
    Ok(out)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(interleave, module)?)
}
