//! Share of the leading eigenvalue of the window covariance.

use std::ops::Range;

use crate::Exec;
use crate::simd::{self, Kernel, LANES, Simd};

use super::Window;
use super::lanczos::{Krylov, Operator, scale};
use super::source::{Source, Table, finite, is_whole, vector};
use super::tiles::{Line, Sink};

/// Leading eigenvalue over trace of the covariance in the windows that end at the rows `wanted`,
/// which rise.
///
/// Columns with fewer than `min_periods` values in the window leave; the
/// covariance is over the rows that are complete for the others, at least two.
/// NaN where nothing is left or nothing varies. Infinities count as missing.
pub fn pc1_share(exec: Exec, x: Table, window: Window, wanted: &[usize], out: &mut [f64]) {
    const ROWS_OF_A_TASK: usize = 16;
    let exec = exec.for_work(wanted.len() * window.reach(x.rows()) * x.cols());
    let sink = Sink::new(out, wanted.len(), 1);
    let tasks = wanted.len().div_ceil(ROWS_OF_A_TASK);
    exec.for_each_with(tasks, Scratch::default, |scratch, task| {
        let top = task * ROWS_OF_A_TASK;
        let wanted = &wanted[top..(top + ROWS_OF_A_TASK).min(wanted.len())];
        simd::run(exec.level(), Task { x, window, wanted, top, sink, scratch });
    });
}

/// Room for one window after the other.
#[derive(Default)]
struct Scratch {
    /// Rows of the window that are complete.
    rows: Vec<usize>,
    centred: Centred,
    krylov: Krylov,
}

struct Task<'a> {
    x: Table<'a>,
    window: Window,
    wanted: &'a [usize],
    /// Place of their first in the output.
    top: usize,
    sink: Sink<'a>,
    scratch: &'a mut Scratch,
}

impl Kernel for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Scratch { rows, centred, krylov } = self.scratch;
        let Some((&start, &last)) = self.wanted.first().zip(self.wanted.last()) else { return };
        let first = (start + 1).saturating_sub(self.window.len());
        let mut whole = vec![false; last + 1 - first];
        for (t, whole) in (first..).zip(&mut whole) {
            *whole = is_whole::<S>(self.x, t);
        }
        let everything = everything(self.x.cols());
        for (i, &t) in self.wanted.iter().enumerate() {
            let oldest = (t + 1).saturating_sub(self.window.len());
            let mut share = f64::NAN;
            if t + 1 - oldest >= self.window.min_periods() {
                rows.clear();
                rows.extend(oldest..=t);
                if whole[oldest - first..=t - first].iter().all(|&whole| whole) {
                    centred.fill::<S>(self.x, rows, &everything);
                } else {
                    let stay = complete::<S>(self.x, self.window, rows);
                    centred.fill::<S>(self.x, rows, &stay);
                }
                share = centred.share::<S>(krylov);
            }
            // SAFETY: one entry per wanted row, and the rows belong to this task.
            unsafe { self.sink.put_one(self.top + i, share) };
        }
    }
}

/// All of `cols` columns, a bit of its vector's byte each.
fn everything(cols: usize) -> Vec<u8> {
    let bits = |g: usize| u8::MAX >> (LANES - LANES.min(cols - g * LANES));
    (0..cols.div_ceil(LANES)).map(bits).collect()
}

/// The columns that have enough values in `rows`, a bit of its vector's byte each; rows in which
/// one of them misses leave.
#[inline(always)]
fn complete<S: Simd>(x: Table, window: Window, rows: &mut Vec<usize>) -> Vec<u8> {
    let need = S::splat(window.min_periods() as f64);
    let mut stay = vec![0; x.cols().div_ceil(LANES)];
    for (g, stay) in stay.iter_mut().enumerate() {
        let mut count = S::splat(0.0);
        for &t in &*rows {
            let there = finite::<S>(vector::<S>(x, t, g));
            count = S::add(count, S::keep(there, S::splat(1.0)));
        }
        *stay = S::bits(S::le(need, count));
    }
    let mut kept = 0;
    for i in 0..rows.len() {
        let mut missing = 0;
        for (g, stay) in stay.iter().enumerate() {
            missing |= stay & !S::bits(finite::<S>(vector::<S>(x, rows[i], g)));
        }
        rows[kept] = rows[i];
        kept += usize::from(missing == 0);
    }
    rows.truncate(kept);
    stay
}

/// Rows that are taken at a time; their number is filled up with rows of 0.
const TOGETHER: usize = 4;

