//! Statistics across one row: contiguous rows of `width` values, NaN is missing.

use crate::Exec;
use crate::exec::SharedOut;
use crate::simd::{self, Kernel, LANES, Simd};

/// Rows of a task.
const ROWS_OF_A_TASK: usize = 64;

/// `(average rank - 0.5) / n` of every value among the `n` values of its row.
pub fn rank(exec: Exec, x: &[f64], width: usize, out: &mut [f64]) {
    each_row(exec, x, width, out, width, width * 40, |_, row, out| {
        let mut order: Vec<(f64, usize)> =
            row.iter().copied().enumerate().filter(|(_, v)| !v.is_nan()).map(|(i, v)| (v, i)).collect();
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        out.fill(f64::NAN);
        let n = order.len() as f64;
        let mut from = 0;
        for ties in order.chunk_by(|a, b| a.0 == b.0) {
            let last = from + ties.len();
            // ranks from + 1 ..= last, their mean less one half
            let share = 0.5 * (from + last) as f64 / n;
            ties.iter().for_each(|&(_, i)| out[i] = share);
            from = last;
        }
    });
}

/// Every value less the mean of its row.
pub fn demean(exec: Exec, x: &[f64], width: usize, out: &mut [f64]) {
    each_row(exec, x, width, out, width, width, |exec, row, out| {
        simd::run(exec.level(), Standardise { row, out, scale: false });
    });
}

/// [`demean`] over the standard deviation of the row with one degree of freedom taken off.
///
/// A constant row has no scale: NaN.
pub fn zscore(exec: Exec, x: &[f64], width: usize, out: &mut [f64]) {
    each_row(exec, x, width, out, width, width, |exec, row, out| {
        simd::run(exec.level(), Standardise { row, out, scale: true });
    });
}

/// Median distance from the median of the row, unscaled; one value per row.
pub fn mad_dispersion(exec: Exec, x: &[f64], width: usize, out: &mut [f64]) {
    each_row(exec, x, width, out, 1, width * 10, |_, row, out| {
        let mut values: Vec<f64> = row.iter().copied().filter(|v| !v.is_nan()).collect();
        let median = median(&mut values);
        values.iter_mut().for_each(|v| *v = (*v - median).abs());
        out[0] = self::median(&mut values);
    });
}

/// Call `task` with every row and its `stride` outputs.
fn each_row<F: Fn(Exec, &[f64], &mut [f64]) + Sync>(
    exec: Exec,
    x: &[f64],
    width: usize,
    out: &mut [f64],
    stride: usize,
    nanoseconds: usize,
    task: F,
) {
    if width == 0 {
        out.fill(f64::NAN);
        return;
    }
    let rows = x.len() / width;
    assert_eq!(x.len(), rows * width, "values do not fill the rows");
    assert_eq!(out.len(), rows * stride, "output does not fit the rows");
    let shared = SharedOut::new(out);
    let exec = exec.for_work(rows * nanoseconds);
    exec.for_each(rows.div_ceil(ROWS_OF_A_TASK), |chunk| {
        let top = chunk * ROWS_OF_A_TASK;
        for t in top..(top + ROWS_OF_A_TASK).min(rows) {
            // SAFETY: every row belongs to one task.
            let out = unsafe { shared.slice(t * stride, stride) };
            task(exec, &x[t * width..][..width], out);
        }
    });
}

/// Median of values without NaN; reorders them. An infinite median has no distances: NaN.
fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n == 0 || values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let (below, &mut high, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return high;
    }
    let low = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low == high { low } else { 0.5 * (low + high) }
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
