//! Statistics across one row: contiguous rows of `width` values, NaN is missing.

mod keys;
mod rank;

pub use rank::rank;

use crate::exec::SharedOut;
use crate::order;
use crate::simd::{self, Kernel, LANES, Simd};
use crate::{Exec, Level};

/// Rows of a task.
const ROWS_OF_A_TASK: usize = 64;

/// Every value less the mean of its row.
pub fn demean(exec: Exec, x: &[f64], width: usize, out: &mut [f64]) {
    each_row(exec, x, width, out, |level, row, out| {
        simd::run(level, Standardise { row, out, scale: false });
    });
}

/// [`demean`] over the standard deviation of the row with one degree of freedom taken off.
///
/// A constant row has no scale: NaN.
pub fn zscore(exec: Exec, x: &[f64], width: usize, out: &mut [f64]) {
    each_row(exec, x, width, out, |level, row, out| {
        simd::run(level, Standardise { row, out, scale: true });
    });
}

/// Median distance from the median of the row, unscaled; one value per row.
pub fn mad_dispersion(exec: Exec, x: &[f64], width: usize, out: &mut [f64]) {
    let lanes = || order::Lanes::new(width);
    each_group(exec, x, width, LANES, (out, 1), lanes, |level, values, out, sorted| {
        simd::run(level, Dispersion { values, width, out, sorted });
    });
}

/// Call `task` with every `height` rows and their outputs, `stride` per row.
fn each_group<T>(
    exec: Exec,
    x: &[f64],
    width: usize,
    height: usize,
    (out, stride): (&mut [f64], usize),
    scratch: impl Fn() -> T + Sync,
    task: impl Fn(Level, &[f64], &mut [f64], &mut T) + Sync,
) {
    if width == 0 {
        out.fill(f64::NAN);
        return;
    }
    let rows = x.len() / width;
    assert_eq!(x.len(), rows * width, "values do not fill the rows");
    assert_eq!(out.len(), rows * stride, "output does not fit the rows");
    let shared = SharedOut::new(out);
    let exec = exec.for_work(x.len() * 4);
    exec.for_each_with(rows.div_ceil(height), scratch, |scratch, group| {
        let top = group * height;
        let count = height.min(rows - top);
        // SAFETY: every row belongs to one task.
        let out = unsafe { shared.slice(top * stride, count * stride) };
        task(exec.level(), &x[top * width..][..count * width], out, scratch);
    });
}

/// Put up to eight rows side by side, value `c` of row `l` in row `c`, lane `l`, `missing` where
/// there is none; returns the number of values of each.
#[inline(always)]
fn side_by_side<S: Simd>(
    values: &[f64],
    width: usize,
    missing: f64,
    sorted: &mut [f64],
) -> [f64; LANES] {
    let missing = S::splat(missing);
    let mut counts = S::splat(0.0);
    for c in (0..sorted.len() / LANES).step_by(LANES) {
        let lanes = LANES.min(width.saturating_sub(c));
        let mut block = [S::splat(f64::NAN); LANES];
        for (row, vector) in values.chunks_exact(width).zip(&mut block) {
            // SAFETY: `lanes` values follow `c` in the row.
            *vector = unsafe { S::load_n(row.as_ptr().add(c.min(width)), lanes, f64::NAN) };
        }
        for (i, v) in S::transpose(block).into_iter().enumerate() {
            let ok = S::valid(v);
            counts = S::add(counts, S::keep(ok, S::splat(1.0)));
            // SAFETY: the buffer has a multiple of eight rows.
            unsafe {
                S::store(sorted.as_mut_ptr().add((c + i) * LANES), S::select(ok, v, missing))
            };
        }
    }
    S::to_array(counts)
}

struct Dispersion<'a> {
    values: &'a [f64],
    width: usize,
    out: &'a mut [f64],
    sorted: &'a mut order::Lanes,
}