/// The window less its column means; columns that leave, and padding, are 0.
#[derive(Default)]
struct Centred {
    width: usize,
    rows: Vec<Line>,
    means: Vec<Line>,
}

impl Centred {
    /// `rows` of the columns that `stay`.
    #[inline(always)]
    fn fill<S: Simd>(&mut self, x: Table, rows: &[usize], stay: &[u8]) {
        let width = stay.len();
        self.width = width;
        self.rows.resize(rows.len().next_multiple_of(TOGETHER) * width, Line::splat(0.0));
        self.rows[rows.len() * width..].fill(Line::splat(0.0));
        self.means.clear();
        self.means.resize(width, Line::splat(0.0));
        let Some(&first) = rows.first() else { return };
        let (fours, rest) = rows.as_chunks::<TOGETHER>();
        for &four in fours {
            self.add::<S, TOGETHER>(x, first, four);
        }
        for &row in rest {
            self.add::<S, 1>(x, first, [row]);
        }
        let per = S::splat(1.0 / rows.len() as f64);
        for (g, mean) in self.means.iter_mut().enumerate() {
            let first = vector::<S>(x, first, g);
            mean.store::<S>(S::fma(mean.load::<S>(), per, first));
        }
        for (&t, row) in rows.iter().zip(self.rows.chunks_exact_mut(width.max(1))) {
            for g in 0..width {
                let d = S::sub(vector::<S>(x, t, g), self.means[g].load::<S>());
                row[g].store::<S>(S::keep(S::from_bits(stay[g]), d));
            }
        }
    }

    /// Add to the sums of the columns about their `first` row: a constant column is exactly 0.
    #[inline(always)]
    fn add<S: Simd, const N: usize>(&mut self, x: Table, first: usize, rows: [usize; N]) {
        for (g, sum) in self.means.iter_mut().enumerate() {
            let first = vector::<S>(x, first, g);
            let mut total = sum.load::<S>();
            for t in rows {
                total = S::add(total, S::sub(vector::<S>(x, t, g), first));
            }
            sum.store::<S>(total);
        }
    }

    #[inline(always)]
    fn trace<S: Simd>(&self) -> f64 {
        let mut sums = [S::splat(0.0); TOGETHER];
        for lines in self.rows.as_chunks::<TOGETHER>().0 {
            for (sum, line) in sums.iter_mut().zip(lines) {
                let v = line.load::<S>();
                *sum = S::fma(v, v, *sum);
            }
        }
        S::sum(sums.into_iter().fold(S::splat(0.0), S::add))
    }

    #[inline(always)]
    fn share<S: Simd>(&mut self, krylov: &mut Krylov) -> f64 {
        const SAFE: Range<f64> = 1e-200..1e200;
        let mut trace = self.trace::<S>();
        if !SAFE.contains(&trace) {
            // A share has no unit: bring the squares into range.
            let largest = self.rows.iter().flat_map(|line| line.0);
            let largest = largest.fold(0.0, |m: f64, v| m.max(v.abs()));
            scale::<S>(&mut self.rows, 1.0 / largest);
            trace = self.trace::<S>();
        }
        if SAFE.contains(&trace) {
            (krylov.largest::<S, _>(self) / trace).min(1.0)
        } else {
            f64::NAN
        }
    }
}

/// `Z' Z` without forming it.
impl Operator for Centred {
    fn width(&self) -> usize {
        self.width
    }
    #[inline(always)]
    fn apply<S: Simd>(&self, v: &[Line], out: &mut [Line]) {
        out.fill(Line::splat(0.0));
        for rows in self.rows.chunks_exact(TOGETHER * self.width) {
            let row = |i: usize| &rows[i * self.width..(i + 1) * self.width];
            let [a, b, c, d] = [row(0), row(1), row(2), row(3)];
            let mut sums = [S::splat(0.0); TOGETHER];
            for (g, v) in v.iter().enumerate() {
                let v = v.load::<S>();
                for (sum, row) in sums.iter_mut().zip([a, b, c, d]) {
                    *sum = S::fma(row[g].load::<S>(), v, *sum);
                }
            }
            let sums = sums.map(|sum| S::splat(S::sum(sum)));
            for (g, out) in out.iter_mut().enumerate() {
                let mut total = out.load::<S>();
                for (sum, row) in sums.into_iter().zip([a, b, c, d]) {
                    total = S::fma(sum, row[g].load::<S>(), total);
                }
                out.store::<S>(total);
            }
        }
    }
}
