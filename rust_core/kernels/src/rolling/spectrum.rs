//! Share of the leading eigenvalue of the window covariance.

use std::ops::{Range, RangeInclusive};

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
    exec.for_each(wanted.len().div_ceil(ROWS_OF_A_TASK), |task| {
        let top = task * ROWS_OF_A_TASK;
        let wanted = &wanted[top..(top + ROWS_OF_A_TASK).min(wanted.len())];
        simd::run(exec.level(), Rows { x, window, wanted, top, sink });
    });
}

struct Rows<'a> {
    x: Table<'a>,
    window: Window,
    wanted: &'a [usize],
    /// Place of their first in the output.
    top: usize,
    sink: Sink<'a>,
}

impl Kernel for Rows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let mut centred = Centred { width: self.x.cols().div_ceil(LANES), rows: Vec::new() };
        let mut krylov = Krylov::default();
        let everything = vec![u8::MAX; centred.width];
        let Some((&start, &last)) = self.wanted.first().zip(self.wanted.last()) else { return };
        let first = (start + 1).saturating_sub(self.window.len());
        let whole: Vec<bool> = (first..=last).map(|t| is_whole::<S>(self.x, t)).collect();
        for (i, &t) in self.wanted.iter().enumerate() {
            let oldest = (t + 1).saturating_sub(self.window.len());
            let mut share = f64::NAN;
            if t + 1 - oldest >= self.window.min_periods() {
                if whole[oldest - first..=t - first].iter().all(|&whole| whole) {
                    centred.fill::<S>(self.x, oldest..=t, &everything);
                } else {
                    centred.fill_present::<S>(self.x, self.window, oldest..=t);
                }
                share = centred.share::<S>(&mut krylov);
            }
            // SAFETY: one entry per wanted row, and the rows belong to this task.
            unsafe { self.sink.put_one(self.top + i, share) };
        }
    }
}

/// The window less its column means; columns that leave, and padding, are 0.
struct Centred {
    width: usize,
    rows: Vec<Line>,
}

/// Rows that the operator takes at a time; their number is filled up with rows of 0.
const TOGETHER: usize = 4;

impl Centred {
    /// Columns that have too few values leave; rows in which one of the others misses, too.
    #[inline(always)]
    fn fill_present<S: Simd>(&mut self, x: Table, window: Window, rows: RangeInclusive<usize>) {
        let mut counts = vec![Line::splat(0.0); self.width];
        for t in rows.clone() {
            for (g, count) in counts.iter_mut().enumerate() {
                let one = S::keep(finite::<S>(vector::<S>(x, t, g)), S::splat(1.0));
                count.store::<S>(S::add(count.load::<S>(), one));
            }
        }
        let need = S::splat(window.min_periods() as f64);
        let mut stay = Vec::with_capacity(self.width);
        for count in &counts {
            stay.push(S::bits(S::le(need, count.load::<S>())));
        }
        let mut complete = Vec::new();
        for t in rows {
            let mut misses = false;
            for (g, &stay) in stay.iter().enumerate() {
                let there = finite::<S>(vector::<S>(x, t, g));
                misses |= S::any(S::and(S::from_bits(stay), S::not(there)));
            }
            if !misses {
                complete.push(t);
            }
        }
        self.fill::<S>(x, complete.into_iter(), &stay);
    }

    /// `rows` of the columns that `stay`, a bit of its vector's byte each.
    #[inline(always)]
    fn fill<S: Simd>(&mut self, x: Table, rows: impl Iterator<Item = usize>, stay: &[u8]) {
        let width = self.width;
        self.rows.clear();
        for t in rows {
            // About the first row, so that a constant column is exactly 0.
            let top = self.rows.len();
            for (g, &stay) in stay.iter().enumerate() {
                let v = vector::<S>(x, t, g);
                let first = if top == 0 { v } else { self.rows[g].load::<S>() };
                let mut line = Line::splat(0.0);
                let v = if top == 0 { v } else { S::sub(v, first) };
                line.store::<S>(S::keep(S::and(S::from_bits(stay), S::valid(v)), v));
                self.rows.push(line);
            }
        }
        let n = self.rows.len() / width.max(1);
        if n == 0 {
            return;
        }
        self.rows[..width].fill(Line::splat(0.0));
        let mut means = vec![Line::splat(0.0); width];
        for row in self.rows.chunks_exact(width) {
            for (mean, v) in means.iter_mut().zip(row) {
                mean.store::<S>(S::add(mean.load::<S>(), v.load::<S>()));
            }
        }
        scale::<S>(&mut means, 1.0 / n as f64);
        for row in self.rows.chunks_exact_mut(width) {
            for (v, mean) in row.iter_mut().zip(&means) {
                v.store::<S>(S::sub(v.load::<S>(), mean.load::<S>()));
            }
        }
        self.rows.resize(n.next_multiple_of(TOGETHER) * width, Line::splat(0.0));
    }

    #[inline(always)]
    fn trace<S: Simd>(&self) -> f64 {
        S::sum(self.rows.iter().fold(S::splat(0.0), |sum, line| {
            let v = line.load::<S>();
            S::fma(v, v, sum)
        }))
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
