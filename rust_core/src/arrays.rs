//! The one door for arrays: views of C-contiguous NumPy arrays, and new arrays out.
//!
//! Python makes arrays canonical before the call (dtype, order, shape); the
//! checks here are what memory safety needs.

use numpy::{
    Element, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A read-only view handed in from Python.
pub type In<'py, T = f64> = PyReadonlyArrayDyn<'py, T>;
/// An array handed back to Python.
pub type Out<'py, T = f64> = Bound<'py, PyArrayDyn<T>>;

/// The values of a C-contiguous array.
pub fn values<'a, T: Element>(array: &'a In<'_, T>, name: &str) -> PyResult<&'a [T]> {
    array.as_slice().map_err(|_| PyValueError::new_err(format!("{name} must be C-contiguous")))
}

/// The shape as exactly `N` lengths.
pub fn shape<const N: usize, T: Element>(array: &In<'_, T>, name: &str) -> PyResult<[usize; N]> {
    array.shape().try_into().map_err(|_| {
        PyValueError::new_err(format!("{name} must have {N} axes, not {}", array.shape().len()))
    })
}

/// Refuse an array whose length is not the one that the kernel will read.
pub fn expect_len<T>(values: &[T], len: usize, name: &str) -> PyResult<()> {
    if values.len() == len {
        return Ok(());
    }
    Err(PyValueError::new_err(format!("{name} has {} values, expected {len}", values.len())))
}

/// A new array of the given shape that owns `values`.
pub fn wrap<'py, T: Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Out<'py, T>> {
    PyArray1::from_vec(py, values).reshape(shape.to_vec())
}

/// A new array from NumPy's allocator (huge pages where it is large), for a kernel that writes
/// every value.
pub fn empty<'py>(py: Python<'py>, shape: &[usize]) -> Out<'py> {
    // SAFETY: `f64` has no invalid bits, and kernels fill their output before it is seen.
    unsafe { PyArrayDyn::new(py, shape, false) }
}

/// The values of an array that only the caller knows.
pub fn values_mut<'a>(array: &'a mut Out<'_>) -> &'a mut [f64] {
    // SAFETY: made by `empty`, so contiguous and unshared.
    unsafe { array.as_slice_mut().expect("a new array is contiguous") }
}
