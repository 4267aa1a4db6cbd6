//! Adapters of rolling windows, EWM and technical indicators: tables `[T, C]` down the rows.

use fastpanel_kernels::Exec;
use fastpanel_kernels::ewm::{self, Decay};
use fastpanel_kernels::rolling::source::Table;
use fastpanel_kernels::rolling::{self, Aggregate, Window, correlation, ranks, sorted, spectrum};
use fastpanel_kernels::technical::{self, Bars, Smoothing};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{In, Out, empty, shape, values, values_mut};
use crate::runtime::enter;

fn table<'a>(x: &'a In<'_>, name: &str) -> PyResult<Table<'a>> {
    let [rows, cols] = shape(x, name)?;
    Ok(Table::new(values(x, name)?, rows, cols))
}

fn window(len: usize, min_periods: usize) -> PyResult<Window> {
    if 1 <= min_periods && min_periods <= len {
        return Ok(Window::new(len, min_periods));
    }
    Err(PyValueError::new_err(format!("min_periods {min_periods} outside 1..={len}")))
}

fn smoothing(wilder: bool) -> Smoothing {
    if wilder { Smoothing::Wilder } else { Smoothing::Simple }
}

/// A new array of the shape of `x`, filled by `kernel`.
fn like<'py>(
    py: Python<'py>,
    x: &In<'py>,
    kernel: impl FnOnce(Exec, &mut [f64]) + Send,
) -> PyResult<Out<'py>> {
    let [rows, cols] = shape(x, "x")?;
    let mut out = empty(py, &[rows, cols]);
    let target = values_mut(&mut out);
    enter(py, |exec| kernel(exec, target));
    Ok(out)
}

macro_rules! aggregates {
    ($($name:ident => $what:expr),* $(,)?) => {$(
        #[pyfunction]
        fn $name<'py>(py: Python<'py>, x: In<'py>, len: usize, min_periods: usize) -> PyResult<Out<'py>> {
            let (rows, window) = (table(&x, "x")?, window(len, min_periods)?);
            like(py, &x, |exec, out| rolling::aggregate(exec, rows, window, $what, out))
        }
    )*};
}

aggregates! {
    rolling_sum => Aggregate::Sum,
    rolling_mean => Aggregate::Mean,
    rolling_min => Aggregate::Min,
    rolling_max => Aggregate::Max,
    rolling_skew => Aggregate::Skew,
    rolling_kurt => Aggregate::Kurt,
}

macro_rules! spreads {
    ($($name:ident => $what:expr),* $(,)?) => {$(
        #[pyfunction]
        fn $name<'py>(
            py: Python<'py>, x: In<'py>, len: usize, min_periods: usize, ddof: f64,
        ) -> PyResult<Out<'py>> {
            let (rows, window) = (table(&x, "x")?, window(len, min_periods)?);
            like(py, &x, |exec, out| rolling::aggregate(exec, rows, window, $what(ddof), out))
        }
    )*};
}

spreads! {
    rolling_var => Aggregate::Var,
    rolling_std => Aggregate::Std,
}

#[pyfunction]
fn rolling_semideviation<'py>(
    py: Python<'py>,
    x: In<'py>,
    len: usize,
    min_periods: usize,
    up: bool,
) -> PyResult<Out<'py>> {
    let (rows, window) = (table(&x, "x")?, window(len, min_periods)?);
    let what = Aggregate::Semideviation(if up { 1.0 } else { -1.0 });
    like(py, &x, |exec, out| rolling::aggregate(exec, rows, window, what, out))
}

macro_rules! orders {
    ($($name:ident => $what:expr),* $(,)?) => {$(
        #[pyfunction]
        fn $name<'py>(py: Python<'py>, x: In<'py>, len: usize, min_periods: usize) -> PyResult<Out<'py>> {
            let (rows, window) = (table(&x, "x")?, window(len, min_periods)?);
            like(py, &x, |exec, out| sorted::order(exec, rows, window, $what, out))
        }
    )*};
}

orders! {
    rolling_median => sorted::Order::Median,
    rolling_mad => sorted::Order::Mad,
}

#[pyfunction]
fn rolling_quantile<'py>(
    py: Python<'py>,
    x: In<'py>,
    len: usize,
    min_periods: usize,
    q: f64,
) -> PyResult<Out<'py>> {
    if !(0.0..=1.0).contains(&q) {
        return Err(PyValueError::new_err(format!("q {q} outside [0, 1]")));
    }
    let (rows, window) = (table(&x, "x")?, window(len, min_periods)?);
    like(py, &x, |exec, out| sorted::order(exec, rows, window, sorted::Order::Quantile(q), out))
}

