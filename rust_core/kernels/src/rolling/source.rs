//! Where a driver's rows come from.

use crate::simd::{LANES, Simd};

use super::tiles::Lanes;

/// Rows of `cols` columns, read eight at a time; NaN is missing.
pub trait Source: Copy + Sync {
    /// Number of rows.
    fn rows(&self) -> usize;
    /// Number of columns.
    fn cols(&self) -> usize;
    /// Columns `c .. c + lanes` of row `t`, NaN in the lanes beyond.
    ///
    /// # Safety
    /// `t < rows`, `lanes <= 8` and `c + lanes <= cols`.
    unsafe fn row<S: Simd>(&self, t: usize, c: usize, lanes: usize) -> S::F;
    /// Ask for the cache line of row `t`, column `c`; any place may be named.
    fn prefetch(&self, t: usize, c: usize);
    /// [`Source::row`] of a vector, asking for what comes after it.
    ///
    /// # Safety
    /// `t < rows`, and the vector's columns exist.
    #[inline(always)]
    unsafe fn walk<S: Simd>(&self, t: usize, at: Lanes) -> S::F {
        self.prefetch(t + at.down, at.right);
        // SAFETY: the caller's promise.
        unsafe { self.row::<S>(t, at.first, at.count) }
    }
}

/// Neither NaN nor infinite.
#[inline(always)]
pub fn finite<S: Simd>(v: S::F) -> S::M {
    S::lt(S::abs(v), S::splat(f64::INFINITY))
}

/// A C-contiguous table.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    values: &'a [f64],
    rows: usize,
    cols: usize,
}

impl<'a> Table<'a> {
    /// View `values` as `rows x cols`.
    pub fn new(values: &'a [f64], rows: usize, cols: usize) -> Table<'a> {
        assert_eq!(values.len(), rows * cols, "values do not fill the table");
        Table { values, rows, cols }
    }

    /// Value at row `t`, column `c`.
    #[inline(always)]
    pub fn at(&self, t: usize, c: usize) -> f64 {
        self.values[t * self.cols + c]
    }
}

impl Source for Table<'_> {
    #[inline(always)]
    fn rows(&self) -> usize {
        self.rows
    }
    #[inline(always)]
    fn cols(&self) -> usize {
        self.cols
    }
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, t: usize, c: usize, lanes: usize) -> S::F {
        debug_assert!(t < self.rows && c + lanes <= self.cols);
        // SAFETY: the place is inside the table by the caller's promise.
        unsafe {
            let place = self.values.as_ptr().add(t * self.cols + c);
            if lanes == LANES { S::load(place) } else { S::load_n(place, lanes, f64::NAN) }
        }
    }
    #[inline(always)]
    fn prefetch(&self, t: usize, c: usize) {
        prefetch(self.values.as_ptr().wrapping_add(t * self.cols + c));
    }
}

/// Vector `g` of row `t`, NaN beyond the last column.
///
/// A function, not an iterator: intrinsics are calls inside a closure that is not inlined.
#[inline(always)]
pub fn vector<S: Simd>(x: Table<'_>, t: usize, g: usize) -> S::F {
    let c = g * LANES;
    // SAFETY: callers pass rows and vectors that exist, and the columns are cut at the last one.
    unsafe { x.row::<S>(t, c, LANES.min(x.cols() - c)) }
}

/// Does every column have a value in row `t`?
#[inline(always)]
pub fn is_whole<S: Simd>(x: Table, t: usize) -> bool {
    let mut present = 0;
    for g in 0..x.cols().div_ceil(LANES) {
        present += S::bits(finite::<S>(vector::<S>(x, t, g))).count_ones() as usize;
    }
    present == x.cols()
}

/// Ask for the cache line at `place`, which will be written; never faults.
#[inline(always)]
pub fn prefetch_write(place: *const f64) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint and cannot fault.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_ET0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Ask for the cache line at `place`; never faults.
#[inline(always)]
pub fn prefetch(place: *const f64) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint and cannot fault.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
