//! Adapters of the scores. Members come as `[outer, members, inner, dims]`.

use fastpanel_kernels::scoring::{
    self, Energy, Ensemble, Variogram, crps, pit, quantiles, variogram_score,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{self, In, Out};
use crate::runtime;

/// The members as the kernels see them.
fn ensemble<'a>(members: &'a In<'_>) -> PyResult<Ensemble<'a>> {
    let shape: [usize; 4] = arrays::shape(members, "members")?;
    let values = arrays::values(members, "members")?;
    if shape[1] == 0 {
        return Err(PyValueError::new_err("an ensemble has at least one member"));
    }
    Ok(Ensemble::new(values, shape))
}

/// The same of scalar points.
fn scalars<'a>(members: &'a In<'_>) -> PyResult<Ensemble<'a>> {
    let ensemble = ensemble(members)?;
    if ensemble.dims() != 1 {
        return Err(PyValueError::new_err("members of a scalar score have one dimension"));
    }
    Ok(ensemble)
}

/// The values of an array of known length.
fn exactly<'a, T: numpy::Element>(
    array: &'a In<'_, T>,
    len: usize,
    name: &str,
) -> PyResult<&'a [T]> {
    let values = arrays::values(array, name)?;
    arrays::expect_len(values, len, name)?;
    Ok(values)
}

/// The same where the array may be absent.
fn maybe<'a, T: numpy::Element>(
    array: &'a Option<In<'_, T>>,
    len: usize,
    name: &str,
) -> PyResult<Option<&'a [T]>> {
    array.as_ref().map(|array| exactly(array, len, name)).transpose()
}

#[pyfunction]
#[pyo3(signature = (truth, members, *, fair, weights, mask, transform))]
fn energy_score<'py>(
    py: Python<'py>,
    truth: In<'py>,
    members: In<'py>,
    fair: bool,
    weights: Option<In<'py>>,
    mask: Option<In<'py, bool>>,
    transform: Option<In<'py>>,
) -> PyResult<Out<'py>> {
    let ensemble = ensemble(&members)?;
    let (points, dims) = (ensemble.points(), ensemble.dims());
    let truth = exactly(&truth, points * dims, "truth")?;
    let options = Energy {
        weights: maybe(&weights, points * ensemble.members(), "weights")?,
        mask: maybe(&mask, points * dims, "mask")?,
        transform: maybe(&transform, dims * dims, "transform")?,
        fair,
    };
    if mask.is_some() && transform.is_some() {
        return Err(PyValueError::new_err("a transform mixes dimensions: no mask goes with it"));
    }
    let mut out = vec![0.0; points];
    runtime::enter(py, |exec| scoring::energy_score(ensemble, truth, options, exec, &mut out));
    arrays::wrap(py, out, &[points])
}

#[pyfunction]
#[pyo3(name = "crps", signature = (truth, members, *, fair))]
fn crps_py<'py>(
    py: Python<'py>,
    truth: In<'py>,
    members: In<'py>,
    fair: bool,
) -> PyResult<Out<'py>> {
    let ensemble = scalars(&members)?;
    let truth = exactly(&truth, ensemble.points(), "truth")?;
    let mut out = vec![0.0; ensemble.points()];
    runtime::enter(py, |exec| crps(ensemble, truth, fair, exec, &mut out));
    arrays::wrap(py, out, &[ensemble.points()])
}

#[pyfunction]
#[pyo3(name = "pit")]
fn pit_py<'py>(py: Python<'py>, truth: In<'py>, members: In<'py>) -> PyResult<Out<'py>> {
    let ensemble = scalars(&members)?;
    let truth = exactly(&truth, ensemble.points(), "truth")?;
    let mut out = vec![0.0; ensemble.points()];
    runtime::enter(py, |exec| pit(ensemble, truth, exec, &mut out));
    arrays::wrap(py, out, &[ensemble.points()])
}

#[pyfunction]
fn ensemble_quantiles<'py>(
    py: Python<'py>,
    members: In<'py>,
    levels: In<'py>,
) -> PyResult<Out<'py>> {
    let ensemble = scalars(&members)?;
    let levels = arrays::values(&levels, "levels")?;
    let mut out = vec![0.0; levels.len() * ensemble.points()];
    runtime::enter(py, |exec| quantiles(ensemble, levels, exec, &mut out));
    arrays::wrap(py, out, &[levels.len(), ensemble.points()])
}

#[pyfunction]
#[pyo3(name = "variogram_score", signature = (truth, members, *, order, fair, pairs, weights))]
fn variogram_score_py<'py>(
    py: Python<'py>,
    truth: In<'py>,
    members: In<'py>,
    order: f64,
    fair: bool,
    pairs: Option<In<'py>>,
    weights: Option<In<'py>>,
) -> PyResult<Out<'py>> {
    let ensemble = ensemble(&members)?;
    let (points, dims) = (ensemble.points(), ensemble.dims());
    let truth = exactly(&truth, points * dims, "truth")?;
    let of_all = match &pairs {
        Some(pairs) if pairs.as_slice().is_ok_and(|w| w.len() == dims * dims) => dims * dims,
        _ => points * dims * dims,
    };
    let options = Variogram {
        order,
        pairs: maybe(&pairs, of_all, "pairs")?,
        weights: maybe(&weights, points * ensemble.members(), "weights")?,
        fair,
    };
    let mut out = vec![0.0; points];
    runtime::enter(py, |exec| variogram_score(ensemble, truth, options, exec, &mut out));
    arrays::wrap(py, out, &[points])
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(energy_score, module)?)?;
    module.add_function(wrap_pyfunction!(crps_py, module)?)?;
    module.add_function(wrap_pyfunction!(pit_py, module)?)?;
    module.add_function(wrap_pyfunction!(ensemble_quantiles, module)?)?;
    module.add_function(wrap_pyfunction!(variogram_score_py, module)?)
}
