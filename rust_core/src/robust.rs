//! Adapters of this family.

use fastpanel_kernels::robust::{self as kernel, Cube, Jobs, Scaling, TrainingSets};
use numpy::{PyArrayDyn, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{In, Out, expect_len, shape, values, wrap};
use crate::runtime::enter;

fn cube<'a>(x: &'a In<'_>, missing: &'a Option<In<'_, bool>>) -> PyResult<Cube<'a>> {
    let shape = shape(x, "X")?;
    let values = values(x, "X")?;
    let missing = missing.as_ref().map(|m| crate::arrays::values(m, "mask")).transpose()?;
    if let Some(missing) = missing {
        expect_len(missing, values.len(), "mask")?;
    }
    Ok(Cube { values, missing, shape })
}

/// Ids below `limit`.
fn ids(array: &In<'_, i64>, limit: usize, name: &str) -> PyResult<Vec<usize>> {
    let inside = |&i: &i64| usize::try_from(i).ok().filter(|&i| i < limit);
    values(array, name)?
        .iter()
        .map(inside)
        .collect::<Option<_>>()
        .ok_or_else(|| PyValueError::new_err(format!("{name} must hold positions below {limit}")))
}

/// Pooled winsor bounds `[2, K, J]` and order statistics `[7, K, A, J]` of every training set.
#[pyfunction]
#[pyo3(signature = (x, missing, *, features, rows, classes, member, quantiles))]
#[allow(clippy::too_many_arguments)]
fn robust_fit<'py>(
    py: Python<'py>,
    x: In<'py>,
    missing: Option<In<'py, bool>>,
    features: In<'py, i64>,
    rows: In<'py, i64>,
    classes: In<'py, i64>,
    member: In<'py, bool>,
    quantiles: [f64; 2],
) -> PyResult<(Out<'py>, Out<'py>)> {
    let cube = cube(&x, &missing)?;
    let features = ids(&features, cube.shape[2], "features")?;
    ids(&rows, cube.shape[0], "rows")?;
    let [sets, count] = shape(&member, "member")?;
    let class: Vec<u32> =
        ids(&classes, count, "classes")?.into_iter().map(|class| class as u32).collect();
    let rows = values(&rows, "rows")?;
    expect_len(&class, rows.len(), "classes")?;
    let member = values(&member, "member")?;
    let training = TrainingSets { rows, class: &class, classes: count, member };
    let fit = enter(py, |exec| kernel::fit(exec, cube, &features, training, quantiles));
    let bounds = wrap(py, fit.bounds, &[2, sets, features.len()])?;
    Ok((bounds, wrap(py, fit.statistics, &[7, sets, cube.shape[1], features.len()])?))
}

/// Pooled counts and variances `[K, F]`, and correlations `[K, F, F]` if asked for.
#[pyfunction]
#[pyo3(signature = (x, missing, *, block, rows, offsets, jobs, pairs))]
#[allow(clippy::too_many_arguments, clippy::type_complexity)]
fn pooled_moments<'py>(
    py: Python<'py>,
    x: In<'py>,
    missing: Option<In<'py, bool>>,
    block: In<'py, i64>,
    rows: In<'py, i64>,
    offsets: In<'py, i64>,
    jobs: In<'py, i64>,
    pairs: bool,
) -> PyResult<(Out<'py>, Out<'py>, Option<Out<'py>>)> {
    let cube = cube(&x, &missing)?;
    let (block, rows) = (values(&block, "block")?, values(&rows, "rows")?);
    expect_len(rows, block.len(), "rows")?;
    let beyond = |(&block, &rows): (&i64, &i64)| {
        let last = block * kernel::BLOCK_ROWS as i64 + 63 - i64::from(rows.leading_zeros());
        block < 0 || rows == 0 || last >= cube.shape[0] as i64
    };
    if block.iter().zip(rows).any(beyond) {
        return Err(PyValueError::new_err("a block has rows outside X"));
    }
    let (offsets, list) = (values(&offsets, "offsets")?, values(&jobs, "jobs")?);
    ids(&jobs, block.len(), "jobs")?;
    let ordered = offsets.is_sorted() && offsets.first().is_none_or(|&first| first >= 0);
    if !ordered || offsets.last().is_some_and(|&last| last > list.len() as i64) {
        return Err(PyValueError::new_err("offsets must ascend within jobs"));
    }
    let jobs = Jobs { block, rows, offsets, list };
    let found = enter(py, |exec| kernel::moments(exec, cube, jobs, pairs));
    let (sets, features) = (offsets.len().saturating_sub(1), cube.shape[2]);
    let correlation =
        pairs.then(|| wrap(py, found.correlation, &[sets, features, features])).transpose()?;
    Ok((
        wrap(py, found.count, &[sets, features])?,
        wrap(py, found.variance, &[sets, features])?,
        correlation,
    ))
}

/// Scaled values `[T, A, K]`, with mask channels `[T, A, 2 K]`.
#[pyfunction]
#[pyo3(signature = (x, missing, *, kept, centre, scale, bounds, clip, fill, channels))]
#[allow(clippy::too_many_arguments)]
fn robust_transform<'py>(
    py: Python<'py>,
    x: In<'py>,
    missing: Option<In<'py, bool>>,
    kept: In<'py, i64>,
    centre: In<'py>,
    scale: In<'py>,
    bounds: [In<'py>; 2],
    clip: [In<'py>; 2],
    fill: f64,
    channels: bool,
) -> PyResult<Out<'py>> {
    let cube = cube(&x, &missing)?;
    let kept = ids(&kept, cube.shape[2], "kept")?;
    let width = kept.len();
    let sized = |array, name, len| {
        let found = values(array, name)?;
        expect_len(found, len, name).map(|()| found)
    };
    let scaling = Scaling {
        kept: &kept,
        centre: sized(&centre, "centre", cube.shape[1] * width)?,
        scale: sized(&scale, "scale", cube.shape[1] * width)?,
        low: sized(&bounds[0], "bounds", width)?,
        high: sized(&bounds[1], "bounds", width)?,
        clip: [sized(&clip[0], "clip", width)?, sized(&clip[1], "clip", width)?],
        fill,
        channels,
    };
    // NumPy's own memory: it asks for huge pages, which halves the time of a large panel.
    let out = PyArrayDyn::zeros(py, vec![cube.shape[0], cube.shape[1], scaling.width()], false);
    {
        let mut view = out.readwrite();
        let slots = view.as_slice_mut()?;
        enter(py, |exec| kernel::transform(exec, cube, &scaling, slots));
    }
    Ok(out)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(robust_fit, module)?)?;
    module.add_function(wrap_pyfunction!(pooled_moments, module)?)?;
    module.add_function(wrap_pyfunction!(robust_transform, module)?)
}