impl Kernel for Dispersion<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let sorted = self.sorted.values_mut();
        let counts = side_by_side::<S>(self.values, self.width, f64::INFINITY, sorted);
        let counts = S::from_array(counts);
        order::sort::<S>(sorted);
        let median = order::median::<S>(sorted, counts);
        let mad = order::mad::<S>(sorted, counts, median);
        // An infinite median has no distances: inf - inf makes the result NaN.
        let mad = S::add(mad, S::sub(median, median));
        self.out.copy_from_slice(&S::to_array(mad)[..self.out.len()]);
    }
}

/// Call `task` with every row and its outputs.
fn each_row<F>(exec: Exec, x: &[f64], width: usize, out: &mut [f64], task: F)
where
    F: Fn(Level, &[f64], &mut [f64]) + Sync,
{
    if width == 0 {
        return;
    }
    let rows = x.len() / width;
    assert_eq!(x.len(), rows * width, "values do not fill the rows");
    assert_eq!(out.len(), x.len(), "output does not fit the rows");
    let shared = SharedOut::new(out);
    let exec = exec.for_work(x.len());
    exec.for_each(rows.div_ceil(ROWS_OF_A_TASK), |chunk| {
        let top = chunk * ROWS_OF_A_TASK;
        for t in top..(top + ROWS_OF_A_TASK).min(rows) {
            // SAFETY: every row belongs to one task.
            let out = unsafe { shared.slice(t * width, width) };
            task(exec.level(), &x[t * width..][..width], out);
        }
    });
}

struct Standardise<'a> {
    row: &'a [f64],
    out: &'a mut [f64],
    scale: bool,
}

impl Kernel for Standardise<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        // About the first value, so that a constant row is exactly its mean.
        let anchor = self.row.iter().copied().find(|v| !v.is_nan()).unwrap_or(f64::NAN);
        let anchor = S::splat(anchor);
        let (mut n, mut sum) = (S::splat(0.0), S::splat(0.0));
        each_vector::<S>(self.row, |_, _, v| {
            let ok = S::valid(v);
            n = S::add(n, S::keep(ok, S::splat(1.0)));
            sum = S::add(sum, S::keep(ok, S::sub(v, anchor)));
        });
        let n = S::sum(n);
        let mean = S::splat(S::sum(sum) / n);
        let mut scale = S::splat(1.0);
        if self.scale {
            let mut square = S::splat(0.0);
            each_vector::<S>(self.row, |_, _, v| {
                let d = S::sub(S::sub(v, anchor), mean);
                let d = S::keep(S::valid(v), d);
                square = S::fma(d, d, square);
            });
            let variance = S::sum(square) / (n - 1.0);
            scale = S::splat(if variance > 0.0 { variance.sqrt() } else { f64::NAN });
        }
        each_vector::<S>(self.row, |c, lanes, v| {
            let d = S::sub(S::sub(v, anchor), mean);
            // SAFETY: the output row is as long as the input row.
            unsafe { S::store_n(self.out.as_mut_ptr().add(c), lanes, S::div(d, scale)) };
        });
    }
}

/// Call `with(first column, lanes, values)` along a row; NaN fills the last vector.
#[inline(always)]
fn each_vector<S: Simd>(row: &[f64], mut with: impl FnMut(usize, usize, S::F)) {
    for c in (0..row.len()).step_by(LANES) {
        let lanes = LANES.min(row.len() - c);
        // SAFETY: `c + lanes` lies in the row.
        with(c, lanes, unsafe { S::load_n(row.as_ptr().add(c), lanes, f64::NAN) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_a_known_row() {
        let x = [1.0, f64::NAN, 3.0, 8.0];
        let mut out = [0.0; 4];
        demean(Exec::serial(), &x, 4, &mut out);
        assert_eq!((out[0], out[2], out[3]), (-3.0, -1.0, 4.0));
        assert!(out[1].is_nan());
        zscore(Exec::serial(), &x, 4, &mut out);
        assert!((out[3] - 4.0 / 13f64.sqrt()).abs() < 1e-15);
        let mut one = [0.0];
        mad_dispersion(Exec::serial(), &x, 4, &mut one);
        assert_eq!(one, [2.0]);
    }
}
