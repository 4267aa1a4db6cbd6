//! Adapters of this family.

use fastpanel_kernels::splits as kernel;
use kernel::{Interval, Labels, Layout, Sets};
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{In, Out, expect_len, shape, values, wrap};
use crate::runtime::enter;

type Csr<'py> = (Out<'py, i64>, Out<'py, i64>);

fn intervals<'a>(array: &'a In<'_, i64>, name: &str) -> PyResult<&'a [Interval]> {
    let [_, 2] = shape::<2, _>(array, name)? else {
        return Err(PyValueError::new_err(format!("{name} must have two columns")));
    };
    Ok(values(array, name)?.as_chunks::<2>().0)
}

fn in_bounds(set: &[Interval], rows: i64, name: &str) -> PyResult<()> {
    match set.iter().find(|[from, to]| *from < 0 || from > to || *to > rows) {
        None => Ok(()),
        Some(bad) => Err(PyValueError::new_err(format!("{name} {bad:?} is outside 0..{rows}"))),
    }
}

fn csr<'py>(py: Python<'py>, sets: Sets) -> PyResult<Csr<'py>> {
    let (splits, n) = (sets.offsets.len(), sets.intervals.len());
    let offsets = wrap(py, sets.offsets, &[splits])?;
    Ok((offsets, wrap(py, sets.intervals.into_flattened(), &[n, 2])?))
}

/// Interval sets (train, test, purged, embargoed) of every combination.
#[pyfunction]
#[allow(clippy::too_many_arguments, clippy::type_complexity)]
fn split_plan<'py>(
    py: Python<'py>,
    groups: In<'py, i64>,
    pool: In<'py, i64>,
    combos: In<'py, i64>,
    n_samples: i64,
    horizon: i64,
    label_end: Option<In<'py, i64>>,
    embargo: i64,
    reasons: bool,
) -> PyResult<[Csr<'py>; 4]> {
    let (groups, pool) = (intervals(&groups, "groups")?, intervals(&pool, "pool")?);
    let [_, width] = shape(&combos, "combos")?;
    let combos = values(&combos, "combos")?;
    let ends = label_end.as_ref().map(|ends| values(ends, "label_end")).transpose()?;
    in_bounds(groups, n_samples, "group")?;
    in_bounds(pool, n_samples, "pool")?;
    if width == 0 || combos.iter().any(|&g| g < 0 || g >= groups.len() as i64) {
        return Err(PyValueError::new_err("combos must hold ids of groups"));
    }
    if let Some(ends) = ends {
        expect_len(ends, n_samples as usize, "label_end")?;
    }
    let labels = ends.map_or(Labels::Horizon(horizon), Labels::Ends);
    let layout = Layout { groups, pool, n_samples, labels, embargo };
    let plan = enter(py, |_| kernel::plan(&layout, combos, width, reasons));
    Ok([csr(py, plan.train)?, csr(py, plan.test)?, csr(py, plan.purged)?, csr(py, plan.embargoed)?])
}

/// The rows of one interval set.
#[pyfunction]
fn interval_rows<'py>(py: Python<'py>, set: In<'py, i64>) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let set = intervals(&set, "set")?;
    let mut out = vec![0; kernel::count(set)];
    py.detach(|| kernel::fill(set, &mut out));
    Ok(PyArray1::from_vec(py, out))
}

/// The first `limit` combinations, lexicographic.
#[pyfunction]
fn combinations(py: Python<'_>, n: usize, width: usize, limit: usize) -> PyResult<Out<'_, i64>> {
    let rows = enter(py, |_| kernel::combinations(n, width, limit));
    let shape = [rows.len() / width.max(1), width];
    wrap(py, rows, &shape)
}

/// `limit` combinations that spread evenly.
#[pyfunction]
fn balanced_combinations(
    py: Python<'_>,
    n: usize,
    width: usize,
    limit: usize,
) -> PyResult<Out<'_, i64>> {
    let rows = enter(py, |_| kernel::balanced_combinations(n, width, limit));
    let shape = [rows.len() / width.max(1), width];
    wrap(py, rows, &shape)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(split_plan, module)?)?;
    module.add_function(wrap_pyfunction!(interval_rows, module)?)?;
    module.add_function(wrap_pyfunction!(combinations, module)?)?;
    module.add_function(wrap_pyfunction!(balanced_combinations, module)?)
}