#[pyfunction]
fn rolling_rank<'py>(
    py: Python<'py>,
    x: In<'py>,
    len: usize,
    min_periods: usize,
) -> PyResult<Out<'py>> {
    let (rows, window) = (table(&x, "x")?, window(len, min_periods)?);
    like(py, &x, |exec, out| ranks::rank(exec, rows, window, out))
}

#[pyfunction]
fn ewm_mean<'py>(
    py: Python<'py>,
    x: In<'py>,
    alpha: f64,
    adjust: bool,
    min_periods: usize,
) -> PyResult<Out<'py>> {
    let (rows, decay) = (table(&x, "x")?, Decay { alpha, adjust, min_periods });
    like(py, &x, |exec, out| ewm::ewm_mean(exec, rows, decay, out))
}

#[pyfunction]
fn ewm_std<'py>(
    py: Python<'py>,
    x: In<'py>,
    alpha: f64,
    adjust: bool,
    min_periods: usize,
    bias: bool,
) -> PyResult<Out<'py>> {
    let (rows, decay) = (table(&x, "x")?, Decay { alpha, adjust, min_periods });
    like(py, &x, |exec, out| ewm::ewm_std(exec, rows, decay, bias, out))
}

/// The rows asked for, which must rise and exist; all of them by default.
fn wanted(rows: Option<In<'_, i64>>, x: &In<'_>) -> PyResult<Vec<usize>> {
    let [all, _] = shape(x, "x")?;
    let Some(rows) = rows else { return Ok((0..all).collect()) };
    let rows = values(&rows, "rows")?;
    let inside = rows.iter().all(|&t| usize::try_from(t).is_ok_and(|t| t < all));
    if inside && rows.is_sorted_by(|a, b| a < b) {
        return Ok(rows.iter().map(|&t| t as usize).collect());
    }
    Err(PyValueError::new_err(format!("rows must rise within 0..{all}")))
}

macro_rules! markets {
    ($($name:ident => $kernel:expr),* $(,)?) => {$(
        #[pyfunction]
        #[pyo3(signature = (x, len, min_periods, rows=None))]
        fn $name<'py>(
            py: Python<'py>,
            x: In<'py>,
            len: usize,
            min_periods: usize,
            rows: Option<In<'py, i64>>,
        ) -> PyResult<Out<'py>> {
            let (table, window, wanted) = (table(&x, "x")?, window(len, min_periods)?, wanted(rows, &x)?);
            let mut out = empty(py, &[wanted.len()]);
            let target = values_mut(&mut out);
            enter(py, |exec| $kernel(exec, table, window, &wanted, target));
            Ok(out)
        }
    )*};
}

markets! {
    rolling_corr_mean => correlation::corr_mean,
    rolling_pc1_share => spectrum::pc1_share,
}

fn bars<'a>(high: &'a In<'_>, low: &'a In<'_>, close: &'a In<'_>) -> PyResult<Bars<'a>> {
    let wanted = shape::<2, _>(high, "high")?;
    if shape(low, "low")? != wanted || shape(close, "close")? != wanted {
        return Err(PyValueError::new_err("high, low and close must have one shape"));
    }
    Ok(Bars::new(table(high, "high")?, table(low, "low")?, table(close, "close")?))
}

#[pyfunction]
fn true_range<'py>(
    py: Python<'py>,
    high: In<'py>,
    low: In<'py>,
    close: In<'py>,
) -> PyResult<Out<'py>> {
    let bars = bars(&high, &low, &close)?;
    like(py, &high, |exec, out| technical::true_range(exec, bars, out))
}

#[pyfunction]
fn atr<'py>(
    py: Python<'py>,
    high: In<'py>,
    low: In<'py>,
    close: In<'py>,
    len: usize,
    wilder: bool,
) -> PyResult<Out<'py>> {
    let bars = bars(&high, &low, &close)?;
    window(len, len)?;
    like(py, &high, |exec, out| technical::atr(exec, bars, len, smoothing(wilder), out))
}

#[pyfunction]
fn rsi<'py>(py: Python<'py>, close: In<'py>, len: usize, wilder: bool) -> PyResult<Out<'py>> {
    let rows = table(&close, "close")?;
    window(len, len)?;
    like(py, &close, |exec, out| technical::rsi(exec, rows, len, smoothing(wilder), out))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(rolling_sum, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_mean, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_var, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_std, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_min, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_max, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_skew, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_kurt, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_semideviation, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_median, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_mad, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_quantile, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_rank, module)?)?;
    module.add_function(wrap_pyfunction!(ewm_mean, module)?)?;
    module.add_function(wrap_pyfunction!(ewm_std, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_corr_mean, module)?)?;
    module.add_function(wrap_pyfunction!(rolling_pc1_share, module)?)?;
    module.add_function(wrap_pyfunction!(true_range, module)?)?;
    module.add_function(wrap_pyfunction!(atr, module)?)?;
    module.add_function(wrap_pyfunction!(rsi, module)?)
}
