//! Share of the leading eigenvalue of the window covariance.

use crate::Exec;
use crate::simd::{self, Kernel, LANES, Simd};

use super::Window;
use super::lanczos::{Operator, largest};
use super::source::{Source, Table};
use super::tiles::{Line, Sink};

/// Leading eigenvalue over trace of the covariance in every window.
///
/// Columns with fewer than `min_periods` values in the window leave; the
/// covariance is over the rows that are complete for the others, at least two.
/// NaN where nothing is left or nothing varies. Infinities count as missing.
pub fn pc1_share(exec: Exec, x: Table, window: Window, out: &mut [f64]) {
    const ROWS_OF_A_TASK: usize = 16;
    let rows = x.rows();
    let exec = exec.for_work(rows * window.reach(rows) * x.cols());
    let sink = Sink::new(out, rows, 1);
    exec.for_each(rows.div_ceil(ROWS_OF_A_TASK), |task| {
        let top = task * ROWS_OF_A_TASK;
        let rows = top..(top + ROWS_OF_A_TASK).min(rows);
        simd::run(exec.level(), Rows { x, window, rows, sink });
    });
}

struct Rows<'a> {
    x: Table<'a>,
    window: Window,
    rows: std::ops::Range<usize>,
    sink: Sink<'a>,
}

impl Kernel for Rows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let mut centred = Centred::default();
        for t in self.rows.clone() {
            let share = if t + 1 < self.window.min_periods() {
                f64::NAN
            } else {
                centred.fill(self.x, self.window, t);
                centred.share::<S>()
            };
            // SAFETY: one entry per row, and the rows belong to this task.
            unsafe { self.sink.put_one(t, share) };
        }
    }
}

/// The window less its column means: complete rows of the columns that stay.
#[derive(Default)]
struct Centred {
    cols: usize,
    width: usize,
    rows: Vec<Line>,
}

impl Centred {
    /// Scaled to a largest entry of 1: a share has no unit, and squares stay in range.
    fn fill(&mut self, x: Table, window: Window, newest: usize) {
        let oldest = (newest + 1).saturating_sub(window.len());
        let mut counts = vec![0usize; x.cols()];
        for t in oldest..=newest {
            for (c, count) in counts.iter_mut().enumerate() {
                *count += usize::from(x.at(t, c).is_finite());
            }
        }
        let stay: Vec<usize> =
            (0..x.cols()).filter(|&c| counts[c] >= window.min_periods()).collect();
        let complete: Vec<usize> =
            (oldest..=newest).filter(|&t| stay.iter().all(|&c| x.at(t, c).is_finite())).collect();
        self.cols = stay.len();
        self.width = stay.len().div_ceil(LANES);
        self.rows.clear();
        self.rows.resize(complete.len() * self.width, Line::splat(0.0));
        for (k, &c) in stay.iter().enumerate() {
            let Some(&first) = complete.first() else { return };
            // About the first value, so that a constant column is exactly 0.
            let anchor = x.at(first, c);
            let sum: f64 = complete.iter().map(|&t| x.at(t, c) - anchor).sum();
            let mean = sum / complete.len() as f64;
            for (row, &t) in complete.iter().enumerate() {
                self.rows[row * self.width + k / LANES].0[k % LANES] = x.at(t, c) - anchor - mean;
            }
        }
        let largest =
            self.rows.iter().flat_map(|line| line.0).fold(0.0, |m: f64, v| m.max(v.abs()));
        if largest > 0.0 {
            self.rows.iter_mut().for_each(|line| line.0 = line.0.map(|v| v / largest));
        }
    }

    #[inline(always)]
    fn share<S: Simd>(&self) -> f64 {
        if self.cols == 0 || self.rows.len() < 2 * self.width {
            return f64::NAN;
        }
        let trace = S::sum(self.rows.iter().fold(S::splat(0.0), |sum, line| {
            let v = line.load::<S>();
            S::fma(v, v, sum)
        }));
        if trace > 0.0 && trace.is_finite() {
            (largest::<S, _>(self) / trace).min(1.0)
        } else {
            f64::NAN
        }
    }
}

/// `Z' Z` without forming it.
impl Operator for Centred {
    fn dim(&self) -> usize {
        self.cols
    }
    #[inline(always)]
    fn apply<S: Simd>(&self, v: &[Line], out: &mut [Line]) {
        out.fill(Line::splat(0.0));
        for row in self.rows.chunks_exact(self.width) {
            let mut sum = S::splat(0.0);
            for (a, b) in row.iter().zip(v) {
                sum = S::fma(a.load::<S>(), b.load::<S>(), sum);
            }
            let sum = S::splat(S::sum(sum));
            for (a, b) in out.iter_mut().zip(row) {
                a.store::<S>(S::fma(sum, b.load::<S>(), a.load::<S>()));
            }
        }
    }
}
